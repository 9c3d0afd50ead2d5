"""Decisions kept while the engine runs: noticed where plans are made, written in batches off the event loop.

Rules:
- On the way of a plan only a comparison: what is kept is references; packing and writing happen in a thread, with the
  rhythm of the checkpoints.
- A record explains a message and is no fact of one. What a crash, a sick disk or a full queue loses is counted or told,
  and nothing waits for it.
- A fenced store ends the engine here as everywhere.

Measured (Python 3.11, 2 shared cores, medians): 0.1 us for a plan within `decision_interval_s` of its record, 1.2 us
for one of three carriers that is compared, 5 us for one that is kept; in the thread 14 us to pack a record of 2 KB.

Walk: `carriers/dispatch` calls `decided` for each plan it makes; `engine` runs `run` and a last `flush`;
`routing.record` says what is material; `ops/past` reads what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
import structlog

from smsroute.config import Limits, Route
from smsroute.ports import Ports
from smsroute.routing.decide import Plan
from smsroute.routing.record import Stood, pack, record, stood
from smsroute.routing.views import CarrierView
from smsroute.store.base import DecisionRow, Store, StoreError

log: Final = structlog.get_logger("smsroute.decisions")

Key = tuple[str, str, int]
"""Route, network, class."""


@attrs.frozen
class _Kept:
    """The last decision kept for a key. Times are monotonic seconds."""

    route: Route
    stood: Stood
    next_at: float  # not again before
    stale_at: float  # again from here, changed or not


@attrs.frozen
class _Waiting:
    """A decision that is not on disk yet."""

    at: float  # Unix seconds
    network: str
    views: Mapping[str, CarrierView]
    plan: Plan
    previous: Plan | None
    digest: str


class Decisions:
    """See the module."""

    def __init__(self, store: Store, ports: Ports, limits: Limits, digest: Callable[[], str]) -> None:
        """`digest`: of the config that decides now."""
        self.kept = 0  # since the start
        self.dropped = 0
        self._store = store
        self._ports = ports
        self._limits = limits
        self._digest = digest
        self._last: dict[Key, _Kept] = {}
        self._waiting: list[_Waiting] = []
        self._sick = False

    def decided(self, key: Key, views: Mapping[str, CarrierView], plan: Plan, previous: Plan | None) -> None:
        """A plan was made; keep it if it is another decision than the one kept last. `previous`: as `plan` got it."""
        last = self._last.get(key)
        if last is not None:
            if plan.at < last.next_at:
                return
            if (
                plan.at < last.stale_at
                and plan.route is last.route
                and last.stood.still(plan, views, self._limits.decision_share)
            ):
                return
        elif len(self._last) >= self._limits.decisions_rows_max:  # more than the store keeps
            self._last.clear()
        limits = self._limits
        self._last[key] = _Kept(
            plan.route, stood(plan, views), plan.at + limits.decision_interval_s, plan.at + limits.decision_refresh_s
        )
        if len(self._waiting) >= limits.decisions_waiting_max:
            self.dropped += 1
            return
        wall = self._ports.clock.wall()
        self._waiting.append(_Waiting(wall, key[1], views, plan, previous, self._digest()))

    async def run(self) -> None:
        """Write what waits every `checkpoint_interval_s`, forget the old every `prune_interval_s`, until cancelled."""
        clock, limits = self._ports.clock, self._limits
        prune_at = clock.monotonic() + limits.prune_interval_s
        while True:
            await clock.sleep_until(clock.monotonic() + limits.checkpoint_interval_s)
            await self.flush()
            if clock.monotonic() >= prune_at:
                await self._prune()
                prune_at = clock.monotonic() + limits.prune_interval_s

    async def flush(self) -> None:
        """Write what waits now. Raises StoreError only when fenced; what another failure keeps off the disk is
        dropped."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await self._ports.blocking.run(self.keep_decisions, batch)
        except StoreError as error:
            if error.kind == "fenced":
                raise
            self.dropped += len(batch)
            if not self._sick:
                log.warning("decisions.not_kept", kind=error.kind, error=str(error))
            self._sick = True
            return
        self._sick = False
        self.kept += len(batch)

    def keep_decisions(self, batch: Sequence[_Waiting]) -> None:
        """In a thread: pack and write."""
        limits = self._limits
        rows = []
        for one in batch:
            plan = one.plan
            packed = pack(record(plan, one.network, one.views, one.previous, limits, one.digest, one.at))
            rows.append(DecisionRow(one.at, plan.route.name, one.network, plan.message_class, packed))
        self._store.keep_decisions(rows)

    async def _prune(self) -> None:
        limits = self._limits
        before = self._ports.clock.wall() - limits.decisions_retention_s
        arguments = (before, limits.decisions_rows_max, limits.prune_rows_max)
        try:
            while await self._ports.blocking.run(self._store.prune_decisions, *arguments):
                pass
        except StoreError as error:
            if error.kind == "fenced":
                raise
            log.error("prune.failed", kind=error.kind, error=str(error))
