"""The files of a SQLite store: made, recognised, refused with what, where and what was expected."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smsroute.store import open_reader, open_store
from smsroute.store.base import StoreError, StoreLimits
from smsroute.store.sqlite_file import SCHEMA_VERSION
from tests.store.parts import as_row, checkpoint, part, record

NOBODY = 65534


def fill(folder: Path) -> None:
    """A store with three rows, a checkpoint of the second, and one finished part; closed."""
    with closing(open_store(f"sqlite:{folder}", "n1")) as store:
        for seq in (1, 2, 3):
            store.append(seq, record(seq))
        store.checkpoint(checkpoint(2, ended=[part(1)]))
        store.trim(2)


def change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(statement)


def refusal(url: str | Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_store(url if isinstance(url, str) else f"sqlite:{url}", "n1")
    return caught.value


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder every user can reach (pytest's own are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="smsroute-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` without root's rights over files; as this very user when the tests are not run by root.

    All is imported before the rights go: the interpreter itself may live where only root can read.
    """
    drop = f"import os\nif os.geteuid() == 0: os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    head = (
        "import sys, encodings.idna, msgspec.json\nfrom smsroute.store import open_reader, open_store\n"
        "from smsroute.store.base import StoreError\n"
    )
    return subprocess.run(
        [sys.executable, "-c", head + drop + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


TRY = """
try:
    open_store(f"sqlite:{sys.argv[1]}", "n1")
except StoreError as error:
    print(error.kind, error)
"""


class TestPlace:
    def test_a_missing_folder_is_made_for_this_user_alone(self, tmp_path: Path) -> None:
        """With the folders above it; the journal holds texts until they are delivered, nobody else may look."""
        folder = tmp_path / "var" / "smsroute"
        open_store(f"sqlite:{folder}", "n1").close()
        assert sorted(path.name for path in folder.iterdir()) == ["history.db", "journal.db", "lock"]
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_a_relative_folder_counts_from_the_config_folder(self, tmp_path: Path) -> None:
        """Not from wherever the engine was started."""
        with closing(open_store("sqlite:var/store", "n1", relative_to=tmp_path)) as store:
            assert store.directory == tmp_path / "var" / "store"

    @pytest.mark.parametrize("url", ["postgres:host=db", "sqlite:", "var/smsroute", ""])
    def test_another_kind_of_url_is_refused(self, url: str) -> None:
        """With what was expected."""
        error = refusal(url)
        assert str(error) == f"store {url!r}: expected sqlite:FOLDER, such as sqlite:var/smsroute"

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        """Is named, also when it stands higher up."""
        file = tmp_path / "file"
        file.touch()
        assert str(refusal(file)) == f"{file}: is a file; expected a folder to keep the store in"
        error = refusal(file / "store")
        assert error.kind == "failed"
        assert str(error).startswith(f"{file}/store: cannot make the store's folder: Not a directory")

    def test_a_folder_one_may_not_write_to(self, public: Path) -> None:
        """Says who may not, and what was expected."""
        (public / "store").mkdir(mode=0o555)
        (public / "store").chmod(0o555)
        said = as_nobody(TRY, public / "store").stdout
        assert said.startswith(f"failed {public}/store/lock: cannot open the lock file: Permission denied; expected a")
        public.chmod(0o555)
        said = as_nobody(TRY, public / "other").stdout
        assert said.startswith(f"failed {public}/other: cannot make the store's folder: Permission denied")

    def test_a_file_one_may_not_write_to(self, public: Path) -> None:
        """SQLite opens such a file without a word; the store does not."""
        folder = public / "store"
        fill(folder)
        folder.chmod(0o777)
        (folder / "lock").chmod(0o666)
        (folder / "history.db").chmod(0o444)
        said = as_nobody(TRY, folder).stdout
        assert said.startswith(f"failed {folder}/history.db: cannot open it: attempt to write a readonly database")
        assert "may read and write" in said


class TestLock:
    def test_the_holder_is_named(self, tmp_path: Path) -> None:
        """The second engine learns which process of which node has the store."""
        folder = tmp_path / "store"
        with closing(open_store(f"sqlite:{folder}", "n7")):
            error = refusal(folder)
        assert error.kind == "busy"
        assert str(error) == (
            f"{folder}: is in use by node n7, process {os.getpid()} on {os.uname().nodename}; "
            "expected one engine a store"
        )

    def test_a_dead_engine_holds_nothing(self, tmp_path: Path) -> None:
        """The kernel takes the lock of a process that died without closing."""
        code = f"import os\nfrom smsroute.store import open_store\nopen_store('sqlite:{tmp_path}/store')\nos._exit(1)"
        subprocess.run([sys.executable, "-c", code], check=False)
        open_store(f"sqlite:{tmp_path}/store", "n1").close()

    def test_a_store_that_failed_to_open_lets_go(self, tmp_path: Path) -> None:
        """The lock is not kept by a start that was refused for something else."""
        (tmp_path / "history.db").write_bytes(b"not a database at all" * 100)
        assert "is not a SQLite database" in str(refusal(tmp_path))
        (tmp_path / "history.db").unlink()
        open_store(f"sqlite:{tmp_path}", "n1").close()

    def test_a_closed_store_says_so(self, tmp_path: Path) -> None:
        """Closing twice is no harm; writing after it is refused."""
        store = open_store(f"sqlite:{tmp_path}", "n1")
        store.close()
        store.close()
        with pytest.raises(StoreError, match=r"journal.db: is closed"):
            store.append(1, record(1))


class TestRecognition:
    def test_a_newer_schema_is_refused(self, tmp_path: Path) -> None:
        """An engine never writes to what it does not know, in either file."""
        fill(tmp_path)
        for name in ("history.db", "journal.db"):
            newer = SCHEMA_VERSION + 1
            change(tmp_path / name, f"UPDATE meta SET value = {newer} WHERE key = 'schema_version'")
            error = refusal(tmp_path)
            told = f"{tmp_path}/{name}: was written by a newer smsroute (schema version {newer}); this"
            assert str(error).startswith(told)
            change(tmp_path / name, f"UPDATE meta SET value = {SCHEMA_VERSION} WHERE key = 'schema_version'")
        open_store(f"sqlite:{tmp_path}", "n1").close()

    def test_an_older_schema_is_told_to_who_only_looks(self, tmp_path: Path) -> None:
        """Who may not write cannot bring it up, and says what does; it failed at a column, in SQL."""
        fill(tmp_path)
        change(tmp_path / "history.db", "UPDATE meta SET value = 4 WHERE key = 'schema_version'")
        with pytest.raises(StoreError, match=r"history.db: was written by an older smsroute \(schema version 4\)"):
            open_reader(f"sqlite:{tmp_path}")

    def test_a_store_of_version_1_is_brought_up(self, tmp_path: Path) -> None:
        """What an engine of the first version left is there afterwards, and things can be kept beside it."""
        fill(tmp_path)
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            rows = list(store.recover().records)
        for name in ("history.db", "journal.db"):
            change(tmp_path / name, "UPDATE meta SET value = 1 WHERE key = 'schema_version'")
        change(tmp_path / "history.db", "DROP TABLE kept")
        change(tmp_path / "history.db", "DROP TABLE decision")
        change(tmp_path / "history.db", "DROP TABLE owed")
        change(tmp_path / "history.db", "ALTER TABLE message DROP COLUMN data_coding")
        for column in ("cost", "lead"):
            change(tmp_path / "history.db", f"ALTER TABLE attempt DROP COLUMN {column}")
        for column in ("body", "message_id", "parts", "number", "tell"):
            change(tmp_path / "history.db", f"ALTER TABLE message DROP COLUMN {column}")
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            assert list(store.recover().records) == rows
            store.keep("scores/orange", b"x")
            assert store.kept("scores/orange") == b"x"
            assert store.decisions(0.0, 1e12, 10) == []
            assert store.recover().owed == {}

    def test_a_database_of_another_program_is_left_as_it_was(self, tmp_path: Path) -> None:
        """Refused before a byte of it is changed."""
        change(tmp_path / "history.db", "CREATE TABLE theirs (x)")
        before = (tmp_path / "history.db").read_bytes()
        error = refusal(tmp_path)
        assert "history.db: is a SQLite database of something else (application_id 0x0)" in str(error)
        assert (tmp_path / "history.db").read_bytes() == before

    def test_files_that_changed_places(self, tmp_path: Path) -> None:
        """A journal in the history's place is not taken for one."""
        fill(tmp_path)
        shutil.copy(tmp_path / "journal.db", tmp_path / "history.db")
        assert "expected a smsroute history" in str(refusal(tmp_path))

    @pytest.mark.parametrize(
        ("name", "how"), [("history.db", "the first is missing"), ("journal.db", "the second is missing")]
    )
    def test_one_file_without_the_other(self, tmp_path: Path, name: str, how: str) -> None:
        """Half a store is never begun anew in silence: messages would be lost."""
        fill(tmp_path)
        (tmp_path / name).unlink()
        error = refusal(tmp_path)
        assert f"{tmp_path}/history.db and {tmp_path}/journal.db: {how}; expected the two files of one store" in str(
            error
        )

    def test_files_of_two_stores(self, tmp_path: Path) -> None:
        """A journal of another store is not replayed over this one's checkpoint."""
        fill(tmp_path / "a")
        fill(tmp_path / "b")
        shutil.copy(tmp_path / "a" / "journal.db", tmp_path / "b" / "journal.db")
        assert "they come from two stores" in str(refusal(tmp_path / "b"))

    def test_files_of_two_times(self, tmp_path: Path) -> None:
        """A journal restored from before the checkpoint is told from one that was cut."""
        fill(tmp_path)
        shutil.copy(tmp_path / "journal.db", tmp_path / "old.db")
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            for seq in (4, 5):
                store.append(seq, record(seq))
            store.checkpoint(checkpoint(5))
        shutil.copy(tmp_path / "old.db", tmp_path / "journal.db")
        assert "the first covers row 5, the second ends at row 3" in str(refusal(tmp_path))

    def test_a_start_cut_short_is_finished_by_the_next(self, tmp_path: Path) -> None:
        """Killed between making the two files, or before either has a table."""
        open_store(f"sqlite:{tmp_path}", "n1").close()
        (tmp_path / "journal.db").unlink()
        open_store(f"sqlite:{tmp_path}", "n1").close()
        for name in ("history.db", "journal.db"):
            (tmp_path / name).write_bytes(b"")
        open_store(f"sqlite:{tmp_path}", "n1").close()
        fill(tmp_path)

    def test_a_missing_row_is_told(self, tmp_path: Path) -> None:
        """Recovery stops at a gap; nothing behind it is replayed."""
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            for seq in range(1, 6):
                store.append(seq, record(seq))
        change(tmp_path / "journal.db", "DELETE FROM journal WHERE seq = 3")
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            rows = store.recover().records
            assert [next(rows)[0], next(rows)[0]] == [1, 2]
            with pytest.raises(StoreError, match=r"journal.db: row 3 is missing, row 4 follows") as caught:
                next(rows)
            assert caught.value.kind == "failed"

    def test_a_torn_row_is_told(self, tmp_path: Path) -> None:
        """A record that is not what was written stops the recovery, with file and row."""
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            store.append(1, record(1))
            store.append(2, record(2))
        change(tmp_path / "journal.db", "UPDATE journal SET record = substr(record, 1, 5) || x'00' WHERE seq = 2")
        with closing(open_store(f"sqlite:{tmp_path}", "n1")) as store:
            rows = store.recover().records
            assert next(rows) == (1, record(1))
            with pytest.raises(StoreError, match=r"journal.db: row 2 is torn"):
                next(rows)


class TestReader:
    def test_it_reads_while_no_engine_runs(self, tmp_path: Path) -> None:
        """After a clean stop; and looking changes neither file."""
        fill(tmp_path)
        before = [(tmp_path / name).read_bytes() for name in ("history.db", "journal.db")]
        with closing(open_reader(f"sqlite:{tmp_path}")) as reader:
            assert reader.story(part(1).part_id) == as_row(part(1))
            assert [seq for seq, _ in reader.recover().records] == [3]
        assert [(tmp_path / name).read_bytes() for name in ("history.db", "journal.db")] == before

    def test_it_reads_without_the_right_to_write(self, public: Path) -> None:
        """A person on call need not be the engine's user to be told the truth."""
        folder = public / "store"
        fill(folder)
        folder.chmod(0o755)
        code = "reader = open_reader(f'sqlite:{sys.argv[1]}')\nprint(reader.counts(), list(reader.recover().records))"
        said = as_nobody(code, folder)
        assert said.stdout.startswith("Counts(open=0, ended={12: 1}, through=2, last_seq=3) [(3, b"), said.stderr

    @pytest.mark.parametrize("made", [False, True])
    def test_where_no_store_is_it_says_so_and_makes_none(self, tmp_path: Path, made: bool) -> None:
        """A mistyped folder must not look like an empty store."""
        if made:
            (tmp_path / "history.db").touch()
        with pytest.raises(StoreError, match=r"expected the store of an engine that ran once"):
            open_reader(f"sqlite:{tmp_path}")
        assert [path.name for path in tmp_path.iterdir()] == (["history.db"] if made else [])

    def test_it_cannot_write(self, tmp_path: Path) -> None:
        """Not by mistake either: the files are opened for reading."""
        fill(tmp_path)
        with (
            closing(open_reader(f"sqlite:{tmp_path}")) as reader,
            pytest.raises(StoreError, match="readonly"),
            reader._shelf.use("write") as db,
        ):
            db.execute("DELETE FROM message")


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """journal.db and history.db run with a write-ahead log and synchronous=FULL, unless the world is simulated."""
    for fsync, level in ((True, 2), (False, 0)):
        with closing(open_store(f"sqlite:{tmp_path / str(fsync)}", "n1", StoreLimits(fsync=fsync))) as store:
            for file in (store._journal, store._history):
                with file.use("look") as db:
                    assert db.execute("PRAGMA synchronous").fetchone() == (level,)
                    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
