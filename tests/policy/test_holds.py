"""Full handsets at one carrier. smsroute/policy/holds.py."""

from __future__ import annotations

from smsroute.policy.holds import Holds

A, B = "33612345678", "33687654321"


def test_a_refusal_holds_its_destination_and_no_other() -> None:
    """Five seconds for the one, nothing for the other."""
    holds = Holds(5.0, 60.0, 10)
    assert holds.refused(A, 100.0, 99.9) == 5.0
    assert (holds.held(A, 101.0), holds.held(B, 101.0)) == (4.0, 0.0)
    assert holds.held(A, 105.0) == 0.0


def test_full_again_doubles_up_to_the_longest() -> None:
    """Each part that asks and is refused makes the next wait twice as long."""
    holds, now, pauses = Holds(5.0, 60.0, 10), 100.0, []
    for _ in range(6):
        pauses.append(holds.refused(A, now, now))
        now += pauses[-1]
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert holds.times(A) == 6


def test_what_was_on_its_way_says_nothing_new() -> None:
    """A whole window to one handset is refused at once: one hold, not doubled for each."""
    holds = Holds(5.0, 60.0, 10)
    holds.refused(A, 100.0, 99.0)
    assert holds.refused(A, 100.5, 99.5) == 4.5
    assert (holds.held(A, 100.5), holds.times(A)) == (4.5, 1)


def test_one_part_asks_and_the_others_wait_for_its_answer() -> None:
    """After the hold: the first may go, then nobody until it is answered or its pause is over too."""
    holds = Holds(5.0, 60.0, 10)
    holds.refused(A, 100.0, 100.0)
    assert holds.held(A, 105.0) == 0.0
    holds.went(A, 105.0)
    assert holds.held(A, 106.0) == 4.0
    holds.answered(A)
    assert (holds.held(A, 106.0), holds.freed, len(holds)) == (0.0, [A], 0)


def test_a_lost_answer_frees_the_question() -> None:
    """The one that asked is never answered: after as long again another asks."""
    holds = Holds(5.0, 60.0, 10)
    holds.refused(A, 100.0, 100.0)
    holds.went(A, 105.0)
    assert holds.held(A, 110.0) == 0.0


def test_a_throttled_question_may_be_asked_again() -> None:
    """The carrier did not look: the hold is no longer, and no shorter, for it."""
    holds = Holds(5.0, 60.0, 10)
    holds.refused(A, 100.0, 100.0)
    holds.unheard(A)
    assert holds.held(A, 101.0) == 4.0
    holds.went(A, 105.0)
    holds.unheard(A)
    holds.unheard(B)
    assert (holds.held(A, 105.0), holds.times(A), holds.freed) == (0.0, 1, [])


def test_long_ago_is_forgotten() -> None:
    """Refused, well for long, refused again: a first hold, not a doubled one."""
    holds = Holds(5.0, 60.0, 10)
    holds.refused(A, 100.0, 100.0)
    assert holds.refused(A, 111.0, 111.0) == 5.0


def test_of_too_many_the_one_refused_longest_ago_is_let_go() -> None:
    """And whoever waits for it is told."""
    holds = Holds(5.0, 60.0, 2)
    for number, to in enumerate((A, B, "1", A)):
        holds.refused(to, 100.0 + number, 100.0 + number)
    assert (len(holds), holds.freed) == (2, [A, B])
    assert holds.held(A, 104.0) > 0
