"""`ids: auto`: what is learnt of a carrier's ids, and that no receipt is ever given to another message."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.smpp import learn
from smsroute.smpp.learn import Learner

TLV, TEXT = "receipted_message_id", "text"
Ids = list[tuple[str, str]]
Scheme = Callable[[int], tuple[str, Ids]]
"""A number -> the id in the response, those in the receipt."""

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits or "0"


def uuid(number: int) -> str:
    text = f"{random.Random(number).getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def text(response: Callable[[int], str], receipt: Callable[[int], str]) -> Scheme:
    return lambda number: (response(number), [(TEXT, receipt(number))])


SCHEMES: dict[str, tuple[str, Scheme]] = {
    "decimal": ("exact", text(str, str)),
    "hex": ("exact", text("{:x}".format, "{:x}".format)),
    "base62": ("exact", text(base62, base62)),
    "uuid": ("exact", text(uuid, uuid)),
    "both": ("exact", lambda n: (str(n), [(TLV, str(n)), (TEXT, str(n))])),
    "hex-dec": ("hex-dec", text("{:x}".format, str)),
    "hex-dec padded": ("hex-dec", text("{:08X}".format, "{:010d}".format)),
    "dec-hex": ("dec-hex", text(str, "{:x}".format)),
    "dec-hex padded": ("dec-hex", text("{:010d}".format, "{:08x}".format)),
    "receipt padded": ("unpad", text(str, "{:020d}".format)),
    "response padded": ("unpad", text("{:016d}".format, str)),
    "upper": ("casefold", text("{:x}".format, "{:X}".format)),
    "lower uuid": ("casefold", text(lambda n: uuid(n).upper(), uuid)),
    "prefixed": ("hex", text("{:x}".format, "0x{:X}".format)),
    "tlv hex, text decimal": ("", lambda n: (f"{n:x}", [(TLV, f"{n:x}"), (TEXT, str(n))])),
}


class Carrier:
    """An index of responses, a Learner, and the truth."""

    def __init__(self, scheme: Scheme, learner: Learner, destinations: int) -> None:
        self.scheme, self.learner, self.destinations = scheme, learner, destinations
        self.index: dict[str, int] = {}
        self.matched = self.wrong = self.missed = 0

    def respond(self, number: int) -> None:
        self.index[self.learner.response_key(self.scheme(number)[0])] = number

    def receipt(self, number: int, keys_of: Callable[[Ids], list[str]] | None = None) -> str:
        ids = self.scheme(number)[1]
        keys = (keys_of or self.learner.candidates)(ids)
        assert len(keys) <= learn.CANDIDATES_MAX
        hits = [
            (key, self.index[key], self.index[key] % self.destinations == number % self.destinations)
            for key in keys
            if key in self.index
        ]
        key = self.learner.judge(ids, hits, 1.0)
        if not key:
            self.missed += 1
            if keys_of is None and self.learner.rule:
                self.receipt(number, self.learner.doubts)
        elif self.index[key] == number:
            self.matched += 1
        else:
            self.wrong += 1
        return key


def drive(carrier: Carrier, numbers: list[int], rng: random.Random, early: float, late: int) -> None:
    """Responses in order, some later than others; receipts some before them, most within the next `late` messages."""
    events: list[tuple[float, int, int]] = []
    for position, number in enumerate(numbers):
        responded = position + rng.choice((0.0, 0.0, 0.0, rng.uniform(0, 20)))
        told = position - rng.uniform(0, 1) if rng.random() < early else responded + rng.uniform(0.1, late)
        events += [(responded, 0, number), (told, 1, number)]
    for _, kind, number in sorted(events):
        (carrier.receipt if kind else carrier.respond)(number)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(SCHEMES)),
    st.one_of(st.integers(0, 300), st.integers(0, 2**20), st.integers(2**28 - 50, 2**28 + 50), st.integers(0, 2**64)),
    st.sampled_from(["counter", "gaps", "random"]),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.03, 0.3]),
    st.integers(1, 300),
)
def test_no_receipt_is_ever_given_to_another_message(
    name: str, start: int, kind: str, destinations: int, seed: int, early: float, late: int
) -> None:
    """Counters from anywhere, with gaps, or random numbers; one to three handsets; receipts early, late, out of order:
    whatever is matched is right, and nothing but the scheme's own rule is learnt."""
    rng = random.Random(seed)
    numbers = list(range(start, start + 600))
    if kind == "gaps":
        numbers = [start + step * rng.randint(1, 5) for step in range(0, 3000, 5)]
    elif kind == "random":
        bits = max(24, start.bit_length())
        numbers = [*dict.fromkeys(rng.getrandbits(bits) for _ in range(600))]
    rule, scheme = SCHEMES[name]
    carrier = Carrier(scheme, Learner(), destinations)
    drive(carrier, numbers, rng, early, late)
    assert carrier.wrong == 0
    allowed = {rule} if rule else {"hex-dec", "exact", f"{TLV} exact, {TEXT} hex-dec"}
    if name in ("upper", "prefixed"):
        allowed |= {"exact"}
    assert carrier.learner.rule in allowed, carrier.learner.words()
    assert carrier.matched > 300, (carrier.learner.words(), carrier.missed)


@pytest.mark.parametrize("name", sorted(SCHEMES))
@pytest.mark.parametrize("told", [False, True])
def test_a_receipt_that_came_before_its_response_is_no_other_messages(name: str, told: bool) -> None:
    """Of a fresh learner, with one handset for all: every small number left out in turn while a few after it are
    known, with their receipts or without."""
    scheme = SCHEMES[name][1]
    for start in (0, 1, 2, 9, 10, 16, 95, 96, 100, 256, 1000, 4090, 268435450):
        for left_out in range(start, start + 30):
            carrier = Carrier(scheme, Learner(), 1)
            for number in range(start, start + 36):
                if number != left_out:
                    carrier.respond(number)
                    if told and number > left_out:
                        carrier.receipt(number)
                if number >= left_out:
                    carrier.receipt(left_out)
                    assert carrier.wrong == 0, (start, left_out, number)
