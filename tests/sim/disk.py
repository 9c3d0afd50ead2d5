"""The simulated disk: blocking work inline, with a latency, and a store that tells what became durable.

Rules:
- No thread: a thread would fool virtual time. The very same store code runs as in production.
- Work that started is never abandoned by a cancel, as with a thread; half of its latency lies before it, half after, so
  that power may fail while a fact is durable and nobody has acted on it yet.

Walk: `world` builds the engine's ports with `SimBlocking` and its store with `Tape`; `faults` turns the knobs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")

WRITES = frozenset({"append", "checkpoint", "trim", "prune", "keep", "keep_decisions"})
"""Names of the store's methods that a full disk refuses."""
READS = frozenset({"find", "story", "kept", "owed"})
"""And those that a sick one refuses besides. (Not `recover`: an engine that cannot read does not boot.)"""


class SimBlocking:
    """A `ports.Blocking` without threads."""

    def __init__(self, rng: random.Random, latency_s: tuple[float, float] = (0.0002, 0.003)) -> None:
        self.latency_s = latency_s
        self.refuse: Callable[[str], None] | None = None
        """Called with the name of each write and read; raises what the sick disk says."""
        self.ran = 0
        self._rng = rng

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(*args)`, after a while."""
        await trio.lowlevel.checkpoint()
        self.ran += 1
        half_s = self._rng.uniform(*self.latency_s) / 2
        name = getattr(work, "__name__", "")
        with trio.CancelScope(shield=True):
            await trio.sleep(half_s)
            try:
                if self.refuse is not None and name in WRITES | READS:
                    self.refuse(name)
                result = work(*args)
            finally:
                await trio.sleep(half_s)
        return result


class Tape:
    """A store, and somebody who hears each journal row the moment it is durable, and each other write before and after
    (so that power may fail at either moment)."""

    def __init__(self, store: Any, heard: Callable[[bytes], None], wrote: Callable[[str], None]) -> None:
        self._store = store
        self._heard = heard
        self._wrote = wrote

    def append(self, seq: int, record: bytes) -> None:
        """One journal row, durable on return."""
        self._store.append(seq, record)
        self._heard(record)

    def checkpoint(self, checkpoint: Any) -> None:
        """What happened up to a row, durable on return."""
        self._wrote("checkpoint begins")
        self._store.checkpoint(checkpoint)
        self._wrote("checkpoint is durable")

    def trim(self, through: int) -> None:
        """The journal is cut."""
        self._store.trim(through)
        self._wrote("journal is cut")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
