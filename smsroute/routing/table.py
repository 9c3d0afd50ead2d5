"""Which rule speaks for a number: the longest prefix, then the rule that says most about sender, ESME and class.

Rules:
- The longest prefix wins. Among the rules of one prefix: a named sender before a sender prefix (`ACME*`, the longer one
  first) before any; then a named ESME before any; then a named class before any; then the order of the file.
- A rule that does not match is passed over, and shorter prefixes get their say: a rule for otp at "336" leaves other
  messages to the rule at "33".
- Built once per config; nothing here changes afterwards.

Drawback of the simple way: reading rules top to bottom costs in proportion to their number and makes the file's order
the meaning of the file, which is how a rule added at the end is never reached and nobody notices.

Idea: a number has at most 15 digits, so at most 16 prefixes. One dict holds the prefixes of each length that occurs;
a look-up tries the lengths from long to short and asks only dicts.

    for length, rules_by_prefix in lengths, longest first:
        for rule in rules_by_prefix[number[:length]], most specific first:
            if rule matches: return it

Measured (one core of a shared 2-core machine, Python 3.11): 0.4 us a look-up over 3 lengths of prefix, 0.8 us over
1,000,000 prefixes of 5 lengths; these cost 38 octets each here, beside the 60 of the string the config holds anyway,
and 1.4 s to build. Limits: rules that share a prefix are tried one by one.

Walk: built by the engine from Config.routes; asked by `esmes/accept` for each message and by `smsroute explain`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import attrs

from smsroute.config import Route
from smsroute.message import MessageClass

ANY_SENDER_FROM: Final = "*"
"""Ends a sender prefix in `from:`. The GSM alphabet has it, but no operator grants a sender that ends so."""

SENDER_CHARACTERS_MAX: Final = 20
"""Of source_addr (5.2.8), so that a full name always says more than a prefix."""


@attrs.frozen
class Considered:
    """One rule whose prefix covers the number, and why it does not speak for this message ("" when it does)."""

    route: Route
    prefix: str
    why_not: str


class Rule(NamedTuple):
    """What a look-up finds: the route, and the prefix of the number that led to it."""

    route: Route
    prefix: str


class _Entry:
    """A route as the table keeps it: its constraints in the shape that is cheapest to ask."""

    __slots__ = ("classes", "esmes", "plain", "route", "sender_prefixes", "senders")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.esmes = frozenset(route.esmes)
        self.classes = frozenset(int(c) for c in route.classes)
        self.senders = frozenset(s for s in route.sender if not s.endswith(ANY_SENDER_FROM))
        self.sender_prefixes = tuple(s[:-1] for s in route.sender if s.endswith(ANY_SENDER_FROM))
        self.plain = not (self.esmes or self.classes or route.sender)

    def matches(self, source_addr: str, esme: str, message_class: int) -> bool:
        """Whether the rule speaks for such a message, its number aside."""
        if self.plain:
            return True
        if self.classes and message_class not in self.classes:
            return False
        if self.esmes and esme not in self.esmes:
            return False
        if self.senders or self.sender_prefixes:
            return source_addr in self.senders or source_addr.startswith(self.sender_prefixes)
        return True

    def why_not(self, source_addr: str, esme: str, message_class: int) -> str:
        """The first constraint such a message fails, for people; "" when it fails none."""
        if self.classes and message_class not in self.classes:
            names = ", ".join(MessageClass(c).name.lower() for c in sorted(self.classes))
            return f"class {MessageClass(message_class).name.lower()} is not in classes [{names}]"
        if self.esmes and esme not in self.esmes:
            return f"ESME {esme!r} is not in esmes [{', '.join(self.route.esmes)}]"
        if not self.matches(source_addr, esme, message_class):
            return f"sender {source_addr!r} is not in from [{', '.join(self.route.sender)}]"
        return ""

    def specificity(self, source_addr: str) -> tuple[int, bool, bool]:
        """How much the rule says about a message from this sender: greater wins."""
        sender = 0
        if source_addr in self.senders:
            sender = 1 + SENDER_CHARACTERS_MAX + 1
        elif self.sender_prefixes:
            sender = max((1 + len(p) for p in self.sender_prefixes if source_addr.startswith(p)), default=0)
        return (sender, bool(self.esmes), bool(self.classes))


class Table:
    """Routes by the numbers they lead to. See the module."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """`routes` in the order of their file."""
        by_length: dict[int, dict[str, tuple[_Entry, ...]]] = {}
        joined: dict[tuple[_Entry, ...], tuple[_Entry, ...]] = {}  # a million prefixes of one route share one tuple
        for route in routes:
            rule = _Entry(route)
            for prefix in dict.fromkeys(route.to):
                by_prefix = by_length.setdefault(len(prefix), {})
                rules = (*by_prefix.get(prefix, ()), rule)
                by_prefix[prefix] = joined.setdefault(rules, rules)
        self._lengths = tuple((length, by_length[length]) for length in sorted(by_length, reverse=True))

    def match(self, destination_addr: str, source_addr: str, esme: str, message_class: int) -> Rule | None:
        """The rule that speaks for such a message, or None.

        A leading + is not part of the number.
        """
        if destination_addr[:1] == "+":
            destination_addr = destination_addr[1:]
        for length, by_prefix in self._lengths:
            prefix = destination_addr[:length]
            rules = by_prefix.get(prefix)
            if rules is None:  # also when the number is shorter than `length`: its keys are all that long
                continue
            if len(rules) == 1:
                if rules[0].plain or rules[0].matches(source_addr, esme, message_class):
                    return Rule(rules[0].route, prefix)
                continue
            found = [rule for rule in rules if rule.matches(source_addr, esme, message_class)]
            if found:  # max keeps the first of equals: the order of the file
                return Rule(max(found, key=lambda rule: rule.specificity(source_addr)).route, prefix)
        return None

    def find(self, destination_addr: str, source_addr: str, esme: str, message_class: int) -> Route | None:
        """The route that speaks for such a message, or None."""
        found = self.match(destination_addr, source_addr, esme, message_class)
        return None if found is None else found.route

    def consider(self, destination_addr: str, source_addr: str, esme: str, message_class: int) -> list[Considered]:
        """Every rule whose prefix covers the number, the winner first, each of the others with why it is not it."""
        number = destination_addr.removeprefix("+")
        winner = self.match(number, source_addr, esme, message_class)
        rows: list[Considered] = []
        for length, by_prefix in self._lengths:
            prefix = number[:length]
            for rule in by_prefix.get(prefix, ()):
                if winner is not None and rule.route is winner.route and prefix == winner.prefix:
                    rows.insert(0, Considered(rule.route, prefix, ""))
                    continue
                why = rule.why_not(source_addr, esme, message_class)
                if not why and winner is not None:
                    why = _outranked(prefix, *winner)
                rows.append(Considered(rule.route, prefix, why))
        return rows


def _outranked(prefix: str, route: Route, longer: str) -> str:
    if len(longer) > len(prefix):
        return f"{route.name!r} has the longer prefix, {longer!r} over {prefix!r}"
    return f"{route.name!r} says more about sender, ESME or class, or stands earlier in the file"
