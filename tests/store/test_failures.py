"""A sick disk, a dying process: nothing that `append` returned from is lost, nothing half done stays."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smsroute.message import State
from smsroute.store import open_reader, open_store
from smsroute.store.base import StoreError, StoreLimits
from smsroute.store.sqlite import SqliteStore
from tests.store.parts import as_row, checkpoint, opened, part, record

ROOT = Path(__file__).parents[2]


def rows(url: str) -> list[tuple[int, bytes]]:
    with closing(open_store(url, "n1")) as store:
        return list(store.recover().records)


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    head = (
        "import sys\nfrom smsroute.store import open_store\nfrom smsroute.store.base import StoreError\n"
        "from tests.store.parts import checkpoint, part, record\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/store"


@pytest.fixture
def store(url: str) -> Iterator[SqliteStore]:
    with closing(open_store(url, "n1")) as store:
        yield store


class TestDeath:
    def test_every_append_that_returned_survives_a_kill(self, url: str) -> None:
        """SIGKILL in the middle of appends, checkpoints and trims: what was told is there, in order, without a gap."""
        code = """
store = open_store(sys.argv[1], "n1")
for seq in range(1, 100000):
    store.append(seq, record(seq))
    print(seq, flush=True)
    if seq % 20 == 0:
        store.checkpoint(checkpoint(seq, still_open=[part(seq, ended=False)], ended=[part(seq - 20)]))
        store.trim(seq - 10)
"""
        with child(code, url) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == 150:
                    process.send_signal(signal.SIGKILL)
                    break
            told = [150, *map(int, process.stdout)][-1]
        with closing(open_store(url, "n1")) as store:
            recovered = store.recover()
            assert recovered.checkpoint is not None
            through = recovered.checkpoint.through
            behind = list(recovered.records)
            assert told - 20 <= through
            assert through % 20 == 0
            assert behind == [(seq, record(seq)) for seq in range(through + 1, through + 1 + len(behind))]
            assert max(through, *(seq for seq, _ in behind), 0) in (told, told + 1)
            assert store.story(part(through).part_id) == part(through, ended=False)
            assert store.story(part(through - 20).part_id) == as_row(part(through - 20))

    def test_a_checkpoint_cut_short_leaves_the_one_before(self, url: str) -> None:
        """Killed inside the transaction, with most of it already written: nothing of it is seen, nothing is missing."""
        code = """
import os
from smsroute.store import history
store = open_store(sys.argv[1], "n1")
for seq in (1, 2, 3):
    store.append(seq, record(seq))
store.checkpoint(checkpoint(1, still_open=[part(1, ended=False)], state=b"before"))
write = history.write
def killed(db, *arguments):
    db.execute("PRAGMA cache_spill = 1")
    db.execute("PRAGMA cache_size = 1")
    write(db, *arguments)
    os.kill(os.getpid(), 9)
history.write = killed
store.checkpoint(checkpoint(3, still_open=[part(n, ended=False) for n in range(2, 3000)], ended=[part(1)]))
"""
        with child(code, url) as process:
            assert process.wait() == -signal.SIGKILL
        assert Path(f"{url.removeprefix('sqlite:')}/history.db-wal").stat().st_size > 100_000
        with closing(open_store(url, "n1")) as store:
            recovered = store.recover()
            assert recovered.checkpoint is not None
            assert (recovered.checkpoint.through, recovered.checkpoint.state) == (1, b"before")
            assert recovered.checkpoint.open == opened([part(1, ended=False)])
            assert list(recovered.records) == [(2, record(2)), (3, record(3))]
            assert store.counts().ended == {}


class TestFullDisk:
    def test_a_full_journal_is_told_and_goes_on_when_there_is_room(self, store: SqliteStore, url: str) -> None:
        """ "full": the row is not there, its number is free, and no connection needs to be opened anew."""
        store.append(1, record(1))
        with store._journal.use("shrink") as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError) as caught:
            store.append(2, bytes(100_000))
        assert caught.value.kind == "full"
        assert "journal.db: cannot append row 2: database or disk is full (SQLITE_FULL, " in str(caught.value)
        assert "MiB free on the disk" in str(caught.value)
        store.append(2, record(2))
        with store._journal.use("grow") as db:
            db.execute("PRAGMA max_page_count = 1000000")
        store.append(3, bytes(100_000))
        store.close()
        assert rows(url) == [(1, record(1)), (2, record(2)), (3, bytes(100_000))]

    def test_a_full_history_leaves_the_last_checkpoint(self, store: SqliteStore) -> None:
        """All or nothing; the journal keeps what the checkpoint could not take."""
        store.append(1, record(1))
        store.append(2, record(2))
        store.checkpoint(checkpoint(1, still_open=[part(1, ended=False)]))
        with store._history.use("shrink") as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute(f"PRAGMA max_page_count = {pages + 5}")
        with pytest.raises(StoreError) as caught:
            store.checkpoint(checkpoint(2, ended=[part(number) for number in range(1, 3000)]))
        assert caught.value.kind == "full"
        assert store.counts().through == 1
        assert store.counts().ended == {}
        with pytest.raises(AssertionError):
            store.trim(2)
        with store._history.use("grow") as db:
            db.execute("PRAGMA max_page_count = 1000000")
        store.checkpoint(checkpoint(2, ended=[part(number) for number in range(1, 3000)]))
        assert store.counts().ended == {State.DELIVERED: 2999}

    def test_a_disk_that_refuses_a_write_is_told_and_heals(self, tmp_path: Path) -> None:
        """The kernel says no in the middle of a write (a limit on a file's size): "failed", and nothing is lost."""
        code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1], "n1")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
seq, failures = 0, []
while len(failures) < 3:
    try:
        store.append(seq + 1, bytes([seq % 250]) * 20_000)
        seq += 1
    except StoreError as error:
        failures.append(error)
for error in failures:
    print(error.kind, "SQLITE_IOERR" in str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.append(seq + 1, b"healed")
print(seq)
"""
        url = f"sqlite:{tmp_path}/store"
        with child(code, url) as process:
            assert process.stdout is not None
            *failures, last = process.stdout.read().splitlines()
        assert failures == ["failed True"] * 3
        assert 3 < int(last) < 30
        assert rows(url) == [
            *((seq, bytes([(seq - 1) % 250]) * 20_000) for seq in range(1, int(last) + 1)),
            (int(last) + 1, b"healed"),
        ]
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


class Faulty:
    """A connection whose next statement that begins with `verb` fails with an I/O error, before or after it is done."""

    def __init__(self, db: sqlite3.Connection, verb: str, *, done: bool) -> None:
        self._db = db
        self._verb = verb
        self._done = done

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if not statement.startswith(self._verb):
            return self._db.execute(statement, *values)
        if self._done:
            self._db.execute(statement, *values)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = 1034, "SQLITE_IOERR_FSYNC"
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def spoil(file: Any, verb: str, *, done: bool) -> None:
    file._db = Faulty(file._db, verb, done=done)


class TestDoubt:
    def test_a_row_that_is_there_after_all_is_a_success(self, store: SqliteStore, url: str) -> None:
        """The commit went through and only its answer failed: `append` looks, finds the row, and returns."""
        store.append(1, record(1))
        spoil(store._journal, "INSERT", done=True)
        store.append(2, record(2))
        store.append(3, record(3))
        store.close()
        assert rows(url) == [(seq, record(seq)) for seq in (1, 2, 3)]

    def test_a_row_that_is_not_there_is_a_failure(self, store: SqliteStore, url: str) -> None:
        """Then its number is free for the same record or another."""
        store.append(1, record(1))
        spoil(store._journal, "INSERT", done=False)
        with pytest.raises(StoreError, match=r"cannot append row 2: disk I/O error \(SQLITE_IOERR_FSYNC") as caught:
            store.append(2, record(2))
        assert caught.value.kind == "failed"
        store.append(2, b"another")
        store.close()
        assert rows(url) == [(1, record(1)), (2, b"another")]

    def test_a_row_nobody_could_look_for_is_replaced(
        self, store: SqliteStore, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The row is there, but the disk is too sick to see it: told as failed, it makes way for what comes next."""
        store.append(1, record(1))
        spoil(store._journal, "INSERT", done=True)
        connect = type(store._journal)._connect

        def sick(file: Any) -> Any:
            return Faulty(connect(file), "PRAGMA wal_checkpoint", done=False)

        with monkeypatch.context() as patch:
            patch.setattr(type(store._journal), "_connect", sick)
            for _ in range(3):
                with pytest.raises(StoreError) as caught:
                    store.append(2, record(2))
                assert caught.value.kind == "failed"
        assert dict(rows_of(url))[2] == record(2)
        store.append(2, b"instead")
        store.append(3, record(3))
        store.close()
        assert rows(url) == [(1, record(1)), (2, b"instead"), (3, record(3))]

    def test_a_checkpoint_whose_outcome_is_unknown_is_a_failure(self, store: SqliteStore) -> None:
        """The journal is not cut for it; the next checkpoint brings everything again, to the same end."""
        store.append(1, record(1))
        store.checkpoint(checkpoint(1))
        store.append(2, record(2))
        spoil(store._history, "COMMIT", done=True)
        with pytest.raises(StoreError) as caught:
            store.checkpoint(checkpoint(2, ended=[part(1)]))
        assert caught.value.kind == "failed"
        with pytest.raises(AssertionError):
            store.trim(2)
        store.checkpoint(checkpoint(2, ended=[part(1), part(2)]))
        store.trim(2)
        assert store.counts().ended == {State.DELIVERED: 2}

    def test_a_trim_that_failed_is_asked_again(self, store: SqliteStore) -> None:
        """Cutting twice, or from the middle, ends the same."""
        for seq in range(1, 200):
            store.append(seq, record(seq))
        store.checkpoint(checkpoint(150))
        spoil(store._sweeper, "DELETE", done=True)
        with pytest.raises(StoreError):
            store.trim(150)
        store.trim(150)
        assert [seq for seq, _ in store.recover().records] == list(range(151, 200))
        with store._journal.use("look") as db:
            assert db.execute("SELECT min(seq) FROM journal").fetchone() == (151,)

    def test_a_sync_that_failed_in_a_trim_is_mended_before_the_next_append(self, store: SqliteStore) -> None:
        """Rows and deletions share one log: an append must not lie behind pages that a trim may have lost."""
        store.append(1, record(1))
        store.checkpoint(checkpoint(1))
        spoil(store._sweeper, "PRAGMA wal_checkpoint", done=False)
        with pytest.raises(StoreError):
            store.trim(1)
        assert store._journal._sick
        store.append(2, record(2))
        assert not store._journal._sick
        store.trim(1)
        assert list(store.recover().records) == [(2, record(2))]

    def test_a_sick_file_is_mended_before_it_is_written_to(self, store: SqliteStore, tmp_path: Path) -> None:
        """After a failed fsync nothing is put behind pages that may never have reached the disk: the log is folded
        into the file and begun anew."""
        wal = tmp_path / "store" / "journal.db-wal"
        store.append(1, bytes(50_000))
        before = wal.stat().st_size
        spoil(store._journal, "INSERT", done=False)
        with pytest.raises(StoreError):
            store.append(2, record(2))
        assert wal.stat().st_size == 0
        store.append(2, record(2))
        assert 0 < wal.stat().st_size < before


def rows_of(url: str) -> list[tuple[int, bytes]]:
    with closing(open_reader(url)) as reader:
        return list(reader.recover().records)


class TestBusy:
    def test_a_locked_journal_is_told_as_busy(self, url: str, tmp_path: Path) -> None:
        """A person with a database shell: the row is not there and its number is free."""
        with (
            closing(open_store(url, "n1", StoreLimits(busy_timeout_s=0))) as store,
            closing(sqlite3.connect(tmp_path / "store" / "journal.db", isolation_level=None)) as shell,
        ):
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="cannot append row 1: database is locked") as caught:
                store.append(1, record(1))
            assert caught.value.kind == "busy"
            shell.execute("ROLLBACK")
            store.append(1, record(1))
        assert rows(url) == [(1, record(1))]

    def test_a_slow_reader_holds_up_nothing(self, store: SqliteStore, url: str) -> None:
        """While somebody reads an old instant: appends, checkpoints, trims and mending's look go on or say busy."""
        store.append(1, record(1))
        with closing(open_reader(url)) as reader:
            recovered = reader.recover()
            for seq in range(2, 50):
                store.append(seq, record(seq))
            store.checkpoint(checkpoint(49, ended=[part(1)]))
            store.trim(49)
            store.append(50, record(50))
            assert len(list(recovered.records)) == 1


class TestBounds:
    def test_the_log_is_bounded_while_rows_come_and_go(self, tmp_path: Path) -> None:
        """Trimmed every so often, neither the journal nor its log grows with the number of rows."""
        limits = StoreLimits(fsync=False, wal_octets_max=4 << 20)
        folder = tmp_path / "store"
        sizes = []
        with closing(open_store(f"sqlite:{folder}", "n1", limits)) as store:
            for seq in range(1, 401):
                store.append(seq, bytes(50_000))
                if seq % 40 == 0:
                    store.checkpoint(checkpoint(seq))
                    store.trim(seq - 5)
                    sizes.append(sum((folder / name).stat().st_size for name in ("journal.db", "journal.db-wal")))
        assert max(sizes[3:]) <= 1.2 * max(sizes[:3]) < 10 << 20

    def test_a_file_that_grew_while_the_history_was_sick_shrinks_again(self, tmp_path: Path) -> None:
        """Its empty pages go back to the file system at the next start."""
        limits = StoreLimits(fsync=False, vacuum_from_pages=100)
        file = tmp_path / "store" / "journal.db"
        with closing(open_store(f"sqlite:{tmp_path}/store", "n1", limits)) as store:
            for seq in range(1, 101):
                store.append(seq, bytes(50_000))
            store.checkpoint(checkpoint(99))
            store.trim(99)
            assert file.stat().st_size > 4_500_000
        with closing(open_store(f"sqlite:{tmp_path}/store", "n1", limits)) as store:
            assert file.stat().st_size < 1_000_000
            assert list(store.recover().records) == [(100, bytes(50_000))]
