"""Health under any order of triggers: never two probes out, never dead for ever. smsroute/routing/health.py."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.health import ALIVE, DEAD, PROBE_CLOSED, Health
from smsroute.routing.outcome import FAULTS
from smsroute.routing.score import Figures

LIMITS = Limits()
WELL = Figures(1000, 1.0, 0.0, 0.0, 0.1, 0.1, 1000)
HALF = Figures(1000, 0.5, 0.0, 0.0, 0.1, 0.1, 1000)
SLOW = Figures(1000, 1.0, 0.0, 0.0, 5.0, 0.1, 1000)
RECOVERY_S = LIMITS.ejection_max_s + LIMITS.probe_timeout_s + LIMITS.probe_row_max * (LIMITS.probe_gap_s + 1) + 60
"""The longest ejection, a probe that was out when it healed, and the trial; and a failed slow one or two more."""


class HealthMachine(RuleBasedStateMachine):
    """One machine, anything that may happen to it, and what must hold after each."""

    @initialize(seed=st.integers(0, 2**32), shadow=st.booleans())
    def begin(self, seed: int, shadow: bool) -> None:
        """A new one, bound."""
        self.now = 0.0
        self.rng = random.Random(seed)
        self.one = Health(LIMITS, "orange", 0.0, shadow=shadow)
        self.one.on_bind_up(0.0)
        self.out_since: float | None = None  # the probe on its way
        self.ejected = 0

    @rule(blame=st.sampled_from(list(Blame)), n=st.sampled_from([1, 2, 5, 60]), ago_s=st.floats(0, 30))
    def answer(self, blame: Blame, n: int, ago_s: float) -> None:
        """Answers to parts sent some time ago."""
        was = self.one.state
        sent_at = self.now - ago_s
        self.one.on_outcome(blame, self.now, self.rng, n, sent_at)
        if self.out_since is not None and sent_at >= self.out_since:
            self.out_since = None
        if blame not in FAULTS and was is ALIVE:
            assert self.one.state is ALIVE, f"law 9: {blame.name} ejected it"

    @rule(
        seconds=st.sampled_from([0.0, 0.05, 0.3, 2.0, 10.0, 60.0, 400.0]), figures=st.sampled_from([WELL, HALF, SLOW])
    )
    def time_passes(self, seconds: float, figures: Figures) -> None:
        """A while, then a judgement."""
        self.now += seconds
        self.one.judge(figures, self.now, self.rng)

    @rule()
    def claim(self) -> None:
        """A part asks to be the probe."""
        if self.one.claim_probe(self.now):
            assert self.out_since is None or self.one.shadow, "two probes at once"
            self.out_since = self.now

    @precondition(lambda self: self.one.state is PROBE_CLOSED)
    @rule()
    def withdraw(self) -> None:
        """The probe never left."""
        self.one.probe_withdrawn(self.now)
        self.out_since = None

    @rule()
    def link_lost(self) -> None:
        """The last bind goes."""
        self.one.on_bind_down("reset", self.now, self.rng)

    @rule()
    def link_back(self) -> None:
        """And comes."""
        self.one.on_bind_up(self.now)

    @rule()
    def pardoned(self) -> None:
        """Its sickness was somebody else's."""
        self.one.pardon("by the carrier", self.now)

    @invariant()
    def shares_are_shares(self) -> None:
        """admits is 0..1; nothing without a bind; all or nothing where it is measured only."""
        share = self.one.admits(self.now)
        assert 0.0 <= share <= 1.0
        assert self.one.bound or share == 0.0
        assert not self.one.shadow or share in (0.0, 1.0)
        if not self.one.shadow and self.one.state is not ALIVE:
            assert share == 0.0

    @invariant()
    def counts_hold(self) -> None:
        """What was carried out was found necessary; a trial is bounded; jitter keeps its bounds."""
        one = self.one
        assert 0 <= one.enforced <= one.detected
        assert one.enforced == (0 if one.shadow else one.detected)
        assert 1 <= one.asked <= LIMITS.probe_row_max and 0 <= one.taken < one.asked
        if one.detected > self.ejected and one.state is DEAD:
            full_s = min(LIMITS.ejection_max_s, LIMITS.ejection_min_s * max(1, one.ejections))
            assert full_s / 2 - 1e-6 <= one.until - one.since <= full_s + 1e-6
        self.ejected = one.detected
        if one.state is not PROBE_CLOSED:
            self.out_since = None

    def teardown(self) -> None:
        """From here on the carrier is well and bound: it is alive again within a bounded time."""
        if not hasattr(self, "one"):
            return
        one, end = self.one, self.now + RECOVERY_S
        one.on_bind_up(self.now)
        while one.state is not ALIVE:
            assert self.now < end, f"still {one.state.value}: {one.reason}"
            self.now += 0.1
            one.judge(WELL, self.now, self.rng)
            claimed = one.claim_probe(self.now)
            if claimed or one.state is PROBE_CLOSED:
                sent_at, self.now = self.now, self.now + 0.02
                one.on_outcome(Blame.OK, self.now, self.rng, 1, sent_at)


HealthMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestHealthMachine = HealthMachine.TestCase
