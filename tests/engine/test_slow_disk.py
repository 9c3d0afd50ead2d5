"""A disk that stalls without failing: what peers said meanwhile stands in the sockets, unread, and is no silence of
theirs. smsroute/link.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.message import State
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Temperament
from tests.house import house

KIND = Temperament(response_delay="fixed:0.3", receipt_delay="fixed:0.5")
ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'


async def test_a_stalled_disk_is_not_a_silent_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A commit that takes longer than `response_timeout` puts nothing in doubt: the answers came in time."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        esme = it.platform(300, settings=EsmeSettings(rate=40))
        await trio.sleep(4)
        usual, it.blocking.latency_s = it.blocking.latency_s, (15.0, 15.0)
        await trio.sleep(1)
        it.blocking.latency_s = usual
        await it.settle(esme)
        await trio.sleep(1)
        ledger = it.engine.ledger
        assert ledger.counts.doubted == 0
        assert esme.counts["receipts_doubled_or_unknown"] == 0
        assert ledger.counts.delivered == 300
        assert not any(attempt.doubted for part in ledger.parts.values() for attempt in part.attempts)
        assert ledger.by_state[State.DELIVERED] == 300
