"""The codec: round trips, strictness, and that nothing but PduError comes out of bad octets."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.smpp import codec, names
from smsroute.smpp.pdu import TABLES, Kind

OCTET = st.integers(0, 255)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=4)
STRAY = st.binary(max_size=3)


def c_text(octets_max: int = 65) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=octets_max - 1)


def value_of(kind: Kind) -> st.SearchStrategy[Any]:
    address = {"ton": OCTET, "npi": OCTET, "addr": c_text()}
    return {
        Kind.INTEGER: OCTET,
        Kind.C_OCTET: c_text(),
        Kind.LENIENT: c_text(100),
        Kind.MESSAGE: st.binary(max_size=255),
        Kind.DESTINATIONS: st.lists(
            st.fixed_dictionaries({"dest_flag": st.just(1), **address})
            | st.fixed_dictionaries({"dest_flag": st.just(2), "dl_name": c_text()}),
            max_size=5,
        ),
        Kind.UNSUCCESSFUL: st.lists(
            st.fixed_dictionaries({**address, "error_status_code": st.integers(0, 0xFFFFFFFF)}), max_size=5
        ),
    }[kind]


def fields_of(command_id: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({row.name: value_of(row.kind) for row in TABLES[command_id]})


@pytest.mark.parametrize("command_id", TABLES, ids=names.command_name)
@settings(max_examples=20)
@given(data=st.data())
def test_every_command_round_trips(command_id: int, data: st.DataObject) -> None:
    """What is encoded decodes to the same fields, TLVs and stray octets, for every command of the tables."""
    fields, tlvs, stray = data.draw(fields_of(command_id)), data.draw(TLVS), data.draw(STRAY)
    status, sequence = data.draw(st.integers(0, 0xFFFFFFFF)), data.draw(st.integers(0, 0xFFFFFFFF))
    pdu = codec.encode(command_id, fields, tlvs, command_status=status, sequence_number=sequence, stray=stray)
    decoded = codec.decode(pdu)
    counts = {"sm_length", "number_of_dests", "no_unsuccess"}
    assert fields == {name: value for name, value in decoded.fields.items() if name not in counts}
    assert (command_id, status, sequence) == (decoded.command_id, decoded.command_status, decoded.sequence_number)
    assert (tlvs, stray) == (decoded.tlvs, decoded.stray)


@pytest.mark.parametrize("command_id", TABLES, ids=names.command_name)
@settings(max_examples=20)
@given(data=st.data())
def test_a_cut_pdu_raises_pdu_error_or_decodes(command_id: int, data: st.DataObject) -> None:
    """A body cut anywhere, with its length put right, raises PduError, never fatally, or decodes to something."""
    body = codec.encode(command_id, data.draw(fields_of(command_id)), data.draw(TLVS))[16:]
    cut = body[: data.draw(st.integers(0, len(body)))]
    try:
        codec.decode(codec.pdu(command_id, 0, 7, cut))
    except codec.PduError as error:
        assert (False, command_id, 7) == (error.fatal, error.command_id, error.sequence_number)
        assert error.command_status in names.STATUS_NAMES and error.command_status != names.ESME_ROK
        assert error.partial is not None


@given(st.binary(max_size=200))
def test_any_octets_raise_only_pdu_error(data: bytes) -> None:
    """decode, parse_sm, parse_data_sm and tlvs raise nothing but PduError; tlv and the id readers raise nothing."""
    for read in (codec.decode, codec.parse_sm, codec.parse_data_sm, codec.tlvs):
        try:
            read(data)
        except codec.PduError as error:
            assert isinstance(error.answer(), bytes)
    codec.tlv(data, 0x0424)
    codec.response_message_id(data)
    codec.tlv(codec.response_tlvs(data), 0x0428)


@given(st.sampled_from(sorted(TABLES)), st.binary(max_size=120))
def test_any_body_of_a_known_command_raises_only_pdu_error(command_id: int, body: bytes) -> None:
    """Random bodies behind a good header never get past the codec as another exception, and good ones round-trip."""
    data = codec.pdu(command_id, 0, 1, body)
    try:
        decoded = codec.decode(data)
    except codec.PduError as error:
        assert not error.fatal
        return
    again = codec.encode(command_id, decoded.fields, decoded.tlvs, sequence_number=1, stray=decoded.stray)
    if not command_id & names.RESPONSE:
        assert data == again


@given(st.binary(max_size=120))
def test_the_fast_path_and_the_table_agree_on_any_octets(body: bytes) -> None:
    """parse_sm accepts exactly the bodies the interpreter accepts, with the same fields, and else raises the same."""
    _agree(body)


@given(data=st.data())
def test_the_fast_path_and_the_table_agree_on_nearly_good_bodies(data: st.DataObject) -> None:
    """The same of a good body with one octet changed or its end cut off, where the two could differ most."""
    body = bytearray(codec.encode(names.SUBMIT_SM, data.draw(fields_of(names.SUBMIT_SM)), data.draw(TLVS))[16:])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(OCTET)
    _agree(bytes(body[: data.draw(st.integers(0, len(body)))]))


def _agree(body: bytes) -> None:
    try:
        decoded = codec.decode(codec.pdu(names.SUBMIT_SM, 0, 1, body))
    except codec.PduError as error:
        with pytest.raises(codec.PduError) as caught:
            codec.parse_sm(body)
        assert (error.command_status, error.reason) == (caught.value.command_status, caught.value.reason)
        return
    sm = codec.parse_sm(body)
    for name, value in decoded.fields.items():
        if name != "sm_length":
            assert value == getattr(sm, name), name
    assert decoded.tlvs == codec.tlvs(sm.tlv)
    assert body[: sm.end_at] + decoded.stray == body


@given(fields=fields_of(names.SUBMIT_SM), tail=TLVS)
def test_build_sm_and_parse_sm_are_inverse(fields: dict[str, Any], tail: list[tuple[int, bytes]]) -> None:
    """A body built from fields parses to them, and equals what the interpreter encodes."""
    tlv = b"".join(codec.build_tlv(tag, value) for tag, value in tail)
    body = codec.build_sm(**fields, tlv=tlv)
    sm = codec.parse_sm(body)
    assert fields == {name: getattr(sm, name) for name in fields}
    assert sm.tlv == tlv
    assert body == codec.encode(names.SUBMIT_SM, fields, tail)[16:]


@pytest.mark.parametrize(
    "name", ["service_type", "source_addr", "destination_addr", "schedule_delivery_time", "validity_period"]
)
def test_the_longest_text_the_fast_path_takes_is_that_of_the_tables(name: str) -> None:
    """64 characters in each field, by both ways; 65 by neither."""
    body = codec.build_sm(**{"destination_addr": "", name: "x" * 64})
    assert getattr(codec.parse_sm(body), name) == "x" * 64
    _agree(body)
    too_long = body.replace(b"x", b"xx", 1)
    with pytest.raises(codec.PduError):
        codec.parse_sm(too_long)
    _agree(too_long)


def test_offsets_let_a_relay_patch_the_body() -> None:
    """registered_delivery_at and text_at point into the body as submitted."""
    body = codec.build_sm(source_addr="ACME", destination_addr="336123", short_message=b"hi", registered_delivery=1)
    sm = codec.parse_sm(body + b"\0\0")
    assert sm.end_at == len(body)
    at = sm.registered_delivery_at
    patched = codec.parse_sm(body[:at] + b"\0" + body[at + 1 :])
    assert (patched.registered_delivery, patched.short_message, patched.destination_addr) == (0, b"hi", "336123")
    assert body[: sm.text_at] == b"\0\0\0ACME\0\0\x00336123\0"


def test_text_may_be_in_message_payload() -> None:
    """user_data is short_message, or message_payload when that is empty."""
    tail = codec.build_tlv(names.MESSAGE_PAYLOAD, b"long text")
    assert codec.parse_sm(codec.build_sm(destination_addr="1", tlv=tail)).user_data() == b"long text"
    assert codec.parse_sm(codec.build_sm(destination_addr="1", short_message=b"short")).user_data() == b"short"
    assert codec.parse_sm(codec.build_sm(destination_addr="1")).user_data() == b""


@pytest.mark.parametrize(
    ("octets_of", "status"),
    [
        (b"x" * 66 + b"\0", names.ESME_RINVSERTYP),
        (b"\0\0\0" + b"1" * 66 + b"\0", names.ESME_RINVSRCADR),
        (b"\0\0\0\0\0\0" + b"1" * 66 + b"\0", names.ESME_RINVDSTADR),
        (b"\0\0\0\0\0\x001\0\0\0\0" + b"2" * 66 + b"\0", names.ESME_RINVSCHED),
        (b"\0\0\0\0\0\x001\0\0\0\0\0" + b"2" * 66 + b"\0", names.ESME_RINVEXPIRY),
        (b"\0\0\0\0\0\x001\0\0\0\0\0\0\0\0\0\0\x05abcd", names.ESME_RINVMSGLEN),
        (b"\0\0\0\0\0\x001\0\0\0\0\0\0\0\0\0", names.ESME_RINVCMDLEN),
        (b"", names.ESME_RINVCMDLEN),
    ],
)
def test_each_fault_has_its_status(octets_of: bytes, status: int) -> None:
    """A field too long is refused with the status of that field; a body cut short with ESME_RINVCMDLEN."""
    with pytest.raises(codec.PduError) as caught:
        codec.parse_sm(octets_of)
    assert status == caught.value.command_status


@pytest.mark.parametrize(
    "fields",
    [
        {"destination_addr": "1" * 65},
        {"destination_addr": "1\0002"},
        {"destination_addr": "\u20ac"},
        {"destination_addr": "1", "short_message": b"x" * 256},
        {"destination_addr": "1", "data_coding": 256},
    ],
)
def test_values_that_do_not_fit_are_never_cut(fields: dict[str, Any]) -> None:
    """Building refuses what does not fit instead of sending something else."""
    with pytest.raises(ValueError):
        codec.build_sm(**fields)
    with pytest.raises(ValueError):
        codec.encode(names.SUBMIT_SM, fields)


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFF), st.integers(0, 0x7FFFFFFF), st.text(string.hexdigits, max_size=20)), max_size=5
    )
)
def test_a_batch_of_responses_is_the_responses_one_by_one(rows: list[tuple[int, int, str]]) -> None:
    """One joined write holds each answer: a body with the id on success, none on a refusal."""
    joined = b"".join(
        codec.encode(
            names.SUBMIT_SM_RESP,
            {} if status else {"message_id": message_id},
            command_status=status,
            sequence_number=sequence,
        )
        for status, sequence, message_id in rows
    )
    assert joined == codec.build_responses(names.SUBMIT_SM, rows) == codec.build_responses(names.SUBMIT_SM_RESP, rows)


def test_deliver_sm_resp_always_carries_one_nul() -> None:
    """Strict SMSCs want the unused message_id field, on errors too."""
    ok, refused = codec.pdu(names.DELIVER_SM_RESP, 0, 1, b"\0"), codec.pdu(names.DELIVER_SM_RESP, 8, 2, b"\0")
    assert ok + refused == codec.build_responses(names.DELIVER_SM, [(0, 1, ""), (8, 2, "")])


@pytest.mark.parametrize("command_id", [names.QUERY_SM, names.DATA_SM, names.SUBMIT_MULTI, names.SUBMIT_SM])
def test_a_refusal_has_its_body_unless_it_may_drop_it(command_id: int) -> None:
    """A refused query_sm, data_sm or submit_multi is answered with every field of its table, empty; no submit_sm is."""
    fields = codec.decode(codec.refusal(command_id, names.ESME_RSYSERR, 7)).fields
    whole = {
        names.QUERY_SM: {
            "message_id": "",
            "final_date": "",
            "message_state": names.MessageState.UNKNOWN,
            "error_code": 0,
        },
        names.DATA_SM: {"message_id": ""},
        names.SUBMIT_MULTI: {"message_id": "", "no_unsuccess": 0, "unsuccess_sme": []},
        names.SUBMIT_SM: {},
    }
    assert fields == whole[command_id]


def test_what_has_no_response_gets_none() -> None:
    """alert_notification and outbind are never answered."""
    assert codec.build_responses(names.ALERT_NOTIFICATION, [(0, 1, "")]) == b""
    assert codec.build_responses(names.OUTBIND, [(3, 1, "")]) == b""


def test_the_first_of_two_equal_tags_wins_and_both_stay() -> None:
    """tlv gives the first, tlvs gives all in order."""
    tail = codec.build_tlv(0x1400, b"a") + codec.build_tlv(0x1400, b"b")
    assert (
        codec.tlv(tail, 0x1400),
        codec.tlvs(tail),
        codec.tlv(tail, 0x1401),
    ) == (b"a", [(0x1400, b"a"), (0x1400, b"b")], None)


TLV_TAILS = st.one_of(
    st.binary(max_size=40),
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=3)).map(lambda row: codec.build_tlv(*row)), max_size=6)
    .map(b"".join)
    .flatmap(lambda tail: st.integers(0, len(tail)).map(lambda size: tail[:size])),
)


@given(tail=TLV_TAILS)
def test_first_tlvs_say_what_tlv_says_of_each_tag(tail: bytes) -> None:
    """One pass over any octets finds the same first values as a search for each tag."""
    first = codec.first_tlvs(tail)
    heads = {int.from_bytes(tail[at : at + 2], "big") for at in range(len(tail))}
    assert first == {tag: value for tag in heads if (value := codec.tlv(tail, tag)) is not None}


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_tlv_cut_short_is_no_tlv(cut: int) -> None:
    """Its length must fit what is left to the octet; what came before it is still found."""
    tail = (codec.build_tlv(0x1400, b"a") + codec.build_tlv(0x1401, b"abc"))[:-cut]
    assert (codec.tlv(tail, 0x1400), codec.tlv(tail, 0x1401)) == (b"a", None)
    for read in (codec.tlvs, lambda tail: codec.parse_sm(codec.build_sm(destination_addr="1", tlv=tail))):
        with pytest.raises(codec.PduError) as caught:
            read(tail)
        assert caught.value.command_status == names.ESME_RINVOPTPARSTREAM


def test_answers_fit_the_fault() -> None:
    """A bad request gets its own response, an unknown one a nack, a bad response or alert_notification nothing."""
    assert codec.PduError("", 2, command_id=4, sequence_number=9).answer() == codec.pdu(0x80000004, 2, 9)
    assert codec.PduError("", 3, command_id=0xAAAA, sequence_number=9).answer() == codec.pdu(0x80000000, 3, 9)
    assert codec.PduError("", 2, command_id=0x80000004, sequence_number=9).answer() == b""
    assert codec.PduError("", 2, command_id=names.ALERT_NOTIFICATION, sequence_number=9).answer() == b""
    assert codec.PduError("", 2, command_id=4, sequence_number=9, fatal=True).answer() == codec.pdu(0x80000000, 2, 0)


def test_describe_names_the_command() -> None:
    """Logs get a name, a number, a status and a size."""
    assert codec.describe(codec.Pdu(4, 0, 17, b"x" * 38)) == "submit_sm 17 status 0 (54 octets)"
