"""Shares in virtual time: by weight, among equals, by what a carrier can take, and never dearer than needed.

The world is in conftest: what `carriers/dispatch` does, in steps of 5 ms, from one seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Choice, Limits, Route
from smsroute.message import Blame, MessageClass
from smsroute.routing.decide import Plan, pick, plan
from smsroute.routing.health import ALIVE, DEAD
from smsroute.routing.inflow import Inflow, lean
from smsroute.routing.spill import FIT_MIN, room
from smsroute.routing.views import CarrierView

LIMITS = Limits()
Answering = Callable[[float], Any]


def grants(rate: float, latency_s: float = 0.02) -> Callable[[float, random.Random], tuple[Blame, float]]:
    """A carrier that takes `rate` a second by a bucket of 0.1 s and throttles the rest."""
    state = {"at": 0.0, "tokens": rate * 0.1}

    def behave(now: float, rng: random.Random) -> tuple[Blame, float]:
        state["tokens"] = min(rate * 0.1, state["tokens"] + (now - state["at"]) * rate)
        state["at"] = now
        took = state["tokens"] >= 1
        state["tokens"] -= took
        return Blame.OK if took else Blame.THROTTLED, latency_s * (0.5 + rng.random())

    return behave


@pytest.mark.slow
class TestShares:
    """Everybody well."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_seventy_thirty_over_a_hundred_thousand(self, world: Any, answering: Answering, seed: int) -> None:
        """100,000 messages over 70 : 30, under load: within one point."""
        one = world(seed=seed, prefer="quality")
        a = one.carrier("a", answering(0.02), weight=70)
        one.carrier("b", answering(0.02), weight=30)
        one.run(50, 2000)
        assert a.sent_between(0, 50) / 100_000 == pytest.approx(0.70, abs=0.01)

    def test_five_equals(self, world: Any, answering: Answering) -> None:
        """Five equals over 50,000 messages: each within a hundredth of its fifth; Jain's index of each second 0.99."""
        one = world(prefer="quality", seed=5)
        fakes = [one.carrier(name, answering(0.02)) for name in "abcde"]
        one.run(25, 2000)
        for fake in fakes:
            assert fake.sent_between(0, 25) / 50_000 == pytest.approx(0.2, abs=0.01)
        for second in range(1, 25):
            counts = [fake.sent_between(second, second + 1) for fake in fakes]
            assert sum(counts) ** 2 / (5 * sum(n * n for n in counts)) > 0.99


@pytest.mark.slow
class TestRoom:
    """A carrier is given what it can take."""

    def waits(self, world: Any, fakes: list[Any], seconds: float, rate: float) -> list[list[float]]:
        """Run; the wait of the queue of each at each plan, seconds."""
        seen: list[list[float]] = []
        world.run(seconds, rate, script=lambda w: seen.append([len(fake.queue) / fake.rate for fake in fakes]))
        return seen

    def test_a_small_contract_with_a_great_weight(self, world: Any, answering: Answering) -> None:
        """70 of the weight, a hundred a second by contract, a thousand offered: it takes its hundred, the other the
        rest, and no second's worth piles up."""
        one = world(prefer="quality")
        a = one.carrier("a", answering(0.02), rate=100, weight=70)
        b = one.carrier("b", answering(0.02), rate=2000, weight=30)
        seen = self.waits(one, [a, b], 40, 1000)
        assert a.sent_between(20, 40) / 20 == pytest.approx(99, abs=2)
        assert b.sent_between(20, 40) / 20 == pytest.approx(900, abs=10)
        assert max(wait for wait, _ in seen[200:]) < 0.3

    def test_the_cheap_one_is_full_and_the_dear_one_gets_the_rest(self, world: Any, answering: Answering) -> None:
        """prefer: cost, 1,300 offered to 1,000: 97 % of the cheap contract is used, nothing waits for 0.3 s."""
        one = world(prefer="cost")
        a = one.carrier("a", answering(0.02), rate=1000, cost=1.0)
        b = one.carrier("b", answering(0.02), rate=1000, cost=2.0)
        seen = self.waits(one, [a, b], 40, 1300)
        assert a.sent_between(20, 40) >= 0.97 * 20_000
        assert b.sent_between(20, 40) == pytest.approx(0.3 * 20_000, rel=0.1)
        assert max(wait for wait, _ in seen[200:]) < 0.3

    @pytest.mark.parametrize("offered", [200, 600, 950])
    def test_cost_pays_no_more_than_needed(self, world: Any, answering: Answering, offered: int) -> None:
        """What the cheap one can take, the dear one does not get: not one message."""
        one = world(prefer="cost")
        one.carrier("a", answering(0.02), rate=1000, cost=1.0)
        b = one.carrier("b", answering(0.02), rate=1000, cost=1.01)
        x = one.carrier("x", answering(0.02), rate=1000, cost=0.5, backup=True)
        one.run(20, offered)
        assert b.sent_between(0, 20) == x.sent_between(0, 20) == 0

    @pytest.mark.parametrize("granted", [800, 500, 200])
    def test_spill_is_what_is_missing(self, world: Any, granted: int) -> None:
        """A primary of 1,000 a second grants less, 900 are offered: the backup takes what is missing, within a tenth of
        the traffic, and at least 95 % arrives."""
        one = world(prefer="balanced", seed=7)
        a = one.carrier("a", grants(1000), rate=1000, cost=1.0)
        x = one.carrier("x", grants(1000), rate=1000, cost=3.0, backup=True)
        one.run(10, 900)
        assert x.sent_between(0, 10) == 0
        a.behave = grants(granted)
        one.run(60, 900)
        took = [fake.taken_between(30, 70) / 40 for fake in (a, x)]
        assert sum(took) >= 0.95 * 900
        assert took[1] == pytest.approx(900 - granted, abs=90)

    def test_two_routes_share_a_carrier_without_swinging(self) -> None:
        """Two plans that both prefer a carrier too small for both: each keeps its part of it, and together they fill
        it. Demands 800 and 400, it takes 600."""
        routes = {name: Route(name, ("",), prefer="cost", carriers=(Choice("a", cost=1), Choice("b", cost=2)))
                  for name in "pq"}  # fmt: skip
        demand, plans = {"p": 800.0, "q": 400.0}, dict[str, Plan]()
        inflow, now, seen = Inflow(LIMITS.demand_tau_s, 0.0), 0.0, []
        owed = 0.0
        for _ in range(600):
            now += 0.1
            view = CarrierView("a", rate=600.0, contract=600.0, given=inflow.rate(now))
            shares = {}
            for name, one in routes.items():
                plans[name] = plan(one, 2, {"a": view, "b": CarrierView("b", rate=1e4)}, LIMITS, now, plans.get(name))
                shares[name] = next(ranked.weight for ranked in plans[name].choices if ranked.carrier == "a")
            owed += sum(demand[name] * share for name, share in shares.items()) * 0.1
            inflow.count, owed = int(owed), owed % 1
            seen.append(shares)
        late = seen[300:]
        given_ = [sum(demand[name] * one[name] for name in demand) for one in late]
        assert min(given_) > 0.93 * 600
        assert max(given_) < 1.07 * 600
        for name in demand:
            assert max(one[name] for one in late) - min(one[name] for one in late) < 0.05
            assert min(one[name] for one in late) > 0.3

    @given(st.floats(0, 1), st.floats(0, 5000), st.floats(0.1, 5000), st.integers(0, 10_000))
    def test_room_is_a_limit_only_near_the_limit(self, share: float, given_: float, rate: float, queued: int) -> None:
        """Nobody knows of a plan before: no limit. Given little: none. Else as much more or less as rate over given."""
        view = CarrierView("a", rate=rate, given=given_, queued=queued)
        assert room(view, None, LIMITS) == float("inf")
        found = room(view, share, LIMITS)
        assert found > 0.0
        if given_ < 0.45 * rate:
            assert found == float("inf")
        if given_ > rate:
            assert found <= max(0.01, share)


@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0, 1)), min_size=1, max_size=50), st.floats(1, 5000))
def test_given_over_share_is_the_demand(steps: list[tuple[float, float]], demand: float) -> None:
    """Whatever the shares and however long each was in force: both means forget alike, so their quotient is the
    demand."""
    given_ = share = 0.0
    for seconds, one in steps:
        given_ = lean(given_, one * demand, seconds, 2.0)
        share = lean(share, one, seconds, 2.0)
    assert given_ == pytest.approx(share * demand, rel=1e-6, abs=1e-9)


# -- any plan ----------------------------------------------------------------------------------------------------------

MADE = st.builds(
    CarrierView,
    st.just(""),
    quality=st.just(1.0) | st.floats(0, 1),
    queued=st.just(0) | st.integers(0, 5000),
    rate=st.floats(0, 1000),
    capacity=st.just(1.0) | st.floats(0, 1),
    admit_share=st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.0]),
    bound=st.booleans(),
    drained=st.sampled_from(["", "", "", "upgrade"]),
    probe=st.booleans(),
    given=st.just(0.0) | st.floats(0, 3000),
    since=st.floats(0, 200),
)
ENTRY = st.tuples(st.sampled_from([0.0, 1.0, 1.05, 2.0, 3.0]), st.integers(1, 100), st.booleans(), st.booleans())


@attrs.frozen
class Case:
    """A route and three rounds of views of its carriers."""

    route: Route
    message_class: int
    rounds: list[dict[str, CarrierView]]

    def plans(self) -> list[Plan]:
        """One after the other, a tenth of a second apart."""
        made: list[Plan] = []
        for i, views in enumerate(self.rounds):
            before = made[-1] if made else None
            made.append(plan(self.route, self.message_class, views, LIMITS, 200.0 + i / 10, before))
        return made


@st.composite
def cases(draw: st.DrawFn, prefer: str | None = None) -> Case:
    """Any."""
    entries = draw(st.lists(ENTRY, min_size=1, max_size=5))
    choices = [(Choice(n, cost, weight, cert), backup) for n, (cost, weight, cert, backup) in
               zip("abcde", entries, strict=False)]  # fmt: skip
    primaries = tuple(one for one, backup in choices if not backup) or (choices[0][0],)
    backups = tuple(one for one, backup in choices if one not in primaries)
    preference = prefer or draw(st.sampled_from(["balanced", "quality", "cost"]))
    route = Route("r", ("",), carriers=primaries, backup=backups, prefer=preference)  # type: ignore[arg-type]
    rounds = [
        {one.carrier: _alive(attrs.evolve(draw(MADE), carrier=one.carrier)) for one, _ in choices} for _ in range(3)
    ]
    return Case(route, draw(st.sampled_from(list(MessageClass))), rounds)


def _alive(view: CarrierView) -> CarrierView:
    """State and admission that belong together."""
    return attrs.evolve(view, state=ALIVE if view.admit_share else DEAD)


@given(cases())
def test_every_plan_is_total(case: Case) -> None:
    """Every carrier is a choice, or refused with a reason; the dead with the seconds; weights sum to one."""
    for one, views in zip(case.plans(), case.rounds, strict=True):
        refused = dict(one.refused)
        assert {ranked.carrier for ranked in one.choices} | refused.keys() == views.keys()
        assert all(reason for reason in refused.values())
        for name, view in views.items():
            if name in refused and not view.drained and "certified" not in refused[name]:
                assert any(letter.isdigit() for letter in refused[name])
        if one.choices and one.wheel:
            assert sum(ranked.weight for ranked in one.choices) == pytest.approx(1.0)
            assert one.wheel[-1][0] == pytest.approx(1.0)
        assert all(ranked.weight >= 0.0 for ranked in one.choices)


@given(cases())
def test_replayed_it_is_the_same(case: Case) -> None:
    """Pure: the same views, the same plans before, the same plans; and the views are left as they were."""
    before = [dict(views) for views in case.rounds]
    assert case.plans() == case.plans()
    assert case.rounds == before


@given(cases(), st.randoms(use_true_random=False))
def test_otp_and_alert_stay_certified(case: Case, rng: random.Random) -> None:
    """Whatever the health: once an entry is certified, otp and alert have no other choice, probe, or place to wait."""
    entries = (*case.route.carriers, *case.route.backup)
    certified = {one.carrier for one in entries if one.certified}
    if not certified or case.message_class not in (MessageClass.OTP, MessageClass.ALERT):
        return
    for one in case.plans():
        assert {ranked.carrier for ranked in (*one.choices, *one.probes)} <= certified
        picked = pick(one, rng, {})
        if one.wheel:
            assert picked is not None
            assert picked.carrier in certified


@given(cases(prefer="cost"))
def test_cost_pays_only_for_what_cheaper_ones_cannot_take(case: Case) -> None:
    """prefer: cost. A primary in the band has a share only if each cheaper one has all it is fit for, or all it has
    room for."""
    for one, views in zip(case.plans(), case.rounds, strict=True):
        shares = {ranked.carrier: ranked.weight for ranked in one.choices if ranked.tier == "primary"}
        taking = [entry for entry in case.route.carriers if shares.get(entry.carrier, 0.0) > 2 * FIT_MIN]
        for dear in taking:
            for cheap in case.route.carriers:
                name = cheap.carrier
                standing = one.standing.get(name)
                if cheap.cost >= dear.cost or standing is None or name not in shares:
                    continue
                if standing.inside and standing.back_since is None and one.standing[dear.carrier].inside:
                    view = views[name]
                    fit = view.admit_share * view.capacity * min(1.0, view.quality / LIMITS.quality_floor)
                    slack = LIMITS.overprovision * fit * min(1.0, LIMITS.spill_wait_s / max(1e-9, view.wait_s)) < 1.0
                    assert slack or room(view, standing.mean, LIMITS) < 1.0 or _equals_short(case, views, cheap)


def _equals_short(case: Case, views: dict[str, CarrierView], cheap: Choice) -> bool:
    """Whether another of the same cost is unfit: a group takes by the fitness of all its members."""
    return any(
        other.cost == cheap.cost and other != cheap and not views[other.carrier].drained
        for other in case.route.carriers
    )
