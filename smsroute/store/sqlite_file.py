"""One SQLite file and one connection to it: opened, checked, brought up to date, mended, kept from other engines.

Rules:
- A connection is used by one call at a time, under `File.lock`.
- sqlite3's errors are translated here and nowhere else; each says which file, what was being done, and how much room
  the disk has.
- After an error that leaves the disk in doubt the file is sick. Before its next use it is opened anew and its log
  folded into the file itself: Linux drops the pages of a failed fsync and calls the next one a success, so nothing more
  may be written behind them.

Walk: `store/sqlite` (writes) and `store/history` (reads) use Files; tests/store/test_files.py holds the messages.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import attrs

from smsroute.store.base import Kind, StoreError, StoreLimits

SCHEMA_VERSION: Final = 10
SCHEMA: Final = Path(__file__).parent / "schema"
LOCK_NAME: Final = "lock"

Mode = Literal["write", "sweep", "read", "outside"]
"""write: each commit fsync'ed. sweep: commits that may be lost (cutting what is no longer needed). read: the engine's
own look-ups. outside: another process, perhaps with no right to write, perhaps while no engine runs."""

KINDS: Final[dict[int, Kind]] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
}
_RIGHTS: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


@attrs.frozen
class Shape:
    """Which of a store's files it is."""

    name: str
    application_id: int  # in the file's header, told by file(1) as "application id"

    @property
    def file(self) -> str:
        """Its name in the store's folder."""
        return f"{self.name}.db"


JOURNAL: Final = Shape("journal", 0x534D534A)  # "SMSJ"
HISTORY: Final = Shape("history", 0x534D5348)  # "SMSH"


def store_error(error: sqlite3.Error, path: Path, doing: str) -> StoreError:
    """What SQLite said, for people, with the kind the engine acts upon. One without a code is our own bug: raised."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        raise error
    if code & 0xFF == sqlite3.SQLITE_NOTADB:
        return StoreError("failed", f"{path}: is not a SQLite database; expected {path.name} of a smsroute store")
    kind = KINDS.get(code & 0xFF, "failed")
    hint = (
        f"; expected a file and a folder that user {os.geteuid()} may read and write" if code & 0xFF in _RIGHTS else ""
    )
    return StoreError(kind, f"{path}: cannot {doing}: {error} ({error.sqlite_errorname}, {_room(path)}){hint}")


def _room(path: Path) -> str:
    try:
        status = os.statvfs(path.parent)
    except OSError as error:
        return f"its folder: {error.strerror}"
    return f"{status.f_bavail * status.f_frsize >> 20} MiB free on the disk"


class File:
    """A database file, and the one connection to it."""

    def __init__(self, directory: Path, shape: Shape, mode: Mode, limits: StoreLimits) -> None:
        """Opens it; in mode "write" it is made when missing. Raises StoreError."""
        self.path = directory / shape.file
        self.shape = shape
        self.mode = mode
        self.lock = threading.Lock()
        self._limits = limits
        self._sick = self._closed = False
        self._db: sqlite3.Connection | None = None
        with self.use("open it"):
            pass

    @contextmanager
    def use(self, doing: str) -> Iterator[sqlite3.Connection]:
        """The connection, for the length of one call. An error ends its transaction and comes out as StoreError."""
        with self.lock:
            try:
                yield self._ready()
            except sqlite3.Error as error:
                told = store_error(error, self.path, doing)
                if told.kind == "failed":
                    self._drop()
                raise told from error
            finally:
                if self._db is not None and self._db.in_transaction:
                    self._undo(self._db)

    def release(self) -> None:
        """Close the connection; the next use opens it anew."""
        with self.lock:
            self._release()

    def distrust(self) -> None:
        """The same file failed in other hands: mend it before its next use."""
        with self.lock:
            self._drop()

    def close(self) -> None:
        """For good."""
        with self.lock:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            db.close()

    def _ready(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError("failed", f"{self.path}: is closed")
        if self._db is None:
            self._db = self._connect()
        if self._sick:
            if self.mode in ("write", "sweep"):
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy:
                    raise StoreError("busy", f"{self.path}: cannot mend it while another program reads it")
            self._sick = False
        return self._db

    def _drop(self) -> None:
        self._sick = True
        self._release()

    def _undo(self, db: sqlite3.Connection) -> None:
        try:
            db.rollback()
        except sqlite3.Error:
            self._drop()  # closing it ends the transaction as well

    def _connect(self) -> sqlite3.Connection:
        limits = self._limits
        if self.mode == "outside":
            return self._connect_outside()
        db = _open(self.path, "mode=rwc" if self.mode == "write" else "mode=rw", limits)
        try:
            self._recognise(db)
            if self.mode == "write":
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of effect in an empty file only
            said = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if said != "wal":
                raise StoreError(
                    "failed",
                    f"{self.path}: its file system cannot do write-ahead logs (journal_mode {said}); "
                    "expected a local disk, not a network share",
                )
            synchronous = "OFF" if not limits.fsync else "NORMAL" if self.mode == "sweep" else "FULL"
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute(f"PRAGMA wal_autocheckpoint = {limits.wal_octets_max // 4096}")
            db.execute(f"PRAGMA journal_size_limit = {limits.wal_octets_max}")
            # Texts are wiped, not only unlinked: from the history when their parts come to rest, from the journal with
            # each trim. That doubles what a trim writes (20 ms instead of 11 for 6 MB) and slows no append.
            db.execute("PRAGMA secure_delete = ON")
            if self.shape == HISTORY:
                db.execute(f"PRAGMA cache_size = {-(limits.history_cache_octets >> 10)}")
            if self.mode == "write":
                db.execute("BEGIN IMMEDIATE")  # SQLite opens a file it may not write without a word
                db.rollback()
            elif self.mode == "read":
                db.execute("PRAGMA query_only = ON")
        except BaseException:
            db.close()
            raise
        return db

    def _recognise(self, db: sqlite3.Connection) -> None:
        """Before anything is written to it: is it empty, or ours?"""
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != self.shape.application_id and (tables or application_id):
            raise StoreError(
                "failed",
                f"{self.path}: is a SQLite database of something else (application_id {application_id:#x}); "
                f"expected a smsroute {self.shape.name}",
            )

    def _connect_outside(self) -> sqlite3.Connection:
        if not self.path.exists():
            raise StoreError("failed", f"{self.path}: does not exist; expected the store of an engine that ran once")
        wal = Path(f"{self.path}-wal")
        db = _open(self.path, "mode=ro", self._limits)
        try:
            self._recognise(db)
        except sqlite3.OperationalError:
            db.close()
            # Reading beside a log takes a shared file in the folder. Without the right to make it, and without a log,
            # the file alone is the whole truth.
            if wal.exists() and wal.stat().st_size:
                raise
            db = _open(self.path, "mode=ro&immutable=1", self._limits)
        except BaseException:
            db.close()
            raise
        return db


def _open(path: Path, how: str, limits: StoreLimits) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"file:{quote(str(path))}?{how}",
        uri=True,
        isolation_level=None,  # transactions are ours to begin
        check_same_thread=False,  # File.lock sees to it
        timeout=limits.busy_timeout_s,
        cached_statements=32,
    )
    db.execute("PRAGMA temp_store = MEMORY")  # texts of messages never reach a file beside ours
    return db


# -- the schema --------------------------------------------------------------------------------------------------------


def version(file: File) -> int:
    """The schema version of a file, 0 when it is empty. Raises StoreError when it is too new."""
    with file.use("read its schema version") as db:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return 0
        found = int(meta(db, "schema_version"))
    if found > SCHEMA_VERSION:
        raise StoreError(
            "failed",
            f"{file.path}: was written by a newer smsroute (schema version {found}); this one knows up to "
            f"{SCHEMA_VERSION}: run the newer one, or restore the copy made before the upgrade",
        )
    return found


def bring_up(file: File, found: int, store_id: str | None = None) -> None:
    """Take a file from schema version `found` to ours. A new one is named `store_id`, or by SQLite's dice."""
    for step in range(found + 1, SCHEMA_VERSION + 1):
        script = (SCHEMA / f"{file.shape.name}_{step}.sql").read_text(encoding="utf-8")
        with file.use(f"bring it to schema version {step}") as db:
            db.executescript(f"BEGIN IMMEDIATE; {script}")
            db.execute(f"PRAGMA application_id = {file.shape.application_id}")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (step,))
            db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', coalesce(?, hex(randomblob(8))))", (store_id,))
            db.execute("COMMIT")


def meta(db: sqlite3.Connection, key: str) -> str:
    """A value of the meta table, "" when there is none."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])


# -- the folder --------------------------------------------------------------------------------------------------------


def make_folder(directory: Path) -> None:
    """Make the store's folder, for this user's eyes alone, durably. Raises StoreError."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700)
            _sync(path.parent)
        if not directory.is_dir():
            raise StoreError("failed", f"{directory}: is a file; expected a folder to keep the store in")
    except OSError as error:
        raise StoreError(
            "failed",
            f"{directory}: cannot make the store's folder: {error.strerror} ({error.filename}); expected a place where "
            f"user {os.geteuid()} may write",
        ) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_lock(directory: Path, node: str) -> int:
    """Lock the store against a second engine until the returned descriptor is closed; the kernel lets go of it when the
    process dies, however it dies. Raises StoreError, which names the holder."""
    path = directory / LOCK_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            "failed",
            f"{path}: cannot open the lock file: {error.strerror}; expected a folder in which user {os.geteuid()} "
            "may write",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"node {node}, process {os.getpid()} on {os.uname().nodename}".encode(), 0)
    except BlockingIOError:
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "an engine that is just starting"
        os.close(handle)
        raise StoreError("busy", f"{directory}: is in use by {holder}; expected one engine a store") from None
    except OSError as error:
        os.close(handle)
        raise StoreError(
            "full" if error.errno == errno.ENOSPC else "failed", f"{path}: cannot lock: {error.strerror}"
        ) from error
    return handle
