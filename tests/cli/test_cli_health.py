"""`smsroute health`: exit codes, the first line, the tables, JSON, watching. smsroute/cli/health.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smsroute.cli import ask, main
from tests.cli.town import Town, write_config


def health(folder: Path, *words: str) -> int:
    return main(["health", "--config", str(folder), *words])


def test_the_table(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line has the verdict and the count; the sick carrier is named with since when and why; exit 1."""
    assert health(running.folder) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("WARNING  1 problem   node t1, up ")
    assert lines[1].startswith("  WARNING  carrier gone  since ")
    assert "onnection refused" in lines[1]
    text = "\n".join(lines)
    assert all(word in text for word in ("CARRIER", "BIND", "ESME", "messages", "store", "orange-1", "acme"))
    assert any(line.startswith("orange ") and "ALIVE" in line and "1/1" in line for line in lines)
    assert any(line.startswith("gone ") and "DOWN" in line and "0/1" in line for line in lines)


def test_json_is_the_engines_document(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """One document on one line when nobody looks; the same exit code."""
    assert health(running.folder, "--json") == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    document = json.loads(out)
    assert (document["status"], document["node"]) == ("warning", "t1")
    assert [one["state"] for one in document["carriers"]] == ["alive", "down"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_nobody_answers(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine the state is unknown: exit 3, and one line that says where it was looked for."""
    folder = write_config(tmp_path / "config")
    assert health(folder, *words) == 3
    out = capsys.readouterr().out
    if words:
        assert json.loads(out)["status"] == "unknown"
    else:
        assert out.startswith(f"UNKNOWN  no engine answers at {folder}/var/control.sock: no such socket")
        assert out.count("\n") == 1


@pytest.mark.parametrize("words", [["--nonsense"], ["--watch", "soon"], ["--watch", "0"], ["extra"]])
def test_wrong_usage_is_unknown(words: list[str]) -> None:
    """To monitoring exit 2 would mean critical: a typo in a probe is 3."""
    with pytest.raises(SystemExit) as left:
        main(["health", *words])
    assert left.value.code == 3


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 1), ("critical", 2), ("odd", 3)])
def test_exit_codes(
    running: Town, status: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 ok, 1 warning, 2 critical, and 3 for what this version does not know."""
    document = ask.ask(running.folder / "var" / "control.sock", {"verb": "health"})
    monkeypatch.setattr(ask, "ask", lambda *_: {**document, "status": status})
    assert health(running.folder) == code
    assert capsys.readouterr().out.startswith(status.upper())


def test_watching(running: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown again every interval until Ctrl-C, which leaves with the last verdict; JSON is a document a line."""
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(ask, "pause", pause)
    assert health(running.folder, "--watch", "0.5s", "--json") == 1
    documents: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["node"] for document in documents] == ["t1"] * 3
    assert paused == [0.5] * 3


def test_colour_repeats_the_words(
    running: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forced colour changes no word; NO_COLOR has the last one."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    health(running.folder)
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    health(running.folder)
    out = capsys.readouterr().out
    assert "\x1b[" not in out
    assert "WARNING" in out


def test_a_broken_config_does_not_blind(running: Town, tmp_path: Path) -> None:
    """Half-way through an edit the running engine is found all the same."""
    text = (running.folder / "smsroute.yaml").read_text()
    folder = tmp_path / "edited"
    folder.mkdir()
    edited = text.replace("var/control.sock", str(running.folder / "var" / "control.sock")).replace("rate:", "rat:")
    (folder / "smsroute.yaml").write_text(edited)
    assert health(folder, "--json") == 1


def test_as_a_command(running: Town) -> None:
    """The console script's module does it in a process of its own, for whoever calls it from cron."""
    words = [sys.executable, "-m", "smsroute", "health", "--config", str(running.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("WARNING")
