"""Which rule speaks for a message: the longest prefix, then the rule that says most about the message, then the first.

Rules:
- The longest prefix wins, whether it stands in a route's `to` itself or in a named network there.
- Among the rules of one prefix the first of these that tells them apart decides: a named sender before a sender prefix
  (`ACME*`, the longer one first) before any; a kind of sender before any; a named ESME before any; a named class before
  any; named data codings before any; hours before always; the order of the file; in one route a named network before
  bare digits, then the order of its `to`.
- A rule that does not match is passed over, and shorter prefixes get their say: a rule for otp at "336" leaves other
  messages to the rule at "33", and so does a rule outside its hours.
- Built once per config; nothing changes afterwards but the note which minute it is.

Drawback of the simple way: reading rules top to bottom costs in proportion to their number and makes the file's order
the meaning of the file, which is how a rule added at the end is never reached and nobody notices.

Idea: a number has at most 15 digits, so at most 16 prefixes. One dict holds the prefixes of each length that occurs;
a look-up tries the lengths from long to short and asks only dicts. What a rule says about a message is one number, its
rank; only the sender's share of it depends on the message. The rules of a prefix stand in the order of the highest rank
each can have, so the first that matches mostly ends the search. Prefixes with the same rules share one tuple of them.
Whether hours are open is worked out once a minute and rule, not per message.

    for length, rules_by_prefix in lengths, longest first:
        for rule in rules_by_prefix[number[:length]], highest possible rank first:
            if rule cannot outrank the best so far: stop
            if rule matches: keep it if it does
        if one was kept: return it

Measured (one core of a shared 2-core machine under load, Python 3.11), random numbers over 1,000,000 prefixes of 6
lengths: 1.7 us a look-up with one rule a prefix, 2.1 us with four, 2.9 us with seven that each ask for something else;
0.5 us over the few prefixes of a small config. A prefix costs 30 to 60 octets here (a dict doubles as it grows), beside
the 100 of the string and its place in the config; 1,000,000 of them are built in 0.5 s.

Limits: rules that share a prefix are tried one by one. A reload holds the old table and the new one for a moment.

Walk: built by the engine from Config; asked by `carriers/dispatch` for each message, by `smsroute explain`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import attrs

from smsroute.config import Config, Route
from smsroute.config.hours import zone
from smsroute.config.limits import Limits
from smsroute.message import MessageClass

ANY_SENDER_FROM: Final = "*"
"""Ends a sender prefix in `from:`. The GSM alphabet has it, but no operator grants a sender that ends so."""

SENDER_CHARACTERS_MAX: Final = 20
"""Of source_addr (5.2.8), so that a full name always says more than a prefix."""

NO_MATCH: Final = -1
_SENDER_UNIT: Final = 32  # a sender's share of the rank stands above the five bits below
_KIND, _ESME, _CLASS, _CODING, _HOURS = 16, 8, 4, 2, 1
_SAYS: Final = {_KIND: "the kind of sender", _ESME: "the ESME", _CLASS: "the class", _CODING: "the data_coding",
                _HOURS: "the hours"}  # fmt: skip


@attrs.frozen
class Considered:
    """One rule whose prefix covers the number, and why it does not speak for this message ("" when it does)."""

    route: Route
    prefix: str
    network: str
    why_not: str


class Rule(NamedTuple):
    """What a look-up finds: the route, the prefix of the number that led to it, and the network it belongs to."""

    route: Route
    prefix: str
    network: str  # scores are kept for it: a named network's name, or the prefix


def sender_kind(source_addr: str, short_code_digits_max: int) -> str:
    """`short`: up to so many digits; `numeric`: more of them, or a + before them; `alphanumeric`: anything else; an
    empty sender is of no kind."""
    if source_addr.isdigit() and source_addr.isascii():
        return "short" if len(source_addr) <= short_code_digits_max else "numeric"
    if source_addr[:1] == "+" and source_addr[1:].isdigit():
        return "numeric"
    return "alphanumeric" if source_addr else ""


class _Hours:
    """The hours of one route, and whether they are open in the minute they were last asked for."""

    __slots__ = ("_minute", "_open", "windows", "words", "zone")

    def __init__(self, route: Route) -> None:
        self.windows = route.hours
        self.zone = zone(route.time_zone)
        self.words = f"{', '.join(window.text for window in route.hours)} {route.time_zone}"
        self._minute = -1.0
        self._open = False

    def open(self, wall: float) -> bool:
        """Whether a window is open at `wall` (Unix seconds). Every zone's offset is whole minutes."""
        minute = wall // 60
        if minute != self._minute:
            self._minute = minute
            local = datetime.datetime.fromtimestamp(wall, self.zone)
            weekday, of_day = local.weekday(), local.hour * 60 + local.minute
            self._open = any(window.covers(weekday, of_day) for window in self.windows)
        return self._open


class _Entry:
    """A route as the table keeps it, for one of its networks or for its bare digits: constraints in the shape that is
    cheapest to ask."""

    __slots__ = ("classes", "codings", "esmes", "hours", "kinds", "network", "place", "rank_max", "route",
                 "sender_prefixes", "senders", "short_max", "static")  # fmt: skip

    def __init__(self, route: Route, network: str, place: int, hours: _Hours | None, short_max: int) -> None:
        self.route = route
        self.network = network  # "": the prefix that matched
        self.place = place
        self.esmes = frozenset(route.esmes)
        self.classes = frozenset(int(c) for c in route.classes)
        self.kinds = frozenset(map(str, route.from_kind))
        self.codings = frozenset(route.data_codings)
        self.hours = hours
        self.short_max = short_max
        self.senders = frozenset(s for s in route.sender if not s.endswith(ANY_SENDER_FROM))
        self.sender_prefixes = tuple(s[:-1] for s in route.sender if s.endswith(ANY_SENDER_FROM))
        self.static = (
            _KIND * bool(self.kinds)
            + _ESME * bool(self.esmes)
            + _CLASS * bool(self.classes)
            + _CODING * bool(self.codings)
            + _HOURS * (hours is not None)
        )
        sender = max((1 + len(prefix) for prefix in self.sender_prefixes), default=0)
        if self.senders:
            sender = SENDER_CHARACTERS_MAX + 2
        self.rank_max = self.static + _SENDER_UNIT * sender

    def rank(self, source_addr: str, esme: str, message_class: int, data_coding: int, wall: float) -> int:
        """How much the rule says about such a message, its number aside: greater wins. NO_MATCH when it says no."""
        if self.classes and message_class not in self.classes:
            return NO_MATCH
        if self.esmes and esme not in self.esmes:
            return NO_MATCH
        if self.codings and data_coding not in self.codings:
            return NO_MATCH
        rank = self.static
        if self.senders or self.sender_prefixes:
            sender = self._sender(source_addr)
            if not sender:
                return NO_MATCH
            rank += _SENDER_UNIT * sender
        if self.kinds and sender_kind(source_addr, self.short_max) not in self.kinds:
            return NO_MATCH
        if self.hours is not None and not self.hours.open(wall):
            return NO_MATCH
        return rank

    def _sender(self, source_addr: str) -> int:
        if source_addr in self.senders:
            return SENDER_CHARACTERS_MAX + 2
        if not source_addr.startswith(self.sender_prefixes):
            return 0
        return max(1 + len(prefix) for prefix in self.sender_prefixes if source_addr.startswith(prefix))

    def why_not(self, source_addr: str, esme: str, message_class: int, data_coding: int, wall: float) -> str:
        """The first constraint such a message fails, for people; "" when it fails none."""
        if self.classes and message_class not in self.classes:
            names = ", ".join(MessageClass(c).name.lower() for c in sorted(self.classes))
            return f"class {MessageClass(message_class).name.lower()} is not in classes [{names}]"
        if self.esmes and esme not in self.esmes:
            return f"ESME {esme!r} is not in esmes [{', '.join(self.route.esmes)}]"
        if self.codings and data_coding not in self.codings:
            return f"data_coding {data_coding} is not in data_codings [{', '.join(map(str, self.route.data_codings))}]"
        if (self.senders or self.sender_prefixes) and not self._sender(source_addr):
            return f"sender {source_addr!r} is not in from [{', '.join(self.route.sender)}]"
        kind = sender_kind(source_addr, self.short_max)
        if self.kinds and kind not in self.kinds:
            said = f"sender {source_addr!r} is {kind}" if kind else "an empty sender is of no kind"
            return f"{said}, not in from_kind [{', '.join(self.route.from_kind)}]"
        if self.hours is not None and not self.hours.open(wall):
            return f"outside its hours {self.hours.words}"
        return ""


_Entries = tuple[_Entry, ...]


class Table:
    """Routes by the numbers they lead to. See the module."""

    def __init__(
        self,
        routes: Iterable[Route],
        networks: Mapping[str, Iterable[str]] | None = None,
        short_code_digits_max: int = Limits().short_code_digits_max,
    ) -> None:
        """`routes` in the order of their file; `networks`: the prefixes of each that a route names."""
        networks = networks or {}
        by_target: dict[str, list[_Entry]] = {}  # a network's name, or digits
        place = 0
        for route in routes:
            hours = _Hours(route) if route.hours else None
            digits: _Entry | None = None
            for target in sorted(dict.fromkeys(route.to), key=lambda target: target not in networks):  # networks first
                named = target in networks
                entry = digits if digits is not None and not named else None
                if entry is None:
                    place += 1
                    entry = _Entry(route, target if named else "", place, hours, short_code_digits_max)
                    digits = None if named else entry
                by_target.setdefault(target, []).append(entry)
        self._lengths = _by_length(by_target, networks)

    @classmethod
    def of(cls, config: Config, limits: Limits | None = None) -> Table:
        """The table of a whole config; `limits` instead of its own, for an engine that keeps those it started with."""
        numbers = {name: network.numbers for name, network in config.networks.items()}
        return cls(config.routes, numbers, (limits or config.limits).short_code_digits_max)

    def match(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, wall: float
    ) -> Rule | None:
        """The rule that speaks for such a message at `wall` (Unix seconds), or None.

        A leading + is not part of the number.
        """
        if destination_addr[:1] == "+":
            destination_addr = destination_addr[1:]
        for length, by_prefix in self._lengths:
            prefix = destination_addr[:length]
            entries = by_prefix.get(prefix)
            if entries is None:  # also when the number is shorter than `length`: its keys are all that long
                continue
            best, found = NO_MATCH, None
            for entry in entries:
                if entry.rank_max < best:
                    break
                rank = entry.rank(source_addr, esme, message_class, data_coding, wall) if entry.rank_max else 0
                if rank < best or rank < 0:
                    continue
                if found is None or rank > best or entry.place < found.place:
                    best, found = rank, entry
            if found is not None:
                return Rule(found.route, prefix, found.network or prefix)
        return None

    def find(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, wall: float
    ) -> Route | None:
        """The route that speaks for such a message, or None."""
        found = self.match(destination_addr, source_addr, esme, message_class, data_coding, wall)
        return None if found is None else found.route

    def of_route(self, name: str, destination_addr: str) -> Rule | None:
        """How the route of that name leads to a number, whatever else it asks for; None when it is gone or leads
        elsewhere now."""
        number = destination_addr.removeprefix("+")
        for length, by_prefix in self._lengths:  # plain loops: asked for each receipt
            prefix = number[:length]
            entries = by_prefix.get(prefix)
            if entries is None:
                continue
            first = None
            for entry in entries:
                if entry.route.name == name and (first is None or entry.place < first.place):
                    first = entry
            if first is not None:
                return Rule(first.route, prefix, first.network or prefix)
        return None

    def towards(self, carrier: str, destination_addr: str) -> str:
        """The network of a number as the routes by this carrier see it, whatever else they ask for; "" for none. For
        what comes from a carrier and names no message."""
        number = destination_addr.removeprefix("+")
        for length, by_prefix in self._lengths:
            prefix = number[:length]
            for entry in sorted(by_prefix.get(prefix, ()), key=lambda entry: entry.place):
                if any(choice.carrier == carrier for choice in (*entry.route.carriers, *entry.route.backup)):
                    return entry.network or prefix
        return ""

    def consider(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, wall: float
    ) -> list[Considered]:
        """Every rule whose prefix covers the number, the winner first, each of the others with why it is not it."""
        number = destination_addr.removeprefix("+")
        asked = (source_addr, esme, message_class, data_coding, wall)
        winner: tuple[int, _Entry] | None = None
        rows: list[Considered] = []
        for length, by_prefix in self._lengths:
            prefix = number[:length]
            entries = by_prefix.get(prefix, ())
            if winner is None:
                matching = [entry for entry in entries if entry.rank(*asked) >= 0]
                if matching:
                    winner = length, min(matching, key=lambda entry: (-entry.rank(*asked), entry.place))
            for entry in sorted(entries, key=lambda entry: entry.place):
                network = entry.network or prefix
                if winner == (length, entry):
                    rows.insert(0, Considered(entry.route, prefix, network, ""))
                    continue
                why = entry.why_not(*asked)
                if not why and winner is not None:
                    why = _outranked(entry, prefix, winner[1], number[: winner[0]], asked)
                rows.append(Considered(entry.route, prefix, network, why))
        return rows


def _by_length(
    by_target: Mapping[str, list[_Entry]], networks: Mapping[str, Iterable[str]]
) -> tuple[tuple[int, dict[str, _Entries]], ...]:
    """(length, rules of each prefix that long), longest first."""
    by_length: dict[int, dict[str, _Entries]] = {}
    joined: dict[tuple[_Entries, _Entries], _Entries] = {}  # a million prefixes of one network share one tuple
    for target, rules in by_target.items():
        own = _sorted(rules)
        for prefix in networks.get(target, (target,)):
            by_prefix = by_length.get(len(prefix))
            if by_prefix is None:
                by_prefix = by_length[len(prefix)] = {}
            there = by_prefix.setdefault(prefix, own)
            if there is not own:
                both = joined.get((there, own))
                if both is None:
                    both = joined[there, own] = _sorted((*there, *own))
                by_prefix[prefix] = both
    return tuple((length, by_length[length]) for length in sorted(by_length, reverse=True))


def _sorted(entries: Iterable[_Entry]) -> _Entries:
    return tuple(sorted(dict.fromkeys(entries), key=lambda entry: (-entry.rank_max, entry.place)))


def _outranked(loser: _Entry, prefix: str, winner: _Entry, longer: str, asked: tuple[str, str, int, int, float]) -> str:
    name = repr(winner.route.name)
    if len(longer) > len(prefix):
        return f"{name} has the longer prefix, {longer!r} over {prefix!r}"
    ahead, behind = winner.rank(*asked), loser.rank(*asked)
    if ahead // _SENDER_UNIT > behind // _SENDER_UNIT:
        return f"{name} says more about the sender"
    for bit, what in _SAYS.items():
        if ahead & bit > behind & bit:
            return f"{name} says more about {what}"
    if winner.route is loser.route:
        return f"the same route by {winner.network or longer!r}"
    return f"{name} says as much and stands earlier in the file"
