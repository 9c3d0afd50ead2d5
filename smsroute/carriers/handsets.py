"""Messages from handsets: whose each is, and whether it was heard before.

Rules:
- One is answered 0 only after it is durable and owed to an ESME (law 3). Nobody's is refused for good with
  ESME_RX_R_APPN, counted, and health says so: an answer of 0 would be a loss nobody ever hears of.
- One that cannot be taken now (memory is full, its first part has not come) is to come again: ESME_RX_T_APPN, which
  says so, is the end of it for some carriers (quirks S39).
- A carrier sends again what we did not answer in time. The same octets from the same carrier are told once when our
  first answer may not have arrived: it left `mo_answer_doubt` or more after the message came, or its link ended so soon
  after it, or before, or it came by another link before it left or within `mo_thumb` (the first may be dead, and nobody
  has told us), or another life of the engine heard it. Else a handset that says YES twice has said it twice.
- An alert_notification (a handset is there again) goes to the ESME that owns the number it names, if that is bound now:
  nobody answers one, so nothing of it is kept.
- Parts of a message go where its first part went: only that has the keyword. A later part that comes before it is to
  come again, for `mo_first_part`, where a keyword may decide.

Walk: `carriers/receipts` hands over what is no receipt, makes `events` durable and then calls `answered`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import structlog

from smsroute.carriers.bind import Bind
from smsroute.config import Config, Limits
from smsroute.ids import MessageIds
from smsroute.ledger import Ledger
from smsroute.link import Link
from smsroute.message import AnyEvent, Arrived, State
from smsroute.ports import Ports
from smsroute.routing.owners import Owners
from smsroute.smpp import handset, names
from smsroute.smpp.codec import Pdu, PduError, SubmitSm, decode, pdu

log: Final = structlog.get_logger("smsroute.handsets")

Key = tuple[str, bytes]
"""A carrier, and the octets it sent."""


Alerted = Callable[[str, bytes], None]
"""Told of an alert_notification: whose it is, and its body."""


class Board(Protocol):
    """What this needs of `carriers/dispatch`."""

    ports: Ports
    limits: Limits
    ledger: Ledger


class Heard:
    """One that came of late. Times are monotonic seconds."""

    __slots__ = ("answered_at", "at", "link", "part_id")

    def __init__(self, part_id: str, at: float, link: Link | None) -> None:
        self.part_id = part_id
        self.at = at
        self.link = link  # None: of another life
        self.answered_at = 0.0  # 0: not yet


class Way(NamedTuple):
    """Where the parts of a message go; nowhere yet while its first part is awaited."""

    since: float
    rule: str
    esme: str
    name: str = ""  # of the message, when it has several parts


class Unwanted(NamedTuple):
    """The last message from a handset that nobody owns, by one carrier."""

    at: float  # Unix seconds
    to: str


class Handsets:
    """See the module."""

    def __init__(self, board: Board, config: Config, ids: MessageIds) -> None:
        self._board = board
        self._ids = ids
        self._ledger = board.ledger
        self._clock = board.ports.clock
        self._limits = board.limits
        self.taken: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.postponed: Counter[str] = Counter()
        self.unwanted: dict[str, Unwanted] = {}
        self.alerted: Alerted = lambda esme, body: None
        self._heard: OrderedDict[Key, Heard] = OrderedDict()
        self._ways: OrderedDict[str, Way] = OrderedDict()
        self.adopt(config)
        self._remember()

    def adopt(self, config: Config) -> None:
        """Whose each is from now on."""
        self._owners = Owners(config.mo)
        self._kept = {name: None if esme.text == "keep" else b"" for name, esme in config.esmes.items()}

    def _remember(self) -> None:
        """Which way messages in parts went, and what the last engine took just before it went, and may not have
        answered. (What its ESME has answered for has no octets left, and was answered to its carrier a round trip
        before.)"""
        now = self._clock.monotonic()
        parts = [part for part in self._ledger.parts.values() if part.state == State.RECEIVED]
        newest = max((part.accepted_at for part in parts), default=0.0)
        for part in parts:
            if part.multipart:
                self._go(Way(now, part.route, part.esme, part.multipart))
            if not part.told_at and part.accepted_at >= newest - self._limits.mo_answer_doubt_s:
                self._heard[part.carrier, part.body] = Heard(part.part_id, now, None)

    def batch(self, bind: Bind, now: float) -> Batch:
        """For one read of `bind`; `now`: Unix seconds."""
        return Batch(self, bind, now)

    def figures(self, carrier: str, wall: float) -> dict[str, Any]:
        """Of one carrier since the start, for people and JSON. `wall`: Unix seconds."""
        last = self.unwanted.get(carrier)
        return {
            "taken": self.taken[carrier],
            "repeated": self.repeated[carrier],
            "postponed": self.postponed[carrier],
            "refused": self.refused[carrier],
            "unowned": None if last is None else {"to": last.to, "last_s": round(wall - last.at, 3)},
        }

    def monotonic(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    # -- for Batch ----------------------------------------------------------------------------------------------------

    def read(self, batch: Batch, request: Pdu) -> int:
        """What to answer; adds to the batch what is to be durable before."""
        carrier = batch.bind.carrier.name
        if request.command_id == names.ALERT_NOTIFICATION:
            self._alert(carrier, request)
            return names.ESME_ROK
        try:
            mo = handset.read(request)
        except PduError as error:
            self.refused[carrier] += 1
            return error.command_status
        key = (carrier, mo.body)
        again = self._again(key, batch)
        if again is not None:
            self.repeated[carrier] += 1
            batch.heard.append(again)
            return names.ESME_ROK
        way = self._way(carrier, mo, batch)
        if isinstance(way, int):
            return way
        part_id = self._ids.make(batch.now)
        heard = Heard(part_id, batch.at, batch.bind.link)
        self._note(key, heard, batch.at)
        batch.heard.append(heard)
        sm = mo.sm
        batch.events.append(
            Arrived(
                part_id,
                batch.now,
                way.esme,
                carrier,
                batch.bind.name,
                way.rule,
                sm.source_addr,
                sm.destination_addr,
                mo.body,
                sm.text_at,
                sm.data_coding,
                self._kept.get(way.esme, b""),
                way.name,
            )
        )
        self.taken[carrier] += 1
        return names.ESME_ROK

    def _alert(self, carrier: str, request: Pdu) -> None:
        try:
            fields = decode(pdu(request.command_id, 0, request.sequence_number, request.body)).fields
        except PduError:
            self.refused[carrier] += 1
            return
        rule = self._owners.owner(fields["esme_addr"], fields["source_addr"], "", carrier)
        if rule is not None:
            self.alerted(rule.esme, request.body)

    def _again(self, key: Key, batch: Batch) -> Heard | None:
        """The same one as it came before, when our answer to that may not have arrived."""
        heard = self._heard.get(key)
        doubt_s = self._limits.mo_answer_doubt_s
        if heard is None or batch.at - heard.at > self._limits.mo_repeat_s or not self._limits.mo_repeat_s:
            return None
        link = heard.link
        if link is not None and link.up:
            elsewhere = link is not batch.bind.link and (
                not heard.answered_at or batch.at - heard.answered_at < self._limits.mo_thumb_s
            )
            doubtful = elsewhere or (heard.answered_at or batch.at) - heard.at >= doubt_s
        else:
            doubtful = link is None or not heard.answered_at or link.ended_at - heard.answered_at < doubt_s
        if not doubtful:
            return None
        heard.link, heard.at, heard.answered_at = batch.bind.link, batch.at, 0.0
        self._note(key, heard, batch.at)
        return heard

    def _note(self, key: Key, heard: Heard, at: float) -> None:
        remembered = self._heard
        remembered[key] = heard
        remembered.move_to_end(key)
        while remembered and (
            len(remembered) > self._limits.mo_remembered_max
            or next(iter(remembered.values())).at < at - self._limits.mo_repeat_s
        ):
            remembered.popitem(last=False)

    def _way(self, carrier: str, mo: handset.Mo, batch: Batch) -> Way | int:
        """Whose it is, or what refuses it."""
        ledger, sm = self._ledger, mo.sm
        if ledger.held >= self._limits.open_messages_max:
            self.postponed[carrier] += 1
            return names.ESME_RMSGQFUL
        part = handset.part_of(sm)
        if part is None:
            rule = self._owners.owner(sm.destination_addr, sm.source_addr, handset.first_word(sm), carrier)
            return Way(batch.at, rule.name, rule.esme) if rule is not None else self._nobody(carrier, sm, batch)
        reference, total, number = part
        name = f"{carrier} {sm.source_addr} {sm.destination_addr} {reference} {total}"
        way = self._ways.get(name)
        if way is not None and batch.at - way.since > self._limits.multipart_ttl_s:
            way = None
        if way is not None and way.esme:
            return self._go(way._replace(since=batch.at))
        word = handset.first_word(sm) if number == 1 else ""
        by_word = number != 1 and self._owners.by_word(sm.destination_addr, sm.source_addr, carrier)
        if by_word and (way is None or batch.at - way.since < self._limits.mo_first_part_s):
            self._go(way or Way(batch.at, "", "", name))
            self.postponed[carrier] += 1
            return names.ESME_RSYSERR
        rule = self._owners.owner(sm.destination_addr, sm.source_addr, word, carrier)
        if rule is None:
            return self._nobody(carrier, sm, batch)
        return self._go(Way(batch.at, rule.name, rule.esme, name))

    def _go(self, way: Way) -> Way:
        self._ways[way.name] = way
        while len(self._ways) > self._limits.mo_remembered_max:
            self._ways.popitem(last=False)
        return way

    def _nobody(self, carrier: str, sm: SubmitSm, batch: Batch) -> int:
        self.refused[carrier] += 1
        before = self.unwanted.get(carrier)
        to = sm.destination_addr
        if before is None or before.to != to or batch.now - before.at > self._limits.mo_refused_warning_s:
            log.warning("mo.refused", carrier=carrier, to=to, refused=self.refused[carrier])
        self.unwanted[carrier] = Unwanted(batch.now, to)
        return names.ESME_RX_R_APPN


class Batch:
    """Messages from handsets in one read."""

    def __init__(self, handsets: Handsets, bind: Bind, now: float) -> None:
        self._handsets = handsets
        self.bind = bind
        self.now = now
        self.at = handsets.monotonic()
        self.events: list[AnyEvent] = []
        self.heard: list[Heard] = []

    def read(self, request: Pdu) -> int:
        """The command_status to answer once `events` are durable, and what was heard before is."""
        return self._handsets.read(self, request)

    def answered(self) -> None:
        """The answers leave now."""
        at = self._handsets.monotonic()
        for heard in self.heard:
            heard.answered_at = at
