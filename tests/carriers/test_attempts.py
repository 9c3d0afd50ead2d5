"""Which attempts count when a part is given up. smsroute/carriers/answers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.message import Attempted, Blame, Doubted, Requeued, Responded, State, Withdrawn
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
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


@pytest.mark.parametrize("parts", [1, 2, 3])
async def test_a_long_message_refused_goes_to_the_next_carrier_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, parts: int
) -> None:
    """A carrier that refuses all parts of a message, and is not sick (this sender, this network), loses the message to
    the next one, as it loses a message of one part; all its parts go the same way (law 8)."""
    limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, dead_consecutive_faults: 1000, dead_success_share: 0}"
    picky = Temperament(response_delay="fixed:0.02", error_share=1.0, error_statuses="ESME_RSUBMITFAIL")
    async with house(tmp_path, carriers={"orange": picky, "blue": KIND}, limits=limits, bind="count: 2") as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        sent = []
        for part in range(1, parts + 1):
            header = bytes((5, 0, 3, 7, parts, part)) if parts > 1 else b""
            body = build_sm(
                destination_addr="33600000001",
                esm_class=0x40 if header else 0,
                registered_delivery=1,
                short_message=header + b"hello",
            )
            sent.append((await raw.submit(body, part + 1))[1])
        await trio.sleep(20)
        told = [it.engine.ledger.parts[message_id] for message_id in sent]
        assert [(one.state, one.carrier) for one in told] == [(State.DELIVERED, "blue")] * parts
        assert len({one.attempts[-1].bind for one in told}) == 1


async def test_an_attempt_overtaken_on_its_way_to_the_disk_is_withdrawn(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The first attempt is answered in the commit of the second one: of that no byte leaves, its place is free again,
    and the story says that it never left."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        it.carriers["orange"].mode = Mode.SILENT
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        _, message_id = await raw.submit(GOOD)
        await trio.sleep(1)
        (bind,) = it.engine.binds
        room, now = bind.room, it.clock.wall()
        bind.reserve()
        await it.engine.journal.commit(
            [
                Doubted(now, [message_id], "no answer"),
                Requeued(now, [message_id], "", "it may go twice"),
                Attempted(now, "orange", "orange-1", "all", "its turn came", [message_id]),
                Responded(message_id, 0, now, Blame.OK, 0, "a1"),
            ],
            lambda _: it.engine.dispatch.departures.launch(bind, "", [message_id]),
            must=True,
        )
        await trio.sleep(1)
        part = it.engine.ledger.parts[message_id]
        assert part.state == State.SUBMITTED
        assert [attempt.withdrawn for attempt in part.attempts] == [False, True]
        assert bind.room == room
