"""Where the foreign peers are, how each is started, and what it tells: a line of JSON for each thing it did or saw.

Rules:
- Nothing of the machine's own is used but node, perl and python: every peer stands in .peers, put there by tools/peers.
- A peer that is not there is an error that says what to run, never a skipped test.
- A peer gets its task as one JSON argument and ends by itself, or is killed after its time.

Walk: the tests of this folder start them; their scripts are in clients/ and servers/.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

import attrs

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".peers"
DEBIAN = PEERS / "debian"
LIBRARIES = [str(path) for path in sorted(DEBIAN.glob("usr/lib/*-linux-gnu")) + sorted(DEBIAN.glob("lib/*-linux-gnu"))]
DEBIAN_ENV = {**os.environ, "LD_LIBRARY_PATH": ":".join(LIBRARIES)}
ENV = {**os.environ, "NODE_PATH": str(PEERS / "node/node_modules"), "PERL5LIB": str(DEBIAN / "usr/share/perl5")}
RUNNERS = {".js": ["node"], ".pl": ["perl"], ".py": [str(PEERS / "venv/bin/python"), "-W", "ignore"]}
END_S = 20.0

Event = dict[str, Any]


@attrs.define
class Peer:
    """One run of a foreign peer: its process, and what it has told so far."""

    name: str
    process: subprocess.Popen[bytes]
    events: list[Event] = attrs.Factory(list)
    words: list[str] = attrs.Factory(list)
    """Whatever it says that is no line of JSON, on stdout or stderr: shown when something goes wrong."""
    _lines: queue.Queue[bytes | None] = attrs.Factory(queue.Queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def did(self, what: str) -> list[Event]:
        """Everything it told of this kind."""
        return [event for event in self.events if event["did"] == what]

    def until(self, what: str, count: int = 1, timeout_s: float = END_S) -> list[Event]:
        """Read on until it told so many of this kind. AssertionError with all it said when it ends or stays silent."""
        deadline = time.monotonic() + timeout_s
        while len(self.did(what)) < count:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {what} in {timeout_s:g} s: {self}") from None
            assert line is not None, f"ended without {what}: {self}"
            self._take(line)
        return self.did(what)

    def tell(self, order: Event) -> None:
        """Hand it one line of JSON on its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def ended(self, timeout_s: float = END_S) -> None:
        """Read on until it ends by itself, content."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"it did not end in {timeout_s:g} s: {self}") from None
            if line is None:
                break
            self._take(line)
        assert self.process.wait(timeout_s) == 0, str(self)

    def kill(self) -> None:
        """Whatever happens, no peer outlives its test."""
        with contextlib.suppress(ProcessLookupError):  # none of its group is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __str__(self) -> str:
        return f"{self.name} told {self.events} and said {' / '.join(self.words)[-3000:]}"

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\n")
        if text.startswith("{"):
            self.events.append(json.loads(text))
        elif text:
            self.words.append(text)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)


def start(script: str, task: Event) -> Peer:
    """A foreign peer at work: script below tests/peers, its task as JSON; `ca` in it is a file of whom to trust by TLS,
    which some libraries only read from their environment."""
    assert PEERS.exists(), "no foreign peers here: run tools/peers"
    path = HERE / script
    process = subprocess.Popen(
        [*RUNNERS[path.suffix], str(path), json.dumps({"debian": str(DEBIAN), "libraries": LIBRARIES, **task})],
        env={**ENV, "SSL_CERT_FILE": task["ca"]} if "ca" in task else ENV,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peer = Peer(script, process)
    threading.Thread(target=peer._read, daemon=True).start()
    return peer
