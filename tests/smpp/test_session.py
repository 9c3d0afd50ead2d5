"""The session, event by event: binding, requests and answers at both ends, what is lost, sequence numbers, tables."""

from __future__ import annotations

import pytest

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    SEQUENCE_MAX,
    Bad,
    BindRefused,
    BindRequest,
    Bound,
    Request,
    Response,
    Role,
    Session,
    SessionLimits,
    SessionState,
)
from smsroute.smpp.states import SENDS, TAKES, TRANSITIONS, Step
from tests.smpp.pairs import BINDS, BODY, LIMITS, pair, response, submit


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

    def test_s15_a_refusal_closes_both_ends(self) -> None:
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
    def test_s5_any_shape_of_bind_resp_is_a_bind(self, body: bytes, system_id: str) -> None:
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
    def test_s5_an_odd_answer_refuses_the_bind(self, command_id: int, status: int, means: int) -> None:
        """A generic_nack (an SMSC without bind_transceiver) or the wrong type of response is a refusal."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme")
        assert esme.receive_data(codec.pdu(command_id, status, 1), 0.0) == [BindRefused(means)]

    @pytest.mark.parametrize(
        ("ours", "theirs", "both"), [(0x34, 0x33, 0x33), (0x34, 0x50, 0x34), (0x50, 0x34, 0x34), (0x50, 0x50, 0x50)]
    )
    def test_s27_the_lower_version_is_spoken(self, ours: int, theirs: int, both: int) -> None:
        """sc_interface_version lowers ours and never raises it."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme", version=ours)
        body = b"S\0" + codec.build_tlv(names.SC_INTERFACE_VERSION, bytes((theirs,)))
        assert esme.receive_data(codec.pdu(names.BIND_TRANSCEIVER_RESP, 0, 1, body), 0.0) == [Bound("S", both)]
        assert esme.version == both

    @pytest.mark.parametrize(
        ("version", "tlvs"), [(0x33, []), (0x34, [(0x0210, b"\x34")]), (0x50, [(0x0210, b"\x50")])]
    )
    def test_s26_a_3_3_client_sees_no_tlv(self, version: int, tlvs: list[tuple[int, bytes]]) -> None:
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

    def test_s18_enquire_link_takes_no_room(self) -> None:
        """A full window does not stop enquire_link, and an enquire_link takes no place in it."""
        esme, _ = pair()
        esme.tick(30.0)
        assert codec.decode(esme.data_to_send()).command_id == names.ENQUIRE_LINK
        assert esme.room == 2

    def test_s17_responses_may_come_in_any_order(self) -> None:
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
    def test_s7_s8_an_answer_of_the_wrong_type_is_negative(self, command_id: int, status: int, means: int) -> None:
        """A nack or another command's response ends the request, never with status 0."""
        esme, _ = pair()
        (sequence,) = submit(esme, "a")
        assert esme.receive_data(response(sequence, status, command_id, b""), 2.0) == [
            Response("a", command_id, means, b"", 1.0, False)
        ]

    def test_s22_unmatched_responses_are_counted(self) -> None:
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
                answer = codec.refusal(command_id, names.ESME_RINVBNDSTS, 5)
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
    def test_s16_any_sequence_number_is_echoed(self, sequence: int) -> None:
        """Peers count from 0 and beyond 0x7fffffff; it is theirs to choose."""
        _, smsc = pair()
        (request,) = smsc.receive_data(codec.pdu(names.SUBMIT_SM, 0, sequence, BODY), 1.0)
        assert isinstance(request, Request) and request.pdu.sequence_number == sequence
        smsc.receive_data(codec.pdu(names.ENQUIRE_LINK, 0, sequence), 1.0)
        assert smsc.data_to_send() == codec.pdu(names.ENQUIRE_LINK_RESP, 0, sequence)

    @pytest.mark.parametrize("body", [b"", b"\0\0\0\0", b"\xff" * 7])
    def test_s3_enquire_link_is_answered_before_the_bind_too(self, body: bytes) -> None:
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


class TestLost:
    def test_s20_what_was_in_flight_is_told_in_order(self) -> None:
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
    def test_s16_they_wrap_from_the_highest_to_1(self) -> None:
        """0 and what lies above 0x7fffffff are never used."""
        esme, _ = pair(first_sequence=SEQUENCE_MAX - 1)
        assert submit(esme, "a") == [SEQUENCE_MAX]
        assert submit(esme, "b") == [1]

    def test_s16_numbers_somebody_waits_for_are_skipped(self) -> None:
        """In flight, timed out, or an enquire_link's: their responses must not be taken for another's."""
        esme, _ = pair(first_sequence=SEQUENCE_MAX - 5)
        esme.tick(30.0)  # an enquire_link takes a number
        sequences = submit(esme, "tombstone", "in flight", now=31.0)
        esme.receive_data(response(sequences[1]), 31.0)
        esme.tick(41.0)
        esme._flights._next = SEQUENCE_MAX - 5
        esme._flights._wrapped = True
        taken = {*esme._flights.own, *esme._flights.tombstones}
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
