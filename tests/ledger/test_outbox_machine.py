"""The two tiers of an outbox over a real store, killed at any step, against a list kept by hand. smsroute/outbox.py.

The reference knows nothing of tiers: receipts fall due in an order, and each is told once. Whether checkpoints succeed,
fail, or fail and stand all the same, whatever is read back, and wherever the power goes, the engine's next life owes
exactly those that fell due and were not told, and offers them in that order.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.engine import recover
from smsroute.ledger import Ledger
from smsroute.message import (
    Accepted,
    AnyEvent,
    Arrived,
    Cause,
    Changes,
    Finished,
    OwedPage,
    Receipted,
    State,
    Tell,
    Told,
    pack,
)
from smsroute.store.base import Checkpoint
from tests.store.conftest import Home, MemoryHome, SqliteHome

ESMES = ("acme", "bank")
MOST, PAGE = 3, 2


class Life:
    """One store, one engine after another."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.rng = random.Random(0)
        self.now = 1000.0
        self.number = 0
        self.due: dict[str, list[str]] = {esme: [] for esme in ESMES}  # the reference: who is owed what, in order
        self.told: Counter[str] = Counter()
        self.whose: dict[str, str] = {}
        self.dropped: set[str] = set()
        self.halves: list[str] = []  # parts that have not ended, and whose sisters have
        self.boot()

    def boot(self) -> None:
        """An engine opens the store."""
        self.store = self.home.open()
        self.ledger = Ledger(orphans_max=10, multiparts_max=10, outbox_memory_max=MOST)
        self.seq = recover(self.store, self.ledger)
        self.taken: tuple[int, bool] | None = None
        self.page: tuple[str, OwedPage, int] | None = None
        self.check()

    def say(self, *events: AnyEvent) -> None:
        """Durable, then true."""
        self.seq += 1
        self.store.append(self.seq, pack(list(events)))
        for event in events:
            self.ledger.apply(event)

    # -- what happens -------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """A part is accepted and comes to its end: its receipt is owed. Sometimes its text is of interest, too."""
        esme = self.rng.choice(ESMES)
        for _ in range(self.rng.randint(1, 4)):
            self.now += 1.0
            self.number += 1
            part_id = f"P{self.number:05d}"
            self.say(
                Accepted(part_id, self.now, esme, 2, "SHOP", "336", b"address text", 7, 1, 1e9, "fr", "orange"),
                Finished(self.now, [part_id], Cause.EXPIRED, "", "late"),
            )
            self.due[esme].append(part_id)
            self.whose[part_id] = esme

    def end_in_parts(self) -> None:
        """A message in two parts, told of as one: now its first part ends, or the second of one before."""
        if not self.halves or self.rng.random() < 0.5:
            esme = self.rng.choice(ESMES)
            ids = [f"P{self.number + 1:05d}", f"P{self.number + 2:05d}"]
            self.number += 2
            rest = 7, 1, 1e9, "fr", "orange", f"{ids[0]} 2"
            for number, part_id in enumerate(ids, 1):
                self.say(
                    Accepted(
                        part_id, self.now, esme, 2, "SHOP", "336", b"address text", *rest, parts=2, number=number,
                        as_one=True,
                    )
                )  # fmt: skip
                self.whose[part_id] = esme
            self.say(Finished(self.now, ids[1:], Cause.EXPIRED, "", "late"))
            self.halves.append(ids[0])
            return
        first = self.halves.pop(self.rng.randrange(len(self.halves)))
        self.now += 1.0
        self.say(Finished(self.now, [first], Cause.EXPIRED, "", "late"))
        self.due[self.whose[first]].append(first)

    def arrive(self) -> None:
        """A handset writes: that is owed behind all that is."""
        esme = self.rng.choice(ESMES)
        self.now += 1.0
        self.number += 1
        part_id = f"P{self.number:05d}"
        said = self.now, esme, "orange", "orange-1", "code", "336", "38000", b"address text", 7
        self.say(Arrived(part_id, *said))
        self.due[esme].append(part_id)
        self.whose[part_id] = esme

    def tell(self) -> None:
        """An ESME answers for some of those that memory offers it, mostly the oldest; or they are given up."""
        esme = self.rng.choice(ESMES)
        outbox = self.ledger.outboxes.get(esme)
        offered = [] if outbox is None else list(outbox.owed)
        if self.rng.random() < 0.3:
            self.rng.shuffle(offered)
        some = offered[: self.rng.randint(0, 3)]
        why = "refused" if self.rng.random() < 0.2 else ""
        for part_id in some:
            self.due[esme].remove(part_id)
            self.told[part_id] += 1
            if why:
                self.dropped.add(part_id)
        before = sorted(part_id for part_id in self.told if self.whose[part_id] == esme)
        again = self.rng.sample(before, min(len(before), self.rng.randint(0, 1)))
        self.say(Told(self.now, esme, [*some, *(one for one in again if one not in some)], why))

    def late(self) -> None:
        """A carrier speaks once more of a part, wherever it is."""
        if self.number:
            part_id = f"P{self.rng.randint(1, self.number):05d}"
            if part_id not in self.halves:
                self.say(Receipted("orange", self.now, ["x"], State.DELIVERED, "", "DELIVRD", part_id=part_id))

    def checkpoint(self) -> None:
        """One begins, is written (or is not, or says that it is not and stands all the same), and is over."""
        if self.taken is None:
            self.ledger.begin()
            self.taken = self.seq, False
            return
        through, written = self.taken
        if not written and self.rng.random() < 0.5 and self.ledger.pack(1):
            return
        changes = self.ledger.taken()
        if not written:
            if self.rng.random() < 0.25:
                self.ledger.give_back(changes)
                self.taken = None
                return
            self._write(through, changes)
            self.taken = through, True
            return
        self.taken = None
        if self.rng.random() < 0.15:
            self.ledger.give_back(changes)  # the disk said no, and had done it
            return
        self.ledger.kept(changes)
        self.store.trim(through)
        self.ledger.depart(self.rng.randint(0, 3))
        self.ledger.forget(self.rng.randint(0, 3))

    def _write(self, through: int, changes: Changes) -> None:
        messages = [*changes.at_rest, *changes.leaving]
        closed = [*(part.part_id for part in messages), *changes.unsure]
        self.store.checkpoint(
            Checkpoint(through, changes.open, closed, messages, changes.state, changes.late, changes.owed, changes.told)
        )

    def read(self) -> None:
        """A page is read; it arrives later."""
        pages = self.ledger.pages
        if self.page is not None:
            esme, page, through = self.page
            self.page = None
            pages.reading -= 1
            self.ledger.arrived(esme, page, through)
            return
        for esme in sorted(pages.backlogged):
            outbox = self.ledger.outboxes[esme]
            if outbox.wants(MOST, PAGE):
                pages.reading += 1
                self.page = esme, self.store.owed(esme, outbox.cursor, outbox.last, PAGE), outbox.last
                return

    def kill(self) -> None:
        """The power goes."""
        self.home.kill()
        self.boot()

    # -- always -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Memory is bounded; what it offers is the beginning of what is owed, in order; nothing else is counted."""
        for esme, due in self.due.items():
            outbox = self.ledger.outboxes.get(esme)
            if outbox is None:
                assert not due
                continue
            assert list(outbox.owed) == due[: len(outbox.owed)], "the oldest, in order"
            assert [part.part_id for part in outbox.ready if part.part_id in outbox.owed] == list(outbox.owed)
            assert len(outbox.owed) <= MOST
            behind = [*outbox.leaving, *outbox.tail]
            assert behind == due[len(due) - len(behind) :], "the youngest, in order"
            if not (self.taken and self.taken[1]):
                assert len(outbox) >= len(due)
        counts = self.ledger.counts
        assert counts.told + counts.dropped == sum(self.told.values()), "each told once"

    def drain(self) -> None:
        """All come back and are told, in order, none twice; what history tells of each is right."""
        self.rng = random.Random(1)
        while self.halves:
            self.end_in_parts()
        if self.taken is not None:
            changes, (_, written) = self.ledger.taken(), self.taken
            self.ledger.kept(changes) if written else self.ledger.give_back(changes)
            self.taken = None
        for _ in range(10_000):
            if not any(self.due.values()):
                break
            self.read()
            for esme, due in self.due.items():
                outbox = self.ledger.outboxes.get(esme)
                some = [] if outbox is None else list(outbox.owed)
                assert some == due[: len(some)]
                del due[: len(some)]
                self.told.update(some)
                if some:
                    self.say(Told(self.now, esme, some))
            self.check()
        assert not any(self.due.values()), f"stuck: {self.due}"
        if self.page is not None:
            self.read()
        for _ in range(2):
            changes = self.ledger.take()
            self._write(self.seq, changes)
            self.ledger.kept(changes)
        assert self.store.recover().owed == {}, "no row outlives its receipt"
        assert set(self.told.values()) <= {1}
        for part_id in self.told:
            part = self.store.story(part_id)
            assert part is not None
            assert part.told_at > 0
            assert part.tell in (Tell.OWN, Tell.SPEAKER)
            assert part.body == b"", "no text outlives its receipt"
            assert any("receipt not taken" in fact for fact in part.facts) == (part_id in self.dropped)


DEEDS = {
    Life.end: 3, Life.arrive: 2, Life.end_in_parts: 3, Life.tell: 4, Life.late: 1, Life.checkpoint: 8, Life.read: 5,
    Life.kill: 1,
}  # fmt: skip


def _live(home: Home, dice: list[int]) -> None:
    life = Life(home)
    for one in dice:
        if one:
            life.rng = random.Random(one)
            [deed] = life.rng.choices(list(DEEDS), list(DEEDS.values()))
            deed(life)
            life.check()
    life.kill()
    life.drain()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**32), min_size=40, max_size=120))
def test_nothing_owed_is_lost_doubled_or_out_of_order_wherever_it_dies(dice: list[int]) -> None:
    """Over the store said simply."""
    with closing(MemoryHome(Path())) as home:
        _live(home, dice)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 2**32), min_size=40, max_size=80))
def test_nor_over_sqlite(dice: list[int]) -> None:
    """Over files on a disk."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        _live(stack.enter_context(closing(SqliteHome(Path(folder)))), dice)
