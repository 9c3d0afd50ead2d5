"""Slices: a walk over many things that never takes long.

Rules:
- A walk that is over begins anew with the next look; what changed meanwhile is seen then.

Walk: `carriers/query`, `carriers/adopt` and `carriers/sweep` look at their parts so, some each round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Slices(Generic[T]):
    """Walks over many things again and again, some at a time: a million of them cost no pause."""

    def __init__(self, source: Callable[[], Iterator[T]]) -> None:
        """`source` begins a walk; it is to look at nothing before the first thing is asked of it."""
        self._source = source
        self._walk = source()

    def take(self, most: int) -> list[T]:
        """The next ones; fewer at the end of a walk."""
        some = list(islice(self._walk, most))
        if len(some) < most:
            self._walk = self._source()
        return some
