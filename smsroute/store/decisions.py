"""The SQL of recorded decisions in history.db: written in batches, found by time or by route, forgotten by age.

Rules:
- A row is found by route, class, network and time; what the blob holds only `routing.record` knows.
- Everything runs inside the caller's transaction, and reads are bounded by a limit.

Walk: `store/sqlite` calls these; `ops/decisions` writes, `ops/story`, `ops/explain` and `ops/whatif` read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Final

from smsroute.store.base import DecisionRow

_WRITE: Final = "INSERT OR REPLACE INTO decision (at, route, network, class, packed) VALUES "
_WIDTH: Final = 5
_COLUMNS: Final = "at, route, network, class, CAST(packed AS BLOB)"


def write(db: sqlite3.Connection, rows: Sequence[DecisionRow], rows_max: int) -> None:
    """All of them, in statements of up to `rows_max` rows."""
    for start in range(0, len(rows), rows_max):
        some = rows[start : start + rows_max]
        values = chain.from_iterable((row.at, row.route, row.network, row.message_class, row.packed) for row in some)
        marks = ", ".join([f"({', '.join('?' * _WIDTH)})"] * len(some))
        db.execute(_WRITE + marks, list(values))


def between(db: sqlite3.Connection, since: float, until: float, limit: int) -> list[DecisionRow]:
    """Those that stood at any time in [since, until]."""
    found = db.execute(
        f"""
        SELECT * FROM (
            SELECT max(at), route, network, class, CAST(packed AS BLOB) FROM decision WHERE at < ?1
            GROUP BY route, class, network
            UNION ALL
            SELECT {_COLUMNS} FROM decision WHERE at BETWEEN ?1 AND ?2
            ORDER BY 1 DESC LIMIT ?3)
        ORDER BY 1
        """,
        (since, until, limit),
    )
    return [DecisionRow(*row) for row in found.fetchall()]


# SQLite has no skip scan: walk from network to network; else each look reads every row of the route (0.4 s of 50,000).
_STANDING: Final = """
    WITH RECURSIVE found (network) AS (
        SELECT min(network) FROM decision WHERE route = ?1 AND class = ?2
        UNION ALL
        SELECT (SELECT min(network) FROM decision WHERE route = ?1 AND class = ?2 AND network > found.network)
        FROM found WHERE found.network IS NOT NULL)
    SELECT at, route, decision.network, class, CAST(packed AS BLOB)
    FROM found JOIN decision ON route = ?1 AND class = ?2 AND decision.network = found.network AND at = (
        SELECT max(at) FROM decision WHERE route = ?1 AND class = ?2 AND network = found.network AND at <= ?3)
    ORDER BY decision.network
"""


def standing(db: sqlite3.Connection, route: str, message_class: int, at: float) -> list[DecisionRow]:
    """The last of each network at `at`."""
    return [DecisionRow(*row) for row in db.execute(_STANDING, (route, message_class, at)).fetchall()]


def prune(db: sqlite3.Connection, before: float, rows_max: int, limit: int) -> int:
    """Delete up to `limit` that are older, or too many."""
    row = db.execute("SELECT at FROM decision ORDER BY at DESC LIMIT 1 OFFSET ?", (rows_max - 1,)).fetchone()
    oldest = max(before, row[0]) if row is not None else before
    return db.execute(
        "DELETE FROM decision WHERE (route, class, network, at) IN ("
        " SELECT route, class, network, at FROM decision WHERE at < ? ORDER BY at LIMIT ?)",
        (oldest, limit),
    ).rowcount
