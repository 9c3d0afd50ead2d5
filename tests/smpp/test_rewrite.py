"""A submit as a carrier's contract wants it: nothing else changes, and no text changes its meaning. smpp/rewrite.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import alphabets, names, rewrite, text
from smsroute.smpp.codec import build_sm, build_tlv, parse_sm, tlv
from smsroute.smpp.rewrite import Address, Form, Unfit
from smsroute.smpp.sm import SubmitSm

GSM_TEXT = st.text(sorted(alphabets.GSM_OCTETS), max_size=160).filter(lambda said: not said.endswith("\r"))


def submit(said: str = "hello", **fields: Any) -> bytes:
    """A submit_sm in the GSM alphabet."""
    fields = {"short_message": alphabets.encode_gsm(said), "registered_delivery": 1} | fields
    return build_sm(**({"source_addr": "SHOP", "destination_addr": "33600000001"} | fields))


def written(form: Form, body: bytes) -> SubmitSm:
    """The same as `form` wants it."""
    return parse_sm(rewrite.rewrite(form, body))


def said_by(sm: SubmitSm, default: alphabets.Alphabet = "gsm") -> str:
    """The text a carrier whose data_coding 0 means `default` reads."""
    data = sm.user_data()
    head = 1 + data[0] if sm.esm_class & 0x40 else 0
    meaning = alphabets.alphabet_of(sm.data_coding)
    alphabet = default if meaning in (alphabets.DEFAULT, None) else meaning
    assert alphabet is not None
    octets = alphabets.unpack(data[head:], head) if alphabet == "packed" else data[head:]
    return alphabets.decode(alphabet, octets)  # type: ignore[arg-type]


def test_a_contract_without_wishes_changes_nothing() -> None:
    """Octet for octet: a header, a TLV nobody knows, a payload, and stray octets at the end are cut as ever."""
    header = bytes((5, 0, 3, 7, 2, 1))
    for body in (
        submit(),
        submit(esm_class=0x43, short_message=header + b"part", data_coding=0xF0, tlv=build_tlv(0x1400, b"x")),
        submit(short_message=b"", tlv=build_tlv(names.MESSAGE_PAYLOAD, b"p" * 900)),
        submit(short_message=b"x" * 254),
    ):
        assert rewrite.rewrite(Form(), body) == body


# -- addresses (quirks S35) --------------------------------------------------------------------------------------------

EACH = Form(
    source={"alphanumeric": Address(5, 0), "short": Address(3, 0), "numeric": Address(1, 1, "drop")},
    destination={"numeric": Address(1, 1, "add")},
)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [("SHOP", (5, 0, "SHOP")), ("36184", (3, 0, "36184")), ("+33612345678", (1, 1, "33612345678")),
     ("447700900123", (1, 1, "447700900123")), ("+36184", (1, 1, "36184")), ("", (9, 9, ""))],
)  # fmt: skip
def test_s35_each_kind_of_sender_has_its_ton_npi_and_plus(source: str, wanted: tuple[int, int, str]) -> None:
    """An empty sender is the carrier's to fill, and stays."""
    sm = written(EACH, submit(source_addr=source, source_addr_ton=9, source_addr_npi=9))
    assert (sm.source_addr_ton, sm.source_addr_npi, sm.source_addr) == wanted


def test_s35_a_number_gets_its_plus_and_an_octet_left_out_stays() -> None:
    """`plus: add`, and -1 for what the contract does not say."""
    sm = written(EACH, submit())
    assert (sm.dest_addr_ton, sm.dest_addr_npi, sm.destination_addr) == (1, 1, "+33600000001")
    sm = written(Form(destination={"numeric": Address(npi=1)}), submit(dest_addr_ton=2))
    assert (sm.dest_addr_ton, sm.dest_addr_npi, sm.destination_addr) == (2, 1, "33600000001")


# -- alphabets ---------------------------------------------------------------------------------------------------------


@given(GSM_TEXT, st.sampled_from(["packed", "latin-1", "ascii", "gsm"]))
def test_a_text_says_the_same_in_any_alphabet(said: str, alphabet: alphabets.Alphabet) -> None:
    """What the carrier's alphabet lacks goes as UCS-2; what fits neither way is refused, never changed."""
    body = submit(said)
    septets = len(alphabets.encode_gsm(said))
    try:
        sm = written(Form(alphabet=alphabet), body)
    except Unfit:
        assert alphabet in ("latin-1", "ascii")
        assert len(said) > 70 or said.isascii()
        return
    assert said_by(sm, alphabet) == said
    assert septets > 160 or alphabet == "gsm" or len(sm.short_message) <= 140


def test_ascii_by_its_own_number_becomes_the_default_alphabet() -> None:
    """Clients that mark plain ASCII as 1 write `@` as 0x40; in the GSM alphabet it is 0x00 (quirks 2.1)."""
    sm = written(Form(data_codings={1: 0}), submit(short_message=b"me@example.org {1}", data_coding=1))
    assert (sm.data_coding, sm.short_message) == (0, alphabets.encode_gsm("me@example.org {1}"))


def test_binary_under_another_number_keeps_its_octets() -> None:
    """4 and 2 both mean octets; nothing is read into them."""
    sm = written(Form(data_codings={4: 2}), submit(short_message=bytes(range(140)), data_coding=4))
    assert (sm.data_coding, sm.short_message) == (2, bytes(range(140)))


def test_text_that_is_none_is_refused_not_guessed() -> None:
    """Octets above 127 are no GSM septets: what they meant nobody knows."""
    with pytest.raises(Unfit, match="no gsm"):
        written(Form(alphabet="latin-1"), submit(short_message=b"caf\xe9"))


def test_a_text_too_long_for_the_carriers_alphabet_is_refused_with_figures() -> None:
    """161 characters of ASCII are 160 and an octet too many there."""
    with pytest.raises(Unfit, match="takes 160 octets there, 140 fit"):
        written(Form(alphabet="latin-1"), submit("x" * 160))


def test_a_packed_part_of_a_message_keeps_its_header_on_octets() -> None:
    """The text begins at a septet's edge behind it (quirks 2.1, fill bits)."""
    header = bytes((5, 0, 3, 7, 2, 1))
    sm = written(Form(alphabet="packed"), submit(esm_class=0x40, short_message=header + b"a" * 153))
    assert sm.short_message[:6] == header
    assert len(sm.short_message) == 140
    assert said_by(sm, "packed") == "a" * 153


# -- long messages -----------------------------------------------------------------------------------------------------

FORMS: tuple[rewrite.Long, ...] = ("udh", "udh16", "sar")


@given(st.sampled_from(FORMS), st.sampled_from(FORMS), st.integers(0, 255), st.integers(1, 255), st.data())
def test_a_parts_place_survives_any_way_of_writing_it(
    one: rewrite.Long, other: rewrite.Long, reference: int, total: int, data: st.DataObject
) -> None:
    """Header to TLVs, eight bits to sixteen, and back: reference, total and number are the same, and so is the text."""
    number = data.draw(st.integers(1, total))
    header = bytes((5, 0, 3, reference, total, number))
    body = submit(esm_class=0x43, short_message=header + b"part")
    there = rewrite.rewrite(Form(long=one), body)
    back = parse_sm(rewrite.rewrite(Form(long=other), there))
    assert text.concat(back.esm_class, back.user_data(), back.tlv) == (reference, total, number)
    assert said_by(back) == "part"
    assert bool(back.esm_class & 0x40) == (other != "sar")
    assert back.esm_class & 3 == 3
    if other == "udh":
        assert back == parse_sm(body)


def test_sar_parts_that_leave_no_room_for_a_header_are_refused() -> None:
    """160 septets and six octets of header are no part of a message."""
    tail = build_tlv(0x020C, b"\0\7") + build_tlv(0x020E, b"\2") + build_tlv(0x020F, b"\1")
    with pytest.raises(Unfit, match="takes 160 septets there, 153 fit"):
        written(Form(long="udh"), submit("x" * 160, tlv=tail))
    sm = written(Form(long="udh"), submit("x" * 153, tlv=tail))
    assert sm.tlv == b""
    assert text.concat(sm.esm_class, sm.short_message) == (7, 2, 1)


def test_a_header_with_ports_stays_a_header() -> None:
    """SAR TLVs beside a header are refused by peers, and the ports have no other place."""
    with_ports = submit(esm_class=0x40, short_message=b"\x0b\5\4\x0b\x84\x23\xf0\0\3\7\2\1wap")
    assert rewrite.rewrite(Form(long="sar"), with_ports) == with_ports


def test_a_full_part_with_a_header_of_eight_bits_keeps_it() -> None:
    """140 octets have no room for a wider reference, and its shorter sisters must bear the same header as it does; what
    came as SAR TLVs gets sixteen bits."""
    for size in (134, 10):
        body = submit(esm_class=0x40, data_coding=8, short_message=b"\5\0\3\7\2\1" + b"\0a" * (size // 2))
        assert rewrite.rewrite(Form(long="udh16"), body) == body
    tail = build_tlv(0x020C, b"\0\7") + build_tlv(0x020E, b"\2") + build_tlv(0x020F, b"\1")
    sm = written(Form(long="udh16"), submit("part", tlv=tail))
    assert (sm.short_message, sm.tlv, sm.esm_class) == (b"\6\x08\4\0\7\2\1part", b"", 0x40)


def test_s26_a_carrier_of_3_3_gets_no_tlv() -> None:
    """SAR TLVs become a header with the same reference, message_payload the short_message where it fits, others go."""
    old = Form(long="udh16", without_tlvs=True)
    sar = build_tlv(0x020C, b"\x12\7") + build_tlv(0x020E, b"\2") + build_tlv(0x020F, b"\1")
    sm = written(old, submit("part", tlv=sar + build_tlv(0x1400, b"dlt")))
    assert (sm.short_message, sm.tlv, sm.esm_class) == (b"\6\x08\4\x12\7\2\1part", b"", 0x40)
    sm = written(old, submit("", tlv=build_tlv(0x0424, b"in the payload")))
    assert (sm.short_message, sm.tlv) == (b"in the payload", b"")
    with pytest.raises(Unfit, match="255 octets in message_payload, 254 fit"):
        written(old, submit("", tlv=build_tlv(0x0424, b"x" * 255)))


def test_a_single_message_is_no_part() -> None:
    """Nothing is written into a message that stands alone."""
    assert rewrite.rewrite(Form(long="sar"), submit()) == submit()


# -- TLVs and service_type ---------------------------------------------------------------------------------------------


def test_s23_a_contracts_tlvs_stand_in_for_those_a_submit_does_not_bring() -> None:
    """DLT ids (0x1400, 0x1401): the account's own unless the message names one; others stay, in order."""
    form = Form(tlvs=((0x1400, b"account"), (0x1401, b"template")))
    sm = written(form, submit(tlv=build_tlv(0x1500, b"x") + build_tlv(0x1401, b"its own")))
    assert sm.tlv == build_tlv(0x1500, b"x") + build_tlv(0x1401, b"its own") + build_tlv(0x1400, b"account")


def test_a_payload_is_written_anew_where_it_stands() -> None:
    """In message_payload, of any length."""
    sm = written(Form(alphabet="latin-1"), submit(short_message=b"", tlv=build_tlv(0x0424, b"caf\5" * 100)))
    assert sm.short_message == b""
    assert tlv(sm.tlv, names.MESSAGE_PAYLOAD) == b"caf\xe9" * 100


def test_a_service_type_is_given_where_none_was() -> None:
    """The contract's, for a submit that names none."""
    assert written(Form(service_type="CMT"), submit()).service_type == "CMT"
    assert written(Form(service_type="CMT"), submit(service_type="OTP")).service_type == "OTP"
