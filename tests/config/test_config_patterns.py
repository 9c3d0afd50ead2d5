"""Patterns of receipts that could take long are refused before any receipt is read. smsroute/config/patterns.py."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.config.patterns import TEXT_CHARACTERS, Laborious, judge
from smsroute.config.presets import PRESETS


@pytest.mark.parametrize(
    "pattern",
    [
        PRESETS["uk-comma"].pattern,
        r"(?P<id>[^,]+),(?P<stat>[0-9]+)",
        r"(?P<id>\d++) .*?(?P<stat>\w+)",
        r"(?P<id>\w+) (?P<stat>\w+)(?: err=(?P<err>\w+))?",
        r"id (?P<id>[0-9]{1,20})(?:,| )(?P<stat>[A-Z]+) .*",
        r"^\x69d=(?P<id>[]a-f\]]+)\|(?P<stat>[A-Z]+?)\|.*$",
        "" + r"(?P<id>a)" + r"[a-f]*z" * 20 + "(?P<stat>x)",
    ],
)
def test_a_pattern_that_gives_little_back_is_taken(pattern: str) -> None:
    """Repeats that end where the next part begins, possessive ones, choices that differ at once."""
    judge(pattern)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        (r"(a+)+b", "no repeated group"),
        (r"(?:ab){2,}", "no repeated group"),
        (r".*id=(?P<id>\d+).*stat=(?P<stat>\w+).*", "at most two repeats"),
        (r"(?:a|a)" * 20, "at most two repeats"),
        ("a?" * 20 + "a" * 20, "at most two repeats"),
        (r"\w*(?:-\w*)?\w*\w*", "at most two repeats"),
        (r"(a)\1", "no reference back"),
        (r"\N{BULLET}", "no character by number"),
        (r"(?i)a", "groups such as"),
        (r"(?=a)a", "groups such as"),
        (r"(?P<a>x)(?P=a)", "groups such as"),
    ],
)
def test_a_pattern_that_may_take_long_is_refused(pattern: str, told: str) -> None:
    """With what to write instead."""
    re.compile(pattern)
    with pytest.raises(Laborious, match=told):
        judge(pattern)


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", ",", r"\."])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "{2}", "{1,9}", "{,3}", "*+", "++", "?+"])
PIECES = st.tuples(ATOMS, REPEATS).map("".join)
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=5).map("".join),
        st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), st.sampled_from(["", "?", "{0,1}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=14,
)


@settings(deadline=None, max_examples=150)
@given(PATTERNS, st.sampled_from(["a", "b", "ab", "a,", "aab", "1", "aaaaaaaab"]), st.sampled_from(["", "!", ",", "a"]))
def test_what_is_taken_is_quick_on_any_text(pattern: str, unit: str, end: str) -> None:
    """Whatever `judge` lets pass tries a text of full length in a fraction of a second, the worst end included."""
    try:
        judge(pattern)
    except Laborious:
        return
    compiled = re.compile(pattern)
    text = (unit * TEXT_CHARACTERS)[: TEXT_CHARACTERS - len(end)] + end
    before = time.process_time()
    compiled.fullmatch(text)
    assert time.process_time() - before < 0.2
