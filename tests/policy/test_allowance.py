"""What one ESME may send. smsroute/policy/allowance.py."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Esme, Secret
from smsroute.policy.allowance import Allowance

ESME = Esme("acme", Secret(b"secret"), rate=10.0)


def test_without_burst_a_second_s_worth() -> None:
    """A second's worth at once, then nothing until it has gone by."""
    allowance = Allowance(ESME, 0.0)
    assert [allowance.take(100, now) for now in (0.0, 0.5, 0.9, 1.1)] == [10, 0, 0, 10]


def test_burst() -> None:
    """A full bucket at once, then the rate; the bucket fills while nothing comes."""
    allowance = Allowance(attrs.evolve(ESME, burst=50), 0.0)
    assert [allowance.take(100, now) for now in (0.0, 0.5, 1.0, 100.0)] == [50, 5, 5, 50]


def test_used_share() -> None:
    """The share of what may come at once that has come."""
    for esme, full in ((ESME, 10), (attrs.evolve(ESME, burst=50), 50)):
        allowance = Allowance(esme, 0.0)
        assert allowance.used_share(0.0) == 0.0
        allowance.take(full // 2, 0.0)
        assert allowance.used_share(0.0) == 0.5
        allowance.take(full, 0.0)
        assert allowance.used_share(0.0) == 1.0
        assert allowance.used_share(20.0) == 0.0


def test_a_sender_of_its_own() -> None:
    """A sender named in `senders` has its own rate; another has only the whole's."""
    allowance = Allowance(attrs.evolve(ESME, senders={"ACME": 2.0}), 0.0)
    assert [allowance.take_of("ACME", 0.0) for _ in range(3)] == [True, True, False]
    assert all(allowance.take_of("OTHER", 0.0) for _ in range(50))
    assert allowance.take_of("ACME", 1.1)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=60), st.integers(0, 30))
def test_never_more_than_both(calls: list[tuple[float, int]], burst: int) -> None:
    """In any T seconds at most rate x T + what may come at once, whatever the rhythm."""
    allowance = Allowance(attrs.evolve(ESME, burst=burst), 0.0)
    now, taken = 0.0, []
    for gap, n in calls:
        now += gap
        taken.append((now, allowance.take(n, now)))
    for first in range(len(taken)):
        span = taken[-1][0] - taken[first][0]
        assert sum(n for _, n in taken[first:]) <= 10.0 * span + (burst or 10) + 1e-6


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_another_config_forgives_nothing(before: int, after: int, rate: int) -> None:
    """What has passed counts against the new numbers: an empty one stays empty, and a sender's too."""
    allowance = Allowance(attrs.evolve(ESME, burst=before, senders={"ACME": 2.0}), 0.0)
    allowance.take(100, 0.0)
    assert [allowance.take_of("ACME", 0.0) for _ in range(3)] == [True, True, False]
    new = attrs.evolve(ESME, rate=float(rate), burst=after, senders={"ACME": 2.0})
    granted_anew = allowance.take(0, 0.0)
    allowance.adopt(new, 0.0)
    whole = after or rate
    assert granted_anew + allowance.take(100, 0.0) <= max(0, whole - (before or 10))
    assert not allowance.take_of("ACME", 0.0)
    assert allowance.rate == rate
