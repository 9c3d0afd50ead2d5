"""`smsroute diff`, against a running engine and against a folder. smsroute/cli/diff.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main
from tests.cli.town import Town, write_config


def change(folder: Path, *changes: tuple[str, str]) -> str:
    path = folder / "smsroute.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return str(folder)


def test_with_the_running_engine(running: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What runs is asked, however its folder looks now: routes by name with their lines, carriers by field; exit 1."""
    other = tmp_path / "config"
    other.mkdir()
    (other / "smsroute.yaml").write_text((running.folder / "smsroute.yaml").read_text())
    assert main(["diff", "--config", str(running.folder), str(other)]) == 0
    assert capsys.readouterr().out.endswith("no change\n")
    name = change(
        other, ("window: 20", "window: 40"), ('{name: uk, to: ["44"]', '{name: ie, to: ["353"]'), ("pw", "pv")
    )
    assert main(["diff", "--config", str(running.folder), name]) == 1
    out = capsys.readouterr().out
    assert out.startswith("what runs, config ")
    assert "- route uk: to 44; carriers orange\n" in out
    assert "+ route ie (smsroute.yaml:16): to 353; carriers orange\n" in out
    assert "~ carrier orange\n    window: 20 -> 40\n    password: changed\n" in out
    assert out.endswith("4 changes\n")


def test_with_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine the folder is compared, and that is said; what waits for a restart is named."""
    now, then = write_config(tmp_path / "now"), write_config(tmp_path / "then")
    name = change(then, ("checkpoint_interval: 100ms", "checkpoint_interval: 200ms"))
    assert main(["diff", "--config", str(now), name]) == 1
    out = capsys.readouterr().out
    assert f"{now} (no engine asked), config " in out
    assert "limits\n    checkpoint_interval: 100ms -> 200ms\nwaits for the next start: limits\n1 change\n" in out
    assert main(["diff", "--config", str(now), name, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["running"], document["changes"], document["waits"]) == (False, 1, ["limits"])


def test_a_proposal_that_does_not_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every error is told, exit 1."""
    now, then = write_config(tmp_path / "now"), write_config(tmp_path / "then")
    assert main(["diff", "--config", str(now), change(then, ("window", "windwo"))]) == 1
    assert "did you mean `window`" in capsys.readouterr().err
