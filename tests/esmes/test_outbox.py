"""The outbox: receipts reach whichever session of an ESME answers. smsroute/esmes/deliver.py."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from smsroute.esmes.deliver import PASSING
from smsroute.ops import snapshot
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


async def _refuse(raw: Raw, statuses: list[int], heard: list[tuple[float, bytes]]) -> None:
    """A platform's session that answers each deliver_sm with the next status of a list, then with 0."""
    while True:
        command_id, _, sequence_number, body = await raw.pdu()
        if command_id == names.ENQUIRE_LINK:
            await raw.send(pdu(names.ENQUIRE_LINK | 0x80000000, 0, sequence_number))
        if command_id == names.DELIVER_SM:
            heard.append((trio.current_time(), body))
            status = statuses.pop(0) if statuses else 0
            await raw.send(pdu(names.DELIVER_SM | 0x80000000, status, sequence_number, b"\0"))


async def test_o2_a_receipt_that_got_no_answer_is_the_same_receipt_when_it_comes_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The session died before it answered: the next one gets the receipt octet for octet, so that a platform can tell
    that it has it already; answered once, it comes no more."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        first = await it.dial()
        assert await first.bind() == 0
        assert (await first.submit(GOOD))[0] == 0
        lost: list[bytes] = []
        with trio.move_on_after(5):
            await _answer(first, receipts=False, heard=lost)
        await first.stream.aclose()
        again = await it.dial()
        assert await again.bind() == 0
        heard: list[bytes] = []
        with trio.move_on_after(60):
            await _answer(again, receipts=True, heard=heard)
        assert heard == lost
        assert len(heard) == 1
        assert it.engine.ledger.counts.told == 1


async def test_o7_a_receipt_goes_by_the_submitting_session_and_by_any_other_when_that_is_gone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Two transceivers of one ESME: each hears of its own messages; what the one submitted last reaches the other once
    the one has left."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        one, other = await it.dial(), await it.dial()
        assert await one.bind() == 0
        assert await other.bind() == 0
        of_one = [(await one.submit(GOOD, number))[1] for number in range(2, 5)]
        of_other = [(await other.submit(GOOD, number))[1] for number in range(2, 5)]
        to_one: list[bytes] = []
        to_other: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: _answer(one, receipts=True, heard=to_one))
            nursery.start_soon(lambda: _answer(other, receipts=True, heard=to_other))
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
        for ids, heard in ((of_one, to_one), (of_other, to_other)):
            assert len(heard) == 3
            assert all(any(f"id:{one_id} ".encode() in body for body in heard) for one_id in ids)
        late = (await one.submit(GOOD, 9))[1]
        await one.stream.aclose()
        to_other.clear()
        with trio.move_on_after(5):
            await _answer(other, receipts=True, heard=to_other)
        assert [f"id:{late} ".encode() in body for body in to_other] == [True]


@pytest.mark.parametrize("status", sorted(PASSING))
async def test_an_answer_that_may_pass_is_tried_again_with_longer_waits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, status: int
) -> None:
    """Three refusals: the same receipt after 1, 2 and 4 seconds, and then it is told."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        assert (await raw.submit(GOOD))[0] == 0
        heard: list[tuple[float, bytes]] = []
        with trio.move_on_after(30):
            await _refuse(raw, [status] * 3, heard)
        assert len({body for _, body in heard}) == 1
        waits = [round(later - sooner) for (sooner, _), (later, _) in pairwise(heard)]
        assert waits == [1, 2, 4]
        assert it.engine.ledger.counts.told == 1


@pytest.mark.parametrize("status", [0x0B, 0x65, 0x66, 0x400])
async def test_any_other_answer_is_the_last_word_and_its_reason_is_kept(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, status: int
) -> None:
    """Dead-lettered at once: counted, out of the outbox, and the story says what the platform answered."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        _, message_id = await raw.submit(GOOD)
        heard: list[tuple[float, bytes]] = []
        with trio.move_on_after(30):
            await _refuse(raw, [status] * 3, heard)
        assert len(heard) == 1
        counts = it.engine.ledger.counts
        assert (counts.told, counts.dropped) == (0, 1)
        assert not it.engine.ledger.outboxes["acme"].owed
        part = it.engine.ledger.parts[message_id]
        reason = f"acme answered {names.status_name(status)}"
        assert any(reason in fact for fact in part.facts)
        (row,) = snapshot.esmes(it.engine, it.clock.wall())
        assert (row["dead_letters"], row["dead_letter_reason"]) == (1, reason)
