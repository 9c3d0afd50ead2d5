"""Decisions are kept when they change, in batches, and never at the price of a message. ops/decisions.py."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import trio

from smsroute.ops.past import read
from smsroute.routing import decide
from smsroute.routing.health import HealthState
from smsroute.routing.record import Record, replay
from smsroute.routing.views import CarrierView
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.store import open_reader
from smsroute.store.base import StoreError
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
TWO = {"orange": KIND, "sfr": KIND}
LIMITS = "{checkpoint_interval: 200ms, decision_refresh: 1m}"


def kept(it: House) -> list[Record]:
    records, unreadable = read(it.store.decisions(0.0, 1e12, 1000))
    assert not unreadable
    return records


async def test_one_that_stands_is_kept_once_and_anew_now_and_then(tmp_path: Path, autojump_clock: Any) -> None:
    """Traffic for 100 s over the same carriers: one record, and one more after `decision_refresh`."""
    async with house(tmp_path, carriers=TWO, limits=LIMITS) as it:
        await it.settle(it.platform(1000, settings=EsmeSettings(rate=10.0)))
        await trio.sleep(1)
        records = kept(it)
        assert [(one.route, one.network, one.message_class) for one in records] == [("all", "", 2)] * 2
        assert 60.0 <= records[1].at - records[0].at < 62.0
        assert records[0].digest == it.engine.config.digest
        assert records[0].place.startswith("smsroute.yaml:")
        assert [(one.carrier, one.weight) for one in records[0].choices] == [("orange", 1.0), ("sfr", 0.0)]
        assert replay(records[0]).choices == records[0].choices


async def test_a_carrier_that_leaves_is_another_decision(tmp_path: Path, autojump_clock: Any) -> None:
    """It is kept with who is refused and in what state, at most one a second of a key."""
    async with house(tmp_path, carriers=TWO, limits=LIMITS) as it:
        it.platform(300, settings=EsmeSettings(rate=20.0))
        await trio.sleep(5)
        it.carriers["orange"].mode = Mode.CLOSED
        await trio.sleep(10)
        records = kept(it)
        assert len(records) >= 2
        left = next(one for one in records if one.refused)
        assert [name for name, _ in left.refused] == ["orange"]
        assert not left.views["orange"].bound
        gaps = [later.at - one.at for one, later in pairwise(records)]
        assert min(gaps) >= 1.0


async def test_what_waits_is_written_at_the_stop(tmp_path: Path, autojump_clock: Any) -> None:
    """The last batch does not wait for a checkpoint that will not come."""
    async with house(tmp_path, carriers=TWO, limits="{checkpoint_interval: 1h}") as it:
        await it.settle(it.platform(1))
        assert kept(it) == []
        store = it.store

    reader = open_reader(f"sqlite:{store.directory}")
    assert len(reader.decisions(0.0, 1e12, 10)) == 1
    reader.close()


async def test_a_sick_disk_costs_decisions_and_no_message(tmp_path: Path, autojump_clock: Any) -> None:
    """Refused writes are dropped and counted; what is decided later is kept."""
    async with house(tmp_path, carriers=TWO, limits="{checkpoint_interval: 200ms, decision_refresh: 2s}") as it:

        def refuse(name: str) -> None:
            if name == "keep_decisions":
                raise StoreError("full", "no room for that")

        it.blocking.refuse = refuse
        esme = it.platform(100, settings=EsmeSettings(rate=20.0))
        await trio.sleep(1.5)
        assert it.engine.decisions.dropped == 1
        it.blocking.refuse = None
        await it.settle(esme)
        await trio.sleep(1)
        assert it.engine.decisions.dropped == 1
        assert len(kept(it)) >= 2


async def test_no_more_wait_than_allowed(tmp_path: Path, autojump_clock: Any) -> None:
    """Beyond `decisions_waiting_max` new ones are dropped, counted."""
    limits = "{checkpoint_interval: 1h, decision_refresh: 1s, decisions_waiting_max: 2}"
    async with house(tmp_path, carriers=TWO, limits=limits) as it:
        await it.settle(it.platform(100, settings=EsmeSettings(rate=20.0)))
        assert it.engine.decisions.dropped >= 1
        await it.engine.decisions.flush()
        assert len(kept(it)) == it.engine.decisions.kept == 2


async def test_the_old_are_forgotten(tmp_path: Path, autojump_clock: Any) -> None:
    """After `decisions_retention`, at the rhythm of pruning."""
    limits = "{checkpoint_interval: 200ms, decision_refresh: 2s, decisions_retention: 60s, prune_interval: 5s}"
    async with house(tmp_path, carriers=TWO, limits=limits) as it:
        await it.settle(it.platform(100, settings=EsmeSettings(rate=20.0)))
        assert kept(it)
        await trio.sleep(70)
        assert kept(it) == []


async def test_at_most_one_in_an_interval(tmp_path: Path, autojump_clock: Any) -> None:
    """Shares that swing with each plan, ten a second for 3 s: three records, a second or more apart."""
    async with house(tmp_path, carriers=TWO, limits="{checkpoint_interval: 1h}") as it:
        engine = it.engine
        route = engine.config.routes[0]
        well = {name: CarrierView(name) for name in TWO}
        dead = {**well, "orange": CarrierView("orange", HealthState.DEAD, admit_share=0.0)}
        begin = engine.ports.clock.monotonic()
        for tenth in range(30):
            views = (well, dead)[tenth % 2]
            plan = decide.plan(route, 2, views, engine.config.limits, begin + tenth / 10 + 0.001)
            engine.decisions.decided(("all", "", 2), views, plan, None)
        await engine.decisions.flush()
        assert engine.decisions.kept == 3


async def test_a_table_of_many_networks_keeps_each_once(tmp_path: Path, autojump_clock: Any) -> None:
    """More networks than have a score of their own, planned in turn: each decision is kept once, not once a round."""
    async with house(tmp_path, carriers=TWO, limits="{checkpoint_interval: 1h, networks_max: 50}") as it:
        engine = it.engine
        route, begin = engine.config.routes[0], engine.ports.clock.monotonic()
        views = {name: CarrierView(name) for name in TWO}
        for turn in range(3):
            plan = decide.plan(route, 2, views, engine.config.limits, begin + 10 * turn)
            for number in range(120):
                engine.decisions.decided(("all", str(number), 2), views, plan, None)
        await engine.decisions.flush()
        assert engine.decisions.kept == 120
