"""Handsets whose queue is full at one carrier: what goes to such a number waits, and nothing else does.

Rules:
- An answer of "queue full" (ESME_RMSGQFUL) holds its destination at that carrier for `first_s`; again after that,
  twice as long, up to `longest_s`. The carrier itself is slowed only when a good share of its window answers so.
- When a hold ends one part asks, the oldest. Taken: all others follow. Full again: the hold doubles. The answers to
  what was on its way when the hold began say nothing new.
- At most `most` destinations are remembered; beyond, the one refused longest ago is let go.

Drawback of the simple way. Retried by the schedule of its message, each of a hundred parts for a phone that is off asks
for itself, in any order, and each answer counts as the carrier's trouble: Postfix had the same with one full mailbox.

Idea. Postfix's dead destination, for one number: the first refusal speaks for all parts behind it, and one probe speaks
for all of them again.

    refused(to, sent_at):  sent before the hold began: nothing new
                           pause = first_s, or 2 x pause when it was held within the last pause;  until = now + pause
    held(to):              until - now;  after that, while a part is out asking, the rest of its pause
    answered(to):          the hold is gone

Measured: 0.1 us a part and answer while any destination is held at that carrier, nothing while none is.

Limits: in memory only: after a restart the first part asks again. The hold is the number's, whoever writes to it.

Walk: one a carrier, in `carriers/station`; `carriers/answers` tells it what came back, `carriers/lanes` asks.
"""

from __future__ import annotations

from collections import OrderedDict


class _Hold:
    __slots__ = ("asking_until", "pause_s", "since", "times", "until")

    def __init__(self, now: float, pause_s: float) -> None:
        self.since = now
        self.pause_s = pause_s
        self.until = now + pause_s
        self.asking_until = now
        self.times = 1


class Holds:
    """See the module. `now` is monotonic seconds throughout."""

    __slots__ = ("_first_s", "_longest_s", "_most", "freed", "rows")

    def __init__(self, first_s: float, longest_s: float, most: int) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._most = most
        self.rows: OrderedDict[str, _Hold] = OrderedDict()  # the one refused longest ago first
        self.freed: list[str] = []  # destinations that took a part again; whoever waits for them clears it

    def __len__(self) -> int:
        return len(self.rows)

    def refused(self, to: str, now: float, sent_at: float) -> float:
        """The carrier said this destination's queue is full, to a part sent at `sent_at`. Returns seconds it is held
        for."""
        hold = self.rows.get(to)
        if hold is not None and sent_at < hold.since:
            return max(0.0, hold.until - now)
        if hold is None or now > hold.until + hold.pause_s:
            hold = self.rows[to] = _Hold(now, self._first_s)
        else:
            hold.times += 1
            hold.pause_s = min(self._longest_s, 2 * hold.pause_s)
            hold.since, hold.until, hold.asking_until = now, now + hold.pause_s, now
        self.rows.move_to_end(to)
        if len(self.rows) > self._most:
            gone, _ = self.rows.popitem(last=False)
            self.freed.append(gone)
        return hold.pause_s

    def held(self, to: str, now: float) -> float:
        """Seconds until a part may ask; 0 when one may now, or nothing holds the destination."""
        hold = self.rows.get(to)
        return 0.0 if hold is None else max(0.0, hold.until - now, hold.asking_until - now)

    def went(self, to: str, now: float) -> None:
        """A part leaves for it: if it was held, the others wait for its answer."""
        hold = self.rows.get(to)
        if hold is not None:
            hold.asking_until = now + hold.pause_s

    def unheard(self, to: str) -> None:
        """The part that left for it was throttled: it never came to the question, and another may ask it."""
        hold = self.rows.get(to)
        if hold is not None:
            hold.asking_until = hold.until

    def answered(self, to: str) -> None:
        """The carrier took a part for it, or refused one for another reason."""
        if self.rows.pop(to, None) is not None:
            self.freed.append(to)

    def times(self, to: str) -> int:
        """How often in a row its queue was full; 0 when it is not held."""
        hold = self.rows.get(to)
        return 0 if hold is None else hold.times
