"""Alarms: what raises them, what chance may not, and that they do not flicker. smsroute/routing/alarms.py."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import BindConfig, Carrier, Limits, Secret
from smsroute.message import Blame
from smsroute.routing.alarms import Alarms, Changes, Load, wilson_upper
from smsroute.routing.dossier import Dossier
from smsroute.routing.outcome import Word

LIMITS = Limits()
RNG = random.Random(11)
ORANGE = Carrier("orange", "us", Secret(b""), (BindConfig("h", 1),), rate=100, window=10)
HOUR, DAY = 3600.0, 86400.0
IDLE, FULL = Load(window=10), Load(in_flight=10, window=10, queued=40)


@attrs.define
class Watched:
    """A carrier with a bind up, and the watch on it."""

    limits: Limits = LIMITS
    now: float = 0.0
    dossier: Dossier = attrs.field(init=False)
    alarms: Alarms = attrs.field(init=False)
    dice: random.Random = attrs.field(factory=lambda: random.Random(5))

    def __attrs_post_init__(self) -> None:
        self.dossier = Dossier(ORANGE, self.limits, self.now)
        self.dossier.bind_up(self.now)
        self.alarms = Alarms(self.limits)

    def take(self, parts: int, network: str = "336", asked: bool = True) -> None:
        """Parts taken."""
        self.dossier.answered(network, Blame.OK, 0.1, self.now, RNG, parts, asked=parts if asked else 0)

    def hear(self, delivered: int, failed: int = 0, network: str = "336", delay_s: float | None = None) -> None:
        """Receipts: delivered, and failed for the subscriber's sake; delays as handsets have them, or all the same."""
        for word, count in ((Word.DELIVERED, delivered), (Word.NEUTRAL, failed)):
            if count:
                drawn = [self.dice.lognormvariate(1.5, 0.6) if delay_s is None else delay_s for _ in range(count)]
                self.dossier.receipts(network, word, sorted(drawn), self.now)

    def week(self, share: float, per_day: int = 400, network: str = "336") -> None:
        """Seven days at a delivered share."""
        for _ in range(28):
            count = per_day // 4
            self.hear(round(count * share), count - round(count * share), network)
            self.now += 6 * HOUR

    def look(self, load: Load = IDLE, seconds: float = 0.0) -> Changes:
        """One look, after a while."""
        self.now += seconds
        return self.alarms.look(self.dossier, load, self.now)

    def ringing(self) -> list[tuple[str, str]]:
        """Kinds and networks that stand."""
        return list(self.alarms.standing)


class TestWilson:
    """The bound that tells chance from news."""

    @pytest.mark.parametrize(
        ("good", "count", "upper"),
        # 95 % intervals of the literature (Newcombe 1998, table I, method 3): 81/263, 15/148, 0/20, 29/29.
        [(81, 263, 0.3662), (15, 148, 0.1605), (0, 20, 0.1611), (29, 29, 1.0)],
    )
    def test_is_the_bound_of_the_literature(self, good: int, count: int, upper: float) -> None:
        """The published intervals, to four digits."""
        assert wilson_upper(good, count, 1.959964) == pytest.approx(upper, abs=5e-5)

    @given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(1, 10))
    def test_is_a_share_and_no_lower_than_the_sample(self, good: int, bad: int, sigmas: float) -> None:
        """Whatever the counts."""
        upper = wilson_upper(good, good + bad, sigmas)
        assert (good / (good + bad) if good + bad else 0.0) - 1e-9 <= upper <= 1.0


class TestSlowBleed:
    """The last half hour against the pair's own week."""

    @pytest.mark.parametrize(("good", "of"), [(48, 50), (43, 50), (290, 300), (30, 30), (0, 40)])
    def test_chance_raises_nothing(self, good: int, of: int) -> None:
        """A few failures more than the week's share, or fewer receipts than say anything."""
        one = Watched()
        one.week(0.97)
        one.hear(good, of - good)
        assert one.look() == Changes()

    @pytest.mark.parametrize(("good", "of"), [(25, 50), (170, 200), (850, 1000), (4400, 5000)])
    def test_a_real_fall_is_raised_once(self, good: int, of: int) -> None:
        """Half of fifty, or nine points of thousands; said at the first look and not again."""
        one = Watched()
        one.week(0.97)
        one.hear(good, of - good)
        changes = one.look()
        assert [(alarm.kind, alarm.carrier, alarm.network) for alarm in changes.raised] == [
            ("slow-bleed", "orange", "")
        ]
        assert changes.raised[0].figure == pytest.approx(good / of)
        assert changes.raised[0].limit == pytest.approx(0.95 * 0.97, abs=0.005)
        assert one.look(seconds=1) == Changes()

    def test_a_pair_that_never_had_more_is_quiet(self) -> None:
        """60 % is as usual where the week has 60 %."""
        one = Watched()
        one.week(0.6)
        one.hear(120, 80)
        assert one.look() == Changes()

    def test_a_young_pair_has_no_week(self) -> None:
        """Nothing to compare with: quiet, however bad."""
        one = Watched()
        one.week(0.97, per_day=40)
        one.hear(0, 400)
        assert one.look() == Changes()

    def test_one_network_rings_for_itself(self) -> None:
        """A network of many falls; the carrier as a whole does well."""
        one = Watched()
        one.week(0.97, 400, "336")
        one.now -= 7 * DAY
        one.week(0.97, 40_000, "447")
        one.hear(50, 150, "336")
        one.hear(9700, 300, "447")
        assert one.look() == Changes(), "the first round of networks begins with the next look"
        assert [(alarm.kind, alarm.network) for alarm in one.look(seconds=1).raised] == [("slow-bleed", "336")]

    def test_it_does_not_flicker(self) -> None:
        """Between the two marks it stays; cleared above the second, and for want of receipts."""
        one = Watched()
        one.week(0.97, 4000)
        one.hear(8000, 2000)
        one.look()
        one.now += HOUR
        one.hear(9330, 670)  # 93.3 %: surely above 95 % of 97, below 98 % of it
        assert one.look() == Changes()
        assert one.ringing() == [("slow-bleed", "")]
        one.now += HOUR
        one.hear(9600, 400)
        assert [alarm.kind for alarm in one.look().cleared] == ["slow-bleed"]
        one.hear(0, 9000)
        assert one.look().raised
        assert [alarm.kind for alarm in one.look(seconds=HOUR).cleared] == ["slow-bleed"]

    def test_a_pair_just_busy_enough_does_not_flicker(self) -> None:
        """It rang at enough receipts to tell; a few fewer neither clear nor raise it, half as many clear it."""
        one = Watched()
        one.week(0.97)
        one.hear(12, 28)
        assert one.look() == Changes()
        one.hear(3, 7)
        assert [alarm.kind for alarm in one.look().raised] == ["slow-bleed"]
        one.now += HOUR
        one.hear(12, 28)
        assert one.look() == Changes()
        assert one.ringing() == [("slow-bleed", "")]
        one.now += HOUR
        one.hear(6, 14)
        assert [alarm.kind for alarm in one.look().cleared] == ["slow-bleed"]

    def test_a_pair_as_good_as_its_week_never_rings(self) -> None:
        """2,000 half hours of 60 to 600 receipts drawn with the week's own share: not once."""
        one, dice = Watched(), random.Random(3)
        one.week(0.92, 4000)
        for _ in range(2000):
            count = dice.randint(60, 600)
            good = sum(dice.random() < 0.92 for _ in range(count))
            one.hear(good, count - good, delay_s=5.0)
            one.look()
            assert ("slow-bleed", "") not in one.alarms.standing
            one.now += HOUR


class TestSilence:
    """Receipts are owed and none comes."""

    def steady(self, seconds: int, hearing: bool = True, asked: bool = True) -> Watched:
        one = Watched()
        for _ in range(seconds):
            one.now += 1
            one.take(2, asked=asked)
            if hearing:
                one.hear(2)
            one.look()
        return one

    def quiet_for(self, one: Watched, seconds: int) -> float:
        """Go on without receipts; after how many seconds it rings, inf if not."""
        for second in range(1, seconds + 1):
            one.now += 1
            one.take(2)
            if any(alarm.kind == "receipt-silence" for alarm in one.look().raised):
                return second
        return float("inf")

    def test_rings_within_two_minutes(self) -> None:
        """Failure case f: parts are taken, receipts stop."""
        one = self.steady(300)
        assert LIMITS.receipt_silence_s <= self.quiet_for(one, 200) <= 120
        assert one.ringing() == [("receipt-silence", "")], "the carrier's, and not its networks' as well"

    def test_a_black_hole_from_its_first_day_rings_too(self) -> None:
        """It never sent one receipt: nothing to compare with, and still an alarm."""
        one = Watched()
        assert self.quiet_for(one, 200) <= 120
        assert "it never sent one" in one.alarms.standing["receipt-silence", ""].words

    def test_nobody_asked(self) -> None:
        """`receipts: as-asked` and platforms that never ask: hours of traffic without a receipt are no silence."""
        one = self.steady(2 * 3600, hearing=False, asked=False)
        assert one.ringing() == []
        assert one.dossier.view("336", one.now).quality == 1.0

    def test_the_first_minute_after_a_quiet_night(self) -> None:
        """Nothing for hours, then a campaign: it is silent only when those parts have waited."""
        one = self.steady(300)
        one.now += 8 * HOUR
        one.take(2500)
        assert one.look() == Changes()
        assert one.look(seconds=10) == Changes()
        assert one.dossier.view("336", one.now).quality == 1.0
        assert [alarm.kind for alarm in one.look(seconds=60).raised] == ["receipt-silence"]

    def test_one_stray_receipt_is_not_the_end(self) -> None:
        """Cleared after `silence_clear_receipts` of them."""
        one = self.steady(300)
        self.quiet_for(one, 120)
        one.hear(1)
        assert one.look(seconds=1) == Changes()
        one.hear(LIMITS.silence_clear_receipts)
        assert [alarm.kind for alarm in one.look(seconds=1).cleared] == ["receipt-silence"]

    @pytest.mark.parametrize("stray", [0, 3])
    def test_when_nobody_waits_any_more_it_ends(self, stray: int) -> None:
        """Traffic went elsewhere for good: once the last part has long ended, nobody is owed a receipt; whoever sends
        there again begins anew."""
        one = self.steady(300)
        self.quiet_for(one, 120)
        one.hear(stray)
        assert one.look(seconds=LIMITS.validity_default_s) == Changes()
        cleared = one.look(seconds=LIMITS.receipt_grace_s + 1).cleared
        assert [alarm.kind for alarm in cleared] == ["receipt-silence"]
        one.take(1)
        assert one.look(seconds=1) == Changes()
        assert one.dossier.view("336", one.now).quality == 1.0

    def test_receipts_that_match_nothing_are_no_silence(self) -> None:
        """It sends receipts and we cannot read their ids: another trouble, told by the orphans."""
        one = Watched()
        for _ in range(300):
            one.now += 1
            one.take(2)
            one.dossier.spoke()
            one.look()
        assert one.ringing() == []

    def test_traffic_leaves_and_now_and_then_asks_again(self) -> None:
        """The term falls below band and floor at once, and comes back with time unused, until real parts ask."""
        one = self.steady(300)
        self.quiet_for(one, 120)

        def term() -> float:
            return dict(one.dossier.overall.score.terms(one.now))["receipt_silence"]

        assert term() == LIMITS.receipt_silent_term < LIMITS.quality_floor
        one.now += LIMITS.receipt_retry_s / 2
        assert LIMITS.receipt_silent_term < term() < 1 - LIMITS.quality_band
        one.now += LIMITS.receipt_retry_s / 2
        assert term() == 1.0
        one.take(1)
        assert term() == LIMITS.receipt_silent_term
        one.hear(1)
        assert term() == 1.0


class TestInvented:
    """Receipts that no handset can have sent."""

    def rings(self, delay_s: Callable[[], float], failed: int = 0, count: int = 1500) -> list[tuple[str, str]]:
        one = Watched()
        for n in range(count):
            one.now += 1
            one.hear(1, int(n < failed), delay_s=delay_s())
        one.look()
        return [key for key in one.ringing() if key[1] == ""]

    def test_all_after_the_same_delay(self) -> None:
        """A timer of five seconds, give or take a little."""
        dice = random.Random(2)
        assert self.rings(lambda: dice.uniform(4.8, 5.2)) == [("receipts-too-alike", "")]

    def test_all_at_once(self) -> None:
        """A tenth of a second, more or less: before any phone was paged."""
        dice = random.Random(2)
        assert self.rings(lambda: dice.uniform(0.02, 0.3)) == [("receipts-too-fast", "")]

    def test_handsets(self) -> None:
        """Delays spread as those of phones do, even with everything delivered."""
        dice = random.Random(2)
        assert self.rings(lambda: dice.lognormvariate(1.6, 0.5)) == []

    def test_failures_are_a_sign_of_truth(self) -> None:
        """One in fifty fails: not invented, or too clever for us."""
        assert self.rings(lambda: 5.0, failed=30) == []

    def test_too_few_to_tell(self) -> None:
        """Below `fake_samples_min`."""
        assert self.rings(lambda: 5.0, count=900) == []


class TestLoad:
    """A carrier that is full, and one at the end of its contract."""

    def test_saturated_after_a_while_and_clear_after_one(self) -> None:
        """Half a minute of full windows raises it, a moment of room clears nothing."""
        one = Watched()
        looks = next(n for n in range(1, 100) if one.look(FULL, 1).raised)
        assert looks - 1 == pytest.approx(LIMITS.saturated_s, abs=1)
        assert one.look(IDLE, 1) == Changes()
        assert one.ringing() == [("saturated", "")]
        looks = next(n for n in range(1, 100) if one.look(IDLE, 1).cleared)
        assert 3 <= looks <= LIMITS.saturated_s

    def test_bursts_are_not_saturation(self) -> None:
        """Full every other second, for ten minutes."""
        one = Watched()
        for second in range(600):
            assert not one.look(FULL if second % 2 else IDLE, 1).raised

    def test_what_waits_for_the_dead_is_no_saturation(self) -> None:
        """A queue at a carrier without a bind, or drained by a person, has a reason of its own."""
        one = Watched()
        one.dossier.bind_down("gone", 0.0, RNG)
        for _ in range(100):
            assert not one.look(FULL, 1).raised
        two = Watched()
        for _ in range(100):
            assert not two.look(attrs.evolve(FULL, drained=True), 1).raised

    def test_the_contract_is_reached(self) -> None:
        """100 a second of 100 for the success window raises it; 90 neither raises nor clears; 70 clears."""
        one = Watched()

        def run(rate: int) -> list[str]:
            found: list[str] = []
            for _ in range(40):
                one.take(rate, asked=False)
                changes = one.look(IDLE, 1)
                found += [f"+{alarm.kind}" for alarm in changes.raised] + [
                    f"-{alarm.kind}" for alarm in changes.cleared
                ]
            return found

        assert run(90) == []
        assert run(100) == ["+contract-reached"]
        assert run(90) == []
        assert run(70) == ["-contract-reached"]


def test_an_evicted_network_takes_its_alarm_along() -> None:
    """What is no longer known cannot ring for ever."""
    one = Watched(Limits(networks_max=2))
    one.week(0.97, 400, "336")
    one.now -= 7 * DAY
    one.week(0.97, 40_000, "447")
    one.hear(50, 150, "336")
    one.hear(9700, 300, "447")
    one.look(), one.look(seconds=1)
    assert one.ringing() == [("slow-bleed", "336")]
    one.take(1, "491"), one.take(1, "492")
    assert [alarm.network for alarm in one.look(seconds=1).cleared] == ["336"]


def test_a_thousand_networks_are_looked_at_in_turn() -> None:
    """No look is at more than `alarm_pairs_max`, and each has its turn."""
    one = Watched(Limits(alarm_pairs_max=10))
    for n in range(100):
        one.week(0.97, 400, f"{n}")
        one.now -= 7 * DAY
    one.now += 7 * DAY
    one.hear(9700, 300, "7")
    one.hear(0, 200, "93")
    looks = next(n for n in range(1, 30) if ("slow-bleed", "93") in (one.look(seconds=1), one.ringing())[1])
    assert looks == pytest.approx(11, abs=1)
