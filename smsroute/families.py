"""Families: what ties the parts of one message together.

Rules:
- Parts are of one message only by what their headers say: same sender, recipient, reference and total, and no number
  twice. A number seen again, or one part more than the total, begins another message: two are never made one.
- Only the ledger changes these, and only while it applies an event.
- Bounded: the multipart message that was silent longest is forgotten first.
- Where an ESME wants one receipt a message (`receipts: message`), it comes when all parts have ended. Its state is
  DELIVERED when all of them are, else that of the worst part (`WORST`), with that part's err; a part that never came
  counts as UNKNOWN. The first part whose registered_delivery asks to hear of that state bears it.

Walk: owned by `ledger`; its checkpoint keeps the pins; `carriers/dispatch` asks which way a message took.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from smsroute.message import DUE, Part, Receipted, State, Tell, Verdict

WORST: Final = (
    State.REJECTED,
    State.UNDELIVERABLE,
    State.EXPIRED,
    State.DELETED,
    State.UNKNOWN,
    State.ACCEPTED,
    State.DELIVERED,
)
"""The worst end first: a failure that is certain before one nobody knows of, and that before what is on its way."""


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
    as_one: bool = False  # its ESME is told of all its parts at once


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

    def enter(
        self, key: str, total: int, at: float, part_id: str = "", number: int = 0, as_one: bool = False
    ) -> Multipart:
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
            pin.message_id, pin.numbers, pin.said, pin.as_one = part_id, [], None, as_one
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

    def close(self, key: str, message_id: str) -> None:
        """No more parts of this message are waited for: one that comes all the same begins another."""
        pin = self._pins.get(key)
        if pin is not None and pin.message_id == message_id:
            self.changed.setdefault(key, False)
            pin.message_id, pin.numbers, pin.said = "", [], None

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
        self.incomplete: dict[str, float] = {}  # told of as one, parts missing, and those that came ended: since when

    def __len__(self) -> int:
        return len(self._members)

    def join(self, part: Part) -> None:
        """It is in memory from now on."""
        if part.message_id:
            self._members.setdefault(part.message_id, {})[part.part_id] = part
            self.incomplete.pop(part.message_id, None)

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

    def led(self, lead: Part, index: int) -> Iterator[tuple[Part, int]]:
        """The parts in memory whose words went in the submit of this attempt of `lead`, each with the index of its own
        attempt."""
        attempt = lead.attempts[index]
        members = self._members.get(lead.message_id, {}) if attempt.led else {}
        for part_id in attempt.led:
            part = members.get(part_id)
            own = part.attempts if part is not None else ()
            for at in range(len(own) - 1, -1, -1):
                if own[at].lead == lead.part_id and own[at].at == attempt.at and own[at].bind == attempt.bind:
                    yield members[part_id], at
                    break

    def due(self, message_id: str) -> Part | None:
        """The first of its parts that waits to be sent."""
        members = self._members.get(message_id, {})
        return min((one for one in members.values() if one.state == DUE), key=lambda one: one.part_id, default=None)

    def asked(self, part: Part) -> bool:
        """Whether its ESME asked to hear of it, or of a sister that is in memory."""
        return part.matters or any(sister.matters for sister in self.sisters(part))

    def waiting(self, message_id: str) -> list[Part]:
        """Its parts that wait to be told of as one, in the order they came."""
        members = self._members.get(message_id, {})
        return [members[one] for one in sorted(members) if members[one].tell == Tell.WAITING]

    def ended(self, part: Part, at: float) -> list[Part]:
        """One that waits to be told of with its sisters has ended: all of them, if it was the last."""
        message = self.waiting(part.message_id)
        if not all(one.final for one in message):
            return []
        if len(message) == part.parts:
            return message
        self.incomplete.pop(part.message_id, None)  # the latest stands last
        self.incomplete[part.message_id] = at
        return []


def verdict(message: Sequence[Part], at: float) -> Verdict:
    """Of a message whose parts have ended, as far as they came; `at`: now."""
    worst = min(message, key=_badness)
    state, err = worst.state, worst.err
    if len(message) < worst.parts and WORST.index(State.UNKNOWN) < _badness(worst):
        state, err = int(State.UNKNOWN), ""
    return Verdict(state, err, at, worst.parts, sum(part.state == State.DELIVERED for part in message))


def _badness(part: Part) -> int:
    return WORST.index(State(part.state))
