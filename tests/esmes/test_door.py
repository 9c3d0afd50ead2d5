"""The ESME door: who gets in, what is refused, and that nothing refused is kept. smsroute/esmes/listener.py,
accept.py."""

from __future__ import annotations

from pathlib import Path

import trio

from smsroute.sim.workload import Workload
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, pdu
from smsroute.store.base import StoreError
from tests.house import ESME, House, house

GOOD = Workload(messages=1).bodies([0])[0]


async def _held(it: House) -> int:
    return it.engine.ledger.held


class TestBind:
    async def test_wrong_password(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A wrong password is answered ESME_RINVPASWD and the TCP stream is closed by us."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind(password="wrong") == names.ESME_RINVPASWD
            assert await raw.closed()

    async def test_unknown_system_id(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """An unknown system_id is answered ESME_RINVSYSID and closed."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind(system_id="nobody") == names.ESME_RINVSYSID
            assert await raw.closed()

    async def test_address_outside_allow_from(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """The right password from an address that is not allowed is answered ESME_RBINDFAIL and closed."""
        async with house(tmp_path) as it:
            raw = await it.dial("10.9.9.9")
            assert await raw.bind() == names.ESME_RBINDFAIL
            assert await raw.closed()

    async def test_binds_max(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """The bind after `binds_max` is answered ESME_RALYBND; a place comes free when a session ends."""
        async with house(tmp_path) as it:
            raws = [await it.dial() for _ in range(4)]
            statuses = [await raw.bind() for raw in raws]
            assert statuses == [0, 0, 0, names.ESME_RALYBND]
            await raws[0].stream.aclose()
            await trio.sleep(1)
            again = await it.dial()
            assert await again.bind() == 0

    async def test_no_bind_in_time(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A link that does not bind is closed after `bind_timeout`."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            started = trio.current_time()
            assert await raw.closed()
            assert 4.5 < trio.current_time() - started < 6

    async def test_submit_before_bind(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A submit on a link that is not bound is answered ESME_RINVBNDSTS and not kept."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert (await raw.submit(GOOD))[0] == names.ESME_RINVBNDSTS
            assert await _held(it) == 0


class TestBadInput:
    async def test_absurd_length(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A command_length of 2 GiB is nacked ESME_RINVCMDLEN after its four octets, and the link closed."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            await raw.send(b"\x7f\xff\xff\xff")
            command_id, command_status, _, _ = await raw.pdu()
            assert (command_id, command_status) == (names.GENERIC_NACK, names.ESME_RINVCMDLEN)
            assert await raw.closed()

    async def test_unknown_command(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """An unknown command is nacked ESME_RINVCMDID with its sequence number; the session goes on."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            await raw.send(pdu(0x0000FFFF, 0, 77))
            assert (await raw.pdu())[:3] == (names.GENERIC_NACK, names.ESME_RINVCMDID, 77)
            assert (await raw.submit(GOOD))[0] == 0

    async def test_unsupported_command(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A command we know and do not serve is refused in its own response; the session goes on."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            await raw.send(pdu(names.BROADCAST_SM, 0, 78, b"\0\0\0\0"))
            assert (await raw.pdu())[:3] == (names.BROADCAST_SM | 0x80000000, names.ESME_RINVCMDID, 78)
            assert (await raw.submit(GOOD))[0] == 0

    async def test_truncated_submit(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A submit_sm whose body is cut short anywhere is refused in its own response, and the session goes on."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            for cut in range(len(GOOD)):
                status, message_id = await raw.submit(GOOD[:cut], cut + 2)
                assert status != 0, f"accepted when cut to {cut} octets"
                assert message_id == ""
            assert await _held(it) == 0
            assert (await raw.submit(GOOD, 500))[0] == 0

    async def test_bad_address(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A destination that is no number is refused ESME_RINVDSTADR."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            assert (await raw.submit(build_sm(destination_addr="not-a-number")))[0] == names.ESME_RINVDSTADR

    async def test_no_route(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A number no route leads to is refused at the door, not accepted and dropped."""
        routes = '- {name: fr, to: ["33"], carriers: [{carrier: orange}]}'
        async with house(tmp_path, routes=routes) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            assert (await raw.submit(build_sm(destination_addr="447700900123")))[0] == names.ESME_RINVDSTADR
            assert await _held(it) == 0

    async def test_expired_on_arrival(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A validity_period that is over, or no time at all, is refused ESME_RINVEXPIRY."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            for number, validity in enumerate(("200101000000000+", "261301080000004-")):
                body = build_sm(destination_addr="33612345678", validity_period=validity)
                assert (await raw.submit(body, number + 2))[0] == names.ESME_RINVEXPIRY


class TestLimits:
    async def test_over_rate(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """Beyond its rate an ESME hears ESME_RTHROTTLED, and never gets more than the rate in a second."""
        async with house(tmp_path, esmes=ESME.replace("1000/s", "10/s")) as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0  # no receipts between the answers
            await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, GOOD) for number in range(2, 32)))
            statuses = [(await raw.pdu())[1] for _ in range(30)]
            assert statuses == [0] * 10 + [names.ESME_RTHROTTLED] * 20
            await trio.sleep(1.1)
            assert (await raw.submit(GOOD, 99))[0] == 0

    async def test_memory_full(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """With `open_messages_max` parts in memory new ones are refused ESME_RMSGQFUL."""
        limits = "{open_messages_max: 3, esme_open_messages_max: 3}"
        async with house(tmp_path, limits=limits) as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0  # receipts stay owed
            statuses = [(await raw.submit(GOOD, number))[0] for number in range(2, 6)]
            assert statuses == [0, 0, 0, names.ESME_RMSGQFUL]


class TestSickStore:
    async def test_full_disk(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A full disk: submits get ESME_RMSGQFUL, nothing is half accepted; when it heals service resumes by itself."""

        def refuse(name: str) -> None:
            raise StoreError("full", "no space left")

        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            it.blocking.refuse = refuse
            assert (await raw.submit(GOOD, 2))[0] == names.ESME_RMSGQFUL
            assert (await raw.submit(GOOD, 3))[0] == names.ESME_RMSGQFUL
            assert await _held(it) == 0
            assert it.engine.dispatch.in_flight == 0
            assert it.engine.journal.failing is not None
            it.blocking.refuse = None
            await trio.sleep(2)
            assert it.engine.journal.failing is None
            assert (await raw.submit(GOOD, 4))[0] == 0

    async def test_failing_disk(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A failing disk: submits get ESME_RSYSERR; what carriers said meanwhile is written down when it heals."""

        def refuse(name: str) -> None:
            raise StoreError("failed", "I/O error")

        async with house(tmp_path) as it:
            esme = it.platform(40)
            with trio.fail_after(60):
                await esme.wait_for(lambda esme: esme.counts["accepted"] >= 20)
            it.blocking.refuse = refuse
            raw = await it.dial()
            assert await raw.bind() == 0
            assert (await raw.submit(GOOD, 2))[0] == names.ESME_RSYSERR
            await trio.sleep(5)
            it.blocking.refuse = None
            await it.settle(esme)
            assert esme.counts["receipts_doubled_or_unknown"] == 0
            assert it.carriers["orange"].handsets.stats()["handset_doubles"] == 0
