"""The engine is killed with SIGKILL, again and again, under load; what it promised still holds.

The peers (a platform, two carriers) live in the test's process: they survive each kill, notice it only by TCP, and keep
the truth in memory. Seed and moments are printed; SMSROUTE_CRASH_SEED=N replays the moments (not the machine's timing).
A kill takes the process, not the kernel's memory: what a power cut may take is the simulated world's to test.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from smsroute.message import State
from smsroute.ports import system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Temperament
from smsroute.sim.workload import Workload
from tests.crash.books import Reckoning, first, read_store
from tests.crash.setting import write_config, write_doubt_policy
from tests.served import POLL_S, Served, free_door

KILLS = 20
RATE_S = 800.0
AT_BOOT = 0.2  # share of kills that come before the engine is ready
BOOT_S = 0.8
SERVES_S = (0.05, 1.1)  # after it is ready
REST_S = 30.0
QUIET = ("due", "attempted", "submitted")
WINDOW, BINDS = 200, 2

TEMPER = (
    "response_delay=lognormal:0.03:0.6",  # there is always something in flight,
    "receipt_delay=lognormal:0.15:0.7",  # and receipts under way,
    "receipts_early=0.05",  # some before their response
    "error_share=0.01",
    "outcomes=DELIVRD:0.97,UNDELIV:0.03",
)
IDS = {"orange": ("hex", "auto"), "sfr": ("hex-dec", "hex-dec")}


@attrs.frozen
class Scene:
    """Everybody, and the dice."""

    engine: Served
    carriers: dict[str, SimCarrier]
    platform: SimEsme
    rng: random.Random

    async def rest(self) -> dict[str, Any]:
        """Wait until nothing moves any more; the engine's health then."""
        document: dict[str, Any] = {}
        with trio.move_on_after(REST_S):
            while True:
                document = await trio.to_thread.run_sync(self.engine.health)
                if self._at_rest(document):
                    return document
                await trio.sleep(0.1)
        raise AssertionError(f"no rest in {REST_S:g} s: {document['messages']}, {self.platform.report()}")

    def _at_rest(self, document: dict[str, Any]) -> bool:
        messages, esme = document["messages"], document["esmes"][0]
        moving = sum(messages[key] for key in QUIET) + esme["outbox"] + esme["held"] - messages["in_doubt"]
        moving += sum(carrier.receipts_waiting for carrier in self.carriers.values())
        return not moving and not self.platform.report()["unanswered"] and self.platform.bound == BINDS

    async def reckoning(self) -> Reckoning:
        """Stop the engine in order and lay the books side by side."""
        await trio.to_thread.run_sync(self.engine.stop)
        stored = read_store(self.engine.folder / "store")
        return Reckoning(list(self.platform.promises()), self.carriers, stored)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Two carriers and a platform, up; an engine that is not started yet."""
    seed = int(os.environ.get("SMSROUTE_CRASH_SEED") or random.SystemRandom().getrandbits(32))
    print(f"SMSROUTE_CRASH_SEED={seed}")
    rng = random.Random(seed)
    ports = system_ports()
    carriers = {
        name: SimCarrier(name, temperament=Temperament().with_words([*TEMPER, f"ids={ids}"]))
        for name, (ids, _) in IDS.items()
    }
    settings = EsmeSettings(binds=("transceiver",) * BINDS, window=WINDOW, rate=RATE_S, reconnect_s=0.05, retry_s=0.2)
    platform = SimEsme(Workload(service_types=("", "OTP"), prefixes=("336",)), settings)
    async with trio.open_nursery() as nursery:
        doors = {name: await nursery.start(carrier.run, ports) for name, carrier in carriers.items()}
        door = free_door(rng)
        write_config(folder, door, {name: (port, IDS[name][1]) for name, port in doors.items()})
        engine = Served(folder)
        nursery.start_soon(platform.run, ports, "127.0.0.1", door)
        try:
            yield Scene(engine, carriers, platform, rng)
        finally:
            engine.discard()
            nursery.cancel_scope.cancel()


async def _ready(engine: Served) -> None:
    while not engine.ready:  # noqa: ASYNC110 - its log is all we know of another process
        await trio.sleep(POLL_S)


async def _kill_once(scene: Scene) -> str:
    """One life, ended at a random moment; what was going on."""
    engine, platform, rng = scene.engine, scene.platform, scene.rng
    engine.start()
    if rng.random() < AT_BOOT:
        wait_s = rng.uniform(0.0, BOOT_S)
        await trio.sleep(wait_s)
        when = f"{wait_s:.3f} s after its start"
    else:
        await _ready(engine)
        wait_s = rng.uniform(*SERVES_S)
        await trio.sleep(wait_s)
        when = f"{wait_s:.3f} s after it was ready"
    before = platform.report()
    await trio.to_thread.run_sync(engine.kill)
    waiting = sum(carrier.receipts_waiting for carrier in scene.carriers.values())
    return f"{when}: {before['accepted']} accepted, {before['unanswered']} unanswered, {waiting} receipts under way"


@pytest.mark.slow
async def test_twenty_kills_under_load_lose_nothing_and_double_nothing_unexplained(tmp_path: Path) -> None:
    """After 20 SIGKILLs at random moments every ESME_ROK is a part with a final state or held in doubt, every receipt
    due was told, no handset got a part more often than 1 + its resent attempts; held parts end UNKNOWN, and told, once
    the route says so; and an orderly stop and start doubles nothing."""
    async with scene(tmp_path) as play:
        for number in range(1, KILLS + 1):
            print(f"kill {number:2}: {await _kill_once(play)}")
        play.engine.start()
        await _ready(play.engine)
        await trio.sleep(0.5)
        play.platform.paused = True
        await play.rest()

        held = await play.reckoning()
        print(held.summary())
        faults = held.faults()
        assert not faults, first(faults)
        assert held.stored.by_state["DELIVERED"] > KILLS, "there was no load to speak of"
        assert held.stored.by_state["IN_DOUBT"], "no kill hit anything in flight"
        assert held.stored.replayed == 0, "an orderly stop leaves nothing to replay"
        doubles = sum(len(promise.receipts) > 1 for promise in held.promises)
        assert doubles <= KILLS * WINDOW * BINDS, "more receipts came again than can have been in flight at the kills"

        write_doubt_policy(tmp_path, IDS, "{default: {fail_after: 500ms}}")
        play.engine.start()
        await _ready(play.engine)
        with trio.fail_after(REST_S):
            await play.platform.wait_for(lambda platform: not platform.untold)
        document = await play.rest()
        assert document["messages"]["in_doubt"] == 0

        ended = await play.reckoning()
        print(ended.summary())
        faults = ended.faults()
        assert not faults, first(faults)
        assert sum(len(promise.receipts) > 1 for promise in ended.promises) == doubles
        expected = {part_id: "UNKNOWN" if state == "IN_DOUBT" else state for part_id, state in _states(held).items()}
        assert expected == _states(ended), "a final state changed, or one in doubt has none"


def _states(reckoning: Reckoning) -> dict[str, str]:
    return {part.part_id: State(part.state).name for part in reckoning.stored.parts}
