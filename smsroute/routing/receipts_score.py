"""What a pair's receipts say: delivered share, delay, silence, and whether a handset can have sent them at all.

Rules:
- Only receipts that speak of the carrier (`outcome.Word`) move a term; a subscriber's fault is neutral (law 9). All of
  them show that the carrier's receiver lives, and all enter the week, which only feeds an alarm.
- Silence is counted from the first part that waits, not from the last receipt: the first minute after a quiet night
  finds nobody silent. Only parts for which a receipt was asked wait for one.
- Whatever is compared is compared with the pair's own past.

Drawback of the simple way. "No receipt for a minute" blames every quiet night, "fewer receipts than parts" every
platform that asks for few, and both pass over the carrier that never sent one. A silent carrier that gets no traffic
can never prove that it hears again.

Idea. Count what was asked for and still waits since the last receipt; expect of it the share that came so far (all of
it, where none ever came); silent is who owes `receipt_samples_min` for longer than its patience. Trust returns with
`receipt_retry_s` of no use, so that now and then a few real parts ask; the first receipt makes it whole.

    on a part taken, receipt asked:  waiting += 1;  since = now if it is the first
    on a receipt:                    waiting = 0;   counts[...] += 1
    silent = waiting x share >= receipt_samples_min  and  now - since >= patience
    term   = receipt_silent_term, rising to 1 over receipt_retry_s after the last part that asked

Measured (Python 3.11, 2 cores, idle / under a load of 7): 1.7 / 7 us a batch of one receipt, 2.3 / 8 us one of a
hundred; 0.1 us a batch of parts that asked.

Limits: what is delivered is what the carrier says. The delay is a mean: one receipt after a day weighs as much as a
thousand after a minute. A pair that lost half of its receipts is not silent; its share of matched ones tells.

Walk: one in each `score.Score`; `carriers/hearing` feeds it, `score` multiplies its terms, `alarms` looks at it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from smsroute.config import Limits
from smsroute.routing.kept import KeptReceipts, sane
from smsroute.routing.outcome import Word
from smsroute.routing.ring import Ring
from smsroute.routing.week import Week

DELIVERED: Final = 0  # columns of the ring
JUDGED: Final = 1  # delivered, or the carrier's fault
DELAYS: Final = 2  # their sum, of the judged
ALL: Final = 3
FAST: Final = 4  # quicker than a handset
NEAR: Final = 5  # about as long as the middle one
COLUMNS: Final = 6

MIDDLE_STEP: Final = 0.05  # what a batch moves the middle delay by, at most: it settles within the nearness
MIDDLE_FLOOR_S: Final = 0.001
COUNTED_MAX: Final = 1e6  # beyond, both counts are halved: the share of last year is not that of today


class Receipts:
    """See the module. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_asked",
        "_limits",
        "_middle_s",
        "_near",
        "_ring",
        "_usual_delay_s",
        "_usual_share",
        "asked_at",
        "count",
        "heard",
        "waiting",
        "waiting_since",
        "week",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._near = 1.0 + limits.receipt_near_share
        self._ring = Ring(COLUMNS, limits.receipt_buckets, limits.receipt_window_s / limits.receipt_buckets, now)
        self._usual_share = 0.0  # 0: not known yet
        self._usual_delay_s = 0.0
        self._middle_s = 0.0  # about the median delay
        self._asked = 0.0  # parts taken with a receipt asked, halved now and then
        self.heard = 0.0  # receipts of any word, halved with it
        self.count = 0  # receipts of any kind since the start
        self.waiting = 0  # parts that asked since the last receipt
        self.waiting_since = now
        self.asked_at = now
        self.week: Week | None = None

    # -- what happened -------------------------------------------------------------------------------------------------

    def asked(self, parts: int, now: float) -> None:
        """The carrier took `parts` for which a receipt was asked."""
        if not self.waiting or self.given_up(now):
            self.waiting, self.waiting_since = 0, now
        self.waiting += parts
        self._asked += parts
        self.asked_at = now

    def spoke(self) -> None:
        """A receipt came that ends no part: early, doubled or nobody's. Its receiver lives."""
        self.waiting = 0
        self.count += 1

    def came(self, word: Word, delays_s: Sequence[float], now: float) -> None:
        """Final receipts of one word. `delays_s`: since the carrier's response, each, in ascending order."""
        ring = self._ring
        if now >= ring.ends_at:
            self._rotate(now)
        n = len(delays_s)
        self.waiting = 0
        self.count += n
        self.heard += n
        if self._asked > COUNTED_MAX:
            self._asked, self.heard = self._asked / 2, self.heard / 2
        if word is Word.NETWORK:
            return
        if self.week is None:
            self.week = Week(self._limits, now)
        self.week.add(n if word is Word.DELIVERED else 0, n, now)
        row, totals = ring.row, ring.totals
        row[ALL] += n
        totals[ALL] += n
        if word is Word.NEUTRAL:
            return
        middle = self._middle(delays_s)
        near = bisect_right(delays_s, middle * self._near) - bisect_left(delays_s, middle / self._near)
        fast = bisect_left(delays_s, self._limits.receipt_fast_s)
        for column, value in (
            (DELIVERED, n if word is Word.DELIVERED else 0),
            (JUDGED, n),
            (DELAYS, sum(delays_s)),
            (FAST, fast),
            (NEAR, near),
        ):
            row[column] += value
            totals[column] += value

    def _middle(self, delays_s: Sequence[float]) -> float:
        """The middle delay, moved towards this batch's by how lopsidedly the batch lies around it."""
        if not self._middle_s:
            self._middle_s = max(MIDDLE_FLOOR_S, delays_s[len(delays_s) // 2])
            return self._middle_s
        above = 1.0 - bisect_right(delays_s, self._middle_s) / len(delays_s)
        below = bisect_left(delays_s, self._middle_s) / len(delays_s)
        self._middle_s = max(MIDDLE_FLOOR_S, self._middle_s * (1.0 + MIDDLE_STEP * (above - below)))
        return self._middle_s

    # -- what it says --------------------------------------------------------------------------------------------------

    def counts(self, now: float) -> tuple[float, ...]:
        """The columns' totals over the receipt window: DELIVERED, JUDGED, DELAYS, ALL, FAST, NEAR."""
        if now >= self._ring.ends_at:
            self._rotate(now)
        return tuple(self._ring.totals)

    def delivered_ratio(self) -> float | None:
        """Delivered among the receipts that speak of the carrier; None when there were too few to say."""
        delivered, count = self._ring.totals[DELIVERED], self._ring.totals[JUDGED]
        return delivered / count if count >= self._limits.receipt_samples_min else None

    def delay_s(self) -> float | None:
        """Mean delay of the window's receipts; None when there were too few to say."""
        count, delays = self._ring.totals[JUDGED], self._ring.totals[DELAYS]
        return delays / count if count >= self._limits.receipt_samples_min else None

    def patience_s(self) -> float:
        """How long it may owe receipts before it is silent."""
        limits = self._limits
        if not self.heard:
            return limits.receipt_first_s
        return max(limits.receipt_silence_s, limits.receipt_delay_tolerance * self._usual_delay_s)

    def silent_for_s(self, now: float) -> float:
        """Seconds it has owed enough receipts to wonder; 0 while all is as usual."""
        # Receipts per part that asked, so far: a carrier that sends few of them is not silent with every pause.
        share = min(1.0, self.heard / self._asked) if self.heard and self._asked else 1.0
        if self.waiting * share < self._limits.receipt_samples_min:
            return 0.0
        return now - self.waiting_since

    def given_up(self, now: float) -> bool:
        """Whether nobody waits any more: the last part that asked for a receipt has long ended without."""
        return now - self.asked_at > self._limits.validity_default_s + self._limits.receipt_grace_s

    def silent(self, now: float) -> bool:
        """Whether it is silent: it owes enough, for longer than its patience."""
        return self.silent_for_s(now) >= self.patience_s()

    def terms(self, now: float) -> tuple[tuple[str, float], ...]:
        """delivered, receipt_delay and receipt_silence."""
        if now >= self._ring.ends_at:
            self._rotate(now)
        limits = self._limits
        share, delay_s = self.delivered_ratio(), self.delay_s()
        delivered = late = heard = 1.0
        if share is not None and self._usual_share:
            delivered = min(1.0, share / (self._usual_share * limits.delivered_tolerance))
        if delay_s is not None and self._usual_delay_s:
            allowed_s = limits.receipt_delay_tolerance * max(self._usual_delay_s, limits.receipt_delay_floor_s)
            late = 1.0 if delay_s <= allowed_s else allowed_s / delay_s
        if self.waiting and self.silent(now):
            unused = min(1.0, max(0.0, now - self.asked_at) / limits.receipt_retry_s)
            heard = limits.receipt_silent_term + (1.0 - limits.receipt_silent_term) * unused
        return (("delivered", delivered), ("receipt_delay", late), ("receipt_silence", heard))

    def _rotate(self, now: float) -> None:
        share, delay_s = self.delivered_ratio(), self.delay_s()
        self._ring.rotate(now)
        if share is None or delay_s is None:
            return
        # A good half hour is believed sooner than a bad one, as with latency.
        self._usual_share = _lean(self._usual_share, share, 0.2 if share > self._usual_share else 0.005)
        self._usual_delay_s = _lean(self._usual_delay_s, delay_s, 0.2 if delay_s < self._usual_delay_s else 0.005)

    # -- over a restart ------------------------------------------------------------------------------------------------

    def keep(self, now: float) -> KeptReceipts:
        """Its past, for the next engine. What waits is not in it: that engine never saw it leave."""
        return KeptReceipts(
            self._usual_share,
            self._usual_delay_s,
            self._middle_s,
            self._asked,
            self.heard,
            None if self.week is None else self.week.keep(now),
        )

    def restore(self, kept: KeptReceipts, now: float, elapsed_s: float) -> None:
        """Go on from what was kept `elapsed_s` ago."""
        self._usual_share = sane(kept.usual_share, 1.0)
        self._usual_delay_s = sane(kept.usual_delay_s)
        self._middle_s = sane(kept.middle_s)
        self._asked, self.heard = sane(kept.asked), sane(kept.heard)
        if kept.week is not None:
            self.week = Week(self._limits, now)
            self.week.restore(kept.week, now, elapsed_s)


def _lean(usual: float, now: float, by: float) -> float:
    return usual + (now - usual) * by if usual else now
