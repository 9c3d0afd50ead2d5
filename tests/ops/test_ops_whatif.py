"""What another config would have done, against sums made by hand. ops/whatif.py; its history is in history.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsroute.config import Config, load
from smsroute.ops.past import Past
from smsroute.ops.whatif import whatif
from smsroute.store.base import Sample
from tests.ops.history import T0, parts, proposed, records, standing


def run(tmp_path: Path, other: Config | None = None, of: int = 20, recorded: bool = True) -> dict[str, Any]:
    config = standing(tmp_path / "now")
    other = other or proposed(tmp_path / "then")
    past = Past(records(config) if recorded else [], {**config.carriers, **other.carriers})
    return whatif(Sample(parts(), of), past, config, other, T0, T0 + 3600)


class TestByHand:
    def test_moved(self, tmp_path: Path) -> None:
        """Five messages move by a fifth each (sfr 30 % -> 50 %): 1 of 20; with sfr dead nothing moves."""
        document = run(tmp_path)
        assert document["moved"] == {"share": 0.05, "messages": 1}
        assert (document["messages"], document["sampled"]) == (20, 20)

    def test_cost(self, tmp_path: Path) -> None:
        """Now 5 x (0.7 x 0.04 + 0.3 x 0.02) + 5 x 0.04 + 10 x 0.05 = 0.87; then 5 x 0.03 + 5 x 0.04 = 0.35."""
        assert run(tmp_path)["cost"] == {"now": 0.87, "then": 0.35, "change": -0.52, "percent": -59.77}

    def test_unroutable(self, tmp_path: Path) -> None:
        """The ten to 44, with five masked examples and why; that is no success."""
        document = run(tmp_path)
        assert (document["unroutable"], document["ok"]) == (10, False)
        assert len(document["examples"]) == 5
        assert document["examples"][0] == {
            "id": "N1000000000010",
            "to": "4477•••123",
            "from": "ACME",
            "esme": "acme",
            "class": "info",
            "why": "no route has a prefix of it",
        }

    def test_carriers(self, tmp_path: Path) -> None:
        """orange had 5 x 0.7 + 5 + 10 = 18.5 of 20 and gets 5 x 0.5 + 5 = 7.5; sfr 1.5 and 2.5; ten go nowhere."""
        assert run(tmp_path)["carriers"] == [
            {"carrier": "(no route)", "went": 0.0, "now": 0.0, "then": 0.5},
            {"carrier": "orange", "went": 1.0, "now": 0.925, "then": 0.375},
            {"carrier": "sfr", "went": 0.0, "now": 0.075, "then": 0.125},
        ]

    def test_networks(self, tmp_path: Path) -> None:
        """33 moves by 1 of 10, 44 by nothing: who finds no way has not moved; the most moved first."""
        told = [(one["network"], one["messages"], one["moved"]["share"]) for one in run(tmp_path)["networks"]]
        assert told == [("33", 10, 0.1), ("44", 10, 0.0)]
        assert run(tmp_path)["networks"][0]["cost"]["percent"] == pytest.approx(100 * (0.35 - 0.37) / 0.37, abs=0.01)

    def test_contract(self, tmp_path: Path) -> None:
        """Five parts in ten seconds: sfr gets 0.25/s where it had 0.15/s, over its new contract of 0.2/s."""
        over = {"carrier": "sfr", "contract_s": 0.2, "now_s": 0.15, "then_s": 0.25}
        assert run(tmp_path)["over_contract"] == [over]

    def test_a_sample_is_scaled_up(self, tmp_path: Path) -> None:
        """Twenty of two hundred: counts and sums times ten, shares as they are."""
        document = run(tmp_path, of=200)
        assert document["moved"] == {"share": 0.05, "messages": 10}
        assert (document["cost"]["now"], document["unroutable"]) == (8.7, 100)


class TestLimits:
    def test_the_same_config_moves_nothing(self, tmp_path: Path) -> None:
        """Whatever the dice did: nothing moves, costs nothing, and all find their way."""
        document = run(tmp_path, standing(tmp_path / "same"))
        assert (document["moved"]["share"], document["cost"]["change"], document["unroutable"]) == (0.0, 0.0, 0)
        assert document["ok"] is True
        assert document["over_contract"] == []

    def test_nothing_recorded_takes_all_as_well(self, tmp_path: Path) -> None:
        """Then the five after sfr fell sick move as the five before: 2 of 20."""
        assert run(tmp_path, recorded=False)["moved"] == {"share": 0.1, "messages": 2}

    def test_no_messages(self, tmp_path: Path) -> None:
        """An empty span compares nothing and is no failure."""
        config = standing(tmp_path / "now")
        document = whatif(Sample([], 0), Past([], config.carriers), config, config, T0, T0 + 1)
        assert (document["ok"], document["messages"], document["networks"]) == (True, 0, [])

    def test_an_esme_that_leaves(self, tmp_path: Path) -> None:
        """Its messages are not even let in."""
        folder = tmp_path / "then"
        standing(folder)
        file = folder / "smsroute.yaml"
        file.write_text(file.read_text().replace("acme:", "other:"))
        document = run(tmp_path, load(folder, {}))
        assert document["unroutable"] == 20
        assert document["examples"][0]["why"] == "there is no ESME 'acme'"
