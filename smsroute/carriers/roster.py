"""The roster: which carriers there are just now, and the tasks that keep each one up; a reload changes both.

Rules:
- A carrier whose lines in the config are as before keeps its binds, its score and its queue, whatever else changed.
- What can change under a session (rate, window, timers, dialect, outcomes) does so at once, and no bind falls.
- What a session is made of (address, mode, system_id, password, version) makes new binds; the old ones take nothing
  new but the other parts of messages they have begun (law 8), wait for their answers up to `drain_timeout_s`, and
  unbind. So does every bind of a carrier that left.
- A new bind bears the name of the one it takes over from, as the next session of a bind does.
- Receipts come to the account that submitted. Where no bind of it remains, the old ones stay `leave_receipts_s` longer
  to take them.
- A carrier that left stays on the roster, drained, until its last bind is gone: whoever answers is still known. Parts
  queued there then go where their routes lead.

Walk: owned by `carriers/dispatch`, which runs it and hands it each new config; binds and lanes run in its nursery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
import trio

from smsroute.carriers.bind import Bind
from smsroute.carriers.station import Station
from smsroute.config import Carrier, Limits

log: Final = structlog.get_logger("smsroute.roster")

LEFT: Final = "it left the configuration"


class Roster:
    """See the module.

    `make` builds a carrier's station; `empty_lanes` is the task that sends what waits for it; `landed` returns once a
    condition holds, asked again whenever something lands; `gone` is told of a carrier that is no more.
    """

    def __init__(
        self,
        carriers: Mapping[str, Carrier],
        limits: Limits,
        *,
        make: Callable[[Carrier], Station],
        empty_lanes: Callable[[str], Awaitable[None]],
        landed: Callable[[Callable[[], bool]], Awaitable[None]],
        gone: Callable[[str], None],
    ) -> None:
        self._limits = limits
        self._make = make
        self._empty_lanes = empty_lanes
        self._landed = landed
        self._gone = gone
        self._tasks: trio.Nursery | None = None
        self._binds: dict[str, trio.Nursery] = {}  # of each carrier that runs
        self._leaving: set[str] = set()
        self._left = 0  # binds that were told to leave, ever
        self._emptied: dict[str, trio.Event] = {}  # set when a carrier that leaves has lost its last bind
        self.stations = {name: make(carrier) for name, carrier in carriers.items()}

    async def run(self) -> None:
        """Keep every carrier up until cancelled."""
        async with trio.open_nursery() as self._tasks:
            for name in list(self.stations):
                self._tasks.start_soon(self._keep, name)
            await trio.sleep_forever()

    def adopt(self, carriers: Mapping[str, Carrier], now: float) -> None:
        """These carriers from now on. `now`: monotonic seconds."""
        assert self._tasks is not None, "a reload comes after the start"
        for name, station in self.stations.items():
            carrier = carriers.get(name)
            if carrier is None:
                if name not in self._leaving:
                    self._leaving.add(name)
                    station.drained = station.drained or LEFT
                    self._retire(name, list(station.binds), LEFT)
                continue
            if name in self._leaving and not station.binds:  # gone but for its tasks: `_keep` finds the new one here
                self._leaving.discard(name)
                self._binds.pop(name, None)
                self.stations[name] = self._make(carrier)
                continue
            # One that comes back before it has gone gets new binds: its old ones are on their way out.
            self._leaving.discard(name)
            if station.drained == LEFT:
                station.drained = ""
            self._change(name, station, carrier, now)
        for name, carrier in carriers.items():
            if name not in self.stations:
                self.stations[name] = self._make(carrier)
                self._tasks.start_soon(self._keep, name)
                log.info("carrier.added", carrier=name)

    def _change(self, name: str, station: Station, carrier: Carrier, now: float) -> None:
        if carrier == station.carrier and not any(bind.leaving for bind in station.binds):
            return
        fresh, old = station.adopt(carrier, now)
        self._retire(name, old, "the configuration has it otherwise now")
        nursery = self._binds.get(name)
        if nursery is not None:
            for bind in fresh:
                nursery.start_soon(bind.run)
        log.info("carrier.changed", carrier=name, new_binds=len(fresh), old_binds=len(old))

    def _retire(self, name: str, binds: list[Bind], why: str) -> None:
        nursery = self._binds.get(name)
        for bind in binds:
            if not bind.leaving:
                self._left += 1
                bind.leaving, bind.label = why, f"{bind.name}.old{self._left}"
                if nursery is not None:
                    nursery.start_soon(self._see_off, name, bind)

    async def _see_off(self, name: str, bind: Bind) -> None:
        """A bind goes: its answers are waited for, and what it has for us still comes."""
        station = self.stations[name]
        with trio.move_on_after(self._limits.drain_timeout_s):
            await self._landed(lambda: not bind.in_flight and not bind.reserved)
        if name in self._leaving or bind.carrier.system_id != station.carrier.system_id:
            with trio.move_on_after(self._limits.leave_receipts_s):
                await bind.ended.wait()
        bind.stop(bind.leaving)
        await bind.ended.wait()
        station.dismiss(bind)
        if name in self._leaving and not station.binds:
            self._emptied[name].set()

    async def _keep(self, name: str) -> None:
        """One carrier: its lanes, and its binds as long as it has any and was not told to leave."""
        station = None
        while station is not self.stations[name]:  # another took its place just before it was gone
            station = self.stations[name]
            self._emptied[name] = trio.Event()
            async with trio.open_nursery() as lanes:
                lanes.start_soon(self._empty_lanes, name)
                async with trio.open_nursery() as binds:
                    self._binds[name] = binds
                    for bind in station.binds:
                        binds.start_soon(bind.run)
                        if bind.leaving:  # a reload was quicker than the start
                            binds.start_soon(self._see_off, name, bind)
                    await self._emptied[name].wait()
                lanes.cancel_scope.cancel()
        # Nothing is awaited from here on: who adds it again meanwhile would lose what the last step takes away.
        del self._binds[name], self._emptied[name], self.stations[name]
        self._leaving.discard(name)
        log.info("carrier.removed", carrier=name)
        self._gone(name)
