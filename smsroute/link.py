"""The pump: one trio stream, one Session, three tasks (reader, writer, deadline) and a buffer.

Rules:
- One `receive_some` gives one list of what was received, handed on in one call; one write carries all that gathered
  since the last. Nothing here is done once a PDU.
- `write` never waits: it appends to the buffer, and a peer that does not read until `send_octets_max` is cut off, or
  for `send_stall_s` where the owner says so.
- Time is asked for, not polled: the deadline task sleeps until the session's next deadline; what is written or
  read moves that up.
- Nobody is silent whom we did not read: while `receiver` holds the reader (a commit on a slow disk), answers stand in
  the socket; they are read before a timer is believed.
- However it ends (peer, timer, cancel), `run` returns why, and what was in flight is told by `Session.lost`.

Walk: `esmes/listener` and `carriers/bind` run one for each stream; it knows the session, not what messages are.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from smsroute.config import Limits
from smsroute.ports import Clock, why_no_tls
from smsroute.smpp.session import Received, Session, SessionLimits

Receiver = Callable[[Sequence[Received]], Awaitable[None]]

GLANCE_S: Final = 0.01
"""Enough for what stands in a socket to be read, through TLS too."""

GLANCES: Final = 4
"""Reads that may hold a timer back: under full load the reader is always busy, and the timer has to come round."""

PIECE_OCTETS: Final = 65_536
"""What a slow reader must take in `send_stall_s`: two kilobytes a second, at the default."""

BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError)


class Link:
    """See the module."""

    def __init__(
        self, stream: trio.abc.Stream, session: Session, clock: Clock, limits: Limits, receive_octets: int
    ) -> None:
        """`receive_octets`: the most one read takes."""
        self.session = session
        self.why = ""
        self.ended_at = math.inf  # monotonic; from the moment it is not `up`
        self._stream = stream
        self._clock = clock
        self._limits = limits
        self._receive_octets = receive_octets
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._wake = trio.Event()
        self._alarm: trio.CancelScope | None = None
        self.send_octets_max = limits.send_buffer_octets_max
        self.send_stall_s = math.inf  # a peer that reads nothing for so long is cut off; the owner may say
        self._scope = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._listens = False  # the reader waits for the peer, not for our disk
        self._listening = trio.Event()
        self._last_words = ""
        self._flushed = trio.Event()

    @property
    def up(self) -> bool:
        """Whether bytes written now have a stream to go to."""
        return not self.why

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer. After the link has ended they go nowhere."""
        if self.why or not data:
            return
        self._buffer.append(data)
        self._buffered += len(data)
        self._wake.set()
        if self._buffered > self.send_octets_max:
            self.close(f"peer does not read: {self._buffered} octets wait")
        else:
            self._rearm()

    def close(self, why: str) -> None:
        """End the link now; what is buffered is dropped."""
        self._end(why)
        self._scope.cancel()

    def finish(self, why: str) -> None:
        """End the link once what is buffered has left; nothing more is read."""
        self._last_words = self._last_words or why
        self._reading.cancel()

    async def run(self, receiver: Receiver) -> str:
        """Pump until the link ends; returns why. `receiver` gets each read's worth of what was received."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._watch, receiver)
                    with self._reading:
                        await self._read(receiver)
                    await self._flush()
                    nursery.cancel_scope.cancel()
        finally:
            self._end("cancelled")
            await trio.aclose_forcefully(self._stream)
        return self.why

    async def _read(self, receiver: Receiver) -> None:
        session = self.session
        size = self._receive_octets
        while not session.closing:
            self._listens = True
            self._listening.set()
            try:
                data = await self._stream.receive_some(size)
            except BROKEN as error:
                self.close(f"link lost: {_said(error)}")
                return
            self._listens = False
            if not data:
                self.close("peer closed the link")
                return
            received = session.receive_data(bytes(data), self._clock.monotonic())
            self.write(session.data_to_send())
            self._rearm()  # what was read may begin a wait too: a bind that is answered begins its enquire_link
            if received:
                await receiver(received)

    async def _write(self) -> None:
        while True:
            if not self._buffer:
                self._flushed.set()
                self._wake = trio.Event()
                await self._wake.wait()
            if self._flushed.is_set():  # else somebody may wait for this very one
                self._flushed = trio.Event()
            data = b"".join(self._buffer)
            self._buffer.clear()
            try:
                if not await self._send(data):
                    return
            except BROKEN as error:
                self.close(f"link lost: {_said(error)}")
                return
            self._buffered -= len(data)

    async def _send(self, data: bytes) -> bool:
        """Everything, in pieces that must leave in `send_stall_s` each; False when one did not."""
        if self.send_stall_s == math.inf:
            await self._stream.send_all(data)
            return True
        for at in range(0, len(data), PIECE_OCTETS):
            with trio.move_on_after(self.send_stall_s) as stalled:
                await self._stream.send_all(data if len(data) <= PIECE_OCTETS else data[at : at + PIECE_OCTETS])
            if stalled.cancelled_caught:
                self.close(f"peer does not read: nothing left for {self.send_stall_s:g} s")
                return False
        return True

    async def _watch(self, receiver: Receiver) -> None:
        session = self.session
        while True:
            with trio.CancelScope(deadline=session.next_deadline()) as self._alarm:
                await trio.sleep_forever()
            await self._catch_up()
            received = session.tick(self._clock.monotonic())
            self.write(session.data_to_send())
            if received:
                await receiver(received)
            if session.closing:
                self.finish(session.close_reason)

    async def _catch_up(self) -> None:
        """Return once what the peer has said is read."""
        for _ in range(GLANCES):
            if self._listens:
                return
            self._listening = trio.Event()
            await self._listening.wait()
            await self._clock.sleep_until(self._clock.monotonic() + GLANCE_S)

    def _rearm(self) -> None:
        if self._alarm is not None:
            self._alarm.deadline = min(self._alarm.deadline, self.session.next_deadline())

    async def _flush(self) -> None:
        """Let the last words (a refusal, an unbind_resp) leave before the stream closes."""
        with trio.move_on_after(self._limits.unbind_timeout_s):
            while self._buffered and not self.why:
                await self._flushed.wait()
            if isinstance(self._stream, trio.SSLStream) and not self.why:
                await self._stream.aclose()  # TLS has a goodbye of its own; without it a strict peer sees a fault
        self._end(self._last_words or self.session.close_reason or "session closed")

    def _end(self, why: str) -> None:
        if not self.why:
            self.why = why
            self.ended_at = self._clock.monotonic()


def _said(error: BaseException) -> str:
    if isinstance(error.__cause__, ssl.SSLError):
        return f"TLS: {why_no_tls(error)}"
    return str(error) or type(error).__name__


def session_limits(limits: Limits, *, window: int, response_timeout_s: float, enquire_link_s: float) -> SessionLimits:
    """The numbers of a session: the three that the peer's contract sets, and the house's."""
    return SessionLimits(
        pdu_octets_max=limits.pdu_octets_max,
        window=window,
        response_timeout_s=response_timeout_s,
        enquire_link_s=enquire_link_s,
        enquire_link_missed_max=limits.enquire_link_missed_max,
        bind_timeout_s=limits.bind_timeout_s,
        unbind_timeout_s=limits.unbind_timeout_s,
        nacks_max=limits.nacks_max,
        tombstones_max=limits.tombstones_max,
    )
