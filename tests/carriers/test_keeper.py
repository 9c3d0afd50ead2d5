"""Scores outlive a restart and a power-off, and never stand in the way of a boot. smsroute/carriers/keeper.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import structlog
import trio

from smsroute.carriers.hearing import Hearing
from smsroute.message import State
from smsroute.routing.health import ALIVE
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Temperament
from smsroute.smpp.learn import Learner
from smsroute.store.base import StoreError
from smsroute.store.sqlite import open_store
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
KIND = {"orange": Temperament(response_delay="fixed:0.3", receipt_delay="fixed:2")}
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, success_bucket: 500ms, receipt_samples_min: 20, "
OFTEN = LIMITS + "receipt_window: 10s, score_keep_interval: 5s}"
SELDOM = LIMITS + "receipt_window: 10s, score_keep_interval: 1h}"


async def work(it: House) -> None:
    """Half a minute of good traffic."""
    await it.settle(it.platform(600, settings=EsmeSettings(rate=20)))


def usual(it: House) -> tuple[float, float]:
    """Usual latency, and receipts ever heard."""
    score = it.engine.dispatch.stations["orange"].dossier.overall.score
    return round(score.baseline_s, 3), score.receipts.heard


async def test_a_restart_keeps_what_was_learnt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Baseline and receipts are there the moment the next engine is ready, and its own farewell killed nobody."""
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=SELDOM) as it:
        await work(it)
        before = usual(it)
        assert before == (pytest.approx(0.3, abs=0.03), 600.0)
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=SELDOM) as it:
        assert usual(it) == before
        assert it.engine.dispatch.stations["orange"].dossier.overall.health.state is ALIVE


async def test_receipts_that_waited_for_our_start_are_no_slow_carrier(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A hundred parts were taken before the engine started, and an hour later their receipts come: the carrier had
    them ready, so its receipts are not late and its quality stays whole."""
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=SELDOM) as it:
        await work(it)
        dispatch = it.engine.dispatch
        hearing = Hearing(dispatch)
        parts = [part for part in it.engine.ledger.parts.values() if part.attempts][:100]
        dossier, now = dispatch.stations["orange"].dossier, trio.current_time()
        came = dossier.overall.score.receipts.count
        hearing.heard("orange", [(part, State.DELIVERED, "") for part in parts], it.engine.ports.clock.wall() + 3600)
        assert dossier.overall.score.receipts.count == came + 1, "its receiver lives"
        assert dict(dossier.terms("", now))["receipt_delay"] == 1.0


async def test_power_off_costs_an_interval_at_most(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Kept as the engine works: what stood there `score_keep_interval` ago is on the disk."""
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=OFTEN) as it:
        await work(it)
        known = usual(it)
        await trio.sleep(6)
        it.store.fence()  # from here on nothing more is written
        blob = it.store.kept("scores/orange")
        assert blob is not None
        await trio.sleep(0.1)
        it.engine.keeper.note()
        with pytest.raises(StoreError):
            await it.engine.keeper.keep()
        it.store._fenced = False
    with closing(open_store(f"sqlite:{tmp_path / 'store'}", "n1")) as store:
        store.keep("scores/orange", blob)  # as power left it
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=OFTEN) as it:
        assert usual(it) == known


async def test_a_rule_of_ids_is_kept_as_soon_as_it_is_learnt(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The messages that taught it are done, so that an engine killed a moment later could not learn it again from
    them: it does not wait for the next `score_keep_interval`."""
    kind = Temperament(ids="hex-dec", response_delay="fixed:0.3", receipt_delay="fixed:2")
    async with house(tmp_path, carriers={"orange": kind}, esmes=ESME, limits=SELDOM) as it:
        await it.settle(it.platform(40))
        blob = it.store.kept("ids/orange")
        assert blob is not None
        learner = Learner()
        learner.restore(blob)
        assert learner.rule == it.engine.dispatch.stations["orange"].naming.learner.rule == "hex-dec"
        assert it.store.kept("scores/orange") is None, "these have time"


@pytest.mark.parametrize("blob", [b"", b"\x00", b"\x95\x07", bytes(range(200))])
async def test_what_cannot_be_read_stops_no_boot(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, blob: bytes
) -> None:
    """A torn or foreign blob is told in one line and left alone; the carrier begins as new and works."""
    async with house(tmp_path, carriers=KIND, esmes=ESME) as it:
        await it.settle(it.platform(5))
    with closing(open_store(f"sqlite:{tmp_path / 'store'}", "n1")) as store:
        store.keep("scores/orange", blob)
    with structlog.testing.capture_logs() as lines:
        async with house(tmp_path, carriers=KIND, esmes=ESME) as it:
            assert usual(it) == (0.0, 0.0)
            await it.settle(it.platform(5))
    assert [line["carrier"] for line in lines if line["event"] == "scores.ignored"] == ["orange"]


async def test_what_is_too_old_is_not_believed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Older than `score_keep_age`: the carrier begins as new."""
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=SELDOM) as it:
        await work(it)
    await trio.sleep(3 * 86400)
    async with house(tmp_path, carriers=KIND, esmes=ESME, limits=SELDOM[:-1] + ", score_keep_age: 2d}") as it:
        assert usual(it) == (0.0, 0.0)


async def test_a_sick_disk_costs_no_more_than_the_keeping(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The disk refuses to keep: told in a line, tried again next time, and messages flow as ever."""

    def refuse(name: str) -> None:
        if name == "keep":
            raise StoreError("full", "no room")

    with structlog.testing.capture_logs() as lines:
        async with house(tmp_path, carriers=KIND, esmes=ESME, limits=OFTEN) as it:
            it.blocking.refuse = refuse
            await work(it)
            assert it.store.kept("scores/orange") is None
            it.blocking.refuse = None
            await trio.sleep(6)
            assert it.store.kept("scores/orange") is not None
    assert len([line for line in lines if line["event"] == "scores.not_kept"]) >= 5
