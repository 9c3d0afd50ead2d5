"""Families: what ties the parts of one message together.

Rules:
- Only the ledger changes these, and only while it applies an event.
- Bounded: the multipart message that was silent longest is forgotten first.

Walk: owned by `ledger`; its checkpoint keeps the pins; `carriers/dispatch` asks which way a message took.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec


class Multipart(msgspec.Struct, gc=False):
    """What keeps the parts of one message together (law 8): the carrier and bind its first part took."""

    last_at: float
    carrier: str = ""
    bind: str = ""
    went: int = 0  # parts that the carrier has, or may have
    joined: int = 0  # parts accepted


class Multiparts:
    """Multipart messages whose way is remembered, the longest silent first."""

    def __init__(self, most: int, ttl_s: float) -> None:
        self._most = most
        self._ttl_s = ttl_s
        self._pins: OrderedDict[str, Multipart] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pins)

    def get(self, key: str) -> Multipart | None:
        """The way this message took; None when it is not remembered."""
        return self._pins.get(key)

    def join(self, key: str, at: float) -> Multipart:
        """The message's pin, made if need be; it spoke at `at` (Unix seconds)."""
        pins = self._pins
        pin = pins.get(key)
        if pin is None:
            pin = pins[key] = Multipart(at)
        else:
            pin.last_at = at
            pins.move_to_end(key)
        while len(pins) > self._most or next(iter(pins.values())).last_at < at - self._ttl_s:
            pins.popitem(last=False)
        return pin

    def enter(self, key: str, total: int, at: float) -> None:
        """A part of this message of `total` parts was accepted.

        When all of them have gone already, the ESME has begun another message under the same reference, which may take
        another way: a client that never changes its reference must not be tied to one carrier.
        """
        pin = self._pins.get(key)
        if pin is not None and 0 < total <= min(pin.joined, pin.went):
            del self._pins[key]
        self.join(key, at).joined += 1

    def leave(self, key: str) -> None:
        """One of its parts is not with the carrier after all: the message may go elsewhere if no other part went."""
        pin = self._pins.get(key)
        if pin is not None and pin.went > 0:
            pin.went -= 1
            if pin.went == 0:
                pin.carrier = pin.bind = ""

    def kept(self) -> dict[str, Multipart]:
        """For the checkpoint, in order."""
        return dict(self._pins)

    def restore(self, kept: dict[str, Multipart]) -> None:
        """From the checkpoint."""
        self._pins = OrderedDict(kept)
