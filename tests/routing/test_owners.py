"""Whose a message from a handset is. smsroute/routing/owners.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import MoRule
from smsroute.routing.owners import Owners


def owner(
    *rules: MoRule, to: str = "38000", sender: str = "33612345678", word: str = "", carrier: str = "orange"
) -> str:
    """The name of the rule that gets it, "" for none."""
    found = Owners(rules).owner(to, sender, word, carrier)
    return "" if found is None else found.name


def rule(name: str, *to: str, **fields: tuple[str, ...]) -> MoRule:
    """A rule for acme."""
    return MoRule(name, to, "acme", **fields)


CODE, START, ANY = rule("code", "38000"), rule("start", "38*"), rule("any", "*")


def test_a_number_is_whole_unless_it_ends_in_a_star() -> None:
    """`38000` owns 38000 alone, `38*` what begins so, `*` everything; a + on the wire is no digit."""
    assert [owner(CODE, to=to) for to in ("38000", "+38000", "380001", "3800")] == ["code", "code", "", ""]
    assert [owner(START, to=to) for to in ("38000", "38", "3")] == ["start", "start", ""]
    assert owner(ANY, to="anything") == "any"
    assert owner(to="38000") == ""


def test_the_longest_number_wins() -> None:
    """A whole number before the start of it, a longer start before a shorter, wherever they stand in the file."""
    assert owner(ANY, START, rule("whole start", "38000*"), CODE) == "code"
    assert owner(ANY, START, rule("whole start", "38000*")) == "whole start"
    assert owner(ANY, START) == "start"


def test_then_a_keyword_then_a_sender_then_a_carrier_then_the_first() -> None:
    """Of rules for one number each constraint outranks those behind it, however many of those a rule names."""
    word = rule("word", "38000", keyword=("Stop",))
    far = rule("far", "38000", sender=("3361",))
    near = rule("near", "38000", sender=("33", "34"), carriers=("orange",))
    by = rule("by", "38000", carriers=("orange",))
    rules = (CODE, by, near, far, word)
    assert owner(*rules, word="sTOP") == "word"
    assert owner(*rules, word="go") == "far"
    assert owner(*rules, sender="+33712345678") == "near"
    assert owner(*rules, sender="49") == "by"
    assert owner(*rules, sender="49", carrier="sfr") == "code"
    assert owner(CODE, rule("again", "38000")) == "code"


def test_a_rule_that_does_not_fit_leaves_it_to_a_shorter_one() -> None:
    """A keyword at the number leaves other words to the rule of its start."""
    assert owner(rule("word", "38000", keyword=("STOP",)), START, word="hello") == "start"
    assert owner(rule("word", "38000", keyword=("STOP",)), word="hello") == ""


def test_whether_a_word_may_decide() -> None:
    """Only where a rule with a keyword could be meant: for that number, sender and carrier."""
    owners = Owners([CODE, rule("word", "38*", keyword=("STOP",), sender=("33",), carriers=("orange",))])
    assert owners.by_word("38000", "336", "orange")
    assert not owners.by_word("39000", "336", "orange")
    assert not owners.by_word("38000", "346", "orange")
    assert not owners.by_word("38000", "336", "sfr")


def test_why_not_the_others() -> None:
    """Every rule for the number is weighed, the owner first, each other with its reason."""
    rules = (CODE, START, rule("word", "38000", keyword=("STOP",)), rule("else", "39*"))
    told = [(one.rule.name, one.why_not) for one in Owners(rules).weighed("38000", "336", "stop", "")]
    assert told == [
        ("word", ""),
        ("code", "`word` says more about it"),
        ("start", "`word` says more about it"),
    ]
    told = [(one.rule.name, one.why_not) for one in Owners(rules).weighed("38000", "336", "no", "")]
    assert told == [("code", ""), ("word", "its first word is not STOP"), ("start", "`code` says more about it")]


NUMBERS = st.sampled_from(["3", "38", "38*", "3*", "*", "380", "38000", "38000*"])
SETS = {
    "keyword": st.sets(st.sampled_from(["stop", "GO"])),
    "sender": st.sets(st.sampled_from(["3", "33", "336"])),
    "carriers": st.sets(st.sampled_from(["orange", "sfr"])),
}


@st.composite
def rules(draw: st.DrawFn) -> list[MoRule]:
    """A few rules, each of another name."""
    made = []
    for number in range(draw(st.integers(0, 6))):
        to = tuple(sorted(draw(st.sets(NUMBERS, min_size=1, max_size=3))))
        made.append(MoRule(f"r{number}", to, "acme", **{key: tuple(sorted(draw(one))) for key, one in SETS.items()}))
    return made


@given(
    rules(),
    st.sampled_from(["3", "38", "380", "38000", "380001"]),
    st.sampled_from(["3361", "34", "49"]),
    st.sampled_from(["STOP", "go", ""]),
    st.sampled_from(["orange", "sfr", "free"]),
)
def test_as_a_person_would_read_it(made: list[MoRule], to: str, sender: str, word: str, carrier: str) -> None:
    """Every number of every rule looked at one by one, the best by the written order, is the one that is found."""
    fitting = []
    for place, one in enumerate(made):
        senders = [start for start in one.sender if sender.startswith(start)]
        words = [known.upper() for known in one.keyword]
        if (one.sender and not senders) or (words and word.upper() not in words):
            continue
        if one.carriers and carrier not in one.carriers:
            continue
        for number in one.to:
            if number == to or (number[-1] == "*" and to.startswith(number[:-1])):
                said = (len(number.rstrip("*")), number[-1] != "*", bool(words), max(map(len, senders), default=0))
                fitting.append((said, bool(one.carriers), -place, one.name))
    assert owner(*made, to=to, sender=sender, word=word, carrier=carrier) == (max(fitting)[-1] if fitting else "")
