"""Dispatch: from a due part to a bind, and what to do when there is no room.

NAME
    Dispatch.takeoff() -> `flight.Flight` (new parts, from `esmes/accept`); Dispatch.run() (parts that wait);
    `carriers/answers` (what carriers said).

WALK
    due part -> routing.table (which rule) -> routing.decide (which carrier, why) -> a place reserved on a bind
    -> Attempted made durable (store/journal) -> carriers/departure -> carriers/bind -> link out.

STRATEGIES
    straight through    A new part whose carrier has room and no queue shares the commit of its acceptance: one fsync
                        from submit_sm to the carrier.
    queues              Otherwise it queues at the carrier chosen for it, in the lane of its class: otp, alert, info,
                        marketing. A carrier's own task empties its lanes as its windows and pace allow, the most urgent
                        first, with a floor for the others (`policy/turns`); what comes back stands by its age (`lane`).
    moving              Parts queued at a carrier that is sick, drained or without room move to one the plan prefers and
                        that has room, each with its reason. A multipart message moves only while none of its parts
                        went (law 8).
    nobody in the way   A part that may not go (dead network, cap used up, full handset) stands aside and holds up only
                        those that may not go either (`carriers/lanes`, `policy/caps`, `policy/holds`).
    shared plans        Who may take a route and class now, with what weight and why, is computed once per `plan_ttl_s`
                        and whenever a carrier's health changes, not per message.
    reserve, journal,   A place in a bind's window and a token of its pace are taken before the attempt is written down
    launch              and used, or given back, after (laws 2 and 7). A bind that died in between is told apart: its
                        parts never left.

LIMITS
    carrier.window, carrier.rate; dispatch_batch_max parts a commit; plan_ttl_s.

DIAGNOSTICS
    attempt reasons (`smsroute trace`), plans with every refusal and its number (`smsroute explain`), queues (`health`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import trio

from smsroute.carriers.adopt import Adoption
from smsroute.carriers.answers import Answers
from smsroute.carriers.bind import Bind, Query, Row
from smsroute.carriers.departure import Departures
from smsroute.carriers.flight import Flight, Pin
from smsroute.carriers.hearing import Hearing
from smsroute.carriers.lanes import Lanes
from smsroute.carriers.query import Queries
from smsroute.carriers.receipts import Receipts
from smsroute.carriers.roster import Roster
from smsroute.carriers.rounds import Round
from smsroute.carriers.station import Station
from smsroute.carriers.sweep import Sweep
from smsroute.config import Config
from smsroute.ledger import Ledger
from smsroute.message import ATTEMPTED, Part
from smsroute.policy.loops import Loops
from smsroute.ports import Ports
from smsroute.routing import decide
from smsroute.routing.decide import Plan
from smsroute.routing.table import Rule, Table
from smsroute.routing.views import CarrierView
from smsroute.smpp.codec import Pdu
from smsroute.smpp.session import Response
from smsroute.store.journal import Journal

Decided = Callable[[tuple[str, str, int], Mapping[str, CarrierView], Plan, Plan | None], None]
"""Told of each plan: its key, what it was made of, the plan, and the one before (`ops/decisions`)."""


class Dispatch:
    """See the module."""

    def __init__(self, config: Config, ledger: Ledger, journal: Journal, ports: Ports) -> None:
        self.ledger = ledger
        self.journal = journal
        self.ports = ports
        self.limits = config.limits
        self.draining = False
        self.decided: Decided = lambda key, views, plan, previous: None
        self.table = Table.of(config)
        self.costs = _costs(config)
        self.pins: dict[str, Pin] = {}
        self.meetings: dict[str, str] = {}  # carriers where parts about to be accepted wait for the others
        self.merges = _merges(config)
        self.loops = Loops(config.limits.loop_window_s, config.limits.loop_marks_max)
        self.tried = trio.Event()
        self._wakes: dict[str, trio.Event] = {}
        self._roster = Roster(
            config.carriers,
            config.limits,
            make=lambda carrier: Station(carrier, ports, config.limits, ledger, self),
            empty_lanes=self._empty_lanes,
            landed=self._until,
            gone=self._gone,
        )
        self.stations = self._roster.stations
        self._rng = ports.entropy.rng("dispatch")
        self._plans: dict[tuple[str, str, int], tuple[float, Plan]] = {}
        self._strays = trio.Event()  # parts wait for a carrier that left the config
        if not self.binds:
            self.tried.set()
        self._quiet = trio.Event()
        self._queries = Queries(self)
        self.adoption = Adoption(self)
        self._sweep = Sweep(
            config,
            ledger,
            journal,
            ports,
            self._queries,
            self.adoption,
            released=self._tick,
            elsewhere=self.other_carrier,
        )
        self.lanes = Lanes(self)
        self._answers = Answers(self)
        self.departures = Departures(self, self._answers)
        self._receipts: Receipts | None = None
        self._hearing = Hearing(self)

    def connect(self, receipts: Receipts) -> None:
        """Who reads what carriers deliver."""
        self._receipts = receipts
        receipts.heard = self._hearing.heard

    def adopt(self, config: Config, table: Table) -> None:
        """Carriers and routes as a new config has them. Its limits are those of the old one."""
        self.table = table
        self.costs = _costs(config)
        self.merges = _merges(config)
        self._sweep.adopt(config.routes)
        self._plans = {}
        self._roster.adopt(config.carriers, self.ports.clock.monotonic())
        self.wake(self.stations)
        self.wake(self.ledger.queues.lanes)

    def noticed(self) -> None:
        """The ledger saw something of receipts that is to be counted."""
        self._hearing.noticed(self.ledger.noticed)

    def _gone(self, carrier: str) -> None:
        """A carrier is off the roster: what still waits for it is a stray."""
        self._wakes.pop(carrier, None)
        self._stale()
        self._strays.set()

    @property
    def binds(self) -> list[Bind]:
        """Every bind of every carrier."""
        return [bind for station in self.stations.values() for bind in station.binds]

    @property
    def in_flight(self) -> int:
        """Parts reserved or written and unanswered, over all binds."""
        return sum(bind.in_flight + bind.reserved for bind in self.binds)

    # -- choosing ------------------------------------------------------------------------------------------------------

    def takeoff(self) -> Flight:
        """A flight for parts that are made durable together."""
        return Flight(self, self.ports.clock.monotonic(), self.ports.clock.wall())

    def plan(self, rule: Rule, message_class: int, now: float) -> Plan:
        """Who may take this route and class now. `now`: monotonic seconds."""
        key = (rule.route.name, rule.network, message_class)
        cached = self._plans.get(key)
        if cached is not None and cached[0] > now:
            return cached[1]
        route = rule.route
        views = {
            entry.carrier: self.stations[entry.carrier].view(rule.network, now)
            for entry in (*route.carriers, *route.backup)
        }
        previous = cached[1] if cached is not None else None
        plan = decide.plan(route, message_class, views, self.limits, now, previous)
        self.decided(key, views, plan, previous)
        if cached is None and len(self._plans) >= self.limits.networks_max:
            self._plans.clear()
        self._plans[key] = (now + self.limits.plan_ttl_s, plan)
        return plan

    def choose(
        self,
        rule: Rule,
        message_class: int,
        now: float,
        loads: Mapping[str, int],
        esme: str,
        to: str,
        multipart: str = "",
    ) -> tuple[str, str]:
        """(carrier, reason) for one part; where it waits, when nobody may take it now. `loads`: parts at each
        carrier."""
        plan = self.plan(rule, message_class, now)
        for probe in plan.probes:
            station = self.stations[probe.carrier]
            goes = station.blocked(esme, message_class, to, now) is None and not (multipart and station.merges)
            if goes and self.lanes.idle(probe.carrier) and self.claim_probe(probe.carrier, rule, now):
                return probe.carrier, probe.reason
        ranked = decide.pick(plan, self._rng, loads) or plan.waiting
        return ranked.carrier, ranked.reason

    def claim_probe(self, carrier: str, rule: Rule, now: float) -> bool:
        """Take the place of the probe for a part that leaves at once; one that could not would never ask."""
        station = self.stations[carrier]
        if station.headroom(now) <= 0 or not station.dossier.claim_probe(rule.network, now):
            return False
        self._stale()
        return True

    def _stale(self) -> None:
        """Health changed: the next part of each route gets a new plan, which remembers the one before."""
        self._plans = {key: (0.0, plan) for key, (_, plan) in self._plans.items()}

    def other_carrier(self, part: Part, tried: set[str], stays: int = 0) -> str | None:
        """Another carrier of the part's route that may take it now, the best first; None when there is none. `stays`:
        parts of its message under way, it among them, that never left."""
        if part.multipart and self._tied(part, stays):
            return None
        rule = self.rule(part)
        if rule is None:
            return None
        now = self.ports.clock.monotonic()
        names = [ranked.carrier for ranked in self.plan(rule, part.message_class, now).choices]
        return next((name for name in names if name not in tried and self.stations[name].takes(part, now)), None)

    def _tied(self, part: Part, stays: int) -> bool:
        """Whether a part under way may not leave its carrier: others of its message have gone there (law 8)."""
        known = self.ledger.multiparts.get(part.multipart)
        if part.state == ATTEMPTED:
            stays = max(stays, 1 + len(part.attempts[-1].led))
        return self.pin(part.multipart) is not None and (known is None or known.went > stays)

    def meeting(self, multipart: str, rule: Rule) -> str | None:
        """The carrier of a route where parts of this message wait for the others, to go as one."""
        carrier = self.meetings.get(multipart)
        if carrier is None:
            known = self.ledger.multiparts.get(multipart)
            waiting = self.ledger.families.due(known.message_id) if known is not None and known.message_id else None
            carrier = waiting.carrier if waiting is not None else None
        entries = (*rule.route.carriers, *rule.route.backup)
        there = any(entry.carrier == carrier and self.stations[entry.carrier].merges for entry in entries)
        return carrier if there else None

    def pin(self, multipart: str) -> Pin | None:
        """Where this multipart message went, or is about to."""
        pin = self.pins.get(multipart)
        if pin is None:
            known = self.ledger.multiparts.get(multipart)
            station = self.stations.get(known.carrier) if known is not None else None
            if known is not None and station is not None and station.sends_by(known.bind):
                return known.carrier, known.bind
        return pin

    def rule(self, part: Part) -> Rule | None:
        """The rule that speaks for a part now, as if it were new; when none does, at this hour, the route that accepted
        it keeps it; None when that one is gone too."""
        number, wall = part.destination_addr, self.ports.clock.wall()
        found = self.table.match(number, part.source_addr, part.esme, part.message_class, part.data_coding, wall)
        return found or self.table.of_route(part.route, number)

    def went(self, part: Part) -> Rule | None:
        """The rule a part last went by: its hours may be over by now, and another's open."""
        return self.table.of_route(part.route, part.destination_addr) or self.rule(part)

    # -- what waits ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """The carriers' tasks, the timekeeper's, and one for parts of carriers that are gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._rehome)
            nursery.start_soon(self._sweep.run)
            nursery.start_soon(self._roster.run)

    def wake(self, carriers: Iterable[str]) -> None:
        """Something changed for these carriers: parts, room, pace or health."""
        for name in carriers:
            self._wakes.get(name, self._strays).set()

    def _tick(self) -> None:
        now = self.ports.clock.monotonic()
        changed = [station.tick(now) for station in self.stations.values()]
        if any(changed):
            self._stale()
            self.wake(self.stations)
        self.wake(self.ledger.queues.woken)
        self.ledger.queues.woken.clear()

    async def _rehome(self) -> None:
        """Parts that wait for a carrier the config no longer has go where its routes lead now: those of the last run,
        and those whose retry or doubt ends later. What no route leads to waits until its validity ends."""
        while True:
            strays = self._strays = trio.Event()
            round_ = Round(self.ports.clock.monotonic(), self.ports.clock.wall())
            for name in sorted(self.ledger.queues.lanes.keys() - self.stations.keys()):
                for part in self.ledger.queues.due(name):
                    rule = self.rule(part)
                    if rule is not None:
                        best = self.plan(rule, part.message_class, round_.now).best.carrier
                        round_.move(part, best, rule.route.name, "its carrier left the configuration")
                    if round_.taken.total() >= self.limits.dispatch_batch_max:
                        break
            if round_.moved:
                await self.journal.commit(round_.moves())
                await self.journal.healthy()
            else:
                await strays.wait()

    async def _empty_lanes(self, name: str) -> None:
        station = self.stations[name]
        clock = self.ports.clock
        while True:
            wake = self._wakes[name] = trio.Event()
            if self.draining or not station.queued:
                station.holds.freed.clear()  # nobody waits for them
                await wake.wait()
                continue
            now = clock.monotonic()
            flight = self.takeoff()
            events = self.lanes.pick(station, flight, now)
            if events:
                await self.journal.commit(events, flight.leave)
                await self.journal.healthy()
                continue
            # Nothing could go: until something changes, or until pace, pause, cap, hold or a fresh plan may allow it.
            with trio.move_on_at(min(station.next_chance(now), self.lanes.next_chance(name))):
                await wake.wait()

    # -- what binds say (carriers/bind.Desk) ---------------------------------------------------------------------------

    async def answered(self, bind: Bind, responses: Sequence[Response]) -> None:
        """Carriers answered submits."""
        await self._answers.answered(bind, responses)
        self._check_quiet()

    def timed_out(self, bind: Bind, rows: Sequence[Row]) -> None:
        """Nobody answered in time."""
        self._answers.timed_out(bind, rows)
        self.wake([bind.carrier.name])
        self._check_quiet()

    def lost(self, bind: Bind, rows: Sequence[Row], why: str) -> None:
        """A link is gone with these in flight."""
        self._answers.lost(bind, rows, why)
        self._check_quiet()

    def queried(self, bind: Bind, answers: Sequence[tuple[Query, Response | None]]) -> None:
        """Carriers told what became of parts, or did not."""
        self._queries.answered(bind, answers)

    async def delivered(self, bind: Bind, pdus: Sequence[Pdu]) -> None:
        """Carriers deliver receipts, or messages from handsets."""
        assert self._receipts is not None, "connect comes before run"
        await self._receipts.delivered(bind, pdus)

    def changed(self, bind: Bind) -> None:
        """A bind changed its state."""
        self.stations[bind.carrier.name].bind_changed(bind, self.ports.clock.monotonic())
        self._stale()
        self.wake(self.stations)
        if all(bind.tried for bind in self.binds):
            self.tried.set()
        self._check_quiet()

    # -- stopping ------------------------------------------------------------------------------------------------------

    async def landed(self) -> None:
        """Return when nothing is in flight any more."""
        await self._until(lambda: not self.in_flight)

    async def all_down(self) -> None:
        """Return when every bind is down."""
        await self._until(lambda: all(bind.state == "down" for bind in self.binds))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._quiet.is_set():
                self._quiet = trio.Event()
            await self._quiet.wait()

    def _check_quiet(self) -> None:
        self._quiet.set()


def _merges(config: Config) -> bool:
    return any(carrier.submit.long == "payload" for carrier in config.carriers.values())


def _costs(config: Config) -> dict[tuple[str, str], float]:
    """(route, carrier) -> what a part costs that way."""
    return {
        (route.name, choice.carrier): choice.cost
        for route in config.routes
        for choice in (*route.carriers, *route.backup)
    }
