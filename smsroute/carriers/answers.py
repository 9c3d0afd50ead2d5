"""What carriers say to submits, and what silence means: responses, timeouts and lost links become events.

Rules:
- A response is judged by the blame table; only carrier faults reach a score, only a part that was taken is fast.
- A refusal another carrier may mend goes to the next one at once; when each was tried it goes by the `retry_schedule`
  of its class, until the message's validity ends (it expires) or `attempts_max` is reached. What no carrier can mend
  ends now.
- Throttled means "not taken, slow down": the carrier pauses, the part is the first of its lane again by its age, and
  moves if another has room.
- Queue full holds the destination here (`policy/holds`): the part goes to a carrier that does not hold it, or waits in
  its lane, before all that came later for that number.
- A timer or a lost link says nothing about the part: it is in doubt, and the route's in_doubt policy decides.

Walk: `carriers/dispatch` hands over what `carriers/bind` received; events go to `store/journal`, figures to
`carriers/station`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, cast

from msgspec import structs

from smsroute.carriers.adopt import Adoption
from smsroute.carriers.bind import Bind, Row
from smsroute.carriers.station import Station
from smsroute.config import Carrier, Limits
from smsroute.ledger import Ledger
from smsroute.message import OK, UNFIT, AnyEvent, Blame, Doubted, MessageClass, Part, Responded
from smsroute.ports import Ports
from smsroute.routing.outcome import Verdict, verdict
from smsroute.smpp import names
from smsroute.smpp.codec import response_message_id, response_tlvs, tlv
from smsroute.smpp.session import Response
from smsroute.store.journal import Journal

GIVE_UP: Final = 0.0
"""retry_at of a refusal that is final."""


class Board(Protocol):
    """What answers need of `carriers/dispatch`."""

    ledger: Ledger
    ports: Ports
    limits: Limits
    journal: Journal
    stations: dict[str, Station]
    adoption: Adoption

    def other_carrier(self, part: Part, tried: set[str], stays: int = 0) -> str | None: ...
    def wake(self, carriers: set[str]) -> None: ...


class Answers:
    """See the module."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._schedules = [schedule_s(board.limits, message_class) for message_class in MessageClass]

    async def answered(self, bind: Bind, responses: Sequence[Response]) -> None:
        """One read's worth of responses."""
        clock = self._board.ports.clock
        wall, monotonic = clock.wall(), clock.monotonic()
        station = self._board.stations[bind.carrier.name]
        naming = station.naming
        events: list[AnyEvent] = []
        taken: dict[str, list[float]] = {}
        asked: dict[str, int] = {}
        always = bind.carrier.receipts == "always"
        for_all = bind.carrier.dialect.receipts_on != "every"
        silent = bind.carrier.dialect.receipt_level == "none"
        within_s = bind.carrier.dialect.receipt_within_s
        holds = station.holds if station.holds else None  # hardly ever does anything hold a destination
        for response in responses:
            part, attempt, network = cast(Row, response.token)
            if response.command_status == names.ESME_ROK:
                if holds is not None:
                    holds.answered(part.destination_addr)
                message_id = response_message_id(response.body)
                key = naming.response_key(message_id, part.destination_addr)
                if part.attempts[attempt].led:
                    awaits = self._board.ledger.families.asked(part)
                else:
                    awaits = for_all and awaits_for_all(self._board.ledger, bind.carrier, part)
                named = key if key != message_id else ""
                event = Responded(
                    part.part_id, attempt, wall, OK, 0, message_id, named, 0.0, "", "", silent, awaits, within_s
                )
                if len(response.body) > len(message_id) + 1:
                    self._congestion_state(station, response, monotonic)
                times = taken.get(network)
                if times is None:
                    taken[network] = times = []
                times.append(response.sent_at)
                if (part.matters or always or awaits) and not silent:
                    asked[network] = asked.get(network, 0) + 1
            else:
                said = verdict(response.command_status, bind.carrier.outcomes)
                sent_at = response.sent_at
                waited_s = bind.ears.waited_s(sent_at, monotonic)
                station.answered(bind.label, network, said.blame, waited_s, monotonic, 1, sent_at)
                if said.blame == Blame.CONGESTED:
                    station.holds.refused(part.destination_addr, monotonic, sent_at)
                elif holds is not None:
                    ask = holds.unheard if said.blame == Blame.THROTTLED else holds.answered
                    ask(part.destination_addr)
                event = self._refused(part, attempt, response.command_status, said, wall)
            if part.attempts[attempt].led:  # before it: a receipt that waits for its id speaks of them too
                events.extend(self._of_led(part, event))
            events.append(event)
        for network, times in taken.items():
            receipts = asked.get(network, 0)
            latency_s, newest = bind.ears.waited_s(min(times), monotonic), max(times)
            station.answered(bind.label, network, Blame.OK, latency_s, monotonic, len(times), newest, receipts)
        self._board.wake({bind.carrier.name})  # room in the window is there before the answer is durable
        await self._board.journal.commit(events, must=True)
        if len(self._board.ledger.orphans):
            parts = [cast(Row, response.token)[0] for response in responses]
            adopted = self._board.adoption.named(bind.carrier.name, parts, wall)
            if adopted:
                self._board.journal.append(adopted, must=True)

    def _of_led(self, lead: Part, event: Responded) -> Iterator[Responded]:
        """What is said of a submit is said of each part whose words it bore; its id is that of its own part."""
        for part, attempt in self._board.ledger.families.led(lead, event.attempt):
            yield structs.replace(event, part_id=part.part_id, attempt=attempt, carrier_message_id="", key="")

    def _congestion_state(self, station: Station, response: Response, monotonic: float) -> None:
        """What a v5 carrier says of its own load (TLV congestion_state, SMPP 5.0 section 4.8.4.18)."""
        level = tlv(response_tlvs(response.body), names.CONGESTION_STATE)
        if level is not None and len(level) == 1:
            station.dossier.congestion.congestion_state(level[0], monotonic, response.sent_at)

    def _refused(self, part: Part, attempt: int, code: int, said: Verdict, wall: float) -> Responded:
        carrier = part.attempts[attempt].carrier
        retry_at, following, why = self._next(part, carrier, code, said, wall)
        return Responded(part.part_id, attempt, wall, said.blame, code, "", "", retry_at, following, why)

    def _next(self, part: Part, carrier: str, code: int, said: Verdict, wall: float) -> tuple[float, str, str]:
        """(when it may go again or GIVE_UP, where it queues, why) after `carrier` refused it."""
        limits = self._board.limits
        what = f"{carrier} answered {names.status_name(code)}: {said.note}"
        if said.blame == Blame.THROTTLED:
            return wall, carrier, what
        left = [attempt for attempt in part.attempts if not attempt.withdrawn]
        tried = [attempt.carrier for attempt in left if attempt.blame != Blame.THROTTLED]
        if said.blame == Blame.PERMANENT_MESSAGE or len(tried) >= limits.attempts_max:
            return GIVE_UP, "", what if len(tried) < limits.attempts_max else f"{len(tried)} attempts; {what}"
        other = self._board.other_carrier(part, set(tried)) if said.elsewhere else None
        if other is not None:
            return wall, other, what
        if said.blame == Blame.CONGESTED:  # due at once, so that it stands by its age; the hold says when it goes
            return wall, carrier, f"{what}; {part.destination_addr} is held there"
        schedule = self._schedules[part.message_class]
        waits = len(tried) - len(set(tried))  # it has waited so often already
        pause_s = schedule[min(waits, len(schedule) - 1)]
        following = self._board.other_carrier(part, {carrier}) if said.elsewhere else None
        return wall + pause_s, following or carrier, f"{what}; every carrier was tried, again in {pause_s:g} s"

    def unfit(self, unfit: Sequence[tuple[Bind, Row, str]]) -> None:
        """These cannot be written as their carrier's contract wants it, each for a reason (quirks section 3: for good,
        and nobody's fault): another carrier may take them as they are."""
        wall = self._board.ports.clock.wall()
        stays: Counter[str] = Counter()  # parts of a message that are here still
        for _, (part, attempt, _), _ in unfit:
            stays[part.multipart] += 1 + len(part.attempts[attempt].led)
        events: list[AnyEvent] = []
        for bind, (part, attempt, _), reason in unfit:
            tried = {one.carrier for one in part.attempts if not one.withdrawn}
            other = self._board.other_carrier(part, tried, stays[part.multipart])
            why = f"not written for {bind.carrier.name}: {reason}"
            retry_at = GIVE_UP if other is None else wall
            blame = Blame.PERMANENT_MESSAGE
            event = Responded(part.part_id, attempt, wall, blame, UNFIT, "", "", retry_at, other or "", why)
            events.extend((*self._of_led(part, event), event))
        self._board.journal.append(events, must=True)

    def timed_out(self, bind: Bind, rows: Sequence[Row]) -> None:
        """Nobody answered in time."""
        self._doubt(bind, rows, f"no answer from {bind.name} in {bind.carrier.response_timeout_s:g} s")

    def lost(self, bind: Bind, rows: Sequence[Row], why: str) -> None:
        """The link is gone with these in flight."""
        self._doubt(bind, rows, f"{bind.name}: {why}")

    def _doubt(self, bind: Bind, rows: Sequence[Row], why: str) -> None:
        if not rows:
            return
        clock = self._board.ports.clock
        station = self._board.stations[bind.carrier.name]
        now = clock.monotonic()
        for network in sorted({row[2] for row in rows}):
            parts = sum(row[2] == network for row in rows)
            timeout_s = bind.carrier.response_timeout_s
            station.answered(bind.label, network, Blame.UNKNOWN, timeout_s, now, parts, now)
        led = self._board.ledger.families.led
        part_ids = [
            one.part_id
            for part, index, _ in rows
            for one, at in ((part, index), *led(part, index))
            if at == len(one.attempts) - 1
        ]
        self._board.journal.append([Doubted(clock.wall(), part_ids, why)], must=True)


def schedule_s(limits: Limits, message_class: MessageClass) -> tuple[float, ...]:
    """The waits between tries of a class, in seconds; a class without its own has that of all."""
    own: tuple[float, ...] = getattr(limits, f"retry_schedule_{message_class.name.lower()}_s")
    return own or limits.retry_schedule_s


def awaits_for_all(ledger: Ledger, carrier: Carrier, part: Part) -> bool:
    """Whether `part` awaits a receipt that speaks for its whole message (`receipts_on: last | any`): somebody asked,
    and it is the one that has it, or may."""
    last = part.number == part.parts or carrier.dialect.receipts_on == "any"
    return part.parts > 1 and last and ledger.families.asked(part)
