"""A text too long for one short message, as several submits with a concatenation header: for carriers that want parts.

Rules:
- Only what is over one part is split: 160 septets or 140 octets, its own header included (3GPP TS 23.040 section
  9.2.3.24). Other elements of that header (ports) stand in each part.
- No part ends between an escape and its character, nor between two halves of a surrogate pair. A text in Latin-1 or
  ASCII is cut as short as its carrier may need it: GSM septets where the alphabet has all of it, UCS-2 else.
- All else is the submit's own, in each part: addresses, flags, validity, TLVs but for the text and its place.

Section numbers are SMPP 3.4's. Walk: `esmes/accept` splits what a carrier of its route wants so (`submit: {long: …}`).
"""

from __future__ import annotations

from typing import Final

from smsroute.smpp import alphabets, text
from smsroute.smpp.names import ESM_UDHI, MESSAGE_PAYLOAD
from smsroute.smpp.rewrite import PART_OCTETS, SAR
from smsroute.smpp.sm import SubmitSm, build_sm
from smsroute.smpp.wire import build_tlv, tlvs

PARTS_MAX: Final = 255  # one octet counts them
CONCAT_OCTETS: Final = 5  # an 8-bit reference, total and number, with the element's own two
CONCAT_WIDE_OCTETS: Final = 6


def is_long(submit: SubmitSm) -> bool:
    """Whether its text is over one part, and it is no part itself."""
    data = submit.user_data()
    if len(data) <= PART_OCTETS:
        return False
    place = text.concat(submit.esm_class, submit.short_message, submit.tlv)
    if place is not None and place[1] > 1:
        return False
    header, said = _header(submit)
    return len(_pieces(submit.data_coding, said, len(header) + 1 if header else 0)) > 1


def parts(submit: SubmitSm, reference: int, *, wide: bool) -> list[bytes]:
    """The bodies of the submits that say the same in parts. `reference`: 16 bits of it count when `wide`, else 8.

    Raises ValueError above 255 parts.
    """
    header, said = _header(submit)
    header = text.without_concat(header)
    head_octets = 1 + len(header) + (CONCAT_WIDE_OCTETS if wide else CONCAT_OCTETS)
    pieces = _pieces(submit.data_coding, said, head_octets)
    total = len(pieces)
    if total > PARTS_MAX:
        raise ValueError(f"{total} parts, {PARTS_MAX} is the most")
    concat = b"\x08\x04" + (reference & 0xFFFF).to_bytes(2, "big") if wide else bytes((0, 3, reference & 0xFF))
    tail = b"".join(build_tlv(tag, value) for tag, value in tlvs(submit.tlv) if tag not in (MESSAGE_PAYLOAD, *SAR))
    return [
        build_sm(
            service_type=submit.service_type,
            source_addr_ton=submit.source_addr_ton,
            source_addr_npi=submit.source_addr_npi,
            source_addr=submit.source_addr,
            dest_addr_ton=submit.dest_addr_ton,
            dest_addr_npi=submit.dest_addr_npi,
            destination_addr=submit.destination_addr,
            esm_class=submit.esm_class | ESM_UDHI,
            protocol_id=submit.protocol_id,
            priority_flag=submit.priority_flag,
            schedule_delivery_time=submit.schedule_delivery_time,
            validity_period=submit.validity_period,
            registered_delivery=submit.registered_delivery,
            replace_if_present_flag=submit.replace_if_present_flag,
            data_coding=submit.data_coding,
            sm_default_msg_id=submit.sm_default_msg_id,
            short_message=bytes((head_octets - 1,)) + header + concat + bytes((total, number)) + piece,
            tlv=tail,
        )
        for number, piece in enumerate(pieces, 1)
    ]


def _header(submit: SubmitSm) -> tuple[bytes, bytes]:
    """(header elements without their length octet, text)."""
    data = submit.user_data()
    if submit.esm_class & ESM_UDHI and data:
        return data[1 : 1 + data[0]], data[1 + data[0] :]
    return b"", data


def _pieces(data_coding: int, said: bytes, head_octets: int) -> list[bytes]:
    """The text cut so that each piece fits one part beside a header of so many octets, its length octet included."""
    octets = PART_OCTETS - head_octets
    septets = octets * 8 // 7
    meaning = alphabets.alphabet_of(data_coding)
    if meaning in (alphabets.DEFAULT, "gsm"):
        return text.pieces(said, text.GSM, septets)
    if meaning == "ucs-2":
        return text.pieces(said, text.UCS2, octets & ~1)
    if meaning not in ("latin-1", "ascii"):
        return text.pieces(said, data_coding, octets)
    try:
        weights = [len(alphabets.encode_gsm(character)) for character in said.decode("latin-1")]
    except ValueError:
        return text.pieces(said, data_coding, octets // 2)
    cuts, room = [0], septets
    for at, weight in enumerate(weights):
        if weight > room:
            cuts.append(at)
            room = septets
        room -= weight
    return [said[start:end] for start, end in zip(cuts, [*cuts[1:], len(said)], strict=True)]
