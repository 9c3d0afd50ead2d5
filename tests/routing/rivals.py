"""Carriers that hold back in different ways, and what each way of sending gets out of them; virtual time, one seed.

`run` drives anything that has the face of `Congestion` against one of `CASES` in steps of 2 ms: 1,900 parts a second
are offered, the contract says 2,000, and from the fifth second on the carrier is as its case says. Gradient, and AIMD
alone, are the rivals that the product does not ship. `python -m tests.routing.rivals` prints the tables that the
docstrings of `routing/congestion` and `routing/crowding` quote.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections.abc import Callable
from math import sqrt
from typing import Protocol

import attrs

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.congestion import Congestion

LIMITS = Limits()
STEP_S = 0.002
SICK_AT = 5.0
OFFERED, CONTRACT = 1900.0, 2000.0

Said = tuple[Blame, float, int | None]
"""The answer, seconds until it comes, and the congestion_state in it."""


class Sender(Protocol):
    """What is measured."""

    paused_until: float

    def answered(self, blame: int, now: float, n: int = 1, sent_at: float | None = None) -> None: ...
    def congestion_state(self, level: int, now: float, sent_at: float | None = None) -> None: ...
    def pace(self, now: float) -> float: ...
    @property
    def window(self) -> int: ...


class Gradient:
    """The limit follows the ratio of usual to recent latency, plus a queue allowance of sqrt(limit), after the idea of
    Gradient2 in Netflix' concurrency-limits; a throttled part pauses and cuts as with the other."""

    def __init__(self, window: int, usual_samples: float) -> None:
        """`usual_samples`: over how many slower ones the usual latency follows; Netflix: 600."""
        self.paused_until = 0.0
        self._max = self._limit = float(window)
        self._rise, self._fall = 2 / (usual_samples + 1), 2 / 601
        self._usual = self._recent = 0.0
        self._seen = self._since_cut = 0
        self._cut_at, self._pause_s = -1.0, LIMITS.throttle_pause_s

    def answered(self, blame: int, now: float, n: int = 1, sent_at: float | None = None) -> None:
        """As `Congestion`."""
        assert sent_at is not None
        if blame == Blame.THROTTLED and sent_at >= self._cut_at:
            self._limit = max(1.0, self._limit * LIMITS.pace_cut_share)
            well = self._since_cut >= self._limit
            self._pause_s = LIMITS.throttle_pause_s if well else min(LIMITS.throttle_pause_max_s, 2 * self._pause_s)
            self._cut_at, self._since_cut, self.paused_until = now, 0, now + self._pause_s
        if blame != Blame.OK:
            return
        latency_s = now - sent_at
        self._since_cut += n
        self._seen += n
        self._usual = self._usual or latency_s
        self._recent = self._recent or latency_s
        self._recent += (latency_s - self._recent) * 0.1
        self._usual += (latency_s - self._usual) * (self._rise if latency_s > self._usual else self._fall)
        if self._seen >= max(10.0, self._limit):
            self._seen = 0
            gradient = max(0.5, min(1.0, 1.5 * max(LIMITS.latency_floor_s, self._usual) / self._recent))
            self._limit += (self._limit * gradient + sqrt(self._limit) - self._limit) * 0.2
            self._limit = max(1.0, min(self._max, self._limit))

    def congestion_state(self, level: int, now: float, sent_at: float | None = None) -> None:
        """It looks at latency only."""

    def pace(self, now: float) -> float:
        """It has a window, no pace."""
        return CONTRACT

    @property
    def window(self) -> int:
        """Parts in flight."""
        return max(1, int(self._limit))


def product(window: int) -> Sender:
    """What the engine runs."""
    one = Congestion(LIMITS, CONTRACT, window, 0.0)
    one.usual_s = LIMITS.latency_floor_s
    return one


def alone(window: int) -> Sender:
    """The same without `crowding`: as long as nobody says what is usual, nothing is late."""
    return Congestion(LIMITS, CONTRACT, window, 0.0)


def gradient(window: int) -> Sender:
    """Gradient2 as published."""
    return Gradient(window, 600)


def strict_gradient(window: int) -> Sender:
    """One whose usual latency stays what it was before the trouble, as Vegas has it."""
    return Gradient(window, 2_000_000)


RIVALS: dict[str, Callable[[int], Sender]] = {
    "as shipped": product, "AIMD alone": alone, "gradient": gradient, "gradient, strict": strict_gradient,
}  # fmt: skip


# -- carriers ----------------------------------------------------------------------------------------------------------


class Grants:
    """Takes `rate` a second by a bucket of `depth_s` seconds, throttles the rest."""

    def __init__(self, rate: float, depth_s: float) -> None:
        self.could = rate
        self._rate, self._depth_s, self._at = rate, depth_s, 0.0
        self._tokens = CONTRACT * depth_s

    def take(self, now: float, rng: random.Random) -> Said:
        """One part."""
        rate = self._rate if now >= SICK_AT else CONTRACT
        self._tokens = min(rate * self._depth_s, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1:
            return Blame.THROTTLED, _quick(rng), None
        self._tokens -= 1
        return Blame.OK, _quick(rng), None


class Random:
    """Answers a share of the parts with `blame`, whatever the rate."""

    def __init__(self, blame: Blame, share: float) -> None:
        self.could = OFFERED * (1.0 - share)
        self._blame, self._share = blame, share

    def take(self, now: float, rng: random.Random) -> Said:
        """One part."""
        hit = now >= SICK_AT and rng.random() < self._share
        return self._blame if hit else Blame.OK, _quick(rng), None


class Queues:
    """Takes everything at once, and serves `rate` a second from a queue; `says` so by congestion_state, or not."""

    def __init__(self, rate: float, *, says: bool = False) -> None:
        self.could = rate
        self._rate, self._says, self._free_at = rate, says, 0.0

    def take(self, now: float, rng: random.Random) -> Said:
        """One part. Of 200 places the level tells: 80 an empty queue, 100 a full one."""
        rate = self._rate if now >= SICK_AT else 1.5 * CONTRACT
        ahead = max(0.0, self._free_at - now) * rate
        if self._says and ahead >= 200:
            return Blame.THROTTLED, _quick(rng), 100
        self._free_at = max(self._free_at, now) + 1 / rate
        level = 80 + int(ahead / 10) if ahead > 1 else 60
        return Blame.OK, self._free_at - now + _quick(rng), level if self._says else None


class Slow:
    """Answers after about `latency_s`, however much or little is in flight."""

    def __init__(self, latency_s: float) -> None:
        self.could = OFFERED
        self._latency_s = latency_s

    def take(self, now: float, rng: random.Random) -> Said:
        """One part."""
        return Blame.OK, (self._latency_s if now >= SICK_AT else 0.02) * (0.5 + rng.random()), None


def _quick(rng: random.Random) -> float:
    return 0.02 * (0.5 + rng.random())


class Fake(Protocol):
    """A carrier: what it could take a second once it is sick, and what it says to a part."""

    could: float

    def take(self, now: float, rng: random.Random) -> Said: ...


CASES: dict[str, Callable[[], Fake]] = {
    "grants half, 0.1 s deep":   lambda: Grants(1000.0, 0.1),
    "grants half, 1 s deep":     lambda: Grants(1000.0, 1.0),
    "throttles 10 % by chance":  lambda: Random(Blame.THROTTLED, 0.1),
    "throttles 90 % by chance":  lambda: Random(Blame.THROTTLED, 0.9),
    "queues, serves 1,000/s":    lambda: Queues(1000.0),
    "queues, serves 100/s":      lambda: Queues(100.0),
    "slow, 0.3 s":               lambda: Slow(0.3),
    "slow, 5 s":                 lambda: Slow(5.0),
    "one of 50 queues full":     lambda: Random(Blame.CONGESTED, 0.02),
    "says congestion_state":     lambda: Queues(1000.0, says=True),
}  # fmt: skip


@attrs.frozen
class Outcome:
    """What came of it, from `since` on."""

    taken_s: float  # parts taken a second
    could: float  # of what it could take, 0..1
    vain: float  # of what was sent
    p99_s: float  # answer after
    paces: tuple[float, ...]  # at each full second
    windows: tuple[int, ...]


def run(sender: Sender, carrier: Fake, *, seconds: float = 90, since: float = 40, seed: int = 3) -> Outcome:
    """Send for so long; count from `since` on."""
    rng, way, latencies = random.Random(seed), [], []
    tokens = backlog = 0.0
    serial = sent = vain = 0
    paces, windows = [], []
    for step in range(int(seconds / STEP_S)):
        now = step * STEP_S
        while way and way[0][0] <= now:
            _, _, sent_at, blame, level = heapq.heappop(way)
            sender.answered(blame, now, 1, sent_at)
            if level is not None:
                sender.congestion_state(level, now, sent_at)
            if now >= since and blame == Blame.OK:
                latencies.append(now - sent_at)
        if step % 500 == 0:
            paces.append(sender.pace(now))
            windows.append(sender.window)
        backlog = min(backlog + OFFERED * STEP_S, 10 * OFFERED)
        if now < sender.paused_until:
            tokens = 0.0
            continue
        tokens = min(tokens + sender.pace(now) * STEP_S, CONTRACT * 0.05)
        for _ in range(min(int(tokens), sender.window - len(way), int(backlog))):
            blame, latency_s, level = carrier.take(now, rng)
            serial += 1
            heapq.heappush(way, (now + latency_s, serial, now, blame, level))
            tokens -= 1
            backlog -= blame == Blame.OK
            sent += now >= since
            vain += now >= since and blame != Blame.OK
    rate = len(latencies) / (seconds - since)
    p99_s = sorted(latencies)[int(len(latencies) * 0.99)] if latencies else 0.0
    could = min(OFFERED, carrier.could)
    return Outcome(rate, rate / could, vain / max(1, sent), p99_s, tuple(paces), tuple(windows))


def main() -> None:
    """Print who got what: share of what the carrier could take, share sent in vain, latency p99."""
    print(f"{'':32}", *(f"{name:>26}" for name in RIVALS))
    for name, carrier in CASES.items():
        for window in (50, 500):
            cells = []
            for make in RIVALS.values():
                out = run(make(window), carrier())
                cells.append(f"{out.could:9.1%} {out.vain:6.1%} {out.p99_s * 1000:6.0f} ms")
            print(f"{name:26} {window:5}", *(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
