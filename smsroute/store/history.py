"""The SQL between Parts and their rows in history.db: writing a checkpoint in few large statements, and reading back.

Rules:
- Each statement waits for the GIL once (5 ms while the engine's loop is busy), and each row Python handles costs the
  loop time. So rows travel as JSON lines, one parameter each, thousands in one statement, and SQLite takes them apart
  without the GIL. Measured with the loop busy, 1,000 to 5,000 rows a statement: 37,000 to 58,000 parts a second at 2 us
  of the loop's time a part; executemany gets 500 a second.
- The columns of a row are the fields of message.Part and Attempt, by name (tests/store/test_history.py compares them).
- No text of a message is stored here but inside `open`, and where its ESME wants it kept (`text: keep`).

Walk: `store/sqlite` calls `write` and `prune` inside its transactions, the rest for whoever reads.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from base64 import b64decode
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from smsroute.message import Attempt, Part, Receipted, State, unpack_part
from smsroute.store import owed
from smsroute.store.base import FACTS_MAX, Checkpoint, Owner, Page, Sample

FEW: Final = 64
"""Rows of a statement's small form. Each is compiled once, for a fixed number of rows; spare ones are NULL."""

PART_COLUMNS: Final = {                    # column -> field of Part
    "part_id": "part_id",                   "esme": "esme",                "class": "message_class",
    "source_addr": "source_addr",           "destination_addr": "destination_addr",
    "accepted_at": "accepted_at",           "ended_at": "ended_at",        "state": "state",
    "err": "err",                           "why": "why",                  "route": "route",
    "carrier": "carrier",                   "multipart": "multipart",      "wants_receipt": "wants_receipt",
    "expires_at": "expires_at",             "told_at": "told_at",          "facts": "facts",
    "data_coding": "data_coding",           "message_id": "message_id",    "parts": "parts",
    "number": "number",                     "tell": "tell",
}  # fmt: skip
PART_FIELDS_OTHERWISE: Final = {
    "body",                                 # column of that name, in base64, where all of it is kept
    "kept", "text_at", "due_at", "attempts", "session", "whole", "place", "scheduled_at", "notify", "notice",
    "verdict",                              # the facts tell it
}  # fmt: skip

ATTEMPT_COLUMNS: Final = (
    "at", "carrier", "bind", "route", "reason", "responded_at", "blame", "code", "carrier_message_id", "doubted",
    "doubted_at", "withdrawn", "resent", "repeats", "cost", "lead",
)  # fmt: skip
ATTEMPT_FIELDS_OTHERWISE: Final = {
    "key",                                  # column receipt_key: the key, or the id where they are the same
    # Of open parts only; of ended ones the facts tell it.
    "queried_at", "told", "named_at", "told_by", "led",
}  # fmt: skip

_lines: Final = msgspec.json.Encoder()
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def _field(kind: type[Part] | type[Attempt], name: str, path: str = "$") -> str:
    return f"json_extract(column1, '{path}[{kind.__struct_fields__.index(name)}]')"


def _bulk(into: str, columns: Iterable[str], values: Iterable[str], width: int) -> tuple[str, int]:
    return f"INSERT OR REPLACE INTO {into} ({', '.join(columns)}) SELECT {', '.join(values)} FROM ", width


_OPEN: Final = _bulk("open", ("part_id", "packed"), ("column1", "column2"), 2)
_KEPT: Final = f"json_type(column1, '$[{Part.__struct_fields__.index('kept')}]') = 'null'"
_MESSAGE: Final = _bulk(
    "message",
    (*PART_COLUMNS, "body"),
    (
        *(_field(Part, field) for field in PART_COLUMNS.values()),
        f"CASE WHEN {_KEPT} THEN {_field(Part, 'body')} ELSE '' END",
    ),
    1,
)
_OWED: Final = _bulk(
    "owed", ("n", "esme", "part_id", "ended_at", "packed"), ("column1", "column2", "column3", "column4", "column5"), 5
)
_ATTEMPT: Final = _bulk(
    "attempt",
    ("part_id", "n", *ATTEMPT_COLUMNS, "receipt_key"),
    (
        "json_extract(column1, '$[0]')",
        "json_extract(column1, '$[1]')",
        *(_field(Attempt, field, "$[2]") for field in ATTEMPT_COLUMNS),
        f"coalesce(nullif({_field(Attempt, 'key', '$[2]')}, ''), {_field(Attempt, 'carrier_message_id', '$[2]')})",
    ),
    1,
)
_LATE: Final = f"""
    UPDATE message SET facts = (
        SELECT json_group_array(value) FROM (
            SELECT value FROM json_each(message.facts) UNION ALL SELECT value FROM json_each(late.facts)
            LIMIT {FACTS_MAX}))
    FROM (SELECT json_extract(value, '$[0]') AS part_id, json_extract(value, '$[1]') AS facts FROM json_each(?)) AS late
    WHERE message.part_id = late.part_id
"""


def write(db: sqlite3.Connection, checkpoint: Checkpoint, rows_max: int) -> None:
    """The whole checkpoint, inside the caller's transaction, in statements of up to `rows_max` rows."""
    for some in _chunks(checkpoint.closed, rows_max):
        db.execute("DELETE FROM open WHERE part_id IN (SELECT value FROM json_each(?))", (_json(some),))
        owed.delete(db, some)
    _put(db, _OPEN, list(chain.from_iterable(checkpoint.open)), rows_max)
    _put(db, _OWED, list(chain.from_iterable(checkpoint.owed)), rows_max)
    for parts in _chunks(checkpoint.messages, rows_max):
        _put(db, _MESSAGE, _json_lines(parts), rows_max)
        attempts = [(part.part_id, n, attempt) for part in parts for n, attempt in enumerate(part.attempts)]
        _put(db, _ATTEMPT, _json_lines(attempts), rows_max)
    for told in _chunks(checkpoint.told, rows_max):
        owed.told(db, told)
    late: dict[str, list[str]] = {}
    for part_id, fact in checkpoint.late:
        late.setdefault(part_id, []).append(fact)
    if late:
        db.execute(_LATE, (_json(list(late.items())),))
    db.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?)", (checkpoint.through, checkpoint.state))


def _put(db: sqlite3.Connection, bulk: tuple[str, int], values: list[Any], rows_max: int) -> None:
    head, width = bulk
    for start in range(0, len(values), rows_max * width):
        some = values[start : start + rows_max * width]
        rows = FEW if len(some) <= FEW * width else rows_max
        some.extend([None] * (rows * width - len(some)))
        db.execute(_statement(head, width, rows), some)


@functools.cache
def _statement(head: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{head}(VALUES {', '.join([row] * rows)}) WHERE column1 IS NOT NULL"


def _chunks(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _json(value: object) -> str:
    return _without_nul(msgspec.json.encode(value).decode())


def _json_lines(rows: Sequence[object]) -> list[str]:
    return _without_nul(_lines.encode_lines(rows).decode()).split("\n")[:-1]


def _without_nul(text: str) -> str:
    """SQLite's JSON ends a string at U+0000; no address or id may hold one, so whoever sent it sees U+FFFD."""
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


# -- reading back ------------------------------------------------------------------------------------------------------

_SELECT_PART: Final = f"SELECT {', '.join(PART_COLUMNS)}, body FROM message "
_SELECT_ATTEMPTS: Final = f"""
    SELECT part_id, nullif(receipt_key, carrier_message_id), {", ".join(ATTEMPT_COLUMNS)} FROM attempt
    WHERE part_id IN (SELECT value FROM json_each(?)) ORDER BY part_id, n
"""
_BOOLEANS: Final = ("withdrawn", "resent")


def story(db: sqlite3.Connection, part_id: str) -> Part | None:
    """The part, open or finished."""
    row = db.execute("SELECT packed FROM open WHERE part_id = ?", (part_id,)).fetchone()
    if row is not None:
        return unpack_part(row[0])
    found = parts(db, "WHERE part_id = ?", (part_id,))
    return found[0] if found else None


def parts(db: sqlite3.Connection, where: str, values: Sequence[object]) -> list[Part]:
    """Finished parts, in the order `where` asks for."""
    found: dict[str, Part] = {}
    for part_id, *columns, body in db.execute(_SELECT_PART + where, values).fetchall():
        fields = dict(zip(PART_COLUMNS.values(), (part_id, *columns), strict=True))
        fields["facts"] = msgspec.json.decode(fields["facts"])
        found[part_id] = Part(**fields, body=b64decode(body), text_at=0, attempts=[], kept=None if body else b"")
    for part_id, key, *row in db.execute(_SELECT_ATTEMPTS, (_json(list(found)),)).fetchall():
        fields = dict(zip(ATTEMPT_COLUMNS, row, strict=True))
        for name in _BOOLEANS:
            fields[name] = bool(fields[name])
        found[part_id].attempts.append(Attempt(**fields, key=key or ""))
    return list(found.values())


def addressed(db: sqlite3.Connection, numbers: Sequence[str], since: float, until: float, limit: int) -> list[Part]:
    """Parts to these numbers, open or finished, the latest first. An open part is found by its packed octets, which
    SQLite searches without the GIL: a million in 0.7 s, and no index for each checkpoint to keep."""
    marks = ", ".join("?" * len(numbers))
    where = f"WHERE destination_addr IN ({marks}) AND accepted_at >= ? AND accepted_at < ?"
    found = parts(db, where + " ORDER BY accepted_at DESC LIMIT ?", (*numbers, since, until, limit))
    sought = "SELECT packed FROM open WHERE instr(packed, CAST(? AS BLOB))"
    for row in db.execute(sought, (numbers[0],)):
        part = unpack_part(row[0])
        if part.destination_addr in numbers and since <= part.accepted_at < until:
            found.append(part)
    return sorted(found, key=lambda part: part.accepted_at, reverse=True)[:limit]


def page(db: sqlite3.Connection, ids: tuple[str, str], accepted: tuple[float, float], rows: int) -> Page:
    """See base.Reader.page; inside the caller's transaction, so that no part is between `open` and `message`."""
    ends = [
        db.execute(
            f"SELECT part_id FROM {table} WHERE part_id > ? AND part_id < ? ORDER BY part_id LIMIT 1 OFFSET ?",
            (*ids, rows - 1),
        ).fetchone()
        for table in ("message", "open")
    ]
    through = min((end[0] for end in ends if end is not None), default="")
    bounds = (*ids, through or ids[1])
    where = "WHERE part_id > ? AND part_id < ? AND part_id <= ?"
    since, until = accepted
    found = parts(db, where + " AND accepted_at >= ? AND accepted_at < ? ORDER BY part_id", (*bounds, since, until))
    opened = [unpack_part(row[0]) for row in db.execute(f"SELECT packed FROM open {where} ORDER BY part_id", bounds)]
    recent = [part for part in opened if since <= part.accepted_at < until]
    return Page(sorted([*found, *recent], key=lambda part: part.part_id) if recent else found, through)


class _Parked(msgspec.Struct):
    """Of what a ledger keeps beside its parts: the receipts that match nothing yet."""

    orphans: list[Receipted]


class _Ids(msgspec.Struct):
    void: list[tuple[str, str]] = []


class _Void(msgspec.Struct):
    """And of the ids carriers gave."""

    ids: _Ids = msgspec.field(default_factory=_Ids)


_parked: Final = msgspec.msgpack.Decoder(_Parked)
_void: Final = msgspec.msgpack.Decoder(_Void)


def orphans(db: sqlite3.Connection) -> list[Receipted]:
    """Receipts parked in the last checkpoint, the oldest first."""
    row = db.execute("SELECT state FROM checkpoint").fetchone()
    return _parked.decode(row[0]).orphans if row is not None and row[0] else []


def void_ids(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(carrier, id) of ids that name nothing, by the last checkpoint."""
    row = db.execute("SELECT state FROM checkpoint").fetchone()
    return _void.decode(row[0]).ids.void if row is not None and row[0] else []


# One of each ?3, now this one of them, now that (golden ratio): each third part of a platform that sends to three
# networks in turn would show one network alone.
_CHOSEN: Final = "n % ?3 = ((n / ?3 * 2654435761) & 4294967295) * ?3 >> 32"
_OURS: Final = f"state <> {State.RECEIVED.value}"  # what handsets wrote was never routed
_SAMPLED: Final = f"""
    WHERE part_id IN (
        SELECT part_id FROM (
            SELECT part_id, row_number() OVER (ORDER BY part_id) - 1 AS n FROM message
            WHERE ended_at >= ?1 AND accepted_at >= ?1 AND accepted_at < ?2 AND {_OURS})
        WHERE {_CHOSEN})
"""
_SAMPLED_OPEN: Final = f"""
    SELECT packed FROM (SELECT packed, row_number() OVER (ORDER BY part_id) - 1 AS n FROM open) WHERE {_CHOSEN}
"""


def sample(db: sqlite3.Connection, since: float, until: float, limit: int) -> Sample:
    """One of each n parts accepted in [since, until), n so that about `limit` come; ids are in the order of time."""
    (ended,) = db.execute(
        f"SELECT count(*) FROM message WHERE ended_at >= ?1 AND accepted_at >= ?1 AND accepted_at < ?2 AND {_OURS}",
        (since, until),
    ).fetchone()
    (still_open,) = db.execute("SELECT count(*) FROM open").fetchone()
    step = max(1, -(-(ended + still_open) // max(1, limit)))
    found = parts(db, _SAMPLED, (since, until, step))
    opened = [unpack_part(row[0]) for row in db.execute(_SAMPLED_OPEN, (since, until, step)).fetchall()]
    recent = [part for part in opened if since <= part.accepted_at < until and part.state != State.RECEIVED]
    share = len(recent) / len(opened) if opened else 0.0
    return Sample([*found, *recent], ended + round(share * still_open))


_FIND: Final = """
    SELECT json_group_object(receipt_key, json_array(part_id, destination_addr)) FROM (
        SELECT receipt_key, attempt.part_id, max(at), destination_addr
        FROM attempt JOIN message USING (part_id)
        WHERE attempt.carrier = ?1 AND receipt_key <> '' AND receipt_key IN (SELECT value FROM json_each(?2))
        GROUP BY receipt_key)
"""


def find(db: sqlite3.Connection, carrier: str, keys: Sequence[str]) -> dict[str, Owner]:
    """{key: the part of the latest attempt it names}; one row out: one exchange of the GIL however many there are."""
    row = db.execute(_FIND, (carrier, _json(keys))).fetchone()
    return msgspec.json.decode(row[0], type=dict[str, Owner])


def prune(db: sqlite3.Connection, ended_before: float, limit: int) -> int:
    """Delete up to `limit` parts that ended before, inside the caller's transaction."""
    (gone,) = db.execute(
        "SELECT json_group_array(part_id) FROM (SELECT part_id FROM message"
        " WHERE ended_at > 0 AND ended_at < ? ORDER BY ended_at LIMIT ?)",
        (ended_before, limit),
    ).fetchone()
    db.execute("DELETE FROM attempt WHERE part_id IN (SELECT value FROM json_each(?))", (gone,))
    return db.execute("DELETE FROM message WHERE part_id IN (SELECT value FROM json_each(?))", (gone,)).rowcount
