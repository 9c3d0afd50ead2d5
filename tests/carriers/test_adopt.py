"""Parked receipts that find their attempt later. smsroute/carriers/adopt.py, naming.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import attrs
import pytest
import trio

from smsroute.carriers.adopt import agreement
from smsroute.message import Attempt, Part, Receipted, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from smsroute.smpp.learn import Learner
from smsroute.store.base import StoreError
from smsroute.store.sqlite import open_store
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, adopt_after: 5s}"
NUMBER = "33600000001"
EXACT = "window: 20, rate: 500/s, dialect: {ids: exact}"


@pytest.mark.parametrize("ids", ["hex", "decimal", "uuid", "hex-dec", "dec-hex"])
async def test_auto_learns_each_form_and_loses_no_receipt(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, ids: str
) -> None:
    """Without a word in the config every receipt finds its message, the first ones included: what was not sure waited
    until it was."""
    carriers = {"orange": Temperament(ids=ids, response_delay="fixed:0.05", receipt_delay="fixed:0.3")}
    async with house(tmp_path, carriers=carriers, esmes=ESME) as it:
        esme = it.platform(300)
        await it.settle(esme)
        counts = it.engine.ledger.counts
        assert (counts.delivered, len(it.engine.ledger.orphans)) == (300, 0)
        learner = it.engine.dispatch.stations["orange"].naming.learner
        assert learner.rule == (ids if "-" in ids else "exact")


@pytest.mark.parametrize("ids", ["hex", "hex-dec"])
async def test_o1_early_receipts_are_found_whatever_form_their_response_has(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, ids: str
) -> None:
    """Half of the receipts overtake their response while nothing is learnt yet."""
    carriers = {
        "orange": Temperament(ids=ids, receipts_early="0.5", response_delay="fixed:0.05", receipt_delay="fixed:0.3")
    }
    async with house(tmp_path, carriers=carriers, esmes=ESME, limits=LIMITS) as it:
        esme = it.platform(300)
        await it.settle(esme)
        await trio.sleep(10)
        counts = it.engine.ledger.counts
        assert counts.orphans_parked > 50
        assert (counts.delivered, counts.told, len(it.engine.ledger.orphans)) == (300, 300, 0)


CASE = Temperament(ids="upper-lower", response_delay="fixed:0.05", receipt_delay="fixed:0.3", first_id=0x50FB0800)


async def test_what_was_not_believed_for_want_of_others_is_asked_again_once_there_are_enough(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Ids that differ in case are believed from the sixteenth on: with it those that waited are, too."""
    one_by_one = attrs.evolve(CASE, receipt_delay="normal:4:1")
    async with house(tmp_path, carriers={"orange": one_by_one}, esmes=ESME, limits=LIMITS) as it:
        await it.settle(it.platform(16), 20)
        counts = it.engine.ledger.counts
        assert (counts.delivered, counts.orphans_parked, len(it.engine.ledger.orphans)) == (16, 15, 0)


async def test_what_was_found_while_the_disk_was_sick_is_true_once_it_is_well(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Enough ids were seen, those that wait are asked again, and the disk takes nothing: found once, told when it
    heals."""

    def refuse(name: str) -> None:
        if name == "append":
            raise StoreError("full", "no room")

    one_by_one = attrs.evolve(CASE, receipt_delay="normal:4:1")
    limits = LIMITS.replace("sweep_interval: 100ms", "sweep_interval: 3s")
    async with house(tmp_path, carriers={"orange": one_by_one}, esmes=ESME, limits=limits) as it:
        platform, counts = it.platform(16), it.engine.ledger.counts
        with trio.fail_after(20):
            await platform.wait_for(lambda esme: esme.report()["told"] == 1)
        assert len(it.engine.ledger.orphans) == 15
        it.blocking.refuse = refuse
        await trio.sleep(5)
        waiting = it.engine.journal.waiting
        await trio.sleep(10)
        assert (counts.delivered, it.engine.journal.waiting) == (1, waiting), "said once, however long it lasts"
        it.blocking.refuse = None
        await it.settle(platform, 10)
        assert (counts.delivered, counts.orphans_adopted, len(it.engine.ledger.orphans)) == (16, 15, 0)


async def test_what_the_last_engine_saw_counts_though_power_took_its_notes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Twelve messages, all parked; power fails, and what was noted of ids is gone. The next engine hears of eight: too
    few, but for the twelve that are open and their receipts that wait."""
    async with house(tmp_path, carriers={"orange": CASE}, esmes=ESME, limits=LIMITS) as it:
        it.platform(12)
        await trio.sleep(3)
        assert len(it.engine.ledger.orphans) == 12
    with closing(open_store(f"sqlite:{tmp_path / 'store'}", "n1")) as store:
        store.keep("ids/orange", Learner().keep())
    later = attrs.evolve(CASE, first_id=0x50FB0900)
    async with house(tmp_path, carriers={"orange": later}, esmes=ESME, limits=LIMITS) as it:
        await it.settle(it.platform(8), 20)
        await trio.sleep(3)
        assert {State(part.state) for part in it.engine.ledger.parts.values()} == {State.DELIVERED}
        assert len(it.engine.ledger.orphans) == 0


async def in_doubt(it: House, said: bytes) -> str:
    """A message that the carrier has, whose response dies with its link."""
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    body = build_sm(source_addr="SHOP", destination_addr=NUMBER, registered_delivery=1, short_message=said)
    status, message_id = await raw.submit(body)
    assert status == 0
    return message_id


async def test_a_receipt_finds_the_one_attempt_in_doubt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The response dies with its link, the receipt comes over the next one and quotes the text: the part ends as it
    says, long before its validity, and the story tells how it was found."""
    slow = Temperament(response_delay="fixed:2", receipt_delay="fixed:4")
    async with house(tmp_path, carriers={"orange": slow}, carrier=EXACT, esmes=ESME, limits=LIMITS) as it:
        message_id = await in_doubt(it, b"Your code is 4821, do not tell")
        await trio.sleep(1)
        it.carriers["orange"].drop_links()
        await trio.sleep(20)
        part = it.engine.ledger.parts[message_id]
        assert (part.state, part.attempts[0].blame) == (State.DELIVERED, -1)
        assert any("orange's receipt quotes its text" in fact for fact in part.facts)
        assert it.engine.ledger.counts.orphans_adopted == 1


async def test_nothing_is_adopted_while_ids_are_not_understood(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The message never reached the carrier; another one to that handset begins alike, and its id is in a form nobody
    has learnt: its receipt is not taken for that of the first."""
    forms = {"orange": Temperament(ids="hex-dec", response_delay="fixed:2", receipt_delay="fixed:4")}
    async with house(tmp_path, carriers=forms, esmes=ESME, limits=LIMITS) as it:
        lost = await in_doubt(it, b"Dear customer, your balance is 17")
        await trio.sleep(1)
        it.carriers["orange"].drop_links()
        await trio.sleep(3)
        await in_doubt(it, b"Dear customer, your balance is 42")
        await trio.sleep(20)
        assert it.engine.ledger.parts[lost].state == State.IN_DOUBT


async def test_two_that_one_receipt_could_mean_are_left_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The same text to the same handset twice, both in doubt: nobody is told of the other's fate."""
    slow = Temperament(response_delay="fixed:2", receipt_delay="fixed:4")
    async with house(tmp_path, carriers={"orange": slow}, carrier=EXACT, esmes=ESME, limits=LIMITS) as it:
        sent = [await in_doubt(it, b"Your code is 4821, do not tell") for _ in range(2)]
        await trio.sleep(1)
        it.carriers["orange"].drop_links()
        await trio.sleep(20)
        assert {it.engine.ledger.parts[message_id].state for message_id in sent} == {State.IN_DOUBT}
        assert len(it.engine.ledger.orphans) == 2


async def test_a_late_response_names_it_before_anybody_guesses(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The receipt is there, the response timer has run out, and the response comes all the same: it is the witness."""
    slow = Temperament(response_delay="fixed:12", receipt_delay="fixed:0.1", receipts_early="1")
    async with house(tmp_path, carriers={"orange": slow}, esmes=ESME, limits=LIMITS.replace("5s", "60s")) as it:
        message_id = await in_doubt(it, b"Your code is 4821, do not tell")
        await trio.sleep(11)
        assert it.engine.ledger.parts[message_id].state == State.IN_DOUBT
        await trio.sleep(5)
        part = it.engine.ledger.parts[message_id]
        assert (part.state, part.attempts[0].blame) == (State.DELIVERED, 0)
        assert part.attempts[0].named_at == 0.0


BODY = build_sm(source_addr="SHOP", destination_addr=NUMBER, short_message=b"Your code is 4821, do not tell")


@pytest.mark.parametrize(
    ("text", "submitted_at", "came_at", "fits"),
    [
        ("Your code is 4821, d", 0.0, 110.0, True),
        ("your CODE is 4821? d", 0.0, 110.0, True),
        ("Your code is 9999, d", 100.0, 110.0, False),
        ("Your", 0.0, 110.0, False),
        ("Your", 130.0, 110.0, True),
        ("Mine", 130.0, 110.0, False),
        ("", 60.0, 110.0, True),
        ("Your code is 4821, d", 3600.0 + 400.0, 110.0, False),
        ("Your code is 4821, d", 3600.0 + 60.0, 110.0, True),
        ("", 3600.0, 110.0, False),
        ("", 0.0, 110.0, False),
        ("Your code is 4821, d", 100.0, 99.0, False),
    ],
)
def test_the_number_alone_is_never_enough(text: str, submitted_at: float, came_at: float, fits: bool) -> None:
    """Text, or time where it quotes none; a text that differs speaks against it whatever the time says, and a receipt
    older than the attempt is of another one."""
    part = Part("P1", "acme", 99.0, 2, "SHOP", NUMBER, BODY, BODY.index(NUMBER.encode()) + len(NUMBER) + 1, 1, 999.0)
    part.attempts.append(Attempt(100.0, "orange", "orange-1", "all", doubted="link cut"))
    orphan = Receipted(
        "orange",
        came_at,
        [],
        State.DELIVERED,
        "",
        "",
        NUMBER,
        ids=[("text", "7")],
        text=text,
        submitted_at=submitted_at,
    )
    assert bool(agreement(orphan, (part, 0), 90.0)) == fits


def test_a_text_that_was_let_go_speaks_neither_way() -> None:
    """A part that has ended keeps its addresses only: a receipt's text is neither its own nor another's, and its date
    decides."""
    text_at = BODY.index(NUMBER.encode()) + len(NUMBER) + 1
    part = Part("P1", "acme", 99.0, 2, "SHOP", NUMBER, BODY[:text_at], text_at, 1, 999.0)
    part.attempts.append(Attempt(100.0, "orange", "orange-1", "all", doubted="link cut"))
    orphan = Receipted(
        "orange", 110.0, [], State.DELIVERED, "", "", NUMBER, text="Your code is 9999", submitted_at=101.0
    )
    assert agreement(orphan, (part, 0), 90.0) == "receipt names the time it was sent"
    part.body = BODY
    assert agreement(orphan, (part, 0), 90.0) == ""
