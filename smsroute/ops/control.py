"""The control socket: one JSON line asks, one JSON line answers, on a UNIX socket only the engine's user may open.

Rules:
- A request is `{"verb": "health", ...}`; an answer is `{"ok": true, ...}` or `{"ok": false, "error": "what, what was
  expected"}`. A link may ask again and again.
- Looking never harms the engine: lines, links and waiting are bounded (limits control_*, look_timeout_s), and a fault
  in an answer ends at the boundary (`look`).
- Who changes something (drain, resume) is known by the uid the kernel vouches for.

Walk: `cli/serve` opens the socket (`ports.listen_unix`) and runs `serve`; `ops/verbs` answers; `cli/ask` asks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio

from smsroute.config import Limits
from smsroute.ops.look import Desk
from smsroute.ports import Listener

READ_OCTETS: Final = 16_384

Document = dict[str, Any]
Answer = Callable[[Mapping[str, Any], str], Awaitable[Document]]
"""What answers a request: (request, who asks, as `uid 1000`). Raises Refusal."""


class Refusal(Exception):
    """The request cannot be answered; says why, and what was expected."""


class Control:
    """See the module. `verbs`: name -> what answers it."""

    def __init__(self, listener: Listener, verbs: Mapping[str, Answer], limits: Limits) -> None:
        self.desk = Desk("control", limits.control_links_max, limits.look_timeout_s)
        self._listener = listener
        self._verbs = verbs
        self._limits = limits

    async def serve(self) -> None:
        """Answer until cancelled."""
        busy = f"{self._limits.control_links_max} links are open already (control_links_max), expected fewer"
        await self.desk.serve(self._listener, self._talk, _no(busy))

    async def _talk(self, stream: trio.abc.Stream, peer: str) -> None:
        limits = self._limits
        buffer = bytearray()
        while True:
            with trio.fail_after(limits.look_timeout_s):
                line = await self._next_line(stream, buffer)
            if line is None:
                return
            too_long = len(line) > limits.control_request_octets_max
            if too_long:
                answer = _no(f"a line over {limits.control_request_octets_max} octets, expected one JSON object")
            else:
                answer = await self._answer(line, peer)
            with trio.fail_after(limits.look_timeout_s):
                await stream.send_all(answer)
            if too_long:
                return

    async def _next_line(self, stream: trio.abc.Stream, buffer: bytearray) -> bytes | None:
        """The next line without its end; one that is too long as far as it was read; None when the peer is done."""
        while True:
            end = buffer.find(b"\n")
            if end >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                return line
            if len(buffer) > self._limits.control_request_octets_max:
                return bytes(buffer)
            data = await stream.receive_some(READ_OCTETS)
            if not data:
                return None
            buffer += data

    async def _answer(self, line: bytes, peer: str) -> bytes:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _no('this is not JSON, expected {"verb": "health"}')
        verb = request.get("verb") if isinstance(request, dict) else None
        answer = self._verbs.get(verb) if isinstance(verb, str) else None
        if answer is None:
            return _no(f"unknown verb {verb!r}, expected one of {', '.join(self._verbs)}")

        async def make() -> bytes:
            try:
                return _line({"ok": True, **await answer(request, peer)})
            except Refusal as refusal:
                return _no(str(refusal))

        made = await self.desk.made(str(verb), make)
        return _no("a fault of ours, the engine's log has it (look.fault)") if made is None else made


def _no(why: str) -> bytes:
    return _line({"ok": False, "error": why})


def _line(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
