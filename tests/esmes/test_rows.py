"""Rows of quirks section 2 as the ESME door meets them: a platform that does what real ones do. smsroute/esmes."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, parse_sm, pdu
from smsroute.smpp.wire import build_tlv
from tests.house import ESME, house

Clock = trio.testing.MockClock
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
BODY = build_sm(source_addr="ACME", destination_addr="33612345678", short_message=b"hello", registered_delivery=1)


async def test_s3_enquire_link_at_any_time(tmp_path: Path, autojump_clock: Clock) -> None:
    """S3: enquire_link is answered before the bind too, whatever it carries."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        for number, body in enumerate((b"", b"\0\0\0\0", b"x" * 100), 1):
            await raw.send(pdu(names.ENQUIRE_LINK, 0, number, body))
            assert await raw.pdu() == (names.ENQUIRE_LINK_RESP, 0, number, b"")


async def test_s16_sequence_numbers(tmp_path: Path, autojump_clock: Clock) -> None:
    """S16: 0, above 0x7FFFFFFF and the same one again and again are echoed as they are; each submit is its own."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        numbers = [0, 0xFFFFFFFF, 0x80000000, 7, 7, 7]
        await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, BODY) for number in numbers))
        answers = [await raw.pdu() for _ in numbers]
        assert [(status, number) for _, status, number, _ in answers] == [(0, number) for number in numbers]
        assert len({body for *_, body in answers}) == len(numbers)


async def test_s20_cut_in_the_middle_of_a_pdu(tmp_path: Path, autojump_clock: Clock) -> None:
    """S20: a link that dies in the middle of a submit loses that one only; the receipts it was owed wait."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        whole = pdu(names.SUBMIT_SM, 0, 2, BODY)
        await raw.send(whole + whole[:30])
        await raw.pdu()
        await raw.stream.aclose()
        await trio.sleep(3)
        assert it.engine.ledger.counts.accepted == 1
        assert len(it.engine.ledger.outboxes["acme"].owed) == 1
        assert it.engine.doors.clients == {}
        again = await it.dial()
        assert await again.bind(command_id=names.BIND_RECEIVER) == 0
        assert (await again.pdu())[0] == names.DELIVER_SM


@pytest.mark.parametrize("command_id", [0x00000000, 0x00000010, 0x0000FFFF, 0x7FFFFFFF])
async def test_s22_unknown_commands(tmp_path: Path, autojump_clock: Clock, command_id: int) -> None:
    """S22: an unknown command is nacked ESME_RINVCMDID with its number, an unknown response is passed over."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        await raw.send(pdu(command_id | 0x80000000, 0, 77) if command_id else b"")
        await raw.send(pdu(command_id, 0, 78))
        assert (await raw.pdu())[:3] == (names.GENERIC_NACK, names.ESME_RINVCMDID, 78)
        assert (await raw.submit(BODY))[0] == 0


async def test_s25_stray_octets_and_an_overrun(tmp_path: Path, autojump_clock: Clock) -> None:
    """S25: up to three stray octets behind the last TLV are tolerated and go no further; a TLV that overruns is
    ESME_RINVOPTPARSTREAM, and the session goes on."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        told = BODY + build_tlv(0x1400, b"x")
        for stray in (b"", b"\1", b"\1\2", b"\1\2\3"):
            status, message_id = await raw.submit(told + stray)
            assert status == 0
            assert it.engine.ledger.parts[message_id].body == told
        assert (await raw.submit(told + b"\x14\x01\0\5abc"))[0] == names.ESME_RINVOPTPARSTREAM
        assert (await raw.submit(BODY))[0] == 0


async def test_s32_a_platform_that_never_answers_unbind(tmp_path: Path, autojump_clock: Clock) -> None:
    """S32: smpplib and smpp34 never answer our unbind: the link is closed after `unbind_timeout`."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        it.engine.doors.drain("acme", "a test")
        assert (await raw.pdu())[0] == names.UNBIND
        started = trio.current_time()
        assert await raw.closed()
        assert 4 < trio.current_time() - started < 7
        assert it.engine.doors.sessions("acme") == []


async def test_s32_what_came_before_its_unbind_is_answered_first(tmp_path: Path, autojump_clock: Clock) -> None:
    """S32: submits read together with the platform's unbind are answered before it."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        await raw.send(pdu(names.SUBMIT_SM, 0, 2, BODY) + pdu(names.SUBMIT_SM, 0, 3, BODY) + pdu(names.UNBIND, 0, 4))
        answered = [(await raw.pdu())[:3] for _ in range(3)]
        assert answered == [(names.SUBMIT_SM_RESP, 0, 2), (names.SUBMIT_SM_RESP, 0, 3), (names.UNBIND_RESP, 0, 4)]
        assert await raw.closed()


async def test_s33_long_names(tmp_path: Path, autojump_clock: Clock) -> None:
    """S33: a system_id and a password longer than the specification's 15 and 8 characters bind all the same."""
    name, password = "a" * 40, "p" * 40
    esmes = f'{ESME}\n  {name}: {{password: {{plain: "{password}"}}}}'
    async with house(tmp_path, esmes=esmes) as it:
        assert await (await it.dial()).bind(name, password) == 0
        assert await (await it.dial()).bind(name, password[:8]) == names.ESME_RINVPASWD


async def test_s37_an_answer_never_waits_for_a_carrier(tmp_path: Path, autojump_clock: Clock) -> None:
    """S37: some platforms wait two seconds for a submit_sm_resp: with a carrier that takes a minute, and with none that
    is bound, it comes as soon as the message is durable."""
    slow = Temperament(response_delay="fixed:60", receipt_delay="fixed:1")
    async with house(tmp_path, carriers={"orange": slow}) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        started = trio.current_time()
        assert (await raw.submit(BODY))[0] == 0
        it.engine.dispatch.stations["orange"].drained = "a test"
        assert (await raw.submit(BODY, 3))[0] == 0
        assert trio.current_time() - started < 0.5


@pytest.mark.parametrize("body", [b"\0", b"", b"some-id\0", b"no NUL at all"])
async def test_s38_any_deliver_sm_resp(tmp_path: Path, autojump_clock: Clock, body: bytes) -> None:
    """S38: a deliver_sm_resp with an id, without, or cut short ticks its receipt off."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        assert (await raw.submit(BODY))[0] == 0
        command_id, _, number, receipt = await raw.pdu()
        assert command_id == names.DELIVER_SM
        assert parse_sm(receipt).esm_class == names.ESM_RECEIPT
        await raw.send(pdu(names.DELIVER_SM_RESP, 0, number, body))
        await trio.sleep(1)
        assert it.engine.ledger.counts.told == 1
