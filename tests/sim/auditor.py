"""The independent judge: hears every octet of the world, keeps a ledger of its own, and holds the engine to the laws.

Rules:
- It shares no code with the engine but the names of numbers; what it knows it read off the wire (`wire`), was told to
  be durable the moment it was (`durable_*`), or found in the store opened again (`at_rest`).
- It never raises into the engine it listens to: what is broken is written down, and whoever runs the world asks.
- The laws are those of the design, section 3; each check names its law.

Walk: `network` calls `written`, `read`, `ended`; `world` calls `durable_*` for each journal row and `at_rest` at the
end.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping

import trio

from smsroute.smpp import names
from tests.sim import families
from tests.sim.books import WORD_OF_STATE, Attempt, Copy, Pace, Paper, Session, Story, Terms, Word, forms, unheeded
from tests.sim.network import Link
from tests.sim.wire import Message, Pdu, Splitter, c_string, describe, message

TRACE_LINES = 400
BROKEN_MAX = 20
SLACK_S = 1.0
"""Seconds of contract a carrier may be fed ahead: a burst, and commits that bunch what was granted evenly."""


class Auditor:
    """See the module."""

    def __init__(
        self, engine: str, carriers: Mapping[str, tuple[str, Terms]], tell_timeout_s: float, as_one: Collection[str]
    ) -> None:
        """`engine`: its address; `carriers`: address -> (name, terms); `tell_timeout_s`: a receipt its platform did not
        answer for so long may go again; `as_one`: platforms that want one receipt a message."""
        self.broken: list[str] = []
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.on_line: Callable[[str], None] | None = None
        self.counts: Counter[str] = Counter()
        self.papers: dict[str, Paper] = {}
        self.by_token: defaultdict[str, list[Paper]] = defaultdict(list)
        self.copies: defaultdict[str, list[Copy]] = defaultdict(list)
        self.paces: dict[str, Pace] = {name: Pace(terms.rate) for name, terms in carriers.values()}
        self.slack_s = SLACK_S
        self.longest_wait_s = 0.0  # from acceptance to the first copy
        self.failover_s = math.inf  # and how long it may be, in a world where one carrier stays well
        self.life = 0
        self.clocks_agree = True  # nobody set the engine's clock, so its times are ours
        self.notes = 0
        self.alarm: tuple[int, Callable[[], None]] | None = None
        """At this many notes, do this: a fault at an event instead of at a time."""
        self.closed: set[str] = set()  # messages whose missing parts are waited for no more
        self._as_one = as_one
        self._engine = engine
        self._carriers = dict(carriers)
        self._terms = dict(carriers.values())
        self._tell_timeout_s = tell_timeout_s
        self._sessions: dict[Link, Session] = {}
        self._digest = hashlib.blake2b()
        self._receipts: Counter[tuple[str, str]] = Counter()  # durable, by carrier and id
        self._words: list[Word] = []
        self._answered: Counter[tuple[str, str]] = Counter()  # answered ESME_ROK, by carrier and id

    # -- the trace ----------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """One line of the trace, part of the digest."""
        line = f"{trio.current_time():12.6f} {text}"
        self._digest.update(line.encode())
        self.trace.append(line)
        self.notes += 1
        if self.alarm is not None and self.notes >= self.alarm[0]:
            (_, ring), self.alarm = self.alarm, None
            ring()
        if self.on_line is not None:
            self.on_line(line)

    @property
    def digest(self) -> str:
        """Of all that was said so far."""
        return self._digest.hexdigest()[:32]

    def breach(self, law: str, text: str) -> None:
        """A law is broken."""
        self.note(f"BROKEN {law}: {text}")
        if len(self.broken) < BROKEN_MAX:
            self.broken.append(f"{law} at {trio.current_time():.6f}: {text}")

    # -- the wire -----------------------------------------------------------------------------------------------------

    def written(self, link: Link, outward: bool, data: bytes) -> None:
        self._hear(link, outward, data, True)

    def read(self, link: Link, outward: bool, data: bytes) -> None:
        self._hear(link, outward, data, False)

    def ended(self, link: Link, how: str) -> None:
        self.note(f"{link} {how}")
        session = self._sessions.pop(link, None)
        if session is not None and session.carrier:
            self.counts["copies in doubt"] += sum(not copy.heard for copy in session.copies.values())
        for (by_engine, _), pdu in session.asked.items() if session is not None else ():
            if by_engine and pdu.command_id == names.DELIVER_SM:
                paper = self.papers.get(message(pdu.body).receipt[0])
                if paper is not None:
                    paper.reasons += 1

    def _hear(self, link: Link, outward: bool, data: bytes, writing: bool) -> None:
        session = self._sessions.get(link)
        if session is None:
            if not link.alive:
                return
            known = self._carriers.get(link.door[0])
            session = Session(link, known[0] if known else "?", known is not None)
            self._sessions[link] = session
        by_engine = outward == (link.opener == self._engine)
        splitter = session.splitters.setdefault((outward, writing), Splitter())
        for pdu in splitter.feed(data):
            if writing:
                self.note(f"{link} {'>' if outward else '<'} {describe(pdu)}")
                self._wrote(session, by_engine, pdu)
            else:
                self._digest.update(b"%d %d" % (link.number, pdu.sequence_number))
                self._was_read(session, by_engine, pdu)

    def _wrote(self, session: Session, by_engine: bool, pdu: Pdu) -> None:
        number = pdu.sequence_number
        if not pdu.is_response:
            if (by_engine, number) in session.asked and by_engine:
                self.breach("law 7", f"{session.link}: sequence number {number:#x} is in flight already")
            session.asked[by_engine, number] = pdu
            if by_engine and pdu.command_id == names.SUBMIT_SM:
                self._engine_submits(session, number, message(pdu.body))
            elif by_engine and pdu.command_id == names.DELIVER_SM:
                self._engine_tells(session, message(pdu.body))
            return
        request = session.owed.pop((not by_engine, number), None)
        if request is None:
            if by_engine:
                self.breach("one answer each", f"{session.link}: engine answers {describe(pdu)}, which nobody asked")
            return
        if by_engine and request.command_id == names.SUBMIT_SM:
            self._engine_promises(session, message(request.body), pdu)
        elif by_engine and request.command_id == names.DELIVER_SM:
            self._engine_answers_receipt(session, message(request.body), pdu)
        elif not by_engine and request.command_id == names.SUBMIT_SM:
            copy = session.copies[number]
            copy.status, copy.message_id = pdu.command_status, c_string(pdu.body)

    def _was_read(self, session: Session, by_engine: bool, pdu: Pdu) -> None:
        """`by_engine`: the engine wrote it, the peer reads it."""
        number = pdu.sequence_number
        if not pdu.is_response:
            session.owed[by_engine, number] = pdu
            if by_engine and pdu.command_id == names.SUBMIT_SM:
                session.copies[number].read = True
            elif not by_engine and pdu.command_id in BINDS:
                session.peer = c_string(pdu.body)
            elif not by_engine and pdu.command_id == names.DELIVER_SM:
                self._receipt_comes(session.peer, message(pdu.body))
            return
        request = session.asked.pop((not by_engine, number), None)
        if request is None or by_engine:
            return
        if request.command_id == names.SUBMIT_SM:
            session.in_flight.pop(number, None)
            session.copies[number].heard = True
        elif request.command_id == names.DELIVER_SM:
            paper = self.papers.get(message(request.body).receipt[0])
            if paper is not None and pdu.command_status != names.ESME_ROK:
                paper.reasons += 1
            elif paper is not None and paper.acknowledged_in != self.life:
                paper.acknowledged_at, paper.acknowledged_in = trio.current_time(), self.life
        elif request.command_id == names.QUERY_SM and not pdu.command_status:
            self._carrier_tells(session.peer, c_string(request.body), pdu.body[-2])

    def _carrier_tells(self, carrier: str, message_id: str, state: int) -> None:
        """It was asked what became of a message (query_sm_resp ends with message_state and error_code)."""
        self.counts["queries answered"] += 1
        for paper in self.papers.values():
            if any((one.carrier, one.taken) == (carrier, message_id) for one in paper.attempts):
                paper.told(WORD_OF_MESSAGE_STATE.get(state, "on its way"))

    def _receipt_comes(self, carrier: str, sm: Message) -> None:
        if sm.is_receipt:
            for paper in self._meant(carrier, sm):
                paper.hears(sm.receipt[1], sm.err)

    def _meant(self, carrier: str, sm: Message) -> list[Paper]:
        """What a receipt speaks of: each part in the submit that its carrier calls so, or will."""
        mine = [copy for copy in self.copies[sm.token] if copy.carrier == carrier]
        called = [copy for copy in mine if copy.message_id and forms(copy.message_id) & forms(sm.receipt[0])]
        tokens = {sm.token: None} | {token: None for copy in called or mine for token in copy.tokens}
        return [paper for token in tokens for paper in self.by_token[token]]

    # -- what the engine writes ---------------------------------------------------------------------------------------

    def _engine_submits(self, session: Session, number: int, sm: Message) -> None:
        now, carrier = trio.current_time(), session.peer
        self.counts["submits"] += 1
        copy = session.copies[number] = Copy(tuple(sm.tokens), carrier, str(session.link), number, now)
        for token in copy.tokens:
            self._goes(token, copy, now)
        if len(copy.tokens) > 1:
            self.counts["whole messages in one submit"] += 1
            all_parts = [self.by_token[token][-1].parts for token in copy.tokens]
            if list(copy.tokens) != sorted(set(copy.tokens)) or set(all_parts) != {len(copy.tokens)}:
                self.breach("law 8", f"{copy.tokens} go in one submit, and are not all parts of a message in order")
        terms = self._terms[carrier]
        in_flight = session.in_flight
        in_flight[number] = now
        for sequence_number in [n for n, at in in_flight.items() if at <= now - terms.response_timeout_s]:
            del in_flight[sequence_number]
        self.counts["in flight, most"] = max(self.counts["in flight, most"], len(in_flight))
        # What waited for room in a clogged link is older than it looks from here: the engine counts from its own write.
        held = now - session.link.outward.held_at < 2 * terms.response_timeout_s
        if len(in_flight) > terms.window and not held:
            self.breach("law 7", f"{session.link}: {len(in_flight)} in flight, the window is {terms.window}")
        ahead = self.paces[carrier].count(now)
        if ahead > terms.rate * self.slack_s + 1.0:
            self.breach("law 7", f"{carrier} is fed {ahead:.1f} parts ahead of its {terms.rate:g}/s")

    def _goes(self, token: str, copy: Copy, now: float) -> None:
        """One part, by itself or in the submit of its whole message."""
        copies, papers = self.copies[token], self.by_token[token]
        for paper in papers if not copies else ():
            self._waited(paper, now)
        copies.append(copy)
        durable = sum(
            (attempt.carrier == copy.carrier and not attempt.withdrawn) * (1 + attempt.repeats)
            for paper in papers
            for attempt in paper.attempts
        )
        if sum(one.carrier == copy.carrier for one in copies) > durable:
            self.breach("law 2", f"{token} goes to {copy.carrier} and only {durable} attempts are durable")

    def _waited(self, paper: Paper, now: float) -> None:
        """A part leaves for its first carrier, or never did."""
        waited_s = now - paper.accepted_at
        self.longest_wait_s = max(self.longest_wait_s, waited_s)
        if waited_s > self.failover_s and not self._tied(paper):
            self.breach("law 6", f"{paper.token} waited {waited_s:.1f} s for a carrier, and one was well all the time")

    def _tied(self, paper: Paper) -> bool:
        """Whether another part of its message has gone to a carrier, so that it waits for that one (law 8)."""
        if not paper.multipart:
            return False
        family = [other for other in self.papers.values() if other.multipart == paper.multipart and other is not paper]
        return any(not (one.refused or one.withdrawn) for other in family for one in other.attempts)

    def _engine_promises(self, session: Session, sm: Message, pdu: Pdu) -> None:
        if pdu.command_status != names.ESME_ROK:
            self.counts["refused"] += 1
            return
        self.counts["promised"] += 1
        part_id = c_string(pdu.body)
        paper = self.papers.get(part_id)
        if paper is None:
            self.breach("law 1", f"{sm.token} was promised as {part_id}, which is not durable")
        elif paper.token != sm.token or paper.esme != session.peer:
            self.breach("law 1", f"{sm.token} of {session.peer} was promised as {part_id}, which is {paper.token}")
        elif paper.promised:
            self.breach("law 1", f"{part_id} was promised twice")
        else:
            paper.promised = True

    def _engine_answers_receipt(self, session: Session, sm: Message, pdu: Pdu) -> None:
        if pdu.command_status != names.ESME_ROK or not sm.is_receipt:
            return
        key = (session.peer, sm.receipt[0])
        self._answered[key] += 1
        if self._answered[key] > self._receipts[key]:
            self.breach("law 3", f"receipt {key[1]} of {session.peer} is answered and not durable")
        for paper in self._meant(session.peer, sm):
            paper.answers(sm.receipt[1], trio.current_time())

    def _engine_tells(self, session: Session, sm: Message) -> None:
        if not sm.is_receipt:
            return
        part_id, word = sm.receipt
        paper = self.papers.get(part_id)
        if paper is None or paper.esme != session.peer:
            self.breach("law 4", f"{session.peer} is told of {part_id}, which is none of its parts")
            return
        if paper.told_word and paper.told_word != word:
            self.breach("law 5", f"{part_id} was told as {paper.told_word}, now as {word}")
        if all(one.not_said(word, sm.err) for one in self._speaks_for(paper)):
            self.breach("law 5", f"{part_id} is told {word} {sm.err}, its carriers said {sorted(paper.said)}")
        self.counts["told again"] += paper.tells > 0
        # What was refused or lost goes again; so does what timed out, and that may stand in the buffer of a clogged
        # link while the late answer comes: at most one copy for each time out before that answer.
        copies = 1 + paper.reasons + max(0.0, paper.acknowledged_at - paper.accepted_at) // self._tell_timeout_s
        if paper.acknowledged_in == self.life and paper.tells >= copies:
            self.breach("law 4", f"{part_id} is told again after {paper.esme} answered for it")
        elif 0 <= paper.ticked_in < self.life:
            self.breach("law 4", f"{part_id} is told again, and it had left the outbox in an earlier life")
        paper.tells += 1
        paper.told_word = word

    # -- what became durable ------------------------------------------------------------------------------------------

    def new_life(self) -> None:
        """An engine starts on this store."""
        self.life += 1
        for pace in self.paces.values():
            pace.level = 0.0

    def durable_accept(self, part_id: str, body: bytes, esme: str, wants_receipt: int, validity_s: float) -> None:
        """A part is accepted; `body` as it was submitted."""
        sm = message(body)
        if part_id in self.papers:
            self.breach("law 1", f"{part_id} is accepted twice")
        multipart = ""
        if sm.part_of is not None:
            multipart = f"{esme} {sm.source} {sm.destination} {sm.part_of[0]}"
        parts = sm.part_of[1] if sm.part_of is not None else 1
        paper = Paper(part_id, sm.token, esme, wants_receipt, multipart, trio.current_time(), validity_s, parts)
        self.papers[part_id] = paper
        self.by_token[sm.token].append(paper)

    def durable_attempt(self, part_ids: list[str], carrier: str, bind: str, merged: bool) -> None:
        """An attempt of each of these parts; `merged`: in one submit."""
        for part_id in part_ids:
            paper = self.papers[part_id]
            paper.attempts.append(Attempt(carrier, bind, together=tuple(part_ids) if merged else ()))
            if paper.multipart:
                self._one_way(paper, carrier, bind)

    def _one_way(self, paper: Paper, carrier: str, bind: str) -> None:
        family = [other for other in self.papers.values() if other.multipart == paper.multipart]
        if len({other.token for other in family}) < len(family):
            return  # its platform sent a part again: nobody can tell that from another message of the same reference
        for other in family:
            for attempt in other.attempts:
                if other is paper or attempt.refused or attempt.withdrawn:
                    continue
                if (attempt.carrier, attempt.bind) != (carrier, bind):
                    self.breach("law 8", f"{paper.token} goes by {bind}, its part {other.token} went by {attempt.bind}")

    def durable_taken(self, part_id: str, attempt: int, message_id: str) -> None:
        """The carrier took this attempt, and calls it so."""
        attempts = self.papers[part_id].attempts
        if attempt >= len(attempts):
            return
        attempts[attempt].taken = message_id
        for other in attempts[attempt].together if message_id else ():
            for one in self.papers[other].attempts:
                if one.together == attempts[attempt].together and not (one.taken or one.refused or one.withdrawn):
                    one.taken = message_id

    def durable_refusal(self, part_id: str, attempt: int, throttled: bool) -> None:
        """The carrier refused this attempt, or throttled it."""
        self.papers[part_id].refuse(attempt, throttled)

    def durable_withdrawal(self, part_ids: list[str]) -> None:
        """The last attempt of these never left."""
        for part_id in part_ids:
            attempt = self.papers[part_id].attempts[-1]
            attempt.withdrawn = True

    def durable_doubt(self, part_ids: list[str]) -> None:
        """Nobody knows what became of the last attempt of these; a route may end them for that."""
        for part_id in part_ids:
            if attempts := self.papers[part_id].attempts:
                attempts[-1].doubted = True

    def durable_resend(self, part_ids: list[str]) -> None:
        """These were in doubt and may go again."""
        for part_id in part_ids:
            self.papers[part_id].attempts[-1].resent = True

    def durable_receipt(self, carrier: str, message_ids: list[str], state: str) -> None:
        """A receipt of this carrier, under each id it may mean; `state` is "" for a word on the way."""
        written = frozenset(form for message_id in message_ids for form in forms(message_id))
        for form in written:
            self._receipts[carrier, form] += 1
        self._words.append(Word(carrier, written, state, trio.current_time()))

    def durable_told(self, part_ids: list[str], dropped: bool) -> None:
        """These leave their ESME's outbox."""
        for part_id in part_ids:
            paper = self.papers[part_id]
            if paper.acknowledged_in < 0 and not dropped:
                self.breach("law 4", f"{part_id} leaves the outbox and {paper.esme} has not answered for it")
            paper.ticked_in = self.life

    # -- when all is over ---------------------------------------------------------------------------------------------

    def at_rest(
        self, stories: Mapping[str, Story | None], handsets: Mapping[str, int], counted: Mapping[str, int]
    ) -> None:
        """Judge the end: `stories` by part id, as the store opened again tells them; `handsets` how often each token
        was delivered, by the carriers' own truth; `counted` by the engine over all its lives."""
        for part_id, paper in self.papers.items():
            story = stories[part_id]
            if story is None:
                self.breach("law 1", f"{part_id} ({paper.token}) was accepted and the store does not know it")
            elif not story.final or not story.at_rest:
                self.breach("law 1", f"{part_id} ({paper.token}) is {story.state} at rest: {story.why}")
            else:
                self._final(paper, story)
        for papers in families.of(self.papers.values(), self._as_one):
            for law, text in families.faults(papers, stories, self.closed):
                self.breach(law, text)
        for token, papers in self.by_token.items():
            if not self.copies[token]:
                self._waited(papers[0], trio.current_time())
            self._duplicates(token, [(paper, stories[paper.part_id]) for paper in papers], handsets.get(token, 0))
        if self.clocks_agree:
            for text in unheeded(self.papers.values(), self._words, self._terms, stories):
                self.breach("law 3", text)
        states = Counter(story.state for story in stories.values() if story is not None)
        for name, mine in (
            ("accepted", len(self.papers)),
            ("delivered", states["DELIVERED"]),
            ("expired", states["EXPIRED"]),
            ("handed_over", states["ACCEPTED"]),
        ):
            if counted[name] != mine:
                self.breach("the books", f"the engine counted {counted[name]} {name}, there are {mine}")
        for token in handsets:
            if token not in self.by_token:
                self.breach("law 6", f"{token} reached a handset and was never accepted")
        for session in self._sessions.values():
            for (by_engine, _), pdu in session.owed.items():
                if not by_engine:
                    self.breach("one answer each", f"{session.link}: {describe(pdu)} was never answered")

    def _speaks_for(self, paper: Paper) -> list[Paper]:
        """The parts that its receipt tells of."""
        if not paper.multipart or paper.esme not in self._as_one:
            return [paper]
        return [one for one in self.papers.values() if one.multipart == paper.multipart]

    def _final(self, paper: Paper, story: Story) -> None:
        if not paper.multipart or paper.esme not in self._as_one:
            self._told_of(paper, story)
        if story.state in SAID_BY_CARRIERS and WORD_OF_STATE[story.state] not in paper.words:
            self.breach("law 3", f"{paper.part_id} is {story.state} and carriers said {sorted(paper.words)}")
        # An attempt that something overtook on its way to the disk (an expiry) is durable, and no attempt.
        known = Counter((attempt.carrier, attempt.bind) for attempt in paper.attempts)
        if not Counter((attempt.carrier, attempt.bind) for attempt in story.attempts) <= known:
            self.breach("law 2", f"{paper.part_id} tells of attempts that were never durable: {story.attempts}")

    def _told_of(self, paper: Paper, story: Story) -> None:
        """Its own receipt tells how it ended, if it was asked for."""
        if paper.told_word and WORD_OF_STATE.get(story.state) != paper.told_word:
            self.breach("law 5", f"{paper.part_id} was told as {paper.told_word} and is {story.state}")
        if self.clocks_agree and len(self.by_token[paper.token]) == 1 and (why := paper.overruled()):
            self.breach("law 5", f"{paper.part_id}: {why}")
        owes = paper.wants_receipt == 1 or (paper.wants_receipt == 2 and story.state != "DELIVERED")
        if owes and paper.ticked_in < 0:
            self.breach("law 4", f"{paper.part_id} ended {story.state} and {paper.esme} was not told")
        if not owes and paper.tells:
            self.breach("law 4", f"{paper.part_id} asked for no receipt and was told")

    def _duplicates(self, token: str, papers: list[tuple[Paper, Story | None]], handsets: int) -> None:
        allowed = sum(1 + sum(a.resent for a in story.attempts) for _, story in papers if story is not None)
        copies = self.copies[token]
        taken = sum(copy.read and not copy.status for copy in copies)
        self.counts["handset duplicates"] += max(0, handsets - len(papers))
        if taken > allowed:
            self.breach("law 6", f"{token}: {taken} copies a carrier may have taken, {allowed} are explained")
        if handsets > allowed:
            self.breach("law 6", f"{token}: its handset got it {handsets} times, {allowed} are explained")
        told = [attempt for _, story in papers if story is not None for attempt in story.attempts]
        attempts = sum(1 + attempt.repeats for attempt in told if not attempt.withdrawn)
        if len(copies) > attempts:
            self.breach("law 2", f"{token}: {len(copies)} copies were written, {attempts} attempts tell of it")


BINDS = frozenset({names.BIND_TRANSMITTER, names.BIND_RECEIVER, names.BIND_TRANSCEIVER})
WORD_OF_MESSAGE_STATE = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}
SAID_BY_CARRIERS = frozenset({"DELIVERED", "DELETED", "UNDELIVERABLE"})
"""States that only a carrier's receipt, or its answer to a query, brings; the others may be our own verdict."""
