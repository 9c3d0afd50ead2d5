"""Nothing swings: not while nothing changes, not after a fault, not on the way back (the world is in conftest)."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from statistics import pstdev
from typing import Any

import pytest

from smsroute.message import Blame

pytestmark = pytest.mark.slow

Answering = Callable[[float], Any]


def throttles(share: float) -> Callable[[float, random.Random], tuple[Blame, float]]:
    """A carrier that throttles so much, by chance."""
    return lambda now, rng: (Blame.THROTTLED if rng.random() < share else Blame.OK, 0.02 * (0.5 + rng.random()))


def turns(values: list[float], least: float) -> int:
    """How often the series turns round by more than `least`."""
    count, way, edge = 0, 0, values[0]
    for value in values:
        if way >= 0 and value < edge - least:
            count, way, edge = count + (way > 0), -1, value
        elif way <= 0 and value > edge + least:
            count, way, edge = count + (way < 0), 1, value
        elif (way > 0 and value > edge) or (way < 0 and value < edge) or (way == 0 and abs(value - edge) > least):
            edge = value
    return count


def test_turns_counts() -> None:
    """The gauge itself: down and up again is one turn, noise is none."""
    assert turns([1.0, 0.5, 0.1, 0.5, 1.0], 0.2) == 1
    assert turns([1.0, 0.9, 1.0, 0.95, 1.0], 0.2) == 0
    assert turns([0.0, 1.0] * 5, 0.5) == 8


@pytest.mark.parametrize("prefer", ["quality", "balanced"])
def test_nothing_changes_nothing_moves(world: Any, answering: Answering, prefer: str) -> None:
    """Three equals at 2,000 a second: the share of each second strays from its third by three points at most, its
    deviation is under one and a half."""
    one = world(prefer=prefer, seed=11)
    fakes = [one.carrier(name, answering(0.02)) for name in "abc"]
    one.run(30, 2000)
    for fake in fakes:
        shares = [fake.sent_between(second, second + 1) / 2000 for second in range(2, 30)]
        assert max(abs(share - 1 / 3) for share in shares) < 0.03
        assert pstdev(shares) < 0.015


def test_more_than_the_favourite_takes_settles_once(world: Any, answering: Answering) -> None:
    """1,300 offered to a favourite of 1,000: its share falls once and then stays within five points."""
    one = world(prefer="cost", seed=12)
    one.carrier("a", answering(0.02), rate=1000, cost=1.0)
    one.carrier("b", answering(0.02), rate=1000, cost=2.0)
    one.run(40, 1300)
    shares = [next(r.weight for r in plan.choices if r.carrier == "a") for plan in one.plans]
    assert turns(shares[: len(shares) // 4], 0.12) <= 1
    late = shares[len(shares) // 4 :]
    assert max(late) - min(late) < 0.1


def test_after_a_fault_one_swing_at_most(world: Any, answering: Answering) -> None:
    """The favourite halves what it grants, and gives it back after 30 s: traffic goes, stays, and comes back."""
    state = {"at": 0.0, "tokens": 100.0, "rate": 1000.0}

    def grant(now: float, rng: random.Random) -> tuple[Blame, float]:
        state["tokens"] = min(state["rate"] * 0.1, state["tokens"] + (now - state["at"]) * state["rate"])
        state["at"] = now
        took = state["tokens"] >= 1
        state["tokens"] -= took
        return Blame.OK if took else Blame.THROTTLED, 0.02 * (0.5 + rng.random())

    one = world(prefer="cost", seed=13)
    a = one.carrier("a", grant, rate=1000, cost=1.0)
    one.carrier("b", answering(0.02), rate=1000, cost=2.0)
    one.run(10, 800)
    state["rate"] = 400.0
    one.run(30, 800)
    state["rate"] = 1000.0
    one.run(60, 800)
    took = [a.taken_between(second, second + 2) / 1600 for second in range(2, 98, 2)]
    assert took[2] == pytest.approx(1.0, abs=0.05)
    assert 0.4 < sum(took[9:18]) / 9 <= 0.51
    assert sum(took[-5:]) / 5 == pytest.approx(1.0, abs=0.05)
    assert turns(took, 0.25) <= 1


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_just_unpaused_it_gets_next_to_nothing(world: Any, answering: Answering, share: float) -> None:
    """The favourite throttles nearly everything: from the second second on no plan gives it a tenth, paused or not, and
    no second sends it a fiftieth."""
    one = world(prefer="cost", seed=14)
    a = one.carrier("a", answering(0.02), cost=1.0)
    one.carrier("b", answering(0.02), cost=2.0)
    one.run(5, 1000)
    a.behave = throttles(share)
    one.run(1, 1000)
    first = len(one.plans)
    one.run(30, 1000)
    given = [next((r.weight for r in plan.choices if r.carrier == "a"), 0.0) for plan in one.plans[first:]]
    assert max(given) < 0.1
    assert max(a.sent_between(second, second + 1) for second in range(6, 36)) <= 20


def test_the_way_back_only_rises(world: Any, answering: Answering) -> None:
    """It throttled all for ten seconds, and is well again: its share rises to the whole and never falls by a tenth."""
    one = world(prefer="cost", seed=15)
    a = one.carrier("a", answering(0.02), rate=2000, cost=1.0)
    one.carrier("b", answering(0.02), rate=2000, cost=2.0)
    one.run(5, 1000)
    a.behave = throttles(1.0)
    one.run(10, 1000)
    a.behave = answering(0.02)
    one.run(60, 1000)
    took = [a.taken_between(second, second + 1) / 1000 for second in range(15, 75)]
    assert sum(took[-5:]) / 5 > 0.98
    assert min(later - now for now, later in pairwise(took)) > -0.1
