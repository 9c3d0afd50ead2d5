"""The few octets of submit_sm and deliver_sm that simulated peers look at, read and written by offset.

Rules:
- A second, narrower reading of the wire than `smpp.codec`, on purpose: it is quick, and a misreading shared by the
  engine and its simulated peers would stay unseen.
- A body that is cut short raises ValueError (or IndexError), nothing else.

Walk: `SimCarrier` uses `read_submit` and `Receipts`; `SimEsme` uses `read_receipt`.
"""

from __future__ import annotations

import functools
import time
from typing import Final

import msgspec

from smsroute.sim.carrierbook import Entry
from smsroute.sim.forms import Form, Said
from smsroute.sim.idforms import RECEIPT_ID, TLV_ID, IdFormat
from smsroute.sim.temperament import MESSAGE_STATES
from smsroute.smpp import names

DELIVERY_RECEIPT: Final = 0x04
UDHI: Final = 0x40
ON_THE_WAY: Final = ("ENROUTE", 1)
TEXT_IN_RECEIPT: Final = 20
MESSAGE_PAYLOAD: Final = b"\x04\x24"


class Submit(msgspec.Struct, gc=False):
    """What a simulated carrier keeps of one submit_sm until its receipt has left."""

    source: bytes  # source_addr_ton, source_addr_npi, source_addr and its NUL
    destination: bytes  # the same of the destination
    registered_delivery: int
    text: bytes
    number: int = 0  # what its message ids are made from
    word: str = ""  # what becomes of it, as the receipt will say
    told: bool = False  # and it has: the time of its receipt has come
    err: str = ""  # as the receipt will say; "" = 000 or 001
    at: float = 0.0  # when it was taken, Unix seconds
    speaks: bool = True  # it gets a receipt; no: another part of its message speaks for it
    entry: Entry | None = None  # in its carrier's book
    concatenated: bool = False  # its text begins with a user data header


def read_submit(body: bytes) -> Submit:
    """The parts of a submit_sm body (SMPP 3.4 section 4.4.1) a carrier acts on. Raises ValueError or IndexError."""
    source_at = body.index(0) + 1
    destination_at = body.index(0, source_at + 2) + 1
    fixed_at = body.index(0, destination_at + 2) + 1
    flags_at = body.index(0, body.index(0, fixed_at + 3) + 1) + 1
    length = body[flags_at + 4]
    text_at = flags_at + 5
    text = body[text_at : text_at + length]
    if len(text) != length:
        raise ValueError("short_message is cut short")
    if not length and body[text_at : text_at + 2] == MESSAGE_PAYLOAD:
        text = body[text_at + 4 : text_at + 4 + int.from_bytes(body[text_at + 2 : text_at + 4], "big")]
    concatenated = bool(body[fixed_at] & UDHI)
    return Submit(
        body[source_at:destination_at],
        body[destination_at:fixed_at],
        body[flags_at] & 3,
        text,
        concatenated=concatenated,
    )


def wants_receipt(submit: Submit) -> bool:
    """registered_delivery bits 1..0: 0 never, 1 always, 2 on failure, 3 on success (SMPP 3.4 section 5.2.17, 5.0)."""
    wanted = submit.registered_delivery
    return wanted == 1 or (wanted == 2 and submit.word != "DELIVRD") or (wanted == 3 and submit.word == "DELIVRD")


def address(field: bytes) -> str:
    """The digits of an address field as `Submit` keeps it."""
    return field[2:-1].decode("latin-1")


@functools.lru_cache(maxsize=1024)
def _minute(minute: int) -> bytes:
    """YYMMDDhhmm in UTC of minutes since 1970."""
    return time.strftime("%y%m%d%H%M", time.gmtime(60 * minute)).encode("ascii")


class Receipts:
    """Delivery receipts of one carrier, in its form and with its ids."""

    def __init__(self, form: Form, ids: IdFormat) -> None:
        self._form = form
        self._plain = form.plain
        self._text_id = RECEIPT_ID[ids]
        self._tlv_id = TLV_ID[ids]

    def write(self, submit: Submit, word: str, err: str, wall: float, tlvs: bool) -> tuple[int, bytes]:
        """(command_id, body) of a receipt about `submit` (SMPP 3.4 section 4.6.1, Appendix B), written at `wall` (Unix
        seconds); TLVs only where asked and taken."""
        message_id, tlv_id = self._text_id(submit.number), self._tlv_id(submit.number)
        state = ON_THE_WAY[1] if word == ON_THE_WAY[0] else MESSAGE_STATES[word]
        err = err or ("000" if word == "DELIVRD" else "001")
        quoted = submit.text[:TEXT_IN_RECEIPT]
        if not self._plain:
            source, destination = address(submit.source), address(submit.destination)
            said = Said(message_id, tlv_id, word, state, err, submit.at, wall, quoted, source, destination)
            return self._form.write(said, submit.source, submit.destination, tlvs)
        text = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
            message_id.encode("ascii"),
            b"001" if word == "DELIVRD" else b"000",
            _minute(int(submit.at // 60)),
            _minute(int(wall // 60)),
            word.encode("ascii"),
            err.encode("ascii"),
            quoted.replace(b"\0", b" "),
        )
        tail = b""
        if tlvs and self._form.tlvs:
            identity = tlv_id.encode("ascii")
            tail = b"\x00\x1e%b%b\0\x04\x27\0\x01%c" % ((len(identity) + 1).to_bytes(2, "big"), identity, state)
        body = b"\0%b%b\x04\0\0\0\0\0\0\0\0%c%b%b" % (submit.destination, submit.source, len(text), text, tail)
        return names.DELIVER_SM, body


def mobile_originated(source: str, destination: str, text: bytes, concatenated: bool = False) -> bytes:
    """A deliver_sm body from a handset. `text` of up to 254 octets; `concatenated`: it begins with a header."""
    addresses = b"\x01\x01%b\0\x01\x01%b\0" % (source.encode("ascii"), destination.encode("ascii"))
    return b"\0%b%c\0\0\0\0\0\0\0\0%c%b" % (addresses, UDHI if concatenated else 0, len(text), text)


def read_receipt(body: bytes) -> tuple[str, str] | None:
    """message_id and final word of a deliver_sm body when it is a delivery receipt, else None (a handset wrote it).

    Raises ValueError or IndexError when it is cut short, or a receipt without id or stat.
    """
    source_at = body.index(0) + 1
    destination_at = body.index(0, source_at + 2) + 1
    fixed_at = body.index(0, destination_at + 2) + 1
    if body[fixed_at] & 0x3C != DELIVERY_RECEIPT:
        return None
    id_at = body.index(b"id:", fixed_at) + 3
    id_end = body.index(b" ", id_at)
    word_at = body.index(b"stat:", id_end) + 5
    return body[id_at:id_end].decode("ascii"), body[word_at : word_at + 7].decode("ascii").rstrip()
