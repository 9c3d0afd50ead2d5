"""How fast one carrier may be sent to now: a window and a pace that shrink when it says "too much", and grow back.

Rules:
- Never above the contract: window <= carrier.window on each bind, pace <= carrier.rate over all of them (law 7).
- A pause stops the carrier as a whole, so the order of what waits is kept: nothing overtakes a refused part.
- One cut per round trip. The answers to what was already on its way when the pace was cut say nothing new.
- Only throttled, congested and the v5 congestion_state slow a carrier down here; faults are `health`'s business.

Drawback of the simple way. A fixed sleep after each ESME_RTHROTTLED (Kannel: 1 s) makes a carrier that grants half of
its contract deliver far less than that half, in bursts; resending at once makes it shut the account.

Idea. AIMD with three memories: where it hurt, how often in a row, and whether the last cut helped. A throttled answer
pauses the carrier, cuts pace and window, and keeps the pace at which it hurt. The way back is quick up to just below
that point and slow beyond it (as CUBIC does), so most time is spent near what the carrier grants. Throttled before
anything was taken: the pause doubles, and one part goes first to ask; so a carrier that throttles everything soon gets
next to nothing. A carrier that throttles a few parts whatever the pace is known by a cut that changed nothing: there
the pace grows again, and each throttled part costs a short pause.
The window is fed back 1/N per answer (Postfix qmgr): a full window of taken parts is worth one place, and it takes a
good share of a window answered "queue full" to cut it, so one handset's full queue moves nothing. Who queues in silence
is `crowding`'s business.

    throttled (sent after the last cut): share = throttled since that cut / answers since that cut
      nothing taken, or half throttled:  hurt = pace; cut; window = 1, doubling each round trip while parts are taken,
                                         up to where it was; pause; pause length doubles
      2 % and less, 20 % and more, or `throttle_judge_s` since the last cut, and the share is not what it was before:
                                         hurt = pace; pace and window *= min(pace_cut_share, 1 - share); pause
      the share is what it was before:   hurt = contract, no cut; pause by share
    taken:      credit += n / window; at 1: window += 1;   a contract window's worth: pause length back to the least
    congested:  debit += n / window; at congested_share: window and pace *= cut, once a round trip
    level 90+:  window and pace *= between 0.985 (90) and the whole cut (99), once for each level, or each second
    pace(now):  grows linearly: `pace_recovery_s` from floor to contract below `hurt`; above it ten times slower at
                first, as quickly when nothing has hurt for `pace_recovery_s`

Measured (`python -m tests.routing.rivals`: 1,900 a second offered, contract 2,000, the carrier as said from the fifth
second on; figures from the 40th to the 90th, one seed, window 500): of what it could take / sent in vain. A gradient of
latency (the idea of Gradient2 in concurrency-limits) is the rival, with the same pauses.
                                  this              gradient
    grants half, 0.1 s deep       98.9 %  < 0.1 %    98.8 %   6.8 %
    grants half, 1 s deep         100 %   < 0.1 %    100 %    6.6 %
    throttles 10 % by chance      28.7 %  10.4 %      1.9 %   9.3 %   (0.2 % if each cut is believed to help)
    throttles 90 % by chance      0.0 %   0.3 a s     0.3 %   4 a s
    one of 50 queues full         100 %   2.0 %      100 %    2.0 %   (window and pace untouched)
    says congestion_state         100 %   < 0.1 %    100 %    0.1 %   (latency p99 138 and 226 ms)
Latency decides nothing of this; where it does, see `crowding`. A pause of 1 s instead of 0.1 s: 87 % and 70 % at the
first carrier with windows of 50 and 500; a cut of 0.7: 97 %.

Limits: the carrier's grant is learnt by hitting it, about once every few seconds. One that throttles most parts by
chance is taken for one that grants nothing: it is asked once every few seconds.

Walk: one a carrier, kept by `carriers/station`: fed with answers; `pace` goes into its bucket, `window` into its binds,
`paused_until` into its wake-up. `decide` sees `share` as the part of the carrier's capacity that is left.
"""

from __future__ import annotations

from math import inf
from typing import Final

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.crowding import Crowding

RARE_SHARE: Final = 0.02
"""Throttled so seldom since the last cut, the carrier grants a rate that was passed just now."""

MILD_SHARE, MILD_MIN = 0.2, 5
"""So great a share, and so many of them: no time need pass before the next cut."""

SEVERE_SHARE, SEVERE_MIN = 0.5, 3
"""And here it throttles nearly whatever comes."""

SAME_FROM, SAME_TO = 0.7, 1.5
"""Times the share throttled before the last cut: the cut has changed nothing. What grants a rate falls below."""


class Congestion:
    """One carrier's present window and pace. See the module. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_credit",
        "_cut_at",
        "_debit",
        "_floor",
        "_grown_at",
        "_held_until",
        "_hurt",
        "_level",
        "_limits",
        "_pace",
        "_pause_s",
        "_safe",
        "_share_before",
        "_since_cut",
        "_vain",
        "_window",
        "contract",
        "crowding",
        "cuts",
        "paused_until",
        "usual_s",
        "window_max",
    )

    def __init__(self, limits: Limits, contract: float, window_max: int, now: float, binds: int = 1) -> None:
        """`contract`: parts per second the carrier grants by contract; `window_max`: parts in flight on each of its
        `binds`."""
        self.usual_s = inf  # its usual latency, seconds: set by whoever measures it; until then nothing is late
        self.crowding = Crowding(limits, window_max, binds, now)
        self.contract = contract
        self.window_max = window_max
        self.paused_until = now
        self.cuts = 0
        self._limits = limits
        self._floor = contract * limits.pace_floor_share
        self._pace = contract
        self._hurt = contract
        self._window = float(window_max)
        self._safe = 1.0  # up to here the window doubles each round trip
        self._grown_at = now
        self._cut_at = now - 1.0
        self._held_until = now
        self._pause_s = limits.throttle_pause_s
        self._since_cut = window_max
        self._vain = 0
        self._level = 0  # told at the last cut, while it lasts
        self._share_before = 0.0
        self._credit = 0.0
        self._debit = 0.0

    # -- what the carrier said -----------------------------------------------------------------------------------------

    def answered(self, blame: int, now: float, n: int = 1, sent_at: float | None = None) -> None:
        """`n` answers of one blame. `sent_at`: when the newest of them was sent, if known."""
        if blame == Blame.OK:
            if self._window < self._safe:
                self._window = min(self._safe, self._window + n)
            elif self._window < self.window_max:
                self._credit += n / self._window
                if self._credit >= 1.0:
                    self._window = min(float(self.window_max), self._window + int(self._credit))
                    self._credit -= int(self._credit)
            if self._debit:
                self._debit = max(0.0, self._debit - n / self._window)
            self._since_cut += n
            if sent_at is not None:
                self.crowding.taken(now - sent_at, self.usual_s, now, n)
        elif blame == Blame.THROTTLED:
            self.throttled(now, sent_at)
        elif blame == Blame.CONGESTED:
            limits = self._limits
            self._debit += n / self._window
            if self._debit >= limits.congested_share and self._news(sent_at):
                self._debit = 0.0
                self._cut(now, limits.pace_cut_share)

    def throttled(self, now: float, sent_at: float | None = None) -> None:
        """The carrier took nothing and wants less: pause, and cut."""
        limits = self._limits
        if not self._news(sent_at):
            self.paused_until = max(self.paused_until, now + limits.throttle_pause_s)
            return
        self._vain += 1
        share = self._vain / (self._vain + self._since_cut)
        if not self._since_cut or (share >= SEVERE_SHARE and self._vain >= SEVERE_MIN):
            self._pause_s = min(limits.throttle_pause_max_s, 2 * self._pause_s)  # it throttles whatever comes
            safe, hurt = max(self._safe, self._window), self._hurt
            self._cut(now, limits.pace_cut_share)
            self._hurt = max(hurt, self._hurt)  # who throttles everything does not say at which pace it would not
            self._safe = max(1.0, safe * limits.pace_cut_share)
            self._window = 1.0  # one part asks, and each taken one lets two follow
        elif share <= RARE_SHARE or self._judged(share, now):
            rate = self._since_cut >= self.window_max  # a window's worth taken: it grants a rate
            self._pause_s = limits.throttle_pause_s if rate else max(limits.throttle_pause_s, self._pause_s / 2)
            self._share_before = share
            self._cut(now, min(limits.pace_cut_share, 1.0 - share))
        else:  # the last cut has not shown yet, or showed that cuts change nothing
            self.paused_until = max(self.paused_until, now + limits.throttle_pause_s * share / SEVERE_SHARE)
            return
        self.paused_until = now + self._pause_s

    def _judged(self, share: float, now: float) -> bool:
        """Whether the share throttled since the last cut asks for another."""
        if share >= MILD_SHARE and self._vain >= MILD_MIN:
            return True
        if now - self._cut_at < self._limits.throttle_judge_s:
            return False
        if not SAME_FROM * self._share_before <= share <= SAME_TO * self._share_before:
            return True
        # The pace fell and the share stayed: it throttles by chance, and less would be throttled alike.
        self._hurt = self.contract
        self._share_before = (self._share_before + share) / 2
        self._cut_at = now
        self._since_cut = self._vain = 0
        return False

    def congestion_state(self, level: int, now: float, sent_at: float | None = None) -> None:
        """The carrier's own figure, v5 TLV 0x0428: 0 idle .. 100 full."""
        limits = self._limits
        if level >= limits.congestion_stop:
            self.throttled(now, sent_at)
        elif level >= limits.congestion_cut:
            if self._news(sent_at) and (level > self._level or now - self._cut_at >= limits.throttle_judge_s):
                self._level = level
                depth = (level - limits.congestion_cut + 1) / (limits.congestion_stop - limits.congestion_cut)
                self._cut(now, 1.0 - (1.0 - limits.pace_cut_share) * depth)
        else:
            self._level = 0
            if level >= limits.congestion_aim:
                self._grow(now)
                self._held_until = now + limits.throttle_pause_s  # just right: stay

    # -- what may be sent ----------------------------------------------------------------------------------------------

    def pace(self, now: float) -> float:
        """Parts per second the carrier may be sent now, pauses aside; never above the contract."""
        if self._pace < self.contract:
            self._grow(now)
        return self._pace

    @property
    def busy(self) -> bool:
        """Whether a taken part would change anything, however quickly it was taken."""
        return (
            self._since_cut < self.window_max
            or self._window < self.window_max
            or self._debit > 0.0
            or self.crowding.watching
        )

    def late(self, latency_s: float) -> bool:
        """Whether an answer so late is news to a carrier that is not busy."""
        return latency_s > self.usual_s * self._limits.latency_tolerance

    @property
    def window(self) -> int:
        """Parts that may be in flight on each bind; at least 1, never above the contract."""
        return max(1, int(min(self._window, self.crowding.window)))

    def paused(self, now: float) -> bool:
        """Whether nothing may be sent until `paused_until`."""
        return now < self.paused_until

    def share(self, now: float) -> float:
        """What is left of the contract, 0..1: what `decide` spills by.

        A pause counts as the rate it leaves, and so does the question after it until it is answered; then the share
        grows with the window, so that a carrier that has just taken one part is not given thousands.
        """
        if now >= self.paused_until and self._pace >= self.contract and self._window >= self._safe:
            return 1.0
        left = self.pace(now) / self.contract * min(1.0, self._window / self._safe)
        wait_s = max(0.0, self.paused_until - now)
        if wait_s or not self._since_cut:
            left /= 1.0 + wait_s + self._pause_s
        return left

    def why(self, now: float) -> str:
        """What holds the carrier back, for people; "" when nothing does."""
        if now < self.paused_until:
            return f"throttled, paused for {self.paused_until - now:.1f} s more, {self.pace(now):.0f}/s after"
        if self.pace(now) < self.contract:
            return f"{self._pace:.0f}/s of {self.contract:.0f}/s since it throttled"
        if not self.crowding.at_rest:
            return f"it queues: {self.window} of {self.window_max} in flight make its answers quicker"
        return ""

    # -- inside --------------------------------------------------------------------------------------------------------

    def _news(self, sent_at: float | None) -> bool:
        return sent_at is None or sent_at >= self._cut_at

    def _cut(self, now: float, share: float) -> None:
        self._hurt = self.pace(now)
        self._pace = max(self._floor, self._hurt * share)
        self._window = self._safe = max(1.0, self._window * share)
        self._cut_at = self._grown_at = now
        self._since_cut = self._vain = 0
        self._credit = 0.0
        self.cuts += 1

    def _grow(self, now: float) -> None:
        start = max(self._grown_at, self.paused_until, self._held_until)
        if now <= start:
            return
        limits = self._limits
        a_second = self.contract * (1.0 - limits.pace_floor_share) / limits.pace_recovery_s
        seconds = now - start
        self._grown_at = now
        knee = self._hurt * limits.pace_knee_share
        if self._pace < knee:
            quick_s = min(seconds, (knee - self._pace) / a_second)
            self._pace += quick_s * a_second
            seconds -= quick_s
        # The longer nothing hurt, the less caution: what hurt then may be long over.
        caution = max(1.0, limits.pace_caution * (1.0 - (now - self._cut_at) / limits.pace_recovery_s))
        self._pace = min(self.contract, self._pace + seconds * a_second / caution)
