"""A carrier's deliver_sm: receipts become durable facts, then they are answered.

Rules:
- A receipt is answered 0 only after it is durable, applied or parked as orphan (law 3); a receipt nobody knows is
  answered 0 too: an error would only make the carrier send it for hours (quirks O10).
- While the disk is sick nothing is answered: the facts wait in memory, the carrier keeps its copy, and whichever comes
  first is matched once.
- Whose it is, is found before it is written down and written with it (`naming`), so that a replay finds no other.
- An id that memory does not hold is looked up in the store before it is parked: its part may have ended long ago.
- A plain message that reads like a receipt is one only where the dialect says so and its id is one we know. While that
  cannot be told, because the store is sick or a response to that handset is awaited, it is to come again.
- What is no receipt is a message from a handset (`handsets`): durable and owed to its ESME before it is answered, or
  refused and counted, so that nothing is answered OK and dropped.

Walk: `carriers/bind` hands over one read's worth; Receipted events go to `store/journal`; `ledger` applies them;
`carriers/adopt` finds the attempts of those that were parked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

import structlog
from msgspec import structs

from smsroute.carriers.adopt import Adoption
from smsroute.carriers.bind import Bind
from smsroute.carriers.dialects import Dialects, Spoken
from smsroute.carriers.handsets import Handsets
from smsroute.carriers.naming import Naming
from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.memory import Noticed
from smsroute.message import ACCEPTED, STATE_OF_RECEIPT, AnyEvent, Part, Receipted
from smsroute.ports import Ports
from smsroute.smpp import names, receipt
from smsroute.smpp.codec import Pdu, PduError, build_responses
from smsroute.smpp.receipt import Receipt
from smsroute.store.base import Owner, Store, StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.receipts")


_PASSING: Final[dict[int, int]] = {
    names.MessageState.SCHEDULED: names.MessageState.ENROUTE,  # a word of 5.0 alone
    names.MessageState.ENROUTE: names.MessageState.ENROUTE,
    names.MessageState.ACCEPTED: names.MessageState.ACCEPTED,
}
"""Words on the way that say something: message_state -> what an ESME is told. UNKNOWN would only frighten it."""

Said = tuple[Part, int, str]
"""A part, the final State its receipt tells, and the receipt's err."""

Answer = tuple[int, tuple[int, int, str]]
"""A request's command_id, and its answer as `codec.build_responses` takes it."""

Heard = Callable[[str, Iterable[Said], float], None]
"""Told what receipts of a carrier have just said for the first time: (carrier, what, Unix seconds)."""


class Board(Protocol):
    """What receipts need of `carriers/dispatch`."""

    ports: Ports
    limits: Limits
    ledger: Ledger
    journal: Journal
    stations: dict[str, Station]
    adoption: Adoption


class Receipts:
    """See the module."""

    def __init__(self, board: Board, store: Store, handsets: Handsets) -> None:
        self._board = board
        self._ledger = board.ledger
        self._journal = board.journal
        self._ports = board.ports
        self._store = store
        self._handsets = handsets
        self._dialects = Dialects(board.limits.receipt_pattern_characters_max)
        self.refused: Counter[str] = Counter()
        self.heard: Heard | None = None

    async def delivered(self, bind: Bind, pdus: Sequence[Pdu]) -> None:
        """Make a read's worth of receipts durable, then answer each, in order."""
        now = self._ports.clock.wall()
        carrier, link = bind.carrier, bind.link
        assert link is not None, "what was read came over a link"
        naming = self._board.stations[carrier.name].naming
        spoken = self._dialects.of(carrier.name, carrier.dialect)
        events: list[Receipted] = []
        earlier: list[AnyEvent] = []
        answers: list[Answer] = []
        missed: list[tuple[int, Receipt]] = []  # place in `answers` and `pdus`, and what it says
        plain: list[int] = []  # places of what handsets wrote
        for pdu in pdus:
            status, told = self._read(carrier.name, spoken, pdu)
            answers.append((pdu.command_id, (status, pdu.sequence_number, "")))
            if told is None:
                if not status:
                    plain.append(len(answers) - 1)
                continue
            hit = naming.find(told.ids, told.source_addr, self._ledger, now)
            if hit is not None:
                if len(self._ledger.orphans):  # what was said first counts first, though nobody could tell whose it was
                    earlier.extend(self._board.adoption.named(carrier.name, (hit[1][0],), now))
                events.append(_event(carrier.name, spoken, told, now, [hit[0]], hit[1][0].part_id))
            else:
                missed.append((len(answers) - 1, told))
        if missed:
            events.extend(await self._look_up(carrier.name, spoken, naming, missed, answers, plain, now))
        # From here to the journal nothing is waited for: the same message by another bind finds its place behind us.
        written = self._handsets.batch(bind, now)
        for place in plain:
            answers[place] = (pdus[place].command_id, (written.read(pdus[place]), pdus[place].sequence_number, ""))
        runs = groupby(answers, key=itemgetter(0))
        data = b"".join(build_responses(command_id, map(itemgetter(1), run)) for command_id, run in runs)
        if not events and not written.heard:
            link.write(data)
            return

        def then(error: StoreError | None) -> None:
            assert error is None, "a receipt is a must entry"
            link.write(data)
            written.answered()
            if self.heard is not None and events:
                self.heard(carrier.name, self._news(events, now), now)

        await self._journal.commit([*earlier, *events, *written.events], then, must=True)
        self._board.adoption.told(carrier.name)
        if missed:
            adopted = self._board.adoption.parked((event for event in events if not event.part_id), now)
            if adopted:
                self._journal.append(adopted, must=True)

    def _news(self, events: Sequence[Receipted], now: float) -> Iterable[Said]:
        """Of receipts just applied, those that say for the first time what became of a part: it ended by them, or its
        ESME asked for none and we did (`receipts: always`)."""
        said: dict[str, Said] = {}
        for event in events:
            part = self._ledger.parts.get(event.part_id)
            if part is None:
                continue
            if part.state == ACCEPTED and event.state in STATE_OF_RECEIPT:
                said[part.part_id] = (part, event.state, event.err)
            elif part.ended_at == now:
                said[part.part_id] = (part, part.state, part.err)
            if event.whole and not any(attempt.led for attempt in part.attempts):  # one submit is one receipt's worth
                for sister in self._ledger.families.sisters(part):
                    if sister.ended_at == now and sister.state == event.state:
                        said[sister.part_id] = (sister, sister.state, sister.err)
        return said.values()

    def _read(self, carrier: str, spoken: Spoken, pdu: Pdu) -> tuple[int, Receipt | None]:
        """What to answer, and what it says when it is a receipt, or may be one; (0, None) for a handset's message."""
        try:
            told = receipt.parse(pdu, spoken.reading)
        except PduError as error:
            self.refused[carrier] += 1
            return error.command_status, None
        if told is None:
            return names.ESME_ROK, None
        if told.certain and (told.conflict or (told.state < 0 and told.state_from)):
            kind = "tlv-and-text" if told.conflict else "unknown-word"
            self._ledger.noticed.append(Noticed(kind, carrier, told.source_addr))
        return names.ESME_ROK, told

    async def _look_up(
        self,
        carrier: str,
        spoken: Spoken,
        naming: Naming,
        missed: Sequence[tuple[int, Receipt]],
        answers: list[Answer],
        plain: list[int],
        now: float,
    ) -> list[Receipted]:
        """The events of receipts memory does not know, each with the part the store knows for it, if any. What is no
        receipt unless we know its id, and we do not, is the message it is: `plain` (quirks D3)."""
        void = self._ledger.ids.void
        wanted = {key for _, told in missed for key in naming.candidates(told.ids, told.source_addr)}
        wanted -= {key for key in wanted if (carrier, key) in void} if void else set()
        found: dict[str, Owner] = {}
        sick = False
        try:
            found = await self._ports.blocking.run(self._store.find, carrier, sorted(wanted))
        except StoreError as error:  # parked, and matched when its response or its part turns up
            log.warning("receipts.look_up_failed", carrier=carrier, error=str(error))
            sick = True
        events: list[Receipted] = []
        for place, told in missed:
            hit = naming.find_kept(told.ids, told.source_addr, found, now) if found else None
            if hit is not None:
                events.append(_event(carrier, spoken, told, now, [hit[0]], hit[1]))
            elif told.certain:
                keys, strict = naming.waits_as(told.ids, told.source_addr)
                events.append(structs.replace(_event(carrier, spoken, told, now, keys), strict=strict))
            else:
                if not (sick or naming.unanswered(told.source_addr)):
                    plain.append(place)
                    continue
                command_id, (_, sequence_number, _) = answers[place]
                answers[place] = (command_id, (names.ESME_RSYSERR, sequence_number, ""))
                self.refused[carrier] += 1
        return events


def _event(carrier: str, spoken: Spoken, told: Receipt, now: float, keys: list[str], part_id: str = "") -> Receipted:
    """The fact that a carrier said so. What was matched needs no more than its key."""
    event = Receipted(
        carrier,
        now,
        keys,
        spoken.ends.get(told.state, -1),
        told.err,
        told.word or told.state_name,
        told.source_addr,
        part_id,
        whole=spoken.dialect.receipts_on != "every",
        passing=_PASSING.get(told.state, -1) if told.state not in spoken.ends else -1,
    )
    if part_id:
        return event
    return structs.replace(event, ids=list(told.ids), text=told.quoted, submitted_at=told.submitted_at)
