"""What another config would have done with the messages of the last hour: share moved, cost, who finds no way.

Rules:
- Both configs decide again, the one that stands and the proposed one, over the same messages and the same recorded
  views; what is compared is share with share, so the same config twice moves nothing, dice or no dice. Where messages
  really went stands beside it.
- Pure: messages, records and configs in, one document out.
- A sample says that it is one; sums are scaled up to all messages of the span.

Drawback of the simple way. Comparing the proposal with where messages went counts the dice, failovers and probes of
that hour as changes; comparing two files says nothing about how much traffic a line carries.

Idea. A decision needs a rule, a class and views, and all three are on the disk. For each message and each config:

    rule   = table.match(number, sender, ESME, class, coding, when)     none: no way
    views  = of each carrier of the rule, the last recorded before the message, for its network or else for any
    shares = plan(rule.route, class, views)
    moved += sum over carriers of what the proposal gives them more (who finds no way has not moved)

Measured (Python 3.11, 2 shared cores): 20,000 messages over two configs in 0.4 s.

Limits: views are those the old traffic made. A carrier that would get ten times the traffic might answer slower than it
did, and one that nobody used is taken as well and idle; `over_contract` names those whose contract the busiest
RATE_WINDOW_S seconds would pass. Hysteresis and probes are left out.

Walk: `cli/whatif` with what the store has; `ops/past` for the views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import attrs

from smsroute.config import Config, Route
from smsroute.message import MessageClass, Part
from smsroute.ops.past import Past
from smsroute.ops.words import iso, mask
from smsroute.routing import decide
from smsroute.routing.decide import Plan
from smsroute.routing.table import Table
from smsroute.routing.views import CarrierView
from smsroute.store.base import Sample

Document = dict[str, Any]

NO_ROUTE: Final = "(no route)"
WAITS: Final = "(waits)"
"""Where the share of a message stands that no carrier takes: a name no carrier can have."""

NOBODY: Final = {NO_ROUTE, WAITS}

RATE_WINDOW_S: Final = 10
EXAMPLES_MAX: Final = 5


@attrs.frozen(eq=False)
class Way:
    """What one config does with one kind of message at one time."""

    network: str
    shares: Mapping[str, float]  # of carriers, NO_ROUTE or WAITS; they sum to 1
    cost: float  # a part, on average
    why: str = ""  # there is no way


class Side:
    """One config, and the ways it has given so far."""

    def __init__(self, config: Config, past: Past) -> None:
        self.config = config
        self._table = Table.of(config)
        self._past = past
        self._ways: dict[tuple[object, ...], Way] = {}
        self._fitted: dict[tuple[int, float], CarrierView] = {}

    def way(self, part: Part, at: float) -> Way:
        """The way of a part that came `at` (Unix seconds)."""
        if part.esme not in self.config.esmes:
            return Way("", {NO_ROUTE: 1.0}, 0.0, f"there is no ESME {part.esme!r}")
        asked = (part.destination_addr, part.source_addr, part.esme, part.message_class, part.data_coding, at)
        rule = self._table.match(*asked)
        if rule is None:
            return Way("", {NO_ROUTE: 1.0}, 0.0, self._why(asked))
        known, _ = self._past.views(rule.route, rule.network, at)
        views = {name: self._fit(view) for name, view in known.items()}
        key = (rule.route.name, rule.network, part.message_class, *map(id, views.values()))
        way = self._ways.get(key)
        if way is None:
            plan = decide.plan(rule.route, part.message_class, views, self.config.limits, at)
            way = self._ways[key] = _way(rule.route, rule.network, plan)
        return way

    def _fit(self, view: CarrierView) -> CarrierView:
        """The view under the contract this config has with its carrier."""
        contract = self.config.carriers[view.carrier].rate
        if contract == view.contract or view.contract <= 0:
            return view
        key = (id(view), contract)
        fitted = self._fitted.get(key)
        if fitted is None:
            rate = view.rate * contract / view.contract
            fitted = self._fitted[key] = attrs.evolve(view, rate=rate, contract=contract)
        return fitted

    def _why(self, asked: tuple[str, str, str, int, int, float]) -> str:
        near = self._table.consider(*asked)
        return "; ".join(f"{one.route.name}: {one.why_not}" for one in near[:2]) or "no route has a prefix of it"


def _way(route: Route, network: str, plan: Plan) -> Way:
    costs = {("backup", one.carrier): one.cost for one in route.backup}
    costs |= {("primary", one.carrier): one.cost for one in route.carriers}
    dearest = {name: cost for (_, name), cost in costs.items()}
    shares: dict[str, float] = {}
    cost = 0.0
    for one in plan.choices:
        if one.weight:
            shares[one.carrier] = shares.get(one.carrier, 0.0) + one.weight
            cost += one.weight * costs.get((one.tier, one.carrier), dearest[one.carrier])
    if not shares:
        return Way(network, {WAITS: 1.0}, 0.0, plan.reason)
    return Way(network, shares, cost)


@attrs.define
class _Sum:
    """What some messages come to under both configs."""

    messages: int = 0
    moved: float = 0.0
    cost_now: float = 0.0
    cost_then: float = 0.0
    unroutable: int = 0
    went: Counter[str] = attrs.field(factory=Counter)
    now: dict[str, float] = attrs.field(factory=dict)
    then: dict[str, float] = attrs.field(factory=dict)

    def add(self, part: Part, now: Way, then: Way) -> None:
        self.messages += 1
        self.moved += sum(
            max(0.0, share - now.shares.get(name, 0.0)) for name, share in then.shares.items() if name not in NOBODY
        )
        self.cost_now += now.cost
        self.cost_then += then.cost
        self.unroutable += NO_ROUTE in then.shares and NO_ROUTE not in now.shares
        self.went[part.attempts[-1].carrier if part.attempts else WAITS] += 1
        for sums, way in ((self.now, now), (self.then, then)):
            for name, share in way.shares.items():
                sums[name] = sums.get(name, 0.0) + share

    def document(self, scale: float) -> Document:
        return {
            "messages": round(self.messages * scale),
            "moved": {"share": _round(self.moved / self.messages), "messages": round(self.moved * scale)},
            "cost": _cost(self.cost_now * scale, self.cost_then * scale),
            "unroutable": round(self.unroutable * scale),
            "carriers": [
                {
                    "carrier": name,
                    "went": _round(self.went[name] / self.messages),
                    "now": _round(self.now.get(name, 0.0) / self.messages),
                    "then": _round(self.then.get(name, 0.0) / self.messages),
                }
                for name in sorted({*self.now, *self.then, *self.went})
            ],
        }


def whatif(
    sample: Sample, past: Past, standing: Config, proposed: Config, since: float, until: float, reveal: bool = False
) -> Document:
    """The document for the messages of [since, until) (Unix seconds). `past`: views of the carriers of both configs."""
    now, then = Side(standing, past), Side(proposed, past)
    whole = _Sum()
    networks: dict[str, _Sum] = {}
    busy: tuple[dict[str, dict[int, float]], dict[str, dict[int, float]]] = ({}, {})
    examples: list[Document] = []
    for part in sample.parts:
        at = part.attempts[0].at if part.attempts else part.accepted_at
        ways = now.way(part, at), then.way(part, at)
        network = networks.setdefault(ways[0].network or ways[1].network, _Sum())
        for some in (whole, network):
            some.add(part, *ways)
        for window, way in zip(busy, ways, strict=True):
            for name, share in way.shares.items():
                counts = window.setdefault(name, {})
                slot = int(at // RATE_WINDOW_S)
                counts[slot] = counts.get(slot, 0.0) + share
        if NO_ROUTE in ways[1].shares and NO_ROUTE not in ways[0].shares and len(examples) < EXAMPLES_MAX:
            examples.append(_example(part, ways[1].why, reveal))
    scale = sample.of / len(sample.parts) if sample.parts else 1.0
    document: Document = {
        "since": iso(since),
        "until": iso(until),
        "config": {"now": standing.digest, "then": proposed.digest},
        "messages": sample.of,
        "sampled": len(sample.parts),
        "ok": not whole.unroutable,
    }
    if sample.parts:
        document |= whole.document(scale)
    document["examples"] = examples
    document["over_contract"] = _over_contract(*busy, proposed, scale)
    document["networks"] = [
        {"network": name or "any", **some.document(scale)}
        for name, some in sorted(networks.items(), key=lambda row: (-row[1].moved, -row[1].messages, row[0]))
    ]
    return document


def _over_contract(
    now: Mapping[str, Mapping[int, float]], then: Mapping[str, Mapping[int, float]], config: Config, scale: float
) -> list[Document]:
    """Carriers whose busiest window would pass their contract."""
    found = []
    for name, carrier in config.carriers.items():
        peaks = [max(counts.get(name, {0: 0.0}).values()) * scale / RATE_WINDOW_S for counts in (now, then)]
        if peaks[1] > carrier.rate:
            row = {
                "carrier": name,
                "contract_s": carrier.rate,
                "now_s": round(peaks[0], 2),
                "then_s": round(peaks[1], 2),
            }
            found.append(row)
    return found


def _example(part: Part, why: str, reveal: bool) -> Document:
    return {
        "id": part.part_id,
        "to": mask(part.destination_addr, reveal),
        "from": mask(part.source_addr, reveal),
        "esme": part.esme,
        "class": MessageClass(part.message_class).name.lower(),
        "why": why,
    }


def _cost(now: float, then: float) -> Document:
    percent = round(100.0 * (then - now) / now, 2) if now else None
    return {"now": round(now, 4), "then": round(then, 4), "change": round(then - now, 4), "percent": percent}


def _round(share: float) -> float:
    return round(share, 4)
