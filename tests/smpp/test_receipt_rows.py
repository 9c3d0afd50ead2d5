"""One test for each row of how receipts are told (D), written (F) and named (M) by carriers, with an example of it.

D11 and D12 are about what the engine does, and stand in tests/carriers/test_dialects.py with the engine's side of D1
and D3; M10 to M14 in tests of the matching.
"""

from __future__ import annotations

import datetime
import re
from zoneinfo import ZoneInfo

import pytest

from smsroute.config.presets import PRESETS
from smsroute.smpp import codec, names, receipt
from smsroute.smpp.learn import Learner
from smsroute.smpp.names import MessageState
from smsroute.smpp.receipt import Reading

DATES = b"submit date:2601121501 done date:2601121502"
REST = b" sub:001 dlvrd:001 " + DATES + b" stat:DELIVRD err:000"
TLV_ID, TLV_STATE = (names.RECEIPTED_MESSAGE_ID, b"7\0"), (names.MESSAGE_STATE, b"\2")


def request(
    text: bytes = b"id:7" + REST,
    *,
    esm_class: int = 4,
    data_coding: int = 0,
    tlvs: tuple[tuple[int, bytes], ...] = (),
) -> codec.Pdu:
    body = codec.build_sm(
        source_addr="33612345678",
        destination_addr="ACME",
        short_message=text,
        esm_class=esm_class,
        data_coding=data_coding,
        tlv=b"".join(codec.build_tlv(tag, value) for tag, value in tlvs),
    )
    return codec.Pdu(names.DELIVER_SM, 0, 1, body)


def told(text: bytes = b"id:7" + REST, reading: Reading = receipt.COMMON, **kwargs: object) -> receipt.Receipt:
    found = receipt.parse(request(text, **kwargs), reading)  # type: ignore[arg-type]
    assert found is not None
    return found


def says(found: receipt.Receipt) -> tuple[str, int, str]:
    """Its first id, its state and its err."""
    return found.ids[0][1], found.state, found.err


DELIVERED = ("7", MessageState.DELIVERED, "000")

# --- when a deliver_sm or data_sm is a receipt ---


def test_d1_an_answer_of_the_recipient_is_told_from_a_receipt() -> None:
    """0x08, 0x10 and 0x18 come from the handset's side: no receipt, even with the text and the TLVs of one, and no
    plain message either."""
    for esm_class in (0x08, 0x10, 0x18, 0x48, 0x50):
        assert receipt.parse(request(esm_class=esm_class, tlvs=(TLV_ID, TLV_STATE))) is None
        assert receipt.is_answer(esm_class)
    for esm_class in (0x00, 0x04, 0x20, 0x40, 0x03):
        assert not receipt.is_answer(esm_class)


@pytest.mark.parametrize("esm_class", [0x04, 0x44, 0x24, 0x20, 0x07, 0x06])
def test_d2_other_bits_may_be_set_beside(esm_class: int) -> None:
    """The type bits decide, not the whole octet."""
    assert says(told(esm_class=esm_class)) == DELIVERED


def test_d3_esm_class_zero_is_a_receipt_by_its_tlvs_or_when_the_dialect_says_so() -> None:
    """Two TLVs are sure. A text alone may be one where `without_esm_class` says so, when it has id, stat and a date or
    err, and then its id must be one we know."""
    assert told(b"", esm_class=0, tlvs=(TLV_ID, TLV_STATE)).certain
    assert receipt.parse(request(esm_class=0)) is None
    plain = Reading(without_esm_class=True)
    found = told(esm_class=0, reading=plain)
    assert (says(found), found.certain, found.by_esm_class) == (DELIVERED, False, False)
    assert told(reading=plain).certain
    for text in (b"id:5 stat:hello", b"id:5 err:1", b"stat:DELIVRD err:1", b"hello"):
        assert receipt.parse(request(text, esm_class=0), plain) is None
    assert receipt.parse(request(b"id:5 stat:hello err:1", esm_class=0), plain) is not None


def test_d4_what_we_write_sets_the_bit_kannel_looks_at() -> None:
    """esm_class 0x04 and nothing beside it."""
    submit = codec.build_sm(source_addr="ACME", destination_addr="33612345678", short_message=b"hi")
    body = receipt.build(submit, codec.parse_sm(submit).text_at, message_id="7", state=2, submitted_at=0.0, done_at=0.0)
    assert codec.parse_sm(body).esm_class == 4


def test_d5_a_data_sm_may_be_one() -> None:
    """Its text is in message_payload."""
    fields = {"source_addr": "33612345678", "esm_class": 4}
    data = codec.encode(names.DATA_SM, fields, [(names.MESSAGE_PAYLOAD, b"id:7" + REST)])
    found = receipt.parse(codec.Pdu(names.DATA_SM, 0, 1, data[16:]))
    assert found is not None
    assert says(found) == DELIVERED


def test_d6_tlvs_alone_are_enough() -> None:
    """No text at all."""
    found = told(b"", tlvs=(TLV_ID, TLV_STATE))
    assert (found.ids, found.state) == (((receipt.FROM_TLV, "7"),), MessageState.DELIVERED)


def test_d7_the_id_in_the_tlv_and_the_state_in_the_text() -> None:
    """Each is taken from where it stands."""
    found = told(b"stat:EXPIRED err:1", tlvs=((names.RECEIPTED_MESSAGE_ID, b"9\0"),))
    assert says(found) == ("9", MessageState.EXPIRED, "1")


def test_d8_the_body_in_message_payload() -> None:
    """Looked at when short_message is empty."""
    assert says(told(b"", tlvs=((names.MESSAGE_PAYLOAD, b"id:7" + REST),))) == DELIVERED


def test_d9_ucs2_under_data_coding_8() -> None:
    """Decoded by data_coding first, either way round."""
    for coding in ("utf-16-be", "utf-16-le"):
        payload = (names.MESSAGE_PAYLOAD, (b"id:7" + REST).decode().encode(coding))
        assert says(told(b"", data_coding=8, tlvs=(payload,))) == DELIVERED


def test_d10_data_coding_8_over_plain_ascii() -> None:
    """The data_coding of the message was copied: the octets decide."""
    assert says(told(data_coding=8)) == DELIVERED
    assert says(told(b"id:7" + REST + b" ", data_coding=8)) == DELIVERED


# --- how its text is written ---


def test_f1_appendix_b() -> None:
    """Ten digits of id, ten of date, the first twenty characters of the text."""
    found = told(b"id:0437018957" + REST + b" text:Your code is 4821   ")
    assert says(found) == ("0437018957", MessageState.DELIVERED, "000")
    assert (found.text, found.quoted) == ("Your code is 4821", "Your code is 4821")
    assert told(b"id:7" + REST + b" text:" + b"x" * 40).quoted == "x" * 20


def test_f2_text_with_a_capital() -> None:
    """`Text:` is the spec's own."""
    assert told(b"id:7" + REST + b" Text:Your code").text == "Your code"


def test_f3_labels_in_another_case() -> None:
    """`ID: STAT:`, all of them."""
    assert says(told((b"id:7" + REST).upper().replace(b"ERR:000", b"ERR:000 TEXT:x"))) == DELIVERED


def test_f4_no_text() -> None:
    """It ends with err."""
    assert (says(told()), told().text) == (DELIVERED, None)


def test_f5_no_sub_and_dlvrd() -> None:
    """As Jasmin writes them."""
    found = told(b"id:5D2C7710AA submit date:20260112150155 done date:20260112150201 stat:DELIVRD err:0")
    assert says(found) == ("5D2C7710AA", MessageState.DELIVERED, "0")
    assert found.done_at - found.submitted_at == 6


def test_f6_id_and_stat_only() -> None:
    """The least there is."""
    assert says(told(b"id:abc stat:DELIVRD")) == ("abc", MessageState.DELIVERED, "")


def test_f7_labels_in_any_order() -> None:
    """None of them has a place."""
    found = told(b"sub:001 id:7 err:000 dlvrd:001 done date:2601121502 submit date:2601121501 text: stat:DELIVRD")
    assert says(found) == DELIVERED
    assert (found.submit_date, found.done_date) == ("2601121501", "2601121502")


def at(*clock: int, zone: datetime.tzinfo = datetime.UTC) -> int:
    return int(datetime.datetime(*clock, tzinfo=zone).timestamp())  # type: ignore[misc,arg-type]


def test_f8_dates_of_twelve_digits() -> None:
    """YYMMDDhhmmss; where that is no date, YYYYMMDDhhmm."""
    assert receipt.instant("260112150155", datetime.UTC) == at(2026, 1, 12, 15, 1, 55)
    assert receipt.instant("202601121501", datetime.UTC) == at(2026, 1, 12, 15, 1)


def test_f9_dates_of_fourteen_digits() -> None:
    """YYYYMMDDhhmmss, never the year 20."""
    assert receipt.instant("20260112150155", datetime.UTC) == at(2026, 1, 12, 15, 1, 55)


def test_f10_two_widths_in_one_receipt() -> None:
    """Each date is read by its own length."""
    found = told(b"id:7 submit date:2302231414 done date:230223194211 stat:DELIVRD err:0")
    assert (found.submitted_at, found.done_at) == (at(2023, 2, 23, 14, 14), at(2023, 2, 23, 19, 42, 11))


def test_f11_a_whole_smpp_time() -> None:
    """Sixteen characters with their own zone, which beats the carrier's."""
    found = told(b"id:7 submit date:260112150155004+ stat:DELIVRD err:0", Reading(zone=ZoneInfo("Asia/Tokyo")))
    assert (says(found)[0], found.submitted_at) == ("7", at(2026, 1, 12, 14, 1, 55))
    assert receipt.instant("260112150155004R", datetime.UTC) == 0


@pytest.mark.parametrize("date", [b"", b"0000000000", b"000000000000"])
def test_f12_blank_and_zero_dates_are_none(date: bytes) -> None:
    """And the labels behind them are read."""
    found = told(b"id:7 submit date:" + date + b" done date:" + date + b" stat:REJECTD err:000")
    assert says(found) == ("7", MessageState.REJECTED, "000")
    assert (found.submit_date, found.done_date, found.submitted_at, found.done_at) == ("", "", 0, 0)


def test_f13_the_time_zone_is_the_dialects_and_no_date_fails() -> None:
    """A date means the carrier's clock; what is none is 0 and the receipt stands."""
    found = told(b"id:7" + REST, Reading(zone=ZoneInfo("Asia/Shanghai")))
    assert found.submitted_at == at(2026, 1, 12, 7, 1)
    for odd in ("2613121501", "2602301501", "26011215", "yesterday!", "9999999999", "\u00b2601121501", "2601121501x"):
        assert receipt.instant(odd, datetime.UTC) == 0, odd
        assert says(told(f"id:7 submit date:{odd} stat:DELIVRD err:000".encode("latin-1"))) == DELIVERED
    assert receipt.instant("00010101000000", ZoneInfo("Asia/Shanghai")) == 0


@pytest.mark.parametrize("counted", [b"sub:0 dlvrd:1", b"sub:1 dlvrd:1", b"sub:001 dlvrd:000", b"sub: dlvrd:"])
def test_f14_sub_and_dlvrd_are_decoration(counted: bytes) -> None:
    """The state is what stat says, whatever they say."""
    assert says(told(b"id:7 " + counted + b" " + DATES + b" stat:DELIVRD err:000")) == DELIVERED
    assert told(b"id:7 sub:001 dlvrd:001 " + DATES + b" stat:EXPIRED err:1").state == MessageState.EXPIRED


@pytest.mark.parametrize("err", ["0", "21b", "00B", "500", "0000", "0032", "null", "nul", "...", "075", "x" * 16])
def test_f15_err_is_kept_as_written(err: str) -> None:
    """Decimal, hexadecimal or a word, up to sixteen characters."""
    assert told(f"id:7 stat:UNDELIV err:{err} text:x".encode()).err == err


def test_f16_spaces_after_the_colon() -> None:
    """`id: 7`."""
    assert says(told(b"id: 7 sub: 001 dlvrd: 001 " + DATES + b" stat: DELIVRD err: 000 text: x")) == DELIVERED


def test_f17_labels_within_the_text_are_text() -> None:
    """The first of each label counts."""
    found = told(b"id:7" + REST + b" text:id:999 stat:UNDELIV")
    assert (says(found), found.text) == (DELIVERED, "id:999 stat:UNDELIV")


@pytest.mark.parametrize("text", [b"", b"Your co", b"Your code   ", b"caf\xe9 \xa3", b"??????????", b"04100420"])
def test_f18_the_text_may_be_anything(text: bytes) -> None:
    """Cut, padded, of another alphabet or in hex: the rest is read all the same."""
    assert says(told(b"id:7" + REST + b" text:" + text)) == DELIVERED


@pytest.mark.parametrize("end", [b"\0", b" \0 ", b"\r\n", b"text:\0", b" text:\0"])
def test_f19_a_nul_at_the_end(end: bytes) -> None:
    """NULs and spaces at either end are no part of a value."""
    assert says(told(b"\0 id:7" + REST + b" " + end)) == DELIVERED


def test_f20_a_whole_other_format() -> None:
    """By the dialect's own pattern; a text that does not fit it, and one that is too long for it, is read as usual."""
    uk = PRESETS["uk-comma"]
    reading = Reading(states={"00": 2, "01": 1}, pattern=re.compile(uk.pattern), pattern_characters_max=80)
    found = told(b"00,2601121543,2601121500,,447700900123,12345,we9876543i1o03", reading)
    assert says(found) == ("we9876543i1o03", MessageState.DELIVERED, "")
    assert (found.submitted_at, found.done_at) == (at(2026, 1, 12, 15), at(2026, 1, 12, 15, 43))
    temporary = told("01,2601121543,,17,4477,12345,we9 ".encode("utf-16-be"), reading, data_coding=8)
    assert says(temporary) == ("we9", MessageState.ENROUTE, "17")
    unknown = told(b"99,2601121543,,,4477,12345,we9", reading)
    assert (unknown.state_name, unknown.final) == ("UNRECOGNISED", False)
    assert says(told(b"id:7 stat:DELIVRD err:000", Reading(pattern=reading.pattern))) == DELIVERED
    assert told(b"00,2601121543,2601121500,," + b"4" * 21 + b"," + b"1" * 21 + b"," + b"w" * 40, reading).ids == ()


def test_f21_other_text_before_the_id() -> None:
    """`id:` is looked for anywhere, and a word that only ends in it is none."""
    assert says(told(b"SMSC-7 receipt: id:7" + REST)) == DELIVERED
    assert says(told(b"paid:88 id:7" + REST)) == DELIVERED


def test_f22_vendor_tlvs_are_passed_over() -> None:
    """They change nothing that is read."""
    assert says(told(tlvs=((0x1403, b"23415\0"), (0x8081, b"\1\2"), (0x3FFF, b"")))) == DELIVERED


# --- states ---


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVRD", 2), ("DELIVERED", 2), ("delivrd", 2), ("EXPIRED", 3), ("DELETED", 4), ("UNDELIV", 5),
        ("UNDELIVERABLE", 5), ("UNDELIVERED", 5), ("FAILED", 5), ("REJECTD", 8), ("REJECTED", 8), ("ACCEPTD", 6),
        ("ENROUTE", 1), ("BUFFRED", 1), ("BUFFERD", 1), ("BUFFERED", 1), ("ACKED", 1), ("SCHEDLD", 0), ("UNKNOWN", 7),
        ("SKIPPED", 9), ("NACK", -1), ("ABSENT-SUB", -1), ("0", -1),
    ],
)  # fmt: skip
def test_the_words_of_quirks_1_3(word: str, state: int) -> None:
    """Aliases and other case mean their state; a word nobody knows has none."""
    found = told(f"id:7 stat:{word} err:1".encode())
    assert (word, state) == (found.word, found.state)


def test_a_dialects_own_words_and_endings() -> None:
    """Its words are over those of the spec, in any case; ACCEPTD ends a message where the dialect says so."""
    own = Reading(states={**receipt.STAT_WORDS, "ABSENT-SUB": 5, "FAILED": 1}, final=receipt.FINAL | {6})
    assert told(b"id:7 stat:Absent-Sub err:1", own).state == MessageState.UNDELIVERABLE
    assert told(b"id:7 stat:failed err:1", own).state == MessageState.ENROUTE
    assert told(b"id:7 stat:ACCEPTD err:0", own).final
    assert not told(b"id:7 stat:ACCEPTD err:0").final


# --- ids ---


def joined(rule: str, response: str, *in_receipt: tuple[str, str]) -> bool:
    """Whether the receipt's first name is that of the response, under `rule`."""
    return receipt.id_keys(rule, in_receipt)[0] == receipt.response_key(rule, response)


def found_by_auto(response: str, *in_receipt: tuple[str, str]) -> bool:
    """Whether `auto`, knowing nothing, at least looks for it."""
    return Learner().response_key(response) in Learner().candidates(in_receipt)


def test_m1_hex_in_the_response_and_decimal_in_the_receipt() -> None:
    """With zeros before it or without."""
    for written in ("437009229", "0437009229"):
        assert joined("hex-dec", "1a0c3b4d", ("text", written))
        assert found_by_auto("1a0c3b4d", ("text", written))
    assert joined("hex-dec", "39f99dd5", ("text", "0972660181"))


def test_m2_decimal_in_the_response_and_hex_in_the_receipt() -> None:
    """In either case."""
    for written in ("1A0C3B4D", "1a0c3b4d"):
        assert joined("dec-hex", "437009229", ("text", written))
        assert found_by_auto("437009229", ("text", written))


def test_m3_both_encodings_in_one_receipt() -> None:
    """The TLV's hex and the text's decimal are one name; a TLV of digits alone is not read as another number."""
    assert receipt.id_keys("hex-dec", [("receipted_message_id", "38601fa"), ("text", "0059113978")]) == ["59113978"]
    assert receipt.id_keys("hex-dec", [("receipted_message_id", "10000000"), ("text", "268435456")]) == ["268435456"]
    assert joined("hex-dec", "38601fa", ("receipted_message_id", "38601fa"), ("text", "0059113978"))


def test_m4_another_case() -> None:
    """Compared without it where the rule says so; what is kept is never changed by `auto`."""
    assert joined("casefold", "1101C1-0e9", ("text", "1101c1-0E9"))
    assert Learner().response_key("0E999f21-AB") == "0E999f21-AB"
    assert found_by_auto("0e999f21-ab", ("text", "0E999F21-AB"))


@pytest.mark.parametrize("padded", ["0003493221", "00000000000000003493221"[-16:], "00000000000003493221"])
def test_m5_zeros_before_it(padded: str) -> None:
    """On either side."""
    assert joined("unpad", padded, ("text", "3493221"))
    assert joined("unpad", "3493221", ("text", padded))
    assert found_by_auto(padded, ("text", "3493221"))
    assert found_by_auto("3493221", ("text", padded))


def test_m6_a_prefix() -> None:
    """0x is no part of the number."""
    assert joined("dec-hex", "437009229", ("text", "0x1A0C3B4D"))
    assert joined("hex-dec", "0x1A0C3B4D", ("text", "437009229"))
    assert found_by_auto("1a0c3b4d", ("text", "0x1A0C3B4D"))


def test_m7_spaces_and_nuls() -> None:
    """Stripped on both sides, under every rule."""
    for rule in ("auto", "exact", "unpad", "casefold"):
        assert joined(rule, "1234 \0", ("text", " 1234\0"))
    assert joined("hex-dec", "4d2 \0", ("text", " 1234\0"))
    assert found_by_auto("N-000042  ", ("text", "N-000042\0"))
    assert told(b"", tlvs=((names.RECEIPTED_MESSAGE_ID, b"N-000042  \0\0"), TLV_STATE)).ids[0][1] == "N-000042"


def test_m8_numbers_of_sixty_four_bits_and_more() -> None:
    """Every digit is kept: no two ids become one."""
    assert joined("hex-dec", "812FC7470000001B", ("text", "9308878062554710043"))
    assert found_by_auto("812FC7470000001B", ("text", "9308878062554710043"))
    neighbours = {receipt.response_key("hex-dec", f"FFFFFFFFFFFFFFF{digit:X}") for digit in range(16)}
    assert len(neighbours) == 16
    assert receipt.response_key("hex-dec", "F" * 64) == str(16**64 - 1)


def test_m9_ids_are_opaque() -> None:
    """UUIDs, dashes, more than 65 characters: the same on both sides is all that counts."""
    for written in ("0e999f21-27a3-4b5c-9d00-5f2b1c7a9e11", "a-B_c.9", "f" * 70, "0" * 200, "id with:colon"):
        for rule in ("auto", "exact", "hex-dec", "dec-hex", "unpad", "casefold"):
            assert joined(rule, written, ("text", written))
        assert found_by_auto(written, ("text", written))
