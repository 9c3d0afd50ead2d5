"""`smsroute reload`. smsroute/cli/reload.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main
from tests.cli.town import town, write_config


def test_taken_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 and the digest that runs now; exit 1, every error and the digest that goes on."""
    with town(tmp_path / "c") as it:
        path = it.folder / "smsroute.yaml"
        good = path.read_text()
        config = ["--config", str(it.folder)]
        path.write_text(good.replace("cost: 0.03", "cost: 0.07").replace("drain_timeout: 5s", "drain_timeout: 6s"))
        assert main(["reload", *config]) == 0
        out = capsys.readouterr().out
        digest = out.split()[1]
        assert out == f"config {digest} runs; limits as they were until the next start\n"
        path.write_text(good.replace("window:", "windo:").replace("cost: 0.03", "cost: dear"))
        assert main(["reload", *config]) == 1
        err = capsys.readouterr().err
        assert "unknown key `windo`" in err
        assert err.count("expected a number") == 2
        assert err.endswith(f"smsroute reload: refused, config {digest} goes on\n")
        assert main(["reload", "--json", *config]) == 1
        assert len(json.loads(capsys.readouterr().out)["errors"]) == 3


def test_no_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to reload where nothing runs: exit 1."""
    folder = write_config(tmp_path / "config")
    assert main(["reload", "--config", str(folder)]) == 1
    assert "no engine answers at" in capsys.readouterr().err
