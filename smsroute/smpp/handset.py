"""A message from a handset: read as a carrier delivers it, and written as an ESME takes it.

Rules:
- What came goes on: header, text and TLVs octet for octet, but stray octets behind the last TLV. A data_sm becomes the
  deliver_sm that says the same: not every client reads a data_sm.
- A session below interface version 3.4 gets no TLV (3.3 has none); a text that stood in message_payload goes to
  short_message there when it fits. What such a session cannot be told whole, it is not told.

Section numbers are SMPP 3.4's. Walk: `carriers/handsets` reads, `esmes/deliver` writes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from smsroute.smpp import text
from smsroute.smpp.names import DATA_SM, ESM_UDHI, ESME_RINVSRCADR, MESSAGE_PAYLOAD, VERSION_3_4
from smsroute.smpp.sm import SubmitSm, build_sm, parse_data_sm, parse_sm
from smsroute.smpp.wire import Pdu, PduError, build_tlv, tlv, tlvs

SHORT_OCTETS_MAX: Final = 254  # section 5.2.22
_WORD: Final = re.compile(r"\w+")
_SEGMENTS: Final = frozenset({0x020C, 0x020E, 0x020F})  # sar_*: without them its parts make no message


class Mo(NamedTuple):
    """What a handset wrote, and the deliver_sm body that says it."""

    sm: SubmitSm
    body: bytes


def read(request: Pdu) -> Mo:
    """The message of a deliver_sm or data_sm. Raises PduError, never fatal."""
    body = request.body
    if request.command_id == DATA_SM:
        body = _as_deliver(parse_data_sm(body))
    sm = parse_sm(body)
    return Mo(sm, body[: sm.end_at])


def _as_deliver(data: SubmitSm) -> bytes:
    payload = tlv(data.tlv, MESSAGE_PAYLOAD)
    tail, short = data.tlv, b""
    if payload is not None and len(payload) <= SHORT_OCTETS_MAX:
        short, tail = payload, _without(data.tlv, MESSAGE_PAYLOAD)
    try:
        return build_sm(
            service_type=data.service_type,
            source_addr_ton=data.source_addr_ton,
            source_addr_npi=data.source_addr_npi,
            source_addr=data.source_addr,
            dest_addr_ton=data.dest_addr_ton,
            dest_addr_npi=data.dest_addr_npi,
            destination_addr=data.destination_addr,
            esm_class=data.esm_class,
            registered_delivery=data.registered_delivery,
            data_coding=data.data_coding,
            short_message=short,
            tlv=tail,
        )
    except ValueError as fault:
        raise PduError(str(fault), ESME_RINVSRCADR, command_id=DATA_SM) from fault


def _without(tail: bytes, unwanted: int) -> bytes:
    return b"".join(build_tlv(tag, value) for tag, value in tlvs(tail) if tag != unwanted)


def part_of(sm: SubmitSm) -> tuple[int, int, int] | None:
    """(reference, total, number) when it is one of several parts."""
    part = text.concat(sm.esm_class, sm.short_message, sm.tlv)
    return part if part is not None and part[1] > 1 else None


def first_word(sm: SubmitSm) -> str:
    """The first run of letters and digits of its text, "" when there is none."""
    data = sm.user_data()
    if sm.esm_class & ESM_UDHI and data:
        data = data[1 + data[0] :]
    return first_of(text.decode(sm.data_coding, data[:SHORT_OCTETS_MAX]))


def first_of(written: str) -> str:
    """The same of a text as people read it."""
    word = _WORD.search(written)
    return word[0] if word else ""


def body_for(body: bytes, version: int, octets_max: int) -> bytes | str:
    """The deliver_sm body for a session of interface `version` that takes bodies of at most `octets_max`; or why it
    cannot be told."""
    if version < VERSION_3_4:
        sm = parse_sm(body)
        if sm.tlv:
            told = _tlvless(body, sm)
            if isinstance(told, str):
                return told
            body = told
    if len(body) > octets_max:
        return f"{len(body)} octets, its `pdu_octets_max` leaves {octets_max}"
    return body


def _tlvless(body: bytes, sm: SubmitSm) -> bytes | str:
    head = body[: len(body) - len(sm.tlv) - len(sm.short_message) - 1]
    present = {tag for tag, _ in tlvs(sm.tlv)}
    if present & _SEGMENTS:
        return "a part of a message by SAR TLVs, and its session speaks 3.3"
    data = sm.user_data()
    if len(data) > SHORT_OCTETS_MAX:
        return f"a text of {len(data)} octets in a TLV, and its session speaks 3.3"
    return head + bytes((len(data),)) + data
