"""How one carrier wants a submit_sm written: the `submit:` of a carrier.

Rules:
- Every key is optional; what is not named stays as the platform wrote it, octet for octet.
- Numbers of the protocol (data_coding, TLV tags) may be written as they are in its tables, `0x1400`.

Walk: read and shown as part of `nouns.Carrier`; `carriers/form` makes the `smpp.rewrite.Form` of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import attrs

from smsroute.config.kinds import Count, Misread, OneOf, Text

Plus = Literal["keep", "drop", "add"]
DefaultAlphabet = Literal["gsm", "packed", "latin-1", "ascii"]
Long = Literal["as-is", "udh", "udh16", "sar", "payload"]
TLV_OCTETS_MAX: Final = 1024


@attrs.frozen
class Numeral:
    """A number of the protocol: `0x1400`, or 5120."""

    low: int
    high: int

    def read(self, text: str) -> int:
        found = re.fullmatch(r"0x([0-9A-Fa-f]{1,8})|([0-9]{1,9})", text, re.ASCII)
        value = -1 if found is None else int(found[1], 16) if found[1] else int(found[2])
        if not self.low <= value <= self.high:
            raise Misread(f"a number such as 0x{self.low:02X}, {self.range()}")
        return value

    def show(self, value: object) -> str:
        assert isinstance(value, int)
        return f"0x{value:02X}"

    def range(self) -> str:
        return f"0x{self.low:02X}..0x{self.high:02X}"


@attrs.frozen
class TlvValue:
    """Octets of a TLV: `text:1201159`, `hex:0a0b0c`; a C-string brings its NUL as `cstring:1201159`."""

    def read(self, text: str) -> bytes:
        form, _, said = text.partition(":")
        value = None
        if form in ("text", "cstring") and re.fullmatch("[ -~]+", said):
            value = said.encode("ascii") + (b"\0" if form == "cstring" else b"")
        elif form == "hex" and re.fullmatch("(?:[0-9A-Fa-f]{2})+", said, re.ASCII):
            value = bytes.fromhex(said)
        if value is None or len(value) > TLV_OCTETS_MAX:
            raise Misread(f"text:…, cstring:… or hex:…, 1 to {TLV_OCTETS_MAX} octets, such as text:1201159")
        return value

    def show(self, value: object) -> str:
        assert isinstance(value, bytes)
        return f"hex:{value.hex()}"

    def range(self) -> str:
        return ""


ADDRESS_KIND: Final = OneOf({kind: kind for kind in ("alphanumeric", "numeric", "short")})
OCTET: Final = Numeral(0, 0xFF)
TAG: Final = Numeral(0x0001, 0xFFFF)
SERVICE_TYPE: Final = Text("[ -~]{0,5}", "a service_type: up to 5 ASCII characters")


@attrs.frozen
class AddressForm:
    """How addresses of one kind are written."""

    ton: Annotated[int | None, Count(0, 255)] = None  # unset: as submitted
    npi: Annotated[int | None, Count(0, 255)] = None
    plus: Plus = "keep"  # the + before a number


@attrs.frozen
class SubmitForm:
    """What a carrier's contract asks of a submit_sm."""

    service_type: Annotated[str, SERVICE_TYPE] = ""  # for a submit that names none
    source: Mapping[Annotated[str, ADDRESS_KIND], AddressForm] = attrs.field(factory=dict)  # by kind of sender
    destination: Mapping[Annotated[str, ADDRESS_KIND], AddressForm] = attrs.field(factory=dict)
    alphabet: DefaultAlphabet = "gsm"  # what data_coding 0 means there; at our own door it is gsm, unpacked
    data_codings: Mapping[Annotated[int, OCTET], Annotated[int, OCTET]] = attrs.field(factory=dict)  # ours -> theirs
    long: Long = "as-is"  # how a part says of which message it is; payload: that the parts are to come as one
    tlvs: Mapping[Annotated[int, TAG], Annotated[bytes, TlvValue()]] = attrs.field(factory=dict)  # unless it brings one
