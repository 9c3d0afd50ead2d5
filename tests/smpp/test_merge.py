"""All parts of a message as one submit_sm: nothing but their place is lost, or it is not done. smpp/merge.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from smsroute.smpp import names, text
from smsroute.smpp.codec import build_sm, build_tlv, parse_sm, tlv, tlvs
from smsroute.smpp.merge import merge
from smsroute.smpp.rewrite import Form, Unfit, rewrite

NUMBER = "33600000001"


def part(number: int, total: int = 2, **more: Any) -> bytes:
    """A submit_sm with a header of 8 bits."""
    fields = {"short_message": bytes((5, 0, 3, 7, total, number)) + b"part %d" % number, "esm_class": 0x40} | more
    return build_sm(destination_addr=NUMBER, **fields)


def segment(number: int, total: int = 2, said: bytes = b"", **more: Any) -> bytes:
    """A submit_sm with SAR TLVs."""
    place = ((names.SAR_MSG_REF_NUM, b"\0\7"), (names.SAR_TOTAL_SEGMENTS, bytes((total,))))
    place += ((names.SAR_SEGMENT_SEQNUM, bytes((number,))),)
    tail = b"".join(build_tlv(tag, value) for tag, value in place) + more.pop("tlv", b"")
    return build_sm(destination_addr=NUMBER, short_message=said or b"part %d" % number, tlv=tail, **more)


@given(st.text(min_size=150, max_size=900), st.booleans())
def test_what_was_cut_is_whole_again(said: str, wide: bool) -> None:
    """Any text, in whichever alphabet holds it, cut as platforms cut it."""
    try:
        data_coding, pieces = text.split(said, 7, wide=wide)
    except UnicodeEncodeError:
        assume(False)
    assume(len(pieces) > 1)
    sm = parse_sm(
        merge(
            [
                build_sm(destination_addr=NUMBER, esm_class=0x40, data_coding=data_coding, short_message=piece)
                for piece in pieces
            ]
        )
    )
    assert (sm.esm_class, sm.data_coding, sm.short_message) == (0, data_coding, b"")
    assert tlv(sm.tlv, names.MESSAGE_PAYLOAD) == text.encode(said)[1]


@given(st.lists(st.binary(min_size=1, max_size=140), min_size=2, max_size=8), st.randoms())
def test_octets_of_no_alphabet_stand_in_the_order_of_their_parts(pieces: list[bytes], rng: Any) -> None:
    """Binary, with SAR TLVs of which none is left."""
    total = len(pieces)
    bodies = [segment(number, total, piece, data_coding=4) for number, piece in enumerate(pieces, 1)]
    sm = parse_sm(merge(bodies))
    assert tlvs(sm.tlv) == [(names.MESSAGE_PAYLOAD, b"".join(pieces))]


def test_what_any_part_asks_for_is_asked_for() -> None:
    """registered_delivery is a set of wishes; of the validities the first part's stands."""
    bodies = [
        part(1, registered_delivery=1, validity_period="260101000000000+"),
        part(2, registered_delivery=0x10, validity_period="260101000001000+"),
    ]
    sm = parse_sm(merge(bodies))
    assert (sm.registered_delivery, sm.validity_period) == (0x11, "260101000000000+")


def test_tlvs_of_the_message_stay_and_those_of_a_part_go() -> None:
    """more_messages_to_send says of a part that another follows; a vendor's TLV on each speaks of the message."""
    vendor = build_tlv(0x1400, b"115")
    bodies = [
        segment(1, tlv=vendor + build_tlv(names.MORE_MESSAGES_TO_SEND, b"\1")),
        segment(2, tlv=vendor + build_tlv(names.MORE_MESSAGES_TO_SEND, b"\0")),
    ]
    assert tlvs(parse_sm(merge(bodies)).tlv) == [(0x1400, b"115"), (names.MESSAGE_PAYLOAD, b"part 1part 2")]


@pytest.mark.parametrize(
    "other",
    [
        {"service_type": "OTP"},
        {"source_addr": "SHOP"},
        {"source_addr_ton": 5},
        {"dest_addr_npi": 1},
        {"esm_class": 0x42},
        {"protocol_id": 0x41},
        {"priority_flag": 3},
        {"replace_if_present_flag": 1},
        {"data_coding": 8},
        {"sm_default_msg_id": 7},
        {"tlv": build_tlv(names.USER_MESSAGE_REFERENCE, b"\0\7")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_parts_that_differ_stay_parts(other: dict[str, Any]) -> None:
    """In any field that speaks of the whole message; a text the SMSC keeps is in no part to begin with."""
    with pytest.raises(Unfit):
        merge([part(1), part(2, **other)])
    if "sm_default_msg_id" in other:
        with pytest.raises(Unfit, match="sm_default_msg_id 7"):
            merge([part(1, **other), part(2, **other)])


def test_a_header_that_says_more_stays() -> None:
    """Ports say what program a text is for: without a header nobody would."""
    ports = bytes((11, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0, 3, 7, 2))
    with pytest.raises(Unfit, match="more in their header"):
        merge([part(number, short_message=ports + bytes((number,)) + b"push") for number in (1, 2)])


def test_a_contract_writes_it_as_any_payload() -> None:
    """Its alphabet may be another: no part's room bounds a whole message."""
    euro = "€" * 100
    data_coding, pieces = text.split(euro, 7)
    bodies = [
        build_sm(destination_addr=NUMBER, esm_class=0x40, data_coding=data_coding, short_message=piece)
        for piece in pieces
    ]
    sm = parse_sm(rewrite(Form(alphabet="latin-1", long="payload"), merge(bodies)))
    assert (sm.data_coding, sm.user_data()) == (8, euro.encode("utf-16-be"))
