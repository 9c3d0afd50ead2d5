"""The engine of the failure benchmark: the product, or the product with a simple policy in place of its judgement.

Rules:
- Everything but the judgement is the product's own: `smsroute serve`, its journal, its laws, its queues and how they
  move, its pace by contract, its in-doubt policies. What is compared is who is chosen.
- `bind`: a bound carrier is good; shares by weight. What carriers answer, or fail to, changes nothing.
- `errors`: five faults in a row (errors, throttled, timeouts, lost links) put a carrier out for 30 s; shares by weight.
- A simple policy hands `routing.decide` views that say only "good" or "bad", so the plan is made by the product too.

Walk: `failover_run` starts it as `smsroute serve` is started: `failover_engine.py POLICY serve --config DIR`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from smsroute.carriers.station import Station
from smsroute.cli import main, serve
from smsroute.config import Config
from smsroute.engine import Engine, build
from smsroute.message import Blame
from smsroute.ports import Ports
from smsroute.routing import decide
from smsroute.routing.decide import Plan
from smsroute.routing.health import HealthState
from smsroute.routing.table import Rule
from smsroute.routing.views import CarrierView
from smsroute.store.base import Store

ROW = 5
OUT_S = 30.0
NEUTRAL = frozenset({Blame.PERMANENT_MESSAGE})


class Simple:
    """Judges carriers by a rule of thumb. `now` is monotonic seconds."""

    def __init__(self, engine: Engine) -> None:
        self.stations = engine.dispatch.stations
        # Shares by weight alone: of two drawn carriers the first always takes the part.
        self._limits = attrs.evolve(engine.config.limits, pick_tolerance=float("inf"))
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def good(self, name: str, _now: float) -> bool:
        """Whether this carrier gets its share."""
        return any(bind.state == "bound" for bind in self.stations[name].binds if bind.sends)

    def answered(self, _name: str, _blame: Blame, _parts: int, _now: float) -> None:
        """What came back; a policy may take note."""

    def plan(self, rule: Rule, message_class: int, now: float) -> Plan:
        """In place of `Dispatch.plan`."""
        good = {entry.carrier: self.good(entry.carrier, now) for entry in (*rule.route.carriers, *rule.route.backup)}
        key = (rule.route.name, message_class, *good.values())
        if key not in self._plans:
            views = {name: self._view(name, well) for name, well in good.items()}
            self._plans[key] = decide.plan(rule.route, message_class, views, self._limits, now)
        return self._plans[key]

    def _view(self, name: str, well: bool) -> CarrierView:
        contract = self.stations[name].carrier.rate
        if well:
            return CarrierView(name, rate=contract, contract=contract)
        return CarrierView(name, HealthState.DEAD, reason="out", admit_share=0.0, rate=contract, contract=contract)


class Errors(Simple):
    """Five faults in a row: out for 30 s."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._row = dict.fromkeys(self.stations, 0)
        self._out_until = dict.fromkeys(self.stations, 0.0)

    def good(self, name: str, now: float) -> bool:
        return super().good(name, now) and now >= self._out_until[name]

    def answered(self, name: str, blame: Blame, parts: int, now: float) -> None:
        if blame == Blame.OK:
            self._row[name] = 0
        elif blame not in NEUTRAL:
            self._row[name] += parts
            if self._row[name] >= ROW and now >= self._out_until[name]:
                self._out_until[name], self._row[name] = now + OUT_S, 0


POLICIES: Mapping[str, Callable[[Engine], Simple] | None] = {"ours": None, "bind": Simple, "errors": Errors}


def install(engine: Engine, policy: Simple) -> None:
    """Put `policy` where the product's judgement is: plans, answers and the passing of time."""
    dispatch: Any = engine.dispatch
    assert callable(dispatch.plan)
    dispatch.plan = policy.plan
    for name, station in dispatch.stations.items():
        assert callable(station.answered) and callable(station.tick)
        station.answered = partial(_answered, policy, name)
        station.tick = partial(_tick, station)


def _answered(
    policy: Simple,
    name: str,
    _bind: str,
    _network: str,
    blame: Blame,
    _latency_s: float,
    now: float,
    parts: int,
    *_: object,
) -> None:
    policy.answered(name, Blame(blame), parts, now)


def _tick(_station: Station, _now: float) -> bool:
    return False  # congestion, health and scores stay as they were at the start


async def _build(make: Callable[[Engine], Simple], config: Config, ports: Ports, store: Store) -> Engine:
    engine = await build(config, ports, store)
    install(engine, make(engine))
    return engine


if __name__ == "__main__":
    made = POLICIES[sys.argv[1]]
    if made is not None:
        serve.build = partial(_build, made)
    sys.exit(main(sys.argv[2:]))
