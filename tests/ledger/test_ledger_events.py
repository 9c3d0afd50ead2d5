"""What each event does to a part, and what it does when another overtook it. Receipts have a file of their own."""

from __future__ import annotations

import pytest

from smsroute.message import Blame, Cause, Responded, Started, State, Told
from tests.ledger.desk import Desk

# -- accepted ----------------------------------------------------------------------------------------------------------


def test_an_accepted_part_is_due_at_the_carrier_chosen_for_it() -> None:
    """It is open, counted, queued by its id, held for its ESME, and the newest id is remembered."""
    desk = Desk()
    desk.accept("P2", "P1")
    assert desk.due() == ["P1", "P2"]
    assert (desk.ledger.open, desk.ledger.held, desk.ledger.counts.accepted) == (2, 2, 2)
    assert desk.ledger.held_by["acme"] == 2
    assert desk.ledger.last_part_id == "P2"
    assert (desk["P1"].state, desk["P1"].due_at, desk["P1"].body) == (State.DUE, 1001.0, b"address text")


def test_a_part_accepted_twice_is_our_bug() -> None:
    """Ids never repeat; if one did, a message would vanish. That is an assertion, not a shrug."""
    desk = Desk()
    desk.accept("P1")
    with pytest.raises(AssertionError, match="P1 accepted twice"):
        desk.accept("P1")


def test_a_start_says_nothing_of_parts() -> None:
    """Started is a mark in the journal; the Doubted beside it names what was in flight."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.say(Started(desk.tick(), "n1", "0.1"))
    assert desk["P1"].state == State.ATTEMPTED


# -- attempted, withdrawn ----------------------------------------------------------------------------------------------


def test_an_attempt_takes_the_part_out_of_its_queue() -> None:
    """One attempt each, with bind, route and reason; no other dispatcher finds it due."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P1", carrier="sfr")
    assert desk.due() == ["P2"]
    [one] = desk["P1"].attempts
    assert (one.carrier, one.bind, one.route, one.reason, one.blame) == ("sfr", "sfr-1", "fr", "cheapest", -1)
    assert (desk["P1"].state, desk["P1"].carrier) == (State.ATTEMPTED, "sfr")


def test_an_attempt_of_a_part_that_ended_meanwhile_is_none() -> None:
    """Expired in the row before: no attempt is recorded, and whoever wants to send sees that it is not ATTEMPTED."""
    desk = Desk()
    desk.accept("P1")
    desk.finish("P1")
    desk.attempt("P1", "unknown")
    assert (desk["P1"].state, desk["P1"].attempts) == (State.EXPIRED, [])
    assert desk.ledger.counts.overtaken == 2


def test_a_part_whose_bytes_never_left_is_due_again_where_it_stood() -> None:
    """Withdrawn: it leads its lane as before; the attempt stays in the story, marked, and counts for nothing."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P1")
    desk.withdraw("P1")
    assert desk.due() == ["P1", "P2"]
    assert [one.withdrawn for one in desk["P1"].attempts] == [True]
    assert desk.ledger.counts.withdrawn == 1


def test_an_attempt_in_doubt_cannot_be_withdrawn() -> None:
    """Law 2: what may have left is never unsent."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.withdraw("P1")
    assert desk["P1"].state == State.IN_DOUBT
    assert not desk["P1"].attempts[0].withdrawn


# -- responded ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wants", "state"), [(0, State.ACCEPTED), (1, State.SUBMITTED), (2, State.SUBMITTED)])
def test_a_part_taken_waits_for_its_receipt_if_one_was_asked_for(wants: int, state: State) -> None:
    """Nobody asked: it is over, and its text is let go."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=wants)
    part = desk["P1"]
    assert part.state == state
    assert (part.body == b"address") == (state == State.ACCEPTED)
    assert part.attempts[0].carrier_message_id == "a1"
    assert desk.owed() == []


def test_a_refusal_that_may_pass_queues_the_part_for_later_at_the_carrier_named() -> None:
    """Not before retry_at, then at the next carrier; reason and code stay with the attempt."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.retry("P1", in_s=5.0, carrier="sfr")
    assert (desk.due(), desk.due("sfr")) == ([], [])
    desk.ledger.queues.release(desk.now + 5.0)
    assert (desk.due(), desk.due("sfr")) == ([], ["P1"])
    assert (desk["P1"].why, desk["P1"].attempts[0].code) == ("busy", 8)


def test_a_retry_at_once_is_due_at_once() -> None:
    """retry_at = now: the next carrier gets it without a detour over the clock."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.retry("P1", in_s=0.0, carrier="sfr")
    assert desk.due("sfr") == ["P1"]


def test_a_carrier_that_throttles_for_hours_grows_no_part() -> None:
    """Throttled there again and again is one attempt with a count."""
    desk = Desk()
    desk.accept("P1")
    for _ in range(100):
        desk.attempt("P1")
        desk.retry("P1", in_s=0.0, attempt=len(desk["P1"].attempts) - 1, blame=Blame.THROTTLED)
    [one] = desk["P1"].attempts
    assert (one.repeats, one.at, one.responded_at) == (99, 1001.0, 1001.5)
    desk.attempt("P1", carrier="sfr")
    desk.retry("P1", in_s=0.0, attempt=1, blame=Blame.THROTTLED)
    desk.attempt("P1", carrier="sfr")
    desk.doubt("P1")
    desk.retry("P1", in_s=0.0, attempt=2, blame=Blame.THROTTLED)
    assert [(one.carrier, one.repeats) for one in desk["P1"].attempts] == [("orange", 99), ("sfr", 0), ("sfr", 0)]
    assert desk.ledger.counts.attempted == 102


def test_two_carriers_that_throttle_in_turn_grow_no_part() -> None:
    """A part that goes to and fro between two carriers that both throttle has one attempt of each, with a count."""
    desk = Desk()
    desk.accept("P1")
    for _ in range(50):
        for carrier in ("orange", "sfr"):
            desk.attempt("P1", carrier=carrier)
            desk.retry("P1", in_s=0.0, attempt=len(desk["P1"].attempts) - 1, blame=Blame.THROTTLED)
    assert [(one.carrier, one.repeats) for one in desk["P1"].attempts] == [("orange", 49), ("sfr", 49)]
    desk.attempt("P1")
    desk.retry("P1", in_s=0.0, attempt=2)
    desk.attempt("P1")
    desk.retry("P1", in_s=0.0, attempt=3, blame=Blame.THROTTLED)
    assert [one.repeats for one in desk["P1"].attempts] == [49, 49, 0, 0]


def test_a_part_that_queues_moves_at_once_whatever_the_clock_shows() -> None:
    """Set back by an hour, the wall clock shows a time before the part was accepted: moved to another carrier it is due
    there now, not in an hour. A retry that is moved waits on."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P2")
    desk.retry("P2", in_s=5.0)
    desk.now -= 3600.0
    desk.move("P1", "P2")
    assert desk.due("sfr") == ["P1"]


@pytest.mark.parametrize(("code", "err"), [(11, "011"), (0x45, "069"), (0x431, "431")])
def test_a_refusal_for_good_ends_the_part_and_owes_a_receipt(code: int, err: str) -> None:
    """REJECTED, with the carrier's code as the receipt's error word."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.refuse("P1", code=code)
    assert (desk["P1"].state, desk["P1"].why, desk["P1"].err) == (State.REJECTED, "no such number", err)
    assert desk.owed() == ["P1"]
    assert desk.ledger.woken_esmes == {"acme"}
    assert desk.ledger.counts.failed == 1


def test_an_attempt_is_answered_once() -> None:
    """A second answer (a carrier that repeats itself) changes nothing and is kept as a fact."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.refuse("P1")
    assert desk["P1"].state == State.SUBMITTED
    assert desk["P1"].attempts[0].blame == Blame.OK
    assert desk["P1"].facts == ["1002.000 attempt 1 answered again, code 11"]


def test_a_late_yes_takes_a_part_in_doubt_out_of_doubt() -> None:
    """The answer came after the timer: the carrier has it, nothing is resent."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.take("P1", "a1")
    assert desk["P1"].state == State.SUBMITTED
    assert desk.ledger.in_doubt == {}


def test_a_late_yes_takes_a_part_out_of_the_queue_again() -> None:
    """In doubt, requeued, and then the first attempt's yes: it is not sent a second time."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    assert desk.due() == ["P1"]
    desk.take("P1", "a1")
    assert desk.due() == []
    assert desk["P1"].state == State.SUBMITTED


def test_a_late_no_of_an_older_attempt_says_nothing_of_the_newer_one() -> None:
    """It is noted with its attempt; the part waits for the answer to the second."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    desk.attempt("P1", carrier="sfr")
    desk.refuse("P1", attempt=0)
    assert desk["P1"].state == State.ATTEMPTED
    assert desk["P1"].attempts[0].code == 11
    desk.take("P1", "b1", attempt=1)
    assert desk["P1"].state == State.SUBMITTED


@pytest.mark.parametrize("attempt", [0, 1, 7])
def test_an_answer_to_an_attempt_that_never_was_stops_no_boot(attempt: int) -> None:
    """A row of the journal must be applicable for ever: it is counted, not raised."""
    desk = Desk()
    desk.accept("P1")
    desk.say(Responded("P1", attempt, desk.tick(), Blame.OK, 0, "a1"))
    desk.say(Responded("unknown", attempt, desk.tick(), Blame.OK, 0, "a1"))
    assert desk["P1"].state == State.DUE
    assert desk.ledger.counts.overtaken == 2


# -- doubted, requeued -------------------------------------------------------------------------------------------------


def test_what_was_in_flight_when_the_link_died_is_in_doubt() -> None:
    """Held, listed, with the reason at part and attempt, in no queue."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P1", "P2")
    desk.take("P2", "a2")
    desk.doubt("P1", "P2")
    assert list(desk.ledger.in_doubt) == ["P1"]
    assert (desk["P1"].why, desk["P1"].attempts[0].doubted) == ("link cut", "link cut")
    assert desk["P1"].attempts[0].doubted_at == desk.now
    assert desk["P2"].attempts[0].doubted == "", "an attempt that was answered is not in doubt"
    assert desk.due() == []


def test_a_part_resent_on_purpose_says_so() -> None:
    """Law 6: only what was in doubt goes again, and the attempt that may have arrived is marked."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1", "P2", carrier="sfr")
    assert (desk.due("sfr"), desk["P1"].attempts[0].resent) == (["P1"], True)
    assert desk["P2"].state == State.DUE
    assert desk.ledger.counts.requeued == 1
    assert desk.ledger.in_doubt == {}


# -- moved -------------------------------------------------------------------------------------------------------------


def test_due_parts_move_and_each_keeps_the_reason() -> None:
    """From one carrier's lane to another's, with route and reason as a fact; what is not due stays."""
    desk = Desk()
    desk.accept("P1", "P2")
    desk.attempt("P2")
    desk.move("P1", "P2")
    assert (desk.due(), desk.due("sfr")) == ([], ["P1"])
    assert (desk["P1"].carrier, desk["P1"].route) == ("sfr", "fr2")
    assert desk["P1"].facts == ["1002.000 moved from orange to sfr: orange is sick"]
    assert desk["P2"].facts == []


def test_a_part_that_waits_for_its_retry_moves_and_goes_on_waiting() -> None:
    """Its hour does not come earlier because its carrier is sick."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.retry("P1", in_s=30.0)
    desk.move("P1")
    assert desk.due("sfr") == []
    desk.ledger.queues.release(desk.now + 30.0)
    assert desk.due("sfr") == ["P1"]


def test_facts_are_bounded_and_the_newest_is_kept() -> None:
    """A part that moves for hours keeps its first facts and the last one."""
    desk = Desk()
    desk.accept("P1")
    for number in range(50):
        desk.move("P1", carrier=f"c{number}")
    assert len(desk["P1"].facts) == 16
    assert "to c0:" in desk["P1"].facts[0]
    assert "to c49:" in desk["P1"].facts[-1]


# -- finished ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "before", "after"),
    [
        (Cause.EXPIRED, State.DUE, State.EXPIRED),
        (Cause.EXPIRED, State.ATTEMPTED, State.ATTEMPTED),
        (Cause.EXPIRED, State.SUBMITTED, State.SUBMITTED),
        (Cause.GIVEN_UP, State.DUE, State.DUE),
        (Cause.GIVEN_UP, State.ATTEMPTED, State.ATTEMPTED),
        (Cause.GIVEN_UP, State.IN_DOUBT, State.UNKNOWN),
        (Cause.GIVEN_UP, State.SUBMITTED, State.UNKNOWN),
        (Cause.REFUSED, State.DUE, State.REJECTED),
        (Cause.REFUSED, State.IN_DOUBT, State.REJECTED),
    ],
)
def test_we_end_only_what_we_may(cause: Cause, before: State, after: State) -> None:
    """Expiry is for what never left; giving up for what did and nobody told of; an attempt under way is left alone."""
    desk = Desk()
    desk.accept("P1")
    if before != State.DUE:
        desk.attempt("P1")
    if before == State.IN_DOUBT:
        desk.doubt("P1")
    if before == State.SUBMITTED:
        desk.take("P1", "a1")
    desk.finish("P1", cause=cause)
    assert desk["P1"].state == after
    assert desk.owed() == (["P1"] if after != before else [])


# -- told --------------------------------------------------------------------------------------------------------------


def test_a_receipt_leaves_the_outbox_when_its_esme_answers() -> None:
    """Law 4: in the order the parts ended, each ticked by its own answer; then it rests."""
    desk = Desk()
    desk.accept("P1", "P2", "P3")
    desk.finish("P2", "P1", "P3")
    assert desk.owed() == ["P2", "P1", "P3"]
    desk.tell("P1")
    assert desk.owed() == ["P2", "P3"]
    assert (desk["P1"].told_at, desk["P1"].body, desk["P1"].at_rest) == (desk.now, b"address", True)
    assert (desk["P2"].told_at, desk["P2"].at_rest) == (0.0, False)
    assert desk.ledger.held_by["acme"] == 2


def test_only_the_esme_that_is_owed_can_answer() -> None:
    """Somebody else's answer, a second answer, an answer for nothing: counted, no more."""
    desk = Desk()
    desk.accept("P1")
    desk.finish("P1")
    desk.tell("P1", esme="bank")
    assert desk.owed() == ["P1"]
    desk.tell("P1", "unknown")
    desk.tell("P1")
    assert desk.ledger.counts.overtaken == 3
    assert desk.ledger.counts.told == 1


def test_a_receipt_given_up_on_is_dead_lettered_with_the_reason() -> None:
    """Counted apart, and the part keeps why."""
    desk = Desk()
    desk.accept("P1")
    desk.finish("P1")
    desk.tell("P1", dropped="refused 50 times")
    assert desk.owed() == []
    assert desk["P1"].facts == ["1001.500 receipt not taken by acme: refused 50 times"]
    assert (desk.ledger.counts.told, desk.ledger.counts.dropped) == (0, 1)


def test_an_esme_that_wants_failures_only_is_not_told_of_success() -> None:
    """registered_delivery 2: delivered parts rest at once, failed ones are owed."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=2)
    desk.submitted("P2", "a2", wants=2)
    desk.receipt("a1")
    desk.receipt("a2", state=State.UNDELIVERABLE)
    assert desk.owed() == ["P2"]
    assert desk["P1"].at_rest


def test_a_told_of_an_esme_nobody_heard_of_is_counted() -> None:
    """Taken out of the config while a receipt was on its way to it: no crash."""
    desk = Desk()
    desk.say(Told(desk.tick(), "ghost", ["P1"]))
    assert desk.ledger.counts.overtaken == 1


# -- multipart ---------------------------------------------------------------------------------------------------------


def test_parts_of_one_message_know_the_way_the_first_took() -> None:
    """Law 8: carrier and bind of the first attempt, for the others to follow."""
    desk = Desk()
    desk.accept("P1", "P2", multipart="m")
    pin = desk.ledger.multiparts.get("m")
    assert pin is not None
    assert (pin.carrier, pin.bind, pin.went) == ("", "", 0)
    desk.attempt("P1", carrier="sfr")
    assert (pin.carrier, pin.bind, pin.went) == ("sfr", "sfr-1", 1)


@pytest.mark.parametrize("freed_by", ["withdraw", "retry"])
def test_a_message_none_of_whose_parts_went_may_go_elsewhere(freed_by: str) -> None:
    """Withdrawn or refused: not with the carrier. While another part of it is, it stays."""
    desk = Desk()
    desk.accept("P1", "P2", multipart="m")
    desk.attempt("P1", "P2")
    pin = desk.ledger.multiparts.get("m")
    assert pin is not None
    for part_id, bind in (("P1", "orange-1"), ("P2", "")):
        if freed_by == "withdraw":
            desk.withdraw(part_id)
        else:
            desk.retry(part_id, in_s=1.0)
        assert pin.bind == bind


def test_a_part_in_doubt_keeps_its_message_where_it_may_be() -> None:
    """It may have arrived: the rest of the message follows it."""
    desk = Desk()
    desk.accept("P1", "P2", multipart="m")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    pin = desk.ledger.multiparts.get("m")
    assert pin is not None
    assert pin.bind == "orange-1"


def test_the_multipart_memory_is_bounded_and_forgets_the_longest_silent() -> None:
    """By number, and by silence: two limits, both kept."""
    desk = Desk(multiparts_max=2, multipart_ttl_s=10.0)
    desk.accept("P1", multipart="m1")
    desk.accept("P2", multipart="m2")
    desk.attempt("P1")
    desk.accept("P3", multipart="m3")
    assert [desk.ledger.multiparts.get(key) is not None for key in ("m1", "m2", "m3")] == [True, False, True]
    desk.now += 20.0
    desk.accept("P4", multipart="m4")
    assert len(desk.ledger.multiparts) == 1
