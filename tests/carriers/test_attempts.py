"""Which attempts count when a part is given up. smsroute/carriers/answers.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.message import Attempted, State, Withdrawn
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from tests.esmes.test_door import GOOD
from tests.house import house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")


async def test_an_attempt_that_never_left_is_no_try(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A bind that goes down under a part again and again does not use up its `attempts_max`."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        it.carriers["orange"].mode = Mode.CLOSED
        it.carriers["orange"].drop_links()
        await trio.sleep(3)
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        _, message_id = await raw.submit(GOOD)
        now = it.clock.wall()
        for _ in range(12):
            attempted = Attempted(now, "orange", "orange-1", "all", "its turn came", [message_id])
            await it.engine.journal.commit([attempted, Withdrawn(now, [message_id], "orange-1 went down")], must=True)
        it.carriers["orange"].mode = Mode.ERRORING
        part = it.engine.ledger.parts[message_id]
        await trio.sleep(5)
        assert len(part.attempts) > 12
        assert part.state == State.DUE
        assert part.why.endswith(" s")
