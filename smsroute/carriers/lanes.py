"""A carrier's lanes, looked through: which of the parts that wait there go now, which move, which stay.

Rules:
- Most urgent class first, oldest first within it; the order of what waits for room is kept.
- A part that may not go (its network is dead here, the carrier is drained, its bind is down) and has no other carrier
  holds up only those of its route, network and class: the others are looked at past it.
- Behind a part that waits for room, parts of other routes may have room elsewhere. They are looked at too, but only
  once a `plan_ttl_s`: at full load a carrier is woken a thousand times a second.
- At most `dispatch_batch_max` parts of a lane are looked at in a round; when that many cannot go, they step back.

Walk: `carriers/dispatch` calls `pick` for each carrier's task, and `ahead` for each new part.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Protocol

from smsroute.carriers.bind import Bind
from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.message import AnyEvent, Moved, Part
from smsroute.ports import Ports
from smsroute.routing.decide import Plan, Ranked
from smsroute.routing.table import Rule


class Flight(Protocol):
    """What lanes need of `carriers/dispatch.Flight`."""

    def add(self, part_id: str, bind: Bind, route: str, network: str, reason: str, multipart: str) -> None: ...
    def attempts(self, wall: float) -> list[AnyEvent]: ...


class Board(Protocol):
    """What lanes need of `carriers/dispatch`."""

    ledger: Ledger
    limits: Limits
    ports: Ports
    stations: dict[str, Station]

    def rule(self, part: Part) -> Rule | None: ...
    def pin(self, multipart: str) -> tuple[str, str] | None: ...
    def plan(self, rule: Rule, message_class: int, now: float) -> Plan: ...
    def claim_probe(self, carrier: str, rule: Rule, now: float) -> bool: ...


class Round:
    """One look through a carrier's lanes. `now`: monotonic seconds; `wall`: Unix seconds."""

    __slots__ = ("full", "held", "moved", "now", "stuck", "taken", "thorough", "waits", "wall")

    def __init__(self, now: float, wall: float, *, thorough: bool) -> None:
        self.now = now
        self.wall = wall
        self.thorough = thorough  # also look behind a part that waits for room
        self.full = False  # no bind has room, or pace is used up
        self.waits = False  # somebody waits for room
        self.held: set[tuple[str, str, int]] = set()  # (route, network, class) that can go nowhere just now
        self.stuck: list[str] = []  # parts that room would not help
        self.moved: dict[tuple[str, str, str], list[str]] = {}  # (carrier, route, reason) -> parts
        self.taken: Counter[str] = Counter()  # parts moved to each carrier

    def move(self, part: Part, carrier: str, route: str, reason: str) -> None:
        """This part changes queue."""
        self.taken[carrier] += 1
        self.moved.setdefault((carrier, route, reason), []).append(part.part_id)

    def moves(self) -> list[AnyEvent]:
        """The events that say so."""
        return [
            Moved(self.wall, part_ids, carrier, route, reason)
            for (carrier, route, reason), part_ids in self.moved.items()
        ]


class Lanes:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._passed: set[str] = set()  # carriers where nobody waits for room
        self._look_at: dict[str, float] = {}  # when a carrier's lanes are next looked through thoroughly

    def ahead(self, carrier: str, message_class: int) -> bool:
        """Whether a newcomer of this class would overtake parts that wait there for room."""
        return carrier not in self._passed and self._board.ledger.queues.ahead(carrier, message_class)

    def pick(self, station: Station, flight: Flight, now: float) -> list[AnyEvent]:
        """The events that send, or move, the parts at the head of a carrier's lanes."""
        name, most = station.carrier.name, self._board.limits.dispatch_batch_max
        round_ = Round(now, self._board.ports.clock.wall(), thorough=now >= self._look_at.get(name, 0.0))
        if round_.thorough:
            self._look_at[name] = now + self._board.limits.plan_ttl_s
        unseen = False
        for lane in self._board.ledger.queues.lanes.get(name, ()):
            for part in islice(lane.values(), most):
                self._look(station, flight, part, round_)
                if round_.full and not round_.thorough:
                    break
            if len(lane) > most:
                unseen = True
                for part_id in round_.stuck:  # else those behind them would never be looked at
                    lane.move_to_end(part_id)
            round_.stuck.clear()
            if round_.full and not round_.thorough:
                break
        if unseen or round_.waits:
            self._passed.discard(name)
        else:
            self._passed.add(name)
        return round_.moves() + flight.attempts(round_.wall)

    def _look(self, station: Station, flight: Flight, part: Part, round_: Round) -> None:
        """Send one part, move it, or leave it where it is."""
        board, name, now = self._board, station.carrier.name, round_.now
        pin = board.pin(part.multipart) if part.multipart else None
        if pin is not None:
            if pin[0] == name:
                self._look_pinned(station, flight, part, pin[1], round_)
            else:
                round_.move(part, pin[0], part.route, "its other parts went there")
            return
        waits = (part.route, "*", part.message_class)  # for room: that is the same for all networks
        if round_.full and waits in round_.held:
            return
        rule = board.rule(part)
        route, network = (rule.route.name, rule.network) if rule is not None else (part.route, "")
        here = (route, network, part.message_class)
        if here in round_.held:
            round_.stuck.append(part.part_id)
            return
        why_not = self._why_not(station, rule, part, now)
        bind = None
        if not why_not and not round_.full:
            bind = station.bind_with_room(now, rule.route if rule else None, part.message_class, part.multipart)
        if bind is not None and station.grant(now):
            flight.add(part.part_id, bind, route, network, part.why or "its turn came", part.multipart)
            return
        waits_s = 0.0 if why_not else max(0.001, round_.wall - part.due_at)
        other = self._elsewhere(rule, part, name, round_.taken, now, waits_s) if rule is not None else None
        if other is not None:
            round_.move(part, other.carrier, route, f"{why_not or 'no room at ' + name}; {other.reason}")
        elif why_not:
            round_.held.add(here)
            round_.stuck.append(part.part_id)
        else:
            round_.held.add(waits)
            round_.full = round_.waits = True

    def _look_pinned(self, station: Station, flight: Flight, part: Part, bind_name: str, round_: Round) -> None:
        """A part of a message that others of went by this bind: it goes there or stays (law 8)."""
        bind = station.bind_named(bind_name, round_.now)
        if bind is not None and station.grant(round_.now):
            flight.add(part.part_id, bind, part.route, "", "with its other parts", part.multipart)
        elif station.bind_lives(bind_name, round_.now):
            round_.waits = True
        else:
            round_.stuck.append(part.part_id)

    def _why_not(self, station: Station, rule: Rule | None, part: Part, now: float) -> str:
        """Why a queued part may not go to the carrier it waits for; "" when it may."""
        if station.drained:
            return f"{station.carrier.name} is drained: {station.drained}"
        if rule is None:
            return ""
        plan = self._board.plan(rule, part.message_class, now)
        if any(ranked.carrier == station.carrier.name for ranked in plan.choices):
            return ""
        probed = any(probe.carrier == station.carrier.name for probe in plan.probes)
        if probed and self._board.claim_probe(station.carrier.name, rule, now):
            return ""
        return next((reason for name, reason in plan.refused if name == station.carrier.name), "not of this route")

    def _elsewhere(
        self, rule: Rule, part: Part, name: str, taken: Counter[str], now: float, waits_s: float
    ) -> Ranked | None:
        """Another carrier of the plan that has room now, less what this round has already moved there.

        `waits_s`: for how long the part has waited at a carrier that would take it; a full window is no reason to pay
        for a backup until `spill_wait_s` is over.
        """
        plan = self._board.plan(rule, part.message_class, now)
        patient = 0 < waits_s < self._board.limits.spill_wait_s
        for ranked in plan.choices:
            other = self._board.stations[ranked.carrier]
            if ranked.carrier == name or self.ahead(ranked.carrier, part.message_class):
                continue
            if patient and ranked.tier != "primary":
                continue
            if other.headroom(now) > taken[ranked.carrier]:
                return ranked
        return None
