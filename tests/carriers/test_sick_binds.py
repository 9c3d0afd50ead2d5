"""One bind of a carrier is sick and its sisters are well: it is left out alone, asked, and comes back; end to end.

The carrier has two binds to two simulated SMSCs ("east" and "west"), so that one of them can be sick.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import State
from smsroute.ops.verbs import Verbs
from smsroute.routing.health import ALIVE, DEAD
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
SICK = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5", slow_delay="fixed:5", sick_share=1.0)
ESME = (
    'acme: {password: {plain: "secret"}, window: 1000, rate: 1000/s, default_class: otp, '
    "class_by: {service_type: {NEWS: info}}}"
)
ROUTES = (
    '- {name: all, to: [""], prefer: quality, in_doubt: {otp: {resend_after: 2s}}, '
    "carriers: [{carrier: east, certified: true}], backup: [{carrier: spare, certified: true}]}"
)


@asynccontextmanager
async def two_doors(tmp_path: Path) -> AsyncIterator[House]:
    """Carrier `east` bound once to the SMSC `east` and once to `west`; `spare` is its backup."""
    async with house(
        tmp_path,
        carriers={"east": SICK, "west": KIND, "spare": KIND},
        carrier="window: 50, rate: 500/s, reconnect_min: 1s, enquire_link: 0",
        bind='mode: transceiver}, {address: "10.0.2.2:3001"',
        routes=ROUTES,
        esmes=ESME,
    ) as it:
        yield it


def took(it: House) -> dict[str, int]:
    """Parts written to each bind of the carrier, and to the backup."""
    counts: dict[str, int] = {}
    for part in it.engine.ledger.parts.values():
        for attempt in part.attempts:
            counts[attempt.bind] = counts.get(attempt.bind, 0) + 1
    return counts


def bind_row(it: House, name: str) -> dict[str, Any]:
    rows: dict[str, Any] = {bind["name"]: bind for one in Verbs(it.engine).look()["carriers"] for bind in one["binds"]}
    found: dict[str, Any] = rows[name]
    return found


@pytest.mark.parametrize("mode", [Mode.ERRORING, Mode.SILENT, Mode.SLOW])
async def test_one_sick_bind_is_left_out_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, mode: Mode
) -> None:
    """It refuses, hangs or is slow: its sister takes the parts, the carrier stays alive, the backup gets a dozen."""
    async with two_doors(tmp_path) as it:
        dossier = it.engine.dispatch.stations["east"].dossier
        esme = it.platform(1750, settings=EsmeSettings(rate=20))
        await trio.sleep(5)
        it.carriers["east"].mode = mode
        await trio.sleep(12)
        assert dossier.sisters is not None
        sick = dossier.sisters.members["east-1"].health
        assert (sick.state is ALIVE, dossier.overall.health.state) == (False, ALIVE)
        row = bind_row(it, "east-1")
        assert row["state"] in ("dead", "probe-open", "probe-closed")
        assert row["reason"] and row["since"]
        assert row["ejections"]["enforced"] >= 1
        assert dossier.overall.health.detected == 0
        before = took(it)
        await trio.sleep(5)
        after = took(it)
        assert after["east-1"] - before["east-1"] <= 3  # a probe or two
        assert after["east-2"] - before["east-2"] >= 85
        assert after.get("spare-1", 0) + after.get("spare-2", 0) <= 15  # what it refused before it was left out
        it.carriers["east"].mode = Mode.KIND
        await trio.sleep(60)
        assert sick.state is ALIVE
        healed = took(it)
        await trio.sleep(5)
        later = took(it)
        assert later["east-1"] - healed["east-1"] >= 30
        await it.settle(esme)


async def test_a_cut_link_among_two_is_not_the_carriers_death(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Fifty parts in flight lost with one link are fifty faults of that bind; the carrier is not ejected."""
    async with two_doors(tmp_path) as it:
        dossier = it.engine.dispatch.stations["east"].dossier
        it.carriers["east"].mode = Mode.SILENT
        esme = it.platform(200, settings=EsmeSettings(rate=1000))
        await trio.sleep(0.5)
        it.carriers["east"].drop_links()
        await trio.sleep(0.5)
        assert dossier.sisters is not None
        assert dossier.sisters.members["east-1"].health.state is DEAD
        assert (dossier.overall.health.state, dossier.overall.health.detected) == (ALIVE, 0)
        it.carriers["east"].mode = Mode.KIND
        await it.settle(esme)


async def test_both_sick_is_the_carriers_sickness(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """When the sister refuses too, the carrier is ejected and the backup takes the parts; no bind stays behind."""
    async with two_doors(tmp_path) as it:
        dossier = it.engine.dispatch.stations["east"].dossier
        esme = it.platform(1000, settings=EsmeSettings(rate=20))
        await trio.sleep(5)
        it.carriers["west"].temperament = SICK
        for name in ("east", "west"):
            it.carriers[name].mode = Mode.ERRORING
        await trio.sleep(2)
        assert dossier.overall.health.state is not ALIVE
        assert dossier.sisters is not None
        assert all(one.health.state is ALIVE for one in dossier.sisters.members.values())
        before = took(it)
        await trio.sleep(2)
        assert took(it)["spare-1"] - before.get("spare-1", 0) >= 10
        for name in ("east", "west"):
            it.carriers[name].mode = Mode.KIND
        await trio.sleep(50)
        assert dossier.overall.health.state is ALIVE
        assert dossier.sisters.even
        await it.settle(esme)


async def test_the_other_parts_of_a_message_wait_for_their_bind(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Law 8 with a bind left out: parts pinned to it wait and then ask it, and hold up nobody else; a message none of
    whose parts went takes another bind."""
    async with two_doors(tmp_path) as it:
        dossier = it.engine.dispatch.stations["east"].dossier
        assert dossier.sisters is not None
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        first = (await raw.submit(part(1, 7), 2))[1]
        await trio.sleep(1)
        parts = it.engine.ledger.parts
        assert parts[first].attempts[-1].bind == "east-1"
        health = dossier.sisters.members["east-1"].health
        health.eject("by the test", trio.current_time(), it.engine.dispatch._rng)
        dossier.sisters._weigh(trio.current_time())
        second = (await raw.submit(part(2, 7), 3))[1]
        other = (await raw.submit(part(1, 8), 4))[1]
        await trio.sleep(1)
        assert (parts[second].state, parts[second].attempts) == (State.DUE, [])
        assert parts[other].attempts[-1].bind == "east-2"
        await trio.sleep(10)
        assert parts[second].attempts[-1].bind == "east-1"
        assert health.state is ALIVE


def part(number: int, reference: int) -> bytes:
    """One of two parts of a message, told by its UDH."""
    udh = bytes((5, 0, 3, reference, 2, number))
    return build_sm(destination_addr="33600000001", esm_class=0x40, registered_delivery=1, short_message=udh + b"hello")
