"""registered_delivery, bit by bit (SMPP 3.4 section 5.2.17). esmes/accept.py, esmes/notes.py, between.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, encode, parse_sm, pdu, tlv
from tests.carriers.mouth import HANDSET, MUTE, says, text
from tests.esmes.test_commands import KIND, bound
from tests.house import House, Raw, house
from tests.spied import submits

Clock = trio.testing.MockClock
FAILS = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1", outcomes="UNDELIV")
FINAL, NOTICES = 0x01, 0x10


def wanting(registered_delivery: int) -> bytes:
    """A submit_sm that asks for this."""
    return build_sm(
        source_addr="SHOP",
        source_addr_ton=5,
        destination_addr=HANDSET,
        short_message=b"hello",
        registered_delivery=registered_delivery,
    )


async def taken(it: House, raw: Raw, registered_delivery: int, n: int = 2) -> Part:
    """A part the carrier took."""
    status, message_id = await raw.submit(wanting(registered_delivery), n)
    assert status == 0
    await trio.sleep(1)
    return it.engine.ledger.parts[message_id]


async def heard(raw: Raw, seconds: float, *, status: int = 0) -> list[tuple[int, str, bytes]]:
    """(esm_class, stat word, message_state) of each deliver_sm that comes in so many seconds; what it is answered."""
    found = []
    with trio.move_on_after(seconds):
        while True:
            command_id, _, number, body = await raw.pdu()
            if command_id == names.DELIVER_SM:
                said = parse_sm(body)
                word = said.short_message.partition(b"stat:")[2][:7].decode()
                found.append((said.esm_class, word, tlv(said.tlv, names.MESSAGE_STATE) or b""))
                await raw.send(pdu(names.DELIVER_SM_RESP, status, number, b"\0"))
            elif command_id == names.ENQUIRE_LINK:
                await raw.send(pdu(names.ENQUIRE_LINK | 0x80000000, 0, number))
    return found


class TestFinal:
    @pytest.mark.parametrize("bits", [0, 1, 2, 3])
    @pytest.mark.parametrize("delivered", [True, False])
    async def test_which_ends_are_told(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, bits: int, delivered: bool
    ) -> None:
        """0 none, 1 all, 2 failures only, 3 successes only; the carrier is asked for all where we have to know."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND if delivered else FAILS}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            status, message_id = await raw.submit(wanting(bits), 2)
            assert status == 0
            told = [one[1] for one in await heard(raw, 10)]
            wished = bits == 1 or (bits == 2 and not delivered) or (bits == 3 and delivered)
            assert told == (["DELIVRD" if delivered else "UNDELIV"] if wished else [])
            assert [one.registered_delivery for one in sent] == [1 if bits else 0]
            assert it.engine.ledger.parts[message_id].at_rest

    @pytest.mark.parametrize("bits", [0x04, 0x08, 0x0C, 0x0D, 0x0E])
    async def test_acks_of_the_handset(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, bits: int
    ) -> None:
        """Bits 3 and 2 ask the handset, not us: they reach the carrier as they are, whatever the others become."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            await raw.submit(wanting(bits), 2)
            await trio.sleep(1)
            assert [one.registered_delivery & 0x0C for one in sent] == [bits & 0x0C]
            assert [one.registered_delivery & 3 for one in sent] == [1 if bits & 3 else 0]


class TestOnTheWay:
    async def test_told_once_and_before_the_end(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bit 4: a carrier's ENROUTE is an intermediate notification (esm_class 0x20), told once however often it is
        said; the receipt follows at the end."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            part = await taken(it, raw, FINAL | NOTICES)
            assert [one.registered_delivery for one in sent] == [FINAL | NOTICES]
            name = part.attempts[0].carrier_message_id
            for _ in range(3):
                says(it, text(name, "ENROUTE"))
                await trio.sleep(1)
            assert await heard(raw, 5) == [(0x20, "ENROUTE", b"\1")]
            says(it, text(name, "ACCEPTD"))
            assert await heard(raw, 5) == [(0x20, "ACCEPTD", b"\6")]
            assert part.state == State.SUBMITTED
            says(it, text(name, "DELIVRD"))
            assert await heard(raw, 5) == [(0x04, "DELIVRD", b"\2")]
            says(it, text(name, "ENROUTE"))
            assert await heard(raw, 5) == []

    async def test_nobody_asked(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Without the bit it is a fact of the story and no more; so is a word that says nothing, with it."""
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            silent, part = await taken(it, raw, FINAL), await taken(it, raw, FINAL | NOTICES, 3)
            says(it, text(silent.attempts[0].carrier_message_id, "ENROUTE"))
            for word in ("UNKNOWN", "GOBBLED"):
                says(it, text(part.attempts[0].carrier_message_id, word))
            assert await heard(raw, 5) == []
            assert len(silent.facts) == 1
            assert len(part.facts) == 2

    async def test_notices_without_a_final_receipt(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bit 4 alone: we ask the carrier for the end all the same, or would not know when to stop; nobody is told."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            part = await taken(it, raw, NOTICES)
            assert [one.registered_delivery for one in sent] == [FINAL | NOTICES]
            says(it, text(part.attempts[0].carrier_message_id, "ENROUTE"))
            assert await heard(raw, 5) == [(0x20, "ENROUTE", b"\1")]
            says(it, text(part.attempts[0].carrier_message_id, "DELIVRD"))
            assert await heard(raw, 5) == []
            assert (part.state, part.at_rest) == (State.DELIVERED, True)

    async def test_it_waits_for_its_esme(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Owed until the ESME answers for it, over a restart (law 4); only the newest word, and none after the end."""
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it)
            part, over = await taken(it, raw, FINAL | NOTICES), await taken(it, raw, FINAL | NOTICES, 3)
            for word in ("ENROUTE", "ACCEPTD"):
                says(it, text(part.attempts[0].carrier_message_id, word))
                await trio.sleep(0.5)
            for word in ("ENROUTE", "DELIVRD"):
                says(it, text(over.attempts[0].carrier_message_id, word))
                await trio.sleep(0.5)
            await trio.sleep(3)  # past a checkpoint
            assert list(it.engine.ledger.outboxes["acme"].notices) == [part.part_id]
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_RECEIVER)
            assert sorted(await heard(raw, 5)) == [(0x04, "DELIVRD", b"\2"), (0x20, "ACCEPTD", b"\6")]
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_RECEIVER)
            assert await heard(raw, 5) == []

    async def test_an_answer_that_passes(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Refused for now, it comes again; for good, it is given up with the reason; the receipt still comes."""
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            part = await taken(it, raw, FINAL | NOTICES)
            says(it, text(part.attempts[0].carrier_message_id, "ENROUTE"))
            again = await heard(raw, 8, status=names.ESME_RTHROTTLED)
            assert len(again) > 1
            assert await heard(raw, 60, status=names.ESME_RX_R_APPN) == [(0x20, "ENROUTE", b"\1")]
            assert any("notice not taken by acme: acme answered ESME_RX_R_APPN" in fact for fact in part.facts)
            assert await heard(raw, 60) == []
            says(it, text(part.attempts[0].carrier_message_id, "UNDELIV", "001"))
            assert await heard(raw, 5) == [(0x04, "UNDELIV", b"\5")]

    async def test_a_session_that_dies_with_it(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Unanswered when its session died, it goes to the next one."""
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            part = await taken(it, raw, FINAL | NOTICES)
            says(it, text(part.attempts[0].carrier_message_id, "ENROUTE"))
            assert (await raw.pdu())[0] == names.DELIVER_SM
            await raw.stream.aclose()
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            assert await heard(raw, 5) == [(0x20, "ENROUTE", b"\1")]

    async def test_version_3_3(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A 3.3 client gets the text, and no TLV (quirks S26)."""
        async with house(tmp_path, carriers={"orange": MUTE}) as it:
            raw = await it.dial()
            fields = {"system_id": "acme", "password": "secret", "system_type": "", "interface_version": 0x33}
            fields |= {"addr_ton": 0, "addr_npi": 0, "address_range": ""}
            await raw.send(encode(names.BIND_TRANSCEIVER, fields, sequence_number=1))
            assert (await raw.pdu())[1] == 0
            part = await taken(it, raw, FINAL | NOTICES)
            says(it, text(part.attempts[0].carrier_message_id, "ENROUTE"))
            assert await heard(raw, 5) == [(0x20, "ENROUTE", b"")]

    async def test_of_a_message_told_of_as_one(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Under the id of its first part only."""
        esmes = 'acme: {password: {plain: "secret"}, receipts: message}'
        async with house(tmp_path, carriers={"orange": MUTE}, esmes=esmes) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            ids = []
            for number in (1, 2):
                text_of = bytes((5, 0, 3, 9, 2, number)) + b"hello"
                body = build_sm(
                    destination_addr=HANDSET, esm_class=0x40, short_message=text_of, registered_delivery=0x11
                )
                ids.append((await raw.submit(body, number + 1))[1])
            await trio.sleep(1)
            parts = [it.engine.ledger.parts[one] for one in ids]
            for part in parts:
                says(it, text(part.attempts[0].carrier_message_id, "ENROUTE"))
            *_, number, body = await raw.pdu()
            assert f"id:{ids[0]}".encode() in body
            await raw.send(pdu(names.DELIVER_SM_RESP, 0, number, b"\0"))
            assert await heard(raw, 5) == []
