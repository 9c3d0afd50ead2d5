"""A SQLite file made for other people: tables filled once, then indexed and closed.

Rules:
- Nothing here is ours to read again. It is written without a log and without fsync: whoever asked for it throws a
  broken one away.
- As everywhere in this room, what the outside does to it comes out as StoreError.

Walk: `cli/export_files` fills one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from smsroute.store.sqlite_file import store_error


class Sheet:
    """See the module. Every method raises StoreError."""

    def __init__(self, path: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
        """`tables`: name -> column -> its SQLite type. `path` is an empty file, or none yet."""
        self._path = path
        with self._doing("make it"):
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            for table, columns in tables.items():
                rows = ", ".join(f'"{name}" {kind} NOT NULL' for name, kind in columns.items())
                self._db.execute(f"CREATE TABLE {table} ({rows})")
            self._db.execute("BEGIN")

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Add rows, all their columns in order."""
        if rows:
            with self._doing(f"write {len(rows)} rows"):
                self._db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)

    def finish(self, indexes: Sequence[tuple[str, str]]) -> None:
        """Make `indexes`, (table, column) each, and close."""
        with self._doing("index it"):
            self._db.execute("COMMIT")
            for table, column in indexes:
                self._db.execute(f'CREATE INDEX {table}_by_{column} ON {table} ("{column}")')
            self._db.close()

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(error, self._path, what) from error
