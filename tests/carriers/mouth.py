"""What a simulated carrier says when a test writes its receipts by hand.

Rules:
- The carrier takes every message and sends no receipt of its own (`MUTE`); `says` puts one on a bind of it.
- A receipt is written here in plain octets, not by the writer of `smsroute/smpp`.
"""

from __future__ import annotations

import struct

import trio

from smsroute.message import Part
from smsroute.sim.account import Notice
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, pdu
from tests.house import House, Raw

MUTE = Temperament(response_delay="fixed:0.02", receipts_lost=1.0)
HANDSET = "33612345678"
RECEIPT, MESSAGE_STATE, RECEIPTED_MESSAGE_ID = 0x04, 0x0427, 0x001E


async def submitted(it: House, raw: Raw, *, to: str = HANDSET, wants: int = 1, validity: str = "", n: int = 2) -> Part:
    """A part as acme submits it; not yet answered by the carrier."""
    body = build_sm(
        source_addr="SHOP",
        source_addr_ton=5,
        destination_addr=to,
        registered_delivery=wants,
        short_message=b"hello",
        validity_period=validity,
    )
    status, message_id = await raw.submit(body, n)
    assert status == 0
    return it.engine.ledger.parts[message_id]


def text(message_id: str, word: str, err: str = "000", done: str = "2601121502") -> bytes:
    """A receipt in the common form."""
    return (
        f"id:{message_id} sub:001 dlvrd:001 submit date:2601121501 done date:{done} stat:{word} err:{err} text:hello"
    ).encode()


def tlvs(message_id: str, state: int) -> bytes:
    """receipted_message_id and message_state."""
    identity = message_id.encode() + b"\0"
    return (
        struct.pack(">HH", RECEIPTED_MESSAGE_ID, len(identity))
        + identity
        + struct.pack(">HHB", MESSAGE_STATE, 1, state)
    )


def says(
    it: House, said: bytes, *, handset: str = HANDSET, tail: bytes = b"", carrier: str = "orange", bind: int = 0
) -> None:
    """The carrier delivers a receipt over its bind number `bind`, whatever that was bound as."""
    source = handset.encode()
    body = b"\0\1\1%b\0\5\0SHOP\0%c\0\0\0\0\0\0\0\0%c%b%b" % (source, RECEIPT, len(said), said, tail)
    sim = it.carriers[carrier]
    link = list(sim._links)[bind]
    link.waiting.append(Notice(names.DELIVER_SM, body))
    sim._flush(link)


def answered(it: House, carrier: str = "orange") -> tuple[int, int]:
    """How many of a carrier's deliver_sm were answered 0, and how many otherwise."""
    counts = it.carriers[carrier].counts
    return counts["receipts_answered"], counts["receipts_refused"] + counts["receipts_given_up"]


async def told(raw: Raw, seconds: float) -> list[str]:
    """The stat words of the receipts that acme gets in so many seconds, each answered 0."""
    words = []
    with trio.move_on_after(seconds):
        while True:
            command_id, _, sequence_number, body = await raw.pdu()
            if command_id == names.DELIVER_SM:
                words.append(body.partition(b"stat:")[2][:7].decode().rstrip())
                await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return words
