"""Where open parts wait: lanes per carrier and class, a heap of those due later, buckets of validity ends.

Rules:
- Views, not facts: the ledger rebuilds them from its parts, and only it puts in or takes out.
- Time moves a part from "due later" to "due now" (`release`) and past its validity (`overdue`); that writes nothing.
- Nobody pays for a timer a message: retries stand in one heap, validity in buckets of ten seconds, swept in slices.
- A part a carrier took is given up when nobody will tell of it any more (`told_by`): past validity and grace, or past
  what its carrier's receipts take at most.
- A retry waits for so many seconds, not for a date: when the wall clock is set back (`set_back`) it comes no later.
  What its part says of `due_at` is a fact and stays. What its sender wants sent at a date waits for that date.

Walk: owned and filled by `ledger`; read by `carriers/dispatch` and `carriers/lanes`; a lane's own order is `lane`'s.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from smsroute.lane import Lane
from smsroute.message import ATTEMPTED, DUE, OK, SUBMITTED, MessageClass, Part

DEADLINE_BUCKET_S: Final = 10
STALE_MIN: Final = 1000
"""Entries of the heap that may be stale whatever its length."""


class Queues:
    """See the module."""

    def __init__(self) -> None:
        self.lanes: dict[str, tuple[Lane, ...]] = {}
        self.woken: set[str] = set()  # carriers that got something to do; the owner of the wake-ups clears it
        self._later: list[tuple[float, str, Part]] = []
        # part_id -> (its due_at, when the one entry of the heap that counts says it comes)
        self._waiting: dict[str, tuple[float, float]] = {}
        self._buckets: dict[int, dict[str, Part]] = {}
        self._bucket_order: list[int] = []
        self._beyond: dict[str, int] = {}  # part_id -> its bucket, when that is not the one of its validity's end

    def queued(self, carrier: str) -> int:
        """Parts due now in this carrier's lanes, those that stand aside among them."""
        lanes = self.lanes.get(carrier)
        return sum([lane.size for lane in lanes]) if lanes is not None else 0

    def due(self, carrier: str) -> Iterator[Part]:
        """This carrier's due parts, most urgent class first, oldest first within it, those aside last."""
        for lane in self.lanes.get(carrier, ()):
            yield from lane.everyone()

    def ahead(self, carrier: str, message_class: int) -> bool:
        """Whether anything of this class or a more urgent one waits its turn there: a newcomer may not overtake it."""
        lanes = self.lanes.get(carrier)
        return lanes is not None and any(lane.waits for lane in lanes[: message_class + 1])

    def waiting(self, carrier: str, message_class: int) -> int:
        """Parts of this class and more urgent ones that wait their turn there."""
        lanes = self.lanes.get(carrier)
        return sum([len(lane) for lane in lanes[: message_class + 1]]) if lanes is not None else 0

    def put(self, part: Part) -> None:
        """Due now, in the lane of its class at its carrier, where its age says."""
        lanes = self.lanes.get(part.carrier)
        if lanes is None:
            lanes = self.lanes[part.carrier] = tuple(Lane() for _ in MessageClass)
        lanes[part.message_class].put(part)
        self.woken.add(part.carrier)

    def put_at(self, part: Part, now: float) -> None:
        """Due at `part.due_at`, which may be now."""
        due_at = part.due_at
        if due_at > now:
            waiting = self._waiting.get(part.part_id)
            if waiting is None or waiting[0] != due_at:  # moved while it waits: it stands there already
                self._waiting[part.part_id] = (due_at, due_at)
                heapq.heappush(self._later, (due_at, part.part_id, part))
        else:
            self.put(part)

    def waits(self, part: Part) -> bool:
        """Whether this part, which is due, waits for a later time still."""
        return part.part_id in self._waiting

    def reschedule(self, part: Part, now: float) -> None:
        """`part.due_at` is another than it was, for a part that is due."""
        self.take(part)
        self._waiting.pop(part.part_id, None)
        self._thin()
        self.put_at(part, now)

    def _thin(self) -> None:
        """What no longer waits leaves the heap with its time, which may be a month away: not while it is the most."""
        if len(self._later) > 2 * len(self._waiting) + STALE_MIN:
            self._later = [entry for entry in self._later if self._counts(entry[0], entry[1])]
            heapq.heapify(self._later)

    def _counts(self, at: float, part_id: str) -> bool:
        entry = self._waiting.get(part_id)
        return entry is not None and entry[1] == at

    def take(self, part: Part) -> None:
        """Out of its lane. A part that waits for later is skipped by `release` once it is no longer due."""
        lanes = self.lanes.get(part.carrier)
        if lanes is not None:
            lanes[part.message_class].take(part.part_id)

    def release(self, now: float) -> float:
        """Bring parts whose time has come into their lanes. `now`: Unix seconds. Returns the next such time."""
        later = self._later
        while later and later[0][0] <= now:
            at, part_id, part = heapq.heappop(later)
            waiting = self._waiting.get(part_id)
            if waiting is not None and waiting[1] == at:
                del self._waiting[part_id]
                if part.state == DUE:
                    self.put(part)
        return later[0][0] if later else float("inf")

    def set_back(self, seconds: float) -> None:
        """The wall clock went back by so many seconds: what waits comes that much earlier by it, but for what waits for
        the date its sender gave."""
        later: list[tuple[float, str, Part]] = []
        for at, part_id, part in self._later:
            if self._counts(at, part_id):
                sooner = at if _dated(part) else at - seconds
                self._waiting[part_id] = (self._waiting[part_id][0], sooner)
                later.append((sooner, part_id, part))
        heapq.heapify(later)
        self._later = later

    def latest(self) -> float:
        """When the last of those that wait for later comes, their sender's dates aside: Unix seconds; -inf when none
        does."""
        waits = (at for at, part_id, part in self._later if self._counts(at, part_id) and not _dated(part))
        return max(waits, default=float("-inf"))

    def watch(self, part: Part, at: float) -> None:
        """Look at this part again at `at` (Unix seconds), or up to a bucket later."""
        number = int(at // DEADLINE_BUCKET_S)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heapq.heappush(self._bucket_order, number)
        bucket[part.part_id] = part

    def expect(self, part: Part) -> None:
        """A carrier took it, whose receipts come sooner than validity and grace say, or later: look again when."""
        at = told_by(part, 0.0)
        self.unwatch(part)
        if at != part.expires_at:
            self._beyond[part.part_id] = int(at // DEADLINE_BUCKET_S)
        self.watch(part, at)

    def unwatch(self, part: Part) -> None:
        """It ended: its carrier may tell so a moment after its validity did, and an hour before we would."""
        bucket = self._buckets.get(self._beyond.pop(part.part_id, int(part.expires_at // DEADLINE_BUCKET_S)))
        if bucket is not None:
            bucket.pop(part.part_id, None)
        if part.scheduled_at and self._waiting.pop(part.part_id, None) is not None:
            self._thin()

    def watch_anew(self, part: Part, expires_at: float) -> None:
        """A part that is due is valid until then, from now on."""
        bucket = self._buckets.get(self._beyond.pop(part.part_id, int(part.expires_at // DEADLINE_BUCKET_S)))
        if bucket is not None:
            bucket.pop(part.part_id, None)
        part.expires_at = expires_at
        self.watch(part, expires_at)

    def open_parts(self) -> Iterator[Part]:
        """Every part without an end, those soonest over-age first, in a walk that may take its time: what comes or goes
        meanwhile may be missed or met. It holds no more than a bucket at once."""
        for number in sorted(self._buckets):
            yield from list(self._buckets.get(number, {}).values())

    def overdue(self, now: float, grace_s: float, most: int) -> tuple[list[Part], list[Part]]:
        """Parts past their time: (due past their validity: they expire; with a carrier past `told_by`: nobody will ever
        tell).

        At most `most` are looked at in a call, so that a million waiting parts cost no pause.
        """
        expired: list[Part] = []
        untold: list[Part] = []
        looked = 0
        while self._bucket_order and looked < most:
            number = self._bucket_order[0]
            if (number + 1) * DEADLINE_BUCKET_S > now:
                break
            bucket = self._buckets[number]
            while bucket and looked < most:
                looked += 1
                part_id, part = bucket.popitem()
                self._beyond.pop(part_id, None)
                if part.final:
                    continue
                if part.state == DUE:
                    expired.append(part)
                elif part.state != ATTEMPTED and told_by(part, grace_s) <= now:
                    untold.append(part)
                # Until the event that ends it is durable it stays watched. What the carrier has can only be told of.
                last_word_at = told_by(part, grace_s) if part.state == SUBMITTED else 0.0
                again_at = max(now + DEADLINE_BUCKET_S, last_word_at)
                self._beyond[part_id] = int(again_at // DEADLINE_BUCKET_S)
                self.watch(part, again_at)
            if not bucket:
                heapq.heappop(self._bucket_order)
                del self._buckets[number]
        return expired, untold


def _dated(part: Part) -> bool:
    """Whether it waits for the date its sender gave."""
    return part.scheduled_at == part.due_at


def told_by(part: Part, grace_s: float) -> float:
    """When nobody will tell any more what became of a part that a carrier may have, Unix seconds.

    The latest that a receipt comes from a carrier that took it; where that carrier promises nothing, and for a part in
    doubt, `grace_s` past the validity.
    """
    by = 0.0
    if part.state == SUBMITTED:
        for attempt in part.attempts:
            if attempt.blame == OK:
                by = max(by, attempt.told_by or part.expires_at + grace_s)
    return by or part.expires_at + grace_s
