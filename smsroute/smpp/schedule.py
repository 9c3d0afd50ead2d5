"""When a submit is to be sent and until when it is worth sending: schedule_delivery_time and validity_period together.

Rules:
- A date is kept here, by us: what goes to a carrier names none, and says its validity as a date, since a period would
  count anew from the day it is sent.
- A date just past means now: two clocks never agree. One further back, or too far ahead, is ESME_RINVSCHED.
- Without a validity_period the account's own counts from the date. A validity that ends before it is ESME_RINVEXPIRY.

Section numbers are SMPP 3.4's. Walk: `esmes/accept` for submits with a date, `esmes/replace` for replace_sm.
"""

from __future__ import annotations

from typing import Final

import attrs

from smsroute.smpp import times
from smsroute.smpp.names import ESME_RINVEXPIRY, ESME_RINVSCHED
from smsroute.smpp.sm import SubmitSm
from smsroute.smpp.wire import PduError

NUL: Final = b"\0"


@attrs.frozen
class Terms:
    """What an account and the limits say, all in seconds."""

    validity_s: float  # of a message that names none
    validity_max_s: float  # longer wishes are cut
    ahead_max_s: float
    past_max_s: float


def due_at(written: str, now: float, terms: Terms) -> float:
    """Unix seconds of a schedule_delivery_time (section 5.2.15), 0 for none and for now. Raises PduError, never
    fatal."""
    try:
        at = times.parse(written, now)
    except ValueError as error:
        raise PduError(str(error), ESME_RINVSCHED) from None
    if at is None:
        return 0.0
    if at < now - terms.past_max_s:
        raise PduError(f"schedule_delivery_time {written} is past", ESME_RINVSCHED)
    if at > now + terms.ahead_max_s:
        raise PduError(f"schedule_delivery_time {written} is over {terms.ahead_max_s:g} s ahead", ESME_RINVSCHED)
    return at if at > now else 0.0


def expires_at(written: str, now: float, due: float, terms: Terms) -> float:
    """Until when it is worth sending, Unix seconds. `due`: as `due_at` gave it. Raises PduError, never fatal."""
    base = due or now
    try:
        at = times.parse(written, now)
    except ValueError as error:
        raise PduError(str(error), ESME_RINVEXPIRY) from None
    if at is None:
        at = base + terms.validity_s
    elif at <= base:
        raise PduError(f"validity_period {written} ends before it is sent", ESME_RINVEXPIRY)
    return min(at, base + terms.validity_max_s)


def dateless(body: bytes, submit: SubmitSm, expires: float) -> bytes:
    """The body of a submit_sm that is sent later, without that date. `submit` is what `body` says; `expires`: Unix
    seconds, named where it named a validity."""
    validity = times.render(expires).encode("ascii") + NUL if submit.validity_period else NUL
    start = submit.text_at + 3  # esm_class, protocol_id, priority_flag
    return b"".join((body[:start], NUL, validity, body[submit.registered_delivery_at : submit.end_at]))
