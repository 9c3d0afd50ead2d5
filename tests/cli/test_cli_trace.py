"""`smsroute trace`, from a running engine and from the store it left. smsroute/cli/trace.py."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from smsroute.cli import main
from smsroute.sim.temperament import Mode
from tests.cli.town import PATIENCE_S, Town, town


def trace(folder: Path, *words: str) -> int:
    return main(["trace", "--config", str(folder), *words])


def await_decision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Return once a decision is on the disk: it stands beside the journal, and a kill may come before it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        main(["health", "--json", "--config", str(folder)])
        if json.loads(capsys.readouterr().out)["decisions"]["kept"]:
            return
    raise AssertionError("no decision was kept")


def test_from_the_running_engine(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The story in order, with the number masked; --reveal shows it and is logged."""
    message_id = running.send(1)[0]
    assert trace(running.folder, message_id) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{message_id}  to 3360•••000 from smsroute, info of acme  DELIVERED"
    why = lines.index("why")
    told = [line.split("s  ", 1)[1].split()[0] for line in lines[1:why]]
    assert told == ["accepted", "attempt", "orange", "DELIVERED:", "acme"]
    assert lines[why + 1].startswith("  attempt 1 to orange: rule fr (smsroute.yaml:")
    assert lines[why + 4].startswith("    orange  100%  primary, 100% by balanced, quality 1.00, cost 0.03")
    assert lines[why + 5].startswith("    gone      no  no bind up for ")
    assert trace(running.folder, message_id, "--json", "--reveal") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["to"], document["source"]) == ("33600000000", "engine")
    assert running.serving.until("number.revealed")["part"] == message_id


def test_an_unknown_id(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; the words are on stderr, the JSON on stdout."""
    assert trace(running.folder, "nonsense", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("smsroute trace: no message 'nonsense'")
    assert "error" in json.loads(captured.out)


@pytest.mark.slow
def test_from_the_store_of_a_dead_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed in the middle, the engine leaves every story: of the delivered one and of the one that waits; by its own
    id and the carrier's; nothing is written, and the next start goes on from there."""
    folder = tmp_path / "config"
    with town(folder) as it:
        delivered = it.send(1)[0]
        await_decision(folder, capsys)
        it.turn(Mode.SILENT)
        waiting = it.send(1, settled=False)[0]
        assert it.serving.end(signal.SIGKILL) == -signal.SIGKILL
    capsys.readouterr()
    before = sorted((path.name, path.stat().st_size) for path in (folder / "var" / "store").iterdir())
    assert trace(folder, delivered, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["source"]) == ("delivered", "store")
    kept = document["attempts"][0]["decision"]
    assert (kept["route"], kept["network"], kept["class"]) == ("fr", "33", "info")
    verdicts = [(one["carrier"], one["verdict"]) for one in kept["candidates"]]
    assert verdicts == [("orange", "takes"), ("gone", "refused")]
    assert trace(folder, document["attempts"][0]["carrier_message_id"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == delivered
    assert trace(folder, waiting) == 0
    out = capsys.readouterr().out
    assert "  ATTEMPTED" in out
    assert "  now waits " in out and "for the answer of orange-1" in out
    assert "read from the store: no engine runs" in out
    assert trace(folder, "0MWSB1M8D00000N2") == 1
    assert "no engine answers at" in capsys.readouterr().err
    after = sorted((path.name, path.stat().st_size) for path in (folder / "var" / "store").iterdir())
    assert [row for row in before if row[0].endswith(".db")] == [row for row in after if row[0].endswith(".db")]


def test_no_store_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder nobody ever served has no stories, and gets no store by asking."""
    from tests.cli.town import write_config

    folder = write_config(tmp_path / "config")
    assert trace(folder, "0MWSB1M8D00000T1") == 1
    assert capsys.readouterr().err.startswith("smsroute trace: ")
    assert not (folder / "var").exists()
