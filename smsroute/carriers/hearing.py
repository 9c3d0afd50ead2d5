"""What final receipts say of the carriers that took the parts: from a read's worth of receipts to their scores.

Rules:
- A receipt is judged once, when it ends its part: `routing.outcome.receipt_word`, with the carrier's own table of err
  codes. A doubled or late one, or one nobody knows, only shows that the carrier's receiver lives.
- One for a part that an engine before this one sent only shows the same: it waited while nobody was there to hear it.
- Where no ESME asked and we did (`receipts: always`) there is no end to tell a first receipt by: a doubled one counts.
- Where receipts are the network's own (`receipt_level: network`), they show that they come, and are counted; they are
  no evidence of handsets, so no delivered ratio and no alarm for one is made of them.
- It speaks of the carrier that took the part, for the network its route leads to; receipts of a read are told in
  one call a network and word.
- What no single receipt tells (parked, claimed later, never came, odd) the ledger notices; it is counted here.

Walk: `carriers/receipts` calls `heard` after the commit, `engine` has `noticed` called after each; figures go to
`routing.dossier` and to `tally`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from smsroute.carriers.station import Station
from smsroute.carriers.tally import ODD
from smsroute.config import Dialect
from smsroute.memory import Noticed
from smsroute.message import DELIVERED, Attempt, Part
from smsroute.ports import Ports
from smsroute.routing.outcome import ReceiptErrors, Word, receipt_word
from smsroute.routing.table import Rule, Table

log: Final = structlog.get_logger("smsroute.hearing")


class Board(Protocol):
    """What hearing needs of `carriers/dispatch`."""

    ports: Ports
    stations: dict[str, Station]
    table: Table

    def went(self, part: Part) -> Rule | None: ...


class Hearing:
    """See the module."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._since = board.ports.clock.wall()
        self._errors: dict[str, tuple[Dialect, ReceiptErrors]] = {}  # by carrier, of its dialect just now

    def heard(self, carrier: str, said: Iterable[tuple[Part, int, str]], at: float) -> None:
        """Receipts of `carrier` have just told (part, final State, err); none, when they said nothing new. `at`: Unix
        seconds."""
        station = self._board.stations.get(carrier)
        if station is None:
            return  # it left the config while its last receipts were written down
        errors = self._errors_of(station)
        heard: dict[tuple[str, bool, Word], list[float]] = {}
        network_only = station.carrier.dialect.receipt_level == "network"
        for part, state, err in said:
            taken = _taken(part, carrier)
            taken_at = taken.responded_at if taken is not None else 0.0
            rule = self._board.went(part) if taken_at and taken_at >= self._since else None
            if rule is not None:
                word = Word.NETWORK if network_only else receipt_word(state, err, errors)
                heard.setdefault((rule.network, state == DELIVERED, word), []).append(max(0.0, at - taken_at))
        now = self._board.ports.clock.monotonic()
        dossier = station.dossier
        for (network, delivered, word), delays_s in heard.items():
            delays_s.sort()
            dossier.receipts(network, word, delays_s, now)
            station.tally.ended(network, delivered, delays_s, now)
        if not heard:
            dossier.spoke()

    def noticed(self, seen: deque[Noticed]) -> None:
        """Count what the ledger noticed, and take it."""
        now = self._board.ports.clock.monotonic()
        while seen:
            kind, carrier, number, part, told = seen.popleft()
            station = self._board.stations.get(carrier)
            if station is None:
                continue
            tally, network = station.tally, self._board.table.towards(carrier, number)
            if kind == "parked":
                tally.parked(network, now)
            elif kind == "claimed":
                tally.claimed(network, now)
                if told:  # it came before its response, or that never came
                    tally.ended(network, told == DELIVERED, [0.0], now)
            elif kind == "unheard":
                taken = _taken(part, carrier) if part is not None else None
                if taken is not None and taken.responded_at >= self._since:
                    tally.unheard(network, now)
            else:
                tally.odd(network, kind, now)
            if kind == "constant-id" and part is not None:
                named = next((one.carrier_message_id for one in part.attempts if one.carrier == carrier), "")
                log.warning("ids.void", carrier=carrier, id=named, what=ODD[kind])

    def _errors_of(self, station: Station) -> ReceiptErrors:
        """The carrier's own err codes; a reload may change them."""
        dialect = station.carrier.dialect
        known = self._errors.get(station.carrier.name)
        if known is None or known[0] is not dialect:
            known = self._errors[station.carrier.name] = (dialect, ReceiptErrors(dialect.errors))
        return known[1]


def _taken(part: Part, carrier: str) -> Attempt | None:
    """The newest attempt of a part that this carrier answered."""
    for attempt in reversed(part.attempts):
        if attempt.responded_at and attempt.carrier == carrier:
            return attempt
    return None
