"""An engine in this process with real sockets and real time: for what only those can show, TLS above all.

Rules:
- Doors and carriers are on 127.0.0.1, at ports the kernel gives.
- Every test bounds its waiting; nothing here sleeps longer than it must.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from smsroute.engine import Engine, build
from smsroute.ports import system_ports
from smsroute.store.sqlite import open_store
from smsroute.tls import load_proven
from tests.house import Raw

ESMES = '{acme: {password: {plain: "secret"}, binds_max: 20}}'


def write_config(folder: Path, *, listen: str, esmes: str = ESMES, carrier: str = "", limits: str = "") -> None:
    """A folder with one carrier that nobody answers for, unless `carrier` has its `binds`."""
    carrier = carrier or '{address: "127.0.0.1:9"}'
    (folder / "smsroute.yaml").write_text(
        f'node: n1\nstore: "sqlite:store"\nlisten: [{listen}]\nesmes: {esmes}\n'
        f"limits: {{unbind_timeout: 100ms{limits}}}\n"
        f"carriers: {{orange: {{system_id: smsroute, password: {{plain: pw}}, reconnect_min: 100ms, "
        f"binds: [{carrier}]}}}}\n"
        'routes: [{name: all, to: [""], carriers: [{carrier: orange}]}]\n'
    )


@attrs.define
class Open:
    """What a test can reach."""

    engine: Engine
    raws: list[trio.abc.Stream] = attrs.Factory(list)

    async def dial(self, tls: ssl.SSLContext | None = None, *, name: str = "localhost") -> Raw:
        """A bare stream to the first door, hands shaken; closed when the engine is."""
        stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", self.engine.listeners[0].port)
        self.raws.append(stream)
        if tls is not None:
            stream = self.raws[-1] = trio.SSLStream(stream, tls, server_hostname=name)
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError:
                await trio.aclose_forcefully(stream)
                raise
        return Raw(stream)


@asynccontextmanager
async def open_engine(folder: Path) -> AsyncIterator[Open]:
    """The engine of this folder, ready, until the block ends."""
    config = load_proven(folder, {})
    ports = system_ports()
    store = open_store(config.store, config.node, relative_to=folder)
    try:
        engine = await build(config, ports, store)
        it = Open(engine)
        ready, stopped = trio.Event(), trio.Event()

        async def run() -> None:
            await engine.run(ready.set)
            stopped.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            with trio.fail_after(10):
                await ready.wait()
            try:
                yield it
            finally:
                for raw in it.raws:
                    await trio.aclose_forcefully(raw)
            engine.stop()
            with trio.fail_after(20):
                await stopped.wait()
    finally:
        store.close()


async def until(what: Callable[[], bool], seconds: float = 10) -> None:
    """Return once `what` holds."""
    with trio.fail_after(seconds):
        while not what():  # noqa: ASYNC110 - the engine tells nobody
            await trio.sleep(0.01)
