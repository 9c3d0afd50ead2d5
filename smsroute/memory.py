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
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from smsroute.message import Cause, Changes, Part, Receipted, State, pack_part, transition
from smsroute.queues import Queues
from smsroute.shelves import Counts, Ids, Multipart, Multiparts, Orphans

FACTS_MAX: Final = 16
"""Facts kept on one part; a carrier that repeats a receipt for hours must not grow it."""


class Outbox:
    """Receipts one ESME is owed, oldest first."""

    __slots__ = ("owed", "ready")

    def __init__(self) -> None:
        self.owed: dict[str, Part] = {}
        self.ready: deque[Part] = deque()  # owed and not with a session just now


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


class _State(msgspec.Struct):
    """What the checkpoint keeps beside the parts."""

    counts: Counts
    orphans: list[Receipted]
    multiparts: dict[str, Multipart]
    last_part_id: str = ""


_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(_State)

_COUNT_OF_END: Final[dict[int, str]] = {
    State.DELIVERED: "delivered",
    State.EXPIRED: "expired",
    State.ACCEPTED: "handed_over",
}


class Memory:
    """See the module."""

    def __init__(self, *, orphans_max: int, multiparts_max: int, multipart_ttl_s: float = float("inf")) -> None:
        self.parts: dict[str, Part] = {}
        self.queues = Queues()
        self.ids = Ids()
        self.orphans = Orphans(orphans_max)
        self.outboxes: dict[str, Outbox] = {}
        self.in_doubt: dict[str, Part] = {}
        self.multiparts = Multiparts(multiparts_max, multipart_ttl_s)
        self.counts = Counts()
        self.last_part_id = ""  # ids sort by time: the newest this node has handed out
        self.by_state: dict[int, int] = dict.fromkeys(State, 0)
        self.held_by: Counter[str] = Counter()  # parts not at rest, by ESME
        self.woken_esmes: set[str] = set()
        self.noticed: deque[Noticed] = deque(maxlen=NOTICED_MAX)
        self._changed: dict[str, Part] = {}
        self._at_rest: dict[str, Part] = {}  # since the last checkpoint
        self._late: list[tuple[str, str]] = []
        self._finished: deque[Part] = deque()

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """Parts without a final state."""
        by = self.by_state
        return by[State.DUE] + by[State.ATTEMPTED] + by[State.IN_DOUBT] + by[State.SUBMITTED]

    @property
    def held(self) -> int:
        """Parts in memory: open, owed to an ESME, or finished a moment ago."""
        return len(self.parts)

    def whose(self, event: Receipted) -> str:
        """The part that memory would give this receipt to, "" when none: what `Receipted.part_id` is to say, so that a
        replay, whose memory begins at a checkpoint, gives it to no other."""
        hit = self.ids.find(event)
        return "" if hit is None else hit[0].part_id

    # -- steps ------------------------------------------------------------------------------------------------------

    def _part(self, part_id: str) -> Part | None:
        part = self.parts.get(part_id)
        if part is None:
            self.counts.overtaken += 1
        else:
            self._changed[part_id] = part
        return part

    def _parts(self, part_ids: Iterable[str]) -> Iterator[Part]:
        for part_id in part_ids:
            part = self._part(part_id)
            if part is not None:
                yield part

    def _move(self, part: Part, cause: Cause) -> bool:
        was = part.state
        if not transition(part, cause):
            self.counts.overtaken += 1
            return False
        self.by_state[was] -= 1
        self.by_state[part.state] += 1
        if was == State.IN_DOUBT:
            self.in_doubt.pop(part.part_id, None)
        elif was == State.DUE:
            self.queues.take(part)
        return True

    def _end(self, part: Part, at: float, why: str, err: str) -> None:
        part.ended_at, part.why, part.err = at, why, err
        _cut(part)
        count = _COUNT_OF_END.get(part.state, "failed")
        setattr(self.counts, count, getattr(self.counts, count) + 1)
        if part.owes_receipt:
            self._owe(part)
        else:
            self._rest(part)

    def _owe(self, part: Part) -> None:
        outbox = self.outboxes.get(part.esme)
        if outbox is None:
            outbox = self.outboxes[part.esme] = Outbox()
        outbox.owed[part.part_id] = part
        outbox.ready.append(part)
        self.woken_esmes.add(part.esme)

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
        """What changed since the last call. Packed at one instant: the checkpoint is exactly the journal up to here."""
        at_rest, self._at_rest = self._at_rest, {}
        changed, self._changed = self._changed, {}
        late, self._late = self._late, []
        self._finished.extend(at_rest.values())
        packed: list[tuple[str, bytes]] = []
        for part_id, part in changed.items():
            if part.at_rest:
                at_rest[part_id] = part  # came to rest, or learnt a late fact: then its row is written anew
            else:
                packed.append((part_id, pack_part(part)))
        state = _State(self.counts, list(self.orphans.values()), self.multiparts.kept(), self.last_part_id)
        return Changes(packed, list(at_rest.values()), _encoder.encode(state), late)

    def give_back(self, changes: Changes) -> None:
        """A checkpoint failed: what it took counts as changed again."""
        for part_id, _ in changes.open:
            self._changed[part_id] = self.parts[part_id]
        for part in changes.at_rest:
            self._changed[part.part_id] = part
        self._late[:0] = changes.late

    def forget(self, keep: int) -> int:
        """Let go of the oldest parts at rest that a checkpoint has written, but for the last `keep`: duplicates of
        receipts mostly come at once, and find their part in memory. Returns how many went."""
        gone = 0
        while len(self._finished) > keep:
            part = self._finished.popleft()
            gone += 1
            del self.parts[part.part_id]
            self.by_state[part.state] -= 1
            self.ids.drop(part)
        return gone

    def restore(self, parts: Iterable[Part], state: bytes) -> None:
        """Rebuild from a checkpoint, before the journal behind it is replayed.

        `parts`: the open and owed ones; those that came to rest lately may be among them: late receipts find them then.
        """
        named: list[tuple[float, str, str, Part, int]] = []
        for part in sorted(parts, key=lambda part: (part.ended_at, part.accepted_at, part.part_id)):
            self.parts[part.part_id] = part
            self.by_state[part.state] += 1
            for index, attempt in enumerate(part.attempts):
                key = attempt.key or attempt.carrier_message_id
                if key:
                    named.append((attempt.responded_at, attempt.carrier, key, part, index))
            if part.at_rest:
                self._finished.append(part)
                continue
            self.held_by[part.esme] += 1
            if part.final:
                if _cut(part):  # an engine kept it that knew no better
                    self._changed[part.part_id] = part
                self._owe(part)
                continue
            self.queues.watch(part, part.expires_at)
            if part.state == State.DUE:
                self.queues.put_at(part, 0.0)
            elif part.state == State.IN_DOUBT:
                self.in_doubt[part.part_id] = part
        for _, carrier, key, part, index in sorted(named, key=lambda row: (row[0], row[3].part_id)):
            self.ids.give(carrier, key, part, index)
        if state:
            kept = _state_decoder.decode(state)
            self.counts = kept.counts
            self.last_part_id = kept.last_part_id
            self.orphans.restore(kept.orphans)
            self.multiparts.restore(kept.multiparts)


def _cut(part: Part) -> bool:
    """Let go of the text of a part whose state is final, but for what its receipt quotes. Whether there was any."""
    if part.kept is None or len(part.body) <= max(part.text_at, len(part.kept)):
        return False
    part.body = part.kept or part.body[: part.text_at]
    return True
