"""How a simulated carrier writes its message ids: in the response, in the receipt's TLV, in the receipt's text.

Rules:
- One number makes all three, by the table below (quirks 1.5: each row there has a form here).
- Numbers come one after the other, so that ids are like those of real counters: many of the hexadecimal ones show no
  letter, and neighbours differ in one place.
- Forms that pad use eight digits of the number at most, so that there is something to pad.

Walk: a temperament names a form; `Judge` looks up the writers, `Receipts` writes what they give.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

Writer = Callable[[int], str]


class IdFormat(enum.Enum):
    """How a message id is written in the response, and how in the receipt."""

    HEX = "hex"
    DECIMAL = "decimal"
    HEX_DEC = "hex-dec"  # M1: response hex, receipt decimal in ten digits
    HEX_DEC_BARE = "hex-dec-bare"  # M1: the same without zeros in front
    HEX_DEC_TLV = "hex-dec-tlv"  # M3: response hex; in one receipt the TLV hex, the text decimal
    HEX_DEC_64 = "hex-dec-64"  # M8: response of sixteen upper-case hex digits above 2^63, receipt decimal
    DEC_HEX = "dec-hex"  # M2: response decimal, receipt hex
    PADDED = "padded"  # M5: response plain, receipt padded with zeros to ten digits
    PADDED_RESPONSE = "padded-response"  # M5: response padded to ten digits, receipt plain
    HEX_PADDED = "hex-padded"  # M5: response hex, receipt the same padded to sixteen
    UPPER_LOWER = "upper-lower"  # M4: response upper-case hex, receipt lower-case
    LOWER_UPPER = "lower-upper"  # M4: the other way
    PREFIXED = "prefixed"  # M6: response 0x and hex, receipt hex without it
    SPACED = "spaced"  # M7: response with spaces behind it, receipt without
    UUID = "uuid"  # M9
    UUID_CASE = "uuid-case"  # M9 and M4: response upper case, receipt lower
    BASE62 = "base62"  # M9: two ids may differ by the case of one letter
    CONSTANT = "constant"  # M10: every message gets the same id: receipts cannot be matched by it
    EMPTY = "empty"  # M11: no id in the response, a decimal one in the receipt


CONSTANT_ID: Final = "msg_id_not_implemented"
ABOVE_2_63: Final = 0x812FC74700000000
SHORT: Final = 100_000_000
DIGITS_62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _uuid(n: int) -> str:
    digits = f"{n * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _base62(n: int) -> str:
    written = ""
    while n:
        n, digit = divmod(n, 62)
        written = DIGITS_62[digit] + written
    return written or "0"


def _plain(n: int) -> str:
    return f"{n % SHORT:d}"


def _padded(n: int) -> str:
    return f"{n % SHORT:010d}"


# fmt: off
RESPONSE_ID: Final[dict[IdFormat, Writer]] = {
    IdFormat.HEX:             "{:x}".format,
    IdFormat.DECIMAL:         "{:d}".format,
    IdFormat.HEX_DEC:         "{:x}".format,
    IdFormat.HEX_DEC_BARE:    "{:x}".format,
    IdFormat.HEX_DEC_TLV:     "{:x}".format,
    IdFormat.HEX_DEC_64:      lambda n: f"{ABOVE_2_63 + n:016X}",
    IdFormat.DEC_HEX:         "{:d}".format,
    IdFormat.PADDED:          _plain,
    IdFormat.PADDED_RESPONSE: _padded,
    IdFormat.HEX_PADDED:      "{:x}".format,
    IdFormat.UPPER_LOWER:     "{:X}".format,
    IdFormat.LOWER_UPPER:     "{:x}".format,
    IdFormat.PREFIXED:        "0x{:x}".format,
    IdFormat.SPACED:          "{:x}  ".format,
    IdFormat.UUID:            _uuid,
    IdFormat.UUID_CASE:       lambda n: _uuid(n).upper(),
    IdFormat.BASE62:          _base62,
    IdFormat.CONSTANT:        lambda n: CONSTANT_ID,
    IdFormat.EMPTY:           lambda n: "",
}
RECEIPT_ID: Final[dict[IdFormat, Writer]] = {
    **RESPONSE_ID,
    IdFormat.HEX_DEC:         "{:010d}".format,
    IdFormat.HEX_DEC_BARE:    "{:d}".format,
    IdFormat.HEX_DEC_TLV:     "{:010d}".format,
    IdFormat.HEX_DEC_64:      lambda n: f"{ABOVE_2_63 + n:d}",
    IdFormat.DEC_HEX:         "{:x}".format,
    IdFormat.PADDED:          _padded,
    IdFormat.PADDED_RESPONSE: _plain,
    IdFormat.HEX_PADDED:      "{:016x}".format,
    IdFormat.UPPER_LOWER:     "{:x}".format,
    IdFormat.LOWER_UPPER:     "{:X}".format,
    IdFormat.PREFIXED:        "{:x}".format,
    IdFormat.SPACED:          "{:x}".format,
    IdFormat.UUID_CASE:       _uuid,
    IdFormat.EMPTY:           "{:d}".format,
}
TLV_ID: Final[dict[IdFormat, Writer]] = {**RECEIPT_ID, IdFormat.HEX_DEC_TLV: "{:x}".format}
# fmt: on
