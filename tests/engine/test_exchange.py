"""The main path end to end, in virtual time: submit, answer, attempt, response, receipt. smsroute/engine.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.message import State
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import parse_sm, tlv
from tests.esmes.test_door import GOOD
from tests.house import house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")


async def test_a_message_gets_its_receipt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The receipt carries our id byte for byte in text and TLV, esm_class 0x04 and a seven-letter state."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        status, message_id = await raw.submit(GOOD)
        assert status == 0
        assert 0 < len(message_id) <= 20
        command_id, _, _, body = await raw.pdu()
        assert command_id == names.DELIVER_SM
        receipt = parse_sm(body)
        assert receipt.esm_class == 0x04
        assert receipt.short_message.startswith(f"id:{message_id} sub:001 dlvrd:001 ".encode())
        assert b" stat:DELIVRD err:000 " in receipt.short_message
        assert tlv(receipt.tlv, names.RECEIPTED_MESSAGE_ID) == message_id.encode() + b"\0"
        assert tlv(receipt.tlv, names.MESSAGE_STATE) == b"\x02"


async def test_everything_comes_back(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Two thousand messages through one carrier: each accepted once, delivered once, told once; the engine is at
    rest."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=_quick()) as it:
        esme = it.platform(2000)
        await it.settle(esme)
        await trio.sleep(1)
        ledger = it.engine.ledger
        assert esme.counts["accepted"] == esme.counts["told"] == 2000
        assert it.carriers["orange"].handsets.stats()["handset_doubles"] == 0
        assert (ledger.counts.delivered, ledger.counts.told, ledger.open) == (2000, 2000, 0)


async def test_failover_on_a_closed_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier that goes away loses nothing: what was due goes to the backup, what was in flight is in doubt."""
    async with house(tmp_path, carriers={"orange": KIND, "backup": KIND}, esmes=_quick()) as it:
        esme = it.platform(500, settings=EsmeSettings(rate=100))
        await trio.sleep(2)
        it.carriers["orange"].mode = Mode.CLOSED
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.submitted_all)
        await trio.sleep(30)
        ledger = it.engine.ledger
        assert esme.counts["accepted"] == 500
        assert it.carriers["backup"].counts["taken"] > 250
        doubtful = len(ledger.in_doubt)
        assert esme.counts["told"] + ledger.by_state[State.SUBMITTED] + doubtful == 500
        assert doubtful <= 20  # its window


async def test_failover_on_a_throttling_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier that throttles everything costs nothing but time: all is delivered, once, mostly by the backup."""
    async with house(tmp_path, carriers={"orange": KIND, "backup": KIND}, esmes=_quick()) as it:
        esme = it.platform(1000, settings=EsmeSettings(rate=100))
        await trio.sleep(2)
        it.carriers["orange"].mode = Mode.THROTTLING
        await it.settle(esme)
        assert it.engine.ledger.counts.delivered == 1000
        assert it.carriers["backup"].counts["taken"] > 500
        assert sum(sim.handsets.stats()["handset_doubles"] for sim in it.carriers.values()) == 0


async def test_outbox_survives_disconnect(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Receipts of a platform that is away wait, in order, and are told when it binds again."""
    slow = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:5")
    async with house(tmp_path, carriers={"orange": slow}, esmes=_quick()) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        sent = [(await raw.submit(GOOD, number))[1] for number in range(2, 12)]
        await raw.stream.aclose()
        await trio.sleep(20)
        assert it.engine.ledger.counts.delivered == 10
        assert len(it.engine.ledger.outboxes["acme"].owed) == 10
        again = await it.dial()
        assert await again.bind(command_id=names.BIND_RECEIVER) == 0
        told = [parse_sm((await again.pdu())[3]).short_message.split(b" ")[0] for _ in range(10)]
        assert told == [f"id:{message_id}".encode() for message_id in sent]


async def test_validity_ends_in_a_receipt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A message no carrier takes before its validity ends is told EXPIRED, never silently dropped."""
    esmes = _quick(", validity: 30s")
    async with house(tmp_path, carriers={"orange": KIND}, esmes=esmes) as it:
        it.carriers["orange"].mode = Mode.CLOSED
        await trio.sleep(1)
        raw = await it.dial()
        assert await raw.bind() == 0
        status, message_id = await raw.submit(GOOD)
        assert status == 0
        with trio.fail_after(120):
            while (answer := await raw.pdu())[0] != names.DELIVER_SM:
                pass
        assert parse_sm(answer[3]).short_message.startswith(f"id:{message_id}".encode())
        assert b"stat:EXPIRED" in parse_sm(answer[3]).short_message


async def test_transient_answer_goes_elsewhere(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier that answers ESME_RSYSERR at once does not look fast: the part goes to the next route, with its
    reason."""
    async with house(tmp_path, carriers={"orange": KIND, "backup": KIND}, esmes=_quick()) as it:
        it.carriers["orange"].mode = Mode.ERRORING
        esme = it.platform(200, settings=EsmeSettings(rate=50))
        await it.settle(esme)
        assert it.carriers["backup"].counts["taken"] == 200
        part = next(part for part in it.engine.ledger.parts.values() if len(part.attempts) == 2)
        assert [attempt.carrier for attempt in part.attempts] == ["orange", "backup"]
        assert part.attempts[0].code == names.ESME_RSYSERR


def _quick(more: str = "") -> str:
    return f'acme: {{password: {{plain: "secret"}}, binds_max: 8, window: 500, rate: 10000/s{more}}}'
