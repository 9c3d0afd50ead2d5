"""Receipts of every sort find their message once, or are parked and counted. smsroute/carriers/receipts.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.sim.temperament import Temperament
from tests.house import house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
SLOW = {"response_delay": "fixed:0.05", "receipt_delay": "fixed:0.3"}


@pytest.mark.parametrize("ids", ["hex", "decimal", "uuid", "hex-dec", "dec-hex"])
async def test_ids_in_each_dialect(tmp_path: Path, autojump_clock: trio.testing.MockClock, ids: str) -> None:
    """Ids written one way in the response and another in the receipt are matched, all of them, when the dialect says
    so."""
    rule = ids if "-" in ids else "exact"
    carriers = {"orange": Temperament(ids=ids, **SLOW)}
    async with house(
        tmp_path, carriers=carriers, carrier=f"window: 50, rate: 1000/s, dialect: {{ids: {rule}}}", esmes=ESME
    ) as it:
        esme = it.platform(300)
        await it.settle(esme)
        counts = it.engine.ledger.counts
        assert (counts.receipts_matched, counts.orphans_parked) == (300, 0)


async def test_receipts_before_their_response(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A receipt that overtakes its response is answered, parked and matched when the response names its id."""
    carriers = {"orange": Temperament(receipts_early="0.5", **SLOW)}
    async with house(tmp_path, carriers=carriers, esmes=ESME) as it:
        esme = it.platform(300)
        await it.settle(esme)
        await trio.sleep(1)
        counts = it.engine.ledger.counts
        assert counts.orphans_parked > 50
        assert counts.orphans_matched == counts.orphans_parked
        assert (counts.delivered, counts.told) == (300, 300)


async def test_doubled_receipts(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A receipt sent twice is answered twice, applied once, and told to the platform once."""
    carriers = {"orange": Temperament(receipts_doubled="0.5", **SLOW)}
    async with house(tmp_path, carriers=carriers, esmes=ESME) as it:
        esme = it.platform(300)
        await it.settle(esme)
        await trio.sleep(5)
        counts = it.engine.ledger.counts
        assert counts.receipts_duplicate > 50
        assert (counts.delivered, counts.told) == (300, 300)
        assert esme.counts["receipts_doubled_or_unknown"] == 0
        assert it.carriers["orange"].counts["receipts_answered"] == it.carriers["orange"].counts["receipts_sent"]


async def test_a_receipt_nobody_knows(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A receipt with an unknown id is answered 0, parked and counted: an error would make the carrier send it for
    hours."""
    carriers = {"orange": Temperament(ids="hex-dec", **SLOW)}
    exact = "window: 50, rate: 1000/s, dialect: {ids: exact}"
    async with house(tmp_path, carriers=carriers, carrier=exact, esmes=ESME) as it:
        it.platform(1)
        await trio.sleep(5)
        orange = it.carriers["orange"].counts
        assert orange["receipts_answered"] == orange["receipts_sent"] == 1
        assert orange["receipts_refused"] == 0
        counts = it.engine.ledger.counts
        assert (counts.orphans_parked, counts.receipts_matched) == (1, 0)


async def test_a_message_from_a_handset(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that no rule of `mo:` owns is refused for good, counted, and never answered OK and dropped."""
    async with house(tmp_path, esmes=ESME) as it:
        await trio.sleep(1)
        assert it.carriers["orange"].mobile_originated("33612345678", "12345", b"id:5 stat:hello are you")
        await trio.sleep(1)
        assert it.engine.handsets.refused["orange"] == 1
        assert it.engine.ledger.counts.receipts == 0
        orange = it.carriers["orange"].counts
        assert (orange["receipts_given_up"], orange["receipts_answered"]) == (1, 0)


async def test_receipts_on_the_other_bind(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A receipt that comes over another bind of the account finds its message all the same."""
    carriers = {"orange": Temperament(receipts_elsewhere="0.5", **SLOW)}
    async with house(tmp_path, carriers=carriers, bind="count: 2", esmes=ESME) as it:
        esme = it.platform(300)
        await it.settle(esme)
        assert it.engine.ledger.counts.receipts_matched == 300
