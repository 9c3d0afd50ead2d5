"""A carrier's lanes: a part that may not go holds up only those that may not go either. smsroute/carriers/lanes.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.carriers.bind import Row
from smsroute.message import State
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from smsroute.store.base import StoreError
from tests.house import House, Raw, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
SLOW = Temperament(response_delay="fixed:9", receipt_delay="fixed:0.5")
BUSY = Temperament(response_delay="fixed:0.35", receipt_delay="fixed:0.5")
ESME = 'acme: {password: {plain: "secret"}, window: 5000, rate: 100000/s, class_by: {service_type: {OTP: otp}}}'
TWO_ROUTES = (
    '- {name: alone, to: ["331"], carriers: [{carrier: orange}]}\n'
    '  - {name: backed, to: ["332"], carriers: [{carrier: orange}], backup: [{carrier: blue}]}'
)


def body(destination_addr: str, service_type: str = "") -> bytes:
    """A submit_sm that wants a receipt."""
    return build_sm(
        service_type=service_type, destination_addr=destination_addr, registered_delivery=1, short_message=b"hi"
    )


async def bound(it: House) -> Raw:
    """A platform that only submits."""
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    return raw


async def test_a_part_with_nowhere_to_go_holds_up_no_other_route(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A part at the head of a dead carrier's lane that has no other carrier does not keep those behind it from
    theirs."""
    async with house(
        tmp_path,
        carriers={"orange": KIND, "blue": KIND},
        routes=TWO_ROUTES,
        esmes=ESME,
        carrier="window: 1, rate: 50/s",
    ) as it:
        it.carriers["orange"].mode = Mode.SILENT
        raw = await bound(it)
        for number in range(2, 5):
            assert (await raw.submit(body("33100000001"), number))[0] == 0
        sent = [await raw.submit(body("33200000001"), number) for number in range(5, 8)]
        it.carriers["orange"].mode = Mode.CLOSED
        it.carriers["orange"].drop_links()
        await trio.sleep(60)
        parts = [it.engine.ledger.parts[message_id] for _, message_id in sent]
        assert [(part.state, part.carrier) for part in parts] == [(State.DELIVERED, "blue")] * 3


async def test_many_that_cannot_go_hide_nobody(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """However many parts that can go nowhere stand in front, those behind them are looked at in the end."""
    limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, dispatch_batch_max: 5}"
    carriers = {"orange": KIND, "blue": KIND}
    async with house(
        tmp_path, carriers=carriers, routes=TWO_ROUTES, esmes=ESME, carrier="window: 1, rate: 50/s", limits=limits
    ) as it:
        it.carriers["orange"].mode = Mode.SILENT
        raw = await bound(it)
        for number in range(2, 33):
            assert (await raw.submit(body("33100000001", "OTP"), number))[0] == 0
        sent = [await raw.submit(body("33200000001", "OTP"), number) for number in range(40, 43)]
        it.carriers["orange"].mode = Mode.CLOSED
        it.carriers["orange"].drop_links()
        await trio.sleep(60)
        parts = [it.engine.ledger.parts[message_id] for _, message_id in sent]
        assert [(part.state, part.carrier) for part in parts] == [(State.DELIVERED, "blue")] * 3


async def test_those_behind_a_part_that_waits_for_room_may_spill(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A part whose only carrier has no room does not keep those behind it from their backup."""
    carriers = {"orange": SLOW, "blue": KIND}
    async with house(tmp_path, carriers=carriers, routes=TWO_ROUTES, esmes=ESME, carrier="window: 1, rate: 50/s") as it:
        raw = await bound(it)
        for number in range(2, 5):
            assert (await raw.submit(body("33100000001"), number))[0] == 0
        _, message_id = await raw.submit(body("33200000001"), 5)
        await trio.sleep(3)
        part = it.engine.ledger.parts[message_id]
        assert (part.state, part.carrier) == (State.DELIVERED, "blue")


async def test_order_of_what_waits_for_room(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Parts that wait for room leave in the order they came, however often their lane is looked through."""
    limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, dispatch_batch_max: 5}"
    async with house(
        tmp_path, carriers={"orange": BUSY}, esmes=ESME, carrier="window: 1, rate: 50/s", limits=limits
    ) as it:
        raw = await bound(it)
        sent = [(await raw.submit(body("33100000001"), number))[1] for number in range(2, 32)]
        await trio.sleep(30)
        parts = [it.engine.ledger.parts[message_id] for message_id in sent]
        left_at = [part.attempts[0].at for part in parts]
        assert left_at == sorted(left_at)


class TestProbe:
    """The one part that asks whether a carrier lives."""

    @staticmethod
    async def _otp(raw: Raw, numbers: range, pause_s: float) -> None:
        for number in numbers:
            assert (await raw.submit(body("33600000001", "OTP"), number))[0] == 0
            await trio.sleep(pause_s)

    async def test_it_is_claimed_only_by_a_part_that_leaves(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """While the dead carrier takes nothing (paused), nobody claims its probe: it would time out and count as
        failed."""
        carriers = {"orange": KIND, "blue": KIND, "green": KIND}
        async with house(tmp_path, carriers=carriers, esmes=ESME) as it:
            raw = await bound(it)
            it.carriers["orange"].mode = Mode.ERRORING
            await self._otp(raw, range(2, 30), 0.1)
            station = it.engine.dispatch.stations["orange"]
            health = station.dossier.overall.health
            assert health.ejections == 1
            station.dossier.congestion.paused_until = trio.current_time() + 20
            await self._otp(raw, range(30, 90), 0.3)
            assert (health.state.value, health.ejections) == ("probe-open", 1)
            it.carriers["orange"].mode = Mode.KIND
            await self._otp(raw, range(90, 160), 0.3)
            assert health.state.value == "alive"

    async def test_it_is_given_back_when_its_attempt_is_not_durable(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A disk that refuses the probe's attempt leaves the carrier as it was: the next part asks."""

        def refuse(name: str) -> None:
            if name == "append":
                raise StoreError("failed", "I/O error")

        carriers = {"orange": KIND, "blue": KIND, "green": KIND}
        async with house(tmp_path, carriers=carriers, esmes=ESME) as it:
            raw = await bound(it)
            it.carriers["orange"].mode = Mode.ERRORING
            await self._otp(raw, range(2, 30), 0.1)
            health = it.engine.dispatch.stations["orange"].dossier.overall.health
            await trio.sleep(6)  # its first ejection lasts five seconds at most, and nobody submits
            assert health.state.value == "probe-open"
            it.blocking.refuse = refuse
            assert (await raw.submit(body("33600000001", "OTP"), 99))[0] != 0
            assert health.state.value == "probe-open"
            it.blocking.refuse = None

    async def test_a_probe_whose_bind_went_down_asks_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The bind of the probe is gone when its attempt is durable, and another lives: the probe is not failed, and
        the part asks by the other at once."""
        async with house(tmp_path, carriers={"orange": KIND, "blue": KIND}, esmes=ESME) as it:
            raw = await bound(it)
            it.carriers["orange"].mode = Mode.ERRORING
            await self._otp(raw, range(2, 30), 0.1)
            health = it.engine.dispatch.stations["orange"].dossier.overall.health
            await trio.sleep(6)
            assert health.state.value == "probe-open"
            it.carriers["orange"].mode = Mode.KIND
            bind = it.engine.dispatch.stations["orange"].binds[0]

            def gone(rows: list[Row], bodies: list[bytes]) -> bool:
                bind.release(len(rows))
                monkeypatch.undo()
                return False

            monkeypatch.setattr(bind, "launch", gone)
            assert (await raw.submit(body("33600000001", "OTP"), 99))[0] == 0
            await trio.sleep(2)
            assert it.engine.ledger.counts.withdrawn == 1
            assert (health.state.value, health.ejections) == ("alive", 1)


async def test_a_full_window_is_no_reason_to_ask_the_sick(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Parts that find the windows of the healthy carrier full for a moment wait for it: they do not move to one that
    has all the room in the world because it answers nobody."""
    carriers = {"orange": BUSY, "blue": KIND}
    routes = '- {name: both, to: ["331"], carriers: [{carrier: orange}, {carrier: blue}]}'
    async with house(tmp_path, carriers=carriers, routes=routes, esmes=ESME, carrier="window: 9, rate: 50/s") as it:
        raw = await bound(it)
        numbers = iter(range(2, 1000))
        for second in range(8):
            if second == 2:
                it.carriers["blue"].mode = Mode.SILENT
            if second == 4:
                before = it.carriers["blue"].counts["submits"]
            for _ in range(3 if second < 4 else 18):
                assert (await raw.submit(body("33100000001"), next(numbers)))[0] == 0
            await trio.sleep(1)
        assert it.carriers["blue"].counts["submits"] == before
        assert it.engine.ledger.queues.queued("orange") == 0


async def test_parts_tied_to_a_full_bind_hide_nobody(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """However many parts at the head of a lane wait for the one bind their messages began on, those behind them leave
    by the other binds, which have room; and the tied ones leave in order as theirs gets room."""
    limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, dispatch_batch_max: 5}"
    slow = Temperament(response_delay="fixed:4", receipt_delay="fixed:0.5")
    carrier, bind = "window: 1, rate: 50/s", "count: 2"
    async with house(tmp_path, carriers={"orange": slow}, carrier=carrier, bind=bind, limits=limits, esmes=ESME) as it:
        raw = await bound(it)
        sent = []
        for number in range(1, 31):
            said = build_sm(
                destination_addr="33100000001",
                esm_class=0x40,
                registered_delivery=1,
                short_message=bytes((5, 0, 3, 7, 30, number)) + b"hi",
            )
            sent.append((await raw.submit(said, number + 1))[1])
        _, message_id = await raw.submit(body("33100000002"), 50)
        await trio.sleep(2)
        parts = it.engine.ledger.parts
        assert [one.bind for one in parts[message_id].attempts] == ["orange-2"]
        await trio.sleep(200)
        tied = [parts[one].attempts for one in sent]
        assert {one[0].bind for one in tied} == {"orange-1"}
        assert [one[0].at for one in tied] == sorted(one[0].at for one in tied)
