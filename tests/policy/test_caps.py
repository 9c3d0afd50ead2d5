"""Caps of a carrier: exact in any second, and only for whom they are. smsroute/policy/caps.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import CarrierCaps
from smsroute.message import MessageClass
from smsroute.policy.caps import Caps, words

INFO, MARKETING = MessageClass.INFO, MessageClass.MARKETING


def flood(caps: Caps, esme: str, message_class: int, now: float, parts: int) -> int:
    """How many of so many parts offered at `now` went."""
    went = 0
    while went < parts and caps.blocked(esme, message_class, now) is None:
        caps.went(esme, message_class, now)
        went += 1
    return went


@given(
    st.sampled_from([0.5, 1.0, 7.0, 50.0, 400.0]),
    st.lists(st.floats(0.0, 0.6), min_size=5, max_size=120),
    st.sampled_from([1, 3, 1000]),
)
def test_no_second_holds_more_than_the_cap(rate: float, pauses: list[float], parts: int) -> None:
    """Whatever the rhythm of the wake-ups and however many parts wait: at most the cap in any second, or one."""
    caps = Caps(CarrierCaps({}, {MARKETING: rate}), 100.0)
    now, sent = 100.0, []
    for pause in pauses:
        now += pause
        sent += [now] * flood(caps, "acme", MARKETING, now, parts)
    for i, start in enumerate(sent):
        assert sum(start <= at < start + 1.0 for at in sent[i:]) <= max(1.0, rate)


def test_a_flood_gets_all_of_its_cap() -> None:
    """Woken when `delay` says so, ten seconds carry ten times the cap, but for the counting in slices."""
    caps = Caps(CarrierCaps({"acme": 200.0}, {}), 0.0)
    now, went = 0.0, 0
    while now < 10.0:
        went += flood(caps, "acme", INFO, now, 10_000)
        now += max(0.001, caps.delay(("esme", "acme"), now))
    assert 1960 <= went <= 2000


def test_a_part_under_two_caps_needs_both_and_counts_in_both() -> None:
    """acme's marketing stops at the lower of the two; what it used is gone for the marketing of others."""
    caps = Caps(CarrierCaps({"acme": 100.0}, {MARKETING: 40.0}), 0.0)
    assert flood(caps, "acme", MARKETING, 0.0, 100) == 2
    assert caps.blocked("bank", MARKETING, 0.0) == ("class", "marketing")
    assert flood(caps, "acme", INFO, 0.0, 100) == 3
    assert caps.blocked("acme", INFO, 0.0) == ("esme", "acme")
    assert caps.blocked("bank", INFO, 0.0) is None


def test_a_cap_in_words() -> None:
    """As `health` says it."""
    assert words(("class", "marketing"), 50.0) == "marketing 50/s"
    assert words(("esme", "acme"), 0.5) == "acme 0.5/s"
