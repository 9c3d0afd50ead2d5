"""The engine as its own process, to be killed: `python -m smsroute serve`, its config folder and its store.

Rules:
- Every start is a new process on the same store; nothing of the last one survives but what it wrote.
- Whatever it says on stderr is kept in `engine.log` beside the store, all lives one after another.

Walk: tests/crash/test_kills.py starts, kills and stops it; `books` reads its store once it is down.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).parents[2]
DOORS = range(20_000, 32_000)
"""Below the ports a kernel gives to outgoing links: a peer that dials a dead engine's door must not meet itself."""

POLL_S = 0.02

SMSROUTE = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
limits: {{checkpoint_interval: 300ms, sweep_interval: 100ms, drain_timeout: 5s, finished_in_memory_max: 2000}}
"""
ESMES = """\
esmes:
  acme: {password: {plain: secret}, window: 200, rate: 100000/s, class_by: {service_type: {OTP: otp}}}
"""
CARRIER = """\
  {name}:
    {{system_id: smsroute, password: {{plain: pw}}, window: 40, rate: 5000/s, reconnect_min: 50ms, reconnect_max: 200ms,
     dialect: {{ids: {ids}}}, binds: [{{address: "127.0.0.1:{port}", count: 2}}]}}
"""
ROUTES = """\
routes:
  - name: all
    to: [""]
    in_doubt: {{otp: {{resend_after: 500ms}}, default: {default}}}
    carriers: [{primaries}]
"""


def free_door(rng: random.Random) -> int:
    """A port nobody listens on."""
    while True:
        port = rng.choice(DOORS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class EngineProcess:
    """See the module. `carriers`: name -> (port, ids rule)."""

    def __init__(self, folder: Path, door: int, carriers: Mapping[str, tuple[int, str]]) -> None:
        self.folder = folder
        self.door = door
        self.lives = 0
        self.log = folder / "engine.log"
        self._carriers = carriers
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0
        (folder / "smsroute.yaml").write_text(SMSROUTE.format(door=door))
        (folder / "esmes.yaml").write_text(ESMES)
        rows = (CARRIER.format(name=name, port=port, ids=ids) for name, (port, ids) in carriers.items())
        (folder / "carriers.yaml").write_text("carriers:\n" + "".join(rows))
        self.set_doubt_policy("hold")

    def set_doubt_policy(self, default: str) -> None:
        """What becomes of parts in doubt that are no otp, from the next start on: `hold`, `{fail_after: 1s}` ..."""
        primaries = ", ".join(f"{{carrier: {name}, cost: 0.03, certified: true}}" for name in self._carriers)
        (self.folder / "routes.yaml").write_text(ROUTES.format(default=default, primaries=primaries))

    def start(self) -> None:
        """A new life; returns at once."""
        assert self._process is None
        self.lives += 1
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "smsroute", "serve", "--config", str(self.folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def said(self) -> str:
        """What this life has said so far."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    async def ready(self) -> None:
        """Return when it serves; AssertionError with its own words when it ended instead."""
        while '"engine.ready"' not in self.said:
            self._still_lives()
            await trio.sleep(POLL_S)

    def _still_lives(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"life {self.lives} of the engine ended with {code}:\n{self.said[-4000:]}"

    async def kill(self) -> None:
        """SIGKILL: no handler, no flush, no farewell."""
        self._still_lives()
        await self._end(signal.SIGKILL, -signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM: drains, checkpoints, exit 0."""
        self._still_lives()
        await self._end(signal.SIGTERM, 0)

    async def _end(self, number: int, code: int) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        ended = await trio.to_thread.run_sync(process.wait)
        assert code == ended, f"life {self.lives} of the engine ended with {ended}, not {code}:\n{self.said[-4000:]}"

    def discard(self) -> None:
        """Whatever happens, no engine outlives its test."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def health(self) -> dict[str, Any]:
        """The document of `smsroute health --json`, from the control socket."""
        async with await trio.open_unix_socket(str(self.folder / "control.sock")) as stream:
            await stream.send_all(b'{"verb": "health"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                answer += await stream.receive_some(65536)
        document: dict[str, Any] = json.loads(answer)
        assert document.pop("ok"), document
        return document
