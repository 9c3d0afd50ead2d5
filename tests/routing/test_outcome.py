"""Blame: every number a carrier may answer, and what may happen next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import Blame
from smsroute.routing import outcome
from smsroute.routing.outcome import NO_END, TABLE, blame, tries_max, verdict

# The classes of the field survey, number by number: the table in code must say the same.
# fmt: off
SURVEY = {
    Blame.OK:                [0x00],
    Blame.THROTTLED:         [0x58],
    Blame.CONGESTED:         [0x14],
    Blame.TRANSIENT:         [0x08, 0x45, 0x64, 0xFE, 0xFF, 0x102, 0x10D, 0x431, 0x4FF],
    Blame.PERMANENT_MESSAGE: [0x01, 0x02, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x48,
                              0x49, 0x50, 0x51, 0x54, 0x55, 0x61, 0x62, 0x63, 0x65, 0x66, 0x9F, 0xC0, 0xC1, 0xC2, 0xC4,
                              0x104, 0x105, 0x106, *range(0x107, 0x10D), 0x110, 0x111, 0x112, 0x404, 0x405, 0x40A,
                              0x430, 0x432, 0x433],
    Blame.PERMANENT_ROUTE:   [0x03, 0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x22, 0x53, 0x5A, 0xC3, 0x100, 0x101, 0x103, 0x401,
                              0x402, 0x403, 0x40B],
}
# fmt: on


@pytest.mark.parametrize(("expected", "code"), [(b, code) for b, codes in SURVEY.items() for code in codes])
def test_table_says_what_the_survey_says(expected: Blame, code: int) -> None:
    """Each surveyed command_status has its class."""
    assert blame(code, {}) == expected == verdict(code, {}).blame


@given(st.integers(0, 0xFFFFFFFF))
def test_every_number_has_a_verdict(code: int) -> None:
    """No number is without one; what no specification lists is transient, not here again, and worth a look."""
    judged = verdict(code, {})
    assert judged.blame == blame(code, {})
    assert judged.tries_max >= 1
    assert judged.note
    if code not in TABLE:
        assert (judged.blame, judged.tries_max, judged.elsewhere) == (Blame.TRANSIENT, 1, True)
        assert judged.alarm is (code not in range(0x400, 0x500))


@given(st.integers(0, 0x500), st.sampled_from(list(Blame)))
def test_an_override_wins(code: int, said: Blame) -> None:
    """A carrier's `outcomes:` decide over the table; a number they do not name is left alone."""
    assert blame(code, {code: said}) == said == verdict(code, {code: said}).blame
    assert blame(code, {code + 1: said}) == blame(code, {})


def test_only_what_was_refused_for_the_carriers_sake_goes_elsewhere() -> None:
    """A message's own fault and a success go nowhere else; what is unanswered waits for the in_doubt policy."""
    assert {b for b in Blame if outcome.retry_elsewhere(b)} == {
        Blame.THROTTLED, Blame.CONGESTED, Blame.TRANSIENT, Blame.PERMANENT_ROUTE
    }  # fmt: skip
    assert {b for b in Blame if outcome.retry_same_carrier(b)} == {Blame.THROTTLED, Blame.CONGESTED, Blame.TRANSIENT}


def test_tries_follow_the_survey() -> None:
    """Throttled may be repeated until validity ends; the survey's limits of one and two tries hold."""
    assert [tries_max(code, {}) for code in (0x58, 0x14, 0x45, 0xFF, 0x400, 0x7777)] == [NO_END, NO_END, 2, 1, 1, 1]


def test_faults_are_the_carriers_only() -> None:
    """Law 9: neither a subscriber's fault nor congestion counts as a carrier's fault."""
    assert {b for b in Blame if outcome.is_fault(b)} == {Blame.TRANSIENT, Blame.PERMANENT_ROUTE, Blame.UNKNOWN}
