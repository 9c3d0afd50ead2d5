"""Which way a message would go now, and why not the others: one document, from a running engine or without one.

Rules:
- The same code that routes answers: `routing.table` says which rule speaks, `routing.decide` who may take it.
- Pure. Without an engine the carriers are taken as they were recorded last, or as well where nothing was recorded, and
  the document says which.
- What is assumed (`--assume down=orange`) changes the views the plan is made of and nothing else.

Walk: `ops/verbs` with the living views; `cli/explain` with recorded ones or none.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from smsroute.config import Config, Route
from smsroute.message import MessageClass
from smsroute.ops.past import Past
from smsroute.ops.weighed import ASSUMPTIONS, assumed, weighed
from smsroute.ops.words import iso
from smsroute.policy import admission
from smsroute.routing import decide
from smsroute.routing.decide import Plan, Ranked
from smsroute.routing.table import Rule, Table
from smsroute.routing.views import CarrierView
from smsroute.smpp.names import status_name

SEPARATORS: Final = str.maketrans("", "", " -./()")

CODING_MAX: Final = 255  # one octet (5.2.19)
YEARS: Final = (1971, 9998)  # that every time zone can tell

Document = dict[str, Any]
Planner = Callable[[Rule, int], tuple[Plan, Mapping[str, CarrierView], float]]
"""Who may take a rule's messages of a class, the views that say so, and when they were recorded (Unix seconds; 0: they
are of this moment, or nothing is known)."""


@attrs.frozen
class Question:
    """A message nobody has sent."""

    destination_addr: str
    source_addr: str
    esme: str
    message_class: int
    data_coding: int
    wall: float  # when, in Unix seconds


class Unanswerable(Exception):
    """The question names what the config does not have."""


def question(
    config: Config,
    now: float,
    to: str,
    source_addr: str,
    esme: str,
    message_class: str,
    data_coding: str = "",
    at: str = "",
) -> Question:
    """The question as the engine would see it at `now` (Unix seconds), or at the time in `at`. Raises Unanswerable.

    Without a class it is what the ESME's messages are by default, or info; separators people write are no digits.
    """
    if esme and esme not in config.esmes:
        raise Unanswerable(f"no ESME {esme!r} in the config, expected one of {', '.join(config.esmes)}")
    names = {one.name.lower(): one for one in MessageClass}
    if message_class and message_class not in names:
        raise Unanswerable(f"no class {message_class!r}, expected one of {', '.join(names)}")
    default = config.esmes[esme].default_class if esme else MessageClass.INFO
    number = to.translate(SEPARATORS)
    return Question(number, source_addr, esme, names.get(message_class, default), _coding(data_coding), _wall(at, now))


def _coding(text: str) -> int:
    try:
        value = int(text or "0", 0)
    except ValueError:
        value = -1
    if not 0 <= value <= CODING_MAX:
        raise Unanswerable(f"no data_coding {text!r}, expected 0..255, such as 8 or 0x08")
    return value


def _wall(text: str, now: float) -> float:
    if not text:
        return now
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or not YEARS[0] <= at.year <= YEARS[1]:
        wanted = "expected such as '2026-12-25 09:00' (UTC) or '2026-12-25 09:00+01:00'"
        raise Unanswerable(f"no time {text!r}, {wanted}")
    return (at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC)).timestamp()


def assumptions(config: Config, said: Iterable[str]) -> dict[str, str]:
    """{carrier: how} of such as `down=orange`. Raises Unanswerable."""
    found = {}
    for one in said:
        how, _, carrier = one.partition("=")
        if how not in ASSUMPTIONS or not carrier:
            hows = ", ".join(f"{how}=CARRIER" for how in ASSUMPTIONS)
            raise Unanswerable(f"cannot assume {one!r}, expected one of {hows}")
        if carrier not in config.carriers:
            raise Unanswerable(f"no carrier {carrier!r} in the config, expected one of {', '.join(config.carriers)}")
        found[carrier] = how
    return found


def assume(views: Mapping[str, CarrierView], assumptions: Mapping[str, str], now: float) -> dict[str, CarrierView]:
    """The views, changed as `assumptions` say."""
    return {
        name: assumed(view, assumptions[name], now) if name in assumptions else view for name, view in views.items()
    }


def offline(config: Config, past: Past, now: float, assumptions: Mapping[str, str]) -> Planner:
    """Plans by what was recorded last; a carrier nobody recorded is well and idle. `now`: Unix seconds."""

    def planner(rule: Rule, message_class: int) -> tuple[Plan, Mapping[str, CarrierView], float]:
        known, recorded_at = past.views(rule.route, rule.network, now)
        views = assume(known, assumptions, now)
        return decide.plan(rule.route, message_class, views, config.limits, now), views, recorded_at

    return planner


def explain(
    asked: Question, table: Table, planner: Planner, *, running: bool, assumptions: Mapping[str, str] | None = None
) -> Document:
    """The document. `running`: whether `planner` knows how the carriers are this moment."""
    number, sender = asked.destination_addr, asked.source_addr
    refused = admission.check(number, sender)
    wanted = (number, sender, asked.esme, asked.message_class, asked.data_coding, asked.wall)
    rule = table.match(*wanted)
    document: Document = {
        "to": number,
        "from": sender,
        "esme": asked.esme or None,
        "class": MessageClass(asked.message_class).name.lower(),
        "data_coding": asked.data_coding,
        "at": datetime.datetime.fromtimestamp(asked.wall, datetime.UTC).isoformat(timespec="seconds"),
        "running": running,
        "recorded_at": None,
        "assumed": dict(assumptions or {}),
        "door": None if refused is None else {"reason": refused.reason, "status": status_name(refused.command_status)},
        "route": None,
        "carrier": None,
        "reason": f"no route leads to {number} for such a message",
        "rules": [
            {
                "route": one.route.name,
                "place": _place(one.route),
                "prefix": one.prefix,
                "network": one.network,
                "why_not": one.why_not or None,
            }
            for one in table.consider(*wanted)
        ],
    }
    if rule is not None:
        document.update(_way(rule, *planner(rule, asked.message_class)))
    document["ok"] = refused is None and document["carrier"] is not None
    return document


def _way(rule: Rule, plan: Plan, views: Mapping[str, CarrierView], recorded_at: float) -> Document:
    route = rule.route
    best = plan.best
    return {
        "route": route.name,
        "place": _place(route),
        "prefix": rule.prefix,
        "network": rule.network,
        "prefer": route.prefer,
        "recorded_at": iso(recorded_at),
        "reason": plan.reason,
        "panic": plan.panic,
        "carrier": best.carrier if plan.choices else None,
        "choices": [_choice(one, views) for one in plan.choices],
        "probes": [{"carrier": one.carrier, "reason": one.reason} for one in plan.probes],
        "refused": [{"carrier": name, "reason": why} for name, why in plan.refused],
        "waiting": None if plan.choices else {"carrier": plan.waiting.carrier, "reason": plan.waiting.reason},
        "candidates": weighed((route.carriers, route.backup), plan.choices, plan.refused, plan.probes, views, plan.at),
    }


def _choice(one: Ranked, views: Mapping[str, CarrierView]) -> Document:
    view = views.get(one.carrier)
    return {
        "carrier": one.carrier,
        "share": round(one.weight, 4),
        "tier": one.tier,
        "reason": one.reason,
        "quality": round(one.quality, 3),
        "terms": {name: round(value, 3) for name, value in view.terms} if view is not None else {},
        "latency_ms": round(one.latency_ms, 1),
        "in_flight": view.in_flight if view is not None else 0,
        "headroom": view.headroom if view is not None else 0,
        "queued": view.queued if view is not None else 0,
    }


def _place(route: Route) -> str:
    return f"{route.path}:{route.line}" if route.line else route.path
