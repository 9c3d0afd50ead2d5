"""The session against the wire: framing cut anywhere, lost frames, random octets and PDUs, nacks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    Bad,
    Closed,
    Request,
    Role,
    Session,
    SessionState,
)
from tests.smpp.pairs import BODY, LIMITS, pair, submit


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
    def test_s21_a_bad_length_is_judged_on_four_octets(self, length: int, octet_by_octet: bool) -> None:
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
    def test_s10_unmatched_nacks_in_a_row_close_the_session(self) -> None:
        """A peer that lost its frame nacks everything it reads; three are borne, the fourth closes."""
        esme, _ = pair()
        nack = codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
        assert esme.receive_data(nack * 3, 1.0) == []
        assert [Closed] == [type(one) for one in esme.receive_data(nack, 1.0)]
        assert (esme.unmatched_nacks, esme.closing) == (4, True)

    def test_s9_a_nack_with_sequence_0_leaves_requests_in_flight(self) -> None:
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
