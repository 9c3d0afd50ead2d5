"""Times, ages and masked numbers, as people and documents get them. smsroute/ops/words.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.ops.words import age, clock, iso, mask, unix

NOON = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+33612345678", "+3361•••678"),
        ("33612345678", "3361•••678"),
        ("1234567", "123•••567"),
        ("36111", "36111"),
        ("ACME", "ACME"),
        ("", ""),
    ],
)
def test_a_handset_is_masked_and_a_brand_is_not(address: str, shown: str) -> None:
    """Four digits of the head and three of the tail stay; short codes and names are nobody's pocket."""
    assert mask(address) == shown
    assert mask(address, reveal=True) == address


@given(st.text("0123456789", min_size=7, max_size=20))
def test_a_mask_always_hides_a_digit(digits: str) -> None:
    """However long the number, what is shown is not the whole of it."""
    shown = mask(digits)
    assert "•••" in shown
    assert len(shown.replace("•••", "")) < len(digits)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.85, "850ms"),
        (1.23, "1.2s"),
        (12.3, "12s"),
        (184, "3m 4s"),
        (7620, "2h 7m"),
        (1_051_200, "12d 4h"),
    ],
)
def test_an_age_has_two_units_at_most(seconds: float, shown: str) -> None:
    """What a person says when asked how long."""
    assert age(seconds) == shown


def test_times_are_iso_and_come_back() -> None:
    """UTC with milliseconds; never is null, not 1970."""
    assert iso(NOON) == "2026-01-01T12:00:00.000Z"
    assert unix(iso(NOON + 0.123) or "") == NOON + 0.123
    assert iso(0.0) is None
    assert iso(float("inf")) is None


def test_a_clock_names_the_day_when_it_is_another() -> None:
    """Today a time of day is enough."""
    assert len(clock(NOON, NOON + 1)) == len("12:00:00")
    assert clock(NOON, NOON + 7 * 86400).startswith("2026-01-01 ")
