"""submit_multi from a platform, as one submit_sm a recipient; and the one response to all of them.

Rules:
- Each recipient is a message of its own: its own id, route, state and receipt.
- The response has the id of the first one taken, and says of each that was not, why (section 4.5.2). Nobody taken: the
  response is an error, the common one or ESME_RSUBMITFAIL, without an id and with the same list.
- A distribution list is a recipient we do not know: ESME_RINVDLNAME.

Section numbers are SMPP 3.4's. Walk: `esmes/commands` makes submits of it, which `esmes/accept` takes like any others.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from smsroute.smpp.interpreter import decode, encode
from smsroute.smpp.names import (
    ESME_RINVDLNAME,
    ESME_RINVDSTADR,
    ESME_RINVNUMDESTS,
    ESME_ROK,
    ESME_RSUBMITFAIL,
    RESPONSE,
    SUBMIT_MULTI,
)
from smsroute.smpp.sm import build_sm
from smsroute.smpp.wire import PduError, build_tlv, pdu


@attrs.frozen
class Recipient:
    """One of them: its address, and the body of its submit_sm, or why there is none."""

    ton: int
    npi: int
    addr: str
    body: bytes = b""
    refused: int = ESME_ROK


def recipients(body: bytes) -> list[Recipient]:
    """Those of a submit_multi (section 4.5.1), in order. Raises PduError, never fatal."""
    decoded = decode(pdu(SUBMIT_MULTI, 0, 0, body))
    fields = dict(decoded.fields)
    destinations = fields.pop("dest_address")
    for counted in ("number_of_dests", "sm_length"):
        del fields[counted]
    if not destinations:
        raise PduError("submit_multi without a recipient", ESME_RINVNUMDESTS, command_id=SUBMIT_MULTI)
    tail = b"".join(build_tlv(tag, value) for tag, value in decoded.tlvs)
    found: list[Recipient] = []
    for one in destinations:
        if one["dest_flag"] == 2:
            found.append(Recipient(0, 0, one["dl_name"], refused=ESME_RINVDLNAME))
            continue
        where = Recipient(one["ton"], one["npi"], one["addr"])
        try:
            made = build_sm(
                **fields, destination_addr=where.addr, dest_addr_ton=where.ton, dest_addr_npi=where.npi, tlv=tail
            )
        except ValueError:
            found.append(attrs.evolve(where, refused=ESME_RINVDSTADR))
        else:
            found.append(attrs.evolve(where, body=made))
    return found


def response(sequence_number: int, outcomes: Sequence[tuple[Recipient, int, str]], tail: bytes = b"") -> bytes:
    """The submit_multi_resp: what became of each recipient (status, message id). `tail`: TLVs."""
    taken = [message_id for _, status, message_id in outcomes if status == ESME_ROK]
    statuses = {ESME_ROK} if taken else {status for _, status, _ in outcomes}
    common = statuses.pop() if len(statuses) == 1 else ESME_RSUBMITFAIL
    failed = [
        {"ton": one.ton, "npi": one.npi, "addr": one.addr, "error_status_code": status}
        for one, status, _ in outcomes
        if status != ESME_ROK
    ]
    fields = {"message_id": taken[0] if taken else "", "unsuccess_sme": failed}
    response_id = SUBMIT_MULTI | RESPONSE
    return encode(response_id, fields, command_status=common, sequence_number=sequence_number, stray=tail)
