"""One SMPP session, either end of it, without I/O: octets and times in, events and octets out.

Rules:
- Nothing that comes over the wire makes it raise; AssertionError means that our own code misused it.
- It never waits and reads no clock: `next_deadline` says when it wants `tick`.
- command_length is judged on its four octets, before the PDU is buffered; a lost frame is nacked, the session closes.
- Liveness is any whole PDU from the peer, not the enquire_link_resp (quirks S1).
- A request that timed out stays known: a late response still comes out, with its token (quirks S19).
- Once `closing`, what still comes in is dropped; the owner flushes `data_to_send`, closes the stream and calls `lost`.

Section numbers are SMPP 3.4's. Walk: `link` pumps it; `carriers/bind` (as ESME) and `esmes` (as SMSC) own one a link;
what it sent and awaits stands in `flights`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from smsroute.smpp.binding import (
    build_bind_request,
    build_bind_response,
    build_outbind,
    read_bind_request,
    read_bind_response,
)
from smsroute.smpp.flights import SEQUENCE_MAX, Flights
from smsroute.smpp.names import (
    ALERT_NOTIFICATION,
    BINDS,
    ENQUIRE_LINK,
    ENQUIRE_LINK_RESP,
    ESME_RALYBND,
    ESME_RINVBNDSTS,
    ESME_RINVCMDID,
    ESME_RINVCMDLEN,
    ESME_ROK,
    ESME_RUNKNOWNERR,
    GENERIC_NACK,
    OUTBIND,
    RESPONSE,
    UNBIND,
    UNBIND_RESP,
    VERSION_3_4,
    command_name,
    interface_version,
    status_name,
)
from smsroute.smpp.pdu import TABLES
from smsroute.smpp.received import (
    Bad,
    BindRefused,
    BindRequest,
    Bound,
    Closed,
    InFlight,
    Received,
    Request,
    Response,
    SessionLimits,
    TimedOut,
    Unbound,
)
from smsroute.smpp.states import BOUND, BOUND_BY, SENDS, TAKES, TRANSITIONS, Role, SessionState, Step
from smsroute.smpp.wire import HEADER, HEADER_OCTETS, Pdu, PduError, pdu

__all__ = [
    "SEQUENCE_MAX",
    "Bad",
    "BindRefused",
    "BindRequest",
    "Bound",
    "Closed",
    "InFlight",
    "Received",
    "Request",
    "Response",
    "Role",
    "Session",
    "SessionLimits",
    "SessionState",
    "TimedOut",
    "Unbound",
]

_NOTHING: Final[frozenset[int]] = frozenset()


class Session:
    """One session. `role` is the end we are; `now` is monotonic seconds everywhere."""

    __slots__ = (
        "_bind_command_id",
        "_deferred_unbind",
        "_enquire_at",
        "_flights",
        "_needed",
        "_out",
        "_partial",
        "_sends",
        "_state_deadline",
        "_takes",
        "_unheard",
        "_unmatched",
        "close_reason",
        "closing",
        "defer_unbind",
        "ignored_responses",
        "in_flight",
        "limits",
        "received_at",
        "role",
        "state",
        "unmatched_nacks",
        "version",
    )

    def __init__(
        self, role: Role, limits: SessionLimits, now: float, first_sequence: int = 1, *, defer_unbind: bool = False
    ) -> None:
        """`defer_unbind`: the peer's unbind is answered when the owner calls `finish_unbind`, its answers first."""
        assert limits.window >= 1
        self.role = role
        self.limits = limits
        self.state = SessionState.OPEN
        self.version = VERSION_3_4
        self.closing = False
        self.close_reason = ""
        self.defer_unbind = defer_unbind
        self._flights = Flights(first_sequence)
        self.in_flight = self._flights.in_flight
        self.received_at = now
        self.ignored_responses = 0
        self.unmatched_nacks = 0
        self._takes = TAKES[role].get(self.state, _NOTHING)
        self._sends = _NOTHING
        self._bind_command_id = 0
        self._state_deadline = now + limits.bind_timeout_s
        self._deferred_unbind = -1
        self._enquire_at = math.inf
        self._unheard = 0  # enquire_links since the peer was last heard
        self._unmatched = 0  # unmatched nacks in a row
        self._out: list[bytes] = []
        self._partial = bytearray()
        self._needed = 0

    # --- what is waiting ---

    @property
    def bound(self) -> bool:
        """Whether messages may cross."""
        return self.state in BOUND

    @property
    def room(self) -> int:
        """Requests `send_requests` takes now: the window less what is unanswered (enquire_link never counts).

        0 in a state that sends nothing.
        """
        return self.limits.window - len(self.in_flight) if self._sends else 0

    def oldest_sent_at(self) -> float | None:
        """When the oldest unanswered request left."""
        return self._flights.oldest_sent_at()

    def data_to_send(self) -> bytes:
        """The session's own answers and enquire_links since the last call, in order."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # --- sending ---

    def send_requests(self, command_id: int, bodies: Sequence[bytes], tokens: Sequence[object], now: float) -> bytes:
        """One write, a request for each body; its token comes back with its response. Asserts state and room."""
        assert command_id in self._sends, f"{command_name(command_id)} in {self.state}"
        most = self.limits.pdu_octets_sent_max - HEADER_OCTETS
        assert max(map(len, bodies), default=0) <= most, f"a body above the {most} octets this peer takes"
        assert len(bodies) == len(tokens) and len(bodies) <= self.room, f"{len(bodies)} requests, room {self.room}"
        return self._flights.write(command_id, bodies, tokens, now)

    def bind(
        self,
        command_id: int,
        now: float,
        *,
        system_id: str,
        password: str = "",
        system_type: str = "",
        version: int = VERSION_3_4,
        addr_ton: int = 0,
        addr_npi: int = 0,
        address_range: str = "",
    ) -> bytes:
        """The bind request (section 4.1); `Bound`, `BindRefused` or `Closed` follows. Raises ValueError (bad field)."""
        assert self.role is Role.ESME and command_id in BINDS
        texts = (system_id, password, system_type, address_range)
        body = build_bind_request(*texts, version=version, addr_ton=addr_ton, addr_npi=addr_npi)
        data = pdu(command_id, 0, self._flights.number_own(command_id), body)
        self._bind_command_id = command_id
        self._state_deadline = now + self.limits.bind_timeout_s
        self.version = interface_version(version)
        self._move(Step.BIND)
        return data

    def outbind(self, system_id: str, password: str) -> bytes:
        """Ask the peer we have dialled to bind (section 4.1.7); `BindRequest` or `Closed` follows."""
        assert self.role is Role.SMSC and self.state is SessionState.OPEN
        return build_outbind(system_id, password, self._flights.number_own(OUTBIND))

    def notify(self, body: bytes) -> bytes:
        """An alert_notification, which nobody answers (section 4.12.1); nothing to a peer that does not receive."""
        if not self._sends:
            return b""
        return pdu(ALERT_NOTIFICATION, ESME_ROK, self._flights.number_own(ALERT_NOTIFICATION), body)

    def respond_bind(self, request: BindRequest, command_status: int, system_id: str, now: float) -> bytes:
        """The answer to `request`; a refusal closes the session (quirks S15). Empty when it has closed since."""
        if self.closing:
            return b""
        assert self.role is Role.SMSC and self.state is SessionState.BINDING
        data = build_bind_response(request, command_status, system_id, self.version)
        if command_status == ESME_ROK:
            self._bound(BOUND_BY[request.command_id], now)
        else:
            self.close(f"bind refused: {status_name(command_status)}")
        return data

    def unbind(self, now: float) -> bytes:
        """Ask to unbind (section 4.2); `Unbound` or `Closed` follows. Send nothing after it."""
        assert self.bound
        self._await_unbind(now)
        return pdu(UNBIND, 0, self._flights.number_own(UNBIND))

    def finish_unbind(self) -> None:
        """Answer the peer's unbind that `defer_unbind` held back, and close; nothing when closed already."""
        if self.closing:
            return
        assert self._deferred_unbind >= 0
        self._out.append(pdu(UNBIND_RESP, ESME_ROK, self._deferred_unbind))
        self.close("unbound by the peer")

    def close(self, reason: str) -> None:
        """Be done: nothing more is read, the owner flushes and closes the stream. The first reason stays."""
        if not self.closing:
            self.closing = True
            self.close_reason = reason
            self._move(Step.CLOSE)
            self._partial.clear()

    def lost(self, reason: str) -> list[object]:
        """The link is gone. The tokens still in flight, in sending order: in doubt, every one (quirks S20)."""
        self.close(reason)
        return self._flights.lost()

    # --- receiving ---

    def receive_data(self, data: bytes | bytearray, now: float) -> list[Received]:
        """What these octets say, in order. A part of a PDU waits for its rest, never more than `pdu_octets_max`."""
        received: list[Received] = []
        if self.closing:
            return received
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return received
            data = bytes(self._partial)
            self._partial.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        append = received.append
        unpack = HEADER.unpack_from
        octets_max = self.limits.pdu_octets_max
        in_flight = self.in_flight
        takes = self._takes
        at = 0
        end = len(data)
        while end - at >= HEADER_OCTETS:
            length, command_id, command_status, sequence = unpack(data, at)
            following = at + length
            if not HEADER_OCTETS <= length <= octets_max or following > end:
                break
            flight = in_flight.get(sequence) if command_id & RESPONSE else None
            if flight is not None and flight.command_id | RESPONSE == command_id:
                del in_flight[sequence]
                body = data[at + HEADER_OCTETS : following]
                append(Response(flight.token, command_id, command_status, body, flight.sent_at, False))
            elif command_id in takes:
                append(Request(Pdu(command_id, command_status, sequence, data[at + HEADER_OCTETS : following])))
            else:
                unusual = self._odd_response if command_id & RESPONSE else self._other_request
                unusual(data[at:following], now, received)
                if self.state is SessionState.CLOSED:
                    return received
                takes = self._takes
            at = following
        if at:
            self.received_at = now
            self._unheard = 0
        if received:
            self._unmatched = 0
        self._keep(data, at, received)
        return received

    def _keep(self, data: bytes, at: int, received: list[Received]) -> None:
        """Hold the beginning of a PDU until the rest comes; judge its length first (quirks S21)."""
        left = len(data) - at
        if not left:
            return
        self._needed = 4
        if left >= 4:
            length = int.from_bytes(data[at : at + 4], "big")
            if not HEADER_OCTETS <= length <= self.limits.pdu_octets_max:
                error = PduError(f"command_length {length}", ESME_RINVCMDLEN, fatal=True)
                self._out.append(error.answer())
                received.append(Bad(error))
                self._give_up(f"lost frame: {error.reason}", received)
                return
            self._needed = length
        self._partial += data[at:]

    def _odd_response(self, data: bytes, now: float, received: list[Received]) -> None:
        """A response that is not simply the right answer to a request in flight."""
        _, command_id, command_status, sequence = HEADER.unpack_from(data)
        flights = self._flights
        own = flights.own.pop(sequence, None) if command_id in TABLES else None
        late = sequence not in self.in_flight
        if own is not None:
            self._unmatched = 0
            self._answered_own(own, data, now, received)
        elif command_id in TABLES and (not late or sequence in flights.tombstones):
            flight = (flights.tombstones if late else flights.in_flight).pop(sequence)
            if flight.command_id | RESPONSE != command_id:
                command_status = command_status or ESME_RUNKNOWNERR
            body = data[HEADER_OCTETS:]
            received.append(Response(flight.token, command_id, command_status, body, flight.sent_at, late))
        elif command_id == GENERIC_NACK:
            self._unmatched_nack(received)
        else:
            self.ignored_responses += 1  # never nack a response (quirks S22)

    def _unmatched_nack(self, received: list[Received]) -> None:
        self.unmatched_nacks += 1
        self._unmatched += 1
        if self._unmatched > self.limits.nacks_max:
            self._give_up(f"{self._unmatched} unmatched generic_nacks in a row", received)

    def _answered_own(self, command_id: int, data: bytes, now: float, received: list[Received]) -> None:
        """The answer to our bind, unbind or enquire_link, of whatever type."""
        if command_id == UNBIND:
            received.append(Unbound())
            self.close("unbound")
        elif command_id == self._bind_command_id and self.state is SessionState.BINDING:
            _, answered, command_status, _ = HEADER.unpack_from(data)
            if answered != command_id | RESPONSE:
                command_status = command_status or ESME_RUNKNOWNERR
            if command_status:
                received.append(BindRefused(command_status))
                self.close(f"bind refused: {status_name(command_status)}")
                return
            system_id, theirs = read_bind_response(data)
            if theirs is not None:
                self.version = min(self.version, interface_version(theirs))
            self._bound(BOUND_BY[command_id], now)
            received.append(Bound(system_id, self.version))

    def _other_request(self, data: bytes, now: float, received: list[Received]) -> None:
        """A request the owner is not asked about: the session's own, unknown, or at the wrong time."""
        _, command_id, _, sequence = HEADER.unpack_from(data)
        if command_id == ENQUIRE_LINK:
            self._out.append(pdu(ENQUIRE_LINK_RESP, ESME_ROK, sequence))
            self._unmatched = 0
        elif command_id == UNBIND and (self.bound or self.state is SessionState.UNBINDING):
            self._unbind_asked(sequence, now, received)
        elif command_id in BINDS and self.role is Role.SMSC and self.state is SessionState.OPEN:
            self._bind_asked(data, received)
        else:
            status = ESME_RINVBNDSTS
            if command_id not in TABLES:
                status = ESME_RINVCMDID
            elif command_id in BINDS and self.role is Role.SMSC:
                status = ESME_RALYBND
            reason = f"{command_name(command_id)} in state {self.state.value}"
            error = PduError(reason, status, command_id=command_id, sequence_number=sequence)
            self._out.append(error.answer())
            received.append(Bad(error))

    def _unbind_asked(self, sequence: int, now: float, received: list[Received]) -> None:
        received.append(Unbound())
        self._await_unbind(now)
        self._deferred_unbind = sequence
        if not self.defer_unbind:
            self.finish_unbind()

    def _bind_asked(self, data: bytes, received: list[Received]) -> None:
        try:
            request = read_bind_request(data)
        except PduError as error:
            self._out.append(error.answer())
            received.append(Bad(error))
            return
        self.version = interface_version(request.interface_version)
        self._state_deadline = math.inf
        self._move(Step.BIND)
        received.append(request)

    # --- time ---

    def next_deadline(self) -> float:
        """When `tick` has something to do, monotonic seconds; inf when never."""
        if self.closing:
            return math.inf
        deadline = min(self._state_deadline, self._enquire_at)
        for flight in self.in_flight.values():
            return min(deadline, flight.sent_at + self.limits.response_timeout_s)
        return deadline

    def tick(self, now: float) -> list[Received]:
        """What time brought: requests timed out, the peer given up; an enquire_link that is due is queued."""
        received: list[Received] = []
        if self.closing:
            return received
        limits = self.limits
        received.extend(self._flights.time_out(now, limits.response_timeout_s, limits.tombstones_max))
        if now >= self._state_deadline and self._deferred_unbind >= 0:
            self.finish_unbind()
        elif now >= self._state_deadline:
            waited_for = {SessionState.OPEN: "no bind", SessionState.BINDING: "no bind_resp"}
            self._give_up(f"{waited_for.get(self.state, 'no unbind_resp')} in time", received)
        elif now >= self._enquire_at:
            if self._unheard >= self.limits.enquire_link_missed_max:
                silent_s = now - self.received_at
                self._give_up(f"silent for {silent_s:.0f} s, {self._unheard} enquire_links unanswered", received)
            else:
                self._unheard += 1
                self._enquire_at = now + self.limits.enquire_link_s
                self._out.append(pdu(ENQUIRE_LINK, 0, self._flights.number_own(ENQUIRE_LINK)))
        return received

    # --- helpers ---

    def _move(self, step: Step) -> None:
        steps = TRANSITIONS[self.state]
        assert step in steps, f"{step.value} in state {self.state.value}"
        self.state = steps[step]
        self._takes = TAKES[self.role].get(self.state, _NOTHING)
        self._sends = SENDS[self.role].get(self.state, _NOTHING)

    def _bound(self, step: Step, now: float) -> None:
        self._move(step)
        self._state_deadline = math.inf
        if self.limits.enquire_link_s > 0:
            self._enquire_at = now + self.limits.enquire_link_s

    def _await_unbind(self, now: float) -> None:
        self._move(Step.UNBIND)
        self._state_deadline = now + self.limits.unbind_timeout_s
        self._enquire_at = math.inf

    def _give_up(self, reason: str, received: list[Received]) -> None:
        self.close(reason)
        received.append(Closed(reason))
