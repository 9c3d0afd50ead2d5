"""The dossier: one carrier, its networks, and which figures speak when."""

from __future__ import annotations

import random

import attrs
import pytest

from smsroute.config import BindConfig, Carrier, Limits, Secret
from smsroute.message import Blame
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import ALIVE, DEAD, PROBE_OPEN

LIMITS = Limits()
RNG = random.Random(11)
ORANGE = Carrier("orange", "us", Secret(b""), (BindConfig("h", 1),), rate=1000, window=100)


def dossier(limits: Limits = LIMITS, **fields: object) -> Dossier:
    """A carrier with a bind up."""
    one = Dossier(attrs.evolve(ORANGE, **fields), limits, 0.0)
    one.bind_up(0.0)
    return one


def test_a_new_carrier_is_well() -> None:
    """Nothing known: quality 1, everything admitted, the contract whole."""
    view = dossier().view("336", 0.0)
    assert (view.quality, view.admit_share, view.capacity, view.rate) == (1.0, 1.0, 1.0, 1000.0)


def test_one_network_may_fail_alone() -> None:
    """Faults on one network kill the carrier for it, and leave it alive for the others."""
    one = dossier()
    for second in range(30):
        one.answered("447", Blame.OK, 0.1, float(second), RNG, 10)
        one.answered("336", Blame.TRANSIENT, 0.1, float(second), RNG)
    one.answered("447", Blame.OK, 0.1, 31.0, RNG)
    assert one.view("336", 31.0).state is DEAD
    assert one.view("336", 31.0).admit_share == 0.0
    assert (one.view("447", 31.0).state, one.view("447", 31.0).admit_share) == (ALIVE, 1.0)


def test_a_network_with_few_answers_has_the_carriers_quality() -> None:
    """Below dead_samples_min a network's own figures say nothing."""
    one = dossier()
    one.answered("447", Blame.OK, 0.1, 1.0, RNG, 60)
    one.answered("447", Blame.TRANSIENT, 0.1, 1.0, RNG, 20)
    one.answered("336", Blame.OK, 0.1, 1.0, RNG, 20)
    assert one.view("336", 1.0).quality == pytest.approx(1.0)
    assert one.view("491", 1.0).quality == pytest.approx(0.8)


def test_a_lost_bind_kills_every_network() -> None:
    """Health is the worse of carrier and network, and says so."""
    one = dossier()
    one.answered("336", Blame.OK, 0.1, 1.0, RNG, 60)
    one.bind_down("connection reset", 2.0, RNG)
    view = one.view("336", 2.0)
    assert (view.state, view.bound, view.admit_share, view.reason) == (DEAD, False, 0.0, "bind down: connection reset")


def test_back_from_the_dead_with_clean_counts() -> None:
    """The faults that killed it do not kill it again after its probe was taken; congestion is remembered."""
    one = dossier()
    one.answered("336", Blame.TRANSIENT, 0.1, 1.0, RNG, 500)
    now = one.overall.health.until
    assert one.tick(now, RNG)
    assert one.view("336", now).state is PROBE_OPEN
    assert one.claim_probe("336", now)
    one.answered("336", Blame.OK, 0.1, now + 0.1, RNG, sent_at=now)
    one.tick(now + 0.2, RNG)
    assert one.view("447", now + 0.2).state is ALIVE
    assert one.overall.score.figures(now + 0.2).success == 1.0


def test_only_one_probe_for_carrier_and_network_together() -> None:
    """While the carrier's own probe is open or on its way, none of its networks sends another."""
    one = dossier()
    one.answered("336", Blame.TRANSIENT, 0.1, 1.0, RNG, 500)
    now = 100.0
    one.tick(now, RNG)
    assert [one.claim_probe("336", now), one.claim_probe("336", now), one.claim_probe("447", now)] == [
        True, False, False
    ]  # fmt: skip


def test_unanswered_age_lowers_quality_and_shows_as_latency() -> None:
    """A silent carrier is seen before its first timeout."""
    one = dossier()
    for i in range(100):
        one.answered("336", Blame.OK, 0.1, i / 10, RNG)
    view = one.view("336", 10.0, oldest_unanswered_age_s=2.0)
    assert view.quality == pytest.approx(0.1, abs=0.01)
    assert view.latency_ms == 2000
    assert view.weakest == "latency 0.10"


def test_throttled_shows_as_capacity_not_as_death() -> None:
    """A throttled carrier is alive, with less capacity and the reason."""
    one = dossier()
    one.answered("336", Blame.THROTTLED, 0.1, 10.0, RNG, 200)
    view = one.view("336", 10.05)
    assert (view.state, view.admit_share) == (ALIVE, 1.0)
    assert view.capacity < 1.0
    assert "throttled" in view.congestion


def test_networks_are_bounded() -> None:
    """At most networks_max are kept, the one unused for longest goes."""
    one = dossier(attrs.evolve(LIMITS, networks_max=3))
    for network in ("1", "2", "3", "1", "4"):
        one.answered(network, Blame.OK, 0.1, 1.0, RNG)
    assert list(one.networks) == ["3", "1", "4"]


def test_shadow_shows_and_lets_pass() -> None:
    """`shadow: true` measures what it would have done and sends on."""
    one = dossier(shadow=True)
    one.answered("336", Blame.TRANSIENT, 0.1, 1.0, RNG, 500)
    view = one.view("336", 1.0)
    assert (view.state, view.admit_share, view.probe) == (DEAD, 1.0, False)
    assert (one.overall.health.detected, one.overall.health.enforced) == (1, 0)


def test_a_full_window_that_nobody_answers_is_no_rate() -> None:
    """100 places, all taken for two seconds: what comes next may hope for 50 a second, whatever the contract says."""
    assert dossier().view("336", 10.0, in_flight=99, window=100, oldest_unanswered_age_s=2.0).rate == 1000
    assert dossier().view("336", 10.0, in_flight=100, window=100, oldest_unanswered_age_s=2.0).rate == 50


def test_tick_tells_of_every_change_since_the_last() -> None:
    """An ejection between two ticks is told by the second, once; a quiet network is not looked at again."""
    one = dossier()
    one.tick(0.5, RNG)
    one.answered("336", Blame.TRANSIENT, 0.1, 1.0, RNG, 500)
    assert [one.tick(1.1, RNG), one.tick(1.2, RNG)] == [True, False]
    one.answered("447", Blame.OK, 0.1, 1.3, RNG)
    assert not one.tick(1.4, RNG)


def live(one: Dossier, networks: dict[str, Blame], start: float, seconds: float) -> float:
    """Ten parts a second to each network, answered as said; the time after."""
    now = start
    for step in range(int(seconds * 10)):
        now = start + step / 10
        for network, blame in networks.items():
            one.answered(network, blame, 0.02, now, RNG)
        one.tick(now, RNG)
    return now


def test_a_network_that_died_with_its_carrier_is_back_with_it() -> None:
    """Everything refused: both die; one probe, taken, brings back both."""
    one = dossier()
    now = live(one, {"336": Blame.OK, "337": Blame.OK}, 0.0, 5)
    now = live(one, {"336": Blame.TRANSIENT, "337": Blame.TRANSIENT}, now, 3)
    assert one.overall.health.state is DEAD
    assert {record.health.state for record in one.networks.values()} == {ALIVE}
    now = one.overall.health.until
    one.tick(now, RNG)
    assert one.claim_probe("336", now)
    one.answered("336", Blame.OK, 0.02, now + 0.02, RNG, sent_at=now)
    for network in ("336", "337"):
        assert one.view(network, now + 0.1).state is ALIVE


def test_a_network_sick_before_its_carrier_stays_sick() -> None:
    """Its own sickness, a minute older than the carrier's, is not pardoned."""
    one = dossier()
    now = live(one, {"336": Blame.OK, "337": Blame.OK, "338": Blame.OK}, 0.0, 5)
    now = live(one, {"336": Blame.TRANSIENT, "337": Blame.OK, "338": Blame.OK}, now, 3)
    assert (one.networks["336"].health.state, one.overall.health.state) == (DEAD, ALIVE)
    now = live(one, {"337": Blame.OK, "338": Blame.OK}, now, 60)
    one.bind_down("gone", now, RNG)
    assert one.networks["336"].health.state is not ALIVE


def test_most_networks_sick_is_the_carriers_sickness() -> None:
    """Three of five refuse everything, one after another: the carrier is ejected, with the number; two are nobody's
    sickness but their own."""
    one = dossier()
    sick = ("336", "337", "338")
    now = live(one, dict.fromkeys((*sick, "339", "33"), Blame.OK), 0.0, 25)
    for network in sick:
        assert one.overall.health.state is ALIVE
        now = live(one, {network: Blame.TRANSIENT, "339": Blame.OK, "33": Blame.OK}, now, 1.5)
    assert one.overall.health.state is DEAD
    assert one.overall.health.reason == "3 of 5 networks sick: 5 faults in a row"
    assert {record.health.state for record in one.networks.values()} == {ALIVE}


def test_a_sick_network_nobody_sends_to_is_forgiven() -> None:
    """After network_forget_s it is alive again, by a slow start, and no longer shown."""
    one = dossier()
    now = live(one, {"336": Blame.OK, "337": Blame.OK}, 0.0, 5)
    now = live(one, {"336": Blame.TRANSIENT, "337": Blame.OK}, now, 3)
    assert one.networks["336"].health.state is DEAD
    used_at = one.networks["336"].used_at
    one.tick(used_at + LIMITS.network_forget_s - 1, RNG)
    assert one.networks["336"].health.state is not ALIVE
    one.tick(used_at + LIMITS.network_forget_s, RNG)
    assert one.networks["336"].health.state is ALIVE
    assert one.view("336", used_at + LIMITS.network_forget_s).admit_share == pytest.approx(LIMITS.slow_start_share)


def test_nothing_is_held_against_a_network_while_its_carrier_is_out() -> None:
    """Late faults of what was sent before the ejection, and panic traffic, eject no network."""
    one = dossier()
    now = live(one, {"336": Blame.OK, "337": Blame.OK}, 0.0, 5)
    one.bind_down("gone", now, RNG)
    for _ in range(10):
        now += 0.5
        one.answered("337", Blame.UNKNOWN, 0.02, now, RNG, 50)
        one.tick(now, RNG)
    assert one.networks["337"].health.state is ALIVE


def test_late_faults_from_before_the_carriers_return_eject_no_network() -> None:
    """What was sent before the carrier was ejected may come back unanswered after it returned: it says nothing."""
    one = dossier()
    now = live(one, {"336": Blame.OK, "337": Blame.OK}, 0.0, 5)
    sent_at = now
    one.overall.health.eject("by the test", now, RNG)
    now = one.overall.health.until
    one.tick(now, RNG)
    assert one.claim_probe("336", now)
    one.answered("336", Blame.OK, 0.02, now + 0.02, RNG, sent_at=now)
    assert one.overall.health.state is ALIVE
    one.answered("337", Blame.UNKNOWN, 10.0, now + 1, RNG, 60, sent_at)
    assert one.networks["337"].health.state is ALIVE
    assert one.overall.health.state is ALIVE
