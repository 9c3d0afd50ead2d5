"""Accept: from submit_sm to submit_sm_resp.

NAME
    Accept.submits(client, pdus): one read's worth of submit_sm of one session becomes durable parts and their answers.

WALK
    esmes/listener -> HERE -> policy.admission, policy.allowance -> Place (carriers/dispatch) -> store/journal
    -> (durable) -> answers to the ESME, bytes to the carriers.

STRATEGIES
    all at the door     Everything that can be refused is refused now, with the status that says why: a malformed PDU,
                        no route, over rate, over window, memory full, disk sick. Nothing is dropped later.
    nothing twice round A submit that says what we have just sent for another ESME has come back by a carrier of ours
                        and is refused for good (`policy/loops`), unless `loop_guard: false`.
    one commit          The parts of a read and their first attempts share one group commit. The answers and the
                        carriers' bytes are written by the journal's writer right after it (`then`), so a session that
                        dies while its submits are on their way to the disk changes nothing: what is durable is sent.
    held for its date   A submit with a schedule_delivery_time is ours until then: durable, in its carrier's name, and
                        without a place on a bind (`smpp/schedule`).
    replace if present  A submit with that flag ends, in its own commit, what it stands in for and no carrier has
                        (`esmes/present`).
    long ones in parts  A text over one part becomes parts with headers where a carrier of its route wants them
                        (`submit: {long: …}`): the first one's id is answered, and its receipt tells of all.
    answers in order    One write answers the whole read, refusals in their places.

LIMITS
    esme.window         submits of a session read and not yet answered; beyond, ESME_RTHROTTLED.
    esme.rate           parts a second over all sessions of the ESME, `burst` at once; beyond, ESME_RTHROTTLED.
    esme.senders        parts a second of one sender, beside the whole; beyond, ESME_RTHROTTLED.
    open_messages_max   parts in memory; beyond, ESME_RMSGQFUL. esme_open_messages_max is one ESME's share.

DIAGNOSTICS
    refused             counted per ESME and status (`smsroute health --json`), never logged per message.
    loops               what came back, and whose it was: `health` warns, `loop.refused` is logged once a window.

Laws 1 and 2 are kept here and in `carriers/dispatch`: no ESME_ROK before the commit, no byte to a carrier before it
either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from smsroute.config import Config, Esme
from smsroute.esmes.client import Client
from smsroute.esmes.fullness import Fullness
from smsroute.esmes.present import Key, Place, Present
from smsroute.ids import MessageIds
from smsroute.ledger import Ledger
from smsroute.message import Accepted, AnyEvent, Cause, Finished, MessageClass, Part
from smsroute.policy import admission
from smsroute.policy.allowance import Allowance
from smsroute.policy.loops import REFUSAL, Loops
from smsroute.ports import Ports
from smsroute.smpp import names, schedule, split, text, times
from smsroute.smpp.codec import Pdu, PduError, SubmitSm, build_responses, parse_sm
from smsroute.smpp.quote import quotable
from smsroute.smpp.validate import check_submit
from smsroute.store.base import StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.accept")

Row = tuple[int, int, str]
"""What a submit is answered: command_status, sequence_number, message id."""

Of = tuple[str, int, int]
"""The multipart message something is a part of, which part, and of how many."""
NO_PARTS: Final[Of] = ("", 0, 0)

Answer = Callable[[Sequence[Row], bytes], bytes]
"""Makes octets of the answers to one read; the second argument is TLVs for each."""

ANSWER_SUBMITS: Final[Answer] = partial(build_responses, names.SUBMIT_SM)

THROTTLED: Final = names.ESME_RTHROTTLED
UDHI: Final = 0x40
OURS: Final = 1 << 16
"""References of texts we split, in the names of their messages: none that a platform can give."""
LONG_OCTETS: Final = 140
"""A body no longer than one part holds no text that is."""
INTERMEDIATE: Final = 0x10
"""registered_delivery: words on the way are asked for (section 5.2.17)."""
LEARN: Final = -1
"""Not judged yet: what its ESME has waiting is to be known first."""
SPLIT: Final = -2
"""Not judged yet: it is to become several."""


class Flight(Protocol):
    """Places on binds, reserved while their attempts are made durable (`carriers/dispatch.Flight`)."""

    def place(
        self,
        part_id: str,
        destination_addr: str,
        source_addr: str,
        esme: str,
        message_class: int,
        data_coding: int,
        multipart: str,
    ) -> tuple[str, str] | None:
        """(route, carrier) the part will take, its place reserved if there is room now; None when no route leads
        there."""

    def book(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, at: float
    ) -> tuple[str, str] | None:
        """(route, carrier) of a part that is sent later, at `at` (Unix seconds), as it looks now; None: no route."""

    def long_form(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, at: float
    ) -> str:
        """How carriers of its route want a message of several parts: "udh", "udh16", or "" as it comes."""

    def attempts(self, now: float) -> list[AnyEvent]:
        """The events that make the reserved attempts durable."""

    def leave(self, error: StoreError | None) -> None:
        """Durable: write them. Not durable: give the places back."""


class Books:
    """What one ESME has used of what it may."""

    __slots__ = ("accepted", "allowance", "looped", "looped_at", "looped_of", "refused")

    def __init__(self, esme: Esme, now: float) -> None:
        self.allowance = Allowance(esme, now)
        self.accepted = 0
        self.refused: Counter[int] = Counter()
        self.looped = 0  # submits that came back
        self.looped_at = 0.0  # the last one, Unix seconds
        self.looped_of = ""  # whose it was


class Read:
    """What the submits of one read bring beside themselves."""

    __slots__ = ("ends", "flight", "long_form", "marks", "sisters", "wall")

    def __init__(self, flight: Flight, wall: float) -> None:
        self.flight = flight
        self.wall = wall  # Unix seconds
        self.marks: list[int] = []  # of what is sent, for the loop guard
        self.ends: list[AnyEvent] = []  # of what they stand in for
        self.sisters: list[Accepted] = []  # the other parts of the one just judged
        self.long_form = ""  # how the one to be split is


class Accept:
    """See the module. `takeoff` starts a Flight; `ids` makes the message ids."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        journal: Journal,
        ports: Ports,
        loops: Loops,
        *,
        takeoff: Callable[[], Flight],
        ids: MessageIds,
    ) -> None:
        self._limits = config.limits
        self._ledger = ledger
        self._journal = journal
        self._ports = ports
        self._loops = loops
        self._takeoff = takeoff
        self._ids = ids
        self._fullness = Fullness(ledger, journal, config.limits)
        self._present = Present(ledger)
        self._splits = _splits(config)
        self._reference = ports.entropy.rng("references").randrange(1 << 16)
        self.books: dict[str, Books] = {}
        self.draining = False

    def adopt(self, config: Config) -> None:
        """Other rates, from now on; what passed in the last second counts against them."""
        now = self._ports.clock.monotonic()
        self._present.forget(set(config.esmes))
        self._splits = _splits(config)
        for name, books in self.books.items():
            esme = config.esmes.get(name)
            if esme is not None:
                books.allowance.adopt(esme, now)

    async def submits(
        self, client: Client, pdus: Sequence[Pdu], answer: Answer = ANSWER_SUBMITS, *, as_one: bool = False
    ) -> None:
        """Make one read's worth of submit_sm durable and answer them, in order.

        `answer` makes the octets, for those that came as another command. `as_one`: they take one place in the window.
        """
        esme = client.esme
        assert esme is not None, "submit_sm before bind is the session's to refuse"
        wall, monotonic = self._ports.clock.wall(), self._ports.clock.monotonic()
        books = self.books.get(esme.name)
        if books is None:
            books = self.books[esme.name] = Books(esme, monotonic)
        refusal = self._refusal(esme)
        granted = 0 if refusal else self._granted(client, esme, books, len(pdus), monotonic, as_one)
        flight = self._takeoff()
        answers: list[Row] = []
        events: list[AnyEvent] = []
        accepted = 0
        read = Read(flight, wall)
        self._loops.pass_time(monotonic)
        for pdu in pdus:
            judged = refusal or (self._judge(client, esme, pdu.body, read) if accepted < granted else THROTTLED)
            if isinstance(judged, int) and judged < 0:
                judged = await self._judge_anew(client, esme, pdu.body, read, judged)
            if isinstance(judged, int):
                books.refused[judged] += 1
                answers.append((judged, pdu.sequence_number, ""))
            else:
                accepted += 1
                events.append(judged)
                if read.sisters:
                    events.extend(read.sisters)
                    read.sisters = []
                answers.append((names.ESME_ROK, pdu.sequence_number, judged.part_id))
        if not events:
            self._answer(client, books, answers, answer)
            return
        places = 1 if as_one else accepted
        client.unanswered += places
        events.extend(read.ends)  # before the attempts: what ends with this commit does not leave with it
        events.extend(flight.attempts(wall))

        def then(error: StoreError | None) -> None:
            client.unanswered -= places
            if error is None:
                books.accepted += accepted
                self._loops.sent(read.marks, esme.name)
            else:
                sick = _status_of(error)
                books.refused[sick] += accepted
                answers[:] = [(status or sick, sequence_number, "") for status, sequence_number, _ in answers]
            self._answer(client, books, answers, answer)
            flight.leave(error)

        client.batches.append(self._journal.append(events, then))
        await self.settle(client, self._limits.esme_batches_max - 1)

    def _answer(self, client: Client, books: Books, answers: list[Row], answer: Answer) -> None:
        tail = b""
        if client.version >= names.VERSION_5_0:
            tail = self._fullness.tail(client, books.allowance, self._ports.clock.monotonic())
        client.link.write(answer(answers, tail))

    async def settle(self, client: Client, most: int = 0) -> None:
        """Return when at most `most` of the session's reads are still on their way to the disk."""
        while len(client.batches) > most:
            await client.batches[0].settled.wait()
            client.batches.popleft()

    def _refusal(self, esme: Esme) -> int:
        """The status that refuses every submit just now, or 0."""
        if self.draining:
            return names.ESME_RSYSERR
        if self._journal.failing is not None:
            return _status_of(self._journal.failing)
        ledger, limits = self._ledger, self._limits
        if ledger.held >= limits.open_messages_max:
            return names.ESME_RMSGQFUL
        if ledger.held_by[esme.name] >= limits.esme_open_messages_max:
            return names.ESME_RMSGQFUL
        return 0

    def _granted(self, client: Client, esme: Esme, books: Books, offered: int, monotonic: float, as_one: bool) -> int:
        """How many of `offered` parts the ESME's window and rate let in now."""
        room = esme.window - client.unanswered
        if as_one and room > 0:
            room = offered
        return books.allowance.take(max(0, min(offered, room)), monotonic)

    def terms(self, esme: Esme) -> schedule.Terms:
        """What this ESME's messages may wish of time."""
        limits = self._limits
        return schedule.Terms(esme.validity_s, limits.validity_max_s, limits.schedule_max_s, limits.schedule_past_s)

    async def _judge_anew(self, client: Client, esme: Esme, body: bytes, read: Read, why: int) -> Accepted | int:
        """As `_judge`, of one that it could not judge yet: `why` is LEARN or SPLIT."""
        if why == LEARN:
            await self._present.learn(esme.name)
            judged = self._judge(client, esme, body, read)
            if judged != SPLIT:
                return judged
        return self._split(client, esme, body, read)

    def _split(self, client: Client, esme: Esme, body: bytes, read: Read) -> Accepted | int:
        """The first part of a text that is to be split, the others in `read`; or the status that refuses it.

        What its ESME may send is counted in parts, and never holds back what came in one piece.
        """
        self._reference += 1
        submit = parse_sm(body)
        try:
            bodies = split.parts(submit, self._reference, wide=read.long_form == "udh16")
        except ValueError:
            return names.ESME_RINVMSGLEN
        total = len(bodies)
        if total > self._limits.split_parts_max:
            return names.ESME_RINVMSGLEN
        key = f"{esme.name} {submit.source_addr} {submit.destination_addr} {OURS + self._reference} {total}"
        first = self._judge(client, esme, bodies[0], read, (key, 1, total))
        if isinstance(first, int):
            return first
        for number in range(2, total + 1):
            sister = self._judge(client, esme, bodies[number - 1], read, (key, number, total))
            assert isinstance(sister, Accepted), f"part {number} of a split text was refused with {sister}"
            read.sisters.append(sister)
        allowance, monotonic = self.books[esme.name].allowance, self._ports.clock.monotonic()
        allowance.take(total - 1, monotonic)
        allowance.take_of(submit.source_addr, monotonic, total - 1)
        return first

    def _judge(self, client: Client, esme: Esme, body: bytes, read: Read, of: Of | None = None) -> Accepted | int:
        """The event that accepts a submit, its place reserved; or the status that refuses it. Adds to `read`. `of`: the
        message we split, which part of it this is, and of how many."""
        wall, flight, submitted, due_at = read.wall, read.flight, body, 0.0
        try:
            submit = parse_sm(body)
            check_submit(submit, wall)
            expires_at = wall + esme.validity_s
            if submit.schedule_delivery_time:
                due_at, expires_at, body = self._held(esme, submit, body, wall)
            elif submit.validity_period:
                expires_at = times.parse(submit.validity_period, wall) or 0.0  # checked above
        except PduError as error:
            return error.command_status
        if submit.replace_if_present_flag and esme.name not in self._present.esmes:
            return LEARN
        destination_addr, source_addr = submit.destination_addr, submit.source_addr
        refused = admission.check(destination_addr, source_addr)
        if refused is not None:
            return refused.command_status
        message_class = esme.default_class if not esme.class_by else _class_of(esme, submit)
        name, data_coding, wants = esme.name, submit.data_coding, submit.registered_delivery
        if self._splits and of is None and len(body) > LONG_OCTETS and split.is_long(submit):
            to_whom = (destination_addr, source_addr, name, message_class, data_coding)
            read.long_form = flight.long_form(*to_whom, due_at or wall)
            if read.long_form:
                return SPLIT
        mark = 0
        if self._loops.on:
            mark = self._loops.mark(source_addr, destination_addr, submit.user_data(), esme.name)
            if not mark and esme.loop_guard and not (of and of[1] > 1):
                return self._came_back(esme, submit, wall)
        multipart, number, parts = NO_PARTS if of is None else of
        if of is None and (submit.esm_class & UDHI or submit.tlv):
            multipart, number, parts = _place_of(esme, submit)
        if esme.senders and (of is None or number == 1) and not self._may_send_as(esme, source_addr):
            return THROTTLED
        part_id = self._ids.make(wall)
        if due_at:
            placed = flight.book(destination_addr, source_addr, name, message_class, data_coding, due_at)
        else:
            placed = flight.place(part_id, destination_addr, source_addr, name, message_class, data_coding, multipart)
        if placed is None:
            return names.ESME_RINVDSTADR
        if mark:
            read.marks.append(mark)
        if self._present.esmes and name in self._present.esmes:
            self._stand_in(submit, (name, body[: submit.text_at]), part_id, (multipart, number), read)
        return Accepted(
            part_id,
            wall,
            name,
            message_class,
            source_addr,
            destination_addr,
            body[: submit.end_at],  # stray octets behind the last TLV go no further
            submit.text_at,
            wants & 3,
            min(expires_at, (due_at or wall) + self._limits.validity_max_s),
            *placed,
            multipart,
            client.number,
            parts,
            data_coding,
            b"" if esme.text == "forget" else self.kept(esme, submitted, submit),
            number,
            parts > 1 and (wants & 3 > 0 if of else esme.receipts == "message"),
            due_at,
            wants & INTERMEDIATE > 0 and (of is None or number == 1),
        )

    def _held(self, esme: Esme, submit: SubmitSm, body: bytes, wall: float) -> tuple[float, float, bytes]:
        """(due at, expires at, body) of a submit with a date. Raises PduError."""
        terms = self.terms(esme)
        due_at = schedule.due_at(submit.schedule_delivery_time, wall, terms)
        expires_at = schedule.expires_at(submit.validity_period, wall, due_at, terms)
        return due_at, expires_at, schedule.dateless(body, submit, expires_at)

    def _stand_in(self, submit: SubmitSm, key: Key, part_id: str, place: Place, read: Read) -> None:
        """Know it as one that waits; end what it stands in for."""
        if submit.replace_if_present_flag:
            ended = self._present.replaced_by(key, place)
            if ended:
                why = f"its sender replaced it by {part_id}"
                read.ends.append(Finished(read.wall, ended, Cause.CANCELLED, "", why))
        self._present.add(key, part_id, place)

    @staticmethod
    def kept(esme: Esme, body: bytes, submit: SubmitSm) -> bytes | None:
        """What is kept of a text once it is needed no more, as `Part.kept` says."""
        if esme.text == "forget":
            return b""
        return None if esme.text == "keep" else quotable(body, submit)

    def _may_send_as(self, esme: Esme, source_addr: str) -> bool:
        return self.books[esme.name].allowance.take_of(source_addr, self._ports.clock.monotonic())

    def mark(self, submit: SubmitSm, esme: Esme) -> None:
        """The text of a message of this ESME's is another than it was: it may come back like any other."""
        if self._loops.on:
            mark = self._loops.mark(submit.source_addr, submit.destination_addr, submit.user_data(), esme.name)
            if mark:
                self._loops.sent([mark], esme.name)

    def _came_back(self, esme: Esme, submit: SubmitSm, wall: float) -> int:
        """Refuse a message that went round, count it, and tell people once a window."""
        books = self.books[esme.name]
        of = self._loops.whose(submit.source_addr, submit.destination_addr, submit.user_data())
        books.looped += 1
        if wall - books.looped_at >= self._loops.window_s or books.looped_of != of:
            log.warning("loop.refused", esme=esme.name, message_of=of, refused=books.looped)
        books.looped_at, books.looped_of = wall, of
        return REFUSAL


def _splits(config: Config) -> bool:
    """Whether any carrier wants long texts in parts."""
    return any(carrier.submit.long not in ("as-is", "payload") for carrier in config.carriers.values())


def _place_of(esme: Esme, submit: SubmitSm) -> Of:
    """The message this is a part of, which one, and of how many; ("", 0, 0) for a whole message."""
    part_of = text.concat(submit.esm_class, submit.short_message, submit.tlv)
    if part_of is None or part_of[1] < 2:
        return NO_PARTS
    reference, total, number = part_of
    return f"{esme.name} {submit.source_addr} {submit.destination_addr} {reference} {total}", number, total


def split_here(part: Part) -> bool:
    """Whether it is of a text that we split: its ESME knows the first part's id only."""
    return part.parts > 1 and int(part.multipart.rsplit(" ", 2)[1]) >= OURS


def _class_of(esme: Esme, submit: SubmitSm) -> MessageClass:
    """The class that `class_by` gives a submit: by its service_type, else by its priority_flag (section 5.2.14)."""
    found = esme.class_by.get("service_type", {}).get(submit.service_type) if submit.service_type else None
    if found is None:
        found = esme.class_by.get("priority_flag", {}).get(str(submit.priority_flag))
    return esme.default_class if found is None else found


def _status_of(error: StoreError) -> int:
    """What an ESME is told while the store cannot take its message: never 0x0E or 0x0F, which make clients give up."""
    return names.ESME_RMSGQFUL if error.kind == "full" else names.ESME_RSYSERR
