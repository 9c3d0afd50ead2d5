"""The chaos digest (quirks 4.3) at the ESME door: a client misbehaves on a bound session, and what we make of it.
smsroute/smpp/session.py, smsroute/esmes/listener.py."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, pdu
from tests.house import House, Raw, house

ORANGE = {"orange": Temperament(response_delay="fixed:0.02", receipts_lost=1.0)}
GOOD = build_sm(source_addr="SHOP", destination_addr="33612345678", short_message=b"hello")


@asynccontextmanager
async def client(folder: Path) -> AsyncIterator[tuple[House, Raw]]:
    """Bound as a transmitter."""
    async with house(folder, carriers=ORANGE) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        yield it, raw


async def goes_on(raw: Raw) -> bool:
    """Whether the session still takes a message."""
    return (await raw.submit(GOOD, 77))[0] == 0


@pytest.mark.parametrize("sequence_number", [0, 0x80000001, 0xFFFFFFFF])
async def test_chaos_sequence_numbers_out_of_range(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sequence_number: int
) -> None:
    """A submit under such a number is answered under it."""
    async with client(tmp_path) as (_, raw):
        status, message_id = await raw.submit(GOOD, sequence_number)
        assert status == 0
        assert message_id
        assert await goes_on(raw)


@pytest.mark.parametrize(
    ("tail", "arrives"),
    [(build_tlv(0x1400, b"PE-ID"), True), (build_tlv(names.MESSAGE_STATE, b"\0\0\0\2"), True), (b"\1\2", False)],
    ids=["unknown-tlv", "message-state-4-octets", "two-stray-octets"],
)
async def test_chaos_odd_tails(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, tail: bytes, arrives: bool
) -> None:
    """A TLV nobody knows and one of another size reach the carrier as they came; stray octets behind the last one do
    not. All are taken."""
    async with client(tmp_path) as (it, raw):
        status, message_id = await raw.submit(GOOD + tail)
        assert status == 0
        assert it.engine.ledger.parts[message_id].body.endswith(tail) is arrives
        assert await goes_on(raw)


async def test_chaos_sm_length_overrun(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """sm_length says more than there is: refused in its own response, nothing is sent, the session goes on."""
    async with client(tmp_path) as (it, raw):
        broken = GOOD[: -len(b"hello") - 1] + b"\xffhello"
        status, message_id = await raw.submit(broken)
        assert status in (names.ESME_RINVMSGLEN, names.ESME_RINVCMDLEN)
        assert (message_id, len(it.engine.ledger.parts)) == ("", 0)
        assert await goes_on(raw)


async def test_chaos_unknown_command(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """generic_nack ESME_RINVCMDID under its number, and the session goes on."""
    async with client(tmp_path) as (_, raw):
        await raw.send(pdu(0x00000777, 0, 9, b"?"))
        assert await raw.pdu() == (names.GENERIC_NACK, names.ESME_RINVCMDID, 9, b"")
        assert await goes_on(raw)


async def test_chaos_an_unknown_response(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A response to nothing, known or not, is no question and gets no answer."""
    async with client(tmp_path) as (_, raw):
        await raw.send(pdu(0x80000777, 0, 9, b"?") + pdu(names.DELIVER_SM_RESP, 0, 10, b"\0"))
        await raw.send(pdu(names.ENQUIRE_LINK, 0, 11))
        assert await raw.pdu() == (names.ENQUIRE_LINK_RESP, 0, 11, b"")
        assert await goes_on(raw)


async def test_chaos_alert_notification_and_deliver_sm(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What only an SMSC may say: alert_notification has no response, so it gets none; deliver_sm is refused with
    ESME_RINVBNDSTS."""
    async with client(tmp_path) as (_, raw):
        await raw.send(pdu(names.ALERT_NOTIFICATION, 0, 9, b"\1\1336\0\0\0SHOP\0") + pdu(names.DELIVER_SM, 0, 10, GOOD))
        assert (await raw.pdu())[:3] == (names.DELIVER_SM_RESP, names.ESME_RINVBNDSTS, 10)
        assert await goes_on(raw)


@pytest.mark.parametrize("length", [0, 15, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_chaos_command_length_that_cannot_be(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, length: int
) -> None:
    """One generic_nack ESME_RINVCMDLEN, at once and without a wait for the rest, and the link is closed; what came
    before it is answered."""
    async with client(tmp_path) as (_, raw):
        await raw.send(pdu(names.SUBMIT_SM, 0, 8, GOOD) + struct.pack(">IIII", length, names.SUBMIT_SM, 0, 9))
        seen = {(await raw.pdu())[:2] for _ in range(2)}
        assert seen == {(names.SUBMIT_SM_RESP, 0), (names.GENERIC_NACK, names.ESME_RINVCMDLEN)}
        with trio.fail_after(1):
            assert await raw.closed()


async def test_chaos_a_pdu_of_30000_octets(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Within what we take, and the account's own limit: taken."""
    async with client(tmp_path) as (it, raw):
        tail = build_tlv(names.MESSAGE_PAYLOAD, b"x" * 30_000)
        status, message_id = await raw.submit(build_sm(source_addr="SHOP", destination_addr="33612345678", tlv=tail))
        assert status == 0
        assert it.engine.ledger.parts[message_id].body.endswith(tail[:16] + b"x" * (30_000 - 12))
        assert await goes_on(raw)


async def test_chaos_unbind_without_waiting(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Submits and an unbind in one write: each submit is answered first, then the unbind, then the stream ends."""
    async with client(tmp_path) as (it, raw):
        burst = b"".join(pdu(names.SUBMIT_SM, 0, number, GOOD) for number in range(20, 30))
        await raw.send(burst + pdu(names.UNBIND, 0, 30))
        answers = [await raw.pdu() for _ in range(11)]
        assert [one[0] for one in answers] == [names.SUBMIT_SM_RESP] * 10 + [names.UNBIND | names.RESPONSE]
        with trio.fail_after(1):
            assert await raw.closed()
        assert len(it.engine.ledger.parts) == 10
