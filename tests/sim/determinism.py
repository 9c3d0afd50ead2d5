"""One seed, one run: trio's schedule and every die in the world follow from a seed.

Rules:
- This is the only file that touches trio's private names. `test_determinism.py` fails loudly when trio renames them.
- Virtual time that stands still while tasks run is a bug of theirs, told with their names, not a test that never ends.
- Each die has a name and its own stream, so that a new consumer moves nobody else's throws.

Walk: `world.run_seed` calls `run`; every simulated thing asks `SimEntropy` for its dice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio.testing

T = TypeVar("T")

SCHEDULER: Any = trio._core._run
"""The module that holds `_ALLOW_DETERMINISTIC_SCHEDULING` (sort each batch of tasks before shuffling it) and `_r` (the
generator that shuffles)."""


STEPS_MAX = 50_000
"""Task steps at one instant of virtual time; more is a circle that time never leaves."""


class Livelock(Exception):
    """Tasks ran on and on while virtual time stood still."""


class StepCount(trio.abc.Instrument):
    """Counts task steps at one instant, and cancels the run when they pass STEPS_MAX."""

    def __init__(self) -> None:
        self.steps = 0
        self.stuck: Counter[str] = Counter()
        self.scope = trio.CancelScope()
        self._now = -1.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        now = trio.current_time()
        if now != self._now:
            self._now, self.steps = now, 0
        self.steps += 1
        if self.steps > STEPS_MAX - 1000:
            self.stuck[task.name] += 1
        if self.steps == STEPS_MAX:
            self.scope.cancel()


def run(seed: int | str, main: Callable[..., Awaitable[T]], *args: object) -> T:
    """`trio.run(main, *args)` in virtual time, with a schedule that depends on `seed` alone.

    Time jumps to the next deadline whenever every task is blocked. The scheduler's own state is put back afterwards.
    Raises Livelock, naming the tasks, when time stands still while they run.
    """
    count = StepCount()

    async def counted() -> T:
        with count.scope:
            return await main(*args)
        raise Livelock(
            f"{STEPS_MAX} steps at {trio.current_time():.6f}, the last of {dict(count.stuck.most_common(4))}"
        )

    allowed, state = SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING, SCHEDULER._r.getstate()
    SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING = True
    SCHEDULER._r.seed(f"{seed}/schedule")
    try:
        return trio.run(counted, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[count])
    finally:
        SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING = allowed
        SCHEDULER._r.setstate(state)


class SimEntropy:
    """A `ports.Entropy` of one seed. The same name gives the same throws from the start, every time it is asked."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed

    def rng(self, name: str) -> random.Random:
        """The generator called `name`."""
        return random.Random(f"{self.seed}/{name}")
