"""The rows of history.db: every field, no text, few statements, no scan."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smsroute.message import Attempt, Part, State, pack_part
from smsroute.store import history, open_store
from smsroute.store.base import StoreLimits
from smsroute.store.sqlite import SqliteStore
from tests.store.parts import T0, as_row, checkpoint, part, record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """One with a row in its journal, and statements of 100 rows."""
    limits = StoreLimits(fsync=False, rows_per_statement=100)
    with closing(open_store(f"sqlite:{tmp_path}", "n1", limits)) as store:
        store.append(1, record(1))
        yield store


def test_every_field_of_a_part_has_a_column_or_a_reason() -> None:
    """Whoever adds a field to Part or Attempt decides here whether the history tells it."""
    assert set(history.PART_COLUMNS.values()) | history.PART_FIELDS_OTHERWISE == set(Part.__struct_fields__)
    fields = {*history.ATTEMPT_COLUMNS} | history.ATTEMPT_FIELDS_OTHERWISE
    assert fields == set(Attempt.__struct_fields__)


def test_the_schema_has_the_columns(store: SqliteStore) -> None:
    """The tables of schema/history_1.sql and the lists in history.py are the same."""
    with store._history.use("look") as db:
        columns = {
            table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in ("message", "attempt")
        }
    assert sorted(columns["message"]) == sorted([*history.PART_COLUMNS, "body"])
    assert sorted(columns["attempt"]) == sorted(("part_id", "n", *history.ATTEMPT_COLUMNS, "receipt_key"))


@pytest.mark.parametrize("count", [0, 1, history.FEW, history.FEW + 1, 99, 100, 101, 365])
def test_any_number_of_rows(store: SqliteStore, count: int) -> None:
    """Statements come in two sizes; spare rows leave nothing behind."""
    ended = [part(number, attempts=number % 3) for number in range(count)]
    still_open = [part(1000 + number, ended=False) for number in range(count)]
    store.checkpoint(checkpoint(1, still_open=still_open, ended=ended))
    assert store.finished_since(0, "", 1000) == sorted(map(as_row, ended), key=lambda one: one.ended_at)
    assert list(store.recover().parts()) == still_open
    store.checkpoint(checkpoint(1, ended=still_open))
    assert store.counts().open == 0


def test_the_text_is_nowhere_once_a_part_is_at_rest(store: SqliteStore, tmp_path: Path) -> None:
    """Neither as octets nor in base64, in no file of the store, though the engine hands over a part with its text."""
    whole = part(1)
    assert b"the text of it" in pack_part(whole)
    store.checkpoint(checkpoint(1, ended=[whole]))
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert whole.destination_addr.encode() in found
    for offset in range(3):
        assert base64.b64encode(b"the text of it"[offset:])[:12] not in found
    assert b"the text" not in found


def test_the_text_of_an_open_part_is_wiped_when_it_comes_to_rest(store: SqliteStore, tmp_path: Path) -> None:
    """What `open` held is overwritten, not only unlinked: whoever reads the file later finds no text."""
    still_open = [part(number, ended=False) for number in range(200)]
    store.checkpoint(checkpoint(1, still_open=still_open))
    store.checkpoint(checkpoint(1, ended=[part(number) for number in range(200)]))
    store.close()
    found = (tmp_path / "history.db").read_bytes()
    assert still_open[7].part_id.encode() in found
    assert b"the text of it" not in found


def test_the_text_in_the_journal_is_wiped_when_it_is_trimmed(store: SqliteStore, tmp_path: Path) -> None:
    """A checkpoint interval after its accept at the latest, free pages included."""
    for seq in range(2, 300):
        store.append(seq, pack_part(part(seq)))
    store.checkpoint(checkpoint(299))
    store.trim(299)
    assert b"the text of it" not in (tmp_path / "journal.db").read_bytes()
    store.close()
    assert b"the text of it" not in (tmp_path / "journal.db").read_bytes()


def test_a_text_that_is_to_be_kept_is_in_the_history_alone(store: SqliteStore) -> None:
    """`text: keep`: the whole submit comes back with its part, and is gone with it when it is pruned."""
    whole = part(1)
    whole.kept = None
    store.checkpoint(checkpoint(1, ended=[whole, part(2)]))
    told = store.story(whole.part_id)
    assert told is not None and (told.body, told.kept) == (whole.body, None)
    assert store.story(part(2).part_id) == as_row(part(2))
    assert store.prune(part(3).ended_at, 100) == 2
    assert store.story(whole.part_id) is None


def test_odd_text_comes_back_as_it_was(store: SqliteStore) -> None:
    """Whatever a carrier or a customer wrote, but for U+0000, which no C-octet string can hold."""
    odd = part(1)
    odd.source_addr = "a\"b'c\\d\n\te\u2028f\U0001f600"
    odd.why = "\\u0000 is not NUL"
    odd.attempts[0].carrier_message_id = "'; DROP TABLE message; --"
    bad = part(2)
    bad.err = "a\x00b"
    store.checkpoint(checkpoint(1, ended=[odd]))
    assert store.story(odd.part_id) == as_row(odd)
    assert store.find("orange", ["'; DROP TABLE message; --"]) == {
        "'; DROP TABLE message; --": (odd.part_id, odd.destination_addr)
    }
    store.checkpoint(checkpoint(1, ended=[bad]))
    told = store.story(bad.part_id)
    assert told is not None
    assert told.err == "a�b"


def test_a_checkpoint_is_a_few_statements(tmp_path: Path) -> None:
    """Each one waits for the GIL while the engine's loop is busy: 10,000 parts and their attempts in less than 30."""
    statements: list[str] = []
    with closing(open_store(f"sqlite:{tmp_path}", "n1", StoreLimits(fsync=False))) as store:
        store.append(1, record(1))
        with store._history.use("listen") as db:
            db.set_trace_callback(lambda statement: statements.append(statement[:40]))
        ended = [part(number) for number in range(10_000)]
        store.checkpoint(checkpoint(1, still_open=[part(n, ended=False) for n in range(20_000, 25_000)], ended=ended))
        assert store.counts().ended == {State.DELIVERED: 10_000}
    assert 10 < len(statements) < 30, statements


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda store: store.story("N1"), "sqlite_autoindex_message_1|PRIMARY KEY"),
        (lambda store: store.find("orange", ["1", "2"]), "attempt_by_receipt_key"),
        (lambda store: store.addressed(["33600000001", "+33600000001"], 0, T0 * 2, 10), "message_by_destination"),
        (lambda store: store.page("N1", "N2", 0, T0 * 2, 10), "sqlite_autoindex_message_1|PRIMARY KEY"),
        (lambda store: store.finished_since(T0, "N1", 10), "message_by_end"),
        (lambda store: store.counts(T0), "message_by_end"),
    ],
    ids=["story", "find", "addressed", "page", "finished_since", "counts"],
)
def test_no_question_reads_a_whole_table(store: SqliteStore, call: object, index: str) -> None:
    """A month of history must not make a question slow: each uses its index and sorts nothing."""
    store.checkpoint(checkpoint(1, ended=[part(number) for number in range(50)]))
    asked: list[str] = []
    with store._shelf.use("listen") as db:
        db.set_trace_callback(asked.append)
    assert callable(call)
    call(store)
    plans = []
    with store._shelf.use("explain") as db:
        db.set_trace_callback(None)
        for statement in asked:
            if statement.lstrip().startswith("SELECT") and "FROM open" not in statement:
                plans += [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    told = "\n".join(plans)
    assert any(name in told for name in index.split("|")), told
    assert "SCAN message" not in told, told
    assert "SCAN attempt" not in told, told


def test_pruning_uses_the_index_by_end(store: SqliteStore) -> None:
    """Forgetting old messages never reads the young ones."""
    statements: list[str] = []
    store.checkpoint(checkpoint(1, ended=[part(number) for number in range(50)]))
    with store._history.use("listen") as db:
        db.set_trace_callback(statements.append)
    assert store.prune(part(10).ended_at, 100) == 10
    with store._history.use("explain") as db:
        db.set_trace_callback(None)
        plan = [
            row[3]
            for statement in statements
            if statement.lstrip().startswith(("SELECT", "DELETE"))
            for row in explain(db, statement)
        ]
    assert not [step for step in plan if step.startswith(("SCAN message", "SCAN attempt"))], plan


def explain(db: sqlite3.Connection, statement: str) -> list[tuple[int, int, int, str]]:
    return db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
