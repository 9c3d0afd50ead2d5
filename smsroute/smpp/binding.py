"""The PDUs of binding: what a bind request and its response carry, written and read.

Rules:
- A request is read strictly: a client that cannot bind properly is told so.
- A response is read in any shape SMSCs send: no body, no system_id, no sc_interface_version (quirks S5).

Section numbers are SMPP 3.4's. Walk: called by `session`; `carriers/bind` reads an outbind.
"""

from __future__ import annotations

from smsroute.smpp.interpreter import decode, encode
from smsroute.smpp.names import BIND_TRANSCEIVER, ESME_ROK, OUTBIND, RESPONSE, SC_INTERFACE_VERSION, VERSION_3_4
from smsroute.smpp.received import BindRequest
from smsroute.smpp.wire import HEADER_OCTETS, PduError, build_tlv, pdu


def build_bind_request(
    system_id: str,
    password: str,
    system_type: str,
    address_range: str,
    *,
    version: int,
    addr_ton: int,
    addr_npi: int,
) -> bytes:
    """The body of any bind request (section 4.1). Raises ValueError when a value does not fit."""
    fields = {
        "system_id": system_id,
        "password": password,
        "system_type": system_type,
        "interface_version": version,
        "addr_ton": addr_ton,
        "addr_npi": addr_npi,
        "address_range": address_range,
    }
    return encode(BIND_TRANSCEIVER, fields)[HEADER_OCTETS:]


def build_outbind(system_id: str, password: str, sequence_number: int) -> bytes:
    """An outbind (section 4.1.7). Raises ValueError when a value does not fit."""
    return encode(OUTBIND, {"system_id": system_id, "password": password}, sequence_number=sequence_number)


def read_outbind(body: bytes) -> tuple[str, str]:
    """system_id and password of one. Raises PduError."""
    fields = decode(pdu(OUTBIND, 0, 1, body)).fields
    return fields["system_id"], fields["password"]


def read_bind_request(data: bytes) -> BindRequest:
    """A bind_receiver, bind_transmitter or bind_transceiver (section 4.1). Raises PduError."""
    decoded = decode(data)
    return BindRequest(decoded.command_id, decoded.sequence_number, tlvs=decoded.tlvs, **decoded.fields)


def build_bind_response(request: BindRequest, command_status: int, system_id: str, version: int) -> bytes:
    """The response. No body on a refusal; a 3.3 client sees no TLV (section 4.1.2, quirks S26)."""
    body = b""
    if command_status == ESME_ROK:
        body = system_id.encode("latin-1") + b"\0"
        if version >= VERSION_3_4:
            body += build_tlv(SC_INTERFACE_VERSION, bytes((version,)))
    return pdu(request.command_id | RESPONSE, command_status, request.sequence_number, body)


def read_bind_response(data: bytes) -> tuple[str, int | None]:
    """system_id and sc_interface_version of an accepted bind, as far as they are there."""
    try:
        decoded = decode(data)
    except PduError:
        return "", None
    system_id = decoded.fields.get("system_id", "")
    for tag, value in decoded.tlvs:
        if tag == SC_INTERFACE_VERSION and len(value) == 1:
            return system_id, value[0]
    return system_id, None
