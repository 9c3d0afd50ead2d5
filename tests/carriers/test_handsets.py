"""Messages from handsets reach the ESME that owns the number. smsroute/carriers/handsets.py, routing/owners.py."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio

from smsroute.config import MoRule
from smsroute.message import State
from smsroute.sim.account import Notice
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, parse_sm, pdu
from smsroute.store.base import StoreError
from tests.carriers.mouth import answered
from tests.house import ESME, LIMITS, House, Raw, house

RULES = """
mo:
  - {name: code, to: ["38000"], esme: acme}
"""
HANDSET = "33612345678"


def writes(
    it: House, text: bytes, *, to: str = "38000", source: str = HANDSET, command_id: int = names.DELIVER_SM,
    bind: int = 0, esm_class: int = 0, data_coding: int = 0, tlv: bytes = b"",
) -> bytes:  # fmt: skip
    """A handset writes to a number of ours: the deliver_sm body, on bind number `bind` of orange."""
    body = build_sm(
        source_addr=source, source_addr_ton=1, source_addr_npi=1, destination_addr=to, dest_addr_ton=3,
        esm_class=esm_class, data_coding=data_coding, short_message=text, tlv=tlv,
    )  # fmt: skip
    says(it, body, command_id=command_id, bind=bind)
    return body


def says(it: House, body: bytes, *, command_id: int = names.DELIVER_SM, bind: int = 0) -> None:
    """The carrier orange delivers this body."""
    sim = it.carriers["orange"]
    link = list(sim._links)[bind]
    link.waiting.append(Notice(command_id, body))
    sim._flush(link)


async def bound(it: House) -> Raw:
    """acme, bound as a transceiver."""
    raw = await it.dial()
    assert await raw.bind() == 0
    return raw


async def comes(raw: Raw) -> bytes:
    """The next deliver_sm, answered 0: its body."""
    with trio.fail_after(10):
        command_id, _, sequence_number, body = await raw.pdu()
    assert command_id == names.DELIVER_SM
    await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return body


def refuse_writes(name: str) -> None:
    """A disk that takes nothing."""
    raise StoreError("failed", "no such disk")


async def silent(raw: Raw, seconds: float = 5.0) -> bool:
    """Whether nothing comes for so long."""
    with trio.move_on_after(seconds):
        await raw.pdu()
        return False
    return True


async def test_octet_for_octet(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What a handset writes to a number of an ESME's comes to it octet for octet: header, text and TLVs, known or
    not."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        tail = build_tlv(0x1401, b"\x02vendor") + build_tlv(0x0202, b"x")
        body = writes(it, b"\x06\x05\x04\x0b\x84\x23\xf0hello", esm_class=0x40, data_coding=4, tlv=tail)
        assert await comes(raw) == body
        await trio.sleep(1)
        assert answered(it) == (1, 0)
        assert it.engine.ledger.counts.arrived == it.engine.ledger.counts.told == 1


async def test_whose_it_is(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Each goes to the ESME that owns its number; what nobody owns is refused with ESME_RX_R_APPN, and counted."""
    esmes = ESME + '\n  beta: {password: {plain: "secret"}}'
    mo = RULES + '  - {name: rest, to: ["380*"], esme: beta}\n'
    async with house(tmp_path, mo=mo, esmes=esmes) as it:
        acme, beta = await bound(it), await it.dial()
        assert await beta.bind("beta") == 0
        mine, theirs = writes(it, b"one"), writes(it, b"two", to="38001")
        writes(it, b"three", to="39000")
        assert (await comes(acme), await comes(beta)) == (mine, theirs)
        await trio.sleep(1)
        assert answered(it) == (2, 1)
        assert it.engine.handsets.refused["orange"] == 1
        assert it.engine.handsets.unwanted["orange"].to == "39000"


async def test_answered_only_once_durable(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """While the disk takes nothing the carrier hears nothing, and once it does, all is answered and told (law 3)."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        it.blocking.refuse = refuse_writes
        body = writes(it, b"hello")
        assert await silent(raw, 3.0)
        assert answered(it) == (0, 0)
        it.blocking.refuse = None
        assert await comes(raw) == body
        await trio.sleep(1)
        assert answered(it) == (1, 0)


async def test_it_waits_for_its_esme(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What comes while its ESME is unbound waits, in the order it came, over more than memory holds (law 4), and is
    told when it binds."""
    small = LIMITS[:-1] + ", outbox_memory_max: 10, outbox_page_parts: 5}"
    async with house(tmp_path, mo=RULES, limits=small) as it:
        bodies = [writes(it, b"text %d" % number) for number in range(40)]
        await trio.sleep(5)
        assert answered(it) == (40, 0)
        assert it.engine.ledger.outboxes["acme"].on_disk > 0
        raw = await bound(it)
        assert [await comes(raw) for _ in bodies] == bodies
        await trio.sleep(3)
        assert len(it.engine.ledger.outboxes["acme"]) == 0
        assert it.engine.ledger.counts.told == 40


async def test_over_a_restart(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What was answered before a restart, and not yet told, is told after it, octet for octet and in order."""
    async with house(tmp_path, mo=RULES) as it:
        bodies = [writes(it, b"text %d" % number) for number in range(5)]
        await trio.sleep(3)
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        assert [await comes(raw) for _ in bodies] == bodies
        assert await silent(raw)


async def test_refused_for_now_and_for_good(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An answer that may pass has it told again after a pause; any other is a dead letter with its reason, and no text
    of it is kept."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        body = writes(it, b"hello")
        for status in (names.ESME_RX_T_APPN, names.ESME_RX_R_APPN):
            command_id, _, sequence_number, told = await raw.pdu()
            assert (command_id, told) == (names.DELIVER_SM, body)
            await raw.send(pdu(names.DELIVER_SM_RESP, status, sequence_number, b"\0"))
        assert await silent(raw)
        part = next(iter(it.engine.ledger.parts.values()))
        assert (part.state, part.at_rest) == (State.RECEIVED, True)
        assert it.engine.ledger.outboxes["acme"].why_given_up == "acme answered ESME_RX_R_APPN"
        assert b"hello" not in part.body


async def test_nobody_comes_for_it(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that nobody fetches in `outbox_ttl` is given up, as a receipt is."""
    async with house(tmp_path, mo=RULES, limits=LIMITS[:-1] + ", outbox_ttl: 60s}") as it:
        writes(it, b"hello")
        await trio.sleep(90)
        assert it.engine.ledger.counts.dropped == 1
        assert it.engine.ledger.outboxes["acme"].why_given_up == "nobody came for it in 60 s"


@pytest.mark.parametrize("text", [b"hello", b"x" * 300])
async def test_data_sm(tmp_path: Path, autojump_clock: trio.testing.MockClock, text: bytes) -> None:
    """A data_sm is told as the deliver_sm that says the same: a text that fits goes to short_message, a longer one is
    the TLV it was; its carrier gets a data_sm_resp."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        payload = build_tlv(names.MESSAGE_PAYLOAD, text)
        says(
            it,
            b"\0\x01\x01%b\0\x03\x00%b\0\0\0\x08%b" % (HANDSET.encode(), b"38000", payload),
            command_id=names.DATA_SM,
        )
        sm = parse_sm(await comes(raw))
        assert (sm.source_addr, sm.destination_addr, sm.data_coding) == (HANDSET, "38000", 8)
        assert sm.short_message == (text if len(text) < 255 else b"")
        assert sm.user_data() == text
        await trio.sleep(1)
        assert answered(it) == (1, 0)


async def test_a_session_of_3_3_gets_no_tlv(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Below interface version 3.4 TLVs are left out, and a text in message_payload moves to short_message; one that
    does not fit there is given up with the reason."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await it.dial()
        assert await raw.bind(version=0x33) == 0
        writes(it, b"hello", tlv=build_tlv(0x1401, b"vendor"))
        sm = parse_sm(await comes(raw))
        assert (sm.short_message, sm.tlv) == (b"hello", b"")
        writes(it, b"", tlv=build_tlv(names.MESSAGE_PAYLOAD, b"y" * 254))
        sm = parse_sm(await comes(raw))
        assert (sm.short_message, sm.tlv) == (b"y" * 254, b"")
        writes(it, b"", tlv=build_tlv(names.MESSAGE_PAYLOAD, b"y" * 255))
        writes(it, b"next")
        assert parse_sm(await comes(raw)).short_message == b"next"
        assert it.engine.ledger.outboxes["acme"].why_given_up == (
            "a text of 255 octets in a TLV, and its session speaks 3.3"
        )


async def test_larger_than_its_esme_takes(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """What is larger than the ESME's `pdu_octets_max` is given up with the reason, and holds up nothing behind it."""
    esmes = 'acme: {password: {plain: "secret"}, pdu_octets_max: 512}'
    async with house(tmp_path, mo=RULES, esmes=esmes) as it:
        raw = await bound(it)
        writes(it, b"", tlv=build_tlv(names.MESSAGE_PAYLOAD, b"y" * 600))
        body = writes(it, b"next")
        assert await comes(raw) == body
        assert "its `pdu_octets_max` leaves 496" in it.engine.ledger.outboxes["acme"].why_given_up


KEYWORDS = """
mo:
  - {name: stop, to: ["38000"], keyword: [STOP], esme: beta}
  - {name: code, to: ["38000"], esme: acme}
"""
TWO = ESME + '\n  beta: {password: {plain: "secret"}}'


def part(number: int, text: bytes, reference: int = 7) -> bytes:
    """One of two parts."""
    return bytes((5, 0, 3, reference, 2, number)) + text


async def test_parts_go_where_the_first_went(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Of a message in parts the first has the keyword: the others go where it went, each as it came."""
    async with house(tmp_path, mo=KEYWORDS, esmes=TWO) as it:
        beta = await it.dial()
        assert await beta.bind("beta") == 0
        bodies = [writes(it, part(1, b"stop it"), esm_class=0x40), writes(it, part(2, b" now"), esm_class=0x40)]
        assert [await comes(beta), await comes(beta)] == bodies


async def test_a_part_before_the_first(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A later part that comes first is to come again, where a keyword may decide; once the first part is there it
    follows it."""
    async with house(tmp_path, mo=KEYWORDS, esmes=TWO) as it:
        beta = await it.dial()
        assert await beta.bind("beta") == 0
        second = writes(it, part(2, b" now"), esm_class=0x40)
        await trio.sleep(1)
        assert answered(it) == (0, 1)
        first = writes(it, part(1, b"stop it"), esm_class=0x40)
        assert [await comes(beta), await comes(beta)] == [first, second]


async def test_a_first_part_that_never_comes(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """After `mo_first_part` a later part is no longer sent back: it goes by the rules without a keyword."""
    async with house(tmp_path, mo=KEYWORDS, esmes=TWO, limits=LIMITS[:-1] + ", mo_first_part: 12s}") as it:
        acme = await bound(it)
        second = writes(it, part(2, b" now"), esm_class=0x40)
        assert await silent(acme, 11.0)
        assert await comes(acme) == second


async def test_the_same_twice_is_told_twice(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A handset that says YES twice has said it twice: the first was answered, on a link that is up."""
    async with house(tmp_path, mo=RULES, bind="mode: transceiver, count: 2") as it:
        raw = await bound(it)
        writes(it, b"YES")
        await comes(raw)
        await trio.sleep(1)
        for bind in (0, 1):
            writes(it, b"YES", bind=bind)
            await comes(raw)
            await trio.sleep(2)
        assert it.engine.handsets.repeated["orange"] == 0


async def test_sent_again_by_another_link_before_we_heard_that_the_first_is_dead(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The answer left, its link was cut on the way, and the carrier sends it again by another at once: no handset is so
    quick, so it is told once. By the same link it is another message: there the answer came before it."""
    async with house(tmp_path, mo=RULES, bind="mode: transceiver, count: 2") as it:
        raw = await bound(it)
        writes(it, b"YES")
        await comes(raw)
        await trio.sleep(0.5)
        writes(it, b"YES", bind=1)
        assert await silent(raw)
        assert (it.engine.handsets.repeated["orange"], answered(it)) == (1, (2, 0))
        for _ in range(2):
            writes(it, b"NO")
            await comes(raw)


async def test_sent_again_after_a_lost_link(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that is sent again because the link died before our answer, or around it, is answered again and told once."""
    async with house(tmp_path, mo=RULES, bind="mode: transceiver, count: 2") as it:
        raw = await bound(it)
        it.blocking.refuse = refuse_writes
        writes(it, b"YES")
        await trio.sleep(0.1)
        it.carriers["orange"].drop_links()
        await trio.sleep(3)
        assert (it.engine.handsets.repeated["orange"], answered(it)) == (1, (0, 0)), "the first is not durable yet"
        it.blocking.refuse = None
        await comes(raw)
        assert await silent(raw)
        assert it.engine.handsets.repeated["orange"] == 1
        assert answered(it) == (1, 0)


async def test_sent_again_after_a_late_answer(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that is sent again because our answer left late is answered again and told once; what comes later still, and
    the answer was in time, is another."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        it.blocking.refuse = refuse_writes
        writes(it, b"YES")
        await trio.sleep(20)
        writes(it, b"YES")
        it.blocking.refuse = None
        await comes(raw)
        assert await silent(raw)
        assert (it.engine.handsets.repeated["orange"], answered(it)) == (1, (2, 0))
        writes(it, b"YES")
        await comes(raw)


async def test_sent_again_after_a_restart(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One that was durable just before a restart and comes again after it is told once."""
    async with house(tmp_path, mo=RULES) as it:
        body = writes(it, b"YES")
        await trio.sleep(1)
    async with house(tmp_path, mo=RULES) as it:
        await trio.sleep(1)
        says(it, body)
        await trio.sleep(1)
        assert (it.engine.handsets.repeated["orange"], answered(it)) == (1, (1, 0))
        raw = await bound(it)
        assert await comes(raw) == body
        assert await silent(raw)


async def test_a_text_that_reads_like_a_receipt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A handset may write "id:5 stat:DELIVRD err:000": with `without_esm_class` too it is a message when no
    message of ours has that id (quirks D3)."""
    carrier = "window: 20, rate: 500/s, dialect: {without_esm_class: true}"
    async with house(tmp_path, mo=RULES, carrier=carrier) as it:
        raw = await bound(it)
        body = writes(it, b"id:5 stat:DELIVRD err:000")
        assert await comes(raw) == body
        assert it.engine.ledger.counts.receipts == 0


async def test_an_answer_of_the_recipient(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An acknowledgement that the recipient's side wrote (esm_class 0x08, 0x10) goes to the ESME as it is (quirks
    D1)."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        for esm_class in (0x08, 0x10):
            body = writes(it, b"id:5 stat:DELIVRD", esm_class=esm_class)
            assert await comes(raw) == body


async def test_a_platform_asks_nothing_of_it(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It has no id for a platform: a query_sm with ours is ESME_RINVMSGID."""
    async with house(tmp_path, mo=RULES) as it:
        raw = await bound(it)
        writes(it, b"hello")
        await comes(raw)
        part_id = next(iter(it.engine.ledger.parts))
        await raw.send(pdu(names.QUERY_SM, 0, 9, part_id.encode() + b"\0\0\0\0"))
        command_id, status, _, _ = await raw.pdu()
        assert (command_id, status) == (names.QUERY_SM_RESP, names.ESME_RINVMSGID)


async def test_a_reload_gives_it_to_another(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """After a reload the new rules say whose it is; what waits for its ESME stays there."""
    async with house(tmp_path, mo=RULES, esmes=TWO) as it:
        first = writes(it, b"before")
        await trio.sleep(1)
        it.engine.reload(attrs.evolve(it.engine.config, mo=(MoRule("code", ("38000",), "beta"),)))
        second = writes(it, b"after")
        acme, beta = await bound(it), await it.dial()
        assert await beta.bind("beta") == 0
        assert (await comes(acme), await comes(beta)) == (first, second)


async def test_a_handset_that_is_there_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An alert_notification goes, octet for octet, to one session of the ESME that owns the number it names, if that
    wants any; nobody answers, and what nobody owns goes nowhere."""
    esmes = TWO.replace('acme: {password: {plain: "secret"},', 'acme: {password: {plain: "secret"}, alerts: true,')
    mo = RULES + '  - {name: other, to: ["38001"], esme: beta}\n'
    async with house(tmp_path, mo=mo, esmes=esmes) as it:
        raws = [await bound(it), await bound(it), await it.dial()]
        assert await raws[2].bind("beta") == 0
        for number in ("38000", "38001", "38002"):
            alert = b"\1\1%b\0\0\0%b\0" % (HANDSET.encode(), number.encode()) + build_tlv(0x0422, b"\0")
            link = next(iter(it.carriers["orange"]._links))
            link.send(pdu(names.ALERT_NOTIFICATION, 0, 7, alert))
        first = b"\1\1%b\0\0\x0038000\0" % HANDSET.encode() + build_tlv(0x0422, b"\0")
        command_id, _, _, body = await raws[0].pdu()
        assert (command_id, body) == (names.ALERT_NOTIFICATION, first)
        assert [await silent(raw) for raw in raws] == [True, True, True]
        assert answered(it) == (0, 0)
