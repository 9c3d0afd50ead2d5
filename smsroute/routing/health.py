"""Whether a carrier (for a network, or one bind) is alive: a small machine, its table, and who may be sent what.

Rules:
- Only carrier faults count (`outcome.FAULTS`). A subscriber's fault is neutral everywhere, also as a probe's answer
  (law 9); throttled and congested too: congestion is not death.
- The machine's steps are all in TRANSITIONS. A trigger that has no row in the present state changes nothing.
- `shadow` measures and shows what it would have done and lets everything pass; only a missing bind is always enforced.

Drawback of the simple way. "Dead after n errors, alive again after 30 s" sends a full load into a carrier that is still
sick, every 30 s, and all engines of a house do it at the same moment; a ping (enquire_link) says that the link lives,
which it does on most bad days.

Idea. Ejection lasts `ejection_min_s` times the number of ejections in a row, half of it by chance (equal jitter), at
most `ejection_max_s`. Then ONE real message asks the question that matters; only when the carrier takes it does traffic
return, by a slow start. Being well for `ejection_forget_s` clears the record.

              faults in a row, success, latency, bind down
        Alive --------------------------------------------> Dead <-------+
          ^                                                   |          |
          | taken                               ejection over |          | a fault, no answer, bind down
          |                                                   v          |
        ProbeClosed <------- one message sent ------- ProbeOpen          |
          |  |                                           ^               |
          |  +------------- neutral answer --------------+               |
          +--------------------------------------------------------------+

    on answers (n of one blame):   taken: row = 0.   fault: row += n; SICK at dead_consecutive_faults, once the row is
                                   dead_row_s old or dead_row_faults long
    judge (ten times a second):    success share, latency against its usual, ejection over, probe overdue
    admits(now):                   0 dead or probing; 0.1 .. 1 through the slow start; 1

Measured (2,000 messages a second, tests/routing/test_brain, eight seeds): a favourite that refuses everything at once
got 71 to 112 more messages, all in the first 0.1 s. One that refuses a tenth stayed alive through 111,000 messages with
each of three seeds; with `dead_row_s: 0s` (five in a row alone) it was ejected by chance with one of the three. A link
up 5 s and down 5 s carries under 5 % of its share after two cycles. A taken part costs 0.1 us.

Limits: a late answer to a message sent before the ejection says nothing and is passed over (`sent_at`), so a carrier
that recovers while nothing is sent to it is believed only after its probe. A link that answers nothing at all (half
open) is seen by the age of what is unanswered, through `judge`, before its timeouts are counted as faults. One probe
tells a dead carrier from a living one, not a half-dead one: that one gets a slow start after every second probe.

Walk: kept by `board`; fed on answers and bind changes, judged on its tick; read by `decide` through CarrierView.
"""

from __future__ import annotations

import enum
import random
from typing import Final

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.outcome import FAULTS
from smsroute.routing.score import Figures


class HealthState(enum.Enum):
    """Where the machine stands."""

    ALIVE = "alive"
    DEAD = "dead"
    PROBE_OPEN = "probe-open"  # one message may go
    PROBE_CLOSED = "probe-closed"  # it is on its way


class Trigger(enum.Enum):
    """What moves it."""

    SICK = enum.auto()
    BIND_DOWN = enum.auto()
    EJECTION_OVER = enum.auto()
    PROBE_SENT = enum.auto()
    PROBE_TAKEN = enum.auto()
    PROBE_NEUTRAL = enum.auto()
    PROBE_FAILED = enum.auto()


ALIVE, DEAD = HealthState.ALIVE, HealthState.DEAD
PROBE_OPEN, PROBE_CLOSED = HealthState.PROBE_OPEN, HealthState.PROBE_CLOSED

# fmt: off
TRANSITIONS: Final[dict[HealthState, dict[Trigger, HealthState]]] = {
    ALIVE:        {Trigger.SICK: DEAD,                Trigger.BIND_DOWN: DEAD},
    DEAD:         {Trigger.EJECTION_OVER: PROBE_OPEN},
    PROBE_OPEN:   {Trigger.PROBE_SENT: PROBE_CLOSED,  Trigger.BIND_DOWN: DEAD},
    PROBE_CLOSED: {Trigger.PROBE_TAKEN: ALIVE,        Trigger.BIND_DOWN: DEAD,
                   Trigger.PROBE_NEUTRAL: PROBE_OPEN, Trigger.PROBE_FAILED: DEAD},
}
# fmt: on

_OK: Final = int(Blame.OK)
_FAULTS: Final = frozenset(int(b) for b in FAULTS)
_FAULT_WORDS: Final = {
    int(Blame.TRANSIENT): "faults",
    int(Blame.PERMANENT_ROUTE): "refusals of our account or bind",
    int(Blame.UNKNOWN): "parts unanswered",
}


class Health:
    """One machine. See the module. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_alive_since",
        "_faults_max",
        "_limits",
        "_probe_at",
        "_row",
        "_row_since",
        "_slow_answer_since",
        "_slow_since",
        "bound",
        "changes",
        "detected",
        "ejections",
        "enforced",
        "name",
        "reason",
        "shadow",
        "sick_since",
        "since",
        "state",
        "until",
    )

    def __init__(self, limits: Limits, name: str = "", now: float = 0.0, *, shadow: bool = False) -> None:
        """Alive, but with no bind up yet."""
        self.name = name
        self.shadow = shadow
        self.state = ALIVE
        self.since = now
        self.sick_since: float | None = None  # when it was last alive; None while it is
        self.reason = "new"
        self.bound = False
        self.until = 0.0  # when a dead one may be probed
        self.ejections = 0  # in a row
        self.detected = 0  # ejections found necessary, ever
        self.enforced = 0  # and carried out
        self.changes = 0  # of state or binds, ever: whoever cached a plan compares
        self._limits = limits
        self._faults_max = limits.dead_consecutive_faults
        self._row = 0  # faults with no part taken between them
        self._row_since = now
        self._alive_since = now
        self._slow_since = 0.0  # start of a slow start; 0: none
        self._probe_at = 0.0
        self._slow_answer_since = 0.0

    # -- what happened -------------------------------------------------------------------------------------------------

    def on_outcome(self, blame: int, now: float, rng: random.Random, n: int = 1, sent_at: float | None = None) -> None:
        """`n` answers of one blame in a row. `sent_at`: when the newest of them was sent, if known."""
        if blame == _OK:
            self._row = 0
            if self.state is PROBE_CLOSED and self._is_probe(sent_at):
                self._revive(now)
        elif blame in _FAULTS:
            if sent_at is not None and sent_at < self._alive_since:
                return  # sent before the last ejection, which has dealt with it
            if not self._row:
                self._row_since = now
            self._row += n
            if self.state is ALIVE:
                if self._row >= self._faults_max and self._row_counts(now):
                    self._eject(Trigger.SICK, f"{self._row} {_FAULT_WORDS[blame]} in a row", now, rng)
            elif self.state is PROBE_CLOSED and self._is_probe(sent_at):
                self._eject(Trigger.PROBE_FAILED, f"the probe met {Blame(blame).name.lower()}", now, rng)
        elif self.state is PROBE_CLOSED and self._is_probe(sent_at):
            self._step(Trigger.PROBE_NEUTRAL, f"the probe met {Blame(blame).name.lower()}, which says nothing", now)

    def on_bind_up(self, now: float) -> None:
        """The first bind is up."""
        if self.bound:
            return
        self.bound = True
        self.changes += 1
        if self.state is ALIVE:
            self.since, self.reason = now, "bound"

    def on_bind_down(self, reason: str, now: float, rng: random.Random) -> None:
        """The last bind is gone."""
        if not self.bound:
            if self.state is ALIVE:  # never bound yet: say why, not "new"
                self.reason = reason
            return
        self.bound = False
        self.changes += 1
        if self.state is not DEAD:
            self._eject(Trigger.BIND_DOWN, f"bind down: {reason}", now, rng)

    def recall(self, ejections: int, sick_s: float | None, now: float) -> None:
        """What the last engine knew: ejections in a row, and for how long it was not alive, None if it was. Who was
        sick may be probed once bound, and has no trust before. Call before anything has happened."""
        self.ejections = ejections
        if sick_s is not None and not self.shadow:
            self.state, self.since, self.sick_since, self.until = DEAD, now, now - sick_s, now
            self.reason = "not alive when the engine stopped"
            self.changes += 1

    def claim_probe(self, now: float) -> bool:
        """Take the one place of the probe. True once per ProbeOpen: the caller's message is the probe."""
        if self.state is not PROBE_OPEN or not self.bound:
            return False
        self._probe_at = now
        self._step(Trigger.PROBE_SENT, "one message is on its way to ask", now)
        return True

    def probe_withdrawn(self, now: float) -> None:
        """The message that was the probe never left."""
        if self.state is PROBE_CLOSED:
            self._step(Trigger.PROBE_NEUTRAL, "the probe never left", now)

    def judge(self, figures: Figures, now: float, rng: random.Random) -> None:
        """Look at the figures and the timers; a few times a second."""
        limits = self._limits
        if self.state is ALIVE:
            if self.ejections and now - self._alive_since >= limits.ejection_forget_s:
                self.ejections = 0
            reason = self._sickness(figures, now)
            if reason:
                self._eject(Trigger.SICK, reason, now, rng)
        elif self.state is DEAD:
            if now >= self.until and (self.bound or self.shadow):
                self._step(Trigger.EJECTION_OVER, f"may be probed; it was dead: {self.reason}", now)
        elif self.state is PROBE_OPEN and self.shadow:
            self._probe_at = now  # nothing was held back, so the next answer of any message will do
            self._step(Trigger.PROBE_SENT, "the next answer will tell", now)
        elif self.state is PROBE_CLOSED and now - self._probe_at >= limits.probe_timeout_s:
            waited_s = now - self._probe_at
            self._eject(Trigger.PROBE_FAILED, f"the probe is unanswered for {waited_s:.0f} s", now, rng)

    # -- what it means -------------------------------------------------------------------------------------------------

    def admits(self, now: float) -> float:
        """The share of its traffic it may have now: 0 none, 1 all, between them the slow start."""
        if not self.bound:
            return 0.0
        if self.state is not ALIVE:
            return 1.0 if self.shadow else 0.0
        if not self._slow_since or self.shadow:
            return 1.0
        limits = self._limits
        done = (now - self._slow_since) / limits.slow_start_s if limits.slow_start_s else 1.0
        if done >= 1.0:
            self._slow_since = 0.0
            return 1.0
        return limits.slow_start_share + (1.0 - limits.slow_start_share) * done

    @property
    def calm(self) -> bool:
        """Whether a taken part would change nothing: alive, and no fault since the last one."""
        return not self._row and self.state is ALIVE

    @property
    def probing(self) -> bool:
        """Whether one message may go as a probe."""
        return self.state is PROBE_OPEN and self.bound and not self.shadow

    def next_deadline(self) -> float:
        """When `judge` may have something to do because of time alone; inf when never."""
        if self.state is DEAD:
            return self.until if self.bound else float("inf")
        return self._probe_at + self._limits.probe_timeout_s if self.state is PROBE_CLOSED else float("inf")

    # -- inside --------------------------------------------------------------------------------------------------------

    def _is_probe(self, sent_at: float | None) -> bool:
        return sent_at is None or sent_at >= self._probe_at

    def _row_counts(self, now: float) -> bool:
        """A row is short-lived chance at a high rate: one fault in ten makes five in a row every 100,000 parts."""
        return now - self._row_since >= self._limits.dead_row_s or self._row >= self._limits.dead_row_faults

    def _sickness(self, figures: Figures, now: float) -> str:
        limits = self._limits
        if figures.samples >= limits.dead_samples_min and figures.success < limits.dead_success_share:
            seconds = limits.success_buckets * limits.success_bucket_s
            return f"success {figures.success:.0%} of {figures.samples} in {seconds:.0f} s"
        if figures.latency_s <= limits.latency_dead_factor * figures.baseline_s:
            self._slow_answer_since = 0.0
            return ""
        self._slow_answer_since = self._slow_answer_since or now
        slow_s = now - self._slow_answer_since
        if slow_s < limits.latency_dead_s:
            return ""
        return f"latency {figures.latency_s * 1000:.0f} ms for {slow_s:.0f} s, usual {figures.baseline_s * 1000:.0f} ms"

    def _step(self, trigger: Trigger, reason: str, now: float) -> bool:
        to = TRANSITIONS[self.state].get(trigger)
        if to is None:
            return False
        if self.state is ALIVE or to is ALIVE:
            self.sick_since = None if to is ALIVE else now
        self.state, self.since, self.reason = to, now, reason
        self.changes += 1
        return True

    def _eject(self, trigger: Trigger, reason: str, now: float, rng: random.Random) -> None:
        if not self._step(trigger, reason, now):
            return
        limits = self._limits
        self.ejections += 1
        self.detected += 1
        self.enforced += not self.shadow
        length_s = min(limits.ejection_max_s, limits.ejection_min_s * self.ejections)
        self.until = now + length_s / 2 + rng.random() * length_s / 2
        self._row = 0
        self._slow_since = self._slow_answer_since = 0.0

    def _revive(self, now: float) -> None:
        if self._step(Trigger.PROBE_TAKEN, "the probe was taken", now):
            self._alive_since = self._slow_since = now
            self._row = 0
