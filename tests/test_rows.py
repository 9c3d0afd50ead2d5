"""Each row of the list of what real SMSCs and clients do has a test that bears its name, so that a row nobody holds is
seen. (The list is the design's; rows are D data formats, F receipt texts, M matching, O order, S sessions.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROWS = {"d": 12, "f": 22, "m": 14, "o": 13, "s": 39}
CHAOS = (  # the digest of misbehaviour, at both doors
    "sequence_numbers_out_of_range", "odd_t", "sm_length_overrun", "unknown_command", "alert_notification",
    "command_length_that_cannot_be", "a_pdu_of_30000_octets", "unbind",
)  # fmt: skip


def names() -> list[str]:
    """Every test's name."""
    sources = (path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("test_*.py")) if path != Path(__file__))
    return [name for source in sources for name in re.findall(r"def (test_\w+)", source)]


@pytest.mark.parametrize(("letter", "last"), ROWS.items())
def test_each_row_has_a_test(letter: str, last: int) -> None:
    """`test_s31_...`, or `test_s7_s8_...` and `test_s23_and_s24_...` for two."""
    held = {int(n) for name in names() for n in re.findall(rf"(?<=_){letter}(\d+)(?=_)", name)}
    assert set(range(1, last + 1)) - held == set()


@pytest.mark.parametrize("what", CHAOS)
def test_chaos_is_held_at_both_doors(what: str) -> None:
    """A test of that name at the carrier door and at the ESME door."""
    for file in ("carriers/test_carrier_chaos.py", "esmes/test_esme_chaos.py"):
        assert f"def test_chaos_{what}" in (TESTS / file).read_text(encoding="utf-8"), file
