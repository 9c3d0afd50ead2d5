"""When a route speaks: windows of local time such as `mon-fri 08:00-20:00`, and the time zone they are meant in.

Rules:
- A window names days and two times of day; without days it is every day. Its end is not part of it: at 20:00 a window
  that ends then is over. 24:00 is the end of a day.
- A window whose end stands before its start goes on after midnight and belongs to the day it starts on:
  `fri 22:00-06:00` ends on Saturday morning.
- A window is compared with the clock on the wall of its time zone. When clocks go back, the hour that comes twice
  counts twice; an hour that is skipped never comes.

Walk: named in the annotations of `nouns.Route`; read by `read`, asked by `routing.table` once a minute.
"""

from __future__ import annotations

import datetime
import difflib
import re
from types import ModuleType
from typing import Final

import attrs

from smsroute.config.kinds import Misread

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY: Final = 1440
UTC: Final = "UTC"
EXAMPLES: Final = 'such as "mon-fri 08:00-20:00", "sat,sun 10:00-18:00" or "22:00-06:00"'

_TIME: Final = r"([01][0-9]|2[0-4]):([0-5][0-9])"
_WINDOW: Final = re.compile(rf"(?:([a-z]{{3}}(?:[-,][a-z]{{3}}){{0,6}}) +)?{_TIME}-{_TIME}", re.ASCII)


@attrs.frozen
class Window:
    """Minutes of the week in local time: on each of `days` (0: Monday) from `start` to before `end`, in minutes after
    midnight; an `end` at or before `start` is on the next day."""

    days: frozenset[int]
    start: int
    end: int
    text: str  # as it stands in the file

    def covers(self, weekday: int, minute: int) -> bool:
        """Whether it is open at `minute` after midnight of `weekday` (0: Monday)."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        return (weekday in self.days and minute >= self.start) or ((weekday - 1) % 7 in self.days and minute < self.end)


@attrs.frozen
class WindowKind:
    """How a window is written: `[days ]HH:MM-HH:MM`."""

    def read(self, text: str) -> Window:
        found = _WINDOW.fullmatch(text.strip().lower())
        if found is None:
            raise Misread(f"days and times {EXAMPLES}")
        start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (2, 4))
        if start >= MINUTES_A_DAY or end > MINUTES_A_DAY:
            raise Misread("times from 00:00 to 23:59, the last one up to 24:00")
        if start == end:
            raise Misread("a start and an end that differ; 00:00-24:00 is the whole day")
        return Window(_days(found[1]), start, end, text)

    def show(self, value: object) -> str:
        assert isinstance(value, Window)
        return value.text

    def range(self) -> str:
        return ""


def _days(text: str | None) -> frozenset[int]:
    if not text:
        return frozenset(range(7))
    found: set[int] = set()
    for word in text.split(","):
        first, _, last = word.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise Misread(f"days by {', '.join(DAYS)}, {EXAMPLES}")
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if last else 0  # sat-mon goes over the end of the week
        found.update((start + step) % 7 for step in range(length + 1))
    return frozenset(found)


@attrs.frozen
class ZoneKind:
    """A time zone by its IANA name: `Europe/Paris`, or `UTC`."""

    def read(self, text: str) -> str:
        try:
            zone(text)
        except (LookupError, ValueError, OSError):  # no such name; no name at all; a folder of names
            by_folded = {name.casefold(): name for name in zoneinfo().available_timezones()}
            close = difflib.get_close_matches(text.casefold(), by_folded, 1)
            meant = f", perhaps {by_folded[close[0]]}" if close else " such as Europe/Paris, or UTC"
            raise Misread(f"an IANA time zone{meant}") from None
        return text

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return ""


def zone(name: str) -> datetime.tzinfo:
    """The time zone of that name, from the machine's own tables or else those of the tzdata package.

    Raises LookupError, ValueError or OSError for what is none."""
    return datetime.UTC if name == UTC else zoneinfo().ZoneInfo(name)


def zoneinfo() -> ModuleType:
    """The module, imported once a zone is named: it takes 4 ms."""
    import zoneinfo as module

    return module
