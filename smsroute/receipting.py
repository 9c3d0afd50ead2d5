"""What receipts do to parts: whose they are, what they end, what they leave as facts, and where they wait.

Rules:
- The first last word ends a part, a later one is a fact (law 5). Bad news of one attempt waits while another may still
  deliver. A word on the way ends nothing.
- One that matches nothing is parked until a response names it, or it is adopted, or grows old.
- One that speaks for a whole message ends those parts of it that its carrier is known to have.
- Pure, and the same live and in recovery.

Walk: the step between `memory` and `ledger`, which applies the events Receipted, Adopted and OrphansAged here.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from smsroute.attempts import attempt_meant, lives_on
from smsroute.between import Between
from smsroute.matching import nameless
from smsroute.memory import Noticed
from smsroute.message import ACCEPTED, DELIVERED, OK, STATE_OF_RECEIPT, SUBMITTED, Adopted, OrphansAged, Part, Receipted
from smsroute.shelves import Counts

LATE_MAX: Final = 10_000
"""Facts of parts that left memory, kept between two checkpoints; more are only counted."""


class Receipting(Between):
    """See the module."""

    def _receipted(self, event: Receipted) -> None:
        self.counts.receipts += 1
        if event.part_id:
            part = self.parts.get(event.part_id)
            if part is not None:
                self._receipt(part, attempt_meant(part, event), event, event.at)
                return
            self._receipted_late(event.part_id, event)
            return
        hit = self.ids.meant(event)
        if hit is not None:
            self._receipt(*hit, event, event.at)
        elif self.ids.void and event.keys and (event.carrier, event.keys[0]) in self.ids.void:
            self.orphans.let_go(self.counts)
        else:
            parked = self.counts.orphans_parked
            self.orphans.park(event, self.counts)
            if event.state in STATE_OF_RECEIPT and self.counts.orphans_parked > parked:
                self.noticed.append(Noticed("parked", event.carrier, event.destination_addr))

    def _adopted(self, event: Adopted) -> None:
        orphan = self.orphans.take(event.carrier, event.name)
        if orphan is None:
            self.counts.overtaken += 1
            return
        self.counts.orphans_matched += 1
        self.counts.orphans_adopted += 1
        part = self.parts.get(event.part_id)
        if part is None or event.attempt >= len(part.attempts):
            self._receipted_late(event.part_id, orphan)
            return
        if self._frozen:
            self._before(part.part_id)
        attempt = part.attempts[event.attempt]
        if event.how:
            self._fact(part, event.at, f"attempt {event.attempt + 1}: {event.how}")
            self.noticed.append(Noticed("adopted", event.carrier, part.destination_addr))
        if nameless(attempt) and orphan.ids:  # so that the carrier's next word of it is known, too
            attempt.carrier_message_id, attempt.named_at = orphan.ids[0][1], event.at
            attempt.key = orphan.keys[0] if orphan.keys and orphan.keys[0] != orphan.ids[0][1] else ""
            self._named(part, event.attempt, attempt.key or orphan.ids[0][1])
            self.unnamed.drop(part, event.attempt)
        self._receipt(part, event.attempt, orphan, event.at)
        self._claimed(part, orphan, event.at)

    def _named(self, part: Part, index: int, key: str) -> None:
        """Its carrier calls this attempt `key`."""
        carrier = part.attempts[index].carrier
        void = len(self.ids.void)
        reused = self.ids.give(carrier, key, part, index)
        if len(self.ids.void) > void:
            self.noticed.append(Noticed("constant-id", carrier, part.destination_addr, part))
        if reused:
            self.counts.ids_reused += 1
            self.noticed.append(Noticed("reused-id", carrier, part.destination_addr))

    def _claimed(self, part: Part, orphan: Receipted, at: float) -> None:
        """A receipt that was parked has found its part, and may have ended it."""
        if orphan.state in STATE_OF_RECEIPT:
            ended = part.ended_at == at and part.state in (orphan.state, ACCEPTED)
            told = orphan.state if ended else 0
            self.noticed.append(Noticed("claimed", orphan.carrier, part.destination_addr, part, told))

    def _receipted_late(self, part_id: str, event: Receipted) -> None:
        """Its part has left memory: a fact for the store."""
        self.counts.receipts_late += 1
        if len(self._late) < LATE_MAX:
            self._late.append((part_id, _after_the_end(event)))

    def _receipt(self, part: Part, index: int, event: Receipted, at: float) -> None:
        """See `_judged`; what speaks for a whole message, and ends its own part, ends the sisters too; what speaks of a
        submit speaks of all parts it bore. (A part that had ended before may be gone from a replay's memory: what it
        would say of its sisters there nobody could tell.)"""
        ended_before = part.final
        self._judged(part, index, event, at, self.counts)
        if ended_before:
            return
        if part.attempts and part.attempts[index].led:
            for sister, own in self.families.led(part, index):
                if not sister.final:
                    self._judged(sister, own, event, at, Counts())  # one receipt is counted once
                    self.counts.receipts_of_sisters += sister.final
        elif event.whole and part.message_id and part.final:
            self._for_all(part, event, at)

    def _judged(self, part: Part, index: int, event: Receipted, at: float, counts: Counts) -> None:
        """`index`: the attempt it speaks of. `at`: now; an orphan came earlier, and what it ends ends now."""
        if self._frozen:
            self._before(part.part_id)
        self._changed[part.part_id] = part
        cause = STATE_OF_RECEIPT.get(event.state)
        if cause is None:
            self._on_the_way(part, event, counts)
        elif part.state == event.state:
            self._again(part, index, event, counts)
        elif part.state == ACCEPTED:  # nobody asked, the carrier tells all the same
            counts.receipts_matched += 1
            self._fact(part, event.at, f"{event.carrier} says {event.word} {event.err}")
        elif part.final:
            counts.receipts_conflicting += 1
            self._add(part, _after_the_end(event))
            self.noticed.append(Noticed("final-after-final", event.carrier, part.destination_addr))
        elif event.state != DELIVERED and lives_on(part, index):
            if part.attempts[index].told:
                counts.receipts_duplicate += 1
                return
            part.attempts[index].told = event.state
            counts.receipts_superseded += 1
            self._fact(part, event.at, f"{event.carrier} says {event.word} {event.err} of attempt {index + 1}")
        elif self._move(part, cause):
            counts.receipts_matched += 1
            if part.attempts:
                part.attempts[index].told = event.state
            self._end(part, at, f"receipt from {event.carrier}: {event.word}", event.err)

    def _for_all(self, part: Part, event: Receipted, at: float) -> None:
        """The receipt that ended `part` speaks for all of its message that the same carrier took, now or later."""
        if event.text:  # one that was parked quotes it, and the sisters keep the event
            event = structs.replace(event, text="")
        pin = self.multiparts.get(part.multipart)
        if pin is not None and pin.message_id == part.message_id:
            self.multiparts.hear(part.multipart, pin, event)
        for sister in self.families.sisters(part):
            if not sister.final and sister.whole is None:
                if self._frozen:
                    self._before(sister.part_id)
                self._changed[sister.part_id] = sister
                sister.whole = event
                self._spoken_for(sister, event, at)

    def _spoken_for(self, part: Part, event: Receipted, at: float) -> None:
        """Its sister's receipt ends it, if the same carrier has it for certain; else it goes its own way."""
        if part.state != SUBMITTED:
            return
        last = part.attempts[-1]
        if last.carrier == event.carrier and last.blame == OK:
            self._move(part, STATE_OF_RECEIPT[event.state])
            last.told = event.state
            self.counts.receipts_of_sisters += 1
            self._end(part, at, f"receipt from {event.carrier} for the whole message: {event.word}", event.err)

    def _again(self, part: Part, index: int, event: Receipted, counts: Counts) -> None:
        """A receipt says what the part is: the same one again, or that of another attempt, which tells a person why a
        handset got it twice."""
        told = any(attempt.told for attempt in part.attempts)
        if not told or part.attempts[index].told:
            counts.receipts_duplicate += 1
            return
        part.attempts[index].told = event.state
        counts.receipts_superseded += 1
        counts.delivered_twice += event.state == DELIVERED
        self._fact(part, event.at, f"{event.carrier} says {event.word} {event.err} of attempt {index + 1} too")

    def _orphans_aged(self, event: OrphansAged) -> None:
        self.orphans.age(event.before, self.counts)


def _after_the_end(event: Receipted) -> str:
    return f"{event.at:.3f} {event.carrier} says {event.word} {event.err} after the end"
