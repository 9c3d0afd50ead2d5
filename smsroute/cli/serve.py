"""`smsroute serve`: run the engine until told to stop.

Rules:
- Every way it cannot start is one line that says what, where and what to do, and exit 1; never a stack trace.
- SIGTERM and SIGINT drain and stop, exit 0; a second one stops at once, exit 1: all that was accepted is durable.
- SIGHUP reads the config folder again (`ops/reload`); while the engine recovers it waits until that is done.

Walk: the only place where a process becomes an engine: config, ports, store, `engine.build`, ops doors, systemd.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import resource
import signal
import sys
from functools import partial
from typing import Final

import structlog
import trio

from smsroute.cli.common import add_config, load_config
from smsroute.config import Config
from smsroute.engine import Engine, build
from smsroute.ops.control import Control
from smsroute.ops.log import configure
from smsroute.ops.notify import notify, run_watchdog
from smsroute.ops.reload import Reloads
from smsroute.ops.verbs import Verbs
from smsroute.ops.web import Web
from smsroute.ports import Listener, Ports, listen_unix, system_ports
from smsroute.store import open_store
from smsroute.store.base import Store, StoreError
from smsroute.tls import load_proven

log: Final = structlog.get_logger("smsroute.serve")

LEVELS: Final = ("debug", "info", "warning", "error")
STATUS_INTERVAL_S: Final = 10.0

# A full collection walks through the lists of every open part: 150 ms for a million, measured, with every link waiting.
# What boot restored is frozen out of its sight. As the hot path makes no cycles, the young are looked at every 20,000
# allocations (a millisecond or two) instead of every 700, and what outlived that look only when so little is in memory
# that all of it takes no longer (`_run_collector`): a cycle an old session left waits for a quiet minute.
GC_THRESHOLDS: Final = (20_000, 1_000_000, 1_000_000)
GC_INTERVAL_S: Final = 60.0
GC_PARTS_MAX: Final = 10_000
FILES_MAX: Final = 1 << 20


class NotStarted(Exception):
    """Why the engine cannot run, and what to do; one line."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="default: info")
    parser.add_argument(
        "--log-format",
        choices=("auto", "json", "text"),
        default="auto",
        help="lines of JSON, or text for people (default: text at a terminal, else JSON)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve, and say 0 after an orderly stop, 1 when it could not start or was cut short."""
    config = load_config(args, proven=True)
    pretty = args.log_format == "text" or (args.log_format == "auto" and sys.stderr.isatty())
    configure(args.log_level, pretty=pretty, mask_numbers=config.mask_numbers)
    for warning in config.warnings:
        log.warning("config.odd", what=str(warning))
    _raise_file_limit()
    code = 1
    try:
        code = trio.run(_serve, config, system_ports())
    except* (NotStarted, StoreError) as stopped:
        print(f"smsroute serve: {_first(stopped)}", file=sys.stderr)
    return code


async def _serve(config: Config, ports: Ports) -> int:
    store = await _open_store(config, ports)
    ops: list[Listener] = []
    code = 1
    try:
        engine = await build(config, ports, store)
        reloads = Reloads(engine, partial(load_proven, config.directory, dict(os.environ)))
        verbs = Verbs(engine, reloads)
        doors: list[Control | Web] = [Control(_open_control(config, ops), verbs.table(), config.limits)]
        if config.http is not None:
            doors.append(Web(await _open_http(config, ports, ops), verbs.look, config.limits))
        verbs.desks.extend(door.desk for door in doors)
        log.info("ops.open", control=str(config.control), http=ops[-1].port if config.http is not None else None)
        async with trio.open_nursery() as nursery:
            for door in doors:
                nursery.start_soon(door.serve)
            nursery.start_soon(run_watchdog, ports.clock)
            nursery.start_soon(_run_status, engine)
            nursery.start_soon(_run_collector, engine)
            nursery.start_soon(_obey_signals, engine, reloads, nursery.cancel_scope)
            await _run_engine(engine)
            code = 0  # it stopped in order
            nursery.cancel_scope.cancel()
        return code
    finally:
        with trio.CancelScope(shield=True):
            for listener in ops:
                await listener.aclose()
            await ports.blocking.run(store.close)


async def _open_store(config: Config, ports: Ports) -> Store:
    try:
        return await ports.blocking.run(open_store, config.store, config.node)
    except StoreError as error:
        raise NotStarted(str(error)) from error


def _open_control(config: Config, ops: list[Listener]) -> Listener:
    try:
        listener = listen_unix(config.control)
    except OSError as error:
        raise NotStarted(f"control socket {config.control}: {_why(error)}; set `control` to another path") from error
    ops.append(listener)
    return listener


async def _open_http(config: Config, ports: Ports, ops: list[Listener]) -> Listener:
    assert config.http is not None
    host, port = config.http
    try:
        listener = await ports.network.listen(host, port)
    except OSError as error:
        raise NotStarted(f"http {host}:{port}: {_why(error)}; set `http` to another address") from error
    ops.append(listener)
    return listener


async def _run_engine(engine: Engine) -> None:
    listen = engine.config.listen
    try:
        await engine.run(lambda: _ready(engine))
    except OSError as error:
        if len(engine.listeners) == len(listen):
            raise
        door = listen[len(engine.listeners)]  # they are opened in order: this one would not
        tls = " (TLS)" if door.tls is not None else ""
        raise NotStarted(
            f"listen {door.host}:{door.port}{tls}: {_why(error)}; stop who has it or change `listen`"
        ) from error


def settle_garbage() -> None:
    """From here on collections cost the loop no pause worth telling."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _run_collector(engine: Engine) -> None:
    """A whole collection each quiet minute."""
    clock = engine.ports.clock
    while True:
        await clock.sleep_until(clock.monotonic() + GC_INTERVAL_S)
        if engine.ledger.held <= GC_PARTS_MAX:
            gc.collect()


def _ready(engine: Engine) -> None:
    settle_garbage()
    notify("READY=1", f"STATUS={_status(engine)}")


async def _obey_signals(engine: Engine, reloads: Reloads, scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        stopping = False
        async for number in received:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                notify("RELOADING=1", f"MONOTONIC_USEC={int(engine.ports.clock.monotonic() * 1e6)}")
                await reloads.reload(name)
                notify("READY=1", f"STATUS={_status(engine)}")
            elif not stopping:
                stopping = True
                log.info("engine.stop_asked", by=name)
                notify("STOPPING=1", "STATUS=drains")
                engine.stop()
            else:
                log.warning("engine.cut_short", by=name)
                scope.cancel()


async def _run_status(engine: Engine) -> None:
    """A line for `systemctl status`, now and then."""
    if "NOTIFY_SOCKET" not in os.environ:
        return
    clock = engine.ports.clock
    while True:
        await clock.sleep_until(clock.monotonic() + STATUS_INTERVAL_S)
        notify(f"STATUS={_status(engine)}")


def _status(engine: Engine) -> str:
    bound = sum(bind.state == "bound" for bind in engine.binds)
    sick = "" if engine.journal.failing is None else "THE STORE TAKES NOTHING; "
    return f"{sick}{bound} of {len(engine.binds)} binds up, {engine.ledger.open} messages open"


def _raise_file_limit() -> None:
    """Every link is a file: take as many as we are allowed, not the 1024 a shell gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a container may forbid it; then it is as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE and "engine" not in str(error):
        return "somebody listens there already"
    return (error.strerror or str(error)).lower()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
