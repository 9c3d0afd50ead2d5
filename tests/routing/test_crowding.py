"""A window and a pace against carriers that hold back in ten ways, and against the rivals (rivals.py)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.congestion import Congestion
from smsroute.routing.crowding import Crowding
from tests.routing import rivals

LIMITS = Limits()


def fed(one: Crowding, latency_s: float, now: float, seconds: float, rate: float = 200.0) -> float:
    """Parts taken after `latency_s`, `rate` a second, for so long; returns the time after."""
    for _ in range(int(seconds * rate)):
        now += 1 / rate
        one.taken(latency_s, 0.05, now)
    return now


class TestCrowding:
    """Late answers: a queue, or merely slow."""

    def test_a_quick_carrier_is_left_alone(self) -> None:
        """Answers within twice the usual change nothing, however many."""
        one = Crowding(LIMITS, 100, 1, 0.0)
        fed(one, 0.09, 0.0, 10.0)
        assert (one.window, one.watching, one.at_rest) == (100, False, True)

    def test_latency_that_falls_with_the_window_keeps_it_small(self) -> None:
        """Half a second with 100 in flight, a third less with a third less: the smaller window stays and shrinks on."""
        one = Crowding(LIMITS, 100, 1, 0.0)
        now = 0.0
        for _ in range(400):
            now = fed(one, one.window / 200, now, 0.05)
        assert one.window == pytest.approx(20, abs=6)
        assert not one.at_rest

    def test_latency_that_stays_gives_the_window_back_and_waits_longer_each_time(self) -> None:
        """Half a second whatever is in flight: each trial ends with the whole window, and the next is farther off."""
        one = Crowding(LIMITS, 100, 1, 0.0)
        now, small = 0.0, []
        for _ in range(4000):
            now = fed(one, 0.5, now, 0.05)
            if not one.at_rest:
                small.append(now)
        starts = [small[0], *(later for now, later in pairwise(small) if later - now > 1.0)]
        gaps = [later - now for now, later in pairwise(starts)]
        assert gaps == sorted(gaps)
        assert gaps[0] >= LIMITS.crowding_hold_s
        assert gaps[1] >= 2 * LIMITS.crowding_hold_s
        assert len(small) * 0.05 < 0.02 * now

    def test_the_queue_gone_the_window_is_whole_again(self) -> None:
        """Quick answers give back sqrt(window) places a round."""
        one = Crowding(LIMITS, 100, 1, 0.0)
        now = 0.0
        for _ in range(400):
            now = fed(one, one.window / 200, now, 0.05)
        fed(one, 0.02, now, 10.0)
        assert one.at_rest
        assert not one.watching

    def test_the_contract_is_the_end_and_one_part_the_least(self) -> None:
        """Answers a thousand times too late, falling with the window: at least one part is in flight."""
        one = Crowding(LIMITS, 100, 1, 0.0)
        now = 0.0
        for _ in range(2000):
            now = fed(one, one.window, now, 0.5, rate=1000.0)
            assert 1.0 <= one.window <= 100

    def test_the_smaller_of_both_windows_counts(self) -> None:
        """Congestion gives out its own window or that of crowding, and says why."""
        one = Congestion(LIMITS, 1000.0, 100, 0.0)
        one.usual_s = 0.05
        now = 0.0
        for _ in range(4000):
            now += 0.005
            one.answered(Blame.OK, now, 1, now - one.window / 200)
        assert one.window < 30
        assert one.why(now) == f"it queues: {one.window} of 100 in flight make its answers quicker"
        assert one.busy


@pytest.mark.slow
class TestAgainstRivals:
    """What is shipped is the better one; the figures are in the docstrings."""

    def out(self, which: str, case: str, window: int = 500, seconds: float = 60, since: float = 40) -> rivals.Outcome:
        """One run."""
        return rivals.run(rivals.RIVALS[which](window), rivals.CASES[case](), seconds=seconds, since=since)

    @pytest.mark.parametrize("case", ["grants half, 0.1 s deep", "grants half, 1 s deep"])
    def test_a_grant_is_used_and_little_is_sent_in_vain(self, case: str) -> None:
        """At least 97 % of a halved grant, under 0.2 % in vain; a gradient sends some 7 % in vain."""
        ours, theirs = self.out("as shipped", case), self.out("gradient", case)
        assert ours.could > 0.97
        assert ours.vain < 0.002
        assert theirs.vain > 0.04

    def test_throttled_by_chance_costs_no_ten_times(self) -> None:
        """One part in ten throttled, whatever the pace: a fifth of it all arrives, and a gradient's a fiftieth."""
        assert self.out("as shipped", "throttles 10 % by chance").could > 0.2
        assert self.out("gradient", "throttles 10 % by chance").could < 0.05

    def test_throttling_nearly_all_gets_next_to_nothing(self) -> None:
        """Nine in ten throttled: in the end it is asked at most once a second."""
        ours = self.out("as shipped", "throttles 90 % by chance")
        assert ours.taken_s / max(1e-9, 1 - ours.vain) < 1.0

    @pytest.mark.parametrize("case", ["queues, serves 1,000/s", "queues, serves 100/s"])
    def test_a_silent_queue_is_kept_short_at_full_goodput(self, case: str) -> None:
        """All it can serve, answered within 0.15 s; AIMD alone fills the window: half a second, and five."""
        ours = self.out("as shipped", case)
        assert ours.could > 0.99
        assert ours.p99_s < 0.15
        assert self.out("AIMD alone", case).p99_s > 0.5

    def test_a_slow_carrier_keeps_its_window(self) -> None:
        """0.3 s at any load: within 2 % of what the whole window gives; a strict gradient starves it."""
        ours, whole = self.out("as shipped", "slow, 0.3 s"), self.out("AIMD alone", "slow, 0.3 s")
        assert ours.could > 0.98 * whole.could
        assert self.out("gradient, strict", "slow, 0.3 s").could < 0.1

    def test_one_handsets_full_queue_moves_nothing(self) -> None:
        """One of 50 destinations answers "queue full": window and pace stay at the contract from first to last."""
        ours = self.out("as shipped", "one of 50 queues full", since=10, seconds=20)
        assert set(ours.windows) == {500}
        assert set(ours.paces) == {rivals.CONTRACT}

    def test_congestion_state_is_steered_by(self) -> None:
        """A carrier that tells how full it is: 98 % of what it serves, and it never has to throttle."""
        ours = self.out("as shipped", "says congestion_state", since=20)
        assert ours.could > 0.98
        assert ours.vain < 0.001

    @pytest.mark.parametrize("case", ["grants half, 0.1 s deep", "grants half, 1 s deep", "says congestion_state"])
    def test_the_pace_is_steady(self, case: str) -> None:
        """Nothing changes any more: second after second the pace stays within a fifth of what is granted."""
        paces = self.out("as shipped", case).paces[20:]
        assert 850 < min(paces) <= max(paces) < 1150
