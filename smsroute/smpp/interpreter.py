"""The table interpreter: any command to fields in spec names, and back.

Rules:
- `encode` is the inverse of `decode`, octet for octet: unknown TLVs, their order, duplicates and stray octets are kept.
- Requests are read strictly as to structure, responses leniently: an answer in a shape nobody likes is still an answer
  (quirks S5, S6: no body, no NUL, ids of 71 octets, bodies on errors).
- Nothing here is hot: binds, queries, tests, tools, and the word on what is wrong with a PDU the fast path gave up on.

Section numbers are SMPP 3.4's. Walk: reads the tables of `pdu`; called by `session` for binds and by `codec`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from smsroute.smpp.names import (
    ESME_RINVCMDID,
    ESME_RINVCMDLEN,
    ESME_RINVDESTFLAG,
    ESME_RINVDLNAME,
    ESME_RINVDSTADR,
    ESME_RINVMSGLEN,
    RESPONSE,
)
from smsroute.smpp.pdu import OCTETS_TAKEN_MAX, SM, TABLES, Field, Kind
from smsroute.smpp.wire import HEADER, HEADER_OCTETS, Fields, PduError, Tlvs, build_tlv, c_octets, pdu, split_tlvs


class Decoded(msgspec.Struct):
    """One PDU read through its table: fields in spec names and wire order, TLVs as they came."""

    command_id: int
    command_status: int
    sequence_number: int
    fields: Fields
    tlvs: Tlvs
    stray: bytes = b""  # up to 3 octets behind the last TLV; real peers send them (quirks S25)


def encode(
    command_id: int,
    fields: Mapping[str, Any],
    tlvs: Iterable[tuple[int, bytes]] = (),
    *,
    command_status: int = 0,
    sequence_number: int = 0,
    stray: bytes = b"",
) -> bytes:
    """One whole PDU through its table; counts (sm_length, number_of_dests) are reckoned, absent fields are 0 or empty.

    A response without fields has no body. Raises ValueError when a value does not fit, KeyError for an unknown command.
    """
    table = TABLES[command_id]
    out: list[bytes] = []
    if fields or not command_id & RESPONSE:
        for row in table:
            _write(row, fields, out)
    out.extend(build_tlv(tag, value) for tag, value in tlvs)
    out.append(stray)
    return pdu(command_id, command_status, sequence_number, b"".join(out))


def _write(row: Field, fields: Mapping[str, Any], out: list[bytes]) -> None:
    kind = row.kind
    if kind is Kind.INTEGER:
        out.append(bytes((fields.get(row.name, 0),)))
    elif kind is Kind.C_OCTET:
        out.append(c_octets(row.name, fields.get(row.name, "")))
    elif kind is Kind.LENIENT:
        out.append(c_octets(row.name, fields.get(row.name, ""), 1 << 16))
    elif kind is Kind.MESSAGE:
        message = fields.get(row.name, b"")
        out.append(bytes((len(message),)) + message)
    else:
        rows = fields.get(row.name, ())
        out.append(bytes((len(rows),)))
        for one in rows:
            if one.get("dest_flag") == 2:
                out.append(b"\2" + c_octets("dl_name", one["dl_name"]))
                continue
            flag = b"\1" if kind is Kind.DESTINATIONS else b""
            out.append(flag + bytes((one["ton"], one["npi"])) + c_octets("addr", one["addr"]))
            if kind is Kind.UNSUCCESSFUL:
                out.append(one["error_status_code"].to_bytes(4, "big"))


def decode(data: bytes) -> Decoded:
    """Read one whole PDU of any command (section 3.2). Raises PduError."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < HEADER_OCTETS or length != len(data):
        reason = f"command_length {length} of {len(data)} octets"
        raise PduError(reason, ESME_RINVCMDLEN, fatal=True)
    _, command_id, command_status, sequence_number = HEADER.unpack_from(data)
    fields: Fields = {}
    try:
        tail = _read_fields(command_id, data, fields)
        try:
            found, stray = split_tlvs(data[tail:])
        except PduError:
            if TABLES[command_id]:
                raise
            found, stray = [], data[tail:]  # enquire_link and its kind are answered whatever they carry (quirks S3)
    except PduError as error:
        error.command_id, error.sequence_number, error.partial = command_id, sequence_number, fields
        raise
    return Decoded(command_id, command_status, sequence_number, fields, found, stray)


def _read_fields(command_id: int, data: bytes, fields: Fields) -> int:
    table = TABLES.get(command_id)
    if table is None:
        raise PduError(f"unknown command_id 0x{command_id:08x}", ESME_RINVCMDID)
    if command_id & RESPONSE and len(data) == HEADER_OCTETS:
        return HEADER_OCTETS
    at = HEADER_OCTETS
    for row in table:
        at = _read(row, data, at, fields)
    return at


def _read(row: Field, data: bytes, at: int, fields: Fields) -> int:
    kind = row.kind
    if kind is Kind.C_OCTET:
        fields[row.name], at = _read_text(row.name, row.status, data, at)
    elif kind is Kind.LENIENT:
        end = data.find(0, at)
        end = len(data) if end < 0 else end
        fields[row.name] = data[at:end].decode("latin-1")
        at = min(end + 1, len(data))
    elif kind is Kind.INTEGER:
        fields[row.name], at = _read_octet(row.name, data, at)
    elif kind is Kind.MESSAGE:
        length, at = _read_octet("sm_length", data, at)
        if at + length > len(data):
            raise PduError(f"sm_length {length}, {len(data) - at} octets left", ESME_RINVMSGLEN)
        fields["sm_length"] = length
        fields[row.name] = data[at : at + length]
        at += length
    elif kind is Kind.DESTINATIONS:
        fields["number_of_dests"], at = _read_octet("number_of_dests", data, at)
        fields[row.name] = destinations = []
        for _ in range(fields["number_of_dests"]):
            one, at = _read_destination(data, at)
            destinations.append(one)
    else:
        fields["no_unsuccess"], at = _read_octet("no_unsuccess", data, at)
        fields[row.name] = unsuccessful = []
        for _ in range(fields["no_unsuccess"]):
            one, at = _read_address(data, at)
            if at + 4 > len(data):
                raise PduError("error_status_code missing", ESME_RINVCMDLEN)
            one["error_status_code"] = int.from_bytes(data[at : at + 4], "big")
            unsuccessful.append(one)
            at += 4
    return at


def _read_octet(name: str, data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise PduError(f"{name} missing", ESME_RINVCMDLEN)
    return data[at], at + 1


def _read_text(name: str, status: int, data: bytes, at: int) -> tuple[str, int]:
    end = data.find(0, at, at + OCTETS_TAKEN_MAX)
    if end < 0:
        if len(data) - at < OCTETS_TAKEN_MAX:
            raise PduError(f"{name}: no NUL" if at < len(data) else f"{name} missing", ESME_RINVCMDLEN)
        raise PduError(f"{name}: no NUL in {OCTETS_TAKEN_MAX} octets", status)
    return data[at:end].decode("latin-1"), end + 1


def _read_address(data: bytes, at: int) -> tuple[Fields, int]:
    one: Fields = {}
    one["ton"], at = _read_octet("dest_addr_ton", data, at)
    one["npi"], at = _read_octet("dest_addr_npi", data, at)
    one["addr"], at = _read_text("destination_addr", ESME_RINVDSTADR, data, at)
    return one, at


def _read_destination(data: bytes, at: int) -> tuple[Fields, int]:
    """One dest_address of submit_multi (section 4.5.1.1)."""
    flag, at = _read_octet("dest_flag", data, at)
    if flag == 1:
        one, at = _read_address(data, at)
        return {"dest_flag": 1, **one}, at
    if flag == 2:
        name, at = _read_text("dl_name", ESME_RINVDLNAME, data, at)
        return {"dest_flag": 2, "dl_name": name}, at
    raise PduError(f"dest_flag {flag}", ESME_RINVDESTFLAG)


def explain(body: bytes) -> PduError:
    """What the interpreter says of a body the fast path gave up on."""
    fields: Fields = {}
    at = 0
    try:
        for row in SM:
            at = _read(row, body, at, fields)
    except PduError as error:
        error.partial = fields
        return error
    raise AssertionError(f"the fast path and the table disagree on {body.hex()}")
