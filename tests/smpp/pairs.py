"""Two bound sessions and the little that their tests share.

Rules:
- Limits are small, so that edges are met.
- Nothing here judges but that binding works.
"""

from __future__ import annotations

from typing import Any

from smsroute.smpp import codec, names
from smsroute.smpp.session import (
    BindRequest,
    Bound,
    Role,
    Session,
    SessionLimits,
    SessionState,
)

LIMITS = SessionLimits(
    window=2,
    response_timeout_s=10.0,
    enquire_link_s=30.0,
    enquire_link_missed_max=2,
    bind_timeout_s=5.0,
    unbind_timeout_s=5.0,
    nacks_max=3,
    tombstones_max=4,
)
BINDS = {
    names.BIND_TRANSMITTER: SessionState.BOUND_TX,
    names.BIND_RECEIVER: SessionState.BOUND_RX,
    names.BIND_TRANSCEIVER: SessionState.BOUND_TRX,
}
BODY = codec.build_sm(source_addr="ACME", destination_addr="33612345678", short_message=b"hello")


def pair(
    bind: int = names.BIND_TRANSCEIVER, limits: SessionLimits = LIMITS, first_sequence: int = 1, **options: Any
) -> tuple[Session, Session]:
    """Two bound sessions, (ESME, SMSC), at time 0."""
    esme = Session(Role.ESME, limits, 0.0, first_sequence)
    smsc = Session(Role.SMSC, limits, 0.0, first_sequence, **options)
    (request,) = smsc.receive_data(esme.bind(bind, 0.0, system_id="acme", password="secret"), 0.0)
    assert isinstance(request, BindRequest)
    (answer,) = esme.receive_data(smsc.respond_bind(request, names.ESME_ROK, "smsc", 0.0), 0.0)
    assert isinstance(answer, Bound)
    return esme, smsc


def submit(session: Session, *tokens: object, now: float = 1.0) -> list[int]:
    """Send a submit_sm for each token; the sequence numbers they went out with."""
    data = session.send_requests(names.SUBMIT_SM, [BODY] * len(tokens), list(tokens), now)
    size = 16 + len(BODY)
    assert len(data) == size * len(tokens)
    return [int.from_bytes(data[at + 12 : at + 16], "big") for at in range(0, len(data), size)]


def response(sequence: int, status: int = 0, command_id: int = names.SUBMIT_SM_RESP, body: bytes = b"id\0") -> bytes:
    return codec.pdu(command_id, status, sequence, body)
