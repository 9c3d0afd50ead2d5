"""A config taken while the engine runs: what it changes, and what it leaves alone. smsroute/carriers/roster.py,
ops/reload.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.config import load
from smsroute.message import State
from smsroute.ops.reload import Reloads
from smsroute.ops.verbs import Verbs
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from tests.esmes.test_door import GOOD
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
SLOW = Temperament(response_delay="fixed:2", receipt_delay="fixed:3")
TWO = {"orange": KIND, "blue": KIND}
ESMES = (
    'acme: {password: {plain: "secret"}, binds_max: 3, window: 100, rate: 1000/s}\n'
    '  other: {password: {plain: "secret"}}'
)


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., None]:
    """Replace words in the config of the house: (old, new) pairs."""

    def change(*pairs: tuple[str, str]) -> None:
        path = tmp_path / "smsroute.yaml"
        text = path.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)

    return change


async def reload(it: House, tmp_path: Path) -> dict[str, Any]:
    """Ask for it as a person would."""
    return await Reloads(it.engine, partial(load, tmp_path, {})).reload("a test")  # type: ignore[arg-type]


def named(it: House) -> dict[str, Any]:
    """The binds by name."""
    return {bind.name: bind for bind in it.engine.binds}


async def test_what_did_not_change_stays(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """A reload under traffic drops no bind whose lines are as before, loses nothing and doubles nothing."""
    async with house(tmp_path, carriers=TWO) as it:
        links = {name: bind.link for name, bind in named(it).items()}
        esme = it.platform(500, settings=EsmeSettings(rate=200))
        await trio.sleep(1)
        edit(("window: 20, rate: 500/s", "window: 10, rate: 300/s"), ("cost: 0.05", "cost: 0.06"))
        done = await reload(it, tmp_path)
        assert done["reloaded"]
        assert done["waits"] == []
        assert {name: bind.link for name, bind in named(it).items()} == links
        await it.settle(esme)
        counts = it.engine.ledger.counts
        assert counts.delivered == 500
        assert sum(it.carriers[name].counts["taken"] for name in TWO) == 500
        assert sum(it.carriers[name].counts["binds_accepted"] for name in TWO) == 2


async def test_a_new_contract_holds_at_once(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """From the reload on no second holds more than the new contract, nor a window more than the new one (law 7)."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        esme = it.platform(2000)
        await trio.sleep(2.2)
        orange = it.carriers["orange"].counts
        assert orange["submits_s_max"] > 300
        edit(("window: 20, rate: 500/s", "window: 4, rate: 50/s"))
        assert (await reload(it, tmp_path))["reloaded"]
        await trio.sleep(2)
        orange["submits_s_max"] = orange["unanswered_max"] = 0
        await trio.sleep(5)
        assert 40 <= orange["submits_s_max"] <= 50
        assert 0 < orange["unanswered_max"] <= 4
        edit(("window: 4, rate: 50/s", "window: 20, rate: 500/s"))
        assert (await reload(it, tmp_path))["reloaded"]
        await it.settle(esme)


async def test_a_carrier_that_leaves_takes_nothing_with_it(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """Its answers and receipts are waited for, its queue goes where the routes lead now, then it is unbound."""
    carriers = {"orange": SLOW, "blue": KIND}
    routes = (
        '- {name: all, to: [""], prefer: cost, carriers: [{carrier: orange, cost: 0.01}, {carrier: blue, cost: 1}]}'
    )
    async with house(tmp_path, carriers=carriers, carrier="window: 5, rate: 100/s", routes=routes) as it:
        whole = (tmp_path / "smsroute.yaml").read_text()
        esme = it.platform(60)
        await trio.sleep(0.5)
        assert it.engine.dispatch.stations["orange"].in_flight == 5
        row = next(line for line in whole.splitlines() if line.startswith("  orange:"))
        edit((row + "\n", ""), ("{carrier: orange, cost: 0.01}, ", ""))
        assert (await reload(it, tmp_path))["reloaded"]
        assert it.engine.dispatch.stations["orange"].drained == "it left the configuration"
        await it.settle(esme, 60)
        assert named(it)["orange-1"].state == "bound"
        assert it.engine.ledger.counts.delivered == 60
        assert it.carriers["orange"].counts["taken"] == 5
        await trio.sleep(300)
        assert set(it.engine.dispatch.stations) == {"blue"}
        assert it.engine.ledger.counts.doubted == 0
        (tmp_path / "smsroute.yaml").write_text(whole)
        assert (await reload(it, tmp_path))["reloaded"]
        await trio.sleep(2)
        assert named(it)["orange-1"].state == "bound"


async def test_back_before_it_was_gone(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier put back while its old bind still waits for answers gets a bind of its own at once."""
    async with house(tmp_path, carriers={"orange": SLOW, "blue": KIND}) as it:
        whole = (tmp_path / "smsroute.yaml").read_text()
        esme = it.platform(10)
        await trio.sleep(0.5)
        row = next(line for line in whole.splitlines() if line.startswith("  orange:"))
        edit((row + "\n", ""), ("{carrier: orange,", "{carrier: blue,"), (", backup: [{carrier: blue,", ", #"))
        (tmp_path / "smsroute.yaml").write_text((tmp_path / "smsroute.yaml").read_text().partition(", #")[0] + "}\n")
        assert (await reload(it, tmp_path))["reloaded"]
        (tmp_path / "smsroute.yaml").write_text(whole)
        assert (await reload(it, tmp_path))["reloaded"]
        assert it.engine.dispatch.stations["orange"].drained == ""
        await it.settle(esme)
        await trio.sleep(5)
        assert [bind.name for bind in it.engine.binds] == ["orange-1", "blue-1"]
        assert named(it)["orange-1"].state == "bound"
        assert it.engine.ledger.counts.delivered == 10


async def test_binds_come_and_go(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """Another count adds binds beside the first, and takes away those that are too many once they are answered."""
    async with house(tmp_path, carriers={"orange": SLOW}) as it:
        first = named(it)["orange-1"].link
        edit(("mode: transceiver", "mode: transceiver, count: 3"))
        assert (await reload(it, tmp_path))["reloaded"]
        await trio.sleep(1)
        assert [bind.state for bind in it.engine.binds] == ["bound"] * 3
        esme = it.platform(60)
        await trio.sleep(0.5)
        edit(("count: 3", "count: 1"))
        assert (await reload(it, tmp_path))["reloaded"]
        await it.settle(esme)
        assert [bind.name for bind in it.engine.binds] == ["orange-1"]
        assert named(it)["orange-1"].link is first
        assert it.engine.ledger.counts.delivered == 60
        assert it.engine.ledger.counts.doubted == 0


async def test_other_credentials_make_other_sessions(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """What a bind says of itself makes another bind; the old one goes when its answers are in."""
    async with house(tmp_path, carriers={"orange": SLOW}) as it:
        esme = it.platform(10)
        await trio.sleep(0.5)
        edit(("system_id: smsroute", "system_id: smsroute, system_type: OTA"))
        assert (await reload(it, tmp_path))["reloaded"]
        await it.settle(esme)
        assert [(bind.name, bind.state) for bind in it.engine.binds] == [("orange-1", "bound")]
        assert it.engine.ledger.counts.doubted == 0
        assert it.carriers["orange"].counts["binds_accepted"] == 2


async def test_a_wrong_folder_changes_nothing(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """Every error is told, the old config goes on, health warns until a reload is taken."""
    async with house(tmp_path, carriers=TWO) as it:
        config = it.engine.config
        edit(("window: 20", "windo: 20"), ("cost: 0.03", "cost: dear"))
        done = await reload(it, tmp_path)
        assert not done["reloaded"]
        assert len(done["errors"]) == 3
        assert it.engine.config is config
        document = Verbs(it.engine).look()  # type: ignore[arg-type]
        (reason,) = [one for one in document["reasons"] if one["what"] == "config"]
        assert "did you mean `window`?" in reason["reason"]
        assert document["status"] == "warning"
        edit(("windo: 20", "window: 20"), ("cost: dear", "cost: 0.04"))
        assert (await reload(it, tmp_path))["reloaded"]
        assert Verbs(it.engine).look()["status"] == "ok"  # type: ignore[arg-type]
        assert it.engine.config.routes[0].carriers[0].cost == 0.04


async def test_what_waits_for_the_next_start_is_named(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """A limit, a door or the store does not change under a running engine, and the answer says so."""
    async with house(tmp_path, carriers=TWO) as it:
        edit(("sweep_interval: 100ms", "sweep_interval: 200ms"), ("node: n1", "node: n2"))
        done = await reload(it, tmp_path)
        assert done["waits"] == ["node", "limits"]
        assert it.engine.config.node == "n1"
        assert it.engine.config.limits.sweep_interval_s == 0.1
        document = Verbs(it.engine).look()  # type: ignore[arg-type]
        assert document["config"]["waits_for_start"] == ["node", "limits"]


async def test_esmes_come_and_go(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """One that left is asked to unbind and may not return; one that stays keeps its session; a new one may bind."""
    async with house(tmp_path, carriers=TWO, esmes=ESMES) as it:
        acme, other = await it.dial(), await it.dial()
        assert await acme.bind() == 0
        assert await other.bind("other") == 0
        edit(("  other: {", "  third: {"))
        assert (await reload(it, tmp_path))["reloaded"]
        command_id, *_ = await other.pdu()
        assert command_id == names.UNBIND
        status, message_id = await acme.submit(GOOD)
        assert status == 0
        assert await (await it.dial()).bind("third") == 0
        assert await (await it.dial()).bind("other") == names.ESME_RINVSYSID
        await trio.sleep(5)
        assert it.engine.ledger.parts[message_id].state == State.DELIVERED


async def test_an_esme_s_rate_follows(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """A lower rate holds for the sessions that are up, from the reload on."""
    async with house(tmp_path, carriers=TWO, esmes=ESMES) as it:
        acme = await it.dial()
        assert await acme.bind(command_id=names.BIND_TRANSMITTER) == 0
        assert [(await acme.submit(GOOD, number))[0] for number in (2, 3, 4)] == [0, 0, 0]
        edit(("rate: 1000/s}", "rate: 2/s}"))
        assert (await reload(it, tmp_path))["reloaded"]
        assert (await acme.submit(GOOD, 5))[0] == names.ESME_RTHROTTLED
        await trio.sleep(1.1)
        assert [(await acme.submit(GOOD, number))[0] for number in (6, 7, 8)] == [0, 0, names.ESME_RTHROTTLED]


async def test_a_dead_carrier_s_queue_follows_new_routes(
    tmp_path: Path, edit: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    """Parts that wait at a carrier the routes no longer name go to the one they name now."""
    routes = '- {name: all, to: [""], carriers: [{carrier: orange}]}'
    async with house(tmp_path, carriers=TWO, routes=routes) as it:
        it.carriers["orange"].mode = Mode.CLOSED
        it.carriers["orange"].drop_links()
        await trio.sleep(1)
        esme = it.platform(20)
        await trio.sleep(5)
        assert it.engine.dispatch.stations["orange"].queued == 20
        edit(("{carrier: orange}", "{carrier: blue}"))
        assert (await reload(it, tmp_path))["reloaded"]
        await it.settle(esme)
        assert it.carriers["blue"].counts["taken"] == 20


async def test_an_engine_that_stops_takes_no_config(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A reload that comes after the stop, when the tasks that would carry it out end, changes nothing and says so."""
    async with house(tmp_path, carriers=TWO) as it:
        it.engine.stop()
        done = await reload(it, tmp_path)
        assert not done["reloaded"]
        assert done["errors"] == ["the engine stops; its next start reads the folder"]
