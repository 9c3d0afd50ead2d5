"""The files of `smsroute export`: CSV and SQLite.

Rules:
- A file is written under a name of its own beside the wanted one, for its owner's eyes alone, and takes that name in
  one step once it is whole and on the disk: a broken export never looks whole.
- A CSV cell that a spreadsheet would take for a formula gets an apostrophe before it; a number such as +33612345678 is
  none and stays as it is. `raw` leaves all cells alone, for programs.

Walk: `cli/export` opens one, writes records in batches and closes it.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, TextIO

import msgspec

from smsroute.ops.records import ATTEMPT_COLUMNS, MESSAGE_COLUMNS, Record
from smsroute.store import sheet

_NUMBER: Final = re.compile(r"[+-]?[\d•]+(?:\.\d+)?")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_json: Final = msgspec.json.Encoder()


class Sheet(Protocol):
    """Where records go."""

    def write(self, records: Sequence[Record], texts: Sequence[str]) -> None:
        """These too. `texts`: of each, where texts were asked for; else empty."""


class Csv:
    """One row a message, its attempts as JSON in the last column."""

    def __init__(self, out: TextIO, *, texts: bool, raw: bool) -> None:
        self._rows = csv.writer(out, lineterminator="\n")
        self._raw = raw
        self._rows.writerow((*MESSAGE_COLUMNS, *(("text",) if texts else ()), "attempts_json"))

    def write(self, records: Sequence[Record], texts: Sequence[str]) -> None:
        cells = (lambda values: values) if self._raw else _harmless
        for at, record in enumerate(records):
            text = (texts[at],) if texts else ()
            self._rows.writerow((*cells((*record.message, *text)), _json.encode(record.attempts).decode()))


_KINDS: Final = {
    **dict.fromkeys(("attempts", "parts", "n", "withdrawn", "sent_again", "repeats"), "INTEGER"),
    **dict.fromkeys(("cost", "cost_in_doubt"), "REAL"),
}
_INDEXES: Final = (
    ("message", "message_id"),
    ("message", "accepted_at"),
    ("message", "to"),
    ("attempt", "message_id"),
    ("attempt", "carrier_message_id"),
)


class Sqlite:
    """A table `message` and a table `attempt`, found by id, number and time."""

    def __init__(self, path: Path, *, texts: bool) -> None:
        columns = {"message": (*MESSAGE_COLUMNS, *(("text",) if texts else ())), "attempt": ATTEMPT_COLUMNS}
        kinds = {table: {name: _KINDS.get(name, "TEXT") for name in names} for table, names in columns.items()}
        self._sheet = sheet.Sheet(path, kinds)

    def write(self, records: Sequence[Record], texts: Sequence[str]) -> None:
        self._sheet.insert("message", [(*one.message, *texts[at : at + 1]) for at, one in enumerate(records)])
        tries = [(one.message[0], *msgspec.structs.astuple(tried)) for one in records for tried in one.attempts]
        self._sheet.insert("attempt", tries)

    def close(self) -> None:
        """Its indexes, and the end."""
        self._sheet.finish(_INDEXES)


@contextmanager
def opened(out: str, form: str, *, texts: bool, raw: bool) -> Iterator[Sheet]:
    """The sheet to write to; when the block ends well it is `out` (`-`: stdout). Raises OSError and StoreError."""
    if out == "-":
        yield Csv(sys.stdout, texts=texts, raw=raw)
        return
    path = Path(out)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        if form == "csv":
            with part.open("w", encoding="utf-8", newline="", buffering=1 << 20) as file:
                yield Csv(file, texts=texts, raw=raw)
        else:
            tables = Sqlite(part, texts=texts)
            yield tables
            tables.close()
        _settle(part)
        part.replace(path)
        _settle(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _settle(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _harmless(values: Sequence[object]) -> list[object]:
    return [
        f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) and not _NUMBER.fullmatch(one) else one
        for one in values
    ]
