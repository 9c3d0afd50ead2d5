"""A store of schema version 4, left when its engine lost power, opened by this one. smsroute/store/sqlite_file.py.

`version_4/` holds its two files as SQL (`sqlite3 FILE .dump`), as the last engine of that version left them: eight
messages, four of which had ended, three of these owed to acme; two parts of a long message and two more that a carrier
took, the last one after the checkpoint; and a receipt of a message nobody knows.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smsroute.engine import recover
from smsroute.ledger import Ledger
from smsroute.message import Accepted, Receipted, State, Told
from smsroute.store.base import Checkpoint
from smsroute.store.sqlite import SqliteStore, open_store

OLD = Path(__file__).parent / "version_4"
APPLICATION_ID = {"history": 1397576520, "journal": 1397576522}  # what a dump does not keep
ENDED = ["0MJUOHS0U00000N1", "0MJUOHS1300000N1", "0MJUOHS1B00000N1"]
UNASKED = "0MJUOHS1I00000N1"
LONG = ["0MJUOHVIN00000N1", "0MJUOHVIV00000N1"]
TAKEN = ["0MJUOHVJ100000N1", "0MJUOHWUH00000N1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old store."""
    for name, application_id in APPLICATION_ID.items():
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as db:
            db.executescript((OLD / f"{name}.sql").read_text(encoding="utf-8"))
            db.execute(f"PRAGMA application_id = {application_id}")
    return tmp_path


def open_old(folder: Path) -> tuple[SqliteStore, Ledger]:
    """As an engine does at its start."""
    store = open_store(f"sqlite:{folder}", "n1")
    ledger = Ledger(orphans_max=10, multiparts_max=10)
    recover(store, ledger)
    return store, ledger


def test_nothing_of_it_is_lost(folder: Path) -> None:
    """What was owed is owed, in its order; what a carrier took waits for its receipt; the receipt nobody knows is
    parked, and what had ended is told of as it was."""
    store, ledger = open_old(folder)
    with closing(store):
        assert list(ledger.outboxes["acme"].owed) == ENDED
        assert [State(ledger.parts[part_id].state).name for part_id in (*ENDED, *LONG, *TAKEN)] == [
            "DELIVERED", "UNDELIVERABLE", "DELIVERED", *["SUBMITTED"] * 4
        ]  # fmt: skip
        assert [orphan.keys for orphan in ledger.orphans.values()] == [["nobody"]]
        assert (ledger.counts.accepted, ledger.last_part_id) == (8, TAKEN[-1])
        story = store.story(UNASKED)
        assert story is not None
        assert (story.state, story.why) == (State.ACCEPTED, "taken by the carrier; no receipt was asked for")


def test_life_goes_on(folder: Path) -> None:
    """Receipts still find their parts, a part of the long message that comes now goes the way the others went, and the
    next checkpoint keeps it all as the new version does."""
    store, ledger = open_old(folder)
    with closing(store):
        for number, part_id in enumerate((*LONG, *TAKEN), 4):
            event = Receipted("orange", 1.8e9, [f"21843e1{number}"], State.DELIVERED, "000", "DELIVRD", "33612345678")
            assert ledger.whose(event) == part_id
            ledger.apply(event)
        ledger.apply(Told(1.8e9, "acme", [*ENDED, *LONG, *TAKEN]))
        key = ledger.parts[LONG[0]].multipart
        way = ledger.multiparts.get(key)
        assert way is not None
        numbers = ("ACME", "33612345678")
        ledger.apply(Accepted("P", 1.8e9, "acme", 2, *numbers, b"x", 1, 1, 2e9, "all", "", key, parts=3, number=3))
        assert way.bind.startswith("orange-1")
        changes = ledger.take()
        messages = [*changes.at_rest, *changes.leaving]
        closed = [part.part_id for part in messages]
        store.checkpoint(Checkpoint(19, changes.open, closed, messages, changes.state, changes.late))
        assert sorted(closed) == sorted([*ENDED, *LONG, *TAKEN])
        stories = [store.story(part_id) for part_id in closed]
        assert all(story is not None and story.told_at == 1.8e9 for story in stories)
    store, ledger = open_old(folder)
    with closing(store):
        assert "P" in ledger.parts
