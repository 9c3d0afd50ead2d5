"""A small house for tests of rooms: an engine, simulated carriers, a network in memory, virtual time, real SQLite.

Rules:
- The config is the text of YAML files, loaded as a person's would be.
- Nothing here judges: the tests do. (tests/sim has the auditor and the faults.)
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from smsroute.config import load
from smsroute.engine import Engine, build
from smsroute.ports import Ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Temperament
from smsroute.sim.workload import Workload
from smsroute.smpp import names
from smsroute.smpp.codec import encode, pdu
from smsroute.store.sqlite import SqliteStore, open_store
from tests.sim.clock import SimClock
from tests.sim.determinism import SimEntropy
from tests.sim.disk import SimBlocking
from tests.sim.network import SimNetwork

ENGINE, PLATFORM = "10.0.0.1", "10.0.1.1"
DOOR = 2775
ESME = 'acme: {password: {plain: "secret"}, binds_max: 3, window: 100, rate: 1000/s, allow_from: ["10.0.1.0/24"]}'
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, store_retry: 500ms}"


@attrs.define
class House:
    """What a test can reach."""

    engine: Engine
    carriers: Mapping[str, SimCarrier]
    network: SimNetwork
    blocking: SimBlocking
    clock: SimClock
    store: SqliteStore
    nursery: trio.Nursery
    ports: Ports

    def platform(self, messages: int = 1, *, settings: EsmeSettings | None = None, **workload: object) -> SimEsme:
        """A simulated platform that binds as acme and submits."""
        esme = SimEsme(Workload(messages=messages, **workload), settings or EsmeSettings())  # type: ignore[arg-type]
        ports = attrs.evolve(self.ports, network=self.network.host(PLATFORM))
        self.nursery.start_soon(esme.run, ports, ENGINE, DOOR)
        return esme

    async def settle(self, esme: SimEsme, seconds: float = 600.0) -> None:
        """Until everything promised was told; TooSlowError after `seconds` of virtual time."""
        with trio.fail_after(seconds):
            await esme.wait_for(lambda esme: esme.settled)

    async def dial(self, address: str = PLATFORM) -> Raw:
        """A bare stream to the door."""
        return Raw(await self.network.host(address).connect(ENGINE, DOOR))


class Raw:
    """A client that says exactly what a test writes."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._data = b""

    async def send(self, data: bytes) -> None:
        """These octets."""
        await self.stream.send_all(data)

    async def pdu(self) -> tuple[int, int, int, bytes]:
        """The next PDU: (command_id, command_status, sequence_number, body); EOFError when the peer closed."""
        while len(self._data) < 16 or len(self._data) < struct.unpack(">I", self._data[:4])[0]:
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError
            self._data += data
        length, command_id, command_status, sequence_number = struct.unpack(">IIII", self._data[:16])
        body, self._data = self._data[16:length], self._data[length:]
        return command_id, command_status, sequence_number, body

    async def bind(
        self,
        system_id: str = "acme",
        password: str = "secret",
        command_id: int = names.BIND_TRANSCEIVER,
        version: int = 0x34,
    ) -> int:
        """Bind; the command_status of the answer."""
        fields = {
            "system_id": system_id,
            "password": password,
            "system_type": "",
            "interface_version": version,
            "addr_ton": 0,
            "addr_npi": 0,
            "address_range": "",
        }
        await self.send(encode(command_id, fields, sequence_number=1))
        answered, command_status, sequence_number, _ = await self.pdu()
        assert (answered, sequence_number) == (command_id | 0x80000000, 1)
        return command_status

    async def submit(self, body: bytes, sequence_number: int = 2) -> tuple[int, str]:
        """Submit; (command_status, message_id) of the answer."""
        await self.send(pdu(names.SUBMIT_SM, 0, sequence_number, body))
        answered, command_status, sequence, answer = await self.pdu()
        assert (answered, sequence) == (names.SUBMIT_SM_RESP, sequence_number)
        return command_status, answer.rstrip(b"\0").decode()

    async def closed(self) -> bool:
        """Whether the peer has closed the stream, once what it still said is read."""
        try:
            while True:
                await self.pdu()
        except (EOFError, trio.BrokenResourceError):
            return True


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    carriers: Mapping[str, Temperament] | None = None,
    carrier: str | Mapping[str, str] = "window: 20, rate: 500/s",
    bind: str = "mode: transceiver",
    routes: str = "",
    mo: str = "",
    esmes: str = ESME,
    limits: str = LIMITS,
    seed: str = "house",
) -> AsyncIterator[House]:
    """An engine that is ready, and its carriers, until the block ends; then it is drained and stopped. `carrier`: keys
    of all carriers, or of each."""
    carriers = {"orange": Temperament()} if carriers is None else carriers
    names_ = list(carriers)
    first, *others = names_
    routes = routes or (
        f'- {{name: all, to: [""], carriers: [{{carrier: {first}, cost: 0.03, certified: true}}], '
        f"backup: [{', '.join(f'{{carrier: {name}, cost: 0.05, certified: true}}' for name in others)}]}}"
    )
    hosts = {name: f"10.0.2.{number}" for number, name in enumerate(names_, 1)}
    rows = "\n".join(
        f"  {name}: {{system_id: smsroute, password: {{plain: pw}}, "
        f"{carrier if isinstance(carrier, str) else carrier[name]}, "
        f'binds: [{{address: "{host}:3001", {bind}}}]}}'
        for name, host in hosts.items()
    )
    text = (
        f'node: n1\nlisten: [{{address: "{ENGINE}:{DOOR}"}}]\nstore: "sqlite:store"\nlimits: {limits}\n'
        f"esmes:\n  {esmes}\ncarriers:\n{rows}\nroutes:\n  {routes}\n{mo}\n"
    )
    (tmp_path / "smsroute.yaml").write_text(text)
    config = load(tmp_path, {})
    entropy, clock = SimEntropy(seed), SimClock()
    network, blocking = SimNetwork(entropy), SimBlocking(entropy.rng("disk"))
    ports = Ports(clock, entropy, network.host(ENGINE), blocking)
    async with trio.open_nursery() as nursery:
        sims = {name: SimCarrier(name, temperament=temperament) for name, temperament in carriers.items()}
        for name, sim in sims.items():
            await nursery.start(
                partial(sim.run, attrs.evolve(ports, network=network.host(hosts[name])), hosts[name], 3001)
            )
        store = open_store(config.store, config.node, relative_to=tmp_path)
        try:
            engine = await build(config, ports, store)
            ready, stopped = trio.Event(), trio.Event()

            async def run() -> None:
                await engine.run(ready.set)
                stopped.set()

            nursery.start_soon(run)
            await ready.wait()
            yield House(engine, sims, network, blocking, clock, store, nursery, ports)
            engine.stop()
            with trio.fail_after(120):
                await stopped.wait()
            assert engine.journal.faults == 0, "a callback of the journal failed: see the log"
            nursery.cancel_scope.cancel()
        finally:
            store.close()
