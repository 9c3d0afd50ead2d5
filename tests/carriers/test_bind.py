"""Binds: kept up, within window and contract, and honest about what was in flight. smsroute/carriers/bind.py,
dispatch.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.message import State
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp.codec import build_sm
from tests.esmes.test_door import GOOD
from tests.house import house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s, class_by: {service_type: {OTP: otp}}}'
SLOW = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:0.3")


async def test_window_and_contract(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """In flight never passes the window of a bind, and no second holds more parts than the contract (law 7)."""
    async with house(tmp_path, carriers={"orange": SLOW}, carrier="window: 7, rate: 50/s", esmes=ESME) as it:
        esme = it.platform(400)
        await it.settle(esme)
        orange = it.carriers["orange"].counts
        assert 0 < orange["unanswered_max"] <= 7
        assert 40 <= orange["submits_s_max"] <= 50


async def test_transmitter_and_receiver_pair(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier without transceivers is served by a pair: submits on one bind, receipts on the other."""
    async with house(tmp_path, carriers={"orange": SLOW}, bind="mode: pair", esmes=ESME) as it:
        assert sorted(bind.name for bind in it.engine.binds) == ["orange-1-rx", "orange-1-tx"]
        esme = it.platform(100)
        await it.settle(esme)
        assert it.engine.ledger.counts.delivered == 100


async def test_reconnects(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A bind that is lost comes back by itself, and traffic with it."""
    async with house(tmp_path, carriers={"orange": SLOW}, esmes=ESME) as it:
        it.carriers["orange"].mode = Mode.CLOSED
        await trio.sleep(30)
        assert it.engine.binds[0].state in ("down", "connecting")
        it.carriers["orange"].mode = Mode.KIND
        esme = it.platform(50)
        await it.settle(esme)
        assert it.engine.binds[0].state == "bound"


async def test_wrong_password_is_not_hammered(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A bind refused for its password is tried again after minutes, not seconds: hammering gets accounts locked."""
    async with house(tmp_path, carriers={"orange": SLOW}, esmes=ESME) as it:
        orange = it.carriers["orange"]
        orange._password = "another"
        orange.drop_links()
        await trio.sleep(600)
        assert orange.counts["binds_refused"] == 1
        assert "ESME_RINVPASWD" in it.engine.binds[0].reason


async def test_in_doubt_is_held(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What was in flight on a link that died is in doubt and not sent again; a late receipt still ends it."""
    silent = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:40", silent_takes=True)
    async with house(tmp_path, carriers={"orange": silent, "backup": SLOW}, esmes=ESME) as it:
        it.carriers["orange"].mode = Mode.SILENT
        raw = await it.dial()
        assert await raw.bind() == 0
        _, message_id = await raw.submit(GOOD)
        await trio.sleep(30)
        part = it.engine.ledger.parts[message_id]
        assert part.state == State.IN_DOUBT
        assert len(part.attempts) == 1
        assert "no answer" in part.attempts[0].doubted
        assert it.carriers["backup"].counts["taken"] == 0


async def test_in_doubt_otp_is_sent_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An otp in doubt goes again after its ten seconds, elsewhere, and the attempt is marked as resent (law 6)."""
    async with house(tmp_path, carriers={"orange": SLOW, "backup": SLOW}, esmes=ESME) as it:
        it.carriers["orange"].mode = Mode.SILENT
        raw = await it.dial()
        assert await raw.bind() == 0
        body = build_sm(service_type="OTP", destination_addr="33612345678", registered_delivery=1, short_message=b"1")
        _, message_id = await raw.submit(body)
        await trio.sleep(60)
        part = it.engine.ledger.parts[message_id]
        assert part.state == State.DELIVERED
        assert [(attempt.carrier, attempt.resent) for attempt in part.attempts] == [("orange", True), ("backup", False)]


async def test_multipart_travels_one_bind(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """All parts of a multipart message go over one bind, whatever the load on the others (law 8)."""
    async with house(tmp_path, carriers={"orange": SLOW}, bind="count: 4", esmes=ESME) as it:
        esme = it.platform(400, parts=4, settings=EsmeSettings(binds=("transceiver",) * 3))
        await it.settle(esme)
        binds: dict[str, set[str]] = {}
        for part in it.engine.ledger.parts.values():
            binds.setdefault(part.multipart, set()).update(attempt.bind for attempt in part.attempts)
        assert len(binds) == 100
        assert all(len(used) == 1 for used in binds.values())
        assert len(set().union(*binds.values())) > 1


async def test_drained_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Nothing new goes to a drained carrier; what queues there moves with the reason; it loses nothing."""
    async with house(tmp_path, carriers={"orange": SLOW, "backup": SLOW}, esmes=ESME) as it:
        esme = it.platform(600, settings=EsmeSettings(rate=200))
        await trio.sleep(1)
        it.engine.dispatch.stations["orange"].drained = "maintenance"
        it.engine.dispatch.wake(["orange"])
        before = it.carriers["orange"].counts["taken"]
        await it.settle(esme)
        assert it.carriers["orange"].counts["taken"] - before <= 20
        assert it.engine.ledger.counts.delivered == 600


async def test_a_reference_used_again_is_another_message(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A client that never changes its concatenation reference is not tied to a carrier: its next message goes
    elsewhere."""
    async with house(tmp_path, carriers={"orange": SLOW, "backup": SLOW}, esmes=ESME) as it:
        raw = await it.dial()
        assert await raw.bind() == 0

        async def message(first: int) -> list[str]:
            ids = []
            for number in (1, 2):
                data = bytes((5, 0, 3, 7, 2, number)) + b"hello"
                body = build_sm(destination_addr="33612345678", esm_class=0x40, short_message=data)
                ids.append((await raw.submit(body, first + number))[1])
            await trio.sleep(10)
            return ids

        first = await message(10)
        it.carriers["orange"].mode = Mode.CLOSED
        await trio.sleep(5)
        second = await message(20)
        parts = it.engine.ledger.parts
        assert [parts[part_id].attempts[-1].carrier for part_id in first] == ["orange"] * 2
        assert [parts[part_id].attempts[-1].carrier for part_id in second] == ["backup"] * 2
