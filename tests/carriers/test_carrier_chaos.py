"""The chaos digest (quirks 4.3) at the carrier door: an SMSC misbehaves on a bound session, and what we make of it.
smsroute/smpp/session.py, smsroute/carriers/bind.py."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, pdu
from tests.carriers.scripted import ALONE, HOST, Scripted, scripted
from tests.house import House, house

ORANGE = {"orange": Temperament(response_delay="fixed:0.02", receipts_lost=1.0)}
RESPONSE = names.RESPONSE
Said = list[tuple[int, int, bytes]]


@attrs.define
class Chaos:
    """A bound session, one message taken over it, and what the carrier may say."""

    it: House
    smsc: Scripted
    part: Part

    def receipt(self, tail: bytes = b"", **fields: int) -> bytes:
        """The body of a receipt for the message."""
        said = (
            f"id:{self.part.attempts[0].carrier_message_id} sub:001 dlvrd:001 submit date:2601010000 "
            "done date:2601010000 stat:DELIVRD err:000 text:"
        )
        return build_sm(
            source_addr=self.part.destination_addr,
            destination_addr="SHOP",
            esm_class=4,
            short_message=said.encode(),
            tlv=tail,
            **fields,
        )

    async def says(self, octets: bytes) -> Said:
        """It says so; what we answer within a second."""
        before = len(self.smsc.heard[0])
        await self.smsc.raws[0].send(octets)
        await trio.sleep(1)
        return [(one, status, body) for one, status, body in self.smsc.heard[0][before:]]

    def goes_on(self) -> bool:
        """Whether it is still the same session."""
        (bind,) = [bind for bind in self.it.engine.binds if bind.place.config.host == HOST]
        return bind.state == "bound" and len(self.smsc.heard) == 1

    async def comes_back(self) -> bool:
        """Whether the session is over, and another one follows."""
        await trio.sleep(5)
        (bind,) = [bind for bind in self.it.engine.binds if bind.place.config.host == HOST]
        return bind.state == "bound" and len(self.smsc.heard) == 2


@asynccontextmanager
async def chaos(folder: Path) -> AsyncIterator[Chaos]:
    async with house(folder, carriers=ORANGE, bind=ALONE) as it, scripted(it) as smsc:
        await trio.sleep(3)
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        _, part_id = await raw.submit(
            build_sm(source_addr="SHOP", destination_addr="33612345678", registered_delivery=1, short_message=b"hi")
        )
        await trio.sleep(1)
        yield Chaos(it, smsc, it.engine.ledger.parts[part_id])


@pytest.mark.parametrize("sequence_number", [0, 0x80000001, 0xFFFFFFFF])
async def test_chaos_sequence_numbers_out_of_range(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sequence_number: int
) -> None:
    """A receipt under such a number is answered under it, and counts."""
    async with chaos(tmp_path) as it:
        before = len(it.smsc.heard[0])
        await it.smsc.raws[0].send(pdu(names.DELIVER_SM, 0, sequence_number, it.receipt()))
        await trio.sleep(1)
        assert [one for one, _, _ in it.smsc.heard[0][before:]] == [names.DELIVER_SM_RESP]
        assert it.smsc.numbers[0][-1] == sequence_number
        assert (it.part.state, it.goes_on()) == (State.DELIVERED, True)


@pytest.mark.parametrize(
    "tail",
    [
        build_tlv(0x1400, b"operator's own"),
        build_tlv(names.MESSAGE_STATE, b"\0\0\0\2"),
        build_tlv(0x001D, b""),
    ],
    ids=["unknown-tlv", "message-state-4-octets", "empty-tlv"],
)
async def test_chaos_odd_tlvs(tmp_path: Path, autojump_clock: trio.testing.MockClock, tail: bytes) -> None:
    """A TLV nobody knows, message_state in four octets, a text of none: the receipt is what its text says."""
    async with chaos(tmp_path) as it:
        answers = await it.says(pdu(names.DELIVER_SM, 0, 9, it.receipt(tail)))
        assert [(one, status) for one, status, _ in answers] == [(names.DELIVER_SM_RESP, 0)]
        assert (it.part.state, it.goes_on()) == (State.DELIVERED, True)


async def test_chaos_two_stray_octets(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Behind the last field, too few for a TLV: no matter."""
    async with chaos(tmp_path) as it:
        answers = await it.says(pdu(names.DELIVER_SM, 0, 9, it.receipt() + b"\1\2"))
        assert [(one, status) for one, status, _ in answers] == [(names.DELIVER_SM_RESP, 0)]
        assert (it.part.state, it.goes_on()) == (State.DELIVERED, True)


async def test_chaos_sm_length_overrun(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """sm_length says more than there is: refused in its own response, under its own number, and the session goes on;
    the message ends nothing."""
    async with chaos(tmp_path) as it:
        body = it.receipt()
        text_at = body.index(b"id:")
        broken = body[: text_at - 1] + bytes((255,)) + body[text_at:]
        answers = await it.says(pdu(names.DELIVER_SM, 0, 9, broken))
        assert [one for one, _, _ in answers] == [names.DELIVER_SM_RESP]
        assert answers[0][1] != 0
        assert (it.part.state, it.goes_on()) == (State.SUBMITTED, True)


async def test_chaos_unknown_command(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """generic_nack ESME_RINVCMDID under its number, and nothing else."""
    async with chaos(tmp_path) as it:
        assert await it.says(pdu(0x00000777, 0, 9, b"?")) == [(names.GENERIC_NACK, names.ESME_RINVCMDID, b"")]
        assert it.smsc.numbers[0][-1] == 9
        assert it.goes_on()


async def test_chaos_alert_notification(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It has no response."""
    async with chaos(tmp_path) as it:
        assert await it.says(pdu(names.ALERT_NOTIFICATION, 0, 9, b"\1\1336\0\0\0smsroute\0")) == []
        assert it.goes_on()


async def test_chaos_receipt_as_data_sm(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Answered with data_sm_resp, and it counts."""
    async with chaos(tmp_path) as it:
        name = it.part.attempts[0].carrier_message_id.encode() + b"\0"
        tail = build_tlv(names.RECEIPTED_MESSAGE_ID, name) + build_tlv(names.MESSAGE_STATE, b"\2")
        body = b"\0\1\1" + it.part.destination_addr.encode() + b"\0\5\0SHOP\0\4\0\0" + tail
        answers = await it.says(pdu(names.DATA_SM, 0, 9, body))
        assert [(one, status) for one, status, _ in answers] == [(names.DATA_SM | RESPONSE, 0)]
        assert (it.part.state, it.goes_on()) == (State.DELIVERED, True)


@pytest.mark.parametrize("length", [0, 15, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_chaos_command_length_that_cannot_be(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, length: int
) -> None:
    """Where the next PDU begins nobody knows: one generic_nack ESME_RINVCMDLEN, at once and without a wait for the
    rest, the link is closed, and the bind comes back."""
    async with chaos(tmp_path) as it:
        answers = await it.says(struct.pack(">IIII", length, names.DELIVER_SM, 0, 9))
        assert answers == [(names.GENERIC_NACK, names.ESME_RINVCMDLEN, b"")]
        assert await it.comes_back()


async def test_chaos_a_pdu_of_30000_octets(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Within what we take: read whole, answered once."""
    async with chaos(tmp_path) as it:
        answers = await it.says(pdu(names.DELIVER_SM, 0, 9, it.receipt(build_tlv(0x1400, b"x" * 30_000))))
        assert [(one, status) for one, status, _ in answers] == [(names.DELIVER_SM_RESP, 0)]
        assert (it.part.state, it.goes_on()) == (State.DELIVERED, True)


async def test_chaos_unbind_by_the_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Answered, the link closed, the bind back in a moment; a message it has stays with it, its receipt finds it."""
    async with chaos(tmp_path) as it:
        assert await it.says(pdu(names.UNBIND, 0, 9)) == [(names.UNBIND | RESPONSE, 0, b"")]
        assert await it.comes_back()
        assert it.part.state == State.SUBMITTED
        await it.smsc.raws[1].send(pdu(names.DELIVER_SM, 0, 1, it.receipt()))
        await trio.sleep(1)
        assert it.part.state == State.DELIVERED
