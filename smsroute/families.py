"""Families: what ties the parts of one message together.

Rules:
- Parts are of one message only by what their headers say: same sender, recipient, reference and total, and no number
  twice. A number seen again, or one part more than the total, begins another message: two are never made one.
- Only the ledger changes these, and only while it applies an event.
- Bounded: the multipart message that was silent longest is forgotten first.

Walk: owned by `ledger`; its checkpoint keeps the pins; `carriers/dispatch` asks which way a message took.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from smsroute.message import Part, Receipted


class Multipart(msgspec.Struct, gc=False):
    """What keeps the parts of one message together (law 8): the carrier and bind its first part took."""

    last_at: float
    carrier: str = ""
    bind: str = ""
    went: int = 0  # parts that the carrier has, or may have
    joined: int = 0  # parts accepted
    message_id: str = ""  # the id of the first part of the message that is being submitted now
    numbers: list[int] = []  # of its parts that came
    said: Receipted | None = None  # a receipt that speaks for all parts, those still to come too


class Multiparts:
    """Multipart messages whose way is remembered, the longest silent first."""

    def __init__(self, most: int, ttl_s: float) -> None:
        self._most = most
        self._ttl_s = ttl_s
        self._pins: OrderedDict[str, Multipart] = OrderedDict()
        self.changed: dict[str, bool] = {}  # since a checkpoint, in order; True: spoke last, or gone

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
        self.changed.pop(key, None)
        self.changed[key] = True
        while len(pins) > self._most or next(iter(pins.values())).last_at < at - self._ttl_s:
            self.changed[pins.popitem(last=False)[0]] = True
        return pin

    def enter(self, key: str, total: int, at: float, part_id: str = "", number: int = 0) -> Multipart:
        """Part `number` of this message of `total` parts was accepted; its pin says which message it belongs to.

        When all of them have gone already, the ESME has begun another message under the same reference, which may take
        another way: a client that never changes its reference must not be tied to one carrier.
        """
        pin = self._pins.get(key)
        if pin is not None and 0 < total <= min(pin.joined, pin.went):
            del self._pins[key]
        pin = self.join(key, at)
        pin.joined += 1
        if not pin.message_id or number in pin.numbers or len(pin.numbers) >= total:
            pin.message_id, pin.numbers, pin.said = part_id, [], None
        pin.numbers.append(number)
        return pin

    def leave(self, key: str) -> None:
        """One of its parts is not with the carrier after all: the message may go elsewhere if no other part went."""
        pin = self._pins.get(key)
        if pin is not None and pin.went > 0:
            self.changed.setdefault(key, False)
            pin.went -= 1
            if pin.went == 0:
                pin.carrier = pin.bind = ""

    def hear(self, key: str, pin: Multipart, event: Receipted) -> None:
        """A receipt speaks for all of this message, the parts still to come too; the first one stands."""
        if pin.said is None:
            self.changed.setdefault(key, False)
            pin.said = event

    def kept(self) -> dict[str, Multipart]:
        """For the checkpoint, in order."""
        return dict(self._pins)

    def restore(self, kept: dict[str, Multipart]) -> None:
        """From the checkpoint."""
        self._pins = OrderedDict(kept)


class Families:
    """Parts in memory by the message they belong to. A view: rebuilt from the parts, bounded by them."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, Part]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, part: Part) -> None:
        """It is in memory from now on."""
        if part.message_id:
            self._members.setdefault(part.message_id, {})[part.part_id] = part

    def drop(self, part: Part) -> None:
        """It leaves memory."""
        members = self._members.get(part.message_id)
        if members is not None:
            members.pop(part.part_id, None)
            if not members:
                del self._members[part.message_id]

    def sisters(self, part: Part) -> list[Part]:
        """The other parts of its message, by id: in the order they came."""
        members = self._members.get(part.message_id)
        return [] if members is None else [members[one] for one in sorted(members) if one != part.part_id]

    def asked(self, part: Part) -> bool:
        """Whether its ESME asked for a receipt of it, or of a sister that is in memory."""
        return part.wants_receipt > 0 or any(sister.wants_receipt for sister in self.sisters(part))
