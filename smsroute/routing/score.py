"""How well one carrier does for one network: exact recent counts, peak latency, receipts; one number from named terms.

Rules:
- A subscriber's or a text's fault (PERMANENT_MESSAGE) changes nothing here but a count (law 9).
- Only a part the carrier took may lower the latency. A refusal, however quick, never does; a slow fault may raise it.
- Missing samples speak for the carrier: a pair nobody has used yet has quality 1.
- A term is 1.0 when all is well and falls towards 0; quality is their product, so one bad term is enough and `terms`
  says which.

Drawback of the simple way. An average of latencies answers "how was it", late: a carrier that hangs gives no samples
at all, and its good past speaks for it until the timeouts come in. An EWMA of errors hides bursts: 100 errors in a row
and 100 spread over a minute look alike a little later. And both are fooled by a broken carrier that refuses in 1 ms.

Idea.
- Latency is a peak-EWMA (Finagle): a slower sample is believed at once, a faster one pulls it down with tau seconds.
  The age of the oldest unanswered request counts as a sample that is already at least so slow. The term compares with
  the pair's own baseline, because 300 ms is quick for one operator and sick for another; the baseline follows downwards
  with tau and upwards many times slower, so that a sickness of hours does not become "usual".
- Outcomes are counted exactly, in a ring of buckets that rotates with time: the share is of precisely the last 30 s.
- Receipts look back half an hour in the same way, and compare with the pair's own baseline (`receipts_score`).

    on an answer: rotate the ring if due; counts[blame] += n
        taken:  latency = sample if sample > latency else sample + (latency - sample) * exp(-dt / tau)
        fault:  latency = max(latency, sample)
    quality = latency * success * unknown * throttled * occupancy * delivered * receipt_delay * receipt_silence

Measured (Python 3.11 on 2 cores, idle / with busy neighbours): 0.2 / 0.5 us an answer, or a batch of equal ones; 6 / 12
us for the terms, which are made once a plan. A carrier that goes from 20 ms to 5 s, or silent, at 2,000 messages a
second leaves the quality band 0.2 s later: before its first late answer, and 10 s before its first timeout
(tests/routing/test_brain).

Limits: a carrier that is slow from its first day has that as its baseline until a faster day; the latency of an idle
pair fades back towards its baseline, since nothing can prove it; two networks behind one prefix share a score.

Walk: `dossier` keeps one Score per carrier and per (carrier, network) and feeds both; `decide` reads quality and terms;
`health` judges the same figures.
"""

from __future__ import annotations

from math import exp
from typing import Final

import attrs

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.kept import KeptRecord, sane
from smsroute.routing.outcome import FAULTS
from smsroute.routing.receipts_score import Receipts
from smsroute.routing.ring import Ring

Terms = tuple[tuple[str, float], ...]

_OK: Final = int(Blame.OK)
_THROTTLED: Final = int(Blame.THROTTLED)
_CONGESTED: Final = int(Blame.CONGESTED)
_NEUTRAL: Final = int(Blame.PERMANENT_MESSAGE)
_UNKNOWN: Final = int(Blame.UNKNOWN)
_FAULTS: Final = frozenset(int(b) for b in FAULTS)


@attrs.frozen
class Figures:
    """What a score says at one moment; `health` judges it and people see it."""

    samples: int  # answers that count: taken, faults
    success: float  # taken among them, 0..1
    unknown: float  # nobody answered, among them
    throttled: float  # throttled or congested among all answers
    latency_s: float  # peak-EWMA, or the oldest unanswered request's age if that is more
    baseline_s: float  # this pair's usual peak
    answers: int  # of any kind in the window


class Score:
    """One pair's figures. See the module. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_limits",
        "_receipts",
        "_ring",
        "_row",
        "_row_ends",
        "_tau",
        "_totals",
        "baseline_s",
        "latency_at",
        "latency_s",
        "receipts",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._tau = limits.latency_tau_s
        self._ring = Ring(len(Blame), limits.success_buckets, limits.success_bucket_s, now)
        self._row, self._totals, self._row_ends = self._ring.row, self._ring.totals, self._ring.ends_at
        self.latency_s = 0.0
        self.latency_at = now
        self.baseline_s = 0.0  # 0: not known yet
        self.receipts = Receipts(limits, now)

    def answered(self, blame: int, latency_s: float, now: float, n: int = 1) -> None:
        """Count `n` answers of one blame. `latency_s`: submit to response, the slowest of the n."""
        if now >= self._row_ends:
            self._rotate(now)
        self._row[blame] += n
        self._totals[blame] += n
        if blame == _OK:
            if latency_s >= self.latency_s:
                self.latency_s = latency_s
            else:
                self.latency_s = latency_s + (self.latency_s - latency_s) * exp((self.latency_at - now) / self._tau)
            self.latency_at = now
        elif blame in _FAULTS and latency_s > self.latency_s:
            self.latency_s = latency_s
            self.latency_at = now

    def figures(self, now: float, oldest_unanswered_age_s: float = 0.0) -> Figures:
        """The counts of the success window and the latency, as they stand at `now`."""
        if now >= self._row_ends:
            self._rotate(now)
        totals = self._totals
        taken, unknown = totals[_OK], totals[_UNKNOWN]
        faults = sum(totals[blame] for blame in _FAULTS)
        samples = taken + faults
        limited = totals[_THROTTLED] + totals[_CONGESTED]
        answers = sum(totals)
        return Figures(
            samples=int(samples),
            success=taken / samples if samples else 1.0,
            unknown=unknown / samples if samples else 0.0,
            throttled=limited / answers if answers else 0.0,
            latency_s=max(self.latency_now_s(now), oldest_unanswered_age_s),
            baseline_s=self.usual_s(),
            answers=int(answers),
        )

    def rate_s(self, now: float) -> float:
        """Parts answered per second, whatever the answer, over the success window."""
        if now >= self._row_ends:
            self._rotate(now)
        limits = self._limits
        window_s = limits.success_buckets * limits.success_bucket_s - max(0.0, self._row_ends - now)
        return sum(self._totals) / window_s

    def latency_now_s(self, now: float) -> float:
        """The peak-EWMA; without a sample it fades to the baseline, as nothing proves the old peak any more."""
        idle_s = now - self.latency_at
        if idle_s <= 0 or self.latency_s <= self.baseline_s:
            return self.latency_s
        return self.baseline_s + (self.latency_s - self.baseline_s) * exp(-idle_s / self._tau)

    def usual_s(self) -> float:
        """This pair's usual peak latency, never below the floor."""
        return max(self.baseline_s, self._limits.latency_floor_s)

    def terms(self, now: float, oldest_unanswered_age_s: float = 0.0, occupancy: float = 0.0) -> Terms:
        """Each term of the quality, by name, 0..1. `occupancy`: share of the windows in flight, 0..1."""
        f = self.figures(now, oldest_unanswered_age_s)
        limits = self._limits
        least = limits.dead_samples_min
        totals = (
            self._totals
        )  # exact counts, as `figures` has just rotated them; samples missing up to the least are good
        taken, silent, limited = totals[_OK], totals[_UNKNOWN], totals[_THROTTLED] + totals[_CONGESTED]
        refused = f.samples - taken - silent
        # Of those somebody answered for; what nobody answered for has a term of its own.
        answered = taken + refused
        allowed = limits.latency_tolerance * f.baseline_s
        crowd = max(0.0, min(1.0, occupancy) - limits.occupancy_from) / (1 - limits.occupancy_from)
        return (
            ("latency", 1.0 if f.latency_s <= allowed else allowed / f.latency_s),
            ("success", 1.0 - refused / max(answered, least)),
            ("unknown", 1.0 - silent / max(f.samples, least)),
            ("throttled", 1.0 - limits.throttled_weight * limited / max(f.answers, least)),
            ("occupancy", 1.0 - limits.occupancy_weight * crowd),
            *self.receipts.terms(now),
        )

    def quality(self, now: float, oldest_unanswered_age_s: float = 0.0, occupancy: float = 0.0) -> float:
        """The product of the terms, 0..1."""
        return product(self.terms(now, oldest_unanswered_age_s, occupancy))

    def keep(self, now: float) -> KeptRecord:
        """Its past, for the next engine."""
        return KeptRecord(self.baseline_s, self.receipts.keep(now))

    def restore(self, kept: KeptRecord, now: float, elapsed_s: float) -> None:
        """Go on from what was kept `elapsed_s` ago."""
        self.baseline_s = sane(kept.baseline_s)
        self.receipts.restore(kept.receipts, now, elapsed_s)

    def forgive(self) -> None:
        """Forget the outcomes counted, not the baselines: who is back from the dead is judged by what it does now."""
        self._ring.clear()
        self.latency_s = min(self.latency_s, self.usual_s())

    def _rotate(self, now: float) -> None:
        took = self._row[_OK]
        self._ring.rotate(now)
        self._row, self._row_ends = self._ring.row, self._ring.ends_at
        if not took:
            return
        if not self.baseline_s:
            self.baseline_s = self.latency_s
            return
        limits = self._limits
        tau = limits.latency_baseline_tau_s * (
            limits.latency_baseline_rise if self.latency_s > self.baseline_s else 1.0
        )
        self.baseline_s += (self.latency_s - self.baseline_s) * (1.0 - exp(-limits.success_bucket_s / tau))


def product(terms: Terms) -> float:
    """The quality that such terms make."""
    quality = 1.0
    for _, value in terms:
        quality *= value
    return quality
