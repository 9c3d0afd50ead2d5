"""What the ledger holds, the small steps that change it, and what a checkpoint keeps of it.

Rules:
- Every part in memory stands in `parts`; all else is an index, a view or a count of them, kept true by the steps here.
- `take` packs all that changed since the last checkpoint, at one instant; `restore` rebuilds it, and the journal behind
  it replayed through `Ledger.apply` gives the ledger that was.
- Pure: no clock, no dice, no I/O.

Walk: the base of `ledger.Ledger`, whose events call the steps; `store/journal` calls `take`, `give_back` and `forget`,
`engine` calls `restore`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from smsroute.families import Families, Multiparts, verdict
from smsroute.matching import Ids, KeptIds, Orphans, Unnamed, nameless
from smsroute.message import (
    ACCEPTED,
    ATTEMPTED,
    DELIVERED,
    DUE,
    IN_DOUBT,
    RECEIVED,
    SUBMITTED,
    Arrived,
    Backlog,
    Changes,
    MessageClass,
    OwedPage,
    Part,
    Receipted,
    State,
    Tell,
    transition,
)
from smsroute.outbox import Outbox, Pages
from smsroute.queues import Queues
from smsroute.shelves import Counts
from smsroute.taking import Taken, kept_of, packed

FACTS_MAX: Final = 16
"""Facts kept on one part; a carrier that repeats a receipt for hours must not grow it."""


NOTICED_MAX: Final = 100_000
"""Things noticed between two commits; a replay, whose are never fetched, must not grow with its journal."""


class Noticed(NamedTuple):
    """Something about a receipt that was seen while an event was applied, for who counts by carrier. No fact: nobody
    but `carriers/hearing` fetches it, and a replay's is dropped."""

    kind: str  # parked, claimed, unheard, or what is odd: see `carriers/tally`
    carrier: str
    number: str  # of the handset
    part: Part | None = None
    told: int = 0  # the final State in which a claimed one ended its part


_COUNT_OF_END: Final[dict[int, str]] = {
    DELIVERED: "delivered",
    State.EXPIRED: "expired",
    ACCEPTED: "handed_over",
}


class Memory:
    """See the module."""

    def __init__(
        self,
        *,
        orphans_max: int,
        multiparts_max: int,
        multipart_ttl_s: float = float("inf"),
        outbox_memory_max: int = 1 << 62,
        id_repeats_max: int = 5,
    ) -> None:
        self.parts: dict[str, Part] = {}
        self.queues = Queues()
        self.ids = Ids(id_repeats_max)
        self.orphans = Orphans(orphans_max)
        self.unnamed = Unnamed()
        self.outboxes: dict[str, Outbox] = {}
        self.pages = Pages()
        self.in_doubt: dict[str, Part] = {}
        self.families = Families()
        self.multiparts = Multiparts(multiparts_max, multipart_ttl_s)
        self.counts = Counts()
        self.last_part_id = ""  # ids sort by time: the newest this node has handed out
        self.by_state: dict[int, int] = dict.fromkeys(State, 0)
        self.held_by: Counter[str] = Counter()  # parts not at rest, by ESME
        self.woken_esmes: set[str] = set()
        self.noticed: deque[Noticed] = deque(maxlen=NOTICED_MAX)
        self._changed: dict[str, Part] = {}
        self._at_rest: dict[str, Part] = {}  # since the last checkpoint
        self._frozen: dict[str, Part] = {}  # of the checkpoint begun: those not packed yet, as they were
        self._turns: Iterator[str] = iter(())
        self._taking = Taken({}, [], [], [], {})
        self._departing: deque[Part] = deque()
        self._parked: dict[tuple[str, str], bytes] = {}  # the orphans, packed, oldest first
        self._pins: dict[str, bytes] = {}  # the multipart messages, packed, the longest silent first
        self._late: list[tuple[str, str]] = []
        self._finished: deque[Part] = deque()
        self._outbox_max = outbox_memory_max
        self._places = 0  # of receipts owed, given so far

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """Parts without a final state."""
        by = self.by_state
        return by[DUE] + by[ATTEMPTED] + by[IN_DOUBT] + by[SUBMITTED]

    @property
    def held(self) -> int:
        """Parts in memory: open, owed to an ESME, or finished a moment ago."""
        return len(self.parts)

    def whose(self, event: Receipted) -> str:
        """The part that memory would give this receipt to, "" when none: what `Receipted.part_id` is to say, so that a
        replay, whose memory begins at a checkpoint, gives it to no other."""
        hit = self.ids.meant(event)
        return "" if hit is None else hit[0].part_id

    # -- steps ------------------------------------------------------------------------------------------------------

    def _part(self, part_id: str) -> Part | None:
        part = self.parts.get(part_id)
        if part is None:
            self.counts.overtaken += 1
        else:
            if self._frozen:
                self._before(part_id)
            self._changed[part_id] = part
        return part

    def _parts(self, part_ids: Iterable[str]) -> Iterator[Part]:
        for part_id in part_ids:
            part = self._part(part_id)
            if part is not None:
                yield part

    def _move(self, part: Part, cause: int) -> bool:
        was = part.state
        if not transition(part, cause):
            self.counts.overtaken += 1
            return False
        self.by_state[was] -= 1
        self.by_state[part.state] += 1
        if was == IN_DOUBT:
            self.in_doubt.pop(part.part_id, None)
        elif was == DUE:
            self.queues.take(part)
        return True

    def _end(self, part: Part, at: float, why: str, err: str) -> None:
        part.ended_at, part.why, part.err = at, why, err
        if part.notice is not None:
            self.outboxes[part.esme].unnote(part.part_id)
            part.notice = None
        _cut(part)
        count = _COUNT_OF_END.get(part.state, "failed")
        setattr(self.counts, count, getattr(self.counts, count) + 1)
        if part.owes_receipt:
            self._fall_due(part)
        elif part.tell == Tell.WAITING:
            message = self.families.ended(part, at)
            if message:
                self._settle(message, at)
        else:
            self._rest(part)

    def _settle(self, message: Sequence[Part], at: float) -> None:
        """The ESME is told of this whole message, whose parts waited for each other."""
        said = verdict(message, at)
        speaker = next((part for part in message if part.wishes(said.state)), None)
        self.families.incomplete.pop(message[0].message_id, None)
        came = "" if len(message) == said.parts else f", of which {len(message)} came,"
        ended = f"its message of {said.parts} parts{came} ended {State(said.state).name}"
        for part in message:
            if self._frozen:
                self._before(part.part_id)
            self._changed[part.part_id] = part
            if part is speaker:
                part.tell, part.verdict = Tell.SPEAKER, said
                self._fact(part, at, f"{ended}: this part tells it")
                self._fall_due(part)
            else:
                part.tell = Tell.SILENT
                by = f"part {speaker.part_id} tells it" if speaker else "no part asked to tell it"
                self._fact(part, at, f"{ended}: {by}")
                self._rest(part)

    def _arrived(self, event: Arrived) -> None:
        """A message from a handset: final from the first, and owed to its ESME as receipts are."""
        assert event.part_id not in self.parts, f"part {event.part_id} came twice"
        part = Part(
            event.part_id,
            event.esme,
            event.at,
            MessageClass.INFO,
            event.source_addr,
            event.destination_addr,
            event.body,
            event.text_at,
            1,
            event.at,
            event.multipart,
            route=event.route,
            carrier=event.carrier,
            state=RECEIVED,
            ended_at=event.at,
            why=f"it came by {event.bind}",
            data_coding=event.data_coding,
            kept=event.kept,
        )
        self.parts[part.part_id] = self._changed[part.part_id] = part
        self.by_state[RECEIVED] += 1
        self.held_by[part.esme] += 1
        self.last_part_id = max(self.last_part_id, part.part_id)
        self.counts.arrived += 1
        self._fall_due(part)

    def _fall_due(self, part: Part) -> None:
        self._places += 1
        part.place = self._places
        self._owe(part)

    def _owe(self, part: Part) -> None:
        self._outbox(part.esme).join(part, self._outbox_max)
        self.woken_esmes.add(part.esme)

    def _owe_notice(self, part: Part) -> None:
        self._outbox(part.esme).note(part)
        self.woken_esmes.add(part.esme)

    def _outbox(self, esme: str) -> Outbox:
        outbox = self.outboxes.get(esme)
        if outbox is None:
            outbox = self.outboxes[esme] = Outbox()
        return outbox

    def _rest(self, part: Part) -> None:
        if part.kept is not None:  # nothing of the text outlives its use
            part.body, part.kept = part.body[: part.text_at], b""
        self.queues.unwatch(part)
        self.held_by[part.esme] -= 1
        self._at_rest[part.part_id] = part

    def _fact(self, part: Part, at: float, what: str) -> None:
        self._add(part, f"{at:.3f} {what}")

    def _add(self, part: Part, fact: str) -> None:
        if len(part.facts) == FACTS_MAX:
            part.facts.pop()  # the first ones and the newest say most
        part.facts.append(fact)

    # -- checkpoint and recovery --------------------------------------------------------------------------------------

    def take(self) -> Changes:
        """What changed since the last call: `begin`, `pack` and `taken` in one."""
        self.begin()
        while self.pack(1 << 62):
            pass
        return self.taken()

    def begin(self) -> None:
        """A checkpoint is of this instant, exactly the journal up to here. What it writes is packed in slices while
        life goes on (`pack`); a part that is about to change before its turn is packed then (`_before`)."""
        while self.depart(1 << 62):
            pass
        at_rest, self._at_rest = self._at_rest, {}
        late, self._late = self._late, []
        self._finished.extend(at_rest.values())
        self._frozen, self._changed = self._changed, {}
        numbers: dict[str, int] = {}
        for outbox in self.outboxes.values():
            if outbox.tail:
                outbox.leaving, outbox.tail = outbox.tail, {}
                self.pages.number(outbox.leaving, numbers)
                self._frozen.update(outbox.leaving)
        for key, moved in self.multiparts.changed.items():
            pin = self.multiparts.get(key)
            if moved or pin is None:
                self._pins.pop(key, None)
            if pin is not None:
                self._pins[key] = packed(key) + packed(pin)
        self.multiparts.changed.clear()
        told, self.pages.told = self.pages.told, []
        unsure, self.pages.unsure = self.pages.unsure, []
        self._taking = Taken(at_rest, late, told, unsure, numbers)
        self._taking.counts = packed(self.counts)
        self._taking.last_part_id = self.last_part_id
        self._taking.ids = self.ids.kept()
        for name, orphan in self.orphans.changed.items():
            self._parked.pop(name, None)
            if orphan is not None:
                self._parked[name] = packed(orphan)
        self.orphans.changed.clear()
        self._taking.orphans = list(self._parked.values())
        self._taking.pins = list(self._pins.values())
        self._turns = iter(list(self._frozen))

    def pack(self, most: int) -> bool:
        """Pack up to `most` parts of the checkpoint begun. Returns whether there are more."""
        taken, frozen = self._taking, self._frozen
        for part_id in islice(self._turns, most):
            part = frozen.pop(part_id, None)
            if part is not None:
                taken.put(part)
        return bool(frozen)

    def _before(self, part_id: str) -> None:
        part = self._frozen.pop(part_id, None)
        if part is not None:
            self._taking.put(part)

    def taken(self) -> Changes:
        """The checkpoint begun, whole; what was not packed yet is. Once all is, a thread may call it."""
        while self.pack(1 << 62):
            pass
        return self._taking.changes()

    def give_back(self, changes: Changes) -> None:
        """A checkpoint failed: what it took counts as changed again."""
        for part_id, _ in changes.open:
            self._changed[part_id] = self.parts[part_id]
        for part in changes.at_rest:
            self._changed[part.part_id] = part
        for part in changes.leaving:
            self._changed[part.part_id] = part
        self._late[:0] = changes.late
        self.pages.told[:0] = changes.told
        self.pages.unsure.extend(changes.unsure)
        self.pages.unsure.extend(row.part_id for row in changes.owed)
        for esme, outbox in self.outboxes.items():
            if outbox.leaving:
                outbox.tail, outbox.leaving = outbox.leaving | outbox.tail, {}
                if outbox.tidy(self._outbox_max):
                    self.woken_esmes.add(esme)

    def kept(self, changes: Changes) -> None:
        """A checkpoint is durable: what it wrote to the disk tier of an outbox is no longer in memory for it, and
        leaves the rest of memory by `depart`."""
        lasts: dict[str, int] = {}
        for row in changes.owed:
            lasts[row.esme] = max(row.number, lasts.get(row.esme, 0))
        for esme in sorted(lasts):
            outbox = self.outboxes[esme]
            gone, outbox.leaving, outbox.last = outbox.leaving, {}, lasts[esme]
            self.pages.grew(esme, outbox, len(gone))
            self._departing.extend(gone.values())
            if outbox.tidy(self._outbox_max):  # all that left was ended meanwhile
                self.woken_esmes.add(esme)
        self.pages.deleted(changes.told)

    def depart(self, most: int) -> bool:
        """Let go of up to `most` parts that a checkpoint wrote to a disk tier. Returns whether there are more."""
        departing = self._departing
        while departing and most > 0:
            most -= 1
            part = departing.popleft()
            self.queues.unwatch(part)
            self.held_by[part.esme] -= 1
            self._let_go(part)
            if self._changed.pop(part.part_id, None) is not None:  # it learnt something meanwhile
                learnt = part.facts[self._taking.facts.get(part.part_id, 0) :]
                self._late.extend((part.part_id, fact) for fact in learnt)
        return bool(departing)

    def forget(self, keep: int, most: int = 1 << 62) -> int:
        """Let go of up to `most` of the oldest parts at rest that a checkpoint has written, but for the last `keep`:
        duplicates of receipts mostly come at once, and find their part in memory. Returns how many went."""
        gone = 0
        while len(self._finished) > keep and gone < most:
            self._let_go(self._finished.popleft())
            gone += 1
        return gone

    def _let_go(self, part: Part) -> None:
        del self.parts[part.part_id]
        self.by_state[part.state] -= 1
        self.ids.drop(part)
        for index in range(len(part.attempts)):
            self.unnamed.drop(part, index)
        self.families.drop(part)

    def arrived(self, esme: str, page: OwedPage, through: int) -> None:
        """Rows up to number `through` of an ESME's disk tier, read back: they are next for its sessions."""
        outbox = self.outboxes[esme]
        self.pages.arrived(esme, outbox, page, through)
        outbox.tidy(self._outbox_max)

    def settle(self, rows: Collection[str]) -> None:
        """The journal is replayed. `rows`: those of `pages.claims` that the disk tier holds."""
        self.counts.overtaken += len(self.pages.claims)
        for part_id, event in self.pages.settle(self.outboxes, rows).items():
            self.counts.overtaken -= 1
            self._told_of_row(part_id, event.at, event.esme, event.dropped)
        for outbox in self.outboxes.values():
            outbox.tidy(self._outbox_max)

    def _told_of_row(self, part_id: str, at: float, esme: str, dropped: str) -> None:
        if dropped:
            self.counts.dropped += 1
            self._late.append((part_id, f"{at:.3f} receipt not taken by {esme}: {dropped}"))
        else:
            self.counts.told += 1

    def restore(self, parts: Iterable[Part], state: bytes, owed: Mapping[str, Backlog] | None = None) -> None:
        """Rebuild from a checkpoint, before the journal behind it is replayed.

        `parts`: the open and owed ones; those that came to rest lately may be among them: late receipts find them then.
        `owed`: what the outboxes have on disk, by ESME; then `settle` is to be called when the journal is replayed.
        """
        named: list[tuple[float, str, str, Part, int]] = []
        waiting: list[Part] = []
        for part in sorted(parts, key=lambda part: (part.place, part.ended_at, part.accepted_at, part.part_id)):
            self._places = max(self._places, part.place)
            self.parts[part.part_id] = part
            self.families.join(part)
            self.by_state[part.state] += 1
            for index, attempt in enumerate(part.attempts):
                key = attempt.key or attempt.carrier_message_id
                if key:
                    named.append((attempt.named_at or attempt.responded_at, attempt.carrier, key, part, index))
                elif nameless(attempt):
                    self.unnamed.add(part, index)
            if part.at_rest:
                self._finished.append(part)
                continue
            self.held_by[part.esme] += 1
            if part.final:
                if _cut(part):  # an engine kept it that knew no better
                    self._changed[part.part_id] = part
                if part.owes_receipt:
                    self._owe(part)
                else:
                    waiting.append(part)
                continue
            self.queues.watch(part, part.expires_at)
            if part.notice is not None:
                self._outbox(part.esme)
                if not part.notice.told_at:
                    self._owe_notice(part)
            if part.state == DUE:
                self.queues.put_at(part, 0.0)
            elif part.state == SUBMITTED:
                self.queues.expect(part)
            elif part.state == IN_DOUBT:
                self.in_doubt[part.part_id] = part
        for part in waiting:
            self.families.ended(part, part.ended_at)
        kept_ids = KeptIds()
        if state:
            kept = kept_of(state)
            kept_ids = kept.ids
            self.counts = kept.counts
            self.last_part_id = kept.last_part_id
            self.orphans.restore(kept.orphans)
            self.multiparts.restore(kept.multiparts)
            self.multiparts.changed = dict.fromkeys(kept.multiparts, True)
        named.sort(key=lambda row: (row[0], row[3].part_id))
        self.ids.restore(kept_ids, (row[1:] for row in named))
        self.pages.restore(self.outboxes, owed or {})


def _cut(part: Part) -> bool:
    """Let go of the text of a part whose state is final, but for what its receipt quotes. Whether there was any."""
    if part.kept is None or part.state == RECEIVED or len(part.body) <= max(part.text_at, len(part.kept)):
        return False
    part.body = part.kept or part.body[: part.text_at]
    return True
