"""Routes that stop matching while parts wait: nothing is stranded, nothing is lost. smsroute/carriers/dispatch.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from smsroute.message import State
from smsroute.routing.outcome import Word
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from tests.house import House, Raw, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
SLOW = Temperament(response_delay="fixed:40", receipt_delay="fixed:0.5")
LATE = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:60")
TWO = {"orange": KIND, "blue": KIND}
ONE_AT_A_TIME = "window: 1, rate: 50/s, response_timeout: 60s"
DAY = '- {name: day, to: ["33"], hours: ["08:00-20:00"], carriers: [{carrier: orange}]}\n'
NIGHT = '  - {name: night, to: ["33"], carriers: [{carrier: blue}]}\n'
EVENING = datetime(2026, 3, 4, 19, 59, 30, tzinfo=UTC).timestamp()


def body(data_coding: int = 0) -> bytes:
    """A submit_sm that wants a receipt."""
    return build_sm(
        destination_addr="33612345678", registered_delivery=1, short_message=b"\0h\0i", data_coding=data_coding
    )


async def bound(it: House, wall: float = EVENING) -> Raw:
    """A platform that only submits, at this time of day."""
    it.clock.step(wall - it.clock.wall())
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    return raw


async def three(raw: Raw) -> list[str]:
    """One that goes at once and two that wait behind it."""
    sent = [await raw.submit(body(), number) for number in range(2, 5)]
    assert [status for status, _ in sent] == [0, 0, 0]
    return [message_id for _, message_id in sent]


async def test_what_no_route_takes_at_this_hour_is_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A new message outside all hours gets its answer now (law 1), and is taken a minute later when hours begin."""
    async with house(tmp_path, routes=DAY) as it:
        raw = await bound(it, EVENING - 12 * 3600)  # 07:59:30
        assert (await raw.submit(body(), 2))[0] == names.ESME_RINVDSTADR
        await trio.sleep(31)
        assert (await raw.submit(body(), 3))[0] == 0


async def test_those_that_wait_go_by_the_route_that_speaks_now(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """When hours end, parts that still wait take the way a new message would take, each with the reason; what was sent
    stays where it went."""
    async with house(tmp_path, carriers={**TWO, "orange": SLOW}, routes=DAY + NIGHT, carrier=ONE_AT_A_TIME) as it:
        raw = await bound(it)
        first, *others = await three(raw)
        await trio.sleep(29)
        assert [it.engine.ledger.parts[one].carrier for one in others] == ["orange", "orange"]
        await trio.sleep(60)
        parts = [it.engine.ledger.parts[one] for one in (first, *others)]
        assert [(part.state, part.carrier, part.route) for part in parts] == [
            (State.DELIVERED, "orange", "day"),
            (State.DELIVERED, "blue", "night"),
            (State.DELIVERED, "blue", "night"),
        ]
        assert all("orange to blue: not of route night, which speaks for it now" in part.facts[0] for part in parts[1:])


@pytest.mark.parametrize("others", ["", '  - {name: abroad, to: ["44"], carriers: [{carrier: blue}]}\n'])
async def test_those_no_route_would_take_now_stay_with_the_one_that_accepted_them(
    others: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """When hours end and no route takes their place, parts that were accepted go by the route they were accepted by."""
    async with house(tmp_path, carriers={**TWO, "orange": SLOW}, routes=DAY + others, carrier=ONE_AT_A_TIME) as it:
        raw = await bound(it)
        waiting = await three(raw)
        await trio.sleep(180)
        parts = [it.engine.ledger.parts[one] for one in waiting]
        assert [(part.state, part.carrier, part.route) for part in parts] == [(State.DELIVERED, "orange", "day")] * 3
        assert (await (await bound(it, it.clock.wall())).submit(body()))[0] == names.ESME_RINVDSTADR


async def test_they_keep_their_backups_too(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A part whose route is out of hours moves off a carrier that is drained, as it would have before."""
    routes = DAY.replace("orange}]", "orange}], backup: [{carrier: blue}]")
    async with house(tmp_path, carriers={**TWO, "orange": SLOW}, routes=routes, carrier=ONE_AT_A_TIME) as it:
        raw = await bound(it)
        it.engine.dispatch.stations["blue"].drained = "a test"
        waiting = await three(raw)
        await trio.sleep(35)
        stations = it.engine.dispatch.stations
        stations["orange"].drained, stations["blue"].drained = "a test", ""
        it.engine.dispatch.wake(stations)
        await trio.sleep(30)
        parts = [it.engine.ledger.parts[one] for one in waiting[1:]]
        assert [(part.state, part.carrier, part.route) for part in parts] == [(State.DELIVERED, "blue", "day")] * 2


async def test_a_receipt_speaks_for_the_network_the_part_went_by(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt that comes after hours is heard for the network of the route its part took, not of another's."""
    routes = DAY.replace('"33"', "fr") + NIGHT.replace('"33"', '"336"')
    (tmp_path / "networks.yaml").write_text('networks: {fr: {prefixes: ["3361"]}}\n')
    async with house(tmp_path, carriers={**TWO, "orange": LATE}, routes=routes) as it:
        heard: list[tuple[str, Word]] = []
        dossier = it.engine.dispatch.stations["orange"].dossier
        tell = dossier.receipts

        def listen(network: str, word: Word, delays_s: list[float], now: float) -> None:
            heard.append((network, word))
            tell(network, word, delays_s, now)

        monkeypatch.setattr(dossier, "receipts", listen)
        raw = await bound(it)
        assert (await raw.submit(body(), 2))[0] == 0
        await trio.sleep(90)
        assert heard == [("fr", Word.DELIVERED)]


async def test_a_part_that_waits_is_matched_by_its_data_coding(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What a rule asks of data_coding holds for a part that waits as it did at the door."""
    routes = (
        '- {name: ucs2, to: ["33"], data_codings: [8], carriers: [{carrier: blue}]}\n'
        '  - {name: rest, to: ["33"], carriers: [{carrier: orange}]}'
    )
    async with house(tmp_path, carriers=TWO, routes=routes) as it:
        raw = await bound(it)
        stations = it.engine.dispatch.stations
        stations["blue"].drained = "a test"
        sent = [(await raw.submit(body(coding), number))[1] for number, coding in ((2, 8), (3, 0))]
        await trio.sleep(5)
        stations["blue"].drained = ""
        it.engine.dispatch.wake(stations)
        await trio.sleep(5)
        parts = [it.engine.ledger.parts[one] for one in sent]
        assert [(part.state, part.carrier, part.route) for part in parts] == [
            (State.DELIVERED, "blue", "ucs2"),
            (State.DELIVERED, "orange", "rest"),
        ]
