"""Alphabets: what the octets of a text stand for, by data_coding, and how to write a text in another one.

Rules:
- data_coding 0 is whatever its end says (quirks 2.1): the GSM alphabet, one septet an octet, at our own door; a
  carrier's contract may name another. `DEFAULT` stands for it until somebody says which.
- The data_codings of GSM itself (3GPP TS 23.038 section 4) are understood where SMPP leaves their range free.
- What is not text (binary, or a script we have no table for) has no alphabet: its octets are copied or left alone.
- An octet or a character that cannot be is never guessed: encoding raises, decoding gives U+FFFD.

Walk: `text` splits and reads by it, `rewrite` writes a submit in a carrier's alphabet.
"""

from __future__ import annotations

from typing import Final, Literal

Alphabet = Literal["gsm", "packed", "latin-1", "ascii", "ucs-2"]
"""gsm: one septet an octet. packed: eight septets in seven octets. ucs-2: UTF-16 big-endian, today's meaning of it."""
DEFAULT: Final[Literal["default"]] = "default"

# 3GPP TS 23.038 section 6.2.1; the escape itself stands as U+001B
_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# section 6.2.1.1
_EXTENSION: Final = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
ESCAPE: Final = 0x1B
GSM_OCTETS: Final[dict[str, bytes]] = {
    **{char: bytes((code,)) for code, char in enumerate(_BASIC) if code != ESCAPE},
    **{char: bytes((ESCAPE, code)) for code, char in _EXTENSION.items()},
}
"""character -> its septets, one an octet."""
_CR: Final = 0x0D

Meaning = Alphabet | Literal["default"] | None
_NAMED: Final[dict[int, Meaning]] = {0: DEFAULT, 1: "ascii", 3: "latin-1", 8: "ucs-2"}
_GENERAL: Final[tuple[Meaning, ...]] = ("gsm", None, "ucs-2", None)
_WAITING: Final[dict[int, Meaning]] = {0xC: "gsm", 0xD: "gsm", 0xE: "ucs-2"}  # groups that announce waiting messages


def alphabet_of(data_coding: int) -> Meaning:
    """What `data_coding` says of the octets (3.4 section 5.2.19; 3GPP TS 23.038 section 4); None: no text we can read.

    `DEFAULT` for 0: whatever the end that reads it says.
    """
    group, low = data_coding >> 4, data_coding & 0x0F
    if group == 0:  # of SMPP itself; the rest is binary, or a script we have no table for
        return _NAMED.get(low)
    if group in (0x1, 0x4, 0x5):  # with a class; to be deleted once read
        return _GENERAL[low >> 2]
    if group == 0xF:
        return None if low & 4 else "gsm"
    return _WAITING.get(group)


def encode_gsm(text: str) -> bytes:
    """`text` in the GSM alphabet, one septet an octet. Raises ValueError naming the first character it lacks."""
    try:
        return b"".join([GSM_OCTETS[char] for char in text])
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not in the GSM alphabet") from None


def decode_gsm(data: bytes) -> str:
    """Text of unpacked GSM octets. An escape before an unknown character is dropped; octets above 127 become U+FFFD."""
    out: list[str] = []
    escaped = False
    for code in data:
        if code == ESCAPE and not escaped:
            escaped = True
            continue
        basic = _BASIC[code] if code < 128 else "\ufffd"
        out.append(_EXTENSION.get(code, basic) if escaped else basic)
        escaped = False
    return "".join(out)


def encode(alphabet: Alphabet, text: str) -> bytes:
    """`text` in `alphabet`. Raises ValueError naming a character it lacks. Packed text comes one septet an octet: only
    `pack` knows what header stands before it."""
    if alphabet in ("gsm", "packed"):
        return encode_gsm(text)
    if alphabet == "ucs-2":
        return text.encode("utf-16-be", "surrogatepass")
    try:
        return text.encode(alphabet)
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[error.start]!r} is not in {alphabet}") from None


def decode(alphabet: Alphabet, data: bytes) -> str:
    """The text of `data`; unreadable octets become U+FFFD. Packed text is unpacked before (`unpack`)."""
    if alphabet in ("gsm", "packed"):
        return decode_gsm(data)
    return data.decode("utf-16-be" if alphabet == "ucs-2" else alphabet, "replace")


def fill_bits(header_octets: int) -> int:
    """Bits between a header of so many octets and the first septet (3GPP TS 23.040 section 9.2.3.24)."""
    return -header_octets * 8 % 7


def pack(septets: bytes, header_octets: int = 0) -> bytes:
    """Eight septets in seven octets (3GPP TS 23.038 section 6.1.2.1), behind a header of `header_octets`.

    Seven spare bits would read as `@`, so they hold a carriage return; a text that ends in one on an octet's edge gets
    a second (section 6.1.2.3.1).
    """
    fill = fill_bits(header_octets)
    spare = -(fill + 7 * len(septets)) % 8
    if spare == 7 or (spare == 0 and septets[-1:] == bytes((_CR,))):
        septets += bytes((_CR,))
    bits = 0
    for at, septet in enumerate(septets):
        bits |= septet << (fill + 7 * at)
    return bits.to_bytes((fill + 7 * len(septets) + 7) // 8, "little")


def unpack(data: bytes, header_octets: int = 0) -> bytes:
    """The septets of packed `data`, one an octet, without the carriage return that fills seven spare bits."""
    fill = fill_bits(header_octets)
    bits = int.from_bytes(data, "little") >> fill
    count = max(0, (len(data) * 8 - fill) // 7)
    septets = bytes(bits >> 7 * at & 0x7F for at in range(count))
    filled = count and (len(data) * 8 - fill) % 7 == 0
    return septets[:-1] if filled and septets[-1] == _CR else septets
