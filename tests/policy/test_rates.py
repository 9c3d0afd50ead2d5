"""Rates: never more than granted, and nearly all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.policy.rates import ContractBucket, RateWindow, TokenBucket

STEPS = st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 50)), max_size=120)
"""(seconds since the call before, parts asked for)."""


def granted(
    limiter: TokenBucket | RateWindow | ContractBucket, steps: list[tuple[float, int]]
) -> list[tuple[float, int]]:
    """What passed, and when."""
    now, passed = 1000.0, []
    for pause_s, n in steps:
        now += pause_s
        passed.append((now, limiter.take(n, now)))
    return passed


def busiest_second(passed: list[tuple[float, int]]) -> int:
    """The most parts in any [t, t + 1)."""
    return max((sum(n for at, n in passed if start <= at < start + 1.0) for start, _ in passed), default=0)


@given(STEPS, st.floats(0.1, 200), st.floats(0, 40))
def test_bucket_rate_is_never_exceeded(steps: list[tuple[float, int]], rate: float, burst: float) -> None:
    """A bucket lets through at most rate x T + burst in any T seconds."""
    bucket = TokenBucket(rate, burst, 1000.0)
    passed = granted(bucket, steps)
    for i, (start, _) in enumerate(passed):
        total = 0
        for at, n in passed[i:]:
            total += n
            assert total <= rate * (at - start) + bucket.burst + 1e-6


@given(STEPS, st.integers(1, 60))
def test_rate_window_holds_in_any_second(steps: list[tuple[float, int]], rate: int) -> None:
    """No second, wherever it starts, sees more than the rate."""
    assert busiest_second(granted(RateWindow(rate, 1000.0), steps)) <= rate


@given(STEPS, st.integers(1, 2000), st.lists(st.floats(0, 3000), min_size=1, max_size=5))
def test_contract_holds_in_any_second_at_any_pace(
    steps: list[tuple[float, int]], contract: int, paces: list[float]
) -> None:
    """A carrier's contract holds in any second, whatever paces are set on the way, also above the contract."""
    bucket = ContractBucket(contract, 1000.0)
    now, passed = 1000.0, []
    for i, (pause_s, n) in enumerate(steps):
        now += pause_s
        bucket.set_pace(paces[i % len(paces)], now)
        passed.append((now, bucket.take(n * 20, now)))
    assert busiest_second(passed) <= contract


@given(st.floats(0.05, 500), st.integers(1, 30))
def test_delay_is_exact(rate: float, n: int) -> None:
    """After `delay(n)` seconds n parts pass; a moment before, fewer do."""
    bucket = TokenBucket(rate, 30, 0.0)
    assert bucket.take(30, 0.0) == 30
    delay_s = bucket.delay(n, 0.0)
    assert bucket.available(delay_s * 0.99) < n
    assert bucket.take(n, delay_s) == n


@given(st.integers(1, 100), st.integers(1, 100))
def test_window_delay_is_enough(rate: int, n: int) -> None:
    """After `delay(n)` seconds of a full window, as many pass as were asked for, at most a window's worth."""
    window = RateWindow(rate, 5.0)
    assert window.take(10**6, 5.0) == rate
    later = 5.0 + window.delay(n, 5.0)
    assert window.take(n, later + 1e-6) == min(n, rate)


@pytest.mark.parametrize(("rate", "least"), [(1, 0.98), (10, 0.94), (100, 0.94), (2000, 0.97), (0.5, 0.97)])
def test_a_steady_sender_gets_nearly_all(rate: float, least: float) -> None:
    """Asked all the time, a contract lets at least 94 % of its rate through over a long run."""
    bucket = ContractBucket(rate, 0.0)
    seconds = 100
    total = sum(bucket.take(10**6, step / 200) for step in range(seconds * 200))
    assert total >= least * rate * seconds


def test_time_going_backwards_grants_nothing() -> None:
    """A clock that steps back refills neither a bucket nor a window."""
    bucket, window = TokenBucket(10, 10, 100.0), RateWindow(10, 100.0)
    assert (bucket.take(10, 100.0), window.take(10, 100.0)) == (10, 10)
    assert (bucket.take(10, 50.0), window.take(10, 50.0)) == (0, 0)


def test_what_never_left_is_given_back() -> None:
    """Parts granted and not sent may be sent again, and a bucket never holds more than its burst."""
    bucket = TokenBucket(1, 5, 0.0)
    assert bucket.take(5, 0.0) == 5
    bucket.give_back(3)
    assert bucket.take(5, 0.0) == 3
    bucket.give_back(50)
    assert bucket.take(50, 0.0) == 5


def test_pace_zero_never_grants_and_says_so() -> None:
    """At pace 0 nothing passes and the wait has no end."""
    bucket = ContractBucket(100, 0.0)
    bucket.take(100, 0.0)
    bucket.set_pace(0.0, 0.0)
    assert bucket.take(1, 1000.0) == 0
    assert bucket.delay(1, 1000.0) == float("inf")
