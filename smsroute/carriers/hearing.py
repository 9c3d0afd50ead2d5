"""What final receipts say of the carriers that took the parts: from a read's worth of receipts to their scores.

Rules:
- A receipt is judged once, when it ends its part: `routing.outcome.receipt_word`, with the carrier's own table of err
  codes. A doubled or late one, or one nobody knows, only shows that the carrier's receiver lives.
- One for a part that an engine before this one sent only shows the same: it waited while nobody was there to hear it.
- Where no ESME asked and we did (`receipts: always`) there is no end to tell a first receipt by: a doubled one counts.
- It speaks of the carrier that took the part, for the network its route leads to; receipts of a read are told in
  one call a network and word.

Walk: `carriers/receipts` calls `heard` after the commit; figures go to `routing.dossier`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from smsroute.carriers.station import Station
from smsroute.config import Dialect
from smsroute.message import Part
from smsroute.ports import Ports
from smsroute.routing.outcome import ReceiptErrors, Word, receipt_word
from smsroute.routing.table import Rule


class Board(Protocol):
    """What hearing needs of `carriers/dispatch`."""

    ports: Ports
    stations: dict[str, Station]

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
        heard: dict[tuple[str, Word], list[float]] = {}
        for part, state, err in said:
            taken_at = 0.0
            for attempt in reversed(part.attempts):
                if attempt.responded_at and attempt.carrier == carrier:
                    taken_at = attempt.responded_at
                    break
            rule = self._board.went(part) if taken_at and taken_at >= self._since else None
            if rule is not None:
                word = receipt_word(state, err, errors)
                heard.setdefault((rule.network, word), []).append(max(0.0, at - taken_at))
        now = self._board.ports.clock.monotonic()
        dossier = station.dossier
        for (network, word), delays_s in heard.items():
            delays_s.sort()
            dossier.receipts(network, word, delays_s, now)
        if not heard:
            dossier.spoke()

    def _errors_of(self, station: Station) -> ReceiptErrors:
        """The carrier's own err codes; a reload may change them."""
        dialect = station.carrier.dialect
        known = self._errors.get(station.carrier.name)
        if known is None or known[0] is not dialect:
            known = self._errors[station.carrier.name] = (dialect, ReceiptErrors(dialect.errors))
        return known[1]
