"""What a simulated platform submits: an endless or counted row of submit_sm, each told apart by its text.

Rules:
- Message n is always the same message: destination and text are a function of n, so its truth can be asked again.
- A multipart message is `parts` consecutive numbers with one concatenation header, to one handset.
- Bodies come from templates made once; at load one body costs about half a microsecond.

Walk: `SimEsme` asks for `bodies(first, count)`; an auditor asks `key(n)` and compares it with what the handsets got.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import attrs

UDHI: Final = 0x40  # esm_class bit: short_message starts with a user data header
TEXT_DIGITS: Final = 8


def _digits(_: object, attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    if not value or not all(prefix.isascii() and (prefix.isdigit() or not prefix) for prefix in value):
        raise ValueError(f"{attribute.name}: expected digits only, got {', '.join(value) or 'nothing'}")


def _ascii(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value.isascii() or "\0" in value or len(value) > 100:
        raise ValueError(f"{attribute.name}: expected up to 100 ASCII characters, got {value!r}")


@attrs.frozen(kw_only=True)
class Workload:
    """A platform's traffic."""

    messages: int = 0  # submit_sm in all; 0 = endless
    prefixes: tuple[str, ...] = attrs.field(default=("336",), converter=tuple, validator=_digits)  # taken in turn
    number_digits: int = 11  # length of a destination_addr
    subscribers: int = 1_000_000  # different handsets behind each prefix
    source_addr: str = attrs.field(default="smsroute", validator=_ascii)
    service_types: tuple[str, ...] = attrs.field(default=("",), converter=tuple)  # taken in turn
    text: str = attrs.field(default="Your code is", validator=_ascii)  # " TAG00000042" follows
    tag: str = attrs.field(default="#", validator=_ascii)  # what tells this platform's texts from another's
    registered_delivery: int = 1
    parts: int = attrs.field(default=1, validator=attrs.validators.in_(range(1, 256)))
    _templates: tuple[bytes, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        turns = math.lcm(len(self.prefixes), len(self.service_types))
        narrowest = self.number_digits - max(map(len, self.prefixes))
        if narrowest < 0 or (narrowest and self.subscribers > 10**narrowest) or self.subscribers < 1:
            raise ValueError(f"subscribers: expected 1 to {10 ** max(0, narrowest)} to fit {self.number_digits} digits")
        made = tuple(self._template(turn) for turn in range(turns))
        object.__setattr__(self, "_templates", made)

    def _template(self, turn: int) -> bytes:
        """A submit_sm body (SMPP 3.4 section 4.4.1) for %, waiting for: subscriber, header (when in parts), n."""
        prefix = self.prefixes[turn % len(self.prefixes)]
        service_type = self.service_types[turn % len(self.service_types)].encode("ascii")
        alphanumeric = not self.source_addr.isdigit()
        source = (b"\x05\x00" if alphanumeric else b"\x01\x01") + self.source_addr.encode("ascii")
        head = b"\0".join((service_type, source, b"\x01\x01" + prefix.encode("ascii"))).replace(b"%", b"%%")
        width = self.number_digits - len(prefix)
        text = f"{self.text} {self.tag}".encode("ascii")
        length = len(text) + TEXT_DIGITS + (6 if self.parts > 1 else 0)
        esm_class = UDHI if self.parts > 1 else 0
        fixed = bytes((esm_class, 0, 0, 0, 0, self.registered_delivery, 0, 0, 0, length))
        return b"".join(
            (
                head + (b"%%0%dd\0" % width if width else b"%.0a\0"),
                fixed.replace(b"%", b"%%"),
                b"%s" if self.parts > 1 else b"",
                text.replace(b"%", b"%%"),
                b"%%0%dd" % TEXT_DIGITS,
            )
        )

    def bodies(self, numbers: Sequence[int]) -> list[bytes]:
        """The submit_sm body of each message number."""
        templates, subscribers, turns = self._templates, self.subscribers, len(self._templates)
        if self.parts == 1:
            return [templates[n % turns] % (n // turns % subscribers, n) for n in numbers]
        return [self._part(n) for n in numbers]

    def _part(self, n: int) -> bytes:
        message, part = divmod(n, self.parts)
        turns = len(self._templates)
        header = bytes((5, 0, 3, message & 0xFF, self.parts, part + 1))
        return self._templates[message % turns] % (message // turns % self.subscribers, header, n)

    def key(self, n: int) -> tuple[str, bytes]:
        """destination_addr and short_message of message `n`: what a handset knows it by."""
        message, part = divmod(n, self.parts)
        turns = len(self._templates)
        prefix = self.prefixes[message % turns % len(self.prefixes)]
        width = self.number_digits - len(prefix)
        number = f"{message // turns % self.subscribers:0{width}d}" if width else ""
        text = f"{self.text} {self.tag}{n:0{TEXT_DIGITS}d}".encode("ascii")
        header = bytes((5, 0, 3, message & 0xFF, self.parts, part + 1)) if self.parts > 1 else b""
        return prefix + number, header + text
