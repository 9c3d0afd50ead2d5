"""A simulated carrier: an SMSC with a temperament, and the truth about what its handsets got.

Rules:
- Batches: one read gives a list of submits, one answer list, one write. Waiting is done by the coarse wheel; no task
  and no timer per message.
- The truth is counted where a real SMSC would take a message: at its acceptance, whatever becomes of the response.
- A receipt follows its response unless the temperament sends it early; it goes to the bind that submitted, another one,
  or whichever bind of the account comes up next. Unanswered receipts are sent again, as real carriers do.
- All I/O through ports: real TCP and the simulated world run the same file.

Walk: `SimCarrier.run` accepts streams; `_received` sorts a batch; `_submits` judges it; `_answer` writes responses;
`_deliver` queues receipts; `_flush` writes.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import trio

from smsroute.ports import Clock, Listener, Ports
from smsroute.sim.account import COUNTED, RETRIED, Account, CarrierLink, Judged, Notice, Row, Seen
from smsroute.sim.asked import Asked
from smsroute.sim.carrierbook import Entry
from smsroute.sim.handsets import Handsets
from smsroute.sim.judge import Judge
from smsroute.sim.teller import CONFLICTS_AFTER_S, Segments, Teller, entry
from smsroute.sim.temperament import Mode, ReceiptsOn, Temperament
from smsroute.sim.wheel import Wheel
from smsroute.sim.wire import Submit, mobile_originated, read_submit, wants_receipt
from smsroute.smpp import codec, names
from smsroute.smpp.session import BindRequest, Received, Request, Response, Role, Session, SessionLimits, TimedOut

RECEIPT_RETRY_S: Final = 5.0
RECEIPT_WINDOW: Final = 500
RESPONSE_TIMEOUT_S: Final = 30.0
BIND_TIMEOUT_S: Final = 30.0
TLVS_FROM_VERSION: Final = 0x34


class SimCarrier:
    """One operator's SMSC."""

    def __init__(
        self,
        name: str = "carrier",
        *,
        temperament: Temperament | None = None,
        mode: Mode = Mode.KIND,
        system_id: str | None = None,
        password: str | None = None,
        keep_truth: bool = True,
        receipt_window: int = RECEIPT_WINDOW,
        first_sequence: int = 1,
        seen: Seen | None = None,
        keep_book: bool = False,
    ) -> None:
        """`system_id` and `password` of None take anybody. `keep_truth` counts handset deliveries, `keep_book` writes
        down every message and receipt (both cost memory)."""
        self.name = name
        self.port = 0
        self.handsets = Handsets()
        self.counts: Counter[str] = Counter()
        self._temperament = temperament or Temperament()
        self._mode = mode
        self._system_id = system_id
        self._password = password
        self._keep_truth = keep_truth
        self._first_sequence = first_sequence
        self._seen = seen
        self.book: list[Entry] | None = [] if keep_book else None
        self._segments = Segments()
        self._limits = SessionLimits(
            window=receipt_window,
            response_timeout_s=RESPONSE_TIMEOUT_S,
            bind_timeout_s=BIND_TIMEOUT_S,
            enquire_link_s=0.0,
        )
        self._accounts: dict[str, Account] = {}
        self._links: dict[CarrierLink, None] = {}
        self._dirty: dict[CarrierLink, None] = {}
        self._links_made = 0
        self._changed = trio.Event()
        self._door = trio.CancelScope()
        self._statuses: Counter[int] = Counter()
        self._asked = Asked()
        self._receipts_due = 0
        self._second = self._second_submits = 0
        self._running = False
        self._work_out()

    # What a person or a test may turn while it runs

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._work_out()

    @property
    def temperament(self) -> Temperament:
        return self._temperament

    @temperament.setter
    def temperament(self, temperament: Temperament) -> None:
        self._temperament = temperament
        self._work_out()

    def drop_links(self) -> None:
        """Cut every TCP connection, without a word."""
        for link in list(self._links):
            link.cut("dropped")

    def unbind_links(self) -> None:
        """Say unbind on every bind, as a carrier does for its night's maintenance."""
        now = self._clock.monotonic()
        for link in self._links:
            if link.session.bound:
                link.send(link.session.unbind(now))
                link.watch(now)

    def mobile_originated(self, source_addr: str, destination_addr: str, text: bytes, parted: bool = False) -> bool:
        """A handset writes to a customer: a deliver_sm on any bind that receives. False when there is none."""
        for account in self._accounts.values():
            for link in account.receivers():
                body = mobile_originated(source_addr, destination_addr, text, parted)
                link.waiting.append(Notice(names.DELIVER_SM, body))
                self._flush(link)
                return True
        return False

    def stats(self) -> dict[str, Any]:
        """Counters and gauges for people and JSON."""
        return {
            "carrier": self.name,
            "mode": self._mode.value,
            "binds": sum(1 for link in self._links if link.account is not None),
            **{key: self.counts[key] for key in COUNTED},
            "statuses": {names.status_name(code): n for code, n in sorted(self._statuses.items())},
            "receipts_waiting": self.receipts_waiting,
            **self.handsets.stats(),
        }

    @property
    def receipts_waiting(self) -> int:
        """Receipts not yet answered: waiting for their time, for a bind, for room, or for their response."""
        queued = sum(len(account.waiting) for account in self._accounts.values())
        queued += sum(len(link.waiting) + len(link.early) + len(link.session.in_flight) for link in self._links)
        return queued + self._receipts_due

    # The life of it

    async def run(
        self,
        ports: Ports,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen and serve until cancelled; `started` gives the port. Raises OSError when the port is taken."""
        self._clock: Clock = ports.clock
        self._rng = ports.entropy.rng(f"sim.carrier.{self.name}")
        drawn = self._rng.randrange(0x10000000, 0x7FFFFFFF)
        self._next_number = int(self._temperament.first_id) or drawn
        self._wheel = Wheel(ports.clock, self._flush_dirty)
        self._running = True
        self._work_out()
        listener = await ports.network.listen(host, port)
        self.port = listener.port
        task_status.started(self.port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wheel.run)
            while True:
                await self._keep_open(listener)
                while self._mode is Mode.CLOSED:
                    await self._changed.wait()
                    self._changed = trio.Event()
                listener = await ports.network.listen(host, self.port)

    async def _keep_open(self, listener: Listener) -> None:
        with trio.CancelScope() as self._door:
            if self._mode is Mode.CLOSED:
                self._door.cancel()
            await listener.serve(self._serve)
        await listener.aclose()

    def _work_out(self) -> None:
        """Read temperament and mode again."""
        self._changed.set()
        if not self._running:
            return
        self._judge = Judge(self._temperament, self._mode, self._rng, self._clock.monotonic())
        self._teller = Teller(self._judge, self.counts, self._clock)
        for link in self._links:
            link.mute = not self._judge.habit.answers
            self._dirty[link] = None
        self._flush_dirty()
        if self._mode is Mode.CLOSED:
            self._door.cancel()

    async def _serve(self, stream: trio.abc.Stream, peer: str) -> None:
        now = self._clock.monotonic()
        session = Session(Role.SMSC, self._limits, now, first_sequence=self._first_sequence)
        link = CarrierLink(stream, session, self._clock, self._wheel)
        link.start()
        self._links_made += 1
        link.name = f"{self.name}-{self._links_made}"
        link.mute = not self._judge.habit.answers
        self._links[link] = None
        try:
            await link.run(self._received)
        finally:
            self._gone(link)

    def _gone(self, link: CarrierLink) -> None:
        """A link died: what it had in flight and in hand goes back to the account, oldest first."""
        self._links.pop(link, None)
        self._dirty.pop(link, None)
        unanswered: list[Notice] = link.session.lost(link.reason)  # type: ignore[assignment]  # as `_requests` gave them
        account = link.account
        if account is None:
            return
        account.links.remove(link)
        account.waiting.extendleft(reversed([*unanswered, *link.early, *link.waiting]))
        for other in account.receivers():
            self._flush(other)

    # A batch from one link

    def _received(self, link: CarrierLink, received: list[Received], now: float) -> None:
        submits: list[Request] = []
        for item in received:
            kind = type(item)
            if kind is Request:
                assert isinstance(item, Request)
                if item.pdu.command_id == names.SUBMIT_SM:
                    submits.append(item)
                else:
                    self._other(link, item)
            elif kind is Response:
                assert isinstance(item, Response)
                self._answered(link, item, now)
            elif kind is BindRequest:
                assert isinstance(item, BindRequest)
                self._bind(link, item, now)
            elif kind is TimedOut:
                assert isinstance(item, TimedOut)
                self.counts["receipts_unanswered"] += 1
                link.waiting.append(item.token)  # type: ignore[arg-type]  # as `_requests` gave it
        if submits:
            self._submits(link, submits, now)
        self._dirty[link] = None
        self._flush_dirty()

    def _bind(self, link: CarrierLink, request: BindRequest, now: float) -> None:
        status = names.ESME_ROK
        account = self._accounts.get(request.system_id)
        if self._system_id is not None and request.system_id != self._system_id:
            status = names.ESME_RINVSYSID
        elif self._password is not None and request.password != self._password:
            status = names.ESME_RINVPASWD
        elif account is not None and 0 < self._temperament.binds_max <= len(account.links):
            status = names.ESME_RALYBND
        self.counts["binds_refused" if status else "binds_accepted"] += 1
        link.send(link.session.respond_bind(request, status, self.name, now))
        if status:
            return
        if account is None:
            account = self._accounts[request.system_id] = Account(request.system_id)
        account.links.append(link)
        link.account = account
        link.receiver = request.command_id != names.BIND_TRANSMITTER
        link.tlvs = request.interface_version >= TLVS_FROM_VERSION

    def _other(self, link: CarrierLink, request: Request) -> None:
        """What is no submit. What this carrier does not do gets the answer of a plain SMSC (3.4 section 5.1.3)."""
        self.counts["other_requests"] += 1
        query = request.pdu.command_id == names.QUERY_SM
        if query and self._temperament.query_sm:
            self.counts["queries"] += 1
            status, body = self._asked.answer(request.pdu.body)
            link.send(codec.pdu(names.QUERY_SM_RESP, status, request.pdu.sequence_number, body))
            return
        answer = (names.QUERY_SM_RESP, names.ESME_RQUERYFAIL) if query else (names.GENERIC_NACK, names.ESME_RINVCMDID)
        link.send(codec.pdu(*answer, request.pdu.sequence_number))

    def _answered(self, link: CarrierLink, response: Response, now: float) -> None:
        if response.late:
            return
        if response.command_status == names.ESME_ROK:
            self.counts["receipts_answered"] += 1
            notice: Notice = response.token  # type: ignore[assignment]  # as `_requests` gave it
            notice.answered(now)
        elif response.command_status in RETRIED:
            self.counts["receipts_refused"] += 1
            self._receipts_due += 1
            self._wheel.add(now + RECEIPT_RETRY_S, self._again, (link, response.token))
        else:
            self.counts["receipts_given_up"] += 1

    def _again(self, what: tuple[CarrierLink, Notice]) -> None:
        link, notice = what
        self._receipts_due -= 1
        self._queue(link, [notice])

    # Submits: judged, answered, receipted

    def _submits(self, link: CarrierLink, requests: list[Request], now: float) -> None:
        judge, counts = self._judge, self.counts
        judge.refill(now)
        counts["submits"] += len(requests)
        self._top("unanswered_max", link.unanswered + len(requests))
        self._count_rate(len(requests), now)
        good: list[Judged] = []
        taken: list[Submit] = []
        refused: list[Judged] = []
        wall = self._clock.wall()
        for request in requests:
            pdu = request.pdu
            try:
                submit = read_submit(pdu.body)
            except (ValueError, IndexError):
                counts["unreadable"] += 1
                refused.append(((names.ESME_RINVCMDLEN, pdu.sequence_number, ""), None))
                continue
            status = judge.verdict(link.unanswered + len(good) + len(refused))
            if self._seen is not None:
                self._seen(link.name, now, submit, status)
            if status:
                self._statuses[status] += 1
                refused.append(((status, pdu.sequence_number, ""), None))
            else:
                self._next_number = number = self._next_number + 1
                submit.number, submit.at = number, wall
                taken.append(submit)
                good.append(((names.ESME_ROK, pdu.sequence_number, judge.response_id(number)), submit))
        if judge.habit.takes and taken:
            self._take(taken, now)
        if not judge.habit.answers:
            return
        link.unanswered += len(requests)
        if refused and judge.habit.instant_errors:
            self._answer((link, [row for row, _ in refused], []))
        elif refused:
            self._answer_later(link, refused, now)
        if good:
            self._answer_later(link, good, now)

    def _count_rate(self, submits: int, now: float) -> None:
        self._second_submits = submits + (self._second_submits if int(now) == self._second else 0)
        self._second = int(now)
        self._top("submits_s_max", self._second_submits)

    def _top(self, key: str, value: int) -> None:
        self.counts[key] = max(self.counts[key], value)

    def _take(self, submits: list[Submit], now: float) -> None:
        """These are on their way to their handsets; nothing that happens later takes them back."""
        self._judge.decide_fates(submits)
        if self._temperament.receipts_on is not ReceiptsOn.EVERY:
            self._segments.decide(submits, self._temperament.receipts_on)
        self.counts["taken"] += len(submits)
        if self.book is not None:
            for submit in submits:
                submit.entry = entry(submit, self._judge.response_id(submit.number), now)
                self.book.append(submit.entry)
        if self._temperament.query_sm:
            self._asked.took(submits, self._judge.response_id)
        if self._keep_truth:
            self.handsets.deliver(submits)

    def _answer_later(self, link: CarrierLink, judged: list[Judged], now: float) -> None:
        """Answer after the response delay, in groups that share a wheel step."""
        for wait, items in self._judge.spread(self._judge.habit.response_delay, judged, now):
            rows = [row for row, _ in items]
            submits = [one for _, one in items if one is not None and one.speaks and wants_receipt(one)]
            if not self._judge.habit.receipts:
                submits = []
            elif self._judge.unruly_receipts:
                submits = self._early(link, submits)
            self._receipts_due += len(submits)
            if wait:
                self._wheel.add(now + wait, self._answer, (link, rows, submits))
            else:
                self._answer((link, rows, submits))

    def _answer(self, what: tuple[CarrierLink, list[Row], list[Submit]]) -> None:
        link, rows, submits = what
        link.unanswered -= len(rows)
        link.rows += rows
        self._dirty[link] = None
        if not submits:
            return
        for submit in submits if not link.up and self.book is not None else ():
            submit.entry.died = True  # type: ignore[union-attr]  # it has one
        now = self._clock.monotonic()
        if self._judge.temperament.receipts_intermediate:
            self._queue(link, self._teller.on_the_way(submits, link.tlvs))
        for wait, group in self._judge.spread(self._judge.temperament.receipt_delay, submits, now):
            if wait:
                self._wheel.add(now + wait, self._deliver, (link, group))
            else:
                self._deliver((link, group))

    # Receipts

    def _early(self, link: CarrierLink, submits: list[Submit]) -> list[Submit]:
        """Send the receipts that overtake their response; the others."""
        if not link.receiver:
            return submits
        rest = []
        for submit in submits:
            if self._judge.throw(self._judge.temperament.receipts_early):
                self.counts["receipts_early"] += 1
                if submit.entry is not None:
                    submit.entry.early = True
                link.early += self._teller.final((submit,), link.tlvs)
            else:
                rest.append(submit)
        return rest

    def _deliver(self, what: tuple[CarrierLink, list[Submit]]) -> None:
        """Their receipts' time has come."""
        link, submits = what
        self._receipts_due -= len(submits)
        for submit in submits:
            submit.told = True
        if not self._judge.unruly_receipts:
            self._queue(link, self._teller.final(submits, link.tlvs))
            return
        later = self._clock.monotonic() + CONFLICTS_AFTER_S
        for submit in submits:
            at_once, conflicting = self._teller.notices(submit, link.tlvs)
            if at_once:
                elsewhere = self._judge.throw(self._judge.temperament.receipts_elsewhere)
                self._queue(link, at_once, elsewhere=elsewhere)
            for notice in conflicting:
                self._receipts_due += 1
                self._wheel.add(later, self._again, (link, notice))

    def _queue(self, link: CarrierLink, notices: list[Notice], elsewhere: bool = False) -> None:
        """Put receipts on the bind they belong to: their own, another of the account, or the account's own queue."""
        account = link.account
        assert account is not None
        if elsewhere or not (link.up and link.receiver):
            others = [other for other in account.receivers() if other is not link]
            if others:
                self.counts["receipts_elsewhere"] += len(notices)
                link = self._rng.choice(others)
        if link.up and link.receiver:
            link.waiting.extend(notices)
            self._dirty[link] = None
        else:
            account.waiting.extend(notices)

    # Out

    def _flush_dirty(self) -> None:
        links, self._dirty = self._dirty, {}
        for link in links:
            self._flush(link)

    def _flush(self, link: CarrierLink) -> None:
        """One write of everything this link has to say: early receipts, responses, receipts."""
        if not self._judge.habit.answers or not link.up:
            return
        now = self._clock.monotonic()
        out = []
        if link.early:
            out.append(self._requests(link, link.early, now))
        if link.rows:
            out.append(codec.build_responses(names.SUBMIT_SM_RESP, link.rows))
            link.rows = []
        if link.waiting:
            out.append(self._requests(link, link.waiting, now))
        if link.receiver and link.account is not None and link.account.waiting:
            out.append(self._requests(link, link.account.waiting, now))
        if out:
            link.send(b"".join(out))
            link.watch(now)

    def _requests(self, link: CarrierLink, queue: deque[Notice], now: float) -> bytes:
        """As many requests of `queue` as the window has room for."""
        count = min(len(queue), link.session.room) if link.session.bound else 0
        if count <= 0:
            return b""
        notices = [queue.popleft() for _ in range(count)]
        self.counts["receipts_sent"] += count
        for notice in notices if self.book is not None else ():
            notice.left(link.name, now)
        runs = ((command_id, list(run)) for command_id, run in groupby(notices, key=attrgetter("command_id")))
        send = link.session.send_requests
        return b"".join(send(command_id, [one.body for one in run], run, now) for command_id, run in runs)
