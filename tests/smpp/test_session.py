"""The session machine, event by event: both ends, framing, matching, timers, and peers that misbehave."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    SEQUENCE_MAX,
    Bad,
    BindRefused,
    BindRequest,
    Bound,
    Closed,
    Request,
    Response,
    Role,
    Session,
    SessionLimits,
    SessionState,
    TimedOut,
    Unbound,
)
from smsroute.smpp.states import SENDS, TAKES, TRANSITIONS, Step

LIMITS = SessionLimits(
    window=2,
    response_timeout_s=10.0,
    enquire_link_s=30.0,
    enquire_link_missed_max=2,
    bind_timeout_s=5.0,
    unbind_timeout_s=5.0,
    nacks_max=3,
    tombstones_max=4,
)
BINDS = {
    names.BIND_TRANSMITTER: SessionState.BOUND_TX,
    names.BIND_RECEIVER: SessionState.BOUND_RX,
    names.BIND_TRANSCEIVER: SessionState.BOUND_TRX,
}
BODY = codec.build_sm(source_addr="ACME", destination_addr="33612345678", short_message=b"hello")


def pair(
    bind: int = names.BIND_TRANSCEIVER, limits: SessionLimits = LIMITS, first_sequence: int = 1, **options: Any
) -> tuple[Session, Session]:
    """Two bound sessions, (ESME, SMSC), at time 0."""
    esme = Session(Role.ESME, limits, 0.0, first_sequence)
    smsc = Session(Role.SMSC, limits, 0.0, first_sequence, **options)
    (request,) = smsc.receive_data(esme.bind(bind, 0.0, system_id="acme", password="secret"), 0.0)
    assert isinstance(request, BindRequest)
    (answer,) = esme.receive_data(smsc.respond_bind(request, names.ESME_ROK, "smsc", 0.0), 0.0)
    assert isinstance(answer, Bound)
    return esme, smsc


def submit(session: Session, *tokens: object, now: float = 1.0) -> list[int]:
    """Send a submit_sm for each token; the sequence numbers they went out with."""
    data = session.send_requests(names.SUBMIT_SM, [BODY] * len(tokens), list(tokens), now)
    size = 16 + len(BODY)
    assert len(data) == size * len(tokens)
    return [int.from_bytes(data[at + 12 : at + 16], "big") for at in range(0, len(data), size)]


def response(sequence: int, status: int = 0, command_id: int = names.SUBMIT_SM_RESP, body: bytes = b"id\0") -> bytes:
    return codec.pdu(command_id, status, sequence, body)


class TestBinding:
    @pytest.mark.parametrize(("command_id", "state"), BINDS.items())
    def test_both_ends_reach_the_same_state(self, command_id: int, state: SessionState) -> None:
        """A bind accepted leaves both ends in the state of that bind."""
        esme, smsc = pair(command_id)
        assert (state, state) == (esme.state, smsc.state)
        assert esme.bound and smsc.bound

    def test_the_request_comes_out_whole_and_hides_its_password(self) -> None:
        """All bind fields reach the owner; printing the event does not show the password."""
        esme, smsc = Session(Role.ESME, LIMITS, 0.0), Session(Role.SMSC, LIMITS, 0.0)
        data = esme.bind(
            names.BIND_TRANSMITTER, 0.0, system_id="a" * 40, password="p" * 20, system_type="VMA", address_range="^33"
        )
        (request,) = smsc.receive_data(data, 0.0)
        assert isinstance(request, BindRequest)
        assert (
            request.system_id,
            request.password,
            request.system_type,
            request.address_range,
            request.interface_version,
        ) == ("a" * 40, "p" * 20, "VMA", "^33", 0x34)
        assert "ppp" not in repr(request)

    def test_a_refusal_closes_both_ends(self) -> None:
        """A bind refused has no body, and neither end may go on over this link."""
        esme, smsc = Session(Role.ESME, LIMITS, 0.0), Session(Role.SMSC, LIMITS, 0.0)
        (request,) = smsc.receive_data(esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme"), 0.0)
        assert isinstance(request, BindRequest)
        data = smsc.respond_bind(request, names.ESME_RINVPASWD, "smsc", 0.0)
        assert len(data) == 16
        assert esme.receive_data(data, 0.0) == [BindRefused(names.ESME_RINVPASWD)]
        assert esme.closing and smsc.closing
        assert "ESME_RINVPASWD" in esme.close_reason

    @pytest.mark.parametrize(
        ("body", "system_id"),
        [(b"", ""), (b"\0", ""), (b"SMSC", "SMSC"), (b"SMSC\0", "SMSC"), (b"SMSC\0\x02\x10\0\x09\x34", "")],
    )
    def test_any_shape_of_bind_resp_is_a_bind(self, body: bytes, system_id: str) -> None:
        """No body, no NUL, no TLV, or a broken TLV: status 0 means bound, and our own version stands."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme")
        assert esme.receive_data(codec.pdu(names.BIND_TRANSCEIVER_RESP, 0, 1, body), 0.0) == [Bound(system_id, 0x34)]

    @pytest.mark.parametrize(
        ("command_id", "status", "means"),
        [
            (names.GENERIC_NACK, names.ESME_RINVCMDID, names.ESME_RINVCMDID),
            (names.GENERIC_NACK, names.ESME_ROK, names.ESME_RUNKNOWNERR),
            (names.BIND_RECEIVER_RESP, names.ESME_ROK, names.ESME_RUNKNOWNERR),
        ],
    )
    def test_an_odd_answer_refuses_the_bind(self, command_id: int, status: int, means: int) -> None:
        """A generic_nack (an SMSC without bind_transceiver) or the wrong type of response is a refusal."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme")
        assert esme.receive_data(codec.pdu(command_id, status, 1), 0.0) == [BindRefused(means)]

    @pytest.mark.parametrize(
        ("ours", "theirs", "both"), [(0x34, 0x33, 0x33), (0x34, 0x50, 0x34), (0x50, 0x34, 0x34), (0x50, 0x50, 0x50)]
    )
    def test_the_lower_version_is_spoken(self, ours: int, theirs: int, both: int) -> None:
        """sc_interface_version lowers ours and never raises it."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme", version=ours)
        body = b"S\0" + codec.build_tlv(names.SC_INTERFACE_VERSION, bytes((theirs,)))
        assert esme.receive_data(codec.pdu(names.BIND_TRANSCEIVER_RESP, 0, 1, body), 0.0) == [Bound("S", both)]
        assert esme.version == both

    @pytest.mark.parametrize(
        ("version", "tlvs"), [(0x33, []), (0x34, [(0x0210, b"\x34")]), (0x50, [(0x0210, b"\x50")])]
    )
    def test_a_3_3_client_sees_no_tlv(self, version: int, tlvs: list[tuple[int, bytes]]) -> None:
        """sc_interface_version is told from 3.4 on only."""
        esme, smsc = Session(Role.ESME, LIMITS, 0.0), Session(Role.SMSC, LIMITS, 0.0)
        (request,) = smsc.receive_data(esme.bind(names.BIND_RECEIVER, 0.0, system_id="a", version=version), 0.0)
        assert isinstance(request, BindRequest)
        assert tlvs == codec.decode(smsc.respond_bind(request, 0, "smsc", 0.0)).tlvs
        assert smsc.version == version

    def test_a_malformed_bind_is_refused_and_may_be_tried_again(self) -> None:
        """A bind without its last NUL gets bind_resp ESME_RINVCMDLEN; a good one is then heard."""
        smsc = Session(Role.SMSC, LIMITS, 0.0)
        good = Session(Role.ESME, LIMITS, 0.0).bind(names.BIND_RECEIVER, 0.0, system_id="acme")
        bad = codec.pdu(names.BIND_RECEIVER, 0, 7, good[16:-1])
        (event,) = smsc.receive_data(bad, 0.0)
        assert isinstance(event, Bad)
        assert smsc.data_to_send() == codec.pdu(names.BIND_RECEIVER_RESP, names.ESME_RINVCMDLEN, 7)
        assert [BindRequest] == [type(one) for one in smsc.receive_data(good, 0.0)]

    def test_a_second_bind_is_already_bound(self) -> None:
        """A bind while another waits, or on a bound session, is answered ESME_RALYBND."""
        again = Session(Role.ESME, LIMITS, 0.0, 9).bind(names.BIND_RECEIVER, 0.0, system_id="acme")
        waiting = Session(Role.SMSC, LIMITS, 0.0)
        waiting.receive_data(Session(Role.ESME, LIMITS, 0.0).bind(names.BIND_RECEIVER, 0.0, system_id="acme"), 0.0)
        for smsc in (waiting, pair()[1]):
            assert [Bad] == [type(one) for one in smsc.receive_data(again, 0.0)]
            assert smsc.data_to_send() == codec.pdu(names.BIND_RECEIVER_RESP, names.ESME_RALYBND, 9)

    def test_a_bind_towards_an_esme_makes_no_sense(self) -> None:
        """An ESME answers a bind request ESME_RINVBNDSTS."""
        esme, _ = pair()
        esme.receive_data(codec.encode(names.BIND_RECEIVER, {"system_id": "x"}, sequence_number=5), 0.0)
        assert esme.data_to_send() == codec.pdu(names.BIND_RECEIVER_RESP, names.ESME_RINVBNDSTS, 5)


class TestRequests:
    def test_a_request_comes_back_with_its_token(self) -> None:
        """The response carries the token, the sending time, the status and the body."""
        esme, smsc = pair()
        data = esme.send_requests(names.SUBMIT_SM, [BODY], ["part"], 1.0)
        (request,) = smsc.receive_data(data, 1.5)
        assert isinstance(request, Request)
        assert (request.pdu.command_id, request.pdu.body) == (names.SUBMIT_SM, BODY)
        answer = codec.build_responses(names.SUBMIT_SM, [(0, request.pdu.sequence_number, "ID7")])
        assert esme.receive_data(answer, 2.0) == [Response("part", names.SUBMIT_SM_RESP, 0, b"ID7\0", 1.0, False)]
        assert (esme.room, esme.in_flight) == (2, {})

    def test_the_window_is_asserted_and_freed(self) -> None:
        """Room is the window less what is in flight; more than that is our own bug."""
        esme, _ = pair()
        sequences = submit(esme, "a", "b")
        assert esme.room == 0
        with pytest.raises(AssertionError):
            submit(esme, "c")
        esme.receive_data(response(sequences[0]), 2.0)
        assert esme.room == 1

    def test_enquire_link_takes_no_room(self) -> None:
        """A full window does not stop enquire_link, and an enquire_link takes no place in it."""
        esme, _ = pair()
        esme.tick(30.0)
        assert codec.decode(esme.data_to_send()).command_id == names.ENQUIRE_LINK
        assert esme.room == 2

    def test_responses_may_come_in_any_order(self) -> None:
        """The sequence number matches, not the order."""
        esme, _ = pair()
        first, second = submit(esme, "a", "b")
        received = esme.receive_data(response(second) + response(first), 2.0)
        assert [one.token for one in received if isinstance(one, Response)] == ["b", "a"]

    @pytest.mark.parametrize(
        ("command_id", "status", "means"),
        [
            (names.DELIVER_SM_RESP, 0, names.ESME_RUNKNOWNERR),
            (names.DELIVER_SM_RESP, names.ESME_RINVPARLEN, names.ESME_RINVPARLEN),
            (names.GENERIC_NACK, 0, names.ESME_RUNKNOWNERR),
            (names.GENERIC_NACK, names.ESME_RINVCMDID, names.ESME_RINVCMDID),
        ],
    )
    def test_an_answer_of_the_wrong_type_is_negative(self, command_id: int, status: int, means: int) -> None:
        """A nack or another command's response ends the request, never with status 0."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a")
        assert esme.receive_data(response(sequence, status, command_id, b""), 2.0) == [
            Response("a", command_id, means, b"", 1.0, False)
        ]

    def test_unmatched_responses_are_counted(self) -> None:
        """A response to nothing, and a second response to something, are ignored."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a")
        esme.receive_data(response(sequence), 2.0)
        assert esme.receive_data(response(sequence) + response(77), 2.0) == []
        assert esme.ignored_responses == 2

    def test_an_unknown_response_leaves_the_request_in_flight(self) -> None:
        """Only a response somebody defined ends a request."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a")
        assert esme.receive_data(response(sequence, 0, 0x80000077), 2.0) == []
        assert esme.room == 1

    def test_the_oldest_is_the_first(self) -> None:
        """oldest_sent_at is the sending time of the oldest unanswered request."""
        esme, _ = pair()
        assert esme.oldest_sent_at() is None
        first, _ = *submit(esme, "a", now=1.0), *submit(esme, "b", now=3.0)
        assert esme.oldest_sent_at() == 1.0
        esme.receive_data(response(first), 4.0)
        assert esme.oldest_sent_at() == 3.0

    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("command_id", BINDS)
    def test_what_may_be_sent_is_what_the_table_says(self, role: Role, command_id: int) -> None:
        """Sending a request the state forbids is our own bug, one it allows goes out."""
        for request in sorted(set(names.COMMAND_NAMES)):
            session = pair(command_id)[0 if role is Role.ESME else 1]
            if request in SENDS[role].get(session.state, ()):
                assert session.send_requests(request, [b""], [None], 1.0)
            else:
                with pytest.raises(AssertionError):
                    session.send_requests(request, [b""], [None], 1.0)


class TestTaking:
    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("bind", [0, *BINDS])
    def test_what_is_taken_is_what_the_table_says(self, role: Role, bind: int) -> None:
        """A request of the table reaches the owner; another is answered, once, and the session lives."""
        own = {names.ENQUIRE_LINK, names.UNBIND, *names.BINDS}
        for command_id in sorted(number for number in names.COMMAND_NAMES if not number & names.RESPONSE):
            if command_id in own:
                continue
            session = Session(role, LIMITS, 0.0) if not bind else pair(bind)[0 if role is Role.ESME else 1]
            (event,) = session.receive_data(codec.pdu(command_id, 0, 5, b""), 1.0)
            if command_id in TAKES[role].get(session.state, ()):
                assert isinstance(event, Request)
                assert session.data_to_send() == b""
            else:
                assert isinstance(event, Bad)
                answer = codec.pdu(command_id | names.RESPONSE, names.ESME_RINVBNDSTS, 5)
                assert session.data_to_send() == (b"" if command_id in names.NO_RESPONSE else answer)
            assert not session.closing

    def test_submit_over_a_receiver_bind_is_refused(self) -> None:
        """The spec's own example of ESME_RINVBNDSTS."""
        _, smsc = pair(names.BIND_RECEIVER)
        smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, 5, BODY), 1.0)
        assert smsc.data_to_send() == codec.pdu(names.SUBMIT_SM_RESP, names.ESME_RINVBNDSTS, 5)

    def test_a_receipt_over_a_transmitter_bind_is_taken(self) -> None:
        """Some SMSCs deliver receipts there; refusing them makes them come for hours."""
        esme, _ = pair(names.BIND_TRANSMITTER)
        assert [Request] == [type(one) for one in esme.receive_data(codec.pdu(names.DELIVER_SM, 0, 5, BODY), 1.0)]

    @pytest.mark.parametrize("sequence", [0, 0x80000001, 0xFFFFFFFF])
    def test_any_sequence_number_is_echoed(self, sequence: int) -> None:
        """Peers count from 0 and beyond 0x7fffffff; it is theirs to choose."""
        _, smsc = pair()
        (request,) = smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, sequence, BODY), 1.0)
        assert isinstance(request, Request) and request.pdu.sequence_number == sequence
        smsc.receive_data(codec.pdu(names.ENQUIRE_LINK, 0, sequence), 1.0)
        assert smsc.data_to_send() == codec.pdu(names.ENQUIRE_LINK_RESP, 0, sequence)

    @pytest.mark.parametrize("body", [b"", b"\0\0\0\0", b"\xff" * 7])
    def test_enquire_link_is_answered_before_the_bind_too(self, body: bytes) -> None:
        """In any state and with any body."""
        for session in (Session(Role.SMSC, LIMITS, 0.0), Session(Role.ESME, LIMITS, 0.0), *pair()):
            assert session.receive_data(codec.pdu(names.ENQUIRE_LINK, 0, 3, body), 0.0) == []
            assert session.data_to_send() == codec.pdu(names.ENQUIRE_LINK_RESP, 0, 3)

    def test_answers_keep_their_order(self) -> None:
        """data_to_send gives the session's answers in the order of what they answer, once."""
        _, smsc = pair()
        smsc.receive_data(
            b"".join(codec.pdu(command_id, 0, number) for number, command_id in enumerate((0x15, 0xAAAA, 0x15), 1)), 1.0
        )
        answers = [
            codec.pdu(0x80000015, 0, 1),
            codec.pdu(0x80000000, names.ESME_RINVCMDID, 2),
            codec.pdu(0x80000015, 0, 3),
        ]
        assert b"".join(answers) == smsc.data_to_send()
        assert smsc.data_to_send() == b""


class TestFraming:
    @given(st.lists(st.integers(1, 40), max_size=60), st.binary(max_size=3))
    def test_any_split_gives_what_the_whole_gives(self, cuts: list[int], kind: bytes) -> None:
        """The octets of a stream mean the same however they are cut."""
        stream = b"".join(
            (
                codec.pdu(names.SUBMIT_SM, 0, 1, BODY),
                codec.pdu(names.ENQUIRE_LINK, 0, 2, kind),
                codec.pdu(0xAAAA, 0, 3),
                codec.pdu(names.DATA_SM, 0, 4, b"x" * 30),
                codec.pdu(names.UNBIND, 0, 5),
            )
        )
        _, whole = pair()
        _, split = pair()
        expected = whole.receive_data(stream, 1.0)
        received: list[object] = []
        at = 0
        for cut in [*cuts, len(stream)]:
            received += split.receive_data(stream[at : at + cut], 1.0)
            at += cut
        assert [_plain(one) for one in expected] == [_plain(one) for one in received]
        assert whole.data_to_send() == split.data_to_send()
        assert (whole.state, whole.close_reason) == (split.state, split.close_reason)

    @pytest.mark.parametrize("length", [0, 4, 15, LIMITS.pdu_octets_max + 1, 0x7FFFFFFF, 0xFFFFFFFF])
    @pytest.mark.parametrize("octet_by_octet", [False, True])
    def test_a_bad_length_is_judged_on_four_octets(self, length: int, octet_by_octet: bool) -> None:
        """Nothing is buffered for it: nack with sequence 0, closed, the rest of the stream dropped."""
        _, smsc = pair()
        data = length.to_bytes(4, "big")
        pieces = [bytes((octet,)) for octet in data] if octet_by_octet else [data]
        received = [one for piece in pieces for one in smsc.receive_data(piece, 1.0)]
        assert [Bad, Closed] == [type(one) for one in received]
        assert smsc.data_to_send() == codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
        assert (smsc.closing, smsc.state) == (True, SessionState.CLOSED)
        assert smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, 1, BODY), 1.0) == []

    def test_what_came_before_a_lost_frame_counts(self) -> None:
        """The requests of the same read reach the owner, in order, before Closed."""
        _, smsc = pair()
        received = smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, 1, BODY) + b"\xff\xff\xff\xff", 1.0)
        assert [Request, Bad, Closed] == [type(one) for one in received]

    def test_the_largest_pdu_fits(self) -> None:
        """pdu_octets_max itself is a PDU, and never more than that is kept waiting."""
        _, smsc = pair()
        data = codec.pdu(names.SUBMIT_SM, 0, 1, b"x" * (LIMITS.pdu_octets_max - 16))
        assert smsc.receive_data(data[:-1], 1.0) == []
        assert len(smsc._partial) == LIMITS.pdu_octets_max - 1
        assert smsc._needed == LIMITS.pdu_octets_max  # until then nothing is parsed again
        (request,) = smsc.receive_data(data[-1:], 1.0)
        assert isinstance(request, Request) and len(request.pdu.body) == LIMITS.pdu_octets_max - 16
        assert len(smsc._partial) == 0

    @given(st.lists(st.binary(max_size=60), max_size=8))
    def test_no_octets_make_it_raise(self, chunks: list[bytes]) -> None:
        """Random streams are answered or closed, at both ends, in every state."""
        for session in (*pair(), Session(Role.SMSC, LIMITS, 0.0), Session(Role.ESME, LIMITS, 0.0)):
            for now, chunk in enumerate(chunks):
                session.receive_data(chunk, float(now))
                session.data_to_send()
                session.tick(float(now))
            session.lost("over")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*names.COMMAND_NAMES, 0xAAAA, 0x80000077]),
                st.integers(0, 3),
                st.integers(0, 4),
                st.binary(max_size=20),
            ),
            max_size=30,
        )
    )
    def test_no_pdus_make_it_raise(self, pdus: list[tuple[int, int, int, bytes]]) -> None:
        """Any commands, statuses, sequence numbers and bodies, in any order, at both ends."""
        waiting = Session(Role.ESME, LIMITS, 0.0)
        waiting.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme")
        leaving, _ = pair()
        leaving.unbind(0.0)
        for session in (*pair(), Session(Role.SMSC, LIMITS, 0.0), waiting, leaving):
            for command_id, status, sequence, body in pdus:
                session.receive_data(codec.pdu(command_id, status, sequence, body), 1.0)
            session.lost("over")

    def test_bytearrays_are_taken(self) -> None:
        """A stream may hand over a bytearray; bodies still come out as bytes."""
        _, smsc = pair()
        (request,) = smsc.receive_data(bytearray(codec.pdu(names.SUBMIT_SM, 0, 1, BODY)), 1.0)
        assert isinstance(request, Request) and type(request.pdu.body) is bytes


def _plain(event: object) -> object:
    """An event in a shape that compares: errors by what they say."""
    return (Bad, event.error.reason, event.error.command_status) if isinstance(event, Bad) else event


class TestNacks:
    def test_unmatched_nacks_in_a_row_close_the_session(self) -> None:
        """A peer that lost its frame nacks everything it reads; three are borne, the fourth closes."""
        esme, _ = pair()
        nack = codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
        assert esme.receive_data(nack * 3, 1.0) == []
        assert [Closed] == [type(one) for one in esme.receive_data(nack, 1.0)]
        assert (esme.unmatched_nacks, esme.closing) == (4, True)

    def test_a_nack_with_sequence_0_leaves_requests_in_flight(self) -> None:
        """Nobody knows which request it means: they wait for their time-out."""
        esme, _ = pair()
        submit(esme, "a")
        assert esme.receive_data(codec.pdu(names.GENERIC_NACK, 2, 0), 2.0) == []
        assert esme.room == 1

    @pytest.mark.parametrize("between", [codec.pdu(names.ENQUIRE_LINK, 0, 1), codec.pdu(names.DELIVER_SM, 0, 1, BODY)])
    def test_anything_else_ends_the_row(self, between: bytes) -> None:
        """The count is of nacks in a row."""
        esme, _ = pair()
        nack = codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
        for _ in range(3):
            esme.receive_data(nack * 3, 1.0)
            esme.receive_data(between, 1.0)
        assert not esme.closing


class TestTime:
    def test_a_request_times_out_once_and_its_late_response_still_comes(self) -> None:
        """TimedOut frees the window; the late response carries the token and says it is late, once."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a", now=1.0)
        assert esme.next_deadline() == 11.0
        assert esme.tick(10.9) == []
        assert esme.tick(11.0) == [TimedOut("a", 1.0)]
        assert esme.room == 2
        assert esme.tick(12.0) == []
        late = Response("a", names.SUBMIT_SM_RESP, 0, b"id\0", 1.0, True)
        assert esme.receive_data(response(sequence), 20.0) == [late]
        assert esme.receive_data(response(sequence), 20.0) == []

    def test_a_late_nack_is_late_and_negative(self) -> None:
        """The same for an answer of the wrong type."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a", now=1.0)
        esme.tick(11.0)
        assert esme.receive_data(codec.pdu(names.GENERIC_NACK, 0, sequence), 20.0) == [
            Response("a", names.GENERIC_NACK, names.ESME_RUNKNOWNERR, b"", 1.0, True)
        ]

    def test_only_so_many_timed_out_requests_are_remembered(self) -> None:
        """tombstones_max bounds the memory; the oldest go first."""
        esme, _ = pair()
        sequences = []
        for now in range(1, 7):
            sequences += submit(esme, now, now=float(now))
            esme.tick(now + 10.0)
        late = [esme.receive_data(response(sequence), 30.0) for sequence in sequences]
        assert [bool(received) for received in late] == [False, False, True, True, True, True]

    def test_the_smsc_waits_for_a_bind_only_so_long(self) -> None:
        """A client that connects and says nothing is let go; enquire_links do not help it."""
        smsc = Session(Role.SMSC, LIMITS, 100.0)
        assert smsc.next_deadline() == 105.0
        smsc.receive_data(codec.pdu(names.ENQUIRE_LINK, 0, 1), 104.0)
        assert smsc.tick(105.0) == [Closed("no bind in time")]
        assert (True, math.inf) == (smsc.closing, smsc.next_deadline())

    def test_the_esme_waits_for_bind_resp_only_so_long(self) -> None:
        """The bind timer runs from the request."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        assert esme.next_deadline() == math.inf
        esme.bind(names.BIND_RECEIVER, 100.0, system_id="acme")
        assert esme.tick(104.9) == []
        assert esme.tick(105.0) == [Closed("no bind_resp in time")]

    def test_the_owner_may_take_its_time_to_answer_a_bind(self) -> None:
        """While our own side judges the bind no timer runs."""
        smsc = Session(Role.SMSC, LIMITS, 0.0)
        smsc.receive_data(Session(Role.ESME, LIMITS, 0.0).bind(names.BIND_RECEIVER, 0.0, system_id="a"), 0.0)
        assert smsc.next_deadline() == math.inf

    @pytest.mark.parametrize("end", [0, 1])
    def test_a_silent_peer_is_given_up(self, end: int) -> None:
        """Two enquire_links unanswered, and at the third nothing heard at all: dead."""
        session = pair()[end]
        for now in (30.0, 60.0):
            assert session.next_deadline() == now
            assert session.tick(now) == []
            assert codec.decode(session.data_to_send()).command_id == names.ENQUIRE_LINK
        (closed,) = session.tick(90.0)
        assert isinstance(closed, Closed) and "silent for 90 s" in closed.reason
        assert session.data_to_send() == b""

    @pytest.mark.parametrize(
        "heard",
        [
            codec.pdu(names.ENQUIRE_LINK_RESP, 0, 99),
            codec.pdu(names.ENQUIRE_LINK, 0, 99),
            codec.pdu(names.DELIVER_SM, 0, 99, BODY),
            codec.pdu(names.GENERIC_NACK, 3, 0),
        ],
    )
    def test_any_whole_pdu_is_a_sign_of_life(self, heard: bytes) -> None:
        """A peer that never answers enquire_link lives as long as it says something."""
        esme, _ = pair()
        for now in range(30, 300, 30):
            assert esme.tick(float(now)) == []
            esme.receive_data(heard, now + 1.0)
            esme._unmatched = 0  # not what is proved here
        assert not esme.closing

    def test_a_partial_pdu_is_no_sign_of_life(self) -> None:
        """A peer that drips octets of one PDU is as dead as a silent one."""
        esme, _ = pair()
        data = codec.pdu(names.DELIVER_SM, 0, 1, BODY)
        for now, at in ((30.0, 0), (60.0, 20)):
            esme.tick(now)
            esme.receive_data(data[at : at + 20], now)
        assert [Closed] == [type(one) for one in esme.tick(90.0)]

    def test_enquire_link_can_be_switched_off(self) -> None:
        """0 means never: no deadline, no PDU, no death."""
        esme, _ = pair(limits=SessionLimits(enquire_link_s=0))
        assert (math.inf, []) == (esme.next_deadline(), esme.tick(1e6))

    def test_late_ticks_do_not_bunch(self) -> None:
        """After a long pause of our own one enquire_link goes out, and the next is due a full interval later."""
        esme, _ = pair()
        esme.tick(1000.0)
        assert len(esme.data_to_send()) == 16
        assert esme.next_deadline() == 1030.0


class TestUnbinding:
    def test_our_unbind_is_answered(self) -> None:
        """Unbound at both ends; both close; the SMSC's answer is in its queue."""
        esme, smsc = pair()
        assert smsc.receive_data(esme.unbind(1.0), 1.0) == [Unbound()]
        assert smsc.closing
        assert esme.receive_data(smsc.data_to_send(), 1.0) == [Unbound()]
        assert (esme.state, smsc.state) == (SessionState.CLOSED, SessionState.CLOSED)

    def test_no_unbind_resp_in_time(self) -> None:
        """Clients that just close, or say nothing, are waited for 5 s."""
        esme, _ = pair()
        esme.unbind(1.0)
        assert esme.next_deadline() == 6.0
        assert esme.tick(6.0) == [Closed("no unbind_resp in time")]

    def test_no_enquire_link_while_unbinding(self) -> None:
        """Nothing but answers follows an unbind."""
        esme, _ = pair()
        esme.unbind(28.0)
        assert esme.tick(30.0) == []
        assert esme.data_to_send() == b""

    def test_responses_still_count_while_unbinding(self) -> None:
        """What was in flight is answered before the unbind_resp."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a")
        esme.unbind(2.0)
        assert [Response] == [type(one) for one in esme.receive_data(response(sequence), 3.0)]
        with pytest.raises(AssertionError):
            submit(esme, "b")

    def test_while_unbinding_receipts_are_taken_and_submits_are_not(self) -> None:
        """A receipt the carrier had already sent is kept; a submit would be lost, so it is refused."""
        esme, smsc = pair()
        esme.unbind(1.0)
        smsc.unbind(1.0)
        assert [Request] == [type(one) for one in esme.receive_data(codec.pdu(names.DELIVER_SM, 0, 8, BODY), 1.0)]
        assert [Bad] == [type(one) for one in smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, 8, BODY), 1.0)]
        assert smsc.data_to_send() == codec.pdu(names.SUBMIT_SM_RESP, names.ESME_RINVBNDSTS, 8)

    def test_both_unbind_at_once(self) -> None:
        """The crossing requests are answered and both ends close."""
        esme, smsc = pair()
        ours, theirs = esme.unbind(1.0), smsc.unbind(1.0)
        assert esme.receive_data(theirs, 1.0) == [Unbound()] == smsc.receive_data(ours, 1.0)
        assert esme.closing and smsc.closing

    def test_a_deferred_unbind_waits_for_the_owner(self) -> None:
        """The owner's answers can leave first; then unbind_resp, then the end."""
        _, smsc = pair(defer_unbind=True)
        assert smsc.receive_data(codec.pdu(names.UNBIND, 0, 9), 1.0) == [Unbound()]
        assert (smsc.data_to_send(), smsc.closing, smsc.state) == (b"", False, SessionState.UNBINDING)
        smsc.finish_unbind()
        assert (codec.pdu(names.UNBIND_RESP, 0, 9), True) == (smsc.data_to_send(), smsc.closing)

    def test_a_deferred_unbind_does_not_wait_for_ever(self) -> None:
        """After unbind_timeout_s the session answers by itself."""
        _, smsc = pair(defer_unbind=True)
        smsc.receive_data(codec.pdu(names.UNBIND, 0, 9), 1.0)
        assert smsc.next_deadline() == 6.0
        smsc.tick(6.0)
        assert (codec.pdu(names.UNBIND_RESP, 0, 9), True) == (smsc.data_to_send(), smsc.closing)

    def test_answers_of_the_owner_after_a_close_are_harmless(self) -> None:
        """Junk right behind a bind or an unbind closes the session before the owner answers; that is no bug of his."""
        smsc = Session(Role.SMSC, LIMITS, 0.0)
        bind = Session(Role.ESME, LIMITS, 0.0).bind(names.BIND_RECEIVER, 0.0, system_id="a")
        received = smsc.receive_data(bind + b"\xff" * 4, 0.0)
        assert [BindRequest, Bad, Closed] == [type(one) for one in received]
        assert isinstance(received[0], BindRequest)
        assert smsc.respond_bind(received[0], 0, "smsc", 0.0) == b""
        _, smsc = pair(defer_unbind=True)
        smsc.receive_data(codec.pdu(names.UNBIND, 0, 9) + b"\xff" * 4, 0.0)
        smsc.data_to_send()
        smsc.finish_unbind()
        assert smsc.data_to_send() == b""

    def test_unbind_before_bind_makes_no_sense(self) -> None:
        """It is answered ESME_RINVBNDSTS."""
        smsc = Session(Role.SMSC, LIMITS, 0.0)
        smsc.receive_data(codec.pdu(names.UNBIND, 0, 9), 1.0)
        assert smsc.data_to_send() == codec.pdu(names.UNBIND_RESP, names.ESME_RINVBNDSTS, 9)


class TestLost:
    def test_what_was_in_flight_is_told_in_order(self) -> None:
        """Every unanswered request, oldest first; those that had timed out were told before."""
        esme, _ = pair()
        submit(esme, "timed out", now=1.0)
        esme.tick(11.0)
        submit(esme, "a", "b", now=11.0)
        assert esme.lost("reset by peer") == ["a", "b"]
        assert (esme.state, esme.closing, esme.close_reason) == (SessionState.CLOSED, True, "reset by peer")
        assert esme.lost("again") == []

    def test_the_first_reason_stays(self) -> None:
        """The end of the stream that follows a close does not hide why it was closed."""
        esme, _ = pair()
        esme.close("drained")
        esme.lost("end of stream")
        assert esme.close_reason == "drained"

    def test_nothing_is_sent_on_a_closed_session(self) -> None:
        """It is our own bug."""
        esme, _ = pair()
        esme.lost("gone")
        for misuse in (lambda: submit(esme, "a"), lambda: esme.unbind(1.0)):
            with pytest.raises(AssertionError):
                misuse()


class TestSequenceNumbers:
    def test_they_wrap_from_the_highest_to_1(self) -> None:
        """0 and what lies above 0x7fffffff are never used."""
        esme, _ = pair(first_sequence=SEQUENCE_MAX - 1)
        assert submit(esme, "a") == [SEQUENCE_MAX]
        assert submit(esme, "b") == [1]

    def test_numbers_somebody_waits_for_are_skipped(self) -> None:
        """In flight, timed out, or an enquire_link's: their responses must not be taken for another's."""
        esme, _ = pair(first_sequence=SEQUENCE_MAX - 5)
        esme.tick(30.0)  # an enquire_link takes a number
        sequences = submit(esme, "tombstone", "in flight", now=31.0)
        esme.receive_data(response(sequences[1]), 31.0)
        esme.tick(41.0)
        esme._next = SEQUENCE_MAX - 5
        esme._wrapped = True
        taken = {*esme._own, *esme._tombstones}
        assert taken == {SEQUENCE_MAX - 4, SEQUENCE_MAX - 3}
        assert submit(esme, "a", "b", now=42.0) == [SEQUENCE_MAX - 5, SEQUENCE_MAX - 2]

    def test_a_run_round_the_corner_never_repeats_a_number_in_use(self) -> None:
        """Two thousand requests, every third unanswered until it times out, numbered across the wrap."""
        esme, _ = pair(first_sequence=0x7FFFFFF0, limits=SessionLimits(window=50, enquire_link_s=0))
        waiting: set[int] = set()
        for now in range(2000):
            (sequence,) = submit(esme, now, now=float(now))
            assert sequence not in waiting and 1 <= sequence <= SEQUENCE_MAX
            waiting.add(sequence)
            if now % 3:
                esme.receive_data(response(sequence), float(now))
                waiting.remove(sequence)
            esme.tick(float(now))


class TestTables:
    def test_a_closed_session_stays_closed(self) -> None:
        """CLOSED has one step, to itself, and every state can close."""
        assert TRANSITIONS[SessionState.CLOSED] == {Step.CLOSE: SessionState.CLOSED}
        assert all(steps[Step.CLOSE] is SessionState.CLOSED for steps in TRANSITIONS.values())

    def test_every_state_can_be_reached(self) -> None:
        """No row of the table is dead."""
        reached = {SessionState.OPEN, *(state for steps in TRANSITIONS.values() for state in steps.values())}
        assert reached == set(SessionState) == set(TRANSITIONS)

    def test_what_one_end_sends_the_other_takes(self) -> None:
        """In the bound states, a request one role may send is one the other takes."""
        for role, other in ((Role.ESME, Role.SMSC), (Role.SMSC, Role.ESME)):
            for state, commands in SENDS[role].items():
                assert commands <= TAKES[other][state]
