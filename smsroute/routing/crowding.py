"""The window of a carrier that queues in silence: it never says "too much", its answers only come later and later.

Rules:
- Nothing happens while answers come within `latency_tolerance` times the usual.
- The window stays small only while that has proved to make answers quicker. A carrier that is slow whatever is in
  flight keeps its whole window: a smaller one would only cost goodput.
- It counts parts the carrier took; throttled and refused ones are `congestion`'s business.

Drawback of the simple way. AIMD waits for a refusal. A carrier that queues gives none, so the whole window lies in its
queue: answers take window / rate seconds, and if it dies, so many parts are in doubt. The gradient of latency (Netflix
concurrency-limits, TCP Vegas) sees the queue, but takes every longer latency for one: of a carrier whose each answer
takes 0.3 s, at any load, it asked for 4 parts in flight.

Idea. Ask the carrier. When answers are late, try a window a third smaller. In a queue the latency falls with the
window (Little's law) and the rate stays; elsewhere the latency stays and the rate falls. Only the first is kept.

    a round: the mean latency of 20 to 50 taken parts sent since the round began; allowed = tolerance x usual
    at rest    late: and no longer rising: window = 2/3 of what is in flight -> trial
    trial      latency fell by more than half of what the window did                 -> at work
               it did not: the window as before, no other trial for `crowding_hold_s`, doubled each time -> at rest
    at work    late: window *= allowed / latency (1/2 to 2/3), and this is again a trial
               well within: window += sqrt(window); the contract's window reached    -> at rest

Measured (`python -m tests.routing.rivals`: 1,900 a second offered, the carrier as said from the fifth second on; from
the 40th to the 90th): taken of what it could take / latency p99. "strict" is a gradient whose usual latency does not
follow the bad one; one that follows it, as published (600 samples), did nothing here, like AIMD alone.
    window 500                    AIMD alone           AIMD and this        strict gradient
    queues, serves 1,000/s        100 %     512 ms     100 %     102 ms     100 %      96 ms
    queues, serves 100/s          100 %   5,016 ms     100 %     106 ms     100 %   2,150 ms
    slow, 0.3 s at any load       87.6 %    448 ms     87.6 %    448 ms     0.7 %     450 ms
    slow, 5 s at any load         5.2 %   7,454 ms     4.9 %   7,442 ms     2.0 %   7,440 ms
It takes five latencies or so: 25 s where an answer takes 5 s.

Limits: the trial costs a carrier that is merely slow a third of its goodput for two of its latencies, each
`crowding_hold_s` and then seldom. Below some ten answers a second rounds are long, and nothing is tried for minutes.

Walk: `congestion` owns one a carrier, feeds it with taken parts, and takes the smaller of its window and its own.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from smsroute.config import Limits

ROUND_MIN: Final = 20
ROUND_MAX: Final = 50
TRIAL: Final = 2 / 3
"""Of what is in flight: far enough from 1 that 20 answers tell a queue from a slow carrier."""

STEADY: Final = 1.2
"""A queue that still fills says nothing: the latency of this round, over that of the one before."""

HOLD_MAX: Final = 16
"""The wait between two trials that showed nothing doubles up to so many times `crowding_hold_s`."""


class Crowding:
    """The window (parts in flight on each bind) that keeps a silent queue short. `now` is monotonic seconds."""

    __slots__ = ("_answers", "_before", "_binds", "_hold", "_last", "_limits", "_restore", "_round_at", "_round_n",
                 "_seen", "_sum", "_wait_until", "watching", "window", "window_max")  # fmt: skip

    def __init__(self, limits: Limits, window_max: int, binds: int, now: float) -> None:
        """`window_max`: parts in flight per bind by contract; `binds`: how many there are."""
        self.window_max = window_max
        self.window = float(window_max)
        self.watching = False  # something was late: every answer counts until all is well again
        self._limits = limits
        self._binds = max(1, binds)
        self._restore = 0.0  # a trial goes on: the window before it
        self._before = 0.0  # and the latency before it, seconds
        self._hold = 1
        self._last = 0.0  # latency of the round before, seconds
        self._wait_until = now
        self._begin(now)

    @property
    def at_rest(self) -> bool:
        """Whether the whole window is allowed, and no trial goes on."""
        return self.window >= self.window_max

    def taken(self, latency_s: float, usual_s: float, now: float, n: int = 1) -> None:
        """`n` parts were taken after `latency_s`, where the carrier usually takes `usual_s`."""
        if not self.watching:
            if latency_s <= usual_s * self._limits.latency_tolerance or now < self._wait_until:
                return
            self.watching = True
            self._last = 0.0
            self._begin(now)
        self._answers += n
        if now - latency_s < self._round_at:
            return  # sent before the round began
        self._seen += n
        self._sum += n * latency_s
        if self._seen >= self._round_n:
            self._judge(self._sum / self._seen, usual_s * self._limits.latency_tolerance, now)

    def _judge(self, latency_s: float, allowed_s: float, now: float) -> None:
        rate = self._answers / max(now - self._round_at, 1e-3) / self._binds
        if self._restore:
            fell = latency_s < self._before * (1.0 + self.window / self._restore) / 2
            if not fell:  # slow, but no queue of ours
                self.window = self._restore
                self._wait_until = now + self._hold * self._limits.crowding_hold_s
                self._hold = min(HOLD_MAX, 2 * self._hold)
            else:
                self._hold = 1
            self._restore = 0.0
        if latency_s > allowed_s:
            if now >= self._wait_until and latency_s <= STEADY * self._last:
                self._restore, self._before = self.window, latency_s
                flight = min(self.window, rate * latency_s)
                less = TRIAL if self.at_rest else max(0.5, min(TRIAL, allowed_s / latency_s))
                self.window = max(1.0, flight * less)
        elif not self.at_rest and latency_s < 0.8 * allowed_s:
            self.window = min(float(self.window_max), self.window + sqrt(self.window))
        self._last = latency_s
        self.watching = not self.at_rest or (latency_s > allowed_s and now >= self._wait_until)
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._round_at = now
        self._round_n = max(ROUND_MIN, min(ROUND_MAX, int(self.window)))
        self._answers = self._seen = 0  # since the round began; of those, sent since then
        self._sum = 0.0
