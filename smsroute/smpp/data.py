"""data_sm from a platform, as the submit_sm that says the same.

Rules:
- A text that fits short_message goes there: not every carrier reads message_payload. A longer one stays the TLV it was.
- qos_time_to_live becomes the validity_period; every other TLV goes along untouched.
- What carries no text is refused: an ESME has no receipts for us to pass on.

Section numbers are SMPP 3.4's. Walk: `esmes/commands` makes submits of them, which `esmes/accept` takes like any other.
"""

from __future__ import annotations

from typing import Final

from smsroute.smpp import times
from smsroute.smpp.names import DATA_SM, ESME_RINVDSTADR, ESME_RMISSINGOPTPARAM, MESSAGE_PAYLOAD, QOS_TIME_TO_LIVE
from smsroute.smpp.sm import build_sm, parse_data_sm
from smsroute.smpp.validate import check_data
from smsroute.smpp.wire import PduError, build_tlv, tlv, tlvs

SHORT_OCTETS_MAX: Final = 254  # section 5.2.22


def as_submit(body: bytes, now: float) -> bytes:
    """The body of the submit_sm. `now`: Unix seconds. Raises PduError, never fatal."""
    data = parse_data_sm(body)
    check_data(data)
    payload = tlv(data.tlv, MESSAGE_PAYLOAD)
    if payload is None:
        raise PduError("data_sm without message_payload", ESME_RMISSINGOPTPARAM, command_id=DATA_SM)
    tail, text = data.tlv, b""
    if len(payload) <= SHORT_OCTETS_MAX:
        text = payload
        tail = b"".join(build_tlv(tag, value) for tag, value in tlvs(tail) if tag != MESSAGE_PAYLOAD)
    lives = tlv(data.tlv, QOS_TIME_TO_LIVE)
    validity = ""
    if lives is not None and len(lives) == 4 and any(lives):
        validity = times.render(min(now + int.from_bytes(lives, "big"), LATEST))
    try:
        return build_sm(
            service_type=data.service_type,
            source_addr_ton=data.source_addr_ton,
            source_addr_npi=data.source_addr_npi,
            source_addr=data.source_addr,
            dest_addr_ton=data.dest_addr_ton,
            dest_addr_npi=data.dest_addr_npi,
            destination_addr=data.destination_addr,
            esm_class=data.esm_class,
            registered_delivery=data.registered_delivery,
            data_coding=data.data_coding,
            validity_period=validity,
            short_message=text,
            tlv=tail,
        )
    except ValueError as fault:
        raise PduError(str(fault), ESME_RINVDSTADR, command_id=DATA_SM) from fault


LATEST: Final = 4_000_000_000.0  # in the year 2096: an SMPP time has two digits for it
