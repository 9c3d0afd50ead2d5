"""What a checkpoint costs the engine's loop: 100,000 rows written by a thread while a loop is busy in Python."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from smsroute.message import State
from smsroute.store import open_store
from tests.store.parts import checkpoint, part, record

PARTS = 50_000
A_CHECKPOINT = 10_000


def work() -> int:
    """Some 10 us of Python."""
    return sum(number * number for number in range(100))


@pytest.mark.slow
def test_writing_100_000_rows_hardly_disturbs_the_loop(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """The loop's longest pause stays well under what an operator's window hides, and the rows keep coming while it is
    busy: written row by row they come at 500 a second and fail the second half. The bounds are wide; the figures of a
    quiet machine are in store/history.py."""
    parts = [part(number) for number in range(PARTS)]
    failures: list[BaseException] = []
    with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
        store.append(1, record(1))

        def write() -> None:
            try:
                for start in range(0, PARTS, A_CHECKPOINT):
                    store.checkpoint(checkpoint(1, ended=parts[start : start + A_CHECKPOINT]))
            except BaseException as error:
                failures.append(error)
                raise

        writer = threading.Thread(target=write)
        started = last = time.perf_counter()
        writer.start()
        pauses = []
        while writer.is_alive():
            work()
            now = time.perf_counter()
            pauses.append(now - last)
            last = now
        writer.join()
        took = time.perf_counter() - started
        assert not failures
        assert store.counts().ended == {State.DELIVERED: PARTS}
    pauses.sort()
    rate, usual, longest = PARTS / took, pauses[-len(pauses) // 1000], pauses[-1]
    record_property("parts_s", rate)
    record_property("longest_pause_s", longest)
    print(f"{rate:,.0f} parts/s, pauses: p99.9 {usual * 1000:.1f} ms, longest {longest * 1000:.1f} ms")
    assert usual < 0.05
    assert longest < 1
    assert rate > 5000
