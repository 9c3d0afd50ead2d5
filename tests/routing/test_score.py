"""The score: exact shares, peak latency, and whom no answer may hurt or help."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.outcome import Word
from smsroute.routing.score import Score, product

LIMITS = Limits()
ANSWERS = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from(list(Blame)), st.floats(0, 20), st.integers(1, 200)), max_size=60
)
"""(seconds since the one before, blame, latency, how many)."""


def fed(answers: list[tuple[float, Blame, float, int]]) -> tuple[Score, float]:
    """A score after such answers, and the time."""
    now = 50.0
    score = Score(LIMITS, now)
    for pause_s, blame, latency_s, n in answers:
        now += pause_s
        score.answered(blame, latency_s, now, n)
    return score, now


def steady(seconds: float = 30, latency_s: float = 0.1, rate: float = 10) -> tuple[Score, float]:
    """A score after good times, and the time."""
    return fed([(1 / rate, Blame.OK, latency_s, 1)] * int(seconds * rate))


def term(score: Score, name: str, now: float, age_s: float = 0.0, occupancy: float = 0.0) -> float:
    """One term."""
    return dict(score.terms(now, age_s, occupancy))[name]


def taken(score: Score, now: float, asked: int = 1) -> None:
    """A part taken in 100 ms, with a receipt asked or not."""
    score.answered(Blame.OK, 0.1, now)
    if asked:
        score.receipts.asked(asked, now)


def told(score: Score, delivered: bool, delay_s: float, now: float) -> None:
    """A receipt that speaks of the carrier."""
    score.receipts.came(Word.DELIVERED if delivered else Word.ITS_FAULT, [delay_s], now)


@given(ANSWERS, st.floats(0, 100), st.floats(-1, 3))
@example([(0.0, Blame.OK, 0.0, 127), (0.0, Blame.UNKNOWN, 0.0, 47)], 0.0, 0.0)  # 47 / 174 * 174 is more than 47
def test_quality_and_terms_stay_within_0_and_1(
    answers: list[tuple[float, Blame, float, int]], age_s: float, occupancy: float
) -> None:
    """Whatever happens, each term and the quality are shares of one, and the quality is their product."""
    score, now = fed(answers)
    terms = score.terms(now, age_s, occupancy)
    assert all(0.0 <= value <= 1.0 for _, value in terms)
    assert score.quality(now, age_s, occupancy) == product(terms)


@given(ANSWERS, st.floats(0, 30), st.integers(1, 10_000))
def test_a_subscribers_fault_never_lowers_the_score(
    answers: list[tuple[float, Blame, float, int]], latency_s: float, n: int
) -> None:
    """Law 9: any number of permanent-message answers, quick or slow, lowers neither the quality nor any term."""
    score, now = fed(answers)
    before = dict(score.terms(now))
    score.answered(Blame.PERMANENT_MESSAGE, latency_s, now, n)
    assert all(value >= before[name] for name, value in score.terms(now))


@given(
    ANSWERS,
    st.lists(st.tuples(st.booleans(), st.lists(st.floats(0, 100_000), min_size=1, max_size=90)), max_size=12),
    st.lists(st.tuples(st.sampled_from([1, 60, 400]), st.sampled_from([0.0, 5.0, 9000.0])), max_size=12),
)
def test_no_row_of_subscribers_faults_changes_the_quality(
    answers: list[tuple[float, Blame, float, int]],
    judged: list[tuple[bool, list[float]]],
    neutral: list[tuple[int, float]],
) -> None:
    """Law 9 in full: any row of permanent-message answers and of receipts that blame the subscriber leaves each term of
    receipts as it was, and the quality no lower."""
    score, now = fed(answers)
    for delivered, delays_s in judged:
        score.receipts.came(Word.DELIVERED if delivered else Word.ITS_FAULT, sorted(delays_s), now)
    before = dict(score.terms(now))
    for n, delay_s in neutral:
        score.answered(Blame.PERMANENT_MESSAGE, delay_s, now, n)
        score.receipts.came(Word.NEUTRAL, [delay_s] * n, now)
    after = dict(score.terms(now))
    assert all(after[name] >= before[name] for name in before)
    assert [after[name] for name in ("success", "unknown", "latency", "delivered", "receipt_delay")] == [
        before[name] for name in ("success", "unknown", "latency", "delivered", "receipt_delay")
    ]


@given(ANSWERS, st.sampled_from([b for b in Blame if b != Blame.OK]), st.integers(1, 10_000))
def test_an_instant_refusal_never_counts_as_fast(
    answers: list[tuple[float, Blame, float, int]], blame: Blame, n: int
) -> None:
    """Law 9: no answer but a taken part lowers the latency or the baseline."""
    score, now = fed(answers)
    before = (score.latency_s, score.baseline_s)
    score.answered(blame, 0.0, now, n)
    assert (score.latency_s, score.baseline_s) >= before


@given(ANSWERS)
def test_shares_are_exact_over_the_window(answers: list[tuple[float, Blame, float, int]]) -> None:
    """The success share counts exactly the answers in the buckets that are not older than the window."""
    score, now = fed(answers)
    bucket_s = LIMITS.success_bucket_s
    first = int((now - 50.0) // bucket_s) - LIMITS.success_buckets + 1
    at, ok, faults = 50.0, 0, 0
    for pause_s, blame, _, n in answers:
        at += pause_s
        edge = (at - 50.0) / bucket_s
        if abs(edge - round(edge)) < 1e-6:
            return  # on the edge of a bucket rounding decides which one
        if int(edge) >= first:
            ok += n * (blame == Blame.OK)
            faults += n * (blame in (Blame.TRANSIENT, Blame.PERMANENT_ROUTE, Blame.UNKNOWN))
    figures = score.figures(now)
    assert figures.samples == ok + faults
    assert figures.success == pytest.approx(ok / (ok + faults) if ok + faults else 1.0)


@given(ANSWERS, st.integers(1, 50))
def test_a_batch_is_the_same_as_one_by_one(answers: list[tuple[float, Blame, float, int]], n: int) -> None:
    """n answers at once leave the counts that n single ones leave."""
    (together, now), (single, _) = fed(answers), fed(answers)
    together.answered(Blame.TRANSIENT, 0.5, now, n)
    for _ in range(n):
        single.answered(Blame.TRANSIENT, 0.5, now)
    assert together.figures(now) == single.figures(now)


class TestLatency:
    """Peak-EWMA against the pair's own baseline."""

    def test_a_new_pair_is_perfect(self) -> None:
        """Nobody has said anything bad about it yet."""
        assert Score(LIMITS, 0.0).quality(0.0) == 1.0

    def test_rises_at_once_and_decays_with_tau(self) -> None:
        """One slow sample is believed at once; ten seconds of quick ones leave 37 % of it."""
        score, now = steady()
        score.answered(Blame.OK, 2.0, now)
        assert score.latency_s == 2.0
        for _ in range(100):
            now += 0.1
            score.answered(Blame.OK, 0.1, now)
        assert score.latency_s == pytest.approx(0.1 + 1.9 * 0.3679, rel=0.02)

    def test_unanswered_age_counts_before_any_answer(self) -> None:
        """A carrier gone silent loses quality while its first request is still unanswered."""
        score, now = steady(latency_s=0.1)
        assert term(score, "latency", now, age_s=0.15) == 1.0
        assert term(score, "latency", now, age_s=1.0) == pytest.approx(0.2)
        assert term(score, "latency", now, age_s=3.0) < 0.1

    def test_compares_with_its_own_usual(self) -> None:
        """300 ms is as usual for one pair and sick for another."""
        slow, now = steady(latency_s=0.3)
        quick, _ = steady(latency_s=0.06)
        slow.answered(Blame.OK, 0.3, now)
        quick.answered(Blame.OK, 0.3, now)
        assert term(slow, "latency", now) == 1.0
        assert term(quick, "latency", now) == pytest.approx(0.4)

    def test_the_baseline_does_not_learn_a_sickness(self) -> None:
        """Ten minutes at fifty times the usual latency move the baseline by less than a quarter of that."""
        score, now = steady(latency_s=0.1)
        for _ in range(600):
            now += 1.0
            score.answered(Blame.OK, 5.0, now)
        assert score.baseline_s < 0.25
        assert term(score, "latency", now) < 0.1

    def test_an_idle_pair_fades_back_to_its_baseline(self) -> None:
        """Without samples nothing proves an old peak, so it fades; what is unanswered still counts."""
        score, now = steady()
        score.answered(Blame.OK, 5.0, now)
        assert score.latency_now_s(now + 60) < 0.2
        assert score.figures(now + 60, 4.0).latency_s == 4.0


class TestShares:
    """Success, unknown, throttled, occupancy."""

    def test_missing_samples_speak_for_the_carrier(self) -> None:
        """One fault of one answer costs a twentieth, not everything."""
        score = Score(LIMITS, 0.0)
        score.answered(Blame.TRANSIENT, 0.1, 0.1)
        assert term(score, "success", 0.1) == pytest.approx(1 - 1 / LIMITS.dead_samples_min)

    def test_refusals_and_silence_have_a_term_each(self) -> None:
        """Faults that were said lower success, faults of silence lower unknown, and neither lowers both."""
        refused, now = fed([(0.0, Blame.OK, 0.1, 50), (0.0, Blame.TRANSIENT, 0.1, 50)])
        silent, _ = fed([(0.0, Blame.OK, 0.1, 50), (0.0, Blame.UNKNOWN, 0.1, 50)])
        assert (term(refused, "success", now), term(refused, "unknown", now)) == (0.5, 1.0)
        assert (term(silent, "success", now), term(silent, "unknown", now)) == (1.0, 0.5)

    def test_throttled_costs_a_little_and_a_full_window_less(self) -> None:
        """Congestion is not death: all throttled costs half, a full window a fifth."""
        score, now = fed([(0.0, Blame.THROTTLED, 0.1, 100)])
        assert score.quality(now) == pytest.approx(0.5)
        assert Score(LIMITS, 0.0).quality(0.0, 0.0, 1.0) == pytest.approx(0.8)
        assert Score(LIMITS, 0.0).quality(0.0, 0.0, 0.8) == 1.0

    def test_the_window_forgets(self) -> None:
        """After the success window nothing of a bad time is left."""
        score, now = fed([(0.0, Blame.TRANSIENT, 0.1, 100)])
        later = now + LIMITS.success_buckets * LIMITS.success_bucket_s
        assert term(score, "success", now) == 0.0
        assert term(score, "success", later) == 1.0

    def test_forgiven_keeps_the_baseline(self) -> None:
        """Who is back from the dead starts with clean counts and its own usual latency."""
        score, now = steady(latency_s=0.2)
        score.answered(Blame.UNKNOWN, 10.0, now, 100)
        score.forgive()
        assert score.quality(now) == 1.0
        assert score.baseline_s == pytest.approx(0.2)


class TestReceipts:
    """Delivered share, delay and silence, each against the pair's own past."""

    def usual(self, share: float = 0.9, delay_s: float = 5.0, hours: float = 2) -> tuple[Score, float]:
        """A pair with receipts as usual: one part a second, receipts for all."""
        score, now = Score(LIMITS, 0.0), 0.0
        for i in range(int(hours * 3600)):
            now += 1.0
            taken(score, now)
            told(score, i % 10 < share * 10, delay_s, now)
        return score, now

    def test_a_slow_bleed_shows_against_its_own_past(self) -> None:
        """Delivered ratio falling from 90 % to 45 % halves the term; a pair that always had 45 % keeps quality 1."""
        score, now = self.usual(share=0.9)
        assert score.quality(now) == 1.0
        for i in range(1800):
            now += 1.0
            taken(score, now)
            told(score, i % 20 < 9, 5.0, now)
        assert 0.45 < term(score, "delivered", now) < 0.75
        always, then = self.usual(share=0.4)
        assert always.quality(then) == 1.0

    def test_late_receipts_show(self) -> None:
        """Receipts a hundred times as late as usual lower the term."""
        score, now = self.usual(delay_s=10.0)
        for _ in range(1800):
            now += 1.0
            taken(score, now)
            told(score, True, 1000.0, now)
        assert term(score, "receipt_delay", now) < 0.3

    def test_silence_while_traffic_flows_shows_within_two_minutes(self) -> None:
        """Parts are taken, receipts stop: the term falls before two minutes are over; without traffic it does not."""
        score, now = self.usual()
        quiet, _ = self.usual()
        for _ in range(119):
            now += 1.0
            taken(score, now)
        assert term(score, "receipt_silence", now) == LIMITS.receipt_silent_term
        assert term(quiet, "receipt_silence", now) == 1.0
        told(score, True, 60.0, now)
        assert term(score, "receipt_silence", now) == 1.0

    def test_a_pair_without_receipts_is_not_silent(self) -> None:
        """Nobody asked for receipts: their absence says nothing."""
        score, now = steady(seconds=3600, rate=1)
        assert score.quality(now) == 1.0
