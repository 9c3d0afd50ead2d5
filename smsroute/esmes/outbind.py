"""Calls to ESMEs that wait for them: outbind (SMPP 3.4 section 4.1.7, quirks S31).

Rules:
- An ESME is called when something waits in its outbox and no session of it may receive; one call at a time, and the
  next `outbind_interval_s` after the last began.
- It binds on the link we opened, with its own system_id and password, and is from then on a session like any other. Its
  `allow_from` is not asked: we dialled it.

Walk: one task of `engine`; a link that came to be is handed to `esmes/listener`.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from smsroute.config import Config, Esme
from smsroute.esmes.listener import Doors
from smsroute.ledger import Ledger
from smsroute.ports import Ports

log: Final = structlog.get_logger("smsroute.esme")


class Outbinds:
    """See the module."""

    def __init__(self, config: Config, ledger: Ledger, doors: Doors, ports: Ports) -> None:
        self._limits = config.limits
        self._ledger = ledger
        self._doors = doors
        self._ports = ports
        self._calling: set[str] = set()
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Whom this config says to call."""
        self._esmes = [esme for esme in config.esmes.values() if esme.outbind is not None]

    async def run(self) -> None:
        """Until cancelled."""
        clock = self._ports.clock
        async with trio.open_nursery() as nursery:
            while True:
                for esme in self._esmes:
                    if self._wanted(esme):
                        self._calling.add(esme.name)
                        nursery.start_soon(self._call, esme)
                await clock.sleep_until(clock.monotonic() + self._limits.outbind_interval_s)

    def _wanted(self, esme: Esme) -> bool:
        outbox = self._ledger.outboxes.get(esme.name)
        if not outbox or esme.name in self._calling or self._doors.draining or esme.name in self._doors.drained:
            return False
        return not any(client.receives for client in self._doors.sessions(esme.name))

    async def _call(self, esme: Esme) -> None:
        """Dial it, and serve the link for as long as it is up."""
        assert esme.outbind is not None
        host, port = esme.outbind.host, esme.outbind.port
        where = f"{host}:{port}"
        try:
            with trio.fail_after(self._limits.connect_timeout_s):
                stream = await self._ports.network.connect(host, port)
            log.info("outbind.called", esme=esme.name, address=where)
            await self._doors.handle(stream, host, esme)
        except (OSError, trio.TooSlowError) as error:
            log.warning("outbind.unreachable", esme=esme.name, address=where, reason=str(error) or "no answer")
        finally:
            self._calling.discard(esme.name)
