"""The SQL of the disk tier of outboxes in history.db: receipts that wait for an ESME, read back in their order.

Rules:
- Everything runs inside the caller's transaction. Only a checkpoint writes; `smsroute/outbox` says why.
- A page is one row to Python, the packed parts one behind the other: each row handed over would wait for the GIL.
- What leaves is written over (`secure_delete` of the file): a receipt quotes a text.

Walk: `store/sqlite` and `store/history` call these; `esmes/pager` and the engine's recovery ask for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from smsroute.message import Backlog, OwedPage, unpack_parts

_DELETE: Final = "DELETE FROM owed WHERE part_id IN (SELECT value FROM json_each(?))"
_TOLD: Final = """
    UPDATE message SET told_at = told.at
    FROM (SELECT json_extract(value, '$[0]') AS part_id, json_extract(value, '$[1]') AS at FROM json_each(?)) AS told
    WHERE message.part_id = told.part_id
"""
_PAGE: Final = """
    SELECT count(*), max(n), CAST(group_concat(packed, '') AS BLOB) FROM (
        SELECT n, packed FROM owed WHERE esme = ? AND n > ? AND n <= ? ORDER BY n LIMIT ?)
"""
_AMONG: Final = "SELECT json_group_array(part_id) FROM owed WHERE part_id IN (SELECT value FROM json_each(?))"


def delete(db: sqlite3.Connection, part_ids: Sequence[str]) -> None:
    """These wait no more."""
    db.execute(_DELETE, (msgspec.json.encode(part_ids).decode(),))


def told(db: sqlite3.Connection, some: Sequence[tuple[str, float]]) -> None:
    """These were answered for at (Unix seconds): their messages tell so."""
    delete(db, [part_id for part_id, _ in some])
    db.execute(_TOLD, (msgspec.json.encode(some).decode(),))


def page(db: sqlite3.Connection, esme: str, behind: int, through: int, limit: int) -> OwedPage:
    """The next of an ESME. Raises msgspec.DecodeError for rows that hold no parts."""
    count, last, packed = db.execute(_PAGE, (esme, behind, through, limit)).fetchone()
    return OwedPage(last, unpack_parts(count, bytes(packed))) if count else OwedPage(0, [])


def among(db: sqlite3.Connection, part_ids: Sequence[str]) -> set[str]:
    """Those of them that wait."""
    (found,) = db.execute(_AMONG, (msgspec.json.encode(part_ids).decode(),)).fetchone()
    return msgspec.json.decode(found, type=set[str])


def backlogs(db: sqlite3.Connection) -> dict[str, Backlog]:
    """How many wait, by ESME."""
    found = db.execute("SELECT esme, count(*), max(n) FROM owed GROUP BY esme").fetchall()
    return {esme: Backlog(rows, last) for esme, rows, last in found}
