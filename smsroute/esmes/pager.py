"""The disk tier of outboxes, read back: receipts are in memory again, in order, before a session has to wait for them.

Rules:
- Nothing is read while an outbox has no room for a whole page in memory: `outbox_memory_max` holds.
- One page an ESME at a time, in turn; reading changes nothing on disk (`smsroute/outbox` says what a crash finds).
- A disk that cannot read is told, and asked again after `store_retry_s`: nothing is lost by waiting.

Walk: one task of `engine`, which calls `look` after each commit; `store` is read through `ports.Blocking`; what arrived
goes to `ledger`, and `esmes/deliver` is told by `arrived`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.ports import Ports
from smsroute.store.base import Store, StoreError

log: Final = structlog.get_logger("smsroute.pager")


class Pager:
    """See the module. `arrived` is called with an ESME whose outbox has more in memory."""

    def __init__(
        self, ledger: Ledger, store: Store, ports: Ports, limits: Limits, arrived: Callable[[str], None]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._ports = ports
        self._limits = limits
        self._arrived = arrived
        self._wake = trio.Event()
        self.read = 0  # receipts, since the start

    def look(self) -> None:
        """Something changed: there may be room."""
        if self._ledger.pages.backlogged and self._wanting():
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Raises StoreError only when fenced."""
        while True:
            for esme in self._wanting():
                await self._page(esme)
            if not self._wanting():
                self._wake = trio.Event()
                await self._wake.wait()

    def _wanting(self) -> list[str]:
        ledger, limits = self._ledger, self._limits
        most, page = limits.outbox_memory_max, self._page_parts
        return [esme for esme in sorted(ledger.pages.backlogged) if ledger.outboxes[esme].wants(most, page)]

    @property
    def _page_parts(self) -> int:
        return min(self._limits.outbox_page_parts, self._limits.outbox_memory_max)

    async def _page(self, esme: str) -> None:
        ledger = self._ledger
        outbox = ledger.outboxes[esme]
        behind, through = outbox.cursor, outbox.last
        ledger.pages.reading += 1
        try:
            page = await self._ports.blocking.run(self._store.owed, esme, behind, through, self._page_parts)
        except StoreError as error:
            if error.kind == "fenced":
                raise
            log.error("outbox.unread", esme=esme, kind=error.kind, error=str(error))
            await self._ports.clock.sleep_until(self._ports.clock.monotonic() + self._limits.store_retry_s)
            return
        finally:
            ledger.pages.reading -= 1
        self.read += len(page.parts)
        ledger.arrived(esme, page, through)
        self._arrived(esme)
