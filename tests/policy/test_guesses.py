"""How often an address may be wrong about a password. smsroute/policy/guesses.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.policy.guesses import Guesses, house

HERE, THERE = "192.0.2.1", "192.0.2.2"


def wrong(guesses: Guesses, address: str, name: str, now: float) -> bool:
    """One wrong try, if it is looked at."""
    if not guesses.may(address, name, now):
        return False
    guesses.wrong(address, name, now)
    return True


def test_some_at_once_then_one_in_a_while() -> None:
    """`guesses_max` tries at once, then one each `guess_s`, however often it knocks meanwhile."""
    guesses = Guesses(5, 10.0, 100)
    tried = [second for second in range(100) for _ in range(20) if wrong(guesses, HERE, "acme", float(second))]
    assert tried[:5] == [0, 0, 0, 0, 0]
    assert tried[5:] == list(range(10, 100, 10))


def test_knocking_does_not_lengthen_the_wait() -> None:
    """Who is made to wait owes no more for trying: the honest one behind the same address is let in `guess_s` later."""
    guesses = Guesses(3, 10.0, 100)
    for tenth in range(1000):
        wrong(guesses, HERE, "acme", tenth / 10)
    assert guesses.wait_s(HERE, "acme", 100.0) <= 10.0
    assert guesses.may(HERE, "acme", 110.0)


def test_a_neighbour_behind_the_same_address_costs_nothing() -> None:
    """Guesses at another ESME, or at names that do not exist, are not held against this one."""
    guesses = Guesses(3, 10.0, 100)
    for _ in range(50):
        wrong(guesses, HERE, "shop", 0.0)
        wrong(guesses, HERE, "", 0.0)
    assert not guesses.may(HERE, "shop", 0.0)
    assert not guesses.may(HERE, "", 0.0)
    assert guesses.may(HERE, "acme", 0.0)
    assert guesses.may(THERE, "shop", 0.0)


def test_a_right_password_clears() -> None:
    """An operator who mistyped a few times starts afresh."""
    guesses = Guesses(3, 10.0, 100)
    assert [wrong(guesses, HERE, "acme", 0.0) for _ in range(3)] == [True, True, True]
    guesses.right(HERE, "acme")
    assert [wrong(guesses, HERE, "acme", 0.0) for _ in range(4)] == [True, True, True, False]


def test_houses() -> None:
    """An IPv6 house is its /64, mapped IPv4 is itself."""
    assert house("2001:db8:1:2:aaaa::1") == house("2001:db8:1:2::ffff") != house("2001:db8:1:3::1")
    assert house("::ffff:192.0.2.1") == "192.0.2.1"
    assert house("fe80::1%eth0") == house("fe80::2")


def test_bounded() -> None:
    """A hundred thousand addresses leave at most `guessers_max` rows, the newest among them."""
    guesses = Guesses(1, 10.0, 1000)
    for number in range(100_000):
        guesses.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "acme", number / 1000)
        assert len(guesses) <= 1000
    assert not guesses.may("10.1.134.159", "acme", 100.0)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.floats(0, 30), st.booleans()), max_size=200),
    st.integers(1, 5),
)
def test_never_more_than_promised(tries: list[tuple[str, float, bool]], guesses_max: int) -> None:
    """Wrong tries looked at in any time T from one address: at most guesses_max + T / guess_s, unless one was right
    between."""
    guesses = Guesses(guesses_max, 10.0, 100)
    looked: list[float] = []
    now = 0.0
    for address, gap, right in tries:
        now += gap
        if not guesses.may(address, "acme", now):
            continue
        if right:
            guesses.right(address, "acme")
            looked = [] if address == "a" else looked
        else:
            guesses.wrong(address, "acme", now)
            looked += [now] if address == "a" else []
    for first in range(len(looked)):
        assert len(looked) - first <= guesses_max + (looked[-1] - looked[first]) / 10.0 + 1e-6
