"""A wrong match is worse than none, and a receipt that was answered is never forgotten. smsroute/carriers/naming.py,
receipts.py, adopt.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from smsroute.carriers.naming import Naming
from smsroute.config import Dialect, Limits
from smsroute.message import Part, State
from smsroute.store.base import StoreError
from tests.carriers.mouth import MUTE, answered, says, submitted, text
from tests.carriers.mouth import told as told_in
from tests.house import House, Raw, house
from tests.ledger.desk import Desk

SILENT = {"orange": MUTE}
AUTO = "window: 50, rate: 1000/s, dialect: {ids: auto}"
EXACT = "window: 50, rate: 1000/s, dialect: {ids: exact}"
BY_NUMBER = "window: 50, rate: 1000/s, dialect: {match_by: destination}"
PLAIN = "window: 50, rate: 1000/s, dialect: {ids: exact, without_esm_class: true}"
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, id_repeats_max: 4, finished_in_memory_max: 0}"
A, B = "33612345678", "33698765432"


async def bound(it: House) -> Raw:
    raw = await it.dial()
    assert await raw.bind() == 0
    return raw


def gives(monkeypatch: pytest.MonkeyPatch, it: House, ids: Iterable[str]) -> None:
    """The carrier answers submits with these ids, one after the other."""
    turns: Iterator[str] = iter(ids)
    monkeypatch.setattr(it.carriers["orange"]._judge, "response_id", lambda number: next(turns))


async def taken(it: House, raw: Raw, *numbers: str) -> list[Part]:
    """Parts to these numbers, taken by the carrier in this order."""
    parts = []
    for number in numbers:
        parts.append(await submitted(it, raw, to=number))
        await trio.sleep(0.5)
    assert {part.state for part in parts} == {State.SUBMITTED}
    return parts


async def test_what_the_handset_contradicts_is_not_matched_under_a_learnt_rule(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of digits, learnt as they are written: a receipt for another handset is nobody's, whether it comes after the
    response or before it; the right one still ends the part."""
    async with house(tmp_path, carriers=SILENT, carrier=AUTO, limits=LIMITS) as it:
        gives(monkeypatch, it, (str(70_001 + 7919 * n) for n in range(99)))
        raw = await bound(it)
        for n in range(4):
            (part,) = await taken(it, raw, f"3361111111{n}")
            says(it, text(part.attempts[0].carrier_message_id, "DELIVRD"), handset=part.destination_addr)
            assert await told_in(raw, 3) == ["DELIVRD"]
        naming = it.engine.dispatch.stations["orange"].naming
        assert naming.learner.rule == "exact"
        (late,) = await taken(it, raw, A)
        says(it, text(late.attempts[0].carrier_message_id, "UNDELIV"), handset=B)
        says(it, text(str(70_001 + 7919 * 5), "UNDELIV"), handset=B)
        await trio.sleep(1)
        (early,) = await taken(it, raw, A)
        assert early.attempts[0].carrier_message_id == str(70_001 + 7919 * 5)
        assert (late.state, answered(it)) == (State.SUBMITTED, (6, 0))
        for part in (late, early):
            says(it, text(part.attempts[0].carrier_message_id, "DELIVRD"), handset=A)
            assert await told_in(raw, 3) == ["DELIVRD"]


async def test_m14_two_open_ones_and_a_number_in_another_form(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt writes the handset as people of its country do: that decides nothing, so of two open messages with
    one id neither is meant; with one of them ended it is the other."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        gives(monkeypatch, it, ["4294967295", "4294967295"])
        raw = await bound(it)
        older, newer = await taken(it, raw, A, B)
        says(it, text("4294967295", "UNDELIV"), handset=f"0{A[2:]}")
        assert await told_in(raw, 3) == []
        assert (older.state, newer.state) == (State.SUBMITTED, State.SUBMITTED)
        says(it, text("4294967295", "UNDELIV"), handset=B)
        assert await told_in(raw, 3) == ["UNDELIV"]
        says(it, text("4294967295", "DELIVRD"), handset=f"0{A[2:]}")
        assert await told_in(raw, 3) == ["DELIVRD"]
        assert (older.state, newer.state) == (State.DELIVERED, State.UNDELIVERABLE)


async def test_m10_a_void_id_names_nothing_in_the_store_either(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its early messages ended before it was found out and lie in the store: no receipt under it becomes a fact of
    theirs."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        gives(monkeypatch, it, ["same"] * 9)
        raw = await bound(it)
        (first,) = await taken(it, raw, A)
        says(it, text("same", "DELIVRD"), handset=A)
        assert await told_in(raw, 3) == ["DELIVRD"]
        with structlog.testing.capture_logs() as lines:
            await taken(it, raw, *(f"3361111111{n}" for n in range(4)))
            await trio.sleep(3)
        assert [(line["carrier"], line["id"]) for line in lines if line["event"] == "ids.void"] == [("orange", "same")]
        assert it.engine.ledger.ids.void and first.part_id not in it.engine.ledger.parts
        says(it, text("same", "UNDELIV"), handset="33611111110")
        await trio.sleep(3)
        counts = it.engine.ledger.counts
        assert (counts.receipts_late, counts.receipts_conflicting, answered(it)) == (0, 0, (2, 0))


async def test_d3_a_plain_receipt_is_not_lost_while_the_store_cannot_be_asked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is a receipt stands in the store, which is sick: neither a final error nor 0, so it comes again."""
    async with house(tmp_path, carriers=SILENT, carrier=PLAIN, limits=LIMITS) as it:
        gives(monkeypatch, it, ["a1"])
        raw = await bound(it)
        (part,) = await taken(it, raw, A)
        says(it, text("a1", "DELIVRD"), handset=A)
        assert await told_in(raw, 3) == ["DELIVRD"]
        await trio.sleep(3)
        assert part.part_id not in it.engine.ledger.parts
        find = it.store.find

        def fail(*_: Any) -> Any:
            raise StoreError("failed", "the disk is sick")

        monkeypatch.setattr("tests.carriers.mouth.RECEIPT", 0)
        monkeypatch.setattr(it.store, "find", fail)
        says(it, text("a1", "UNDELIV"), handset=A)
        await trio.sleep(2)
        assert answered(it) == (1, 1)
        monkeypatch.setattr(it.store, "find", find)
        await trio.sleep(10)
        assert (answered(it), it.engine.ledger.counts.receipts_late) == ((2, 1), 1)


async def test_o1_a_response_that_comes_while_the_store_is_asked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is learnt, the id is of digits: the receipt is parked just after its response was looked at, and finds
    its part all the same."""
    slow = MUTE.__class__(response_delay="fixed:1", receipts_lost=1.0)
    async with house(tmp_path, carriers={"orange": slow}, carrier=AUTO, limits=LIMITS) as it:
        gives(monkeypatch, it, ["437009229"])
        raw = await bound(it)
        part = await submitted(it, raw, to=A)
        await trio.sleep(0.9)
        find = it.engine.receipts._ports.blocking.run

        async def slowly(*args: Any) -> Any:
            found = await find(*args)
            if args[0] == it.store.find:
                await trio.sleep(0.5)
            return found

        monkeypatch.setattr(type(it.blocking), "run", staticmethod(slowly))
        says(it, text("437009229", "DELIVRD"), handset=A)
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert part.state == State.DELIVERED


async def test_o1_a_crash_between_a_response_and_what_it_explains(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response is durable, the Adopted that was to follow it is not: the next engine asks the parked ones."""
    slow = MUTE.__class__(response_delay="fixed:1", receipts_lost=1.0)
    async with house(tmp_path, carriers={"orange": slow}, carrier=AUTO, limits=LIMITS) as it:
        gives(monkeypatch, it, ["437009229"])
        raw = await bound(it)
        part = await submitted(it, raw, to=A)
        await trio.sleep(0.5)
        says(it, text("437009229", "DELIVRD"), handset=A)
        monkeypatch.setattr(it.engine.dispatch.adoption, "named", lambda *_: [])
        await trio.sleep(2)
        assert (part.state, len(it.engine.ledger.orphans)) == (State.SUBMITTED, 1)
        part_id = part.part_id
    monkeypatch.undo()
    async with house(tmp_path, carriers={"orange": slow}, carrier=AUTO, limits=LIMITS) as it:
        assert await told_in(await bound(it), 10) == ["DELIVRD"]
        story = it.store.story(part_id)
        assert (len(it.engine.ledger.orphans), story and story.state) in ((0, State.DELIVERED), (0, None))


async def test_a_parked_receipt_that_is_asked_again_is_no_further_evidence(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One receipt of another number, asked again with each response: one id that names a message to another number."""
    async with house(tmp_path, carriers=SILENT, carrier=AUTO, limits=LIMITS) as it:
        gives(monkeypatch, it, (str(70_001 + 7919 * n) for n in range(99)))
        raw = await bound(it)
        (first,) = await taken(it, raw, A)
        says(it, text(first.attempts[0].carrier_message_id, "DELIVRD"), handset=B)
        await trio.sleep(1)
        await taken(it, raw, B, B, B)
        learner = it.engine.dispatch.stations["orange"].naming.learner
        assert (learner.mismatched, len(it.engine.ledger.orphans)) == (1, 1)


async def test_m11_one_in_doubt_to_the_same_handset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`match_by: destination`: another message to that handset is in doubt, and the receipt may be its own: nobody is
    meant."""
    slow = MUTE.__class__(response_delay="fixed:1", receipts_lost=1.0)
    async with house(tmp_path, carriers={"orange": slow}, carrier=BY_NUMBER, limits=LIMITS) as it:
        gives(monkeypatch, it, [""] * 9)
        raw = await bound(it)
        doubted = await submitted(it, raw, to=A)
        await trio.sleep(0.5)
        it.carriers["orange"].drop_links()
        await trio.sleep(5)
        assert doubted.state == State.IN_DOUBT
        second = await submitted(it, raw, to=A, n=3)
        await trio.sleep(2)
        assert second.state == State.SUBMITTED
        says(it, text("whatever", "UNDELIV"), handset=A)
        assert await told_in(raw, 3) == []
        assert (doubted.state, second.state, answered(it)) == (State.IN_DOUBT, State.SUBMITTED, (1, 0))


def test_the_short_way_of_what_is_learnt_hears_contradictions_all_the_same() -> None:
    """Learnt as written, receipts are found in one look-up; three in a row that name their message otherwise make it
    forget, and one of them is enough to look at all that follows again."""
    desk = Desk()
    numbers = [f"336{n:08}" for n in range(12)]
    for n, number in enumerate(numbers):
        desk.submitted(f"P{n:02}", f"{0x1A0C3B4D + 7919 * n:08x}", to=number)
    naming = Naming("orange", Dialect(), Limits())
    learner = naming.learner

    def says_it(written: str, number: str) -> str:
        hit = naming.find([("text", written)], number, desk.ledger, 1.0)
        return hit[1][0].part_id if hit is not None else ""

    for n in range(4):
        key = f"{0x1A0C3B4D + 7919 * n:08x}"
        learner.response_key(key)
        assert says_it(key, numbers[n]) == f"P{n:02}"
    learner._sources["text"].sure = False  # as of ids that happen to show no letters
    assert learner.plain([("text", "1a0c3b4d")]) == "1a0c3b4d"
    for n in range(4, 7):
        assert learner.rule == "exact"
        assert says_it(str(0x1A0C3B4D + 7919 * n), numbers[n]) == ""
        assert learner.plain([("text", "1a0c3b4d")]) == ""
    assert (learner.rule, learner.unlearnt) == ("", 1)
