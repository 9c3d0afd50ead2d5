"""The session and time: time-outs, late responses, enquire_link, unbinding."""

from __future__ import annotations

import math

import pytest

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    Bad,
    BindRequest,
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
from tests.smpp.pairs import BODY, LIMITS, pair, response, submit


class TestTime:
    def test_s19_a_request_times_out_once_and_its_late_response_still_comes(self) -> None:
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
        """The bind timer runs from the request; before, a carrier that has dialled us has as long for its outbind."""
        esme = Session(Role.ESME, LIMITS, 0.0)
        assert esme.next_deadline() == 5.0
        esme.bind(names.BIND_RECEIVER, 100.0, system_id="acme")
        assert esme.tick(104.9) == []
        assert esme.tick(105.0) == [Closed("no bind_resp in time")]

    def test_the_owner_may_take_its_time_to_answer_a_bind(self) -> None:
        """While our own side judges the bind no timer runs."""
        smsc = Session(Role.SMSC, LIMITS, 0.0)
        smsc.receive_data(Session(Role.ESME, LIMITS, 0.0).bind(names.BIND_RECEIVER, 0.0, system_id="a"), 0.0)
        assert smsc.next_deadline() == math.inf

    @pytest.mark.parametrize("end", [0, 1])
    def test_s1_a_silent_peer_is_given_up(self, end: int) -> None:
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
    def test_s1_any_whole_pdu_is_a_sign_of_life(self, heard: bytes) -> None:
        """A peer that never answers enquire_link lives as long as it says something."""
        esme, _ = pair()
        for now in range(30, 300, 30):
            assert esme.tick(float(now)) == []
            esme.receive_data(heard, now + 1.0)
            esme._unmatched = 0  # not what is proved here
        assert not esme.closing

    def test_s1_a_peer_that_never_answers_enquire_link_costs_no_memory(self) -> None:
        """Of the requests of the session's own only the last few are remembered; the newest is still matched."""
        esme, _ = pair()
        for now in range(30, 30_000, 30):
            esme.tick(float(now))
            esme.receive_data(codec.pdu(names.DELIVER_SM, 0, 1, BODY), float(now))
        assert len(esme._flights.own) <= 16
        esme.data_to_send()
        esme.tick(30_000.0)
        newest = codec.decode(esme.data_to_send()).sequence_number
        esme.receive_data(codec.pdu(names.ENQUIRE_LINK_RESP, 0, newest), 30_000.0)
        assert esme.ignored_responses == 0
        assert newest not in esme._flights.own

    def test_a_partial_pdu_is_no_sign_of_life(self) -> None:
        """A peer that drips octets of one PDU is as dead as a silent one."""
        esme, _ = pair()
        data = codec.pdu(names.DELIVER_SM, 0, 1, BODY)
        for now, at in ((30.0, 0), (60.0, 20)):
            esme.tick(now)
            esme.receive_data(data[at : at + 20], now)
        assert [Closed] == [type(one) for one in esme.tick(90.0)]

    def test_s1_enquire_link_can_be_switched_off(self) -> None:
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
    def test_s32_our_unbind_is_answered(self) -> None:
        """Unbound at both ends; both close; the SMSC's answer is in its queue."""
        esme, smsc = pair()
        assert smsc.receive_data(esme.unbind(1.0), 1.0) == [Unbound()]
        assert smsc.closing
        assert esme.receive_data(smsc.data_to_send(), 1.0) == [Unbound()]
        assert (esme.state, smsc.state) == (SessionState.CLOSED, SessionState.CLOSED)

    def test_s32_no_unbind_resp_in_time(self) -> None:
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
