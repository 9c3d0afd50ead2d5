"""The default store: a folder with journal.db (facts, fsync'ed before they are true) and history.db (checkpoints).

Rules:
- Two files, so that the long transaction of a checkpoint never makes an accept wait for a lock.
- One engine a folder: a lock file the kernel holds. Readers come and go beside it, also when no engine runs.
- `append` has three ends: durable; certainly not there; or SQLite raised and the row may be there: then the file is
  opened anew to look, and whatever is appended next under this number replaces it.

Walk: `open_store` from `cli/serve` and the tests' worlds; `open_reader` from `cli/trace` and the export. Files and
their failures: `store/sqlite_file`. The SQL of messages:
`store/history`; of decisions: `store/decisions`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from smsroute.message import Backlog, OwedPage, Part, Receipted
from smsroute.store import decisions, history, owed
from smsroute.store.base import Checkpoint, Counts, DecisionRow, Owner, Page, Recovered, Sample, StoreError, StoreLimits
from smsroute.store.sqlite_file import (
    HISTORY,
    JOURNAL,
    SCHEMA_VERSION,
    File,
    Mode,
    Shape,
    bring_up,
    make_folder,
    meta,
    take_lock,
    version,
)

SCHEME: Final = "sqlite"


def open_store(
    url: str, node: str = "", limits: StoreLimits | None = None, relative_to: Path | None = None
) -> SqliteStore:
    """The store at `sqlite:FOLDER`, for its one engine `node`; made when it is not there.

    A relative FOLDER counts from `relative_to`, the config folder. Raises StoreError: "busy" when another engine has it
    open, "failed" for a place or a file that will not do, each with what, where and what was expected.
    """
    return SqliteStore(_folder(url, relative_to), node, limits or StoreLimits())


def open_reader(url: str, limits: StoreLimits | None = None, relative_to: Path | None = None) -> SqliteReader:
    """The store at `sqlite:FOLDER`, to look at, whether its engine runs or not. Raises StoreError."""
    reader = SqliteReader(_folder(url, relative_to), "outside", limits or StoreLimits())
    try:
        reader.check()
    except BaseException:
        reader.close()
        raise
    return reader


def _folder(url: str, relative_to: Path | None) -> Path:
    scheme, colon, folder = url.partition(":")
    if scheme != SCHEME or not colon or not folder:
        raise StoreError("failed", f"store {url!r}: expected sqlite:FOLDER, such as sqlite:var/smsroute")
    return Path(os.path.abspath((relative_to or Path()) / folder))


class SqliteReader:
    """See base.Reader."""

    def __init__(self, directory: Path, mode: Mode, limits: StoreLimits) -> None:
        self.directory = directory
        self._mode: Mode = mode
        self._limits = limits
        self._shelf = File(directory, HISTORY, mode, limits)

    def check(self) -> None:
        """Raises StoreError when the files are not a store this version can read."""
        found = version(self._shelf)
        if not found:
            raise StoreError("failed", f"{self._shelf.path}: is empty; expected the store of an engine that ran once")
        if found < SCHEMA_VERSION:
            raise StoreError(
                "failed",
                f"{self._shelf.path}: was written by an older smsroute (schema version {found}); this one reads "
                f"{SCHEMA_VERSION}: start its engine once, which brings the store up, or ask with the older one",
            )

    def recover(self) -> Recovered:
        journal = File(self.directory, JOURNAL, self._mode, self._limits)
        rows = _rows(journal)
        next(rows)  # the journal's instant comes first: what is cut from it later is in the history read next
        checkpoint: Checkpoint | None = None
        backlogs: dict[str, Backlog] = {}
        with self._shelf.use("read the checkpoint") as db:
            db.execute("BEGIN")
            found = db.execute("SELECT through, state FROM checkpoint").fetchone()
            if found is not None:
                through, state = found
                kept = db.execute("SELECT part_id, packed FROM open ORDER BY part_id").fetchall()
                checkpoint = Checkpoint(through, kept, (), (), state)
                backlogs = owed.backlogs(db)
        behind = _behind(rows, 0 if checkpoint is None else checkpoint.through)
        return Recovered(checkpoint, behind, str(journal.path), backlogs)

    def story(self, part_id: str) -> Part | None:
        with self._shelf.use(f"read part {part_id}") as db:
            return history.story(db, part_id)

    def find(self, carrier: str, keys: Sequence[str]) -> dict[str, Owner]:
        with self._shelf.use(f"look up {len(keys)} ids of {carrier}") as db:
            return history.find(db, carrier, keys)

    def finished_since(self, ended_at: float, part_id: str, limit: int) -> list[Part]:
        where = "WHERE (ended_at, part_id) > (?, ?) AND ended_at > 0 ORDER BY ended_at, part_id LIMIT ?"
        with self._shelf.use("read what ended") as db:
            return history.parts(db, where, (ended_at, part_id, limit))

    def addressed(self, numbers: Sequence[str], since: float, until: float, limit: int) -> list[Part]:
        with self._shelf.use("look up a number") as db:
            db.execute("BEGIN")
            return history.addressed(db, numbers, since, until, limit)

    def page(self, after: str, before: str, since: float, until: float, rows: int) -> Page:
        with self._shelf.use("read a page of messages") as db:
            db.execute("BEGIN")
            return history.page(db, (after, before), (since, until), rows)

    def orphans(self) -> list[Receipted]:
        with self._shelf.use("read the parked receipts") as db:
            return history.orphans(db)

    def void_ids(self) -> list[tuple[str, str]]:
        with self._shelf.use("read the ids that name nothing") as db:
            return history.void_ids(db)

    def sample(self, since: float, until: float, limit: int) -> Sample:
        with self._shelf.use("read a sample of the messages") as db:
            db.execute("BEGIN")
            return history.sample(db, since, until, limit)

    def owed(self, esme: str, behind: int, through: int, limit: int) -> OwedPage:
        try:
            with self._shelf.use(f"read what {esme} is owed") as db:
                return owed.page(db, esme, behind, through, limit)
        except msgspec.DecodeError as error:
            raise StoreError(
                "failed", f"{self._shelf.path}: table owed, rows of {esme} behind {behind} hold no parts: {error}"
            ) from error

    def owed_among(self, part_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        step = self._limits.rows_per_statement
        with self._shelf.use("look up what is owed") as db:
            for start in range(0, len(part_ids), step):
                found |= owed.among(db, part_ids[start : start + step])
        return found

    def decisions(self, since: float, until: float, limit: int) -> list[DecisionRow]:
        with self._shelf.use("read the decisions") as db:
            return decisions.between(db, since, until, limit)

    def decisions_at(self, route: str, message_class: int, at: float) -> list[DecisionRow]:
        with self._shelf.use(f"read the decisions of route {route}") as db:
            return decisions.standing(db, route, message_class, at)

    def counts(self, ended_since: float = 0.0) -> Counts:
        with self._shelf.use("count") as db:
            db.execute("BEGIN")
            (still_open,) = db.execute("SELECT count(*) FROM open").fetchone()
            ended = db.execute(
                "SELECT state, count(*) FROM message WHERE ended_at > 0 AND ended_at >= ? GROUP BY state",
                (ended_since,),
            ).fetchall()
            through = _through(db)
        return Counts(still_open, dict(ended), through, max(through, self._last_seq()))

    def close(self) -> None:
        self._shelf.close()

    def _last_seq(self) -> int:
        journal = File(self.directory, JOURNAL, self._mode, self._limits)
        with closing(journal), journal.use("read its last row") as db:
            return _last_seq(db)


class SqliteStore(SqliteReader):
    """See base.Store. The engine's own: holds the folder's lock until `close`."""

    def __init__(self, directory: Path, node: str, limits: StoreLimits) -> None:
        make_folder(directory)
        self._lock = take_lock(directory, node)
        self._files: list[File] = []
        try:
            self._history = self._file(directory, HISTORY, "write", limits)
            self._journal = self._file(directory, JOURNAL, "write", limits)
            self._last, self._through = _pair(self._history, self._journal)
            self._sweeper = self._file(directory, JOURNAL, "sweep", limits)
            super().__init__(directory, "read", limits)
            self._give_back()
        except BaseException:
            self._close_all()
            raise
        self._doubtful = 0  # row that an append left in doubt, if any
        self._fenced = False

    def append(self, seq: int, record: bytes) -> None:
        try:
            with self._journal.use(f"append row {seq}") as db:
                self._refuse_if_fenced()
                assert seq == self._last + 1, f"row {seq} appended after row {self._last}"
                verb = "INSERT OR REPLACE" if seq == self._doubtful else "INSERT"
                db.execute(f"{verb} INTO journal VALUES (?, ?, ?)", (seq, crc32(record), record))
                self._last = seq
        except StoreError as error:
            if error.kind != "failed" or not self._is_there(seq, record):
                raise

    def _is_there(self, seq: int, record: bytes) -> bool:
        """After a failure nobody can read the outcome of: open the file anew and look. A row found is durable then,
        because opening a sick file folds its log into it."""
        self._doubtful = seq
        self._sweeper.release()  # with every connection gone SQLite reads the log afresh, up to the last whole commit
        try:
            with self._journal.use(f"look for row {seq}") as db:
                row = db.execute("SELECT record FROM journal WHERE seq = ?", (seq,)).fetchone()
                if row is None or row[0] != record:
                    return False
                self._last = seq
                return True
        except StoreError:
            return False

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        through = checkpoint.through
        with self._history.use(f"write the checkpoint of row {through}") as db:
            self._refuse_if_fenced()
            assert self._through <= through <= self._last, f"checkpoint of row {through}, journal ends at {self._last}"
            db.execute("BEGIN IMMEDIATE")
            history.write(db, checkpoint, self._limits.rows_per_statement)
            self._refuse_if_fenced()
            db.execute("COMMIT")
            self._through = through

    def trim(self, through: int) -> None:
        assert through <= self._through, f"trim up to row {through}, checkpoint covers {self._through}"
        try:
            while self._cut(through):
                pass
            self._fold(self._sweeper)  # the bulk of it, while appends go on
            self._fold(self._journal)  # and what they added meanwhile: the next one starts the log from its beginning
        except StoreError as error:
            if error.kind == "failed":
                self._journal.distrust()  # the log they share may have lost pages that the next append would lie behind
            raise

    def _cut(self, through: int) -> bool:
        """Delete a few rows; whether there may be more. Appends wait meanwhile: they never meet a locked database."""
        with self._journal.lock, self._sweeper.use("cut its old rows") as db:
            self._refuse_if_fenced()
            first: int | None = db.execute("SELECT min(seq) FROM journal").fetchone()[0]
            if first is None or first > through:
                return False
            last = min(through, first + self._limits.trim_rows - 1)
            db.execute("DELETE FROM journal WHERE seq <= ?", (last,))
            return last < through

    def _give_back(self) -> None:
        """Shorten a journal that is mostly empty: the history was sick for long once. SQLite steps page by page, which
        would hold up a running engine; at a start nobody waits."""
        with self._journal.use("give back its free pages") as db:
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free >= self._limits.vacuum_from_pages:
                db.executescript(f"PRAGMA incremental_vacuum({self._limits.vacuum_pages_max})")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _fold(self, file: File) -> None:
        with file.use("fold its log into it") as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def prune(self, ended_before: float, limit: int) -> int:
        with self._history.use("forget old messages") as db:
            self._refuse_if_fenced()
            db.execute("BEGIN IMMEDIATE")
            gone = history.prune(db, ended_before, limit)
            db.execute("COMMIT")
            return gone

    def keep(self, name: str, blob: bytes) -> None:
        with self._history.use(f"keep {name}") as db:
            self._refuse_if_fenced()
            db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, blob))

    def kept(self, name: str) -> bytes | None:
        with self._history.use(f"read what was kept as {name}") as db:
            row = db.execute("SELECT CAST(blob AS BLOB) FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_decisions(self, rows: Sequence[DecisionRow]) -> None:
        with self._history.use(f"keep {len(rows)} decisions") as db:
            self._refuse_if_fenced()
            db.execute("BEGIN IMMEDIATE")
            decisions.write(db, rows, self._limits.rows_per_statement)
            self._refuse_if_fenced()
            db.execute("COMMIT")

    def prune_decisions(self, before: float, rows_max: int, limit: int) -> int:
        with self._history.use("forget old decisions") as db:
            self._refuse_if_fenced()
            db.execute("BEGIN IMMEDIATE")
            gone = decisions.prune(db, before, rows_max, limit)
            db.execute("COMMIT")
            return gone

    def fence(self) -> None:
        self._fenced = True

    def close(self) -> None:
        super().close()
        self._close_all()

    def _refuse_if_fenced(self) -> None:
        if self._fenced:
            raise StoreError("fenced", f"{self.directory}: another engine owns this store now")

    def _last_seq(self) -> int:
        return self._last

    def _file(self, directory: Path, shape: Shape, mode: Mode, limits: StoreLimits) -> File:
        file = File(directory, shape, mode, limits)
        self._files.append(file)
        return file

    def _close_all(self) -> None:
        for file in self._files:
            file.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _pair(shelf: File, journal: File) -> tuple[int, int]:
    """Make the two files, or make sure that they belong together. Returns (last row, row the checkpoint covers)."""
    of_history, of_journal = version(shelf), version(journal)
    through = 0
    if of_history:
        with shelf.use("read the checkpoint") as db:
            through = _through(db)
    if of_journal and not of_history:
        raise _torn_pair(shelf, journal, "the first is missing")
    if through and not of_journal:
        raise _torn_pair(shelf, journal, "the second is missing")
    bring_up(shelf, of_history)  # first: a journal without a history is never what an interrupted start leaves behind
    with shelf.use("read its name") as db:
        store_id = meta(db, "store_id")
    bring_up(journal, of_journal, store_id)
    with journal.use("read its last row") as db:
        last = _last_seq(db)
        if meta(db, "store_id") != store_id:
            raise _torn_pair(shelf, journal, "they come from two stores")
    if last and last < through:
        raise _torn_pair(shelf, journal, f"the first covers row {through}, the second ends at row {last}")
    return max(last, through), through


def _torn_pair(shelf: File, journal: File, how: str) -> StoreError:
    return StoreError(
        "failed",
        f"{shelf.path} and {journal.path}: {how}; expected the two files of one store, copied at one time: "
        "restore both, or move both away to begin anew",
    )


def _through(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT through FROM checkpoint").fetchone()
    return 0 if row is None else int(row[0])


def _last_seq(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT max(seq) FROM journal").fetchone()
    return int(row[0] or 0)


Rows = Generator[tuple[int, bytes], int, None]


def _behind(rows: Rows, through: int) -> Rows:
    """The rows after `through`. Closing this closes the file."""
    try:
        yield rows.send(through)
    except StopIteration:
        return
    yield from rows


def _rows(journal: File) -> Rows:
    """From the first `next` on, one instant of the journal. Sent the row a checkpoint covers: the rows behind it."""
    with closing(journal), journal.use("read its rows") as db:
        db.execute("BEGIN")
        db.execute("SELECT 1 FROM journal LIMIT 1").fetchone()
        through = yield 0, b""
        expected = through + 1
        behind = "SELECT seq, crc, CAST(record AS BLOB) FROM journal WHERE seq > ? ORDER BY seq"
        for seq, crc, record in db.execute(behind, (through,)):
            if seq != expected:
                raise StoreError("failed", f"{journal.path}: row {expected} is missing, row {seq} follows")
            if crc32(record) != crc:
                raise StoreError(
                    "failed", f"{journal.path}: row {seq} is torn: its checksum does not fit its {len(record)} octets"
                )
            yield seq, record
            expected += 1
