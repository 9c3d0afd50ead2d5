"""smpplib as an independent peer: what it encodes we decode, what we encode it decodes, on what it can do."""

from __future__ import annotations

import string
from typing import Any

import pytest
import smpplib.client
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import codec, names, pdu

LETTERS = st.text(string.ascii_letters + string.digits, max_size=20)
OCTET = st.integers(0, 255)
FIELDS = st.fixed_dictionaries(
    {
        "service_type": st.text(string.ascii_uppercase, max_size=5),
        "source_addr_ton": OCTET,
        "source_addr_npi": OCTET,
        "source_addr": LETTERS,
        "dest_addr_ton": OCTET,
        "dest_addr_npi": OCTET,
        "destination_addr": LETTERS,
        "esm_class": OCTET,
        "protocol_id": OCTET,
        "priority_flag": OCTET,
        "schedule_delivery_time": st.sampled_from(["", "260112150000000+"]),
        "validity_period": st.sampled_from(["", "000000000100000R"]),
        "registered_delivery": OCTET,
        "replace_if_present_flag": OCTET,
        "data_coding": OCTET,
        "sm_default_msg_id": OCTET,
        "short_message": st.binary(max_size=254),
    }
)
TLVS = st.lists(
    st.sampled_from(
        [
            (names.USER_MESSAGE_REFERENCE, b"\1\2"),
            (names.SAR_MSG_REF_NUM, b"\0\7"),
            (names.SAR_TOTAL_SEGMENTS, b"\3"),
            (names.SAR_SEGMENT_SEQNUM, b"\1"),
        ]
    ),
    unique=True,
)


@pytest.fixture(scope="module")
def client() -> smpplib.client.Client:
    """A client that never connects: smpplib takes sequence numbers from one."""
    return smpplib.client.Client("127.0.0.1", 9, allow_unknown_opt_params=True)


def theirs(value: Any) -> Any:
    return value.encode("ascii") if isinstance(value, str) else value


@pytest.mark.parametrize("command", ["submit_sm", "deliver_sm"])
@given(fields=FIELDS)
def test_we_read_what_smpplib_writes(command: str, client: smpplib.client.Client, fields: dict[str, Any]) -> None:
    """Every mandatory field of its submit_sm and deliver_sm."""
    written = smpplib.smpp.make_pdu(command, client=client, **fields)
    written.sequence = 7
    data = written.generate()
    assert fields | {"sm_length": len(fields["short_message"])} == codec.decode(data).fields
    sm = codec.parse_sm(data[16:])
    assert fields == {name: getattr(sm, name) for name in fields}
    assert data == codec.encode(
        {"submit_sm": names.SUBMIT_SM, "deliver_sm": names.DELIVER_SM}[command], fields, sequence_number=7
    )


@pytest.mark.parametrize("command_id", [names.SUBMIT_SM, names.DELIVER_SM], ids=names.command_name)
@given(fields=FIELDS, tlvs=TLVS)
def test_smpplib_reads_what_we_write(
    command_id: int, client: smpplib.client.Client, fields: dict[str, Any], tlvs: list[tuple[int, bytes]]
) -> None:
    """Every mandatory field and TLV of our submit_sm and deliver_sm."""
    tail = b"".join(codec.build_tlv(tag, value) for tag, value in tlvs)
    data = codec.pdu(command_id, 0, 7, codec.build_sm(**fields, tlv=tail))
    read = smpplib.smpp.parse_pdu(data, client=client, allow_unknown_opt_params=True)
    assert (names.command_name(command_id), 7, 0) == (read.command, read.sequence, read.status)
    assert {name: theirs(value) or None for name, value in fields.items()} == {
        name: getattr(read, name) or None for name in fields
    }
    for tag, value in tlvs:
        assert int.from_bytes(value, "big") == getattr(read, pdu.tlv_name(tag))


@pytest.mark.parametrize("command_id", [names.SUBMIT_SM, names.DELIVER_SM], ids=names.command_name)
@given(status=st.sampled_from(sorted(names.STATUS_NAMES)), message_id=LETTERS, sequence=st.integers(1, 0x7FFFFFFF))
def test_smpplib_reads_our_answers(
    command_id: int, client: smpplib.client.Client, status: int, message_id: str, sequence: int
) -> None:
    """Status, sequence number and id of our batched responses."""
    data = codec.build_responses(command_id, [(status, sequence, message_id)])
    read = smpplib.smpp.parse_pdu(data, client=client, allow_unknown_opt_params=True)
    assert (status, sequence) == (read.status, read.sequence)
    if status == 0:
        assert message_id.encode() == (read.message_id or b"").rstrip(b"\0")


@given(message_id=LETTERS)
def test_we_read_the_answers_of_smpplib(client: smpplib.client.Client, message_id: str) -> None:
    """The id of its submit_sm_resp, and an empty one of its deliver_sm_resp."""
    answer = smpplib.smpp.make_pdu("submit_sm_resp", client=client, message_id=message_id)
    answer.sequence = 9
    data = answer.generate()
    assert codec.response_message_id(data[16:]) == message_id
    assert codec.decode(data).fields == {"message_id": message_id}
    answer = smpplib.smpp.make_pdu("deliver_sm_resp", client=client)
    answer.sequence = 9
    assert codec.response_message_id(answer.generate()[16:]) == ""
