"""Texts and parts: a text in the shortest alphabet that holds it, split, and which part of which message a submit is.

Rules:
- A part never ends between an escape and its character, nor between two halves of a surrogate pair.
- A concatenation that makes no sense (wrong length, number 0, number above total) is none: the message is single
  (3GPP TS 23.040 section 9.2.3.24.1). A user data header beats the SAR TLVs.

Walk: `concat` is called by `esmes/accept`, `without_concat` by `rewrite`; the rest by the tools, the simulated ends and
whoever makes a text.
"""

from __future__ import annotations

from typing import Final

from smsroute.smpp import alphabets
from smsroute.smpp.names import ESM_UDHI, MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS
from smsroute.smpp.wire import tlv

GSM: Final = 0x00
UCS2: Final = 0x08
SINGLE_OCTETS_MAX: Final = {GSM: 160, UCS2: 140}
"""Octets of one short message by data_coding; GSM text counts septets, one an octet here."""
PART_OCTETS_MAX: Final = {(GSM, False): 153, (GSM, True): 152, (UCS2, False): 134, (UCS2, True): 132}
"""Octets a part has left beside its header, by (data_coding, 16-bit reference); 133 cannot be used up by UCS-2."""


def encode(text: str) -> tuple[int, bytes]:
    """(data_coding, octets): the GSM alphabet where it suffices, else UTF-16 big-endian, today's meaning of UCS-2."""
    try:
        return GSM, alphabets.encode_gsm(text)
    except ValueError:
        return UCS2, text.encode("utf-16-be", "surrogatepass")


def decode(data_coding: int, data: bytes) -> str:
    """The text of user data without its header; octets of no alphabet are read as Latin-1, bad ones become U+FFFD."""
    alphabet = alphabets.alphabet_of(data_coding)
    if alphabet == alphabets.DEFAULT:
        return alphabets.decode_gsm(data)
    return alphabets.decode(alphabet or "latin-1", data)


def split(text: str, reference: int, *, wide: bool = False) -> tuple[int, list[bytes]]:
    """(data_coding, short_messages): one without header, or several that each begin with a concatenation header.

    `reference` is 0..255, or 0..65535 when `wide`. Several need esm_class 0x40. Raises ValueError above 255 parts.
    """
    data_coding, data = encode(text)
    if len(data) <= SINGLE_OCTETS_MAX[data_coding]:
        return data_coding, [data]
    cut = pieces(data, data_coding, PART_OCTETS_MAX[data_coding, wide])
    total = len(cut)
    if total > 255:
        raise ValueError(f"{total} parts, 255 is the most")
    head = b"\6\x08\4" + reference.to_bytes(2, "big") if wide else bytes((5, 0, 3, reference))
    return data_coding, [head + bytes((total, number)) + piece for number, piece in enumerate(cut, 1)]


def pieces(data: bytes, data_coding: int, octets_max: int) -> list[bytes]:
    """The text cut into pieces of up to `octets_max` octets; GSM (an octet a septet) and UCS-2 where they may be."""
    cut: list[bytes] = []
    at = 0
    while at < len(data):
        end = min(at + octets_max, len(data))
        if end < len(data):
            if data_coding == GSM and _escaped(data, end):
                end -= 1
            elif data_coding == UCS2 and 0xDC <= data[end] <= 0xDF:
                end -= 2  # a low surrogate would begin the next part
        cut.append(data[at:end])
        at = end
    return cut


def _escaped(data: bytes, end: int) -> bool:
    """Whether the octet at `end` belongs to an escape before it."""
    return data[end - 1] == alphabets.ESCAPE


def concat(esm_class: int, short_message: bytes, tlvs: bytes = b"") -> tuple[int, int, int] | None:
    """(reference, total, number) of a part, by user data header or SAR TLVs (3.4 section 5.3.2.22 on); else None.

    `tlvs` is the raw TLV tail, where the text may be too.
    """
    if esm_class & ESM_UDHI:
        data = short_message or tlv(tlvs, MESSAGE_PAYLOAD) or b""
        return _sound(_header_concat(data[1 : 1 + data[0]])) if data else None
    if not tlvs:
        return None
    values = [tlv(tlvs, tag) for tag in (SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM)]
    reference, total, number = (int.from_bytes(value, "big") if value else -1 for value in values)
    return _sound((reference, total, number)) if min(reference, total, number) >= 0 else None


def _header_concat(header: bytes) -> tuple[int, int, int] | None:
    """The last concatenation element of a user data header; a later one replaces an earlier one."""
    found = None
    at = 0
    while at + 2 <= len(header):
        element, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if element == 0 and length == 3 == len(value):
            found = (value[0], value[1], value[2])
        elif element == 8 and length == 4 == len(value):
            found = (value[0] << 8 | value[1], value[2], value[3])
        at += 2 + length
    return found


def without_concat(header: bytes) -> bytes:
    """The other elements of a user data header, without its length octet."""
    kept = b""
    at = 0
    while at + 2 <= len(header):
        end = at + 2 + header[at + 1]
        if (header[at], header[at + 1]) not in ((0, 3), (8, 4)):
            kept += header[at:end]
        at = end
    return kept


def _sound(part: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    return part if part is not None and 1 <= part[2] <= part[1] else None
