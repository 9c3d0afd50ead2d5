"""What one ESME may send: parts a second over all its sessions, how many at once, and less of some senders.

Rules:
- Without `burst` a second's worth may come at once, and no second holds more than `rate` (RateWindow). With it a full
  bucket of `burst` parts may, and `rate` a second fills it again (TokenBucket): a second then holds at most both.
- A sender with a rate of its own is counted beside the whole, never instead; other senders share what the whole leaves.
- Another config holds from the moment it is taken: what has just passed counts against it.
- Pure; `now` is monotonic seconds.

Walk: one an ESME, kept by `esmes/accept`; counted with `policy/rates`.
"""

from __future__ import annotations

from smsroute.config import Esme
from smsroute.policy.rates import RateWindow, TokenBucket

Meter = RateWindow | TokenBucket


class Allowance:
    """See the module."""

    __slots__ = ("_full", "_meter", "_rates", "_senders", "rate")

    def __init__(self, esme: Esme, now: float) -> None:
        self._rates = _rates(esme)
        self.rate = esme.rate
        self._meter = _meter(esme, now)
        self._full = max(1, self._meter.available(now))
        self._senders = {sender: RateWindow(rate, now) for sender, rate in esme.senders.items()}

    def take(self, n: int, now: float) -> int:
        """How many of `n` parts may come in; they have."""
        return self._meter.take(n, now)

    def take_of(self, sender: str, now: float, parts: int = 1) -> bool:
        """Whether so many more parts of this sender may; those that may have."""
        window = self._senders.get(sender)
        return window is None or window.take(parts, now) == parts

    def used_share(self, now: float) -> float:
        """How much of what may come at once has come: 1.0 means that the next part is refused."""
        return 1.0 - self._meter.available(now) / self._full

    def adopt(self, esme: Esme, now: float) -> None:
        """The numbers of another config."""
        if self._rates == _rates(esme):
            return
        used = self._full - self._meter.available(now)
        if isinstance(self._meter, RateWindow) and not esme.burst:
            self._meter = self._meter.resize(esme.rate, now)
            self._full = max(1, int(esme.rate))
        else:
            self._meter = _meter(esme, now)
            self._full = max(1, self._meter.available(now))
            self._meter.take(min(used, self._full), now)
        before = self._senders
        self._senders = {
            sender: before[sender].resize(rate, now) if sender in before else RateWindow(rate, now)
            for sender, rate in esme.senders.items()
        }
        self._rates, self.rate = _rates(esme), esme.rate


def _meter(esme: Esme, now: float) -> Meter:
    return TokenBucket(esme.rate, esme.burst, now) if esme.burst else RateWindow(esme.rate, now)


def _rates(esme: Esme) -> tuple[float, int, dict[str, float]]:
    return esme.rate, esme.burst, dict(esme.senders)
