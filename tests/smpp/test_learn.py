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
    if name in ("upper", "prefixed", "receipt padded", "response padded"):
        allowed |= {"exact"}  # ids without letters, or too long to be padded, come back as they were written
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


def taught(name: str, count: int = 40, start: int = 0x1A0C3B40, **settings: int) -> Carrier:
    """A carrier of a scheme whose learner has seen some of its receipts, to three handsets."""
    carrier = Carrier(SCHEMES[name][1], Learner(**settings), 3)
    for number in range(start, start + count):
        carrier.respond(number)
        carrier.receipt(number)
    return carrier


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_the_rule_of_a_scheme_is_learnt_and_finds_all_that_follow(name: str) -> None:
    """After forty messages in order each new receipt is matched, by one to ten candidates."""
    carrier = taught(name)
    rule = SCHEMES[name][0] or f"{TLV} exact, {TEXT} hex-dec"
    assert rule == carrier.learner.rule, carrier.learner.words()
    matched = carrier.matched
    for number in range(0x2000_0000, 0x2000_0064):
        carrier.respond(number)
        assert len(carrier.learner.candidates(carrier.scheme(number)[1])) <= 10
        carrier.receipt(number)
    assert (carrier.wrong, carrier.matched - matched) == (0, 100)
    (news, *_) = carrier.learner.news
    assert "learnt" in news


def test_ten_million_stays_unknown_until_the_rule_is_learnt() -> None:
    """`10000000` is one message in decimal and another in hexadecimal; both are there, for one handset."""
    learner = Learner()
    ids = [(TEXT, "10000000")]
    decimal, hexadecimal = learner.response_key("10000000"), learner.response_key("989680")
    hits = [(decimal, "one", True), (hexadecimal, "other", True)]
    assert {decimal, hexadecimal} <= set(learner.candidates(ids))
    assert (learner.judge(ids, hits), learner.ambiguous) == ("", 1)
    for number in (0x1A0C3B4D, 0x1A0C3B4E, 0x1A0C3B4F):
        assert learner.witness(f"{number:x}", [(TEXT, str(number))], True)
    assert learner.rule == "hex-dec"
    assert learner.candidates(ids)[0] == "989680"
    assert learner.judge(ids, hits) == "989680"


def test_dec_and_hex_are_learnt_only_from_an_id_that_shows_a_letter() -> None:
    """Digits on both sides prove nothing, however often they meet."""
    learner = Learner()
    for number in range(0x10000000, 0x10000009):
        learner.response_key(f"{number:x}")
        learner.candidates([(TEXT, str(number))])
        assert not learner.witness(f"{number:x}", [(TEXT, str(number))], True)
    assert (learner.rule, learner.words()) == ("", ["text: not learnt yet"])


def test_digits_of_another_handset_are_not_believed_and_letters_are() -> None:
    """An id that shows a letter is sure; a number may be another message's."""
    learner = Learner()
    assert learner.witness("N-000042", [(TEXT, "N-000042")], False)
    assert not learner.witness("1234567", [(TEXT, "1234567")], False)
    assert learner.mismatched == 1
    assert learner.words()[-1] == "1 ids named a message to another number: set `dialect: ids`"


def test_numbers_beyond_64_bits_keep_every_digit() -> None:
    """Neighbours above 2^63 and 2^64 stay apart (quirks M8)."""
    for start in (2**63, 2**64 + 1, 2**200):
        carrier = taught("hex-dec", start=start + 0xA)
        assert (carrier.learner.rule, carrier.wrong) == ("hex-dec", 0)


def test_a_rule_that_evidence_contradicts_is_forgotten_and_the_new_one_learnt() -> None:
    """The carrier changes its software: for a while nothing is matched, never wrongly, then all is again."""
    carrier = taught("hex-dec")
    carrier.scheme = SCHEMES["decimal"][1]
    for number in range(500_000_000, 500_000_060):
        carrier.respond(number)
        carrier.receipt(number)
    assert (carrier.learner.rule, carrier.wrong) == ("exact", 0)
    assert [line.split()[1] for line in carrier.learner.news] == ["learnt", "forgot", "learnt"]
    source = carrier.learner.learnt()[TEXT]
    assert source[:2] == ("exact", 3)


def test_evidence_for_another_rule_begins_the_count_anew() -> None:
    """Three in a row, not three in all."""
    learner = Learner()
    pairs = [("1a0c3b4d", "437009229"), ("1a0c3b4e", "437009230"), ("ff-1", "ff-1"), ("1a0c3b4f", "437009231")]
    for response, receipt in pairs:
        learner.response_key(response)
        learner.candidates([(TEXT, receipt)])
        learner.witness(response, [(TEXT, receipt)], True)
    assert learner.rule == ""


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_what_was_learnt_outlives_the_engine(name: str) -> None:
    """Kept and restored it answers the same, for a learner that knows the rule and one that does not yet."""
    for count in (2, 40):
        carrier = taught(name, count)
        again = Learner()
        again.restore(carrier.learner.keep())
        assert (again.rule, again.words()) == (carrier.learner.rule, carrier.learner.words())
        ids = carrier.scheme(0x2B00_0001)[1]
        assert again.candidates(ids) == carrier.learner.candidates(ids)
        assert again.waits_as(ids) == carrier.learner.waits_as(ids)
        assert again.keep() == carrier.learner.keep()


def test_responses_from_before_a_rule_was_forgotten_say_nothing() -> None:
    """The carrier wrote hex, then decimal, and the rule was forgotten at 1 s. A restart later, what was sent before is
    not looked at, so that ids of digits are learnt as before it."""
    carrier = taught("hex-dec")
    carrier.scheme = SCHEMES["decimal"][1]
    for number in range(500_000_000, 500_000_003):
        carrier.respond(number)
        carrier.receipt(number)
    assert carrier.learner.rule == ""
    again = Learner()
    again.restore(carrier.learner.keep())
    again.note_again("1a0c3b4d", 0.5)
    assert again.keep() == carrier.learner.keep()
    again.note_again("500000007", 1.5)
    assert again.keep() != carrier.learner.keep()


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"\x95\x02\x80\x80\x90\xc2", b"not msgpack at all"])
def test_what_is_no_such_thing_is_refused(blob: bytes) -> None:
    """With ValueError, and the learner stays as it was."""
    learner = taught("hex-dec").learner
    with pytest.raises(ValueError, match=r"not what a learner keeps|version"):
        learner.restore(blob)
    assert learner.rule == "hex-dec"


def test_a_receipt_waits_under_a_name_only_when_that_is_sure() -> None:
    """Digits are nobody's until a rule is learnt; then it waits under what the response will say."""
    learner = Learner()
    assert learner.waits_as([(TEXT, "437009229")]) == ""
    assert learner.waits_as([(TEXT, "N-42 ")]) == "N-42"
    assert learner.waits_as([]) == ""
    learnt = taught("hex-dec padded", start=0x0A0C3B40).learner
    assert learnt.waits_as([(TEXT, "0437009229")]) == "1A0C3B4D"
    assert learnt.waits_as([(TEXT, str(0xBEEF))]) == "0000BEEF"


def test_words_say_what_was_learnt_and_what_is_missing() -> None:
    """A line for each place where receipts carry ids."""
    assert Learner().words() == []
    learner = taught("tlv hex, text decimal").learner
    assert learner.words() == [
        "receipted_message_id: as the response writes it (exact, 3 receipts)",
        "text: the response's hexadecimal number in decimal (hex-dec, 3 receipts)",
    ]
    assert taught("hex-dec", 12, evidence_min=20).learner.words() == ["text: not learnt yet, hex-dec 12 of 20"]


@given(st.lists(st.tuples(st.sampled_from([TLV, TEXT]), st.text(max_size=90)), max_size=3), st.text(max_size=90))
def test_no_id_makes_it_raise(ids: Ids, response: str) -> None:
    """Ids are whatever a carrier writes: digits of other scripts, underscores, nothing, hundreds of characters."""
    learner = Learner()
    key = learner.response_key(response)
    candidates = learner.candidates(ids)
    assert len(candidates) <= learn.CANDIDATES_MAX
    learner.judge(ids, [(one, one, True) for one in (key, *candidates)])
    learner.waits_as(ids)
    learner.doubts(ids)
    assert Learner().restore(learner.keep()) is None


def test_a_place_that_never_fits_does_not_stop_the_other() -> None:
    """Some carriers put an id of their own into the TLV: the text is learnt and believed, the TLV never is."""
    carrier = Carrier(lambda n: (f"{n:x}", [(TLV, f"own-{n % 7}"), (TEXT, str(n))]), Learner(), 3)
    for number in range(0x1A0C3B40, 0x1A0C3B40 + 300):
        carrier.respond(number)
        carrier.receipt(number)
    assert (carrier.learner.rule, carrier.wrong, carrier.missed) == ("hex-dec", 0, 0)
    assert carrier.learner.words()[0] == "receipted_message_id: not learnt yet"
