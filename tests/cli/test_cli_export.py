"""`smsroute export`: whole or not at all, open messages too, harmless to spreadsheets. smsroute/cli/export.py."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from smsroute.cli import export, main
from smsroute.ids import MessageIds
from smsroute.message import Attempt, Part, Receipted, Started, State, pack, pack_part
from smsroute.sim.temperament import Mode
from smsroute.store import open_store
from smsroute.store.base import Checkpoint, Page, StoreError
from smsroute.store.sqlite import SqliteReader
from tests.cli.town import Town, town, write_config

NOW = time.time()


@pytest.fixture(autouse=True)
def _as_important_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own process keeps its priority."""
    monkeypatch.setattr(export, "NICE", 0)


def message(number: int, *, ended: bool = True, carrier: str = "orange", at: float = NOW - 3600) -> Part:
    ids = MessageIds("t1")
    at += number
    return Part(
        ids.make(at), "acme", at, 2, "ACME", f"+336{number:08d}", b"\0\1\1ACME\0\1\1336\0secret words", 14, 1, at + 9e4,
        route="fr", carrier=carrier, state=State.DELIVERED if ended else State.SUBMITTED,
        attempts=[Attempt(at, carrier, f"{carrier}-1", "fr", "primary", at + 0.25, 0, 0, f"{number:x}", cost=0.03)],
        ended_at=at + 3 if ended else 0.0, err="000" if ended else "", told_at=at + 4 if ended else 0.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config folder; `keep` gives it a store."""
    return write_config(tmp_path / "config")


def keep(folder: Path, ended: Sequence[Part], still_open: Sequence[Part] = ()) -> None:
    with closing(open_store("sqlite:var/store", "t1", relative_to=folder)) as store:
        store.append(1, pack([Started(0.0, "t1", "0")]))
        opened = [(part.part_id, pack_part(part)) for part in still_open]
        store.checkpoint(Checkpoint(1, opened, (), ended, b""))


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def run(folder: Path, *words: str) -> int:
    return main(["export", "--config", str(folder), *words])


def test_every_message_of_the_range_open_ones_too(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page after page in the order they came, by the time they were accepted, whatever became of them since."""
    monkeypatch.setattr(export, "PAGE_ROWS", 3)
    parts = [message(number, ended=number % 3 > 0) for number in range(20)]
    keep(folder, [part for part in parts if part.ended_at], [part for part in parts if not part.ended_at])
    assert run(folder, "--since", str(parts[4].accepted_at), "--until", str(parts[17].accepted_at), "--out", "-") == 0
    captured = capsys.readouterr()
    told = rows(captured.out)
    assert [row["message_id"] for row in told] == [part.part_id for part in parts[4:17]]
    assert [row["state"] for row in told[:3]] == ["delivered", "delivered", "submitted"]
    assert (told[0]["to"], told[0]["cost"], told[0]["network"]) == ("+33600000004", "0.03", "33")
    assert json.loads(told[0]["attempts_json"])[0]["carrier_message_id"] == "4"
    assert captured.err == "13 messages in stdout\n  read from the store: no engine runs\n"
    assert "secret" not in captured.out


def test_a_message_of_several_parts_is_in_the_range_of_its_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row with its parts, their costs together, also where the range ends between them; the next range has none."""
    parts = [message(number) for number in range(4)]
    for number, part in enumerate(parts[:3], 1):
        part.message_id, part.parts, part.number = parts[0].part_id, 3, number
    keep(folder, parts[:1] + parts[2:], parts[1:2])
    middle = str(parts[1].accepted_at)
    assert run(folder, "--until", middle, "--out", "-") == 0
    (told,) = rows(capsys.readouterr().out)
    assert (told["message_id"], told["parts"], told["cost"], told["attempts"]) == (parts[0].part_id, "3", "0.09", "3")
    assert [one["part_id"] for one in json.loads(told["attempts_json"])] == [part.part_id for part in parts[:3]]
    assert run(folder, "--since", middle, "--out", "-") == 0
    assert [row["message_id"] for row in rows(capsys.readouterr().out)] == [parts[3].part_id]


def test_who_and_by_whom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--carrier shows those it was offered, --esme those of one customer, --mask hides the numbers."""
    keep(folder, [message(1), message(2, carrier="gone")])
    assert run(folder, "--carrier", "gone", "--mask", "--out", "-") == 0
    told = rows(capsys.readouterr().out)
    assert [(row["carrier"], row["to"]) for row in told] == [("gone", "+3360•••002")]
    assert run(folder, "--esme", "nobody", "--out", "-") == 0
    assert rows(capsys.readouterr().out) == []


def test_what_a_handset_wrote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message from a handset is a record of its own, with the carrier it came by and no attempts, chosen by that."""
    came = structs.replace(message(1), state=State.RECEIVED, attempts=[], why="it came by orange-1", route="code")
    keep(folder, [came, message(2, carrier="gone")])
    for carrier, states in (("orange", ["received"]), ("gone", ["delivered"])):
        assert run(folder, "--carrier", carrier, "--out", "-") == 0
        told = rows(capsys.readouterr().out)
        assert [one["state"] for one in told] == states
    assert run(folder, "--carrier", "orange", "--out", "-") == 0
    (told,) = rows(capsys.readouterr().out)
    assert (told["carrier"], told["attempts"], told["route"], told["network"]) == ("orange", "0", "code", "")


def test_sqlite(folder: Path, tmp_path: Path) -> None:
    """Two tables with their indexes, in a file for its owner alone that stands there whole, with nothing beside it."""
    keep(folder, [message(number) for number in range(5)])
    out = tmp_path / "november.db"
    out.write_text("last month's")
    assert run(folder, "--format", "sqlite", "--out", str(out)) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(out)) as db:
        joined = db.execute(
            'SELECT sum(a.cost), count(*), min("to") FROM message m JOIN attempt a USING (message_id)'
        ).fetchone()
        assert joined == (pytest.approx(0.15), 5, "+33600000000")
        (plan,) = db.execute("EXPLAIN QUERY PLAN SELECT * FROM attempt WHERE carrier_message_id = '1'")
        assert "attempt_by_carrier_message_id" in plan[3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "november.db"]


def test_what_a_spreadsheet_would_reckon_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell that begins like a formula gets an apostrophe, a number stays one; --raw leaves both alone."""
    evil = message(1)
    evil.source_addr, evil.err, evil.why = '=HYPERLINK("x")', "-3", "@here"
    keep(folder, [evil])
    assert run(folder, "--out", "-") == 0
    (told,) = rows(capsys.readouterr().out)
    assert (told["from"], told["why"], told["err"], told["to"]) == ('\'=HYPERLINK("x")', "'@here", "-3", "+33600000001")
    assert run(folder, "--raw", "--out", "-") == 0
    (told,) = rows(capsys.readouterr().out)
    assert (told["from"], told["why"]) == ('=HYPERLINK("x")', "@here")


def test_a_broken_export_leaves_what_was_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails half-way: exit 1, the old file as it was, no half of a new one."""
    keep(folder, [message(number) for number in range(9)])
    out = tmp_path / "november.csv"
    out.write_text("last month's")
    monkeypatch.setattr(export, "PAGE_ROWS", 3)
    whole = SqliteReader.page

    def page(self: SqliteReader, after: str, *args: Any) -> Page:
        if len(after) > 9:
            raise StoreError("failed", "history.db: cannot read a page of messages: disk I/O error")
        return whole(self, after, *args)

    monkeypatch.setattr(SqliteReader, "page", page)
    assert run(folder, "--out", str(out)) == 1
    assert "disk I/O error" in capsys.readouterr().err
    assert out.read_text() == "last month's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "november.csv"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--format", "sqlite", "--out", "-"], 2, "--out - is for csv"),
        (["--since", "now", "--until", "-1h", "--out", "-"], 2, "is not before"),
        (["--out", "/nowhere/at/all.csv"], 1, "No such file or directory"),
    ],
)
def test_what_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    """Nonsense is 2, a place that cannot be written 1, each said in a sentence."""
    keep(folder, [message(1)])
    assert run(folder, *words) == code
    assert said in capsys.readouterr().err


def test_beside_a_running_engine(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """What was told a moment ago is in it, with its price, without waiting for a checkpoint."""
    message_id = running.send(1)[0]
    assert run(running.folder, "--since", "-10m", "--out", "-") == 0
    captured = capsys.readouterr()
    told = {row["message_id"]: row for row in rows(captured.out)}[message_id]
    assert (told["state"], told["cost"], told["attempts"], told["network"]) == ("delivered", "0.03", "1", "33")
    assert captured.err.endswith(" in stdout\n")


def test_what_the_journal_knows_better_than_the_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message that ended behind the last checkpoint of a killed engine is shown once, and as ended."""
    waits, ended = message(1, ended=False), message(2)
    keep(folder, [ended], [waits])
    with closing(open_store("sqlite:var/store", "t1", relative_to=folder)) as store:
        told = Receipted("orange", NOW, ["1"], State.DELIVERED, "000", "DELIVRD", part_id=waits.part_id)
        store.append(2, pack([told]))
    assert run(folder, "--out", "-") == 0
    told_rows = [(row["message_id"], row["state"]) for row in rows(capsys.readouterr().out)]
    assert told_rows == [(waits.part_id, "delivered"), (ended.part_id, "delivered")]


@pytest.mark.slow
def test_after_a_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What only the journal knows is in it too, once each."""
    folder = tmp_path / "config"
    with town(folder) as it:
        ended = it.send(3)
        it.turn(Mode.SILENT)
        waiting = it.send(1, settled=False)[0]
        assert it.serving.end(signal.SIGKILL) == -signal.SIGKILL
    capsys.readouterr()
    assert run(folder, "--out", "-") == 0
    told = [(row["message_id"], row["state"]) for row in rows(capsys.readouterr().out)]
    assert told == [*((one, "delivered") for one in sorted(ended)), (waiting, "attempted")]
