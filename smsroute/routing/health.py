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

One taken message tells a dead carrier from a living one; it does not tell a half-dead one, nor a link that is up for
five seconds in ten. So what is asked depends on how it died: who refused everything is asked once, who took some and
refused some `probe_row_max` times, who was slow must answer quickly, and each relapse doubles the number of messages,
one after another with `probe_gap_s` between them, that must all be taken. A relapse lengthens the slow start too.

              faults in a row, success, latency, bind down
        Alive --------------------------------------------> Dead <-------+
          ^                                                   |          |
          | the last one taken                  ejection over |          | a fault, no answer, bind down
          |                                                   v          |
        ProbeClosed <------- one message sent ------- ProbeOpen          |
          |  |                                           ^               |
          |  +---- neutral answer, or one of more taken -+               |
          +--------------------------------------------------------------+

    on answers (n of one blame):   taken: row = 0.   fault: row += n; SICK at dead_consecutive_faults, once the row is
                                   dead_row_s old or dead_row_faults long
    judge (ten times a second):    success share, latency against its usual, ejection over, probe overdue
    asked:                         min(probe_row_max, max(2 ** relapses, probe_row_max if it died of its success share))
    admits(now):                   0 dead or probing; 0.1 .. 1 through the slow start; 1
    pardon:                        what was held against it was somebody else's (its carrier's), or is long past

Measured (2,000 messages a second, tests/routing/test_brain, eight seeds): a favourite that refuses everything at once
got 71 to 112 more messages, all in the first 0.1 s. One that refuses a tenth stayed alive through 111,000 messages with
each of three seeds; with `dead_row_s: 0s` (five in a row alone) it was ejected by chance with one of the three. A link
up 5 s and down 5 s got 57 to 90 of the 10,000 messages that were its share in 100 s after two cycles (four seeds), and
from the fifth cycle on one a cycle. One that takes half of everything got 1 to 13 of 60,000 in half a minute after its
ejection (three preferences, eight seeds; with one probe it passed every second time). A taken part costs 0.1 us.

Limits: a late answer to a message sent before the ejection says nothing and is passed over (`sent_at`), so a carrier
that recovers while nothing is sent to it is believed only after its probe. A link that answers nothing at all (half
open) is seen by the age of what is unanswered, through `judge`, before its timeouts are counted as faults. Who was slow
and stays slow for good is let in again after some slow probes, as each one doubles what is quick enough.

Walk: kept by `dossier` (a carrier, its networks) and `sisters` (its binds); fed on answers and bind changes, judged on
the tick; read by `decide` through CarrierView.
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
    PROBE_TAKEN = enum.auto()  # and more are asked for
    TRIAL_PASSED = enum.auto()
    PROBE_NEUTRAL = enum.auto()
    PROBE_FAILED = enum.auto()
    PARDONED = enum.auto()


ALIVE, DEAD = HealthState.ALIVE, HealthState.DEAD
PROBE_OPEN, PROBE_CLOSED = HealthState.PROBE_OPEN, HealthState.PROBE_CLOSED

# fmt: off
TRANSITIONS: Final[dict[HealthState, dict[Trigger, HealthState]]] = {
    ALIVE:        {Trigger.SICK: DEAD,                Trigger.BIND_DOWN: DEAD},
    DEAD:         {Trigger.EJECTION_OVER: PROBE_OPEN, Trigger.PARDONED: ALIVE},
    PROBE_OPEN:   {Trigger.PROBE_SENT: PROBE_CLOSED,  Trigger.BIND_DOWN: DEAD,         Trigger.PARDONED: ALIVE},
    PROBE_CLOSED: {Trigger.TRIAL_PASSED: ALIVE,       Trigger.BIND_DOWN: DEAD,         Trigger.PARDONED: ALIVE,
                   Trigger.PROBE_TAKEN: PROBE_OPEN,   Trigger.PROBE_NEUTRAL: PROBE_OPEN,
                   Trigger.PROBE_FAILED: DEAD},
}
# fmt: on

_WITHIN_TRIAL: Final = frozenset({Trigger.PROBE_SENT, Trigger.PROBE_TAKEN, Trigger.PROBE_NEUTRAL})
"""A trial is one thing, however many probes it takes: who waits for it waits since its beginning."""

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
        "_answer_s",
        "_faults_max",
        "_limits",
        "_probe_at",
        "_probe_from",
        "_row",
        "_slow_answer_since",
        "_slow_dead_s",
        "_slow_since",
        "_sound",
        "alive_since",
        "asked",
        "barred",
        "bound",
        "changes",
        "detected",
        "ejections",
        "enforced",
        "name",
        "reason",
        "relapses",
        "row_since",
        "shadow",
        "sick_since",
        "since",
        "state",
        "taken",
        "until",
        "would",
    )

    def __init__(
        self, limits: Limits, name: str = "", now: float = 0.0, *, shadow: bool = False, slow_dead_s: float = 0.0
    ) -> None:
        """Alive, but with no bind up yet. `slow_dead_s`: slow for so long is dead; 0: `latency_dead_s`."""
        self.name = name
        self.shadow = shadow
        self.barred = ""  # why it may not be ejected by itself: it is the last that lives
        self.would = ""  # what it would have been ejected for, but for that
        self.state = ALIVE
        self.since = now
        self.sick_since: float | None = None  # when it was last alive; None while it is
        self.reason = "new"
        self.bound = False
        self.until = 0.0  # when a dead one may be probed
        self.ejections = 0  # in a row
        self.relapses = 0  # of those, after it had come back or had begun to
        self.asked = 1  # probes that must be taken in a row
        self.taken = 0  # of them so far
        self.detected = 0  # ejections found necessary, ever
        self.enforced = 0  # and carried out
        self.changes = 0  # of state or binds, ever: whoever cached a plan compares
        self._limits = limits
        self._faults_max = limits.dead_consecutive_faults
        self._row = 0  # faults with no part taken between them
        self.row_since = now
        self.alive_since = now
        self._slow_dead_s = slow_dead_s or limits.latency_dead_s
        self._slow_since = 0.0  # start of a slow start; 0: none
        self._probe_at = 0.0
        self._probe_from = 0.0  # when the next of several probes may go
        self._slow_answer_since = 0.0
        self._answer_s = 0.0  # slower than this, a taken probe has failed; 0: any will do
        self._sound = True  # it did not die half-sick

    # -- what happened -------------------------------------------------------------------------------------------------

    def on_outcome(self, blame: int, now: float, rng: random.Random, n: int = 1, sent_at: float | None = None) -> None:
        """`n` answers of one blame in a row. `sent_at`: when the newest of them was sent, if known."""
        if blame == _OK:
            self._row = 0
            if self.state is PROBE_CLOSED and self._is_probe(sent_at):
                self._probe_taken(now, rng)
        elif blame in _FAULTS:
            if sent_at is not None and sent_at < self.alive_since:
                return  # sent before the last ejection, which has dealt with it
            if not self._row:
                self.row_since = now
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
        if self.state is not PROBE_OPEN or not self.bound or now < self._probe_from:
            return False
        self._probe_at = now
        self._step(Trigger.PROBE_SENT, f"one message is on its way to ask{self._trial()}", now)
        return True

    def probe_withdrawn(self, now: float) -> None:
        """The message that was the probe never left."""
        if self.state is PROBE_CLOSED:
            self._step(Trigger.PROBE_NEUTRAL, "the probe never left", now)

    def pardon(self, reason: str, now: float, *, slowly: bool = False) -> None:
        """What was held against it was not its own, or is long past: alive, and this ejection does not count.

        `slowly`: nobody knows how it is now, so it begins with a slow start.
        """
        self._row = 0
        self.would = ""
        if self._step(Trigger.PARDONED, reason, now):
            self.alive_since = now
            self._slow_since = now if slowly else 0.0
            self.ejections = max(0, self.ejections - 1)
            self._sound, self._answer_s, self.taken = True, 0.0, 0

    def eject(self, reason: str, now: float, rng: random.Random) -> None:
        """Dead by somebody else's judgement: most of its networks are sick."""
        self._eject(Trigger.SICK, reason, now, rng)

    def judge(self, figures: Figures, now: float, rng: random.Random) -> None:
        """Look at the figures and the timers; a few times a second."""
        limits = self._limits
        if self.state is ALIVE:
            if self.ejections and now - self.alive_since >= limits.ejection_forget_s:
                self.ejections = self.relapses = 0
            if figures.samples >= limits.dead_samples_min and figures.success < limits.dead_success_share:
                seconds = limits.success_buckets * limits.success_bucket_s
                why = f"success {figures.success:.0%} of {figures.samples} in {seconds:.0f} s"
                self._eject(Trigger.SICK, why, now, rng, sound=False)
            elif reason := self._slowness(figures, now):
                self._eject(Trigger.SICK, reason, now, rng, answer_s=limits.latency_dead_factor * figures.baseline_s)
            elif not self._row:
                self.would = ""
        elif self.state is DEAD:
            if now >= self.until and (self.bound or self.shadow):
                self.taken = 0
                self._probe_from = now
                self._step(Trigger.EJECTION_OVER, f"may be probed; it was dead: {self.reason}", now)
        elif self.state is PROBE_OPEN and self.shadow:
            if now >= self._probe_from:
                self._probe_at = now  # nothing was held back, so the next answer of any message will do
                self._step(Trigger.PROBE_SENT, f"the next answer will tell{self._trial()}", now)
        elif self.state is PROBE_CLOSED and not self.shadow and now - self._probe_at >= limits.probe_timeout_s:
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
        length_s = min(limits.slow_start_max_s, limits.slow_start_s * (1 + self.relapses))
        done = (now - self._slow_since) / length_s if length_s else 1.0
        if done >= 1.0:
            self._slow_since = 0.0
            return 1.0
        return limits.slow_start_share + (1.0 - limits.slow_start_share) * done

    @property
    def calm(self) -> bool:
        """Whether a taken part would change nothing: alive, and no fault since the last one."""
        return not self._row and self.state is ALIVE

    def may_probe(self, now: float) -> bool:
        """Whether one message may go as a probe."""
        return self.state is PROBE_OPEN and self.bound and now >= self._probe_from and not self.shadow

    # -- inside --------------------------------------------------------------------------------------------------------

    def _is_probe(self, sent_at: float | None) -> bool:
        return sent_at is None or sent_at >= self._probe_at

    def _row_counts(self, now: float) -> bool:
        """A row is short-lived chance at a high rate: one fault in ten makes five in a row every 100,000 parts."""
        return now - self.row_since >= self._limits.dead_row_s or self._row >= self._limits.dead_row_faults

    def _slowness(self, figures: Figures, now: float) -> str:
        limits = self._limits
        if figures.latency_s <= limits.latency_dead_factor * figures.baseline_s:
            self._slow_answer_since = 0.0
            return ""
        self._slow_answer_since = self._slow_answer_since or now
        slow_s = now - self._slow_answer_since
        if slow_s < self._slow_dead_s:
            return ""
        return f"latency {figures.latency_s * 1000:.0f} ms for {slow_s:.0f} s, usual {figures.baseline_s * 1000:.0f} ms"

    def _trial(self) -> str:
        return f", {self.taken} of {self.asked} taken" if self.asked > 1 else ""

    def _probe_taken(self, now: float, rng: random.Random) -> None:
        took_s = now - self._probe_at
        if self._answer_s and took_s > self._answer_s:
            why = f"the probe took {took_s * 1000:.0f} ms, asked were {self._answer_s * 1000:.0f} ms"
            self._answer_s *= 2.0  # who is slow for good is not dead for good
            self._eject(Trigger.PROBE_FAILED, why, now, rng)
            return
        self.taken += 1
        if self.taken < self.asked:
            self._probe_from = now + self._limits.probe_gap_s
            self._step(Trigger.PROBE_TAKEN, f"{self.taken} of {self.asked} probes taken", now)
        elif self._step(
            Trigger.TRIAL_PASSED, "the probe was taken" if self.asked == 1 else "the probes were taken", now
        ):
            self.alive_since = self._slow_since = now
            self._row = 0
            self._sound, self._answer_s, self.taken = True, 0.0, 0

    def _step(self, trigger: Trigger, reason: str, now: float) -> bool:
        to = TRANSITIONS[self.state].get(trigger)
        if to is None:
            return False
        if self.state is ALIVE or to is ALIVE:
            self.sick_since = None if to is ALIVE else now
        if trigger not in _WITHIN_TRIAL:
            self.since = now
        self.state, self.reason = to, reason
        self.changes += 1
        return True

    def _eject(
        self,
        trigger: Trigger,
        reason: str,
        now: float,
        rng: random.Random,
        *,
        sound: bool = True,
        answer_s: float = 0.0,
    ) -> None:
        if self.barred and trigger is Trigger.SICK:
            self.detected += not self.would
            self.would = f"{reason}; but {self.barred}"
            self._row = 0
            return
        relapsed = self.taken > 0 if self.state is not ALIVE else self.ejections > 0
        if not self._step(trigger, reason, now):
            return
        limits = self._limits
        self.ejections += 1
        self.detected += 1
        self.enforced += not self.shadow
        self.relapses += relapsed
        self._sound = self._sound and sound
        self._answer_s = self._answer_s or answer_s
        row_max = limits.probe_row_max
        self.asked = row_max if not self._sound else min(row_max, 1 << min(self.relapses, 16))
        self.taken = 0
        length_s = min(limits.ejection_max_s, limits.ejection_min_s * self.ejections)
        self.until = now + length_s / 2 + rng.random() * length_s / 2
        self._row = 0
        self._slow_since = self._slow_answer_since = 0.0
