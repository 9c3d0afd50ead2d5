"""What a session tells its owner, and the limits it is given.

Rules:
- These are msgspec structs, not attrs classes: one is made for every PDU that comes in.
- Each says one thing; none needs an answer by the session, except that the owner answers Request and BindRequest.

Walk: made by `session`, which hands these names on; read by whoever owns a session.
"""

from __future__ import annotations

import attrs
import msgspec

from smsroute.smpp.names import command_name
from smsroute.smpp.wire import Pdu, PduError, Tlvs


@attrs.frozen
class SessionLimits:
    """The numbers of one session; `config.Limits`, the carrier or the ESME sets them. 0 switches enquire_link off."""

    pdu_octets_max: int = 66560  # 64 KiB of message_payload and its fields
    pdu_octets_sent_max: int = 1 << 20  # larger ones some peers never recover from: Kannel, 7424 (quirks S10)
    window: int = 10
    response_timeout_s: float = 10.0
    enquire_link_s: float = 30.0
    enquire_link_missed_max: int = 3
    bind_timeout_s: float = 5.0
    unbind_timeout_s: float = 5.0
    nacks_max: int = 20  # unmatched generic_nacks in a row: a Kannel that lost its frame sends about 80 (quirks S10)
    tombstones_max: int = 10_000  # requests that timed out and whose late response is still awaited


class Request(msgspec.Struct, gc=False):
    """The peer asks; the owner answers with the same sequence number (save outbind, alert_notification)."""

    pdu: Pdu


class Response(msgspec.Struct, gc=False):
    """The answer to a request of ours.

    `command_status` is never 0 for a generic_nack or an answer of the wrong type (quirks S7, S8); `command_id` says
    which it was. `late`: `TimedOut` was given for it before.
    """

    token: object
    command_id: int
    command_status: int
    body: bytes
    sent_at: float
    late: bool


class TimedOut(msgspec.Struct, gc=False):
    """No response in time: nobody knows what became of it."""

    token: object
    sent_at: float


class BindRequest(msgspec.Struct, frozen=True):
    """A client wants in (section 4.1); answer with `respond_bind`."""

    command_id: int
    sequence_number: int
    system_id: str
    password: str
    system_type: str
    interface_version: int
    addr_ton: int
    addr_npi: int
    address_range: str
    tlvs: Tlvs

    def __repr__(self) -> str:
        return f"BindRequest({command_name(self.command_id)}, {self.system_id!r})"  # the password stays out of logs


class Bound(msgspec.Struct, frozen=True):
    """Our bind was accepted; `interface_version` is what both ends speak."""

    system_id: str
    interface_version: int


class BindRefused(msgspec.Struct, frozen=True):
    """Our bind was refused; the session closes (quirks S15: neither end may go on)."""

    command_status: int


class Unbound(msgspec.Struct, frozen=True):
    """The unbind is done, or the peer asks for it; the session closes."""


class Bad(msgspec.Struct, frozen=True):
    """A PDU we could not or would not take; the session has answered it already."""

    error: PduError


class Closed(msgspec.Struct, frozen=True):
    """The session gave up on the peer."""

    reason: str


Received = Request | Response | TimedOut | BindRequest | Bound | BindRefused | Unbound | Bad | Closed


class InFlight(msgspec.Struct, gc=False):
    """A request of ours without response."""

    token: object
    sent_at: float
    command_id: int
