"""Group commit over a store: what is durable when, who is told, and what a sick, slow or fenced disk does to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest
import trio
from trio.testing import MockClock

from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.message import Accepted, AnyEvent, Attempted, Cause, Finished, Receipted, State, Told, pack, unpack
from smsroute.ports import Ports
from smsroute.store.base import StoreError
from smsroute.store.journal import Journal
from tests.sim.clock import SimClock
from tests.store.memory import Disk, MemoryStore

T = TypeVar("T")
LIMITS = Limits(store_retry_s=0.5, checkpoint_interval_s=5.0, prune_interval_s=300.0, finished_in_memory_max=2)


class SickBlocking:
    """A disk arm: each work takes `takes_s`, and may be refused, by name, before it is begun."""

    def __init__(self) -> None:
        self.takes_s = 0.01
        self.sick: dict[str, str] = {}  # work -> kind of StoreError
        self.began: list[str] = []
        self.done: list[str] = []

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """As a thread would: cancelled only before it begins."""
        await trio.lowlevel.checkpoint()
        name = work.__name__
        self.began.append(name)
        with trio.CancelScope(shield=True):
            await trio.sleep(self.takes_s)
        if name in self.sick:
            raise StoreError(cast(Any, self.sick[name]), f"{name}: the disk is {self.sick[name]}")
        result = work(*args)
        self.done.append(name)
        return result


class Bench:
    """A journal over a memory store and a real ledger, in virtual time."""

    def __init__(self, limits: Limits = LIMITS, disk: Disk | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        self.store = MemoryStore(self.disk)
        self.ledger = Ledger(orphans_max=10, multiparts_max=10)
        recovered = self.store.recover()
        if recovered.checkpoint is not None:
            self.ledger.restore(recovered.parts(), recovered.checkpoint.state)
        seq = 0 if recovered.checkpoint is None else recovered.checkpoint.through
        for row, events in recovered.events():
            seq = row
            for event in events:
                self.ledger.apply(event)
        self.blocking = SickBlocking()
        self.clock = SimClock()
        self.applied = 0
        ports = Ports(self.clock, cast(Any, None), cast(Any, None), self.blocking)
        self.journal = Journal(self.store, self.ledger, ports, limits, seq, self._on_applied)
        self.told: list[tuple[str, str]] = []

    def _on_applied(self) -> None:
        self.applied += 1

    def then(self, name: str) -> Callable[[StoreError | None], None]:
        """Remembers what it was told, and how many parts the ledger held then."""
        return lambda error: self.told.append((name, error.kind if error else f"ok {len(self.ledger.parts)}"))

    def rows(self) -> list[list[AnyEvent]]:
        """What the journal holds on disk."""
        assert list(self.disk.rows) == sorted(self.disk.rows), "rows in order"
        return [unpack(record) for _, record in self.disk.rows.values()]


def accepted(part_id: str, wants: int = 0) -> Accepted:
    """A part is ours."""
    return Accepted(part_id, 1.0, "acme", 2, "SHOP", "336", b"address text", 7, wants, 60.0, "fr", "orange")


def ended(*part_ids: str) -> Finished:
    """They expired."""
    return Finished(2.0, list(part_ids), Cause.EXPIRED, "", "late")


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
    bench.journal.append([accepted("P3")], bench.then("refused"))
    await trio.sleep(1.0)
    began = trio.current_time()
    await bench.journal.commit([ended("P2")], bench.then("second"), must=True)
    assert trio.current_time() == began, "kept: its caller does not wait for the disk"
    assert bench.told == [("refused", "failed")]
    assert bench.journal.waiting == 2
    assert bench.ledger.parts["P1"].state == State.DUE
    bench.blocking.sick = {}
    await bench.journal.healthy()
    await trio.sleep(0.1)
    assert [name for name, _ in bench.told] == ["refused", "first", "second"]
    assert bench.rows() == [[accepted("P1"), accepted("P2")], [], [ended("P1"), ended("P2")]]
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


# -- checkpoints -------------------------------------------------------------------------------------------------------


async def test_a_checkpoint_cuts_the_journal_and_loses_nothing(bench: Bench, autojump_clock: MockClock) -> None:
    """What was in rows is in the tables; a restart has the same parts."""
    await bench.journal.commit([accepted("P1"), accepted("P2")])
    await bench.journal.commit([ended("P2")])
    await bench.journal.checkpoint()
    assert bench.disk.rows == {}
    assert list(bench.disk.open) == ["P1"]
    assert list(bench.disk.ended) == ["P2"]
    await bench.journal.commit([accepted("P3")])
    bench.disk.taken = False
    other = Bench(disk=bench.disk)
    assert list(other.ledger.parts) == ["P1", "P3"]
    assert other.ledger.counts == bench.ledger.counts
    assert other.journal.seq == bench.journal.seq == 3


async def test_facts_that_touch_no_part_are_checkpointed_too(bench: Bench, autojump_clock: MockClock) -> None:
    """A carrier that sends nothing but strange receipts must not make the journal grow for ever."""
    for number in range(3):
        await bench.journal.commit([Receipted("orange", 1.0, [f"x{number}"], State.DELIVERED)], must=True)
    await bench.journal.checkpoint()
    assert bench.disk.rows == {}
    bench.disk.taken = False
    assert len(Bench(disk=bench.disk).ledger.orphans) == 3


async def test_without_news_there_is_no_checkpoint(bench: Bench, autojump_clock: MockClock) -> None:
    """An idle engine writes nothing."""
    await bench.journal.commit([accepted("P1")])
    await bench.journal.checkpoint()
    began = list(bench.blocking.began)
    await bench.journal.checkpoint()
    assert bench.blocking.began == began


async def test_parts_at_rest_leave_memory_after_their_checkpoint(bench: Bench, autojump_clock: MockClock) -> None:
    """All but the last `finished_in_memory_max` (2 here), and not before they are on disk."""
    for number in range(5):
        await bench.journal.commit([accepted(f"P{number}"), ended(f"P{number}")])
    bench.blocking.sick = {"checkpoint": "full"}
    await bench.journal.checkpoint()
    assert len(bench.ledger.parts) == 5
    bench.blocking.sick = {}
    await bench.journal.checkpoint()
    assert list(bench.ledger.parts) == ["P3", "P4"]


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_checkpoint_that_fails_is_brought_again_whole(
    bench: Bench, autojump_clock: MockClock, meanwhile: bool
) -> None:
    """The journal is not cut; the next one has what this one took and what came since."""
    await bench.journal.commit([accepted("P1"), accepted("P2"), ended("P2")])
    bench.blocking.sick = {"checkpoint": "full"}
    await bench.journal.checkpoint()
    assert (len(bench.disk.rows), bench.disk.open, bench.disk.ended) == (1, {}, {})
    bench.blocking.sick = {}
    if meanwhile:
        await bench.journal.commit([ended("P1")])
    await bench.journal.checkpoint()
    assert list(bench.disk.open) == ([] if meanwhile else ["P1"])
    assert sorted(bench.disk.ended) == (["P1", "P2"] if meanwhile else ["P2"])
    assert bench.disk.rows == {}


async def test_a_cut_that_fails_is_tried_again(bench: Bench, autojump_clock: MockClock) -> None:
    """The checkpoint itself is durable: nothing is given back; the rows go with the next one."""
    await bench.journal.commit([accepted("P1")])
    bench.blocking.sick = {"trim": "busy"}
    await bench.journal.checkpoint()
    assert (len(bench.disk.rows), list(bench.disk.open)) == (1, ["P1"])
    assert bench.ledger.take().open == []
    bench.blocking.sick = {}
    await bench.journal.checkpoint()
    assert bench.disk.rows == {}


async def test_a_checkpoint_cancelled_before_it_began_gives_back(bench: Bench, autojump_clock: MockClock) -> None:
    """The engine stops in this very instant: its last checkpoint still has everything."""
    await bench.journal.commit([accepted("P1")])
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.journal.checkpoint()
    assert scope.cancelled_caught
    assert bench.disk.open == {}
    await bench.journal.checkpoint()
    assert list(bench.disk.open) == ["P1"]


async def test_a_slow_checkpoint_holds_up_no_commit(
    bench: Bench, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """History is written beside the journal; and what is committed meanwhile is not cut off it."""
    await bench.journal.commit([accepted("P1")])

    async def slowly() -> None:
        bench.blocking.takes_s = 10.0
        await bench.journal.checkpoint()

    nursery.start_soon(slowly)
    await trio.sleep(1.0)
    bench.blocking.takes_s = 0.01
    began = trio.current_time()
    await bench.journal.commit([accepted("P2")])
    assert trio.current_time() == pytest.approx(began + 0.01)
    await trio.sleep(20.0)
    assert bench.rows() == [[accepted("P2")]]
    assert list(bench.disk.open) == ["P1"]


async def test_checkpoints_come_by_the_clock(bench: Bench, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Every `checkpoint_interval_s`; one that fails delays none of the next."""
    nursery.start_soon(bench.journal.run_checkpoints)
    bench.blocking.sick = {"checkpoint": "failed"}
    await bench.journal.commit([accepted("P1")])
    await trio.sleep(12.0)
    assert bench.blocking.began.count("checkpoint") == 2
    bench.blocking.sick = {}
    await trio.sleep(5.0)
    assert list(bench.disk.open) == ["P1"]
    assert bench.journal.checkpointed_at == pytest.approx(bench.clock.wall(), abs=5.1)


async def test_old_history_is_pruned_by_the_clock_in_small_steps(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What ended before the retention goes, `prune_rows_max` at a time; a disk that refuses is asked again later."""
    bench = Bench(Limits(prune_interval_s=60.0, prune_rows_max=2))
    nursery.start_soon(bench.journal.run)
    events: list[AnyEvent] = [event for number in range(5) for event in (accepted(f"P{number}"), ended(f"P{number}"))]
    await bench.journal.commit(events)
    await bench.journal.checkpoint()
    bench.blocking.sick = {"prune": "busy"}
    nursery.start_soon(bench.journal.run_pruning)
    await trio.sleep(61.0)
    assert len(bench.disk.ended) == 5
    bench.blocking.sick = {}
    await trio.sleep(60.0)
    assert bench.disk.ended == {}
    assert bench.blocking.done.count("prune") == 4


# -- power cuts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_after_any_power_cut_what_was_promised_is_there(seed: int, autojump_clock: MockClock) -> None:
    """Callers, checkpoints, a disk that is slow, full and well by turns; then the power fails at a random moment. A new
    engine has every part whose `then` was told it is durable, and none whose was told it is not."""
    rng = random.Random(seed)
    bench = Bench(Limits(store_retry_s=0.3, journal_events_max=5, journal_waiting_max=20, finished_in_memory_max=1000))
    promised: set[str] = set()
    refused: set[str] = set()

    async def caller(name: str) -> None:
        for number in range(200):
            part_id = f"{name}{number:03d}"
            known = sorted(bench.ledger.parts)

            def then(error: StoreError | None, part_id: str = part_id) -> None:
                (promised if error is None else refused).add(part_id)

            if known and rng.random() < 0.3:
                await bench.journal.commit([ended(rng.choice(known))], must=True)
            await bench.journal.commit([accepted(part_id, wants=1)], then, must=rng.random() < 0.3)
            await trio.sleep(rng.choice([0.0, 0.0, 0.05, 0.3]))

    async def weather() -> None:
        while True:
            await trio.sleep(rng.uniform(0.1, 2.0))
            bench.blocking.takes_s = rng.choice([0.001, 0.01, 0.2])
            kinds = {name: rng.choice(["full", "failed", "busy"]) for name in ("append", "checkpoint", "trim")}
            bench.blocking.sick = {name: kind for name, kind in kinds.items() if rng.random() < 0.25}

    async def checkpoints() -> None:
        while True:
            await trio.sleep(rng.uniform(0.1, 1.0))
            await bench.journal.checkpoint()

    with trio.move_on_after(rng.uniform(1.0, 15.0)):
        async with trio.open_nursery() as nursery:
            for task in (bench.journal.run, weather, checkpoints):
                nursery.start_soon(task)
            for name in "ABC":
                nursery.start_soon(caller, name)
    bench.store.fence()
    bench.disk.taken = False
    other = Bench(disk=bench.disk)
    assert promised, "something was promised"
    assert promised <= set(other.ledger.parts)
    assert not refused & set(other.ledger.parts)
    before, after = bench.ledger.parts, other.ledger.parts
    assert {part_id: (part.state, part.ended_at) for part_id, part in after.items() if part_id in before} == {
        part_id: (part.state, part.ended_at) for part_id, part in before.items()
    }


def test_an_empty_row_is_a_row() -> None:
    """What a healing disk is asked with: nothing happened, and the journal goes on."""
    assert unpack(pack([])) == []
