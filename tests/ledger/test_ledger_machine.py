"""Any order of events, timely or overtaken, checkpoints that work or fail, crashes at any point: held against a naive
ledger at every step, and rebuilt both ways (the whole journal; a checkpoint and the journal behind it)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.ledger import Ledger
from smsroute.memory import FACTS_MAX
from smsroute.message import (
    Accepted,
    Adopted,
    AnyEvent,
    Arrived,
    Attempted,
    Blame,
    Cause,
    Changes,
    Closed,
    Doubted,
    Finished,
    Moved,
    Noted,
    OrphansAged,
    Queried,
    Receipted,
    Replaced,
    Requeued,
    Responded,
    Started,
    State,
    Told,
    Withdrawn,
    pack,
    pack_part,
    unpack,
    unpack_part,
)
from tests.ledger.merged import CARRIERS, Merged
from tests.ledger.naive import Naive
from tests.ledger.picture import ESMES, of_ledger, of_naive

NUMBERS = ("33611111111", "33622222222")
SAID = (State.DELIVERED, State.DELIVERED, State.UNDELIVERABLE, State.REJECTED, -1, State.ACCEPTED)
LIMITS: dict[str, Any] = {"orphans_max": 3, "multiparts_max": 2, "multipart_ttl_s": 15.0, "id_repeats_max": 3}
# What a rebuilt ledger may count otherwise: what was said of parts that had come to rest before the checkpoint.
OF_PARTS_AT_REST = {
    "overtaken",
    "withdrawn",
    "ids_reused",
    "receipts_matched",
    "receipts_intermediate",
    "receipts_duplicate",
    "receipts_conflicting",
    "receipts_late",
    "receipts_superseded",
    "delivered_twice",
    "queried",
    "orphans_parked",
    "orphans_matched",
    "orphans_aged",
}


class Disk:
    """What a store would hold."""

    def __init__(self) -> None:
        self.journal: list[bytes] = []
        self.through = 0
        self.open: dict[str, bytes] = {}
        self.closed: dict[tuple[str, str], str] = {}  # (carrier, receipt id) -> part, of parts that are history
        self.state = b""
        self.resting: list[bytes] = []  # finished parts still in memory at the last checkpoint

    def keep(self, through: int, changes: Changes, resting: list[bytes]) -> None:
        """A checkpoint."""
        self.through, self.state, self.resting = through, changes.state, resting
        self.open.update(changes.open)
        for part in changes.at_rest:
            self.open.pop(part.part_id, None)
            for one in part.attempts:
                self.closed[one.carrier, one.key or one.carrier_message_id] = part.part_id


class Walk(Merged):
    """One life of a ledger.

    `reuse`: carriers use ids twice, and finished parts stay in memory, so that a rebuilt ledger is the same to the last
    count. Else ids are unique, parts leave memory, and a rebuilt ledger is the same in all that may still matter.
    """

    def __init__(self, *, reuse: bool) -> None:
        self.reuse = reuse
        # A rebuilt ledger keeps an orphan that a late answer of a part at rest took: there, none is pushed out for it.
        self.limits = LIMITS if reuse else LIMITS | {"orphans_max": 100}
        self.ledger, self.naive, self.disk = Ledger(**self.limits), Naive(**self.limits), Disk()
        self.now = 1000.0
        self.number = 0
        self.early = ""
        self.taken: tuple[int, list[bytes]] | None = None
        self.finals: dict[str, tuple[int, float, str]] = {}
        self.crashed = False
        self.rng = random.Random(0)

    def step(self, dice: int) -> None:
        """Something happens, and all is as it should be. 0: nothing does (what a failing walk shrinks to)."""
        if not dice:
            return
        self.rng = random.Random(dice)
        [deed] = self.rng.choices(list(DEEDS), list(DEEDS.values()))
        deed(self)
        self.check()

    # -- dice ---------------------------------------------------------------------------------------------------------

    def _say(self, *events: AnyEvent) -> None:
        """One row of the journal, then the truth."""
        self.disk.journal.append(pack(list(events)))
        for event in events:
            self.ledger.apply(event)
            self.naive.apply(event)

    def _some(self, *states: State) -> list[str]:
        """Some parts, mostly in one of these states, in the order they came; now and then one nobody knows."""
        known = sorted(self.naive.pages)
        fit = [part_id for part_id in known if self.naive.pages[part_id].state in states]
        pool = fit if fit and self.rng.random() < 0.85 else known
        strangers = ["P9999"] if not pool or self.rng.random() < 0.03 else []
        return sorted(self.rng.sample(pool, min(len(pool), self.rng.randint(1, 3)))) + strangers

    def _key(self) -> str:
        """What a carrier calls a part; maybe its receipt came first."""
        if self.early and self.rng.random() < 0.5:
            key, self.early = self.early, ""
            return key
        self.number += 1
        return f"k{self.rng.randint(0, 9)}" if self.reuse else f"k{self.number}"

    def _later(self) -> float:
        self.now += self.rng.choice([0.5, 0.5, 0.5, 3.0, 20.0])
        return self.now

    def _attempt(self, part_id: str) -> int:
        """Mostly the last one; now and then an older one, or one that never was."""
        page = self.naive.pages.get(part_id)
        tries = len(page.tries) if page else 0
        return tries - 1 if tries and self.rng.random() < 0.6 else self.rng.randint(0, tries)

    # -- events -------------------------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Parts come, and maybe their first attempt in the same row."""
        if self.ledger.open > 9:
            return
        rng, at = self.rng, self._later()
        esme, carrier = rng.choice(ESMES), rng.choice(CARRIERS)
        wants, multipart = rng.choice([0, 1, 1, 1, 2, 3]), rng.choice(["", "", "m 2", "m 3", "n 2"])
        total = int(multipart[-1:] or 0)  # the key tells it
        as_one = rng.random() < 0.6
        later = rng.choice([0.0, 0.0, 0.0, 0.5, 10.0])
        events: list[AnyEvent] = []
        ids: list[str] = []
        for _ in range(rng.randint(1, 3)):
            self.number += 1
            ids.append(f"P{self.number:04d}")
            events.append(
                Accepted(
                    ids[-1],
                    at,
                    esme,
                    rng.randint(0, 3),
                    "SHOP",
                    rng.choice(NUMBERS),
                    b"address text",
                    7,
                    wants,
                    at + 60,
                    "fr",
                    carrier,
                    multipart,
                    parts=total,
                    number=rng.randint(min(1, total), total),
                    kept=rng.choice([b"", b"", b"address te", None]),
                    as_one=as_one,
                    notify=rng.random() < 0.4,
                    due_at=at + later if later else 0.0,
                )
            )
        if rng.random() < 0.6:
            events.append(Attempted(at, carrier, f"{carrier}-1", "fr", "cheapest", ids))
        self._say(*events)

    def arrive(self) -> None:
        """A handset writes."""
        rng, at = self.rng, self._later()
        self.number += 1
        addresses, kept = ("33600000009", "38000"), rng.choice([b"", b"", None])
        part_id, esme, carrier = f"P{self.number:04d}", rng.choice(ESMES), rng.choice(CARRIERS)
        self._say(Arrived(part_id, at, esme, carrier, f"{carrier}-1", "code", *addresses, b"address text", 7, 0, kept))

    def attempt(self) -> None:
        """Due parts are offered to a bind; one may have been overtaken."""
        carrier = self.rng.choice(CARRIERS)
        self._say(Attempted(self._later(), carrier, f"{carrier}-2", "fr", "next", self._some(State.DUE)))

    def withdraw(self) -> None:
        """The link was gone before a byte left."""
        self._say(Withdrawn(self._later(), self._some(State.ATTEMPTED), "link gone"))

    def replace(self) -> None:
        """Its sender says something else, maybe for another day; the part may have left by then."""
        at, rng = self._later(), self.rng
        part_id = self._some(State.DUE)[0]
        date = rng.choice([0.0, 0.0, at, at + 10, at + 40])
        kept = rng.choice([b"", b"address ne", None])
        self._say(
            Replaced(part_id, at, b"address news", rng.randint(0, 3), at + rng.choice([30, 90]), date, kept, True)
        )

    def note(self) -> None:
        """An ESME answers for words on the way: those it was told last, older ones, or some nobody said."""
        at, esme = self._later(), self.rng.choice(ESMES)
        told = [(one, (self.naive.pages[one].notice or [0, 0.0])[1]) for one in self.naive.noticeboard(esme)]
        others = [(one, at - 1) for one in self._some()] if self.rng.random() < 0.2 else []
        self._say(Noted(at, esme, told + others, self.rng.choice(["", "", "refused"])))

    def take_on(self) -> None:
        """A carrier takes parts; one may be of an attempt that was given up."""
        at = self._later()
        events: list[AnyEvent] = []
        for part_id in self._some(State.ATTEMPTED, State.IN_DOUBT):
            name = self._key()
            ids = self.rng.choice([(name.upper(), name), (name, "")])
            silent = self.rng.random() < 0.15
            events.append(
                Responded(
                    part_id,
                    self._attempt(part_id),
                    at,
                    Blame.OK,
                    0,
                    *ids,
                    silent=silent,
                    awaits=self.rng.random() < 0.3,
                    within_s=self.rng.choice([0.0, 0.0, 20.0, 300.0]),
                )
            )
        self._say(*events)

    def refuse(self) -> None:
        """A carrier refuses a part, for now or for good."""
        at, pause_s = self._later(), self.rng.choice([None, 0.0, 2.0, 30.0])
        part_id = self._some(State.ATTEMPTED, State.IN_DOUBT)[0]
        index = self._attempt(part_id)
        if pause_s is None:
            self._say(Responded(part_id, index, at, Blame.PERMANENT_MESSAGE, 11, why="no such number"))
        else:
            elsewhere = self.rng.choice(["", *CARRIERS])
            blame = self.rng.choice([Blame.TRANSIENT, Blame.THROTTLED, Blame.THROTTLED])
            self._say(Responded(part_id, index, at, blame, 8, "", "", at + pause_s, elsewhere, "busy"))

    def doubt(self) -> None:
        """Unanswered, and its link or timer gone."""
        self._say(Doubted(self._later(), self._some(State.ATTEMPTED), "link cut"))

    def requeue(self) -> None:
        """In doubt, and allowed to go again."""
        self._say(Requeued(self._later(), self._some(State.IN_DOUBT), self.rng.choice(["", *CARRIERS]), "otp"))

    def move(self) -> None:
        """Due parts change queue."""
        self._say(Moved(self._later(), self._some(State.DUE), self.rng.choice(CARRIERS), "fr2", "sick"))

    def receipt(self) -> None:
        """A receipt that names an attempt in memory, by the id it has or by one that was converted."""
        if self.naive.names:
            carrier, key = self.rng.choice(sorted(self.naive.names))
            self._receipt(carrier, self.rng.choice([[key], [key], ["unheard", key]]))

    def strange_receipt(self) -> None:
        """A receipt of a part long gone, one that comes before its response, one with no id at all."""
        carrier, keys = self.rng.choice(CARRIERS), [self._key()]
        if self.disk.closed and self.rng.random() < 0.5:
            carrier, key = self.rng.choice(sorted(self.disk.closed))
            keys = [key]
        elif self.rng.random() < 0.3:
            written = [("text", f"w{self.rng.randint(0, 9)}")] if self.rng.random() < 0.7 else []
            self._receipt(carrier, [], written)
            return
        else:
            self.early = keys[0]
        self._receipt(carrier, keys)

    def adopt(self) -> None:
        """A parked receipt finds its attempt, or one that never was."""
        if self.naive.loose:
            orphan = self.rng.choice(self.naive.loose)
            part_id = self._some(State.IN_DOUBT)[0]
            name = orphan.keys[0] if orphan.keys else "\0? " + orphan.ids[0][1]
            how = self.rng.choice(["", "its text"])
            self._say(Adopted(orphan.carrier, name, part_id, self._attempt(part_id), self._later(), how))

    def _receipt(self, carrier: str, keys: list[str], written: list[tuple[str, str]] | None = None) -> None:
        """As `carriers/receipts` does: whose it is by memory, else by the store."""
        at, state, number = self._later(), self.rng.choice(SAID), self.rng.choice(NUMBERS)
        whole, strict = self.rng.random() < 0.4, self.rng.random() < 0.3
        event = Receipted(carrier, at, keys, state, "000", "WORD", number, whole=whole, strict=strict)
        passing = self.rng.choice([-1, 1, 1, 6]) if state == -1 else -1
        meant = self.naive.means(event)
        assert self.ledger.whose(event) == (meant[0] if meant else "")
        closed = self.disk.closed
        stored = next((closed[carrier, key] for key in keys if (carrier, key) in closed), "")
        whose = meant[0] if meant else stored
        ids = written or [("text", key) for key in keys]
        self._say(
            Receipted(
                carrier, at, keys, state, "000", "WORD", number, whose, whole, ids, strict=strict, passing=passing
            )
        )

    def query(self) -> None:
        """A carrier was asked; it may have said a last word, and a receipt may say another."""
        at = self._later()
        part_id = self._some(State.SUBMITTED)[0]
        index, said = self._attempt(part_id), self.rng.choice(["ENROUTE", "ENROUTE", "ESME_RQUERYFAIL", "DELIVRD"])
        events: list[AnyEvent] = [Queried(part_id, index, at, said)]
        page = self.naive.pages.get(part_id)
        if page is not None and index < len(page.tries) and page.tries[index].called:
            one, state = page.tries[index], self.rng.choice(SAID)
            keys = [one.called]
            events.append(
                Receipted(one.carrier, at, keys, state, "000", "query_sm WORD", page.said.destination_addr, part_id)
            )
        self._say(*events)

    def finish(self) -> None:
        """We end parts ourselves."""
        causes = {
            Cause.EXPIRED: [State.DUE],
            Cause.GIVEN_UP: [State.SUBMITTED, State.IN_DOUBT],
            Cause.REFUSED: [State.DUE],
            Cause.CANCELLED: [State.DUE, State.DUE, State.ATTEMPTED, State.IN_DOUBT],
        }
        cause = self.rng.choice(list(causes))
        self._say(Finished(self._later(), self._some(*causes[cause]), cause, "", "time is up"))

    def tell(self) -> None:
        """An ESME answers for receipts, in any order, or is given up on."""
        esme = self.rng.choice(ESMES)
        owed = self.naive.outbox(esme)
        told = self.rng.sample(owed, min(len(owed), self.rng.randint(0, 3)))
        others = self._some() if self.rng.random() < 0.2 else []
        dropped = self.rng.choice(["", "", "", "refused 50 times"])
        self._say(Told(self._later(), esme, sorted(told) + others, dropped))

    def close(self) -> None:
        """No more parts are waited for, of a message that lacks some, or (overtaken) of any."""
        names = [name for _, name in self.naive.unfinished] or self._some()
        self._say(Closed(self._later(), self.rng.sample(names, 1)))

    def age(self) -> None:
        """Old orphans go."""
        at = self._later()
        self._say(OrphansAged(at, at - self.rng.choice([0.0, 10.0])))

    # -- time, checkpoints, crashes -----------------------------------------------------------------------------------

    def release(self) -> None:
        """Retries come due."""
        self._release(self.ledger, self._later())

    def _release(self, ledger: Ledger, now: float) -> None:
        ledger.queues.release(now)
        for page in self.naive.pages.values():
            if page.due_at <= now:
                page.waiting = False

    def checkpoint(self) -> None:
        """One begins (what it takes is of this instant) or ends: durable, or failed, and the next must bring it all."""
        if self.taken is None:
            resting = [pack_part(part) for part in self.ledger.parts.values() if part.at_rest]
            self.ledger.begin()
            self.taken = (len(self.disk.journal), resting)
            return
        if self.rng.random() < 0.5 and self.ledger.pack(self.rng.randint(1, 3)):
            return  # it is packed in slices, and life goes on
        (through, resting), self.taken = self.taken, None
        changes = self.ledger.taken()
        closed = {part.part_id for part in changes.at_rest}
        assert len(closed) == len(changes.at_rest)
        assert not closed & {part_id for part_id, _ in changes.open}
        if self.rng.random() < 0.4:
            self.ledger.give_back(changes)
            return
        self.disk.keep(through, changes, resting)
        if not self.reuse:
            before = set(self.ledger.parts)
            gone = self.ledger.forget(self.rng.randint(0, 3))
            forgotten = before - set(self.ledger.parts)
            assert len(forgotten) == gone
            assert all(self.naive.pages[part_id].rested for part_id in forgotten), "only what rests is let go"
            self.naive.forget(forgotten)

    def replay(self) -> None:
        """The whole journal, read back from its bytes, gives the ledger that is."""
        if not self.crashed:
            rebuilt = Ledger(**self.limits)
            self._replay(rebuilt, 0)
            self._compare(rebuilt)

    def crash(self) -> None:
        """The last checkpoint and the journal behind it give the ledger that was; an engine may go on with it."""
        rebuilt = Ledger(**self.limits)
        parts = [unpack_part(packed) for packed in self.disk.open.values()]
        if self.reuse:
            parts += [unpack_part(packed) for packed in self.disk.resting]
        rebuilt.restore(parts, self.disk.state)
        self._replay(rebuilt, self.disk.through)
        self._compare(rebuilt)
        if self.rng.random() < 0.5:
            self.crashed = True
            self.taken = None
            self.naive.forget(set(self.naive.pages) - set(rebuilt.parts))
            self.ledger = rebuilt
            picture = of_ledger(rebuilt)
            self.naive.tally = Counter(picture["counts"])
            self.naive.loose = picture["orphans"]
            self._say(Started(self.now, "n1", "0.1"))

    def _replay(self, ledger: Ledger, through: int) -> None:
        for record in self.disk.journal[through:]:
            for event in unpack(record):
                ledger.apply(event)

    def _compare(self, rebuilt: Ledger) -> None:
        for ledger in (rebuilt, self.ledger):
            self._release(ledger, self.now)
        was, became = of_ledger(self.ledger), of_ledger(rebuilt)
        if not self.reuse:
            both = set(was["parts"]) & set(became["parts"])
            for picture, ledger in ((was, self.ledger), (became, rebuilt)):
                assert all(ledger.parts[part_id].at_rest for part_id in set(picture["parts"]) - both)
                picture["parts"] = {part_id: picture["parts"][part_id] for part_id in both}
                held = {name: [hit for hit in hits if hit[0] in both] for name, hits in picture["ids"].items()}
                picture["ids"] = {name: hits for name, hits in held.items() if hits}
                picture["unnamed"] = {row for row in picture["unnamed"] if row[1] in both}
                picture["counts"] = {name: n for name, n in picture["counts"].items() if name not in OF_PARTS_AT_REST}
                del picture["by_state"], picture["orphans"]
        assert became == was

    # -- always -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """It is the naive ledger; ends are final (law 5); an attempt more that may deliver was allowed to be resent
        (law 6); all is bounded (law 10)."""
        assert of_ledger(self.ledger) == of_naive(self.naive)
        for part_id, part in self.ledger.parts.items():
            assert len(part.facts) <= FACTS_MAX
            maybe = [one for one in part.attempts if not one.withdrawn and one.blame in (-1, Blame.OK)]
            assert len(maybe) <= 1 + sum(one.resent and bool(one.doubted) for one in maybe)
            if part.final:
                end = (part.state, part.ended_at, part.why)
                assert self.finals.setdefault(part_id, end) == end
        assert len(self.ledger.orphans) <= self.limits["orphans_max"]
        assert len(self.ledger.multiparts) <= LIMITS["multiparts_max"]


# fmt: off
DEEDS: dict[Callable[[Walk], None], int] = {
    Walk.accept: 6, Walk.attempt: 5, Walk.withdraw: 1, Walk.take_on: 6, Walk.refuse: 3, Walk.doubt: 4, Walk.requeue: 4,
    Walk.move: 1, Walk.receipt: 5, Walk.strange_receipt: 3, Walk.adopt: 2, Walk.query: 3, Walk.finish: 2, Walk.tell: 4,
    Walk.age: 1, Walk.close: 2, Walk.release: 2, Walk.checkpoint: 3, Walk.replay: 1, Walk.crash: 1,
    Walk.replace: 3, Walk.note: 3, Walk.arrive: 2, Walk.merge: 5, Walk.one_submit: 5,
}
# fmt: on


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(st.integers(0, 2**32), min_size=120, max_size=240))
def test_the_ledger_is_the_naive_ledger_whatever_happens(reuse: bool, dice: list[int]) -> None:
    """At every step states, attempts, lanes, outboxes and their order, ids, orphans, multiparts, counts and doubts are
    those of the naive ledger, of one rebuilt from the journal, and of one from a checkpoint and what came after it.
    """
    walk = Walk(reuse=reuse)
    for one in dice:
        walk.step(one)
