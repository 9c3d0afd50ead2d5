"""A journal over a memory store and a real ledger, in virtual time, on a disk that can be slow and sick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import trio

from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.message import Accepted, AnyEvent, Cause, Finished, unpack
from smsroute.ports import Ports
from smsroute.store.base import StoreError
from smsroute.store.journal import Journal
from tests.sim.clock import SimClock
from tests.store.memory import Disk, MemoryStore

T = TypeVar("T")
LIMITS = Limits(store_retry_s=0.5, checkpoint_interval_s=5.0, prune_interval_s=300.0, finished_in_memory_max=2)


class SickBlocking:
    """A disk arm: each work takes `takes_s`, and may be refused, by name, before it is begun."""

    def __init__(self) -> None:
        self.takes_s = 0.01
        self.sick: dict[str, str] = {}  # work -> kind of StoreError
        self.began: list[str] = []
        self.done: list[str] = []

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """As a thread would: cancelled only before it begins."""
        await trio.lowlevel.checkpoint()
        name = work.__name__
        self.began.append(name)
        with trio.CancelScope(shield=True):
            await trio.sleep(self.takes_s)
        if name in self.sick:
            raise StoreError(cast(Any, self.sick[name]), f"{name}: the disk is {self.sick[name]}")
        result = work(*args)
        self.done.append(name)
        return result


class Bench:
    """A journal over a memory store and a real ledger, in virtual time."""

    def __init__(self, limits: Limits = LIMITS, disk: Disk | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        self.store = MemoryStore(self.disk)
        self.ledger = Ledger(orphans_max=10, multiparts_max=10)
        recovered = self.store.recover()
        if recovered.checkpoint is not None:
            self.ledger.restore(recovered.parts(), recovered.checkpoint.state)
        seq = 0 if recovered.checkpoint is None else recovered.checkpoint.through
        for row, events in recovered.events():
            seq = row
            for event in events:
                self.ledger.apply(event)
        self.blocking = SickBlocking()
        self.clock = SimClock()
        self.applied = 0
        ports = Ports(self.clock, cast(Any, None), cast(Any, None), self.blocking)
        self.journal = Journal(self.store, self.ledger, ports, limits, seq, self._on_applied)
        self.told: list[tuple[str, str]] = []

    def _on_applied(self) -> None:
        self.applied += 1

    def then(self, name: str) -> Callable[[StoreError | None], None]:
        """Remembers what it was told, and how many parts the ledger held then."""
        return lambda error: self.told.append((name, error.kind if error else f"ok {len(self.ledger.parts)}"))

    def rows(self) -> list[list[AnyEvent]]:
        """What the journal holds on disk."""
        assert list(self.disk.rows) == sorted(self.disk.rows), "rows in order"
        return [unpack(record) for _, record in self.disk.rows.values()]


def accepted(part_id: str, wants: int = 0) -> Accepted:
    """A part is ours."""
    return Accepted(part_id, 1.0, "acme", 2, "SHOP", "336", b"address text", 7, wants, 60.0, "fr", "orange")


def ended(*part_ids: str) -> Finished:
    """They expired."""
    return Finished(2.0, list(part_ids), Cause.EXPIRED, "", "late")
