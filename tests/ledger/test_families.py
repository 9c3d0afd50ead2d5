"""Parts of one message and the receipt that speaks for all: what it ends, and what it must leave alone."""

from __future__ import annotations

from smsroute.message import Accepted, Blame, Receipted, Responded, State
from tests.ledger.desk import NUMBER, Desk


def accept(desk: Desk, part_id: str, number: int, wants: int = 1) -> None:
    """Part `number` of a message of three."""
    desk.say(
        Accepted(
            part_id, desk.tick(), "acme", 2, "SHOP", NUMBER, b"address text", 7, wants, desk.now + 60, "fr", "orange",
            "m", parts=3, number=number,
        )
    )  # fmt: skip


def for_all(desk: Desk, key: str, state: State = State.DELIVERED) -> None:
    """A receipt that speaks for the whole message."""
    desk.say(Receipted("orange", desk.tick(), [key], state, "000", "WORD", NUMBER, whole=True))


def test_a_sister_not_known_to_be_there_is_untouched() -> None:
    """One due, one in doubt, one by another carrier: the receipt of the third ends none. The one in doubt ends when its
    response comes."""
    desk = Desk()
    for number in (1, 2, 3):
        accept(desk, f"P{number}", number)
    desk.attempt("P1", "P2")
    desk.take("P1", "a1")
    desk.doubt("P2")
    for_all(desk, "a1")
    assert [desk[f"P{number}"].state for number in (1, 2, 3)] == [State.DELIVERED, State.IN_DOUBT, State.DUE]
    desk.attempt("P3", carrier="sfr")
    desk.take("P3", "s3")
    assert desk["P3"].state == State.SUBMITTED
    desk.take("P2", "a2")
    assert (desk["P2"].state, desk.owed()) == (State.DELIVERED, ["P1", "P2"])


def test_a_part_that_comes_after_the_receipt_is_of_the_message_too() -> None:
    """The receipt of the first part overtook the others' submit_sm."""
    desk = Desk()
    accept(desk, "P1", 1)
    desk.attempt("P1")
    desk.take("P1", "a1")
    for_all(desk, "a1")
    accept(desk, "P2", 2)
    desk.attempt("P2")
    desk.take("P2", "a2")
    assert desk["P2"].state == State.DELIVERED


def test_a_reference_used_again_is_another_message() -> None:
    """A number seen twice begins a message of its own: the receipt for one ends nothing of the other."""
    desk = Desk()
    accept(desk, "P1", 1)
    accept(desk, "P2", 2)
    accept(desk, "P3", 1)
    accept(desk, "P4", 2)
    assert [desk[part_id].message_id for part_id in ("P1", "P2", "P3", "P4")] == ["P1", "P1", "P3", "P3"]
    desk.attempt("P1", "P2", "P3", "P4")
    for number in (1, 2, 3, 4):
        desk.take(f"P{number}", f"a{number}")
    for_all(desk, "a1", State.UNDELIVERABLE)
    assert [desk[f"P{n}"].final for n in (1, 2, 3, 4)] == [True, True, False, False]


def test_a_part_that_wants_none_waits_for_its_sisters_sake() -> None:
    """The last part is asked for all: it stays until its receipt came, and its own ESME is told nothing of it."""
    desk = Desk()
    accept(desk, "P1", 1)
    accept(desk, "P3", 3, wants=0)
    desk.attempt("P1", "P3")
    desk.take("P1", "a1")
    desk.say(Responded("P3", 0, desk.tick(), Blame.OK, 0, "a3", awaits=True))
    assert desk["P3"].state == State.SUBMITTED
    for_all(desk, "a3")
    assert ([desk["P1"].state, desk["P3"].state], desk.owed()) == ([State.DELIVERED] * 2, ["P1"])


def test_a_family_outlives_a_restart() -> None:
    """From a checkpoint: a receipt ends the sisters then too, and what was said before holds for an answer later."""
    desk = Desk()
    for number in (1, 2):
        accept(desk, f"P{number}", number)
    desk.attempt("P1", "P2")
    desk.take("P1", "a1")
    desk.take("P2", "a2")
    changes = desk.ledger.take()
    other = desk.rebuilt(dict(changes.open), changes.state, len(desk.events))
    for_all(other, "a1")
    assert [other["P1"].state, other["P2"].state] == [State.DELIVERED] * 2
    accept(other, "P3", 3)
    other.attempt("P3")
    changes = other.ledger.take()
    third = other.rebuilt(dict(changes.open), changes.state, len(other.events))
    third.take("P3", "a3")
    assert third["P3"].state == State.DELIVERED


def test_what_was_said_of_parts_to_come_outlives_a_restart() -> None:
    """The pin of the message was packed by an earlier checkpoint; a part that comes after the restart ends as told."""
    desk = Desk()
    accept(desk, "P1", 1)
    desk.attempt("P1")
    desk.take("P1", "a1")
    disk = dict(desk.ledger.take().open)
    for_all(desk, "a1")
    changes = desk.ledger.take()
    other = desk.rebuilt(disk | dict(changes.open), changes.state, len(desk.events))
    accept(other, "P2", 2)
    other.attempt("P2")
    other.take("P2", "a2")
    assert other["P2"].state == State.DELIVERED


def test_a_sister_ends_behind_the_checkpoint_that_is_being_packed() -> None:
    """It is of the instant it began: the journal behind it brings the receipt again, and all ends are counted once."""
    desk = Desk()
    for number in (1, 2):
        accept(desk, f"P{number}", number)
    desk.attempt("P1", "P2")
    desk.take("P1", "a1")
    desk.take("P2", "a2")
    desk.ledger.begin()
    behind = len(desk.events)
    for_all(desk, "a1")
    changes = desk.ledger.taken()
    other = desk.rebuilt(dict(changes.open), changes.state, behind)
    assert other.ledger.counts == desk.ledger.counts
    assert other.ledger.counts.delivered == 2


def test_a_word_for_a_part_that_had_ended_speaks_for_nobody() -> None:
    """Such a part may be history after a restart: the sisters' ends would differ by when a checkpoint came."""
    desk = Desk()
    for number in (1, 2):
        accept(desk, f"P{number}", number)
    desk.attempt("P1", "P2")
    desk.take("P1", "a1")
    desk.take("P2", "a2")
    desk.receipt("a1")
    desk.tell("P1")
    changes = desk.ledger.take()
    behind = len(desk.events)
    desk.say(Receipted("orange", desk.tick(), ["a1"], State.DELIVERED, "000", "WORD", NUMBER, "P1", whole=True))
    other = desk.rebuilt(dict(changes.open), changes.state, behind)
    assert desk["P2"].state == other["P2"].state == State.SUBMITTED


def test_a_word_for_all_leaves_no_quote_of_the_text_behind() -> None:
    """It was parked and quotes the text; neither the sisters nor what is kept for parts to come does."""
    desk = Desk()
    for number in (1, 2):
        accept(desk, f"P{number}", number)
    desk.attempt("P1", "P2")
    desk.say(
        Receipted("orange", desk.tick(), ["a1"], State.DELIVERED, "000", "WORD", NUMBER, whole=True, text="secret")
    )
    desk.take("P1", "a1")
    assert desk["P2"].whole is not None
    changes = desk.ledger.take()
    assert b"secret" not in changes.state + b"".join(packed for _, packed in changes.open)
