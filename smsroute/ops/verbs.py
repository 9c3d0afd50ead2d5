"""What a running engine answers on the control socket: health, explain, trace, config, drain, and so on.

Rules:
- An answer is a document for JSON; what cannot be answered is a Refusal that says what was expected.
- Only drain, resume, reload and stop change anything; each is logged with who asked and why.
- A drain lasts until `resume` or the engine's next start: it is a hand on a tap, not a line of config.

Walk: `control` calls a verb for each request; `cli/serve` makes the table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import structlog

from smsroute.message import Part, Receipted
from smsroute.ops import snapshot
from smsroute.ops.control import Answer, Document, Refusal
from smsroute.ops.difference import summary
from smsroute.ops.explain import Unanswerable, assume, assumptions, explain, question
from smsroute.ops.look import Desk
from smsroute.ops.owned import owned
from smsroute.ops.past import decisions_of
from smsroute.ops.reload import Reloads
from smsroute.ops.search import best, forms, hits, in_memory, part_ids, told
from smsroute.ops.story import story, unknown
from smsroute.ops.words import iso
from smsroute.routing import decide
from smsroute.routing.decide import Plan
from smsroute.routing.record import Record
from smsroute.routing.table import Rule, Table
from smsroute.routing.views import CarrierView
from smsroute.store.base import Store, StoreError

log: Final = structlog.get_logger("smsroute.ops")

KINDS: Final = ("carrier", "bind", "esme")


class Dispatch(snapshot.Dispatch, Protocol):
    """`carriers.dispatch.Dispatch`, as far as verbs need it."""

    @property
    def table(self) -> Table: ...
    def plan(self, rule: Rule, message_class: int, now: float) -> Plan: ...
    def wake(self, carriers: Iterable[str]) -> None: ...


class Doors(snapshot.Doors, Protocol):
    """`esmes.listener.Doors`, as far as verbs need it."""

    def drain(self, esme: str, why: str) -> None: ...


class Engine(snapshot.Engine, Protocol):
    """`engine.Engine`, as far as verbs need it."""

    @property
    def store(self) -> Store: ...
    @property
    def dispatch(self) -> Dispatch: ...
    @property
    def doors(self) -> Doors: ...
    def stop(self) -> None: ...


class Verbs:
    """See the module."""

    def __init__(self, engine: Engine, reloads: Reloads | None = None) -> None:
        """`reloads`: None where there is no folder to read again."""
        self._reloads = reloads
        self.desks: list[Desk] = []  # the doors of ops: their faults are shown too
        self._engine = engine
        self._drained_at: dict[str, float] = {}

    def table(self) -> dict[str, Answer]:
        """Verb -> what answers it."""
        return {
            "health": self._health,
            "explain": self._explain,
            "trace": self._trace,
            "named": self._named,
            "drain": self._drain,
            "resume": self._resume,
            "reload": self._reload,
            "config": self._config,
            "checkpoint": self._checkpoint,
            "stop": self._stop,
        }

    def look(self) -> Document:
        """The document of `health`."""
        return snapshot.snapshot(self._engine, sum(desk.faults for desk in self.desks), self._drained_at)

    async def _health(self, request: Mapping[str, Any], peer: str) -> Document:
        return self.look()

    async def _explain(self, request: Mapping[str, Any], peer: str) -> Document:
        engine = self._engine
        now = engine.ports.clock.monotonic()
        if request.get("mo") is True:
            written = [_word(request, key) for key in ("to", "from", "text", "carrier")]
            document = owned(engine.config, *written, running=True)
            return {"explanation": document}

        def planner(rule: Rule, message_class: int) -> tuple[Plan, Mapping[str, CarrierView], float]:
            entries = (*rule.route.carriers, *rule.route.backup)
            views = {one.carrier: engine.dispatch.stations[one.carrier].view(rule.network, now) for one in entries}
            if assumed:
                views = assume(views, assumed, now)
                return decide.plan(rule.route, message_class, views, engine.config.limits, now), views, 0.0
            return engine.dispatch.plan(rule, message_class, now), views, 0.0

        words = [_word(request, key) for key in ("to", "from", "esme", "class", "data_coding", "at")]
        try:
            asked = question(engine.config, engine.ports.clock.wall(), *words)
            assumed = assumptions(engine.config, _words(request, "assume"))
        except Unanswerable as error:
            raise Refusal(str(error)) from error
        document = explain(asked, engine.dispatch.table, planner, running=True, assumptions=assumed)
        takes = [one for one in document.get("candidates", ()) if one["verdict"] != "refused"]
        for choice in (*document.get("choices", ()), *takes):
            station = engine.dispatch.stations[choice["carrier"]]
            bounds = station.bounds(asked.esme, asked.message_class, asked.destination_addr, now)
            choice["reason"] = "; ".join((choice["reason"], *bounds))
        return {"explanation": document}

    async def _config(self, request: Mapping[str, Any], peer: str) -> Document:
        """What runs, for `smsroute diff`; in a thread, as a million prefixes take their time."""
        engine = self._engine
        return {"summary": await engine.ports.blocking.run(summary, engine.config)}

    async def _checkpoint(self, request: Mapping[str, Any], peer: str) -> Document:
        """Bring the store up to this moment, for verbs that read it themselves; `at` is older if the disk refused."""
        journal = self._engine.journal
        await journal.checkpoint()
        return {"at": iso(journal.checkpointed_at)}

    async def _trace(self, request: Mapping[str, Any], peer: str) -> Document:
        wanted = _word(request, "id")
        reveal = request.get("reveal") is True
        try:
            part = self._in_memory(wanted) or await self._in_store(wanted)
        except StoreError as error:
            raise Refusal(f"memory does not know it and the store cannot be asked: {error}") from error
        if part is None:
            raise Refusal(unknown(wanted, self._engine.config.node))
        masks = self._engine.config.mask_numbers
        if reveal and masks:
            log.warning("number.revealed", part=part.part_id, by=peer)
        try:
            decisions = await self._decisions(part)
        except StoreError as error:
            log.warning("decisions.unread", error=str(error))
            decisions = []
        return {"story": story(part, self._engine.ports.clock.wall(), reveal=reveal or not masks, decisions=decisions)}

    async def _decisions(self, part: Part) -> list[Record | None]:
        """The decision that stood at each attempt, what is not on disk yet included."""
        engine = self._engine
        await engine.decisions.flush()
        return await engine.ports.blocking.run(decisions_of, engine.store, part, engine.dispatch.table)

    def _in_memory(self, wanted: str) -> Part | None:
        ledger = self._engine.ledger
        part = ledger.parts.get(wanted) or ledger.parts.get(wanted.upper())
        if part is not None:
            return part
        for carrier in self._engine.config.carriers:
            part_id = ledger.whose(Receipted(carrier, 0.0, [wanted], -1))
            if part_id:
                return ledger.parts.get(part_id)
        return None

    async def _in_store(self, wanted: str) -> Part | None:
        run, store = self._engine.ports.blocking.run, self._engine.store
        part = await run(store.story, wanted) or await run(store.story, wanted.upper())
        for carrier in self._engine.config.carriers:
            if part is not None:
                break
            owner = (await run(store.find, carrier, [wanted])).get(wanted)
            part = await run(store.story, owner.part_id) if owner is not None else None
        return part

    async def _named(self, request: Mapping[str, Any], peer: str) -> Document:
        """The messages that a carrier's id may mean, in memory or not, and how each follows from it."""
        engine, keys = self._engine, forms(_word(request, "id"))
        carrier, reveal = _word(request, "carrier"), request.get("reveal") is True
        found = []
        try:
            for name in [carrier] if carrier else engine.config.carriers:
                stored = await engine.ports.blocking.run(engine.store.find, name, list(keys))
                found += hits(name, {**part_ids(stored), **in_memory(engine.ledger, name, keys)}, keys)
            chosen = best(found)
            parts = {hit.part_id: self._in_memory(hit.part_id) or await self._in_store(hit.part_id) for hit in chosen}
        except StoreError as error:
            raise Refusal(f"the store cannot be asked: {error}") from error
        masks = engine.config.mask_numbers
        if reveal and masks and chosen:
            log.warning("number.revealed", part=[hit.part_id for hit in chosen], by=peer)
        return {"messages": told(chosen, parts, engine.ports.clock.wall(), reveal=reveal or not masks)}

    async def _drain(self, request: Mapping[str, Any], peer: str) -> Document:
        reason = _word(request, "reason") or "no reason given"
        return self._tap(request, peer, f"{reason} ({peer})")

    async def _resume(self, request: Mapping[str, Any], peer: str) -> Document:
        return self._tap(request, peer, "")

    def _tap(self, request: Mapping[str, Any], peer: str, why: str) -> Document:
        """Close (`why`) or open ("") what the request names."""
        kind, name = _word(request, "kind"), _word(request, "name")
        taps = {"carrier": self._carrier, "bind": self._bind, "esme": self._esme}
        tap = taps.get(kind)
        if tap is None:
            raise Refusal(f"{kind!r} cannot be drained, expected one of {', '.join(KINDS)}")
        was, waits = tap(name, why)
        self._drained_at[name] = self._engine.ports.clock.wall()
        log.warning(f"{kind}.{'drained' if why else 'resumed'}", name=name, by=peer, reason=why or was)
        return {"kind": kind, "name": name, "was": was or None, "drained": why or None, "waits": waits}

    def _carrier(self, name: str, why: str) -> tuple[str, str]:
        station = self._engine.dispatch.stations.get(name)
        if station is None:
            raise Refusal(_no("carrier", name, self._engine.dispatch.stations))
        was, station.drained = station.drained, why
        self._engine.dispatch.wake(self._engine.dispatch.stations)
        in_flight = sum(bind.in_flight for bind in station.binds)
        return was, f"{in_flight} parts in flight, {station.queued} queued there" if why else ""

    def _bind(self, name: str, why: str) -> tuple[str, str]:
        binds = {bind.label: bind for one in self._engine.dispatch.stations.values() for bind in one.binds}
        bind = binds.get(name)
        if bind is None:
            raise Refusal(_no("bind", name, binds))
        was, bind.drained = bind.drained, why
        self._engine.dispatch.wake(self._engine.dispatch.stations)
        return was, f"{bind.in_flight} parts in flight" if why else ""

    def _esme(self, name: str, why: str) -> tuple[str, str]:
        doors = self._engine.doors
        if name not in self._engine.config.esmes:
            raise Refusal(_no("ESME", name, self._engine.config.esmes))
        was = doors.drained.get(name, "")
        if not why:
            doors.drained.pop(name, None)
            return was, ""
        doors.drain(name, why)
        outbox = self._engine.ledger.outboxes.get(name)
        owed = len(outbox) if outbox is not None else 0
        return was, f"its sessions are asked to unbind, {owed} receipts wait for it"

    async def _reload(self, request: Mapping[str, Any], peer: str) -> Document:
        if self._reloads is None:
            raise Refusal("this engine was not started from a folder, so there is nothing to read again")
        return await self._reloads.reload(peer)

    async def _stop(self, request: Mapping[str, Any], peer: str) -> Document:
        log.warning("engine.stop_asked", by=peer)
        self._engine.stop()
        return {"stopping": True}


def _word(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(f"{key} is {value!r}, expected text")
    return value.strip()


def _words(request: Mapping[str, Any], key: str) -> list[str]:
    value = request.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Refusal(f"{key} is {value!r}, expected a list of texts")
    return value


def _no(kind: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    meant = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(names) or 'none there are'}"
    return f"no {kind} {name!r}, {meant}"
