"""The field tables: what each command carries after its header, row by row in wire order, and what each TLV holds.

Rules:
- The tables are data; `codec` interprets them. A command that is not here is unknown.
- `octets_max` is the spec's size, the NUL included. `decode` takes C-strings up to `OCTETS_TAKEN_MAX`: clients with
  40-letter system_ids and carriers with 25-digit addresses exist, and cutting or refusing them at the codec helps
  nobody; `validate` holds a submit to the spec's size.
- `status` is what a request is refused with when the field is too long for us.

Walk: read by `codec` and `validate`; nobody else.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

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
    ENQUIRE_LINK,
    ESME_RINVCMDLEN,
    ESME_RINVDSTADR,
    ESME_RINVEXPIRY,
    ESME_RINVMSGID,
    ESME_RINVPASWD,
    ESME_RINVSCHED,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
    ESME_RINVSYSID,
    ESME_RINVSYSTYP,
    GENERIC_NACK,
    OUTBIND,
    QUERY_BROADCAST_SM,
    QUERY_SM,
    REPLACE_SM,
    RESPONSE,
    SUBMIT_MULTI,
    SUBMIT_SM,
    UNBIND,
)

OCTETS_TAKEN_MAX: Final = 65
"""Longest C-string we take in a request, NUL included: the spec's own longest (message_id, data_sm addresses)."""


class Kind(enum.Enum):
    """How a field lies on the wire."""

    INTEGER = enum.auto()  # one octet
    C_OCTET = enum.auto()  # text up to a NUL
    LENIENT = enum.auto()  # text up to a NUL or the end of the body, any length: ids in responses (quirks S5, S6)
    MESSAGE = enum.auto()  # sm_length, then that many octets
    DESTINATIONS = enum.auto()  # number_of_dests, then that many dest_address
    UNSUCCESSFUL = enum.auto()  # no_unsuccess, then that many unsuccess_sme


@attrs.frozen
class Field:
    """One row: spec name, kind, the spec's size in octets, status of a refusal."""

    name: str
    kind: Kind = Kind.INTEGER
    octets_max: int = 1
    status: int = ESME_RINVCMDLEN


def _text(name: str, octets_max: int, status: int = ESME_RINVCMDLEN) -> Field:
    return Field(name, Kind.C_OCTET, octets_max, status)


def _source(octets_max: int = 21) -> tuple[Field, ...]:
    return (Field("source_addr_ton"), Field("source_addr_npi"), _text("source_addr", octets_max, ESME_RINVSRCADR))


def _destination(octets_max: int = 21) -> tuple[Field, ...]:
    return (Field("dest_addr_ton"), Field("dest_addr_npi"), _text("destination_addr", octets_max, ESME_RINVDSTADR))


_SERVICE_TYPE = _text("service_type", 6, ESME_RINVSERTYP)
_MESSAGE_ID = _text("message_id", 65, ESME_RINVMSGID)
_ANSWERED_ID = Field("message_id", Kind.LENIENT, 65)
_TIMES = (_text("schedule_delivery_time", 17, ESME_RINVSCHED), _text("validity_period", 17, ESME_RINVEXPIRY))
_SHORT_MESSAGE = Field("short_message", Kind.MESSAGE, 255)
_CLASS = (Field("esm_class"), Field("protocol_id"), Field("priority_flag"))
_CODING = (
    Field("registered_delivery"),
    Field("replace_if_present_flag"),
    Field("data_coding"),
    Field("sm_default_msg_id"),
)
_BIND = (
    _text("system_id", 16, ESME_RINVSYSID),
    _text("password", 9, ESME_RINVPASWD),
    _text("system_type", 13, ESME_RINVSYSTYP),
    Field("interface_version"),
    Field("addr_ton"),
    Field("addr_npi"),
    _text("address_range", 41),
)
_BIND_RESP = (Field("system_id", Kind.LENIENT, 16),)
SM: Final = (_SERVICE_TYPE, *_source(), *_destination(), *_CLASS, *_TIMES, *_CODING, _SHORT_MESSAGE)
"""submit_sm and deliver_sm (3.4 sections 4.4.1 and 4.6.1)."""

# fmt: off
TABLES: Final[dict[int, tuple[Field, ...]]] = {
    # SMPP 3.4 section 4.1: binding
    BIND_RECEIVER:                 _BIND,
    BIND_TRANSMITTER:              _BIND,
    BIND_TRANSCEIVER:              _BIND,
    BIND_RECEIVER | RESPONSE:      _BIND_RESP,
    BIND_TRANSMITTER | RESPONSE:   _BIND_RESP,
    BIND_TRANSCEIVER | RESPONSE:   _BIND_RESP,
    OUTBIND:                       (_text("system_id", 16, ESME_RINVSYSID), _text("password", 9, ESME_RINVPASWD)),
    # 4.2, 4.3, 4.11: header only
    UNBIND:                        (),
    UNBIND | RESPONSE:             (),
    GENERIC_NACK:                  (),
    ENQUIRE_LINK:                  (),
    ENQUIRE_LINK | RESPONSE:       (),
    # 4.4 to 4.7: messages
    SUBMIT_SM:                     SM,
    SUBMIT_SM | RESPONSE:          (_ANSWERED_ID,),
    SUBMIT_MULTI:                  (_SERVICE_TYPE, *_source(), Field("dest_address", Kind.DESTINATIONS), *_CLASS,
                                    *_TIMES, *_CODING, _SHORT_MESSAGE),
    SUBMIT_MULTI | RESPONSE:       (_ANSWERED_ID, Field("unsuccess_sme", Kind.UNSUCCESSFUL)),
    DELIVER_SM:                    SM,
    DELIVER_SM | RESPONSE:         (_ANSWERED_ID,),
    DATA_SM:                       (_SERVICE_TYPE, *_source(65), *_destination(65), Field("esm_class"),
                                    Field("registered_delivery"), Field("data_coding")),
    DATA_SM | RESPONSE:            (_ANSWERED_ID,),
    # 4.8 to 4.10: what became of them
    QUERY_SM:                      (_MESSAGE_ID, *_source()),
    QUERY_SM | RESPONSE:           (_ANSWERED_ID, _text("final_date", 17), Field("message_state"), Field("error_code")),
    CANCEL_SM:                     (_SERVICE_TYPE, _MESSAGE_ID, *_source(), *_destination()),
    CANCEL_SM | RESPONSE:          (),
    REPLACE_SM:                    (_MESSAGE_ID, *_source(), *_TIMES, Field("registered_delivery"),
                                    Field("sm_default_msg_id"), _SHORT_MESSAGE),
    REPLACE_SM | RESPONSE:         (),
    # 4.12
    ALERT_NOTIFICATION:            (*_source(65), Field("esme_addr_ton"), Field("esme_addr_npi"),
                                    _text("esme_addr", 65)),
    # SMPP 5.0 section 4.4: broadcast
    BROADCAST_SM:                  (_SERVICE_TYPE, *_source(), _MESSAGE_ID, Field("priority_flag"), *_TIMES,
                                    Field("replace_if_present_flag"), Field("data_coding"), Field("sm_default_msg_id")),
    BROADCAST_SM | RESPONSE:       (_ANSWERED_ID,),
    QUERY_BROADCAST_SM:            (_MESSAGE_ID, *_source()),
    QUERY_BROADCAST_SM | RESPONSE: (_ANSWERED_ID,),
    CANCEL_BROADCAST_SM:           (_SERVICE_TYPE, _MESSAGE_ID, *_source()),
    CANCEL_BROADCAST_SM | RESPONSE: (),
}
# fmt: on


class TlvKind(enum.Enum):
    """What the octets of a TLV mean."""

    INTEGER = enum.auto()
    C_OCTET = enum.auto()
    OCTETS = enum.auto()


@attrs.frozen
class Tlv:
    """One row: spec name, kind, the sizes the spec allows."""

    name: str
    kind: TlvKind
    octets_min: int
    octets_max: int


_INT, _TXT, _OCT = TlvKind.INTEGER, TlvKind.C_OCTET, TlvKind.OCTETS

# fmt: off
TLVS: Final[dict[int, Tlv]] = {
    # SMPP 3.4 section 5.3.2
    0x0005: Tlv("dest_addr_subunit",           _INT, 1, 1),
    0x0006: Tlv("dest_network_type",           _INT, 1, 1),
    0x0007: Tlv("dest_bearer_type",            _INT, 1, 1),
    0x0008: Tlv("dest_telematics_id",          _INT, 2, 2),
    0x000D: Tlv("source_addr_subunit",         _INT, 1, 1),
    0x000E: Tlv("source_network_type",         _INT, 1, 1),
    0x000F: Tlv("source_bearer_type",          _INT, 1, 1),
    0x0010: Tlv("source_telematics_id",        _INT, 1, 1),
    0x0017: Tlv("qos_time_to_live",            _INT, 4, 4),
    0x0019: Tlv("payload_type",                _INT, 1, 1),
    0x001D: Tlv("additional_status_info_text", _TXT, 1, 256),
    0x001E: Tlv("receipted_message_id",        _TXT, 1, 65),
    0x0030: Tlv("ms_msg_wait_facilities",      _INT, 1, 1),
    0x0201: Tlv("privacy_indicator",           _INT, 1, 1),
    0x0202: Tlv("source_subaddress",           _OCT, 2, 23),
    0x0203: Tlv("dest_subaddress",             _OCT, 2, 23),
    0x0204: Tlv("user_message_reference",      _INT, 2, 2),
    0x0205: Tlv("user_response_code",          _INT, 1, 1),
    0x020A: Tlv("source_port",                 _INT, 2, 2),
    0x020B: Tlv("destination_port",            _INT, 2, 2),
    0x020C: Tlv("sar_msg_ref_num",             _INT, 2, 2),
    0x020D: Tlv("language_indicator",          _INT, 1, 1),
    0x020E: Tlv("sar_total_segments",          _INT, 1, 1),
    0x020F: Tlv("sar_segment_seqnum",          _INT, 1, 1),
    0x0210: Tlv("sc_interface_version",        _INT, 1, 1),
    0x0302: Tlv("callback_num_pres_ind",       _INT, 1, 1),
    0x0303: Tlv("callback_num_atag",           _OCT, 0, 65),
    0x0304: Tlv("number_of_messages",          _INT, 1, 1),
    0x0381: Tlv("callback_num",                _OCT, 4, 19),
    0x0420: Tlv("dpf_result",                  _INT, 1, 1),
    0x0421: Tlv("set_dpf",                     _INT, 1, 1),
    0x0422: Tlv("ms_availability_status",      _INT, 1, 1),
    0x0423: Tlv("network_error_code",          _OCT, 3, 3),
    0x0424: Tlv("message_payload",             _OCT, 0, 65535),
    0x0425: Tlv("delivery_failure_reason",     _INT, 1, 1),
    0x0426: Tlv("more_messages_to_send",       _INT, 1, 1),
    0x0427: Tlv("message_state",               _INT, 1, 1),
    # SMPP 5.0 section 4.8.4
    0x0428: Tlv("congestion_state",            _INT, 1, 1),
    0x0501: Tlv("ussd_service_op",             _OCT, 1, 1),
    0x0600: Tlv("broadcast_channel_indicator", _INT, 1, 1),
    0x0601: Tlv("broadcast_content_type",      _OCT, 3, 3),
    0x0602: Tlv("broadcast_content_type_info", _OCT, 1, 255),
    0x0603: Tlv("broadcast_message_class",     _INT, 1, 1),
    0x0604: Tlv("broadcast_rep_num",           _INT, 2, 2),
    0x0605: Tlv("broadcast_frequency_interval", _OCT, 3, 3),
    0x0606: Tlv("broadcast_area_identifier",   _OCT, 1, 101),
    0x0607: Tlv("broadcast_error_status",      _INT, 4, 4),
    0x0608: Tlv("broadcast_area_success",      _INT, 1, 1),
    0x0609: Tlv("broadcast_end_time",          _TXT, 16, 17),
    0x060A: Tlv("broadcast_service_group",     _OCT, 1, 255),
    0x060B: Tlv("billing_identification",      _OCT, 1, 1024),
    0x060D: Tlv("source_network_id",           _TXT, 7, 65),
    0x060E: Tlv("dest_network_id",             _TXT, 7, 65),
    0x060F: Tlv("source_node_id",              _OCT, 6, 6),
    0x0610: Tlv("dest_node_id",                _OCT, 6, 6),
    0x0611: Tlv("dest_addr_np_resolution",     _INT, 1, 1),
    0x0612: Tlv("dest_addr_np_information",    _OCT, 10, 10),
    0x0613: Tlv("dest_addr_np_country",        _OCT, 1, 5),
    0x1201: Tlv("display_time",                _INT, 1, 1),
    0x1203: Tlv("sms_signal",                  _INT, 2, 2),
    # Peers write these two in different sizes (quirks S24): they stay octets.
    0x1204: Tlv("ms_validity",                 _OCT, 1, 4),
    0x130C: Tlv("alert_on_message_delivery",   _OCT, 0, 1),
    0x1380: Tlv("its_reply_type",              _INT, 1, 1),
    0x1383: Tlv("its_session_info",            _OCT, 2, 2),
}
# fmt: on


def tlv_name(tag: int) -> str:
    """`congestion_state`, or `0x1403` for a vendor's own."""
    row = TLVS.get(tag)
    return row.name if row else f"0x{tag:04x}"


def tlv_value(tag: int, value: bytes) -> int | str | bytes:
    """The value by its table row. An integer of a size the spec does not know (1 to 8 octets) is read all the same."""
    row = TLVS.get(tag)
    if row is None or row.kind is TlvKind.OCTETS:
        return value
    if row.kind is TlvKind.C_OCTET:
        return value.partition(b"\0")[0].decode("latin-1")
    return int.from_bytes(value, "big") if 1 <= len(value) <= 8 else value


def tlv_fits(tag: int, value: bytes) -> bool:
    """Whether the size is one the spec allows. Unknown tags always fit."""
    row = TLVS.get(tag)
    return row is None or row.octets_min <= len(value) <= row.octets_max
