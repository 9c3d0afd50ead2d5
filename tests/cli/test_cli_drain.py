"""`smsroute drain` and `smsroute resume`. smsroute/cli/drain.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main
from tests.cli.town import Town, write_config


def test_there_and_back(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """What was done, why, what still waits there, and the command that undoes it; the log has the uid."""
    config = ["--config", str(running.folder)]
    assert main(["drain", "carrier", "gone", "--reason", "it is gone", *config]) == 0
    out = capsys.readouterr().out
    assert out.startswith("carrier gone is drained: it is gone (uid ")
    assert out.endswith("Undo: smsroute resume carrier gone\n")
    assert running.serving.until("carrier.drained")["reason"].startswith("it is gone (uid ")
    assert main(["health", "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["carriers"][1]["state"] == "drained"
    assert main(["resume", "carrier", "gone", *config]) == 0
    assert capsys.readouterr().out.startswith("carrier gone is in use; it was drained: it is gone")
    assert main(["resume", "carrier", "gone", "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["was"] is None


@pytest.mark.parametrize("verb", ["drain", "resume"])
def test_no_such_thing(running: Town, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and the nearest name."""
    assert main([verb, "carrier", "ornage", "--config", str(running.folder)]) == 1
    assert capsys.readouterr().err == f"smsroute {verb}: no carrier 'ornage', did you mean 'orange'?\n"


def test_no_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to drain where nothing runs: exit 1."""
    folder = write_config(tmp_path / "config")
    assert main(["drain", "esme", "acme", "--config", str(folder)]) == 1
    assert "no engine answers at" in capsys.readouterr().err


def test_wrong_usage() -> None:
    """A kind that cannot be drained is wrong usage: exit 2."""
    with pytest.raises(SystemExit) as left:
        main(["drain", "route", "fr"])
    assert left.value.code == 2
