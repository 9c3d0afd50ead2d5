"""What the brain knows that must outlive the engine: baselines, a week of receipts, ejections in a row.

Rules:
- Ages, never moments: the monotonic clock of the next engine starts elsewhere. Whoever restores says how long it was.
- Only what takes long to learn is kept. Counts of the last half minute and half hour fill again by themselves.
- Fields are only added at the end, with defaults; what cannot be read, or is of another version, is as if it were not
  there: a boot never fails for it.
- Numbers from a file are made sane before they are believed: no infinity, nothing below zero.

Drawback of the simple way. Forgetting makes every restart a first day: a carrier that was dead a moment ago gets its
whole share, and a latency that is sick is taken for usual. Writing the objects as they are ties the file to the code.

Idea. Each part of the brain says in a small struct what it would need to go on, and goes on from one: `keep(now)`,
`restore(kept, now, elapsed_s)`. Trust does not travel: who was dead when the engine stopped may be probed at once, and
nothing more, until `ejection_forget_s` is over.

Measured (Python 3.11, 2 cores, idle / under a load of 7): 2.7 / 10 us to keep and 600 octets a pair that has receipts,
70 octets one without; 32 / 100 us to restore one.

Limits: what happened since the last keep is lost (`score_keep_interval`); the pause itself teaches nothing.

Walk: `dossier.keep` and `restore` put it together; `carriers/keeper` packs it and gives it to the store.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

import msgspec

VERSION: Final = 1


class KeptWeek(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A `week.Week`: its steps, the oldest first, the last one under way."""

    bucket_s: float
    ends_in_s: float
    delivered: list[float]
    all: list[float]


class KeptReceipts(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A `receipts_score.Receipts`."""

    usual_share: float
    usual_delay_s: float
    middle_s: float
    asked: float
    heard: float
    week: KeptWeek | None = None


class KeptRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A `dossier.Record`: its score's and its health's past."""

    baseline_s: float
    receipts: KeptReceipts
    ejections: int = 0
    sick_s: float = -1.0  # dead or on probation for so long; -1: it was alive


class KeptDossier(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A `dossier.Dossier`."""

    version: int
    at: float  # Unix seconds
    carrier: str
    overall: KeptRecord
    networks: dict[str, KeptRecord] = {}


class Unreadable(ValueError):
    """A blob that is nothing this version kept; the text says why."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(KeptDossier)
_version: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])


def pack(kept: KeptDossier) -> bytes:
    """As it stands in the store."""
    return _encoder.encode(kept)


def unpack(blob: bytes) -> KeptDossier:
    """What `pack` wrote. Raises Unreadable."""
    try:
        first = _version.decode(blob)[:1]
        found = msgspec.msgpack.decode(first[0], type=int) if first else None
        if found != VERSION:
            raise Unreadable(f"version {found}, this engine knows {VERSION}")
        return _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error


def sane(value: float, most: float = 1e12) -> float:
    """A number from a file, as one may believe it: 0 for what is none, `most` at most."""
    return min(max(0.0, value), most) if isfinite(value) else 0.0
