"""Peers that read nothing, say one octet a second, or say nonsense: bounded in memory and time. smsroute/link.py,
esmes/listener.py; S rows are of quirks."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, encode, pdu
from tests.esmes.test_door import GOOD
from tests.house import ESME, House, Raw, house

Clock = trio.testing.MockClock
BIND = encode(
    names.BIND_TRANSCEIVER,
    {
        "system_id": "acme",
        "password": "secret",
        "system_type": "",
        "interface_version": 0x34,
        "addr_ton": 0,
        "addr_npi": 0,
        "address_range": "",
    },
    sequence_number=1,
)


async def _drip(raw: Raw, data: bytes) -> float:
    """One octet a second until the peer is gone; how long that took."""
    started = trio.current_time()
    try:
        for octet in data:
            await raw.send(bytes((octet,)))
            await trio.sleep(1)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return trio.current_time() - started
    raise AssertionError("the peer took all of it")


async def _gone(it: House, seconds: float) -> float:
    """How long until no link is left."""
    started = trio.current_time()
    with trio.fail_after(seconds):
        await it.engine.doors.empty()
    return trio.current_time() - started


class TestReadsNothing:
    async def test_answers_pile_up_to_a_bound(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Who submits and reads no answer is cut off at `send_buffer_octets_max`; what it submitted goes on."""
        esmes = ESME.replace("window: 100, rate: 1000/s", "window: 10000, rate: 100000/s")
        limits = "{send_buffer_octets_max: 2000, esme_send_stall: 1h}"
        async with house(tmp_path, esmes=esmes, limits=limits) as it:
            it.network.weather.buffer_octets = 1000
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            (client,) = it.engine.doors.clients.values()
            most = 0
            with trio.fail_after(60), pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                for number in range(2, 2000):
                    await raw.send(pdu(names.SUBMIT_SM, 0, number, GOOD))
                    most = max(most, client.link._buffered)
            assert 1000 < most < 2000 + 16_384  # a read's answers more, no read's worth of them beyond
            assert "peer does not read" in client.link.why
            assert it.engine.ledger.held > 0

    async def test_stalled_in_time(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Who reads nothing for `esme_send_stall` is cut off however little waits, even if it goes on talking."""
        async with house(tmp_path, limits="{esme_send_stall: 20s}") as it:
            it.network.weather.buffer_octets = 300
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            (client,) = it.engine.doors.clients.values()
            started = trio.current_time()
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                for number in range(2, 2000):
                    await raw.send(pdu(names.ENQUIRE_LINK, 0, number))
                    await trio.sleep(0.2)
            assert trio.current_time() - started < 30
            assert client.link.why == "peer does not read: nothing left for 20 s"
            await _gone(it, 1)

    async def test_receipts_wait_for_a_better_session(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Receipts that a session never reads stay within its window, and go by another once it is cut off."""
        kind = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")
        esmes = ESME.replace("window: 100", "window: 5")
        async with house(tmp_path, esmes=esmes, carriers={"orange": kind}) as it:
            deaf = await it.dial()
            assert await deaf.bind() == 0
            writer = await it.dial()
            assert await writer.bind(command_id=names.BIND_TRANSMITTER) == 0
            for number in range(2, 42):
                assert (await writer.submit(GOOD, number))[0] == 0
                await trio.sleep(0.1)
            await trio.sleep(5)
            client = next(one for one in it.engine.doors.clients.values() if one.receives)
            assert len(client.session.in_flight) == 5
            well = await it.dial()
            assert await well.bind(command_id=names.BIND_RECEIVER) == 0
            told = set()
            with trio.fail_after(300):
                while len(told) < 40:
                    command_id, _, sequence_number, body = await well.pdu()
                    if command_id == names.DELIVER_SM:
                        told.add(body)
                    await well.send(pdu(command_id | 0x80000000, 0, sequence_number, b"\0"))

    async def test_before_a_bind(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """One that is not bound has a small buffer: `unbound_octets_max` of answers, and it is gone."""
        async with house(tmp_path, limits="{unbound_octets_max: 512, bind_timeout: 1m}") as it:
            it.network.weather.buffer_octets = 300
            raw = await it.dial()
            with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
                for number in range(2, 2000):
                    await raw.send(pdu(names.ENQUIRE_LINK, 0, number))
            await _gone(it, 1)


class TestOneOctetASecond:
    async def test_before_a_bind(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A bind that dribbles in is over after `bind_timeout`, however steadily it comes."""
        async with house(tmp_path) as it:
            assert 4 < await _drip(await it.dial(), BIND) < 8

    async def test_bound(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A PDU that dribbles in is no sign of life: the session ends when its enquire_links go unanswered."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            body = build_sm(destination_addr="33612345678", tlv=b"\x04\x24\x10\x00" + b"x" * 4096)
            assert 170 < await _drip(raw, pdu(names.SUBMIT_SM, 0, 2, body)) < 190
            assert it.engine.ledger.held == 0

    async def test_half_open(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A session whose peer vanished without a word ends after `enquire_link_missed_max` questions."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            assert 170 < await _gone(it, 200) < 190


class TestSizes:
    async def test_s11_refused_on_its_four_octets(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S11: 64 KiB of message_payload and 1 KiB more is taken; above the cap the four octets of its length are
        enough to be refused, and an account may have a smaller cap."""
        small = 'small: {password: {plain: "secret"}, pdu_octets_taken_max: 1000}'
        async with house(tmp_path, esmes=f"{ESME}\n  {small}") as it:
            raw = await it.dial()
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            payload = b"\x04\x24" + (65_000).to_bytes(2, "big") + b"x" * 65_000
            big = build_sm(destination_addr="33612345678", tlv=payload)
            assert (await raw.submit(big))[0] == 0
            await raw.send((66_561).to_bytes(4, "big"))
            assert (await raw.pdu())[:3] == (names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
            assert await raw.closed()
            raw = await it.dial()
            assert await raw.bind("small") == 0
            await raw.send((1001).to_bytes(4, "big"))
            assert (await raw.pdu())[:3] == (names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)

    async def test_s11_before_a_bind(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S11: nobody makes us hold 64 KiB before it is known: a PDU of `unbound_octets_max` is the largest."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            await raw.send((4097).to_bytes(4, "big"))
            assert (await raw.pdu())[:3] == (names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0)
            assert await raw.closed()

    async def test_s10_what_we_send(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S10: a session sends no PDU above its account's cap, 7424 octets if nothing is said: one more would have a
        Kannel send some eighty nacks and never find its frame again."""
        async with house(tmp_path) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            (client,) = it.engine.doors.clients.values()
            assert client.session.limits.pdu_octets_sent_max == 7424
            fits = b"x" * (7424 - 16)
            with pytest.raises(AssertionError, match="above the 7408 octets this peer takes"):
                client.session.send_requests(names.DELIVER_SM, [fits, fits + b"x"], ["a", "b"], 0.0)
            assert not client.session.in_flight
            assert len(client.session.send_requests(names.DELIVER_SM, [fits], ["a"], 0.0)) == 7424

    async def test_s10_nack_storm(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S10: a peer that lost its frame sends nack after nack: the session is closed after `nacks_max` in a row, and
        what it was owed is owed still."""
        kind = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": kind}) as it:
            raw = await it.dial()
            assert await raw.bind() == 0
            assert (await raw.submit(GOOD))[0] == 0
            await trio.sleep(3)
            await raw.send(pdu(names.GENERIC_NACK, names.ESME_RINVCMDLEN, 0) * 80)
            with trio.fail_after(2):
                assert await raw.closed()
            assert len(it.engine.ledger.outboxes["acme"].owed) == 1
