"""A checkpoint in the making: what `memory` gives it of one instant, packed in slices while life goes on.

Rules:
- A part is packed once, where it belongs: open, owed by the disk tier of an outbox, or at rest.
- What stands beside the parts (`Kept`) is written whole; its pieces come packed, so that this instant is short.

Walk: `memory` makes one when a checkpoint begins, and decodes `Kept` at a start; `store/journal` writes the Changes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smsroute.families import Multipart
from smsroute.matching import KeptIds
from smsroute.message import Changes, OwedRow, Part, Receipted, pack_part
from smsroute.shelves import Counts

JOINED_MAX: Final = 5000
"""Pieces put together in one step."""


class Taken:
    """A checkpoint in the making."""

    def __init__(
        self,
        at_rest: dict[str, Part],
        late: list[tuple[str, str]],
        told: list[tuple[str, float]],
        unsure: list[str],
        numbers: dict[str, int],
    ) -> None:
        self.at_rest, self.late, self.told, self.unsure = at_rest, late, told, unsure
        self.numbers = numbers  # of those that leave for the disk tier
        self.open: list[tuple[str, bytes]] = []
        self.owed: list[OwedRow] = []
        self.leaving: list[Part] = []
        self.facts: dict[str, int] = {}  # how many a leaving part had
        self.counts = b""
        self.last_part_id = ""
        self.ids = KeptIds()
        self.orphans: list[bytes] = []
        self.pins: list[bytes] = []
        self._all: Changes | None = None

    def put(self, part: Part) -> None:
        """Pack it, where it belongs."""
        part_id = part.part_id
        if part.at_rest:
            self.at_rest[part_id] = part  # came to rest, or learnt a late fact: then its row is written anew
            return
        packed = pack_part(part)
        number = self.numbers.get(part_id)
        if number is None:
            self.open.append((part_id, packed))
            return
        self.owed.append(OwedRow(number, part.esme, part_id, part.owed_at, packed))
        self.leaving.append(part)
        if part.facts:
            self.facts[part_id] = len(part.facts)

    def changes(self) -> Changes:
        """All of it."""
        if self._all is None:
            state = _PackedState(
                msgspec.Raw(self.counts),
                msgspec.Raw(_joined(_ARRAY, self.orphans)),
                msgspec.Raw(_joined(_MAP, self.pins)),
                self.last_part_id,
                self.ids,
            )
            rest = list(self.at_rest.values())
            self._all = Changes(
                self.open, rest, packed(state), self.late, self.owed, self.leaving, self.told, self.unsure
            )
        return self._all


def _joined(kind: bytes, pieces: list[bytes]) -> bytes:
    """An array or map of these. In steps: a hundred thousand pieces in one would keep the interpreter for 10 ms."""
    steps = [b"".join(pieces[at : at + JOINED_MAX]) for at in range(0, len(pieces), JOINED_MAX)]
    return b"".join((kind, len(pieces).to_bytes(4, "big"), *steps))


class _PackedState(msgspec.Struct):
    """A Kept whose parts are packed already."""

    counts: msgspec.Raw
    orphans: msgspec.Raw
    multiparts: msgspec.Raw
    last_part_id: str
    ids: KeptIds


class Kept(msgspec.Struct):
    """What the checkpoint keeps beside the parts."""

    counts: Counts
    orphans: list[Receipted]
    multiparts: dict[str, Multipart]
    last_part_id: str = ""
    ids: KeptIds = msgspec.field(default_factory=KeptIds)


_ARRAY: Final = b"\xdd"  # msgpack's array 32 and map 32: a length of four octets follows
_MAP: Final = b"\xdf"
packed: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Kept)


def kept_of(state: bytes) -> Kept:
    """What a checkpoint kept beside the parts. Raises msgspec.DecodeError."""
    return _decoder.decode(state)
