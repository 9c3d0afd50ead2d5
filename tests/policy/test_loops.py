"""Marks of what was sent: whose they are, how long they hold, how many there may be. smsroute/policy/loops.py."""

from __future__ import annotations

import pytest

from smsroute.policy.loops import Loops

SAID = ("SHOP", "33612345678", b"your parcel")


def guard(marks_max: int = 100) -> Loops:
    """A guard of 30 s, at its first second."""
    loops = Loops(30.0, marks_max)
    loops.pass_time(1000.0)
    return loops


def send(loops: Loops, esme: str, said: tuple[str, str, bytes] = SAID) -> None:
    """`esme` said it, and it was taken."""
    mark = loops.mark(*said, esme)
    assert mark
    loops.sent([mark], esme)


def test_another_esme_may_not_say_it_and_the_same_may() -> None:
    """What acme said comes back by relay; acme may repeat itself."""
    loops = guard()
    assert loops.mark(*SAID, "relay")
    send(loops, "acme")
    assert loops.mark(*SAID, "relay") == 0
    assert loops.whose(*SAID) == "acme"
    assert loops.mark(*SAID, "acme")


@pytest.mark.parametrize(
    "other",
    [
        ("shop", "33612345678", b"your parcel"),
        ("SHOP", "33612345679", b"your parcel"),
        ("SHOP", "33612345678", b"your parcel "),
        ("SHOP", "33612345678", b"\5\0\3\1\2\1your parcel"),
        ("", "33612345678", b"your parcel"),
    ],
)
def test_sender_number_and_octets_all_count(other: tuple[str, str, bytes]) -> None:
    """One of them differs: it is another message, and a part of a long one is not its neighbour."""
    loops = guard()
    send(loops, "acme")
    assert loops.mark(*other, "relay")
    assert loops.whose(*other) == ""


def test_a_plus_before_the_number_is_no_difference() -> None:
    """Hops add it and take it away."""
    loops = guard()
    send(loops, "acme")
    assert loops.mark("SHOP", "+33612345678", b"your parcel", "relay") == 0


@pytest.mark.parametrize(("after_s", "held"), [(0.0, True), (30.0, True), (59.9, True), (60.0, False), (3600.0, False)])
def test_a_mark_holds_for_one_window_at_least_and_two_at_most(after_s: float, held: bool) -> None:
    """Even when nothing passes in between."""
    loops = guard()
    send(loops, "acme")
    loops.pass_time(1000.0 + after_s)
    assert (loops.mark(*SAID, "relay") == 0) == held


def test_a_mark_made_late_in_its_window_holds_for_a_whole_one() -> None:
    """Generations turn each window; one made just before the turn is still there 30 s later."""
    loops = guard()
    loops.pass_time(1029.9)
    send(loops, "acme")
    loops.pass_time(1030.0)
    loops.pass_time(1059.8)
    assert loops.mark(*SAID, "relay") == 0
    loops.pass_time(1060.0)
    assert loops.mark(*SAID, "relay")


def test_marks_are_bounded_and_the_older_half_goes() -> None:
    """Beyond loop_marks_max the newest are those that are kept (law 10)."""
    loops = guard(marks_max=10)
    for number in range(100):
        send(loops, "acme", ("SHOP", f"336{number:04d}", b"x"))
        assert len(loops) <= 10
    assert loops.mark("SHOP", "3360099", b"x", "relay") == 0
    assert loops.mark("SHOP", "3360050", b"x", "relay")


def test_a_batch_beyond_the_bound_is_let_go_with_the_next() -> None:
    """One read of a session may hold more marks than there may be: for one batch, no longer."""
    loops = guard(marks_max=10)
    for batch in range(3):
        loops.sent([loops.mark("SHOP", f"336{batch}{n:03d}", b"x", "acme") for n in range(50)], "acme")
        assert len(loops) <= 50


def test_a_window_of_nothing_turns_it_off() -> None:
    """`loop_window: 0s`."""
    assert not Loops(0.0, 10).on
