"""The watch: looks at every carrier once a second, and says once when an alarm begins to ring and once when it ends.

It says the same way when a carrier, one of its networks or a bind falls sick, and when it is well again.

Rules:
- Looks, and moves nothing: traffic follows terms and health.
- One log line a change, never one a look.
- Its coming round is the loop's pulse: binds that hear it late know that we were deaf, not their carriers slow.

Walk: one task of `engine`; `routing.alarms` judges; `ops/snapshot` shows what stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ports import Ports
from smsroute.routing.alarms import Alarm, Alarms, Load

log: Final = structlog.get_logger("smsroute.watch")


class Watch:
    """See the module."""

    def __init__(self, stations: Mapping[str, Station], ports: Ports, limits: Limits) -> None:
        self._stations = stations
        self._ports = ports
        self._limits = limits
        self._alarms: dict[str, Alarms] = {}
        self._sick: dict[tuple[str, str, str], float] = {}  # (carrier, network, bind) -> since

    async def run(self) -> None:
        """Look every `alarm_interval`, until cancelled."""
        clock = self._ports.clock
        while True:
            now = clock.monotonic()
            due_at = now + self._limits.alarm_interval_s
            for station in self._stations.values():
                for bind in station.binds:
                    bind.ears.beat(now, due_at)
            await clock.sleep_until(due_at)
            self.look(clock.monotonic())

    def look(self, now: float) -> None:
        """At every carrier, at monotonic `now`."""
        self._alarms = {name: self._alarms.get(name) or Alarms(self._limits) for name in self._stations}
        for name, station in self._stations.items():
            load = Load(station.in_flight, station.window, station.queued, bool(station.drained))
            changes = self._alarms[name].look(station.dossier, load, now)
            for alarm in changes.raised:
                log.warning("alarm.raised", **_facts(alarm), reason=alarm.words)
            for alarm in changes.cleared:
                log.info("alarm.cleared", **_facts(alarm), rang_s=round(now - alarm.since, 1))
        self._tell_health(now)

    def _tell_health(self, now: float) -> None:
        """Who fell sick since the last look, and who is well again; probes between the two are one sickness."""
        sick = {
            (name, *place): health
            for name, station in self._stations.items()
            for place, health in station.dossier.sick().items()
        }
        for key, health in sick.items():
            if key not in self._sick:
                log.warning("health.sick", **_place(key), shadow=health.shadow, reason=health.reason)
        for key, since in self._sick.items():
            if key not in sick and key[0] in self._stations:
                log.info("health.well", **_place(key), sick_s=round(now - since, 1))
        self._sick = {key: self._sick.get(key, health.sick_since or now) for key, health in sick.items()}

    def alarms(self) -> list[Alarm]:
        """Those that stand, carrier by carrier."""
        return [alarm for one in self._alarms.values() for alarm in one.standing.values()]


def _facts(alarm: Alarm) -> dict[str, str | float]:
    return {
        "kind": alarm.kind,
        "carrier": alarm.carrier,
        "network": alarm.network,
        "figure": round(alarm.figure, 4),
        "limit": round(alarm.limit, 4),
    }


def _place(key: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("carrier", "network", "bind"), key, strict=True))
