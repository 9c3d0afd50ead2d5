"""What a pair's receipts said over its last seven days: delivered and all, in steps; what "its own week" means.

Rules:
- Counts are raw: a subscriber's fault counts here too. The week feeds an alarm, which a person reads, and no score.
- The step under way is not part of the past: what is judged now must not be its own measure.
- Made at a pair's first receipt: most pairs of a big table never have one.

Drawback of the simple way. An average that follows (the score's usual ratio) forgets what it followed: a ratio that
falls by one per cent a day is as usual every day. A fixed target ("below 90 %") is wrong for most networks: some
deliver 98 %, some 70 %.

Idea. 28 steps of six hours, two numbers each; a bleed of one day moves a seventh of the measure, so it shows for days.

Measured (Python 3.11, 2 cores, idle / under a load of 7): 0.2 / 0.6 us a batch of receipts; 750 octets a pair.

Limits: hours of the day and days of the week are not told apart: 50 receipts of a bad hour at night may be surely below
the week of day and night together. A week that was bad all along is its own measure.

Walk: one in each `receipts_score.Receipts`; `alarms` compares; `kept` carries it over a restart.
"""

from __future__ import annotations

from array import array

from smsroute.config import Limits
from smsroute.routing.kept import KeptWeek, sane


class Week:
    """See the module. `now` is monotonic seconds throughout."""

    __slots__ = ("_all", "_at", "_bucket_s", "_delivered", "_ends_at")

    def __init__(self, limits: Limits, now: float) -> None:
        self._bucket_s = limits.week_bucket_s
        self._delivered = array("d", bytes(8 * limits.week_buckets))
        self._all = array("d", bytes(8 * limits.week_buckets))
        self._at = 0  # the step under way; the one after it is the oldest
        self._ends_at = now + self._bucket_s

    def add(self, delivered: int, count: int, now: float) -> None:
        """Count `count` final receipts, so many of them delivered."""
        if now >= self._ends_at:
            self.rotate(now)
        self._delivered[self._at] += delivered
        self._all[self._at] += count

    def rotate(self, now: float) -> None:
        """Begin the steps that have begun by `now`."""
        steps = int((now - self._ends_at) / self._bucket_s) + 1
        for _ in range(min(steps, len(self._all))):
            self._at = (self._at + 1) % len(self._all)
            self._delivered[self._at] = self._all[self._at] = 0.0
        self._ends_at += steps * self._bucket_s

    def past(self, now: float) -> tuple[float, float]:
        """(delivered, all) of the steps that are over, none older than the week."""
        if now >= self._ends_at:
            self.rotate(now)
        return sum(self._delivered) - self._delivered[self._at], sum(self._all) - self._all[self._at]

    def keep(self, now: float) -> KeptWeek:
        """What it takes to be the same week after a restart."""
        if now >= self._ends_at:
            self.rotate(now)
        after = self._at + 1
        return KeptWeek(
            self._bucket_s,
            self._ends_at - now,
            [*self._delivered[after:], *self._delivered[:after]],
            [*self._all[after:], *self._all[:after]],
        )

    def restore(self, kept: KeptWeek, now: float, elapsed_s: float) -> None:
        """Be the week that was kept `elapsed_s` ago; one of other steps than today's says nothing."""
        if kept.bucket_s != self._bucket_s or len(kept.delivered) != len(kept.all):
            return
        size = len(self._all)
        delivered, count = kept.delivered[-size:], kept.all[-size:]
        for place, (good, n) in enumerate(zip(delivered, count, strict=True), size - len(count)):
            self._all[place] = sane(n)
            self._delivered[place] = min(sane(good), self._all[place])
        self._at = size - 1
        self._ends_at = now + min(sane(kept.ends_in_s), self._bucket_s) - elapsed_s
        if now >= self._ends_at:
            self.rotate(now)
