"""What a well-formed submit may not say: the checks that need the meaning of the fields, each with its status.

Rules:
- Only what no carrier could use, or what two carriers would read differently, is refused; taste is the carrier's.
- Everything refused here is refused at the door, so nothing is accepted and dropped later.

Section numbers are SMPP 3.4's. Walk: `esmes/accept` calls `check_submit` right after `parse_sm`.
"""

from __future__ import annotations

from typing import Final

from smsroute.smpp import times
from smsroute.smpp.names import (
    DATA_SM,
    ESM_UDHI,
    ESME_RINVDSTADR,
    ESME_RINVESMCLASS,
    ESME_RINVEXPIRY,
    ESME_RINVMSGLEN,
    ESME_RINVOPTPARAMVAL,
    ESME_RINVREPFLAG,
    ESME_RINVSCHED,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
    ESME_RMISSINGOPTPARAM,
    ESME_ROPTPARNOTALLWD,
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    SAR_MSG_REF_NUM,
    SAR_SEGMENT_SEQNUM,
    SAR_TOTAL_SEGMENTS,
    SUBMIT_SM,
)
from smsroute.smpp.sm import SubmitSm
from smsroute.smpp.wire import PduError, tlv

ADDRESS_CHARACTERS_MAX: Final = 20  # section 4.4.1: 21 octets with the NUL
SERVICE_TYPE_CHARACTERS_MAX: Final = 5
_SAR: Final = (SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM)


def check_submit(submit: SubmitSm, now: float) -> None:
    """Refuse a submit_sm that means nothing. `now` is Unix seconds. Raises PduError, never fatal."""
    if len(submit.destination_addr) > ADDRESS_CHARACTERS_MAX:
        raise _refused("destination_addr is over 20 characters", ESME_RINVDSTADR)
    if len(submit.source_addr) > ADDRESS_CHARACTERS_MAX:
        raise _refused("source_addr is over 20 characters", ESME_RINVSRCADR)
    if len(submit.service_type) > SERVICE_TYPE_CHARACTERS_MAX:
        raise _refused("service_type is over 5 characters", ESME_RINVSERTYP)
    if submit.replace_if_present_flag > 1:
        raise _refused(f"replace_if_present_flag {submit.replace_if_present_flag}", ESME_RINVREPFLAG)
    if submit.schedule_delivery_time:
        _read_time(submit.schedule_delivery_time, now, ESME_RINVSCHED)
    if submit.validity_period:
        expires_at = _read_time(submit.validity_period, now, ESME_RINVEXPIRY)
        if expires_at <= now:
            raise _refused(f"validity_period {submit.validity_period} is over", ESME_RINVEXPIRY)
    if submit.tlv and submit.short_message and tlv(submit.tlv, MESSAGE_PAYLOAD):
        raise _refused("both short_message and message_payload hold text", ESME_ROPTPARNOTALLWD)
    if submit.esm_class & ESM_UDHI:
        _check_header(submit)


def check_data(data: SubmitSm) -> None:
    """Refuse a data_sm that carries nothing: no text and no receipt (section 4.7.1). Raises PduError, never fatal."""
    tail = data.tlv
    if tlv(tail, MESSAGE_PAYLOAD) is None and (
        tlv(tail, RECEIPTED_MESSAGE_ID) is None or tlv(tail, MESSAGE_STATE) is None
    ):
        raise PduError("data_sm without message_payload", ESME_RMISSINGOPTPARAM, command_id=DATA_SM)
    if data.esm_class & ESM_UDHI:
        _check_header(data)


def _check_header(submit: SubmitSm) -> None:
    """A user data header must be there and fit (section 5.2.12; 3GPP TS 23.040 section 9.2.3.24)."""
    data = submit.user_data()
    if not data:
        raise _refused("UDHI without user data", ESME_RINVMSGLEN)
    if data[0] + 1 > len(data):
        raise _refused(f"user data header of {data[0]} octets in {len(data)} octets of user data", ESME_RINVESMCLASS)
    if submit.tlv and any(tlv(submit.tlv, tag) is not None for tag in _SAR):
        raise _refused("a user data header and SAR TLVs", ESME_RINVOPTPARAMVAL)


def _read_time(text: str, now: float, command_status: int) -> float:
    try:
        at = times.parse(text, now)
    except ValueError as error:
        raise _refused(str(error), command_status) from None
    assert at is not None
    return at


def _refused(reason: str, command_status: int) -> PduError:
    return PduError(reason, command_status, command_id=SUBMIT_SM)
