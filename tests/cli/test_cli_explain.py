"""`smsroute explain`: by a running engine and by the config alone. smsroute/cli/explain.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main
from tests.cli.town import Town, write_config


def explain(folder: Path, *words: str) -> int:
    return main(["explain", "--config", str(folder), *words])


def test_the_running_engine_is_asked(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows which carrier is away: that one is refused with since when and why."""
    assert explain(running.folder, "--to", "+33 6 12 34 56 78", "--esme", "acme", "--class", "otp") == 0
    out = capsys.readouterr().out
    assert out.startswith("+33612345678  of acme, class otp\nroute fr (smsroute.yaml:")
    assert "  orange  100%  primary, 100% by balanced, quality 1.00, cost 0.03" in out
    assert "  gone      no  no bind up for " in out
    assert "config alone" not in out


def test_the_config_alone_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine every carrier is taken as well, and that is said; nothing is made or opened."""
    folder = write_config(tmp_path / "config")
    assert explain(folder, "--to", "33612345678") == 0
    out = capsys.readouterr().out
    assert "no engine asked: by the config alone" in out
    assert "  gone      0%  backup, in reserve" in out
    assert sorted(path.name for path in folder.iterdir()) == ["smsroute.yaml"]


def test_offline_asks_nobody(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """--offline speaks of the config even while an engine runs."""
    assert explain(running.folder, "--offline", "--json", "--to", "33612345678") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["running"], document["ok"], document["route"]) == (False, True, "fr")


def test_no_route(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A number no rule leads to: exit 1."""
    assert explain(running.folder, "--to", "4915112345678") == 1
    assert "NO ROUTE  no route leads to 4915112345678" in capsys.readouterr().out


def test_what_is_not_in_the_config(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is refused by the engine and offline alike; exit 1, on stderr."""
    for words in ([], ["--offline"]):
        assert explain(running.folder, "--to", "336", "--esme", "acne", *words) == 1
        assert capsys.readouterr().err == ("smsroute explain: no ESME 'acne' in the config, expected one of acme\n")


def test_a_broken_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline it needs a config that loads: every error is told, exit 1."""
    folder = write_config(tmp_path / "config")
    path = folder / "smsroute.yaml"
    path.write_text(path.read_text().replace("rate:", "rat:"))
    assert explain(folder, "--to", "336") == 1
    assert "did you mean `rate`" in capsys.readouterr().err
