"""`smsroute explain --mo`: whose a message from a handset would be. smsroute/ops/owned.py, smsroute/cli/explain.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main
from tests.cli.town import write_config

MO = """
mo:
  - {name: code, to: ["38000"], esme: acme}
  - {name: stop, to: ["38000"], keyword: [STOP], carriers: [orange], esme: acme}
"""


def explain(folder: Path, *words: str) -> int:
    return main(["explain", "--config", str(folder), "--mo", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_config(tmp_path / "config")
    main_file = folder / "smsroute.yaml"
    main_file.write_text(main_file.read_text() + MO)
    return folder


def test_the_owner_and_why_not_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, the ESME with its rule, and each other rule for the number with its reason."""
    words = "--to", "38 000", "--from", "+33612345678", "--text", "stop!", "--carrier", "orange"
    assert explain(folder, *words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "handset from +33612345678 to 38000, first word stop, through orange",
        "no engine asked: by the config alone",
        "acme, by the rule stop for 38000",
        "other rules for this number",
        "  code (acme) for 38000: `stop` says more about it",
    ]
    assert explain(folder, "--json", "--to", "38000", "--text", "hello") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["owner"]["rule"], document["rules"][1]["why_not"]) == ("code", "its first word is not STOP")


def test_nobody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, and what its carrier would be answered; a carrier nobody knows is an error."""
    assert explain(folder, "--to", "39000") == 1
    assert "NOBODY: its carrier is answered ESME_RX_R_APPN" in capsys.readouterr().out
    assert explain(folder, "--to", "38000", "--carrier", "nobody") == 1
    assert capsys.readouterr().err.startswith("smsroute explain: no carrier 'nobody' in the config, expected one of")
