"""The failure benchmark: its books see a loss, a double and a swing; a short run keeps every promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smsroute.sim.book import Promise
from smsroute.sim.wire import Submit

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import failover_books as books  # noqa: E402 - a script's folder, as Python itself adds it
import failover_run  # noqa: E402

TIMES = books.Times(start=0.0, sick=10.0, heal=20.0, end=30.0)
PRICES = {"north": 0.030, "south": 0.040}


def _promise(number: int, at: float, told_at: float = 0.0) -> Promise:
    return Promise(number, "336", b"", at, at, 0, (str(number),), ("DELIVRD",) if told_at else (), told_at)


def _written(offers: list[tuple[int, float, str, bool]]) -> books.Books:
    book = books.Books()
    for number, at, carrier, took in offers:
        book.seen(carrier, at, Submit(b"", b"", 1, f"#{number:08d}".encode()), took)
    return book


def _figures(book: books.Books, promises: list[Promise]) -> dict[str, Any]:
    figures: dict[str, Any] = books.figures(book, promises, "north", TIMES, PRICES, (10.0, 3.0))
    return figures


def test_a_closed_book() -> None:
    """Ten messages a second, each taken once, half by each: nothing is lost, untold or doubled."""
    offers = [(n, n / 10, "north" if n % 2 else "south", True) for n in range(300)]
    figures = _figures(_written(offers), [_promise(n, n / 10, n / 10 + 0.5) for n in range(300)])
    assert [figures[key] for key in ("lost", "untold", "given_up", "duplicates", "resent_in_doubt")] == [0] * 5
    assert figures["share_before"] == figures["share_sick"] == 0.5 and figures["elsewhere_s"] is None
    assert figures["p99_before_s"] == pytest.approx(0.5) and figures["goodput_s"] == pytest.approx(10.0)
    assert figures["cost_during"] == pytest.approx(35.0)


def test_a_message_lost_and_one_untold() -> None:
    """A message that no carrier took is lost; one that was taken and never told of is untold, and counts as late."""
    book = _written([(0, 11.0, "south", False), (1, 11.0, "south", True)])
    figures = _figures(book, [_promise(0, 11.0, 20.0), _promise(1, 11.0)])
    assert (figures["lost"], figures["untold"]) == (1, 1)


def test_elsewhere_is_measured_from_the_last_that_went_there() -> None:
    """Traffic that goes to the sick carrier for two seconds, or waits for a dead link, is not elsewhere before that."""
    offers = [(n, n / 100, "north" if n < 1200 else "south", True) for n in range(3000)]
    promises = [_promise(n, n / 100, n / 100 + 0.5) for n in range(3000)]
    assert _figures(_written(offers), promises)["elsewhere_s"] == pytest.approx(2.0, abs=0.1)
    waited = [(n, n / 100 + (4.0 if 1000 <= n < 1300 else 0.0), "south", True) for n in range(3000)]
    assert _figures(_written(waited), promises)["elsewhere_s"] == pytest.approx(3.0, abs=0.1)


def test_a_double_is_explained_by_doubt_only() -> None:
    """Taken twice: with time for doubt at the sick carrier it is explained; at once, or at a healthy one, it is not."""
    explained, too_soon, healthy = (
        [(12.0, "north"), (16.0, "south")],
        [(12.0, "north"), (12.5, "south")],
        [(12.0, "south"), (16.0, "east")],
    )
    for takings, said in ((explained, (1, 0)), (too_soon, (0, 1)), (healthy, (0, 1))):
        assert books.duplicates([takings], "north", 10.0, 20.0, 3.0) == said


def test_swings_are_counted() -> None:
    """Traffic that comes back in force and leaves again, three times: three swings; a trickle of probes is none."""
    back = [(s + n / 100, "north" if s % 4 == 2 and n % 2 else "south") for s in range(12) for n in range(100)]
    probes = [(s + n / 100, "north" if not n else "south") for s in range(12) for n in range(100)]
    assert (books.swings(back, "north", 0.5, 0.0, 12.0), books.swings(probes, "north", 0.5, 0.0, 12.0)) == (3, 0)


def test_a_broken_promise_is_named() -> None:
    """Lost, untold and doubled messages are wrong for every policy, a missed target for ours and when asked."""
    run = {"fault": "killed", "policy": "bind", "accepted": 9, "lost": 1, "untold": 0, "duplicates": 2, "refused": 0}
    run["elsewhere_s"] = None
    assert failover_run.faults(run, strict=True) == ["1 messages lost", "2 messages duplicates"]
    run |= {"policy": "ours", "lost": 0, "duplicates": 0}
    assert failover_run.faults(run, strict=False) == []
    assert failover_run.faults(run, strict=True) == ["elsewhere_s never (target <= 1): target missed"]


def test_the_table_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """A run of each fault and policy is a line a README can hold; what ours gains is a ratio."""
    long = {key: 123.4 for key, *_ in failover_run.COLUMNS} | {"share_sick": 0.5, "return_s": None, "swings": 4}
    long |= dict.fromkeys(("lost", "untold", "duplicates", "resent_in_doubt"), 1234)
    long |= {"alarm_s": 119.0, "goodput_share": 1.0}
    runs = [
        {**long, "fault": fault, "policy": policy} for fault in failover_run.FAULTS for policy in ("ours", "errors")
    ]
    runs[0] |= {"share_sick": 0.25, "p99_during_s": 30.85}
    failover_run.table(runs)
    failover_run.gains(runs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(runs) + 4 and max(map(len, lines)) <= 120
    assert lines[-2].split() == ["errors,", "p99", "during", "4.0", *["1.0"] * 7]
    assert lines[-1].split() == ["errors,", "to", "sick", "2.0", *["1.0"] * 7]


@pytest.mark.slow
def test_a_short_run() -> None:
    """A carrier that refuses everything loses new traffic, in time, and no message; a simple policy keeps the laws."""
    command = [sys.executable, str(TOOLS / "failover_run.py"), "--faults", "errors", "--policies", "ours,bind"]
    done = subprocess.run(
        [*command, "--seconds", "7.5", "--rate", "200", "--return-max", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, simple = json.loads(done.stdout)["runs"]
    assert ours["elsewhere_s"] is not None and ours["elsewhere_s"] < 2.0
    assert simple["elsewhere_s"] is None and simple["share_sick"] > 3 * ours["share_sick"]
    assert ours["messages"] > 1000 and ours["untold"] == ours["lost"] == ours["duplicates"] == 0
