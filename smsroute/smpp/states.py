"""What an SMPP session may do in which state: three tables and nothing else.

Rules:
- A session changes state only by a step of TRANSITIONS; a step that is not there is our own bug.
- TAKES and SENDS are the spec's table 2-1 (SMPP 3.4 section 2.3), with one liberty: an ESME takes deliver_sm over a
  transmitter bind too, because some SMSCs send receipts there (quirks O8). A state that is not listed takes nothing.
- enquire_link is answered in every state, bound or not (quirks S3), and stands in no table.

Walk: read by `session`; tools draw the diagram from TRANSITIONS.
"""

from __future__ import annotations

import enum
from typing import Final

from smsroute.smpp.names import (
    ALERT_NOTIFICATION,
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    BROADCAST_SM,
    CANCEL_BROADCAST_SM,
    CANCEL_SM,
    DATA_SM,
    DELIVER_SM,
    OUTBIND,
    QUERY_BROADCAST_SM,
    QUERY_SM,
    REPLACE_SM,
    SUBMIT_MULTI,
    SUBMIT_SM,
)


class Role(enum.Enum):
    """Which end of the session we are."""

    ESME = "esme"
    SMSC = "smsc"


class SessionState(enum.Enum):
    """Where a session is (section 2.2); BINDING and UNBINDING wait for the response."""

    OPEN = "open"
    BINDING = "binding"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    CLOSED = "closed"


class Step(enum.Enum):
    """What moves a session; the same at both ends."""

    BIND = "bind"  # a bind request crossed
    BOUND_TX = "bound_tx"  # and was accepted
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBIND = "unbind"  # an unbind request crossed
    CLOSE = "close"  # a refusal, an unbind_resp, a fault, a timer, a lost link


_OPEN, _BINDING, _UNBINDING, _CLOSED = (
    SessionState.OPEN,
    SessionState.BINDING,
    SessionState.UNBINDING,
    SessionState.CLOSED,
)
_TX, _RX, _TRX = SessionState.BOUND_TX, SessionState.BOUND_RX, SessionState.BOUND_TRX

# fmt: off
TRANSITIONS: Final[dict[SessionState, dict[Step, SessionState]]] = {
    _OPEN:      {Step.BIND: _BINDING,                                             Step.CLOSE: _CLOSED},
    _BINDING:   {Step.BOUND_TX: _TX, Step.BOUND_RX: _RX, Step.BOUND_TRX: _TRX,    Step.CLOSE: _CLOSED},
    _TX:        {Step.UNBIND: _UNBINDING,                                         Step.CLOSE: _CLOSED},
    _RX:        {Step.UNBIND: _UNBINDING,                                         Step.CLOSE: _CLOSED},
    _TRX:       {Step.UNBIND: _UNBINDING,                                         Step.CLOSE: _CLOSED},
    _UNBINDING: {Step.UNBIND: _UNBINDING,                                         Step.CLOSE: _CLOSED},
    _CLOSED:    {                                                                 Step.CLOSE: _CLOSED},
}
# fmt: on

BOUND_BY: Final[dict[int, Step]] = {
    BIND_TRANSMITTER: Step.BOUND_TX,
    BIND_RECEIVER: Step.BOUND_RX,
    BIND_TRANSCEIVER: Step.BOUND_TRX,
}
BOUND: Final = frozenset({_TX, _RX, _TRX})

_FROM_ESME: Final = frozenset(
    {
        SUBMIT_SM,
        SUBMIT_MULTI,
        DATA_SM,
        QUERY_SM,
        CANCEL_SM,
        REPLACE_SM,
        BROADCAST_SM,
        QUERY_BROADCAST_SM,
        CANCEL_BROADCAST_SM,
    }
)
_FROM_SMSC: Final = frozenset({DELIVER_SM, DATA_SM})
_TO_ESME: Final = _FROM_SMSC | {ALERT_NOTIFICATION}

# fmt: off
TAKES: Final[dict[Role, dict[SessionState, frozenset[int]]]] = {
    Role.SMSC: {_TX: _FROM_ESME, _TRX: _FROM_ESME},
    # What the carrier sent before it saw our unbind is taken: refusing a receipt only makes it come again.
    Role.ESME: {_OPEN: frozenset({OUTBIND}), _TX: _TO_ESME, _RX: _TO_ESME, _TRX: _TO_ESME, _UNBINDING: _TO_ESME},
}
"""Requests handed to the owner, by our role and state; what is not here is answered ESME_RINVBNDSTS."""

SENDS: Final[dict[Role, dict[SessionState, frozenset[int]]]] = {
    Role.ESME: {_TX: _FROM_ESME, _TRX: _FROM_ESME},
    Role.SMSC: {_RX: _FROM_SMSC, _TRX: _FROM_SMSC},
}
"""Requests the owner may send and await an answer for."""
# fmt: on
