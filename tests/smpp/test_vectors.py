"""PDUs made by foreign codecs (vectors.jsonl): decoded, re-encoded, read as receipts, refused where they are bad."""

from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from typing import Any

import pytest

from smsroute.smpp import codec, names, pdu, receipt, text
from smsroute.smpp.session import Bad, Closed, Request, Role, Session, SessionLimits

VECTORS = [json.loads(line) for line in (pathlib.Path(__file__).parent / "vectors.jsonl").read_text().splitlines()]
GOOD = [one for one in VECTORS if "command" in one["expect"]]
BAD = [one for one in VECTORS if "error" in one["expect"]]
NOW = 1768230000.0  # 2026-01-12, before every absolute time in the vectors


def named(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    """Parametrise over vectors, each test named for its vector."""
    return pytest.mark.parametrize("vector", vectors, ids=[one["name"] for one in vectors])


def handled(how: str) -> list[dict[str, Any]]:
    """The bad vectors whose handling begins with `how`; never none, or the test would prove nothing."""
    found = [one for one in BAD if one["expect"]["handling"].startswith(how)]
    assert found, how
    return found


def shown(decoded: codec.Decoded, length: int) -> dict[str, Any]:
    """A decoded PDU in the shape of the vectors' `expect`."""
    fields = dict(decoded.fields)
    if "short_message" in fields:
        fields["short_message"] = fields["short_message"].hex()
    out: dict[str, Any] = {
        "command_length": length,
        "command_id": f"0x{decoded.command_id:08x}",
        "command": names.command_name(decoded.command_id),
        "command_status": decoded.command_status,
        "sequence_number": decoded.sequence_number,
        **fields,
    }
    if decoded.tlvs:
        out["tlvs"] = [shown_tlv(tag, value) for tag, value in decoded.tlvs]
    return out


def shown_tlv(tag: int, value: bytes) -> dict[str, Any]:
    row = pdu.TLVS.get(tag)
    out: dict[str, Any] = {"tag": f"0x{tag:04x}", "length": len(value), "value": value.hex()}
    out["name"] = row.name if row else None
    if not pdu.tlv_fits(tag, value):
        assert row is not None
        out["length_violation"] = f"spec {row.octets_min}..{row.octets_max}"
    read = pdu.tlv_value(tag, value)
    if isinstance(read, int):
        out["int"] = read
    elif isinstance(read, str):
        out |= {"str": read, "nul_terminated": value.endswith(b"\0")}
    return out


def shown_receipt(told: receipt.Receipt) -> dict[str, Any]:
    """A receipt in the shape of the vectors' `expect.receipt`."""
    out: dict[str, Any] = {
        "by_esm_class": told.by_esm_class,
        "ids": [{"from": origin, "id": message_id} for origin, message_id in told.ids],
        "state": told.state_name or None,
        "final": told.final if told.state >= 0 else None,
        "looks_like_receipt": told.looks_like_receipt,
    }
    optional = {"state_from": told.state_from, "stat_text": told.word, "err": told.err}
    optional |= {"submit_date": told.submit_date, "done_date": told.done_date}
    out |= {name: value for name, value in optional.items() if value}
    if told.text is not None:
        out["text"] = told.text
    if isinstance(told.network_error, str):
        out["network_error"] = {"ascii_digits": told.network_error}
    elif told.network_error is not None:
        out["network_error"] = dict(zip(("type", "code"), told.network_error, strict=True))
    return out


def test_the_file_is_whole() -> None:
    """295 vectors from eight tools: a file cut short would make every test below pass for nothing."""
    assert (len(VECTORS), len(GOOD), len(BAD)) == (295, 246, 49)
    assert sum("receipt" in one["expect"] for one in VECTORS) == 42
    assert len({one["source_tool"].split(" ")[0] for one in GOOD}) >= 8


@named(GOOD)
def test_good_vectors_decode_to_their_fields(vector: dict[str, Any]) -> None:
    """Every field, TLV and number of a good PDU comes out as the maker of the vectors read it."""
    data = bytes.fromhex(vector["hex"])
    expected = {name: value for name, value in vector["expect"].items() if name != "receipt"}
    assert expected == shown(codec.decode(data), len(data))


@named(GOOD)
def test_good_vectors_encode_to_the_same_octets(vector: dict[str, Any]) -> None:
    """Encoding what was decoded gives the very octets back, TLVs of odd sizes included."""
    data = bytes.fromhex(vector["hex"])
    assert data == encoded(codec.decode(data))


def encoded(decoded: codec.Decoded) -> bytes:
    return codec.encode(
        decoded.command_id,
        decoded.fields,
        decoded.tlvs,
        command_status=decoded.command_status,
        sequence_number=decoded.sequence_number,
        stray=decoded.stray,
    )


SM = [one for one in GOOD if one["expect"]["command"] in ("submit_sm", "deliver_sm", "data_sm")]


@named(SM)
def test_the_fast_path_agrees_with_the_tables(vector: dict[str, Any]) -> None:
    """parse_sm and parse_data_sm read every field the interpreter reads, and their offsets point where they say."""
    data = bytes.fromhex(vector["hex"])
    decoded = codec.decode(data)
    body = data[16:]
    parse = codec.parse_data_sm if decoded.command_id == names.DATA_SM else codec.parse_sm
    sm = parse(body)
    fields = {name: value for name, value in decoded.fields.items() if name != "sm_length"}
    assert fields == {name: getattr(sm, name) for name in fields}
    assert decoded.tlvs == codec.tlvs(sm.tlv)
    assert body[: sm.text_at].endswith(sm.destination_addr.encode() + b"\0")
    assert body[sm.registered_delivery_at] == sm.registered_delivery
    assert body[sm.end_at :] == decoded.stray


@named([one for one in GOOD if one["expect"]["command"] == "submit_sm"])
def test_good_submits_mean_something(vector: dict[str, Any]) -> None:
    """No submit_sm a foreign client sent is refused for its meaning, save the two that hold two texts."""
    submit = codec.parse_sm(bytes.fromhex(vector["hex"])[16:])
    if vector["name"] in ("submit_sm-both-short_message-and-payload/smpp34", "submit_sm-tlv-message_payload/smpp34"):
        with pytest.raises(codec.PduError) as caught:
            codec.check_submit(submit, NOW)
        assert caught.value.command_status == names.ESME_ROPTPARNOTALLWD
    else:
        codec.check_submit(submit, NOW)


@named([one for one in VECTORS if "receipt" in one["expect"]])
def test_receipts_are_read_by_the_reference_order(vector: dict[str, Any]) -> None:
    """Ids with their origin, state, error, dates and text of every receipt dialect come out as listed."""
    data = bytes.fromhex(vector["hex"])
    parse = codec.parse_data_sm if vector["expect"]["command"] == "data_sm" else codec.parse_sm
    assert vector["expect"]["receipt"] == shown_receipt(receipt.read(parse(data[16:])))


# --- bad PDUs ---


def recommended(vector: dict[str, Any]) -> int:
    """The first status the vector recommends."""
    match = re.search(r"0x[0-9a-f]+", vector["expect"]["recommended_status"])
    assert match is not None, vector["expect"]["recommended_status"]
    return int(match[0], 16)


def refusal(data: bytes) -> codec.PduError:
    """The error a request is refused with: by its structure, else by its meaning."""
    with pytest.raises(codec.PduError) as caught:
        decoded = codec.decode(data)
        if decoded.command_id == names.SUBMIT_SM:
            codec.check_submit(codec.parse_sm(data[16:]), NOW)
        elif decoded.command_id == names.DATA_SM:
            codec.check_data(codec.parse_data_sm(data[16:]))
    return caught.value


def bound(role: Role) -> Session:
    """A session bound as transceiver, as either end."""
    esme, smsc = Session(Role.ESME, SessionLimits(), 0.0), Session(Role.SMSC, SessionLimits(), 0.0)
    (request,) = smsc.receive_data(esme.bind(names.BIND_TRANSCEIVER, 0.0, system_id="acme"), 0.0)
    esme.receive_data(smsc.respond_bind(request, 0, "smsc", 0.0), 0.0)
    return esme if role is Role.ESME else smsc


@named(handled("reject this PDU with its own _resp"))
def test_bad_requests_are_refused_with_the_recommended_status(vector: dict[str, Any]) -> None:
    """A malformed or meaningless request raises, not fatally, with the status to answer in its own response."""
    data = bytes.fromhex(vector["hex"])
    error = refusal(data)
    assert (recommended(vector), False) == (error.command_status, error.fatal)
    if "decodes_as" not in vector["expect"]:
        command_id, sequence_number = (int.from_bytes(data[at : at + 4], "big") for at in (4, 12))
        body = (
            b"\0\0" if command_id == names.SUBMIT_MULTI else b""
        )  # 4.5.2: message_id and no_unsuccess are always sent
        assert codec.pdu(command_id | names.RESPONSE, error.command_status, sequence_number, body) == error.answer()
        assert error.partial is not None


@named([one for one in handled("reject this PDU") if "-sm-" in one["name"] or "submit_sm-" in one["name"]])
def test_the_fast_path_refuses_as_the_tables_do(vector: dict[str, Any]) -> None:
    """parse_sm raises what decode raises, with the same status."""
    data = bytes.fromhex(vector["hex"])
    by_table = by_fast_path = None
    try:
        codec.decode(data)
    except codec.PduError as error:
        by_table = (error.command_status, error.fatal)
    try:
        codec.parse_sm(data[16:])
    except codec.PduError as error:
        by_fast_path = (error.command_status, error.fatal)
    assert by_table == by_fast_path


@named(handled("tolerate"))
def test_odd_pdus_are_tolerated(vector: dict[str, Any]) -> None:
    """What real peers send decodes, says what the vector says it says, keeps its octets, and is not refused."""
    data = bytes.fromhex(vector["hex"])
    decoded = codec.decode(data)
    if "decodes_as" in vector["expect"]:
        assert vector["expect"]["decodes_as"] == shown(decoded, len(data))
        assert data == encoded(decoded)
    if decoded.command_id == names.SUBMIT_SM:
        submit = codec.parse_sm(data[16:])
        codec.check_submit(submit, NOW)
        if "sar" in vector["name"] or "concat" in vector["name"]:
            assert text.concat(submit.esm_class, submit.short_message, submit.tlv) is None


def test_odd_ids_in_responses() -> None:
    """An id of 70 characters, one without NUL, one with trailing spaces and a missing one are all read."""
    found = {
        one["name"].rpartition("/")[2]: codec.response_message_id(bytes.fromhex(one["hex"])[16:])
        for one in BAD
        if one["name"].startswith(("malformed/submit_sm_resp", "malformed/deliver_sm_resp"))
    }
    assert found == {
        "submit_sm_resp-id-70-chars": "f" * 70,
        "submit_sm_resp-id-no-NUL": "N-000042",
        "submit_sm_resp-id-trailing-spaces": "N-000042   ",
        "submit_sm_resp-ok-no-body": "",
        "deliver_sm_resp-no-body": "",
    }
    assert receipt.response_key("auto", found["submit_sm_resp-id-trailing-spaces"]) == "N-000042"


@named([one for one in BAD if one["name"].endswith("-stray-octets")])
def test_stray_octets_are_kept_apart(vector: dict[str, Any]) -> None:
    """Up to three octets behind the last TLV survive a round trip and lie behind `end_at`, so a relay can cut them."""
    data = bytes.fromhex(vector["hex"])
    decoded = codec.decode(data)
    assert len(decoded.stray) == int(re.findall(r"(\d)-stray", vector["name"])[0])
    assert data == encoded(decoded)
    assert data[16:][codec.parse_sm(data[16:]).end_at :] == decoded.stray


@named(handled("framing"))
def test_a_lost_frame_is_fatal(vector: dict[str, Any]) -> None:
    """A length below 16 or above the limit raises fatally; a session nacks it with sequence 0 and closes."""
    data = bytes.fromhex(vector["hex"])
    with pytest.raises(codec.PduError) as caught:
        codec.decode(data)
    assert (True, recommended(vector)) == (caught.value.fatal, caught.value.command_status)
    session = bound(Role.SMSC)
    received = session.receive_data(data, 1.0)
    assert [Bad, Closed] == [type(one) for one in received]
    assert codec.pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0) == session.data_to_send()
    assert session.closing


@named(handled("answer generic_nack"))
def test_unknown_requests_are_nacked_and_the_session_lives(vector: dict[str, Any]) -> None:
    """An unknown command_id is answered generic_nack ESME_RINVCMDID with its own sequence number."""
    data = bytes.fromhex(vector["hex"])
    nack = codec.pdu(names.GENERIC_NACK, recommended(vector), int.from_bytes(data[12:16], "big"))
    assert nack == refusal(data).answer()
    session = bound(Role.SMSC)
    assert [Bad] == [type(one) for one in session.receive_data(data, 1.0)]
    assert (nack, False) == (session.data_to_send(), session.closing)


@named(handled("ignore"))
def test_unknown_responses_are_ignored(vector: dict[str, Any]) -> None:
    """A response nobody knows is counted and never answered."""
    data = bytes.fromhex(vector["hex"])
    assert refusal(data).answer() == b""
    session = bound(Role.ESME)
    assert session.receive_data(data, 1.0) == []
    assert (session.data_to_send(), session.ignored_responses, session.closing) == (b"", 1, False)


def test_two_pdus_in_one_segment() -> None:
    """Both are read: the enquire_link is answered, then the unbind."""
    (vector,) = handled("decode both")
    session = bound(Role.SMSC)
    session.receive_data(bytes.fromhex(vector["hex"]), 1.0)
    answers = codec.pdu(names.ENQUIRE_LINK_RESP, 0, 0xBCC) + codec.pdu(names.UNBIND_RESP, 0, 0xBCA)
    assert answers == session.data_to_send()


def test_one_pdu_and_a_half() -> None:
    """The whole PDU is read, the 30 octets behind it wait, and their rest completes them."""
    (vector,) = handled("decode one, keep 30 octets")
    data = bytes.fromhex(vector["hex"])
    whole = bytes.fromhex(next(one["hex"] for one in VECTORS if one["hex"].startswith(vector["hex"][32:])))
    session = bound(Role.SMSC)
    assert session.receive_data(data, 1.0) == []
    assert session.data_to_send() == codec.pdu(names.ENQUIRE_LINK_RESP, 0, 0xBCC)
    (request,) = session.receive_data(whole[30:], 2.0)
    assert isinstance(request, Request) and request.pdu.body == whole[16:]


def test_a_stream_that_ends_inside_a_pdu() -> None:
    """The part is dropped and what was in flight is in doubt, in sending order."""
    (vector,) = handled("close; in-flight")
    session = bound(Role.ESME)
    session.send_requests(names.SUBMIT_SM, [b"x", b"y"], ["first", "second"], 1.0)
    assert session.receive_data(bytes.fromhex(vector["hex"]), 1.0) == []
    assert session.lost("end of stream") == ["first", "second"]


def test_a_response_without_an_id_is_an_acceptance() -> None:
    """Status 0 without a body is a success whose message nobody can name."""
    (vector,) = handled("accept as submitted")
    data = bytes.fromhex(vector["hex"])
    assert codec.decode(data).fields == {}
    assert codec.response_message_id(data[16:]) == ""
    assert receipt.response_key("auto", "") == ""


def test_every_way_of_handling_is_tested() -> None:
    """A new kind of bad vector cannot slip in untested."""
    ways = Counter(one["expect"]["handling"].split(":")[0].split(";")[0] for one in BAD)
    assert {
        "tolerate",
        "reject this PDU with its own _resp, keep the session",
        "framing",
        "answer generic_nack with the same sequence_number, keep the session",
        "ignore (log)",
        "decode both (framing test)",
        "decode one, keep 30 octets buffered",
        "close",
        "accept as submitted with unknown id",
    } == set(ways)


@named(BAD)
@pytest.mark.parametrize("role", Role)
def test_no_bad_vector_makes_a_session_raise(vector: dict[str, Any], role: Role) -> None:
    """Whatever comes over the wire, a session answers, waits or closes."""
    session = bound(role)
    for octet in bytes.fromhex(vector["hex"]):
        session.receive_data(bytes((octet,)), 1.0)
        session.data_to_send()
    session.tick(100.0)
    session.lost("test over")
