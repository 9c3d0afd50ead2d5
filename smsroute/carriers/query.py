"""Asking: query_sm for parts a carrier took and whose receipt is long in coming.

DRAWBACK of waiting only
    A receipt that is lost leaves its part open until validity and grace have passed, a day or more, and then ends it
    UNKNOWN, though the carrier could have said at any time what became of it.

IDEA
    Ask. query_sm (SMPP 3.4 section 4.8) names a message by the id its response gave. So an attempt that was never
    answered cannot be asked for: in doubt waits for its response or its receipt, and the moment a late response names
    it, it is here. A part without a receipt is asked for `query_after_s` after its response, then every
    `query_interval_s`, and once more at the end, before we call it UNKNOWN ourselves.

PSEUDOCODE
    once a sweep: for parts at their end, then for a slice of the parts in memory, in turn:
        for each attempt of it that its carrier took and named, and has told nothing of:
            if it is time, and fewer than queries_max are unanswered: ask over its own bind, else another of the carrier
    an answer:
        a last word    -> Receipted, word "query_sm DELIVRD": ends the part and tells the ESME as any receipt does; the
                          real receipt, should it come, is a duplicate
        anything else  -> a fact of the part (ENROUTE, ESME_RQUERYFAIL, an unknown id, nothing at all)
        RINVCMDID      -> the carrier knows no query_sm after all: it is not asked again before the next start

MEASURED
    No part pays for it: nothing is kept per part. A walk over open parts looks at `query_parts_max` a round: with
    1,000,000 of them submitted a round took 0.3 ms on a busy machine (p99 7 ms), and nobody is asked while no
    carrier has `query_sm: true`.

LIMITS
    queries_max a bind and sweep, so 5 a second: a lost receipt now and then, not a dead receiver's backlog. A carrier
    that counts queries in its window wants a window that much lower. After `query_wait_s` a part ends UNKNOWN unasked.

Rules:
- Nothing is believed of an answer but a last word about the id that was asked for.
- Never in the window: `carriers/bind` holds the places.

Walk: `carriers/sweep` calls `look` and `may_tell`; `carriers/bind` hands back answers through `carriers/dispatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

import structlog

from smsroute.carriers.bind import Bind, Query
from smsroute.carriers.dialects import STATE_OF
from smsroute.carriers.slices import Slices
from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.memory import Noticed
from smsroute.message import AnyEvent, Attempt, Blame, Part, Queried, Receipted, State
from smsroute.ports import Ports
from smsroute.queues import told_by
from smsroute.smpp import names, receipt
from smsroute.smpp.codec import PduError, decode, pdu
from smsroute.smpp.session import Response
from smsroute.store.base import StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.query")

NOTES: Final = {
    names.ESME_RQUERYFAIL: "it cannot tell now",
    names.ESME_RINVMSGID: "it does not know the id",
    names.ESME_RINVCMDID: "it knows no query_sm, and is not asked again",
}


class Board(Protocol):
    """What asking needs of `carriers/dispatch`."""

    ports: Ports
    limits: Limits
    ledger: Ledger
    journal: Journal
    stations: dict[str, Station]
    draining: bool


class Queries:
    """See the module. `now` is Unix seconds."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._unable: set[str] = set()  # carriers that said they know no query_sm
        self._walk = Slices(board.ledger.queues.open_parts)
        self._last: dict[str, Part] = {}  # at their end
        self._asking: dict[tuple[str, int], float] = {}  # since when; a fault of ours may lose an answer

    def look(self, now: float) -> None:
        """Ask for those whose time has come, while binds have room for it."""
        stations = self._board.stations
        able = [name for name in stations if self._able(name)]
        if not able or self._board.draining:
            return
        rooms = {name: [bind for bind in stations[name].binds for _ in range(bind.query_room)] for name in able}
        asks: dict[Bind, list[Query]] = {}
        for part_id, part in list(islice(self._last.items(), self._board.limits.query_parts_max)):
            end = self._end(part)
            if self._ask(part, [at for at, one in self._askable(part) if one.queried_at < end], now, rooms, asks):
                del self._last[part_id]
        limits = self._board.limits
        late = now - limits.query_after_s
        for part in self._walk.take(limits.query_parts_max):
            if part.state == State.SUBMITTED and part.accepted_at <= late:
                if not any(rooms.values()):
                    break  # the rest of this slice has its turn in the next walk
                self._ask(part, self._due(part, now), now, rooms, asks)
        for bind, queries in asks.items():
            if not bind.ask(queries):
                for query in queries:
                    del self._asking[query.part_id, query.attempt]

    def may_tell(self, part: Part, now: float) -> bool:
        """Whether a part at its end is to wait a little: its carrier may still say what became of it."""
        if part.state == State.SUBMITTED and part.attempts[-1].lead:
            lead = self._board.ledger.parts.get(part.attempts[-1].lead)
            return lead is not None and self.may_tell(lead, now)  # its carrier has an id for that one alone
        end = self._end(part)
        if part.state != State.SUBMITTED or now >= end + self._board.limits.query_wait_s:
            return False
        if all(attempt.queried_at >= end for _, attempt in self._askable(part)):
            return False
        if len(self._last) < self._board.limits.sweep_parts_max:
            self._last[part.part_id] = part
        return True

    def answered(self, bind: Bind, answers: Sequence[tuple[Query, Response | None]]) -> None:
        """Carriers answered, or did not in time (None)."""
        now = self._board.ports.clock.wall()
        events: list[AnyEvent] = []
        for query, response in answers:
            said, told = self._read(bind, query, response, now)
            events.append(Queried(query.part_id, query.attempt, now, said))
            if told is not None:
                events.append(told)
        if not events:
            return

        def then(error: StoreError | None) -> None:
            assert error is None, "an answer is a must entry"
            for query, _ in answers:  # not before: the part shows only now that it was asked
                self._asking.pop((query.part_id, query.attempt), None)
            self._notice(told for told in events if isinstance(told, Receipted))

        self._board.journal.append(events, then, must=True)

    def _notice(self, told: Iterable[Receipted]) -> None:
        """The parts that ended because we asked: their receipts never came."""
        ledger = self._board.ledger
        for event in told:
            part = ledger.parts.get(event.part_id)
            if part is not None and part.ended_at == event.at:
                ledger.noticed.append(Noticed("unheard", event.carrier, part.destination_addr, part))

    # -- whom to ask ---------------------------------------------------------------------------------------------------

    def _able(self, carrier: str) -> bool:
        station = self._board.stations.get(carrier)
        return station is not None and station.carrier.query_sm and carrier not in self._unable

    def _end(self, part: Part) -> float:
        return told_by(part, self._board.limits.receipt_grace_s)

    def _askable(self, part: Part) -> list[tuple[int, Attempt]]:
        """The attempts that a carrier took, named, can be asked about, and has told nothing of."""
        if part.state != State.SUBMITTED:
            return []
        return [
            (at, one)
            for at, one in enumerate(part.attempts)
            if one.blame == Blame.OK and one.carrier_message_id and not one.told and self._able(one.carrier)
        ]

    def _due(self, part: Part, now: float) -> list[int]:
        limits = self._board.limits
        return [
            at
            for at, one in self._askable(part)
            if one.responded_at + limits.query_after_s <= now and one.queried_at + limits.query_interval_s <= now
        ]

    def _ask(
        self,
        part: Part,
        attempts: Iterable[int],
        now: float,
        rooms: Mapping[str, list[Bind]],
        asks: dict[Bind, list[Query]],
    ) -> bool:
        """Whether all of `attempts` are asked about, each over its own bind if there is room. `rooms`: a bind for each
        question its carrier can take."""
        complete = True
        for at in attempts:
            attempt, key = part.attempts[at], (part.part_id, at)
            if self._asking.get(key, float("-inf")) > now - self._board.limits.query_interval_s:
                continue
            room = rooms[attempt.carrier]
            if not room:
                complete = False
                continue
            bind = next((bind for bind in room if bind.name == attempt.bind), room[0])
            room.remove(bind)
            body = attempt.carrier_message_id.encode("latin-1") + b"\0" + _source(part.body)
            asks.setdefault(bind, []).append(Query(part.part_id, at, attempt.carrier_message_id, body))
            self._asking[key] = now
        return complete

    # -- what they say -------------------------------------------------------------------------------------------------

    def _read(self, bind: Bind, query: Query, response: Response | None, now: float) -> tuple[str, Receipted | None]:
        """(what was said, for people; the last word, if it was one)."""
        if response is None:
            return "nothing, in time", None
        status = response.command_status
        if status != names.ESME_ROK:
            if status == names.ESME_RINVCMDID and bind.carrier.name not in self._unable:
                self._unable.add(bind.carrier.name)
                log.warning("query.unable", carrier=bind.carrier.name, bind=bind.name)
            note = NOTES.get(status)
            return names.status_name(status) + (f": {note}" if note else ""), None
        try:
            fields = decode(pdu(names.QUERY_SM_RESP, 0, 1, response.body)).fields
        except PduError as error:
            fields = error.partial or {}  # one that leaves out error_code has said enough
        state = fields.get("message_state")
        if not isinstance(state, int):
            return "nothing anybody can read", None
        word, code = receipt.STAT_OF.get(state, f"state {state}"), fields.get("error_code", 0)
        rule, named = bind.carrier.dialect.ids, str(fields.get("message_id", ""))
        key = receipt.response_key(rule, query.message_id)
        if named and receipt.response_key(rule, named).casefold() != key.casefold():
            return f"{word}, of {named}, which is another message", None
        final = STATE_OF.get(state)
        if final is None:
            return word, None
        part = self._board.ledger.parts.get(query.part_id)
        destination_addr = part.destination_addr if part is not None else ""
        if part is not None and query.attempt < len(part.attempts):
            key = part.attempts[query.attempt].key or query.message_id  # as its responses were kept, by whatever rule
        told = Receipted(
            bind.carrier.name,
            now,
            [key],
            final,
            f"{code:03d}",
            f"query_sm {word}",
            destination_addr,
            query.part_id,
        )
        since = fields.get("final_date")
        return f"{word}, since {since}" if since else word, told


def _source(body: bytes) -> bytes:
    """source_addr_ton, source_addr_npi and source_addr of a submit: a query must bear its own (section 4.8.1)."""
    at = body.index(0) + 1
    return body[at : body.index(0, at + 2) + 1]
