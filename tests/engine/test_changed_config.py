"""A restart with another config: what the old one named and the new one does not. smsroute/carriers/dispatch.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.config import load
from smsroute.engine import build
from smsroute.message import State
from smsroute.ports import Ports
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from smsroute.store.sqlite import open_store
from tests.esmes.test_door import GOOD
from tests.house import House, house
from tests.sim.clock import SimClock
from tests.sim.determinism import SimEntropy
from tests.sim.disk import SimBlocking
from tests.sim.network import SimNetwork

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")


async def submitted(it: House, body: bytes = GOOD, number: int = 2) -> str:
    """The id of one accepted message."""
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    status, message_id = await raw.submit(body, number)
    assert status == 0
    return message_id


async def test_parts_of_a_carrier_that_left_go_elsewhere(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What waited for a carrier the config no longer has goes where its routes lead now, from the checkpoint too."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        it.carriers["orange"].mode = Mode.CLOSED
        it.carriers["orange"].drop_links()
        await trio.sleep(3)
        message_id = await submitted(it)
        await trio.sleep(3)
    async with house(tmp_path, carriers={"blue": KIND}) as it:
        await trio.sleep(10)
        part = it.engine.ledger.parts[message_id]
        assert (part.state, part.carrier) == (State.DELIVERED, "blue")


async def test_a_retry_of_a_carrier_that_left_goes_elsewhere(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A part whose retry is due after the restart does not fall into a lane nobody empties."""
    sick = Temperament(error_share="1", error_statuses="8")
    async with house(tmp_path, carriers={"orange": sick}) as it:
        message_id = await submitted(it)
        await trio.sleep(8)  # refused three times, and the next try is half a minute off
    async with house(tmp_path, carriers={"blue": KIND}) as it:
        part = it.engine.ledger.parts[message_id]
        assert (part.state, part.carrier) == (State.DUE, "orange")
        await trio.sleep(40)
        assert (part.state, part.carrier) == (State.DELIVERED, "blue")


async def test_a_bind_that_left_pins_nobody(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The rest of a multipart message whose bind is no longer in the config goes by another bind."""
    parts = [
        build_sm(esm_class=0x40, destination_addr="33612345678", registered_delivery=1, short_message=udh + b"x")
        for udh in (b"\x05\x00\x03\x07\x02\x01", b"\x05\x00\x03\x07\x02\x02")
    ]
    async with house(tmp_path, carriers={"orange": KIND}, bind="count: 2") as it:
        it.engine.dispatch.stations["orange"].binds[0].drained = "so that the second is taken"
        first = await submitted(it, parts[0])
        await trio.sleep(2)
        assert it.engine.ledger.parts[first].attempts[0].bind == "orange-2"
    async with house(tmp_path, carriers={"orange": KIND}, bind="count: 1") as it:
        second = await submitted(it, parts[1])
        await trio.sleep(5)
        assert it.engine.ledger.parts[second].state == State.DELIVERED


async def test_no_carriers_at_all(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An engine whose carriers and routes are not written yet is ready, and refuses what leads nowhere."""
    async with house(tmp_path, carriers={"orange": KIND}):
        pass
    text = (tmp_path / "smsroute.yaml").read_text()
    (tmp_path / "smsroute.yaml").write_text(text[: text.index("carriers:")] + "carriers: {}\nroutes: []\n")
    config = load(tmp_path, {})
    entropy = SimEntropy("none")
    ports = Ports(SimClock(), entropy, SimNetwork(entropy).host("10.0.0.1"), SimBlocking(entropy.rng("disk")))
    store = open_store(config.store, config.node, relative_to=tmp_path)
    engine = await build(config, ports, store)
    with trio.fail_after(60):
        await engine.run(engine.stop)
    store.close()
