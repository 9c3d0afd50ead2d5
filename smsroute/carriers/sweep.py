"""The timekeeper of messages: retries due, validity that ends, doubt that has lasted, receipts and orphans grown old.

Rules:
- A wall clock that is set back holds no retry: what waits is moved with it, and at the start nothing waits longer than
  the longest wait there is.
- Wakes once a `sweep_interval_s`, or earlier for a retry; each round looks at a bounded number of parts.
- Over-age is told, never silent: a part still due ends EXPIRED; one a carrier took and nobody ever told about ends
  UNKNOWN, `receipt_grace_s` after its validity, or `receipt_within` after its response where the carrier's dialect says
  so, once a carrier that can be asked was asked (`carriers/query`).
- A message to be told of as one (`receipts: message`) whose parts never all came is told of as it is, `parts_missing_s`
  after those that came had ended.
- In doubt is held unless the route says otherwise for its class: `resend` puts it back in the queue, once and elsewhere
  if it can, which may make a duplicate and is marked so (law 6); `fail` ends it UNKNOWN.

Walk: one task of `engine`; events go to `store/journal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from smsroute.carriers.adopt import Adoption
from smsroute.carriers.answers import schedule_s
from smsroute.carriers.query import Queries
from smsroute.carriers.slices import Slices
from smsroute.config import Config, InDoubt, Route
from smsroute.ledger import Ledger
from smsroute.message import AnyEvent, Cause, Closed, Finished, MessageClass, OrphansAged, Part, Requeued, State, Told
from smsroute.ports import Ports
from smsroute.store.journal import Journal

HOLD: Final = InDoubt("hold")
UNTOLD: Final = "no receipt came within validity and grace"
LATE: Final = "no receipt came within the carrier's receipt_within"
ASKED: Final = "{}, and the carrier, asked, told no end"


class Sweep:
    """See the module.

    `released` is called after retries came due; `elsewhere` names another carrier for a part than those it is given.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        journal: Journal,
        ports: Ports,
        queries: Queries,
        adoption: Adoption,
        *,
        released: Callable[[], None],
        elsewhere: Callable[[Part, set[str]], str | None],
    ) -> None:
        self._limits = config.limits
        self._ledger = ledger
        self._journal = journal
        self._ports = ports
        self._released = released
        self._elsewhere = elsewhere
        self._queries = queries
        self._adoption = adoption
        self._round_at = 0.0  # monotonic: doubt is looked at once an interval, however often retries wake us
        self._doubted = Slices(self._in_doubt)
        self._lag_s = ports.clock.monotonic() - ports.clock.wall()  # grows when the wall clock is set back
        self.adopt(config.routes)

    def adopt(self, routes: Iterable[Route]) -> None:
        """What these routes say of doubt holds from now on."""
        self._policies = {route.name: route.in_doubt for route in routes}

    async def run(self) -> None:
        """Until cancelled."""
        clock = self._ports.clock
        self._restored(clock.wall())
        while True:
            now = clock.wall()
            self._heed_clock(now)
            next_due_at = self._ledger.queues.release(now)
            self._released()
            events = self._events(now)
            if events:
                await self._journal.commit(events)
            pause_s = min(max(next_due_at - clock.wall(), 0.0), self._limits.sweep_interval_s)
            await clock.sleep_until(clock.monotonic() + max(pause_s, self._limits.sweep_interval_min_s))

    def _restored(self, now: float) -> None:
        """The clock may have been set back while nobody ran: no retry waits for the day it catches up."""
        limits = self._limits
        longest_s = max(max(schedule_s(limits, message_class)) for message_class in MessageClass)
        excess_s = self._ledger.queues.latest() - now - longest_s
        if excess_s > limits.clock_step_s:
            self._ledger.queues.set_back(excess_s)

    def _heed_clock(self, now: float) -> None:
        lag_s = self._ports.clock.monotonic() - now
        if lag_s - self._lag_s > self._limits.clock_step_s:
            self._ledger.queues.set_back(lag_s - self._lag_s)
        self._lag_s = lag_s

    def _events(self, now: float) -> list[AnyEvent]:
        limits = self._limits
        events: list[AnyEvent] = []
        expired, untold = self._ledger.queues.overdue(now, limits.receipt_grace_s, limits.sweep_parts_max)
        if expired:
            events.append(
                Finished(now, _ids(expired), Cause.EXPIRED, "", "its validity ended before a carrier took it")
            )
        given_up: dict[str, list[str]] = {}
        for part in untold:
            if not self._queries.may_tell(part, now):
                given_up.setdefault(_why(part), []).append(part.part_id)
        events.extend(Finished(now, part_ids, Cause.GIVEN_UP, "", why) for why, part_ids in given_up.items())
        monotonic = self._ports.clock.monotonic()
        if monotonic >= self._round_at:
            self._round_at = monotonic + limits.sweep_interval_s
            events.extend(self._doubts(now))
            self._queries.look(now)
            adopted = self._adoption.round(now)
            if adopted:
                self._journal.append(adopted, must=True)  # before all that is said of these parts from now on
        events.extend(self._unfetched(now))
        closed = list(islice(self._incomplete(now - limits.parts_missing_s), limits.sweep_parts_max))
        if closed:
            events.append(Closed(now, closed))
        orphan_before = now - limits.orphan_ttl_s
        oldest = next(iter(self._ledger.orphans.values()), None)
        if oldest is not None and oldest.at < orphan_before:
            events.append(OrphansAged(now, orphan_before))
        return events

    def _unfetched(self, now: float) -> list[AnyEvent]:
        """Receipts whose ESME has not come for them in `outbox_ttl_s`: else two that never do fill the memory of
        all."""
        limits = self._limits
        events: list[AnyEvent] = []
        for esme, outbox in self._ledger.outboxes.items():
            old: list[str] = []
            for part in islice(outbox.owed.values(), limits.sweep_parts_max):  # in the order they fell due
                if part.owed_at > now - limits.outbox_ttl_s:
                    break
                old.append(part.part_id)
            over = min(len(outbox) - limits.outbox_receipts_max, limits.sweep_parts_max) - len(old)
            if over > 0:
                most = islice(outbox.owed, len(old), len(old) + over)
                why = f"more than {limits.outbox_receipts_max} wait for {esme}"
                events.append(Told(now, esme, list(most), dropped=why))
            if old:
                events.append(Told(now, esme, old, dropped=f"nobody came for it in {limits.outbox_ttl_s:.0f} s"))
        return events

    def _incomplete(self, before: float) -> Iterator[str]:
        """Messages to be told of as one whose missing parts were waited for since before `before`."""
        for message_id, since in self._ledger.families.incomplete.items():
            if since > before:
                return
            yield message_id

    def _in_doubt(self) -> Iterator[Part]:
        yield from list(self._ledger.in_doubt.values())

    def _doubts(self, now: float) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for part in self._doubted.take(self._limits.sweep_parts_max):
            if part.state != State.IN_DOUBT:
                continue
            attempt = part.attempts[-1]
            policy = self._policies.get(attempt.route, {}).get(MessageClass(part.message_class), HOLD)
            if policy.kind == "hold" or now < attempt.doubted_at + policy.after_s:
                continue
            waited = f"in doubt for {now - attempt.doubted_at:.0f} s, route {attempt.route} says {policy.kind}"
            if policy.kind == "fail":
                events.append(Finished(now, [part.part_id], Cause.GIVEN_UP, "", waited))
            elif now < part.expires_at and not any(earlier.resent for earlier in part.attempts):
                other = self._elsewhere(part, {earlier.carrier for earlier in part.attempts})
                events.append(Requeued(now, [part.part_id], other or "", waited))
        return events


def _why(part: Part) -> str:
    """Why nobody will tell of it."""
    late = part.state == State.SUBMITTED and part.attempts[-1].told_by
    why = LATE if late else UNTOLD
    return ASKED.format(why) if any(attempt.queried_at for attempt in part.attempts) else why


def _ids(parts: Sequence[Part]) -> list[str]:
    return [part.part_id for part in parts]
