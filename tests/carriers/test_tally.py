"""Receipts counted by carrier and network, and shown. smsroute/carriers/tally.py, hearing.py, ops/reconciled.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from smsroute.carriers.tally import Tally
from smsroute.cli.health_table import show
from smsroute.config import Limits
from smsroute.ops.metrics import metrics
from smsroute.ops.verbs import Verbs
from smsroute.routing.table import Table
from smsroute.sim.temperament import Temperament
from tests.carriers.mouth import MUTE, says, submitted, text, tlvs
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
SLOW = {"response_delay": "fixed:0.05", "receipt_delay": "fixed:2"}
SHORT = "{checkpoint_interval: 1s, sweep_interval: 100ms, receipt_grace: 10s, validity_default: 30s}"
TWO_NETWORKS = '- {name: all, to: ["336", "337"], carriers: [{carrier: orange, cost: 0.03, certified: true}]}'
PARTS = ("asked", "ended", "delivered", "unheard", "waiting")
RATES = ("match_rate", "orphan_rate", "delivered_share")


def document(it: House) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(Verbs(it.engine).look(), allow_nan=False))
    return found


def receipts(it: House) -> dict[str, Any]:
    """carriers[0].receipts of the health document."""
    found: dict[str, Any] = document(it)["carriers"][0]["receipts"]
    return found


def figures(row: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(row[key] for key in keys)


def test_rates_are_of_what_waits_no_more() -> None:
    """A part whose receipt may still come is in no share; nor is an orphan that found its message."""
    tally = Tally(Limits(), 0.0)
    one = tally.overall
    assert (one.match_rate, one.orphan_rate, one.delivered_share) == (None, None, None)
    tally.asked("336", 10, 0.0)
    tally.ended("336", True, [1.0, 2.0, 3.0], 4.0)
    tally.ended("336", False, [2.0], 4.0)
    assert (one.waiting, one.match_rate, one.orphan_rate, one.delivered_share) == (6, 1.0, 0.0, 0.75)
    tally.unheard("336", 5.0)
    tally.parked("336", 5.0)
    assert (one.waiting, one.match_rate, one.orphan_rate) == (5, 0.8, 0.2)
    tally.claimed("336", 5.0)
    assert one.orphan_rate == 0.0


def test_networks_are_bounded_and_the_whole_stays_exact() -> None:
    """Beyond the knob the network used longest ago goes; the carrier's own figures keep what it brought."""
    tally = Tally(attrs.evolve(Limits(), tally_networks_max=2), 0.0)
    for network in ("336", "337", "336", "338"):
        tally.asked(network, 1, 0.0)
    assert list(tally.networks) == ["336", "338"]
    assert (tally.overall.asked, tally.networks["336"].asked) == (4, 2)


async def test_early_doubled_and_moved_receipts_all_match(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Every part that asked has ended by a receipt once, however the receipts came; no orphan is left."""
    words = {"receipts_early": "0.3", "receipts_doubled": "0.3", "receipts_elsewhere": "0.3"}
    carriers = {"orange": Temperament(**words, **SLOW)}
    async with house(tmp_path, carriers=carriers, bind="count: 2", esmes=ESME) as it:
        await it.settle(it.platform(300))
        await trio.sleep(10)
        said = receipts(it)
        total = said["total"]
        assert figures(total, *PARTS) == (300, 300, 300, 0, 0)
        assert figures(total, *RATES) == (1.0, 0.0, 1.0)
        assert total["parked"] == total["claimed"] > 50
        assert said["delay_s_p90"] == pytest.approx(2.0, rel=0.1)
        assert said["delay_s_p50"] <= said["delay_s_p90"] <= said["delay_s_p99"]


async def test_a_receipt_that_never_comes(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Parts given up without a receipt lower the match rate; those that wait do not yet."""
    carriers = {"orange": Temperament(receipts_lost="0.4", **SLOW)}
    async with house(tmp_path, carriers=carriers, esmes=ESME, limits=SHORT) as it:
        esme = it.platform(200)
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.submitted_all)
        await trio.sleep(5)
        total = receipts(it)["total"]
        lost = it.carriers["orange"].counts["receipts_lost"]
        assert 50 < lost < 110
        assert figures(total, *PARTS) == (200, 200 - lost, 200 - lost, 0, lost)
        assert total["match_rate"] == 1.0
        await it.settle(esme)
        total = receipts(it)["total"]
        assert figures(total, *PARTS) == (200, 200 - lost, 200 - lost, lost, 0)
        assert total["match_rate"] == pytest.approx((200 - lost) / 200)


async def test_what_no_carrier_took_awaits_no_receipt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Parts that a carrier refuses until their validity ends were never due a receipt."""
    carriers = {"orange": Temperament(error_share="1.0", **SLOW)}
    async with house(tmp_path, carriers=carriers, esmes=ESME, limits=SHORT) as it:
        await it.settle(it.platform(20))
        assert it.engine.ledger.counts.expired + it.engine.ledger.counts.failed == 20
        assert figures(receipts(it)["total"], *PARTS, *RATES) == (0, 0, 0, 0, 0, None, None, None)


async def test_what_is_odd_is_counted_by_kind(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A state nobody knows, a TLV that disagrees with the text, a second last word, an id nobody gave: each is counted
    for the network of its handset."""
    async with house(tmp_path, carriers={"orange": MUTE}, routes=TWO_NETWORKS) as it:
        raw = await it.dial()
        await raw.bind()
        part = await submitted(it, raw)
        await trio.sleep(1)
        given = part.attempts[0].carrier_message_id
        says(it, text(given, "WONDROUS"))
        says(it, text(given, "UNDELIV"), tail=tlvs(given, 2))
        await trio.sleep(1)
        says(it, text(given, "UNDELIV"))
        says(it, text("nobody-gave-it", "DELIVRD"), handset="33712345678")
        await trio.sleep(1)
        first, second = receipts(it)["networks"]
        assert (first["network"], second["network"]) == ("336", "337")
        assert first["anomalies"] == {"final-after-final": 1, "tlv-and-text": 1, "unknown-word": 1}
        assert figures(first, *PARTS, "parked") == (1, 1, 1, 0, 0, 0)
        assert figures(second, *PARTS, "parked", "orphan_rate") == (0, 0, 0, 0, 0, 1, 1.0)
        assert second["anomalies"] == {}


async def test_what_a_query_told_was_no_receipt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A part that ended because we asked (query_sm) has no receipt to its credit."""
    carriers = {"orange": Temperament(receipts_lost="1.0", query_sm="true", **SLOW)}
    limits = "{sweep_interval: 100ms, query_after: 20s, query_interval: 60s}"
    carrier = "window: 20, rate: 500/s, query_sm: true"
    async with house(tmp_path, carriers=carriers, carrier=carrier, limits=limits) as it:
        await it.settle(it.platform(5))
        await trio.sleep(5)
        assert figures(receipts(it)["total"], *PARTS, "match_rate") == (5, 0, 0, 5, 0, 0.0)


async def test_metrics_have_a_series_for_each_network(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The same figures, with carrier and network as labels."""
    async with house(tmp_path, carriers={"orange": Temperament(**SLOW)}, esmes=ESME, routes=TWO_NETWORKS) as it:
        raw = await it.dial()
        await raw.bind()
        await submitted(it, raw, to="33712345678")
        await trio.sleep(5)
        lines = metrics(document(it)).splitlines()
        assert 'smsroute_receipts_ended_total{carrier="orange",network="337"} 1' in lines
        series = 'smsroute_receipts_delay_seconds{carrier="orange",network="337",quantile="0.9"} '
        found = [float(line.removeprefix(series)) for line in lines if line.startswith(series)]
        assert found == [pytest.approx(2.0, rel=0.1)]


async def test_the_network_of_a_number_nobody_sent_to(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It is that of the longest prefix that leads over this carrier, with or without its plus; none is none."""
    async with house(tmp_path, routes=TWO_NETWORKS) as it:
        table = Table.of(it.engine.config)
        assert table.towards("orange", "33612345678") == table.towards("orange", "+33612345678") == "336"
        assert table.towards("orange", "4412345678") == table.towards("sfr", "33612345678") == ""


async def test_what_auto_learnt_is_told_and_outlives_a_restart(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which rule, from how many receipts, since when, for machines and people; the next engine begins with it."""
    carriers = {"orange": Temperament(ids="hex-dec", **SLOW)}
    auto = "window: 50, rate: 1000/s, dialect: {ids: auto}"
    async with house(tmp_path, carriers=carriers, carrier=auto, esmes=ESME) as it:
        assert receipts(it)["ids"]["learnt"] == []
        await it.settle(it.platform(100))
        learnt = receipts(it)["ids"]
        assert learnt["learns"] is True
        assert {one["rule"] for one in learnt["learnt"]} == {"hex-dec"}
        assert all(one["receipts"] >= 3 and one["since"].startswith("2026-") for one in learnt["learnt"])
        capsys.readouterr()
        show(document(it), False)
        shown = capsys.readouterr().out
        assert "ids  orange  text: the response's hexadecimal number in decimal (hex-dec" in shown
    async with house(tmp_path, carriers=carriers, carrier=auto, esmes=ESME) as it:
        assert receipts(it)["ids"]["learnt"] == learnt["learnt"]


async def test_a_rule_of_the_config_learns_nothing(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """There is nothing to tell then."""
    exact = "window: 50, rate: 1000/s, dialect: {ids: exact}"
    async with house(tmp_path, carriers={"orange": Temperament(**SLOW)}, carrier=exact, esmes=ESME) as it:
        await it.settle(it.platform(10))
        assert receipts(it)["ids"] == {"learns": False, "learnt": [], "words": []}


@pytest.mark.parametrize(("level", "shown"), [("handset", "orange "), ("network", "orange (network level)")])
async def test_the_table_says_whose_word_a_receipt_is(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
    level: str,
    shown: str,
) -> None:
    """A carrier whose DELIVRD means its own network stands so beside those that mean the handset."""
    words = f"window: 50, rate: 1000/s, dialect: {{ids: exact, receipt_level: {level}}}"
    async with house(tmp_path, carriers={"orange": Temperament(**SLOW)}, carrier=words, esmes=ESME) as it:
        await it.settle(it.platform(10))
        capsys.readouterr()
        show(document(it), False)
        table = capsys.readouterr().out.partition("RECEIPTS")[2]
        assert re.search(rf"^\s*{re.escape(shown)} ", table, re.MULTILINE)
