"""Parts of one message and the receipt that speaks for all: what it ends, and what it must leave alone."""

from __future__ import annotations

from smsroute.message import Accepted, Blame, Closed, Receipted, Responded, State
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


# -- receipts: message -------------------------------------------------------------------------------------------------


def accept_as_one(desk: Desk, part_id: str, number: int, *, wants: int = 1, as_one: bool = True) -> None:
    """Part `number` of a message of three whose ESME wants one receipt; it goes, and is taken."""
    desk.say(
        Accepted(
            part_id, desk.tick(), "acme", 2, "SHOP", NUMBER, b"address text", 7, wants, desk.now + 60, "fr", "orange",
            "m 3", parts=3, number=number, as_one=as_one,
        )
    )  # fmt: skip
    desk.attempt(part_id)
    desk.take(part_id, f"a{part_id}")


def test_one_receipt_tells_of_all_parts_when_the_last_has_ended() -> None:
    """Not before; it bears the id of the first part, the state and err of the worst, and how many arrived. The other
    parts are at rest."""
    desk = Desk()
    for number in (1, 2, 3):
        accept_as_one(desk, f"P{number}", number)
    desk.receipt("aP2", state=State.UNDELIVERABLE)
    desk.receipt("aP3")
    assert (desk.owed(), desk["P2"].at_rest, desk.ledger.held_by["acme"]) == ([], False, 3)
    desk.receipt("aP1")
    told = desk["P1"].verdict
    assert told is not None
    assert (told.state, told.err, told.at, told.parts, told.delivered) == (State.UNDELIVERABLE, "000", desk.now, 3, 2)
    assert (desk.owed(), [desk[f"P{n}"].at_rest for n in (1, 2, 3)]) == (["P1"], [False, True, True])
    assert desk["P2"].facts[-1].endswith("its message of 3 parts ended UNDELIVERABLE: part P1 tells it")
    desk.tell("P1")
    assert (desk.owed(), desk["P1"].at_rest, desk.ledger.held_by["acme"]) == ([], True, 0)


def test_the_first_part_that_asked_for_such_an_end_tells_it() -> None:
    """registered_delivery is asked of the message's end: nothing, on failure, always."""
    for ends, teller in ((State.DELIVERED, ["P3"]), (State.REJECTED, ["P2"])):
        desk = Desk()
        for number, wants in ((1, 0), (2, 2), (3, 1)):
            accept_as_one(desk, f"P{number}", number, wants=wants)
        assert desk["P1"].state == State.SUBMITTED, "it awaits its receipt for the sake of the message"
        desk.receipt("aP1", state=ends)
        desk.receipt("aP2")
        desk.receipt("aP3")
        assert desk.owed() == teller


def test_a_message_nobody_asked_about_is_told_by_nobody() -> None:
    """All its parts rest when the last has ended."""
    desk = Desk()
    for number in (1, 2, 3):
        accept_as_one(desk, f"P{number}", number, wants=0)
        desk.receipt(f"aP{number}")
    assert (desk.owed(), desk["P1"].at_rest, desk["P1"].verdict) == ([], True, None)


def test_a_message_that_lacks_a_part_is_told_of_when_it_is_closed() -> None:
    """What never came counts as UNKNOWN, a failure of what came goes before it. A part that comes later begins another
    message, which is told of for itself."""
    for ends, told in ((State.DELIVERED, State.UNKNOWN), (State.REJECTED, State.REJECTED)):
        desk = Desk()
        accept_as_one(desk, "P1", 1)
        accept_as_one(desk, "P2", 2)
        desk.receipt("aP1", state=ends)
        desk.say(Closed(desk.tick(), ["P1"]))
        assert (desk.owed(), desk.ledger.counts.overtaken) == ([], 1), "one of those that came has not ended"
        desk.receipt("aP2")
        assert list(desk.ledger.families.incomplete) == ["P1"]
        desk.say(Closed(desk.tick(), ["P1"]))
        said = desk["P1"].verdict
        assert said is not None
        assert (desk.owed(), said.state, list(desk.ledger.families.incomplete)) == (["P1"], told, [])
        accept_as_one(desk, "P3", 3)
        desk.receipt("aP3")
        assert (desk["P3"].message_id, desk.owed(), list(desk.ledger.families.incomplete)) == ("P3", ["P1"], ["P3"])


def test_what_the_first_part_was_asked_holds_for_the_message() -> None:
    """A config that changes between two parts makes no message that nobody tells of, or that is told of twice."""
    desk = Desk()
    accept_as_one(desk, "P1", 1)
    accept_as_one(desk, "P2", 2, as_one=False)
    accept_as_one(desk, "P3", 3, as_one=False)
    for number in (3, 2, 1):
        desk.receipt(f"aP{number}")
    assert desk.owed() == ["P1"]
    accept_as_one(desk, "P4", 1, as_one=False)
    desk.receipt("aP4")
    assert desk.owed() == ["P1", "P4"]
