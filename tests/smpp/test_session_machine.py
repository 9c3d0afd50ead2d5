"""Two sessions and the pipes between them under hypothesis: whatever happens, each request has exactly one fate."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    SEQUENCE_MAX,
    Bad,
    BindRequest,
    Bound,
    Closed,
    Received,
    Request,
    Response,
    Role,
    Session,
    SessionLimits,
    SessionState,
    TimedOut,
    Unbound,
)

LIMITS = SessionLimits(
    window=2,
    response_timeout_s=4.0,
    enquire_link_s=3.0,
    enquire_link_missed_max=2,
    bind_timeout_s=5.0,
    unbind_timeout_s=5.0,
    nacks_max=3,
    tombstones_max=1000,
)
RARELY = st.integers(0, 15)
REQUEST = {Role.ESME: names.SUBMIT_SM, Role.SMSC: names.DELIVER_SM}


class End:
    """One end: its session, the octets on their way to it, the requests it owes an answer, the fates of its own."""

    def __init__(self, role: Role) -> None:
        self.session = Session(role, LIMITS, 0.0, first_sequence=0x7FFFFFF0)
        self.arriving = bytearray()
        self.owed: list[tuple[int, bytes]] = []
        self.sent: dict[int, str] = {}  # token -> "", "answered", "timed out", "late", "lost"
        self.peer: End


class SessionPair(RuleBasedStateMachine):
    """Rules are what may happen; invariants are what must hold after each."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tokens = 0
        self.esme, self.smsc = End(Role.ESME), End(Role.SMSC)
        self.esme.peer, self.smsc.peer = self.smsc, self.esme

    @initialize(at_once=st.booleans())
    def bind(self, at_once: bool) -> None:
        """The ESME asks; the answer comes when the octets do, or at once."""
        self.smsc.arriving += self.esme.session.bind(names.BIND_TRANSCEIVER, self.now, system_id="acme")
        if at_once:
            self.all_arrives(False)
            self.all_arrives(True)

    def end(self, which: bool) -> End:
        return self.esme if which else self.smsc

    # --- what may happen ---

    @rule(which=st.booleans(), octets=st.integers(1, 120))
    def octets_arrive(self, which: bool, octets: int) -> None:
        """Some of what is on its way, cut anywhere."""
        end = self.end(which)
        data = bytes(end.arriving[:octets])
        del end.arriving[:octets]
        self.happened(end, end.session.receive_data(data, self.now))

    @rule(which=st.booleans())
    def all_arrives(self, which: bool) -> None:
        """All of it, in one read."""
        self.octets_arrive(which, len(self.end(which).arriving))

    @rule(which=st.booleans(), count=st.integers(1, 2))
    def send(self, which: bool, count: int) -> None:
        """As many requests as there is room for."""
        end = self.end(which)
        if not end.session.bound or not end.session.room:
            return
        count = min(count, end.session.room)
        tokens = list(range(self.tokens, self.tokens + count))
        self.tokens += count
        bodies = [b"token %d" % token for token in tokens]
        data = end.session.send_requests(REQUEST[end.session.role], bodies, tokens, self.now)
        end.peer.arriving += data
        end.sent |= dict.fromkeys(tokens, "")

    @rule(which=st.booleans(), index=st.integers(0, 9), status=st.sampled_from([0, 0x58]), kind=st.integers(0, 9))
    def answer(self, which: bool, index: int, status: int, kind: int) -> None:
        """Any request owed an answer gets one, mostly of the right type."""
        end = self.end(which)
        if not end.owed or end.session.closing:
            return
        sequence, body = end.owed.pop(index % len(end.owed))
        command_id = names.GENERIC_NACK if kind == 9 else REQUEST[end.peer.session.role] | names.RESPONSE
        end.peer.arriving += codec.pdu(command_id, status, sequence, body)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5]))
    def time_passes(self, seconds: float) -> None:
        """Both ends tick."""
        self.now += seconds
        self.all_arrives(True)
        self.all_arrives(False)
        for end in (self.esme, self.smsc):
            self.happened(end, end.session.tick(self.now))

    @rule(which=st.booleans(), dice=RARELY)
    @precondition(lambda self: self.esme.session.bound or self.smsc.session.bound)
    def unbind(self, which: bool, dice: int) -> None:
        """One end wants out."""
        end = self.end(which)
        if end.session.bound and dice == 7:
            end.peer.arriving += end.session.unbind(self.now)

    @rule(which=st.booleans(), junk=st.binary(min_size=1, max_size=20), dice=RARELY)
    def junk_arrives(self, which: bool, junk: bytes, dice: int) -> None:
        """The stream breaks: nobody may raise, and everything still gets its fate."""
        if dice == 7:
            self.end(which).arriving += junk + b"\xff" * 4

    @rule(dice=RARELY)
    def cut(self, dice: int) -> None:
        """The link dies: what is in flight is in doubt, in sending order; then a new link."""
        if dice != 7 and not (self.esme.session.closing and self.smsc.session.closing):
            return
        for end in (self.esme, self.smsc):
            lost = end.session.lost("cut")
            assert lost == sorted(lost), "not in sending order"
            assert lost == [token for token, fate in end.sent.items() if fate == ""]
            assert set(end.sent.values()) <= {"", "answered", "timed out", "late"}
        self.esme, self.smsc = End(Role.ESME), End(Role.SMSC)
        self.esme.peer, self.smsc.peer = self.smsc, self.esme
        for end in (self.esme, self.smsc):
            end.session = Session(end.session.role, LIMITS, self.now, first_sequence=0x7FFFFFF0)
        self.bind(True)

    # --- what came of it ---

    def happened(self, end: End, received: list[Received]) -> None:
        end.peer.arriving += end.session.data_to_send()
        for event in received:
            if isinstance(event, BindRequest):
                end.peer.arriving += end.session.respond_bind(event, 0, "smsc", self.now)
            elif isinstance(event, Request):
                end.owed.append((event.pdu.sequence_number, event.pdu.body))
            elif isinstance(event, Response):
                self.answered(end, event)
            elif isinstance(event, TimedOut):
                assert isinstance(event.token, int) and end.sent[event.token] == ""
                assert self.now >= event.sent_at + LIMITS.response_timeout_s
                end.sent[event.token] = "timed out"
            else:
                assert isinstance(event, Bound | Bad | Closed | Unbound)

    def answered(self, end: End, event: Response) -> None:
        assert isinstance(event.token, int)
        assert event.body == b"token %d" % event.token, "an answer to somebody else's request"
        assert end.sent[event.token] == ("timed out" if event.late else ""), "a second fate"
        if event.command_id == names.GENERIC_NACK:
            assert event.command_status != 0
        end.sent[event.token] = "late" if event.late else "answered"

    # --- what must hold ---

    @invariant()
    def the_window_holds(self) -> None:
        for end in (self.esme, self.smsc):
            in_flight = list(end.session.in_flight.values())
            assert len(in_flight) <= LIMITS.window
            assert end.session.room == (LIMITS.window - len(in_flight) if end.session.bound else 0)
            assert [one.token for one in in_flight] == [token for token, fate in end.sent.items() if fate == ""]
            assert all(1 <= sequence <= SEQUENCE_MAX for sequence in end.session.in_flight)

    @invariant()
    def closing_is_closed(self) -> None:
        for end in (self.esme, self.smsc):
            assert end.session.closing == (end.session.state is SessionState.CLOSED)
            assert bool(end.session.close_reason) == end.session.closing

    @invariant()
    def deadlines_lie_ahead(self) -> None:
        """After a tick nothing is overdue: an owner that sleeps until next_deadline never spins."""
        for end in (self.esme, self.smsc):
            self.happened(end, end.session.tick(self.now))
            assert end.session.next_deadline() > self.now


SessionPair.TestCase.settings = settings(max_examples=60, stateful_step_count=80, deadline=None)
TestSessionPair = SessionPair.TestCase
