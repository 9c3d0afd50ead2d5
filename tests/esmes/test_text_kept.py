"""What stays of a text once its message has ended: text: forget, quote, keep. smsroute/memory.py, esmes/accept.py."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from smsroute.message import State
from smsroute.ops.records import text
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, parse_sm, pdu
from smsroute.store import open_reader
from tests.house import House, Raw, house

WORDS = b"Your code is 4821, keep it to yourself"
SUBMIT = build_sm(source_addr="ACME", destination_addr="33612345678", short_message=WORDS, registered_delivery=1)
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:3")


def esme(text: str) -> str:
    return f'acme: {{password: {{plain: "secret"}}, {text}}}'


async def receipt_of(raw: Raw) -> tuple[bytes, int]:
    """The `text:` of the next receipt, and its sequence number; it is left unanswered."""
    while True:
        command_id, _, sequence_number, body = await raw.pdu()
        if command_id == names.DELIVER_SM:
            return parse_sm(body).short_message.partition(b"err:000 text:")[2], sequence_number


def on_disk(it: House) -> dict[str, bool]:
    """Which tables hold the text."""
    with it.store._history.use("look") as db:
        opened = [row[0] for row in db.execute("SELECT packed FROM open").fetchall()]
        ended = [b64decode(row[0]) for row in db.execute("SELECT body FROM message").fetchall()]
    with it.store._journal.use("look") as db:
        journal = [row[0] for row in db.execute("SELECT record FROM journal").fetchall()]
    tables = {"open": opened, "message": ended, "journal": journal}
    return {table: any(WORDS in octets for octets in rows) for table, rows in tables.items()}


@pytest.mark.parametrize(
    ("words", "quoted", "kept"),
    [
        ("rate: 10/s", b"", False),
        ("text: forget", b"", False),
        ("text: quote", WORDS[:20], False),
        ("text: keep", WORDS[:20], True),
    ],
)
async def test_a_text_lives_as_long_as_its_esme_wants(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, words: str, quoted: bytes, kept: bool
) -> None:
    """Open, it is there; once the state is final no more than the receipt quotes, in memory at once and on the disk
    with the next checkpoint; told, only `keep` leaves it in the history."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=esme(words)) as it:
        raw = await it.dial()
        await raw.bind()
        _, part_id = await raw.submit(SUBMIT)
        await trio.sleep(1.5)
        part = it.engine.ledger.parts[part_id]
        assert part.state == State.SUBMITTED
        assert on_disk(it) == {"open": True, "message": False, "journal": False}
        assert (await receipt_of(raw))[0] == quoted
        assert part.state == State.DELIVERED
        assert (WORDS in part.body) == kept
        await trio.sleep(1.5)
        assert on_disk(it) == {"open": kept, "message": False, "journal": False}
        await raw.stream.aclose()
        again = await it.dial()
        await again.bind()
        platform = it.platform(0)
        await trio.lowlevel.checkpoint()
        del platform
        told_text, sequence_number = await receipt_of(again)
        assert told_text == quoted
        await again.send(pdu(names.DELIVER_SM | 0x80000000, 0, sequence_number, b"\0"))
        await trio.sleep(2.5)
        assert on_disk(it) == {"open": False, "message": kept, "journal": False}
        with closing(open_reader("sqlite:store", relative_to=tmp_path)) as reader:
            told = reader.story(part_id)
        assert told is not None and told.told_at > 0
        assert text([told]) == (WORDS.decode() if kept else "")
