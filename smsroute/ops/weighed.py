"""Every carrier of a route as a decision weighed it: who takes what share, who is refused, each with all its numbers.

Rules:
- Nothing is left out: a refused carrier shows its terms, its health and its queue like any other.
- Pure: plans and views in, documents out; the same for a living plan, a recorded one and an assumed one.

Walk: `ops/explain` for what would happen, `ops/story` for what did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from smsroute.config import Choice
from smsroute.message import MessageClass
from smsroute.ops.words import iso
from smsroute.routing.decide import Ranked
from smsroute.routing.health import ALIVE, HealthState
from smsroute.routing.record import Record
from smsroute.routing.views import CarrierView

Document = dict[str, Any]

SLOW_TERM: Final = 0.1  # what --assume slow=CARRIER makes of its latency term
SLOW_MS: Final = 5000.0
ASSUMPTIONS: Final = ("down", "slow", "drained", "well")


def weighed(
    entries: tuple[Sequence[Choice], Sequence[Choice]],
    choices: Sequence[Ranked],
    refused: Sequence[tuple[str, str]],
    probes: Sequence[Ranked],
    views: Mapping[str, CarrierView],
    now: float,
) -> list[Document]:
    """Each entry of a route, primaries before backups. `now`: of the decision, on the clock of `views`."""
    why_not, asks = dict(refused), {one.carrier: one for one in probes}
    documents = []
    for tier, some in zip(("primary", "backup"), entries, strict=True):
        for entry in some:
            ranked = [one for one in choices if one.carrier == entry.carrier and one.tier in (tier, "panic")]
            best = max(ranked, key=lambda one: one.weight, default=None)
            document: Document = {
                "carrier": entry.carrier,
                "tier": tier if best is None else best.tier,
                "cost": entry.cost,
                "weight": entry.weight,
                "certified": entry.certified,
                "share": round(best.weight, 4) if best is not None else 0.0,
                "verdict": _verdict(best),
                "reason": best.reason if best is not None else why_not.get(entry.carrier, ""),
                "probe": asks[entry.carrier].reason if entry.carrier in asks else None,
            }
            if entry.carrier in views:
                document.update(_numbers(views[entry.carrier], now))
            documents.append(document)
    return documents


def _verdict(best: Ranked | None) -> str:
    if best is None:
        return "refused"
    return "takes" if best.weight else "in reserve"


def _numbers(view: CarrierView, now: float) -> Document:
    wait_s = view.wait_s
    return {
        "state": view.state.value if view.bound else "unbound",
        "since_s": round(max(0.0, now - view.since), 1) if view.since else None,  # nobody has seen it yet
        "health": view.reason,
        "quality": round(view.quality, 3),
        "terms": {name: round(value, 3) for name, value in view.terms},
        "latency_ms": round(view.latency_ms, 1),
        "in_flight": view.in_flight,
        "headroom": view.headroom,
        "queued": view.queued,
        "wait_s": round(wait_s, 3) if math.isfinite(wait_s) else None,
        "rate_s": round(view.rate, 2),
        "contract_s": view.contract,
        "capacity": round(view.capacity, 3),
        "congestion": view.congestion or None,
        "admit_share": round(view.admit_share, 3),
        "drained": view.drained or None,
        "bound": view.bound,
    }


def decision(record: Record, attempt_at: float) -> Document:
    """A recorded decision as it stood at an attempt (Unix seconds)."""
    entries = (record.carriers, record.backup)
    return {
        "at": iso(record.at),
        "stood_s": round(max(0.0, attempt_at - record.at), 3),
        "config": record.digest,
        "route": record.route,
        "place": record.place,
        "network": record.network,
        "class": MessageClass(record.message_class).name.lower(),
        "prefer": record.prefer,
        "panic": record.panic,
        "reason": record.reason,
        "candidates": weighed(entries, record.choices, record.refused, record.probes, record.views, record.now),
    }


def assumed(view: CarrierView, how: str, now: float) -> CarrierView:
    """The view if its carrier were `how`, one of ASSUMPTIONS. `now`: on its clock."""
    if how == "down":
        return attrs.evolve(
            view, state=HealthState.DEAD, bound=False, admit_share=0.0, probe=False, since=now, reason="assumed down"
        )
    if how == "drained":
        return attrs.evolve(view, drained="assumed drained")
    if how == "well":
        return CarrierView(view.carrier, state=ALIVE, since=now, rate=view.contract, contract=view.contract)
    terms = dict(view.terms)
    usual = terms.get("latency", 1.0) or 1.0
    terms["latency"] = SLOW_TERM
    quality = min(1.0, view.quality / usual) * SLOW_TERM
    return attrs.evolve(view, quality=quality, terms=tuple(terms.items()), latency_ms=max(view.latency_ms, SLOW_MS))
