"""Whose a message from a handset is: the rule of `mo:` that fits it and says most about it.

Rules:
- A rule fits when every constraint it names holds: the number written to, the first word, what the handset's number
  begins with, the carrier it came by.
- Of those that fit the longest `to` wins, a whole number before a start of the same length (`38000` before `38000*`);
  then one that names a keyword; then the longest `from`; then one that names the carrier; then the one that stands
  first.
- A rule that does not fit is passed over, so that a shorter `to` gets its say: keyword rules at `38000` leave other
  words to a rule at `38*`.
- Nobody's message is nobody's: there is no rule of last resort but one that somebody writes (`to: ["*"]`).

Walk: built by the engine from Config; asked by `carriers/handsets` for each message, by `smsroute explain --mo`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from smsroute.config import MoRule

ANY: Final = "*"


@attrs.frozen
class Weighed:
    """One rule whose `to` covers the number, and why it does not get the message ("" when it does)."""

    rule: MoRule
    to: str
    why_not: str


class Owners:
    """See the module."""

    def __init__(self, rules: Iterable[MoRule]) -> None:
        self._exact: dict[str, list[tuple[int, MoRule]]] = {}
        self._starts: dict[str, list[tuple[int, MoRule]]] = {}
        self._lengths: list[int] = []
        for index, rule in enumerate(rules):
            for to in rule.to:
                table = self._starts if to.endswith(ANY) else self._exact
                table.setdefault(to.removesuffix(ANY), []).append((index, rule))
        self._lengths = sorted({len(start) for start in self._starts}, reverse=True)

    def __len__(self) -> int:
        return len({index for _, rules in self._at_all() for index, _ in rules})

    def owner(self, to: str, sender: str, word: str, carrier: str) -> MoRule | None:
        """The rule that gets it. `to` and `sender` as on the wire, `word`: the first of its text."""
        for _, rules in self._covering(to):
            fitting = [
                (_rank(rule, sender, index), rule)
                for index, rule in rules
                if not _why_not(rule, sender, word.casefold(), carrier)
            ]
            if fitting:
                return max(fitting, key=lambda pair: pair[0])[1]
        return None

    def by_word(self, to: str, sender: str, carrier: str) -> bool:
        """Whether its first word may decide whose it is."""
        rules = (rule for _, rules in self._covering(to) for _, rule in rules if rule.keyword)
        return any(_from(rule, sender) >= 0 and carrier in (rule.carriers or (carrier,)) for rule in rules)

    def weighed(self, to: str, sender: str, word: str, carrier: str) -> list[Weighed]:
        """Every rule whose `to` covers the number, the one that gets it first, for people. `carrier` "": any."""
        found: list[Weighed] = []
        won = self.owner(to, sender, word, carrier)
        for covers, rules in self._covering(to):
            for _, rule in sorted(rules, key=lambda pair: _rank(pair[1], sender, pair[0]), reverse=True):
                why_not = _why_not(rule, sender, word.casefold(), carrier)
                if not why_not and rule is not won:
                    assert won is not None
                    why_not = f"`{won.name}` says more about it"
                found.append(Weighed(rule, covers, why_not))
        return sorted(found, key=lambda one: bool(one.why_not))

    def _at_all(self) -> Iterator[tuple[str, list[tuple[int, MoRule]]]]:
        yield from self._exact.items()
        yield from self._starts.items()

    def _covering(self, to: str) -> Iterator[tuple[str, list[tuple[int, MoRule]]]]:
        """Rules whose `to` covers the number, the longest `to` first."""
        number = to.removeprefix("+")
        exact = self._exact.get(number)
        if exact is not None:
            yield number, exact
        for length in self._lengths:
            if length <= len(number):
                rules = self._starts.get(number[:length])
                if rules is not None:
                    yield number[:length] + ANY, rules


def _from(rule: MoRule, sender: str) -> int:
    """How much of the handset's number the rule names; 0: nothing, -1: another number."""
    if not rule.sender:
        return 0
    number = sender.removeprefix("+")
    return max((len(start) for start in rule.sender if number.startswith(start)), default=-1)


def _rank(rule: MoRule, sender: str, index: int) -> tuple[bool, int, bool, int]:
    return bool(rule.keyword), _from(rule, sender), bool(rule.carriers), -index


def _why_not(rule: MoRule, sender: str, word: str, carrier: str) -> str:
    if rule.keyword and word not in map(str.casefold, rule.keyword):
        return f"its first word is not {' or '.join(rule.keyword)}"
    if _from(rule, sender) < 0:
        return f"its sender does not begin with {' or '.join(rule.sender)}"
    if rule.carriers and carrier not in rule.carriers:
        return f"it did not come by {' or '.join(rule.carriers)}"
    return ""
