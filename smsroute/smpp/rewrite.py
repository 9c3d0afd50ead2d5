"""A submit_sm as one carrier's contract wants it: addresses, alphabet, form of long messages, TLVs of its own.

Rules:
- What the contract does not name stays octet for octet; a carrier without such wishes never comes here.
- A text is never changed in meaning. One that the carrier's alphabet lacks goes as UCS-2 where that fits one part; what
  fits neither way raises Unfit, and the part goes to another carrier or ends with that reason.
- One part stays one part: its header may become SAR TLVs and back, its reference never merges with another's unless the
  carrier counts in eight bits. Sixteen bits are for what came as SAR TLVs: a header that is there already stays.
  Whole messages are put together before they come here (`merge`); a part that could not be goes as it came.
- A carrier of version 3.3 gets no TLV (quirks S26): SAR TLVs become a header, a payload the short_message, others go.
- A TLV of the contract stands in for one the submit does not bring; it never overrules it.

Section numbers are SMPP 3.4's. Walk: `carriers/form` makes a Form of the config, `carriers/dispatch` writes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from smsroute.smpp import alphabets, text
from smsroute.smpp.alphabets import Alphabet
from smsroute.smpp.names import ESM_UDHI, MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS
from smsroute.smpp.sm import SubmitSm, build_sm, parse_sm
from smsroute.smpp.wire import Tlvs, build_tlv, tlv, tlvs

Plus = Literal["keep", "drop", "add"]
Long = Literal["as-is", "udh", "udh16", "sar", "payload"]

PART_OCTETS: Final = 140
"""User data of one short message, its header included (3GPP TS 23.040 section 9.2.3.24)."""
SHORT_OCTETS_MAX: Final = 254  # section 5.2.22
SAR: Final = (SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM)
UCS2: Final = 8


class Unfit(ValueError):
    """This submit cannot be written in what the carrier takes; the text says why."""


class Address(msgspec.Struct, frozen=True):
    """How addresses of one kind are written; -1 leaves an octet as it came."""

    ton: int = -1
    npi: int = -1
    plus: Plus = "keep"


class Form(msgspec.Struct, frozen=True):
    """What a contract asks of a submit_sm. Address kinds: `alphanumeric`, `numeric`, `short` (few digits)."""

    source: Mapping[str, Address] = {}
    destination: Mapping[str, Address] = {}
    short_digits_max: int = 8
    service_type: str = ""  # for a submit that names none
    alphabet: Alphabet = "gsm"  # what data_coding 0 means to it
    data_codings: Mapping[int, int] = {}  # as submitted -> as it wants it, the text written anew where they differ
    long: Long = "as-is"
    tlvs: tuple[tuple[int, bytes], ...] = ()
    without_tlvs: bool = False  # SMPP 3.3 has none; `long` is udh or udh16 then


class _Text(msgspec.Struct):
    """What a submit says: the alphabet of `data`, which lies behind the header elements; gsm one septet an octet."""

    data_coding: int
    alphabet: Alphabet | None
    data: bytes


def rewrite(form: Form, body: bytes) -> bytes:
    """The body of a submit_sm as `form` wants it. Raises Unfit, and PduError for what is no submit_sm."""
    sm = parse_sm(body)
    in_payload = not sm.short_message and tlv(sm.tlv, MESSAGE_PAYLOAD) is not None
    tail = [(tag, value) for tag, value in tlvs(sm.tlv) if tag != MESSAGE_PAYLOAD]
    anywhere = in_payload and not form.without_tlvs
    esm_class, data_coding, user_data, tail = _said(form, sm, tail, anywhere=anywhere)
    tail.extend((tag, value) for tag, value in form.tlvs if all(tag != own for own, _ in tail))
    if form.without_tlvs:
        in_payload, tail = False, []
        if len(user_data) > SHORT_OCTETS_MAX:
            raise Unfit(
                f"{len(user_data)} octets in message_payload, {SHORT_OCTETS_MAX} fit a short_message of SMPP 3.3"
            )
    if in_payload:
        tail.append((MESSAGE_PAYLOAD, user_data))
    source, source_ton, source_npi = _address(form, form.source, sm.source_addr, sm.source_addr_ton, sm.source_addr_npi)
    number, ton, npi = _address(form, form.destination, sm.destination_addr, sm.dest_addr_ton, sm.dest_addr_npi)
    return build_sm(
        service_type=sm.service_type or form.service_type,
        source_addr_ton=source_ton,
        source_addr_npi=source_npi,
        source_addr=source,
        dest_addr_ton=ton,
        dest_addr_npi=npi,
        destination_addr=number,
        esm_class=esm_class,
        protocol_id=sm.protocol_id,
        priority_flag=sm.priority_flag,
        schedule_delivery_time=sm.schedule_delivery_time,
        validity_period=sm.validity_period,
        registered_delivery=sm.registered_delivery,
        replace_if_present_flag=sm.replace_if_present_flag,
        data_coding=data_coding,
        sm_default_msg_id=sm.sm_default_msg_id,
        short_message=b"" if in_payload else user_data,
        tlv=b"".join(build_tlv(tag, value) for tag, value in tail),
    )


def _said(form: Form, sm: SubmitSm, tail: Tlvs, *, anywhere: bool) -> tuple[int, int, bytes, Tlvs]:
    """(esm_class, data_coding, user data, TLVs), header and text as wanted. `anywhere`: one part need not hold them."""
    said = sm.user_data()
    header, data = b"", said
    if sm.esm_class & ESM_UDHI and said:
        header, data = said[1 : 1 + said[0]], said[1 + said[0] :]
    place, tail = _long_form(form.long, sm, header, tail)
    submitted = _readable(sm.data_coding, data)
    spelt = _spelt(form, submitted)
    if spelt is submitted and place == header:
        return sm.esm_class, sm.data_coding, said, tail  # as it came, too long or not
    head = bytes((len(place),)) + place if place else b""
    if not anywhere:
        _fits(spelt, len(head))
    octets = alphabets.pack(spelt.data, len(head)) if spelt.alphabet == "packed" else spelt.data
    return sm.esm_class & ~ESM_UDHI | (ESM_UDHI if place else 0), spelt.data_coding, head + octets, tail


# -- addresses ---------------------------------------------------------------------------------------------------------


def _address(form: Form, wishes: Mapping[str, Address], written: str, ton: int, npi: int) -> tuple[str, int, int]:
    """(address, TON, NPI) as the contract wants an address of this kind (quirks S35)."""
    digits = written.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        kind = "alphanumeric" if written else ""
    else:
        kind = "short" if digits is written and len(digits) <= form.short_digits_max else "numeric"
    wish = wishes.get(kind)
    if wish is None:
        return written, ton, npi
    if kind != "alphanumeric" and wish.plus != "keep":
        written = "+" + digits if wish.plus == "add" else digits
    return written, ton if wish.ton < 0 else wish.ton, npi if wish.npi < 0 else wish.npi


# -- the alphabet ------------------------------------------------------------------------------------------------------


def _readable(data_coding: int, data: bytes) -> _Text:
    """The text as it was submitted: at our door data_coding 0 is the GSM alphabet."""
    meaning = alphabets.alphabet_of(data_coding)
    return _Text(data_coding, "gsm" if meaning == alphabets.DEFAULT else meaning, data)


def _spelt(form: Form, said: _Text) -> _Text:
    """The text in the carrier's alphabet; `said` itself where nothing changes."""
    data_coding = form.data_codings.get(said.data_coding, said.data_coding)
    meaning = alphabets.alphabet_of(data_coding)
    alphabet: Alphabet | None = form.alphabet if meaning == alphabets.DEFAULT else meaning
    if data_coding == said.data_coding and alphabet == said.alphabet:
        return said
    if said.alphabet is None or alphabet is None or {said.alphabet, alphabet} <= {"gsm", "packed"}:
        return _Text(data_coding, alphabet, said.data)  # the same octets under another name
    words = alphabets.decode(said.alphabet, said.data)
    if "\ufffd" in words:
        raise Unfit(f"its text has octets that are no {said.alphabet}")
    try:
        return _Text(data_coding, alphabet, alphabets.encode(alphabet, words))
    except ValueError:
        return _Text(UCS2, "ucs-2", alphabets.encode("ucs-2", words))


def _fits(said: _Text, head_octets: int) -> None:
    """Raises Unfit for what is over one part, its header included (3GPP TS 23.040 section 9.2.3.24)."""
    room = PART_OCTETS - head_octets
    unit = "octets"
    if said.alphabet in ("gsm", "packed"):
        room, unit = (room * 8 - alphabets.fill_bits(head_octets)) // 7, "septets"
    if len(said.data) > room:
        raise Unfit(f"its text takes {len(said.data)} {unit} there, {room} fit one part")


# -- long messages -----------------------------------------------------------------------------------------------------


def _long_form(form: Long, sm: SubmitSm, header: bytes, tail: Tlvs) -> tuple[bytes, Tlvs]:
    """(header elements, TLVs) with the part's place in its message written as the carrier wants it."""
    part = text.concat(sm.esm_class, sm.user_data(), sm.tlv) if form not in ("as-is", "payload") else None
    if part is None:
        return header, tail
    reference, total, number = part
    others = text.without_concat(header)
    if form == "sar" and others:
        return header, tail  # ports need the header, and both beside each other are refused (quirks 2.1)
    tail = [(tag, value) for tag, value in tail if tag not in SAR]
    if form == "udh16" and others != header:
        return header, tail  # eight bits too: a full part has no room for one octet more, and all parts must match
    if form == "sar":
        place = (reference.to_bytes(2, "big"), bytes((total,)), bytes((number,)))
        return b"", [*tail, *zip(SAR, place, strict=True)]
    if form == "udh":
        return others + bytes((0, 3, reference & 0xFF, total, number)), tail
    return others + b"\x08\x04" + reference.to_bytes(2, "big") + bytes((total, number)), tail
