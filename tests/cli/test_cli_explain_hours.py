"""`smsroute explain` at another time of day, and of another data_coding. smsroute/ops/explain.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsroute.cli import main
from tests.cli.town import Town

EXAMPLES = Path(__file__).parents[2] / "config"


def explain(capsys: pytest.CaptureFixture[str], *words: str, folder: Path = EXAMPLES) -> Any:
    """The document of an explanation."""
    main(["explain", "--config", str(folder), "--json", "--to", "447802345678", "--from", "ACME", *words])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("at", "route"),
    [
        ("2026-12-24 09:00", "uk-unicode-by-day"),
        ("2026-12-24 07:59", "elsewhere"),
        ("2026-07-01 07:00", "uk-unicode-by-day"),  # 08:00 in London
        ("2026-12-24T20:30+01:00", "uk-unicode-by-day"),
        ("2026-12-27", "elsewhere"),  # a Sunday
    ],
)
def test_another_time(at: str, route: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--at asks what would happen then: in UTC unless it says otherwise, judged by the clock of the route's zone."""
    assert explain(capsys, "--offline", "--data-coding", "8", "--at", at)["route"] == route


def test_another_data_coding(capsys: pytest.CaptureFixture[str]) -> None:
    """--data-coding in decimal or hexadecimal; a rule that asks for another says so, and the network is told."""
    document = explain(capsys, "--offline", "--data-coding", "0x08", "--at", "2026-12-24 09:00")
    assert (document["data_coding"], document["at"]) == (8, "2026-12-24T09:00:00+00:00")
    assert (document["prefix"], document["network"]) == ("447802", "uk-o2")
    document = explain(capsys, "--offline", "--at", "2026-12-24 09:00")
    assert document["rules"][1]["why_not"] == "data_coding 0 is not in data_codings [8]"
    document = explain(capsys, "--offline", "--data-coding", "8", "--at", "2026-12-24 21:00")
    hours = "mon-fri 08:00-20:00, sat 10:00-18:00 Europe/London"
    assert document["rules"][1]["why_not"] == f"outside its hours {hours}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "tomorrow"), "no time 'tomorrow', expected such as '2026-12-25 09:00' (UTC)"),
        (("--at", "0001-01-01"), "no time '0001-01-01', expected such as"),
        (("--data-coding", "256"), "no data_coding '256', expected 0..255"),
        (("--data-coding", "ucs2"), "no data_coding 'ucs2', expected 0..255"),
    ],
)
def test_what_cannot_be_read_is_told(
    words: tuple[str, str], said: str, running: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the running engine as by the config alone."""
    for folder, offline in ((EXAMPLES, ("--offline",)), (running.folder, ())):
        assert explain(capsys, *offline, *words, folder=folder)["error"].startswith(said)
