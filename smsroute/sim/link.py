"""The pump of a simulated peer: one stream, one session, one reader and one writer.

Rules:
- One read is one batch for the owner; whatever it answers is joined into one write.
- A peer that does not read is not read from: above OUT_OCTETS_MAX waiting to leave, the reader rests.
- `mute` swallows everything on its way out, automatic answers too: the half-open link of a silent carrier.

Walk: `SimCarrier` and `SimEsme` subclass it with what they know of a bind; `run` calls their `handle` for each batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Self

import trio

from smsroute.ports import Clock
from smsroute.sim.wheel import STEP_S, Wheel
from smsroute.smpp.session import Received, Session

READ_OCTETS: Final = 65536
OUT_OCTETS_MAX: Final = 4 * 1024 * 1024
LAST_WORDS_S: Final = 1.0


def _ignore(link: object, received: list[Received], now: float) -> None:
    """Nobody listens yet."""


class SimLink:
    """One TCP stream and its session."""

    def __init__(self, stream: trio.abc.Stream, session: Session, clock: Clock, wheel: Wheel) -> None:
        self.session = session
        self.mute = False
        self.up = True
        self.reason = ""
        self._stream = stream
        self._clock = clock
        self._wheel = wheel
        self._out: list[bytes] = []
        self._out_octets = 0
        self._wake = trio.Event()
        self._drained = trio.Event()
        self._scope = trio.CancelScope()
        self._check_at = math.inf
        self._handle: Callable[[Any, list[Received], float], None] = _ignore

    def send(self, data: bytes) -> None:
        """Queue whole PDUs for the writer."""
        if data and not self.mute and self.up:
            self._out.append(data)
            self._out_octets += len(data)
            self._wake.set()

    def cut(self, reason: str) -> None:
        """Drop the TCP connection now."""
        self.reason = self.reason or reason
        self.up = False
        self._scope.cancel()

    async def run(self, handle: Callable[[Self, list[Received], float], None]) -> str:
        """Pump until the link is gone; the reason. The stream is closed on return."""
        self._handle = handle
        self.watch(self._clock.monotonic())
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    self.up = False
                    with trio.move_on_after(LAST_WORDS_S):
                        while self._out_octets:
                            await self._rest()
                    nursery.cancel_scope.cancel()
        finally:
            self.up = False
            await trio.aclose_forcefully(self._stream)
        return self.reason or "cut"

    async def _read(self) -> None:
        session, stream, clock = self.session, self._stream, self._clock
        while not session.closing:
            while self._out_octets > OUT_OCTETS_MAX:
                await self._rest()
            try:
                data = await stream.receive_some(READ_OCTETS)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.reason = self.reason or "connection reset"
                return
            if not data:
                self.reason = self.reason or "closed by peer"
                return
            now = clock.monotonic()
            received = session.receive_data(bytes(data), now)
            if received:
                self._handle(self, received, now)
            self.send(session.data_to_send())
            self.watch(now)
        self.reason = self.reason or session.close_reason or "session closed"

    async def _rest(self) -> None:
        self._drained = trio.Event()
        await self._drained.wait()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            data = b"".join(self._out)
            self._out.clear()
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.cut("connection reset")
                return
            self._out_octets -= len(data)
            self._drained.set()

    def watch(self, now: float) -> None:
        """See to it that the session's timers are looked at when they are due; nothing is armed while none runs."""
        deadline = self.session.next_deadline()
        if deadline < self._check_at and self.up:
            self._check_at = deadline
            self._wheel.add(max(deadline, now + STEP_S), self._check, deadline)

    def _check(self, deadline: float) -> None:
        if deadline != self._check_at or not self.up:
            return  # an earlier check took over
        self._check_at = math.inf
        now = self._clock.monotonic()
        received = self.session.tick(now)
        if received:
            self._handle(self, received, now)
        self.send(self.session.data_to_send())
        if self.session.closing:
            self.cut(self.session.close_reason or "session closed")
        self.watch(now)
