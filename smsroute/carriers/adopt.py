"""Parked receipts that find their attempt later: its response came, ids were learnt, or no response will ever come.

DRAWBACK of the plain key
    A receipt that came before its response waits under its id. Where the two are not written alike, the response names
    another key; and a response that died with its link names none, ever: its part would end UNKNOWN a day later though
    the receipt has told that it was delivered.

IDEA
    Look from the other end. A response: which parked receipts speak of that handset? A rule learnt: which of those
    parked does it explain? An attempt in doubt: is there, at its carrier, exactly one parked receipt for its handset
    that came after it left and quotes its text, or, quoting none, names its time, and exactly one such attempt?

PSEUDOCODE
    responses durable: for each part taken, for each receipt parked for its number: does its naming mean this attempt?
    rule changed:      what is open is named by the new one too (`renamed`), then as if learnt
    something learnt:  the receipts parked at that carrier are asked again, `adopt_orphans_max` a round
    each round:        for a slice of the numbers with an attempt in doubt:
        pairs of (parked receipt, attempt) that agree; one whose receipt and attempt stand in no other pair is Adopted

LIMITS
    A number of the same account may be another engine's message: the number alone is never enough, and a quoted text
    that differs always speaks against it. Identical texts to one handset within `adopt_after` stay undecided.

Rules:
- Nothing is adopted that two could claim, and nothing sooner than `adopt_after`: a late response is the better witness.
- An attempt in doubt adopts only where ids are understood: else the receipt may be of another message to that handset,
  whose id it writes in a form nobody knows yet.
- A receipt asked again is no evidence anew, and is adopted once.
- What was decided here is a must entry of the journal: while the disk is sick it waits, before whatever comes after it.
- What a crash left between a response and the Adopted it was to bring is asked at the next start.
- No pause: slices, and nobody looks while nothing is parked.

Walk: `carriers/answers` calls `named`, `carriers/receipts` `told` and `parked`, `carriers/sweep` `round`;
`carriers/keeper` keeps.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from smsroute.carriers.slices import Slices
from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.matching import Holder, orphan_name
from smsroute.message import STATE_OF_RECEIPT, Adopted, AnyEvent, Part, Receipted
from smsroute.ports import Ports
from smsroute.smpp import text
from smsroute.smpp.codec import parse_sm
from smsroute.smpp.names import ESM_UDHI

TEXT_CHARACTERS_MIN: Final = 8
"""Letters and digits two texts must share to be one: fewer are chance."""


QUARTER_S: Final = 900.0


class Board(Protocol):
    """What adoption needs of `carriers/dispatch`."""

    ports: Ports
    limits: Limits
    ledger: Ledger
    stations: dict[str, Station]


class Adoption:
    """See the module. `now` is Unix seconds."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._numbers = Slices(lambda: iter(board.ledger.unnamed))
        self._again: dict[str, deque[Receipted]] = {}
        self._started = False
        self.keep: Callable[[str], None] = lambda carrier: None  # is to outlive us
        self._adopting: dict[tuple[str, str], Receipted] = {}  # said so, and not applied yet

    def named(self, carrier: str, parts: Iterable[Part], now: float) -> list[AnyEvent]:
        """Responses have just named attempts of these parts."""
        orphans = self._board.ledger.orphans
        if not len(orphans):
            return []
        most = self._board.limits.adopt_orphans_max  # one handset may have them all: a probe's, by another engine
        waiting: dict[str, Receipted] = {}
        for number in dict.fromkeys(part.destination_addr for part in parts):
            waiting |= {orphan_name(one): one for one in orphans.speaking_of(carrier, number, most)}
        return self._found(waiting.values(), now)

    def told(self, carrier: str) -> None:
        """Its receipts were looked at: what that taught of its ids is kept, and those parked are asked again."""
        station = self._board.stations.get(carrier)  # a reload may have taken it meanwhile
        if station is not None and station.naming.tell():
            self.learnt(carrier)
            self.keep(carrier)

    def learnt(self, carrier: str) -> None:
        """More is known of its ids: those parked are asked again."""
        self._again[carrier] = deque(self._board.ledger.orphans.values())

    def parked(self, events: Iterable[Receipted], now: float) -> list[AnyEvent]:
        """These are durable, and nobody's when they were looked up: their response may have come meanwhile."""
        return self._found([event for event in events if self._board.ledger.orphans.holds(event)], now)

    def round(self, now: float) -> list[AnyEvent]:
        """Some of what may have found its attempt since the last one."""
        orphans, most = self._board.ledger.orphans, self._board.limits.adopt_orphans_max
        if not self._started:
            self._started = True
            for carrier in {orphan.carrier for orphan in orphans.values()}:
                self.learnt(carrier)
        for carrier, station in self._board.stations.items():
            naming = station.naming
            if naming.renamed.step(self._board.ledger, naming.key_today, self._board.limits.adopt_renamed_max) and len(
                orphans
            ):
                self.learnt(carrier)
        if not len(orphans):
            self._again.clear()
            return []
        events: list[AnyEvent] = []
        for carrier, waiting in list(self._again.items()):
            some: list[Receipted] = []
            for _ in range(min(len(waiting), 20 * most)):  # one of another carrier, or gone, costs next to nothing
                orphan = waiting.popleft()
                if orphan.carrier == carrier and orphans.holds(orphan):
                    some.append(orphan)
                    if len(some) == most:
                        break
            if not waiting:
                del self._again[carrier]
            events.extend(self._found(some, now))
        events.extend(self._in_doubt(now))
        return events

    def _found(self, waiting: Iterable[Receipted], now: float) -> list[AnyEvent]:
        ledger, stations = self._board.ledger, self._board.stations
        if self._adopting:
            self._adopting = {name: one for name, one in self._adopting.items() if ledger.orphans.holds(one)}
        events: list[AnyEvent] = []
        for orphan in waiting:
            station, name = stations.get(orphan.carrier), orphan_name(orphan)
            if station is None or (orphan.carrier, name) in self._adopting:
                continue
            hit = station.naming.find(orphan.ids, orphan.destination_addr, ledger, now, again=True)
            if hit is not None:
                part, index = hit[1]
                self._adopting[orphan.carrier, name] = orphan
                events.append(Adopted(orphan.carrier, name, part.part_id, index, now))
                self.told(orphan.carrier)
        return events

    def _in_doubt(self, now: float) -> list[AnyEvent]:
        ledger, limits = self._board.ledger, self._board.limits
        events: list[AnyEvent] = []
        for carrier, number in self._numbers.take(limits.adopt_numbers_max):
            speaking = ledger.orphans.speaking_of(carrier, number, limits.adopt_orphans_max)
            if len(speaking) == limits.adopt_orphans_max:
                continue  # so many cannot be told apart
            parked = [
                orphan
                for orphan in speaking
                if orphan.state in STATE_OF_RECEIPT and orphan.at <= now - limits.adopt_after_s
            ]
            if not parked:
                continue
            holders = ledger.unnamed.to(carrier, number)
            station = self._board.stations.get(carrier)
            if station is None or not all(station.naming.knows(one.ids, number, ledger) for one in parked):
                continue
            pairs = [
                (orphan, holder, how)
                for orphan in parked
                for holder in holders
                if (how := agreement(orphan, holder, limits.adopt_skew_s))
            ]
            receipts = Counter(orphan_name(orphan) for orphan, _, _ in pairs)
            attempts = Counter((part.part_id, index) for _, (part, index), _ in pairs)
            for orphan, (part, index), how in pairs:
                name, doubted = orphan_name(orphan), part.attempts[index].doubted
                if not doubted or receipts[name] > 1 or attempts[part.part_id, index] > 1:
                    continue
                if (carrier, name) not in self._adopting:
                    self._adopting[carrier, name] = orphan
                    why = f"never answered, but {carrier}'s {how}"
                    events.append(Adopted(carrier, name, part.part_id, index, now, why))
        return events


def agreement(orphan: Receipted, holder: Holder, skew_s: float) -> str:
    """What a receipt and an attempt to the same handset share, for people; "" when they may be strangers."""
    part, index = holder
    sent_at = part.attempts[index].at
    if sent_at > orphan.at:
        return ""
    if orphan.submitted_at and apart_s(orphan.submitted_at, sent_at) > skew_s:
        return ""
    quoted = _letters(orphan.text)
    if quoted and len(part.body) > part.text_at:  # else its text was let go when it ended: it speaks neither way
        said = _letters(_said(part))
        if part.attempts[index].led:  # its submit said more than this part
            quoted = quoted[: len(said)]
        if not said.startswith(quoted):
            return ""
        if len(quoted) >= TEXT_CHARACTERS_MIN:
            return "receipt quotes its text"
    if orphan.submitted_at and abs(orphan.submitted_at - sent_at) <= skew_s:
        return "receipt names the time it was sent"
    return ""


def apart_s(one: float, other: float) -> float:
    """Seconds between two times on clocks whose time zones nobody knows: zones differ by quarters of an hour."""
    off = (one - other) % QUARTER_S
    return min(off, QUARTER_S - off)


def _said(part: Part) -> str:
    """The text of a part that is still open, without its header."""
    sm = parse_sm(part.body)
    data = sm.user_data()
    if sm.esm_class & ESM_UDHI and data:
        data = data[1 + data[0] :]
    return text.decode(sm.data_coding, data)


def _letters(said: str) -> str:
    """What every alphabet and every SMSC leaves of a text."""
    return "".join(char for char in said if char.isascii() and char.isalnum()).lower()
