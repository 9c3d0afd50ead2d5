"""How many parts may pass now: towards a carrier evenly (ContractBucket), from an ESME in bursts (RateWindow).

Rules:
- Whole parts are granted, never promised: `take` answers how many of `n` may pass at `now`, and takes them.
- Never more than the rate, whatever the rhythm of the calls: TokenBucket at most rate x T + burst in any T seconds,
  RateWindow and ContractBucket at most the rate in any one second (law 7). Time going backwards grants nothing.

Drawback of the simple way: a counter reset at each full second lets twice the rate through around the reset, and hands
a carrier its whole second's worth in the first millisecond, which it answers with ESME_RTHROTTLED.

Idea. An ESME may send its second's worth at once, for that is how platforms send, so its limit is counted over a
sliding second, in slices (RateWindow). A carrier gets a small bucket (TokenBucket), just large enough that a late
wake-up loses nothing; a bucket and its refill make more than the rate in some second, so the same sliding second
watches over it (ContractBucket).

Measured (Python 3.11 on 2 cores with busy neighbours): 0.6 to 0.9 us a call of RateWindow, 0.7 to 2 us of
ContractBucket; the dearer figures are of calls a slice or more apart.
Limits: a RateWindow cuts its rate to whole parts and counts up to a hundredth of a second too long, so it grants 99 %
of the rate to a steady sender.

Walk: one ContractBucket a carrier (`carriers/station`), one RateWindow an ESME (`esmes/accept`).
"""

from __future__ import annotations

from typing import Final

BURST_S: Final = 0.05
"""What a carrier's bucket holds, in seconds of its rate: a wake-up so late loses nothing of the pace."""

SLICES: Final = 100
"""Slices of a RateWindow's period: exact to a hundredth."""

EPSILON: Final = 1e-9
"""Tokens lost to rounding when a wait is slept exactly; a billionth of a part."""


class TokenBucket:
    """`rate` tokens a second into a bucket of `burst`; full at the start. `now` is monotonic seconds throughout."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """`burst` below 1 would never grant a part, so it is at least 1."""
        self.rate = rate
        self.burst = max(1.0, burst)
        self._tokens = self.burst
        self._at = now

    def take(self, n: int, now: float) -> int:
        """How many of `n` parts may pass; they have passed."""
        self._refill(now)
        granted = min(n, int(self._tokens + EPSILON))
        if granted <= 0:
            return 0
        self._tokens = max(0.0, self._tokens - granted)
        return granted

    def available(self, now: float) -> int:
        """How many parts `take` would grant."""
        self._refill(now)
        return int(self._tokens + EPSILON)

    def give_back(self, n: int) -> None:
        """Parts that were granted and never left."""
        self._tokens = min(self.burst, self._tokens + n)

    def delay(self, n: int, now: float) -> float:
        """Seconds until `n` parts (or a full bucket) may pass; inf at rate 0."""
        self._refill(now)
        missing = min(float(n), self.burst) - self._tokens
        if missing <= EPSILON:
            return 0.0
        return missing / self.rate if self.rate > 0 else float("inf")

    def set_rate(self, rate: float, now: float) -> None:
        """Another rate from `now` on."""
        self._refill(now)
        self.rate = rate

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now


class RateWindow:
    """At most `rate` parts in any one second (or one part in any 1/rate seconds, below one a second)."""

    __slots__ = ("_at", "_counts", "_limit", "_slice", "_slice_s", "_used", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._limit = max(1, int(rate))
        self._slice_s = (1.0 if rate >= 1 else 1.0 / rate) / SLICES
        self._counts = [0] * (SLICES + 1)  # the present slice, and a whole period before it
        self._used = 0
        self._slice = int(now / self._slice_s)
        self._at = self._slice % len(self._counts)

    def take(self, n: int, now: float) -> int:
        """How many of `n` parts may pass; they have passed."""
        self._turn(now)
        granted = min(n, self._limit - self._used)
        if granted <= 0:
            return 0
        self._counts[self._at] += granted
        self._used += granted
        return granted

    def available(self, now: float) -> int:
        """How many parts `take` would grant."""
        self._turn(now)
        return self._limit - self._used

    def delay(self, n: int, now: float) -> float:
        """Seconds until `n` parts (or a whole period's) may pass."""
        self._turn(now)
        missing = min(n, self._limit) - (self._limit - self._used)
        slices = len(self._counts)
        for ahead in range(1, slices + 1):
            if missing <= 0:
                return max(0.0, (self._slice + ahead - 1) * self._slice_s - now)
            missing -= self._counts[(self._at + ahead) % slices]
        return max(0.0, (self._slice + slices) * self._slice_s - now)

    def resize(self, rate: float, now: float) -> RateWindow:
        """A window of another rate, in which all that this one still counts has just passed: no second in which the
        rate changes holds more than the new one allows, or than had passed already."""
        self._turn(now)
        other = RateWindow(rate, now)
        other._used = other._counts[other._at] = self._used
        return other

    def _turn(self, now: float) -> None:
        present = int(now / self._slice_s)
        steps = present - self._slice
        if steps <= 0:
            return
        counts = self._counts
        for step in range(1, min(steps, len(counts)) + 1):
            at = (self._slice + step) % len(counts)
            self._used -= counts[at]
            counts[at] = 0
        self._slice = present
        self._at = present % len(counts)


class ContractBucket:
    """What a carrier that grants `contract` parts in any one second may be sent: evenly, at the pace left of it."""

    __slots__ = ("_bucket", "_window", "contract")

    def __init__(self, contract: float, now: float) -> None:
        self.contract = contract
        self._bucket = TokenBucket(contract, contract * BURST_S, now)
        # A bucket that holds one part spaces them: no second can hold too many.
        self._window = RateWindow(contract, now) if self._bucket.burst > 1.0 else None

    def take(self, n: int, now: float) -> int:
        """How many of `n` parts may pass; they have passed."""
        if self._window is None:
            return self._bucket.take(n, now)
        ready = self._bucket.available(now)
        if not ready:
            return 0
        return self._bucket.take(self._window.take(min(n, ready), now), now)

    def available(self, now: float) -> int:
        """How many parts `take` would grant."""
        granted = self._bucket.available(now)
        return granted if self._window is None else min(granted, self._window.available(now))

    def delay(self, n: int, now: float) -> float:
        """Seconds until `n` parts (or as many as ever pass at once) may pass; inf at pace 0."""
        delay_s = self._bucket.delay(n, now)
        return delay_s if self._window is None else max(delay_s, self._window.delay(n, now))

    def resize(self, contract: float, now: float) -> None:
        """Another contract from `now` on; what passed in the last second counts against it."""
        if contract == self.contract:
            return
        passed, self.contract = self._window, contract
        self._bucket = TokenBucket(contract, contract * BURST_S, now)
        self._bucket.take(int(self._bucket.burst), now)  # empty: nobody knows how the last one was emptied
        if self._bucket.burst <= 1.0:
            self._window = None
        else:
            self._window = RateWindow(contract, now) if passed is None else passed.resize(contract, now)

    def set_pace(self, pace: float, now: float) -> None:
        """Parts per second from `now` on; never above the contract."""
        self._bucket.set_rate(min(pace, self.contract), now)
