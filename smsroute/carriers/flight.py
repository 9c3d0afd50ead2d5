"""A flight: parts on their way to binds, reserved, then durable, then gone.

Rules:
- A place in a bind's window and a token of its pace are taken first; they are used, or given back, when the disk has
  spoken (laws 2 and 7).
- A new part goes straight through only where it overtakes nobody. One of several goes where others of its message went
  (law 8), and waits where others wait, at a carrier that wants them all as one payload (`company`).

Walk: `carriers/dispatch` makes one for each commit; `esmes/accept` places new parts, `carriers/lanes` those that
waited; `carriers/departure` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from smsroute.carriers.bind import Bind
from smsroute.carriers.departure import Departures
from smsroute.carriers.lanes import Lanes
from smsroute.carriers.station import Station
from smsroute.message import AnyEvent, Attempted, Part
from smsroute.routing.decide import Plan
from smsroute.routing.table import Rule, Table
from smsroute.store.base import StoreError

Pin = tuple[str, str]
"""The carrier and bind that a multipart message took."""


class Board(Protocol):
    """What a flight needs of `carriers/dispatch`."""

    stations: dict[str, Station]
    table: Table
    lanes: Lanes
    departures: Departures
    costs: dict[tuple[str, str], float]
    pins: dict[str, Pin]
    meetings: dict[str, str]
    draining: bool
    merges: bool

    def pin(self, multipart: str) -> Pin | None: ...
    def meeting(self, multipart: str, rule: Rule) -> str | None: ...
    def plan(self, rule: Rule, message_class: int, now: float) -> Plan: ...
    def choose(
        self,
        rule: Rule,
        message_class: int,
        now: float,
        loads: Mapping[str, int],
        esme: str,
        to: str,
        multipart: str = "",
    ) -> tuple[str, str]: ...


class Flight:
    """See the module. `now`: monotonic seconds; `wall`: Unix seconds."""

    __slots__ = ("_board", "_loads", "_meetings", "_merged", "_now", "_pins", "_rows", "_wall")

    def __init__(self, board: Board, now: float, wall: float) -> None:
        self._board = board
        self._now = now
        self._wall = wall
        self._loads = {name: station.in_flight + station.queued for name, station in board.stations.items()}
        self._rows: dict[tuple[Bind, str, str, str], list[str]] = {}
        self._merged: list[tuple[Bind, str, str, str, list[str]]] = []  # each all parts of a message, in order
        self._pins: list[str] = []
        self._meetings: list[str] = []

    def place(
        self,
        part_id: str,
        destination_addr: str,
        source_addr: str,
        esme: str,
        message_class: int,
        data_coding: int,
        multipart: str,
    ) -> tuple[str, str] | None:
        """(route, carrier) of a new part, its place reserved when there is room now; None when no route leads there."""
        board, now = self._board, self._now
        rule = board.table.match(destination_addr, source_addr, esme, message_class, data_coding, self._wall)
        if rule is None:
            return None
        pin = meeting = None
        if multipart:
            pin = board.pin(multipart)
            if pin is None and board.merges:
                meeting = board.meeting(multipart, rule)
        if pin is not None:
            carrier, reason = pin[0], f"with its other parts on {pin[1]}"
        elif meeting is not None:
            carrier, reason = meeting, "its other parts wait there"
        else:
            carrier, reason = board.choose(rule, message_class, now, self._loads, esme, destination_addr, multipart)
        self._loads[carrier] += 1
        station = board.stations[carrier]
        station.inflow.count += 1
        if multipart and station.merges:
            board.meetings[multipart] = carrier
            self._meetings.append(multipart)
        elif (
            not (board.draining or station.drained)
            and board.lanes.passes(carrier, message_class, esme, destination_addr)
            and station.blocked(esme, message_class, destination_addr, now) is None
        ):
            if pin is None:
                bind = station.bind_with_room(now, rule.route, message_class, multipart)
            else:
                bind = station.bind_named(pin[1], now)
            if bind is not None and station.admit(esme, message_class, destination_addr, now):
                self.add(part_id, bind, rule.route.name, rule.network, reason, multipart)
        return rule.route.name, carrier

    def book(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, at: float
    ) -> tuple[str, str] | None:
        """(route, carrier) of a part that is sent later, at `at` (Unix seconds); it is asked again when that has come,
        so nothing is reserved. None when no route leads there."""
        board = self._board
        rule = board.table.match(destination_addr, source_addr, esme, message_class, data_coding, at)
        if rule is None:
            return None
        return rule.route.name, board.plan(rule, message_class, self._now).best.carrier

    def long_form(
        self, destination_addr: str, source_addr: str, esme: str, message_class: int, data_coding: int, at: float
    ) -> str:
        """How carriers of its route, at `at` (Unix seconds), want a message of several parts: "udh", "udh16" when one
        of them counts in 16 bits; "" when all take it as it comes."""
        board = self._board
        rule = board.table.match(destination_addr, source_addr, esme, message_class, data_coding, at)
        entries = (*rule.route.carriers, *rule.route.backup) if rule is not None else ()
        wishes = {board.stations[entry.carrier].carrier.submit.long for entry in entries} - {"as-is", "payload"}
        return "" if not wishes else "udh16" if "udh16" in wishes else "udh"

    def add(self, part_id: str, bind: Bind, route: str, network: str, reason: str, multipart: str) -> None:
        """Reserve a place on `bind` for a part."""
        bind.reserve()
        key = (bind, route, network, reason)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = []
        rows.append(part_id)
        if multipart:
            self._pin(multipart, bind)

    def merge(self, message: Sequence[Part], bind: Bind, route: str, network: str, reason: str) -> None:
        """Reserve a place on `bind` for all parts of a message, in order, as one submit."""
        bind.reserve()
        self._merged.append(
            (bind, route, network, f"{reason}, {len(message)} parts as one payload", [part.part_id for part in message])
        )
        self._pin(message[0].multipart, bind)

    def _pin(self, multipart: str, bind: Bind) -> None:
        self._board.pins[multipart] = (bind.carrier.name, bind.name)
        self._pins.append(multipart)

    def attempts(self, wall: float) -> list[AnyEvent]:
        """What makes them durable. `wall`: Unix seconds."""
        costs = self._board.costs
        rows = [(*key, part_ids, False) for key, part_ids in self._rows.items()]
        rows.extend((*row, True) for row in self._merged)
        return [
            Attempted(wall, carrier, bind.name, route, reason, part_ids, costs.get((route, carrier), 0.0), merged)
            for bind, route, _, reason, part_ids, merged in rows
            for carrier in (bind.carrier.name,)
        ]

    def leave(self, error: StoreError | None) -> None:
        """Durable: write them. Not durable: give the places back, and that of a probe too."""
        departures = self._board.departures
        for (bind, _, network, _), part_ids in self._rows.items():
            if error is None:
                departures.launch(bind, network, part_ids)
            else:
                self._stays(bind, network, len(part_ids))
        for bind, _, network, _, part_ids in self._merged:
            if error is None:
                departures.launch_merged(bind, network, part_ids)
            else:
                self._stays(bind, network, 1)
        departures.over()
        for multipart in self._pins:
            self._board.pins.pop(multipart, None)  # from here the ledger knows
        for multipart in self._meetings:
            self._board.meetings.pop(multipart, None)

    def _stays(self, bind: Bind, network: str, places: int) -> None:
        bind.release(places)
        station = self._board.stations.get(bind.carrier.name)
        if station is not None:  # else its carrier left while the disk was asked
            station.dossier.probe_withdrawn(network, self._now, bind.label)
