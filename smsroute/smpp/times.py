"""SMPP times: the 16-character schedule_delivery_time and validity_period.

Rules:
- Absolute times are read with their own offset and come out as Unix seconds; relative ones count from `now`.
- In a relative time a year is 365 days and a month 30: it says how long, not which day.

Section numbers are SMPP 3.4's. Walk: called by `validate` and by `esmes/accept`.
"""

from __future__ import annotations

import datetime

_DAY_S = 86400


def parse(text: str, now: float) -> float | None:
    """Unix seconds of an SMPP time (section 7.1.1); None for the empty one. `now` is Unix seconds.

    Raises ValueError with the reason.
    """
    if not text:
        return None
    if len(text) != 16:
        raise ValueError(f"time {text!r} has {len(text)} characters, not 16")
    digits, way = text[:15], text[15]
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"time {text!r} has a non-digit among its first 15 characters")
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    if way == "R":
        days = year * 365 + month * 30 + day
        return now + days * _DAY_S + hour * 3600 + minute * 60 + second
    if way not in "+-":
        raise ValueError(f"time {text!r} ends in {way!r}, not in +, - or R")
    quarters = int(digits[13:15])
    if quarters > 48:
        raise ValueError(f"time {text!r} is {quarters} quarter hours from UTC, 48 is the most")
    offset = datetime.timedelta(minutes=15 * quarters if way == "+" else -15 * quarters)
    try:
        local = datetime.datetime(2000 + year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError as error:
        raise ValueError(f"time {text!r}: {error}") from None
    return (local - offset).timestamp() + int(digits[12]) / 10


def render(at: float) -> str:
    """The absolute SMPP time of Unix seconds `at`, in UTC: `260201080000000+` (section 7.1.1.1)."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%y%m%d%H%M%S000+")
