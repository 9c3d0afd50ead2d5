"""What one look through a carrier's lanes finds, and what is remembered between two.

Rules:
- Only `carriers/lanes` fills them; nothing here is a fact: after a restart all of it is found out anew.

Walk: `carriers/lanes` looks; `carriers/dispatch` moves by a Round what waits for a carrier that is gone.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

from smsroute.lane import Key
from smsroute.message import AnyEvent, Moved, Part
from smsroute.policy.turns import Turns


class Round:
    """One look through a carrier's lanes. `now`: monotonic seconds; `wall`: Unix seconds."""

    __slots__ = ("aside", "full", "gone", "held", "moved", "now", "sent", "taken", "tied", "wall")

    def __init__(self, now: float, wall: float) -> None:
        self.now = now
        self.wall = wall
        self.full = False  # no bind has room, or pace is used up
        self.sent = 0
        self.tied = 0  # parts that wait for room on the one bind they may take, while others have room
        self.held: set[tuple[str, str, int]] = set()  # (route, network, class) that can go nowhere just now
        self.aside: list[tuple[Part, Key]] = []  # parts that room would not help
        self.moved: dict[tuple[str, str, str], list[str]] = {}  # (carrier, route, reason) -> parts
        self.taken: Counter[str] = Counter()  # parts moved to each carrier
        self.gone: set[str] = set()  # parts that another took with it

    @property
    def changed(self) -> bool:
        """Whether any part went, moved or stood aside: else another look would find the same."""
        return bool(self.sent or self.moved or self.aside)

    def move(self, part: Part, carrier: str, route: str, reason: str) -> None:
        """This part changes queue."""
        self.taken[carrier] += 1
        self.moved.setdefault((carrier, route, reason), []).append(part.part_id)

    def move_all(self, part: Part, company: Sequence[Part] | None, carrier: str, route: str, reason: str) -> None:
        """This part, and all that would go in one submit with it."""
        for one in company or (part,):
            self.move(one, carrier, route, reason)
        if company:
            self.gone.update([one.part_id for one in company])

    def moves(self) -> list[AnyEvent]:
        """The events that say so."""
        return [
            Moved(self.wall, part_ids, carrier, route, reason)
            for (carrier, route, reason), part_ids in self.moved.items()
        ]


class Side:
    """What one carrier's lanes need to remember between two looks."""

    __slots__ = ("due", "follow", "look_at", "turns", "when")

    def __init__(self, floor_share: float) -> None:
        self.turns = Turns(floor_share)
        self.look_at = 0.0  # when those behind parts that wait for room are looked at again
        self.due: list[tuple[float, int, Key]] = []  # a heap of what stands aside, by when it is looked at again
        self.when: dict[tuple[int, Key], float] = {}  # the one entry of the heap that counts
        self.follow: dict[tuple[int, Key], int] = {}  # how many come back at the next look

    def put(self, message_class: int, key: Key, at: float) -> None:
        """Look at what stands aside there again at `at`."""
        if self.when.get((message_class, key)) != at:
            self.when[message_class, key] = at
            heapq.heappush(self.due, (at, message_class, key))

    def ready(self, now: float) -> Iterator[tuple[int, Key]]:
        """What is to be looked at now, each once."""
        due, when = self.due, self.when
        while due and due[0][0] <= now:
            at, message_class, key = heapq.heappop(due)
            if when.get((message_class, key)) == at:
                del when[message_class, key]
                yield message_class, key

    def next_at(self) -> float:
        """When that is again; inf when nothing stands aside."""
        return self.due[0][0] if self.due else float("inf")
