"""Congestion: never above the contract, quick to yield, close to what the carrier grants."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.policy.rates import ContractBucket
from smsroute.routing.congestion import Congestion

LIMITS = Limits()


def congestion(contract: float = 1000.0, window: int = 100) -> Congestion:
    """A carrier's, untroubled."""
    return Congestion(LIMITS, contract, window, 0.0)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5),
            st.sampled_from([*Blame, "level"]),
            st.integers(1, 500),
            st.floats(0, 10),
        ),
        max_size=80,
    ),
    st.integers(1, 2000),
    st.integers(1, 500),
)
def test_never_above_the_contract_never_at_zero(
    said: list[tuple[float, Blame | str, int, float]], contract: int, window: int
) -> None:
    """Whatever a carrier says: 1 <= window <= contract window, floor <= pace <= contract rate, pauses end."""
    one, now = congestion(contract, window), 0.0
    for pause_s, blame, n, age_s in said:
        now += pause_s
        if isinstance(blame, str):
            one.congestion_state(n % 101, now, now - age_s)
        else:
            one.answered(blame, now, n, now - age_s)
        assert 1 <= one.window <= window
        assert contract * LIMITS.pace_floor_share * (1 - 1e-9) <= one.pace(now) <= contract
        assert one.paused_until <= now + LIMITS.throttle_pause_max_s
        assert 0.0 < one.share(now) <= 1.0


class TestThrottled:
    """ESME_RTHROTTLED."""

    def test_pauses_and_cuts_once_a_round_trip(self) -> None:
        """A hundred throttled answers to what was already on its way are one cut and one pause."""
        one = congestion()
        one.answered(Blame.THROTTLED, 10.0, 1, 9.9)
        for i in range(100):
            one.answered(Blame.THROTTLED, 10.0 + i / 1000, 1, 9.95)
        assert one.cuts == 1
        assert one.window == 100 * LIMITS.pace_cut_share
        assert one.paused(10.1)
        assert not one.paused(10.0 + 0.1 + LIMITS.throttle_pause_s)
        assert one.pace(10.1) == pytest.approx(1000 * LIMITS.pace_cut_share)

    def test_throttled_again_and_again_waits_longer_and_asks_with_one_part(self) -> None:
        """Nothing taken in between: the pause doubles up to its end, the window is one part."""
        one, now, pauses = congestion(), 10.0, []
        for _ in range(10):
            one.answered(Blame.THROTTLED, now, 1, now)
            pauses.append(one.paused_until - now)
            now = one.paused_until + 0.02
        assert pauses[:4] == [pytest.approx(LIMITS.throttle_pause_s * 2**i) for i in range(4)]
        assert pauses[-1] == LIMITS.throttle_pause_max_s
        assert one.window == 1

    def test_a_contract_windows_worth_taken_makes_the_pause_short_again(self) -> None:
        """A carrier that grants a rate is not one that throttles everything."""
        one, now = congestion(), 10.0
        for _ in range(5):
            one.answered(Blame.THROTTLED, now, 1, now)
            now = one.paused_until
        one.answered(Blame.OK, now, 100, now)
        one.answered(Blame.THROTTLED, now, 1, now)
        assert one.paused_until - now == pytest.approx(LIMITS.throttle_pause_s)

    def test_the_way_back_is_quick_to_the_knee_and_slow_beyond(self) -> None:
        """Below the pace that was too much it recovers within seconds; beyond, ten times slower; then all of it."""
        one = congestion()
        one.answered(Blame.THROTTLED, 10.0, 1, 10.0)
        knee = 1000 * LIMITS.pace_knee_share
        assert one.pace(10.1 + 2.2) == pytest.approx(knee, rel=0.01)
        assert one.pace(10.1 + 4.2) == pytest.approx(knee + 2 * 950 / 20 / LIMITS.pace_caution, rel=0.01)
        assert one.pace(100.0) == 1000.0
        assert one.why(100.0) == ""

    def test_says_why(self) -> None:
        """What holds it back is told with its numbers."""
        one = congestion()
        one.answered(Blame.THROTTLED, 10.0, 1, 10.0)
        assert one.why(10.02) == "throttled, paused for 0.1 s more, 850/s after"
        assert one.why(10.2) == "855/s of 1000/s since it throttled"

    def test_half_throttled_asks_with_one_part(self) -> None:
        """Three of six throttled since the last cut: as if nothing were taken."""
        one = congestion()
        one.answered(Blame.THROTTLED, 10.0, 1, 10.0)
        one.answered(Blame.OK, 10.2, 3, 10.2)
        for _ in range(3):
            one.answered(Blame.THROTTLED, 10.2, 1, 10.2)
        assert one.window == 1
        assert one.paused_until == pytest.approx(10.2 + 2 * LIMITS.throttle_pause_s)

    def test_a_cut_that_changed_nothing_is_not_repeated(self) -> None:
        """One in ten throttled before the cut and after: no further cut, short pauses, and the pace grows again."""
        one, now = congestion(), 10.0
        paces = []
        for second in range(60):
            for _ in range(10):
                one.answered(Blame.OK, now, 9, now)
                one.answered(Blame.THROTTLED, now, 1, now)
                now += 0.1
            if second > 5:
                paces.append(one.pace(now))
        assert one.cuts <= 3
        assert paces == sorted(paces)
        assert not one.paused(now)

    def test_a_share_that_doubles_is_cut_again(self) -> None:
        """By chance one in twelve; then one in six: the carrier grants less than it did."""
        one, now = congestion(), 10.0
        for parts in (11, 5):
            before = one.cuts
            for _ in range(400):
                one.answered(Blame.OK, now, parts, now)
                one.answered(Blame.THROTTLED, now, 1, now)
                now += 0.1
            assert one.cuts > before

    def test_just_unpaused_it_counts_for_little(self) -> None:
        """Throttled again and again, the pause just over, nothing taken yet: the share is that of one part a pause;
        once parts are taken it grows with the window."""
        one, now = congestion(), 10.0
        for _ in range(6):
            one.answered(Blame.THROTTLED, now, 1, now)
            now = one.paused_until
        assert not one.paused(now)
        assert one.pace(now) > 300
        assert one.share(now) < 0.01
        shares = []
        for _ in range(20):
            one.answered(Blame.OK, now, one.window, now)
            now += 0.02
            shares.append(one.share(now))
        assert shares == sorted(shares)
        assert shares[2] < 0.2
        assert shares[-1] == pytest.approx(one.pace(now) / 1000)


class TestQueueFull:
    """ESME_RMSGQFUL: the handset's queue, or the carrier's."""

    def test_one_handsets_full_queue_moves_nothing(self) -> None:
        """Two in a hundred answered "queue full" leave window and pace alone."""
        one = congestion()
        for i in range(100):
            one.answered(Blame.CONGESTED, float(i), 2, float(i))
            one.answered(Blame.OK, float(i), 98, float(i))
        assert (one.cuts, one.window, one.paused(100.0)) == (0, 100, False)

    def test_a_quarter_of_a_window_cuts_without_a_pause(self) -> None:
        """Many are the carrier's own queue: slow down, but go on."""
        one = congestion()
        one.answered(Blame.CONGESTED, 10.0, 25, 10.0)
        assert (one.cuts, one.window, one.paused(10.0)) == (1, 85, False)

    def test_the_window_grows_by_one_a_window(self) -> None:
        """A full window of taken parts is worth one place."""
        one = congestion()
        one.answered(Blame.CONGESTED, 10.0, 25, 10.0)
        one.answered(Blame.OK, 10.1, 84, 10.1)
        assert one.window == 85
        one.answered(Blame.OK, 10.2, 1, 10.2)
        assert one.window == 86


class TestCongestionState:
    """v5 TLV 0x0428."""

    def test_bands(self) -> None:
        """Below the aim nothing; in it no growth; from 90 a cut; at 100 a stop."""
        one = congestion()
        one.congestion_state(50, 10.0)
        one.congestion_state(86, 10.0)
        assert (one.cuts, one.pace(10.0)) == (0, 1000.0)
        one.congestion_state(92, 10.0)
        assert (one.cuts, one.paused(10.0)) == (1, False)
        before = one.pace(10.0)
        for tenth in range(1, 20):
            one.congestion_state(86, 10.0 + tenth / 10)
        assert one.pace(11.95) <= before * 1.03
        one.congestion_state(100, 20.0)
        assert one.paused(20.05)

    def test_each_level_cuts_as_deep_as_it_is_high(self) -> None:
        """90 takes a tenth of the cut, 99 all of it; the same level again cuts again only after `throttle_judge_s`."""
        for level, depth in ((90, 0.1), (95, 0.6), (99, 1.0)):
            one = congestion()
            one.congestion_state(level, 10.0)
            one.congestion_state(level, 10.5)
            assert one.pace(10.0) == pytest.approx(1000 * (1 - (1 - LIMITS.pace_cut_share) * depth))
            one.congestion_state(level, 11.1)
            assert one.cuts == 2

    @given(st.lists(st.integers(80, 89), max_size=50))
    def test_between_80_and_89_nothing_is_cut(self, levels: list[int]) -> None:
        """The band it should be in: no cut, no pause, no growth from the aim on."""
        one = congestion()
        one.congestion_state(99, 10.0)
        for i, level in enumerate(levels):
            one.congestion_state(level, 10.0 + i / 50)
        assert (one.cuts, one.paused(11.0)) == (1, False)


SAID = st.tuples(
    st.floats(0, 0.4),
    st.sampled_from([Blame.OK, Blame.OK, Blame.THROTTLED, Blame.CONGESTED, Blame.UNKNOWN, "level"]),
    st.integers(1, 200),
    st.floats(0, 3),
)


@given(st.lists(SAID, max_size=40), st.integers(1, 3000))
def test_no_second_gets_more_than_the_contract(
    said: list[tuple[float, Blame | str, int, float]], contract: int
) -> None:
    """Whatever a carrier says and when: over any second its bucket, at the pace granted, lets through no more than the
    contract, however greedily it is asked."""
    one, bucket, now = Congestion(LIMITS, contract, 100, 0.0), ContractBucket(contract, 0.0), 0.0
    passed: list[tuple[float, int]] = []
    for pause_s, blame, n, age_s in said:
        until = now + pause_s
        while now < until:
            now = min(until, now + 0.02)
            if not one.paused(now):
                bucket.set_pace(one.pace(now), now)
                passed.append((now, bucket.take(10_000, now)))
        if isinstance(blame, str):
            one.congestion_state(n % 101, now, now - age_s)
        else:
            one.answered(blame, now, n, now - age_s)
    for start, _ in passed:
        assert sum(n for at, n in passed if start <= at < start + 1.0) <= contract


@pytest.mark.parametrize("burst_s", [0.1, 1.0])
@pytest.mark.parametrize("window", [50, 500])
def test_goodput_at_a_carrier_that_halves_its_grant(burst_s: float, window: int) -> None:
    """It grants 1,000 of 2,000 a second: after five seconds at least 96 % of that arrives, 2 % is sent in vain."""
    rng = random.Random(3)
    one = Congestion(LIMITS, 2000.0, window, 0.0)
    step, grant, tokens, owed = 0.005, 1000.0, 1000.0 * burst_s, 0.0
    on_their_way: list[tuple[float, float, Blame]] = []
    taken = sent = 0
    for i in range(int(60 / step)):
        now = i * step
        tokens = min(grant * burst_s, tokens + grant * step)
        on_their_way.sort()
        while on_their_way and on_their_way[0][0] <= now:
            _, sent_at, blame = on_their_way.pop(0)
            one.answered(blame, now, 1, sent_at)
        owed = 0.0 if one.paused(now) else min(owed + one.pace(now) * step, 100.0)
        n = min(int(owed), one.window - len(on_their_way))
        for _ in range(max(0, n)):
            owed -= 1
            blame = Blame.OK if tokens >= 1 else Blame.THROTTLED
            tokens -= blame == Blame.OK
            on_their_way.append((now + 0.02 * (0.5 + rng.random()), now, blame))
            if now >= 5:
                sent += 1
                taken += blame == Blame.OK
    assert taken >= 0.96 * grant * 55
    assert sent - taken <= 0.02 * sent
