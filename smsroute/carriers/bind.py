"""One bind: a session kept up towards a carrier, with its window and its reservations.

Rules:
- Connect, bind, serve, lose, wait, again: with equal jitter between `reconnect_min_s` and `reconnect_max_s`, doubled at
  each failure in a row. A refusal that only an operator can mend (wrong password or system_id) waits
  `reconnect_refused_s`: hammering gets accounts locked.
- A session that has carried `session_parts_max`, or that the carrier calls wrongly bound (ESME_RINVBNDSTS), is renewed:
  it takes nothing more, unbinds when what it has in flight is answered, and the next one follows. That is no failure of
  the carrier until the next one does not come up.
- `room` is the window less what is in flight and what is reserved; a place is reserved before an attempt is made
  durable and used (`launch`) or given back (`release`) after. So in flight never passes the window (law 7).
- A query_sm takes no place of a submit: at most `queries_max` ride beside the window, and tell nothing of latency.
- A dead link tells what was in flight, in order, and that is in doubt; a part launched on a bind that went down while
  its attempt was written never left, and says so.
- A bind with `outbind` does not dial: it listens, and binds on the link the carrier opens once that has said who it is.
- This is the boundary where a fault of ours in one session ends one link, is logged with its trace, counted, and
  nothing else.

Walk: run by `engine`, one task each; `carriers/dispatch` reserves and launches; what comes in goes to `Desk`
(`carriers/dispatch` for answers and losses, `carriers/receipts` for deliver_sm).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, cast

import attrs
import structlog
import trio

from smsroute.carriers.ears import Ears
from smsroute.carriers.form import form_of
from smsroute.config import BindConfig, Carrier, Limits
from smsroute.link import Link, session_limits
from smsroute.message import Part
from smsroute.ports import Ports
from smsroute.smpp import names
from smsroute.smpp.binding import read_outbind
from smsroute.smpp.codec import Pdu, PduError
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
from smsroute.tls import client_context

log: Final = structlog.get_logger("smsroute.bind")

Row = tuple[Part, int, str]
"""A part, the index of its attempt and the network it was routed by: the token of a request in flight."""


@attrs.frozen
class Query:
    """A question what became of an attempt its carrier took: the token of a query_sm in flight."""

    part_id: str
    attempt: int  # index into Part.attempts
    message_id: str  # as the carrier gave it
    body: bytes


COMMANDS: Final = {
    "transceiver": names.BIND_TRANSCEIVER,
    "transmitter": names.BIND_TRANSMITTER,
    "receiver": names.BIND_RECEIVER,
}
TRYING: Final = frozenset({"down", "connecting"})
"""One state for whoever asks since when: a bind that dials again and again has been away all the time."""

DELIVERIES: Final = frozenset({names.DELIVER_SM, names.DATA_SM, names.ALERT_NOTIFICATION})
SYSTEM_ID_SHOWN: Final = 64  # characters of a stranger's, in logs
HOPELESS: Final = frozenset({names.ESME_RINVPASWD, names.ESME_RINVSYSID})


class Desk(Protocol):
    """Who is told what happens on a bind."""

    async def answered(self, bind: Bind, responses: Sequence[Response]) -> None: ...
    def timed_out(self, bind: Bind, rows: Sequence[Row]) -> None: ...
    def lost(self, bind: Bind, rows: Sequence[Row], why: str) -> None: ...
    def queried(self, bind: Bind, answers: Sequence[tuple[Query, Response | None]]) -> None: ...
    async def delivered(self, bind: Bind, pdus: Sequence[Pdu]) -> None: ...
    def changed(self, bind: Bind) -> None: ...


class Bind:
    """See the module."""

    def __init__(self, name: str, place: Place, carrier: Carrier, *, ports: Ports, limits: Limits, desk: Desk) -> None:
        self.name = name
        self.place = place
        self.mode = place.mode
        self.sends = self.mode != "receiver"
        self.carrier = carrier
        self.form = form_of(carrier, limits)  # None: submits go as they came
        self.state = "down"
        self.since = ports.clock.wall()
        self.reason = "not tried yet"
        self.drained = ""  # why a person took it out: nothing new goes by it, its receipts still come
        self.renewing = ""  # why its session is to end and the next to follow
        self.leaving = ""  # why a reload took it out for good: it takes parts of messages it has begun, no others
        self.label = name  # for people and metrics: two binds bear one name while one takes over from the other
        self.ended = trio.Event()  # `run` is over
        self.tried = False
        self.reserved = 0
        self._carried = 0  # parts this session was given
        self.asked = 0  # queries among the requests in flight
        self.faults = 0
        self.window = carrier.window  # what congestion leaves of the contract; set by the carrier's station
        config = place.config
        self._host, self._port = (config.host, config.port)
        if self.mode == "receiver" and config.receiver_address is not None:
            self._host, self._port = config.receiver_address
        self._ports = ports
        self._limits = limits
        self._desk = desk
        self._rng: random.Random = ports.entropy.rng(f"bind/{name}")
        self._session: Session | None = None
        self._link: Link | None = None
        self._stop = trio.Event()
        self._hung_up = trio.Event()  # the link is gone
        self._bound_how = ""
        self._came_up = False  # this session was bound
        self._already = 0  # refusals since it was up: an old session of ours lives there, or all we may have are up
        self._handed: list[Row] = []  # their answers are read, and are with the desk
        self.ears = Ears(limits.own_stall_s)

    # -- sending ------------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Submits written and unanswered."""
        return len(self._session.in_flight) - self.asked if self._session is not None else 0

    @property
    def room(self) -> int:
        """Parts that may be reserved now."""
        if self.state != "bound" or self.drained or self.renewing or not self.sends:
            return 0
        if self._session is None or not self._session.bound:
            return 0
        room = min(self.window, self.carrier.window) - len(self._session.in_flight) + self.asked - self.reserved
        most = self.carrier.session_parts_max
        return room if not most else min(room, most - self._carried - self.reserved)

    @property
    def query_room(self) -> int:
        """Queries that may be asked now."""
        if not (self.carrier.query_sm and self.sends) or self._session is None or self.state != "bound":
            return 0
        return min(self._limits.queries_max - self.asked, self._session.room - self.reserved)

    def oldest_age_s(self, now: float) -> float:
        """Seconds the oldest submit is unanswered, less those in which we could not hear; 0 when there is none."""
        sent_at = self.oldest_sent_at
        return 0.0 if sent_at is None else self.ears.waited_s(sent_at, now)

    @property
    def oldest_sent_at(self) -> float | None:
        """Monotonic time of the oldest submit still unanswered."""
        if self._session is None:
            return None
        if not self.asked:
            return self._session.oldest_sent_at()
        flights = self._session.in_flight.values()
        return next((flight.sent_at for flight in flights if type(flight.token) is not Query), None)

    def flying(self) -> Iterator[Part]:
        """Parts that were written, and whose answer is not durable yet."""
        flights = self._session.in_flight.values() if self._session is not None else ()
        rows = [*self._handed, *(flight.token for flight in flights if type(flight.token) is not Query)]
        for part, attempt, _ in cast(list[Row], rows):
            if part.attempts[attempt].blame == -1:
                yield part

    def reserve(self) -> None:
        """Take one place in the window."""
        self.reserved += 1

    def release(self, places: int) -> None:
        """Give places back: their attempts were not made durable."""
        self.reserved -= places
        assert self.reserved >= 0, f"bind {self.name}: {self.reserved} places reserved"

    def launch(self, rows: list[Row], bodies: list[bytes]) -> bool:
        """Write these parts, whose attempts are durable, in the places reserved for them.

        Returns False when the session is gone: nothing left.
        """
        self.release(len(rows))
        if self._session is None or not self._session.bound or self._link is None or not self._link.up:
            return False
        now = self._ports.clock.monotonic()
        self._link.write(self._session.send_requests(names.SUBMIT_SM, bodies, list(rows), now))
        self._carried += len(rows)
        most = self.carrier.session_parts_max
        if most and self._carried >= most:
            self.renewing = f"its session has carried {self._carried} parts"
        return True

    def ask(self, queries: list[Query]) -> bool:
        """Write these queries, at most `query_room`. False when the session is gone."""
        assert len(queries) <= self.query_room, f"bind {self.name}: {len(queries)} queries, {self.query_room} places"
        if self._session is None or self._link is None or not self._link.up:
            return False
        now = self._ports.clock.monotonic()
        self.asked += len(queries)
        self._link.write(
            self._session.send_requests(names.QUERY_SM, [query.body for query in queries], list(queries), now)
        )
        return True

    @property
    def link(self) -> Link | None:
        """The stream just now. An answer goes to the one its request came over: the next session has other numbers."""
        return self._link

    # -- living -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the session up until cancelled or stopped."""
        try:
            await self._run()
        finally:
            self.ended.set()

    async def _run(self) -> None:
        clock = self._ports.clock
        failures = 0
        while not self._stop.is_set():
            started, already = clock.monotonic(), self._already
            hopeless = await self._once()
            lived = clock.monotonic() - started > self.carrier.reconnect_max_s
            failures = 1 if lived else failures + 1
            if hopeless:
                wait_s = self._limits.reconnect_refused_s
            else:
                least_s, most_s, times = self.carrier.reconnect_min_s, self.carrier.reconnect_max_s, failures
                if self._already > already:
                    least_s = max(least_s, self._limits.reconnect_already_min_s)
                    most_s = max(most_s, self._limits.reconnect_already_max_s)
                    times = self._already  # dials that failed before it say nothing of how long the old session lives
                ceiling = min(most_s, least_s * 2 ** min(times - 1, 20))
                wait_s = ceiling / 2 + self._rng.uniform(0, ceiling / 2)
            with trio.move_on_at(clock.monotonic() + wait_s):
                await self._stop.wait()

    def stop(self, why: str = "the engine drains") -> None:
        """Unbind: no new sends, then the dance, then the end of `run`."""
        self._stop.set()
        if self._session is not None and self._link is not None and self._session.bound:
            self._set("unbinding", why)
            self._link.write(self._session.unbind(self._ports.clock.monotonic()))
        elif self._link is not None:
            self._link.close(why)

    def adopt(self, carrier: Carrier) -> None:
        """Other numbers for the same session: it stays up.

        A place that was reserved in a larger window is still used; `room` grants none beyond the new one.
        """
        self.carrier = carrier
        self.form = form_of(carrier, self._limits)
        if self._session is not None:
            numbers = self._numbers()
            # What is asked already keeps its places beside the window, should nothing be asked from now on.
            window = max(numbers.window, self.in_flight + self.reserved) + self.asked
            self._session.limits = attrs.evolve(numbers, window=window)

    async def _once(self) -> bool:
        """One life of the session. Returns whether only an operator can mend why it ended."""
        if self.place.config.outbind is not None:
            return await self._be_called()
        self._set("connecting", self.reason if self.tried else f"dialling {self._host}:{self._port}")
        try:
            tls = self.place.config.tls
            # In a thread: to load the system's authorities takes 30 ms, at each dial.
            context = None if tls is None else await self._ports.blocking.run(client_context, tls)
            with trio.fail_after(self._limits.connect_timeout_s):
                stream = await self._ports.network.connect(
                    self._host, self._port, context, "" if tls is None else tls.server_name
                )
        except (OSError, trio.TooSlowError) as error:
            self.renewing = ""
            self._down(f"cannot reach {self._host}:{self._port}: {error or 'no answer'}")
            return False
        if self._stop.is_set():
            await trio.aclose_forcefully(stream)
            self._down("the engine stops")
            return False
        return await self._serve(stream, f"bound to {self._host}:{self._port}")

    async def _be_called(self) -> bool:
        """Listen where the carrier dials us, and serve the link it opens; a second caller meanwhile is turned away.
        Until stopped, unless the address cannot be had."""
        place = f"{self._host}:{self._port}"
        try:
            listener = await self._ports.network.listen(self._host, self._port)
        except OSError as error:
            self._down(f"cannot listen at {place} for the carrier: {error}")
            return False
        self._down(f"waits for the carrier to dial {place}")

        async def answer(stream: trio.abc.Stream, peer: str) -> None:
            if self._link is not None or self._stop.is_set():
                await trio.aclose_forcefully(stream)
                return
            await self._serve(stream, f"called by {peer} at {place}")
            self._down(f"waits for the carrier to dial {place} again: {self.reason}")

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listener.serve, answer)
                await self._stop.wait()
                while self._link is not None:
                    await self._hung_up.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()
        return False

    async def _serve(self, stream: trio.abc.Stream, bound: str) -> bool:
        """The session on a link that is up; `bound` is what to say of it. Returns what `_once` does."""
        self._hung_up = trio.Event()
        self._bound_how = bound
        self._carried = 0
        self._came_up = False
        now = self._ports.clock.monotonic()
        session = Session(Role.ESME, self._numbers(), now, first_sequence=self._limits.first_sequence)
        self._session = session
        self._link = Link(stream, session, self._ports.clock, self._limits, self._limits.receive_octets)
        self._hopeless = False
        if self.place.config.outbind is None:
            self._link.write(self._bind_request(session, now))
        self._handed = []
        self.ears.listen(now)
        stumbled: list[Row] = []
        try:
            why = await self._link.run(self._receive)
        except* Exception:
            self.faults += 1
            why = "a fault of ours"
            log.exception("bind.fault", bind=self.name)
            stumbled = self._handed  # nobody can say how far the desk got: what it has written down stands
        tokens = session.lost(why)
        rows = [*stumbled, *cast(list[Row], [token for token in tokens if type(token) is not Query])]
        self.asked = 0
        self._link = self._session = None
        self._hung_up.set()
        if not self._came_up:
            self.renewing = ""  # the session that was to follow did not come up
        self._down(self.reason if self._hopeless else why)
        self._desk.lost(self, rows, why)
        self._desk.queried(self, [(token, None) for token in tokens if type(token) is Query])
        return self._hopeless

    async def _receive(self, received: Sequence[Received]) -> None:
        responses: list[Response] = []
        deliveries: list[Pdu] = []
        expired: list[Row] = []
        queried: list[tuple[Query, Response | None]] = []
        for item in received:
            if isinstance(item, Response):
                if type(item.token) is Query:
                    self.asked -= not item.late
                    queried.append((item.token, item))
                else:
                    responses.append(item)
            elif isinstance(item, Request):
                if item.pdu.command_id in DELIVERIES:
                    deliveries.append(item.pdu)
                elif item.pdu.command_id == names.OUTBIND:
                    self._called(item.pdu)
            elif isinstance(item, TimedOut):
                if type(item.token) is Query:
                    self.asked -= 1
                    queried.append((item.token, None))
                else:
                    expired.append(cast(Row, item.token))
            elif isinstance(item, Bound):
                self.renewing, self._came_up, self._already = "", True, 0
                self._set("bound", self._bound_how)
            elif isinstance(item, BindRefused):
                status = item.command_status
                self._hopeless = status in HOPELESS
                self._already += status == names.ESME_RALYBND
                self.reason = f"bind refused: {names.status_name(status)}"
                assert self._link is not None
                self._link.close(self.reason)
        if expired:
            self._desk.timed_out(self, expired)
        clock = self._ports.clock
        self.ears.hold(clock.monotonic())
        if responses:
            self._handed = [cast(Row, response.token) for response in responses]
            await self._desk.answered(self, responses)
            self._handed = []
            if any(response.command_status == names.ESME_RINVBNDSTS for response in responses):
                self.renewing = self.renewing or "the carrier says that it is not bound (ESME_RINVBNDSTS)"
        if self.renewing:
            self._end_when_landed()
        if queried:
            self._desk.queried(self, queried)
        if deliveries:
            await self._desk.delivered(self, deliveries)
        self.ears.listen(clock.monotonic())

    def _end_when_landed(self) -> None:
        """Unbind a session that is to be renewed, once nothing of ours is on its way."""
        session, link = self._session, self._link
        if session is not None and link is not None and session.bound and not (self.in_flight or self.reserved):
            self._set("unbinding", self.renewing)
            link.write(session.unbind(self._ports.clock.monotonic()))

    def _called(self, outbind: Pdu) -> None:
        """The carrier has dialled us and says who it is: it is asked for the bind on that link."""
        wanted = self.place.config.outbind
        assert wanted is not None and self._link is not None and self._session is not None
        try:
            system_id, password = read_outbind(outbind.body)
        except PduError as error:
            self._link.close(f"outbind refused: {error.reason}")
            return
        if system_id != wanted.system_id or not wanted.password.matches(password.encode("latin-1", "replace")):
            who = system_id[:SYSTEM_ID_SHOWN]
            log.warning("outbind.refused", bind=self.name, system_id=who)
            self._link.close(f"outbind refused: wrong system_id {who!r} or password")
            return
        self._link.write(self._bind_request(self._session, self._ports.clock.monotonic()))

    def _numbers(self) -> SessionLimits:
        carrier = self.carrier
        return session_limits(
            self._limits,
            window=carrier.window + (self._limits.queries_max if carrier.query_sm else 0),
            response_timeout_s=carrier.response_timeout_s,
            enquire_link_s=carrier.enquire_link_s,
        )

    def _bind_request(self, session: Session, now: float) -> bytes:
        carrier = self.carrier
        return session.bind(
            COMMANDS[self.mode],
            now,
            system_id=carrier.system_id,
            password=carrier.password.reveal().decode("latin-1"),
            system_type=carrier.system_type,
            version=carrier.interface_version,
            addr_ton=carrier.addr_ton,
            addr_npi=carrier.addr_npi,
            address_range=carrier.address_range,
        )

    def _down(self, why: str) -> None:
        self._set("down", why)

    def _set(self, state: str, reason: str) -> None:
        self.tried = self.tried or state in ("bound", "down")
        moved = state != self.state and not {state, self.state} <= TRYING
        if (moved or reason != self.reason) and state != "connecting":
            log.info(f"bind.{state}", bind=self.name, reason=reason)
        if moved:
            self.since = self._ports.clock.wall()
        self.state, self.reason = state, reason
        self._desk.changed(self)


@attrs.frozen
class Place:
    """What makes a bind the bind it is: change any of it and it is another."""

    mode: str
    config: BindConfig


def places_of(carrier: Carrier) -> list[tuple[str, Place]]:
    """The binds a carrier is to have, each with its usual name: carrier-1, carrier-2 …; a pair is carrier-1-tx and
    carrier-1-rx."""
    places: list[tuple[str, Place]] = []
    number = 0
    for config in carrier.binds:
        for _ in range(config.count):
            number += 1
            name = f"{carrier.name}-{number}"
            modes = [("", config.mode)] if config.mode != "pair" else [("-tx", "transmitter"), ("-rx", "receiver")]
            one = attrs.evolve(config, count=1)  # how many sisters it has does not make it another
            places.extend((name + suffix, Place(mode, one)) for suffix, mode in modes)
    return places
