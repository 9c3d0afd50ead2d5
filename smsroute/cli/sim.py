"""`smsroute sim carrier|esme`: be a simulated operator or a simulated platform, over real TCP.

Rules:
- Several carriers, or several platforms, may live in one process; `--listen` and `--system-id` repeat.
- What a carrier is like is said in words (`error_share=0.1 mode=slow`); the same words change it while it runs, as
  lines on standard input: `[NAME] mode slow`, `[NAME] set error_share=0.2`, `drop`, `unbind`, `mo FROM TO TEXT`,
  `stats`, `quit`. SIGUSR1 makes every carrier sick (`--sick`), SIGUSR2 kind again.
- With --json, standard output is one JSON object a line, each with its `event`: ready, stats, done, reply.

Walk: `smsroute.sim` does the work; `tools/bench` and `tools/demo` drive it through this verb.
"""

from __future__ import annotations

import argparse
import errno
import gc
import json
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import trio

from smsroute.cli.common import add_config, add_json
from smsroute.ports import Clock, system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import BIND_COMMANDS, EsmeSettings, SimEsme
from smsroute.sim.mobile import Mobile
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.workload import Workload

LINE_OCTETS_MAX: Final = 65536
UNBIND_WITHIN_S: Final = 5.0
MODES: Final = tuple(mode.value for mode in Mode)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="carrier|esme")
    carrier = kinds.add_parser("carrier", help="be an operator's SMSC", epilog=f"words: {' '.join(_keys())}")
    _carrier_arguments(carrier)
    esme = kinds.add_parser("esme", help="be a platform")
    _esme_arguments(esme)
    for one in (carrier, esme):
        add_config(one)
        add_json(one)
        one.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="between stats lines; 0 = none")


def _keys() -> list[str]:
    return [f"{name}=…" for name in Temperament.__annotations__] + [f"mode={'|'.join(MODES)}"]


def _carrier_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("words", nargs="*", metavar="KEY=VALUE", help="what it is like, see below")
    add("--listen", action="append", type=door, metavar="[NAME=]HOST:PORT", help="repeat for more (127.0.0.1:3001)")
    add("--system-id", metavar="ID", help="take only this system_id")
    add("--password", metavar="WORD", help="take only this password")
    add("--sick", choices=MODES, default=Mode.THROTTLING.value, help="mode after SIGUSR1 (throttling)")
    add("--mo-rate", type=float, default=0.0, metavar="N", help="messages/s its handsets write to --mo-to (0)")
    add("--mo-to", action="append", metavar="NUMBER", help="in turn (38000)")
    add("--mo-text", default="hello", help="of each, before its number (hello)")
    add("--no-truth", action="store_true", help="do not remember what each handset got (saves memory)")


def _esme_arguments(parser: argparse.ArgumentParser) -> None:
    settings, workload, add = EsmeSettings(), Workload(), parser.add_argument
    add("--connect", type=door, default=("", "127.0.0.1", 2775), metavar="HOST:PORT", help="(127.0.0.1:2775)")
    add("--system-id", action="append", metavar="ID", help=f"repeat for more platforms ({settings.system_id})")
    add("--password", default=settings.password, metavar="WORD")
    add("--bind", action="append", choices=tuple(BIND_COMMANDS), help="repeat for more binds (transceiver)")
    add("--window", type=int, default=settings.window, help=f"unanswered submits per bind ({settings.window})")
    add("--rate", type=float, default=0.0, help="messages/s of each platform; 0 = as fast as the window allows")
    add("--messages", type=int, default=0, help="submits of each platform; 0 = until --seconds or told to stop")
    add("--seconds", type=float, default=0.0, help="begin nothing new after this; 0 = no limit")
    add("--settle", type=float, default=60.0, metavar="SECONDS", help="how long to wait for the last receipts (60)")
    add("--to", action="append", metavar="PREFIX", help=f"destination prefixes, in turn ({workload.prefixes[0]})")
    add("--from", dest="source", default=workload.source_addr, metavar="ADDR", help=f"({workload.source_addr})")
    add("--subscribers", type=int, default=workload.subscribers, help=f"per prefix ({workload.subscribers})")
    add("--service-type", action="append", metavar="TYPE", help="in turn (none)")
    add("--text", default=workload.text, help=f"({workload.text!r} and a number)")
    add("--tag", default="", help="in every text before the number, to tell runs apart")
    add("--parts", type=int, default=1, help="parts per message (1)")
    add("--registered-delivery", type=int, default=1, choices=range(4), help="(1)")
    add("--enquire-link", type=float, default=30.0, metavar="SECONDS", help="0 = never (30)")
    add("--no-doubles", action="store_true", help="forget an id once told: doubled receipts go unseen (saves memory)")


def door(text: str) -> tuple[str, str, int]:
    """NAME, HOST and PORT of `[NAME=]HOST:PORT`. Raises argparse.ArgumentTypeError."""
    name, _, address = text.rpartition("=")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r}: expected HOST:PORT, such as 127.0.0.1:3001")
    return name, host.strip("[]"), int(port)


def run(args: argparse.Namespace) -> int:
    """Simulate until done or told to stop."""
    try:
        show = Show(args.json)
        main: Callable[[], Awaitable[int]]
        main = _carriers(args, show) if args.kind == "carrier" else _esmes(args, show)
    except ValueError as error:
        print(f"smsroute sim: {error}", file=sys.stderr)
        return 2
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # batches of short-lived structs; nothing here makes cycles in bulk
    return trio.run(main)


class Show:
    """What goes to standard output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, event: str, facts: dict[str, Any], text: str) -> None:
        """One line."""
        line = json.dumps({"event": event, **facts}) if self.as_json else text
        try:
            print(line, flush=True)
        except BrokenPipeError:
            raise SystemExit(0) from None


# --- carriers ---


def _carriers(args: argparse.Namespace, show: Show) -> Callable[[], Awaitable[int]]:
    temperament, mode = _said(args.words, Temperament(), Mode.KIND)
    doors = args.listen or [("", "127.0.0.1", 3001)]
    carriers = {}
    for name, _, port in doors:
        carrier = SimCarrier(
            name or f"carrier-{port}",
            temperament=temperament,
            mode=mode,
            system_id=args.system_id,
            password=args.password,
            keep_truth=not args.no_truth,
        )
        carriers[carrier.name] = carrier
    if len(carriers) != len(doors):
        raise ValueError("--listen: expected a different name for each carrier")
    to = args.mo_to or ["38000"]
    mobiles = [Mobile(one, args.mo_rate, to, text=args.mo_text) for one in carriers.values() if args.mo_rate > 0]
    return partial(_run_carriers, carriers, mobiles, doors, Mode(args.sick), args.every, show)


def _said(words: list[str], temperament: Temperament, mode: Mode) -> tuple[Temperament, Mode]:
    """Temperament and mode with `words` applied. Raises ValueError."""
    rest = []
    for word in words:
        if not word.startswith("mode="):
            rest.append(word)
            continue
        if word[5:] not in MODES:
            raise ValueError(f"{word!r}: expected one of {', '.join(MODES)}")
        mode = Mode(word[5:])
    return temperament.with_words(rest), mode


async def _run_carriers(
    carriers: dict[str, SimCarrier],
    mobiles: list[Mobile],
    doors: list[tuple[str, str, int]],
    sick: Mode,
    every_s: float,
    show: Show,
) -> int:
    ports = system_ports()
    rates = Rates(ports.clock)
    tell = partial(_tell_carriers, carriers, show, rates)
    code = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_signal, nursery.cancel_scope)
        for carrier, (_, host, port) in zip(carriers.values(), doors, strict=True):
            try:
                bound = await nursery.start(carrier.run, ports, host, port)
            except OSError as error:
                print(f"smsroute sim: {host}:{port}: {_why(error)}", file=sys.stderr)
                nursery.cancel_scope.cancel()
                code = 1
                break
            facts = {"carrier": carrier.name, "host": host, "port": bound}
            show.say("ready", facts, f"{carrier.name} listens on {host}:{bound}")
        for mobile in mobiles:
            nursery.start_soon(mobile.run, ports)
        nursery.start_soon(_moods, carriers, sick)
        nursery.start_soon(_stats, tell, every_s)
        nursery.start_soon(_control, carriers, show, tell, nursery.cancel_scope)
    if code == 0:
        tell(event="done")
    return code


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken; stop who listens there, or choose another"
    return error.strerror or str(error)


class Rates:
    """How much each counter grew a second since last asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: dict[str, tuple[float, int]] = {}

    def of(self, name: str, count: int) -> float:
        """Per second; 0.0 the first time."""
        now = self._clock.monotonic()
        at, before = self._before.get(name, (now, count))
        self._before[name] = (now, count)
        return (count - before) / (now - at) if now > at else 0.0


def _tell_carriers(carriers: dict[str, SimCarrier], show: Show, rates: Rates, event: str = "stats") -> None:
    for carrier in carriers.values():
        facts = carrier.stats()
        facts["submits_s"] = round(rates.of(carrier.name, facts["submits"]), 1)
        refused = sum(facts["statuses"].values())
        text = (
            f"{carrier.name}: {facts['mode']}, {facts['binds']} binds, {facts['submits_s']:.0f}/s, "
            f"{facts['taken']} taken, {refused} refused, {facts['receipts_answered']} receipts told, "
            f"{facts['receipts_waiting']} waiting, {facts['handset_doubles']} doubled at handsets"
        )
        show.say(event, facts, text)


async def _moods(carriers: dict[str, SimCarrier], sick: Mode) -> None:
    """SIGUSR1 makes them sick, SIGUSR2 kind."""
    with trio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
        async for number in signals:
            for carrier in carriers.values():
                carrier.mode = sick if number == signal.SIGUSR1 else Mode.KIND


async def _control(
    carriers: dict[str, SimCarrier], show: Show, tell: Callable[[], None], stop: trio.CancelScope
) -> None:
    """Obey lines on standard input until it ends; the carriers stay when it does."""
    waiting = b""
    while True:
        try:
            await trio.lowlevel.wait_readable(sys.stdin.fileno())
        except (OSError, ValueError):
            return  # a file, /dev/null, or closed: nobody will write there
        data = os.read(sys.stdin.fileno(), LINE_OCTETS_MAX)
        if not data:
            return
        *lines, waiting = (waiting + data)[-LINE_OCTETS_MAX:].split(b"\n")
        for line in lines:
            words = line.decode("utf-8", "replace")
            if words.strip() == "quit":
                stop.cancel()
            elif words.strip():
                _obey(carriers, show, tell, words)


def _obey(carriers: dict[str, SimCarrier], show: Show, tell: Callable[[], None], line: str) -> None:
    try:
        words = shlex.split(line)
        chosen = list(carriers.values())
        if words and words[0] in carriers:
            chosen = [carriers[words.pop(0)]]
        for carrier in chosen:
            _command(carrier, words)
    except ValueError as error:
        show.say("reply", {"ok": False, "error": str(error)}, f"no: {error}")
        return
    if words[0] == "stats":
        tell()
    show.say("reply", {"ok": True, "line": line.strip()}, f"ok: {line.strip()}")


def _command(carrier: SimCarrier, words: list[str]) -> None:
    """Do one control line to one carrier. Raises ValueError saying what was expected."""
    match words:
        case ["mode", mode] if mode in MODES:
            carrier.mode = Mode(mode)
        case ["set", *changes] if changes:
            carrier.temperament, carrier.mode = _said(changes, carrier.temperament, carrier.mode)
        case ["drop"]:
            carrier.drop_links()
        case ["unbind"]:
            carrier.unbind_links()
        case ["mo", source, destination, *text]:
            if not carrier.mobile_originated(source, destination, " ".join(text).encode("latin-1", "replace")[:254]):
                raise ValueError(f"{carrier.name}: no bind receives")
        case ["stats"]:
            pass
        case _:
            raise ValueError(
                f"{' '.join(words)!r}: expected [NAME] mode {'|'.join(MODES)}, set KEY=VALUE…, drop, unbind, "
                "mo FROM TO TEXT, stats or quit"
            )


# --- platforms ---


def _esmes(args: argparse.Namespace, show: Show) -> Callable[[], Awaitable[int]]:
    names = args.system_id or [EsmeSettings().system_id]
    esmes = [SimEsme(_workload(args, name), _settings(args, name)) for name in names]
    return partial(_run_esmes, esmes, args, show)


def _settings(args: argparse.Namespace, name: str) -> EsmeSettings:
    return EsmeSettings(
        system_id=name,
        password=args.password,
        binds=tuple(args.bind or ["transceiver"]),
        window=args.window,
        rate=args.rate,
        enquire_link_s=args.enquire_link,
        keep=not args.no_doubles,
    )


def _workload(args: argparse.Namespace, name: str) -> Workload:
    return Workload(
        messages=args.messages,
        prefixes=tuple(args.to or ["336"]),
        source_addr=args.source,
        subscribers=args.subscribers,
        service_types=tuple(args.service_type or [""]),
        text=args.text,
        tag=f"{name}{args.tag}#",
        parts=args.parts,
        registered_delivery=args.registered_delivery,
    )


async def _run_esmes(esmes: list[SimEsme], args: argparse.Namespace, show: Show) -> int:
    _, host, port = args.connect
    async with trio.open_nursery() as nursery:
        for esme in esmes:
            await nursery.start(esme.run, system_ports(), host, port)
            show.say("ready", {"esme": esme.name}, f"{esme.name} dials {host}:{port}")
        nursery.start_soon(_stats, partial(_tell_esmes, esmes, show), args.every)
        async with trio.open_nursery() as work:
            work.start_soon(_until_signal, work.cancel_scope)
            await _play(esmes, args.seconds, args.settle)
            work.cancel_scope.cancel()
        _tell_esmes(esmes, show, event="done")
        for esme in esmes:
            esme.stop()
        with trio.move_on_after(UNBIND_WITHIN_S):
            for esme in esmes:
                await esme.wait_for(lambda esme: not esme.links)
        nursery.cancel_scope.cancel()
    return 0 if all(esme.settled for esme in esmes) else 1


async def _play(esmes: list[SimEsme], seconds: float, settle_s: float) -> None:
    """Until everything is submitted and told, or time is up."""
    with trio.move_on_after(seconds or float("inf")):
        for esme in esmes:
            await esme.wait_for(lambda esme: esme.submitted_all)
    with trio.move_on_after(settle_s):
        for esme in esmes:
            esme.finish()
            await esme.wait_for(lambda esme: esme.settled)


def _tell_esmes(esmes: list[SimEsme], show: Show, event: str = "stats") -> None:
    for esme in esmes:
        facts = esme.report()
        if event == "stats":
            del facts["response"]["buckets"], facts["receipt"]["buckets"]
        text = (
            f"{esme.name}: {facts['binds']} binds, {facts['submitted']} submitted, {facts['accepted']} accepted, "
            f"{facts['refused']} refused, {facts['told']} told, {facts['untold']} untold, "
            f"response p50 {facts['response']['p50_ms']} ms p99 {facts['response']['p99_ms']} ms"
        )
        show.say(event, facts, text)


# --- both ---


async def _stats(tell: Callable[[], None], every_s: float) -> None:
    while every_s:
        await trio.sleep(every_s)
        tell()


async def _until_signal(stop: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stop.cancel()
