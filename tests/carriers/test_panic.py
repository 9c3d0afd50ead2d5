"""When no carrier lives and parts wait all the same: the first one taken tells. smsroute/carriers/lanes.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.routing.health import ALIVE
from smsroute.sim.temperament import Mode, Temperament
from tests.house import house

SLOW = Temperament(response_delay="fixed:0.2", receipt_delay="fixed:0.5")


async def test_a_queue_in_panic_asks_too(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A lone carrier that is well again is alive within its ejection, though its queue never empties: the part that
    goes to it in panic is the one that asks."""
    async with house(tmp_path, carriers={"orange": SLOW}, carrier="window: 2, rate: 500/s") as it:
        orange = it.carriers["orange"]
        health = it.engine.dispatch.stations["orange"].dossier.overall.health
        it.platform(600)
        await trio.sleep(1)
        orange.mode = Mode.CLOSED
        orange.drop_links()
        await trio.sleep(3)
        orange.mode = Mode.KIND
        assert health.state is not ALIVE
        await trio.sleep(15)
        assert it.engine.dispatch.stations["orange"].queued > 50
        assert health.state is ALIVE
