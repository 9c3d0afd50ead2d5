"""The header, the TLVs and the error: what everything else in this room stands on.

Rules:
- Bad octets raise PduError, nothing else does; it says whether framing survives and what to answer.
- TLVs stay octets, in their order, duplicates and all, until somebody asks for one.

Section numbers are SMPP 3.4's. Walk: used by all files here; other rooms take it from `codec`.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

from smsroute.smpp.names import (
    DATA_SM,
    ESME_RINVOPTPARSTREAM,
    GENERIC_NACK,
    NO_RESPONSE,
    QUERY_SM,
    RESPONSE,
    SUBMIT_MULTI,
    MessageState,
    command_name,
)
from smsroute.smpp.pdu import OCTETS_TAKEN_MAX, TABLES

HEADER: Final = struct.Struct(">IIII")
HEADER_OCTETS: Final = 16
_TLV_HEAD: Final = struct.Struct(">HH")
Fields = dict[str, Any]
Tlvs = list[tuple[int, bytes]]


class PduError(Exception):
    """Octets that are no good PDU.

    `fatal`: framing is lost, nothing after this can be trusted. `command_status`: what to answer. `partial`: the fields
    read before the fault, for the log and for an answer that needs them.
    """

    def __init__(
        self,
        reason: str,
        command_status: int,
        *,
        fatal: bool = False,
        command_id: int = 0,
        sequence_number: int = 0,
        partial: Fields | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.command_status = command_status
        self.fatal = fatal
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.partial = partial

    def answer(self) -> bytes:
        """The PDU that tells the peer (section 3.3, 4.3.1): its own response, generic_nack, or nothing for a response.

        A lost frame is nacked with sequence number 0: the one that was read cannot be trusted (quirks S21).
        """
        if self.fatal:
            return pdu(GENERIC_NACK, self.command_status, 0)
        if self.command_id & RESPONSE or self.command_id in NO_RESPONSE:
            return b""
        if self.command_id not in TABLES:
            return pdu(GENERIC_NACK, self.command_status, self.sequence_number)
        return refusal(self.command_id, self.command_status, self.sequence_number)


class Pdu(msgspec.Struct, gc=False):
    """One framed PDU, its body still octets."""

    command_id: int
    command_status: int
    sequence_number: int
    body: bytes


def pdu(command_id: int, command_status: int, sequence_number: int, body: bytes = b"") -> bytes:
    """One whole PDU (section 3.2)."""
    return HEADER.pack(HEADER_OCTETS + len(body), command_id, command_status, sequence_number) + body


EMPTY_BODIES: Final = {
    QUERY_SM: b"\0\0" + bytes([MessageState.UNKNOWN, 0]),  # message_id, final_date, message_state, error_code
    DATA_SM: b"\0",
    SUBMIT_MULTI: b"\0\0",  # message_id, no_unsuccess
}
"""Bodies of responses that refuse: SMPP 3.4 lets bind and submit_sm drop theirs (sections 4.1.2, 4.4.2) and says
nothing of these (4.8.2, 4.7.2, 4.5.2). smpp.pdu3, Jasmin's codec, ends the session when they are missing."""


def refusal(command_id: int, command_status: int, sequence_number: int) -> bytes:
    """The response to a request of `command_id` that is refused."""
    return pdu(command_id | RESPONSE, command_status, sequence_number, EMPTY_BODIES.get(command_id, b""))


def c_octets(name: str, value: str, octets_max: int = OCTETS_TAKEN_MAX) -> bytes:
    octets = value.encode("latin-1")  # UnicodeEncodeError is a ValueError
    if len(octets) >= octets_max or b"\0" in octets:
        raise ValueError(f"{name}: {value!r} is no C-string of at most {octets_max - 1} octets")
    return octets + b"\0"


def build_tlv(tag: int, value: bytes) -> bytes:
    """One TLV (section 3.2.4.1)."""
    return _TLV_HEAD.pack(tag, len(value)) + value


def split_tlvs(tail: bytes) -> tuple[Tlvs, bytes]:
    """The TLVs and the up to 3 stray octets behind them (section 3.2.4, quirks S25). Raises PduError on an overrun."""
    found: Tlvs = []
    at = 0
    end = len(tail)
    while end - at >= 4:
        tag, length = _TLV_HEAD.unpack_from(tail, at)
        at += 4
        if length > end - at:
            reason = f"TLV 0x{tag:04x}: length {length}, {end - at} octets left"
            raise PduError(reason, ESME_RINVOPTPARSTREAM)
        found.append((tag, tail[at : at + length]))
        at += length
    return found, tail[at:]


def tlvs(tail: bytes) -> Tlvs:
    """(tag, value) in wire order, duplicates kept, of a TLV tail. Raises PduError when one overruns the PDU."""
    return split_tlvs(tail)[0]


def first_tlvs(tail: bytes) -> dict[int, bytes]:
    """Tag -> the first value under it, up to a TLV that overruns: what `tlv` says of each tag, in one pass."""
    values: dict[int, bytes] = {}
    at = 0
    end = len(tail)
    while end - at >= 4:
        tag, length = _TLV_HEAD.unpack_from(tail, at)
        at += 4
        if length > end - at:
            break
        if tag not in values:
            values[tag] = tail[at : at + length]
        at += length
    return values


def tlv(tail: bytes, tag: int) -> bytes | None:
    """The first value under `tag`; None without one, or behind a TLV that overruns."""
    at = 0
    end = len(tail)
    while end - at >= 4:
        found, length = _TLV_HEAD.unpack_from(tail, at)
        at += 4
        if length > end - at:
            return None
        if found == tag:
            return tail[at : at + length]
        at += length
    return None


def response_message_id(body: bytes) -> str:
    """message_id of a submit_sm_resp, deliver_sm_resp or data_sm_resp body: up to the first NUL or the end."""
    return body.partition(b"\0")[0].decode("latin-1")


def response_tlvs(body: bytes) -> bytes:
    """The TLV tail behind message_id in a response body (congestion_state lives there, quirks S28)."""
    return body.partition(b"\0")[2]


def describe(data: Pdu) -> str:
    """`submit_sm 17 status 0 (54 octets)`, for logs."""
    size = HEADER_OCTETS + len(data.body)
    return f"{command_name(data.command_id)} {data.sequence_number} status {data.command_status} ({size} octets)"
