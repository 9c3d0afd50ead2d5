"""The bench runs, its book closes, and its quantiles are those of the platforms."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from smsroute.sim.meter import Histogram

SCRIPT = Path(__file__).parents[2] / "tools" / "bench_run.py"


def _bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_run", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quantiles_over_platforms() -> None:
    """The bench reads the printed histograms of two platforms as one."""
    one, two, both = Histogram(), Histogram(), Histogram()
    rng = random.Random(1)
    for n in range(1000):
        seconds = rng.lognormvariate(-4.0, 1.0)
        (one if n % 3 else two).add(seconds)
        both.add(seconds)
    printed = [json.loads(json.dumps(histogram.as_dict())) for histogram in (one, two)]
    for share in (0.5, 0.9, 0.99):
        assert _bench().quantile_ms(printed, share) == pytest.approx(both.quantile(share) * 1e3)
    assert _bench().quantile_ms([], 0.5) == 0.0


@pytest.mark.slow
def test_a_small_run() -> None:
    """A few hundred messages through a real engine: every figure is there, nothing is untold, exit 0."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--messages", "600", "--carriers", "2", "--esmes", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["median"]
    assert (figures["messages"], figures["untold"]) == (600, 0)
    assert {key for key, _, _ in _bench().FIGURES} == set(figures) and all(value >= 0 for value in figures.values())
    assert figures["completed_s"] > 0 and figures["receipt_p99_ms"] >= figures["receipt_p50_ms"] > 0


@pytest.mark.slow
def test_it_says_what_is_wrong() -> None:
    """A bench that cannot run says why in words and exits 1."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--messages", "10", "--like", "mode=sunny"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1 and "black_hole" in done.stderr and "Traceback" not in done.stderr
