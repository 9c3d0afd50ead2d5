"""The outbox: receipts reach whichever session of an ESME answers. smsroute/esmes/deliver.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import pdu
from tests.esmes.test_door import GOOD
from tests.house import Raw, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")


async def _answer(raw: Raw, *, receipts: bool, heard: list[bytes]) -> None:
    """A platform's session: answers enquire_link, and deliver_sm when `receipts`."""
    while True:
        command_id, _, sequence_number, body = await raw.pdu()
        if command_id == names.DELIVER_SM:
            heard.append(body)
        if command_id == names.ENQUIRE_LINK or (command_id == names.DELIVER_SM and receipts):
            answer = b"\0" if command_id == names.DELIVER_SM else b""
            await raw.send(pdu(command_id | 0x80000000, 0, sequence_number, answer))


async def test_a_session_that_answers_nothing_keeps_no_receipts(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Receipts a session left unanswered go by another one of the ESME, and stay away from it while others answer."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        deaf, well = await it.dial(), await it.dial()
        assert await deaf.bind() == 0
        assert await well.bind() == 0
        for number in range(2, 12):
            assert (await deaf.submit(GOOD, number))[0] == 0
        unanswered: list[bytes] = []
        answered: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: _answer(deaf, receipts=False, heard=unanswered))
            nursery.start_soon(lambda: _answer(well, receipts=True, heard=answered))
            await trio.sleep(70)
            nursery.cancel_scope.cancel()
        assert it.engine.ledger.counts.told == 10
        assert len(answered) == 10
        assert len(unanswered) == 10  # once each


async def test_a_receipt_nobody_fetches_is_given_up(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """After `outbox_ttl` a receipt whose platform never came back is dead-lettered with the reason, and leaves
    memory."""
    async with house(tmp_path, limits="{outbox_ttl: 60s, sweep_interval: 1s}") as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        _, message_id = await raw.submit(GOOD)
        await raw.stream.aclose()
        await trio.sleep(30)
        assert len(it.engine.ledger.outboxes["acme"].owed) == 1
        await trio.sleep(60)
        outbox = it.engine.ledger.outboxes["acme"]
        assert (len(outbox.owed), len(outbox.ready)) == (0, 0)
        assert it.engine.ledger.counts.dropped == 1
        assert "nobody came for it in 60 s" in it.engine.ledger.parts[message_id].facts[-1]
