"""A ledger as a patient clerk would keep it, to hold the real one against.

It shares nothing with `smsroute.ledger` but the event nouns and the names of states: its rules are written out as
sentences, one page a part, and lanes and outboxes are worked out from the pages each time they are asked for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from smsroute.message import (
    Accepted,
    Adopted,
    AnyEvent,
    Attempted,
    Blame,
    Cause,
    Doubted,
    Finished,
    Moved,
    OrphansAged,
    Queried,
    Receipted,
    Requeued,
    Responded,
    State,
    Told,
    Withdrawn,
)
from tests.ledger.naive_dates import Dates
from tests.ledger.naive_handsets import Handsets
from tests.ledger.naive_message import Messages
from tests.ledger.naive_page import Page, Try
from tests.ledger.naive_together import Together

UNANSWERED = (State.DUE, State.ATTEMPTED, State.IN_DOUBT)
RECEIPT_STATES = (State.DELIVERED, State.EXPIRED, State.DELETED, State.UNDELIVERABLE, State.REJECTED, State.UNKNOWN)
RECEIPT_STATES += (State.ACCEPTED,)


class Naive(Messages, Together, Dates, Handsets):
    """See the module."""

    def __init__(self, *, orphans_max: int, multiparts_max: int, multipart_ttl_s: float, id_repeats_max: int) -> None:
        self.pages: dict[str, Page] = {}
        self.names: dict[tuple[str, str], list[tuple[str, int]]] = {}  # who bears it, the newest last
        self.newest_names: dict[str, list[str]] = {}  # of a carrier, the same one in a row
        self.void: set[tuple[str, str]] = set()
        self._repeats_max = id_repeats_max
        self.loose: list[Receipted] = []
        self.pins: list[dict[str, Any]] = []  # the longest silent first
        self.tally: Counter[str] = Counter()
        self.newest = ""
        self._clock = 0
        self.unfinished = []
        self._ends = 0
        self._orphans_max, self._multiparts_max, self._ttl_s = orphans_max, multiparts_max, multipart_ttl_s

    # -- asked --------------------------------------------------------------------------------------------------------

    def lanes(self) -> dict[tuple[str, int], list[str]]:
        """Who waits for whom now, names sorted."""
        lanes: dict[tuple[str, int], list[str]] = {}
        for part_id, page in sorted(self.pages.items()):
            if page.state is State.DUE and not page.waiting:
                lanes.setdefault((page.carrier, page.said.message_class), []).append(part_id)
        return lanes

    def outbox(self, esme: str) -> list[str]:
        """What this ESME is owed, in the order in which it ended."""
        owed = [(page.ended, part_id) for part_id, page in self.pages.items() if page.owed and page.said.esme == esme]
        return [part_id for _, part_id in sorted(owed)]

    def means(self, event: Receipted) -> tuple[str, int] | None:
        """The attempt a receipt speaks of."""
        for position, key in enumerate(event.keys):
            hit, agrees = self._bearer(event.carrier, key, event.destination_addr)
            if hit and (agrees or not (position or event.strict)):
                return hit
        return None

    def _bearer(self, carrier: str, key: str, number: str) -> tuple[tuple[str, int] | None, bool]:
        bearers = self.names.get((carrier, key), [])
        to = [hit for hit in bearers if self.pages[hit[0]].said.destination_addr == number]
        agrees, among = bool(to), to or bearers
        if not among:
            return None, False
        if len(bearers) > 1 and (living := [hit for hit in among if not self.pages[hit[0]].over]):
            return (living[0], agrees) if len(living) == 1 else (None, False)
        return among[-1], agrees

    def unnamed(self) -> set[tuple[str, str, int]]:
        """Attempts that may be with a carrier, and whose id nobody ever heard."""
        return {
            (one.carrier, part_id, index)
            for part_id, page in self.pages.items()
            for index, one in enumerate(page.tries)
            if not (one.name or one.borne_by or one.withdrawn) and (one.taken or (one.doubted and not one.answered))
        }

    # -- told ---------------------------------------------------------------------------------------------------------

    def apply(self, event: AnyEvent) -> None:
        """Write it down."""
        self._clock += 1
        getattr(self, "_" + type(event).__name__.lower(), lambda _: None)(event)

    def _known(self, part_ids: list[str]) -> list[Page]:
        self.tally["overtaken"] += sum(part_id not in self.pages for part_id in part_ids)
        return [self.pages[part_id] for part_id in part_ids if part_id in self.pages]

    def _accepted(self, event: Accepted) -> None:
        page = Page(event, len(self.pages), carrier=event.carrier, route=event.route, due_at=event.at)
        self.pages[event.part_id] = page
        self._put_off(page, event)
        self.newest = max(self.newest, event.part_id)
        self.tally["accepted"] += 1
        if event.multipart:
            gone = [one for one in self.pins if one["key"] == event.multipart]
            if gone and event.parts and gone[0].get("came", 0) >= event.parts <= gone[0]["went"]:
                self.pins.remove(gone[0])  # all of it went: another message begins, which may take another way
            pin = self._spoke(event.multipart, event.at)
            pin["came"] = pin.get("came", 0) + 1
            here = pin.setdefault("here", [])
            if not here or event.number in here or len(here) >= event.parts:
                pin.update(first=event.part_id, here=[], last_word=None, one=event.as_one)
            pin["here"].append(event.number)
            page.message, page.heard_of, page.as_one = pin["first"], pin["last_word"], pin["one"]
            self._not_unfinished(page.message)

    def _attempted(self, event: Attempted) -> None:
        for page in self._known(event.part_ids):
            if page.state is not State.DUE:
                self.tally["overtaken"] += 1
                continue
            page.state = State.ATTEMPTED
            one = Try(event.carrier, event.bind, event.route, event.reason, event.at)
            page.tries.append(one)
            first, *others = event.part_ids
            if event.merged and page.said.part_id == first:
                one.bears = tuple(others)
            elif event.merged:
                one.borne_by = first
            page.carrier, page.route = event.carrier, event.route
            self.tally["attempted"] += 1
            if page.said.multipart:
                pin = self._spoke(page.said.multipart, event.at)
                pin.update(carrier=event.carrier, bind=event.bind, went=pin["went"] + 1)

    def _withdrawn(self, event: Withdrawn) -> None:
        for page in self._known(event.part_ids):
            if page.state is not State.ATTEMPTED:
                self.tally["overtaken"] += 1
                if page.tries and not (page.tries[-1].answered or page.tries[-1].doubted or page.tries[-1].withdrawn):
                    page.tries[-1].withdrawn = True
                    self.tally["withdrawn"] += 1
                    if not page.over:
                        self._went_not(page)
                    self._hopeless(page, len(page.tries) - 1, event.at, event.reason)
                continue
            page.state, page.due_at, page.why, page.waiting = State.DUE, event.at, event.reason, False
            page.tries[-1].withdrawn = True
            self.tally["withdrawn"] += 1
            self._went_not(page)

    def _responded(self, event: Responded) -> None:
        for page in self._known([event.part_id]):
            if event.attempt >= len(page.tries):
                self.tally["overtaken"] += 1
                continue
            one, last = page.tries[event.attempt], event.attempt == len(page.tries) - 1
            if one.answered:
                self.tally["overtaken"] += 1
                self._note(page, f"{event.at:.3f} attempt {event.attempt + 1} answered again, code {event.code}")
                continue
            one.answered = (event.at, event.blame, event.code)
            if event.blame == Blame.OK:
                self._took(page, event)
            elif not last:
                self.tally["overtaken"] += 1
                self._note(page, f"{event.at:.3f} attempt {event.attempt + 1} answered late, code {event.code}")
            elif event.retry_at:
                if page.state not in (State.ATTEMPTED, State.IN_DOUBT):
                    self.tally["overtaken"] += 1
                    self._hopeless(page, event.attempt, event.at, event.why)
                    continue
                page.state, page.due_at, page.why = State.DUE, event.retry_at, event.why
                page.carrier = event.carrier or page.carrier
                page.waiting = event.retry_at > event.at
                self._went_not(page)
                self._fold(page)
            elif page.state in UNANSWERED:
                page.state = State.REJECTED
                self._over(page, event.at, event.why, f"{event.code:03d}" if event.code >= 0 else "")
            else:
                self.tally["overtaken"] += 1
                self._hopeless(page, event.attempt, event.at, event.why)

    def _hopeless(self, page: Page, index: int, at: float, why: str) -> None:
        """All that could deliver a submitted part has failed, in whatever order."""
        bad = [one for one in page.tries if one.told]
        if page.state is State.SUBMITTED and bad and not self._hope(page, index):
            page.state = State(bad[-1].told)
            self._over(page, at, f"receipt from {bad[-1].carrier}, and {why}", "")

    def _hope(self, page: Page, index: int) -> bool:
        earlier, later = page.tries[: max(index, 0)], page.tries[index + 1 :]
        hope = any(one.hopeful and (not one.answered or one.taken) for one in later)
        return hope or any(one.hopeful and one.taken and (one.name or one.borne_by) for one in earlier)

    def _fold(self, page: Page) -> None:
        throttled = [one.answered is not None and one.answered[1] == Blame.THROTTLED for one in page.tries]
        row = page.tries[max((at + 1 for at, one in enumerate(throttled) if not one), default=0) :]
        same = [one for one in row[:-1] if one.carrier == row[-1].carrier]
        if same and not row[-1].doubted:
            same[-1].repeats += 1
            del page.tries[-1]

    def _took(self, page: Page, event: Responded) -> None:
        one = page.tries[event.attempt]
        name = (one.carrier, one.called)
        if one.name and name in self.names:
            self.names[name] = [hit for hit in self.names[name] if hit[0] != event.part_id]
            if not self.names[name]:
                del self.names[name]
        one.name, one.key, one.told_by = event.carrier_message_id, event.key, event.at + event.within_s
        one.told_by *= event.within_s > 0
        if page.state not in UNANSWERED:
            self.tally["overtaken"] += 1
        elif (page.said.wants_receipt or page.as_one or page.said.notify or event.awaits) and not event.silent:
            page.state = State.SUBMITTED
        else:
            page.state = State.ACCEPTED
            asked = page.said.wants_receipt or page.as_one or page.said.notify
            why = "taken by the carrier, which sends no receipts" if asked else ""
            self._over(page, event.at, why or "taken by the carrier; no receipt was asked for", "")
        if one.called:
            self._name(page, event.attempt)
            self._wake(page, event, one)
        self._sister_spoke(page, event.at)

    def _name(self, page: Page, index: int) -> None:
        one, part_id = page.tries[index], page.said.part_id
        row = self.newest_names.get(one.carrier, [])
        row = self.newest_names[one.carrier] = [*row, one.called] if one.called in row else [one.called]
        name = (one.carrier, one.called)
        if len(row) >= self._repeats_max:
            self.void.add(name)
            self.names.pop(name, None)
        if name in self.void:
            return
        bearers = self.names.setdefault(name, [])
        if bearers and bearers[-1][0] != part_id:
            self.tally["ids_reused"] += not self.pages[bearers[-1][0]].over
        elif bearers:
            bearers.pop()
        bearers.append((part_id, index))
        del bearers[:-9]

    def _wake(self, page: Page, event: Responded, one: Try) -> None:
        for orphan in self.loose:
            if orphan.strict and orphan.destination_addr != page.said.destination_addr:
                continue
            if (orphan.carrier, _parked_as(orphan)) == (one.carrier, one.called) not in self.void:
                self.loose.remove(orphan)
                self.tally["orphans_matched"] += 1
                self._speaks(page, event.attempt, orphan, event.at)
                break

    def _adopted(self, event: Adopted) -> None:
        found = [one for one in self.loose if (one.carrier, _parked_as(one)) == (event.carrier, event.name)]
        if not found:
            self.tally["overtaken"] += 1
            return
        self.loose.remove(found[0])
        self.tally["orphans_matched"] += 1
        self.tally["orphans_adopted"] += 1
        page = self.pages.get(event.part_id)
        if page is None or event.attempt >= len(page.tries):
            self.tally["receipts_late"] += 1
            return
        if event.how:
            self._note(page, f"{event.at:.3f} attempt {event.attempt + 1}: {event.how}")
        one = page.tries[event.attempt]
        if (one.carrier, event.part_id, event.attempt) in self.unnamed() and found[0].ids:
            one.name = found[0].ids[0][1]
            one.key = next((key for key in found[0].keys[:1] if key != one.name), "")
            self._name(page, event.attempt)
        self._speaks(page, event.attempt, found[0], event.at)

    def _doubted(self, event: Doubted) -> None:
        for page in self._known(event.part_ids):
            one = page.tries[-1] if page.tries else None
            if one and not one.answered and not one.withdrawn and not one.doubted:
                one.doubted = event.reason
            if page.state is not State.ATTEMPTED:
                self.tally["overtaken"] += 1
                continue
            page.state, page.why = State.IN_DOUBT, event.reason
            self.tally["doubted"] += 1

    def _requeued(self, event: Requeued) -> None:
        for page in self._known(event.part_ids):
            if page.state is not State.IN_DOUBT:
                self.tally["overtaken"] += 1
                continue
            page.state, page.due_at, page.why, page.waiting = State.DUE, event.at, event.reason, False
            page.carrier = event.carrier or page.carrier
            page.tries[-1].resent = True
            self._note(page, f"{event.at:.3f} attempt {len(page.tries)} sent again, maybe twice: {event.reason}")
            self.tally["requeued"] += 1

    def _moved(self, event: Moved) -> None:
        for page in self._known(event.part_ids):
            if page.state is not State.DUE:
                self.tally["overtaken"] += 1
                continue
            self._note(page, f"{event.at:.3f} moved from {page.carrier} to {event.carrier}: {event.reason}")
            page.carrier, page.route = event.carrier, event.route
            page.waiting = page.waiting and page.due_at > event.at
            self.tally["moved"] += 1

    def _receipted(self, event: Receipted) -> None:
        self.tally["receipts"] += 1
        if event.part_id:
            page = self.pages.get(event.part_id)
            if page is None:
                self.tally["receipts_late"] += 1
                return
            named = [i for i, one in enumerate(page.tries) if one.carrier == event.carrier and one.called in event.keys]
            self._speaks(page, named[0] if named else len(page.tries) - 1, event, event.at)
            return
        hit = self.means(event)
        if hit:
            self._speaks(self.pages[hit[0]], hit[1], event, event.at)
            return
        name = _parked_as(event)
        if (event.carrier, name) in self.void:
            self.tally["orphans_parked"] += 1
            self.tally["orphans_aged"] += 1
            return
        parked = [one for one in self.loose if name and (one.carrier, _parked_as(one)) == (event.carrier, name)]
        if parked and parked[0].state in RECEIPT_STATES:
            same, passing = event.state == parked[0].state, event.state not in RECEIPT_STATES
            self.tally["receipts_" + ("duplicate" if same else "intermediate" if passing else "conflicting")] += 1
            return
        self.tally["orphans_parked"] += 1
        self.loose = [one for one in self.loose if one not in parked] + ([event] if name else [])
        self.tally["orphans_aged"] += len(parked) + (not name)
        if len(self.loose) > self._orphans_max:
            self.loose.pop(0)
            self.tally["orphans_aged"] += 1

    def _word(self, page: Page, index: int, event: Receipted, at: float) -> None:
        words = f"{event.at:.3f} {event.carrier} says {event.word}"
        hope = self._hope(page, index)
        if event.state not in RECEIPT_STATES:
            self.tally["receipts_intermediate"] += 1
            if not page.over:
                self._note(page, words)
                self._passing(page, event)
        elif page.state == event.state and any(one.told for one in page.tries) and not page.tries[index].told:
            page.tries[index].told = event.state
            self.tally["receipts_superseded"] += 1
            self.tally["delivered_twice"] += event.state == State.DELIVERED
            self._note(page, f"{words} {event.err} of attempt {index + 1} too")
        elif page.state == event.state:
            self.tally["receipts_duplicate"] += 1
        elif page.state is State.ACCEPTED:
            self.tally["receipts_matched"] += 1
            self._note(page, f"{words} {event.err}")
        elif page.over:
            self.tally["receipts_conflicting"] += 1
            self._note(page, f"{words} {event.err} after the end")
        elif hope and event.state != State.DELIVERED and page.tries[index].told:
            self.tally["receipts_duplicate"] += 1
        elif hope and event.state != State.DELIVERED:
            page.tries[index].told = event.state
            self.tally["receipts_superseded"] += 1
            self._note(page, f"{words} {event.err} of attempt {index + 1}")
        else:
            self.tally["receipts_matched"] += 1
            for one in page.tries[index:][:1]:
                one.told = event.state
            page.state = State(event.state)
            self._over(page, at, f"receipt from {event.carrier}: {event.word}", event.err)

    def _finished(self, event: Finished) -> None:
        ends = {
            Cause.EXPIRED: (State.EXPIRED, (State.DUE,)),
            Cause.GIVEN_UP: (State.UNKNOWN, (State.IN_DOUBT, State.SUBMITTED)),
            Cause.REFUSED: (State.REJECTED, UNANSWERED),
            Cause.CANCELLED: (State.DELETED, (State.DUE,)),
        }
        end, sources = ends[Cause(event.cause)]
        for page in self._known(event.part_ids):
            if page.state in sources:
                page.state = end
                self._over(page, event.at, event.why, event.err)
            else:
                self.tally["overtaken"] += 1

    def _told(self, event: Told) -> None:
        for part_id in event.part_ids:
            page = self.pages.get(part_id)
            if page is None or not page.owed or page.said.esme != event.esme:
                self.tally["overtaken"] += 1
                continue
            page.told_at = event.at
            page.rested = self._clock
            self.tally["dropped" if event.dropped else "told"] += 1
            if event.dropped:
                self._note(page, f"{event.at:.3f} receipt not taken by {event.esme}: {event.dropped}")

    def _queried(self, event: Queried) -> None:
        for page in self._known([event.part_id]):
            self.tally["queried"] += 1
            if page.over or event.attempt >= len(page.tries):
                self.tally["overtaken"] += 1
                continue
            one = page.tries[event.attempt]
            one.queried_at = event.at
            words = f"attempt {event.attempt + 1} queried: {one.carrier} says {event.said}"
            if page.facts and page.facts[-1].split(" ", 1)[1] == words:
                page.facts = page.facts[:-1]
            self._note(page, f"{event.at:.3f} {words}")

    def _orphansaged(self, event: OrphansAged) -> None:
        while self.loose and self.loose[0].at < event.before:
            self.loose.pop(0)
            self.tally["orphans_aged"] += 1

    # -- habits -------------------------------------------------------------------------------------------------------

    def _over(self, page: Page, at: float, why: str, err: str) -> None:
        self._ends += 1
        page.ended, page.ended_at, page.why, page.err = self._ends, at, why, err
        good = {State.DELIVERED: "delivered", State.EXPIRED: "expired", State.ACCEPTED: "handed_over"}
        self.tally[good.get(page.state, "failed")] += 1
        page.rested = 0 if page.owed or page.as_one else self._clock
        if page.as_one:
            self._one_over(page, at)

    def _spoke(self, key: str, at: float) -> dict[str, Any]:
        mine = [pin for pin in self.pins if pin["key"] == key] or [{"key": key, "carrier": "", "bind": "", "went": 0}]
        mine[0]["at"] = at
        self.pins = [pin for pin in self.pins if pin["key"] != key] + mine
        while len(self.pins) > self._multiparts_max or self.pins[0]["at"] < at - self._ttl_s:
            self.pins.pop(0)
        return mine[0]

    def _went_not(self, page: Page) -> None:
        for pin in self.pins:
            if pin["key"] == page.said.multipart and pin["went"]:
                pin["went"] -= 1
                if not pin["went"]:
                    pin.update(carrier="", bind="")

    def forget(self, part_ids: set[str]) -> None:
        """These leave memory."""
        self.pages = {part_id: page for part_id, page in self.pages.items() if part_id not in part_ids}
        left = {name: [hit for hit in hits if hit[0] not in part_ids] for name, hits in self.names.items()}
        self.names = {name: hits for name, hits in left.items() if hits}


def _parked_as(event: Receipted) -> str:
    return next(iter([*event.keys, *("\0? " + written for _, written in event.ids)]), "")
