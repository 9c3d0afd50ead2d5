"""The stores the conformance suite runs on: a new one joins by one more Home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from copy import deepcopy
from pathlib import Path
from typing import Protocol

import pytest

from smsroute.store import open_reader, open_store
from smsroute.store.base import Reader, Store
from tests.store.memory import Disk, MemoryStore


class Home(Protocol):
    """Where one store lives, through restarts."""

    def open(self) -> Store: ...
    def reader(self) -> Reader: ...
    def kill(self) -> None:
        """The engine's process dies this instant; what is on the disk is what `open` finds next."""


class SqliteHome:
    """A folder; a kill is a copy of it taken while the store is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lives = 0
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return f"sqlite:{self._folder / str(self._lives)}"

    def open(self) -> Store:
        return self._stack.enter_context(closing(open_store(self.url, "n1")))

    def reader(self) -> Reader:
        return self._stack.enter_context(closing(open_reader(self.url)))

    def kill(self) -> None:
        left = self._folder / str(self._lives)
        self._lives += 1
        shutil.copytree(left, self._folder / str(self._lives), ignore=shutil.ignore_patterns("*-shm"))

    def close(self) -> None:
        self._stack.close()


class MemoryHome:
    """A Disk."""

    def __init__(self, folder: Path) -> None:
        self._disk = Disk()

    def open(self) -> Store:
        return MemoryStore(self._disk)

    def reader(self) -> Reader:
        return MemoryStore(self._disk, reading=True)

    def kill(self) -> None:
        self._disk = deepcopy(self._disk)
        self._disk.taken = False

    def close(self) -> None:
        pass


@pytest.fixture(params=[SqliteHome, MemoryHome], ids=["sqlite", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """One empty store of each kind."""
    with closing(request.param(tmp_path)) as home:
        yield home
