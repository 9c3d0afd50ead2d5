"""What outlives the engine: kept and restored figures, their age, and what a file may try to make us believe."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import BindConfig, Carrier, Limits, Secret
from smsroute.message import Blame
from smsroute.routing import kept
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import ALIVE, DEAD, PROBE_OPEN
from smsroute.routing.kept import KeptDossier, KeptReceipts, KeptRecord, KeptWeek
from smsroute.routing.outcome import Word

LIMITS = Limits()
RNG = random.Random(11)
ORANGE = Carrier("orange", "us", Secret(b""), (BindConfig("h", 1),), rate=1000, window=100)
WALL = 1_700_000_000.0

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(list(Blame)), st.floats(0, 20), st.integers(1, 300)),
        st.tuples(st.sampled_from(list(Word)), st.lists(st.floats(0, 5000), min_size=1, max_size=80)),
    ),
    max_size=30,
)
ODD = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e300)
NUMBERS = st.one_of(st.sampled_from(ODD), st.floats())
RECORDS = st.builds(
    KeptRecord,
    NUMBERS,
    st.builds(
        KeptReceipts,
        *[NUMBERS] * 5,
        st.none()
        | st.builds(
            KeptWeek,
            NUMBERS | st.just(LIMITS.week_bucket_s),
            NUMBERS,
            st.lists(NUMBERS, max_size=40),
            st.lists(NUMBERS, max_size=40),
        ),
    ),
    st.integers(-5, 10_000),
    NUMBERS,
)


def lived(steps: list[tuple[object, ...]], pause_s: float = 40.0) -> tuple[Dossier, float]:
    """A carrier after such a life on two networks, and the time."""
    one, now = Dossier(ORANGE, LIMITS, 10.0), 10.0
    one.bind_up(now)
    for n, step in enumerate(steps):
        now += pause_s
        network = "336" if n % 3 else "447"
        if isinstance(step[0], Word):
            delays = step[1]
            assert isinstance(delays, list)
            one.receipts(network, step[0], sorted(delays), now)
        else:
            blame, latency_s, parts = step
            assert isinstance(blame, int) and isinstance(latency_s, float) and isinstance(parts, int)
            one.answered(network, blame, latency_s, now, RNG, parts, asked=parts)
        one.tick(now, RNG)
    return one, now


@given(STEPS, st.floats(0, 1e6), st.floats(0, 86400))
def test_a_kept_carrier_goes_on_where_it_was(steps: list[tuple[object, ...]], start: float, elapsed_s: float) -> None:
    """Through the blob and back: the same baselines, receipts and weeks of each network; kept again it is the same."""
    one, now = lived(steps)
    first = one.keep(now, WALL)
    other = Dossier(ORANGE, LIMITS, start)
    other.restore(kept.unpack(kept.pack(first)), start, 0.0)
    again = other.keep(start, WALL)
    assert list(again.networks) == list(first.networks)
    for before, after in zip(
        [first.overall, *first.networks.values()], [again.overall, *again.networks.values()], strict=True
    ):
        assert after.baseline_s == before.baseline_s
        assert after.ejections == before.ejections
        assert (after.sick_s < 0) == (before.sick_s < 0)
        assert msgspec.structs.replace(after.receipts, week=None) == msgspec.structs.replace(before.receipts, week=None)
        if before.receipts.week is not None:
            assert after.receipts.week is not None
            assert after.receipts.week.all == before.receipts.week.all
            assert after.receipts.week.delivered == before.receipts.week.delivered
            assert after.receipts.week.ends_in_s == pytest.approx(before.receipts.week.ends_in_s, abs=1e-3)
    aged = Dossier(ORANGE, LIMITS, start)
    aged.restore(first, start, elapsed_s)
    assert all(0.0 <= value <= 1.0 for _, value in aged.terms("336", start))


@given(RECORDS, RECORDS, STEPS, st.floats(0, 1e9))
def test_no_file_can_break_the_brain(
    overall: KeptRecord, network: KeptRecord, steps: list[tuple[object, ...]], elapsed_s: float
) -> None:
    """Whatever numbers a blob holds, terms stay within 0 and 1 and the carrier goes on working."""
    one = Dossier(ORANGE, LIMITS, 10.0)
    one.restore(KeptDossier(kept.VERSION, WALL, "orange", overall, {"336": network, "447": network}), 10.0, elapsed_s)
    one.bind_up(10.0)
    now = 10.0
    for step in steps:
        now += 100.0
        if isinstance(step[0], Word):
            delays = step[1]
            assert isinstance(delays, list)
            one.receipts("336", step[0], sorted(delays * LIMITS.receipt_samples_min), now)
        else:
            one.answered("336", int(step[0]), 0.1, now, RNG, 5, asked=5)  # type: ignore[call-overload]
        one.tick(now, RNG)
        for name in ("336", "447", "491"):
            view = one.view(name, now)
            assert all(0.0 <= value <= 1.0 for _, value in view.terms), view.terms
            assert 0.0 <= view.quality <= 1.0
    one.keep(now, WALL)


@given(st.binary(max_size=80))
def test_a_blob_that_is_none_is_unreadable_and_nothing_worse(blob: bytes) -> None:
    """Chance octets raise Unreadable, whatever they look like."""
    with pytest.raises(kept.Unreadable):
        kept.unpack(blob)


def test_a_blob_of_another_version_is_unreadable() -> None:
    """Its number is read before anything else of it is believed."""
    later = msgspec.msgpack.encode([kept.VERSION + 1, {"anything": True}, "else"])
    with pytest.raises(kept.Unreadable, match=f"version {kept.VERSION + 1}, this engine knows {kept.VERSION}"):
        kept.unpack(later)


class TestHealth:
    """Trust does not travel."""

    def dead(self) -> tuple[Dossier, float]:
        one, now = lived([(Blame.OK, 0.1, 30)])
        for _ in range(3):
            now += 0.3
            one.answered("336", Blame.TRANSIENT, 0.1, now, RNG, 30)
        assert one.overall.health.state is DEAD
        return one, now

    def test_who_was_dead_may_be_probed_and_no_more(self) -> None:
        """Ten seconds after its death the engine restarts: one message may ask, and all else goes elsewhere."""
        one, now = self.dead()
        other = Dossier(ORANGE, LIMITS, 7.0)
        other.restore(one.keep(now + 10, WALL), 7.0, 5.0)
        assert other.view("336", 7.0).admit_share == 0.0
        other.bind_up(8.0)
        other.tick(8.0, RNG)
        view = other.view("336", 8.0)
        assert (view.state, view.admit_share, view.probe) == (PROBE_OPEN, 0.0, True)
        assert other.claim_probe("336", 8.0)
        assert not other.claim_probe("336", 8.0)
        other.answered("336", Blame.TRANSIENT, 0.1, 9.0, RNG)
        assert other.overall.health.state is DEAD
        length_s = other.overall.health.until - 9.0
        assert length_s > LIMITS.ejection_min_s, "the second ejection in a row is longer than a first"

    def test_a_long_pause_forgets(self) -> None:
        """After `ejection_forget_s` of absence it begins as any other."""
        one, now = self.dead()
        other = Dossier(ORANGE, LIMITS, 7.0)
        other.restore(one.keep(now, WALL), 7.0, LIMITS.ejection_forget_s)
        other.bind_up(8.0)
        assert other.overall.health.state is ALIVE
        assert other.view("336", 8.0).admit_share == 1.0


class TestWeek:
    """A week shifts with the time away."""

    def test_the_pause_ages_the_steps(self) -> None:
        """Three days away: what is older than the week is gone, the rest stands; a week away: all is gone."""
        one, now = Dossier(ORANGE, LIMITS, 0.0), 0.0
        for day in range(6):
            now = 86400.0 * day + 60
            one.receipts("336", Word.DELIVERED, [5.0] * 100, now)
        known = one.keep(now, WALL)

        def past(elapsed_s: float) -> tuple[float, float]:
            other = Dossier(ORANGE, LIMITS, 500.0)
            other.restore(known, 500.0, elapsed_s)
            week = other.overall.score.receipts.week
            assert week is not None
            return week.past(500.0)

        assert past(0.0) == (500.0, 500.0)  # the sixth hundred is in the step under way
        assert past(3 * 86400.0) == (400.0, 400.0)
        assert past(8 * 86400.0) == (0.0, 0.0)

    def test_a_week_of_other_steps_is_no_measure(self) -> None:
        """The knob was turned meanwhile: the old steps cannot be compared with new ones."""
        one = Dossier(ORANGE, LIMITS, 0.0)
        one.receipts("336", Word.DELIVERED, [5.0] * 100, 1.0)
        other = Dossier(ORANGE, Limits(week_bucket_s=3600.0), 0.0)
        other.restore(one.keep(30_000.0, WALL), 0.0, 0.0)
        week = other.overall.score.receipts.week
        assert week is not None
        assert week.past(0.0) == (0.0, 0.0)
