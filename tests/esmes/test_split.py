"""A text over one part, brought into parts for carriers that want them. smpp/split.py, esmes/accept.py, commands.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import alphabets, names, split, text
from smsroute.smpp.codec import build_sm, build_tlv, encode, parse_sm, tlv
from smsroute.smpp.sm import SubmitSm
from tests.carriers.mouth import MUTE, says
from tests.carriers.mouth import text as words
from tests.esmes.test_as_one import receipts
from tests.esmes.test_commands import FROM, HELD, KIND, SILENT, TO, bound, cancel, query, submit
from tests.esmes.test_replace import replace
from tests.house import House, house
from tests.spied import submits

Clock = trio.testing.MockClock
WANTS = "window: 20, rate: 500/s, submit: {long: %s}"
LONG = (b"0123456789" * 40)[:400]


def payload(said: bytes = LONG, **fields: Any) -> bytes:
    """A submit_sm whose text is a message_payload."""
    tail = fields.pop("tlv", b"") + build_tlv(names.MESSAGE_PAYLOAD, said)
    given = {"source_addr": FROM, "destination_addr": TO, "registered_delivery": 1}
    return build_sm(**{**given, **fields}, tlv=tail)


def _cut(body: bytes, *, wide: bool = False) -> list[SubmitSm]:
    return [parse_sm(one) for one in split.parts(parse_sm(body), 0x1234, wide=wide)]


def _text(part: SubmitSm) -> bytes:
    return part.short_message[1 + part.short_message[0] :]


class TestCutting:
    @pytest.mark.parametrize(
        ("octets", "data_coding", "sizes"),
        [
            (160, 0, [160]), (161, 0, [153, 8]), (306, 0, [153, 153]), (307, 0, [153, 153, 1]),
            (140, 8, [140]), (142, 8, [134, 8]), (268, 8, [134, 134]), (140, 4, [140]), (141, 4, [134, 7]),
            (160, 3, [160]), (161, 3, [153, 8]), (161, 1, [153, 8]), (161, 2, [134, 27]),
        ],
    )  # fmt: skip
    def test_sizes(self, octets: int, data_coding: int, sizes: list[int]) -> None:
        """160 and 153 septets, 140 and 134 octets; what fits one part is none of ours."""
        body = payload(b"a" * octets, data_coding=data_coding)
        assert split.is_long(parse_sm(body)) == (len(sizes) > 1)
        if len(sizes) > 1:
            assert [len(_text(one)) for one in _cut(body)] == sizes

    def test_headers(self) -> None:
        """8 or 16 bits; a port stays in each part; SAR TLVs that say nothing go; the rest is the submit's own."""
        more = build_tlv(0x1400, b"123")
        for wide, head, room in ((False, b"\5\0\3\x34", 153), (True, b"\6\x08\4\x12\x34", 152)):
            found = _cut(payload(tlv=more, service_type="CMT", priority_flag=1, validity_period=""), wide=wide)
            assert [one.short_message[: len(head) + 2] for one in found] == [head + bytes((3, n)) for n in (1, 2, 3)]
            assert b"".join(map(_text, found)) == LONG
            assert len(_text(found[0])) == room
            for one in found:
                assert (one.esm_class, one.tlv, one.service_type, one.priority_flag) == (0x40, more, "CMT", 1)
                assert (one.source_addr, one.destination_addr, one.registered_delivery) == (FROM, TO, 1)
        port = b"\6\x05\4\x0b\x84\x23\xf0"
        found = _cut(payload(port + LONG, esm_class=0x40, data_coding=4))
        assert {one.short_message[:12] for one in found} == {
            b"\x0b" + port[1:] + b"\0\3\x34\4" + bytes((n,)) for n in (1, 2, 3, 4)
        }
        assert [len(one.short_message) for one in found[:3]] == [140] * 3

    def test_a_part_is_left_alone(self) -> None:
        """What names its place in a message was cut by its sender, whatever its size."""
        assert not split.is_long(parse_sm(payload(b"\5\0\3\1\2\1" + LONG, esm_class=0x40)))

    @pytest.mark.parametrize("wide", [False, True])
    @given(said=st.text(min_size=60, max_size=400) | st.text("ab€[]é", min_size=100, max_size=400))
    def test_any_text(self, wide: bool, said: str) -> None:
        """In its shortest alphabet: no part over 140 octets, no character cut, all of it there."""
        data_coding, data = text.encode(said)
        body = payload(data, data_coding=data_coding)
        if not split.is_long(parse_sm(body)):
            return
        found = _cut(body, wide=wide)
        assert b"".join(map(_text, found)) == data
        if data_coding == text.GSM:
            assert "".join(alphabets.decode_gsm(_text(one)) for one in found) == said
        for one in found:
            head = 1 + one.short_message[0]
            if data_coding == text.GSM:
                assert len(alphabets.pack(_text(one), head)) + head <= 140
            else:
                assert len(one.short_message) <= 140
                assert not 0xDC <= _text(one)[0] <= 0xDF

    @given(said=st.text(st.characters(max_codepoint=255), min_size=150, max_size=400))
    def test_latin_1(self, said: str) -> None:
        """Each part fits as GSM septets where that alphabet has the text, as UCS-2 where it has not."""
        data = said.encode("latin-1")
        body = payload(data, data_coding=3)
        found = _cut(body) if split.is_long(parse_sm(body)) else []
        assert b"".join(map(_text, found)) == (data if found else b"")
        for one in found:
            piece = _text(one).decode("latin-1")
            try:
                alphabets.encode_gsm(said)
            except ValueError:
                assert len(piece) * 2 <= 134
            else:
                assert len(alphabets.encode_gsm(piece)) <= 153

    def test_too_long(self) -> None:
        """256 parts cannot be counted in one octet."""
        with pytest.raises(ValueError, match="parts, 255 is the most"):
            _cut(payload(b"a" * 153 * 256))


async def _all(it: House, message_id: str) -> list[Part]:
    return [part for part in it.engine.ledger.parts.values() if part.message_id == message_id]


class TestSending:
    @pytest.mark.parametrize("form", ["udh", "udh16", "sar"])
    async def test_one_id_one_receipt(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        """The carrier gets parts in its own form by one bind (law 8), the platform one id and one receipt for all."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % form, bind="count: 3") as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            message_id = await submit(raw, payload())
            (told,) = await receipts(raw, 20)
            start = rf"id:{message_id} sub:003 dlvrd:003 .* stat:DELIVRD err:000"
            assert re.match(start, told.short_message.decode("latin-1"))
            parts = await _all(it, message_id)
            assert len({part.attempts[0].bind for part in parts}) == 1
            assert [part.part_id == message_id for part in parts] == [True, False, False]
            assert {part.told_at > 0 for part in parts} == {True, False}
            assert all(part.at_rest for part in parts)
        assert len(sent) == 3
        places = [text.concat(one.esm_class, one.short_message, one.tlv) for one in sent]
        assert [place and place[1:] for place in places] == [(3, 1), (3, 2), (3, 3)]
        assert len({place and place[0] for place in places}) == 1
        assert b"".join(one.short_message if form == "sar" else _text(one) for one in sent) == LONG
        assert {tlv(one.tlv, names.MESSAGE_PAYLOAD) for one in sent} == {None}

    async def test_as_it_comes(self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no carrier of its route asks for parts, a payload stays one."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            await submit(raw, payload())
            await trio.sleep(5)
        assert [tlv(one.tlv, names.MESSAGE_PAYLOAD) for one in sent] == [LONG]

    async def test_other_ways_to_say_it(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A short_message over one part and a data_sm are cut alike; a short text in a payload is not."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh") as it:
            raw = await bound(it)
            await submit(raw, build_sm(destination_addr=TO, short_message=LONG[:254]), 2)
            fields = {"source_addr": FROM, "destination_addr": TO}
            await raw.send(encode(names.DATA_SM, fields, ((names.MESSAGE_PAYLOAD, LONG),), sequence_number=3))
            assert (await raw.pdu())[:2] == (names.DATA_SM | 0x80000000, 0)
            await submit(raw, payload(b"short"), 4)
            await trio.sleep(5)
        assert [len(one.user_data()) for one in sent] == [159, 107, 159, 159, 100, 5]

    async def test_no_receipt_asked(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then none of its parts asks for one, and none is waited for."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh") as it:
            raw = await bound(it)
            message_id = await submit(raw, payload(registered_delivery=0))
            await trio.sleep(2)
            assert {part.state for part in await _all(it, message_id)} == {State.ACCEPTED}
        assert [one.registered_delivery for one in sent] == [0, 0, 0]

    async def test_words_on_the_way(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Asked for with a final receipt or without, they are of the first part, whose id its platform knows."""
        async with house(tmp_path, carriers={"orange": MUTE}, carrier=WANTS % "udh") as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            for number, bits in ((2, 0x10), (3, 0x11)):
                message_id = await submit(raw, payload(LONG + b"%d" % number, registered_delivery=bits), number)
                await trio.sleep(1)
                for part in await _all(it, message_id):
                    says(it, words(part.attempts[0].carrier_message_id, "ENROUTE"), handset=TO)
                assert [told.short_message.split()[0] for told in await receipts(raw, 5)] == [
                    b"id:" + message_id.encode()
                ]

    async def test_a_part_that_fails(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """The receipt tells the worst of it."""
        failing = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1", outcomes="UNDELIV")
        async with house(tmp_path, carriers={"orange": failing}, carrier=WANTS % "udh") as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            message_id = await submit(raw, payload())
            (told,) = await receipts(raw, 20)
            assert re.match(rf"id:{message_id} sub:003 dlvrd:000 .* stat:UNDELIV", told.short_message.decode())

    async def test_two_of_them(self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """In one read, to one handset: two messages, each whole, under two references."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh") as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            ids = [await submit(raw, payload(LONG + b"%d" % number), number) for number in (2, 3)]
            assert {told.short_message.split()[0][3:].decode() for told in await receipts(raw, 20)} == set(ids)
        assert len({one.short_message[:5] for one in sent}) == 2

    async def test_over_a_restart(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Held for its date, it is one message still."""
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh") as it:
            raw = await bound(it)
            message_id = await submit(raw, payload(schedule_delivery_time="000000000200000R"))
            await trio.sleep(3)
            assert [part.due_at for part in await _all(it, message_id)] == [
                pytest.approx(it.clock.wall() + 117, abs=2)
            ] * 3
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh") as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            (told,) = await receipts(raw, 150)
            assert re.match(rf"id:{message_id} sub:003 dlvrd:003", told.short_message.decode())

    async def test_too_many(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Over `split_parts_max` it is ESME_RINVMSGLEN, and nothing of it is kept."""
        limits = "{split_parts_max: 2}"
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh", limits=limits) as it:
            raw = await bound(it)
            for number, said in enumerate((LONG, b"a" * 153 * 256), 2):
                assert await raw.submit(payload(said), number) == (names.ESME_RINVMSGLEN, "")
            assert not it.engine.ledger.parts

    @pytest.mark.parametrize("rate", ["rate: 4/s", f"rate: 1000/s, senders: {{{FROM}: 4/s}}"], ids=["all", "sender"])
    async def test_the_rate_counts_parts(self, tmp_path: Path, autojump_clock: Clock, rate: str) -> None:
        """Each part takes one of it, its ESME's and its sender's, and what is short does not hold the message back."""
        esmes = f'acme: {{password: {{plain: "secret"}}, {rate}}}'
        async with house(tmp_path, carriers={"orange": KIND}, carrier=WANTS % "udh", esmes=esmes) as it:
            raw = await bound(it)
            short = build_sm(source_addr=FROM, destination_addr=TO, short_message=b"x")
            await submit(raw, payload(), 2)
            await submit(raw, short, 3)
            assert (await raw.submit(short, 4))[0] == names.ESME_RTHROTTLED
            await trio.sleep(2)
            for number in (5, 6, 7):
                body = build_sm(source_addr=FROM, destination_addr=TO, short_message=b"%d" % number)
                await submit(raw, body, number)
            await submit(raw, payload(LONG + b"again"), 8)


class TestCommands:
    async def test_query_and_cancel(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """It is one message: ENROUTE until all of it has ended; cancelled whole, or not at all; never replaced."""
        carrier = f"{HELD}, submit: {{long: udh}}, response_timeout: 600s"
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=carrier) as it:
            raw = await bound(it)
            gone, held = await submit(raw, payload(), 2), await submit(raw, payload(LONG + b"2"), 3)
            await trio.sleep(1)
            assert await replace(raw, held) == names.ESME_RREPLACEFAIL
            assert await cancel(raw, gone) == names.ESME_RCANCELFAIL
            assert await cancel(raw, held) == 0
            assert {part.state for part in await _all(it, held)} == {State.DELETED}
            assert (await query(raw, held))[1]["message_state"] == names.MessageState.DELETED
            await trio.sleep(35)
            assert it.engine.ledger.parts[gone].state == State.DELIVERED
            said = (await query(raw, gone))[1]
            assert (said["message_state"], said["final_date"]) == (names.MessageState.ENROUTE, "")
            await trio.sleep(35)
            await query(raw, gone)
            await trio.sleep(20)
            assert (await query(raw, gone))[1]["message_state"] == names.MessageState.DELIVERED

    async def test_replace_if_present(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """The newcomer stands in for all parts of the old one, not for its own."""
        carrier = f"{HELD}, submit: {{long: udh}}, response_timeout: 600s"
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=carrier) as it:
            raw = await bound(it)
            await submit(raw, build_sm(source_addr="OTHER", destination_addr=TO), 2)
            await trio.sleep(1)
            old = await submit(raw, payload(replace_if_present_flag=1), 3)
            new = await submit(raw, payload(LONG + b"2", replace_if_present_flag=1), 4)
            assert {part.state for part in await _all(it, old)} == {State.DELETED}
            assert [part.state for part in await _all(it, new)] == [State.DUE] * 3
