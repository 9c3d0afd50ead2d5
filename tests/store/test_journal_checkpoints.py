"""Checkpoints over a store: what they cut, keep and give back; pruning; and what is there after a power cut."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from smsroute.config import Limits
from smsroute.message import AnyEvent, Receipted, State
from smsroute.store.base import StoreError
from tests.store.bench import Bench, accepted, ended


@pytest.fixture
async def bench(nursery: trio.Nursery, autojump_clock: MockClock) -> Bench:
    """A bench whose writer runs."""
    bench = Bench()
    nursery.start_soon(bench.journal.run)
    return bench


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


async def test_one_that_somebody_asks_for_waits_for_the_one_under_way(bench: Bench, autojump_clock: MockClock) -> None:
    """Two at a time would write the older one behind the newer; each is whole before the next begins."""
    await bench.journal.commit([accepted("P1")])
    bench.blocking.takes_s = 10.0
    bench.blocking.began.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.journal.checkpoint)
        await trio.sleep(0.5)
        bench.blocking.takes_s = 0.01
        await bench.journal.commit([accepted("P2")])
        nursery.start_soon(bench.journal.checkpoint)
    assert bench.blocking.began == ["checkpoint", "append", "trim", "checkpoint", "trim"]
    assert sorted(bench.disk.open) == ["P1", "P2"]


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
