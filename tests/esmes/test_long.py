"""Long messages in parts, as platforms really send them; classes by priority_flag. esmes/accept.py, families.py."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
import trio

from smsroute.message import MessageClass, Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv
from tests.esmes.test_as_one import LIMITS, receipts
from tests.esmes.test_as_one import part as udh_part
from tests.esmes.test_commands import KIND, bound, submit
from tests.house import House, Raw, house

Clock = trio.testing.MockClock
THREE_BINDS = "mode: transceiver, count: 3"


def sar_part(number: int, total: int = 3, reference: int = 7) -> bytes:
    """A part that names its place in TLVs (section 5.3.2.22 on)."""
    place = ((names.SAR_MSG_REF_NUM, reference, 2), (names.SAR_TOTAL_SEGMENTS, total, 1))
    place += ((names.SAR_SEGMENT_SEQNUM, number, 1),)
    tail = b"".join(build_tlv(tag, value.to_bytes(octets, "big")) for tag, value, octets in place)
    return build_sm(
        source_addr="ACME",
        destination_addr="33612345678",
        registered_delivery=1,
        short_message=b"part %d" % number,
        tlv=tail,
    )


async def ended(it: House, ids: list[str]) -> list[Part]:
    """The parts, some seconds later."""
    await trio.sleep(10)
    return [it.engine.ledger.parts[one] for one in ids]


@pytest.mark.parametrize("in_tlvs", [False, True])
async def test_long_parts_over_different_binds(tmp_path: Path, autojump_clock: Clock, in_tlvs: bool) -> None:
    """Parts of one message that come by three sessions of their ESME are one message: one carrier, one bind (law 8)."""
    carriers = {"orange": KIND, "sfr": KIND}
    async with house(tmp_path, carriers=carriers, bind=THREE_BINDS) as it:
        sessions = [await bound(it) for _ in range(3)]
        ids = []
        for number, raw in enumerate(sessions, 1):
            ids.append(await submit(raw, sar_part(number) if in_tlvs else udh_part(number, 1), number + 1))
        parts = await ended(it, ids)
        assert {part.state for part in parts} == {State.DELIVERED}
        assert {part.message_id for part in parts} == {ids[0]}
        assert len({(part.attempts[0].carrier, part.attempts[0].bind) for part in parts}) == 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_long_parts_in_any_order(tmp_path: Path, autojump_clock: Clock, order: tuple[int, ...]) -> None:
    """Whichever comes first, each is sent as it is, by one bind, and each has its receipt."""
    async with house(tmp_path, bind=THREE_BINDS, carriers={"orange": KIND}) as it:
        raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
        ids = [await submit(raw, udh_part(number, 1), place) for place, number in enumerate(order, 2)]
        told = {one.short_message.split()[0].decode() for one in await receipts(raw, 10)}
        parts = await ended(it, ids)
        assert told == {f"id:{one}" for one in ids}
        assert [part.number for part in parts] == list(order)
        assert {part.message_id for part in parts} == {ids[0]}
        assert len({part.attempts[0].bind for part in parts}) == 1


async def test_long_part_duplicated(tmp_path: Path, autojump_clock: Clock) -> None:
    """A part that comes twice begins another message: each is sent and told of, and two are never made one."""
    async with house(tmp_path, bind=THREE_BINDS, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        ids = [await submit(raw, udh_part(number, 1), place) for place, number in enumerate((1, 2, 2, 3), 2)]
        parts = await ended(it, ids)
        assert {part.state for part in parts} == {State.DELIVERED}
        assert [part.message_id for part in parts[:3]] == [ids[0], ids[0], ids[2]]
        assert parts[3].message_id not in (ids[0], ids[1])


async def test_long_message_never_complete(tmp_path: Path, autojump_clock: Clock) -> None:
    """`parts_missing` later, an ESME that wants one receipt is told UNKNOWN; one that wants each has had them."""
    esmes = 'acme: {password: {plain: "secret"}, receipts: message}\n  each: {password: {plain: "secret"}}'
    async with house(tmp_path, carriers={"orange": KIND}, esmes=esmes, limits=LIMITS) as it:
        one, each = [await bound(it, name, names.BIND_TRANSCEIVER) for name in ("acme", "each")]
        lacking = await submit(one, udh_part(2, 1), 2)
        other = await submit(each, udh_part(1, 1, total=2), 2)
        assert [told.short_message.split()[0].decode() for told in await receipts(each, 10)] == [f"id:{other}"]
        assert await receipts(one, 40) == []
        (told,) = await receipts(one, 60)
        assert f"id:{lacking} sub:003 dlvrd:001".encode() in told.short_message
        assert b"stat:UNKNOWN" in told.short_message


async def test_long_reference_used_again(tmp_path: Path, autojump_clock: Clock) -> None:
    """A client that never changes its reference sends message after message; each is one."""
    async with house(tmp_path, bind=THREE_BINDS, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        ids = [await submit(raw, udh_part(at % 3 + 1, 1), at + 2) for at in range(9)]
        parts = await ended(it, ids)
        assert [part.message_id for part in parts] == [ids[at - at % 3] for at in range(9)]
        for at in (0, 3, 6):
            assert len({part.attempts[0].bind for part in parts[at : at + 3]}) == 1


async def test_long_reference_of_another(tmp_path: Path, autojump_clock: Clock) -> None:
    """The same reference of another sender, or to another handset, is another message (quirks 2.1)."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await bound(it)

        def body(source: str, to: str, number: int) -> bytes:
            text = bytes((5, 0, 3, 7, 2, number)) + b"x"
            return build_sm(source_addr=source, destination_addr=to, esm_class=0x40, short_message=text)

        whose = (("ACME", "33612345678"), ("SHOP", "33612345678"), ("ACME", "33612345679"))
        ids = [await submit(raw, body(*who, number), 2 + at) for at, (number, who) in enumerate(
            (number, who) for number in (1, 2) for who in whose
        )]  # fmt: skip
        parts = await ended(it, ids)
        assert [part.message_id for part in parts] == ids[:3] * 2


async def test_long_message_whose_bind_goes(tmp_path: Path, autojump_clock: Clock) -> None:
    """The rest of a message waits for the bind that has its first part, and takes no other (law 8)."""
    slow = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:60")
    async with house(tmp_path, bind="mode: transceiver, count: 2", carriers={"orange": slow}) as it:
        raw = await bound(it)
        first = await submit(raw, udh_part(1, 1), 2)
        await trio.sleep(1)
        part = it.engine.ledger.parts[first]
        name = part.attempts[0].bind
        (bind,) = [bind for bind in it.engine.binds if bind.name == name]
        assert bind.link is not None
        bind.link.close("a test")
        rest = [await submit(raw, udh_part(number, 1), number + 1) for number in (2, 3)]
        await trio.sleep(40)
        parts = [it.engine.ledger.parts[one] for one in rest]
        assert {one.attempts[-1].bind for one in parts} == {name}


class TestPriority:
    @pytest.mark.parametrize(
        ("service_type", "priority", "meant"),
        [
            ("", 0, MessageClass.INFO),
            ("", 1, MessageClass.INFO),
            ("", 2, MessageClass.ALERT),
            ("", 3, MessageClass.OTP),
            ("PROMO", 3, MessageClass.MARKETING),  # what it is says more than how it shouts
            ("WAP", 3, MessageClass.OTP),
            ("", 200, MessageClass.INFO),
        ],
    )
    async def test_it_names_a_lane(
        self, tmp_path: Path, autojump_clock: Clock, service_type: str, priority: int, meant: MessageClass
    ) -> None:
        """`class_by: {priority_flag: …}`: an account's priorities choose its messages' lanes."""
        by = '{service_type: {PROMO: marketing}, priority_flag: {"2": alert, "3": otp}}'
        esmes = f'acme: {{password: {{plain: "secret"}}, class_by: {by}}}'
        async with house(tmp_path, carriers={"orange": KIND}, esmes=esmes) as it:
            raw = await bound(it)
            assert await _class_of(it, raw, service_type, priority) is meant

    async def test_unasked_it_names_none(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Without it nobody jumps a queue by shouting."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            assert await _class_of(it, await bound(it), "", 3) is MessageClass.INFO


async def _class_of(it: House, raw: Raw, service_type: str, priority: int) -> MessageClass:
    body = build_sm(destination_addr="33612345678", service_type=service_type, priority_flag=priority)
    return MessageClass(it.engine.ledger.parts[await submit(raw, body)].message_class)
