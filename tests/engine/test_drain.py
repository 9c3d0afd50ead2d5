"""The stop order: what is in flight, refused, half open or not yet connected when the engine is told to stop.
smsroute/engine.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.store.base import StoreError
from tests.house import house

KIND = Temperament(response_delay="fixed:0.3", receipt_delay="fixed:0.5")
ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'


async def test_receipts_that_come_while_it_drains(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Every receipt answered during a drain is there after the restart, and every one told was told once."""
    slow = Temperament(response_delay="normal:4:1", receipt_delay="normal:2:1")
    async with house(tmp_path, carriers={"orange": slow}, carrier="window: 500, rate: 500/s", esmes=ESME) as it:
        esme = it.platform(1000, settings=EsmeSettings(rate=200))
        await trio.sleep(6)
        orange = it.carriers["orange"]
    ledger = it.engine.ledger
    answered = orange.counts["receipts_answered"]
    assert answered > 100
    assert ledger.counts.receipts >= answered
    assert ledger.counts.told >= esme.counts["told"] > 100
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        kept = it.engine.ledger.counts
        assert (kept.receipts, kept.told) == (ledger.counts.receipts, ledger.counts.told)
        assert kept.accepted == ledger.counts.accepted >= esme.counts["accepted"]


async def test_it_stops_with_a_sick_disk(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A disk that refuses everything keeps no engine from stopping within its drain time."""

    def refuse(name: str) -> None:
        raise StoreError("failed", "I/O error")

    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        it.platform(200, settings=EsmeSettings(rate=40))
        await trio.sleep(2)
        it.blocking.refuse = refuse
        await trio.sleep(2)
        started = trio.current_time()
    assert trio.current_time() - started < 30


async def test_it_stops_while_nobody_answers(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Carriers and platforms that answer nothing, not even unbind, are left after their time."""
    async with house(tmp_path, carriers={"orange": KIND, "blue": KIND}, esmes=ESME) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        it.platform(200, settings=EsmeSettings(rate=40))
        await trio.sleep(2)
        for sim in it.carriers.values():
            sim.mode = Mode.SILENT
        await trio.sleep(2)
        started = trio.current_time()
    assert trio.current_time() - started < 30
    assert it.engine.dispatch.in_flight == 0
