"""The ground the seeds stand on."""

from __future__ import annotations

import random

import pytest
import trio

from tests.sim import determinism
from tests.sim.clock import EPOCH, SimClock
from tests.sim.determinism import SCHEDULER, SimEntropy


def test_private_names() -> None:
    """trio still has the two private names the worlds rest on; if this fails, a new trio renamed them: read its
    `_core/_run.py`, find what sorts and shuffles the batch of runnable tasks, and mend determinism.py."""
    assert isinstance(SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert isinstance(SCHEDULER._r, random.Random)


async def _race(order: list[int]) -> None:
    async def runner(number: int) -> None:
        for step in range(3):
            await trio.sleep(0.1)  # all at one deadline: only the scheduler decides
            order.append(number * 10 + step)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(runner, number)


def _order(seed: int) -> list[int]:
    order: list[int] = []
    determinism.run(seed, _race, order)
    return order


@pytest.mark.parametrize("seed", range(5))
def test_same_seed_same_schedule(seed: int) -> None:
    """A seed gives one schedule, run after run."""
    assert _order(seed) == _order(seed)


def test_other_seed_other_schedule() -> None:
    """Seeds explore different schedules: the two names above still steer the loop."""
    assert len({tuple(_order(seed)) for seed in range(10)}) > 5


def test_scheduler_put_back() -> None:
    """A run leaves the scheduler's flag and generator as they were."""
    before = SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING, SCHEDULER._r.getstate()
    _order(1)
    assert before == (SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING, SCHEDULER._r.getstate())


async def _circle() -> None:
    async def turning() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turning)


def test_livelock_is_told() -> None:
    """Tasks that run while time stands still end the run, with the name of who ran."""
    with pytest.raises(determinism.Livelock, match="turning"):
        determinism.run(1, _circle)


def test_dice_by_name() -> None:
    """The same name throws the same, another name or seed throws otherwise."""
    dice = SimEntropy(7)
    assert dice.rng("a").random() == dice.rng("a").random()
    assert dice.rng("a").random() != dice.rng("b").random()
    assert dice.rng("a").random() != SimEntropy(8).rng("a").random()


async def test_clock_steps_and_drifts(autojump_clock: trio.testing.MockClock) -> None:
    """Wall time steps back and drifts; monotonic time does neither."""
    clock = SimClock()
    started = clock.monotonic()
    assert clock.wall() == EPOCH + started
    clock.step(-30.0)
    await clock.sleep_until(started + 10.0)
    assert clock.monotonic() == started + 10.0
    assert clock.wall() == EPOCH + started - 20.0
    clock.drift(0.5)
    await trio.sleep(10.0)
    assert clock.wall() == EPOCH + started - 5.0
    clock.drift(0.0)
    await trio.sleep(1.0)
    assert clock.wall() == EPOCH + started - 4.0
    assert clock.monotonic() == started + 21.0
