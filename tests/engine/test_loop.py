"""A message that comes back is refused: our own carrier submits to our own door what we gave it.

smsroute/policy/loops.py, esmes/accept.py, carriers/dispatch.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import tests.house
from smsroute.message import Part, State
from smsroute.ops.snapshot import snapshot
from smsroute.ops.verdict import judge
from smsroute.policy.loops import REFUSAL
from smsroute.sim.account import CarrierLink
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_responses, build_sm
from smsroute.smpp.session import Request
from smsroute.store.base import StoreError
from tests.house import House, Raw, house

ESMES = 'acme: {password: {plain: "secret"}}\n  relay: {password: {plain: "secret"}%s}'
LIMITS = "{sweep_interval: 100ms, esme_enquire_link: 0s, loop_window: 30s}"
HELLO = build_sm(source_addr="SHOP", destination_addr="33612345678", registered_delivery=1, short_message=b"hello")
TURNS_MAX = 40


class Relay(SimCarrier):
    """A carrier that resells: what it is given it submits to our door, and it answers what it is answered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = 0
        self._put, self._get = trio.open_memory_channel[tuple[CarrierLink, Request]](TURNS_MAX)

    def _submits(self, link: CarrierLink, requests: list[Request], now: float) -> None:
        for request in requests:
            self.given += 1
            if self.given <= TURNS_MAX:
                self._put.send_nowait((link, request))

    async def resell(self, raw: Raw) -> None:
        """Until cancelled. `raw`: bound to our door."""
        number = 1
        async for link, request in self._get:
            number += 1
            status, message_id = await raw.submit(request.pdu.body, number)
            link.send(build_responses(names.SUBMIT_SM_RESP, [(status, request.pdu.sequence_number, message_id)]))


@asynccontextmanager
async def going_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
) -> AsyncIterator[tuple[House, Relay, Part]]:
    """acme has submitted one message, its carrier is the relay, and ten seconds have passed."""
    monkeypatch.setattr(tests.house, "SimCarrier", Relay)
    esmes = ESMES % ("" if guarded else ", loop_guard: false")
    async with house(tmp_path, esmes=esmes, limits=LIMITS) as it:
        relay = it.carriers["orange"]
        assert isinstance(relay, Relay)
        back, acme = await it.dial(), await it.dial()
        assert await back.bind("relay", command_id=names.BIND_TRANSMITTER) == 0
        assert await acme.bind() == 0
        it.nursery.start_soon(relay.resell, back)
        status, message_id = await acme.submit(HELLO)
        assert status == 0
        await trio.sleep(10)
        yield it, relay, it.engine.ledger.parts[message_id]


async def test_a_message_that_comes_back_is_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes out once, comes back once, the carrier passes our refusal on, and the part ends with it: no storm."""
    async with going_round(tmp_path, monkeypatch, guarded=True) as (it, relay, part):
        assert relay.given == 1
        assert (part.state, len(part.attempts)) == (State.REJECTED, 1)
        assert part.attempts[0].code == REFUSAL
        assert "ESME_RX_R_APPN" in part.why
        assert it.engine.ledger.counts.accepted == 1
        document = snapshot(it.engine)
        judge(document, it.engine.config)
        [row] = [esme for esme in document["esmes"] if esme["name"] == "relay"]
        assert (row["refused"], row["loops"]["refused"], row["loops"]["of"]) == ({"ESME_RX_R_APPN": 1}, 1, "acme")
        [said] = [reason for reason in document["reasons"] if reason["what"] == "loop"]
        assert said["name"] == "relay"
        assert "1 messages of acme came back" in said["reason"]


async def test_without_the_guard_it_goes_round_and_round(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the guard is for, and that the test above can fail: each turn is accepted and sent again."""
    async with going_round(tmp_path, monkeypatch, guarded=False) as (it, relay, _):
        assert relay.given > TURNS_MAX
        assert it.engine.ledger.counts.accepted > TURNS_MAX


def _refuse(what: str) -> None:
    raise StoreError("failed", f"{what}: the disk is sick")


async def _two(it: House) -> tuple[Raw, Raw]:
    acme, relay = await it.dial(), await it.dial()
    assert await acme.bind(command_id=names.BIND_TRANSMITTER) == 0
    assert await relay.bind("relay", command_id=names.BIND_TRANSMITTER) == 0
    return acme, relay


async def test_who_repeats_himself_is_no_loop_and_time_heals(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """acme may say it again; relay may after two windows, and may say something else at once."""
    async with house(tmp_path, esmes=ESMES % "", limits=LIMITS) as it:
        acme, relay = await _two(it)
        for number in range(2, 5):
            assert (await acme.submit(HELLO, number))[0] == 0
        assert (await relay.submit(HELLO, 2))[0] == REFUSAL
        assert (await relay.submit(HELLO.replace(b"hello", b"howdy"), 3))[0] == 0
        await trio.sleep(60)
        assert (await relay.submit(HELLO, 4))[0] == 0


async def test_what_was_refused_may_go_by_another_account(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A platform that gets an error on one account and tries the next is no loop: only what is ours has a mark."""
    async with house(tmp_path, esmes=ESMES % "", limits=LIMITS) as it:
        acme, relay = await _two(it)
        it.engine.accept.draining = True
        assert (await acme.submit(HELLO, 2))[0] == names.ESME_RSYSERR
        it.engine.accept.draining = False
        it.blocking.refuse = _refuse  # judged, and not durable
        assert (await acme.submit(HELLO, 4))[0] == names.ESME_RSYSERR
        it.blocking.refuse = None
        await trio.sleep(5)
        nowhere = build_sm(source_addr="SHOP", destination_addr="1", short_message=b"hello")
        assert (await acme.submit(nowhere, 3))[0] == names.ESME_RINVDSTADR
        assert (await relay.submit(HELLO, 2))[0] == 0


async def test_what_waited_is_marked_anew_when_it_leaves(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its carrier was away for longer than marks hold; what it then gets may come back then."""
    async with house(tmp_path, esmes=ESMES % "", limits=LIMITS) as it:
        acme, relay = await _two(it)
        it.carriers["orange"].mode = Mode.CLOSED
        await trio.sleep(5)
        _, message_id = await acme.submit(HELLO)
        await trio.sleep(90)
        it.carriers["orange"].mode = Mode.KIND
        part = it.engine.ledger.parts[message_id]
        for _ in range(1000):
            await trio.sleep(0.1)
            if part.final:
                break
        assert part.state == State.DELIVERED
        assert (await relay.submit(HELLO))[0] == REFUSAL


async def test_the_guard_can_be_turned_off(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`loop_window: 0s` for all, `loop_guard: false` for one ESME; the mark stays whose it was."""
    async with house(tmp_path, esmes=ESMES % ", loop_guard: false", limits=LIMITS) as it:
        acme, relay = await _two(it)
        assert (await acme.submit(HELLO, 2))[0] == 0
        assert (await relay.submit(HELLO, 2))[0] == 0
        assert (await acme.submit(HELLO, 3))[0] == 0
    (tmp_path / "off").mkdir()
    async with house(
        tmp_path / "off", esmes=ESMES % "", limits=LIMITS.replace("30s", "0s"), carriers={"orange": Temperament()}
    ) as it:
        acme, relay = await _two(it)
        assert (await acme.submit(HELLO, 2))[0] == 0
        assert (await relay.submit(HELLO, 2))[0] == 0
