"""A door in memory for tests of `ops.control` and `ops.web`: what a client writes, and all that it hears."""

from __future__ import annotations

import trio
from trio.testing import memory_stream_pair

from smsroute.ports import Handler


class Door:
    """A `ports.Listener` that hands over memory streams."""

    port = 0

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](64)

    async def serve(self, handler: Handler) -> None:
        async with trio.open_nursery() as nursery:
            async for stream in self._receive:
                nursery.start_soon(handler, stream, "uid 1000")

    async def aclose(self) -> None:
        await self._send.aclose()

    def dial(self) -> trio.abc.Stream:
        """A client's end."""
        here, there = memory_stream_pair()
        self._send.send_nowait(there)
        return here


async def heard(stream: trio.abc.Stream) -> bytes:
    """All that comes until the other side hangs up."""
    data = b""
    while True:
        try:
            more = await stream.receive_some(65536)
        except trio.BrokenResourceError:
            return data
        if not more:
            return data
        data += more
