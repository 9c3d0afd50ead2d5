"""A town for tests of the verbs: a real `smsroute serve` in a process of its own, a simulated carrier, real sockets.

Rules:
- Everything is on the loopback, on ports the kernel chose.
- The carrier and the platforms run in one trio thread of the test's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import trio

from smsroute.ports import system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.workload import Workload

PATIENCE_S = 30.0
CONFIG = """
node: t1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:var/store"
control: var/control.sock
{http}
limits: {{checkpoint_interval: 100ms, drain_timeout: 5s, unbind_timeout: 1s}}
esmes:
  acme: {{password: {{plain: secret}}, rate: 1000/s, class_by: {{service_type: {{OTP: otp}}}}}}
carriers:
  orange:
    {{system_id: smsroute, password: {{plain: pw}}, rate: 1000/s, window: 20, binds: [{{address: "127.0.0.1:{port}"}}]}}
  gone: {{system_id: smsroute, password: {{plain: pw}}, binds: [{{address: "127.0.0.1:1"}}]}}
routes:
  - {{name: fr, to: ["33"], carriers: [{{carrier: orange, cost: 0.03}}], backup: [{{carrier: gone, cost: 0.05}}]}}
  - {{name: uk, to: ["44"], carriers: [{{carrier: orange, cost: 0.03}}]}}
"""


def write_config(folder: Path, *, door: int = 0, port: int = 1, http: int | None = None) -> Path:
    """A config folder; port 0 lets the kernel choose."""
    folder.mkdir(exist_ok=True)
    line = "" if http is None else f'http: "127.0.0.1:{http}"'
    (folder / "smsroute.yaml").write_text(CONFIG.format(door=door, port=port, http=line))
    return folder


class Serving:
    """A `smsroute serve` in a process of its own, and what it logs."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.log: list[dict[str, Any]] = []
        self.other: list[str] = []  # lines that are no log lines
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smsroute", "serve", "--config", str(folder)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environ},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def until(self, event: str) -> dict[str, Any]:
        """Wait for a log line of this event; AssertionError when the process ends without it."""
        found = next((line for line in self.log if line["event"] == event), None)
        while found is None:
            line = self._next()
            assert line is not None, f"ended without {event}: {self.log} {self.other}"
            if line.get("event") == event:
                found = line
        return found

    def _next(self) -> dict[str, Any] | None:
        line = self._lines.get(timeout=PATIENCE_S)
        if line is None:
            return None
        if not line.startswith("{"):
            self.other.append(line.rstrip("\n"))
            return {}
        self.log.append(json.loads(line))
        return self.log[-1]

    def end(self, number: int | None = signal.SIGTERM) -> int:
        """Send a signal (or none), wait, read what is left, give the exit code."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        if self._reader.is_alive() or not self._lines.empty():
            while self._next() is not None:
                pass
            self._reader.join()
        return code


@attrs.define
class Town:
    """What a test can reach."""

    folder: Path
    carrier: SimCarrier
    serving: Serving
    token: trio.lowlevel.TrioToken
    door: int

    def send(self, messages: int, settled: bool = True) -> list[str]:
        """Submit so many as acme, wait until they are promised (and told), and give their ids."""
        return trio.from_thread.run(self._send, messages, settled, trio_token=self.token)

    def turn(self, mode: Mode) -> None:
        """Give the carrier another kind of day."""
        trio.from_thread.run_sync(setattr, self.carrier, "mode", mode, trio_token=self.token)

    async def _send(self, messages: int, settled: bool) -> list[str]:
        esme = SimEsme(Workload(messages=messages), EsmeSettings())
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(esme.run, system_ports(), "127.0.0.1", self.door)
                await esme.wait_for(lambda esme: esme.settled if settled else esme.submitted_all)
                esme.stop()  # says unbind behind its last answers, so that the engine has heard them
        return [message_id for promise in esme.promises() for message_id in promise.message_ids]


@contextlib.contextmanager
def carrier_thread() -> Iterator[tuple[SimCarrier, trio.lowlevel.TrioToken, int]]:
    """A carrier that answers in 5 ms and tells in 50, in a trio thread of its own."""
    started: queue.Queue[tuple[SimCarrier, trio.lowlevel.TrioToken, int]] = queue.Queue()
    scope = trio.CancelScope()

    async def main() -> None:
        carrier = SimCarrier(
            "orange", temperament=Temperament().with_words(["response_delay=0.005", "receipt_delay=0.05"])
        )
        with scope:
            async with trio.open_nursery() as nursery:
                port = await nursery.start(carrier.run, system_ports())
                started.put((carrier, trio.lowlevel.current_trio_token(), port))

    thread = threading.Thread(target=trio.run, args=(main,), daemon=True)
    thread.start()
    carrier, token, port = started.get(timeout=PATIENCE_S)
    try:
        yield carrier, token, port
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join(PATIENCE_S)


@contextlib.contextmanager
def town(folder: Path, http: int | None = None) -> Iterator[Town]:
    """An engine that is ready and its carrier, until the block ends; then it is stopped if it still runs."""
    with carrier_thread() as (carrier, token, port):
        write_config(folder, port=port, http=http)
        serving = Serving(folder)
        try:
            door = serving.until("engine.ready")["doors"][0]
            yield Town(folder, carrier, serving, token, door)
        finally:
            serving.end()
