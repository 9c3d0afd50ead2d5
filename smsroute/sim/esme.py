"""A simulated platform: binds to an SMSC, submits a workload, and keeps what it was promised.

Rules:
- It believes only what it sees: a message is promised when ESME_ROK came, told when a receipt with its id came. Nothing
  is inferred, so its book can be held against a carrier's truth.
- Like real clients it sends a refused message again after a while (RETRIED), reconnects when a link dies, and does not
  send again what it never got an answer for, unless told to.
- Batches: one read, one list, one top-up of the window, one write. No task and no timer per message.

Walk: `run` keeps the binds up; `_received` sorts a batch; `_top_up` fills windows at the asked rate; `report` and
`promises` say how it went.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import attrs
import trio

from smsroute.ports import Clock, Ports
from smsroute.sim.book import DOUBTED, Book, Promise
from smsroute.sim.link import SimLink
from smsroute.sim.meter import Histogram
from smsroute.sim.wheel import Wheel
from smsroute.sim.wire import read_receipt
from smsroute.sim.workload import Workload
from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    BindRefused,
    Bound,
    Received,
    Request,
    Response,
    Role,
    Session,
    SessionLimits,
    TimedOut,
)

RETRIED: Final = frozenset({names.ESME_RTHROTTLED, names.ESME_RMSGQFUL, names.ESME_RSYSERR})
BATCH_MAX: Final = 500
PACE_STEP_S: Final = 0.005
ROUNDING: Final = 1e-6  # ten steps of 0.1 are a little less than 1
HANDSET_TEXTS_MAX: Final = 1000

BindMode = Literal["transmitter", "receiver", "transceiver"]
BIND_COMMANDS: Final[dict[str, int]] = {
    "transmitter": names.BIND_TRANSMITTER,
    "receiver": names.BIND_RECEIVER,
    "transceiver": names.BIND_TRANSCEIVER,
}
Acks = Literal["yes", "no", "refuse"]
Heard = Callable[[str, str, bytes, float], None]
"""What is told of each receipt: (message id, final word, deliver_sm body, monotonic seconds)."""

COUNTED: Final = (
    "accepted",
    "told",
    "refused",
    "retried",
    "doubted",
    "receipts_doubled_or_unknown",
    "deliveries_refused",
    "from_handsets",
    "unreadable",
    "other_requests",
    "binds_made",
    "binds_refused",
    "connects_refused",
    "links_lost",
)
"""Keys of `SimEsme.counts`."""


@attrs.frozen(kw_only=True)
class EsmeSettings:
    """How a simulated platform behaves. Times in seconds."""

    system_id: str = "acme"
    password: str = "secret"
    system_type: str = ""
    interface_version: int = 0x34
    binds: tuple[BindMode, ...] = ("transceiver",)
    window: int = 500  # unanswered submits per bind
    rate: float = 0.0  # messages per second over all binds; 0 = as fast as the window allows
    retry_s: float = 1.0  # wait before a refused message goes again
    retries_max: int = 100  # per message
    resubmit_doubted: bool = False  # send again what got no answer: real clients that do make duplicates
    reconnect_s: float = 1.0
    response_timeout_s: float = 60.0
    enquire_link_s: float = 0.0  # 0 = never
    acks: Acks = "yes"  # what it does with receipts: answer, stay silent, refuse
    refusal: int = names.ESME_RSYSERR  # command_status of refused receipts
    keep: bool = True  # keep ids after their receipt, so that doubles are seen; costs memory
    first_sequence: int = 1


class EsmeLink(SimLink):
    """One bind of ours."""

    name = ""
    transmits = False


class SimEsme:
    """One customer's platform."""

    def __init__(
        self, workload: Workload, settings: EsmeSettings | None = None, *, name: str = "", heard: Heard | None = None
    ) -> None:
        self.settings = settings or EsmeSettings()
        self.name = name or self.settings.system_id
        self.workload = workload
        self._heard = heard
        self.acks: Acks = self.settings.acks
        self.counts: Counter[str] = Counter()
        self.response_latency = Histogram()
        self.receipt_latency = Histogram()
        self.handset_texts: deque[bytes] = deque(maxlen=HANDSET_TEXTS_MAX)
        """deliver_sm bodies that were no receipts, the latest."""
        self._rate = self.settings.rate
        self._paused = False
        self._book = Book()
        self._next = 0
        self._again: deque[int] = deque()
        self._retries: Counter[int] = Counter()
        self._retrying = 0
        self._outstanding = 0
        self._allowance = 0.0
        self._links: list[EsmeLink] = []
        self._statuses: Counter[int] = Counter()
        self._ending = False
        self._stopping = False
        self._more = trio.Event()
        self._changed = trio.Event()
        self._limits = SessionLimits(
            window=self.settings.window,
            response_timeout_s=self.settings.response_timeout_s,
            enquire_link_s=self.settings.enquire_link_s,
        )

    # What a person or a test may turn while it runs

    @property
    def rate(self) -> float:
        """Messages per second over all binds; 0 = as fast as the windows allow."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self._allowance = 0.0
        self._go_on()

    @property
    def paused(self) -> bool:
        """Whether it holds its submits back; receipts are taken all the same."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._go_on()

    def _go_on(self) -> None:
        self._more.set()
        if self._links and not self._rate:
            self._top_up(self._links, self._clock.monotonic())

    def drop_links(self) -> None:
        """Cut every TCP connection, without a word; they are dialled again."""
        for link in list(self._links):
            link.cut("dropped")

    def finish(self) -> None:
        """Begin nothing new; what was refused still goes again, responses and receipts are awaited."""
        self._ending = True
        self._go_on()
        self._tell()

    def stop(self) -> None:
        """Unbind everywhere; `run` returns once the binds are gone."""
        self._stopping = True
        now = self._clock.monotonic()
        for link in list(self._links):
            if link.session.bound:
                link.send(link.session.unbind(now))
                link.watch(now)
            else:
                link.cut("stopped")
        self._tell()

    @property
    def bound(self) -> int:
        """Binds that stand now."""
        return sum(link.session.bound for link in self._links)

    @property
    def links(self) -> int:
        """TCP connections that stand now, bound or not."""
        return len(self._links)

    @property
    def submitted_all(self) -> bool:
        """Whether the workload has been submitted and answered, or given up."""
        return self._nothing_new and not self._again and not self._retrying and not self._outstanding

    @property
    def _nothing_new(self) -> bool:
        return self._ending or (bool(self.workload.messages) and self._next >= self.workload.messages)

    @property
    def untold(self) -> int:
        """Messages promised with a receipt asked for, and no receipt yet."""
        return self.counts["accepted"] - self.counts["told"] if self.workload.registered_delivery == 1 else 0

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.submitted_all and self.untold <= 0

    async def wait_for(self, ready: Callable[[SimEsme], bool]) -> None:
        """Return once `ready(self)`, which is asked after every batch."""
        while not ready(self):
            await self._changed.wait()

    def _tell(self) -> None:
        """Wake everybody in `wait_for`."""
        self._changed.set()
        self._changed = trio.Event()

    def promises(self) -> Iterator[Promise]:
        """The book, message by message."""
        return self._book.promises(self.workload, self._next)

    def report(self) -> dict[str, Any]:
        """Counters, rates and latencies for people and JSON."""
        counts = self.counts
        return {
            "esme": self.name,
            "binds": self.bound,
            "submitted": self._next,
            **{key: counts[key] for key in COUNTED},
            "unanswered": self._outstanding,
            "untold": self.untold,
            "unclaimed_receipts": len(self._book.early),
            "statuses": {names.status_name(code): n for code, n in sorted(self._statuses.items())},
            "words": dict(sorted(self._book.word_counts.items())),
            "first_submit_at": self._book.submitted_at[0] if self._next else 0.0,
            "last_response_at": self._book.last_response_at,
            "last_receipt_at": self._book.last_receipt_at,
            "response": self.response_latency.as_dict(),
            "receipt": self.receipt_latency.as_dict(),
        }

    # The life of it

    async def run(
        self, ports: Ports, host: str, port: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep the binds up and submit until cancelled, or until `stop` has unbound them all."""
        self._clock: Clock = ports.clock
        self._network = ports.network
        self._wheel = Wheel(ports.clock, self._after_wheel)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wheel.run)
            nursery.start_soon(self._pace)
            task_status.started()
            async with trio.open_nursery() as binds:
                for number, mode in enumerate(self.settings.binds, 1):
                    binds.start_soon(self._keep_bound, f"{self.name}-{number}", mode, host, port)
            nursery.cancel_scope.cancel()

    async def _keep_bound(self, name: str, mode: BindMode, host: str, port: int) -> None:
        while not self._stopping:
            try:
                stream = await self._network.connect(host, port)
            except OSError:
                self.counts["connects_refused"] += 1
            else:
                await self._one_link(name, mode, stream)
            if not self._stopping:
                await self._clock.sleep_until(self._clock.monotonic() + self.settings.reconnect_s)

    async def _one_link(self, name: str, mode: BindMode, stream: trio.abc.Stream) -> None:
        now = self._clock.monotonic()
        settings = self.settings
        session = Session(Role.ESME, self._limits, now, first_sequence=settings.first_sequence)
        link = EsmeLink(stream, session, self._clock, self._wheel)
        link.name = name
        link.transmits = mode != "receiver"
        self._links.append(link)
        link.send(
            session.bind(
                BIND_COMMANDS[mode],
                now,
                system_id=settings.system_id,
                password=settings.password,
                system_type=settings.system_type,
                version=settings.interface_version,
            )
        )
        try:
            await link.run(self._received)
        finally:
            self._links.remove(link)
            self.counts["links_lost"] += not self._stopping
            self._doubt(session.lost(link.reason))  # type: ignore[arg-type]  # what _top_up gave
            self._tell()

    async def _pace(self) -> None:
        """At an asked rate: every few milliseconds, submit what has become due (at most one second's worth at once)."""
        last = self._clock.monotonic()
        while True:
            if not self._rate or self._paused or not self._links or self._exhausted():
                await self._more.wait()
                self._more = trio.Event()
                last = self._clock.monotonic()
                continue
            await self._clock.sleep_until(last + max(PACE_STEP_S, 1.0 / self._rate))
            now = self._clock.monotonic()
            self._allowance = min(self._allowance + self._rate * (now - last), max(1.0, self._rate))
            last = now
            self._top_up(self._links, now)

    def _exhausted(self) -> bool:
        return not self._again and self._nothing_new

    # A batch from one link

    def _received(self, link: EsmeLink, received: list[Received], now: float) -> None:
        responses: list[Response] = []
        requests: list[Request] = []
        for item in received:
            kind = type(item)
            if kind is Response:
                assert isinstance(item, Response)
                responses.append(item)
            elif kind is Request:
                assert isinstance(item, Request)
                requests.append(item)
            elif kind is Bound:
                self.counts["binds_made"] += 1
                self._more.set()
            elif kind is BindRefused:
                self.counts["binds_refused"] += 1
                link.cut("bind refused")
            elif kind is TimedOut:
                assert isinstance(item, TimedOut)
                self._doubt([item.token])  # type: ignore[list-item]  # what _top_up gave
        if responses:
            self._responses(responses, now)
        if requests:
            self._requests(link, requests, now)
        self._top_up((link,), now)
        self._tell()

    def _responses(self, responses: list[Response], now: float) -> None:
        latency, book = self.response_latency, self._book
        statuses = book.statuses
        accepted = told = same = 0
        sent_at = responses[0].sent_at
        for response in responses:
            if response.sent_at != sent_at:
                latency.add(now - sent_at, same)
                sent_at, same = response.sent_at, 0
            same += 1
            status = response.command_status
            if not response.late:
                self._outstanding -= 1
            number: int = response.token  # type: ignore[assignment]  # what _top_up gave
            if status == names.ESME_ROK:
                accepted += statuses[number] != names.ESME_ROK
                told += book.accepted(number, codec.response_message_id(response.body), self.receipt_latency, now)
            else:
                self._refused(number, status, now)
        latency.add(now - sent_at, same)
        self.counts["accepted"] += accepted
        self.counts["told"] += told

    def _refused(self, number: int, status: int, now: float) -> None:
        self._statuses[status] += 1
        if status in RETRIED and self._retries[number] < self.settings.retries_max:
            self._retries[number] += 1
            self.counts["retried"] += 1
            self._retrying += 1
            self._wheel.add(now + self.settings.retry_s, self._retry, number)
        elif self._book.statuses[number] != names.ESME_ROK:
            self._book.statuses[number] = status
            self.counts["refused"] += 1

    def _retry(self, number: int) -> None:
        self._retrying -= 1
        self._again.append(number)

    def _after_wheel(self) -> None:
        self._go_on()

    def _doubt(self, numbers: Iterable[int]) -> None:
        """No answer will come for these (unless late)."""
        for number in numbers:
            self._outstanding -= 1
            self.counts["doubted"] += 1
            if self._book.statuses[number] != names.ESME_ROK:
                self._book.statuses[number] = DOUBTED
            if self.settings.resubmit_doubted:
                self._again.append(number)
        self._more.set()

    def _requests(self, link: EsmeLink, requests: list[Request], now: float) -> None:
        refusal = {"yes": names.ESME_ROK, "refuse": self.settings.refusal, "no": -1}[self.acks]
        rows: list[tuple[int, int, str]] = []
        told = 0
        for request in requests:
            pdu = request.pdu
            if pdu.command_id != names.DELIVER_SM:
                self.counts["other_requests"] += 1
                link.send(codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDID, pdu.sequence_number))
                continue
            rows.append((refusal, pdu.sequence_number, ""))
            if refusal:
                self.counts["deliveries_refused"] += 1
                continue
            try:
                receipt = read_receipt(pdu.body)
            except (ValueError, IndexError):
                self.counts["unreadable"] += 1
                continue
            if receipt is None:
                self.counts["from_handsets"] += 1
                self.handset_texts.append(pdu.body)
                continue
            if self._heard is not None:
                self._heard(*receipt, pdu.body, now)
            if self._book.told(*receipt, self.receipt_latency, now, self.settings.keep):
                told += 1
            else:
                self.counts["receipts_doubled_or_unknown"] += 1
        self.counts["told"] += told
        if rows and refusal >= 0:
            link.send(codec.build_responses(names.DELIVER_SM, rows))

    # Out

    def _top_up(self, links: Sequence[EsmeLink], now: float) -> None:
        """Fill the windows of `links` with what is due."""
        if self._paused or self._stopping:
            return
        for link in links:
            if not (link.transmits and link.up and link.session.bound):
                continue
            room = min(link.session.room, BATCH_MAX)
            if self._rate:
                room = min(room, int(self._allowance + ROUNDING))
            numbers = self._due(room)
            if not numbers:
                continue
            self._allowance -= len(numbers)
            self._outstanding += len(numbers)
            self._book.submitted(numbers, now)
            bodies = self.workload.bodies(numbers)
            link.send(link.session.send_requests(names.SUBMIT_SM, bodies, numbers, now))
            link.watch(now)

    def _due(self, count: int) -> list[int]:
        """Up to `count` message numbers to submit now: those to go again first."""
        again = [self._again.popleft() for _ in range(min(count, len(self._again)))]
        count -= len(again)
        if self._ending:
            count = 0
        elif self.workload.messages:
            count = min(count, self.workload.messages - self._next)
        if count <= 0:
            return again
        fresh = range(self._next, self._next + count)
        self._next += count
        return [*again, *fresh]
