"""Quantiles of the last minutes. smsroute/routing/spread.py."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.routing.spread import Spread


@given(st.lists(st.floats(0.002, 1000.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_true_to_a_tenth(seconds: list[float], share: float) -> None:
    """Whatever the durations, the answer lies within a bucket of the exact one."""
    spread = Spread(60.0, 6, 0.0)
    for one in seconds:
        spread.add(one, 1.0)
    found = spread.quantiles((share,), 1.0)
    assert found is not None
    exact, rank = sorted(seconds), math.ceil(share * len(seconds)) - 1
    # Rounding may move the rank by one where share * n is whole.
    assert 0.9 * exact[max(0, rank - 1)] <= found[0] <= 1.1 * exact[min(len(exact) - 1, rank + 1)]


def test_nothing_counted_is_none() -> None:
    """No figure is better than a figure of nothing."""
    spread = Spread(60.0, 6, 0.0)
    assert spread.quantiles((0.5, 0.99), 5.0) is None


def test_what_is_old_is_forgotten() -> None:
    """After the window has passed nothing is left of it, in one jump or step by step."""
    for times in ([100.0], [10.0 * n for n in range(1, 11)]):
        spread = Spread(60.0, 6, 0.0)
        spread.add(0.05, 0.0, 10)
        assert spread.count == 10
        for now in times:
            found = spread.quantiles((0.5,), now)
        assert found is None


def test_a_batch_counts_each_of_its_parts() -> None:
    """Ninety-nine quick ones and one slow: the median is quick, the last percent is slow."""
    spread = Spread(60.0, 6, 0.0)
    spread.add(0.02, 0.0, 99)
    spread.add(3.0, 0.0)
    found = spread.quantiles((0.5, 0.99, 1.0), 0.0)
    assert found == (pytest.approx(0.02, rel=0.1), pytest.approx(0.02, rel=0.1), pytest.approx(3.0, rel=0.1))


@given(st.lists(st.floats(0.0, 1000.0), max_size=100))
def test_a_batch_counts_as_one_by_one(seconds: list[float]) -> None:
    """A batch is counted where each of it would have been, but for what lies on an edge."""
    together, apart = Spread(60.0, 6, 0.0), Spread(60.0, 6, 0.0)
    together.add_each(seconds, 1.0)
    for one in seconds:
        apart.add(one, 1.0)
    assert together.count == apart.count == len(seconds)
    found, exact = together.quantiles((0.1, 0.5, 0.9), 1.0), apart.quantiles((0.1, 0.5, 0.9), 1.0)
    assert (found is None) == (exact is None)
    for one, other in zip(found or (), exact or (), strict=True):
        assert one == pytest.approx(other, rel=0.1)
