"""All parts of a message as one submit_sm, its text whole again in message_payload (SMPP 3.4 section 5.3.2.32).

Rules:
- Nothing is lost by it, or it is not done: parts that differ in more than their words and their place, that carry more
  in their header than that (ports), or that name a text the SMSC keeps, stay parts (Unfit).
- Words are put together octet by octet: what was cut at an escape or within a surrogate pair is whole again.
- The first part's validity is that of all. What any part asked for in registered_delivery is asked for.

Walk: `carriers/company` asks whether parts fit together, `carriers/departure` writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smsroute.smpp import text
from smsroute.smpp.names import (
    ESM_UDHI,
    MESSAGE_PAYLOAD,
    MORE_MESSAGES_TO_SEND,
    SAR_MSG_REF_NUM,
    SAR_SEGMENT_SEQNUM,
    SAR_TOTAL_SEGMENTS,
)
from smsroute.smpp.rewrite import Unfit
from smsroute.smpp.sm import SubmitSm, build_sm, parse_sm
from smsroute.smpp.wire import Tlvs, build_tlv, tlvs

OF_ONE_PART: Final = (MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM, MORE_MESSAGES_TO_SEND)
"""TLVs that speak of a part, and of nothing in the message it is of."""


def merge(bodies: Sequence[bytes]) -> bytes:
    """The submit_sm body of a whole message. `bodies`: those of all its parts, in order. Raises Unfit, and PduError for
    what is no submit_sm."""
    parts = [parse_sm(body) for body in bodies]
    first, shared = parts[0], _shared(parts[0])
    if any(_shared(part) != shared for part in parts):
        raise Unfit("its parts differ in more than their words")
    if first.sm_default_msg_id:
        raise Unfit(f"it names a text that the SMSC keeps (sm_default_msg_id {first.sm_default_msg_id})")
    registered_delivery = 0
    for part in parts:
        registered_delivery |= part.registered_delivery
    said = (MESSAGE_PAYLOAD, b"".join(map(_words, parts)))
    return build_sm(
        service_type=first.service_type,
        source_addr_ton=first.source_addr_ton,
        source_addr_npi=first.source_addr_npi,
        source_addr=first.source_addr,
        dest_addr_ton=first.dest_addr_ton,
        dest_addr_npi=first.dest_addr_npi,
        destination_addr=first.destination_addr,
        esm_class=first.esm_class & ~ESM_UDHI,
        protocol_id=first.protocol_id,
        priority_flag=first.priority_flag,
        schedule_delivery_time=first.schedule_delivery_time,
        validity_period=first.validity_period,
        registered_delivery=registered_delivery,
        replace_if_present_flag=first.replace_if_present_flag,
        data_coding=first.data_coding,
        tlv=b"".join(build_tlv(tag, value) for tag, value in (*_tlvs(first), said)),
    )


def _shared(part: SubmitSm) -> tuple[object, ...]:
    """What all parts of one message must agree on."""
    return (
        part.service_type,
        part.source_addr_ton,
        part.source_addr_npi,
        part.source_addr,
        part.dest_addr_ton,
        part.dest_addr_npi,
        part.destination_addr,
        part.esm_class & ~ESM_UDHI,
        part.protocol_id,
        part.priority_flag,
        part.schedule_delivery_time,
        part.replace_if_present_flag,
        part.data_coding,
        part.sm_default_msg_id,
        _tlvs(part),
    )


def _tlvs(part: SubmitSm) -> Tlvs:
    return [(tag, value) for tag, value in tlvs(part.tlv) if tag not in OF_ONE_PART]


def _words(part: SubmitSm) -> bytes:
    said = part.user_data()
    if not (part.esm_class & ESM_UDHI and said):
        return said
    if text.without_concat(said[1 : 1 + said[0]]):
        raise Unfit("its parts carry more in their header than their place")
    return said[1 + said[0] :]
