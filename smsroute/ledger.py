"""The ledger: the truth in memory. Every open part, where it queues, what names it, who is owed a receipt.

Rules:
- `apply(event)` is the only thing that changes it, live and in recovery alike: replaying the journal gives the ledger
  that was, to the part. (Queues, and an outbox's `ready` that `esmes/deliver` takes from, are views and hold no facts.)
- An event that another overtook (a response after the final receipt, an attempt after an expiry) changes no state: it
  becomes a fact of its part, or a count.
- Pure: no clock, no dice, no I/O. It knows parts and carriers by name and nothing of SMPP.

Walk: `store/journal` calls `apply` for each event once it is durable, and takes what changed for its checkpoints;
`carriers/dispatch` reads lanes, `esmes/deliver` outboxes, `carriers/receipts` asks whose a receipt is; `memory`
is what it holds, `receipting` what receipts do to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from smsroute.attempts import fold_throttled, lives_on
from smsroute.matching import nameless
from smsroute.memory import Noticed
from smsroute.message import (
    ACCEPTED,
    CAUSE_ATTEMPTED,
    CAUSE_TAKEN,
    DUE,
    OK,
    STATE_OF_RECEIPT,
    SUBMITTED,
    Accepted,
    Adopted,
    AnyEvent,
    Arrived,
    Attempt,
    Attempted,
    Cause,
    Closed,
    Doubted,
    Finished,
    Moved,
    Noted,
    OrphansAged,
    Part,
    Queried,
    Receipted,
    Replaced,
    Requeued,
    Responded,
    Started,
    Tell,
    Told,
    Withdrawn,
)
from smsroute.receipting import Receipting


class Ledger(Receipting):
    """See the module."""

    # -- the one way in -----------------------------------------------------------------------------------------------

    def apply(self, event: AnyEvent) -> None:
        """Make a durable fact true in memory."""
        _APPLY[type(event)](self, event)

    def _started(self, event: Started) -> None:
        pass

    def _accepted(self, event: Accepted) -> None:
        assert event.part_id not in self.parts, f"part {event.part_id} accepted twice"
        part = Part(
            event.part_id,
            event.esme,
            event.at,
            event.message_class,
            event.source_addr,
            event.destination_addr,
            event.body,
            event.text_at,
            event.wants_receipt,
            event.expires_at,
            event.multipart,
            event.route,
            event.carrier,
            event.at,
            session=event.session,
            data_coding=event.data_coding,
            kept=event.kept,
            notify=event.notify,
        )
        self.parts[event.part_id] = self._changed[event.part_id] = part
        self.by_state[DUE] += 1
        self.held_by[event.esme] += 1
        self.last_part_id = max(self.last_part_id, event.part_id)
        self.counts.accepted += 1
        if event.due_at:
            part.due_at = part.scheduled_at = event.due_at
            self._fact(part, event.at, f"held for {event.due_at - event.at:.0f} s, as its sender wished")
            self.queues.put_at(part, event.at)
        else:
            self.queues.put(part)
        self.queues.watch(part, event.expires_at)
        if event.multipart:
            pin = self.multiparts.enter(
                event.multipart, event.parts, event.at, event.part_id, event.number, event.as_one
            )
            part.tell = Tell.WAITING if pin.as_one else Tell.OWN
            part.message_id, part.parts, part.number, part.whole = pin.message_id, event.parts, event.number, pin.said
            self.families.join(part)

    def _attempted(self, event: Attempted) -> None:
        for part in self._parts(event.part_ids):
            if not self._move(part, CAUSE_ATTEMPTED):
                continue
            self.counts.attempted += 1
            attempt = Attempt(event.at, event.carrier, event.bind, event.route, event.reason, cost=event.cost)
            part.attempts.append(attempt)
            if event.merged:
                lead = event.part_ids[0]
                if part.part_id == lead:
                    attempt.led = tuple(event.part_ids[1:])
                else:
                    attempt.lead = lead
            part.carrier = event.carrier
            part.route = event.route
            if part.multipart:
                pin = self.multiparts.join(part.multipart, event.at)
                pin.carrier, pin.bind = event.carrier, event.bind
                pin.went += 1

    def _withdrawn(self, event: Withdrawn) -> None:
        for part in self._parts(event.part_ids):
            if self._move(part, Cause.WITHDRAWN):
                part.attempts[-1].withdrawn = True
                part.due_at = event.at
                part.why = event.reason
                self.counts.withdrawn += 1
                self.multiparts.leave(part.multipart)
                self.queues.put(part)
            else:
                self._never_left(part, event)

    def _never_left(self, part: Part, event: Withdrawn) -> None:
        """Overtaken on its way to the disk: the part has ended, or a carrier that was in doubt took it after all."""
        last = part.attempts[-1] if part.attempts else None
        if last is None or last.blame != -1 or last.doubted or last.withdrawn:
            return
        last.withdrawn = True
        self.counts.withdrawn += 1
        if not part.final:  # one that has ended may be gone from a replay's memory: its message stays where it is
            self.multiparts.leave(part.multipart)
        self._bad_news_stands(part, len(part.attempts) - 1, event.at, event.reason)

    def _responded(self, event: Responded) -> None:
        part = self._part(event.part_id)
        if part is None:
            return
        if event.attempt >= len(part.attempts):  # its Attempted was overtaken; a journal row must never stop a boot
            self.counts.overtaken += 1
            return
        attempt = part.attempts[event.attempt]
        if attempt.blame != -1:
            self.counts.overtaken += 1
            self._fact(part, event.at, f"attempt {event.attempt + 1} answered again, code {event.code}")
            return
        attempt.responded_at, attempt.blame, attempt.code = event.at, event.blame, event.code
        self.unnamed.drop(part, event.attempt)
        if event.blame == OK:
            self._taken(part, event)
            return
        if event.attempt + 1 != len(part.attempts):
            self.counts.overtaken += 1
            self._fact(part, event.at, f"attempt {event.attempt + 1} answered late, code {event.code}")
            return
        if event.retry_at > 0:
            if self._move(part, Cause.RETRY):
                part.due_at = event.retry_at
                part.carrier = event.carrier or part.carrier
                part.why = event.why
                fold_throttled(part)
                self.multiparts.leave(part.multipart)
                self.queues.put_at(part, event.at)
            else:
                self._bad_news_stands(part, event.attempt, event.at, event.why)
        elif self._move(part, Cause.REFUSED):
            self._end(part, event.at, event.why, _err(event.code))
        else:
            self._bad_news_stands(part, event.attempt, event.at, event.why)

    def _bad_news_stands(self, part: Part, index: int, at: float, why: str) -> None:
        """Attempt `index` has failed, and a receipt's bad news of another one waited for it: now it ends the part."""
        failed = [attempt for attempt in part.attempts if attempt.told]
        if failed and part.state == SUBMITTED and not lives_on(part, index):
            self._move(part, STATE_OF_RECEIPT[failed[-1].told])
            self._end(part, at, f"receipt from {failed[-1].carrier}, and {why}", "")

    def _taken(self, part: Part, event: Responded) -> None:
        attempt = part.attempts[event.attempt]
        if attempt.named_at:  # a receipt had brought its id; the response knows better
            self.ids.take_back(part, attempt)
            attempt.named_at = 0.0
        attempt.carrier_message_id, attempt.key = event.carrier_message_id, event.key
        attempt.told_by = event.at + event.within_s if event.within_s else 0.0
        awaits = (part.matters or event.awaits) and not event.silent
        self._move(part, CAUSE_TAKEN if awaits else Cause.TAKEN_SILENT)
        if part.state == ACCEPTED and not part.ended_at:
            why = "; no receipt was asked for" if not part.matters else ", which sends no receipts"
            self._end(part, event.at, f"taken by the carrier{why}", "")
        key = event.key or event.carrier_message_id
        if not key:
            if not attempt.lead:
                self.unnamed.add(part, event.attempt)
        else:
            self._named(part, event.attempt, key)
            void = self.ids.void and (attempt.carrier, key) in self.ids.void
            orphan = None if void else self.orphans.claim(attempt.carrier, key, part.destination_addr)
            if orphan is not None:
                self.counts.orphans_matched += 1
                self._receipt(part, event.attempt, orphan, event.at)
                self._claimed(part, orphan, event.at)
        if part.whole is not None:
            self._spoken_for(part, part.whole, event.at)
        if part.state == SUBMITTED and (attempt.told_by or len(part.attempts) > 1):
            self.queues.expect(part)

    def _doubted(self, event: Doubted) -> None:
        for part in self._parts(event.part_ids):
            if part.attempts and part.attempts[-1].blame == -1 and not part.attempts[-1].withdrawn:
                part.attempts[-1].doubted = part.attempts[-1].doubted or event.reason
                part.attempts[-1].doubted_at = part.attempts[-1].doubted_at or event.at
                if nameless(part.attempts[-1]):
                    self.unnamed.add(part, len(part.attempts) - 1)
            if self._move(part, Cause.DOUBTED):
                part.why = event.reason
                self.in_doubt[part.part_id] = part
                self.counts.doubted += 1

    def _requeued(self, event: Requeued) -> None:
        for part in self._parts(event.part_ids):
            if self._move(part, Cause.REQUEUED):
                part.attempts[-1].resent = True
                part.due_at = event.at
                part.carrier = event.carrier or part.carrier
                part.why = event.reason
                self._fact(part, event.at, f"attempt {len(part.attempts)} sent again, maybe twice: {event.reason}")
                self.counts.requeued += 1
                self.queues.put(part)

    def _moved(self, event: Moved) -> None:
        for part in self._parts(event.part_ids):
            if part.state != DUE:
                self.counts.overtaken += 1
                continue
            self.queues.take(part)
            self._fact(part, event.at, f"moved from {part.carrier} to {event.carrier}: {event.reason}")
            part.carrier, part.route = event.carrier, event.route
            self.counts.moved += 1
            if self.queues.waits(part):
                self.queues.put_at(part, event.at)
            else:  # its time has come once, whatever a clock set back says of `due_at` now
                self.queues.put(part)

    def _queried(self, event: Queried) -> None:
        part = self._part(event.part_id)
        if part is None:
            return
        self.counts.queried += 1
        if part.final or event.attempt >= len(part.attempts):
            self.counts.overtaken += 1  # its receipt came while we asked
            return
        attempt = part.attempts[event.attempt]
        attempt.queried_at = event.at
        what = f"attempt {event.attempt + 1} queried: {attempt.carrier} says {event.said}"
        if part.facts and part.facts[-1].endswith(" " + what):
            part.facts.pop()  # asked for days, and the same answer: the newest tells it
        self._fact(part, event.at, what)

    def _finished_by_us(self, event: Finished) -> None:
        for part in self._parts(event.part_ids):
            waited = part.state == SUBMITTED
            if self._move(part, event.cause):
                self._end(part, event.at, event.why, event.err)
                if waited and not part.attempts[-1].lead:  # else that one is counted
                    self.noticed.append(Noticed("unheard", part.carrier, part.destination_addr, part))

    def _told(self, event: Told) -> None:
        outbox = self.outboxes.get(event.esme)
        for part_id in event.part_ids:
            part = outbox.pop(part_id, event.dropped) if outbox is not None else None
            if part is None:
                if not self.pages.claim(event, part_id):
                    self.counts.overtaken += 1
            elif outbox is not None and part_id in outbox.paged:
                outbox.paged.discard(part_id)
                self.pages.told.append((part_id, event.at))
                self._told_of_row(part_id, event.at, event.esme, event.dropped)
            else:
                if self._frozen:
                    self._before(part_id)
                part.told_at = event.at
                if event.dropped:
                    self.counts.dropped += 1
                    self._fact(part, event.at, f"receipt not taken by {event.esme}: {event.dropped}")
                else:
                    self.counts.told += 1
                self._rest(part)
        if outbox is not None and outbox.tidy(self._outbox_max):
            self.woken_esmes.add(event.esme)

    def _closed(self, event: Closed) -> None:
        for message_id in event.message_ids:
            message = self.families.waiting(message_id)
            if not message or not all(part.final for part in message):
                self.counts.overtaken += 1
                continue
            self.multiparts.close(message[0].multipart, message_id)
            self._settle(message, event.at)


def _err(code: int) -> str:
    """The err of a refusal as the ESME's receipt has it; UNFIT is no carrier's."""
    return "" if code < 0 else f"{code:03d}" if code < 1000 else f"{code:x}"


_APPLY: Final[dict[type, Callable[[Ledger, Any], None]]] = {
    Started: Ledger._started,
    Accepted: Ledger._accepted,
    Attempted: Ledger._attempted,
    Withdrawn: Ledger._withdrawn,
    Responded: Ledger._responded,
    Doubted: Ledger._doubted,
    Requeued: Ledger._requeued,
    Moved: Ledger._moved,
    Receipted: Receipting._receipted,
    Finished: Ledger._finished_by_us,
    Told: Ledger._told,
    OrphansAged: Receipting._orphans_aged,
    Queried: Ledger._queried,
    Adopted: Receipting._adopted,
    Arrived: Ledger._arrived,
    Closed: Ledger._closed,
    Replaced: Ledger._replaced,
    Noted: Ledger._noted,
}
