"""One receipt for a message of several parts: row O9. smsroute/families.py, carriers/departure.py and answers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.message import Part, State
from tests.carriers.test_dialects import ESME, SILENT, TEXT, dialect, named, write
from tests.house import House, house


async def sent(it: House, wants: int = 1) -> list[Part]:
    """The three parts of the only message, as the carrier took them."""
    it.platform(3, parts=3, registered_delivery=wants)
    await trio.sleep(3)
    parts = [part for _, part in sorted(it.engine.ledger.parts.items())]
    assert [(part.message_id, part.parts, part.number) for part in parts] == [
        (parts[0].part_id, 3, number) for number in (1, 2, 3)
    ]
    return parts


async def test_o9_the_last_part_alone_is_asked_and_speaks_for_all(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """`receipts_on: last`: one receipt, and each part is told under its own id."""
    keys = dialect("receipts_on: last")
    async with house(tmp_path, carriers=SILENT, carrier=keys, esmes=ESME) as it:
        parts = await sent(it)
        assert [part.state for part in parts] == [State.SUBMITTED] * 3
        await write(it, TEXT.format(named(parts[2]), "DELIVRD"))
        assert [part.state for part in parts] == [State.DELIVERED] * 3
        assert (it.engine.ledger.counts.told, it.engine.ledger.counts.receipts_of_sisters) == (3, 2)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_o9_any_part_speaks_for_all(tmp_path: Path, autojump_clock: trio.testing.MockClock, which: int) -> None:
    """`receipts_on: any`: whichever comes first; one of a sister that comes after it is a duplicate."""
    keys = dialect("receipts_on: any")
    async with house(tmp_path, carriers=SILENT, carrier=keys, esmes=ESME) as it:
        parts = await sent(it)
        await write(it, TEXT.format(named(parts[which]), "UNDELIV"))
        assert [part.state for part in parts] == [State.UNDELIVERABLE] * 3
        await write(it, TEXT.format(named(parts[which - 1]), "UNDELIV"))
        counts = it.engine.ledger.counts
        assert (counts.told, counts.receipts_duplicate, counts.receipts_of_sisters) == (3, 1, 2)


async def test_o9_each_part_has_its_own(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """By default a receipt speaks for the part it names, and for no other."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(""), esmes=ESME) as it:
        parts = await sent(it)
        await write(it, TEXT.format(named(parts[2]), "DELIVRD"))
        assert [part.state for part in parts] == [State.SUBMITTED, State.SUBMITTED, State.DELIVERED]
