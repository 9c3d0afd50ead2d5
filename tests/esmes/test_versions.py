"""Interface versions at the ESME door, and what a session of each sees. S rows are of quirks, section 2."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, encode, parse_sm, pdu
from smsroute.smpp.wire import tlv
from smsroute.store.base import StoreError
from tests.house import ESME, House, Raw, house

Clock = trio.testing.MockClock
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
ASKS = build_sm(destination_addr="33612345678", short_message=b"hello", registered_delivery=1)
SLOW = ESME.replace("1000/s", "10/s")


async def _bind(raw: Raw, version: int, command_id: int = names.BIND_TRANSCEIVER) -> bytes:
    """Bind with this interface_version; the body of the answer."""
    fields = {"system_id": "acme", "password": "secret", "system_type": "", "address_range": ""}
    numbers = {"interface_version": version, "addr_ton": 0, "addr_npi": 0}
    await raw.send(encode(command_id, {**fields, **numbers}, sequence_number=1))
    _, command_status, _, body = await raw.pdu()
    assert command_status == 0
    return body


async def _submit(raw: Raw, body: bytes = ASKS, number: int = 2) -> tuple[int, bytes]:
    await raw.send(pdu(names.SUBMIT_SM, 0, number, body))
    _, command_status, _, answer = await raw.pdu()
    return command_status, answer


def _congestion(answer: bytes) -> int | None:
    value = tlv(answer.partition(b"\0")[2], names.CONGESTION_STATE)
    return None if value is None else value[0]


class TestVersions:
    @pytest.mark.parametrize(
        ("said", "answered"),
        [
            (0x00, None),
            (0x22, None),
            (0x33, None),
            (0x34, 0x34),
            (0x35, 0x34),
            (0x50, 0x50),
            (0x51, 0x50),
            (0xFF, 0x50),
        ],
    )
    async def test_s27_interface_version(
        self, tmp_path: Path, autojump_clock: Clock, said: int, answered: int | None
    ) -> None:
        """S27: below 0x34 are 3.3 rules, above 0x50 is 0x50; sc_interface_version says so from 3.4 on only."""
        async with house(tmp_path) as it:
            body = await _bind(await it.dial(), said)
            system_id, _, tail = body.partition(b"\0")
            assert system_id == b"smsroute"
            value = tlv(tail, names.SC_INTERFACE_VERSION)
            assert (value[0] if value else None) == answered
            assert answered is not None or tail == b""

    async def test_s26_no_tlv_for_v33(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S26: a 3.3 session sees no TLV in any PDU: bind_resp, submit_sm_resp, refusals, receipts."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=SLOW) as it:
            raw = await it.dial()
            assert await _bind(raw, 0x33) == b"smsroute\0"
            status, answer = await _submit(raw)
            assert status == 0
            assert answer.index(b"\0") == len(answer) - 1
            await raw.send(pdu(names.SUBMIT_SM, 0, 3, build_sm(destination_addr="nowhere")))
            seen = [await raw.pdu() for _ in range(2)]
            refused = next(one for one in seen if one[0] == names.SUBMIT_SM_RESP)
            assert refused[3] == b""
            receipt = parse_sm(next(one for one in seen if one[0] == names.DELIVER_SM)[3])
            assert receipt.tlv == b""
            assert receipt.short_message.startswith(b"id:" + answer[:-1])

    async def test_v34_has_receipts_with_tlvs_and_no_congestion_state(
        self, tmp_path: Path, autojump_clock: Clock
    ) -> None:
        """A 3.4 session has the id and state of a receipt as TLVs, and never congestion_state (smpplib dies of it)."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await it.dial()
            await _bind(raw, 0x34)
            status, answer = await _submit(raw)
            assert status == 0
            assert answer.index(b"\0") == len(answer) - 1
            *_, body = await raw.pdu()
            assert tlv(parse_sm(body).tlv, names.RECEIPTED_MESSAGE_ID) == answer


class TestCongestionState:
    async def test_s28_how_near_its_rate_it_is(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S28: a 5.0 session hears in each answer how much of its rate is used; at 100 the next is refused, and that
        answer says 100 too; when the second is over it is idle again."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=SLOW) as it:
            raw = await it.dial()
            await _bind(raw, 0x50, names.BIND_TRANSMITTER)
            answers = [await _submit(raw, number=number) for number in range(2, 14)]
            assert [status for status, _ in answers] == [0] * 10 + [names.ESME_RTHROTTLED] * 2
            assert [_congestion(answer) for _, answer in answers] == [*range(10, 101, 10), 100, 100]
            assert all(answer.startswith(b"\0") for _, answer in answers[10:])
            await trio.sleep(2)
            assert _congestion((await _submit(raw, number=20))[1]) == 10

    async def test_s28_memory(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S28: the fullest of what a message needs says it: here its share of memory."""
        limits = "{open_messages_max: 10, esme_open_messages_max: 5}"
        async with house(tmp_path, carriers={"orange": KIND}, limits=limits) as it:
            raw = await it.dial()
            await _bind(raw, 0x50, names.BIND_TRANSMITTER)
            answers = [await _submit(raw, number=number) for number in range(2, 8)]
            assert [_congestion(answer) for _, answer in answers] == [20, 40, 60, 80, 100, 100]
            assert answers[-1][0] == names.ESME_RMSGQFUL

    async def test_s28_a_sick_disk(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S28: while the store takes nothing it is 100, whatever else is free."""

        def refuse(name: str) -> None:
            raise StoreError("full", "no space left")

        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await it.dial()
            await _bind(raw, 0x50, names.BIND_TRANSMITTER)
            it.blocking.refuse = refuse
            status, answer = await _submit(raw)
            assert (status, _congestion(answer)) == (names.ESME_RMSGQFUL, 100)
            it.blocking.refuse = None
            await trio.sleep(2)


class TestRates:
    async def _statuses(self, it: House, raw: Raw, senders: list[str]) -> list[int]:
        bodies = [build_sm(source_addr=sender, destination_addr="33612345678") for sender in senders]
        await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, body) for number, body in enumerate(bodies, 2)))
        return [(await raw.pdu())[1] for _ in bodies]

    async def test_a_sender_s_rate(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Beyond its own rate a sender hears ESME_RTHROTTLED; the others of the ESME go on."""
        esmes = ESME.replace("rate: 1000/s", "rate: 1000/s, senders: {ACME: 2/s}")
        async with house(tmp_path, esmes=esmes) as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            statuses = await self._statuses(it, raw, ["ACME", "ACME", "SHOP", "ACME", "SHOP"])
            assert statuses == [0, 0, 0, names.ESME_RTHROTTLED, 0]
            await trio.sleep(1.1)
            assert await self._statuses(it, raw, ["ACME"]) == [0]

    async def test_burst(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """`burst` parts may come at once, then `rate` a second."""
        esmes = ESME.replace("rate: 1000/s", "rate: 10/s, burst: 25")
        async with house(tmp_path, esmes=esmes) as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            assert (await self._statuses(it, raw, ["A"] * 40)).count(0) == 25
            await trio.sleep(1.05)
            assert (await self._statuses(it, raw, ["A"] * 40)).count(0) == 10

    async def test_s18_beyond_the_window(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S18: submits beyond the window are answered ESME_RTHROTTLED, in their places; the session goes on."""
        async with house(tmp_path, esmes=ESME.replace("window: 100", "window: 3")) as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            assert await self._statuses(it, raw, ["A"] * 5) == [0, 0, 0, names.ESME_RTHROTTLED, names.ESME_RTHROTTLED]
            assert await self._statuses(it, raw, ["A"] * 3) == [0, 0, 0]
