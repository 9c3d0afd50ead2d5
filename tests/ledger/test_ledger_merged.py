"""All parts of a message in one submit: one answer, one doubt, one receipt for all. ledger.py, receipting.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from smsroute.engine import recover
from smsroute.ledger import Ledger
from smsroute.message import (
    Accepted,
    Adopted,
    Attempted,
    Blame,
    Cause,
    MessageClass,
    Receipted,
    Responded,
    State,
    pack,
)
from smsroute.store.base import Checkpoint
from smsroute.store.sqlite import open_store
from tests.ledger.desk import NUMBER, Desk

PARTS = ["P1", "P2", "P3"]


def came(desk: Desk, *, notify: bool = False) -> None:
    """The parts of one message, the first of them last."""
    for number in (2, 3, 1):
        at = desk.tick()
        desk.say(
            Accepted(
                f"P{number}", at, "acme", MessageClass.INFO, "SHOP", NUMBER, b"address text", 7, 1, at + 60.0, "fr",
                "orange", "m 3", parts=3, number=number, notify=notify,
            )
        )  # fmt: skip


def go(desk: Desk, carrier: str = "orange") -> None:
    """They go as one."""
    desk.say(Attempted(desk.tick(), carrier, f"{carrier}-1", "fr", "cheapest", PARTS, merged=True))


def answer(desk: Desk, name: str, attempt: int = 0) -> None:
    """Taken: the others are written down before the one that has the name."""
    at = desk.tick()
    for part_id in PARTS[1:]:
        desk.say(Responded(part_id, attempt, at, Blame.OK, 0))
    desk.say(Responded("P1", attempt, at, Blame.OK, 0, name))


def twice() -> Desk:
    """In doubt, sent again as one, and taken both times."""
    desk = Desk()
    came(desk)
    go(desk)
    desk.doubt(*PARTS)
    desk.requeue(*PARTS)
    go(desk)
    answer(desk, "a1", 0)
    answer(desk, "a2", 1)
    return desk


def states(desk: Desk) -> list[State]:
    return [State(desk[part_id].state) for part_id in PARTS]


def test_one_receipt_ends_all() -> None:
    """Each part ends by it, and it is counted once."""
    desk = Desk()
    came(desk)
    go(desk)
    assert [(desk[one].attempts[0].lead, desk[one].attempts[0].led) for one in PARTS] == [
        ("", ("P2", "P3")), ("P1", ()), ("P1", ()),
    ]  # fmt: skip
    answer(desk, "a1")
    assert [desk.whose("a1"), len(desk.ledger.unnamed)] == ["P1", 0]
    desk.receipt("a1", state=State.UNDELIVERABLE, word="UNDELIV")
    assert states(desk) == [State.UNDELIVERABLE] * 3
    assert {desk[one].why for one in PARTS} == {"receipt from orange: UNDELIV"}
    counts = desk.ledger.counts
    assert (counts.receipts_matched, counts.receipts_of_sisters, counts.failed) == (1, 2, 3)
    assert desk.owed() == ["P1", "P2", "P3"]


def test_a_receipt_that_came_before_the_answer() -> None:
    """It waits under the name, and ends all parts when the answer brings it."""
    desk = Desk()
    came(desk)
    go(desk)
    desk.receipt("a1")
    assert (states(desk), len(desk.ledger.orphans)) == ([State.ATTEMPTED] * 3, 1)
    answer(desk, "a1")
    assert (states(desk), len(desk.ledger.orphans)) == ([State.DELIVERED] * 3, 0)


def test_a_word_on_the_way_is_each_part_s() -> None:
    """Whoever asked for such words hears it of each id it knows."""
    desk = Desk()
    came(desk, notify=True)
    go(desk)
    answer(desk, "a1")
    desk.say(Receipted("orange", desk.tick(), ["a1"], -1, "000", "ENROUTE", NUMBER, "P1", passing=1))
    assert [desk[one].notice is not None for one in PARTS] == [True] * 3
    assert desk.ledger.counts.receipts_intermediate == 1


def test_bad_news_of_an_earlier_submit_waits_for_the_later_one() -> None:
    """What the first submit says ends nothing while the second may deliver."""
    desk = twice()
    desk.receipt("a1", state=State.UNDELIVERABLE, word="UNDELIV")
    assert states(desk) == [State.SUBMITTED] * 3
    assert [desk[one].attempts[0].told for one in PARTS] == [State.UNDELIVERABLE] * 3
    desk.receipt("a2")
    assert states(desk) == [State.DELIVERED] * 3


def test_good_news_of_the_earlier_one_ends_all_and_bad_news_of_the_later_does_not() -> None:
    """Whichever submit delivers: the other's failure is a fact."""
    desk = twice()
    desk.receipt("a2", state=State.UNDELIVERABLE, word="UNDELIV")
    assert states(desk) == [State.SUBMITTED] * 3
    desk.receipt("a1")
    assert states(desk) == [State.DELIVERED] * 3


def test_the_first_alone_may_be_found_by_its_handset() -> None:
    """In doubt, one attempt waits for a name, not three: a parked receipt that is its finds it, and ends all."""
    desk = Desk()
    came(desk)
    go(desk)
    desk.doubt(*PARTS)
    assert [(part.part_id, at) for part, at in desk.ledger.unnamed.to("orange", NUMBER)] == [("P1", 0)]
    desk.say(Receipted("orange", desk.tick(), ["x9"], State.DELIVERED, "000", "DELIVRD", NUMBER, ids=[("text", "x9")]))
    desk.say(Adopted("orange", "x9", "P1", 0, desk.tick(), "never answered, but orange's receipt quotes its text"))
    assert (states(desk), desk.whose("x9")) == ([State.DELIVERED] * 3, "P1")


@pytest.mark.parametrize("known", [True, False])
def test_when_we_ended_the_first_the_others_come_to_their_own_end(known: bool) -> None:
    """Its receipt is late then, and says nothing of them: one that has let go of it must end alike."""
    desk = Desk()
    came(desk)
    go(desk)
    answer(desk, "a1")
    desk.finish("P1", cause=Cause.GIVEN_UP)
    if not known:
        desk.tell("P1")
        desk.ledger.take()
        desk.ledger.forget(0)
    desk.receipt("a1", part_id="P1")
    assert [desk[one].state for one in PARTS[1:]] == [State.SUBMITTED] * 2


def test_a_set_that_is_not_whole_never_left() -> None:
    """One ended while the attempt was written down: the others take theirs back, and are due."""
    desk = Desk()
    came(desk)
    desk.finish("P1", cause=Cause.CANCELLED)
    go(desk)
    desk.withdraw(*PARTS)
    assert states(desk) == [State.DELETED, State.DUE, State.DUE]
    pin = desk.ledger.multiparts.get("m 3")
    assert pin is not None
    assert (pin.went, pin.carrier) == (0, "")


def test_the_store_keeps_whose_submit_it_was(tmp_path: Path) -> None:
    """An attempt read back from the history has no id, and names the part that has it; after a restart it waits for no
    name."""
    desk = Desk()
    came(desk)
    go(desk)
    answer(desk, "a1")
    desk.receipt("a1")
    desk.tell(*PARTS)
    with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
        store.append(1, pack(desk.events))
        changes = desk.ledger.take()
        store.checkpoint(Checkpoint(1, changes.open, PARTS, changes.at_rest, changes.state))
        told = [store.story(part_id) for part_id in PARTS]
        assert [one.attempts[0].lead for one in told if one is not None] == ["", "P1", "P1"]
        ledger = Ledger(**desk.limits)
        recover(store, ledger)
        assert len(ledger.unnamed) == 0
