"""Ids that say nothing, less than they should, or the same of two messages: rows M10 to M14 of the quirks, end to end.
smsroute/matching.py, carriers/naming.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import Part, State
from smsroute.ops.verbs import Verbs
from smsroute.smpp import names
from smsroute.smpp.session import Session
from tests.carriers.mouth import MUTE, answered, says, submitted, text, tlvs
from tests.carriers.mouth import told as told_in
from tests.house import House, Raw, house

SILENT = {"orange": MUTE}
EXACT = "window: 50, rate: 1000/s, dialect: {ids: exact}"
BY_NUMBER = "window: 50, rate: 1000/s, dialect: {match_by: destination}"
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, id_repeats_max: 4}"
A, B = "33612345678", "33698765432"


async def bound(it: House) -> Raw:
    raw = await it.dial()
    assert await raw.bind() == 0
    return raw


async def taken(it: House, raw: Raw, *numbers: str) -> list[Part]:
    """Parts to these numbers, taken by the carrier in this order."""
    parts = []
    for number in numbers:
        parts.append(await submitted(it, raw, to=number))
        await trio.sleep(0.5)
    assert {part.state for part in parts} == {State.SUBMITTED}
    return parts


def names_them(monkeypatch: pytest.MonkeyPatch, it: House, message_id: str) -> None:
    """The carrier answers every submit with this id."""
    monkeypatch.setattr(it.carriers["orange"]._judge, "response_id", lambda number: message_id)


def odd(it: House) -> dict[str, int]:
    document: dict[str, Any] = Verbs(it.engine).look()
    found: dict[str, int] = document["carriers"][0]["receipts"]["total"]["anomalies"]
    return found


async def test_m10_an_id_that_comes_with_every_message(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names nothing: no receipt that bears it ends a message, not even where the handset fits; health says so."""
    constant = "msg_id_not_implemented"
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        names_them(monkeypatch, it, constant)
        raw = await bound(it)
        parts = await taken(it, raw, *(f"3361234567{n}" for n in range(6)))
        says(it, text(constant, "DELIVRD"), handset=parts[0].destination_addr)
        says(it, text(constant, "UNDELIV"), handset=parts[5].destination_addr)
        assert await told_in(raw, 5) == []
        assert {part.state for part in parts} == {State.SUBMITTED}
        assert (answered(it), odd(it)["constant-id"]) == ((2, 0), 1)
        monkeypatch.undo()
        (fresh,) = await taken(it, raw, A)
        says(it, text(fresh.attempts[0].carrier_message_id, "DELIVRD"), handset=A)
        assert await told_in(raw, 5) == ["DELIVRD"]


@pytest.mark.parametrize("message_id", ["msg_id_not_implemented", ""])
async def test_m10_m11_where_ids_say_nothing_the_handset_does(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, message_id: str
) -> None:
    """`match_by: destination`: a constant or an empty id is taken for sent; a receipt ends the one message that is open
    to its handset, and of two none."""
    async with house(tmp_path, carriers=SILENT, carrier=BY_NUMBER, limits=LIMITS) as it:
        names_them(monkeypatch, it, message_id)
        raw = await bound(it)
        first, second, third = await taken(it, raw, A, B, B)
        says(it, text("whatever", "DELIVRD"), handset=A)
        says(it, text("whatever", "UNDELIV"), handset=B)
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert [part.state for part in (first, second, third)] == [State.DELIVERED, State.SUBMITTED, State.SUBMITTED]


async def test_m11_an_empty_id_counts_as_sent(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken, and nobody else's receipt ends it; it waits for its validity to end."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        names_them(monkeypatch, it, "")
        raw = await bound(it)
        first, second = await taken(it, raw, A, B)
        says(it, text("whatever", "DELIVRD"), handset=A)
        assert await told_in(raw, 5) == []
        assert (first.state, second.state, answered(it)) == (State.SUBMITTED, State.SUBMITTED, (1, 0))
        assert it.carriers["orange"].counts["taken"] == 2


async def test_m12_carriers_never_get_a_submit_multi(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One id in the response and another for each recipient in receipts cannot happen to us."""
    asked: list[int] = []
    send = Session.send_requests

    def spy(self: Session, command_id: int, *args: Any) -> bytes:
        asked.append(command_id)
        return send(self, command_id, *args)

    async with house(tmp_path) as it:
        monkeypatch.setattr(Session, "send_requests", spy)
        await it.settle(it.platform(20))
        assert names.SUBMIT_MULTI not in asked
        assert names.SUBMIT_SM in asked


@pytest.mark.parametrize("known", ["tlv", "text"])
async def test_m13_two_ids_and_only_one_is_known(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, known: str
) -> None:
    """TLV and text name different ids: whichever names a message of this handset is believed."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT) as it:
        raw = await bound(it)
        (part,) = await taken(it, raw, A)
        given = part.attempts[0].carrier_message_id
        in_text, in_tlv = (given, "nobody-gave-it") if known == "text" else ("nobody-gave-it", given)
        says(it, text(in_text, "DELIVRD"), handset=A, tail=tlvs(in_tlv, 2))
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (part.state, len(it.engine.ledger.orphans)) == (State.DELIVERED, 0)


async def test_m14_an_id_given_again_to_another_handset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counter came round while the older message is open: the handset decides, for each of the two."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        names_them(monkeypatch, it, "4294967295")
        raw = await bound(it)
        older, newer = await taken(it, raw, A, B)
        says(it, text("4294967295", "UNDELIV"), handset=A)
        assert await told_in(raw, 5) == ["UNDELIV"]
        assert (older.state, newer.state) == (State.UNDELIVERABLE, State.SUBMITTED)
        says(it, text("4294967295", "DELIVRD"), handset=B)
        assert await told_in(raw, 5) == ["DELIVRD"]
        assert (newer.state, odd(it)["reused-id"]) == (State.DELIVERED, 1)


async def test_m14_an_id_given_again_to_the_same_handset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both open: nobody can tell, so neither ends. The older one ended: the newest is meant."""
    async with house(tmp_path, carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        names_them(monkeypatch, it, "4294967295")
        raw = await bound(it)
        (ended,) = await taken(it, raw, A)
        says(it, text("4294967295", "DELIVRD"), handset=A)
        assert await told_in(raw, 5) == ["DELIVRD"]
        (newest,) = await taken(it, raw, A)
        says(it, text("4294967295", "UNDELIV"), handset=A)
        assert await told_in(raw, 5) == ["UNDELIV"]
        assert (ended.state, newest.state) == (State.DELIVERED, State.UNDELIVERABLE)
    (tmp_path / "two").mkdir()
    async with house(tmp_path / "two", carriers=SILENT, carrier=EXACT, limits=LIMITS) as it:
        names_them(monkeypatch, it, "4294967295")
        raw = await bound(it)
        both = await taken(it, raw, B, B)
        says(it, text("4294967295", "DELIVRD"), handset=B)
        assert await told_in(raw, 5) == []
        assert {part.state for part in both} == {State.SUBMITTED}
        assert len(it.engine.ledger.orphans) == 1
