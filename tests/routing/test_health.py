"""The health machine: what kills, what never does, and the way back."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.health import ALIVE, DEAD, PROBE_CLOSED, PROBE_OPEN, TRANSITIONS, Health, HealthState, Trigger
from smsroute.routing.score import Figures

LIMITS = Limits()
WELL = Figures(1000, 1.0, 0.0, 0.0, 0.1, 0.1, 1000)
RNG = random.Random(7)


def health(now: float = 0.0, *, shadow: bool = False, limits: Limits = LIMITS) -> Health:
    """A machine with a bind up."""
    one = Health(limits, "orange", now, shadow=shadow)
    one.on_bind_up(now)
    return one


def dead(now: float = 100.0) -> Health:
    """A machine just ejected at `now`."""
    one = health()
    one.on_outcome(Blame.TRANSIENT, now - 1, RNG)
    one.on_outcome(Blame.TRANSIENT, now, RNG, 4)
    assert one.state is DEAD
    return one


def probe_open(now: float = 100.0) -> tuple[Health, float]:
    """A machine whose ejection is over, and the time."""
    one = dead(now)
    one.judge(WELL, one.until, RNG)
    assert one.state is PROBE_OPEN
    return one, one.until


class TestTheTable:
    """TRANSITIONS."""

    def test_every_state_has_a_row_and_is_reached(self) -> None:
        """The table is closed: each state has a way out and a way in."""
        assert set(TRANSITIONS) == set(HealthState)
        assert {to for row in TRANSITIONS.values() for to in row.values()} == set(HealthState)

    def test_alive_only_by_a_trial_passed_or_a_pardon(self) -> None:
        """Nothing but messages the carrier took brings it back, unless its death was not its own."""
        ways = [(state, trigger) for state, row in TRANSITIONS.items() for trigger, to in row.items() if to is ALIVE]
        assert [(state, trigger) for state, trigger in ways if trigger is not Trigger.PARDONED] == [
            (PROBE_CLOSED, Trigger.TRIAL_PASSED)
        ]


class TestDying:
    """From Alive to Dead."""

    @given(
        st.lists(
            st.tuples(
                st.floats(0, 30),
                st.sampled_from([Blame.OK, Blame.PERMANENT_MESSAGE, Blame.THROTTLED, Blame.CONGESTED]),
                st.integers(1, 100_000),
            ),
            max_size=60,
        )
    )
    def test_never_ejected_for_a_subscribers_fault_or_congestion(self, answers: list[tuple[float, Blame, int]]) -> None:
        """Law 9: no number of answers that are nobody's fault kills a carrier."""
        one, now = health(), 0.0
        for pause_s, blame, n in answers:
            now += pause_s
            one.on_outcome(blame, now, RNG, n)
            one.judge(WELL, now, RNG)
        assert (one.state, one.detected) == (ALIVE, 0)

    def test_five_faults_in_a_row(self) -> None:
        """The fifth fault with no part taken between them kills, and the reason has the number in it."""
        one = health()
        for second in range(5):
            assert one.state is ALIVE
            one.on_outcome(Blame.UNKNOWN, float(second), RNG)
        assert (one.state, one.reason, one.since) == (DEAD, "5 parts unanswered in a row", 4.0)

    def test_a_taken_part_ends_the_row_a_subscribers_fault_does_not(self) -> None:
        """A part taken clears the row; a permanent-message answer neither adds to it nor clears it."""
        one = health()
        one.on_outcome(Blame.TRANSIENT, 0.0, RNG, 4)
        one.on_outcome(Blame.OK, 0.1, RNG)
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 4)
        one.on_outcome(Blame.PERMANENT_MESSAGE, 1.5, RNG, 10)
        assert one.state is ALIVE
        one.on_outcome(Blame.TRANSIENT, 2.0, RNG)
        assert one.state is DEAD

    def test_a_short_row_at_full_rate_is_chance_a_long_one_is_not(self) -> None:
        """Five faults within 2 ms do not kill; fifty do at once."""
        one = health()
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 3)
        one.on_outcome(Blame.TRANSIENT, 1.002, RNG, 46)
        assert one.state is ALIVE
        one.on_outcome(Blame.TRANSIENT, 1.003, RNG, 1)
        assert one.state is DEAD

    def test_low_success_needs_enough_samples(self) -> None:
        """Success below 80 % kills with 20 samples and not with 19."""
        one = health()
        one.judge(attrs.evolve(WELL, samples=19, success=0.0), 1.0, RNG)
        assert one.state is ALIVE
        one.judge(attrs.evolve(WELL, samples=20, success=0.79), 2.0, RNG)
        assert (one.state, one.reason) == (DEAD, "success 79% of 20 in 30 s")

    def test_slow_for_long_kills_slow_for_a_moment_does_not(self) -> None:
        """Ten times the usual latency kills once it has lasted; one quick moment starts the clock anew."""
        one, slow = health(), attrs.evolve(WELL, latency_s=1.1, baseline_s=0.1)
        one.judge(slow, 0.0, RNG)
        one.judge(slow, LIMITS.latency_dead_s - 1, RNG)
        one.judge(WELL, LIMITS.latency_dead_s - 0.5, RNG)
        one.judge(slow, LIMITS.latency_dead_s, RNG)
        assert one.state is ALIVE
        one.judge(slow, 2 * LIMITS.latency_dead_s, RNG)
        assert (one.state, one.reason) == (DEAD, "latency 1100 ms for 15 s, usual 100 ms")

    def test_bind_down_kills_at_once(self) -> None:
        """Without a bind nothing is admitted, whatever the state; the reason names the bind."""
        one = health()
        one.on_bind_down("connection reset", 3.0, RNG)
        assert (one.state, one.admits(3.0)) == (DEAD, 0.0)
        assert one.reason == "bind down: connection reset"

    def test_not_bound_yet_is_not_dead(self) -> None:
        """A new machine has no bind, so admits nothing, and its first bind costs it no probe."""
        one = Health(LIMITS, "orange", 0.0)
        assert one.admits(0.0) == 0.0
        one.on_bind_up(1.0)
        assert (one.state, one.admits(1.0)) == (ALIVE, 1.0)


class TestTheWayBack:
    """Ejection, probe, slow start."""

    @given(st.integers(0, 2**32), st.integers(1, 100))
    def test_ejection_grows_with_equal_jitter_up_to_its_end(self, seed: int, times: int) -> None:
        """The nth ejection in a row lasts between half and all of n x 5 s, at most 300 s."""
        rng, one, now = random.Random(seed), health(), 0.0
        one.on_outcome(Blame.TRANSIENT, now, rng, 50)
        for n in range(1, times + 1):
            full_s = min(LIMITS.ejection_max_s, n * LIMITS.ejection_min_s)
            assert full_s / 2 - 1e-6 <= one.until - now <= full_s + 1e-6
            now = one.until
            one.judge(WELL, now, rng)
            assert one.claim_probe(now)
            one.on_outcome(Blame.TRANSIENT, now, rng)
            assert one.state is DEAD

    def test_exactly_one_message_probes(self) -> None:
        """The place of the probe is given once."""
        one, now = probe_open()
        assert one.may_probe(now)
        assert [one.claim_probe(now), one.claim_probe(now)] == [True, False]
        assert (one.state, one.admits(now)) == (PROBE_CLOSED, 0.0)

    def test_taken_probe_starts_slowly(self) -> None:
        """Back with 10 %, half-way with 55 %, everything after 30 s."""
        one, now = probe_open()
        one.claim_probe(now)
        one.on_outcome(Blame.OK, now, RNG)
        shares = [one.admits(now + seconds) for seconds in (0, 15, 30.1)]
        assert (one.state, shares) == (ALIVE, [pytest.approx(0.1), pytest.approx(0.55), 1.0])

    def test_failed_probe_ejects_longer(self) -> None:
        """A probe that meets a fault is an ejection, the second in a row."""
        one, now = probe_open()
        one.claim_probe(now)
        one.on_outcome(Blame.UNKNOWN, now + 1, RNG)
        assert (one.state, one.ejections, one.reason) == (DEAD, 2, "the probe met unknown")

    @pytest.mark.parametrize("blame", [Blame.PERMANENT_MESSAGE, Blame.THROTTLED, Blame.CONGESTED])
    def test_a_neutral_answer_lets_the_next_message_ask(self, blame: Blame) -> None:
        """A subscriber's fault or congestion neither revives nor buries; the next message may probe."""
        one, now = probe_open()
        one.claim_probe(now)
        one.on_outcome(blame, now, RNG)
        assert (one.state, one.ejections, one.claim_probe(now)) == (PROBE_OPEN, 1, True)

    def test_answers_to_older_messages_are_not_the_probes(self) -> None:
        """A late success or fault of a message sent before the probe decides nothing."""
        one, now = probe_open()
        one.claim_probe(now)
        one.on_outcome(Blame.OK, now + 1, RNG, sent_at=now - 1)
        one.on_outcome(Blame.UNKNOWN, now + 1, RNG, sent_at=now - 1)
        assert one.state is PROBE_CLOSED
        one.on_outcome(Blame.OK, now + 1, RNG, sent_at=now)
        assert one.state is ALIVE
        one.on_outcome(Blame.UNKNOWN, now + 2, RNG, n=500, sent_at=now - 1)
        assert one.state is ALIVE

    def test_an_unanswered_probe_fails(self) -> None:
        """A probe without any answer is a failed one in the end."""
        one, now = probe_open()
        one.claim_probe(now)
        one.judge(WELL, now + LIMITS.probe_timeout_s - 0.1, RNG)
        assert one.state is PROBE_CLOSED
        one.judge(WELL, now + LIMITS.probe_timeout_s, RNG)
        assert (one.state, one.ejections) == (DEAD, 2)

    def test_a_probe_that_never_left_costs_nothing(self) -> None:
        """Its place is free again."""
        one, now = probe_open()
        one.claim_probe(now)
        one.probe_withdrawn(now)
        assert (one.state, one.ejections) == (PROBE_OPEN, 1)

    def test_no_probe_without_a_bind(self) -> None:
        """A dead carrier waits for its bind, then for the rest of its ejection."""
        one = dead()
        one.on_bind_down("gone", 101.0, RNG)
        one.judge(WELL, 1000.0, RNG)
        assert one.state is DEAD
        one.on_bind_up(1001.0)
        one.judge(WELL, 1001.0, RNG)
        assert one.state is PROBE_OPEN

    def test_a_good_while_clears_the_record(self) -> None:
        """After ejection_forget_s alive the next ejection is a first one."""
        one, now = probe_open()
        one.claim_probe(now)
        one.on_outcome(Blame.OK, now, RNG)
        one.judge(WELL, now + LIMITS.ejection_forget_s - 1, RNG)
        assert one.ejections == 1
        one.judge(WELL, now + LIMITS.ejection_forget_s, RNG)
        assert one.ejections == 0


class TestTheTrial:
    """Who died half-sick, was slow, or falls again, is asked more."""

    def trial(self, one: Health, now: float, answers: list[Blame]) -> float:
        """Each probe as soon as it may go, answered 20 ms later; the time after the last answer."""
        for blame in answers:
            while not one.claim_probe(now):
                now += 0.1
                one.judge(WELL, now, RNG)
            now += 0.02
            one.on_outcome(blame, now, RNG, 1, now - 0.02)
        return now

    def test_half_sick_is_asked_eight_times(self) -> None:
        """Dead of its success share: alive only after probe_row_max taken in a row, a gap between them."""
        one = health()
        one.judge(attrs.evolve(WELL, success=0.5), 1.0, RNG)
        assert one.asked == LIMITS.probe_row_max
        began = one.until
        now = self.trial(one, began, [Blame.OK] * (LIMITS.probe_row_max - 1))
        assert (one.state, one.taken) == (PROBE_OPEN, LIMITS.probe_row_max - 1)
        assert not one.may_probe(now + LIMITS.probe_gap_s / 2)
        now = self.trial(one, now, [Blame.OK])
        assert one.state is ALIVE
        assert now - began >= (LIMITS.probe_row_max - 1) * LIMITS.probe_gap_s

    def test_one_fault_ends_the_trial(self) -> None:
        """Five taken and one refused is an ejection, and the next trial begins anew."""
        one = health()
        one.judge(attrs.evolve(WELL, success=0.5), 1.0, RNG)
        self.trial(one, one.until, [Blame.OK] * 5 + [Blame.TRANSIENT])
        assert (one.state, one.ejections, one.taken, one.asked) == (DEAD, 2, 0, LIMITS.probe_row_max)

    def test_each_relapse_doubles_what_is_asked_up_to_the_most(self) -> None:
        """Dead of a row of faults: one probe; after a relapse two, then four, eight, eight."""
        one, now, asked = health(), 1.0, []
        for _ in range(6):
            one.on_outcome(Blame.TRANSIENT, now, RNG, 50)
            asked.append(one.asked)
            now = self.trial(one, one.until, [Blame.OK] * one.asked) + 1.0
            assert one.state is ALIVE
        assert asked == [1, 2, 4, 8, 8, 8]

    def test_a_relapse_lengthens_the_slow_start(self) -> None:
        """Twice the length after the first relapse, and never longer than slow_start_max_s."""
        one, now = health(), 1.0
        halfway = []
        for _ in range(6):
            one.on_outcome(Blame.TRANSIENT, now, RNG, 50)
            now = self.trial(one, one.until, [Blame.OK] * one.asked)
            halfway.append(one.admits(now + LIMITS.slow_start_s))
            now += 1.0
        assert halfway == [pytest.approx(x) for x in (1.0, 0.55, 0.4, 0.325, 0.325, 0.325)]

    def test_failed_probes_are_no_relapse(self) -> None:
        """A carrier that refuses everything for an hour is asked once when it is well again."""
        one = health()
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
        self.trial(one, one.until, [Blame.TRANSIENT] * 20)
        assert (one.ejections, one.relapses, one.asked) == (21, 0, 1)

    def test_who_was_slow_must_answer_quickly(self) -> None:
        """Taken after 5 s is a failed probe of a carrier that died of its latency; each failure asks less."""
        one, slow = health(), attrs.evolve(WELL, latency_s=5.0, baseline_s=0.1)
        one.judge(slow, 1.0, RNG)
        one.judge(slow, 1.0 + LIMITS.latency_dead_s, RNG)
        for failed in range(3):
            now = one.until
            one.judge(WELL, now, RNG)
            assert one.claim_probe(now)
            one.on_outcome(Blame.OK, now + 5.0, RNG, 1, now)
            assert (one.state, one.ejections) == (DEAD, 2 + failed)
        assert one.reason == "the probe took 5000 ms, asked were 4000 ms"
        now = one.until
        one.judge(WELL, now, RNG)
        assert one.claim_probe(now)
        one.on_outcome(Blame.OK, now + 5.0, RNG, 1, now)
        assert one.state is ALIVE

    def test_the_wait_for_a_trial_is_one(self) -> None:
        """A neutral answer or a taken one of several does not begin the wait for a part that may ask anew."""
        one = health()
        one.judge(attrs.evolve(WELL, success=0.5), 1.0, RNG)
        began = one.until
        one.judge(WELL, began, RNG)
        self.trial(one, began + 20.0, [Blame.CONGESTED, Blame.OK])
        assert (one.state, one.since) == (PROBE_OPEN, began)

    def test_barred_is_found_and_not_done(self) -> None:
        """The last bind that lives: the sickness is counted once and told, and it stays."""
        one = health()
        one.barred = "its sisters are no better"
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
        one.on_outcome(Blame.TRANSIENT, 2.0, RNG, 50)
        assert (one.state, one.detected, one.enforced) == (ALIVE, 1, 0)
        assert one.would == "50 faults in a row; but its sisters are no better"
        one.on_outcome(Blame.OK, 3.0, RNG)
        one.judge(WELL, 3.1, RNG)
        assert one.would == ""

    def test_a_pardon_takes_back_the_ejection(self) -> None:
        """From anywhere to alive, at once or slowly; the next ejection is as short as this one was."""
        one = dead()
        one.pardon("its carrier", 101.0)
        assert (one.state, one.ejections, one.admits(101.0), one.reason) == (ALIVE, 0, 1.0, "its carrier")
        one = dead()
        one.pardon("long ago", 101.0, slowly=True)
        assert one.admits(101.0) == pytest.approx(LIMITS.slow_start_share)


class TestShadow:
    """Measured, shown, not acted on."""

    def test_counts_what_it_would_have_done(self) -> None:
        """A shadow machine dies, tells why, and admits everything."""
        one = health(shadow=True)
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
        assert (one.state, one.admits(1.0), one.detected, one.enforced) == (DEAD, 1.0, 1, 0)

    def test_revives_on_the_next_taken_part(self) -> None:
        """Nothing was held back, so any part taken after the ejection is the probe."""
        one = health(shadow=True)
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
        one.judge(WELL, 7.0, RNG)
        one.judge(WELL, 7.1, RNG)
        assert not one.may_probe(7.1)
        one.on_outcome(Blame.OK, 7.2, RNG)
        assert (one.state, one.admits(7.2)) == (ALIVE, 1.0)

    def test_nobody_asks_an_idle_one(self) -> None:
        """No part was sent, so none is unanswered: it goes on waiting for an answer, and is found dead once."""
        one = health(shadow=True)
        one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
        for tenths in range(20, 3000):
            one.judge(WELL, tenths / 10, RNG)
        assert (one.detected, one.ejections, one.sick_since) == (1, 1, 1.0)
        one.on_outcome(Blame.OK, 301.0, RNG)
        assert one.state is ALIVE

    def test_a_missing_bind_is_always_enforced(self) -> None:
        """There is nothing to send on."""
        one = health(shadow=True)
        one.on_bind_down("gone", 1.0, RNG)
        assert one.admits(1.0) == 0.0


def test_enforced_equals_detected_without_shadow() -> None:
    """What is found necessary is carried out."""
    one = dead()
    assert (one.detected, one.enforced) == (1, 1)


def test_changes_grow_with_each_step() -> None:
    """Whoever keeps a plan sees that it is stale."""
    one = health()
    before = one.changes
    one.on_outcome(Blame.OK, 1.0, RNG)
    assert one.changes == before
    one.on_outcome(Blame.TRANSIENT, 1.0, RNG, 50)
    assert one.changes == before + 1
