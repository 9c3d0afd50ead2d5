"""The dates in receipts: ten digits by the spec, and twelve, fourteen or a whole SMPP time as carriers write them.

Rules:
- A date is for people and for telling two messages apart. It never orders anything, and nothing fails on one: what
  cannot be read is 0 (quirks F8-F13).
- Each date is read by its own length: one receipt may hold two widths (quirks F10).
- Its time zone is the carrier's (`dialect: time_zone`), unless the date names one itself.

Walk: `receipt_read.Receipt` asks when somebody asks it.
"""

from __future__ import annotations

import datetime
from typing import Final

from smsroute.smpp import times

CENTURY: Final = "20"


def instant(written: str, zone: datetime.tzinfo) -> int:
    """Unix seconds of a date in a receipt; 0 for none, or one that cannot be read.

    Ten digits are YYMMDDhhmm, twelve YYMMDDhhmmss (or YYYYMMDDhhmm where that is no date), fourteen YYYYMMDDhhmmss,
    sixteen characters an absolute SMPP time with its own zone (section 7.1.1.1).
    """
    if len(written) == 16:
        return _smpp_time(written)
    if not (written.isascii() and written.isdigit()):
        return 0
    if len(written) == 10:
        return _local(f"{CENTURY}{written}00", zone)
    if len(written) == 12:
        return _local(CENTURY + written, zone) or _local(f"{written}00", zone)
    return _local(written, zone) if len(written) == 14 else 0


def _local(digits: str, zone: datetime.tzinfo) -> int:
    """Of YYYYMMDDhhmmss on the clocks of `zone`."""
    year, month, day, hour, minute, second = (int(digits[start:end]) for start, end in _FIELDS)
    try:
        local = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return max(0, int(local.timestamp()))
    except (ValueError, OverflowError):
        return 0


def _smpp_time(written: str) -> int:
    if written[-1] not in "+-":
        return 0
    try:
        return int(times.parse(written, 0.0) or 0)
    except ValueError:
        return 0


_FIELDS: Final = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
