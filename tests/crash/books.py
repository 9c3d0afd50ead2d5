"""The reckoning after the kills: three books that never saw each other are laid side by side.

The platform's: what it was promised and told. The carriers': which handset got what, how often. The store's: every
part with its attempts, read from the files of an engine that is down.

Rules:
- A message is known by destination_addr and class, which are different for each; nothing is matched by our own ids
  alone.
- Each check says what it found, message by message, not only that numbers differ.

Walk: `read_store` after a stop; `Reckoning.faults` lists every broken promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from smsroute.ledger import Ledger
from smsroute.message import MessageClass, Part, State
from smsroute.sim.book import Promise
from smsroute.sim.carrier import SimCarrier
from smsroute.store.sqlite import open_reader

PAGE = 5000
TAKEN = 0  # Blame.OK
CLASSES = (MessageClass.INFO, MessageClass.OTP)
"""Class of message n: CLASSES[n % 2]; two neighbours share a handset (sim.workload)."""

WORDS = {
    State.DELIVERED: "DELIVRD",
    State.UNDELIVERABLE: "UNDELIV",
    State.UNKNOWN: "UNKNOWN",
    State.EXPIRED: "EXPIRED",
    State.REJECTED: "REJECTD",
}
Key = tuple[str, int]


@attrs.frozen
class Stored:
    """What the store says once its engine is down."""

    parts: list[Part]
    orphans: Counter[str]  # parked receipts, by carrier
    replayed: int  # journal rows behind the last checkpoint

    @property
    def by_state(self) -> Counter[str]:
        return Counter(State(part.state).name for part in self.parts)


def read_store(folder: Path) -> Stored:
    """Every part, finished or open."""
    reader = open_reader(f"sqlite:{folder}")
    try:
        ledger = Ledger(orphans_max=1_000_000, multiparts_max=1)
        recovered = reader.recover()
        assert recovered.checkpoint is not None, "an orderly stop leaves a checkpoint"
        ledger.restore(recovered.parts(), recovered.checkpoint.state, recovered.owed)
        replayed = 0
        for _, events in recovered.events():
            replayed += 1
            for event in events:
                ledger.apply(event)
        ledger.settle(reader.owed_among(list(ledger.pages.claims)))
        parts = dict(ledger.parts)
        last = (0.0, "")
        while page := reader.finished_since(*last, PAGE):
            for part in page:
                parts.setdefault(part.part_id, part)
            last = (page[-1].ended_at, page[-1].part_id)
        return Stored(list(parts.values()), Counter(orphan.carrier for orphan in ledger.orphans.values()), replayed)
    finally:
        reader.close()


@attrs.frozen
class Reckoning:
    """See the module."""

    promises: list[Promise]
    carriers: Mapping[str, SimCarrier]
    stored: Stored

    def faults(self) -> list[str]:
        """Everything that is not accounted for; empty when the laws held."""
        return [*self._accepted(), *self._handsets(), *self._told(), *self._orphans()]

    @property
    def delivered(self) -> Counter[Key]:
        """Handset deliveries by (destination_addr, class)."""
        found: Counter[Key] = Counter()
        for carrier in self.carriers.values():
            for (destination_addr, text), times in carrier.handsets.got.items():
                found[destination_addr, CLASSES[int(text[-8:]) % 2]] += times
        return found

    def _accepted(self) -> Iterator[str]:
        """Law 1: each ESME_ROK names a part of that very message, final, or in doubt with its attempt."""
        parts = {part.part_id: part for part in self.stored.parts}
        if len(parts) != len(self.stored.parts):
            yield "the store holds one id twice"
        for promise in self.promises:
            if promise.command_status != 0:
                continue
            if len(promise.message_ids) != 1:
                yield f"message {promise.number} was promised {len(promise.message_ids)} ids"
            for part_id in promise.message_ids:
                part = parts.get(part_id)
                if part is None:
                    yield f"{part_id} (message {promise.number}) got ESME_ROK and is gone"
                elif (part.destination_addr, part.message_class) != _key(promise):
                    yield f"{part_id} (message {promise.number}) is another message in the store"
                elif not part.final and not _held_in_doubt(part):
                    yield f"{part_id} (message {promise.number}) is {State(part.state).name}, at rest it cannot be"

    def _handsets(self) -> Iterator[str]:
        """Laws 2 and 6: no handset got what the store does not know as attempted, nor more often than it may."""
        delivered = self.delivered
        known: set[Key] = set()
        for part in self.stored.parts:
            key = (part.destination_addr, part.message_class)
            if key in known:
                yield f"{part.part_id}: one message is two parts"
            known.add(key)
            got = delivered[key]
            offered = [attempt for attempt in part.attempts if not attempt.withdrawn]
            resent = sum(attempt.resent and bool(attempt.doubted) for attempt in offered)
            if part.message_class == MessageClass.INFO and resent:
                yield f"{part.part_id}: resent, and its route says hold"
            if got > 1 + resent:
                yield f"{part.part_id}: {got} deliveries, {resent} attempts were resent"
            if got > len(offered):
                yield f"{part.part_id}: {got} deliveries, {len(offered)} attempts are written down"
            if part.state == State.DELIVERED and not got:
                yield f"{part.part_id}: DELIVERED, and no handset has it"
        for key in delivered.keys() - known:
            yield f"{key}: a handset has it, the store never heard of it"

    def _told(self) -> Iterator[str]:
        """Law 4: whoever was promised a receipt got it, saying what the store says, once a kill at most."""
        states = {part.part_id: State(part.state) for part in self.stored.parts}
        for promise in self.promises:
            if promise.command_status != 0 or promise.message_ids[0] not in states:
                continue
            state = states[promise.message_ids[0]]
            words = set(promise.receipts)
            if state in WORDS and words != {WORDS[state]}:
                yield f"{promise.message_ids[0]}: {state.name}, its platform was told {sorted(words) or 'nothing'}"
            elif state not in WORDS and words:
                yield f"{promise.message_ids[0]}: {state.name}, its platform was told {sorted(words)}"

    def _orphans(self) -> Iterator[str]:
        """What a carrier took is an answered attempt, or its receipt is parked: the answer died with the engine."""
        answered = Counter(
            attempt.carrier for part in self.stored.parts for attempt in part.attempts if attempt.blame == TAKEN
        )
        for name, carrier in self.carriers.items():
            taken, parked = carrier.counts["taken"], self.stored.orphans[name]
            if taken != answered[name] + parked:
                yield f"{name} took {taken}, the store knows {answered[name]} answers and {parked} parked receipts"

    def summary(self) -> str:
        """One line for people."""
        promised = [promise for promise in self.promises if promise.command_status == 0]
        doubles = sum(max(0, len(promise.receipts) - 1) for promise in self.promises)
        twice = sum(times - 1 for times in self.delivered.values())
        return (
            f"{len(self.promises)} submitted, {len(promised)} ESME_ROK, {len(self.stored.parts)} in the store "
            f"{dict(self.stored.by_state)}, {doubles} receipts again, {twice} handset deliveries again (resent otp), "
            f"{sum(self.stored.orphans.values())} receipts parked"
        )


def _key(promise: Promise) -> Key:
    return promise.destination_addr, CLASSES[promise.number % 2]


def _held_in_doubt(part: Part) -> bool:
    last = part.attempts[-1] if part.attempts else None
    return part.state == State.IN_DOUBT and last is not None and bool(last.doubted) and last.blame == -1


def first(faults: Iterable[str], most: int = 20) -> str:
    """The first faults, one a line."""
    listed = list(faults)
    return "\n".join([*listed[:most], *([f"... and {len(listed) - most} more"] if len(listed) > most else [])])
