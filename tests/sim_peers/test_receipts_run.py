"""The receipts run: its reckoning sees a miss, a wrong match, a double and a silence; a short run on real TCP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smsroute.sim.book import Promise
from smsroute.sim.carrierbook import Entry, Fact, Kind

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import receipts_books as books  # noqa: E402 - a script's folder, as Python itself adds it
import receipts_run  # noqa: E402


def _fact(word: str, err: str, sent_at: float, answered_at: float, kind: Kind = Kind.FINAL) -> Fact:
    return Fact(kind, word, err, sent_at, sent_at, 1, answered_at, "north-1")


def _entry(number: int, *facts: Fact, err: str = "AB12") -> Entry:
    text = f"Your code is #{number:08d}".encode()
    return Entry(text, "33600000001", f"{number:x}", 1.0, "DELIVRD", err, True, facts=list(facts))


def _told(word: str, err: str, at: float = 3.0) -> books.Telling:
    return books.Telling(word, err, at)


GOOD = _fact("DELIVRD", "AB12", 2.0, 2.1)


@pytest.mark.parametrize(
    ("facts", "telling", "said"),
    [
        ([GOOD], _told("DELIVRD", "AB12"), "matched"),
        ([GOOD], _told("UNKNOWN", "000"), "missed"),
        ([GOOD], _told("EXPIRED", "000"), "missed"),
        ([GOOD], _told("DELIVRD", "ZZ99"), "wrong"),
        ([GOOD], _told("UNDELIV", "AB12"), "wrong"),
        ([], _told("UNKNOWN", "000"), "ours"),
        ([], _told("DELIVRD", "AB12"), "wrong"),
        ([], _told("UNKNOWN", "ZZ99"), "wrong"),
        ([_fact("DELIVRD", "AB12", 2.0, 0.0)], _told("DELIVRD", "AB12"), "ours"),
        ([_fact("ENROUTE", "000", 1.5, 1.6, Kind.ON_THE_WAY), GOOD], _told("DELIVRD", "AB12"), "matched"),
        ([GOOD, _fact("UNDELIV", "AB12", 5.0, 5.1, Kind.CONFLICTING)], _told("UNDELIV", "AB12"), "wrong"),
        ([GOOD, _fact("UNDELIV", "AB12", 2.05, 2.2, Kind.CONFLICTING)], _told("UNDELIV", "AB12"), "matched"),
    ],
)
def test_verdicts(facts: list[Fact], telling: books.Telling, said: str) -> None:
    """Told exactly what the carrier told of this message, first word first; else missed or wrong."""
    assert books.verdict([_entry(1, *facts)], telling) == said


def _promise(number: int) -> Promise:
    return Promise(number, "33600000001", b"", 1.0, 1.1, 0, (f"ID{number}",), (), 3.0)


def _figures(tellings: dict[str, list[books.Telling]], kills: tuple[float, ...] = ()) -> dict[str, Any]:
    book = books.Books()
    book.heard.update(tellings)
    entries = [_entry(n, _fact("DELIVRD", f"AB1{n}", 2.0, 2.1), err=f"AB1{n}") for n in range(3)]
    figures: dict[str, Any] = books.figures({"north": entries}, [_promise(n) for n in range(2)], book, kills)
    return figures


def test_receipts_swapped_are_wrong() -> None:
    """Two messages to one handset, each told the other's end: two wrong ones, and the words alone would not show it."""
    figures = _figures({"ID0": [_told("DELIVRD", "AB11")], "ID1": [_told("DELIVRD", "AB10")]})
    assert (figures["wrong"], figures["matched"], figures["match_rate"]) == (2, 0, 0.0)


def test_silence_and_doubles() -> None:
    """One told twice, one never; what the kill may have eaten the answer of is counted apart."""
    twice = [_told("DELIVRD", "AB10"), _told("DELIVRD", "AB10", 9.0)]
    figures = _figures({"ID0": twice})
    assert (figures["twice"], figures["never_told"], figures["again_after_kill"]) == (1, 1, 0)
    assert figures["matched"] == 1 and figures["match_rate"] == 1.0
    assert _figures({"ID0": twice}, kills=(3.5,))["again_after_kill"] == 1


def test_receipts_of_messages_without_a_response() -> None:
    """A message whose response died with the engine is told under an id nobody knows; its end must be somebody's."""
    right = {"ID0": [_told("DELIVRD", "AB10")], "ID1": [_told("DELIVRD", "AB11")], "ID9": [_told("DELIVRD", "AB12")]}
    assert (_figures(right)["without_response"], _figures(right)["wrong"]) == (1, 0)
    assert _figures({**right, "ID9": [_told("DELIVRD", "ZZZZ")]})["wrong"] == 1


def test_a_missed_target_is_named() -> None:
    """Each figure that must be nothing has its words; a run that matched nothing is no success."""
    run = {key: 0 for key, _ in receipts_run.TARGETS} | {"matched": 5}
    assert receipts_run.faults(run) == []
    assert receipts_run.faults(run | {"wrong": 2}) == ["2 messages told what no carrier said of them"]
    assert receipts_run.faults(run | {"matched": 0}) == ["nothing was matched"]


@pytest.mark.slow
def test_a_short_run() -> None:
    """Six dialects, an engine killed twice: no receipt goes to the wrong message, nobody is told twice or never."""
    command = [sys.executable, str(TOOLS / "receipts_run.py"), "--seconds", "6", "--rate", "150", "--delay", "0.5"]
    done = subprocess.run(
        [*command, "--validity", "8", "--grace", "4", "--adopt-after", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    run = json.loads(done.stdout)
    assert run["accepted"] > 500 and run["match_rate"] > 0.99
    assert (run["wrong"], run["twice"], run["never_told"]) == (0, 0, 0), done.stderr
