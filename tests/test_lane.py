"""One lane: order by age whatever comes back, and what stands aside. smsroute/lane.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smsroute.lane import HOLES_MIN, Lane, Row
from smsroute.message import Part

KEYS = (("class", "marketing"), ("to", "33612345678"), ("way", "fr", "336"))


def part(number: int) -> Part:
    """A part; the greater its number the later it was accepted."""
    return Part(f"{number:04d}", "acme", 0.0, 2, "SHOP", "33612345678", b"", 0, 1, 1000.0)


def ids(row: Row) -> list[int]:
    """Whose turn it is, in order."""
    return [int(one.part_id) for one in row]


class LaneMachine(RuleBasedStateMachine):
    """A lane against a set of numbers and a dict of sets, sorted whenever somebody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane()
        self.waiting: set[int] = set()
        self.aside: dict[tuple[str, ...], set[int]] = {}
        self.newest = 0

    @rule(step=st.integers(1, 3))
    def newcomer(self, step: int) -> None:
        """Just accepted."""
        self.newest += step
        self.lane.put(part(self.newest))
        self.waiting.add(self.newest)

    @rule(number=st.integers(0, 60))
    def comes_back(self, number: int) -> None:
        """Throttled, retried, moved here: of any age, perhaps here already, perhaps aside."""
        self.lane.put(part(number))
        for row in self.aside.values():
            row.discard(number)
        self.waiting.add(number)
        self.newest = max(self.newest, number)

    @rule(number=st.integers(0, 60))
    def leaves(self, number: int) -> None:
        """Sent, moved or ended; perhaps it was not here at all."""
        self.lane.take(f"{number:04d}")
        self.waiting.discard(number)
        for row in self.aside.values():
            row.discard(number)

    @rule(data=st.data(), key=st.sampled_from(KEYS))
    def stands_aside(self, data: st.DataObject, key: tuple[str, ...]) -> None:
        """Room would not help it."""
        if self.waiting:
            number = data.draw(st.sampled_from(sorted(self.waiting)))
            self.lane.set_aside(part(number), key)
            self.waiting.discard(number)
            self.aside.setdefault(key, set()).add(number)

    @rule(key=st.sampled_from(KEYS), most=st.integers(0, 5))
    def come_back_from_aside(self, key: tuple[str, ...], most: int) -> None:
        """The oldest of them."""
        back = sorted(self.aside.get(key, ()))[:most]
        assert self.lane.release(key, most) == len(back)
        self.aside.get(key, set()).difference_update(back)
        self.waiting.update(back)

    @invariant()
    def same(self) -> None:
        """Order, counts and keys agree."""
        aside = {key: sorted(row) for key, row in self.aside.items() if row}
        assert ids(self.lane) == sorted(self.waiting)
        assert {key: ids(row) for key, row in self.lane.aside.items()} == aside
        assert self.lane.size == len(self.waiting) + sum(map(len, aside.values()))
        assert self.lane.waits == bool(self.waiting)
        assert len(list(self.lane.everyone())) == self.lane.size


TestLaneMachine = LaneMachine.TestCase
TestLaneMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize(
    "order", [sorted, lambda ones: sorted(ones, reverse=True)], ids=["oldest-first", "newest-first"]
)
def test_names_of_parts_long_gone_do_not_pile_up(order: Callable[[Any], list[int]]) -> None:
    """Parts that come back and leave again for hours leave at most as many holes as there are parts, and a few."""
    lane = Lane()
    lane.put(part(5000))
    for _ in range(3):
        for number in order(range(1000)):
            lane.put(part(number))
        for number in range(1000):
            lane.take(f"{number:04d}")
            assert len(lane._ids) <= 2 * len(lane.back) + HOLES_MIN
    assert ids(lane) == [5000]


def test_a_look_for_the_oldest_steps_over_those_gone_once() -> None:
    """Half of a hundred thousand have left, oldest first: a carrier woken a thousand times a second finds the next one
    without passing all of them again. An older one that comes still stands before it."""
    lane = Lane()
    lane.put(part(9000))
    for number in range(1000, 2000):
        lane.put(part(number))
    for number in range(1000, 1400):
        lane.take(f"{number:04d}")
    assert len(lane._ids) == 1000
    looked: list[str] = []

    class Watched(dict[str, Part]):
        """Notes who is asked for."""

        def get(self, key: str, default: Any = None) -> Any:
            looked.append(key)
            return super().get(key, default)

        def __contains__(self, key: object) -> bool:
            looked.append(str(key))
            return super().__contains__(key)

    lane.back = Watched(lane.back)
    for _ in range(3):
        assert next(iter(lane)).part_id == "1400"
    assert len(looked) <= 400 + 3 * 2
    for number in (1100, 1399, 1200):
        lane.put(part(number))
    assert ids(lane)[:4] == [1100, 1200, 1399, 1400]


def test_only_what_waits_can_stand_aside() -> None:
    """A part set aside that is not in the lane is a fault of ours, told at once."""
    with pytest.raises(AssertionError, match="0007"):
        Lane().set_aside(part(7), KEYS[0])
