"""The auditor's own reading of SMPP: octets on a link become the few facts the laws speak of.

Rules:
- A third reading, by offset and by hand, beside the engine's codec and the simulated peers': a misreading they shared
  would be seen here. Only the names of commands and statuses come from the engine's house.
- What it cannot read is an error of whoever sent it: peers of the simulated world send nothing malformed.

Walk: `auditor` keeps one `Splitter` for each end of each direction and reads what comes out.
"""

from __future__ import annotations

import re
import struct

import attrs

from smsroute.smpp import names

HEADER = struct.Struct(">IIII")
UDHI = 0x40
RECEIPT = 0x04
RECEIPTED_MESSAGE_ID, MESSAGE_STATE, MESSAGE_PAYLOAD = 0x001E, 0x0427, 0x0424
TOKEN = re.compile(rb"@[a-z0-9]+\.[0-9]{8}")
"""What a simulated platform writes into each text, so that a message is known wherever it is seen."""
WORDS = re.compile(rb"id:(\S*) .*stat:(\S*)", re.DOTALL)
ERR = re.compile(rb" err:(\S*)")


@attrs.frozen
class Pdu:
    """One PDU: the four words of its header and what follows."""

    command_id: int
    command_status: int
    sequence_number: int
    body: bytes

    @property
    def is_response(self) -> bool:
        return self.command_id >= names.GENERIC_NACK


class Splitter:
    """Octets in, whole PDUs out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Pdu]:
        """The PDUs that `data` completes."""
        data, pdus, at = self._rest + data, [], 0
        while len(data) - at >= HEADER.size:
            length, command_id, command_status, sequence_number = HEADER.unpack_from(data, at)
            assert HEADER.size <= length <= 1 << 17, f"a PDU of {length} octets"
            if len(data) - at < length:
                break
            pdus.append(Pdu(command_id, command_status, sequence_number, data[at + HEADER.size : at + length]))
            at += length
        self._rest = data[at:]
        return pdus


@attrs.frozen
class Message:
    """A submit_sm or deliver_sm."""

    source: str
    destination: str
    esm_class: int
    registered_delivery: int
    text: bytes  # without its user data header
    part_of: tuple[int, int, int] | None  # reference, parts, which one
    tlvs: dict[int, bytes]

    @property
    def token(self) -> str:
        """What the platform wrote into the text, or "": of a whole message, what it wrote into the first part."""
        return self.tokens[0] if self.tokens else ""

    @property
    def tokens(self) -> list[str]:
        """Those of all parts, where one submit bears a whole message."""
        return [found.decode() for found in TOKEN.findall(self.text)]

    @property
    def is_receipt(self) -> bool:
        return self.esm_class & 0x3C == RECEIPT

    @property
    def receipt(self) -> tuple[str, str]:
        """(message id, final word) of a receipt, by its text; the TLV must not contradict it. Of no receipt: empty."""
        if not self.is_receipt:
            return "", ""
        found = WORDS.search(self.text)
        assert found is not None, f"a receipt without id and stat: {self.text!r}"
        message_id, word = found[1].decode(), found[2].decode()
        told = self.tlvs.get(RECEIPTED_MESSAGE_ID)
        assert told is None or told.rstrip(b"\0").decode() == message_id, f"text says {message_id}, TLV says {told!r}"
        return message_id, word

    @property
    def err(self) -> str:
        """The err of a receipt; "" when it has none."""
        found = ERR.search(self.text)
        return found[1].decode() if found else ""


def message(body: bytes) -> Message:
    """The body of a submit_sm or deliver_sm (SMPP 3.4 sections 4.4.1, 4.6.1)."""
    at = body.index(0) + 1  # service_type
    end = body.index(0, at + 2)
    source, at = body[at + 2 : end].decode("latin-1"), end + 1
    end = body.index(0, at + 2)
    destination, at = body[at + 2 : end].decode("latin-1"), end + 1
    esm_class, at = body[at], at + 3
    for _ in ("schedule_delivery_time", "validity_period"):
        at = body.index(0, at) + 1
    registered_delivery, length = body[at], body[at + 4]
    at += 5
    text, at = body[at : at + length], at + length
    assert len(text) == length, "short_message is cut short"
    tlvs = {}
    while at < len(body):
        tag, length = struct.unpack_from(">HH", body, at)
        tlvs[tag] = body[at + 4 : at + 4 + length]
        at += 4 + length
    assert at == len(body), "a TLV is cut short"
    text = text or tlvs.get(MESSAGE_PAYLOAD, b"")
    part_of = None
    if esm_class & UDHI:
        header, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        if header[:2] == b"\x00\x03":
            part_of = (header[2], header[3], header[4])
    return Message(source, destination, esm_class, registered_delivery, text, part_of, tlvs)


def c_string(body: bytes) -> str:
    """The first C-Octet String of a body: system_id of a bind, message_id of a response."""
    return body.partition(b"\0")[0].decode("latin-1")


def describe(pdu: Pdu) -> str:
    """One PDU for the trace."""
    words = [names.COMMAND_NAMES.get(pdu.command_id, f"0x{pdu.command_id:08x}"), f"#{pdu.sequence_number:x}"]
    if pdu.is_response:
        words.append(names.status_name(pdu.command_status))
        if pdu.body[:-1]:
            words.append(c_string(pdu.body))
    elif pdu.command_id in (names.SUBMIT_SM, names.DELIVER_SM):
        sm = message(pdu.body)
        words.append(sm.token)
        if sm.is_receipt:
            words.extend(sm.receipt)
    return " ".join(words)
