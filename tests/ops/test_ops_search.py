"""Ids in the forms carriers write them, numbers in the forms ESMEs do. smsroute/ops/search.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.ops.search import AS_WRITTEN, Hit, best, forms, hits, numbers


@pytest.mark.parametrize(
    ("written", "kept", "how"),
    [
        ("1a2b3c4d", "1a2b3c4d", AS_WRITTEN),
        ("1a2b3c4d", "1A2B3C4D", "in upper case"),
        ("1A2B3C4D", "439041101", "hex, kept as decimal"),
        ("439041101", "1a2b3c4d", "decimal, kept as hex"),
        ("439041101", "000000001A2B3C4D", "decimal, kept as upper-case hex"),
        ("0x1A2B3C4D", "1A2B3C4D", "without 0x"),
        ("0000012345", "12345", "without leading zeros"),
        ("12345", "0000012345", "padded to 10"),
        (" 12345 ", "12345", AS_WRITTEN),
    ],
)
def test_a_carriers_id_in_another_form(written: str, kept: str, how: str) -> None:
    """Each usual pair of forms of one id is tried, and named."""
    assert forms(written)[kept] == how


@given(st.text(max_size=30))
def test_the_id_itself_goes_first_and_nothing_is_too_odd(written: str) -> None:
    """Whatever somebody pastes, the forms are few and begin with it."""
    found = forms(written)
    assert next(iter(found)) == written.strip()
    assert len(found) <= 40


def test_an_id_as_written_beats_any_other_form() -> None:
    """A message that bears the very id is meant; one that another form names is not shown beside it."""
    keys = forms("1234")
    exact, other = {"1234": "A"}, {"1234": "B", "4d2": "C"}
    assert best(hits("orange", exact, keys) + hits("sfr", {"4660": "D"}, keys)) == [
        Hit("A", "orange", "1234", AS_WRITTEN)
    ]
    assert [hit.part_id for hit in best(hits("orange", other, keys) + hits("sfr", exact, keys))] == ["B", "A"]
    assert [hit.how for hit in best(hits("sfr", {"4d2": "C", "00001234": "C"}, keys))] == ["padded to 8"]


@pytest.mark.parametrize("written", ["+33612345678", "0033612345678", "33 6 12-34.56(78)", "33612345678"])
def test_a_number_however_written(written: str) -> None:
    """Separators, + and 00 are forgiven; the shortest form comes first."""
    assert numbers(written) == ["33612345678", "+33612345678", "0033612345678"]


def test_what_is_no_number() -> None:
    """A sender's name is not looked up; a short code is."""
    assert numbers("38200")[0] == "38200"
    with pytest.raises(ValueError, match="expected a number"):
        numbers("ACME")
