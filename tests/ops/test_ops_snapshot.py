"""The health document of a living engine, and what is judged well, sick and critical. ops/snapshot.py, verdict.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import Blame
from smsroute.ops.verbs import Verbs
from smsroute.ops.words import unix
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.store.base import StoreError
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
TWO = {"orange": KIND, "sfr": KIND}

CONTRACT = {  # design section 8
    "": {"status", "node", "uptime_s", "carriers", "esmes", "messages"},
    "carriers": {"name", "state", "quality", "since", "reason", "binds", "rate_s", "queued", "latency_ms", "success"}
    | {"throttled", "receipts"},
    "binds": {"state", "in_flight", "window"},
    "latency_ms": {"p50", "p99"},
    "receipts": {"delivered_ratio", "delay_s_p50", "orphans"},
    "esmes": {"name", "sessions", "outbox", "oldest_outbox_s"},
    "messages": {"accepted", "open", "due", "in_doubt", "delivered", "failed", "expired"},
}


def look(it: House) -> dict[str, Any]:
    """The document, as it comes out of JSON."""
    document: dict[str, Any] = json.loads(json.dumps(Verbs(it.engine).look(), allow_nan=False))
    return document


def carrier(document: dict[str, Any], name: str = "orange") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["carriers"] if one["name"] == name)
    return found


def reasons(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["severity"], one["what"], one["name"]) for one in document["reasons"]]


async def test_the_contract(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Every key that outside checks rely on is there, of an engine at work."""
    async with house(tmp_path) as it:
        await it.settle(it.platform(10))
        document = look(it)
        one, esme = carrier(document), document["esmes"][0]
        assert set(document) >= CONTRACT[""]
        assert set(one) >= CONTRACT["carriers"]
        assert set(one["binds"][0]) >= CONTRACT["binds"]
        assert set(one["latency_ms"]) >= CONTRACT["latency_ms"]
        assert set(one["receipts"]) >= CONTRACT["receipts"]
        assert set(esme) >= CONTRACT["esmes"]
        assert set(document["messages"]) >= CONTRACT["messages"]


async def test_an_engine_at_work_is_ok(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The figures are those of the traffic: counts, sessions, latency, rate."""
    async with house(tmp_path, carriers=TWO) as it:
        esme = it.platform(100, settings=EsmeSettings(rate=20))
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.submitted_all)
        document = look(it)
        assert (document["status"], document["reasons"]) == ("ok", [])
        one = carrier(document)
        assert (one["state"], one["reason"], one["quality"]) == ("alive", "well", 1.0)
        assert (one["success"], one["throttled"], one["queued"]) == (1.0, 0.0, 0)
        # 20 ms, a network of 1 to 5 ms each way, and the simulated carrier's wheel, which turns every 10 ms.
        assert 20 <= one["latency_ms"]["p50"] <= 40
        assert one["rate_s"] == pytest.approx(20, rel=0.3)
        assert [(bind["name"], bind["state"]) for bind in one["binds"]] == [("orange-1", "bound")]
        assert (document["esmes"][0]["sessions"], document["esmes"][0]["accepted"]) == (1, 100)
        assert document["messages"]["accepted"] == 100
        await it.settle(esme)
        await trio.sleep(1)
        messages = look(it)["messages"]
        assert (messages["delivered"], messages["open"], messages["counts"]["told"]) == (100, 0, 100)


async def test_receipts_speak_of_their_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """How many were delivered, and how long after the response; one told twice counts once."""
    temperament = Temperament().with_words(["receipt_delay=2", "receipts_doubled=1"])
    async with house(tmp_path, carriers={"orange": temperament}) as it:
        await it.settle(it.platform(60))
        await trio.sleep(5)
        heard = carrier(look(it))["receipts"]
        assert heard["delivered_ratio"] == 1.0
        assert heard["delay_s_p50"] == pytest.approx(2.0, rel=0.1)
        assert it.engine.ledger.counts.receipts_duplicate == 60
        assert it.engine.dispatch.stations["orange"].dossier.receipt_times.count == 60


async def test_receipts_that_match_nothing_are_a_warning(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier whose receipts name ids in another notation than ours expects is told, with what to look at."""
    temperament = Temperament().with_words(["ids=hex-dec", "receipt_delay=0.1"])
    exact = "window: 20, rate: 500/s, dialect: {ids: exact}"
    async with house(tmp_path, carriers={"orange": temperament}, carrier=exact) as it:
        esme = it.platform(60)
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.submitted_all)
        await trio.sleep(5)
        document = look(it)
        assert reasons(document) == [("warning", "receipts", "orange")]
        assert "is `dialect: ids` right?" in document["reasons"][0]["reason"]
        assert carrier(document)["receipts"]["orphans"] == document["messages"]["orphans"] == 60


async def test_a_carrier_that_does_badly_is_a_warning(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Alive, and half of what it says is a refusal: routing goes around it, and health says so before it is dead."""
    async with house(tmp_path, carriers=TWO) as it:
        score = it.engine.dispatch.stations["orange"].dossier.overall.score
        score.answered(Blame.OK, 0.02, trio.current_time(), 30)
        score.answered(Blame.TRANSIENT, 0.02, trio.current_time(), 15)
        document = look(it)
        assert reasons(document) == [("warning", "carrier", "orange")]
        assert document["reasons"][0]["reason"] == "quality 0.67: success 0.67"


async def test_a_slow_carrier_is_told_in_milliseconds(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What is unanswered stands in no quantile: the warning says how slow it is, and how quick it usually was."""
    async with house(tmp_path, carriers=TWO) as it:
        score = it.engine.dispatch.stations["orange"].dossier.overall.score
        score.baseline_s = 0.05
        score.answered(Blame.OK, 5.0, trio.current_time(), 30)
        (reason,) = look(it)["reasons"]
        assert reason["reason"].startswith("quality 0.02: latency 0.02; answers take up to 5,000 ms, usually 50 ms")


async def test_figures_nobody_has_are_null(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An idle carrier has no latency and no success, rather than none of it."""
    async with house(tmp_path) as it:
        one = carrier(look(it))
        assert one["latency_ms"]["p50"] is one["success"] is one["receipts"]["delivered_ratio"] is None
        assert look(it)["esmes"][0]["oldest_outbox_s"] is None


async def test_a_carrier_out_is_a_warning_and_all_of_a_route_critical(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The bind says why it is away, the carrier since when; with the last carrier the route is gone."""
    async with house(tmp_path, carriers=TWO) as it:
        await trio.sleep(10)
        it.carriers["orange"].mode = Mode.CLOSED
        away = it.clock.wall()
        await trio.sleep(20)
        document = look(it)
        assert document["status"] == "warning"
        assert reasons(document) == [("warning", "carrier", "orange")]
        one = carrier(document)
        assert one["state"] == "down"
        assert unix(one["since"]) == pytest.approx(away, abs=1)
        assert unix(one["binds"][0]["since"]) == pytest.approx(away, abs=1)
        it.carriers["sfr"].mode = Mode.CLOSED
        await trio.sleep(5)
        document = look(it)
        assert document["status"] == "critical"
        assert reasons(document)[0] == ("critical", "route", "all")
        assert document["routes"] == [{"name": "all", "carriers": 2, "usable": False, "why": "orange down, sfr down"}]


async def test_a_dead_carrier_is_told_with_its_faults(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that answers everything with an error is dead while its binds are up."""
    async with house(tmp_path, carriers=TWO) as it:
        esme = it.platform(100, settings=EsmeSettings(rate=20))
        it.carriers["orange"].mode = Mode.ERRORING
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.submitted_all)
        document = look(it)
        one = carrier(document)
        assert document["status"] == "warning", document["reasons"]
        assert one["state"] in ("dead", "probe-open", "probe-closed")
        assert one["binds"][0]["state"] == "bound"
        assert one["ejections"]["enforced"] >= 1
        sick_s = unix(document["at"]) - unix(one["since"])
        await trio.sleep(20)
        assert unix(carrier(look(it))["since"]) == unix(one["since"]), "a probe that failed is the same sickness"
        assert 1 < sick_s < 5.1
        await it.settle(esme)


async def test_a_failing_store_is_critical(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The first reason is the store, with what the disk said and since when; refusals are counted by status."""
    async with house(tmp_path) as it:
        raw_append = it.store.append

        def sick(seq: int, record: bytes) -> None:
            raise StoreError("failed", "disk I/O error")

        it.store.append = sick  # type: ignore[method-assign]
        esme = it.platform(3, settings=EsmeSettings(retry_s=2.0))
        await trio.sleep(1)
        document = look(it)
        assert document["status"] == "critical"
        assert reasons(document)[0][:2] == ("critical", "store")
        assert document["store"]["failing"] == {"kind": "failed", "error": "disk I/O error"}
        assert document["reasons"][0]["since"] is not None
        it.store.append = raw_append  # type: ignore[method-assign]
        await it.settle(esme)
        document = look(it)
        assert (document["status"], document["store"]["failing"]) == ("ok", None)
        assert document["esmes"][0]["refused"]["ESME_RSYSERR"] >= 3


async def test_an_old_outbox_is_a_warning(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Receipts for an ESME that is not bound are warned of once the oldest waits too long, and told how long."""
    async with house(
        tmp_path, carriers={"orange": KIND}, limits="{checkpoint_interval: 1s, outbox_warning: 60s}"
    ) as it:
        raw = await it.dial()
        await raw.bind(command_id=0x2)  # a transmitter: it is owed a receipt and takes none
        from tests.esmes.test_door import GOOD

        await raw.submit(GOOD)
        await trio.sleep(30)
        assert look(it)["status"] == "ok"
        await trio.sleep(60)
        document = look(it)
        assert reasons(document) == [("warning", "esme", "acme")]
        assert document["esmes"][0]["outbox"] == 1
        assert document["esmes"][0]["oldest_outbox_s"] == pytest.approx(89.4, abs=1)
        assert "1 receipts wait" in document["reasons"][0]["reason"]


async def test_a_bind_down_beside_another_is_a_warning(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier with one bind of two is alive, and the missing one is named with its reason."""
    async with house(tmp_path, bind="mode: transceiver, count: 2") as it:
        bind = it.engine.binds[1]
        it.carriers["orange"].mode = Mode.SILENT  # it will not come back at once
        assert bind.link is not None
        bind.link.close("cut by the test")
        await trio.sleep(1)
        document = look(it)
        assert ("warning", "bind", "orange-2") in reasons(document)
        assert carrier(document)["state"] == "alive"
