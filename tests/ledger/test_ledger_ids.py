"""Ids that are given again, ids that name nothing, and parked receipts that bring one. smsroute/matching.py."""

from __future__ import annotations

from smsroute.matching import VOID_MAX, orphan_name
from smsroute.message import Adopted, Receipted, State
from tests.ledger.desk import NUMBER, Desk


def test_m14_of_two_messages_with_one_id_the_handset_decides() -> None:
    """A counter that wrapped: each receipt goes to the message for its number, and a repeated id is counted."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.submitted("P2", "a1", to="33622222222")
    assert desk.ledger.counts.ids_reused == 1
    desk.receipt("a1")
    assert (desk["P1"].state, desk["P2"].state) == (State.DELIVERED, State.SUBMITTED)
    desk.receipt("a1", of="33622222222", state=State.UNDELIVERABLE)
    assert desk["P2"].state == State.UNDELIVERABLE


def test_m14_the_newest_live_one_wins_where_the_number_does_not_tell() -> None:
    """To one handset: the message that has ended is not meant any more; of two that are open neither is guessed."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1")
    desk.submitted("P2", "a1")
    assert desk.whose("a1") == "P2"
    desk.submitted("P3", "a1")
    assert desk.ledger.counts.ids_reused == 1
    desk.receipt("a1", state=State.UNDELIVERABLE)
    assert [desk[part_id].state for part_id in ("P1", "P2", "P3")] == [
        State.DELIVERED,
        State.SUBMITTED,
        State.SUBMITTED,
    ]
    assert len(desk.ledger.orphans) == 1


def test_m10_an_id_that_never_changes_names_nothing_from_then_on() -> None:
    """`msg_id_not_implemented` five times in a row: no receipt under it is matched, parked or kept; another id is as
    good as ever."""
    desk = Desk()
    for number in range(5):
        desk.submitted(f"P{number}", "constant", to=f"3361111111{number}")
    assert set(desk.ledger.ids.void) == {("orange", "constant")}
    assert desk.whose("constant") == ""
    desk.receipt("constant", of="33611111110")
    assert (desk["P0"].state, len(desk.ledger.orphans)) == (State.SUBMITTED, 0)
    assert (desk.ledger.counts.orphans_parked, desk.ledger.counts.orphans_aged) == (1, 1)
    desk.submitted("P5", "a1")
    desk.receipt("a1")
    assert desk["P5"].state == State.DELIVERED


def test_m10_ids_that_name_nothing_are_bounded() -> None:
    """A carrier that writes the second of the day as the id of all it takes in it: the oldest of them is let go."""
    desk = Desk()
    for second in range(VOID_MAX + 3):
        for number in range(5):
            desk.submitted(f"P{second:05}{number}", f"t{second}")
    assert len(desk.ledger.ids.void) == VOID_MAX
    assert ("orange", "t2") not in desk.ledger.ids.void


def test_of_the_many_parked_for_one_handset_the_newest_are_asked() -> None:
    """A probe's handset may have them all: who looks at its receipts says how many."""
    desk = Desk(orphans_max=50)
    for n in range(50):
        desk.receipt(f"a{n:02}")
    speaking = desk.ledger.orphans.speaking_of("orange", NUMBER, 2)
    assert [one.keys for one in speaking] == [["a48"], ["a49"]]
    assert len(desk.ledger.orphans.speaking_of("orange", NUMBER)) == 50 == len(desk.ledger.orphans)


def test_o1_a_parked_receipt_brings_the_id_no_response_brought() -> None:
    """Adopted: it ends the part, its attempt is named, and the same receipt again is a duplicate."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.say(Receipted("orange", desk.tick(), [], State.DELIVERED, "000", "DELIVRD", NUMBER, ids=[("text", "a1")]))
    assert [(part.part_id, index) for part, index in desk.ledger.unnamed.to("orange", NUMBER)] == [("P1", 0)]
    (orphan,) = desk.ledger.orphans.speaking_of("orange", f"+{NUMBER}")
    desk.say(Adopted("orange", orphan_name(orphan), "P1", 0, desk.tick(), "never answered, but its text is quoted"))
    assert (desk["P1"].state, desk["P1"].attempts[0].carrier_message_id) == (State.DELIVERED, "a1")
    assert (len(desk.ledger.orphans), len(desk.ledger.unnamed), desk.ledger.counts.orphans_matched) == (0, 0, 1)
    desk.receipt("a1")
    assert desk.ledger.counts.receipts_duplicate == 1
    assert any("never answered, but its text is quoted" in fact for fact in desk["P1"].facts)
