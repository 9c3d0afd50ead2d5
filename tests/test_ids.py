"""The message ids: unique, sorted, readable, whatever the clock does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute import ids
from smsroute.ids import MessageIds, read

NOW = 1_790_000_000.25


def test_an_id_is_at_most_20_digits_and_capitals() -> None:
    """Carriers and clients take 20 characters of [0-9A-Z] everywhere; so does the id, with the longest node name."""
    made = MessageIds("node66").make(NOW)
    assert re.fullmatch(r"[0-9A-Z]{20}", made)
    assert len(MessageIds("n").make(NOW)) == 15


def test_an_id_says_node_and_time_without_a_look_up() -> None:
    """`read` gives back the node and the millisecond it was made in."""
    assert read(MessageIds("n1").make(NOW)) == ("N1", NOW)


@pytest.mark.parametrize("said", ["", "4711", "a" * 16, "0" * 21, "00000000000000", "0123456789ABCDEF-"])
def test_what_is_no_id_of_ours_is_told_as_such(said: str) -> None:
    """An id some carrier or client made up is not read as one of ours."""
    assert read(said) is None


@pytest.mark.parametrize("node", ["", "toolong", "n-1", "né"])
def test_a_node_name_that_would_break_the_shape_is_our_bug(node: str) -> None:
    """The config refuses such a name; here it is an assertion."""
    with pytest.raises(AssertionError, match=r"1\.\.6 letters or digits"):
        MessageIds(node)


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=50))
def test_ids_are_unique_and_sorted_whatever_the_clock_does(times: list[float]) -> None:
    """Steps back, standing still, leaps: each id is greater than all before it."""
    maker = MessageIds("n1")
    made = [maker.make(now) for now in times]
    assert made == sorted(set(made))


def test_many_ids_in_one_millisecond_are_unique_and_sorted() -> None:
    """The counter's digits carry over as they should (36 and 36 squared lie inside)."""
    maker = MessageIds("n1")
    made = [maker.make(NOW) for _ in range(5000)]
    assert made == sorted(set(made))
    assert {read(one) for one in made} == {("N1", NOW)}


def test_a_full_counter_moves_on_to_the_next_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """More ids than a millisecond holds: the next one is borrowed, and order stays."""
    monkeypatch.setattr(ids, "_COUNTER_MAX", 3)
    maker = MessageIds("n1")
    made = [maker.make(NOW) for _ in range(10)]
    assert made == sorted(set(made))
    assert [round((read(one) or ("", 0.0))[1] - NOW, 3) for one in made] == [
        0,
        0,
        0,
        0.001,
        0.001,
        0.001,
        0.002,
        0.002,
        0.002,
        0.003,
    ]


@given(st.floats(min_value=0, max_value=4e9), st.floats(min_value=0, max_value=4e9), st.integers(1, 40))
def test_a_restart_goes_on_behind_the_last_id(before: float, after: float, count: int) -> None:
    """Given the newest id of its last life, an engine never repeats or undercuts one, whatever the clock says."""
    first = MessageIds("n1")
    last = [first.make(before) for _ in range(count)][-1]
    second = MessageIds("n1", last)
    assert second.make(after) > last
    assert second.make(after) > last
