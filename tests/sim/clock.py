"""Simulated clocks: wall time that steps and drifts, over monotonic time that never does.

Rules:
- Monotonic time is trio's virtual time, so deadlines and cancel scopes agree; it is decades away from wall time, so
  code that mixes the two fails at once.
- wall = EPOCH + virtual time + offset; the offset moves by `step` and grows by `drift`.

Walk: the engine and each peer have a clock of their own; `faults.ClockStep` moves the engine's.
"""

from __future__ import annotations

import trio

EPOCH = 1_767_225_600.0
"""The world's first second: 2026-01-01 00:00:00 UTC."""


class SimClock:
    """A `ports.Clock` in virtual time. Make one inside the run."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self._offset_s = offset_s
        self._drift = 0.0  # seconds gained per second
        self._drift_from = trio.current_time()

    def monotonic(self) -> float:
        """Seconds, the same as trio's deadlines use."""
        return trio.current_time()

    def wall(self) -> float:
        """Unix time in seconds, as this machine believes it."""
        return EPOCH + trio.current_time() + self.offset_s

    async def sleep_until(self, deadline: float) -> None:
        """Return at monotonic `deadline` (seconds)."""
        await trio.sleep_until(deadline)

    @property
    def offset_s(self) -> float:
        """Seconds this clock is ahead of the world's."""
        return self._offset_s + self._drift * (trio.current_time() - self._drift_from)

    def step(self, seconds: float) -> None:
        """Jump, forwards or back: somebody set the clock, or time synchronisation did."""
        self._offset_s += seconds

    def correct(self) -> None:
        """Back to the world's time: the clock was set right."""
        self.drift(0.0)
        self._offset_s = 0.0

    def drift(self, gain: float) -> None:
        """From now on gain `gain` seconds per second (1e-4 is a bad quartz); negative loses."""
        self._offset_s = self.offset_s
        self._drift, self._drift_from = gain, trio.current_time()
