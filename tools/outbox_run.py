"""The outbox bench: a store full of receipts, `smsroute serve` over it, and a platform that binds and answers for them.

Rules:
- The store is filled through the engine's own ledger, journal and checkpoints, event by event, as life would.
- The engine is a process of its own over real TCP; its memory is read from /proc. The platform is written here, on a
  plain socket: it shares no code with the engine, counts every receipt, and remembers their order.
- Exit code 1 unless each receipt came exactly once, in order, and nothing is left in the store.

Walk: `main` -> `fill` -> `drain` (serve, bind, read and answer) -> figures; or, with --pauses, `outbox_pauses`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import bench_run
import outbox_pauses
import trio

from smsroute.config import Limits
from smsroute.ids import MessageIds
from smsroute.ledger import Ledger
from smsroute.message import Accepted, AnyEvent, Attempted, Blame, Receipted, Responded, State
from smsroute.ports import system_ports
from smsroute.sim.workload import Workload
from smsroute.smpp import sm
from smsroute.store import open_reader, open_store
from smsroute.store.journal import Journal

BIND_TRANSCEIVER, DELIVER_SM, DELIVER_SM_RESP, UNBIND = 0x09, 0x05, 0x80000005, 0x06
HEAD = struct.Struct(">IIII")
BATCH = 1000
FILL_CHECKPOINT = 50_000


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """The knobs."""
    parser = argparse.ArgumentParser(prog="tools/outbox", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--receipts", type=int, default=1_000_000, help="that wait for the platform (1,000,000)")
    add("--window", type=int, default=1000, help="deliver_sm unanswered at once (1000)")
    add("--pauses", action="store_true", help="instead: how long the loop pauses while --parts wait")
    add("--parts", type=int, default=1_000_000, help="with --pauses: parts that wait for a receipt (1,000,000)")
    add("--orphans", type=int, default=100_000, help="with --pauses: receipts that match nothing (100,000)")
    add("--pins", type=int, default=100_000, help="with --pauses: messages of several parts under way (100,000)")
    add("--rate", type=float, default=1000.0, help="with --pauses: messages/s that come meanwhile (1000)")
    add("--seconds", type=float, default=20.0, help="with --pauses: how long it is watched (20)")
    add("--folder", type=Path, help="put config, store and logs here and keep them (a folder that is not there yet)")
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(argv)


def main() -> int:
    """Run, print, and say 0 when the book closes."""
    args = options()
    with contextlib.ExitStack() as stack:
        where = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smsroute-outbox-")))
        where.mkdir(parents=True, exist_ok=True)
        if args.pauses:
            figures = trio.run(outbox_pauses.watch, args, where)
            good = True
        else:
            started = time.monotonic()
            part_ids = trio.run(fill, where, args.receipts)
            filled_s = time.monotonic() - started
            figures = {"filled_s": round(filled_s, 1), **drain(args, where, part_ids)}
            good = figures["lost"] == figures["doubled"] == figures["out_of_order"] == figures["left"] == 0
    if args.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"  {name:<24}{value if isinstance(value, str) else f'{value:,}':>14}")
    return 0 if good else 1


# --- the store ---


async def fill(where: Path, receipts: int) -> list[str]:
    """Bring `receipts` parts of one platform from submit to receipt while nobody is bound; their ids, as they ended."""
    limits = Limits()
    ids, part_ids = MessageIds("bench"), []
    workload = Workload(messages=receipts)
    with closing(open_store(f"sqlite:{where / 'store'}", "bench")) as store:
        ledger = Ledger(
            orphans_max=limits.orphans_max,
            multiparts_max=limits.multiparts_max,
            outbox_memory_max=limits.outbox_memory_max,
        )
        journal = Journal(store, ledger, system_ports(), limits, 0, lambda: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run)
            for start in range(0, receipts, BATCH):
                batch = [ids.make(time.time()) for _ in range(min(BATCH, receipts - start))]
                bodies = workload.bodies(range(start, start + len(batch)))
                await journal.commit(_life(batch, bodies, start))
                part_ids += batch
                if (start + BATCH) % FILL_CHECKPOINT == 0:
                    await journal.checkpoint()
            await journal.checkpoint()
            journal.close()
    return part_ids


def _life(part_ids: list[str], bodies: list[bytes], start: int) -> list[AnyEvent]:
    now = time.time()
    events: list[AnyEvent] = []
    for part_id, body in zip(part_ids, bodies, strict=True):
        submit = sm.parse_sm(body)
        events.append(
            Accepted(
                part_id,
                now,
                "platform1",
                2,
                "smsroute",
                "33600000000",
                body,
                submit.text_at,
                1,
                now + 86400,
                "all",
                "carrier1",
            )
        )
    events.append(Attempted(now, "carrier1", "carrier1-1", "all", "cheapest", part_ids))
    for number, part_id in enumerate(part_ids, start):
        events.append(Responded(part_id, 0, now, Blame.OK, 0, f"C{number:09X}"))
        events.append(
            Receipted("carrier1", now, [f"C{number:09X}"], State.DELIVERED, "000", "DELIVRD", part_id=part_id)
        )
    return events


# --- the engine and the platform ---


def drain(args: argparse.Namespace, where: Path, part_ids: list[str]) -> dict[str, Any]:
    """Serve the store, bind, take everything; what it took."""
    port, nobody = bench_run.free_ports(2)
    knobs = bench_run.options(["--carriers", "1", "--esmes", "1", "--esme-window", str(args.window)])
    bench_run.write_config(knobs, where, [port, nobody])
    log = where / "engine.log"
    memory: list[float] = []
    with contextlib.ExitStack() as stack:
        command = [*bench_run.SMSROUTE, "serve", "--config", str(where), "--log-format", "json"]
        began = time.monotonic()
        engine = bench_run.start(knobs, stack, where, "engine", command)
        _await_door(engine, port, log)
        ready_s = time.monotonic() - began
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(engine.pid, memory, done))
        watcher.start()
        try:
            got, took_s = _platform(port, len(part_ids))
        finally:
            done.set()
            watcher.join()
    place = {part_id: number for number, part_id in enumerate(part_ids)}
    order = [place[part_id] for part_id in dict.fromkeys(got) if part_id in place]
    with closing(open_reader(f"sqlite:{where / 'store'}")) as reader:
        recovered = reader.recover()
        left = sum(backlog.rows for backlog in recovered.owed.values())
        left += sum(1 for part in recovered.parts() if part.final and not part.at_rest)
    return {
        "receipts": len(part_ids),
        "start_s": round(ready_s, 2),
        "drained_s": round(took_s, 2),
        "receipts_per_s": round(len(got) / took_s),
        "lost": len(part_ids) - len(order),
        "doubled": len(got) - len(set(got)),
        "out_of_order": sum(one > other for one, other in pairwise(order)),
        "left": left,
        "rss_mib_at_bind": round(memory[0]),
        "rss_mib_highest": round(max(memory)),
        "rss_mib_at_end": round(memory[-1]),
    }


def _await_door(engine: subprocess.Popen[str], port: int, log: Path) -> None:
    deadline = time.monotonic() + 120.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError as error:
            if engine.poll() is not None or time.monotonic() > deadline:
                raise bench_run.Failed(f"the engine opens no door: {bench_run.tail(log)}") from error
            time.sleep(0.02)


def _watch(pid: int, memory: list[float], done: threading.Event) -> None:
    while True:
        with contextlib.suppress(OSError, KeyError):
            memory.append(bench_run.resident_mib(pid)[0])
        if done.wait(0.25):
            return


def _platform(port: int, wanted: int) -> tuple[list[str], float]:
    """Bind, answer every deliver_sm, until `wanted` different ones came or nothing does for 20 s: the ids, in order."""
    got: list[str] = []
    seen: set[str] = set()
    with socket.create_connection(("127.0.0.1", port), 10.0) as link:
        link.settimeout(20.0)
        body = b"platform1\0" + bench_run.PASSWORD.encode() + b"\0\0\x34\0\0\0"
        link.sendall(HEAD.pack(16 + len(body), BIND_TRANSCEIVER, 0, 1) + body)
        started = time.monotonic()
        ended = started
        buffer = b""
        with contextlib.suppress(TimeoutError):
            while len(seen) < wanted:
                read = link.recv(1 << 18)
                if not read:
                    break
                buffer += read
                at, answers = 0, []
                while len(buffer) - at >= 16:
                    length, command, _, sequence = HEAD.unpack_from(buffer, at)
                    if len(buffer) - at < length:
                        break
                    if command == DELIVER_SM:
                        text = buffer.index(b"id:", at) + 3
                        part_id = buffer[text : buffer.index(b" ", text)].decode()
                        got.append(part_id)
                        seen.add(part_id)
                        answers.append(HEAD.pack(17, DELIVER_SM_RESP, 0, sequence) + b"\0")
                    at += length
                buffer = buffer[at:]
                if answers:
                    link.sendall(b"".join(answers))
                    ended = time.monotonic()
        with contextlib.suppress(OSError):
            link.sendall(HEAD.pack(16, UNBIND, 0, 2))
            while link.recv(1 << 16):
                pass
    return got, ended - started


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(bench_run.ROOT))
    sys.exit(main())
