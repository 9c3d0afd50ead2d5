"""What waits at a carrier that can take nothing moves off it, in batches. smsroute/carriers/lanes.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import trio

from smsroute.message import Accepted, Moved
from smsroute.sim.temperament import Temperament
from smsroute.smpp.codec import build_sm
from tests.house import house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
BATCH = 100


async def test_a_drained_carriers_queue_moves_in_batches_most_urgent_first(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """1,200 parts of four classes wait at a carrier that a person takes out: all move, with the reason, at most a batch
    between two commits, and never more than a second's worth waits at the other."""
    limits = f"{{checkpoint_interval: 1s, dispatch_batch_max: {BATCH}}}"
    async with house(
        tmp_path, carriers={"orange": KIND, "blue": KIND}, carrier="window: 50, rate: 200/s", limits=limits
    ) as it:
        engine, dispatch = it.engine, it.engine.dispatch
        dispatch.stations["orange"].drained = "for the night"
        dispatch.draining = True  # nobody moves while the queue is filled
        body = build_sm(destination_addr="33612345678", short_message=b"hi")
        wall = it.clock.wall()
        parts = [f"{number:020d}" for number in range(1200)]
        await engine.journal.commit(
            [
                Accepted(one, wall, "acme", n % 4, "SHOP", "33612345678", body, 20, 0, wall + 3600, "all", "orange")
                for n, one in enumerate(parts)
            ]
        )
        batches: list[int] = []
        deepest = 0
        pick = dispatch.lanes.pick

        def look(station, flight, now):  # type: ignore[no-untyped-def]
            nonlocal deepest
            events = pick(station, flight, now)
            batches.append(sum(len(event.part_ids) for event in events if isinstance(event, Moved)))
            deepest = max(deepest, engine.ledger.queues.queued("blue"))
            return events

        dispatch.lanes.pick = look  # type: ignore[method-assign]
        dispatch.draining = False
        dispatch.wake(dispatch.stations)
        await trio.sleep(9)
        gone = [engine.ledger.parts[one] for one in parts]
        assert Counter(part.carrier for part in gone) == {"blue": 1200}
        assert all("orange is drained: for the night" in part.facts[0] for part in gone)
        assert max(batches) <= BATCH
        assert deepest <= 200 + BATCH
        last = {n: max(part.attempts[0].at for part in gone if part.message_class == n) for n in range(4)}
        assert last[0] < last[1] < last[2] < last[3]
