"""One receipt for a whole message: `receipts: message`. smsroute/families.py, memory.py, esmes/deliver.py."""

from __future__ import annotations

import re
from pathlib import Path

import trio

from smsroute.message import State, Tell
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import SubmitSm, build_sm, parse_sm, pdu
from smsroute.smpp.names import ESM_UDHI
from tests.house import Raw, house

ESME = 'acme: {password: {plain: "secret"}, receipts: message}'
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:3")
LIMITS = "{parts_missing: 60s}"


def part(number: int, wants: int, total: int = 3) -> bytes:
    """A submit_sm of a long message."""
    return build_sm(
        source_addr="ACME",
        destination_addr="33612345678",
        esm_class=ESM_UDHI,
        registered_delivery=wants,
        short_message=bytes((5, 0, 3, 7, total, number)) + b"part %d" % number,
    )


async def receipts(raw: Raw, seconds: float) -> list[SubmitSm]:
    """Those that come in so many seconds, answered."""
    found: list[SubmitSm] = []
    with trio.move_on_after(seconds):
        while True:
            command_id, _, sequence_number, body = await raw.pdu()
            if command_id == names.DELIVER_SM:
                found.append(parse_sm(body))
                await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return found


async def test_one_receipt_for_three_parts(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It comes when all parts have ended, bears the id of the first, and says how many of how many arrived. A part that
    asked for none is asked of the carrier all the same, so that DELIVRD means all of it; the rest is at rest, and stays
    so in the history."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        raw = await it.dial()
        await raw.bind()
        ids = [(await raw.submit(part(number, wants), number))[1] for number, wants in ((1, 1), (2, 0), (3, 1))]
        (told,) = await receipts(raw, 20.0)
        text = told.short_message.decode()
        assert re.match(rf"id:{ids[0]} sub:003 dlvrd:003 .* stat:DELIVRD err:000", text)
        assert it.carriers["orange"].counts["receipts_answered"] == 3
        await trio.sleep(5)
        stories = [it.store.story(part_id) for part_id in ids]
        assert [one and one.tell for one in stories] == [Tell.SPEAKER, Tell.SILENT, Tell.SILENT]
        assert it.engine.ledger.held_by["acme"] == 0


async def test_a_part_that_never_comes_is_not_waited_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """`parts_missing` after the parts that came have ended, the message is told of as UNKNOWN."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, limits=LIMITS) as it:
        raw = await it.dial()
        await raw.bind()
        ids = [(await raw.submit(part(number, 1), number))[1] for number in (1, 3)]
        assert await receipts(raw, 50.0) == []
        assert it.engine.ledger.parts[ids[0]].state == State.DELIVERED
        (told,) = await receipts(raw, 30.0)
        assert re.match(rf"id:{ids[0]} sub:003 dlvrd:002 .* stat:UNKNOWN", told.short_message.decode())


async def test_a_single_part_has_its_own(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A message in one part, or of one part by its header, is told of as ever."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        raw = await it.dial()
        await raw.bind()
        _, message_id = await raw.submit(part(1, 1, total=1))
        (told,) = await receipts(raw, 20.0)
        assert told.short_message.decode().startswith(f"id:{message_id} sub:001 dlvrd:001")
