"""The fast path: submit_sm, deliver_sm and data_sm bodies read and built without a table, and batches of answers.

Rules:
- It makes no dict and no copy but the slices it hands out. It only knows good PDUs: what it cannot read it
  gives to the interpreter, which says what is wrong.
- Relaying keeps the body: offsets say where to patch it.

Section numbers are SMPP 3.4's. Walk: `esmes/accept` and `carriers/receipts` call `parse_sm`; both sides build their
answers with `build_responses`; other rooms take it all from `codec`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from smsroute.smpp.interpreter import explain
from smsroute.smpp.names import ESME_RINVCMDLEN, MESSAGE_PAYLOAD, NO_RESPONSE, RESPONSE, SUBMIT_SM_RESP
from smsroute.smpp.wire import HEADER, HEADER_OCTETS, PduError, c_octets, split_tlvs, tlv


class SubmitSm(msgspec.Struct, gc=False):
    """The fields of a submit_sm, deliver_sm or data_sm (sections 4.4.1, 4.6.1, 4.7.1), text fields as latin-1.

    `text_at`: octets of the body up to and including destination_addr's NUL. `registered_delivery_at`: where that octet
    lies. `end_at`: octets that mean something; behind it lie stray ones. `tlv`: the raw TLVs.
    """

    service_type: str
    source_addr_ton: int
    source_addr_npi: int
    source_addr: str
    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str
    esm_class: int
    protocol_id: int
    priority_flag: int
    schedule_delivery_time: str
    validity_period: str
    registered_delivery: int
    replace_if_present_flag: int
    data_coding: int
    sm_default_msg_id: int
    short_message: bytes
    tlv: bytes
    text_at: int
    registered_delivery_at: int
    end_at: int

    def user_data(self) -> bytes:
        """The message: short_message, or message_payload when that is empty (section 5.3.2.32)."""
        return self.short_message or tlv(self.tlv, MESSAGE_PAYLOAD) or b""


def build_responses(command_id: int, rows: Iterable[tuple[int, int, str]], tail: bytes = b"") -> bytes:
    """The answers to a batch of submit_sm, deliver_sm or data_sm in one write; a row is (status, sequence, message_id).

    A refused submit_sm gets no body (section 4.4.2); a deliver_sm_resp always carries one NUL (section 4.6.2, quirks
    S38), and a data_sm_resp an empty id (`wire.EMPTY_BODIES`).
    What has no response (alert_notification, outbind) gets none. `tail`: TLVs for each; a refusal then has an empty
    message_id before them, as SMPP 5.0 wants it.
    """
    if command_id in NO_RESPONSE:
        return b""
    command_id |= RESPONSE
    pack = HEADER.pack
    out: list[bytes] = []
    for command_status, sequence_number, message_id in rows:
        if command_status == 0:
            body = message_id.encode("latin-1") + b"\0" + tail
        elif tail:
            body = b"\0" + tail
        else:
            body = b"" if command_id == SUBMIT_SM_RESP else b"\0"
        out.append(pack(HEADER_OCTETS + len(body), command_id, command_status, sequence_number))
        out.append(body)
    return b"".join(out)


def build_sm(
    *,
    destination_addr: str,
    source_addr: str = "",
    short_message: bytes = b"",
    service_type: str = "",
    source_addr_ton: int = 0,
    source_addr_npi: int = 0,
    dest_addr_ton: int = 0,
    dest_addr_npi: int = 0,
    esm_class: int = 0,
    protocol_id: int = 0,
    priority_flag: int = 0,
    schedule_delivery_time: str = "",
    validity_period: str = "",
    registered_delivery: int = 0,
    replace_if_present_flag: int = 0,
    data_coding: int = 0,
    sm_default_msg_id: int = 0,
    tlv: bytes = b"",
) -> bytes:
    """The body of a submit_sm or deliver_sm. Raises ValueError when a value does not fit its field."""
    return b"".join(
        (
            c_octets("service_type", service_type),
            bytes((source_addr_ton, source_addr_npi)),
            c_octets("source_addr", source_addr),
            bytes((dest_addr_ton, dest_addr_npi)),
            c_octets("destination_addr", destination_addr),
            bytes((esm_class, protocol_id, priority_flag)),
            c_octets("schedule_delivery_time", schedule_delivery_time) if schedule_delivery_time else b"\0",
            c_octets("validity_period", validity_period) if validity_period else b"\0",
            bytes((registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, len(short_message))),
            short_message,
            tlv,
        )
    )


def parse_sm(body: bytes) -> SubmitSm:
    """Read the body of a submit_sm or deliver_sm (sections 4.4.1, 4.6.1). Raises PduError, never fatal."""
    find = body.find
    # A -1 sends the next search to a wrong place, which does no harm: all five are judged together.
    service = find(0, 0, 65)
    source = find(0, service + 3, service + 68)
    destination = find(0, source + 3, source + 68)
    schedule = find(0, destination + 4, destination + 69)
    validity = find(0, schedule + 1, schedule + 66)
    text = validity + 6
    size = len(body)
    if service < 0 or source < 0 or destination < 0 or schedule < 0 or validity < 0 or text > size:
        raise explain(body)
    end = text + body[text - 1]
    if end > size:
        raise explain(body)
    if end < size:
        size = _tlvs_end(body, end)
    return SubmitSm(
        body[:service].decode("latin-1"),
        body[service + 1],
        body[service + 2],
        body[service + 3 : source].decode("latin-1"),
        body[source + 1],
        body[source + 2],
        body[source + 3 : destination].decode("latin-1"),
        body[destination + 1],
        body[destination + 2],
        body[destination + 3],
        body[destination + 4 : schedule].decode("latin-1"),
        body[schedule + 1 : validity].decode("latin-1"),
        body[validity + 1],
        body[validity + 2],
        body[validity + 3],
        body[validity + 4],
        body[text:end],
        body[end:size],
        destination + 1,
        validity + 1,
        size,
    )


def parse_data_sm(body: bytes) -> SubmitSm:
    """Read the body of a data_sm (section 4.7.1) into the same shape; its text is a TLV. Raises PduError."""
    find = body.find
    service = find(0, 0, 65)
    source = find(0, service + 3, service + 68)
    destination = find(0, source + 3, source + 68)
    end = destination + 4
    size = len(body)
    if service < 0 or source < 0 or destination < 0 or end > size:
        raise PduError("data_sm: mandatory fields cut short", ESME_RINVCMDLEN)
    size = _tlvs_end(body, end)
    text = [body[:service], body[service + 3 : source], body[source + 3 : destination]]
    service_type, source_addr, destination_addr = (octets.decode("latin-1") for octets in text)
    return SubmitSm(
        service_type,
        body[service + 1],
        body[service + 2],
        source_addr,
        body[source + 1],
        body[source + 2],
        destination_addr,
        body[destination + 1],
        0,
        0,
        "",
        "",
        body[destination + 2],
        0,
        body[destination + 3],
        0,
        b"",
        body[end:size],
        destination + 1,
        destination + 2,
        size,
    )


def _tlvs_end(body: bytes, at: int) -> int:
    """Where the TLVs that start at `at` end; up to 3 stray octets may lie behind. Raises PduError on an overrun."""
    end = len(body)
    while end - at >= 4:
        following = at + 4 + (body[at + 2] << 8) + body[at + 3]
        if following > end:
            split_tlvs(body[at:])
        at = following
    return at
