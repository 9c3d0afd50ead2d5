"""The table: longest prefix first, then who says more, then the order of the file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Choice, Route
from smsroute.message import MessageClass
from smsroute.routing.table import Table

INFO, OTP = MessageClass.INFO, MessageClass.OTP


def route(name: str, *to: str, **fields: object) -> Route:
    """A route that only its constraints tell from others."""
    return Route(name, to, carriers=(Choice("any"),), **fields)


def find(table: Table, number: str, sender: str = "ACME", esme: str = "acme", message_class: int = INFO) -> str:
    """The name of the route found, "" for none."""
    found = table.find(number, sender, esme, message_class)
    return found.name if found is not None else ""


def naive(routes: list[Route], number: str, sender: str, esme: str, message_class: int) -> str:
    """The rules of the module read from top to bottom, without any table."""
    best: tuple[object, ...] | None = None
    name = ""
    for place, one in enumerate(routes):
        if one.classes and message_class not in one.classes:
            continue
        if one.esmes and esme not in one.esmes:
            continue
        says = 0
        for pattern in one.sender:
            if pattern == sender:
                says = max(says, 100)
            elif pattern.endswith("*") and sender.startswith(pattern[:-1]):
                says = max(says, len(pattern))
        if one.sender and not says:
            continue
        for prefix in one.to:
            if number.removeprefix("+").startswith(prefix):
                rank = (len(prefix), says, bool(one.esmes), bool(one.classes), -place)
                if best is None or rank > best:
                    best, name = rank, one.name
    return name


DIGITS = st.text("012", max_size=4)
SENDERS = st.sampled_from(["ACME", "ACM*", "A*", "*", "BANK", "3312"])
ROUTES = st.lists(
    st.builds(
        dict,
        to=st.lists(DIGITS, min_size=1, max_size=3),
        sender=st.lists(SENDERS, max_size=2),
        esmes=st.lists(st.sampled_from(["acme", "zeta"]), max_size=1),
        classes=st.lists(st.sampled_from(list(MessageClass)), max_size=2),
    ),
    max_size=8,
)


@given(
    ROUTES,
    st.text("012", max_size=6),
    st.sampled_from(["ACME", "ACM", "BANK", "3312", ""]),
    st.sampled_from(["acme", "zeta"]),
    st.sampled_from(list(MessageClass)),
)
def test_equals_reading_the_rules_from_top_to_bottom(
    rows: list[dict[str, list[str]]], number: str, sender: str, esme: str, message_class: MessageClass
) -> None:
    """For any routes and any message the table finds what a naive reading of every rule finds."""
    routes = [route(f"r{i}", *row.pop("to"), **{k: tuple(v) for k, v in row.items()}) for i, row in enumerate(rows)]
    assert find(Table(routes), number, sender, esme, message_class) == naive(
        routes, number, sender, esme, message_class
    )


@given(ROUTES, st.text("012", max_size=6), st.sampled_from(["ACME", "BANK"]))
def test_consider_names_the_winner_first_and_a_reason_for_each_other(
    rows: list[dict[str, list[str]]], number: str, sender: str
) -> None:
    """`consider` agrees with `find`, and every rule that covers the number and lost says why."""
    routes = [route(f"r{i}", *row.pop("to"), **{k: tuple(v) for k, v in row.items()}) for i, row in enumerate(rows)]
    table = Table(routes)
    considered = table.consider(number, sender, "acme", INFO)
    winner = find(table, number, sender)
    assert [one.route.name for one in considered if not one.why_not] == ([winner] if winner else [])
    assert not winner or considered[0].route.name == winner
    covering = {(one.name, to) for one in routes for to in one.to if number.startswith(to)}
    assert {(one.route.name, one.prefix) for one in considered} == covering


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
        rule = Table([route("fr", "33", "336")]).match("+33612345678", "", "acme", INFO)
        assert rule is not None
        assert (rule.route.name, rule.prefix) == ("fr", "336")


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
                route("fr", "33"),
                route("all", ""),
            ]
        )
        considered = table.consider("33612", "ACME", "acme", INFO)
        assert [(one.route.name, one.why_not) for one in considered] == [
            ("fr", ""),
            ("otp", "class info is not in classes [otp]"),
            ("vip", "ESME 'acme' is not in esmes [vip]"),
            ("bank", "sender 'ACME' is not in from [BANK]"),
            ("all", "'fr' has the longer prefix, '33' over ''"),
        ]
