"""Alarms in a living engine: seen, said once, shown everywhere, and traffic leaves. smsroute/carriers/watch.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio

from smsroute.ops.metrics import metrics
from smsroute.ops.page import page
from smsroute.ops.verbs import Verbs
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
KIND = Temperament().with_words(["response_delay=fixed:0.03", "receipt_delay=lognormal:2:0.5"])
DEAF = attrs.evolve(KIND, receipts_lost="1")
FAILS = attrs.evolve(KIND, outcomes="DELIVRD:0.5,UNDELIV:0.5")
ROUTES = (
    '- {name: all, to: [""], prefer: balanced, carriers: [{carrier: orange, cost: 0.02, certified: true}, '
    "{carrier: sfr, cost: 0.03, certified: true}]}"
)


def look(it: House) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(Verbs(it.engine).look(), allow_nan=False))
    return document


def sent(it: House) -> Counter[str]:
    """Submits each carrier has seen."""
    return Counter({name: carrier.counts["submits"] for name, carrier in it.carriers.items()})


async def test_a_carrier_without_receipts_rings_and_loses_its_traffic(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """From its first day the favourite takes parts and never sends a receipt: within two minutes it is said, once,
    and the next minute goes to the other."""
    with structlog.testing.capture_logs() as lines:
        async with house(tmp_path, carriers={"orange": DEAF, "sfr": KIND}, routes=ROUTES, esmes=ESME) as it:
            it.platform(6000, settings=EsmeSettings(rate=20))
            await trio.sleep(120)
            document = look(it)
            assert [(one["kind"], one["carrier"], one["network"]) for one in document["alarms"]] == [
                ("receipt-silence", "orange", None)
            ]
            assert document["status"] == "warning"
            assert ("receipt-silence", "orange") in [(one["what"], one["name"]) for one in document["reasons"]]
            assert "it never sent one" in page(document)
            assert 'smsroute_alarm{kind="receipt-silence",carrier="orange",network=""} 1' in metrics(document)
            before = sent(it)
            await trio.sleep(60)
            went = sent(it) - before
            assert went["sfr"] > 50 * max(1, went["orange"])
    raised = [line for line in lines if line["event"] == "alarm.raised"]
    assert [(line["kind"], line["carrier"], line["network"]) for line in raised] == [("receipt-silence", "orange", "")]


@pytest.mark.parametrize("carrier", ["receipts: as-asked", "receipts: always"])
async def test_platforms_that_ask_for_no_receipts(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, carrier: str
) -> None:
    """As asked, their silence means nothing, however long; where we ask ourselves, it does."""
    async with house(
        tmp_path, carriers={"orange": DEAF}, carrier=f"window: 20, rate: 500/s, {carrier}", esmes=ESME
    ) as it:
        it.platform(3000, settings=EsmeSettings(rate=20), registered_delivery=0)
        await trio.sleep(140)
        kinds = [one["kind"] for one in look(it)["alarms"]]
        assert kinds == ([] if "as-asked" in carrier else ["receipt-silence"])


async def test_we_ask_where_the_platform_does_not(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`receipts: always` measures the carrier by parts whose platform wanted none, and tells the platform nothing."""
    carriers = {"orange": attrs.evolve(KIND, outcomes="DELIVRD:0.5,REJECTD:0.5")}
    always = "window: 50, rate: 500/s, receipts: always"
    async with house(tmp_path, carriers=carriers, carrier=always, esmes=ESME) as it:
        esme = it.platform(600, settings=EsmeSettings(rate=100), registered_delivery=0)
        await trio.sleep(60)
        receipts = look(it)["carriers"][0]["receipts"]
        assert receipts["delivered_ratio"] == pytest.approx(0.5, abs=0.08)
        assert receipts["delay_s_p50"] == pytest.approx(2.0, rel=0.3)
        assert it.engine.dispatch.stations["orange"].dossier.overall.score.receipts.count == 600
        assert (it.engine.ledger.counts.told, esme.counts["receipts_doubled_or_unknown"]) == (0, 0)


async def test_a_sickness_is_a_line_when_it_begins_and_one_when_it_ends(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier that refuses everything for a while: out with its reason, and back; its probes between say nothing,
    nor does our own stop."""
    with structlog.testing.capture_logs() as lines:
        async with house(tmp_path, carriers={"orange": KIND, "sfr": KIND}, routes=ROUTES, esmes=ESME) as it:
            it.platform(20_000, settings=EsmeSettings(rate=50))
            await trio.sleep(10)
            it.carriers["orange"].mode = Mode.ERRORING
            await trio.sleep(40)
            it.carriers["orange"].mode = Mode.KIND
            await trio.sleep(60)
    told = [line for line in lines if line["event"].startswith("health.")]
    assert [(line["event"], line["carrier"], line["network"]) for line in told] == [
        ("health.sick", "orange", ""), ("health.well", "orange", ""),
    ]  # fmt: skip
    assert told[0]["reason"].endswith("faults in a row")
    assert told[1]["sick_s"] > 40


async def test_a_slow_bleed_rings_and_ends(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Half of it fails where nearly all was delivered: raised, and cleared with a line when it mends."""
    limits = "{week_bucket: 60s, receipt_window: 60s, sweep_interval: 100ms, bleed_past_samples_min: 300}"
    with structlog.testing.capture_logs() as lines:
        async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, limits=limits) as it:
            it.platform(30_000, settings=EsmeSettings(rate=20))
            await trio.sleep(180)
            assert look(it)["alarms"] == []
            it.carriers["orange"].temperament = FAILS
            await trio.sleep(60)
            (alarm,) = look(it)["alarms"]
            assert (alarm["kind"], alarm["carrier"]) == ("slow-bleed", "orange")
            assert alarm["figure"] < alarm["limit"] == pytest.approx(0.95, abs=0.01)
            it.carriers["orange"].temperament = KIND
            await trio.sleep(120)
            assert look(it)["alarms"] == []
    said = [line["event"] for line in lines if line["event"].startswith("alarm.")]
    assert said == ["alarm.raised", "alarm.cleared"]


@pytest.mark.parametrize(
    ("errors", "ratio"),
    [("", 1.0), ('errors: {"1": transient}', 0.5), ('errors: {"001": permanent-message}', 1.0)],
)
async def test_err_says_whose_fault_a_failure_was(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, errors: str, ratio: float
) -> None:
    """UNDELIV err:001 touches no score, unless the carrier's table says that 1 is its own fault (law 9)."""
    dialect = f"window: 50, rate: 500/s, dialect: {{ids: auto, {errors}}}".replace(", }", "}")
    async with house(tmp_path, carriers={"orange": FAILS}, carrier=dialect, esmes=ESME) as it:
        await it.settle(it.platform(600, settings=EsmeSettings(rate=100)))
        receipts = look(it)["carriers"][0]["receipts"]
        assert receipts["delivered_ratio"] == pytest.approx(ratio, abs=0.08)
        score = it.engine.dispatch.stations["orange"].dossier.overall.score
        assert dict(score.terms(trio.current_time()))["delivered"] == 1.0, "it has no better past to fall from"
