"""What a value in a config file may be: text of one form, a count, a duration, a rate, a size, a share, an address.

Rules:
- A kind reads the raw text of a scalar, exactly as written, and nothing else: `0803`, `NO` and `12:30` are what the
  field's declared kind says they are, never what YAML guesses.
- A value out of form or range raises Misread, which says what would have been right, ranges included.
- A number with a unit must say it: `30s`, `2000/s`. Only 0 needs none.
- `show(read(text))` means the same as `text`.

Walk: named in the annotations of `nouns` and `limits`; called by `read` on the way in and by `show` on the way out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, Protocol

import attrs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DURATION_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
RATE_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
OCTET_UNITS: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "": 1}

# At most 15 digits each side: a float holds them exactly enough, and nobody means more.
_DECIMAL: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"


class Misread(ValueError):
    """The text is not of this kind; `wanted` says what was expected."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Kind(Protocol):
    """How one scalar is read and shown."""

    def read(self, text: str) -> object:
        """The value of `text`. Raises Misread."""

    def show(self, value: object) -> str:
        """How `value` is written in a file."""

    def range(self) -> str:
        """What is accepted, for people; empty when there is nothing to say."""


@attrs.frozen
class Seconds:
    """A duration, kept in seconds: `500ms`, `30s`, `10m`, `2h`, `7d`."""

    low: float
    high: float

    def read(self, text: str) -> float:
        found = re.fullmatch(rf"({_DECIMAL})(ms|s|m|h|d)", text)
        if found is None and text != "0":
            raise Misread(f"a duration with its unit such as 500ms, 30s or 10m, {self.range()}")
        value = 0.0 if found is None else float(found[1]) * DURATION_UNITS[found[2]]
        if not self.low <= value <= self.high:
            raise Misread(self.range())
        return value

    def show(self, value: object) -> str:
        return show_seconds(_number(value))

    def range(self) -> str:
        return f"{show_seconds(self.low)}..{show_seconds(self.high)}"


@attrs.frozen
class Rate:
    """So many a second: `2000/s`, `90/m`."""

    low: float
    high: float

    def read(self, text: str) -> float:
        found = re.fullmatch(rf"({_DECIMAL})/(s|m|h)", text)
        if found is None:
            raise Misread(f"a rate with its unit such as 2000/s or 90/m, {self.range()}")
        value = float(found[1]) / RATE_UNITS[found[2]]
        if not self.low <= value <= self.high:
            raise Misread(self.range())
        return value

    def show(self, value: object) -> str:
        return f"{show_number(_number(value))}/s"

    def range(self) -> str:
        return f"{show_number(self.low)}/s..{show_number(self.high)}/s"


@attrs.frozen
class Count:
    """A whole number; `1_000_000` is accepted for `1000000`."""

    low: int
    high: int

    def read(self, text: str) -> int:
        if not re.fullmatch(r"[0-9](?:_?[0-9]){0,17}", text, re.ASCII):
            raise Misread(f"a whole number, {self.range()}")
        value = int(text)
        if not self.low <= value <= self.high:
            raise Misread(self.range())
        return value

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return f"{self.low}..{self.high}"


@attrs.frozen
class Octets:
    """A size in octets: `65536`, `64KiB`, `4MiB`."""

    low: int
    high: int

    def read(self, text: str) -> int:
        found = re.fullmatch(r"([0-9](?:_?[0-9]){0,17})(KiB|MiB|GiB|)", text, re.ASCII)
        if found is None:
            raise Misread(f"a size in octets such as 65536, 64KiB or 4MiB, {self.range()}")
        value = int(found[1]) * OCTET_UNITS[found[2]]
        if not self.low <= value <= self.high:
            raise Misread(self.range())
        return value

    def show(self, value: object) -> str:
        return show_octets(int(_number(value)))

    def range(self) -> str:
        return f"{show_octets(self.low)}..{show_octets(self.high)}"


@attrs.frozen
class Decimal:
    """A number with no unit: a cost, a factor, a share of one."""

    low: float
    high: float

    def read(self, text: str) -> float:
        if not re.fullmatch(_DECIMAL, text):
            raise Misread(f"a number, {self.range()}")
        value = float(text)
        if not self.low <= value <= self.high:
            raise Misread(self.range())
        return value

    def show(self, value: object) -> str:
        return show_number(_number(value))

    def range(self) -> str:
        return f"{show_number(self.low)}..{show_number(self.high)}"


@attrs.frozen
class Text:
    """Text of one form."""

    pattern: str  # the whole text must match
    wanted: str  # the same, in words

    def read(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise Misread(self.wanted)
        return text

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return ""


@attrs.frozen
class OneOf:
    """One word of a list. `words` maps each word to what it stands for; `shown` is how many of them people are told."""

    words: Mapping[str, object]
    shown: int = 0

    def read(self, text: str) -> object:
        if text not in self.words:
            raise Misread(self.range())
        return self.words[text]

    def show(self, value: object) -> str:
        return next(word for word, meaning in self.words.items() if meaning == value)

    def range(self) -> str:
        words = list(self.words)[: self.shown or None]
        return " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words)


@attrs.frozen
class HostPort:
    """An address: `127.0.0.1:2775`, `smsc.example.net:2775`, `[::1]:2775`. Port 0 asks for a free one."""

    port_min: int = 1

    def read(self, text: str) -> tuple[str, int]:
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})", text, re.ASCII)
        if found is None:
            raise Misread("host:port such as 127.0.0.1:2775 or [::1]:2775")
        if found[1]:
            try:
                ipaddress.IPv6Address(found[1])
            except ValueError:
                raise Misread("host:port such as 127.0.0.1:2775 or [::1]:2775") from None
        port = int(found[3])
        if not self.port_min <= port <= 65535:
            raise Misread(f"a port {self.port_min}..65535")
        return found[1] or found[2], port

    def show(self, value: object) -> str:
        assert isinstance(value, tuple)
        host, port = value
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def range(self) -> str:
        return ""


@attrs.frozen
class Net:
    """An address range: `192.0.2.0/24`, `2001:db8::/32`, or one address."""

    def read(self, text: str) -> Network:
        try:
            return ipaddress.ip_network(text)
        except ValueError:
            pass
        try:
            loose = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise Misread("an IP range such as 192.0.2.0/24 or an address") from None
        raise Misread(f"no host bits beyond the mask, such as {loose}")

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return ""


@attrs.frozen
class Code:
    """A command_status: `0x45`, or 69."""

    def read(self, text: str) -> int:
        if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", text, re.ASCII):
            return int(text, 16)
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            return int(text)
        raise Misread("a command_status such as 0x45 or 69")

    def show(self, value: object) -> str:
        assert isinstance(value, int)
        return f"0x{value:02X}"

    def range(self) -> str:
        return ""


FLAG: Final = OneOf({"true": True, "false": False})


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value


def show_number(value: float) -> str:
    """A number without needless zeros, never in powers of ten: 1.4, 2000, 0.00001."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return text or "0"


def show_seconds(value: float) -> str:
    """A duration in the largest unit that holds it exactly: 1d, 90s, 500ms."""
    if value == 0:
        return "0"
    for unit, seconds in DURATION_UNITS.items():
        if value >= seconds and value % seconds == 0:
            return f"{int(value // seconds)}{unit}"
    milliseconds = round(value * 1000, 6)
    return f"{show_number(value)}s" if value >= 1 else f"{show_number(milliseconds)}ms"


def show_octets(value: int) -> str:
    """A size in the largest unit that holds it exactly: 4MiB, 66560."""
    for unit, octets in OCTET_UNITS.items():
        if value >= octets and value % octets == 0 and (unit or value < 1 << 20):
            return f"{value // octets}{unit}"
    return str(value)
