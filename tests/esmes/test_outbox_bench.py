"""tools/outbox, scaled down: a full disk tier drains through a real engine, and no turn of the loop is long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _run(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "outbox_run.py"), "--json", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
def test_o3_receipts_that_waited_for_a_rebind_drain_first_fast_in_order_and_once() -> None:
    """A platform that was away finds 50,000 receipts, 30,000 of them on disk: all come, in order, once, at 5,000/s and
    more (the bound; a quiet machine does ten times that), and none is left."""
    figures = _run("--receipts", "50000")
    assert (figures["lost"], figures["doubled"], figures["out_of_order"], figures["left"]) == (0, 0, 0, 0)
    assert figures["receipts_per_s"] > 5000


@pytest.mark.slow
def test_the_loop_makes_no_long_pause_while_parts_wait() -> None:
    """20,000 parts, orphans and multipart messages wait, 500 messages/s come, checkpoints and sweeps run: no turn of a
    task takes 100 ms of CPU (the bound is wide; it is 13 ms with a hundred thousand of each)."""
    many = ("--parts", "20000", "--orphans", "20000", "--pins", "20000")
    figures = _run("--pauses", *many, "--rate", "500", "--seconds", "5")
    assert figures["steps"] > 100
    assert figures["longest_cpu_ms"] < 100
