"""Moments as people on call write them: `-2h`, `10m`, `14:00`, `yesterday`, `2026-11-23 14:00`, ISO 8601.

Rules:
- A duration counts back from now, with a minus or without; a clock time without a day is the last one that was.
- Without a zone it is this machine's local time, as the CLI shows times; `Z` or `+01:00` say otherwise.

Walk: `trace`, `orphans` and `export` read `--since` and `--until` by it.
"""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from typing import Final

EXPECTED: Final = "expected -2h, 10m, 1d12h, 14:00, 'today', 'yesterday', now, '2026-11-23 14:00' or ISO 8601"
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION: Final = re.compile(r"-?(?:\d+(?:\.\d+)?[smhdw])+")
_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def moment(text: str, now: float) -> float:
    """Unix seconds of `text`. Raises ValueError, which says what was expected."""
    said = text.strip()
    if _DURATION.fullmatch(said.lower()):
        return now - sum(float(number) * _UNIT_S[unit] for number, unit in _PIECE.findall(said.lower()))
    local = datetime.fromtimestamp(now).astimezone().replace(tzinfo=None)  # naive: a day may have 23 or 25 hours
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"now": now, "today": today.timestamp(), "yesterday": (today - timedelta(days=1)).timestamp()}
    if said.lower() in days:
        return days[said.lower()]
    clock = _CLOCK.fullmatch(said)
    try:
        if clock:
            hour, minute, second = (int(piece or 0) for piece in clock.groups())
            at = today.replace(hour=hour, minute=minute, second=second)
            return (at if at.timestamp() <= now else at - timedelta(days=1)).timestamp()
        if re.fullmatch(r"\d{9,10}(\.\d+)?", said):
            return float(said)
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r}, {EXPECTED}") from error


def add_span(parser: argparse.ArgumentParser, since: str) -> None:
    """--since and --until."""
    parser.add_argument(
        "--since",
        default=since,
        metavar="TIME",
        help=f"accepted from then on, such as -2h, 14:00 or '2026-11-23 14:00' (default: {since})",
    )
    parser.add_argument("--until", default="now", metavar="TIME", help="and before then (default: now)")


def span(args: argparse.Namespace, now: float) -> tuple[float, float]:
    """(since, until) in Unix seconds. Raises ValueError."""
    since, until = moment(args.since, now), moment(args.until, now)
    if since >= until:
        raise ValueError(f"--since {args.since} is not before --until {args.until}")
    return since, until
