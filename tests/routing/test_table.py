"""The table: longest prefix first, then who says more, then the order of the file."""

from __future__ import annotations

import datetime
import time
import zoneinfo
from itertools import product

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Choice, Route
from smsroute.config.hours import WindowKind
from smsroute.message import MessageClass
from smsroute.routing.table import Rule, Table, sender_kind

INFO, OTP = MessageClass.INFO, MessageClass.OTP
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
NOON = datetime.datetime(2026, 12, 25, 12, tzinfo=datetime.UTC).timestamp()  # a Friday, 13:00 in Paris


@attrs.frozen
class Message:
    """What a table is asked about."""

    number: str = "33612345678"
    sender: str = "ACME"
    esme: str = "acme"
    message_class: int = INFO
    data_coding: int = 0
    wall: float = NOON


def route(name: str, *to: str, hours: tuple[str, ...] = (), **fields: object) -> Route:
    """A route that only its constraints tell from others."""
    windows = tuple(WindowKind().read(text) for text in hours)
    return Route(name, to, carriers=(Choice("any"),), hours=windows, **fields)


def match(table: Table, *args: object, **fields: object) -> Rule | None:
    """The rule found for such a message."""
    return table.match(*attrs.astuple(Message(*args, **fields)))


def find(table: Table, *args: object, **fields: object) -> str:
    """The name of the route found, "" for none."""
    found = table.find(*attrs.astuple(Message(*args, **fields)))
    return found.name if found is not None else ""


def minutes(text: str) -> set[tuple[int, int]]:
    """Every (weekday, minute) of a window, counted out one by one."""
    *days, times = text.split(" ")
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    chosen = []
    for word in (days or ["mon-sun"])[0].split(","):
        first, last = word.split("-") if "-" in word else (word, word)
        at = names.index(first)
        while chosen.append(at) or names[at] != last:
            at = (at + 1) % 7
    (h1, m1), (h2, m2) = (part.split(":") for part in times.split("-"))
    start, end = int(h1) * 60 + int(m1), int(h2) * 60 + int(m2)
    length = end - start if end > start else 1440 - start + end
    return {((day + at // 1440) % 7, at % 1440) for day in chosen for at in range(start, start + length)}


def naive(routes: list[Route], networks: dict[str, list[str]], message: Message) -> tuple[str, str]:
    """The rules of the module read one by one: every rule that matches, sorted by what it says. (route, network)"""
    found: list[tuple[tuple[object, ...], str, str]] = []
    for place, one in enumerate(routes):
        says_sender = [len(p) for p in one.sender if p.endswith("*") and message.sender.startswith(p[:-1])]
        says_sender += [99 for p in one.sender if p == message.sender and not p.endswith("*")]
        stripped = message.sender.removeprefix("+")
        kind = "alphanumeric" if not (stripped.isascii() and stripped.isdigit()) else "numeric"
        if kind == "numeric" and stripped == message.sender and len(stripped) < 9:
            kind = "short"
        at = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=message.wall)
        local = at.astimezone(zoneinfo.ZoneInfo(one.time_zone))
        minute = (local.weekday(), local.hour * 60 + local.minute)
        if not (
            (not one.sender or says_sender)
            and (not one.from_kind or (message.sender and kind in one.from_kind))
            and (not one.esmes or message.esme in one.esmes)
            and (not one.classes or message.message_class in one.classes)
            and (not one.data_codings or message.data_coding in one.data_codings)
            and (not one.hours or any(minute in minutes(window.text) for window in one.hours))
        ):
            continue
        says = [max(says_sender, default=0)]
        says += map(bool, (one.from_kind, one.esmes, one.classes, one.data_codings, one.hours))
        for turn, target in enumerate(one.to):
            named = target in networks
            for prefix in networks.get(target, [target]):
                if message.number.removeprefix("+").startswith(prefix):
                    order = (-len(prefix), [-x for x in says], place, not named, turn)
                    found.append((order, one.name, target if named else prefix))
    return min(found)[1:] if found else ("", "")


def tell(rule: Rule | None) -> tuple[str, str]:
    """The same of what a table found."""
    return ("", "") if rule is None else (rule.route.name, rule.network)


DIGITS = st.sampled_from(["", "1", "12", "120", "1201", "2", "20"])  # few, so that rules meet at one prefix
SENDERS = ["ACME", "ACM*", "A*", "*", "BANK", "3312", "+3361"]
WINDOWS = ["mon-fri 08:00-20:00", "sat,sun 10:00-18:00", "22:00-06:00", "fri 22:00-06:00", "sat-mon 00:00-24:00"]
NETWORKS = st.dictionaries(
    st.sampled_from(["orange", "sfr"]), st.lists(DIGITS.filter(bool), min_size=1, max_size=4), max_size=2
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "to": st.lists(DIGITS | st.sampled_from(["orange", "sfr"]), min_size=1, max_size=3, unique=True),
            "sender": st.lists(st.sampled_from(SENDERS), max_size=2),
            "from_kind": st.lists(st.sampled_from(["alphanumeric", "numeric", "short"]), max_size=2),
            "esmes": st.lists(st.sampled_from(["acme", "zeta"]), max_size=1),
            "classes": st.lists(st.sampled_from(list(MessageClass)), max_size=2),
            "data_codings": st.lists(st.sampled_from([0, 8, 245]), max_size=2),
            "hours": st.lists(st.sampled_from(WINDOWS), max_size=2),
            "time_zone": st.sampled_from(["UTC", "Europe/Paris", "Asia/Kathmandu"]),
        }
    ),
    max_size=8,
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["12012", "1202", "1", "201", "3", "", "+12012", "+20"]),
    st.sampled_from(["ACME", "ACM", "BANK", "3312", "33612345678", "+3361", ""]),
    st.sampled_from(["acme", "zeta"]),
    st.sampled_from(list(MessageClass)),
    st.sampled_from([0, 8, 245]),
    st.integers(0, 2 * 366 * 1440).map(lambda minute: NOON + minute * 60.0),
)


def build(rows: list[dict[str, list[str]]], networks: dict[str, list[str]]) -> list[Route]:
    """Routes of such rows, without the networks that are not there."""
    routes = []
    for index, row in enumerate(rows):
        fields = {key: value if isinstance(value, str) else tuple(value) for key, value in row.items()}
        to = [target for target in fields.pop("to") if not target.isalpha() or target in networks]
        routes.append(route(f"r{index}", *to, **fields))
    return routes


@given(ROWS, NETWORKS, st.lists(MESSAGES, min_size=1, max_size=5))
def test_equals_every_rule_tried_and_sorted(
    rows: list[dict[str, list[str]]], networks: dict[str, list[str]], messages: list[Message]
) -> None:
    """For any routes, networks and messages the table finds what trying every rule and sorting finds."""
    routes = build(rows, networks)
    table = Table(routes, networks)
    for message in messages:
        assert tell(table.match(*attrs.astuple(message))) == naive(routes, networks, message)


def test_of_every_two_rules_that_match_the_order_is_as_written() -> None:
    """Sender, kind, ESME, class, data_coding, hours, place: of all pairs of rules that fit a message the one that says
    more by the first of these speaks, whichever stands first."""
    senders = [(), ("A*",), ("ACM*",), ("ACME",)]
    constraints = [("from_kind", ("alphanumeric",)), ("esmes", ("acme",)), ("classes", (INFO,)),
                   ("data_codings", (0,)), ("hours", ("12:00-13:00",))]  # fmt: skip
    says = list(product(range(len(senders)), *[(False, True)] * len(constraints)))
    rules = [
        route("".join(map(str, map(int, one))), "33", sender=senders[one[0]],
              **{key: value for (key, value), named in zip(constraints, one[1:], strict=True) if named})
        for one in says
    ]  # fmt: skip
    for (said, first), (more, second) in product(zip(says, rules, strict=True), repeat=2):
        assert find(Table([first, second])) == (second.name if more > said else first.name)


@given(ROWS, NETWORKS, MESSAGES)
def test_consider_names_the_winner_first_and_a_reason_for_each_other(
    rows: list[dict[str, list[str]]], networks: dict[str, list[str]], message: Message
) -> None:
    """`consider` agrees with `match`, and every rule that covers the number and lost says why."""
    routes = build(rows, networks)
    table = Table(routes, networks)
    considered = table.consider(*attrs.astuple(message))
    winner = tell(table.match(*attrs.astuple(message)))
    assert [(one.route.name, one.network) for one in considered if not one.why_not] == ([winner] if winner[0] else [])
    assert not winner[0] or (considered[0].route.name, considered[0].network) == winner
    number = message.number.removeprefix("+")
    covering = {
        (one.name, to if to in networks else prefix, prefix)
        for one in routes
        for to in one.to
        for prefix in networks.get(to, [to])
        if number.startswith(prefix)
    }
    assert {(one.route.name, one.network, one.prefix) for one in considered} == covering


@given(ROWS, NETWORKS, MESSAGES)
def test_of_route_asks_for_nothing_but_the_number(
    rows: list[dict[str, list[str]]], networks: dict[str, list[str]], message: Message
) -> None:
    """A route found by its name leads to the number by its longest prefix, whatever else it asks for."""
    routes = build(rows, networks)
    table = Table(routes, networks)
    assert table.of_route("gone", message.number) is None
    for one in routes:
        bare = attrs.evolve(one, sender=(), from_kind=(), esmes=(), classes=(), data_codings=(), hours=())
        assert tell(table.of_route(one.name, message.number)) == naive([bare], networks, message)


class TestPrefixes:
    """Numbers."""

    def test_longest_wins_wherever_it_stands(self) -> None:
        """A longer prefix beats a shorter one, first or last in the file; "" takes the rest."""
        table = Table([route("rest", ""), route("fr", "33"), route("mobile", "336", "337")])
        assert [find(table, n) for n in ("33612345678", "33712345678", "33112345678", "4477", "")] == [
            "mobile", "mobile", "fr", "rest", "rest"
        ]  # fmt: skip

    def test_plus_is_not_part_of_the_number(self) -> None:
        """+336 and 336 lead the same way."""
        table = Table([route("mobile", "336")])
        assert find(table, "+33612345678") == find(table, "33612345678") == "mobile"

    def test_a_number_shorter_than_every_prefix_finds_nothing(self) -> None:
        """A prefix does not match a number that ends before it does."""
        assert find(Table([route("mobile", "3361")]), "336") == ""

    def test_match_tells_the_prefix(self) -> None:
        """The prefix that matched is the network a score is kept for."""
        rule = match(Table([route("fr", "33", "336")]), "+33612345678")
        assert rule is not None
        assert (rule.route.name, rule.prefix, rule.network) == ("fr", "336", "336")


class TestConstraints:
    """Sender, ESME, class."""

    def test_a_rule_that_does_not_match_leaves_the_message_to_shorter_prefixes(self) -> None:
        """A rule for otp at 336 does not swallow what is no otp."""
        table = Table([route("otp", "336", classes=(OTP,)), route("fr", "33")])
        assert find(table, "33612", message_class=OTP) == "otp"
        assert find(table, "33612", message_class=INFO) == "fr"

    def test_named_sender_beats_longer_sender_prefix_beats_shorter_beats_any(self) -> None:
        """Among equals in prefix the sender decides first."""
        table = Table(
            [
                route("any", "33"),
                route("a", "33", sender=("A*",)),
                route("acm", "33", sender=("ACM*",)),
                route("acme", "33", sender=("ACME",)),
            ]
        )
        assert [find(table, "33612", s) for s in ("ACME", "ACMX", "AB", "X")] == ["acme", "acm", "a", "any"]

    def test_of_equals_the_first_wins_whatever_else_the_second_could_have_said(self) -> None:
        """A rule that names this sender by the same prefix, and others more closely, does not go before an earlier
        one."""
        table = Table([route("first", "33", sender=("ACM*",)), route("second", "33", sender=("ACM*", "ACME"))])
        assert [find(table, sender=s) for s in ("ACMX", "ACME")] == ["first", "second"]

    def test_esme_before_class_before_order(self) -> None:
        """Then a named ESME, then a named class, then the order of the file."""
        table = Table(
            [
                route("first", "33"),
                route("second", "33"),
                route("class", "33", classes=(INFO,)),
                route("esme", "33", esmes=("acme",)),
            ]
        )
        assert find(table, "33612") == "esme"
        assert find(table, "33612", esme="zeta") == "class"
        assert find(table, "33612", esme="zeta", message_class=OTP) == "first"

    def test_the_reasons_name_what_failed(self) -> None:
        """`consider` says which constraint a rule failed, in words an engineer can act on."""
        table = Table(
            [
                route("otp", "336", classes=(OTP,)),
                route("vip", "336", esmes=("vip",)),
                route("bank", "336", sender=("BANK",)),
                route("short", "336", from_kind=("short", "numeric")),
                route("ucs2", "336", data_codings=(8, 24)),
                route("day", "336", hours=("mon-fri 08:00-12:00",), time_zone="Europe/Paris"),
                route("fr", "33", sender=("ACME",)),
                route("class", "33", classes=(INFO,)),
                route("open", "33", hours=("00:00-24:00",)),
                route("all", "33"),
                route("any", ""),
            ]
        )
        considered = table.consider(*attrs.astuple(Message()))
        assert [(one.route.name, one.why_not) for one in considered] == [
            ("fr", ""),
            ("otp", "class info is not in classes [otp]"),
            ("vip", "ESME 'acme' is not in esmes [vip]"),
            ("bank", "sender 'ACME' is not in from [BANK]"),
            ("short", "sender 'ACME' is alphanumeric, not in from_kind [short, numeric]"),
            ("ucs2", "data_coding 0 is not in data_codings [8, 24]"),
            ("day", "outside its hours mon-fri 08:00-12:00 Europe/Paris"),
            ("class", "'fr' says more about the sender"),
            ("open", "'fr' says more about the sender"),
            ("all", "'fr' says more about the sender"),
            ("any", "'fr' has the longer prefix, '33' over ''"),
        ]

    def test_the_reasons_of_those_that_match_and_lose(self) -> None:
        """Among rules that match, the loser hears what the winner says more about, or that it stands later."""
        table = Table(
            [
                route("first", "33"),
                route("second", "33"),
                route("open", "33", hours=("00:00-24:00",)),
                route("class", "33", classes=(INFO,), hours=("00:00-24:00",)),
                route("twin", "33", "fr", classes=(INFO,), hours=("00:00-24:00",)),
            ],
            {"fr": ["33"]},
        )
        assert [(one.route.name, one.why_not) for one in table.consider(*attrs.astuple(Message()))] == [
            ("class", ""),
            ("first", "'class' says more about the class"),
            ("second", "'class' says more about the class"),
            ("open", "'class' says more about the class"),
            ("twin", "'class' says as much and stands earlier in the file"),
            ("twin", "'class' says as much and stands earlier in the file"),
        ]


class TestNetworks:
    """Prefixes with one name."""

    def test_a_named_network_is_one_network_over_all_its_prefixes(self) -> None:
        """The label of a match is the network's name where one led there, else the prefix."""
        table = Table([route("fr", "33", "orange")], {"orange": ["33607", "336"]})
        assert [tell(match(table, n)) for n in ("33607", "33612", "33112")] == [
            ("fr", "orange"), ("fr", "orange"), ("fr", "33")
        ]  # fmt: skip

    def test_longest_prefix_wins_over_a_name(self) -> None:
        """Bare digits that say more of the number beat a network, and the other way round."""
        table = Table([route("a", "orange"), route("b", "33607", "33")], {"orange": ["336"]})
        assert [find(table, n) for n in ("33607", "33612", "33112")] == ["b", "a", "b"]

    def test_a_network_in_several_routes(self) -> None:
        """Each route that names a network gets its constraints judged there."""
        table = Table([route("all", "orange"), route("otp", "orange", classes=(OTP,))], {"orange": ["336"]})
        assert [find(table, message_class=c) for c in (INFO, OTP)] == ["all", "otp"]

    def test_prefixes_of_one_network_share_what_is_kept_of_its_rules(self) -> None:
        """However many prefixes a network has, its rules are kept once; where two meet, once more."""
        many = [f"336{n:04d}" for n in range(10_000)]
        routes = [route("a", "many"), route("b", "many", classes=(OTP,)), route("c", "few")]
        table = Table(routes, {"many": many, "few": many[:500]})
        kept = {id(entries) for _, by_prefix in table._lengths for entries in by_prefix.values()}
        assert len(kept) == 2

    @pytest.mark.slow
    def test_a_look_up_stays_quick(self) -> None:
        """Far under the microseconds it may take, on any machine: a look-up never walks the prefixes."""
        many = [f"336{n:06d}" for n in range(100_000)]
        table = Table([route("a", "many"), route("b", "many", classes=(OTP,)), route("c", "33")], {"many": many})
        began = time.process_time()
        for number in many[:10_000]:
            assert match(table, number) is not None
        assert time.process_time() - began < 0.5


class TestHours:
    """Windows of local time."""

    def test_outside_its_hours_a_rule_is_passed_over(self) -> None:
        """A rule whose window is shut leaves the message to shorter prefixes; its end is not part of a window."""
        day = route("day", "336", hours=("mon-fri 08:00-20:00",), time_zone="Europe/Paris")
        table = Table([day, route("rest", "")])
        at = [datetime.datetime(2026, 12, 25, h, m, s, tzinfo=PARIS) for h, m, s in
              ((7, 59, 59), (8, 0, 0), (19, 59, 59), (20, 0, 0))]  # fmt: skip
        assert [find(table, wall=one.timestamp()) for one in at] == ["rest", "day", "day", "rest"]
        saturday = datetime.datetime(2026, 12, 26, 12, tzinfo=PARIS)
        assert find(table, wall=saturday.timestamp()) == "rest"

    def test_a_window_over_midnight_belongs_to_the_day_it_starts_on(self) -> None:
        """`fri 22:00-06:00` is open on Saturday at 5 and not on Friday at 5."""
        table = Table([route("night", "", hours=("fri 22:00-06:00",))])
        days = [(25, 5), (25, 21), (25, 22), (26, 5), (26, 6), (26, 23)]  # the 25th is a Friday
        at = [datetime.datetime(2026, 12, day, hour, 30, tzinfo=datetime.UTC).timestamp() for day, hour in days]
        assert [find(table, wall=wall) for wall in at] == ["", "", "night", "night", "", ""]

    @pytest.mark.parametrize(
        ("utc", "open_"),
        [
            ((2026, 3, 29, 0, 59), False),  # 01:59 in Paris, a minute before clocks go on
            ((2026, 3, 29, 1, 0), True),  # 03:00: the hour from 2 never comes
            ((2026, 10, 25, 0, 30), True),  # 02:30, summer time
            ((2026, 10, 25, 1, 30), True),  # 02:30 again, winter time
            ((2026, 10, 25, 2, 30), True),  # 03:30
            ((2026, 10, 25, 3, 0), False),  # 04:00
        ],
    )
    def test_clocks_that_go_on_and_back(self, utc: tuple[int, ...], open_: bool) -> None:
        """A window is what the clock on the wall shows: an hour that comes twice is open twice."""
        table = Table([route("night", "", hours=("02:00-04:00",), time_zone="Europe/Paris")])
        wall = datetime.datetime(*utc, tzinfo=datetime.UTC).timestamp()
        assert find(table, wall=wall) == ("night" if open_ else "")

    def test_a_clock_that_steps_back_is_believed(self) -> None:
        """The note which minute it is does not outlive that minute, whichever way time goes."""
        table = Table([route("day", "", hours=("08:00-20:00",))])
        day, night = NOON, NOON + 10 * 3600
        assert [find(table, wall=wall) for wall in (day, night, day, day + 30, night)] == ["day", "", "day", "day", ""]


class TestConstraintsOfContent:
    """Data coding, and what a sender looks like."""

    @pytest.mark.parametrize(
        ("sender", "kind"),
        [
            ("ACME", "alphanumeric"), ("3612", "short"), ("12345678", "short"), ("123456789", "numeric"),
            ("+3612", "numeric"), ("36-12", "alphanumeric"), ("+", "alphanumeric"), ("", ""), ("٣٣", "alphanumeric"),
        ],
    )  # fmt: skip
    def test_kinds_of_sender(self, sender: str, kind: str) -> None:
        """Digits are short or numeric by their number; an empty sender is of no kind."""
        assert sender_kind(sender, 8) == kind

    def test_how_long_a_short_code_may_be_is_a_knob(self) -> None:
        """`limits.short_code_digits_max` decides what `from_kind: short` means."""
        routes = [route("short", "", from_kind=("short",)), route("rest", "")]
        assert [find(Table(routes, {}, most), sender="36123") for most in (4, 5)] == ["rest", "short"]

    def test_data_coding(self) -> None:
        """A rule for UCS-2 leaves the rest to others."""
        table = Table([route("ucs2", "336", data_codings=(8,)), route("rest", "336")])
        assert [find(table, data_coding=coding) for coding in (0, 8)] == ["rest", "ucs2"]
