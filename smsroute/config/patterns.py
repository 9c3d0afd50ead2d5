"""Whether a regular expression from a config may take long on a text a carrier writes.

Rules:
- A repeat may give back what it took only where the part behind it could take it. Each repeat that may do so multiplies
  the work by the length of the text, each choice by its ways; more than WORK_MAX is refused, before any text is read.
- So is what this reader does not judge: a repeated group, a reference back, a look ahead or behind, a flag.
- `[^,]*,` gives nothing back, nor does a possessive repeat such as `[0-9]++`; `.*,` does.

Walk: `dialect.PatternKind` asks `judge` when a config is loaded.
"""

from __future__ import annotations

import re
from typing import Final

TEXT_CHARACTERS: Final = 255  # a text of this length; limits.receipt_pattern_characters_max is the same by default
WORK_MAX: Final = 70_000  # two such repeats: some 25 ms at the worst, of a text made for it
WANTED_SIMPLER: Final = "at most two repeats that may give back what the next part takes: [^,]* or .*+ instead of .*"

# What stands for characters beyond Latin-1: a letter, a digit, a line end, a space.
_OTHERS: Final = "\u4e00\u0661\u2028\u3000"
_ALPHABET: Final = (*map(chr, range(256)), *_OTHERS)
_END: Final = "end"
_QUANTIFIER: Final = re.compile(r"(\*|\+|\?|\{(?=[0-9,])([0-9]*)(,?)([0-9]*)\})([?+]?)")
_GROUP: Final = re.compile(r"\((?:\?:|\?P<[A-Za-z_][A-Za-z0-9_]*>|(?!\?))")
_ATOM: Final = re.compile(
    r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^0-9xuUN]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\()|*+?\[]", re.DOTALL
)
_NO_WIDTH: Final = ("^", "$", r"\b", r"\B", r"\A", r"\Z")

First = frozenset[str]
"""The characters something may begin with; _END when it may be nothing at the end of the text."""


class Laborious(ValueError):
    """The pattern may take long, or is not judged; the message says what was expected instead."""


def judge(pattern: str) -> None:
    """Raises Laborious. `pattern` is one that `re` compiles, and that must match a whole text."""
    work, _, _ = _Reader(pattern).alternatives(0, frozenset((_END,)))
    if work > WORK_MAX:
        raise Laborious(WANTED_SIMPLER)


class _Node:
    """One piece of a sequence: an atom or a group, and how often it may come."""

    def __init__(self, first: First, most: float, least: int, gives_back: bool, inner: tuple[int, int] | None) -> None:
        self.first = first
        self.most = most
        self.least = least
        self.gives_back = gives_back
        self.inner = inner  # where a group's own text begins and ends


class _Reader:
    """Reads a pattern from the right of each sequence to the left: what follows decides what a repeat may give back."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def alternatives(self, at: int, follow: First, end: int = -1) -> tuple[int, First, bool]:
        """The work, the first characters and whether it may be nothing, of the text from `at` to its group's end."""
        ways = self._ways(at, len(self.pattern) if end < 0 else end)
        work, firsts, empty = 0, [], False
        for start, stop in ways:
            one, first, nothing = self._sequence(start, stop, follow)
            work = max(work, one)
            firsts.append(first | follow if nothing else first)
            empty |= nothing
        together = frozenset().union(*firsts)
        if len(ways) > 1 and sum(map(len, firsts)) > len(together):
            work *= len(ways)
        return work, together, empty

    def _sequence(self, start: int, stop: int, follow: First) -> tuple[int, First, bool]:
        work, first, nothing = 1, follow, True
        for node in reversed(self._nodes(start, stop)):
            own, empty = node.first, node.least == 0
            if node.inner is not None:
                inner, own, inner_empty = self.alternatives(node.inner[0], first, node.inner[1])
                work *= inner
                empty |= inner_empty
            if node.gives_back and node.most > node.least and own & first:
                work *= 2 if node.most == 1 else int(min(node.most, TEXT_CHARACTERS)) - node.least + 1
            first = own | first if empty else own
            nothing &= empty
            if work > WORK_MAX:
                raise Laborious(WANTED_SIMPLER)
        return work, first, nothing

    def _ways(self, at: int, end: int) -> list[tuple[int, int]]:
        """The spans between the `|` of this level."""
        spans, start = [], at
        while at < end:
            if self.pattern[at] == "|":
                spans.append((start, at))
                start = at + 1
                at += 1
            elif self.pattern[at] == "(":
                at = self._closing(at) + 1
            else:
                at = self._atom(at)
        return [*spans, (start, end)]

    def _nodes(self, at: int, end: int) -> list[_Node]:
        nodes = []
        while at < end:
            inner, first = None, frozenset[str]()
            if self.pattern[at] == "(":
                opened = _GROUP.match(self.pattern, at)
                if opened is None:
                    raise Laborious("groups such as (?P<id>…) and (?:…) only")
                closing = self._closing(at)
                inner, at = (opened.end(), closing), closing + 1
            else:
                start, at = at, self._atom(at)
                text = self.pattern[start:at]
                if text in _NO_WIDTH:
                    continue
                first = frozenset(one for one in _ALPHABET if re.fullmatch(text, one))
            quantifier = _QUANTIFIER.match(self.pattern, at, end)
            least, most, way = 1, 1.0, ""
            if quantifier is not None:
                at = quantifier.end()
                least, most, way = _times(quantifier)
            if inner is not None and most > 1:
                raise Laborious("no repeated group: a group may be optional, what is in it may repeat")
            nodes.append(_Node(first, most, least, way != "+", inner))
        return nodes

    def _atom(self, at: int) -> int:
        """Where the atom at `at` ends."""
        found = _ATOM.match(self.pattern, at)
        if found is None:
            if _QUANTIFIER.match(self.pattern, at):
                return at + 1
            raise Laborious("no reference back to a group, and no character by number but \\xhh and \\uhhhh")
        return found.end()

    def _closing(self, at: int) -> int:
        """Where the group that opens at `at` closes."""
        depth = 0
        while True:
            if self.pattern[at] == "(":
                depth += 1
                at += 1
            elif self.pattern[at] == ")":
                depth -= 1
                if depth == 0:
                    return at
                at += 1
            else:
                at = self._atom(at) if self.pattern[at] != "|" else at + 1


def _times(quantifier: re.Match[str]) -> tuple[int, float, str]:
    """At least, at most, and "+" for a possessive one."""
    sign, low, comma, high, way = quantifier.groups()
    if sign == "*":
        return 0, float("inf"), way
    if sign == "+":
        return 1, float("inf"), way
    if sign == "?":
        return 0, 1.0, way
    least = int(low or 0)
    return least, float(high) if high else (float("inf") if comma else float(least)), way
