"""How ops writes things down: times, ages, masked numbers. The same words in JSON, on the page and at the terminal.

Rules:
- Times in documents are UTC, ISO 8601 with milliseconds; at the terminal they are local, with the age beside them.
- A subscriber's number is masked unless somebody asks to see it; a brand's name is no number.
- Pure, and imports nothing of ours: the fast verbs use it.

Walk: used by `snapshot`, `story`, `web` and the verbs of `cli`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

MASK: Final = "•••"
MASKED_FROM_DIGITS: Final = 7  # short codes have up to 6 digits and belong to nobody's pocket
HEAD_DIGITS: Final = 4
TAIL_DIGITS: Final = 3


def iso(at: float) -> str | None:
    """A Unix time as `2026-11-22T20:19:32.123Z`; None for 0, which means never."""
    if at <= 0 or not math.isfinite(at):
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """The Unix time that `iso` wrote."""
    return datetime.fromisoformat(text).timestamp()


def clock(at: float, now: float) -> str:
    """A Unix time for people, local: the time of day, and the day when it is not today."""
    moment, today = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    return f"{moment:%H:%M:%S}" if moment.date() == today.date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def age(seconds: float) -> str:
    """A duration for people, in its two largest units: `850ms`, `12s`, `3m 4s`, `2h 7m`, `12d 4h`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
    whole = int(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller_size}{smaller}"
    return f"{whole}s"


def mask(address: str, reveal: bool = False) -> str:
    """`+33612345678` as `+3361•••678`, unless `reveal`. What is not a long number stays as it is."""
    digits = address.removeprefix("+")
    if reveal or not digits.isdigit() or len(digits) < MASKED_FROM_DIGITS:
        return address
    head = min(HEAD_DIGITS, len(digits) - TAIL_DIGITS - 1)
    return f"{address[: len(address) - len(digits)]}{digits[:head]}{MASK}{digits[-TAIL_DIGITS:]}"
