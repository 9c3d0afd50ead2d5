"""The simulated disk keeps the promises of `ports.Blocking`."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from tests.sim.disk import SimBlocking, Tape


class Book:
    """A store of one method."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.full = False

    def append(self, seq: int, record: bytes) -> None:
        if self.full:
            raise OSError("no space")
        self.rows.append(record)


async def test_takes_time(autojump_clock: trio.testing.MockClock) -> None:
    """Work takes its latency in virtual time and gives its result."""
    blocking = SimBlocking(random.Random(1), (2.0, 2.0))
    assert await blocking.run(int, "42") == 42
    assert trio.current_time() == 2.0


async def test_cancel_waits(autojump_clock: trio.testing.MockClock) -> None:
    """A cancel while it runs waits for its end and its result; a cancel before it starts prevents it."""
    blocking, book = SimBlocking(random.Random(1), (2.0, 2.0)), Book()
    with trio.move_on_after(0.5):
        await blocking.run(book.append, 1, b"a")
        assert trio.current_time() == 2.0
    with trio.CancelScope() as scope:
        scope.cancel()
        await blocking.run(book.append, 2, b"b")
    assert book.rows == [b"a"]


async def test_refusal_names_the_write(autojump_clock: trio.testing.MockClock) -> None:
    """A sick disk refuses the store's calls by name and lets all else through."""
    blocking, book = SimBlocking(random.Random(1)), Book()

    def refuse(name: str) -> None:
        raise OSError(f"{name}: disk full")

    blocking.refuse = refuse
    with pytest.raises(OSError, match="append: disk full"):
        await blocking.run(book.append, 1, b"a")
    assert await blocking.run(len, book.rows) == 0


def test_tape_hears_what_is_durable() -> None:
    """The tape hears a row after it is durable, and nothing of one that failed."""
    heard: list[bytes] = []
    book = Book()
    tape = Tape(book, heard.append, print)
    tape.append(1, b"a")
    book.full = True
    with pytest.raises(OSError, match="no space"):
        tape.append(2, b"b")
    assert heard == book.rows == [b"a"]
    assert tape.full
