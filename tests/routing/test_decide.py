"""Decide: who may take a part, with what share, and why; and the pick of one."""

from __future__ import annotations

import random
from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Choice, InDoubt, Limits, Route
from smsroute.message import MessageClass
from smsroute.routing.decide import Plan, pick, plan
from smsroute.routing.health import DEAD, PROBE_OPEN, HealthState
from smsroute.routing.views import CarrierView

LIMITS = Limits()
OTP, INFO, MARKETING = MessageClass.OTP, MessageClass.INFO, MessageClass.MARKETING


def view(name: str, quality: float = 1.0, **fields: object) -> CarrierView:
    """A carrier that is well but for what is said."""
    return CarrierView(name, quality=quality, latency_ms=20.0, rate=100, contract=100, **fields)


def sick(name: str, **fields: object) -> CarrierView:
    """A carrier that is dead, its bind up."""
    return view(name, state=DEAD, reason="5 faults in a row", since=90.0, admit_share=0.0, **fields)


def route(*carriers: Choice, backup: tuple[Choice, ...] = (), prefer: str = "balanced", **fields: object) -> Route:
    """A route to anywhere."""
    return Route("r", ("",), carriers=carriers, backup=backup, prefer=prefer, **fields)


def made(one: Route, *views: CarrierView, message_class: int = INFO, now: float = 100.0, previous: Plan | None = None,
         limits: Limits = LIMITS) -> Plan:  # fmt: skip
    """A plan over these views."""
    return plan(one, message_class, {v.carrier: v for v in views}, limits, now, previous)


def shares(one: Plan) -> dict[str, float]:
    """Carrier -> share, those with none left out."""
    return {ranked.carrier: round(ranked.weight, 3) for ranked in one.choices if ranked.weight}


A, B, C = Choice("a", cost=1.0), Choice("b", cost=1.05), Choice("c", cost=2.0)


class TestPreference:
    """quality, balanced, cost."""

    def test_balanced_takes_the_cheapest_within_the_quality_band(self) -> None:
        """The cheapest whose quality is within 0.1 of the best; costs within 10 % are one, so weights share."""
        assert shares(made(route(A, B, C), view("a"), view("b"), view("c"))) == {"a": 0.5, "b": 0.5}
        assert shares(made(route(A, B, C), view("a", 0.95), view("b", 0.8), view("c"))) == {"a": 1.0}
        assert shares(made(route(A, B, C), view("a", 0.8), view("b", 0.8), view("c"))) == {"c": 1.0}

    def test_quality_shares_by_weight_within_the_band(self) -> None:
        """Cost is no object; who is within the band of the best shares by weight."""
        one = route(Choice("a", cost=1, weight=70), Choice("b", cost=9, weight=30), Choice("c"), prefer="quality")
        assert shares(made(one, view("a"), view("b", 0.93), view("c", 0.7))) == {"a": 0.7, "b": 0.3}

    def test_cost_takes_the_cheapest_that_is_any_good(self) -> None:
        """Quality matters only below the floor."""
        one = route(A, B, C, prefer="cost")
        assert shares(made(one, view("a", 0.5), view("b"), view("c"))) == {"a": 1.0}
        assert shares(made(one, view("a", 0.2), view("b"), view("c"))) == {"b": 1.0}

    def test_the_others_stay_in_reserve(self) -> None:
        """A carrier without a share is still a choice, for parts that others refused, and says so."""
        result = made(route(A, C, prefer="cost"), view("a"), view("c"))
        assert [ranked.carrier for ranked in result.choices] == ["a", "c"]
        assert result.choices[1].reason == "primary, in reserve, quality 1.00, cost 2, latency 20 ms"


class TestSpill:
    """Groups hand on what they are not fit for."""

    TWO = route(Choice("a"), Choice("b"), backup=(Choice("x"),))

    def test_backups_get_nothing_while_primaries_can(self) -> None:
        """One of four primaries gone leaves 75 %: times 1.4 that is enough."""
        one = route(*(Choice(n) for n in "abcd"), backup=(Choice("x"),))
        result = made(one, sick("a"), *(view(n) for n in "bcdx"))
        assert shares(result) == {"b": 0.333, "c": 0.333, "d": 0.333}

    def test_spills_in_proportion(self) -> None:
        """Half of the primaries left: 70 % stay, the rest goes to the backup, and the reason has the number."""
        result = made(self.TWO, sick("a"), view("b"), view("x"))
        assert shares(result) == {"b": 0.7, "x": 0.3}
        assert result.choices[1].reason == "backup, 30% by balanced, quality 1.00, latency 20 ms, as a, b 50% fit"

    @given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
    def test_no_share_is_lost(self, a: float, b: float, x: float) -> None:
        """Whatever capacity is left where, even none, the shares sum to one as long as somebody lives."""
        result = made(self.TWO, view("a", capacity=a), view("b", capacity=b), view("x", capacity=x))
        assert sum(ranked.weight for ranked in result.choices) == pytest.approx(1.0)

    @given(st.floats(0.01, 1))
    def test_less_capacity_never_gets_more(self, capacity: float) -> None:
        """Spill is monotonous: a carrier with less capacity left has no greater share."""
        less = shares(made(self.TWO, view("a", capacity=capacity * 0.8), view("b"), view("x"))).get("a", 0.0)
        more = shares(made(self.TWO, view("a", capacity=capacity), view("b"), view("x"))).get("a", 0.0)
        assert less <= more + 1e-3

    def test_a_long_queue_spills(self) -> None:
        """Four seconds of queue at a lone primary send 65 % of the newcomers on."""
        one = route(Choice("a"), backup=(Choice("x"),))
        assert shares(made(one, view("a", queued=400), view("x"))) == {"a": 0.35, "x": 0.65}

    def test_poor_quality_spills_to_the_backup(self) -> None:
        """Both primaries at a tenth of the quality floor: the backup takes most."""
        result = made(self.TWO, view("a", 0.03), view("b", 0.03), view("x"))
        assert shares(result) == {"a": 0.07, "b": 0.07, "x": 0.86}

    def test_with_nobody_behind_it_a_carrier_takes_all(self) -> None:
        """A lone carrier in slow start still gets everything."""
        assert shares(made(route(A), view("a", admit_share=0.1))) == {"a": 1.0}


class TestCertified:
    """otp and alert."""

    ONE = route(Choice("a"), Choice("b", certified=True), backup=(Choice("x"), Choice("y", certified=True)))

    @pytest.mark.parametrize("message_class", list(MessageClass))
    def test_otp_and_alert_use_certified_entries_only(self, message_class: MessageClass) -> None:
        """Once one entry is certified, otp and alert use no other, not even in panic; the rest use all."""
        views = [sick("a"), sick("b"), sick("x"), view("y")]
        result = made(self.ONE, *views, message_class=message_class)
        picky = message_class in (MessageClass.OTP, MessageClass.ALERT)
        assert {ranked.carrier for ranked in result.choices} == ({"y"} if picky else {"y", "a", "b", "x"})
        assert (
            ("x", f"not certified, as {message_class.name.lower()} demands on this route") in result.refused
        ) is picky

    def test_without_any_certified_entry_all_serve(self) -> None:
        """The rule begins with the first certified entry of the route."""
        assert shares(made(route(A, B), view("a"), view("b"), message_class=OTP)) == {"a": 0.5, "b": 0.5}


class TestPanic:
    """Never without anybody."""

    def test_all_dead_all_used(self) -> None:
        """Every carrier dead: those with a bind share everything, and it says so."""
        result = made(route(A, B, C), sick("a"), sick("b"), sick("c", bound=False))
        assert result.panic
        assert shares(result) == {"a": 0.5, "b": 0.5}
        assert result.reason == "panic, 0 of 3 carriers alive: a 50%, b 50%"
        assert ("a", "dead for 10 s: 5 faults in a row") in result.refused
        assert ("c", "no bind up for 10 s: 5 faults in a row") in result.refused

    def test_few_alive_take_all_they_can_and_the_dead_come_last(self) -> None:
        """One of three alive: it has the share, the dead stand behind it for what it has no room for."""
        result = made(route(A, B, C), sick("a"), sick("b"), view("c"))
        assert result.panic
        assert [(ranked.carrier, ranked.weight, ranked.tier) for ranked in result.choices] == [
            ("c", 1.0, "primary"), ("a", 0.0, "panic"), ("b", 0.0, "panic")
        ]  # fmt: skip
        taken = pick(result, random.Random(1), {}, {"a": 5})
        assert taken is not None
        assert taken.carrier == "a"

    def test_half_alive_is_no_panic(self) -> None:
        """Two of four dead is a bad day, no panic."""
        one = route(*(Choice(n) for n in "abcd"))
        assert not made(one, sick("a"), sick("b"), view("c"), view("d")).panic

    def test_nobody_bound_says_where_parts_wait(self) -> None:
        """Without any bind nothing can be taken; parts wait at the first carrier that may take them."""
        result = made(route(A, B), view("a", drained="upgrade"), sick("b", bound=False))
        assert result.choices == ()
        assert pick(result, random.Random(1), {}, {"a": 9, "b": 9}) is None
        waits = pick(result, random.Random(1), {})
        assert waits is not None
        assert (waits.carrier, waits.tier) == ("b", "waiting")
        assert waits.reason.startswith("waits: no bind up, ")

    def test_all_drained_waits_at_the_first(self) -> None:
        """Everything taken out by people: parts wait, nothing is lost."""
        result = made(route(A, B), view("a", drained="x"), view("b", drained="y"))
        assert result.waiting.carrier == "a"
        assert result.refused == (("a", "drained: x"), ("b", "drained: y"))


class TestProbes:
    """One real message of a resendable class."""

    def offered(self, one: Route, message_class: int, since: float) -> list[str]:
        """The probes offered to this class when the probe has been open since then."""
        open_ = attrs.evolve(sick("a", probe=True), state=PROBE_OPEN, since=since)
        return [ranked.carrier for ranked in made(one, open_, view("b"), message_class=message_class).probes]

    def test_resendable_class_first_any_after_a_wait(self) -> None:
        """otp may be resent, so an otp asks; if none comes for probe_wait_s, any part does."""
        assert self.offered(route(A, B), OTP, 99.0) == ["a"]
        assert self.offered(route(A, B), INFO, 99.0) == []
        assert self.offered(route(A, B), INFO, 100.0 - LIMITS.probe_wait_s) == ["a"]

    def test_a_route_without_a_resendable_class_does_not_wait(self) -> None:
        """Nobody better will come."""
        hold = {c: InDoubt() for c in MessageClass}
        assert self.offered(route(A, B, in_doubt=hold), MARKETING, 99.0) == ["a"]
        assert self.offered(route(A, B, classes=(INFO, MARKETING)), INFO, 99.0) == ["a"]

    def test_otp_does_not_probe_an_uncertified_carrier(self) -> None:
        """A probe is a real message: the certified rule holds."""
        one = route(Choice("a"), Choice("b", certified=True))
        assert self.offered(one, OTP, 0.0) == []


class TestHysteresis:
    """Who fell out of the band must earn the way back."""

    ONE = route(Choice("a"), Choice("b"), prefer="quality")

    def run(self, qualities: list[float], step_s: float = 1.0) -> list[float]:
        """Share of `a` plan after plan, `b` being perfect."""
        previous, seen = None, []
        for i, quality in enumerate(qualities):
            previous = made(self.ONE, view("a", quality), view("b"), now=100.0 + i * step_s, previous=previous)
            seen.append(shares(previous).get("a", 0.0))
        return seen

    def test_flutter_at_the_edge_moves_traffic_once(self) -> None:
        """Quality swinging around the edge of the band: out once, and it stays out."""
        seen = self.run([0.91, 0.89] * 30)
        assert seen[0] == 0.5
        assert not any(seen[1:])

    def test_returns_after_hold_and_then_slowly(self) -> None:
        """Well again: nothing for hold_s, then a slow start, then its full share."""
        seen = self.run([0.5] + [1.0] * 60)
        hold = int(LIMITS.hold_s)
        assert not any(seen[: hold + 1])
        ramp = seen[hold + 1 :]
        assert 0.0 < ramp[0] < 0.15
        assert ramp == sorted(ramp)
        assert ramp[int(LIMITS.slow_start_s) + 1] == 0.5

    def test_a_relapse_starts_the_wait_anew(self) -> None:
        """Well for less than hold_s, then not: the clock starts again."""
        assert not any(self.run([0.5] + ([1.0] * 4 + [0.9]) * 6)[:-1])


class TestPick:
    """One part, one carrier."""

    TWO = route(Choice("a", weight=70), Choice("b", weight=30), prefer="quality")

    def drawn(self, one: Plan, load: dict[str, int], n: int = 20_000) -> Counter[str]:
        """How often each was picked."""
        rng = random.Random(5)
        return Counter(ranked.carrier for _ in range(n) if (ranked := pick(one, rng, load)) is not None)

    def test_idle_carriers_share_exactly_by_weight(self) -> None:
        """With nothing in flight, 70 : 30 is 70 : 30 within a percent."""
        counts = self.drawn(made(self.TWO, view("a"), view("b")), {})
        assert counts["a"] / 20_000 == pytest.approx(0.7, abs=0.01)

    def test_load_in_proportion_to_the_weights_is_even(self) -> None:
        """70 in flight here and 30 there is what the weights ask for."""
        counts = self.drawn(made(self.TWO, view("a"), view("b")), {"a": 70, "b": 30})
        assert counts["a"] / 20_000 == pytest.approx(0.7, abs=0.01)

    def test_the_clearly_less_loaded_of_two_takes_it(self) -> None:
        """Overloaded, `a` keeps only the draws in which it met itself; a slower one loses in the same way."""
        one = made(self.TWO, view("a"), view("b"))
        assert self.drawn(one, {"a": 700, "b": 30})["a"] / 20_000 == pytest.approx(0.49, abs=0.01)
        slow = made(self.TWO, attrs.evolve(view("a"), latency_ms=100.0), view("b"))
        assert self.drawn(slow, {})["a"] / 20_000 == pytest.approx(0.49, abs=0.01)

    def test_two_choices_never_leave_the_group(self) -> None:
        """A loaded primary does not push its share onto the dearer backup."""
        one = route(Choice("a"), Choice("b"), backup=(Choice("x"),))
        result = made(one, sick("a"), view("b"), view("x"))
        assert self.drawn(result, {"b": 10_000})["x"] / 20_000 == pytest.approx(0.3, abs=0.01)

    def test_no_room_goes_to_the_next_that_has(self) -> None:
        """Room decides in the order of preference; nobody's room is None."""
        result = made(route(A, C, prefer="cost"), view("a"), view("c"))
        rng = random.Random(1)
        picks = [pick(result, rng, {}, room) for room in ({"a": 1, "c": 1}, {"a": 0, "c": 1}, {"a": 0})]
        assert [ranked.carrier if ranked else None for ranked in picks] == ["a", "c", None]


VIEWS = st.builds(
    CarrierView,
    st.just(""),
    state=st.sampled_from(list(HealthState)),
    since=st.floats(0, 200),
    quality=st.floats(0, 1),
    latency_ms=st.floats(0, 10_000),
    in_flight=st.integers(0, 1000),
    queued=st.integers(0, 10_000),
    rate=st.floats(0, 1000),
    capacity=st.floats(0, 1),
    drained=st.sampled_from(["", "", "", "upgrade"]),
    bound=st.booleans(),
    admit_share=st.sampled_from([0.0, 0.1, 1.0]),
    probe=st.booleans(),
)


@given(
    st.lists(VIEWS, min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 100), st.booleans()), min_size=5, max_size=5),
    st.integers(0, 5),
    st.sampled_from(["balanced", "quality", "cost"]),
    st.sampled_from(list(MessageClass)),
    st.randoms(use_true_random=False),
)
def test_any_plan_holds_together(
    views: list[CarrierView],
    entries: list[tuple[float, int, bool]],
    primaries: int,
    prefer: str,
    message_class: MessageClass,
    rng: random.Random,
) -> None:
    """For any views: every carrier is a choice or refused with a reason, shares are shares, picks are choices."""
    names = "abcde"[: len(views)]
    by_name = {n: attrs.evolve(v, carrier=n) for n, v in zip(names, views, strict=True)}
    choices = [Choice(n, cost, weight, cert) for n, (cost, weight, cert) in zip(names, entries, strict=False)]
    split = max(1, min(primaries, len(choices)))
    one = route(*choices[:split], backup=tuple(choices[split:]), prefer=prefer)
    first = plan(one, message_class, by_name, LIMITS, 200.0)
    result = plan(one, message_class, by_name, LIMITS, 200.1, first)
    told = {ranked.carrier for ranked in result.choices} | {name for name, _ in result.refused}
    assert told == set(names)
    assert all(reason for _, reason in result.refused)
    total = sum(ranked.weight for ranked in result.choices)
    assert total == pytest.approx(1.0) or not result.wheel
    assert all(0.0 <= ranked.weight <= 1.0 and ranked.reason for ranked in result.choices)
    assert not any(by_name[ranked.carrier].drained for ranked in result.choices)
    for _ in range(20):
        ranked = pick(result, rng, dict.fromkeys(names, 3))
        assert ranked is result.waiting or ranked in result.choices


class TestBelowTheFloor:
    """Who is below the quality floor takes what the others lack room for, and nothing else."""

    def test_not_for_the_sake_of_a_slow_start(self) -> None:
        """Of two good carriers one is just back in the band: it takes more, and the silent third gets nothing."""
        one = route(A, B, Choice("c", cost=1.1))
        silent = view("c", 0.2)
        first = made(one, view("a"), view("b", 0.5), silent)
        assert shares(first) == {"a": 1.0}
        waits = made(one, view("a"), view("b"), silent, now=101.0, previous=first)
        back = made(one, view("a"), view("b"), silent, now=107.0, previous=waits)
        assert back.standing["b"].back_since == 107.0
        assert set(shares(back)) == {"a", "b"}
        assert sum(ranked.weight for ranked in back.choices) == pytest.approx(1.0)
        assert shares(back)["a"] > shares(back)["b"] > 0.1

    def test_for_want_of_room(self) -> None:
        """Where congestion leaves the good ones half of what is needed, the one below the floor takes the rest."""
        one = route(A, B, Choice("c", cost=1.1))
        plan_ = made(one, view("a", capacity=0.3), view("b", capacity=0.3), view("c", 0.2))
        assert shares(plan_)["c"] == pytest.approx(1.0 - 1.4 * 0.3, abs=0.01)
