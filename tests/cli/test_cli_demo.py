"""The demo: what it counts, that it can fail, and one short run of it as a person starts it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smsroute.cli.demo import _faults
from smsroute.cli.demo_show import summary
from smsroute.cli.demo_stage import WINDOW_MESSAGES, moved_after_s

ROOT = Path(__file__).parents[2]
WELL: dict[str, Any] = {
    "seconds": 10.0,
    "rate_s": 10.0,
    "submitted": 100,
    "delivered": 95,
    "failed": 3,
    "expired": 2,
    "failed_as": {"UNDELIV": 2, "UNKNOWN": 1},
    "lost": 0,
    "duplicates": {"handsets": 0, "receipts": 0},
    "handsets": 95,
    "refused": 0,
    "engine": {"delivered": 95, "failed": 3, "expired": 2},
    "failover": {"carrier": "orange", "at_s": 5.0, "moved_after_s": 0.25},
    "longest_wait_s": 0.5,
    "response_ms": {"p50": 1.0, "p99": 2.0},
    "receipt_ms": {"p50": 1.0, "p99": 2.0},
    "carriers": {"orange": 40, "sfr": 60},
    "moved": 3,
    "commits": 20,
    "why": {},
    "faults": [],
    "adds_up": True,
}


def offers(*runs: tuple[str, int], since: float = 0.0) -> list[tuple[float, str]]:
    """So many messages to each carrier in turn, a thousand a second."""
    names = [name for name, count in runs for _ in range(count)]
    return [(since + n / 1000, name) for n, name in enumerate(names)]


def test_the_failover_moment_is_the_first_from_which_99_of_100_go_elsewhere() -> None:
    """After 200 messages to the sick carrier all go elsewhere: the moment is three strays before the last of them."""
    moved = moved_after_s(offers(("sick", 200), ("well", 2000)), "sick", 0.0, 10.0)
    assert moved == pytest.approx(0.197)


def test_traffic_that_comes_back_moves_the_moment() -> None:
    """What goes to the sick carrier later counts; one stray in a window does not."""
    late = moved_after_s(offers(("sick", 10), ("well", 1000), ("sick", 50), ("well", 1000)), "sick", 0.0, 10.0)
    assert late == pytest.approx(1.057)
    stray = moved_after_s(offers(("sick", 10), ("well", 1000), ("sick", 1), ("well", 1000)), "sick", 0.0, 10.0)
    assert stray == pytest.approx(0.007)


def test_traffic_that_stays_has_no_moment() -> None:
    """Neither has no traffic at all."""
    assert moved_after_s(offers(("well", 500), ("sick", WINDOW_MESSAGES)), "sick", 0.0, 10.0) is None
    assert moved_after_s([], "sick", 0.0, 10.0) is None


def test_only_what_came_between_counts() -> None:
    """Traffic before the sickness and after the cure is no failover's matter."""
    play = [*offers(("sick", 500)), *offers(("well", 500), since=1.0), *offers(("sick", 500), since=2.0)]
    assert moved_after_s(play, "sick", 1.0, 2.0) == 0.0


def test_books_that_add_up_have_no_faults() -> None:
    """A text that reached a handset while its answer was lost is told UNKNOWN: that is no fault."""
    assert _faults(WELL) == []
    assert _faults(WELL | {"handsets": 96}) == []
    assert "100 submitted = 95 delivered + 3 failed + 2 expired" in summary(WELL)
    assert "0.25 s later 99 % of new traffic went elsewhere" in summary(WELL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lost": 1}, "1 messages have no end"),
        ({"refused": 2}, "2 messages were refused"),
        ({"duplicates": {"handsets": 1, "receipts": 0}}, "duplicates"),
        ({"duplicates": {"handsets": 0, "receipts": 1}}, "duplicates"),
        ({"engine": {"delivered": 94, "failed": 4, "expired": 2}}, "the engine counts"),
        ({"handsets": 94}, "94 texts are on handsets"),
        ({"handsets": 97}, "97 texts are on handsets"),
        ({"failover": {"carrier": "orange", "at_s": 5.0, "moved_after_s": None}}, "did not leave orange"),
        ({"submitted": 0}, "nothing was submitted"),
    ],
)
def test_each_thing_that_does_not_add_up_is_a_fault(change: dict[str, Any], said: str) -> None:
    """And the summary says so, in words."""
    document = copy.deepcopy(WELL) | change
    faults = _faults(document)
    assert [fault for fault in faults if said in fault]
    document |= {"faults": faults, "adds_up": False}
    assert "IT DOES NOT ADD UP" in summary(document)


@pytest.mark.slow
def test_a_short_demo_adds_up() -> None:
    """Over real TCP, with a real store: exit 0, every message with an end, nothing twice, a reason for each act; where
    no terminal is, its pictures are plain lines."""
    command = [sys.executable, "-m", "smsroute", "demo", "--seconds", "4", "--rate", "400"]
    plain, machine = (
        subprocess.Popen([*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for more in ([], ["--json"])
    )
    said, faults = machine.communicate(timeout=60)
    assert (machine.returncode, faults) == (0, ""), said + faults
    document = json.loads(said)
    assert document["submitted"] == document["delivered"] + document["failed"] + document["expired"] > 1000
    assert (document["lost"], document["adds_up"], document["faults"]) == (0, True, [])
    assert set(document["why"]) == {"throttling", "closed"}
    assert any(one["carrier"] == "orange" for one in document["why"]["closed"]["refused"])
    said, faults = plain.communicate(timeout=60)
    assert (plain.returncode, faults) == (0, ""), said + faults
    assert "\x1b" not in said
    assert "orange drops its links and closes its door" in said
    assert said.rstrip().endswith("it adds up")
