"""A coarse timer for very many things: what falls due within one step is run together.

Rules:
- No task and no timer per message: one task sleeps until the first bucket that holds anything, and not at all when
  nothing is due (a simulated day of silence costs nothing).
- What is due is never run early; it is run at most one step late, in the order it was added within a step.

Walk: a peer starts `run` in its nursery; its link handlers `add`; after each bucket `flush` writes what it produced.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Final

import trio

from smsroute.ports import Clock

STEP_S: Final = 0.01


class Wheel:
    """Calls due later, in buckets of `step_s` seconds of monotonic time."""

    def __init__(self, clock: Clock, flush: Callable[[], None], step_s: float = STEP_S) -> None:
        self._clock = clock
        self._flush = flush
        self._step_s = step_s
        self._buckets: dict[int, list[tuple[Callable[[Any], None], Any]]] = {}
        self._order: list[int] = []
        self._earlier = trio.Event()

    def add(self, deadline: float, call: Callable[[Any], None], argument: Any) -> None:
        """Run `call(argument)` at monotonic `deadline` (seconds) or up to a step later."""
        number = math.ceil(deadline / self._step_s)
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = [(call, argument)]
            heapq.heappush(self._order, number)
            if self._order[0] == number:
                self._earlier.set()
        else:
            bucket.append((call, argument))

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            if self._order:
                with trio.move_on_at(self._order[0] * self._step_s):
                    await self._earlier.wait()
            else:
                await self._earlier.wait()
            self._earlier = trio.Event()
            now = self._clock.monotonic()
            ran = False
            while self._order and self._order[0] * self._step_s <= now:
                for call, argument in self._buckets.pop(heapq.heappop(self._order)):
                    call(argument)
                ran = True
            if ran:
                self._flush()
