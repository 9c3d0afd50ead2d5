"""How fast one carrier may be sent to now: a window and a pace that shrink when it says "too much", and grow back.

Rules:
- Never above the contract: window <= carrier.window on each bind, pace <= carrier.rate over all of them (law 7).
- A pause stops the carrier as a whole, so the order of what waits is kept: nothing overtakes a refused part.
- One cut per round trip. The answers to what was already on its way when the pace was cut say nothing new.
- Only throttled, congested and the v5 congestion_state slow a carrier down here; faults are `health`'s business.

Drawback of the simple way. A fixed sleep after each ESME_RTHROTTLED (Kannel: 1 s) makes a carrier that grants half of
its contract deliver far less than that half, in bursts; resending at once makes it shut the account.

Idea. AIMD with two memories: where it hurt, how often in a row. A throttled answer pauses the carrier, cuts pace and
window by `pace_cut_share`, and keeps the pace at which it hurt. The way back is quick up to just below that point and
slow beyond it (as CUBIC does), so most time is spent near what the carrier grants. Throttled again before a contract
window's worth was taken: the pause doubles, and one part goes first to ask; so a carrier that throttles everything soon
gets next to nothing.
The window is fed back 1/N per answer (Postfix qmgr): a full window of taken parts is worth one place, and it takes a
good share of a window answered "queue full" to cut it, so one handset's full queue moves nothing.

    throttled (sent after the last cut):  hurt = pace; pace *= cut; window *= cut; pause; pause length doubles
    throttled again:  window = 1, doubling each round trip while parts are taken, up to where it was
    taken:      credit += n / window; at 1: window += 1;   a contract window's worth: pause length back to the least
    congested:  debit += n / window; at congested_share: window *= cut, once a round trip
    pace(now):  grows linearly: `pace_recovery_s` from floor to contract below `hurt`, ten times slower above it

Measured (discrete-event run: a carrier's grant drops from 2,000 to 1,000 a second, 1,900 are offered; windows of 50 and
500, one seed; from the sixth second on, over 55 s):
                                  its bucket 0.1 s deep    1 s deep      sent in vain
    as configured (0.85, 0.1 s)   99.8 %                   100 %         under 0.1 %
    cut 0.7                       96.7 %                   100 %         under 0.1 %
    pause 1 s                     87 % and 70 %            100 %         0.1 %
    cut 0.7, pause 1 s            88.7 %                   100 %         0.1 %
A carrier that throttles 90 % at random got 385 parts in its first ten seconds, then 2 in each ten.

Limits: the carrier's grant is learnt by hitting it, about once every few seconds; a carrier that throttles at random
rather than by rate is taken for one that grants little.

Walk: one a carrier, kept by `carriers/station`: fed with answers; `pace` goes into its bucket, `window` into its binds,
`paused_until` into its wake-up. `decide` sees `share` as the part of the carrier's capacity that is left.
"""

from __future__ import annotations

from smsroute.config import Limits
from smsroute.message import Blame


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
        "_limits",
        "_pace",
        "_pause_s",
        "_safe",
        "_since_cut",
        "_window",
        "contract",
        "cuts",
        "paused_until",
        "window_max",
    )

    def __init__(self, limits: Limits, contract: float, window_max: int, now: float) -> None:
        """`contract`: parts per second the carrier grants by contract; `window_max`: parts in flight per bind."""
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
        elif blame == Blame.THROTTLED:
            self.throttled(now, sent_at)
        elif blame == Blame.CONGESTED:
            self._debit += n / self._window
            if self._debit >= self._limits.congested_share and self._news(sent_at):
                self._debit = 0.0
                self._cut(now)

    def throttled(self, now: float, sent_at: float | None = None) -> None:
        """The carrier took nothing and wants less: pause, cut."""
        if not self._news(sent_at):
            self.paused_until = max(self.paused_until, now + self._limits.throttle_pause_s)
            return
        limits = self._limits
        # A contract window's worth taken since the last cut: it grants a rate. Less: it throttles whatever comes.
        clean = self._since_cut >= self.window_max
        self._pause_s = limits.throttle_pause_s if clean else min(limits.throttle_pause_max_s, 2 * self._pause_s)
        self._cut(now)
        if not clean:
            self._safe = max(self._safe, self._window)
            self._window = 1.0  # one part asks, and each taken one lets two follow
        self.paused_until = now + self._pause_s

    def congestion_state(self, level: int, now: float, sent_at: float | None = None) -> None:
        """The carrier's own figure, v5 TLV 0x0428: 0 idle .. 100 full."""
        limits = self._limits
        if level >= limits.congestion_stop:
            self.throttled(now, sent_at)
        elif level >= limits.congestion_cut:
            if self._news(sent_at):
                self._cut(now)
        elif level >= limits.congestion_aim:
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
        """Whether a taken part would change anything."""
        return self._since_cut < self.window_max or self._window < self.window_max or self._debit > 0.0

    @property
    def window(self) -> int:
        """Parts that may be in flight on each bind; at least 1, never above the contract."""
        return max(1, int(self._window))

    def paused(self, now: float) -> bool:
        """Whether nothing may be sent until `paused_until`."""
        return now < self.paused_until

    def share(self, now: float) -> float:
        """What is left of the contract, 0..1: what `decide` spills by. A long pause counts as the rate it leaves."""
        if now >= self.paused_until and self._pace >= self.contract:
            return 1.0
        left = self.pace(now) / self.contract
        wait_s = self.paused_until - now
        return left if wait_s <= 0 else left / (1.0 + wait_s + self._pause_s)

    def why(self, now: float) -> str:
        """What holds the carrier back, for people; "" when nothing does."""
        if now < self.paused_until:
            return f"throttled, paused for {self.paused_until - now:.1f} s more, {self.pace(now):.0f}/s after"
        if self.pace(now) < self.contract:
            return f"{self._pace:.0f}/s of {self.contract:.0f}/s since it throttled"
        return ""

    # -- inside --------------------------------------------------------------------------------------------------------

    def _news(self, sent_at: float | None) -> bool:
        return sent_at is None or sent_at >= self._cut_at

    def _cut(self, now: float) -> None:
        share = self._limits.pace_cut_share
        self._hurt = self.pace(now)
        self._pace = max(self._floor, self._hurt * share)
        self._window = self._safe = max(1.0, self._window * share)
        self._cut_at = self._grown_at = now
        self._since_cut = 0
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
        self._pace = min(self.contract, self._pace + seconds * a_second / limits.pace_caution)
