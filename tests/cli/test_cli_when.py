"""Moments as people write them. smsroute/cli/when.py."""

from __future__ import annotations

import argparse
from datetime import datetime

import pytest

from smsroute.cli.common import Parser
from smsroute.cli.when import add_span, moment, span

NOW = datetime(2026, 11, 23, 15, 4, 5).astimezone().timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2h", NOW - 7200),
        ("10m", NOW - 600),
        ("1d12h", NOW - 129_600),
        ("1.5h", NOW - 5400),
        ("now", NOW),
        ("today", datetime(2026, 11, 23).astimezone().timestamp()),
        ("Yesterday", datetime(2026, 11, 22).astimezone().timestamp()),
        ("14:00", datetime(2026, 11, 23, 14).astimezone().timestamp()),
        ("15:05", datetime(2026, 11, 22, 15, 5).astimezone().timestamp()),  # not yet today
        ("2026-11-23 14:00", datetime(2026, 11, 23, 14).astimezone().timestamp()),
        ("2026-11-23", datetime(2026, 11, 23).astimezone().timestamp()),
        ("2026-11-23T14:00:00.5Z", datetime.fromisoformat("2026-11-23T14:00:00.500+00:00").timestamp()),
        ("2026-11-23 14:00+02:00", datetime.fromisoformat("2026-11-23T12:00:00+00:00").timestamp()),
        ("1763900000", 1_763_900_000.0),
    ],
)
def test_a_moment(text: str, expected: float) -> None:
    """Durations count back, a time of day is the last one, a date is a day's beginning, a zone is obeyed."""
    assert moment(text, NOW) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "2x", "-", "99", "1e400"])
def test_what_is_no_moment(text: str) -> None:
    """It says what was expected."""
    with pytest.raises(ValueError, match="expected -2h"):
        moment(text, NOW)


def test_a_span_from_the_command_line() -> None:
    """`--since -2h` is a value, not an option; a span that ends before it begins is refused."""
    parser = Parser(prog="smsroute trace")
    add_span(parser, "-1d")
    assert span(parser.parse_args(["--since", "-2h", "--until", "-90m"]), NOW) == (NOW - 7200, NOW - 5400)
    assert span(parser.parse_args([]), NOW) == (NOW - 86_400, NOW)
    with pytest.raises(ValueError, match="is not before"):
        span(argparse.Namespace(since="10m", until="2h"), NOW)
