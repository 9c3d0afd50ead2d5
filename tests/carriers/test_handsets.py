"""Messages from handsets reach the ESME that owns the number. smsroute/carriers/handsets.py, routing/owners.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.sim.account import Notice
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, pdu
from tests.carriers.mouth import answered
from tests.house import House, Raw, house

RULES = """
mo:
  - {name: code, to: ["38000"], esme: acme}
"""
HANDSET = "33612345678"


def writes(
    it: House, text: bytes, *, to: str = "38000", source: str = HANDSET, command_id: int = names.DELIVER_SM,
    bind: int = 0, esm_class: int = 0, data_coding: int = 0, tlv: bytes = b"",
) -> bytes:  # fmt: skip
    """A handset writes to a number of ours: the deliver_sm body, on bind number `bind` of orange."""
    body = build_sm(
        source_addr=source, source_addr_ton=1, source_addr_npi=1, destination_addr=to, dest_addr_ton=3,
        esm_class=esm_class, data_coding=data_coding, short_message=text, tlv=tlv,
    )  # fmt: skip
    says(it, body, command_id=command_id, bind=bind)
    return body


def says(it: House, body: bytes, *, command_id: int = names.DELIVER_SM, bind: int = 0) -> None:
    """The carrier orange delivers this body."""
    sim = it.carriers["orange"]
    link = list(sim._links)[bind]
    link.waiting.append(Notice(command_id, body))
    sim._flush(link)


async def bound(it: House) -> Raw:
    """acme, bound as a transceiver."""
    raw = await it.dial()
    assert await raw.bind() == 0
    return raw


async def comes(raw: Raw) -> bytes:
    """The next deliver_sm, answered 0: its body."""
    with trio.fail_after(10):
        command_id, _, sequence_number, body = await raw.pdu()
    assert command_id == names.DELIVER_SM
    await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return body


async def silent(raw: Raw, seconds: float = 5.0) -> bool:
    """Whether nothing comes for so long."""
    with trio.move_on_after(seconds):
        await raw.pdu()
        return False
    return True


async def test_octet_for_octet(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What a handset writes to a number of an ESME's comes to it octet for octet: header, text and TLVs, known or
    not."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        tail = build_tlv(0x1401, b"\x02vendor") + build_tlv(0x0202, b"x")
        body = writes(it, b"\x06\x05\x04\x0b\x84\x23\xf0hello", esm_class=0x40, data_coding=4, tlv=tail)
        assert await comes(raw) == body
        await trio.sleep(1)
        assert answered(it) == (1, 0)
        assert it.engine.ledger.counts.arrived == it.engine.ledger.counts.told == 1
