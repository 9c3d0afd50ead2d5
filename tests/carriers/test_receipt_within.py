"""`receipt_within`: how long a carrier's receipts take at most. smsroute/queues.py, carriers/sweep.py, query.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp.codec import build_sm
from tests.carriers.test_query import receipt
from tests.house import House, Raw, house
from tests.ledger.desk import Desk

LATE = "no receipt came within the carrier's receipt_within"
LIMITS = (
    "{sweep_interval: 100ms, receipt_grace: 30s, esme_enquire_link: 0s, "
    "query_after: 10h, query_interval: 60s, query_wait: 30s, queries_max: 3}"
)
SLOW = {"orange": Temperament(response_delay="fixed:0.1", receipt_delay="fixed:300", query_sm=True)}


def keys(within: str, more: str = "") -> str:
    return f"window: 20, rate: 500/s, dialect: {{receipt_within: {within}}}{more}"


async def submitted(it: House, validity: str = "") -> tuple[Raw, Part]:
    """A part the carrier has taken, and who asked for it."""
    raw = await it.dial()
    assert await raw.bind() == 0
    body = build_sm(
        source_addr="SHOP",
        source_addr_ton=5,
        destination_addr="33612345678",
        registered_delivery=1,
        short_message=b"hello",
        validity_period=validity,
    )
    status, message_id = await raw.submit(body)
    assert status == 0
    await trio.sleep(1)
    return raw, it.engine.ledger.parts[message_id]


async def test_later_none_is_expected(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The part ends UNKNOWN that long after its response, a day before its validity and grace; its ESME is told so,
    and the receipt that comes all the same is a fact."""
    async with house(tmp_path, carriers=SLOW, carrier=keys("60s"), limits=LIMITS) as it:
        raw, part = await submitted(it)
        assert b"stat:UNKNOWN" in await receipt(raw)
        assert (part.state, part.why) == (State.UNKNOWN, LATE)
        assert 60 <= part.ended_at - part.attempts[0].responded_at <= 60 + 11
        await trio.sleep(300)
        assert part.state == State.UNKNOWN
        assert [fact.partition(" ")[2] for fact in part.facts] == ["orange says DELIVRD 000 after the end"]


async def test_it_may_be_longer_than_validity_and_grace(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier known to be slow is waited for."""
    async with house(tmp_path, carriers=SLOW, carrier=keys("10m"), limits=LIMITS) as it:
        raw, part = await submitted(it, validity="000000000015000R")
        assert b"stat:DELIVRD" in await receipt(raw)
        assert part.ended_at > part.expires_at + 200


@pytest.mark.parametrize("told", [True, False])
async def test_a_carrier_that_can_be_asked_is_asked_first(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, told: bool
) -> None:
    """Its word is the end; without one it is UNKNOWN, with that for a reason."""
    async with house(tmp_path, carriers=SLOW, carrier=keys("60s", ", query_sm: true"), limits=LIMITS) as it:
        raw, part = await submitted(it)
        for submit in it.carriers["orange"]._asked._taken.values():
            submit.told = told
        await receipt(raw)
        assert it.carriers["orange"].counts["queries"] == 1
        assert part.state == (State.DELIVERED if told else State.UNKNOWN)
        assert told or part.why == f"{LATE}, and the carrier, asked, told no end"


async def test_it_holds_over_a_restart(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It is the part's own: the next engine keeps to it, whatever its config says of parts to come."""
    async with house(tmp_path, carriers=SLOW, carrier=keys("60s"), limits=LIMITS) as it:
        _, before = await submitted(it)
    async with house(tmp_path, carriers=SLOW, carrier=keys("0s"), limits=LIMITS) as it:
        part = it.engine.ledger.parts[before.part_id]
        assert part.state == State.SUBMITTED
        await trio.sleep(80)
        assert (part.state, part.why) == (State.UNKNOWN, LATE)
        assert 60 <= part.ended_at - part.attempts[0].responded_at <= 60 + 11


def overdue(desk: Desk, at: float) -> list[str]:
    """Whom nobody will tell of, by then."""
    return [part.part_id for part in desk.ledger.queues.overdue(at, 100.0, 1000)[1]]


@pytest.mark.parametrize("within_s", [20.0, 500.0, 0.0])
def test_the_carrier_that_took_it_says(within_s: float) -> None:
    """A part that moved on has the next carrier's time. 0: validity and grace."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1", carrier="sfr")
    desk.attempt("P1", carrier="sfr")
    desk.take_within("P1", within_s, attempt=1)
    end = desk.now + within_s if within_s else desk["P1"].expires_at + 100.0
    assert overdue(desk, end - 1.0) == []
    assert overdue(desk, end + 11.0) == ["P1"]


def test_the_slowest_of_those_that_have_it_is_waited_for() -> None:
    """The first carrier answers late that it took it too: its receipt may still come."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1", carrier="sfr")
    desk.attempt("P1", carrier="sfr")
    desk.take_within("P1", 20.0, attempt=1)
    desk.take_within("P1", 500.0, attempt=0)
    assert overdue(desk, desk.now + 490.0) == []
    assert overdue(desk, desk.now + 511.0) == ["P1"]
