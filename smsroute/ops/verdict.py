"""Is it well: ok, warning or critical, each with its reasons, the worst first.

Rules:
- critical: messages cannot come in or cannot go out. The store takes nothing, memory is full, or every carrier of a
  route is out.
- warning: something is sick and the rest carries it. A carrier, network or bind is out or does badly, receipts match
  nothing or wait long for an ESME, an alarm rings (`routing.alarms`), checkpoints stand still, memory fills, a
  certificate of ours soon ends (two days before, critical).
- What a person drained is no fault; it counts when nothing is left beside it.
- Pure: a document and the config give the verdict.

Walk: `snapshot` calls it last.
"""

from __future__ import annotations

from typing import Any, Final

from smsroute.config import Config
from smsroute.ops.words import age

SEVERITIES: Final = ("critical", "warning")

Document = dict[str, Any]


def judge(document: Document, config: Config) -> None:
    """Write `status`, `reasons` and `routes` into the document."""
    document["routes"] = _routes(document, config)
    reasons: list[Document] = []

    def say(severity: str, what: str, name: str, why: str, since: str | None = None) -> None:
        reasons.append({"severity": severity, "what": what, "name": name, "reason": why, "since": since})

    _store(document, config, say)
    for one in document["certificates"]:
        left_s, limits = one["expires_in_s"], config.limits
        when = (
            f"its certificate {'ends in' if left_s > 0 else 'ended'} {age(abs(left_s))}{'' if left_s > 0 else ' ago'}"
        )
        if left_s < limits.certificate_warning_s:
            severity = "critical" if left_s < limits.certificate_critical_s else "warning"
            say(severity, one["of"], one["name"], f"{when}, {one['expires_at']}")
    refused = document["config"]["reload_refused"]
    if refused is not None:
        why = f"the last reload was refused, the config before it runs: {refused}"
        say("warning", "config", document["config"]["digest"], why, document["config"]["reload_refused_at"])
    if document["draining"]:
        say("warning", "engine", document["node"], "it drains and stops")
    else:
        _traffic(document, config, say)
    reasons.sort(key=lambda one: SEVERITIES.index(one["severity"]))
    document["reasons"] = reasons
    document["status"] = reasons[0]["severity"] if reasons else "ok"


def _store(document: Document, config: Config, say: Any) -> None:
    store, limits = document["store"], config.limits
    if store["failing"] is not None:
        error = f"{store['failing']['kind']}: {store['failing']['error']}"
        say("critical", "store", config.store, f"it takes no events, submits are refused; {error}", store["since"])
    elif store["checkpoint_age_s"] > limits.checkpoint_warning_s + limits.checkpoint_interval_s:
        say("warning", "store", config.store, f"no checkpoint for {age(store['checkpoint_age_s'])}")
    held = document["messages"]["in_memory"]
    if held >= limits.open_messages_max:
        say("critical", "memory", document["node"], f"{held} messages in memory, all there may be; submits are refused")
    elif held >= limits.memory_warning_share * limits.open_messages_max:
        say("warning", "memory", document["node"], f"{held} of {limits.open_messages_max} messages in memory")


def _traffic(document: Document, config: Config, say: Any) -> None:
    for route in document["routes"]:
        if not route["usable"]:
            say("critical", "route", route["name"], f"no carrier of it can be used: {route['why']}")
    for carrier in document["carriers"]:
        _carrier(carrier, config, say)
    for alarm in document["alarms"]:
        say("warning", alarm["kind"], alarm["carrier"], alarm["words"], alarm["since"])
    for esme in document["esmes"]:
        oldest_s = esme["oldest_outbox_s"]
        if oldest_s is not None and oldest_s > config.limits.outbox_warning_s:
            bound = f"{esme['sessions']} sessions bound" if esme["sessions"] else "it is not bound"
            waits = f"{esme['outbox']} receipts wait, the oldest for {age(oldest_s)}; {bound}"
            say("warning", "esme", esme["name"], waits)
        loops = esme["loops"]
        if loops["last_s"] is not None and loops["last_s"] < config.limits.loop_warning_s:
            times = f"{loops['refused']} messages of {loops['of']} came back, the last {age(loops['last_s'])} ago"
            say("warning", "loop", esme["name"], f"{times}: a carrier of ours sends to it what we send; refused")


def _carrier(carrier: Document, config: Config, say: Any) -> None:
    name, limits = carrier["name"], config.limits
    unowned = carrier["from_handsets"]["unowned"]
    if unowned is not None and unowned["last_s"] < limits.mo_refused_warning_s:
        times = f"{carrier['from_handsets']['refused']} messages from handsets refused"
        last = f"the last {age(unowned['last_s'])} ago to {unowned['to']}"
        say("warning", "mo", name, f"{times}, {last}: no rule of `mo` says whose that number is")
    if carrier["state"] == "drained":
        return
    if carrier["state"] != "alive":
        say("warning", "carrier", name, f"{carrier['state']}: {carrier['reason']}", carrier["since"])
        return
    if carrier["would"]:
        say("warning", "carrier", name, f"{carrier['would']} (measured only: shadow)", carrier["since"])
    for network in carrier["networks"]:
        why = f"{network['state']} for numbers {network['network'] or 'anywhere'}: {network['reason']}"
        say("warning", "network", name, why, network["since"])
    if carrier["quality"] < limits.quality_warning:
        say("warning", "carrier", name, f"quality {carrier['quality']:.2f}: {carrier['reason']}{_slow(carrier)}")
    receipts = carrier["receipts"]
    unmatched, least = receipts["orphans"], limits.receipt_samples_min
    if unmatched >= least and unmatched >= limits.orphans_warning_share * (unmatched + receipts["matched"]):
        say("warning", "receipts", name, f"{unmatched} receipts name no message of ours: is `dialect: ids` right?")
    for bind in carrier["binds"]:
        if bind["state"] != "bound" and not bind["drained"]:
            say("warning", "bind", bind["name"], f"{bind['state']}: {bind['reason']}", bind["since"])


def _slow(carrier: Document) -> str:
    """What its latency term is made of: the quantiles know nothing of what is still unanswered."""
    took = carrier["latency_ms"]
    if carrier["terms"].get("latency", 1.0) > 0.995 or took["peak"] is None:
        return ""
    return f"; answers take up to {took['peak']:,.0f} ms" + (
        f", usually {took['usual']:,.0f} ms" if took["usual"] else ""
    )


def _routes(document: Document, config: Config) -> list[Document]:
    """Each route, whether one of its carriers can be used, and why not."""
    carriers = {carrier["name"]: carrier for carrier in document["carriers"]}
    routes: list[Document] = []
    for route in config.routes:
        names = [choice.carrier for choice in (*route.carriers, *route.backup)]
        out = [f"{name} {carriers[name]['state']}" for name in names if not _usable(carriers[name])]
        usable = len(out) < len(names)
        routes.append({"name": route.name, "carriers": len(names), "usable": usable, "why": ", ".join(out)})
    return routes


def _usable(carrier: Document) -> bool:
    return bool(carrier["state"] == "alive")
