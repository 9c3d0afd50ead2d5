"""Group commit: everybody's events, one row, one fsync; then, and only then, the facts are true.

Rules:
- The order of the journal is the order of truth: events are applied to the ledger in the order they were appended.
- What may happen only once a fact is durable (a response, bytes to a carrier) is handed in as `then` and called here,
  in the writer, after the batch is applied: a caller that is cancelled meanwhile leaves nothing half done.
- A `must` entry tells what has already happened outside (a carrier answered): it waits in memory while the disk is sick
  and is written when it heals. Any other entry is refused at once, so that its submit is answered with an error.
- A `then` that fails is a fault of ours, logged with its trace and counted, and ends nothing but itself.
- A fenced store ends the engine: another one owns the journal now.

Walk: `esmes/accept`, `esmes/deliver`, `carriers/dispatch`, `carriers/bind` append; `engine` runs `run`,
`run_checkpoints` and `run_pruning`, one task each; `store.base.Store` does the disk work through `ports.Blocking`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog
import trio

from smsroute.config import Limits
from smsroute.message import AnyEvent, Changes, pack
from smsroute.ports import Ports
from smsroute.store.base import Checkpoint, Store, StoreError

Then = Callable[[StoreError | None], None]
"""Called once: with None after the facts are durable and applied, or with why they are not."""

log: Final = structlog.get_logger("smsroute.journal")


class Book(Protocol):
    """What the journal needs of the ledger."""

    def apply(self, event: AnyEvent) -> None: ...
    def begin(self) -> None: ...
    def pack(self, most: int) -> bool: ...
    def taken(self) -> Changes: ...
    def give_back(self, changes: Changes) -> None: ...
    def kept(self, changes: Changes) -> None: ...
    def depart(self, most: int) -> bool: ...
    def forget(self, keep: int, most: int) -> int: ...


class Entry:
    """One caller's events, in the queue for the disk."""

    __slots__ = ("events", "must", "settled", "then")

    def __init__(self, events: Sequence[AnyEvent], then: Then | None, must: bool) -> None:
        self.events = events
        self.then = then
        self.must = must
        self.settled = trio.Event()


class Journal:
    """See the module. `on_applied` is called after each batch: the engine's wake-ups."""

    def __init__(
        self, store: Store, book: Book, ports: Ports, limits: Limits, last_seq: int, on_applied: Callable[[], None]
    ) -> None:
        self.seq = last_seq
        self.failing: StoreError | None = None
        self.failing_since = 0.0
        self.commits = 0
        self.events = 0
        self.checkpointed_at = ports.clock.wall()
        self._checkpointed_seq = -1
        self._store = store
        self._book = book
        self._ports = ports
        self._limits = limits
        self._on_applied = on_applied
        self.faults = 0
        self._not_before = 0.0
        self._checkpointing = trio.Lock()
        self._queue: deque[Entry] = deque()
        self._pending = 0
        self._wake = trio.Event()
        self._healed = trio.Event()
        self._closing = False

    @property
    def waiting(self) -> int:
        """Events that are not durable yet."""
        return self._pending

    def append(self, events: Sequence[AnyEvent], then: Then | None = None, *, must: bool = False) -> Entry:
        """Queue events for the next commit; returns at once."""
        entry = Entry(events, then, must)
        if self.failing is not None and not must:
            self._settle(entry, self.failing)
            return entry
        self._queue.append(entry)
        self._pending += len(events)
        self._wake.set()
        if self.failing is not None:
            entry.settled.set()  # kept, and nobody waits for it
        return entry

    async def commit(self, events: Sequence[AnyEvent], then: Then | None = None, *, must: bool = False) -> None:
        """`append`, and wait until it is settled. While the disk is sick a `must` entry holds its caller only once
        `journal_waiting_max` events wait: links stay alive as long as memory is bounded."""
        await self.append(events, then, must=must).settled.wait()
        while self.failing is not None and self._pending > self._limits.journal_waiting_max:
            await self._healed.wait()

    async def healthy(self) -> None:
        """Return once the disk is not sick: who tries again at once would turn in a circle meanwhile."""
        while self.failing is not None:
            await self._healed.wait()

    def close(self) -> None:
        """Let `run` return once all that is queued is durable, or a sick disk refused once more: what is lost then
        are answers, and an attempt without its answer is in doubt at the next start."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """The writer: one commit after another for as long as the engine lives. Raises StoreError only when fenced."""
        while True:
            if self._closing and (self.failing is not None or not self._queue):
                if self._queue:
                    log.error("store.abandoned", events=self._pending)
                return
            if not self._queue:
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            if not self._closing:
                await self._gather()
            await self._write(self._batch())

    async def _gather(self) -> None:
        """Let a moment pass since the last commit began: at middling rates each event would else pay for its own."""
        clock = self._ports.clock
        if clock.monotonic() < self._not_before:
            await clock.sleep_until(self._not_before)
        self._not_before = clock.monotonic() + self._limits.commit_interval_s

    def _batch(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        while self._queue and size < self._limits.journal_events_max:
            entry = self._queue.popleft()
            batch.append(entry)
            size += len(entry.events)
        return batch

    async def _write(self, batch: list[Entry]) -> None:
        record = pack([event for entry in batch for event in entry.events])
        try:
            await self._ports.blocking.run(self._store.append, self.seq + 1, record)
        except StoreError as error:
            if error.kind == "fenced":
                raise
            self._fail(batch, error)
            await self._retry()
            return
        self.seq += 1
        self.commits += 1
        apply = self._book.apply
        for entry in batch:
            for event in entry.events:
                apply(event)
            self.events += len(entry.events)
            self._pending -= len(entry.events)
        for entry in batch:  # what a later entry of the batch made true, an earlier one's `then` already sees
            self._settle(entry, None)
        self._on_applied()

    def _settle(self, entry: Entry, error: StoreError | None) -> None:
        entry.settled.set()
        if entry.then is None:
            return
        try:
            entry.then(error)
        except Exception:
            # One batch's bytes are at stake, all others' if it went further: a part that trips us up would do so again
            # at every start. What it reserved stays so until then; its attempts are in doubt after it.
            self.faults += 1
            log.exception("journal.fault", events=len(entry.events))

    def _fail(self, batch: list[Entry], error: StoreError) -> None:
        if self.failing is None:
            self.failing_since = self._ports.clock.wall()
            self._healed = trio.Event()
            log.error("store.failed", kind=error.kind, error=str(error))
        self.failing = error
        kept = [entry for entry in (*batch, *self._queue) if entry.must]
        refused = [entry for entry in (*batch, *self._queue) if not entry.must]
        self._queue = deque(kept)
        self._pending = sum(len(entry.events) for entry in kept)
        for entry in kept:
            entry.settled.set()
        for entry in refused:
            self._settle(entry, error)

    async def _retry(self) -> None:
        """Ask the disk again until it takes a row: an empty one, so that what waits is not risked on the first try."""
        while self.failing is not None:
            clock = self._ports.clock
            await clock.sleep_until(clock.monotonic() + self._limits.store_retry_s)
            try:
                await self._ports.blocking.run(self._store.append, self.seq + 1, pack([]))
            except StoreError as error:
                if error.kind == "fenced":
                    raise
                self.failing = error
                if self._closing:
                    return
                continue
            self.seq += 1
            self.failing = None
            self._healed.set()
            log.info("store.healed", sick_s=round(clock.wall() - self.failing_since, 3))

    async def run_checkpoints(self) -> None:
        """Every `checkpoint_interval_s`: what changed goes to the tables that `trace` reads, and the journal is cut."""
        clock = self._ports.clock
        while True:
            await clock.sleep_until(clock.monotonic() + self._limits.checkpoint_interval_s)
            await self.checkpoint()

    async def run_pruning(self) -> None:
        """Every `prune_interval_s`: finished parts older than `history_retention_s` are forgotten, in small steps."""
        clock, limits = self._ports.clock, self._limits
        while True:
            await clock.sleep_until(clock.monotonic() + limits.prune_interval_s)
            ended_before = clock.wall() - limits.history_retention_s
            try:
                while await self._ports.blocking.run(self._store.prune, ended_before, limits.prune_rows_max):
                    pass
            except StoreError as error:
                if error.kind == "fenced":
                    raise
                log.error("prune.failed", kind=error.kind, error=str(error))

    async def checkpoint(self) -> None:
        """One checkpoint, `run_checkpoints`' or one that somebody asks for between two of them. A disk that fails here
        is told and tried again at the next: nothing is lost by waiting."""
        async with self._checkpointing:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        through = self.seq
        if through > self._checkpointed_seq:
            try:
                await self._keep(through)
                await self._ports.blocking.run(self._store.trim, through)
            except StoreError as error:
                if error.kind == "fenced":
                    raise
                log.error("checkpoint.failed", kind=error.kind, error=str(error))
                return
            self._checkpointed_seq = through
        slice_parts = self._limits.checkpoint_slice_parts
        while self._book.depart(slice_parts):
            await trio.lowlevel.checkpoint()
        while self._book.forget(self._limits.finished_in_memory_max, slice_parts) == slice_parts:
            await trio.lowlevel.checkpoint()
        self.checkpointed_at = self._ports.clock.wall()

    async def _keep(self, through: int) -> None:

        def checkpoint() -> None:  # all is packed by then: what is left to join would hold up the loop
            self._store.checkpoint(_checkpoint_of(through, self._book.taken()))

        self._book.begin()
        kept = False
        try:
            while self._book.pack(self._limits.checkpoint_slice_parts):
                await trio.lowlevel.checkpoint()
            await self._ports.blocking.run(checkpoint)
            kept = True
        finally:
            changes = self._book.taken()
            if kept:
                self._book.kept(changes)
            else:  # refused, or cancelled before it began: the next one has to write it
                self._book.give_back(changes)
            self._on_applied()


def _checkpoint_of(through: int, changes: Changes) -> Checkpoint:
    messages = [*changes.at_rest, *changes.leaving]
    return Checkpoint(
        through,
        changes.open,
        [*(part.part_id for part in messages), *changes.unsure],
        messages,
        changes.state,
        changes.late,
        changes.owed,
        changes.told,
    )
