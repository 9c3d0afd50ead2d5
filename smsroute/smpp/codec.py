"""Octets to PDUs and back: the front door of the codec.

Rules:
- Bad octets raise PduError, nothing else does; it says whether framing survives and what to answer.
- Reading and writing are inverse, octet for octet.
- What is done for every message goes by the fast path (`sm`); all else by the tables (`interpreter`).

Walk: other rooms import the codec from here and nowhere else.
"""

from smsroute.smpp.interpreter import Decoded, decode, encode
from smsroute.smpp.sm import SubmitSm, build_responses, build_sm, parse_data_sm, parse_sm
from smsroute.smpp.validate import check_data, check_submit
from smsroute.smpp.wire import (
    HEADER_OCTETS,
    Pdu,
    PduError,
    build_tlv,
    describe,
    first_tlvs,
    pdu,
    refusal,
    response_message_id,
    response_tlvs,
    tlv,
    tlvs,
)

__all__ = [
    "HEADER_OCTETS",
    "Decoded",
    "Pdu",
    "PduError",
    "SubmitSm",
    "build_responses",
    "build_sm",
    "build_tlv",
    "check_data",
    "check_submit",
    "decode",
    "describe",
    "encode",
    "first_tlvs",
    "parse_data_sm",
    "parse_sm",
    "pdu",
    "refusal",
    "response_message_id",
    "response_tlvs",
    "tlv",
    "tlvs",
]
