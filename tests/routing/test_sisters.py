"""Binds judged against each other: whose fault it is, who may be left out, what the carrier hears."""

from __future__ import annotations

import random

import attrs
import pytest

from smsroute.config import BindConfig, Carrier, Limits, Secret
from smsroute.message import Blame
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import ALIVE, DEAD, PROBE_OPEN
from smsroute.routing.sisters import Sister, Sisters, majority

LIMITS = Limits()
ORANGE = Carrier("orange", "us", Secret(b""), (BindConfig("h", 1),), rate=1000, window=100)
FOUR = ("o-1", "o-2", "o-3", "o-4")


class Binds:
    """A carrier with some binds up, ticked ten times a second."""

    def __init__(self, names: tuple[str, ...] = FOUR, limits: Limits = LIMITS, **fields: object) -> None:
        self.now = 0.0
        self.rng = random.Random(3)
        self.names = names
        self.dossier = Dossier(attrs.evolve(ORANGE, **fields), limits, 0.0, names)
        self.ages: dict[str, float] = dict.fromkeys(names, 0.0)
        for name in names:
            self.dossier.bind_up(0.0, name)

    @property
    def sisters(self) -> Sisters:
        assert self.dossier.sisters is not None
        return self.dossier.sisters

    def __getitem__(self, name: str) -> Sister:
        return self.sisters.members[name]

    def say(self, name: str, blame: Blame, n: int = 1, latency_s: float = 0.02) -> None:
        """Answers over one bind."""
        self.dossier.answered("336", blame, latency_s, self.now, self.rng, n, self.now - latency_s, bind=name)

    def run(self, seconds: float, sick: dict[str, Blame], every_s: float = 0.1, latency_s: float = 0.02) -> None:
        """Each bind gets a part every so often: the sick say what they say, the others take it."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            for name in self.names:
                if self[name].health.state is ALIVE:
                    self.say(name, sick.get(name, Blame.OK), 1, latency_s if name in sick else 0.02)
            self.now += every_s
            self.tick()

    def tick(self) -> None:
        """The clock's round."""
        self.dossier.tick(self.now, self.rng, majority(self.ages.values()), self.ages)

    def out(self) -> list[str]:
        """Who is left out."""
        return [name for name in self.names if self[name].health.state is not ALIVE]


class TestBlame:
    """Whose fault it is."""

    @pytest.mark.parametrize("names", [FOUR[:2], FOUR[:3], FOUR])
    @pytest.mark.parametrize("every_s", [0.01, 1.0])
    def test_one_that_refuses_everything_goes_alone(self, names: tuple[str, ...], every_s: float) -> None:
        """Its faults never reach the carrier: success stays whole, nobody else is judged; quickly and slowly."""
        one = Binds(names)
        one.run(10, {}, every_s)
        one.run(10, {"o-1": Blame.TRANSIENT}, every_s)
        overall = one.dossier.overall
        assert one.out() == ["o-1"]
        assert (overall.health.state, overall.health.detected) == (ALIVE, 0)
        assert overall.score.figures(one.now).success == 1.0
        assert one.dossier.networks["336"].health.state is ALIVE

    def test_all_refuse_it_is_the_carrier(self) -> None:
        """The carrier is ejected as soon as if it had one bind, and no bind stays behind."""
        one = Binds()
        one.run(10, {}, 0.01)
        began = one.now
        one.run(1, dict.fromkeys(FOUR, Blame.TRANSIENT), 0.01)
        health = one.dossier.overall.health
        assert (health.state, one.out()) == (DEAD, [])
        assert health.since - began <= LIMITS.dead_row_s + 0.1

    def test_one_that_refuses_a_third_goes_alone(self) -> None:
        """A row never forms: its share tells; the carrier's figures are cleared of it."""
        one = Binds(FOUR[:2])
        one.run(40, {}, 0.05)
        for number in range(600):
            one.say("o-1", Blame.OK if number % 3 else Blame.TRANSIENT)
            one.say("o-2", Blame.OK)
            one.now += 0.05
            one.tick()
            if one.out():
                break
        assert one.out() == ["o-1"]
        assert "success" in one["o-1"].health.reason
        assert one.dossier.overall.health.state is ALIVE
        assert one.dossier.overall.score.figures(one.now).success == 1.0

    def test_an_answer_counts_once_for_its_bind(self) -> None:
        """One of eight refused leaves it at 87.5 %, above dead_success_share: it stays, and its counts are exact."""
        one = Binds(FOUR[:2])
        for number in range(240):
            one.say("o-1", Blame.OK if number % 8 else Blame.TRANSIENT)
            one.say("o-2", Blame.OK)
            one.now += 0.1
            one.tick()
        figures = one["o-1"].score.figures(one.now)
        assert (figures.answers, figures.success) == (240, 0.875)
        assert one.out() == []

    def test_one_that_hangs_goes_alone_before_its_timeouts(self) -> None:
        """Its oldest part grows old, its sisters answer: out after bind_slow_dead_s; the carrier is no slower."""
        one = Binds(FOUR[:2])
        one.run(10, {}, 0.05)
        for _ in range(100):
            one.ages["o-1"] += 0.05
            one.say("o-2", Blame.OK)
            one.now += 0.05
            one.tick()
        assert one.out() == ["o-1"]
        assert one["o-1"].health.since - 10 == pytest.approx(LIMITS.bind_slow_dead_s + 0.5, abs=0.2)
        assert one.dossier.overall.health.detected == 0

    def test_one_slow_bind_makes_no_slow_carrier(self) -> None:
        """Its late answers count for it: the carrier's latency is what most of its binds reach."""
        one = Binds(FOUR[:3])
        one.run(10, {}, 0.05)
        one.run(2, {"o-1": Blame.OK}, 0.05, latency_s=4.0)
        assert one["o-1"].score.latency_now_s(one.now) >= 3.9
        assert one.dossier.view("336", one.now).quality > 0.9
        one.run(3, {"o-1": Blame.OK, "o-2": Blame.OK}, 0.05, latency_s=4.0)
        assert one.dossier.view("336", one.now).quality < 0.1

    def test_a_cut_link_is_no_fault_of_the_carrier(self) -> None:
        """Its sixty parts in flight are unanswered at once, after it went down."""
        one = Binds(FOUR[:2])
        one.run(10, {}, 0.05)
        one.dossier.bind_down("connection reset", one.now, one.rng, "o-1", last=False)
        one.say("o-1", Blame.UNKNOWN, 60)
        assert (one["o-1"].health.state, one.dossier.overall.health.state) == (DEAD, ALIVE)
        assert one.dossier.overall.score.figures(one.now).unknown == 0.0

    def test_held_faults_reach_the_carrier_when_the_bind_takes_parts_again(self) -> None:
        """One refused in three is nobody's own sickness: the carrier's share counts them all."""
        one = Binds(FOUR[:2])
        one.now = 1.0
        for _ in range(30):
            one.say("o-1", Blame.TRANSIENT)
            one.say("o-1", Blame.OK)
            one.say("o-2", Blame.OK)
            one.now += 0.01
        totals = one.dossier.overall.score.figures(one.now)
        assert (totals.samples, round(totals.success, 3)) == (90, round(60 / 90, 3))

    def test_faults_are_held_back_until_it_is_clear_whose_they_are(self) -> None:
        """Four in a row on one of two binds: not enough to judge, and the carrier has not heard of them."""
        one = Binds(FOUR[:2])
        one.run(5, {}, 0.5)
        for _ in range(4):
            one.say("o-1", Blame.TRANSIENT)
            one.now += 0.5
            one.tick()
        assert (one["o-1"].health.state, len(one["o-1"].held)) == (ALIVE, 4)
        assert one.dossier.overall.health.calm
        assert one.dossier.overall.score.figures(one.now).success == 1.0
        one.now += LIMITS.bind_held_s
        one.tick()
        assert one["o-1"].held == []
        assert one.dossier.overall.score.figures(one.now).success < 1.0

    def test_what_the_carrier_had_heard_of_it_is_forgiven(self) -> None:
        """Refusals between taken parts were told to the carrier; when the bind is ejected they are its own."""
        one = Binds(FOUR[:2])
        one.now = 1.0
        for _ in range(10):
            one.say("o-1", Blame.TRANSIENT)
            one.say("o-1", Blame.OK)
            one.say("o-2", Blame.OK)
        assert one.dossier.overall.score.figures(one.now).success < 1.0
        one.say("o-1", Blame.TRANSIENT, 60)
        assert one.out() == ["o-1"]
        assert one.dossier.overall.score.figures(one.now).success == 1.0


class TestNeverTheLast:
    """Who may be left out."""

    def test_the_last_that_lives_is_not_ejected_alone(self) -> None:
        """One is down, the other refuses: that is the carrier's death, counted at the bind as found, not done."""
        one = Binds(FOUR[:2])
        one.run(5, {}, 0.05)
        one.dossier.bind_down("gone", one.now, one.rng, "o-1", last=False)
        del one.ages["o-1"]
        one.names = ("o-2",)
        one.run(0.5, {"o-2": Blame.TRANSIENT}, 0.01)
        assert one.dossier.overall.health.state is DEAD
        assert (one["o-2"].health.state, one["o-2"].health.enforced) == (ALIVE, 0)

    def test_at_most_a_share_of_them(self) -> None:
        """Two of four may be out by themselves; a third one's faults are the carrier's."""
        one = Binds()
        one.run(5, {}, 0.05)
        one.run(2, {"o-1": Blame.TRANSIENT}, 0.02)
        one.run(2, {"o-2": Blame.TRANSIENT}, 0.02)
        assert one.out() == ["o-1", "o-2"]
        one.run(1, {"o-3": Blame.TRANSIENT}, 0.02)
        assert one["o-3"].health.state is ALIVE
        assert one["o-3"].health.detected >= 1
        assert one.dossier.overall.score.figures(one.now).success < 1.0

    def test_shadow_finds_and_leaves_nobody_out(self) -> None:
        """Measured only: the bind would be dead, and has its share."""
        one = Binds(FOUR[:2], shadow=True)
        one.run(5, {}, 0.05)
        for _ in range(60):
            one.say("o-1", Blame.TRANSIENT)
            one.say("o-2", Blame.OK)
        assert (one["o-1"].health.state, one["o-1"].health.detected, one["o-1"].health.enforced) == (DEAD, 1, 0)
        assert one.sisters.shares(one.now) == {"o-1": 1.0, "o-2": 1.0}


class TestTheWayBack:
    """Probe, slow start, pardon."""

    def test_one_part_asks_then_it_starts_slowly(self) -> None:
        """The probe's place is given once; back, it may use a tenth of its window at first, and all after 30 s."""
        one = Binds(FOUR[:2])
        one.run(5, {}, 0.05)
        one.run(1, {"o-1": Blame.TRANSIENT}, 0.02)
        one.now = one["o-1"].health.until
        one.tick()
        assert one["o-1"].health.state is PROBE_OPEN
        assert [one.sisters.claim_probe("o-1", one.now), one.sisters.claim_probe("o-1", one.now)] == [True, False]
        one.now += 0.02
        one.dossier.answered("336", Blame.OK, 0.02, one.now, one.rng, bind="o-1")
        assert one["o-1"].health.state is ALIVE
        assert not one.sisters.even
        assert one.sisters.shares(one.now) == {"o-1": pytest.approx(0.1, abs=0.01), "o-2": 1.0}
        one.now += LIMITS.slow_start_s + 0.1
        one.tick()
        assert one.sisters.even

    def test_all_that_are_back_together_share_equally(self) -> None:
        """A slow start is against the best of them: when all begin, each may use its window (the carrier's own slow
        start holds back)."""
        one = Binds(FOUR[:2])
        one.now = 1.0
        for name in one.names:
            one[name].health.eject("by the test", one.now, one.rng)
        assert one.sisters.shares(one.now) == {"o-1": 1.0, "o-2": 1.0}
        for name in one.names:
            one[name].health.pardon("by the test", one.now, slowly=True)
        assert one["o-1"].health.admits(one.now) == pytest.approx(LIMITS.slow_start_share)
        assert one.sisters.shares(one.now) == {"o-1": 1.0, "o-2": 1.0}

    def test_whoever_fell_with_the_carrier_is_pardoned_who_fell_before_is_not(self) -> None:
        """The carrier dies: the bind that was cut a second ago comes back with it, one that was sick for a minute
        asks for itself."""
        one = Binds(FOUR)
        one.run(5, {}, 0.05)
        one.run(1, {"o-1": Blame.TRANSIENT}, 0.02)
        one.now += 60
        one.dossier.bind_down("gone", one.now, one.rng, "o-2", last=False)
        one.dossier.bind_down("gone", one.now + 1, one.rng, "o-3", last=False)
        one.dossier.bind_down("gone", one.now + 2, one.rng, "o-4", last=True)
        assert one.dossier.overall.health.state is DEAD
        assert one.out() == ["o-1"]

    def test_a_new_config_keeps_what_is_known(self) -> None:
        """Binds that stay keep their record, new ones begin, those that left are gone."""
        one = Binds(FOUR[:2])
        one.run(5, {}, 0.05)
        one.run(1, {"o-1": Blame.TRANSIENT}, 0.02)
        one.dossier.adopt_binds(["o-1", "o-9"], one.now)
        assert {name: sister.health.state for name, sister in one.sisters.members.items()} == {
            "o-1": DEAD, "o-9": ALIVE
        }  # fmt: skip
        one.say("o-2", Blame.OK)  # a late word of one that left is the carrier's


def test_majority() -> None:
    """What more than half of them reach."""
    assert [majority(x) for x in ([], [3.0], [3.0, 1.0], [3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0])] == [0, 3, 1, 2, 2]
