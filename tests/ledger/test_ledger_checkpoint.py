"""Checkpoints: what they take, what a failed one gives back, what leaves memory, what a restart has again."""

from __future__ import annotations

import pytest

from smsroute.message import Changes, State, unpack_part
from tests.ledger.desk import Desk


def open_of(changes: Changes) -> list[str]:
    """Ids of the open parts it took."""
    return [part_id for part_id, _ in changes.open]


def resting_of(changes: Changes) -> list[str]:
    """Ids of the parts at rest it took."""
    return [part.part_id for part in changes.at_rest]


def test_a_checkpoint_takes_what_changed_and_only_that() -> None:
    """Open parts packed, parts at rest as they are; next time only what changed since."""
    desk = Desk()
    desk.accept("P1", "P2", "P3")
    desk.finish("P3")
    desk.tell("P3")
    first = desk.ledger.take()
    assert (open_of(first), resting_of(first)) == (["P1", "P2"], ["P3"])
    desk.attempt("P2")
    second = desk.ledger.take()
    assert (open_of(second), resting_of(second)) == (["P2"], [])
    assert [unpack_part(packed).state for _, packed in second.open] == [State.ATTEMPTED]
    third = desk.ledger.take()
    assert (third.open, third.at_rest, third.late) == ([], [], [])


def test_a_part_that_has_ended_but_is_owed_is_kept_open_without_its_text() -> None:
    """To be told after a restart; nobody asked for more than its addresses."""
    desk = Desk()
    desk.accept("P1")
    desk.finish("P1")
    [(_, packed)] = desk.ledger.take().open
    assert unpack_part(packed).body == b"address"


def test_a_checkpoint_is_of_one_instant() -> None:
    """What happens while it is written does not change what was packed."""
    desk = Desk()
    desk.accept("P1")
    changes = desk.ledger.take()
    desk.attempt("P1")
    assert unpack_part(changes.open[0][1]).state == State.DUE


def test_a_late_fact_writes_the_row_of_a_part_at_rest_anew_and_once() -> None:
    """Even when rest and fact fall into one checkpoint, it is one row."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=0)
    desk.receipt("a1")
    assert resting_of(desk.ledger.take()) == ["P1"]
    desk.receipt("a1", state=State.UNDELIVERABLE)
    changes = desk.ledger.take()
    assert (open_of(changes), resting_of(changes)) == ([], ["P1"])


@pytest.mark.parametrize("meanwhile", ["nothing", "changed", "ended"])
def test_a_failed_checkpoint_gives_back_and_the_next_brings_it_all(meanwhile: str) -> None:
    """Whatever happened to a part while the disk refused: the next checkpoint has it, once, as it is then."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.finish("P2")
    desk.tell("P2")
    desk.receipt("x", part_id="GONE")
    changes = desk.ledger.take()
    if meanwhile != "nothing":
        desk.attempt("P1")
    if meanwhile == "ended":
        desk.refuse("P1")
        desk.tell("P1")
    desk.ledger.give_back(changes)
    again = desk.ledger.take()
    assert open_of(again) == ([] if meanwhile == "ended" else ["P1"])
    assert sorted(resting_of(again)) == (["P1", "P2"] if meanwhile == "ended" else ["P2"])
    assert again.late == changes.late


def test_parts_at_rest_leave_memory_oldest_first_once_they_are_written() -> None:
    """The last few stay, for receipts that come twice; a part no checkpoint has taken stays whatever `keep` says."""
    desk = Desk()
    for number in range(4):
        desk.submitted(f"P{number}", f"a{number}", wants=0)
    desk.ledger.take()
    desk.submitted("P4", "a4", wants=0)
    assert desk.ledger.forget(keep=2) == 2
    assert list(desk.ledger.parts) == ["P2", "P3", "P4"]
    assert desk.ledger.forget(keep=0) == 2
    assert list(desk.ledger.parts) == ["P4"]
    assert [desk.whose(f"a{number}") for number in range(5)] == ["", "", "", "", "P4"]
    assert desk.ledger.by_state[State.ACCEPTED] == 1


def test_a_part_written_again_for_a_late_fact_is_forgotten_once() -> None:
    """Rest, checkpoint, late fact, failed checkpoint, checkpoint: memory lets go of it exactly once."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=0)
    desk.ledger.take()
    desk.receipt("a1", state=State.UNDELIVERABLE)
    desk.ledger.give_back(desk.ledger.take())
    assert resting_of(desk.ledger.take()) == ["P1"]
    assert desk.ledger.forget(keep=0) == 1
    assert desk.ledger.forget(keep=0) == 0


def test_a_forgotten_part_leaves_the_id_to_who_has_it_now() -> None:
    """The carrier used the id again: the later part keeps its name."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=0)
    desk.submitted("P2", "a1")
    desk.ledger.take()
    desk.ledger.forget(keep=0)
    desk.receipt("a1")
    assert desk["P2"].state == State.DELIVERED


def test_what_memory_holds_of_a_finished_part_is_let_go() -> None:
    """Nothing grows with messages that are done: after the checkpoint every index is as empty as at the start."""
    desk = Desk(orphans_max=3, multiparts_max=3)
    for number in range(200):
        desk.submitted(f"P{number:03d}", f"a{number}", multipart=f"m{number}")
        desk.receipt(f"a{number}")
        desk.receipt(f"x{number}")
        desk.tell(f"P{number:03d}")
    desk.ledger.take()
    desk.ledger.forget(keep=0)
    ledger = desk.ledger
    ledger.queues.overdue(desk.now + 10_000.0, 0.0, 1_000_000)
    sizes = {
        "parts": len(ledger.parts),
        "ids": len(ledger.ids),
        "owed": len(ledger.outboxes["acme"].owed),
        "in_doubt": len(ledger.in_doubt),
        "due": ledger.queues.queued("orange"),
        "watched": len(ledger.queues._buckets),
        "held": ledger.held_by["acme"],
        "changed": len(ledger._changed) + len(ledger._at_rest) + len(ledger._finished),
    }
    assert sizes == dict.fromkeys(sizes, 0)
    assert len(ledger.orphans) == 3
    assert len(ledger.multiparts) == 3


# -- restart -----------------------------------------------------------------------------------------------------------


def test_a_restart_has_everything_again() -> None:
    """Due, waiting for later, attempted, in doubt, submitted, owed: each where it was, and so is what stands beside."""
    desk = Desk()
    desk.accept("due", "later", "attempted", "doubt", multipart="m")
    desk.attempt("later", "attempted", "doubt")
    desk.retry("later", in_s=30.0)
    desk.doubt("doubt")
    desk.submitted("submitted", "a1")
    desk.submitted("owed", "a2")
    desk.receipt("a2")
    desk.receipt("orphan")
    changes = desk.ledger.take()
    other = desk.rebuilt(dict(changes.open), changes.state, len(desk.events))
    assert other.ledger.parts == desk.ledger.parts
    other.ledger.queues.release(desk.now)
    assert other.due() == ["due"]
    other.ledger.queues.release(desk.now + 30.0)
    assert other.due() == ["due", "later"]
    assert list(other.ledger.in_doubt) == ["doubt"]
    assert other.owed() == ["owed"]
    assert [part.part_id for part in other.ledger.outboxes["acme"].ready] == ["owed"]
    assert other.ledger.woken_esmes == {"acme"}
    assert other.ledger.by_state == desk.ledger.by_state
    assert other.ledger.held_by == desk.ledger.held_by
    assert other.ledger.counts == desk.ledger.counts
    assert other.ledger.multiparts.kept() == desk.ledger.multiparts.kept()
    assert other.ledger.last_part_id == "submitted"
    other.receipt("a1")
    assert other["submitted"].state == State.DELIVERED


def test_the_outbox_keeps_its_order_over_a_restart() -> None:
    """Oldest end first, however the parts came from the disk."""
    desk = Desk()
    desk.accept("P1", "P2", "P3", "P4")
    for part_id in ("P3", "P1", "P4", "P2"):
        desk.finish(part_id)
    changes = desk.ledger.take()
    other = desk.rebuilt(dict(reversed(changes.open)), changes.state, len(desk.events))
    assert other.owed() == ["P3", "P1", "P4", "P2"]


def test_the_outbox_keeps_the_order_of_what_ended_at_one_instant_over_two_restarts() -> None:
    """Neither the time, set back meanwhile, nor the ids tell it."""
    desk = Desk()
    desk.accept("P1", "P2", "P3", "P4")
    desk.finish("P3", "P1")
    changes = desk.ledger.take()
    other = desk.rebuilt(dict(changes.open), changes.state, len(desk.events))
    other.now -= 100.0
    other.finish("P4", "P2")
    again = other.ledger.take()
    third = other.rebuilt(dict(changes.open) | dict(again.open), again.state, len(other.events))
    assert [*desk.owed(), "P4", "P2"] == third.owed() == ["P3", "P1", "P4", "P2"]


def test_a_restart_watches_validity_again() -> None:
    """A part that was due expires in the next life too."""
    desk = Desk()
    desk.accept("P1")
    changes = desk.ledger.take()
    other = desk.rebuilt(dict(changes.open), changes.state, len(desk.events))
    expired, _ = other.ledger.queues.overdue(desk.now + 100.0, 0.0, 10)
    assert [part.part_id for part in expired] == ["P1"]


def test_parts_that_came_to_rest_lately_may_come_back_too() -> None:
    """A store may hand the last finished parts in: they are known by id, owed to nobody, and leave memory in turn."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=0)
    changes = desk.ledger.take()
    other = Desk()
    other.ledger.restore(changes.at_rest, changes.state)
    other.receipt("a1")
    assert other["P1"].facts
    assert other.owed() == []
    assert other.ledger.held_by["acme"] == 0
    assert other.ledger.forget(keep=0) == 1


def test_a_checkpoint_without_state_is_an_empty_one() -> None:
    """The first start of all."""
    desk = Desk()
    desk.ledger.restore([], b"")
    assert desk.ledger.held == 0


def test_the_newest_id_survives_even_when_no_part_does() -> None:
    """All finished and forgotten, then a restart with a clock set back: no id is handed out twice."""
    desk = Desk()
    desk.submitted("P7", "a1", wants=0)
    changes = desk.ledger.take()
    other = Desk()
    other.ledger.restore([], changes.state)
    assert other.ledger.last_part_id == "P7"


def test_a_replay_that_overlaps_a_finished_part_gives_its_receipt_to_nobody_else() -> None:
    """P1 rests and is checkpointed; its receipt comes again while memory still knows it; then the crash.

    The journal says whose it was: no orphan is left to end the next part that gets this id.
    """
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1")
    desk.tell("P1")
    changes = desk.ledger.take()
    behind = len(desk.events)
    desk.receipt("a1", part_id="P1")
    other = desk.rebuilt(dict(changes.open), changes.state, behind)
    assert len(other.ledger.orphans) == 0
    other.submitted("P2", "a1")
    assert other["P2"].state == State.SUBMITTED
