"""A stage for the simulated peers alone: one carrier and one platform, in virtual time, on the simulated network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs
import trio

from smsroute.ports import Ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.workload import Workload
from tests.sim.clock import SimClock
from tests.sim.determinism import SimEntropy
from tests.sim.network import SimNetwork, Weather

T = TypeVar("T")
CARRIER_HOST = "10.0.0.2"
PORT = 3001
PATIENCE_S = 10_000.0  # of virtual time; a stage where nobody has a deadline would spin for ever


class Inline:
    """A `ports.Blocking` that does the work on the spot; the peers have none."""

    async def run(self, work: Callable[..., T], *args: object) -> T:
        return work(*args)


@attrs.frozen
class Stage:
    """The two peers, running."""

    carrier: SimCarrier
    esme: SimEsme

    async def settle(self, seconds: float = 600.0) -> None:
        """Until everything promised was told; fails after `seconds` of virtual time."""
        with trio.fail_after(seconds):
            await self.esme.wait_for(lambda esme: esme.settled)

    async def answered(self, seconds: float = 600.0) -> None:
        """Until every submit was answered or given up."""
        with trio.fail_after(seconds):
            await self.esme.wait_for(lambda esme: esme.submitted_all)

    @property
    def receipts(self) -> list[tuple[str, ...]]:
        """What the platform was told of each message."""
        return [promise.receipts for promise in self.esme.promises()]


@asynccontextmanager
async def stage(
    words: Iterable[str] = (),
    *,
    mode: Mode = Mode.KIND,
    messages: int = 50,
    settings: EsmeSettings | None = None,
    workload: Workload | None = None,
    system_id: str | None = None,
    password: str | None = None,
    seed: int = 1,
) -> AsyncIterator[Stage]:
    """Both peers up, the platform submitting. Everything stops on leaving."""
    entropy = SimEntropy(seed)
    network = SimNetwork(entropy, Weather())
    clock = SimClock()
    temperament = Temperament().with_words(words)
    carrier = SimCarrier(temperament=temperament, mode=mode, system_id=system_id, password=password, keep_book=True)
    esme = SimEsme(workload or Workload(messages=messages), settings or EsmeSettings())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            there = Ports(clock, entropy, network.host(CARRIER_HOST), Inline())
            here = Ports(clock, entropy, network.host("10.0.0.1"), Inline())
            await nursery.start(carrier.run, there, CARRIER_HOST, PORT)
            await nursery.start(esme.run, here, CARRIER_HOST, PORT)
            yield Stage(carrier, esme)
            nursery.cancel_scope.cancel()
