"""What the ledger keeps beside its parts: counts, ids, receipts that match nothing yet.

Rules:
- Only the ledger changes these, and only while it applies an event.
- Each is bounded: the oldest orphan goes first.
- Of an orphan's receipts the first final word stands, as it would have on the part (law 5).

Walk: owned by `ledger`; its checkpoint keeps all of it; `ops` and `smsroute health` read sizes and counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, ValuesView

import msgspec

from smsroute.message import STATE_OF_RECEIPT, Part, Receipted


class Counts(msgspec.Struct):
    """What has happened since this node's first day; kept by the checkpoint."""

    accepted: int = 0
    attempted: int = 0
    withdrawn: int = 0
    doubted: int = 0
    requeued: int = 0
    moved: int = 0
    overtaken: int = 0  # events that came too late to change a state
    delivered: int = 0
    expired: int = 0
    failed: int = 0  # undeliverable, rejected, deleted, unknown
    handed_over: int = 0  # accepted by a carrier, no receipt asked
    told: int = 0
    dropped: int = 0  # receipts an ESME never took, dead-lettered
    receipts: int = 0
    receipts_matched: int = 0
    receipts_intermediate: int = 0
    receipts_duplicate: int = 0
    receipts_conflicting: int = 0
    receipts_late: int = 0  # for a part that had left memory
    receipts_of_sisters: int = 0  # parts that the receipt of another part of their message ended
    receipts_superseded: int = 0  # bad news of an attempt while a later one may still deliver
    orphans_parked: int = 0  # = matched + aged + those parked now
    orphans_matched: int = 0
    orphans_aged: int = 0
    delivered_twice: int = 0  # receipts that say so of a second attempt, too
    queried: int = 0  # carriers asked what became of a part, and answered or failed to


class Ids:
    """Which attempt a carrier's receipts mean: by carrier and id, as its receipts write it."""

    def __init__(self) -> None:
        self._named: dict[str, dict[str, tuple[Part, int]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._named.values()))

    def give(self, carrier: str, key: str, part: Part, index: int) -> None:
        """`carrier` calls this attempt `key`. One that uses an id twice means the later part."""
        named = self._named.get(carrier)
        if named is None:
            named = self._named[carrier] = {}
        named[key] = (part, index)

    def find(self, event: Receipted) -> tuple[Part, int] | None:
        """The attempt a receipt means. Its first key is the id as the carrier wrote it; under a key that was converted
        the part must also be for the handset it speaks of."""
        named = self._named.get(event.carrier)
        if named is None:
            return None
        for position, key in enumerate(event.keys):
            hit = named.get(key)
            if hit is not None and (position == 0 or _same_number(event.destination_addr, hit[0].destination_addr)):
                return hit
        return None

    def drop(self, part: Part) -> None:
        """This part leaves memory."""
        for attempt in part.attempts:
            named = self._named.get(attempt.carrier)
            key = attempt.key or attempt.carrier_message_id
            if named is not None and key in named and named[key][0] is part:
                del named[key]


class Orphans:
    """Receipts that match nothing yet, by carrier and id, oldest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[tuple[str, str], Receipted] = OrderedDict()
        self.changed: dict[tuple[str, str], Receipted | None] = {}  # since a checkpoint, in order; None: let go

    def __len__(self) -> int:
        return len(self._held)

    def values(self) -> ValuesView[Receipted]:
        """Those parked now, oldest first."""
        return self._held.values()

    def park(self, event: Receipted, counts: Counts) -> None:
        """Keep it until its response comes. One that names nothing can never be matched and ages at once."""
        key = (event.carrier, event.keys[0]) if event.keys else None
        held = self._held.get(key) if key is not None else None
        if held is not None and held.state in STATE_OF_RECEIPT:
            if event.state == held.state:
                counts.receipts_duplicate += 1
            elif event.state not in STATE_OF_RECEIPT:
                counts.receipts_intermediate += 1
            else:
                counts.receipts_conflicting += 1
            return
        counts.orphans_parked += 1
        if held is not None:
            counts.orphans_aged += 1  # a word on the way, and here is a later one
            del self._held[key]  # type: ignore[arg-type]
        if key is None:
            counts.orphans_aged += 1
            return
        self._held[key] = event
        self.changed.pop(key, None)
        self.changed[key] = event
        while len(self._held) > self._most:
            self.changed[self._held.popitem(last=False)[0]] = None
            counts.orphans_aged += 1

    def match(self, carrier: str, key: str) -> Receipted | None:
        """Take out the receipt that waits for this id."""
        orphan = self._held.pop((carrier, key), None) if self._held else None
        if orphan is not None:
            self.changed[carrier, key] = None
        return orphan

    def age(self, before: float, counts: Counts) -> None:
        """Let go of those that came before `before` (Unix seconds)."""
        while self._held:
            key, orphan = next(iter(self._held.items()))
            if orphan.at >= before:
                return
            del self._held[key]
            self.changed[key] = None
            counts.orphans_aged += 1

    def restore(self, kept: Iterable[Receipted]) -> None:
        """From the checkpoint."""
        self._held = OrderedDict(((orphan.carrier, orphan.keys[0]), orphan) for orphan in kept)
        self.changed = dict(self._held)


def _same_number(one: str, other: str) -> bool:
    return bool(one) and one.lstrip("+").removeprefix("00") == other.lstrip("+").removeprefix("00")
