"""Handsets that write to customers' numbers. smsroute/sim/mobile.py, `smsroute sim carrier --mo-rate`."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.sim.mobile import Mobile
from smsroute.smpp import handset
from smsroute.smpp.codec import Pdu, parse_sm
from smsroute.smpp.names import DELIVER_SM
from tests.house import house

MO = '\nmo:\n  - {name: code, to: ["38000"], esme: acme}\n'


async def test_they_write_at_their_rate(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """So many a second, no two alike, to each number in turn, until all are written; some in three parts."""
    async with house(tmp_path, mo=MO) as it:
        esme = it.platform(0)
        await trio.sleep(1)
        mobile = Mobile(it.carriers["orange"], 10.0, ("38000",), messages=50, long_share=0.3)
        began = trio.current_time()
        await mobile.run(it.ports)
        assert 4.9 < trio.current_time() - began < 5.2
        assert mobile.done
        await trio.sleep(1)
        read = [handset.read(Pdu(DELIVER_SM, 0, 1, body)) for body in esme.handset_texts]
        assert len({mo.body for mo in read}) == len(read) == it.engine.ledger.counts.arrived
        parts = [part for mo in read if (part := handset.part_of(mo.sm)) is not None]
        assert len(read) == 50 + 2 * len(parts) // 3
        assert {part[1:] for part in parts} == {(3, 1), (3, 2), (3, 3)}
        assert parse_sm(esme.handset_texts[0]).short_message.startswith((b"hello orange 1", b"\5\0\3"))


async def test_they_wait_for_a_bind(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What is written while no bind receives waits, in order, and goes once one does."""
    async with house(tmp_path, mo=MO, bind="mode: transmitter") as it:
        mobile = Mobile(it.carriers["orange"], 10.0, ("38000",), messages=3)
        with trio.move_on_after(5):
            await mobile.run(it.ports)
        assert (mobile.done, len(mobile.waiting)) == (False, 3)
