"""Recorded decisions, read back: which one stood for an attempt, and how each carrier looked at any moment.

Rules:
- Pure: rows of the store in, records and views out. A row of another version is counted and passed over.
- Views of different engine runs count their seconds from different starts. Here they count in Unix seconds, so that
  plans can be made of them for any moment.
- A carrier about which nothing was recorded is neutral: well and idle. Who shows it says so.

Walk: `cli/explain`, `cli/trace`, `cli/whatif` and `ops/verbs` with what `store.base.Reader` finds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from smsroute.config import Carrier, Route
from smsroute.message import Attempt, Part
from smsroute.routing.record import Record, Unreadable, unpack
from smsroute.routing.table import Rule, Table
from smsroute.routing.views import CarrierView
from smsroute.store.base import DecisionRow, Reader

BATCH_S: Final = 0.05
"""A batch of messages is planned within so long after the moment its attempts bear."""


def read(rows: Iterable[DecisionRow]) -> tuple[list[Record], int]:
    """The records of `rows`, and how many of the rows are none of this version."""
    records, unreadable = [], 0
    for row in rows:
        try:
            records.append(unpack(row.packed))
        except Unreadable:
            unreadable += 1
    return records, unreadable


def network_of(part: Part, networks: Sequence[str], rule: Rule | None) -> str | None:
    """Which of `networks` a part belonged to: what the table says now, else the longest that leads its number, else the
    only one."""
    if rule is not None and rule.network in networks:
        return rule.network
    number = part.destination_addr.removeprefix("+")
    leading = [one for one in networks if one.isdigit() and number.startswith(one)]
    if leading:
        return max(leading, key=len)
    if "" in networks:
        return ""
    return networks[0] if len(networks) == 1 else None


def decisions_of(reader: Reader, part: Part, table: Table | None) -> list[Record | None]:
    """The decision that stood at each attempt of a part, None where none is kept. Blocks; raises StoreError.

    A batch of messages takes its time before its plans are made, so a plan may be a little younger than the attempt it
    explains: then it is the one that said the attempt's very sentence.
    """
    found: list[Record | None] = []
    for attempt in part.attempts:
        rule = table.of_route(attempt.route, part.destination_addr) if table is not None else None

        def at(moment: float, attempt: Attempt = attempt, rule: Rule | None = rule) -> Record | None:
            records, _ = read(reader.decisions_at(attempt.route, part.message_class, moment))
            return stood_for(part, records, rule)

        latest = at(attempt.at + BATCH_S)
        if latest is not None and latest.at > attempt.at and not _said(latest, attempt):
            latest = at(attempt.at) or latest
        found.append(latest)
    return found


def _said(record: Record, attempt: Attempt) -> bool:
    return any(
        (one.carrier, one.reason) == (attempt.carrier, attempt.reason) for one in (*record.choices, *record.probes)
    )


def stood_for(part: Part, records: Sequence[Record], rule: Rule | None) -> Record | None:
    """The one of `records` (of one route and class, one a network) that speaks for a part."""
    by_network = {one.network: one for one in records}
    network = network_of(part, list(by_network), rule)
    return None if network is None else by_network[network]


@attrs.frozen
class _Moments:
    """Views of one carrier for one network, by time."""

    at: list[float] = attrs.field(factory=list)
    views: list[CarrierView] = attrs.field(factory=list)

    def last(self, at: float) -> tuple[float, CarrierView] | None:
        """The view that held at `at`, and since when."""
        index = bisect_right(self.at, at)
        return (self.at[index - 1], self.views[index - 1]) if index else None


class Past:
    """What was recorded, by carrier. See the module."""

    def __init__(self, records: Sequence[Record], carriers: Mapping[str, Carrier]) -> None:
        """`carriers`: those of a config, for what nothing was recorded of."""
        self._moments: dict[tuple[str, str | None], _Moments] = {}
        self._neutral = {name: CarrierView(name, contract=one.rate, rate=one.rate) for name, one in carriers.items()}
        for record in sorted(records, key=lambda one: one.at):
            shift = record.at - record.now
            for name, view in record.views.items():
                dated = attrs.evolve(view, since=view.since + shift)
                for network in (record.network, None):  # None: whatever was seen last of this carrier
                    moments = self._moments.setdefault((name, network), _Moments())
                    moments.at.append(record.at)
                    moments.views.append(dated)

    def view(self, carrier: str, network: str, at: float) -> tuple[float, CarrierView]:
        """How a carrier looked at `at` for a network, and since when that was known; 0 for a carrier nobody recorded.

        Without a record for the network its last one for any other speaks.
        """
        for key in ((carrier, network), (carrier, None)):
            moments = self._moments.get(key)
            found = moments.last(at) if moments is not None else None
            if found is not None:
                return found
        return 0.0, self._neutral.get(carrier) or CarrierView(carrier)

    def views(self, route: Route, network: str, at: float) -> tuple[dict[str, CarrierView], float]:
        """The views of a route's carriers, and when the newest of them was recorded (0: none was)."""
        found, newest = {}, 0.0
        for entry in (*route.carriers, *route.backup):
            known_at, found[entry.carrier] = self.view(entry.carrier, network, at)
            newest = max(newest, known_at)
        return found, newest
