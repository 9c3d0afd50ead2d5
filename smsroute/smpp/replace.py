"""replace_sm from a platform, as the submit_sm that would have said so.

Rules:
- Text, receipt and default message are the new ones, and a validity where it names one; all else is the submit's own:
  addresses, data_coding, header flags, TLVs.
- It stays the part it was: a header that puts it elsewhere in its message, or in another, is ESME_RREPLACEFAIL.
- SMPP 5.0 lets the text be a message_payload; the submit's own payload goes with its text.

Section numbers are SMPP 3.4's. Walk: `esmes/replace` makes the durable fact of it.
"""

from __future__ import annotations

from typing import Any

from smsroute.smpp import text
from smsroute.smpp.names import ESME_RINVMSGLEN, ESME_RREPLACEFAIL, MESSAGE_PAYLOAD, REPLACE_SM
from smsroute.smpp.sm import SubmitSm, build_sm, parse_sm
from smsroute.smpp.validate import check_submit
from smsroute.smpp.wire import PduError, Tlvs, build_tlv, tlvs


def replaced(body: bytes, fields: dict[str, Any], tail: Tlvs, now: float) -> tuple[bytes, SubmitSm]:
    """(body, what it says) of the submit_sm that `body` becomes by a replace_sm of these fields and TLVs (section
    4.10). `now`: Unix seconds. Raises PduError, never fatal."""
    was = parse_sm(body)
    said = fields["short_message"]
    kept = [(tag, value) for tag, value in tlvs(was.tlv) if tag != MESSAGE_PAYLOAD]
    kept += [(tag, value) for tag, value in tail if tag == MESSAGE_PAYLOAD]
    try:
        made = build_sm(
            service_type=was.service_type,
            source_addr_ton=was.source_addr_ton,
            source_addr_npi=was.source_addr_npi,
            source_addr=was.source_addr,
            dest_addr_ton=was.dest_addr_ton,
            dest_addr_npi=was.dest_addr_npi,
            destination_addr=was.destination_addr,
            esm_class=was.esm_class,
            protocol_id=was.protocol_id,
            priority_flag=was.priority_flag,
            validity_period=fields["validity_period"] or was.validity_period,
            registered_delivery=fields["registered_delivery"],
            replace_if_present_flag=was.replace_if_present_flag,
            data_coding=was.data_coding,
            sm_default_msg_id=fields["sm_default_msg_id"],
            short_message=said,
            tlv=b"".join(build_tlv(tag, value) for tag, value in kept),
        )
    except ValueError as fault:
        raise PduError(str(fault), ESME_RINVMSGLEN, command_id=REPLACE_SM) from fault
    submit = parse_sm(made)
    check_submit(submit, now)
    if _place(submit) != _place(was):
        raise PduError("it would be another part of its message", ESME_RREPLACEFAIL, command_id=REPLACE_SM)
    return made, submit


def _place(submit: SubmitSm) -> tuple[int, int, int] | None:
    return text.concat(submit.esm_class, submit.short_message, submit.tlv)
