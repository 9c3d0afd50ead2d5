"""Parts, records and checkpoints for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence

from smsroute.message import Attempt, Part, Started, State, pack, pack_part
from smsroute.store.base import Checkpoint

T0 = 1_700_000_000.0


def record(number: int) -> bytes:
    """A journal row one can tell from the others."""
    return pack([Started(float(number), "n1", "0")])


def part(number: int, *, attempts: int = 1, ended: bool = True) -> Part:
    """A part like the engine's; times are exact in binary, so that they survive being written as decimals."""
    at = T0 + number / 64
    return Part(
        f"N1{number:012d}",
        "acme",
        at,
        2,
        "ACME",
        f"336{number:08d}",
        b"\x00\x01\x01ACME\x00\x01\x01336\x00the text of it",
        14,
        1,
        at + 86400,
        route="fr-mobile",
        carrier="orange",
        state=State.DELIVERED if ended else State.SUBMITTED,
        attempts=[
            Attempt(at, "orange", "orange-1", "fr-mobile", "cheapest", at + 0.25, 0, 0, f"{number:X}-{n}", cost=0.03125)
            for n in range(attempts)
        ],
        ended_at=at + 3 if ended else 0.0,
        err="000" if ended else "",
        why="receipt from orange: DELIVRD" if ended else "",
        told_at=at + 4 if ended else 0.0,
    )


def as_row(whole: Part) -> Part:
    """What the history tells of it: all but the text."""
    bare = Part(*(getattr(whole, field) for field in Part.__struct_fields__))
    bare.text_at = 0
    if bare.kept is not None:
        bare.body, bare.kept = b"", b""
    return bare


def opened(parts: Sequence[Part]) -> list[tuple[str, bytes]]:
    """As `Checkpoint.open` wants them."""
    return [(part.part_id, pack_part(part)) for part in parts]


def checkpoint(
    through: int, *, still_open: Sequence[Part] = (), ended: Sequence[Part] = (), state: bytes = b"state"
) -> Checkpoint:
    """One in which `ended` parts leave `open` and become rows."""
    return Checkpoint(through, opened(still_open), [part.part_id for part in ended], ended, state)
