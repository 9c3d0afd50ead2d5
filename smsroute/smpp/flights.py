"""The requests one end of a session has sent: their sequence numbers, and which of them wait for what.

Rules:
- A number is used again only when nobody waits for its answer: not a request in flight, not one that timed out and may
  still be answered late, not one of the session's own (quirks S16, S19).
- A request is in one place at a time: `in_flight`, then among the tombstones, then gone.
- The session's own (bind, unbind, enquire_link) take no place in a window and carry no token.

Section numbers are SMPP 3.4's. Walk: owned by `session`, one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smsroute.smpp.received import InFlight, TimedOut
from smsroute.smpp.wire import HEADER, HEADER_OCTETS

SEQUENCE_MAX: Final = 0x7FFFFFFF  # section 3.2
_OWN_MAX: Final = 16


class Flights:
    """See the module. Times are monotonic seconds."""

    __slots__ = ("_next", "_wrapped", "in_flight", "own", "tombstones")

    def __init__(self, first_sequence: int) -> None:
        assert 1 <= first_sequence <= SEQUENCE_MAX
        self.in_flight: dict[int, InFlight] = {}  # in sending order
        self.tombstones: dict[int, InFlight] = {}
        self.own: dict[int, int] = {}  # sequence -> command_id
        self._next = first_sequence
        self._wrapped = False

    def write(self, command_id: int, bodies: Sequence[bytes], tokens: Sequence[object], now: float) -> bytes:
        """One write, a request for each body, in flight from `now` on."""
        in_flight = self.in_flight
        pack = HEADER.pack
        out: list[bytes] = []
        append = out.append
        sequence = self._next
        for body, token in zip(bodies, tokens, strict=True):
            if sequence > SEQUENCE_MAX or self._wrapped:
                sequence = self._free(sequence)
            append(pack(HEADER_OCTETS + len(body), command_id, 0, sequence))
            append(body)
            in_flight[sequence] = InFlight(token, now, command_id)
            sequence += 1
        self._next = sequence
        return b"".join(out)

    def number_own(self, command_id: int) -> int:
        """A sequence number for a request of the session's own."""
        sequence = self._free(self._next)
        self._next = sequence + 1
        self.own[sequence] = command_id
        if len(self.own) > _OWN_MAX:  # some peers never answer enquire_link and live for months (quirks S1)
            del self.own[next(iter(self.own))]
        return sequence

    def oldest_sent_at(self) -> float | None:
        """When the oldest one in flight left."""
        for flight in self.in_flight.values():
            return flight.sent_at
        return None

    def time_out(self, now: float, timeout_s: float, tombstones_max: int) -> list[TimedOut]:
        """Those in flight for `timeout_s`: nobody knows what became of them."""
        overdue: list[int] = []
        for sequence, flight in self.in_flight.items():
            if flight.sent_at + timeout_s > now:  # summed as the deadline was, or rounding keeps it due for ever
                break
            overdue.append(sequence)
        told: list[TimedOut] = []
        for sequence in overdue:
            flight = self.in_flight.pop(sequence)
            self.tombstones[sequence] = flight
            told.append(TimedOut(flight.token, flight.sent_at))
        while len(self.tombstones) > tombstones_max:
            del self.tombstones[next(iter(self.tombstones))]
        return told

    def lost(self) -> list[object]:
        """The link is gone: the tokens still in flight, in sending order, each given once."""
        tokens = [flight.token for flight in self.in_flight.values()]
        self.in_flight.clear()
        return tokens

    def _free(self, sequence: int) -> int:
        """The first number from `sequence` on, round the corner, that nobody waits for."""
        while True:
            if sequence > SEQUENCE_MAX:
                sequence = 1
                self._wrapped = True
            if sequence not in self.in_flight and sequence not in self.tombstones and sequence not in self.own:
                return sequence
            sequence += 1
