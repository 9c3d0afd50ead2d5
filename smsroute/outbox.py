"""What one ESME is owed: the oldest receipts in memory, the rest on disk, in one order.

Rules:
- The order is: `owed` (in memory, sessions take from it), the rows of history.db's table `owed` behind `cursor`,
  `leaving` (in memory, a checkpoint is writing them as rows), `tail` (in memory, ended since). A receipt that falls due
  joins the end. It joins `owed` itself only while nothing is behind `owed` and nothing in it came from disk: so what
  the ledger keeps in `open` is older than every row, and a restart finds the same order.
- A row is what the last checkpoint knew. Only a checkpoint writes or deletes one; reading it back changes nothing on
  disk, and a part read back is known to its outbox alone: to the ledger it has left memory, as it has after a crash, so
  that a replay judges its late receipts as life did.
- The invariant: a row leaves with the first checkpoint behind the durable `Told` of its part, never before. So at any
  moment of a crash a receipt is owed exactly if its part is in `open`, is a row, or ended in the journal behind the
  checkpoint, and no `Told` stands for it in that journal. A `Told` that a replay meets for a part not in memory is a
  claim against a row: held until the store said which rows there are (`settle`), stepped over when pages are read, and
  made a deletion by the next checkpoint.
- A checkpoint that failed may stand all the same: its rows bear numbers beyond any that are read (`last`), and the next
  checkpoint deletes them (`unsure`) before it writes what it knows. After a crash they are rows like others.

Walk: `memory` owns Outbox and Pages and asks them at a checkpoint; `ledger` tells what was answered for;
`esmes/pager` reads pages; `store/owed` holds the rows; `carriers/sweep` ends what waits too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, count

from smsroute.message import Backlog, OwedPage, Part, Told


class Outbox:
    """Receipts one ESME is owed, oldest first. See the module."""

    __slots__ = (
        "cursor", "given_up", "last", "leaving", "notices", "on_disk", "owed", "paged", "ready", "tail", "unsent",
        "why_given_up",
    )  # fmt: skip

    def __init__(self) -> None:
        self.owed: dict[str, Part] = {}
        self.ready: deque[Part] = deque()  # of `owed`, and not with a session just now
        self.leaving: dict[str, Part] = {}
        self.tail: dict[str, Part] = {}
        self.paged: set[str] = set()  # of `owed`: those read back from disk
        self.on_disk = 0  # rows behind the cursor
        self.cursor = 0  # the number up to which rows have been read
        self.last = 0  # the number of the last row a checkpoint is known to have written
        self.given_up = 0  # dead letters since the start, and why the newest one is
        self.why_given_up = ""
        self.notices: dict[str, Part] = {}  # open parts whose notice is owed: they stand in the ledger, and in no tier
        self.unsent: dict[str, Part] = {}  # of those, not with a session just now

    def __len__(self) -> int:
        return len(self.owed) + self.on_disk + len(self.leaving) + len(self.tail)

    @property
    def in_memory(self) -> int:
        """Of them, those that take memory."""
        return len(self.owed) + len(self.leaving) + len(self.tail)

    def oldest(self) -> Part | None:
        """The first of those in memory."""
        return next(chain(self.owed.values(), self.leaving.values(), self.tail.values()), None)

    def join(self, part: Part, most: int) -> None:
        """It is owed from now on; `most`: parts `owed` may hold."""
        if self.on_disk or self.tail or self.leaving or self.paged or len(self.owed) >= most:
            self.tail[part.part_id] = part
        else:
            self.owed[part.part_id] = part
            self.ready.append(part)

    def note(self, part: Part) -> None:
        """Its notice is owed from now on."""
        self.notices[part.part_id] = self.unsent[part.part_id] = part

    def unnote(self, part_id: str) -> None:
        """No notice of it is owed any more."""
        self.notices.pop(part_id, None)
        self.unsent.pop(part_id, None)

    def pop(self, part_id: str, dropped: str) -> Part | None:
        """It is owed no more. `dropped`: why it was given up, if it was. None when it is not in memory."""
        if dropped:
            self.given_up += 1
            self.why_given_up = dropped
        part = self.owed.pop(part_id, None)
        if part is None and (self.leaving or self.tail):
            part = self.leaving.pop(part_id, None) or self.tail.pop(part_id, None)
        return part

    def tidy(self, most: int) -> bool:
        """After some were popped: what was ticked without being fetched goes, and the tail moves up when it is next.
        Returns whether it did."""
        ready, owed = self.ready, self.owed
        while ready and ready[0].part_id not in owed:
            ready.popleft()
        if not self.tail or self.on_disk or self.leaving or self.paged or len(owed) >= most:
            return False
        while self.tail and len(owed) < most:
            part_id = next(iter(self.tail))
            part = owed[part_id] = self.tail.pop(part_id)
            ready.append(part)
        return True

    def wants(self, most: int, page: int) -> int:
        """How many rows to read now: 0 while there is no room for `page` of them."""
        return min(page, self.on_disk) if self.on_disk and len(self.owed) <= max(0, most - page) else 0


class Pages:
    """What all outboxes' rows have in common. See the module."""

    def __init__(self) -> None:
        self.next_number = 1
        self.replaying = False
        self.reading = 0  # pages on their way from the disk: what they may hold is not forgotten meanwhile
        self.told: list[tuple[str, float]] = []  # rows to delete with the next checkpoint: (part_id, told at)
        self.claims: dict[str, Told] = {}
        self.backlogged: set[str] = set()  # ESMEs with rows to read
        self.unsure: list[str] = []  # parts whose rows a failed checkpoint may have written
        self._written: list[str] = []  # claims whose rows are gone, kept while a page is on its way

    def restore(self, outboxes: dict[str, Outbox], kept: Mapping[str, Backlog]) -> None:
        """After `open` was restored, before the journal is replayed."""
        for esme, backlog in kept.items():
            outbox = outboxes.setdefault(esme, Outbox())
            outbox.on_disk, outbox.last = backlog
            self.backlogged.add(esme)
            self.next_number = max(self.next_number, backlog.last + 1)
            self.replaying = True

    def claim(self, event: Told, part_id: str) -> bool:
        """A replay meets a `Told` for a part that memory does not hold. Returns whether it may be a row's."""
        if not self.replaying or part_id in self.claims:
            return False
        self.claims[part_id] = event
        return True

    def settle(self, outboxes: Mapping[str, Outbox], rows: Collection[str]) -> dict[str, Told]:
        """The journal is replayed, and of the claims these have rows: they are returned. Others were told before."""
        self.replaying = False
        self.claims = {part_id: event for part_id, event in self.claims.items() if part_id in rows}
        for part_id, event in self.claims.items():
            outbox = outboxes.get(event.esme)
            if outbox is not None:  # it is: but a journal row must never stop a boot
                self._fewer(event.esme, outbox)
            self.told.append((part_id, event.at))
        return self.claims

    def number(self, part_ids: Collection[str], numbers: dict[str, int]) -> None:
        """Parts that leave memory get the numbers of their rows, in their order."""
        numbers.update(zip(part_ids, count(self.next_number), strict=False))
        self.next_number += len(part_ids)

    def deleted(self, told: Sequence[tuple[str, float]]) -> None:
        """A checkpoint deleted these rows. A page read before it may still hold them: claims wait until it is here."""
        self._written.extend(part_id for part_id, _ in told if part_id in self.claims)
        if self._written and not self.reading:
            for part_id in self._written:
                self.claims.pop(part_id, None)
            self._written.clear()

    def grew(self, esme: str, outbox: Outbox, by: int) -> None:
        """So many more rows wait."""
        if by:
            outbox.on_disk += by
            self.backlogged.add(esme)

    def _fewer(self, esme: str, outbox: Outbox, by: int = 1) -> None:
        outbox.on_disk -= by
        if outbox.on_disk <= 0:
            outbox.on_disk = 0
            self.backlogged.discard(esme)

    def arrived(self, esme: str, outbox: Outbox, page: OwedPage, through: int) -> None:
        """The rows up to number `through` that were asked for join `owed`."""
        if not page.parts:
            outbox.cursor = through
            if through == outbox.last:
                self._fewer(esme, outbox, outbox.on_disk)
            return
        outbox.cursor = page.last
        joined = [part for part in page.parts if part.part_id not in self.claims]
        for part in joined:
            outbox.owed[part.part_id] = part
            outbox.paged.add(part.part_id)
        outbox.ready.extend(joined)
        self._fewer(esme, outbox, len(joined))
