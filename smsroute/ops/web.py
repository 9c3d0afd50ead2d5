"""The HTTP door: a status page for people, the same as JSON, metrics for Prometheus. Read only.

Rules:
- GET and HEAD of `/`, `/status.json` and `/metrics`; everything else is refused. Nothing here changes anything.
- One request a link, bounded in size and time (limits http_*, look_timeout_s); a fault in a page is a 500 and ends at
  the boundary (`look`).
- No script, no external file: the page works in a closed network operations room.

Walk: `cli/serve` opens the door when `http:` is set and runs `serve`; the document comes from `snapshot`, the page from
`page`, the metrics from `metrics`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import h11
import trio

from smsroute.config import Limits
from smsroute.ops.look import Desk
from smsroute.ops.metrics import CONTENT_TYPE as METRICS_TYPE
from smsroute.ops.metrics import metrics
from smsroute.ops.page import page
from smsroute.ports import Listener

READ_OCTETS: Final = 16_384
BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}

Document = dict[str, Any]
Body = tuple[int, str, bytes]
"""Status, content type, octets."""

PATHS: Final[dict[str, tuple[str, Callable[[Document], str]]]] = {
    "/": ("text/html; charset=utf-8", page),
    "/status.json": ("application/json", lambda document: json.dumps(document, ensure_ascii=False)),
    "/metrics": (METRICS_TYPE, metrics),
}


class Web:
    """See the module. `look` makes the document of `smsroute health`."""

    def __init__(self, listener: Listener, look: Callable[[], Document], limits: Limits) -> None:
        self.desk = Desk("http", limits.http_links_max, limits.look_timeout_s)
        self._listener = listener
        self._look = look
        self._limits = limits

    async def serve(self) -> None:
        """Answer until cancelled."""
        await self.desk.serve(self._listener, self._talk, BUSY)

    async def _talk(self, stream: trio.abc.Stream, peer: str) -> None:
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.http_request_octets_max)
        with trio.fail_after(self._limits.look_timeout_s):
            try:
                request = await self._request(stream, conn)
            except h11.RemoteProtocolError as error:
                # Whatever it is, it is no HTTP: one last word, and the link ends.
                if conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send(stream, conn, (error.error_status_hint, "text/plain", f"{error}\n".encode()), True)
                return
            if request is not None:
                body = await self._body(request)
                await self._send(stream, conn, body, request.method != b"HEAD")

    async def _request(self, stream: trio.abc.Stream, conn: h11.Connection) -> h11.Request | None:
        """The request; None when the peer left before it was whole."""
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                conn.receive_data(bytes(await stream.receive_some(READ_OCTETS)))
            elif isinstance(event, h11.Request):
                return event
            else:
                return None

    async def _body(self, request: h11.Request) -> Body:
        if request.method not in (b"GET", b"HEAD"):
            return 405, "text/plain", b"only GET and HEAD are answered here\n"
        path = request.target.decode("ascii", "replace").partition("?")[0]
        found = PATHS.get(path)
        if found is None:
            return 404, "text/plain", f"nothing here, expected one of {' '.join(PATHS)}\n".encode()
        content_type, render = found

        async def make() -> bytes:
            return render(self._look()).encode()

        made = await self.desk.made(path, make)
        if made is None:
            return 500, "text/plain", b"a fault of ours, the engine's log has it (look.fault)\n"
        return 200, content_type, made

    async def _send(self, stream: trio.abc.Stream, conn: h11.Connection, body: Body, whole: bool) -> None:
        status, content_type, octets = body
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(octets))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
        if status == 405:
            headers.append(("Allow", "GET, HEAD"))
        reason = REASONS.get(status, "").encode()
        data = conn.send(h11.Response(status_code=status, headers=headers, reason=reason)) or b""
        if whole:
            data += conn.send(h11.Data(data=octets)) or b""
        data += conn.send(h11.EndOfMessage()) or b""
        await stream.send_all(data)
