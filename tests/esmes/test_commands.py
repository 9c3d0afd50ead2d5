"""query_sm, cancel_sm and data_sm from platforms. smsroute/esmes/commands.py, smsroute/smpp/data.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import PduError, build_sm, decode, encode, parse_sm, pdu
from smsroute.smpp.data import as_submit
from smsroute.smpp.wire import build_tlv, tlv
from smsroute.store.base import StoreError
from tests.house import ESME, House, Raw, house

Clock = trio.testing.MockClock
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")
SILENT = Temperament(response_delay="fixed:30", receipt_delay="fixed:1")
HELD = "window: 1, rate: 1000/s"
TO, FROM = "33612345678", "ACME"
BODY = build_sm(source_addr=FROM, destination_addr=TO, short_message=b"hello", registered_delivery=1)
TWO = f'{ESME}\n  other: {{password: {{plain: "secret"}}}}'


async def ask(raw: Raw, command_id: int, fields: dict[str, Any], number: int = 90) -> tuple[int, dict[str, Any]]:
    """(status, fields) of the answer."""
    await raw.send(encode(command_id, fields, sequence_number=number))
    while True:
        answered, status, sequence_number, body = await raw.pdu()
        if answered in (names.DELIVER_SM, names.ENQUIRE_LINK):
            answer = b"\0" if answered == names.DELIVER_SM else b""
            await raw.send(pdu(answered | 0x80000000, 0, sequence_number, answer))
            continue
        assert (answered, sequence_number) == (command_id | 0x80000000, number)
        return status, decode(pdu(answered, status, sequence_number, body)).fields if body else {}


async def query(raw: Raw, message_id: str, source_addr: str = FROM) -> tuple[int, dict[str, Any]]:
    """query_sm."""
    return await ask(raw, names.QUERY_SM, {"message_id": message_id, "source_addr": source_addr})


async def cancel(raw: Raw, message_id: str = "", source_addr: str = FROM, destination_addr: str = TO) -> int:
    """cancel_sm; the status of its answer."""
    fields = {"message_id": message_id, "source_addr": source_addr, "destination_addr": destination_addr}
    return (await ask(raw, names.CANCEL_SM, fields))[0]


async def bound(it: House, name: str = "acme", command_id: int = names.BIND_TRANSMITTER) -> Raw:
    """A session."""
    raw = await it.dial()
    assert await raw.bind(name, command_id=command_id) == 0
    return raw


async def submit(raw: Raw, body: bytes = BODY, number: int = 2) -> str:
    """An accepted message's id."""
    status, message_id = await raw.submit(body, number)
    assert status == 0
    return message_id


class TestQuery:
    async def test_on_its_way_and_at_its_end(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """ENROUTE without a date until it ends; then the state, and when."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            message_id = await submit(raw)
            enroute = {"message_id": message_id, "final_date": "", "message_state": 1, "error_code": 0}
            assert await query(raw, message_id) == (0, enroute)
            await trio.sleep(5)
            status, said = await query(raw, message_id)
            assert (status, said["message_id"], said["message_state"]) == (0, message_id, names.MessageState.DELIVERED)
            assert len(said["final_date"]) == 16
            assert (await query(raw, message_id, source_addr=""))[0] == 0

    async def test_whose_it_is(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """An id nobody gave, or another ESME's, is ESME_RINVMSGID; another source ESME_RQUERYFAIL."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=TWO) as it:
            raw, other = await bound(it), await bound(it, "other")
            message_id = await submit(raw)
            assert (await query(other, message_id))[0] == names.ESME_RINVMSGID
            assert (await query(raw, "0123456789ABCDEFN1"))[0] == names.ESME_RINVMSGID
            assert (await query(raw, ""))[0] == names.ESME_RINVMSGID
            assert (await query(raw, message_id, source_addr="SHOP"))[0] == names.ESME_RQUERYFAIL

    async def test_out_of_memory(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What has left memory is told from the store; while that cannot be read, ESME_RSYSERR."""

        def refuse(name: str) -> None:
            raise StoreError("failed", "I/O error")

        limits = "{finished_in_memory_max: 0, checkpoint_interval: 1s}"
        async with house(tmp_path, carriers={"orange": KIND}, limits=limits) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            message_id = await submit(raw)
            *_, number, _ = await raw.pdu()
            await raw.send(pdu(names.DELIVER_SM_RESP, 0, number, b"\0"))
            await trio.sleep(10)
            assert message_id not in it.engine.ledger.parts
            status, said = await query(raw, message_id)
            assert (status, said["message_state"]) == (0, names.MessageState.DELIVERED)
            it.blocking.refuse = refuse
            assert (await query(raw, message_id))[0] == names.ESME_RSYSERR
            it.blocking.refuse = None
            await trio.sleep(5)


class TestCancel:
    async def test_while_it_waits(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A message no carrier has is ended: it never leaves, its receipt says DELETED, a second cancel is too late."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            first, second = await submit(raw), await submit(raw, number=3)
            await trio.sleep(1)
            assert it.engine.ledger.parts[second].state == State.DUE
            assert await cancel(raw, second) == 0
            assert it.engine.ledger.parts[second].state == State.DELETED
            assert (await query(raw, second))[1]["message_state"] == names.MessageState.DELETED
            assert await cancel(raw, second) == names.ESME_RCANCELFAIL
            assert list(it.engine.ledger.outboxes["acme"].owed) == [second]
            await trio.sleep(100)
            assert it.carriers["orange"].counts["taken"] == 1
            receiver = await bound(it, command_id=names.BIND_RECEIVER)
            texts = [parse_sm((await receiver.pdu())[3]).short_message for _ in range(2)]
            assert any(b"id:" + second.encode() in text and b"stat:DELETED" in text for text in texts)
            assert first != second

    async def test_too_late(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """With a carrier, in doubt, or at its end: ESME_RCANCELFAIL, and nothing changes."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=f"{HELD}, response_timeout: 5s") as it:
            raw = await bound(it)
            message_id = await submit(raw)
            part = it.engine.ledger.parts[message_id]
            await trio.sleep(1)
            assert part.state == State.ATTEMPTED
            assert await cancel(raw, message_id) == names.ESME_RCANCELFAIL
            await trio.sleep(5)
            assert part.state == State.IN_DOUBT
            assert await cancel(raw, message_id) == names.ESME_RCANCELFAIL
            await trio.sleep(60)
            assert part.state == State.DELIVERED
            assert await cancel(raw, message_id) == names.ESME_RCANCELFAIL
            assert part.state == State.DELIVERED

    async def test_one_that_leaves_meanwhile(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """An attempt written down a moment before the cancel is ahead of it: ESME_RCANCELFAIL, and it is sent."""
        slow = Temperament(response_delay="fixed:5", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": slow}, carrier=HELD) as it:
            raw = await bound(it)
            await submit(raw)
            message_id = await submit(raw, number=3)
            parts, (bind,) = it.engine.ledger.parts, it.engine.binds
            it.blocking.latency_s = (1.0, 1.0)
            with trio.fail_after(20):
                while not bind.reserved:  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.05)
            assert parts[message_id].state == State.DUE
            assert await cancel(raw, message_id) == names.ESME_RCANCELFAIL
            it.blocking.latency_s = (0.0002, 0.003)
            await trio.sleep(20)
            assert parts[message_id].state == State.DELIVERED

    async def test_one_that_was_in_doubt_and_goes_again(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A part that waits to be sent again after an attempt in doubt may be on a handset by now: too late."""
        routes = '- {name: all, to: [""], in_doubt: {default: {resend_after: 1s}}, carriers: [{carrier: orange}]}'
        black = Temperament(response_delay="fixed:3600", receipt_delay="fixed:1")
        carrier = f"{HELD}, response_timeout: 5s"
        async with house(tmp_path, carriers={"orange": black}, carrier=carrier, routes=routes) as it:
            raw = await bound(it)
            message_id = await submit(raw)
            part = it.engine.ledger.parts[message_id]
            it.engine.dispatch.stations["orange"].drained = "a test"
            with trio.fail_after(60):
                while not (part.state == State.DUE and part.attempts and part.attempts[0].doubted):  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.1)
            assert await cancel(raw, message_id) == names.ESME_RCANCELFAIL

    async def test_whose_it_is(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Nobody ends another's message, or one by other addresses than its own."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD, esmes=TWO) as it:
            raw, other = await bound(it), await bound(it, "other")
            await submit(raw)
            message_id = await submit(raw, number=3)
            assert await cancel(other, message_id) == names.ESME_RINVMSGID
            assert await cancel(raw, "0123456789ABCDEFN1") == names.ESME_RINVMSGID
            assert await cancel(raw, message_id, source_addr="SHOP") == names.ESME_RCANCELFAIL
            assert await cancel(raw, message_id, destination_addr="33699999999") == names.ESME_RCANCELFAIL
            assert await cancel(other) == names.ESME_RCANCELFAIL
            assert it.engine.ledger.parts[message_id].state == State.DUE
            assert await cancel(raw, message_id, source_addr="", destination_addr="") == 0

    async def test_all_of_a_kind(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Without an id all that waits from that source to that destination ends, nothing else does."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            ids = [await submit(raw, number=number) for number in range(2, 8)]
            other = await submit(raw, build_sm(source_addr="SHOP", destination_addr=TO), 8)
            await trio.sleep(1)
            assert await cancel(raw) == 0
            states = [it.engine.ledger.parts[one].state for one in ids]
            assert states == [State.ATTEMPTED] + [State.DELETED] * 5
            assert it.engine.ledger.parts[other].state == State.DUE
            assert await cancel(raw) == names.ESME_RCANCELFAIL

    async def test_a_sick_disk(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """While nothing can be written down nothing is cancelled: ESME_RSYSERR, and it waits on."""

        def refuse(name: str) -> None:
            raise StoreError("failed", "I/O error")

        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            await submit(raw)
            message_id = await submit(raw, number=3)
            await trio.sleep(1)
            it.blocking.refuse = refuse
            assert await cancel(raw, message_id) == names.ESME_RSYSERR
            assert it.engine.ledger.parts[message_id].state == State.DUE
            it.blocking.refuse = None
            await trio.sleep(2)
            assert await cancel(raw, message_id) == 0


DATA = {"source_addr": FROM, "destination_addr": TO, "registered_delivery": 1}


class TestDataSm:
    def _as_submit(self, *tlvs: tuple[int, bytes], **fields: object) -> Any:
        body = encode(names.DATA_SM, {**DATA, **fields}, tlvs)[16:]
        return parse_sm(as_submit(body, 1_800_000_000.0))

    def test_text(self) -> None:
        """A text that fits short_message goes there, a longer one stays message_payload; other TLVs go along."""
        more = (0x1400, b"123")
        short = self._as_submit((names.MESSAGE_PAYLOAD, b"x" * 254), more, data_coding=8, esm_class=0)
        assert (short.short_message, short.tlv, short.data_coding) == (b"x" * 254, build_tlv(*more), 8)
        assert (short.source_addr, short.destination_addr, short.registered_delivery) == (FROM, TO, 1)
        long = self._as_submit((names.MESSAGE_PAYLOAD, b"x" * 255), more)
        assert (long.short_message, tlv(long.tlv, names.MESSAGE_PAYLOAD)) == (b"", b"x" * 255)

    def test_time_to_live(self) -> None:
        """qos_time_to_live is its validity_period; one beyond any calendar is cut."""
        payload = (names.MESSAGE_PAYLOAD, b"x")
        for octets, said in ((b"\0\0\x0e\x10", "270115090000000+"), (b"\xff\xff\xff\xff", "961002070640000+")):
            assert self._as_submit(payload, (names.QOS_TIME_TO_LIVE, octets)).validity_period == said
        assert self._as_submit(payload).validity_period == ""

    @pytest.mark.parametrize("tlvs", [(), ((names.RECEIPTED_MESSAGE_ID, b"1\0"), (names.MESSAGE_STATE, b"\2"))])
    def test_nothing_to_send(self, tlvs: tuple[tuple[int, bytes], ...]) -> None:
        """Without a text it is refused: an ESME has no receipts for us."""
        with pytest.raises(PduError) as caught:
            self._as_submit(*tlvs)
        assert caught.value.command_status == names.ESME_RMISSINGOPTPARAM

    async def test_a_message_like_any_other(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """data_sm is accepted, sent as a submit_sm, and its receipt bears the id of the data_sm_resp."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            payload = (names.MESSAGE_PAYLOAD, b"hello")
            await raw.send(encode(names.DATA_SM, DATA, (payload,), sequence_number=5))
            command_id, status, number, body = await raw.pdu()
            assert (command_id, status, number) == (names.DATA_SM | 0x80000000, 0, 5)
            message_id = body.rstrip(b"\0").decode()
            assert parse_sm(it.engine.ledger.parts[message_id].body).short_message == b"hello"
            command_id, *_, receipt = await raw.pdu()
            assert command_id == names.DELIVER_SM
            assert f"id:{message_id} ".encode() in parse_sm(receipt).short_message

    async def test_refused_in_its_own_response(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Cut short, without a text, to no number: each is a data_sm_resp that says why; the session goes on."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            good = encode(names.DATA_SM, DATA, ((names.MESSAGE_PAYLOAD, b"x"),))[16:]
            bad = encode(names.DATA_SM, {**DATA, "destination_addr": "x"}, ((names.MESSAGE_PAYLOAD, b"x"),))[16:]
            wanted = [names.ESME_RINVCMDLEN, names.ESME_RMISSINGOPTPARAM, names.ESME_RINVDSTADR, 0]
            for body, status in zip((good[:5], good[:-5], bad, good), wanted, strict=True):
                await raw.send(pdu(names.DATA_SM, 0, 7, body))
                answered, said, number, answer = await raw.pdu()
                assert (answered, said, number) == (names.DATA_SM | 0x80000000, status, 7)
                assert (answer == b"\0") == (status != 0), "the empty id that Jasmin's codec cannot do without"
            assert it.engine.ledger.held == 1


def multi_body(*destinations: dict[str, Any], **fields: Any) -> bytes:
    """A submit_multi's body; a destination is a number or the name of a list."""
    number, group = {"dest_flag": 1, "ton": 1, "npi": 1}, {"dest_flag": 2}
    rows = [{**(number if "addr" in one else group), **one} for one in destinations]
    said = {"source_addr": FROM, "short_message": b"hello", "registered_delivery": 1, "dest_address": rows, **fields}
    return encode(names.SUBMIT_MULTI, said)[16:]


class TestSubmitMulti:
    async def _send(self, raw: Raw, body: bytes) -> tuple[int, dict[str, Any]]:
        await raw.send(pdu(names.SUBMIT_MULTI, 0, 7, body))
        answered, status, number, answer = await raw.pdu()
        assert (answered, number) == (names.SUBMIT_MULTI | 0x80000000, 7)
        return status, decode(pdu(answered, status, number, answer)).fields if answer else {}

    async def test_fan_out(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Each recipient is a message with its own id and receipt; the answer bears the first one's."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
            numbers = [f"3361234567{digit}" for digit in range(5)]
            status, said = await self._send(raw, multi_body(*({"addr": number} for number in numbers)))
            parts = sorted(it.engine.ledger.parts.values(), key=lambda part: part.part_id)
            assert (status, said["message_id"], said["unsuccess_sme"]) == (0, parts[0].part_id, [])
            assert [part.destination_addr for part in parts] == numbers
            receipts = {}
            for _ in numbers:
                *_, number, body = await raw.pdu()
                await raw.send(pdu(names.DELIVER_SM_RESP, 0, number, b"\0"))
                receipt = parse_sm(body)
                receipts[receipt.source_addr] = receipt.short_message[3:].split()[0].decode()
            assert receipts == {part.destination_addr: part.part_id for part in parts}

    async def test_some_are_refused(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A bad number, a list, one over the rate: each is told with its status, the others are taken."""
        esmes = ESME.replace("window: 100, rate: 1000/s", "window: 1, rate: 2/s")
        async with house(tmp_path, carriers={"orange": SILENT}, esmes=esmes) as it:
            raw = await bound(it)
            last = ({"addr": "33612345679"}, {"addr": "33612345670"})
            rows = ({"addr": TO}, {"addr": "x"}, {"dl_name": "friends"}, *last)
            status, said = await self._send(raw, multi_body(*rows))
            assert status == 0
            assert [(one["addr"], one["error_status_code"]) for one in said["unsuccess_sme"]] == [
                ("x", names.ESME_RINVDSTADR),
                ("friends", names.ESME_RINVDLNAME),
                ("33612345670", names.ESME_RTHROTTLED),
            ]
            assert it.engine.ledger.held == 2

    async def test_all_are_refused(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Nobody taken: the common status, or ESME_RSUBMITFAIL where they differ, each named, no id; no recipient:
        ESME_RINVNUMDESTS."""
        number, group = (names.ESME_RINVDSTADR, names.ESME_RINVDLNAME)
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            for rows, status, each in (
                ([{"addr": "x"}, {"addr": "y"}], number, [("x", number), ("y", number)]),
                ([{"addr": "x"}, {"dl_name": "a"}], names.ESME_RSUBMITFAIL, [("x", number), ("a", group)]),
                ([{"dl_name": "a"}], group, [("a", group)]),
                ([], names.ESME_RINVNUMDESTS, []),
            ):
                answered, said = await self._send(raw, multi_body(*rows))
                assert (answered, said["message_id"]) == (status, "")
                assert [(one["addr"], one["error_status_code"]) for one in said["unsuccess_sme"]] == each
            assert it.engine.ledger.held == 0

    async def test_a_sick_disk(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """When the commit fails nobody was taken."""

        def refuse(name: str) -> None:
            raise StoreError("full", "no space left")

        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            it.blocking.refuse = refuse
            assert (await self._send(raw, multi_body({"addr": TO}, {"addr": TO})))[0] == names.ESME_RMSGQFUL
            assert it.engine.ledger.held == 0
            it.blocking.refuse = None
            await trio.sleep(2)

    async def test_cut_short(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Cut short anywhere it is refused in its own response, and nobody is taken."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            whole = multi_body({"addr": TO}, {"addr": TO})
            for cut in range(len(whole)):
                assert (await self._send(raw, whole[:cut]))[0] != 0, f"accepted when cut to {cut} octets"
            assert it.engine.ledger.held == 0

    async def test_254_of_them(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """As many as the specification allows, in a window of one."""
        esmes = ESME.replace("window: 100", "window: 1")
        async with house(tmp_path, carriers={"orange": KIND}, esmes=esmes) as it:
            raw = await bound(it)
            rows = [{"addr": f"336{number:08}"} for number in range(254)]
            status, said = await self._send(raw, multi_body(*rows))
            assert (status, said["unsuccess_sme"]) == (0, [])
            assert it.engine.ledger.held == 254
            assert (await raw.submit(BODY, 8))[0] == 0

    async def test_one_place_in_the_window(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Three recipients on their way to the disk leave room for one submit in a window of two, and no more."""
        esmes = ESME.replace("window: 100", "window: 2")
        async with house(tmp_path, carriers={"orange": KIND}, esmes=esmes) as it:
            raw = await bound(it)
            rows = [{"addr": f"336{number:08}"} for number in range(3)]
            submits = b"".join(pdu(names.SUBMIT_SM, 0, number, BODY) for number in (8, 9))
            it.blocking.latency_s = (2.0, 2.0)
            await raw.send(pdu(names.SUBMIT_MULTI, 0, 7, multi_body(*rows)))
            await trio.sleep(0.1)
            await raw.send(submits)
            await trio.sleep(0.1)
            with trio.fail_after(20):
                answers = sorted([(await raw.pdu())[1:3] for _ in range(3)], key=lambda one: one[1])
            assert answers == [(0, 7), (0, 8), (names.ESME_RTHROTTLED, 9)]


@pytest.mark.parametrize("command_id", [names.QUERY_SM, names.CANCEL_SM])
async def test_cut_short(tmp_path: Path, autojump_clock: Clock, command_id: int) -> None:
    """A query or cancel cut short anywhere is refused in its own response; the session goes on."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        whole = encode(command_id, {"message_id": "X", "source_addr": "A"})[16:]
        for cut in range(len(whole)):
            await raw.send(pdu(command_id, 0, cut + 2, whole[:cut]))
            answered, status, number, _ = await raw.pdu()
            assert (answered, number) == (command_id | 0x80000000, cut + 2)
            assert status != 0
        await submit(raw, number=99)
