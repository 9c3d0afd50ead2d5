"""Group commit over a store: what is durable when, who is told, and what a sick, slow or fenced disk does to it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from smsroute.config import Limits
from smsroute.message import Attempted, Receipted, State, Told, pack, unpack
from smsroute.store.base import StoreError
from tests.store.bench import Bench, accepted, ended


@pytest.fixture
async def bench(nursery: trio.Nursery, autojump_clock: MockClock) -> Bench:
    """A bench whose writer runs."""
    bench = Bench()
    nursery.start_soon(bench.journal.run)
    return bench


# -- commits -----------------------------------------------------------------------------------------------------------


async def test_a_commit_returns_once_its_facts_are_durable_and_true(bench: Bench, autojump_clock: MockClock) -> None:
    """On disk, applied, `then` called, the engine woken: in that order, before the caller goes on."""
    await bench.journal.commit([accepted("P1")], bench.then("P1"))
    assert bench.rows() == [[accepted("P1")]]
    assert list(bench.ledger.parts) == ["P1"]
    assert bench.told == [("P1", "ok 1")]
    assert (bench.journal.seq, bench.journal.commits, bench.journal.events, bench.applied) == (1, 1, 1, 1)
    assert bench.journal.waiting == 0


async def test_nothing_is_true_before_it_is_durable(bench: Bench, autojump_clock: MockClock) -> None:
    """Law 1: while the disk works, neither the ledger nor anybody who waits knows of the fact."""
    bench.blocking.takes_s = 3.0
    entry = bench.journal.append([accepted("P1")], bench.then("P1"))
    await trio.sleep(2.9)
    assert (bench.ledger.parts, bench.told, entry.settled.is_set(), bench.journal.waiting) == ({}, [], False, 1)
    await entry.settled.wait()
    assert trio.current_time() == pytest.approx(3.0)
    assert bench.told == [("P1", "ok 1")]


async def test_who_comes_while_the_disk_works_shares_the_next_row(bench: Bench, autojump_clock: MockClock) -> None:
    """A hundred callers, two rows: the first alone, the rest in the order they came, one fsync."""
    bench.blocking.takes_s = 1.0
    bench.journal.append([accepted("P000")])
    await trio.sleep(0.5)
    for number in range(1, 100):
        bench.journal.append([accepted(f"P{number:03d}")], bench.then(f"P{number:03d}"))
    await trio.sleep(2.0)
    assert [len(row) for row in bench.rows()] == [1, 99]
    assert list(bench.ledger.parts) == [f"P{number:03d}" for number in range(100)]
    assert [name for name, _ in bench.told] == [f"P{number:03d}" for number in range(1, 100)]
    assert bench.applied == 2


async def test_an_earlier_then_sees_what_a_later_entry_of_the_row_made_true(
    bench: Bench, autojump_clock: MockClock
) -> None:
    """A part expired in the row that attempted it: who wants to write its bytes sees that it is over."""
    seen: list[int] = []
    await bench.journal.commit([accepted("P1", wants=1)])
    attempt = Attempted(2.0, "orange", "orange-1", "fr", "why", ["P1"])
    bench.journal.append([attempt], lambda _: seen.append(bench.ledger.parts["P1"].state))
    receipt = Receipted("orange", 2.0, ["a1"], State.DELIVERED, part_id="P1")
    await bench.journal.commit([receipt])
    assert bench.journal.commits == 2
    assert seen == [State.DELIVERED]


async def test_a_row_is_bounded_and_no_entry_is_split(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """`journal_events_max` ends a row behind the entry that reaches it: what belongs together is durable together."""
    bench = Bench(Limits(journal_events_max=4))
    for number in range(5):
        bench.journal.append([accepted(f"P{number}a"), accepted(f"P{number}b"), accepted(f"P{number}c")])
    nursery.start_soon(bench.journal.run)
    await trio.sleep(1.0)
    assert [len(row) for row in bench.rows()] == [6, 6, 3]


async def test_a_caller_that_is_cancelled_leaves_nothing_half_done(bench: Bench, autojump_clock: MockClock) -> None:
    """Its session died while its submits were on their way to the disk: durable, applied, and `then` is called."""
    bench.blocking.takes_s = 1.0
    with trio.move_on_after(0.5) as scope:
        await bench.journal.commit([accepted("P1")], bench.then("P1"))
    assert scope.cancelled_caught
    await trio.sleep(1.0)
    assert bench.told == [("P1", "ok 1")]
    assert bench.rows() == [[accepted("P1")]]


async def test_a_then_may_append(bench: Bench, autojump_clock: MockClock) -> None:
    """What is done after a commit often makes the next fact; it goes into the next row."""

    def then(error: StoreError | None) -> None:
        bench.journal.append([ended("P1")])

    await bench.journal.commit([accepted("P1")], then)
    await trio.sleep(1.0)
    assert bench.rows() == [[accepted("P1")], [ended("P1")]]


# -- a sick disk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "failed", "busy"])
async def test_a_sick_disk_refuses_what_can_be_refused(bench: Bench, autojump_clock: MockClock, kind: str) -> None:
    """Both who were in the row and who waited are told why; nothing of it is true, on disk or in memory."""
    bench.blocking.sick = {"append": kind}
    bench.journal.append([accepted("P1")], bench.then("P1"))
    await trio.sleep(0.001)
    await bench.journal.commit([accepted("P2")], bench.then("P2"))
    assert bench.told == [("P1", kind), ("P2", kind)]
    assert (bench.ledger.parts, bench.disk.rows, bench.journal.waiting) == ({}, {}, 0)
    assert bench.journal.failing is not None
    assert bench.journal.failing.kind == kind


async def test_while_it_is_sick_a_refusal_takes_no_time(bench: Bench, autojump_clock: MockClock) -> None:
    """The ESME has its error at once and can go elsewhere; no queue is built of what cannot be kept."""
    bench.blocking.sick = {"append": "full"}
    await bench.journal.commit([accepted("P1")])
    began = trio.current_time()
    await bench.journal.commit([accepted("P2")], bench.then("P2"))
    assert trio.current_time() == began
    assert bench.told == [("P2", "full")]


async def test_what_has_happened_outside_waits_in_memory_and_is_written_when_it_heals(
    bench: Bench, autojump_clock: MockClock
) -> None:
    """A carrier answered: the caller goes on, the fact is kept in order, and only its durability calls `then`."""
    await bench.journal.commit([accepted("P1"), accepted("P2")])
    bench.blocking.sick = {"append": "failed"}
    bench.journal.append([ended("P1")], bench.then("first"), must=True)
    await trio.sleep(0.001)
    bench.journal.append([accepted("P3")], bench.then("refused"))
    bench.journal.append([ended("P1")], bench.then("second"), must=True)
    await trio.sleep(1.0)
    began = trio.current_time()
    await bench.journal.commit([ended("P2")], bench.then("third"), must=True)
    assert trio.current_time() == began, "kept: its caller does not wait for the disk"
    assert bench.told == [("refused", "failed")]
    assert bench.journal.waiting == 3
    assert bench.ledger.parts["P1"].state == State.DUE
    bench.blocking.sick = {}
    await bench.journal.healthy()
    await trio.sleep(0.1)
    assert [name for name, _ in bench.told] == ["refused", "first", "second", "third"]
    assert bench.rows() == [[accepted("P1"), accepted("P2")], [], [ended("P1"), ended("P1"), ended("P2")]]
    assert [part.state for part in bench.ledger.parts.values()] == [State.EXPIRED, State.EXPIRED]


async def test_memory_is_bounded_while_the_disk_is_sick(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Beyond `journal_waiting_max` a caller of must facts is held: its link is read no further until the disk heals."""
    bench = Bench(Limits(journal_waiting_max=3, store_retry_s=0.5))
    nursery.start_soon(bench.journal.run)
    bench.blocking.sick = {"append": "failed"}
    went: list[tuple[int, float]] = []

    async def reader() -> None:
        for number in range(10):
            told = Told(1.0, "acme", [f"P{number}"])
            await bench.journal.commit([told], must=True)
            went.append((number, round(trio.current_time(), 1)))

    nursery.start_soon(reader)
    await trio.sleep(10.0)
    assert [number for number, _ in went] == [0, 1, 2]
    assert bench.journal.waiting == 4
    bench.blocking.sick = {}
    await trio.sleep(1.0)
    assert [number for number, _ in went] == list(range(10))
    assert bench.ledger.counts.overtaken == 10
    assert bench.journal.waiting == 0


async def test_a_disk_that_heals_and_falls_sick_again_loses_nothing(bench: Bench, autojump_clock: MockClock) -> None:
    """The empty row goes through, the next does not: what must be kept is kept again, in order, and written once."""
    await bench.journal.commit([accepted("P1"), accepted("P2")])
    bench.blocking.sick = {"append": "full"}
    bench.journal.append([ended("P1")], bench.then("first"), must=True)
    await trio.sleep(0.1)
    for _ in range(3):
        while bench.journal.failing is not None:
            bench.blocking.sick = {}
            await trio.sleep(0.005)
        bench.blocking.sick = {"append": "full"}
        await trio.sleep(0.1)
        assert bench.told == []
    bench.journal.append([ended("P2")], bench.then("second"), must=True)
    bench.blocking.sick = {}
    await trio.sleep(2.0)
    assert bench.told == [("first", "ok 2"), ("second", "ok 2")]
    assert [row for row in bench.rows() if row] == [[accepted("P1"), accepted("P2")], [ended("P1"), ended("P2")]]


async def test_the_journal_says_since_when_it_fails(bench: Bench, autojump_clock: MockClock) -> None:
    """Wall time of the first failure, kept through the retries, for people and their alarms."""
    began = bench.clock.wall()
    bench.blocking.sick = {"append": "failed"}
    await bench.journal.commit([accepted("P1")])
    await trio.sleep(20.0)
    assert bench.journal.failing_since == pytest.approx(began + 0.01)
    assert str(bench.journal.failing) == "append: the disk is failed"
    retries = bench.blocking.began.count("append") - 1
    assert 30 <= retries <= 40, "every half a second, no more"


# -- fenced, closed ----------------------------------------------------------------------------------------------------


async def test_a_fenced_store_ends_the_run(autojump_clock: MockClock) -> None:
    """Another engine owns the journal: nothing is applied, nobody is told it was, `run` raises."""
    bench = Bench()
    bench.store.fence()
    bench.journal.append([accepted("P1")], bench.then("P1"))
    with pytest.raises(StoreError, match="another engine"):
        await bench.journal.run()
    assert (bench.told, bench.ledger.parts, bench.disk.rows) == ([], {}, {})


async def test_a_store_fenced_while_it_was_sick_ends_the_run(autojump_clock: MockClock) -> None:
    """The retry finds out."""
    bench = Bench()
    bench.blocking.sick = {"append": "failed"}
    bench.journal.append([accepted("P1")])

    async def fence() -> None:
        await trio.sleep(3.0)
        bench.blocking.sick = {"append": "fenced"}

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fence)
        with pytest.raises(StoreError) as raised:
            await bench.journal.run()
    assert raised.value.kind == "fenced"


@pytest.mark.parametrize("verb", ["checkpoint", "run_checkpoints", "run_pruning"])
async def test_whoever_meets_the_fence_raises(verb: str, autojump_clock: MockClock) -> None:
    """Checkpoint and pruning may be the first to hear of it."""
    bench = Bench()
    bench.blocking.sick = dict.fromkeys(["append", "checkpoint", "prune"], "fenced")
    with pytest.raises(StoreError) as raised:
        await getattr(bench.journal, verb)()
    assert raised.value.kind == "fenced"


async def test_close_lets_the_writer_finish(autojump_clock: MockClock) -> None:
    """All that is queued is durable, then `run` returns; with nothing queued it returns at once."""
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.journal.run)
        bench.journal.append([accepted("P1")])
        bench.journal.append([ended("P1")], must=True)
        bench.journal.close()
    assert bench.rows() == [[accepted("P1"), ended("P1")]]
    await bench.journal.run()


async def test_a_sick_disk_does_not_hold_up_a_stop(autojump_clock: MockClock) -> None:
    """One more try, then `run` returns: answers not written leave their attempts in doubt, as a crash does."""
    bench = Bench()
    bench.blocking.sick = {"append": "full"}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.journal.run)
        bench.journal.append([ended("P1")], bench.then("P1"), must=True)
        await trio.sleep(100.0)
        bench.journal.close()
    assert trio.current_time() < 102.0
    assert bench.told == []


async def test_a_disk_that_heals_at_the_stop_takes_all(autojump_clock: MockClock) -> None:
    """The one more try works: everything kept is written before `run` returns."""
    bench = Bench()
    bench.blocking.sick = {"append": "full"}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.journal.run)
        bench.journal.append([accepted("P1")], bench.then("P1"), must=True)
        await trio.sleep(100.0)
        bench.journal.close()
        bench.blocking.sick = {}
    assert bench.told == [("P1", "ok 1")]


def test_an_empty_row_is_a_row() -> None:
    """What a healing disk is asked with: nothing happened, and the journal goes on."""
    assert unpack(pack([])) == []


async def test_a_callback_that_fails_ends_nothing_but_itself(bench: Bench, autojump_clock: MockClock) -> None:
    """A fault of ours after a commit is counted and logged; the facts are true and the writer goes on."""

    def trips(error: StoreError | None) -> None:
        raise ValueError("a part that trips us up")

    await bench.journal.commit([accepted("P1")], trips)
    await bench.journal.commit([accepted("P2")], bench.then("P2"))
    assert list(bench.ledger.parts) == ["P1", "P2"]
    assert bench.told == [("P2", "ok 2")]
    assert bench.journal.faults == 1
