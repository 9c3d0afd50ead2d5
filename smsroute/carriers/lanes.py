"""A carrier's lanes, looked through: which of the parts that wait there go now, which move, which stand aside.

Rules:
- The most urgent class goes first, but for the floor of those below it (`policy/turns`); the oldest first within it.
  Newcomers go straight through only where they would overtake nobody.
- A part that room would not help stands aside under a key (`lane`) and holds up nobody: its network is dead here, the
  carrier is drained, its bind is down; a cap is used up (`policy/caps`), its handset is full (`policy/holds`).
- From a carrier that cannot take a part it moves to one whose queue is worth joining; from one that is full or capped
  to one that has room now, the paid-for backups only after `spill_wait_s`.
- Behind a part that waits for room, parts of other routes may have room elsewhere. They are looked at too, but only
  once a `plan_ttl_s`: at full load a carrier is woken a thousand times a second.
- At most `dispatch_batch_max` parts are looked at before the next commit, and as many again behind those that wait.

Drawback of the simple way. Walking the queue from its head until somebody cannot go: one full handset, one dead network
or one capped customer at the head stops everybody, and a hundred thousand parts of a dead carrier are walked again at
each wake-up.

Idea. Everything that stands aside is one row under one key; only its oldest is looked at, when its time has come: it
goes, and twice as many follow, or it stays, and so does the row.

    pick:   what is aside and whose time has come: release 1, or twice as many as last time if those got away
            while room, and somebody waits, and the batch lasts:
                part = oldest of turns.next(classes that wait)
                goes (bind, pace, caps, hold) | moves | stands aside under a key | no room: stop
            once a plan_ttl: those behind, for parts that may move
            again at: the caps' next tokens, the end of a hold, the next plan

Measured (2 cores with busy neighbours, CPU time): 100,000 parts at a carrier that is drained moved in 50 rounds of
2,000, the longest step of a task 14 ms, 1.1 s of CPU in all, commits included. A part that moves costs 7 us to look at.

Limits: a part behind more than `dispatch_batch_max` others that wait for room is not looked at for another carrier
until they go. Between the classes of one destination there is no order.

Walk: `carriers/dispatch` calls `pick` for each carrier's task, and `passes` for each new part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from smsroute.carriers.bind import Bind
from smsroute.carriers.company import company, incomplete
from smsroute.carriers.rounds import Round, Side
from smsroute.carriers.station import Station
from smsroute.config import Limits
from smsroute.lane import Key, Lane
from smsroute.ledger import Ledger
from smsroute.message import AnyEvent, Blame, MessageClass, Part
from smsroute.policy.caps import words
from smsroute.ports import Ports
from smsroute.routing.decide import Plan, Ranked
from smsroute.routing.table import Rule

CLASSES: Final = len(MessageClass)

TIED_PART: Final = 4
"""This part of a batch may be parts that wait for their own bind: more of them stand aside, or they hide all others."""

REFUSALS: Final = frozenset(map(int, (Blame.CONGESTED, Blame.TRANSIENT, Blame.PERMANENT_ROUTE)))
"""Answers after which another carrier may be asked."""

MERGE_LOOKS: Final = 10
"""What waits for the other parts of its message is looked at so often in `merge_wait_s`; the last to come takes all."""

REST: Final[Key] = ("rest",)
"""More wait than one batch: nothing stands aside under it, it only says that the next round follows at once."""


class Flight(Protocol):
    """What lanes need of `carriers/dispatch.Flight`."""

    def add(self, part_id: str, bind: Bind, route: str, network: str, reason: str, multipart: str) -> None: ...
    def merge(self, message: Sequence[Part], bind: Bind, route: str, network: str, reason: str) -> None: ...
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


class Lanes:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._sides: dict[str, Side] = {}

    def ahead(self, carrier: str, message_class: int) -> bool:
        """Whether parts of this class or a more urgent one wait their turn there."""
        return self._board.ledger.queues.ahead(carrier, message_class)

    def idle(self, carrier: str) -> bool:
        """Whether nobody waits a turn there: a newcomer is sure to be next."""
        return not self._board.ledger.queues.ahead(carrier, CLASSES - 1)

    def passes(self, carrier: str, message_class: int, esme: str, to: str) -> bool:
        """Whether a newcomer may go straight through: it would overtake nobody, and it is its class's turn."""
        lanes = self._board.ledger.queues.lanes.get(carrier)
        if lanes is None:
            return True
        for lane in lanes:  # nothing waits here, as nearly always: no more than this for each part
            if lane.fresh or lane.back or lane.aside:
                break
        else:
            return True
        below = False
        for number, lane in enumerate(lanes):
            if lane.size:
                if lane.waits:
                    if number <= message_class:
                        return False
                    below = True
                if number == message_class and lane.aside:
                    keys = (("to", to), ("esme", esme), ("class", MessageClass(message_class).name.lower()))
                    if any(key in lane.aside for key in keys):
                        return False
        if below:
            turns = self._side(carrier).turns
            waiting = [lane.waits or number == message_class for number, lane in enumerate(lanes)]
            if turns.next(waiting) != message_class:
                return False
            turns.went(message_class, waiting)
        return True

    def next_chance(self, carrier: str) -> float:
        """When something that stands aside is looked at again."""
        side = self._sides.get(carrier)
        return float("inf") if side is None else side.next_at()

    def pick(self, station: Station, flight: Flight, now: float) -> list[AnyEvent]:
        """The events that send, or move, parts that wait for a carrier."""
        name, limits = station.carrier.name, self._board.limits
        lanes = self._board.ledger.queues.lanes.get(name)
        if lanes is None:
            return []
        side = self._side(name)
        released = self._release(station, lanes, side, now)
        round_ = Round(now, self._board.ports.clock.wall())
        rest = self._go(station, flight, lanes, side, round_)
        if round_.full and now >= side.look_at:
            side.look_at = now + limits.plan_ttl_s
            for part in rest:
                self._look(station, flight, part, round_)
        for part, key in round_.aside:
            lanes[part.message_class].set_aside(part, key)
        self._look_again(station, lanes, side, round_, released)
        return round_.moves() + flight.attempts(round_.wall)

    # -- who goes ------------------------------------------------------------------------------------------------------

    def _go(
        self, station: Station, flight: Flight, lanes: tuple[Lane, ...], side: Side, round_: Round
    ) -> Iterator[Part]:
        """Send, move or set aside, turn by turn, until there is no room or the batch is over; gives those behind."""
        most, turns = self._board.limits.dispatch_batch_max, side.turns
        rows = [iter(lane) for lane in lanes]
        heads = [next(row, None) for row in rows]
        waiting = [head is not None for head in heads]
        lone = -1  # the class that alone waits, once turns know it
        for _ in range(most):
            several = waiting.count(True)
            if not several:
                break
            number = turns.next(waiting) if several > 1 else waiting.index(True)
            part = heads[number]
            assert part is not None
            if self._look(station, flight, part, round_):
                if several > 1 or lone != number:
                    turns.went(number, waiting)
                    lone = number if several == 1 else -1
                round_.sent += 1
            if round_.full:
                break
            heads[number] = next(rows[number], None)
            waiting[number] = heads[number] is not None
        else:
            if round_.changed:  # more may wait: the next round follows at once
                side.put(0, REST, round_.now)
        return (
            part
            for head, row in zip(heads, rows, strict=True)
            if head is not None
            for part in (head, *islice(row, most // CLASSES))
        )

    def _look(self, station: Station, flight: Flight, part: Part, round_: Round) -> bool:
        """Send one part (True), move it, set it aside, or leave it where it is."""
        board, name, now = self._board, station.carrier.name, round_.now
        if round_.gone and part.part_id in round_.gone:
            return False
        pin = board.pin(part.multipart) if part.multipart else None
        if pin is not None and pin[0] != name:
            round_.move(part, pin[0], part.route, "its other parts went there")
            return False
        if pin is not None:
            return self._look_pinned(station, flight, part, pin[1], round_)
        for_room = (part.route, "*", part.message_class)  # that is the same for all networks
        if round_.full and for_room in round_.held:
            return False
        rule = board.rule(part)
        route, network = (rule.route.name, rule.network) if rule is not None else (part.route, "")
        here = (route, network, part.message_class)
        if part.multipart and part.attempts and rule is not None:
            free = self._untried(rule, part, station, round_)
            if free is not None:
                why = f"no other part of its message is with {name}, which refused it"
                round_.move_all(part, self._party(station, part, round_), free.carrier, route, why)
                return False
        if here in round_.held:
            round_.aside.append((part, ("way", route, network)))
            return False
        party = self._party(station, part, round_)
        key = station.blocked(part.esme, part.message_class, part.destination_addr, now)
        if key is None and incomplete(party):
            key = ("merge", part.message_id)
        why_not = self._why_not(station, rule, part, now, goes=key is None and not round_.full)
        if why_not:
            key = ("way", route, network)
        bind = None
        if key is None and not round_.full:
            bind = station.bind_with_room(now, rule.route if rule else None, part.message_class, part.multipart)
        if bind is not None and station.admit(part.esme, part.message_class, part.destination_addr, now):
            self._send(flight, part, party, bind, route, network, part.why or "its turn came", round_)
            return True
        waits = key is not None and key[0] == "merge"
        other = self._elsewhere(rule, part, station, round_, key) if rule is not None and not waits else None
        if other is not None:
            why = why_not or (f"no room at {name}" if key is None else self.why_aside(station, key, now))
            round_.move_all(part, party, other.carrier, route, f"{why}; {other.reason}")
        elif key is not None:
            if why_not:
                round_.held.add(here)
            round_.aside.append((part, key))
        else:
            round_.held.add(for_room)
            round_.full = True
        return False

    def _party(self, station: Station, part: Part, round_: Round) -> Sequence[Part] | None:
        """Who goes with this part (`company`)."""
        if part.parts < 2 or not station.merges:
            return None
        return company(part, self._board.ledger, round_.wall, self._board.limits.merge_wait_s)

    @staticmethod
    def _send(
        flight: Flight,
        part: Part,
        party: Sequence[Part] | None,
        bind: Bind,
        route: str,
        network: str,
        reason: str,
        round_: Round,
    ) -> None:
        """By a bind that has room: alone, or with all that go in one submit with it."""
        if party:
            flight.merge(party, bind, route, network, reason)
            round_.gone.update([one.part_id for one in party])
        else:
            flight.add(part.part_id, bind, route, network, reason, part.multipart)

    def _look_pinned(
        self,
        station: Station,
        flight: Flight,
        part: Part,
        bind_name: str,
        round_: Round,
    ) -> bool:
        """A part of a message that others of went by this bind: it goes there or stays (law 8)."""
        now, party = round_.now, self._party(station, part, round_)
        key = station.blocked(part.esme, part.message_class, part.destination_addr, now)
        if key is None and incomplete(party):
            key = ("merge", part.message_id)
        if key is None:
            bind = station.bind_named(bind_name, now)
            if bind is not None and station.admit(part.esme, part.message_class, part.destination_addr, now):
                self._send(flight, part, party, bind, part.route, "", "with its other parts", round_)
                return True
            if station.bind_lives(bind_name, now):  # room will come, and it is not the room of others
                if station.headroom(now) <= 0:
                    round_.full = True  # for the others there is none either
                    return False
                round_.tied += 1
                if round_.tied <= max(1, self._board.limits.dispatch_batch_max // TIED_PART):
                    return False
        round_.aside.append((part, key or ("bind", bind_name)))
        return False

    def _why_not(self, station: Station, rule: Rule | None, part: Part, now: float, *, goes: bool) -> str:
        """Why a queued part may not go to the carrier it waits for; "" when it may. `goes`: nothing else stops it, so
        that it may be the probe."""
        if station.drained:
            return f"{station.carrier.name} is drained: {station.drained}"
        if rule is None:
            return ""
        plan = self._board.plan(rule, part.message_class, now)
        probed = any(probe.carrier == station.carrier.name for probe in plan.probes)
        if probed and goes and self._board.claim_probe(station.carrier.name, rule, now):
            return ""  # first: in panic the dead are choices too, and would never be asked
        if any(ranked.carrier == station.carrier.name for ranked in plan.choices):
            return ""
        return next(
            (reason for name, reason in plan.refused if name == station.carrier.name),
            f"not of route {rule.route.name}, which speaks for it now",
        )

    def _elsewhere(self, rule: Rule, part: Part, station: Station, round_: Round, key: Key | None) -> Ranked | None:
        """Another carrier of the plan that would take the part, less what this round has already moved there.

        A full window is no reason to pay for a backup, or to ask a carrier whose quality is below the floor (its window
        has room because it answers nobody), until the part has waited `spill_wait_s`; a cap is none to leave at all.
        """
        limits, now = self._board.limits, round_.now
        gone = key is not None and key[0] == "way"
        waited_s = round_.wall - part.due_at
        patient = not gone and 0 <= waited_s < limits.spill_wait_s  # below 0: the clock was set back while it waited
        if patient and key is not None and key[0] in ("class", "esme"):
            return None
        plan = self._board.plan(rule, part.message_class, now)
        for ranked in plan.choices:
            other = self._board.stations[ranked.carrier]
            if other is station or (patient and (ranked.tier != "primary" or ranked.quality < limits.quality_floor)):
                continue
            if gone:
                room = other.worth(part.message_class, now)
            else:
                room = 0 if self.ahead(ranked.carrier, part.message_class) else other.headroom(now)
            if room > round_.taken[ranked.carrier] and other.takes(part, now):
                return ranked
        return None

    def _untried(self, rule: Rule, part: Part, station: Station, round_: Round) -> Ranked | None:
        """Another carrier with room for a part of a message of several that was refused here: while other parts of it
        were out it could not leave (law 8), as a message of one part does at once (`carriers/answers`)."""
        last, now = part.attempts[-1], round_.now
        if last.carrier != station.carrier.name or last.blame not in REFUSALS:
            return None
        tried = {attempt.carrier for attempt in part.attempts if not attempt.withdrawn}
        for ranked in self._board.plan(rule, part.message_class, now).choices:
            if ranked.carrier in tried or self.ahead(ranked.carrier, part.message_class):
                continue
            other = self._board.stations[ranked.carrier]
            if other.headroom(now) > round_.taken[ranked.carrier] and other.takes(part, now):
                return ranked
        return None

    # -- who stands aside ----------------------------------------------------------------------------------------------

    def why_aside(self, station: Station, key: Key, now: float) -> str:
        """What parts under `key` wait for, for people."""
        name = station.carrier.name
        if key[0] == "to":
            times = station.holds.times(key[1])
            return f"the queue of {key[1]} is full at {name} ({times} in a row)"
        if key[0] == "merge":
            return f"{name} takes its message as one payload, and not all of it is here"
        if station.caps is not None and key[0] in ("class", "esme"):
            return f"capped: {words(key, station.caps.rates[key])} at {name}"
        return f"its bind {key[1]} is down" if key[0] == "bind" else f"{name} cannot take route {key[1]} now"

    def _side(self, carrier: str) -> Side:
        side = self._sides.get(carrier)
        if side is None:
            side = self._sides[carrier] = Side(self._board.limits.lane_floor_share)
        return side

    def _release(self, station: Station, lanes: tuple[Lane, ...], side: Side, now: float) -> list[tuple[int, Key]]:
        """Bring back what stands aside and may go by now; what was looked at."""
        holds = station.holds
        if holds.freed:
            for to in holds.freed:
                for lane in lanes:
                    lane.release(("to", to), len(lane.aside.get(("to", to), ())))
            holds.freed.clear()
        released: list[tuple[int, Key]] = []
        for due, key in side.ready(now):
            # The cap of an ESME is shared by its classes: each shows its oldest, and turns say who goes.
            for number in range(CLASSES) if key[0] == "esme" else (due,):
                if lanes[number].release(key, side.follow.get((number, key), 1)):
                    released.append((number, key))
                else:
                    side.follow.pop((number, key), None)
        return released

    def _look_again(
        self,
        station: Station,
        lanes: tuple[Lane, ...],
        side: Side,
        round_: Round,
        released: list[tuple[int, Key]],
    ) -> None:
        """Say when what stands aside is looked at next."""
        now, limits = round_.now, self._board.limits
        blocked = {(part.message_class, key) for part, key in round_.aside}
        for entry in released:
            number, key = entry
            if entry in blocked or key not in lanes[number].aside:
                side.follow.pop(entry, None)
                continue
            side.follow[entry] = min(limits.dispatch_batch_max, 2 * side.follow.get(entry, 1))
            later = round_.full or not round_.changed
            side.put(number, key, now + limits.plan_ttl_s if later else now)
        for number, key in blocked:
            if (number, key) not in side.when:
                side.put(number, key, now + self._pause_s(station, key, now))

    def _pause_s(self, station: Station, key: Key, now: float) -> float:
        limits = self._board.limits
        if key[0] == "to":
            held_s = station.holds.held(key[1], now)
            early_s = max(limits.spill_wait_s, held_s / 4)  # another carrier may have room for them by then
            return max(min(held_s, early_s), limits.sweep_interval_min_s)
        if key[0] == "merge":
            return max(limits.merge_wait_s / MERGE_LOOKS, limits.sweep_interval_min_s)
        if station.caps is not None and key[0] in ("class", "esme"):
            return max(station.caps.delay(key, now), limits.sweep_interval_min_s)
        return limits.plan_ttl_s
