"""Whose turn it is: strict priority with a floor. smsroute/policy/turns.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import MessageClass
from smsroute.policy.turns import Turns

OTP, ALERT, INFO, MARKETING = MessageClass
ALL = [True, True, True, True]
SHARE = 0.05


def run(turns: Turns, waiting: list[bool], parts: int) -> list[int]:
    """The classes of so many parts, while the same ones wait."""
    order = []
    for _ in range(parts):
        order.append(turns.next(waiting))
        turns.went(order[-1], waiting)
    return order


def test_a_flood_of_codes_leaves_each_lane_below_its_floor() -> None:
    """All four wait all the time: the floors get five of each hundred, to one part; the codes get the rest."""
    order = run(Turns(SHARE), ALL, 10_000)
    counts = [order.count(one) for one in MessageClass]
    assert all(499 <= count <= 500 for count in counts[1:])
    assert counts[OTP] == 10_000 - sum(counts[1:])


def test_without_a_floor_it_is_strict_priority() -> None:
    """`lane_floor_share: 0`."""
    assert set(run(Turns(0.0), ALL, 1000)) == {OTP}


def test_a_code_that_comes_to_an_empty_lane_is_next() -> None:
    """However much the others have saved up, at whatever moment it comes: not one part goes before it."""
    turns = Turns(0.3)
    for _ in range(40):
        run(turns, [False, True, True, True], 1)
        assert turns.next(ALL) == OTP


def test_an_idle_lane_saves_nothing() -> None:
    """A campaign that comes back after an hour of others has no hour's worth of turns."""
    turns = Turns(SHARE)
    run(turns, [True, False, True, True], 1000)
    assert run(turns, ALL, 21).count(ALERT) <= 1


@given(
    st.lists(st.tuples(*[st.booleans()] * 4).filter(any), min_size=1, max_size=400), st.sampled_from([0.05, 0.1, 0.25])
)
def test_whoever_waits_on_gets_its_share_and_codes_wait_for_three_at_most(
    rounds: list[tuple[bool, ...]], share: float
) -> None:
    """Whatever comes and goes around it: a class that waits for n turns in a row has at least n x share - 3 of them;
    between two turns at which codes wait, no more than one part of each other class goes; nobody goes who does not
    wait."""
    turns = Turns(share)
    passed = [0] * 4  # turns since this class began to wait, and its own of them
    own = [0] * 4
    behind = 0
    for waiting in rounds:
        went = turns.next(waiting)
        assert waiting[went]
        turns.went(went, waiting)
        for one in MessageClass:
            passed[one], own[one] = (passed[one] + 1, own[one] + (went == one)) if waiting[one] else (0, 0)
            assert own[one] >= passed[one] * share - 3
        behind = behind + 1 if waiting[OTP] and went != OTP else 0
        assert behind <= 3
