"""Receipts early, twice, contrary, out of order, on another bind, for nobody: rows O1 to O11 of the quirks, end to end.
smsroute/carriers/receipts.py, ledger.py."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp.states import SENDS, Role, SessionState
from tests.carriers.mouth import MUTE, answered, says, submitted, text
from tests.carriers.mouth import told as told_in
from tests.house import House, Raw, house

SILENT = {"orange": MUTE}
EXACT = "window: 50, rate: 1000/s, dialect: {ids: exact}"
FORGETS = "{checkpoint_interval: 1s, sweep_interval: 100ms, finished_in_memory_max: 0}"
AN_ID = "5EED-01"


def named(part: Part) -> str:
    return part.attempts[-1].carrier_message_id


def facts(part: Part) -> list[str]:
    """What is kept of what changed nothing, without times."""
    return [fact.partition(" ")[2] for fact in part.facts]


def odd(it: House) -> dict[str, int]:
    return dict(it.engine.dispatch.stations["orange"].tally.overall.odd)


async def bound(it: House) -> Raw:
    raw = await it.dial()
    assert await raw.bind() == 0
    return raw


async def taken(it: House, raw: Raw, n: int = 2) -> Part:
    """A part the carrier has taken."""
    part = await submitted(it, raw, n=n)
    await trio.sleep(1)
    assert part.state == State.SUBMITTED
    return part


async def test_o1_a_receipt_before_its_response(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered 0 at once and parked; it ends its part, and is told, when the response names its id."""
    slow = {"orange": attrs.evolve(MUTE, response_delay="fixed:5")}
    async with house(tmp_path, carriers=slow, carrier=EXACT) as it:
        monkeypatch.setattr(it.carriers["orange"]._judge, "response_id", lambda number: AN_ID)
        raw = await bound(it)
        part = await submitted(it, raw)
        says(it, text(AN_ID, "DELIVRD"))
        assert await told_in(raw, 3) == []
        assert (answered(it), part.state, len(it.engine.ledger.orphans)) == ((1, 0), State.ATTEMPTED, 1)
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (part.state, len(it.engine.ledger.orphans)) == (State.DELIVERED, 0)


async def test_o1_it_waits_over_a_restart(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is parked is durable: the engine that is there when the response comes matches it."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        says(it, text(AN_ID, "UNDELIV", "027"))
        await trio.sleep(1)
        assert (answered(it), len(it.engine.ledger.orphans)) == ((1, 0), 1)
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        monkeypatch.setattr(it.carriers["orange"]._judge, "response_id", lambda number: AN_ID)
        raw = await bound(it)
        part = await submitted(it, raw)
        assert await told_in(raw, 5) == ["UNDELIV"]
        assert (part.state, part.err) == (State.UNDELIVERABLE, "027")


@pytest.mark.parametrize("limits", ["{checkpoint_interval: 1s, sweep_interval: 100ms}", FORGETS])
async def test_o2_a_receipt_sent_again(tmp_path: Path, autojump_clock: trio.testing.MockClock, limits: str) -> None:
    """Answered 0 each time, told to its ESME once: while the part is in memory, and when the store alone knows it."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=limits) as it:
        raw = await bound(it)
        part = await taken(it, raw)
        for _ in range(3):
            says(it, text(named(part), "DELIVRD"))
            await trio.sleep(0.1)
        assert await told_in(raw, 10) == ["DELIVRD"]
        assert (part.part_id in it.engine.ledger.parts) == (limits is not FORGETS)
        says(it, text(named(part), "DELIVRD"))
        assert await told_in(raw, 10) == []
        counts = it.engine.ledger.counts
        late = limits is FORGETS
        assert (counts.receipts_matched, counts.receipts_duplicate, counts.receipts_late) == (1, 3 - late, late)
        assert (answered(it), len(it.engine.ledger.orphans), odd(it)) == ((4, 0), 0, {})


async def test_o3_what_waited_at_the_carrier_comes_with_the_next_bind(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The account was away: its receipts come over a bind that knows nothing of the messages, and find them all."""
    slow = {"orange": Temperament(response_delay="fixed:0.02", receipt_delay="fixed:20")}
    async with house(tmp_path, carriers=slow, carrier=EXACT) as it:
        esme = it.platform(50)
        with trio.fail_after(15):
            await esme.wait_for(lambda esme: esme.submitted_all)
        await trio.sleep(2)
        it.carriers["orange"].drop_links()
        await it.settle(esme)
        await trio.sleep(1)
        counts = it.engine.ledger.counts
        assert (counts.receipts_matched, counts.told, counts.orphans_parked) == (50, 50, 0)


@pytest.mark.parametrize(("first", "second"), [("DELIVRD", "UNDELIV"), ("UNDELIV", "DELIVRD")])
async def test_o4_a_last_word_after_another(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, first: str, second: str
) -> None:
    """The first stands and is told, the second is answered 0, kept as a fact, and counted as an anomaly."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        raw = await bound(it)
        part = await taken(it, raw)
        says(it, text(named(part), first))
        await trio.sleep(1)
        state = part.state
        says(it, text(named(part), second, "001"))
        assert await told_in(raw, 10) == [first]
        assert part.state == state == (State.DELIVERED if first == "DELIVRD" else State.UNDELIVERABLE)
        assert facts(part) == [f"orange says {second} 001 after the end"]
        assert (answered(it), odd(it)) == ((2, 0), {"final-after-final": 1})


async def test_o5_words_on_the_way_before_and_after_the_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """ENROUTE ends nothing; after the end it changes nothing, is no anomaly, and nobody is told of it."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        raw = await bound(it)
        part = await taken(it, raw)
        says(it, text(named(part), "ENROUTE"))
        await trio.sleep(1)
        assert (part.state, facts(part)) == (State.SUBMITTED, ["orange says ENROUTE"])
        says(it, text(named(part), "DELIVRD"))
        await trio.sleep(1)
        says(it, text(named(part), "ENROUTE"))
        assert await told_in(raw, 10) == ["DELIVRD"]
        assert (part.state, facts(part)) == (State.DELIVERED, ["orange says ENROUTE"])
        assert (answered(it), it.engine.ledger.counts.receipts_intermediate, odd(it)) == ((3, 0), 2, {})


async def test_o7_a_receipt_on_another_bind_of_the_account(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Ids belong to the account: whichever of its binds brings a receipt, it finds its message."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, bind="count: 3") as it:
        raw = await bound(it)
        for bind in range(3):
            part = await taken(it, raw, 2 + bind)
            says(it, text(named(part), "DELIVRD"), bind=bind)
            assert await told_in(raw, 5) == ["DELIVRD"]
        by = {part.attempts[0].bind for part in it.engine.ledger.parts.values()}
        assert (len(by) < 3, it.engine.ledger.counts.receipts_matched) == (True, 3)


async def test_o8_a_receipt_over_a_transmitter_bind(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a receipt all the same: answered 0, not with ESME_RINVBNDSTS."""
    may_send = SENDS[Role.SMSC]  # our own carriers would not
    monkeypatch.setitem(may_send, SessionState.BOUND_TX, may_send[SessionState.BOUND_RX])
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, bind="mode: transmitter") as it:
        raw = await bound(it)
        part = await taken(it, raw)
        says(it, text(named(part), "DELIVRD"))
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (answered(it), part.state) == ((1, 0), State.DELIVERED)


async def test_o10_an_id_nobody_knows(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Answered 0, each time it comes: an error would make the carrier send it for hours. Parked once, and aged out."""
    limits = "{checkpoint_interval: 1s, sweep_interval: 100ms, orphan_ttl: 60s}"
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=limits) as it:
        for _ in range(3):
            says(it, text("nobody-gave-it", "DELIVRD"))
            await trio.sleep(1)
        counts = it.engine.ledger.counts
        assert (answered(it), len(it.engine.ledger.orphans), counts.orphans_parked) == ((3, 0), 1, 1)
        await trio.sleep(120)
        assert (len(it.engine.ledger.orphans), counts.orphans_aged) == (0, 1)


async def test_o11_a_retry_keeps_what_receipts_need(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Throttled for a while, then taken: the receipt of the attempt that was taken is matched, and told once."""
    throttles = {"orange": attrs.evolve(MUTE, error_share="1", error_statuses="ESME_RTHROTTLED")}
    async with house(tmp_path, carriers=throttles, carrier=EXACT) as it:
        raw = await bound(it)
        part = await submitted(it, raw)
        await trio.sleep(5)
        assert (part.state, named(part) if part.attempts else "") != (State.SUBMITTED, "")
        it.carriers["orange"].temperament = MUTE
        await trio.sleep(10)
        assert part.state == State.SUBMITTED
        says(it, text(named(part), "DELIVRD"))
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (part.state, len(part.attempts) > 1) == (State.DELIVERED, True)


async def test_o11_a_resend_keeps_what_the_first_attempt_is_called(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Answered too late and sent again elsewhere: a receipt of the first attempt still finds the message."""
    late = attrs.evolve(MUTE, response_delay="fixed:8")
    carrier = "window: 20, rate: 500/s, response_timeout: 3s, dialect: {ids: exact}"
    routes = (
        '- {name: all, to: [""], in_doubt: {default: {resend_after: 2s}}, '
        "carriers: [{carrier: orange, cost: 0.03, certified: true}], "
        "backup: [{carrier: other, cost: 0.05, certified: true}]}"
    )
    async with house(tmp_path, carriers={"orange": late, "other": MUTE}, carrier=carrier, routes=routes) as it:
        raw = await bound(it)
        part = await submitted(it, raw)
        await trio.sleep(20)
        assert [(one.carrier, bool(one.carrier_message_id)) for one in part.attempts] == [
            ("orange", True),
            ("other", True),
        ]
        says(it, text(part.attempts[0].carrier_message_id, "DELIVRD"))
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (part.state, part.why) == (State.DELIVERED, "receipt from orange: DELIVRD")
