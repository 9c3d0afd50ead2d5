"""Named worlds: one trouble each, and exactly what must come of it. All the laws hold in them besides (`auditor`)."""

from __future__ import annotations

import attrs
import pytest

from tests.sim.faults import FOR_GOOD
from tests.sim.scenarios import SCENARIOS
from tests.sim.world import Report, run_options

pytestmark = pytest.mark.slow
SEEDS = pytest.mark.parametrize("seed", range(1, 5), ids="seed{}".format)


def _run(name: str, seed: int) -> Report:
    options = SCENARIOS[name](seed)
    return run_options(attrs.evolve(options, replay=f"tools/simulate --scenario {name} --seed {seed}"))


def _told_once(report: Report) -> None:
    for platform in report.platforms.values():
        assert platform["told"] == platform["accepted"]
        assert platform["receipts_doubled_or_unknown"] == 0


@SEEDS
def test_calm(seed: int) -> None:
    """Without trouble each message is offered once, delivered once, told once."""
    report = _run("calm", seed)
    assert report.counts["submits"] == report.counts["promised"] == report.states["DELIVERED"] == report.states.total()
    _told_once(report)


@SEEDS
def test_throttle_storm(seed: int) -> None:
    """A carrier that throttles everything is asked again now and then, not with each message; nothing fails for it,
    nothing waits for it, and the others take its share."""
    report = _run("throttle-storm", seed)
    assert report.states["DELIVERED"] == report.states.total()
    throttled = [carrier["statuses"].get("ESME_RTHROTTLED", 0) for carrier in report.carriers.values()]
    assert sum(throttled) < 0.2 * report.states.total()
    _told_once(report)


@SEEDS
def test_cut(seed: int) -> None:
    """Links reset at any moment: what was answered ends by its receipt; what was in doubt is held, never sent twice,
    and ends UNKNOWN at worst."""
    report = _run("cut", seed)
    assert set(report.states) <= {"DELIVERED", "UNKNOWN"}
    assert report.states["UNKNOWN"] <= report.counts["copies in doubt"]
    assert report.counts["handset duplicates"] == 0


@SEEDS
def test_half_open(seed: int) -> None:
    """A link that went silent holds at most its window in doubt; everything else goes another way meanwhile."""
    report = _run("half-open", seed)
    assert set(report.states) <= {"DELIVERED", "UNKNOWN"}
    assert report.states["UNKNOWN"] <= report.counts["copies in doubt"]
    assert report.counts["handset duplicates"] == 0


@pytest.mark.parametrize("seed", range(1, 9), ids="seed{}".format)
def test_power_off(seed: int) -> None:
    """Power fails at any event, several times: what was promised is kept, what was on its way is in doubt, and nothing
    reaches a handset twice."""
    report = _run("power-off", seed)
    assert set(report.states) <= {"DELIVERED", "UNKNOWN"}
    assert report.counts["handset duplicates"] == 0


@SEEDS
def test_receipt_disorder(seed: int) -> None:
    """Receipts before their response, doubled, and on other binds: each message is delivered, and told exactly once."""
    report = _run("receipt-disorder", seed)
    for what in ("receipts_doubled", "receipts_elsewhere"):
        assert sum(carrier[what] for carrier in report.carriers.values()) > 0
    assert report.states["DELIVERED"] == report.states.total()
    _told_once(report)


@SEEDS
def test_one_handset(seed: int) -> None:
    """Several messages to one handset at a time, receipts in every order: each is told once, exactly what its carrier
    said first (the auditor compares the err, which no two messages share). The contradiction is first now and then,
    when it came by another bind than the word it contradicts."""
    report = _run("one-handset", seed)
    for what in ("receipts_stale", "receipts_conflicting"):
        assert sum(carrier[what] for carrier in report.carriers.values()) > 0
    assert set(report.states) <= {"DELIVERED", "UNDELIVERABLE"}
    assert report.states["UNDELIVERABLE"] < 0.1 * report.states.total()
    _told_once(report)


@pytest.mark.parametrize("seed", range(1, 3), ids="seed{}".format)
@pytest.mark.parametrize("sick", sorted(FOR_GOOD))
def test_one_carrier_falls_sick(sick: str, seed: int) -> None:
    """When one of two carriers falls sick for good, whatever way, no message waits for it, hardly any goes there, and
    what is lost is what it kept without an answer: at most its windows, each time. The auditor asserts the failover
    bound (law 6)."""
    options = SCENARIOS[f"one-carrier-{sick.removeprefix('one_')}"](seed)
    report = _run(f"one-carrier-{sick.removeprefix('one_')}", seed)
    assert set(report.states) <= {"DELIVERED", "UNKNOWN"}
    config = min(options.carriers, key=lambda one: one.name).config
    windows = sum(bind.count for bind in config.binds) * config.window
    probes = 6 if sick == "one_silent" else 0
    falls = 6 if sick == "one_flapping" else 1
    assert report.counts["handset duplicates"] == 0
    if sick == "one_receiptless":  # it delivers: what it took ends UNKNOWN, and nothing else does
        assert 0 < report.states["UNKNOWN"] <= sum(one["receipts_lost"] for one in report.carriers.values())
        return
    assert report.states["UNKNOWN"] <= falls * windows + probes
    # Its share while it was well, and what found out that it is not.
    most = 0.5 if sick == "one_halved" else 0.4
    assert report.carriers[min(report.carriers)]["submits"] < most * report.states.total()


@SEEDS
def test_disk_full(seed: int) -> None:
    """While the disk takes nothing submits are refused, not lost: all that was promised is delivered and told."""
    report = _run("disk-full", seed)
    assert report.counts["refused"] > 0
    assert report.states["DELIVERED"] == report.states.total()
    _told_once(report)
