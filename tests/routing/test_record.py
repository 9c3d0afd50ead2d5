"""A recorded decision can be decided again, and only another decision is recorded. routing/record.py."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Choice, Limits, Route
from smsroute.message import MessageClass
from smsroute.routing.decide import Plan, plan
from smsroute.routing.health import HealthState
from smsroute.routing.record import LIMITS_READ, Unreadable, pack, record, replay, stood, unpack
from smsroute.routing.views import CarrierView

NAMES = ("orange", "sfr", "bouygues", "aggregator")
SHARE = st.floats(0, 1)
VIEW = st.builds(
    CarrierView,
    carrier=st.just(""),
    state=st.sampled_from(HealthState),
    since=st.floats(0, 100),
    reason=st.text(max_size=10),
    quality=SHARE,
    terms=st.tuples(st.tuples(st.just("latency"), SHARE)),
    latency_ms=st.floats(0, 1e5),
    queued=st.integers(0, 10_000),
    rate=st.floats(0, 1e4),
    capacity=SHARE,
    drained=st.sampled_from(["", "", "upgrade"]),
    bound=st.booleans(),
    admit_share=st.sampled_from([0.0, 0.3, 1.0, 1.0]),
    probe=st.booleans(),
)


@st.composite
def routes(draw: st.DrawFn) -> Route:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    entries = tuple(
        Choice(name, draw(st.sampled_from([0.0, 0.03, 0.031, 0.06])), draw(st.integers(1, 99)), draw(st.booleans()))
        for name in names
    )
    cut = draw(st.integers(1, len(entries)))
    prefer = draw(st.sampled_from(["quality", "cost", "balanced"]))
    return Route(
        name="fr", to=("336",), prefer=prefer, carriers=entries[:cut], backup=entries[cut:], line=6, path="routes.yaml"
    )


@st.composite
def views(draw: st.DrawFn) -> dict[str, CarrierView]:
    return {name: attrs.evolve(draw(VIEW), carrier=name) for name in NAMES}


LIMITS = st.builds(
    attrs.evolve,
    st.just(Limits()),
    quality_band=st.floats(0, 0.5),
    overprovision=st.floats(1, 3),
    spill_wait_s=st.floats(0.01, 10),
    hold_s=st.floats(0, 20),
    slow_start_s=st.floats(0, 60),
    panic_healthy_share=SHARE,
)


class Watched:
    """Limits that remember what was asked of them."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self._limits = Limits()

    def __getattr__(self, name: str) -> object:
        self.asked.add(name)
        return getattr(self._limits, name)


def said(one: Plan) -> tuple[object, ...]:
    return one.choices, one.refused, one.probes, one.panic, one.reason, one.wheel, one.waiting


class TestReplay:
    @given(routes(), st.sampled_from(MessageClass), LIMITS, st.lists(views(), min_size=1, max_size=3))
    def test_a_year_later_the_same(
        self, route: Route, message_class: MessageClass, limits: Limits, moments: list[dict[str, CarrierView]]
    ) -> None:
        """From the blob alone, with default limits of any version, the same shares, refusals and sentences come out."""
        previous, now = None, 100.0
        for seen in moments:
            one = plan(route, message_class, seen, limits, now, previous)
            kept = unpack(pack(record(one, "336", seen, previous, limits, "abc", 1e9)))
            assert said(replay(kept)) == said(one)
            assert (kept.choices, kept.refused, kept.place) == (one.choices, one.refused, "routes.yaml:6")
            previous, now = one, now + 7.0

    def test_where_a_carrier_stood_before_counts(self) -> None:
        """sfr, good again after it was bad, has to hold on first: decided anew without that it would share at once."""
        limits = Limits()
        bad, good = two(quality=0.5), two()
        first = plan(TestMaterial.ROUTE, 2, bad, limits, 100.0)
        second = plan(TestMaterial.ROUTE, 2, good, limits, 100.1, first)
        fresh = plan(TestMaterial.ROUTE, 2, good, limits, 100.1)
        assert second.choices[0].weight > fresh.choices[0].weight
        assert said(replay(unpack(pack(record(second, "336", good, first, limits, "abc", 1e9))))) == said(second)

    @given(routes(), st.sampled_from(MessageClass), st.lists(views(), min_size=2, max_size=2))
    def test_no_limit_is_read_that_is_not_recorded(
        self, route: Route, message_class: MessageClass, moments: list[dict[str, CarrierView]]
    ) -> None:
        """Else a record decided again after a default changed would say something else."""
        watched = Watched()
        first = plan(route, message_class, moments[0], watched, 100.0)  # type: ignore[arg-type]
        plan(route, message_class, moments[1], watched, 107.0, first)  # type: ignore[arg-type]
        assert watched.asked <= set(LIMITS_READ)

    def test_nonsense_is_told(self) -> None:
        """A blob that is no record raises, whatever is wrong with it."""
        for blob in (b"", b"\xc1", b"\x80", b"\x91\x01"):
            with pytest.raises(Unreadable):
                unpack(blob)


def two(orange: float = 1.0, **of_sfr: object) -> dict[str, CarrierView]:
    return {"orange": CarrierView("orange", quality=orange), "sfr": CarrierView("sfr", **of_sfr)}  # type: ignore[arg-type]


class TestMaterial:
    ROUTE = Route(
        name="fr", to=("336",), prefer="quality", carriers=(Choice("orange", weight=70), Choice("sfr", weight=30))
    )

    def still(self, before: dict[str, CarrierView], after: dict[str, CarrierView], later_s: float = 0.1) -> bool:
        first = plan(self.ROUTE, 2, before, Limits(), 100.0)
        second = plan(self.ROUTE, 2, after, Limits(), 100.0 + later_s, first)
        return stood(first, before).still(second, after, 0.05)

    def test_a_share_that_moves_little_is_the_same_decision(self) -> None:
        """sfr fit for 0.9 instead of 1 takes 27/97 = 27.8 % instead of 30 %."""
        assert self.still(two(), two(capacity=0.9))

    def test_a_share_that_moves_by_the_tolerance_is_another(self) -> None:
        """sfr fit for 0.75 takes 22.5/92.5 = 24.3 %: 5.7 points less."""
        assert not self.still(two(), two(capacity=0.75))

    def test_a_carrier_that_enters_or_leaves_is_another(self) -> None:
        """Dead, or drained."""
        dead = two(state=HealthState.DEAD, admit_share=0.0, reason="21 faults")
        assert not self.still(two(), dead)
        assert not self.still(dead, two())
        assert not self.still(two(), two(drained="upgrade"))

    def test_a_refusal_that_lasts_is_the_same(self) -> None:
        """Its sentence counts the seconds, and that is no change."""
        dead = two(state=HealthState.DEAD, admit_share=0.0, reason="21 faults")
        assert self.still(dead, dead, later_s=7.0)

    def test_a_refusal_for_another_reason_is_another(self) -> None:
        """Dead, then probed, then unbound, then drained."""
        states = [
            two(state=HealthState.DEAD, admit_share=0.0),
            two(state=HealthState.PROBE_OPEN, admit_share=0.0),
            two(state=HealthState.DEAD, admit_share=0.0, bound=False),
            two(state=HealthState.DEAD, admit_share=0.0, drained="upgrade"),
        ]
        for before, after in pairwise(states):
            assert not self.still(before, after)
