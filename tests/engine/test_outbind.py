"""outbind, both ways (SMPP 3.4 section 4.1.7, quirks S31). smsroute/carriers/bind.py, smsroute/esmes/outbind.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from smsroute.message import State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.binding import build_outbind, read_outbind
from smsroute.smpp.codec import build_sm, decode, pdu
from tests.house import ENGINE, House, Raw, house

CALLED = 3700
TWO_BINDS = (
    f'mode: transmitter}}, {{address: "{ENGINE}:{CALLED}", mode: receiver, '
    "outbind: {system_id: smsc, password: {plain: pw9}}"
)
ESME = (
    'acme: {password: {plain: "secret"}, outbind: {address: "10.0.9.9:3800", system_id: us, password: {plain: ours}}}'
)
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, outbind_interval: 5s, bind_timeout: 3s}"
SILENT = Temperament(response_delay="fixed:0.02", receipts_lost=1.0)


async def dial(it: House, port: int) -> Raw:
    """The carrier calls."""
    return Raw(await it.network.host("10.0.2.99").connect(ENGINE, port))


async def test_s31_a_carrier_calls_us(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It dials, says who it is, and is sent the bind_receiver on that very link, with the account's system_id; the
    receipt that comes at once by it ends the message. When it hangs up it may call again."""
    async with house(tmp_path, carriers={"orange": SILENT}, bind=TWO_BINDS) as it:
        it.platform(1)
        await trio.sleep(3)
        (part,) = it.engine.ledger.parts.values()
        (bind,) = [bind for bind in it.engine.binds if not bind.sends]
        assert (bind.state, bind.reason) == ("down", f"waits for the carrier to dial {ENGINE}:{CALLED}")
        for life in (1, 2):
            raw = await dial(it, CALLED)
            await raw.send(build_outbind("smsc", "pw9", 7))
            command_id, _, sequence_number, body = await raw.pdu()
            assert command_id == names.BIND_RECEIVER
            assert decode(pdu(command_id, 0, sequence_number, body)).fields["system_id"] == "smsroute"
            receipt = build_sm(
                source_addr=part.destination_addr,
                destination_addr=part.source_addr,
                esm_class=4,
                short_message=f"id:{part.attempts[0].carrier_message_id} sub:001 dlvrd:001 submit date:2601010000 "
                "done date:2601010000 stat:DELIVRD err:000 text:".encode(),
            )
            answer = pdu(names.BIND_RECEIVER_RESP, 0, sequence_number, b"smsc\0")
            await raw.send(answer + pdu(names.DELIVER_SM, 0, 1, receipt))
            assert (await raw.pdu())[:3] == (names.DELIVER_SM_RESP, 0, 1)
            assert bind.state == "bound"
            assert part.state == State.DELIVERED
            second = await dial(it, CALLED)
            assert await second.closed(), "one call at a time"
            await raw.stream.aclose()
            await trio.sleep(1)
            assert bind.state == "down", life


async def test_s31_a_stranger_is_sent_away(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A wrong system_id or password, another command, or nothing said in time: the link is closed, no bind leaves, and
    the carrier may call."""
    async with house(tmp_path, carriers={"orange": SILENT}, bind=TWO_BINDS, limits=LIMITS) as it:
        (bind,) = [bind for bind in it.engine.binds if not bind.sends]
        for words in (build_outbind("smsc", "wrong", 1), build_outbind("other", "pw9", 1), b""):
            raw = await dial(it, CALLED)
            if words:
                await raw.send(words)
            with trio.fail_after(3.5):
                assert await raw.stream.receive_some() == b""
            await trio.sleep(0.1)
            assert bind.state == "down"
        assert "no bind in time" in bind.reason
        raw = await dial(it, CALLED)
        await raw.send(pdu(names.DELIVER_SM, 0, 1, build_sm(source_addr="1", destination_addr="2")))
        assert (await raw.pdu())[:3] == (names.DELIVER_SM_RESP, names.ESME_RINVBNDSTS, 1)
        await raw.send(build_outbind("smsc", "pw9", 2))
        assert (await raw.pdu())[0] == names.BIND_RECEIVER


@asynccontextmanager
async def waiting(it: House) -> AsyncIterator[trio.MemoryReceiveChannel[Raw]]:
    """An ESME that waits at its address for our calls."""
    send, receive = trio.open_memory_channel[Raw](10)
    listener = await it.network.host("10.0.9.9").listen("10.0.9.9", 3800)

    async def answer(stream: trio.abc.Stream, _: str) -> None:
        await send.send(Raw(stream))
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, answer)
        yield receive
        nursery.cancel_scope.cancel()


async def test_s31_an_esme_is_called_for_what_it_is_owed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Nothing waits: no call. A receipt waits and nobody of it may receive: we dial, say who we are, it binds on that
    link and gets its receipt. Another system_id, or a wrong password, may not bind there; then it is called again."""
    kind = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")
    async with house(tmp_path, carriers={"orange": kind}, esmes=ESME, limits=LIMITS) as it, waiting(it) as calls:
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        await trio.sleep(20)
        assert calls.statistics().current_buffer_used == 0
        body = build_sm(source_addr="ACME", destination_addr="33612345678", registered_delivery=1, short_message=b"hi")
        _, message_id = await raw.submit(body)
        for system_id, password, status in (
            ("acme", "wrong", names.ESME_RINVPASWD),
            ("other", "secret", names.ESME_RINVSYSID),
            ("acme", "secret", names.ESME_ROK),
        ):
            with trio.fail_after(20):
                called = await calls.receive()
            command_id, _, _, said = await called.pdu()
            assert (command_id, read_outbind(said)) == (names.OUTBIND, ("us", "ours"))
            assert await called.bind(system_id, password, names.BIND_RECEIVER) == status
        command_id, _, sequence_number, said = await called.pdu()
        assert command_id == names.DELIVER_SM
        assert f"id:{message_id}".encode() in said
        await called.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
        await trio.sleep(20)
        assert len(it.engine.ledger.outboxes["acme"]) == 0
        assert calls.statistics().current_buffer_used == 0, "it is bound"


async def test_s31_an_esme_that_does_not_answer_is_called_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A call that is refused, or answered by nothing, is no fault and no end: the next one comes."""
    kind = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")
    async with house(tmp_path, carriers={"orange": kind}, esmes=ESME, limits=LIMITS) as it:
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        await raw.submit(build_sm(source_addr="A", destination_addr="33612345678", registered_delivery=1))
        await trio.sleep(20)
        async with waiting(it) as calls:
            for _ in range(2):
                with trio.fail_after(10):
                    called = await calls.receive()
                assert (await called.pdu())[0] == names.OUTBIND
                assert await called.closed(), "no bind in time"
        assert it.engine.doors.faults == 0
