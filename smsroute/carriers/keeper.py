"""What is known of the carriers outlives the engine: kept now and then and at the stop, taken up again at the start.

Rules:
- Never a reason not to start: what cannot be read, is of another version or too old is told in one log line and left
  alone; the carriers then begin as new.
- A rule of ids that was learnt is kept at once: the messages that taught it are done, and none will teach it again.
- Nothing here holds up a message: a carrier at a time, written in the thread of `ports.Blocking`.
- At a stop the figures of the moment before unbinding count: our own farewell is no death of theirs.
- How long the engine was away is told by the wall clock; one that was set back makes it no time at all.

Walk: one task of `engine`; `routing.kept` is the format of scores, `smpp.learn` that of ids; `store.base.Store` keeps
the blobs in history.db.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog
import trio

from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ports import Ports
from smsroute.routing import kept
from smsroute.store.base import Store, StoreError

log: Final = structlog.get_logger("smsroute.keeper")


class Keeper:
    """See the module."""

    def __init__(self, stations: Mapping[str, Station], store: Store, ports: Ports, limits: Limits) -> None:
        self._stations = stations
        self._store = store
        self._ports = ports
        self._limits = limits
        self._noted: dict[str, kept.KeptDossier] = {}
        self._learnt: set[str] = set()
        self._wake = trio.Event()

    async def restore(self) -> None:
        """Before anything has happened: what the last engine on this store knew."""
        for name in self._stations:
            await self.restore_one(name)

    async def restore_one(self, name: str) -> None:
        """The same for one carrier."""
        await self._restore_scores(name)
        await self._restore_ids(name)

    async def _restore_ids(self, name: str) -> None:
        """What was learnt of its ids, however old: it is forgotten by what speaks against it, not by age."""
        learner = self._stations[name].naming.learner
        try:
            blob = await self._ports.blocking.run(self._store.kept, f"ids/{name}")
            if blob is not None:
                learner.restore(blob)
        except (StoreError, ValueError) as error:
            log.warning("ids.ignored", carrier=name, reason=str(error))
            return
        if learner.rule:
            log.info("ids.restored", carrier=name, rule=learner.rule)

    async def _restore_scores(self, name: str) -> None:
        clock = self._ports.clock
        try:
            blob = await self._ports.blocking.run(self._store.kept, f"scores/{name}")
            if blob is None:
                return
            found = kept.unpack(blob)
        except (StoreError, kept.Unreadable) as error:
            log.warning("scores.ignored", carrier=name, reason=str(error))
            return
        elapsed_s = max(0.0, clock.wall() - found.at)
        if elapsed_s > self._limits.score_keep_age_s:
            log.info("scores.ignored", carrier=name, reason=f"kept {elapsed_s:.0f} s ago")
            return
        self._stations[name].dossier.restore(found, clock.monotonic(), elapsed_s)
        log.info("scores.restored", carrier=name, networks=len(found.networks), kept_s_ago=round(elapsed_s, 1))

    async def run(self) -> None:
        """Keep every `score_keep_interval`, and what is learnt of ids at once, until cancelled."""
        clock = self._ports.clock
        due = clock.monotonic() + self._limits.score_keep_interval_s
        while True:
            with trio.move_on_at(due):
                await self._wake.wait()
            self._wake = trio.Event()
            learnt, self._learnt = self._learnt, set()
            for name in sorted(learnt):
                station = self._stations.get(name)  # a reload may change them meanwhile
                if station is not None:
                    await self._write(name, {"ids": station.naming.learner.keep()})
            if clock.monotonic() >= due:
                await self.keep()
                due = clock.monotonic() + self._limits.score_keep_interval_s

    def learnt(self, name: str) -> None:
        """Something was learnt of the ids of carrier `name`, or forgotten."""
        self._learnt.add(name)
        self._wake.set()

    def note(self) -> None:
        """These are the last figures: what happens from now on is our own stopping."""
        clock = self._ports.clock
        now, wall = clock.monotonic(), clock.wall()
        self._noted = {name: station.dossier.keep(now, wall) for name, station in self._stations.items()}

    async def keep(self) -> None:
        """Write them down, of every carrier. A disk that fails is told and asked again next time."""
        clock = self._ports.clock
        for name, station in list(self._stations.items()):  # a reload may change them meanwhile
            known = self._noted.get(name) or station.dossier.keep(clock.monotonic(), clock.wall())
            if not await self._write(name, {"scores": kept.pack(known), "ids": station.naming.learner.keep()}):
                return

    async def _write(self, name: str, blobs: Mapping[str, bytes]) -> bool:
        """Whether the disk took them."""
        try:
            for kind, blob in blobs.items():
                await self._ports.blocking.run(self._store.keep, f"{kind}/{name}", blob)
        except StoreError as error:
            if error.kind == "fenced":
                raise
            log.warning("scores.not_kept", carrier=name, kind=error.kind, error=str(error))
            return False
        return True
