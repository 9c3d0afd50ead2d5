"""The boundary of looking: whatever is wrong with a picture of the engine, the engine goes on.

Rules:
- A fault while an answer for people or probes is made is logged with its trace, counted and told to who asked; it ends
  here. (The doors for messages have their own boundaries: `esmes/listener`, `carriers/bind`.)
- A link that breaks, or a peer that falls asleep, is nobody's fault and no log line.

Walk: `control` and `web` run each link through `Desk.serve` and each answer through `Desk.made`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
import trio

from smsroute.ports import Listener

log: Final = structlog.get_logger("smsroute.look")

T = TypeVar("T")
GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, OSError)


class Desk:
    """One door for people and probes: at most `links_max` at once. `name`: for the log."""

    def __init__(self, name: str, links_max: int, timeout_s: float) -> None:
        self.name = name
        self.links_max = links_max
        self.timeout_s = timeout_s
        self.links = 0
        self.faults = 0

    async def serve(
        self,
        listener: Listener,
        talk: Callable[[trio.abc.Stream, str], Awaitable[None]],
        full: bytes,
    ) -> None:
        """Hand each link to `talk` until cancelled; one too many is told `full`."""

        async def one(stream: trio.abc.Stream, peer: str) -> None:
            self.links += 1
            try:
                if self.links <= self.links_max:
                    await talk(stream, peer)
                else:
                    with trio.fail_after(self.timeout_s):
                        await stream.send_all(full)
            except GONE:
                pass
            except Exception:  # noqa: BLE001 - the boundary the module is
                self._fault("link")
            finally:
                self.links -= 1
                await trio.aclose_forcefully(stream)

        await listener.serve(one)

    async def made(self, what: str, make: Callable[[], Awaitable[T]]) -> T | None:
        """What `make` gives; None after a fault of ours, which is in the log."""
        try:
            return await make()
        except Exception:  # noqa: BLE001 - the boundary the module is
            self._fault(what)
            return None

    def _fault(self, what: str) -> None:
        self.faults += 1
        log.exception("look.fault", door=self.name, what=what)
