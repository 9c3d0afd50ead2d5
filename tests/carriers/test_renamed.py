"""A carrier's `ids:` is mended while messages are open: what was named under the old rule is found by the new one.
smsroute/carriers/renamed.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from smsroute.config import load
from smsroute.message import State
from smsroute.ops.reload import Reloads
from smsroute.sim.idforms import IdFormat
from smsroute.sim.temperament import Temperament
from tests.house import House, house

WRONG = "window: 50, rate: 1000/s, dialect: {ids: exact}"


def states(it: House) -> set[str]:
    return {State(part.state).name for part in it.engine.ledger.parts.values()}


async def mend(it: House, folder: Path, was: str, now: str) -> None:
    """The engineer edits the file and reloads."""
    path = folder / "smsroute.yaml"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now))
    done = await Reloads(it.engine, partial(load, folder, {})).reload("a test")
    assert done["reloaded"]


@pytest.mark.parametrize(
    ("ids", "rule"),
    [(IdFormat.HEX_DEC, "ids: hex-dec"), (IdFormat.DEC_HEX, "ids: dec-hex"), (IdFormat.PADDED, "ids: unpad")],
)
async def test_receipts_parked_under_a_wrong_rule_are_found_by_the_right_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, ids: IdFormat, rule: str
) -> None:
    """Those that came before the reload, and those that come after it of messages sent before: all are told, and none
    waits for a day to end UNKNOWN."""
    slow = Temperament(response_delay="fixed:0.02", receipt_delay="normal:4:2", ids=ids, first_id=70_000)
    async with house(tmp_path, carriers={"orange": slow}, carrier=WRONG) as it:
        platform = it.platform(60)
        await trio.sleep(4)
        counts = it.engine.ledger.counts
        assert states(it) == {"SUBMITTED"}
        assert 10 < counts.orphans_parked < 50
        await mend(it, tmp_path, "ids: exact", rule)
        await it.settle(platform, 20)
        assert (counts.delivered, len(it.engine.ledger.orphans)) == (60, 0)
        assert platform.report()["told"] == 60


async def test_the_same_mended_over_a_restart(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The engine is stopped, the file edited, the engine started: what is open is looked at then, too."""
    slow = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1", ids=IdFormat.HEX_DEC, first_id=70_000)
    async with house(tmp_path, carriers={"orange": slow}, carrier=WRONG) as it:
        it.platform(20)
        await trio.sleep(4)
        assert len(it.engine.ledger.orphans) == 20
    async with house(tmp_path, carriers={"orange": slow}, carrier=WRONG.replace("exact", "hex-dec")) as it:
        await trio.sleep(5)
        assert states(it) == {"DELIVERED"}
        assert it.engine.dispatch.stations["orange"].naming.renamed._found, "while they are in memory"
        it.engine.ledger.parts.clear()
        await trio.sleep(3)
        assert not it.engine.dispatch.stations["orange"].naming.renamed._found, "and no longer"


async def test_two_ids_that_become_one_name_nothing_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Where the new rule makes one key of two open messages' ids, the handset decides; nothing is guessed."""
    mute = Temperament(response_delay="fixed:0.02", receipts_lost=1.0)
    async with house(tmp_path, carriers={"orange": mute}, carrier=WRONG) as it:
        it.platform(2)
        await trio.sleep(2)
        one, other = it.engine.ledger.parts.values()
        ledger, station = it.engine.ledger, it.engine.dispatch.stations["orange"]
        for part, key in ((one, "0077"), (other, "077")):
            ledger.ids.take_back(part, part.attempts[0])
            part.attempts[0].carrier_message_id = key
            ledger.ids.give("orange", key, part, 0)
        await mend(it, tmp_path, "ids: exact", "ids: unpad")
        await trio.sleep(3)
        find = station.naming.find
        assert find([("text", "77")], "33999999999", ledger, 0.0) is None
        assert find([("text", "77")], other.destination_addr, ledger, 0.0) == ("077", (other, 0))
