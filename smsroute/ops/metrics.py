"""Metrics in Prometheus' text format 0.0.4, written by hand from the document of `snapshot`.

Rules:
- A figure nobody has yet (no latency, no receipts) is left out, never written as 0.
- Counters end in _total and only grow; they survive a restart where the ledger keeps them.
- Labels are names from the config: how many series there are is known before the first message.

Source: prometheus.io, "Exposition formats", text-based. Walk: `web` answers `/metrics` with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATUSES: Final = {"ok": 0, "warning": 1, "critical": 2}

Document = dict[str, Any]
Sample = tuple[dict[str, str], float | int | None]
Family = tuple[str, str, str, Iterable[Sample]]
"""Name, type, help, samples."""


def metrics(document: Document) -> str:
    """Every family that has a sample."""
    lines: list[str] = []
    for name, kind, help_text, samples in _families(document):
        rows = [f"smsroute_{name}{_labels(labels)} {_number(value)}" for labels, value in samples if value is not None]
        if rows:
            lines += [f"# HELP smsroute_{name} {help_text}", f"# TYPE smsroute_{name} {kind}", *rows]
    return "\n".join(lines) + "\n"


def _families(document: Document) -> Iterator[Family]:
    yield from _engine(document)
    yield from _messages(document)
    yield from _carriers(document["carriers"])
    yield "alarm", "gauge", "1 for each alarm that rings.", _alarms(document["alarms"])
    yield from _receipts(document["carriers"])
    yield from _binds(document["carriers"])
    yield from _esmes(document["esmes"])


def _engine(document: Document) -> Iterator[Family]:
    store = document["store"]
    about = {"node": document["node"], "version": document["version"], "config": document["config"]["digest"]}
    yield "info", "gauge", "What runs.", [(about, 1)]
    yield "status", "gauge", "0 ok, 1 warning, 2 critical.", [({}, STATUSES[document["status"]])]
    yield "uptime_seconds", "gauge", "Since the engine started.", [({}, document["uptime_s"])]
    refused = document["config"]["reload_refused"]
    yield "config_last_reload_successful", "gauge", "0 while a refused one stands.", [({}, int(refused is None))]
    ends = [({"of": one["of"], "name": one["name"]}, one["expires_in_s"]) for one in document["certificates"]]
    yield "certificate_expires_seconds", "gauge", "Until a certificate we show ends.", ends
    yield "draining", "gauge", "1 while the engine stops.", [({}, int(document["draining"]))]
    yield "store_failing", "gauge", "1 while the store takes no events.", [({}, int(store["failing"] is not None))]
    yield "store_commits_total", "counter", "Group commits since the start.", [({}, store["commits"])]
    yield "store_events_total", "counter", "Events made durable since the start.", [({}, store["events"])]
    yield "store_waiting_events", "gauge", "Events that wait for the disk.", [({}, store["waiting"])]
    yield "store_checkpoint_age_seconds", "gauge", "Since the last checkpoint.", [({}, store["checkpoint_age_s"])]
    yield "decisions_total", "counter", "Decisions kept to explain, and dropped.", _by("what", document["decisions"])
    yield "faults_total", "counter", "Faults of ours since the start.", _by("room", document["faults"])
    refused = document["links"]["refused"]
    yield "links", "gauge", "Links of ESMEs, bound or not.", [({}, document["links"]["open"])]
    yield "links_refused_total", "counter", "Links and binds refused.", _by("why", refused)


def _messages(document: Document) -> Iterator[Family]:
    messages = document["messages"]
    states = {name: messages[name] for name in ("due", "attempted", "in_doubt", "submitted")}
    yield "parts_open", "gauge", "Parts without a final state.", _by("state", states)
    yield "parts_in_memory", "gauge", "Parts in memory, finished ones included.", [({}, messages["in_memory"])]
    counted = {name: value for name, value in messages["counts"].items() if isinstance(value, int)}
    yield "events_total", "counter", "What happened since this node's first day.", _by("event", counted)
    yield "orphans", "gauge", "Receipts that match nothing yet.", [({}, messages["orphans"])]


def _carriers(carriers: list[Document]) -> Iterator[Family]:
    def each(value: str, *path: str, scale: float = 1.0) -> Iterator[Sample]:
        for one in carriers:
            found: Any = one[value]
            for step in path:
                found = found[step]
            yield {"carrier": one["name"]}, None if found is None else found * scale

    states = [({"carrier": one["name"], "state": one["state"]}, 1) for one in carriers]
    yield "carrier_state", "gauge", "1 for the state it is in.", states
    yield "carrier_quality_ratio", "gauge", "0..1, the product of its terms.", each("quality")
    terms = [
        ({"carrier": one["name"], "term": name}, value) for one in carriers for name, value in one["terms"].items()
    ]
    yield "carrier_term_ratio", "gauge", "The terms of its quality.", terms
    yield "carrier_queued_parts", "gauge", "Parts due at it.", each("queued")
    yield "carrier_parts_per_second", "gauge", "Parts answered, over the last half minute.", each("rate_s")
    yield "carrier_contract_parts_per_second", "gauge", "What the contract allows.", each("contract_s")
    yield "carrier_pace_parts_per_second", "gauge", "What congestion leaves of it.", each("pace_s")
    yield "carrier_success_ratio", "gauge", "Taken among judged answers.", each("success")
    yield "carrier_throttled_ratio", "gauge", "Throttled or congested among all answers.", each("throttled")
    quantiles = [
        ({"carrier": one["name"], "quantile": quantile}, one["latency_ms"][key] / 1000)
        for one in carriers
        for key, quantile in (("p50", "0.5"), ("p99", "0.99"))
        if one["latency_ms"][key] is not None
    ]
    yield "carrier_latency_seconds", "gauge", "Submit to response.", quantiles
    yield "carrier_delivered_ratio", "gauge", "Delivered among receipts.", each("receipts", "delivered_ratio")
    yield "carrier_receipt_delay_seconds", "gauge", "Response to receipt.", each("receipts", "delay_s_p50")
    yield "carrier_receipt_silence_seconds", "gauge", "Parts taken, no receipts.", each("receipts", "silent_s")
    yield "carrier_orphans", "gauge", "Its receipts that match nothing yet.", each("receipts", "orphans")
    yield "mo_taken_total", "counter", "Messages from handsets, taken.", each("from_handsets", "taken")
    yield "mo_repeated_total", "counter", "And the same sent again, told once.", each("from_handsets", "repeated")
    yield "mo_postponed_total", "counter", "Answered: to come again.", each("from_handsets", "postponed")
    yield "mo_refused_total", "counter", "Refused: nobody's, or unreadable.", each("from_handsets", "refused")
    yield "carrier_ejections_total", "counter", "Times it was found dead.", each("ejections", "detected")
    yield "carrier_ejections_enforced_total", "counter", "And left out for it.", each("ejections", "enforced")


def _receipts(carriers: list[Document]) -> Iterator[Family]:
    """How receipts and messages of each carrier and network come together."""

    def each(key: str) -> list[Sample]:
        return [
            ({"carrier": one["name"], "network": network["network"]}, network[key])
            for one in carriers
            for network in one["receipts"]["networks"]
        ]

    yield "receipts_asked_total", "counter", "Parts taken that will have a receipt.", each("asked")
    yield "receipts_ended_total", "counter", "Parts of which a receipt told the end.", each("ended")
    yield "receipts_delivered_total", "counter", "And it was delivered.", each("delivered")
    yield "receipts_unheard_total", "counter", "Parts given up without a receipt.", each("unheard")
    yield "receipts_parked_total", "counter", "Receipts that matched nothing when they came.", each("parked")
    yield "receipts_claimed_total", "counter", "Of those, matched later.", each("claimed")
    delays = [
        ({"carrier": one["name"], "network": network["network"], "quantile": quantile}, network[f"delay_s_{key}"])
        for one in carriers
        for network in one["receipts"]["networks"]
        for key, quantile in (("p50", "0.5"), ("p90", "0.9"), ("p99", "0.99"))
    ]
    yield "receipts_delay_seconds", "gauge", "Response to receipt.", delays
    odd = [
        ({"carrier": one["name"], "kind": kind}, count)
        for one in carriers
        for kind, count in one["receipts"]["total"]["anomalies"].items()
    ]
    yield "receipts_odd_total", "counter", "Receipts and ids that were strange, by kind.", odd


def _alarms(alarms: list[Document]) -> Iterator[Sample]:
    for one in alarms:
        yield {"kind": one["kind"], "carrier": one["carrier"], "network": one["network"] or ""}, 1


def _binds(carriers: list[Document]) -> Iterator[Family]:
    binds = [({"carrier": one["name"], "bind": bind["name"]}, bind) for one in carriers for bind in one["binds"]]
    yield (
        "bind_up",
        "gauge",
        "1 while bound and fit to be sent by.",
        [(labels, int(bind["state"] == "bound")) for labels, bind in binds],
    )
    yield "bind_in_flight", "gauge", "Requests unanswered.", [(labels, bind["in_flight"]) for labels, bind in binds]
    yield "bind_window", "gauge", "How many may be.", [(labels, bind["window"]) for labels, bind in binds]


def _esmes(esmes: list[Document]) -> Iterator[Family]:
    def each(value: str) -> list[Sample]:
        return [({"esme": one["name"]}, one[value]) for one in esmes]

    yield "esme_sessions", "gauge", "Sessions bound.", each("sessions")
    yield "esme_outbox", "gauge", "Receipts it is owed.", each("outbox")
    yield "esme_outbox_on_disk", "gauge", "Of them, those that wait on disk.", each("outbox_on_disk")
    yield "esme_oldest_outbox_seconds", "gauge", "Age of the oldest.", each("oldest_outbox_s")
    yield "esme_dead_letters_total", "counter", "Receipts given up since the start.", each("dead_letters")
    yield "esme_accepted_total", "counter", "Parts accepted since the start.", each("accepted")
    refused = [
        ({"esme": one["name"], "status": name}, count) for one in esmes for name, count in one["refused"].items()
    ]
    yield "esme_refused_total", "counter", "Parts refused since the start.", refused


def _by(label: str, values: dict[str, int]) -> list[Sample]:
    return [({label: name}, value) for name, value in values.items()]


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"
