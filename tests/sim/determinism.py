"""One seed, one run: trio's schedule and every die in the world follow from a seed.

Rules:
- This is the only file that touches trio's private names. `test_determinism.py` fails loudly when trio renames them.
- Each die has a name and its own stream, so that a new consumer moves nobody else's throws.

Walk: `world.run_seed` calls `run`; every simulated thing asks `SimEntropy` for its dice.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio.testing

T = TypeVar("T")

SCHEDULER: Any = trio._core._run
"""The module that holds `_ALLOW_DETERMINISTIC_SCHEDULING` (sort each batch of tasks before shuffling it) and `_r` (the
generator that shuffles)."""


def run(seed: int | str, main: Callable[..., Awaitable[T]], *args: object) -> T:
    """`trio.run(main, *args)` in virtual time, with a schedule that depends on `seed` alone.

    Time jumps to the next deadline whenever every task is blocked. The scheduler's own state is put back afterwards.
    """
    allowed, state = SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING, SCHEDULER._r.getstate()
    SCHEDULER._ALLOW_DETERMINISTIC_SCHEDULING = True
    SCHEDULER._r.seed(f"{seed}/schedule")
    try:
        return trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))
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
