"""Receipts: whose they are, what they end, and those that come too early, too late, twice, or for nobody."""

from __future__ import annotations

import pytest

from smsroute.message import State
from tests.ledger.desk import NUMBER, Desk

OTHER = "33699999999"


# -- what they end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "count"),
    [
        (State.DELIVERED, "delivered"),
        (State.EXPIRED, "expired"),
        (State.DELETED, "failed"),
        (State.UNDELIVERABLE, "failed"),
        (State.REJECTED, "failed"),
        (State.UNKNOWN, "failed"),
    ],
)
def test_a_receipt_ends_its_part_and_the_esme_is_owed_it(state: State, count: str) -> None:
    """State, time, error word and reason are the receipt's; one more is counted for its kind of end."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1", state=state, word="SAID")
    part = desk["P1"]
    assert (part.state, part.ended_at, part.err, part.why) == (state, desk.now, "000", "receipt from orange: SAID")
    assert desk.owed() == ["P1"]
    assert getattr(desk.ledger.counts, count) == 1


@pytest.mark.parametrize("state", [-1, State.DUE, 16, 99])
def test_a_word_that_is_no_end_is_a_fact(state: int) -> None:
    """ENROUTE, or a number nobody knows: the part goes on waiting. No receipt can stop a boot."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1", state=state, word="ENROUTE")
    assert desk["P1"].state == State.SUBMITTED
    assert desk["P1"].facts == ["1002.000 orange says ENROUTE"]
    assert desk.ledger.counts.receipts_intermediate == 1


def test_the_first_end_stands() -> None:
    """Law 5: the same word again is a duplicate, another is a fact after the end; the state stays."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1")
    desk.receipt("a1")
    desk.receipt("a1", state=State.UNDELIVERABLE, word="UNDELIV")
    assert desk["P1"].state == State.DELIVERED
    assert desk["P1"].facts == ["1003.000 orange says UNDELIV 000 after the end"]
    counts = desk.ledger.counts
    assert (counts.receipts, counts.receipts_matched) == (3, 1)
    assert (counts.receipts_duplicate, counts.receipts_conflicting) == (1, 1)
    assert desk.owed() == ["P1"], "it is owed once"


def test_a_receipt_nobody_asked_for_is_a_fact_and_no_conflict() -> None:
    """The ESME wanted none; the carrier sends one all the same: ACCEPTED stays, what it said is kept."""
    desk = Desk()
    desk.submitted("P1", "a1", wants=0)
    desk.receipt("a1")
    assert desk["P1"].state == State.ACCEPTED
    assert desk["P1"].facts == ["1002.000 orange says DELIVRD 000"]
    assert desk.ledger.counts.receipts_conflicting == 0
    assert desk.owed() == []


@pytest.mark.parametrize("where", ["attempted", "in doubt", "due again"])
def test_a_receipt_that_comes_first_ends_the_part_wherever_it_is(where: str) -> None:
    """The store knew the id, or the carrier answered late: queues, doubt and watch are left, nothing is sent again."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    if where != "attempted":
        desk.doubt("P1")
    if where == "due again":
        desk.requeue("P1")
    desk.receipt("a1", part_id="P1")
    assert desk["P1"].state == State.DELIVERED
    assert desk.due() == []
    assert desk.ledger.in_doubt == {}
    desk.attempt("P1")
    assert len(desk["P1"].attempts) == 1


# -- two attempts under way --------------------------------------------------------------------------------------------


def twice(desk: Desk) -> None:
    """P1 was in doubt at orange (a1, answered late), and goes again by sfr."""
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    desk.attempt("P1", carrier="sfr")
    desk.take("P1", "a1", attempt=0)


@pytest.mark.parametrize("second", ["unanswered", "taken"])
def test_bad_news_of_the_first_attempt_does_not_end_what_the_second_may_deliver(second: str) -> None:
    """The customer is not told UNDELIVERABLE of a message that then arrives: it is a fact, and the second decides."""
    desk = Desk()
    twice(desk)
    if second == "taken":
        desk.take("P1", "b1", attempt=1)
    desk.receipt("a1", state=State.UNDELIVERABLE, word="UNDELIV")
    assert desk["P1"].state == State.SUBMITTED
    assert "orange says UNDELIV 000 of attempt 1" in desk["P1"].facts[-1]
    assert desk.ledger.counts.receipts_superseded == 1
    if second == "unanswered":
        desk.take("P1", "b1", attempt=1)
    desk.receipt("b1", carrier="sfr")
    assert desk["P1"].state == State.DELIVERED


def test_good_news_of_any_attempt_ends_the_part() -> None:
    """It arrived: whatever the other attempt is doing."""
    desk = Desk()
    twice(desk)
    desk.receipt("a1")
    assert desk["P1"].state == State.DELIVERED


@pytest.mark.parametrize("order", [("a1", "b1"), ("b1", "a1")])
def test_bad_news_of_the_last_attempt_to_tell_ends_the_part(order: tuple[str, str]) -> None:
    """Both carriers took it and both will tell: whichever comes first is a fact, the other one ends it."""
    desk = Desk()
    twice(desk)
    desk.take("P1", "b1", attempt=1)
    carriers = {"a1": "orange", "b1": "sfr"}
    first, second = order
    for _ in range(2):  # told twice, it is still the news of one
        desk.receipt(first, carrier=carriers[first], state=State.UNDELIVERABLE)
        assert desk["P1"].state == State.SUBMITTED
    desk.receipt(second, carrier=carriers[second], state=State.REJECTED)
    assert desk["P1"].state == State.REJECTED
    assert (desk.ledger.counts.receipts_superseded, desk.ledger.counts.receipts_duplicate) == (1, 1)


def test_bad_news_of_the_second_attempt_waits_for_a_first_that_was_taken() -> None:
    """The customer is not told UNDELIVERABLE, to send it anew, of what then arrives by the first."""
    desk = Desk()
    twice(desk)
    desk.take("P1", "b1", attempt=1)
    desk.receipt("b1", carrier="sfr", state=State.UNDELIVERABLE)
    desk.receipt("a1")
    assert desk["P1"].state == State.DELIVERED


def test_both_attempts_delivered_is_one_end_and_a_fact() -> None:
    """Law 5: the first word stands and the ESME is told once; a person can see why a handset got it twice."""
    desk = Desk()
    twice(desk)
    desk.take("P1", "b1", attempt=1)
    desk.receipt("b1", carrier="sfr")
    ended_at = desk["P1"].ended_at
    for _ in range(2):
        desk.receipt("a1")
    assert (desk["P1"].state, desk["P1"].ended_at, desk.owed()) == (State.DELIVERED, ended_at, ["P1"])
    assert [fact.partition(" ")[2] for fact in desk["P1"].facts[1:]] == ["orange says DELIVRD 000 of attempt 1 too"]
    assert (desk.ledger.counts.delivered_twice, desk.ledger.counts.receipts_duplicate) == (1, 1)


def test_bad_news_ends_a_part_whose_first_attempt_nobody_ever_answered() -> None:
    """What gave no id can never be told of: nobody waits for it."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    desk.attempt("P1", carrier="sfr")
    desk.take("P1", "b1", attempt=1)
    desk.receipt("b1", carrier="sfr", state=State.UNDELIVERABLE)
    assert desk["P1"].state == State.UNDELIVERABLE


@pytest.mark.parametrize("for_good", [True, False])
def test_bad_news_of_the_first_attempt_stands_once_the_second_is_refused(for_good: bool) -> None:
    """It waited for the second attempt, which came to nothing: the part ends as the receipt said."""
    desk = Desk()
    twice(desk)
    desk.receipt("a1", state=State.UNDELIVERABLE, word="UNDELIV")
    if for_good:
        desk.refuse("P1", attempt=1)
    else:
        desk.retry("P1", in_s=1.0, attempt=1)
    assert desk["P1"].state == State.UNDELIVERABLE
    assert desk["P1"].why.startswith("receipt from orange, and ")


@pytest.mark.parametrize("second", ["refused", "withdrawn"])
def test_bad_news_of_the_first_attempt_ends_the_part_when_the_second_came_to_nothing(second: str) -> None:
    """A later attempt that was refused or never left delivers nothing."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    desk.attempt("P1", carrier="sfr")
    if second == "refused":
        desk.retry("P1", in_s=60.0, attempt=1)
    else:
        desk.withdraw("P1")
    desk.take("P1", "a1", attempt=0)
    desk.receipt("a1", state=State.UNDELIVERABLE)
    assert desk["P1"].state == State.UNDELIVERABLE


@pytest.mark.parametrize("bad_news_first", [False, True])
def test_an_attempt_overtaken_while_it_was_written_down_delivers_nothing(bad_news_first: bool) -> None:
    """The first attempt is taken after all in the commit that holds the second: that one stays here, and says so, so
    that bad news of the first ends the part."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.doubt("P1")
    desk.requeue("P1")
    desk.attempt("P1", carrier="sfr")
    desk.take("P1", "a1", attempt=0)
    if bad_news_first:
        desk.receipt("a1", state=State.UNDELIVERABLE)
        assert desk["P1"].state == State.SUBMITTED
        desk.withdraw("P1")
    else:
        desk.withdraw("P1")
        assert desk["P1"].state == State.SUBMITTED
        desk.receipt("a1", state=State.UNDELIVERABLE)
    assert desk["P1"].state == State.UNDELIVERABLE
    assert [one.withdrawn for one in desk["P1"].attempts] == [False, True]
    assert desk.owed() == ["P1"]


# -- asked (query_sm) --------------------------------------------------------------------------------------------------


def test_a_carriers_answer_is_a_fact_and_the_same_answer_again_is_one() -> None:
    """A part asked for days tells when last, and does not grow."""
    desk = Desk()
    desk.submitted("P1", "a1")
    for _ in range(3):
        desk.query("P1", "ENROUTE")
    desk.query("P1", "ESME_RQUERYFAIL")
    said = [fact.partition(" ")[2] for fact in desk["P1"].facts]
    assert said == ["attempt 1 queried: orange says ENROUTE", "attempt 1 queried: orange says ESME_RQUERYFAIL"]
    assert desk["P1"].attempts[0].queried_at == desk.now
    assert desk.ledger.counts.queried == 4


def test_an_answer_that_a_receipt_overtook_changes_nothing() -> None:
    """The carrier is asked, its receipt comes, then its answer."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1")
    desk.query("P1", "DELIVRD")
    desk.query("P2", "DELIVRD")
    assert (desk["P1"].state, desk["P1"].facts) == (State.DELIVERED, [])
    assert desk.ledger.counts.overtaken == 2


# -- whose they are ----------------------------------------------------------------------------------------------------


def test_ids_are_each_carriers_own() -> None:
    """Two carriers use the same id for different parts."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1", carrier="sfr")
    assert desk["P1"].state == State.SUBMITTED
    assert len(desk.ledger.orphans) == 1


def test_the_dialects_key_names_the_part_when_it_differs_from_the_id() -> None:
    """The response said 1F4 and receipts say 500: the key rules."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.take("P1", "1F4", key="500")
    assert (desk.whose("500"), desk.whose("1F4")) == ("P1", "")
    desk.receipt("500")
    assert desk["P1"].state == State.DELIVERED


@pytest.mark.parametrize(
    ("of", "matched"),
    [(NUMBER, True), ("+33612345678", True), ("0033612345678", True), (OTHER, False), ("", False)],
)
def test_a_converted_id_must_also_name_the_handset(of: str, matched: bool) -> None:
    """`auto` guesses conversions: a guess that hits another handset's part would tell a lie."""
    desk = Desk()
    desk.submitted("P1", "500")
    desk.receipt("1F4", "500", of=of)
    assert (desk["P1"].state == State.DELIVERED) == matched
    assert len(desk.ledger.orphans) == (not matched)


def test_the_id_as_it_was_written_needs_no_handset() -> None:
    """Carriers rewrite numbers in receipts; the exact id is enough."""
    desk = Desk()
    desk.submitted("P1", "a1")
    desk.receipt("a1", of="0612345678")
    assert desk["P1"].state == State.DELIVERED


def test_an_empty_id_names_nothing() -> None:
    """A carrier that answers without an id: its receipts cannot be matched, and match nobody else's part."""
    desk = Desk()
    desk.submitted("P1", "")
    desk.submitted("P2", "")
    desk.receipt("")
    assert [desk[part_id].state for part_id in ("P1", "P2")] == [State.SUBMITTED, State.SUBMITTED]


def test_the_journal_says_whose_a_receipt_is_so_that_a_replay_gives_it_to_no_other() -> None:
    """`whose` is what memory knows now; with part_id set, that part gets it whatever the ids say later."""
    desk = Desk()
    desk.submitted("P1", "a1")
    assert (desk.whose("a1"), desk.whose("zz"), desk.whose("a1", carrier="sfr")) == ("P1", "", "")
    desk.submitted("P2", "a1")
    desk.receipt("a1", part_id="P1")
    assert (desk["P1"].state, desk["P2"].state) == (State.DELIVERED, State.SUBMITTED)


def test_a_receipt_of_a_part_that_left_memory_is_kept_for_its_history() -> None:
    """The store knew it: a fact for the row on disk, with the next checkpoint; no orphan, no guess."""
    desk = Desk()
    desk.receipt("a1", part_id="GONE", state=State.UNDELIVERABLE, word="UNDELIV")
    assert desk.ledger.counts.receipts_late == 1
    assert len(desk.ledger.orphans) == 0
    assert desk.ledger.take().late == [("GONE", "1000.500 orange says UNDELIV 000 after the end")]
    assert desk.ledger.take().late == []


# -- orphans -----------------------------------------------------------------------------------------------------------


def test_a_receipt_before_its_response_waits_for_it() -> None:
    """Parked, then applied with the response; the part ends when that is known."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.receipt("a1")
    assert len(desk.ledger.orphans) == 1
    desk.take("P1", "a1")
    assert len(desk.ledger.orphans) == 0
    assert (desk["P1"].state, desk["P1"].ended_at) == (State.DELIVERED, desk.now)
    counts = desk.ledger.counts
    assert (counts.orphans_parked, counts.orphans_matched, counts.receipts_matched) == (1, 1, 1)


def test_an_orphan_of_a_silent_part_is_matched_too() -> None:
    """Nobody asked, the receipt came first: the part is handed over, the receipt a fact, nothing stays parked."""
    desk = Desk()
    desk.accept("P1", wants=0)
    desk.attempt("P1")
    desk.receipt("a1")
    desk.take("P1", "a1")
    assert (desk["P1"].state, len(desk.ledger.orphans)) == (State.ACCEPTED, 0)


@pytest.mark.parametrize("then", [State.UNDELIVERABLE, State.DELIVERED, -1])
def test_of_an_orphans_receipts_the_first_final_word_stands(then: int) -> None:
    """As on the part itself (law 5): a later ENROUTE or UNDELIV does not push the DELIVRD out."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.receipt("a1", state=State.DELIVERED)
    desk.receipt("a1", state=then)
    desk.take("P1", "a1")
    assert desk["P1"].state == State.DELIVERED


def test_a_final_word_takes_the_place_of_a_passing_one() -> None:
    """ENROUTE, then DELIVRD, then the response: delivered."""
    desk = Desk()
    desk.accept("P1")
    desk.attempt("P1")
    desk.receipt("a1", state=-1)
    desk.receipt("a1")
    desk.take("P1", "a1")
    assert desk["P1"].state == State.DELIVERED


def test_orphans_are_bounded_and_the_oldest_goes() -> None:
    """A carrier that invents ids fills no memory."""
    desk = Desk(orphans_max=3)
    for number in range(10):
        desk.receipt(f"x{number}")
    assert [orphan.keys for orphan in desk.ledger.orphans.values()] == [["x7"], ["x8"], ["x9"]]


def test_orphans_age() -> None:
    """Those that came before the time go; those at it and after stay."""
    desk = Desk()
    for number in range(4):
        desk.receipt(f"x{number}")
    desk.age(before=1001.5)
    assert [orphan.at for orphan in desk.ledger.orphans.values()] == [1001.5, 1002.0]
    assert desk.ledger.counts.orphans_aged == 2


def test_a_receipt_that_names_nothing_is_counted_and_let_go() -> None:
    """Without an id it can never be matched: parked is aged at once."""
    desk = Desk()
    desk.receipt()
    assert len(desk.ledger.orphans) == 0
    assert (desk.ledger.counts.orphans_parked, desk.ledger.counts.orphans_aged) == (1, 1)


def test_parked_is_matched_and_aged_and_those_that_wait() -> None:
    """The counts of orphans add up, whatever came."""
    desk = Desk(orphans_max=4)
    for number in range(9):
        desk.receipt(f"x{number % 6}", state=-1 if number % 2 else State.DELIVERED)
    desk.receipt()
    desk.submitted("P1", "x5")
    desk.age(before=1002.5)
    counts = desk.ledger.counts
    assert counts.orphans_matched == 1
    assert counts.orphans_parked == counts.orphans_matched + counts.orphans_aged + len(desk.ledger.orphans)
