"""Whatever octets a carrier sends, reading them as a receipt ends in one, in None or in a PduError, and soon."""

from __future__ import annotations

import re
import time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.config.presets import PRESETS
from smsroute.smpp import codec, names, receipt
from smsroute.smpp.receipt import Reading

READINGS = [
    receipt.COMMON,
    Reading(pattern=re.compile(PRESETS["uk-comma"].pattern), without_esm_class=True, zone=ZoneInfo("Europe/Paris")),
    Reading(pattern=re.compile(r"(?P<id>.*?)(?P<stat>\w*)(?P<done>\d*)"), states={}, final=frozenset()),
]
LABELS = [b"id:", b"ID: ", b"stat:", b"err:", b"submit date:", b"done date:", b"text:", b"sub:", b"dlvrd:"]
PIECES = st.one_of(
    st.sampled_from(
        [*LABELS, b" ", b"\0", b"\x85", b",", b"00", b"2601121501", b"260112150155004+", b"DELIVRD", b"\xff"]
    ),
    st.binary(max_size=8),
)
TAGS = st.sampled_from(
    [names.RECEIPTED_MESSAGE_ID, names.MESSAGE_STATE, names.NETWORK_ERROR_CODE, names.MESSAGE_PAYLOAD, 0x1403]
)


def used(found: receipt.Receipt) -> None:
    """Ask it all that anybody asks."""
    assert found.final in (True, False)
    assert found.submitted_at >= 0
    assert found.done_at >= 0
    assert len(found.quoted) <= 20
    assert len(found.err) <= 16
    assert max(len(found.word), len(found.submit_date), len(found.done_date)) <= 32
    assert all(0 < len(one) <= 255 for _, one in found.ids)
    for rule in ("auto", "exact", "hex-dec", "dec-hex", "unpad", "casefold"):
        receipt.id_keys(rule, found.ids)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(PIECES, max_size=25).map(b"".join),
    st.integers(0, 255),
    st.integers(0, 255),
    st.lists(st.tuples(TAGS, st.lists(PIECES, max_size=4).map(b"".join)), max_size=4),
    st.sampled_from(READINGS),
    st.sampled_from(["latin-1", "utf-16-be", "utf-16-le"]),
)
def test_good_pdus_with_any_text_and_tlvs(
    text: bytes, esm_class: int, data_coding: int, tlvs: list[tuple[int, bytes]], reading: Reading, coding: str
) -> None:
    """Labels, dates and nonsense in any order and coding: nothing is raised."""
    body = codec.build_sm(
        destination_addr="ACME",
        short_message=text.decode("latin-1").encode(coding)[:254],
        esm_class=esm_class,
        data_coding=data_coding,
        tlv=b"".join(codec.build_tlv(tag, value) for tag, value in tlvs),
    )
    found = receipt.parse(codec.Pdu(names.DELIVER_SM, 0, 1, body), reading)
    assert found is not None or not receipt.is_receipt(esm_class)
    if found is not None:
        used(found)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120), st.sampled_from([names.DELIVER_SM, names.DATA_SM]), st.sampled_from(READINGS))
def test_any_octets_at_all(body: bytes, command_id: int, reading: Reading) -> None:
    """What is no PDU is a PduError, nothing else."""
    try:
        found = receipt.parse(codec.Pdu(command_id, 0, 1, body), reading)
    except codec.PduError:
        return
    if found is not None:
        used(found)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("data_coding", [0, 8])
@pytest.mark.parametrize(
    "unit",
    [b"id:", b"id: ", b"stat:x ", b"id:7 sub:", b" ", b"\0", b"a", b"0", b"text:id:", b"\0i\0d\0:", b"submit date:1 "],
)
def test_the_longest_text_takes_no_longer_than_its_length(unit: bytes, data_coding: int, reading: Reading) -> None:
    """64 KiB of message_payload made to be slow: twice as much takes about twice as long, and no pause is felt."""

    def seconds(octets: int) -> float:
        text = b"id:7 " + (unit * (octets // len(unit)))
        body = codec.build_sm(
            destination_addr="ACME",
            esm_class=4,
            data_coding=data_coding,
            tlv=codec.build_tlv(names.MESSAGE_PAYLOAD, text[:65_530]),
        )
        request = codec.Pdu(names.DELIVER_SM, 0, 1, body)
        best = 1.0
        for _ in range(3):
            before = time.process_time()
            used(receipt.parse(request, reading))  # type: ignore[arg-type]
            best = min(best, time.process_time() - before)
        return best

    quarter, whole = seconds(16_000), seconds(64_000)
    assert whole < 0.1
    assert whole < 0.004 or whole < 10 * quarter, (quarter, whole)
