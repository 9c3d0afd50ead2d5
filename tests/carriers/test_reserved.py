"""Places reserved on binds, and what else is held between a choice and its bytes: given back whatever happens.
smsroute/carriers/dispatch.py, carriers/bind.py, carriers/roster.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from smsroute.carriers.bind import Bind
from smsroute.config import Carrier
from smsroute.message import State
from smsroute.routing.table import Table
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, pdu
from smsroute.store.base import StoreError
from tests.house import House, Raw, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
LATE = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:300", query_sm=True)


def body(destination_addr: str = "33100000001") -> bytes:
    """A submit_sm that wants a receipt."""
    return build_sm(destination_addr=destination_addr, registered_delivery=1, short_message=b"hi")


async def bound(it: House) -> Raw:
    """A platform that only submits."""
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    return raw


def take(it: House, carriers: Mapping[str, Carrier], **others: Any) -> None:
    """A reload with these carriers."""
    config = attrs.evolve(it.engine.config, carriers=carriers, **others)
    it.engine.reload(config, Table.of(config))


async def test_a_reload_that_ends_asking_leaves_the_window_its_places(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """`query_sm: false` while queries are unanswered: they still ride beside the window, and a window's worth of
    submits leaves."""
    limits = "{sweep_interval: 100ms, query_after: 20s, queries_max: 3, esme_enquire_link: 0s}"
    asked = "window: 4, rate: 500/s, response_timeout: 8s, query_sm: true"
    async with house(tmp_path, carriers={"orange": LATE}, carrier=asked, limits=limits) as it:
        raw = await bound(it)
        for number in range(2, 5):
            assert (await raw.submit(body(), number))[0] == 0
        await trio.sleep(19.5)
        it.carriers["orange"].mode = Mode.SILENT
        bind = it.engine.binds[0]
        await trio.sleep(2)
        assert bind.asked == 3
        take(it, {"orange": attrs.evolve(bind.carrier, query_sm=False)})
        await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, body()) for number in range(10, 14)))
        await trio.sleep(0.1)
        assert (bind.asked, bind.in_flight, bind.reserved) == (3, 4, 0)
        it.carriers["orange"].mode = Mode.KIND


async def test_a_carrier_that_comes_back_in_the_instant_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A reload names it again when its last bind is gone and its tasks are not: it is run again, by tasks of its
    own."""
    for turns in range(4):
        limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, leave_receipts: 1s}"
        (tmp_path / str(turns)).mkdir()
        async with house(tmp_path / str(turns), carriers={"orange": KIND, "blue": KIND}, limits=limits) as it:
            routes, carriers = it.engine.config.routes, it.engine.config.carriers
            blue = [attrs.evolve(routes[0], carriers=routes[0].backup, backup=())]
            station = it.engine.dispatch.stations["orange"]
            take(it, {"blue": carriers["blue"]}, routes=blue)
            gone = trio.Event()
            dismiss = station.dismiss

            def last(bind: Bind, dismiss: Callable[[Bind], None] = dismiss, gone: trio.Event = gone) -> None:
                dismiss(bind)
                gone.set()

            monkeypatch.setattr(station, "dismiss", last)
            with trio.fail_after(30):
                await gone.wait()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            take(it, carriers, routes=routes)
            await trio.sleep(3)
            assert [bind.state for bind in it.engine.dispatch.stations["orange"].binds] == ["bound"]
            raw = await bound(it)
            _, message_id = await raw.submit(body())
            await trio.sleep(3)
            part = it.engine.ledger.parts[message_id]
            assert (part.state, part.carrier) == (State.DELIVERED, "orange")


async def test_handsets_free_again_are_forgotten_where_nobody_waits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier without a queue does not gather the numbers whose queue was full once, for ever."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        station = it.engine.dispatch.stations["orange"]
        for number in range(2, 12):
            to = f"331000000{number:02d}"
            station.holds.refused(to, trio.current_time() - 60, trio.current_time() - 60)
            assert (await raw.submit(body(to), number))[0] == 0
        await trio.sleep(1)
        assert (len(station.holds), station.holds.freed) == (0, [])


async def test_one_bind_gone_from_the_roster_costs_no_other_its_places(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Parts for two carriers wait for a disk that refuses them in the end; one carrier has left meanwhile: the other
    has its places back, and the message its freedom."""
    async with house(tmp_path, carriers={"orange": KIND, "blue": KIND}) as it:
        dispatch = it.engine.dispatch
        flight = dispatch.takeoff()
        binds = [station.binds[0] for station in dispatch.stations.values()]
        for number, bind in enumerate(binds):
            flight.add(f"P{number}", bind, "all", "", "a test", f"m{number}")
        orange = dispatch.stations.pop("orange")
        flight.leave(StoreError("full", "no space"))
        dispatch.stations["orange"] = orange
        assert [bind.reserved for bind in binds] == [0, 0]
        assert not dispatch.pins
