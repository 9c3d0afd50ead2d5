"""The way to a running engine, for verbs that start in milliseconds: its control socket, a clock, a pause.

Rules:
- This is the outside world of the verbs that only ask, as `ports` is the engine's: nothing else in this room opens a
  socket or reads a clock. It stands apart because `ports` brings trio, whose import takes longer than the answer.
- Whatever is wrong is one sentence: no engine, no right to ask it, no answer in time, or what the engine itself says.

Walk: `health`, `explain`, `trace`, `drain` and `resume` ask; `ops/control` answers.
"""

from __future__ import annotations

import errno
import json
import socket
import time
from pathlib import Path
from typing import Any, Final

TIMEOUT_S: Final = 5.0
SETTLE_TIMEOUT_S: Final = 30.0  # a checkpoint of a busy engine on a slow disk
ANSWER_OCTETS_MAX: Final = 64 << 20
READ_OCTETS: Final = 65_536

Document = dict[str, Any]


class Unreachable(Exception):
    """No engine answers; says where it was looked for, and why."""


class Refused(Exception):
    """The engine answered, and will not; its own words."""


def ask(control: Path, request: Document, timeout_s: float = TIMEOUT_S) -> Document:
    """The engine's answer. Raises Unreachable or Refused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout_s)
            link.connect(str(control))
            link.sendall(json.dumps(request).encode() + b"\n")
            line = _line(link, now() + timeout_s)
    except OSError as error:
        raise Unreachable(f"no engine answers at {control}: {_why(error, timeout_s)}") from error
    try:
        answer: Document = json.loads(line)
    except ValueError as error:
        raise Unreachable(f"what answers at {control} is no engine of ours") from error
    if not answer.pop("ok", False):
        raise Refused(answer.get("error", "it does not say why"))
    return answer


def now() -> float:
    """Unix seconds."""
    return time.time()


def pause(seconds: float) -> None:
    """Wait, so long."""
    time.sleep(seconds)


def _line(link: socket.socket, deadline: float) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        link.settimeout(max(0.001, deadline - now()))
        data = link.recv(READ_OCTETS)
        line += data
        if not data or len(line) > ANSWER_OCTETS_MAX:
            raise OSError(errno.EPROTO, "it hung up in the middle of its answer")
    return bytes(line)


def _why(error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing heard in {timeout_s:g} s"
    known = {
        errno.ENOENT: "no such socket, so none runs with this config (or not for this user to see)",
        errno.ECONNREFUSED: "the socket is there, but nobody listens: its engine was killed",
        errno.EACCES: "this user may not; ask as the engine's user or as root",
    }
    return known.get(error.errno or 0, (error.strerror or str(error)).lower())
