"""SMPP times: absolute with offsets, relative, and every way to write them wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import times

NOW = 1768230000.0  # 2026-01-12 15:00:00 UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("260112150000000+", NOW),
        ("260112160000004+", NOW),  # an hour ahead of UTC
        ("260112140000004-", NOW),  # an hour behind it
        ("260112150000500+", NOW + 0.5),
        ("270112150000000+", NOW + 365 * 86400),
        ("000000000100000R", NOW + 60),
        ("000002000000000R", NOW + 2 * 86400),
        ("010203040506000R", NOW + 365 * 86400 + 60 * 86400 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6),
        ("000000000000000R", NOW),
    ],
)
def test_times_are_unix_seconds(text: str, at: float) -> None:
    """Quarter-hour offsets, tenths, and periods from now."""
    assert at == times.parse(text, NOW)


def test_an_empty_time_is_none() -> None:
    """The field left blank means the default."""
    assert times.parse("", NOW) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("26011215000000+", "15 characters"),
        ("2601121500000000+", "17 characters"),
        ("26O112150000000+", "non-digit"),
        ("\u0662\u0666" + "0112150000000+", "non-digit"),
        ("261312150000000+", "month"),
        ("260230150000000+", "day"),
        ("260112240000000+", "hour"),
        ("260112156000000+", "minute"),
        ("260112150060000+", "second"),
        ("260112150000049+", "49 quarter hours"),
        ("260112150000000Z", "ends in 'Z'"),
        ("260112150000000 ", "ends in ' '"),
    ],
)
def test_wrong_times_say_why(text: str, reason: str) -> None:
    """ValueError with the reason, for the log and for whoever wrote it."""
    with pytest.raises(ValueError, match=reason):
        times.parse(text, NOW)


@given(st.text(max_size=17) | st.text("0123456789+-R", min_size=16, max_size=16))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    """Nothing else is raised."""
    try:
        at = times.parse(text, NOW)
    except ValueError:
        return
    assert (at is None) == (text == "")


@given(st.integers(946684800, 4102444799))
def test_a_time_we_write_is_the_time_we_read(at: int) -> None:
    """To the second, in UTC."""
    assert float(at) == times.parse(times.render(at), NOW)
