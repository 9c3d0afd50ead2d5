"""`smsroute whatif`, on the store of an engine that is gone. cli/whatif.py; the sums are in test_ops_whatif."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from smsroute.cli import ask, main
from smsroute.message import Started, pack
from smsroute.routing.record import pack as pack_record
from smsroute.store import open_store
from smsroute.store.base import Checkpoint, DecisionRow
from tests.cli.town import Town
from tests.ops.history import parts, proposed, records, standing


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """The config that ran half an hour ago, with its store, and the proposed one."""
    start = ask.now() // 10 * 10 - 1800  # windows of rates begin at whole tens
    config = standing(tmp_path / "now")
    proposed(tmp_path / "then")
    with closing(open_store(config.store, "n1")) as store:
        store.append(1, pack([Started(start, "n1", "0")]))
        store.checkpoint(Checkpoint(1, [], [], parts(start), b""))
        rows = [
            DecisionRow(one.at, one.route, one.network, one.message_class, pack_record(one))
            for one in records(config, start)
        ]
        store.keep_decisions(rows)
    return str(tmp_path / "now"), str(tmp_path / "then")


def whatif(folders: tuple[str, str], *words: str) -> int:
    return main(["whatif", "--config", folders[0], folders[1], *words])


def test_in_words(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Moved, cost, unroutable with examples, over rate, and a table; exit 1, because ten find no way."""
    assert whatif(folders) == 1
    out = capsys.readouterr().out
    assert out.startswith("20 messages of the last 1h 0m (all of them), config ")
    assert "moved       5.0%, 1 messages take another carrier" in out
    assert "cost        0.87 -> 0.35, -0.52 (-59.8 %)" in out
    assert "unroutable  10 messages find no way any more" in out
    assert "4477•••123 from ACME, info of acme: no route has a prefix of it" in out
    assert "over rate   sfr: 0.15 -> 0.25 parts/s at its busiest, contract 0.2" in out
    assert "sfr          0.0%  15.0%  25.0%" in out
    assert "decided by other configs" not in out
    rows = [line.split() for line in out.splitlines()]
    assert ["44", "10", "0.0%"] in [row[:3] for row in rows], "a network that finds no way any more has its row"
    assert "10 messages find no way any more; the cost is without them" in out


def test_in_json(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The whole document; --reveal shows the numbers."""
    assert whatif(folders, "--json", "--reveal") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["cost"]["percent"] == -59.77
    assert document["examples"][0]["to"] == "447700900123"
    assert (document["decisions"], document["decisions_unreadable"]) == (2, 0)


def test_the_same_config(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing moves: exit 0."""
    assert main(["whatif", "--config", folders[0], folders[0]]) == 0
    assert "unroutable  none" in capsys.readouterr().out


def test_a_sample(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Said, and scaled: every second of twenty."""
    assert whatif(folders, "--limit", "10") == 1
    assert capsys.readouterr().out.startswith("20 messages of the last 1h 0m (a sample of 10), ")


def test_beside_a_running_engine(running: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its store is read as it works: a config whose route to 33 is dearer costs more, and who has none is told."""
    running.send(20)
    other = tmp_path / "config"
    other.mkdir()
    text = (running.folder / "smsroute.yaml").read_text()
    ask.pause(0.3)  # a checkpoint is due each 100 ms
    (other / "smsroute.yaml").write_text(text.replace("cost: 0.03}], backup", "cost: 0.06}], backup"))
    assert main(["whatif", "--config", str(running.folder), str(other), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["messages"] >= 20
    assert (document["moved"]["share"], document["cost"]["percent"]) == (0.0, 100.0)
    assert document["decisions"] >= 1
    (other / "smsroute.yaml").write_text(text.replace('to: ["33"]', 'to: ["34"]'))
    assert main(["whatif", "--config", str(running.folder), str(other)]) == 1
    assert "messages find no way any more" in capsys.readouterr().out


def test_a_span_without_messages(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to compare is told, exit 0."""
    assert whatif(folders, "--since", "1m") == 0
    assert "nothing to compare" in capsys.readouterr().out


def test_what_cannot_be_done(folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A span that is none: exit 2. No store, or a proposal that does not load: exit 1, and why."""
    assert whatif(folders, "--since", "soon") == 2
    assert "--since is 'soon', expected a duration with its unit" in capsys.readouterr().err
    assert main(["whatif", "--config", folders[1], folders[0]]) == 1
    assert "does not exist; expected the store of an engine that ran once" in capsys.readouterr().err
    assert main(["whatif", "--config", folders[0], str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
