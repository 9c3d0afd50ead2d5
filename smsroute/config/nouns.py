"""What an engine is told: who may bind, which carriers there are, which way a message may go.

Rules:
- Everything here is frozen: a reload builds a whole new Config and swaps it.
- A field's annotation is its specification: the kind of value, its range, its key in the file when that differs.
  Durations end in `_s` here and lose it in the file, where the value carries its unit (`enquire_link: 30s`).
- A Secret never shows: not in a repr, a log line, an error or `smsroute check --defaults`.
- Building a noun by hand checks nothing: ranges are judged where a person typed them (`read`), so tests may go below.

Walk: built by `load`; read by the engine and every room.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import attrs

from smsroute.config import hashes
from smsroute.config.dialect import BLAME, Dialect
from smsroute.config.form import SubmitForm
from smsroute.config.hours import UTC, Window, WindowKind, ZoneKind
from smsroute.config.kinds import Code, Count, Decimal, HostPort, Net, Network, Octets, OneOf, Rate, Seconds, Text
from smsroute.config.limits import Limits
from smsroute.message import Blame, MessageClass

Prefer = Literal["balanced", "quality", "cost"]
InDoubtKind = Literal["hold", "resend", "fail"]
FromKind = Literal["alphanumeric", "numeric", "short"]
BindMode = Literal["transceiver", "transmitter", "receiver", "pair"]
ClientCertificates = Literal["required", "optional"]
TextKept = Literal["forget", "quote", "keep"]
ReceiptsWanted = Literal["as-asked", "always"]
ReceiptsTold = Literal["part", "message"]


@attrs.frozen
class Key:
    """Annotation: the field's key in the file, where it is not its name."""

    name: str


NOT_IN_FILE: Final = Key("")
"""Annotation: the field is not a key; the loader fills it."""

NODE: Final = Text("[A-Za-z0-9]{1,6}", "1 to 6 letters or digits")
CARRIER_NAME: Final = Text("[A-Za-z0-9][A-Za-z0-9._-]{0,31}", "1 to 32 letters, digits or . _ -")
# system_id is at most 15 octets by the spec (3.4, 5.2.1); platforms that send 16 and more exist.
ESME_NAME: Final = Text("[A-Za-z0-9._@+-]{1,64}", "a system_id: 1 to 64 letters, digits or . _ @ + -")
ROUTE_NAME: Final = Text("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 letters, digits or . _ -")
NETWORK_NAME: Final = Text("[A-Za-z][A-Za-z0-9._-]{0,31}", "a letter, and up to 31 letters, digits or . _ -")
TARGET: Final = Text(
    "[0-9]{0,15}|[A-Za-z][A-Za-z0-9._-]{0,31}",
    'up to 15 E.164 digits without + or spaces, such as 336, or "" for any number, or the name of a network',
)
PREFIX: Final = Text("[0-9]{1,15}", "1 to 15 E.164 digits without + or spaces, such as 336")
COUNTRY: Final = Text("[A-Z]{2}", "a country by its two ISO 3166 letters, such as FR")
OPERATOR: Final = Text("[^\x00-\x1f]{1,64}", "an operator by its name, 1 to 64 characters")
SENDER: Final = Text("[ -~]{1,20}", "a sender as it stands in source_addr: 1 to 20 ASCII characters")
OUR_NUMBER: Final = Text(
    r"[0-9A-Za-z ._-]{0,20}\*|[0-9A-Za-z ._-]{1,20}",
    "a number or short code of ours without +, such as 38000, or the start of such numbers, as 3370012*",
)
KEYWORD: Final = Text(r"[^\x00-/:-@\[-^`{-\x7f]{1,32}", "a word of 1 to 32 letters and digits")
SERVICE_TYPE: Final = Text("[ -~]{1,5}", "a service_type: 1 to 5 ASCII characters")
SYSTEM_ID: Final = Text("[!-~]{1,64}", "1 to 64 ASCII characters without spaces")
SYSTEM_TYPE: Final = Text("[ -~]{0,12}", "up to 12 ASCII characters")
ADDRESS_RANGE: Final = Text("[ -~]{0,40}", "up to 40 ASCII characters")
STORE: Final = Text("sqlite:[^\x00]+", "sqlite:FOLDER, such as sqlite:var/smsroute")
SERVER_NAME: Final = Text("[A-Za-z0-9._:-]{0,253}", "a host name")
VERSION: Final = OneOf({"3.3": 0x33, "3.4": 0x34, "5.0": 0x50, "0x33": 0x33, "0x34": 0x34, "0x50": 0x50}, shown=3)
CLASS: Final = OneOf({c.name.lower(): c for c in MessageClass})


@attrs.frozen
class ConfigError:
    """One thing wrong (or, as a warning, odd) in a file; line and column count from 1, 0 means the whole file."""

    path: str
    line: int
    column: int
    message: str  # what, what was expected
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{where}: {'warning: ' if self.warning else ''}{self.message}"


class ConfigErrors(Exception):
    """Everything wrong with a config folder, in the order of its files and lines."""

    def __init__(self, errors: list[ConfigError], warnings: list[ConfigError] | None = None) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
        self.warnings = tuple(warnings or ())


@attrs.frozen(repr=False)
class Secret:
    """A password, and where it came from: `plain`, `env NAME`, `file PATH`, or the kind of a hash that stands there."""

    value: bytes
    origin: str = "plain"
    hashed: str = ""  # scrypt or argon2: `value` is a hash of it

    def matches(self, offered: bytes) -> bool:
        """Whether `offered` is it, in time that does not depend on where they differ. A hash takes some 100 ms: off the
        event loop. Raises hashes.BadHash when one cannot be checked now."""
        if self.hashed:
            return hashes.matches(self.hashed, self.value.decode("ascii"), offered)
        return hmac.compare_digest(self.value, offered)

    def reveal(self) -> bytes:
        """The password itself, for the bind that sends it."""
        assert not self.hashed, "nobody knows what a hash is of"
        return self.value

    def __repr__(self) -> str:
        return f"Secret({self.origin})"


@attrs.frozen
class Tls:
    """TLS on a listener (certificate and key) or towards a carrier (ca; certificate and key when it asks for ours)."""

    certificate: Path | None = None  # PEM, chain included
    key: Path | None = None  # PEM
    ca: Path | None = None  # whom to trust; a listener with `ca` demands a client certificate; unset: the system's
    server_name: Annotated[str, SERVER_NAME] = ""  # name the carrier's certificate must bear; empty: the host dialled
    verify: bool = True  # the carrier's certificate; false: anybody may pose as the carrier
    client_certificates: ClientCertificates = "required"  # of a listener with `ca`


@attrs.frozen
class Listen:
    """One door for ESMEs."""

    host: Annotated[str, Key("address"), HostPort(port_min=0)]
    port: Annotated[int, NOT_IN_FILE]
    tls: Tls | None = None


@attrs.frozen
class OutbindTo:
    """Where an ESME waits to be called (outbind), and who we say we are."""

    host: Annotated[str, Key("address"), HostPort()]
    port: Annotated[int, NOT_IN_FILE]
    system_id: Annotated[str, SYSTEM_ID]
    password: Secret


@attrs.frozen
class OutbindFrom:
    """Who a carrier says it is when it calls us (outbind)."""

    system_id: Annotated[str, SYSTEM_ID]
    password: Secret


@attrs.frozen
class Esme:
    """A customer's client and what it may do. Its name is the system_id it binds with."""

    name: Annotated[str, NOT_IN_FILE]
    password: Secret
    allow_from: tuple[Annotated[Network, Net()], ...] = ()  # empty: from anywhere
    binds_max: Annotated[int, Count(1, 1000)] = 8
    window: Annotated[int, Count(1, 10_000)] = 500  # requests of theirs unanswered, and of ours, per session
    rate: Annotated[float, Rate(0.01, 1_000_000)] = 1000.0  # parts per second over all its sessions
    burst: Annotated[int, Count(0, 1_000_000)] = 0  # parts at once, refilled at `rate`; 0: a second's worth, no more
    senders: Mapping[Annotated[str, SENDER], Annotated[float, Rate(0.01, 1_000_000)]] = attrs.field(factory=dict)
    default_class: Annotated[MessageClass, CLASS] = MessageClass.INFO
    class_by: Mapping[
        Annotated[str, OneOf({"service_type": "service_type", "priority_flag": "priority_flag"})],  # the first wins
        Mapping[Annotated[str, SERVICE_TYPE], Annotated[MessageClass, CLASS]],
    ] = attrs.field(factory=dict)
    validity_s: Annotated[float, Seconds(1, 30 * 86400)] = 86400.0  # unset: limits.validity_default
    text: TextKept = "forget"  # once it ended: nothing; what its receipt quotes till told; all, in history
    receipts: ReceiptsTold = "part"  # of a long message: one for each part, or one when all of them have ended
    receipt_tlvs: bool = True  # receipted_message_id and message_state beside the receipt's text
    alerts: bool = False  # it is told of alert_notification, by one session; a Kannel answers each with a generic_nack
    loop_guard: bool = True  # refuse from it what we have just sent for another ESME: a message that comes back
    pdu_octets_max: Annotated[int, Octets(512, 1 << 20)] = 7424  # we send it no larger PDU: one more kills a Kannel
    pdu_octets_taken_max: Annotated[int, Octets(512, 1 << 20)] = 66_560  # it may send us: 64 KiB and its fields
    outbind: OutbindTo | None = None  # it is called when something waits for it and no session of it may receive
    certificate: Annotated[str, SERVER_NAME] = ""  # name its TLS client certificate must bear; empty: none is asked

    def admits(self, peer: str) -> bool:
        """Whether a link from IP address `peer` may bind as this ESME."""
        if not self.allow_from:
            return True
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.allow_from)


@attrs.frozen
class BindConfig:
    """`count` equal sessions towards one address of a carrier."""

    host: Annotated[str, Key("address"), HostPort()]
    port: Annotated[int, NOT_IN_FILE]
    mode: BindMode = "transceiver"  # pair: a transmitter here and a receiver at receiver_address, one unit
    count: Annotated[int, Count(1, 100)] = 1
    receiver_address: Annotated[tuple[str, int] | None, HostPort()] = None  # pair only; unset: the same address
    tls: Tls | None = None
    outbind: OutbindFrom | None = None  # the carrier dials us: we listen at `address`, and bind on the link it opens


PARTS_RATE: Final = Rate(0.01, 1_000_000)


@attrs.frozen
class CarrierCaps:
    """What one ESME, or one class, may take of a carrier, in parts per second."""

    esmes: Mapping[Annotated[str, ESME_NAME], Annotated[float, PARTS_RATE]] = attrs.field(factory=dict)
    classes: Mapping[Annotated[MessageClass, CLASS], Annotated[float, PARTS_RATE]] = attrs.field(factory=dict)


@attrs.frozen
class Carrier:
    """An operator whose SMSC we bind to."""

    name: Annotated[str, NOT_IN_FILE]
    system_id: Annotated[str, SYSTEM_ID]
    password: Secret
    binds: tuple[BindConfig, ...]
    system_type: Annotated[str, SYSTEM_TYPE] = ""
    interface_version: Annotated[int, VERSION] = 0x34
    addr_ton: Annotated[int, Count(0, 255)] = 0
    addr_npi: Annotated[int, Count(0, 255)] = 0
    address_range: Annotated[str, ADDRESS_RANGE] = ""
    window: Annotated[int, Count(1, 10_000)] = 10  # per bind; Kannel's default, the value most contracts name
    rate: Annotated[float, Rate(0.01, 1_000_000)] = 100.0  # parts per second over all its binds: the contract
    enquire_link_s: Annotated[float, Seconds(0, 3600)] = 30.0  # between two of ours; 0: never
    response_timeout_s: Annotated[float, Seconds(0.1, 600)] = 10.0  # then the part is in doubt
    reconnect_min_s: Annotated[float, Seconds(0.01, 600)] = 1.0
    reconnect_max_s: Annotated[float, Seconds(0.1, 3600)] = 60.0
    session_parts_max: Annotated[int, Count(0, 1_000_000_000)] = 0  # then unbind and bind anew; 0: never
    receipts: ReceiptsWanted = "as-asked"  # always: ask for one even if the ESME did not, to measure the carrier
    query_sm: bool = False  # it answers what became of a message: asked when a receipt is long in coming
    dialect: Dialect = attrs.field(factory=Dialect)
    outcomes: Mapping[Annotated[int, Code()], Annotated[Blame, BLAME]] = attrs.field(factory=dict)  # over the table
    shadow: bool = False  # health is measured and shown, and not acted on
    caps: CarrierCaps = CarrierCaps()
    submit: SubmitForm = attrs.field(factory=SubmitForm)


@attrs.frozen
class NamedNetwork:
    """Prefixes with one name and one score: listed, read from a file, or those of a country or one of its operators."""

    name: Annotated[str, NOT_IN_FILE]
    prefixes: tuple[Annotated[str, PREFIX], ...] = ()
    file: Path | None = None
    country: Annotated[str, COUNTRY] = ""
    operator: Annotated[str, OPERATOR] = ""  # of that country
    numbers: Annotated[tuple[str, ...], NOT_IN_FILE] = attrs.field(default=(), repr=False)  # its prefixes, each once
    source: Annotated[str, NOT_IN_FILE] = ""  # what they were taken from, its version included; "": the config itself
    stamp: Annotated[str, NOT_IN_FILE] = ""  # of the octets of its file


@attrs.frozen
class InDoubt:
    """What becomes of a part nobody answered for: hold it, resend it or fail it `after_s` seconds in doubt."""

    kind: InDoubtKind = "hold"
    after_s: float = 0.0


@attrs.frozen
class Choice:
    """One carrier a route may use."""

    carrier: Annotated[str, CARRIER_NAME]
    cost: Annotated[float, Decimal(0, 1_000_000)] = 0.0  # per part, any one currency
    weight: Annotated[int, Count(1, 10_000)] = 1  # share among equals
    certified: bool = False  # otp and alert use certified entries only, once one exists in the route


@attrs.frozen
class Route:
    """A rule: what it matches, and the carriers it may use. A constraint left empty matches all; all must hold."""

    name: Annotated[str, ROUTE_NAME]
    to: tuple[Annotated[str, TARGET], ...]  # digits and named networks
    sender: Annotated[tuple[Annotated[str, SENDER], ...], Key("from")] = ()
    esmes: tuple[Annotated[str, ESME_NAME], ...] = ()
    classes: tuple[Annotated[MessageClass, CLASS], ...] = ()
    from_kind: tuple[FromKind, ...] = ()  # short: up to limits.short_code_digits_max digits
    data_codings: tuple[Annotated[int, Count(0, 255)], ...] = ()
    hours: tuple[Annotated[Window, WindowKind()], ...] = ()  # it speaks in these only, by the clock of `time_zone`
    time_zone: Annotated[str, ZoneKind()] = UTC
    prefer: Prefer = "balanced"
    in_doubt: Mapping[MessageClass, InDoubt] = attrs.field(factory=lambda: _HOUSE_IN_DOUBT)  # of all four
    carriers: tuple[Choice, ...] = attrs.field(kw_only=True)
    backup: tuple[Choice, ...] = ()  # only when those cannot take it
    line: Annotated[int, NOT_IN_FILE] = 0  # where it stands in its file
    path: Annotated[str, NOT_IN_FILE] = ""  # that file's name


@attrs.frozen
class MoRule:
    """Whose a message from a handset is. A constraint left empty matches all; all must hold."""

    name: Annotated[str, ROUTE_NAME]
    to: tuple[Annotated[str, OUR_NUMBER], ...]  # ours, that it was written to; ending in *: all that begin so
    esme: Annotated[str, ESME_NAME]
    keyword: tuple[Annotated[str, KEYWORD], ...] = ()  # first words of the text, in any case
    sender: Annotated[tuple[Annotated[str, PREFIX], ...], Key("from")] = ()  # what the handset's number begins with
    carriers: tuple[Annotated[str, CARRIER_NAME], ...] = ()


@attrs.frozen
class Config:
    """The whole truth an engine runs on."""

    directory: Annotated[Path, NOT_IN_FILE]
    node: Annotated[str, NODE] = "n1"  # leads every message id; unique among the engines of a house
    listen: tuple[Listen, ...] = (Listen("127.0.0.1", 2775),)
    store: Annotated[str, STORE] = "sqlite:var/smsroute"
    control: Path = Path("var/control.sock")
    http: Annotated[tuple[str, int] | None, HostPort(port_min=0)] = None  # metrics and status page; unset: none
    mask_numbers: bool = True  # subscribers' numbers show as 3361•••678 in logs and at the terminal, but for --reveal
    limits: Limits = attrs.field(factory=Limits)
    esmes: Mapping[str, Esme] = attrs.field(factory=dict)
    carriers: Mapping[str, Carrier] = attrs.field(factory=dict)
    networks: Mapping[str, NamedNetwork] = attrs.field(factory=dict)
    routes: tuple[Route, ...] = ()
    mo: tuple[MoRule, ...] = ()
    warnings: Annotated[tuple[ConfigError, ...], NOT_IN_FILE] = ()
    digest: Annotated[str, NOT_IN_FILE] = ""  # of the files' octets: which revision runs


def default_in_doubt(limits: Limits) -> dict[MessageClass, InDoubt]:
    """The policy of a route that names none: an otp is worth a duplicate, nothing else is."""
    return {
        c: InDoubt("resend", limits.otp_resend_after_s) if c is MessageClass.OTP else InDoubt() for c in MessageClass
    }


_HOUSE_IN_DOUBT: Final[Mapping[MessageClass, InDoubt]] = default_in_doubt(Limits())
