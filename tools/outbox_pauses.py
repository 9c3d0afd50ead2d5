"""How long the engine's loop pauses while a million parts wait for a receipt and traffic flows.

Rules:
- The engine's own rooms: ledger, journal, checkpoints, sweep of over-age parts, garbage collection as `smsroute serve`
  sets it. Only the sockets are left out: events come as they would from them.
- A step is one turn of a trio task. Its length is told twice: by the thread's CPU clock (what we did) and by the wall
  (what others on the machine did to us besides, and the wait for the interpreter while a checkpoint's thread has it).

Walk: `tools/outbox --pauses` -> `watch`.
"""

from __future__ import annotations

import argparse
import gc
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import trio

from smsroute.cli.serve import settle_garbage
from smsroute.config import Limits
from smsroute.ids import MessageIds
from smsroute.ledger import Ledger
from smsroute.message import Accepted, AnyEvent, Attempted, Blame, Receipted, Responded, State
from smsroute.ports import system_ports
from smsroute.store import open_store
from smsroute.store.journal import Journal

BATCH = 1000
TICK_S = 0.02


class Steps(trio.abc.Instrument):
    """The longest turns of any task, and what the collector took."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self.collected: dict[int, list[float]] = {0: [], 1: [], 2: []}
        self._cpu = self._wall = self._began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._cpu, self._wall = time.thread_time(), time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self._wall:
            return  # we came in the middle of this one
        self.cpu_s.append(time.thread_time() - self._cpu)
        self.wall_s.append(time.perf_counter() - self._wall)

    def collects(self, phase: str, info: dict[str, int]) -> None:
        """For gc.callbacks."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.collected[info["generation"]].append(time.perf_counter() - self._began)


async def watch(args: argparse.Namespace, where: Path) -> dict[str, Any]:
    """Fill the ledger, let traffic flow for `args.seconds`, and tell the pauses, in ms."""
    limits = Limits(checkpoint_interval_s=2.0)
    ledger = Ledger(
        orphans_max=limits.orphans_max,
        multiparts_max=limits.multiparts_max,
        multipart_ttl_s=limits.multipart_ttl_s,
        outbox_memory_max=limits.outbox_memory_max,
    )
    ids = MessageIds("bench")
    with closing(open_store(f"sqlite:{where / 'store'}", "bench")) as store:
        journal = Journal(store, ledger, system_ports(), limits, 0, lambda: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run)
            for start in range(0, args.parts, BATCH):
                multipart = f"m{start}-" if start < args.pins else ""
                await journal.commit(taken(ids, min(BATCH, args.parts - start), multipart))
                if start % 50_000 == 0:
                    await journal.checkpoint()
            for start in range(0, args.orphans, BATCH):
                await journal.commit([orphan(number) for number in range(start, start + BATCH)])
            await journal.checkpoint()
            settle_garbage()
            steps = Steps()
            gc.callbacks.append(steps.collects)
            trio.lowlevel.add_instrument(steps)
            nursery.start_soon(journal.run_checkpoints)
            nursery.start_soon(_sweep, ledger, limits)
            sent = await _traffic(args, ledger, journal, ids)
            trio.lowlevel.remove_instrument(steps)
            gc.callbacks.remove(steps.collects)
            nursery.cancel_scope.cancel()
    return {
        "parts": args.parts,
        "orphans": len(ledger.orphans),
        "pins": len(ledger.multiparts),
        "messages_meanwhile": sent,
        "longest_cpu_ms": _ms(max(steps.cpu_s)),
        "longest_wall_ms": _ms(max(steps.wall_s)),
        "steps_above_20ms": sum(step > 0.02 for step in steps.cpu_s),
        "steps": len(steps.cpu_s),
        **{f"longest_gc{n}_ms": _ms(max(took, default=0.0)) for n, took in steps.collected.items()},
    }


def taken(ids: MessageIds, parts: int, multipart: str = "") -> list[AnyEvent]:
    """Parts that a carrier took and owes a receipt for."""
    now = time.time()
    part_ids = [ids.make(now) for _ in range(parts)]
    events: list[AnyEvent] = [
        Accepted(
            part_id, now, "platform1", 2, "smsroute", "33600000000", b"address and a text", 7, 1, now + 86400, "all",
            "carrier1", f"{multipart}{number}" if multipart else "", parts=3 if multipart else 0,
        )
        for number, part_id in enumerate(part_ids)
    ]  # fmt: skip
    events.append(Attempted(now, "carrier1", "carrier1-1", "all", "cheapest", part_ids))
    events += [Responded(part_id, 0, now, Blame.OK, 0, f"C{part_id}") for part_id in part_ids]
    return events


def orphan(number: int) -> Receipted:
    """A receipt that matches nothing."""
    return Receipted("carrier1", time.time(), [f"X{number:09d}"], State.DELIVERED, "000", "DELIVRD", "33600000000")


async def _traffic(args: argparse.Namespace, ledger: Ledger, journal: Journal, ids: MessageIds) -> int:
    """New messages at the rate asked for, and as many receipts of those that wait, told at once."""
    began, sent = time.monotonic(), 0
    waiting = iter([part_id for part_id, part in ledger.parts.items() if part.state == State.SUBMITTED])
    while (passed := time.monotonic() - began) < args.seconds:
        due = int(passed * args.rate) - sent
        if due > 0:
            events = taken(ids, due)
            now = time.time()
            for part_id in (part_id for part_id, _ in zip(waiting, range(due), strict=False)):
                events.append(
                    Receipted("carrier1", now, [f"C{part_id}"], State.DELIVERED, "000", "DELIVRD", part_id=part_id)
                )
            sent += due
            journal.append(events)
        await trio.sleep(TICK_S)
    return sent


async def _sweep(ledger: Ledger, limits: Limits) -> None:
    while True:
        now = time.time()
        ledger.queues.release(now)
        ledger.queues.overdue(now, limits.receipt_grace_s, limits.sweep_parts_max)
        await trio.sleep(limits.sweep_interval_s)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
