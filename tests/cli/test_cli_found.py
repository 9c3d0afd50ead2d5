"""Messages found by number and by a carrier's id, and parked receipts, engine running or dead. smsroute/cli/found.py,
orphans.py."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from smsroute.cli import main
from smsroute.message import Receipted, State, pack
from smsroute.sim.temperament import Mode
from smsroute.store import open_store
from tests.cli.town import Town, town, write_config

NUMBER = "+33 6 00 00 00 00"


def document(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--config", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_by_number_while_the_engine_runs(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """What ended a moment ago, before any checkpoint of the engine's own; masked; the hint names the way on."""
    ended = running.send(1)[0]
    told = document(running.folder, capsys, "trace", "--to", NUMBER, "--since", "-10m")
    assert (told["messages"][0]["id"], told["messages"][0]["state"]) == (ended, "delivered")
    assert (told["source"], told["messages"][0]["to"]) == ("engine", "3360•••000")
    assert main(["trace", "--config", str(running.folder), "--to", NUMBER, "--limit", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("ID ") and out[1].startswith(ended)
    assert out[2] == "1 message, the latest 1: --limit N shows more; smsroute trace ID tells the story of one"


def test_by_a_carriers_id_in_another_form(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The carrier wrote hex in lower case; its people call with decimals or capitals: found, and said as what."""
    message_id = running.send(1)[0]
    theirs = document(running.folder, capsys, "trace", message_id)["attempts"][0]["carrier_message_id"]
    plain = document(running.folder, capsys, "trace", "--carrier-id", theirs, "--carrier", "orange")
    assert (plain["id"], plain["matched"]["how"]) == (message_id, "as written")
    for written in (f"0x{theirs}", str(int(theirs, 16))):
        found = document(running.folder, capsys, "trace", "--carrier-id", written)
        assert (found["id"], found["matched"]["id"], found["matched"]["carrier"]) == (message_id, theirs, "orange")
        assert found["matched"]["how"] != "as written"
    assert main(["trace", "--config", str(running.folder), "--carrier-id", f"0x{theirs}"]) == 0
    assert f"  found as {theirs} of orange: the id " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--to", "+33699999999"], 1, "no message to +33699999999 was accepted from -1d until now"),
        (["--carrier-id", "feedbeef"], 1, "no message that any carrier calls 'feedbeef'"),
        (["--to", "ACME"], 2, "expected a number such as +33612345678"),
        (["--to", NUMBER, "--since", "soon"], 2, "'soon', expected -2h, 10m"),
        (["--to", NUMBER, "--carrier-id", "1"], 2, "expected one of ID, --carrier-id"),
        (["--carrier", "orange"], 2, "expected one of ID, --carrier-id"),
        ([], 2, "expected one of ID, --carrier-id"),
    ],
)
def test_what_is_not_found(
    running: Town, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    """Exit 1 for nothing, 2 for nonsense; the words say what was looked for or expected."""
    assert main(["trace", "--config", str(running.folder), *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_an_open_message_of_a_running_and_of_a_killed_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What still waits is found beside what ended, the latest first; of a killed engine the journal's last rows count
    too."""
    folder = tmp_path / "config"
    with town(folder) as it:
        ended = it.send(1)[0]
        it.turn(Mode.SILENT)
        waiting = it.send(1, settled=False)[0]
        told = document(folder, capsys, "trace", "--to", NUMBER)
        assert [(one["id"], one["state"]) for one in told["messages"]] == [(waiting, "attempted"), (ended, "delivered")]
        assert it.serving.end(signal.SIGKILL) == -signal.SIGKILL
    told = document(folder, capsys, "trace", "--to", NUMBER)
    assert {one["id"] for one in told["messages"]} == {ended, waiting}
    assert told["source"] == "no engine runs"
    theirs = document(folder, capsys, "trace", ended)["attempts"][0]["carrier_message_id"]
    found = document(folder, capsys, "trace", "--carrier-id", theirs.upper())
    assert (found["id"], found["source"]) == (ended, "store")


def test_orphans_of_a_running_engine(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """None parked is said so, and is no fault."""
    assert document(running.folder, capsys, "orphans")["total"] == 0
    assert main(["orphans", "--config", str(running.folder)]) == 0
    assert capsys.readouterr().out == "0 receipts match nothing, let go after 1d 0h\n"


def test_orphans_in_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By carrier, with a sample; `--carrier` shows one; a folder nobody served has no store to read."""
    folder = write_config(tmp_path / "config")
    assert main(["orphans", "--config", str(folder), "--json"]) == 1
    assert "error" in json.loads(capsys.readouterr().out)
    now = time.time()
    parked = [
        Receipted(carrier, now - 60 + n, [f"{n:08X}"], State.UNDELIVERABLE, "0A1", "UNDELIV", "33612345678")
        for n, carrier in enumerate(["orange", "orange", "sfr"])
    ]
    parked[1] = structs.replace(parked[1], keys=[], ids=[("text", "00000001")])  # its form is not learnt yet
    leave(folder, parked)
    told = document(folder, capsys, "orphans", "--reveal")
    assert {one["carrier"]: one["parked"] for one in told["carriers"]} == {"orange": 2, "sfr": 1}
    assert told["carriers"][0]["sample"][1]["to"] == "33612345678"
    assert told["carriers"][1]["why"] == {"its carrier left the config": 1}
    assert main(["orphans", "--config", str(folder), "--carrier", "orange", "--sample", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 receipts of orange match nothing, let go after 1d 0h\n\norange  2 parked, the oldest ")
    assert "3361•••678  UNDELIV  0A1  00000000\n" in out
    assert "sfr" not in out


def leave(folder: Path, parked: list[Receipted]) -> None:
    """A store in which these receipts are parked, as an engine that stopped leaves it."""
    from smsroute.ledger import Ledger
    from smsroute.store.base import Checkpoint

    ledger = Ledger(orphans_max=10, multiparts_max=10)
    with closing(open_store("sqlite:var/store", "t1", relative_to=folder)) as store:
        store.append(1, pack([*parked]))
        for orphan in parked:
            ledger.apply(orphan)
        changes = ledger.take()
        store.checkpoint(Checkpoint(1, changes.open, (), changes.at_rest, changes.state))


def test_numbers_show_whole_where_the_config_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`mask_numbers: false` is --reveal for everybody."""
    folder = write_config(tmp_path / "config")
    leave(folder, [Receipted("orange", time.time(), ["1"], State.DELIVERED, "", "DELIVRD", "33612345678")])
    masked = document(folder, capsys, "orphans")["carriers"][0]["sample"][0]["to"]
    (folder / "smsroute.yaml").write_text((folder / "smsroute.yaml").read_text() + "mask_numbers: false\n")
    whole = document(folder, capsys, "orphans")["carriers"][0]["sample"][0]["to"]
    assert (masked, whole) == ("3361•••678", "33612345678")
