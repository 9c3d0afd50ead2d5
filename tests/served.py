"""The engine as its own process: `python -m smsroute serve` on a config folder, to be asked, stopped or killed.

Rules:
- Every start is a new process on the same folder; nothing of the last one survives but what it wrote.
- What it says on stderr is kept in `engine.log` in that folder, all lives one after another.
- Nothing here waits in a loop but `await_ready`: a test under trio polls `ready` itself.

Walk: tests/crash kills it under load, tests/peers put foreign clients and servers at both its ends.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOORS = range(20_000, 32_000)
"""Below the ports a kernel gives to outgoing links: a peer that dials a dead engine's door must not meet itself."""

POLL_S = 0.02
READY_S = 30.0


def free_door(rng: random.Random) -> int:
    """A port nobody listens on."""
    while True:
        port = rng.choice(DOORS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class Served:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lives = 0
        self.log = folder / "engine.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    def start(self) -> None:
        """A new life; returns at once."""
        assert self._process is None
        self.lives += 1
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "smsroute", "serve", "--config", str(self.folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def said(self) -> str:
        """What this life has said so far."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    @property
    def ready(self) -> bool:
        """Whether it serves. AssertionError with its own words when it ended instead."""
        self.alive()
        return '"engine.ready"' in self.said

    def await_ready(self) -> None:
        """Block until it serves."""
        deadline = time.monotonic() + READY_S
        while not self.ready:
            assert time.monotonic() < deadline, f"not ready in {READY_S:g} s:\n{self.said[-4000:]}"
            time.sleep(POLL_S)

    def alive(self) -> None:
        """AssertionError with its own words when it ended."""
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"life {self.lives} of the engine ended with {code}:\n{self.said[-4000:]}"

    def kill(self) -> None:
        """SIGKILL: no handler, no flush, no farewell."""
        self._end(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: drains, checkpoints, exit 0."""
        self._end(signal.SIGTERM, 0)

    def stop_later(self) -> None:
        """SIGTERM, without waiting for what it does; `stopped` waits."""
        self._signal(signal.SIGTERM)

    def stopped(self) -> None:
        """Wait for the end that `stop_later` asked for: exit 0."""
        self._ended(0)

    def _end(self, number: int, code: int) -> None:
        self._signal(number)
        self._ended(code)

    def _signal(self, number: int) -> None:
        self.alive()
        assert self._process is not None
        self._process.send_signal(number)

    def _ended(self, code: int) -> None:
        process, self._process = self._process, None
        assert process is not None
        ended = process.wait()
        assert code == ended, f"life {self.lives} of the engine ended with {ended}, not {code}:\n{self.said[-4000:]}"

    def discard(self) -> None:
        """Whatever happens, no engine outlives its test."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def health(self) -> dict[str, Any]:
        """The document of `smsroute health --json`, from the control socket at control.sock."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.folder / "control.sock"))
            link.sendall(b'{"verb": "health"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                answer += link.recv(65536)
        document: dict[str, Any] = json.loads(answer)
        assert document.pop("ok"), document
        return document
