"""The engine at one moment, as the document `smsroute health --json` prints: the contract with whoever watches it.

Rules:
- Reads, never changes; takes about a millisecond, at most a few times a second.
- Keys are only ever added. A figure nobody has yet is null, never 0.
- Times are UTC in ISO 8601, durations in seconds or, where named so, milliseconds.

Walk: `ops/verbs` and `ops/web` ask; `ops/verdict` judges; `ops/page`, `ops/metrics` and `cli/health` show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from smsroute import __version__
from smsroute.config import Carrier, Config, Esme
from smsroute.ledger import Ledger
from smsroute.message import State
from smsroute.ops import reconciled
from smsroute.ops.decisions import Decisions
from smsroute.ops.reload import Revision
from smsroute.ops.verdict import judge
from smsroute.ops.words import iso
from smsroute.ports import Ports
from smsroute.routing.alarms import Alarm
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import Health, HealthState
from smsroute.routing.sisters import Sisters
from smsroute.routing.views import CarrierView
from smsroute.smpp.names import status_name
from smsroute.store.journal import Journal

SCHEMA: Final = "smsroute.health/1"

NEVER: Final[Mapping[str, float]] = {}

Document = dict[str, Any]

# -- what is looked at: of `engine`, `carriers` and `esmes`, what ops may know -----------------------------------------


class Bind(Protocol):
    """`carriers.bind.Bind`."""

    label: str
    mode: str
    state: str
    since: float
    reason: str
    window: int
    faults: int
    drained: str
    leaving: str

    @property
    def in_flight(self) -> int: ...


class Station(Protocol):
    """`carriers.station.Station`."""

    carrier: Carrier
    dossier: Dossier
    drained: str

    @property
    def tally(self) -> reconciled.Tally: ...
    @property
    def naming(self) -> reconciled.Naming: ...
    @property
    def binds(self) -> Sequence[Bind]: ...
    @property
    def queued(self) -> int: ...
    @property
    def standing(self) -> list[str]: ...
    def bounds(self, esme: str, message_class: int, to: str, now: float) -> list[str]: ...
    def view(self, network: str, now: float) -> CarrierView: ...


class Dispatch(Protocol):
    """`carriers.dispatch.Dispatch`."""

    @property
    def stations(self) -> Mapping[str, Station]: ...


class Books(Protocol):
    """`esmes.accept.Books`."""

    accepted: int
    refused: Counter[int]
    looped: int
    looped_at: float
    looped_of: str


class Watch(Protocol):
    """`carriers.watch.Watch`."""

    def alarms(self) -> Sequence[Alarm]: ...


class Accept(Protocol):
    """`esmes.accept.Accept`."""

    @property
    def books(self) -> Mapping[str, Books]: ...


class Client(Protocol):
    """`esmes.client.Client`."""

    esme: Esme | None


class Doors(Protocol):
    """`esmes.listener.Doors`."""

    refused: Counter[str]
    faults: int
    drained: dict[str, str]

    @property
    def clients(self) -> Mapping[int, Client]: ...


class Handsets(Protocol):
    """`carriers.handsets.Handsets`."""

    def figures(self, carrier: str, wall: float) -> Document: ...


class Engine(Protocol):
    """`engine.Engine`."""

    config: Config
    ports: Ports
    ledger: Ledger
    journal: Journal
    started_at: float
    draining: bool
    revision: Revision
    expiries: dict[tuple[str, str], float]

    @property
    def dispatch(self) -> Dispatch: ...
    @property
    def decisions(self) -> Decisions: ...
    @property
    def watch(self) -> Watch: ...
    @property
    def accept(self) -> Accept: ...
    @property
    def doors(self) -> Doors: ...
    @property
    def handsets(self) -> Handsets: ...


# -- the document ------------------------------------------------------------------------------------------------------


def snapshot(engine: Engine, look_faults: int = 0, drained_at: Mapping[str, float] = NEVER) -> Document:
    """The document of this moment. `look_faults`: those of the doors that show it. `drained_at`: when a person took a
    carrier or bind out, in Unix seconds."""
    wall = engine.ports.clock.wall()
    config = engine.config
    document: Document = {
        "schema": SCHEMA,
        "status": "ok",
        "reasons": [],
        "node": config.node,
        "version": __version__,
        "at": iso(wall),
        "uptime_s": round(wall - engine.started_at, 3),
        "draining": engine.draining,
        "config": {
            "directory": str(config.directory),
            "digest": config.digest,
            "warnings": len(config.warnings),
            "loaded_at": iso(engine.revision.loaded_at),
            "waits_for_start": list(engine.revision.waits),
            "reload_refused": engine.revision.refused or None,
            "reload_refused_at": iso(engine.revision.refused_at) if engine.revision.refused else None,
        },
        "certificates": [
            {"of": of, "name": name, "expires_at": iso(at), "expires_in_s": round(at - wall)}
            for (of, name), at in engine.expiries.items()
        ],
        "carriers": carriers(engine, drained_at),
        "alarms": alarms(engine, wall),
        "routes": [],
        "esmes": esmes(engine, wall),
        "messages": messages(engine.ledger),
        "store": store(engine.journal, wall),
        "decisions": {"kept": engine.decisions.kept, "dropped": engine.decisions.dropped},
        "links": {"open": len(engine.doors.clients), "refused": dict(engine.doors.refused)},
        "faults": {
            "esmes": engine.doors.faults,
            "journal": engine.journal.faults,
            "carriers": sum(bind.faults for one in engine.dispatch.stations.values() for bind in one.binds),
            "ops": look_faults,
        },
    }
    judge(document, config)
    return document


def carriers(engine: Engine, drained_at: Mapping[str, float] = NEVER) -> list[Document]:
    """Every carrier with its binds, in the order of the config."""
    clock = engine.ports.clock
    now, wall = clock.monotonic(), clock.wall()
    orphans = Counter(orphan.carrier for orphan in engine.ledger.orphans.values())
    constant = Counter(carrier for carrier, _ in engine.ledger.ids.void)
    limits = engine.config.limits
    window_s = limits.success_buckets * limits.success_bucket_s
    watched_s = max(1.0, min(window_s, wall - engine.started_at))
    rows = [
        _carrier(station, orphans[name], constant[name], now, wall, watched_s)
        for name, station in engine.dispatch.stations.items()
    ]
    for row in rows:
        row["from_handsets"] = engine.handsets.figures(row["name"], wall)
    for row in (*rows, *(bind for one in rows for bind in one["binds"])):
        if row["drained"] and row["name"] in drained_at:
            row["since"] = iso(drained_at[row["name"]])
    return rows


def _carrier(station: Station, orphans: int, constant: int, now: float, wall: float, watched_s: float) -> Document:
    view = station.view("", now)
    dossier = station.dossier
    overall = dossier.overall
    figures = overall.score.figures(now)
    answers = dossier.answer_times.quantiles((0.5, 0.99), now)
    health = overall.health
    return {
        "name": station.carrier.name,
        "state": state_word(view),
        "quality": round(view.quality, 3),
        "since": iso(wall - now + _since(health)),
        "reason": reason(view, station.binds, station.standing),
        "drained": station.drained or None,
        "shadow": station.carrier.shadow,
        "would": view.would or None,
        "binds": [_bind(bind, dossier.sisters, now, wall) for bind in station.binds],
        "rate_s": round(figures.answers / watched_s, 2),
        "contract_s": station.carrier.rate,
        "pace_s": round(view.rate, 2),
        "in_flight": view.in_flight,
        "queued": station.queued,
        "standing_aside": station.standing,
        "latency_ms": {
            "p50": _ms(answers[0] if answers else None),
            "p99": _ms(answers[1] if answers else None),
            "peak": _ms(view.latency_ms / 1000 or None),
            "usual": _ms(overall.score.baseline_s or None),
        },
        "success": round(figures.success, 4) if figures.samples else None,
        "unknown": round(figures.unknown, 4) if figures.samples else None,
        "throttled": round(figures.throttled, 4) if figures.answers else None,
        "terms": {name: round(value, 3) for name, value in view.terms},
        "receipts": {"level": station.carrier.dialect.receipt_level}
        | reconciled.receipts(station.tally, dossier, station.naming, orphans, constant, now),
        "ejections": _ejections(dossier),
        "networks": [
            {
                "network": network,
                "state": record.health.state.value,
                "quality": round(record.score.quality(now), 3),
                "since": iso(wall - now + _since(record.health)),
                "reason": f"{'would be, ' if record.health.shadow else ''}{record.health.reason}",
            }
            for network, record in dossier.networks.items()
            if record.health.state is not HealthState.ALIVE
        ],
    }


def alarms(engine: Engine, wall: float) -> list[Document]:
    """Every alarm that stands, in the order of the config."""
    now = engine.ports.clock.monotonic()
    return [
        {
            "kind": alarm.kind,
            "carrier": alarm.carrier,
            "network": alarm.network or None,
            "since": iso(wall - now + alarm.since),
            "figure": round(alarm.figure, 4),
            "limit": round(alarm.limit, 4),
            "words": alarm.words,
        }
        for alarm in engine.watch.alarms()
    ]


def _since(health: Health) -> float:
    """Since when it is well, or since when it is not: dead, probed and dead again is one sickness."""
    return health.since if health.sick_since is None else health.sick_since


def _ejections(dossier: Dossier) -> Document:
    """How often it was found necessary to leave something out, and how often it was done; at each level."""

    def counted(all_of: Iterable[Health]) -> Document:
        found = [(one.detected, one.enforced) for one in all_of]
        return {"detected": sum(one for one, _ in found), "enforced": sum(one for _, one in found)}

    sisters = dossier.sisters.members.values() if dossier.sisters is not None else ()
    return {
        **counted([dossier.overall.health]),
        "networks": counted(record.health for record in dossier.networks.values()),
        "binds": counted(sister.health for sister in sisters),
    }


def _bind(bind: Bind, sisters: Sisters | None, now: float, wall: float) -> Document:
    sister = sisters.members.get(bind.label) if sisters is not None else None
    document: Document = {
        "name": bind.label,
        "mode": bind.mode,
        "state": bind.state,
        "since": iso(bind.since),
        "reason": bind.reason,
        "drained": bind.drained or bind.leaving or None,
        "in_flight": bind.in_flight,
        "window": bind.window,
        "ejections": None,
    }
    if sister is None:
        return document
    health = sister.health
    document["ejections"] = {"detected": health.detected, "enforced": health.enforced}
    if bind.state != "bound":
        return document
    if health.state is not HealthState.ALIVE and not health.shadow:
        document["state"], document["reason"] = health.state.value, health.reason
        document["since"] = iso(wall - now + _since(health))
    else:
        would = health.would and f"would be dead: {health.would}"
        if health.state is not HealthState.ALIVE:
            would = f"would be {health.state.value}: {health.reason}"
        share = health.admits(now)
        slow_start = f"slow start, {share:.0%} of its parts" if share < 1.0 else ""
        document["reason"] = "; ".join(word for word in (bind.reason, slow_start, would) if word)
    return document


def state_word(view: CarrierView) -> str:
    """alive, dead, probe-open, probe-closed; over these, down (no bind is up) and drained (a person said so).

    One whose health is measured only is alive as long as it is bound: `would` says what it would have been.
    """
    if view.drained:
        return "drained"
    if not view.bound:
        return "down"
    return HealthState.ALIVE.value if view.would else view.state.value


def reason(view: CarrierView, binds: Sequence[Bind], standing: Sequence[str] = ()) -> str:
    """Why it is as it is; for one that is alive, what is not quite well with it, and who stands aside."""
    if view.drained:
        return view.drained
    if not view.bound:
        return "; ".join(dict.fromkeys(bind.reason for bind in binds)) or "it has no binds"
    if view.state is not HealthState.ALIVE and not view.would:
        return view.reason
    slow_start = f"slow start, {view.admit_share:.0%} of its traffic" if view.admit_share < 1.0 else ""
    words = (view.would, view.weakest, view.congestion, slow_start, *standing)
    return "; ".join(word for word in words if word) or "well"


def esmes(engine: Engine, wall: float) -> list[Document]:
    """Every ESME of the config, bound or not."""
    sessions = Counter(client.esme.name for client in engine.doors.clients.values() if client.esme is not None)
    rows: list[Document] = []
    for name, esme in engine.config.esmes.items():
        outbox = engine.ledger.outboxes.get(name)
        oldest = outbox.oldest() if outbox is not None else None
        books = engine.accept.books.get(name)
        rows.append(
            {
                "name": name,
                "sessions": sessions[name],
                "binds_max": esme.binds_max,
                "drained": engine.doors.drained.get(name) or None,
                "outbox": len(outbox) if outbox is not None else 0,
                "outbox_on_disk": outbox.on_disk if outbox is not None else 0,
                "oldest_outbox_s": round(wall - oldest.owed_at, 3) if oldest is not None else None,
                "dead_letters": outbox.given_up if outbox is not None else 0,
                "dead_letter_reason": (outbox.why_given_up or None) if outbox is not None else None,
                "held": engine.ledger.held_by[name],
                "accepted": books.accepted if books is not None else 0,
                "refused": {status_name(code): n for code, n in books.refused.items()} if books is not None else {},
                "loops": {
                    "refused": books.looped if books is not None else 0,
                    "of": books.looped_of or None if books is not None else None,
                    "last_s": round(wall - books.looped_at, 3) if books is not None and books.looped else None,
                },
            }
        )
    return rows


def messages(ledger: Ledger) -> Document:
    """Where the parts are now, and every count since this node's first day."""
    counts: dict[str, int] = msgspec.to_builtins(ledger.counts)
    by_state = ledger.by_state
    return {
        "accepted": counts["accepted"],
        "open": ledger.open,
        "due": by_state[State.DUE],
        "attempted": by_state[State.ATTEMPTED],
        "in_doubt": by_state[State.IN_DOUBT],
        "submitted": by_state[State.SUBMITTED],
        "delivered": counts["delivered"],
        "failed": counts["failed"],
        "expired": counts["expired"],
        "handed_over": counts["handed_over"],
        "in_memory": ledger.held,
        "orphans": len(ledger.orphans),
        "counts": counts,
    }


def store(journal: Journal, wall: float) -> Document:
    """How the disk does."""
    failing = journal.failing
    return {
        "failing": None if failing is None else {"kind": failing.kind, "error": str(failing)},
        "since": iso(journal.failing_since) if failing is not None else None,
        "commits": journal.commits,
        "events": journal.events,
        "waiting": journal.waiting,
        "sequence": journal.seq,
        "checkpoint_age_s": round(wall - journal.checkpointed_at, 3),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
