"""The numbers of SMPP 3.4 (and the 5.0 ones seen on real links) under their spec names.

Rules:
- A number has one name, the 3.4 one where both versions name it (0xC0 is ESME_RINVOPTPARSTREAM, not RINVTLVSTREAM).
- The table is ours; a test compares it with smpplib's.
- A response is its request with the top bit set: `command_id | RESPONSE`.

Walk: read by `pdu`, `codec`, `session`, `receipt`, and by `carriers` and `esmes` for the statuses they answer with.
"""

from __future__ import annotations

import enum
from typing import Final

# Command ids: SMPP 3.4 section 5.1.2.1; the broadcast family: 5.0 section 4.7.5
RESPONSE: Final = 0x80000000
GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
QUERY_SM: Final = 0x00000003
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
REPLACE_SM: Final = 0x00000007
CANCEL_SM: Final = 0x00000008
BIND_TRANSCEIVER: Final = 0x00000009
OUTBIND: Final = 0x0000000B
ENQUIRE_LINK: Final = 0x00000015
SUBMIT_MULTI: Final = 0x00000021
ALERT_NOTIFICATION: Final = 0x00000102
DATA_SM: Final = 0x00000103
BROADCAST_SM: Final = 0x00000111
QUERY_BROADCAST_SM: Final = 0x00000112
CANCEL_BROADCAST_SM: Final = 0x00000113

BIND_RECEIVER_RESP: Final = BIND_RECEIVER | RESPONSE
BIND_TRANSMITTER_RESP: Final = BIND_TRANSMITTER | RESPONSE
BIND_TRANSCEIVER_RESP: Final = BIND_TRANSCEIVER | RESPONSE
QUERY_SM_RESP: Final = QUERY_SM | RESPONSE
SUBMIT_SM_RESP: Final = SUBMIT_SM | RESPONSE
DELIVER_SM_RESP: Final = DELIVER_SM | RESPONSE
UNBIND_RESP: Final = UNBIND | RESPONSE
ENQUIRE_LINK_RESP: Final = ENQUIRE_LINK | RESPONSE
DATA_SM_RESP: Final = DATA_SM | RESPONSE

COMMAND_NAMES: Final[dict[int, str]] = {
    GENERIC_NACK: "generic_nack",
    OUTBIND: "outbind",
    ALERT_NOTIFICATION: "alert_notification",
} | {
    command_id | top: name + suffix
    for top, suffix in ((0, ""), (RESPONSE, "_resp"))
    for command_id, name in {
        BIND_RECEIVER: "bind_receiver",
        BIND_TRANSMITTER: "bind_transmitter",
        QUERY_SM: "query_sm",
        SUBMIT_SM: "submit_sm",
        DELIVER_SM: "deliver_sm",
        UNBIND: "unbind",
        REPLACE_SM: "replace_sm",
        CANCEL_SM: "cancel_sm",
        BIND_TRANSCEIVER: "bind_transceiver",
        ENQUIRE_LINK: "enquire_link",
        SUBMIT_MULTI: "submit_multi",
        DATA_SM: "data_sm",
        BROADCAST_SM: "broadcast_sm",
        QUERY_BROADCAST_SM: "query_broadcast_sm",
        CANCEL_BROADCAST_SM: "cancel_broadcast_sm",
    }.items()
}

NO_RESPONSE: Final = frozenset({OUTBIND, ALERT_NOTIFICATION})
"""Requests that have no response (3.4 sections 4.1.7 and 4.12)."""

BINDS: Final = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})


def command_name(command_id: int) -> str:
    """`submit_sm`, or the number in hex when nobody named it."""
    return COMMAND_NAMES.get(command_id) or f"0x{command_id:08x}"


# command_status: SMPP 3.4 section 5.1.3; from 0x100: 5.0 section 4.7.6
ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RALYBND: Final = 0x05
ESME_RINVPRTFLG: Final = 0x06
ESME_RINVREGDLVFLG: Final = 0x07
ESME_RSYSERR: Final = 0x08
ESME_RINVSRCADR: Final = 0x0A
ESME_RINVDSTADR: Final = 0x0B
ESME_RINVMSGID: Final = 0x0C
ESME_RBINDFAIL: Final = 0x0D
ESME_RINVPASWD: Final = 0x0E
ESME_RINVSYSID: Final = 0x0F
ESME_RCANCELFAIL: Final = 0x11
ESME_RREPLACEFAIL: Final = 0x13
ESME_RMSGQFUL: Final = 0x14
ESME_RINVSERTYP: Final = 0x15
ESME_RINVNUMDESTS: Final = 0x33
ESME_RINVDLNAME: Final = 0x34
ESME_RINVDESTFLAG: Final = 0x40
ESME_RINVSUBREP: Final = 0x42
ESME_RINVESMCLASS: Final = 0x43
ESME_RCNTSUBDL: Final = 0x44
ESME_RSUBMITFAIL: Final = 0x45
ESME_RINVSRCTON: Final = 0x48
ESME_RINVSRCNPI: Final = 0x49
ESME_RINVDSTTON: Final = 0x50
ESME_RINVDSTNPI: Final = 0x51
ESME_RINVSYSTYP: Final = 0x53
ESME_RINVREPFLAG: Final = 0x54
ESME_RINVNUMMSGS: Final = 0x55
ESME_RTHROTTLED: Final = 0x58
ESME_RINVSCHED: Final = 0x61
ESME_RINVEXPIRY: Final = 0x62
ESME_RINVDFTMSGID: Final = 0x63
ESME_RX_T_APPN: Final = 0x64
ESME_RX_P_APPN: Final = 0x65
ESME_RX_R_APPN: Final = 0x66
ESME_RQUERYFAIL: Final = 0x67
ESME_RINVOPTPARSTREAM: Final = 0xC0
ESME_ROPTPARNOTALLWD: Final = 0xC1
ESME_RINVPARLEN: Final = 0xC2
ESME_RMISSINGOPTPARAM: Final = 0xC3
ESME_RINVOPTPARAMVAL: Final = 0xC4
ESME_RDELIVERYFAILURE: Final = 0xFE
ESME_RUNKNOWNERR: Final = 0xFF
ESME_RSERTYPUNAUTH: Final = 0x100
ESME_RPROHIBITED: Final = 0x101
ESME_RSERTYPUNAVAIL: Final = 0x102
ESME_RSERTYPDENIED: Final = 0x103
ESME_RINVDCS: Final = 0x104
ESME_RINVSRCADDRSUBUNIT: Final = 0x105
ESME_RINVDSTADDRSUBUNIT: Final = 0x106
ESME_RINVBCASTFREQINT: Final = 0x107
ESME_RINVBCASTALIAS_NAME: Final = 0x108
ESME_RINVBCASTAREAFMT: Final = 0x109
ESME_RINVNUMBCAST_AREAS: Final = 0x10A
ESME_RINVBCASTCNTTYPE: Final = 0x10B
ESME_RINVBCASTMSGCLASS: Final = 0x10C
ESME_RBCASTFAIL: Final = 0x10D
ESME_RBCASTQUERYFAIL: Final = 0x10E
ESME_RBCASTCANCELFAIL: Final = 0x10F
ESME_RINVBCAST_REP: Final = 0x110
ESME_RINVBCASTSRVGRP: Final = 0x111
ESME_RINVBCASTCHANIND: Final = 0x112

STATUS_NAMES: Final[dict[int, str]] = {
    number: name for name, number in list(globals().items()) if name.startswith("ESME_R")
}


def status_name(command_status: int) -> str:
    """`ESME_RTHROTTLED`, or `0x00000431` for a number only its carrier can explain."""
    return STATUS_NAMES.get(command_status) or f"0x{command_status:08x}"


class MessageState(enum.IntEnum):
    """message_state (3.4 section 5.2.28; 0 and 9 came with 5.0 section 4.7.15)."""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


# TLV tags the code itself reads or writes; all names stand in `pdu.TLVS` (3.4 section 5.3.2)
QOS_TIME_TO_LIVE: Final = 0x0017
RECEIPTED_MESSAGE_ID: Final = 0x001E
USER_MESSAGE_REFERENCE: Final = 0x0204
SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F
MORE_MESSAGES_TO_SEND: Final = 0x0426
SC_INTERFACE_VERSION: Final = 0x0210
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427
CONGESTION_STATE: Final = 0x0428

# esm_class (3.4 section 5.2.12)
ESM_TYPE_MASK: Final = 0x3C
ESM_RECEIPT: Final = 0x04
ESM_DELIVERY_ACK: Final = 0x08
ESM_USER_ACK: Final = 0x10
ESM_INTERMEDIATE: Final = 0x20
ESM_UDHI: Final = 0x40

VERSION_3_3: Final = 0x33
VERSION_3_4: Final = 0x34
VERSION_5_0: Final = 0x50


def interface_version(said: int) -> int:
    """The version a peer's interface_version octet stands for.

    Below 0x34 are 3.3 rules: no TLVs (3.4 section 5.2.4). 0x00 and decimal 34 (0x22) are seen from 3.4 clients too;
    they lose TLVs, nothing else. Above 0x50 is 0x50.
    """
    if said < VERSION_3_4:
        return VERSION_3_3
    return VERSION_3_4 if said < VERSION_5_0 else VERSION_5_0
