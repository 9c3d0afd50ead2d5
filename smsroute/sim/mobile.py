"""Handsets of a simulated carrier that write to customers' numbers, at a steady rate.

Rules:
- No two texts are alike (`hello red 12`), so that whoever listens can tell one repeated from two.
- One in `long_share` is in three parts, sent one behind the other; what no bind can take waits, in order.

Walk: beside `SimCarrier.run`, one task a carrier; `smsroute sim carrier --mo-rate`, the demo's and the tests' worlds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from smsroute.ports import Ports
from smsroute.sim.carrier import SimCarrier

PARTS: Final = 3


class Mobile:
    """See the module. `rate`: messages a second; `messages`: then no more, 0 = for ever."""

    def __init__(
        self,
        carrier: SimCarrier,
        rate: float,
        to: Sequence[str],
        *,
        text: str = "hello",
        messages: int = 0,
        long_share: float = 0.0,
    ) -> None:
        self._carrier = carrier
        self._rate = rate
        self._to = to
        self._text = text
        self._messages = messages
        self._long_share = long_share
        self.written = 0
        self.waiting: deque[tuple[str, str, bytes, bool]] = deque()

    @property
    def done(self) -> bool:
        """Whether all are written, and some bind has taken them."""
        return 0 < self._messages <= self.written and not self.waiting

    async def run(self, ports: Ports) -> None:
        """Until all are written, or cancelled."""
        clock, rng = ports.clock, ports.entropy.rng(f"sim.mobile.{self._carrier.name}")
        at, waiting = clock.monotonic(), self.waiting
        while not self.done:
            at = max(at + 1.0 / self._rate, clock.monotonic())
            await clock.sleep_until(at)
            if not self._messages or self.written < self._messages:
                waiting.extend(self._next(rng.random() < self._long_share, f"336{rng.randrange(10**8):08d}"))
            while waiting and self._carrier.mobile_originated(*waiting[0]):
                waiting.popleft()

    def _next(self, long: bool, source: str) -> list[tuple[str, str, bytes, bool]]:
        self.written += 1
        number, to = self.written, self._to[self.written % len(self._to)]
        text = f"{self._text} {self._carrier.name} {number}"
        if not long:
            return [(source, to, text.encode("latin-1"), False)]
        heads = [bytes((5, 0, 3, number & 0xFF, PARTS, part)) for part in range(1, PARTS + 1)]
        return [(source, to, head + f"{text}.{head[-1]}".encode("latin-1"), True) for head in heads]
