"""The bench: one engine, simulated carriers, simulated platforms, each its own process, on loopback.

Rules:
- Nothing of smsroute is imported: what is measured is what a user starts (`smsroute serve`, `smsroute sim`).
- The engine has a core to itself and the load another, where the machine allows it; CPU figures are the engine
  process's own (all its threads), from /proc.
- A run counts only if its book closes: accepted = told, or the difference is printed as untold and the exit code is 1.

Walk: `main` -> `run_once` for each run (config, carriers, engine, platforms, figures) -> median -> table or JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SMSROUTE = [sys.executable, "-m", "smsroute"]
READY_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PASSWORD = "bench"
BUCKETS_TO_A_DOUBLING = 16  # of the histograms that `smsroute sim esme --json` prints; bucket 0 is a microsecond

FIGURES: tuple[tuple[str, str, str], ...] = (
    ("messages", "messages", "{:,.0f}"),
    ("untold", "untold (0 = the book closes)", "{:,.0f}"),
    ("accepted_s", "accepted, durable /s", "{:,.0f}"),
    ("completed_s", "completed with receipt /s", "{:,.0f}"),
    ("response_p50_ms", "submit -> response p50 ms", "{:,.2f}"),
    ("response_p99_ms", "submit -> response p99 ms", "{:,.2f}"),
    ("receipt_p50_ms", "submit -> receipt p50 ms", "{:,.2f}"),
    ("receipt_p99_ms", "submit -> receipt p99 ms", "{:,.2f}"),
    ("engine_cpu_us", "engine CPU us/message", "{:,.1f}"),
    ("engine_cpu_share", "engine CPU share of its core", "{:.0%}"),
    ("load_cpu_us", "load CPU us/message (both ends)", "{:,.1f}"),
    ("rss_mib", "engine RSS MiB at the end", "{:,.0f}"),
    ("rss_peak_mib", "engine RSS MiB at the peak", "{:,.0f}"),
    ("store_mib", "store MiB on disk", "{:,.1f}"),
    ("retried", "submits refused and tried again", "{:,.0f}"),
    ("seconds", "seconds, first submit to last receipt", "{:,.2f}"),
)


class Failed(Exception):
    """The bench could not run; one line."""


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """The knobs."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--messages", type=int, default=0, help="in all; 0 = as many as --seconds allows")
    add("--seconds", type=float, default=10.0, help="of submitting when --messages is 0 (10)")
    add("--rate", type=float, default=0.0, help="messages/s offered in all; 0 = as fast as the windows allow")
    add("--carriers", type=int, default=3, help="simulated carriers (3)")
    add("--carrier-binds", type=int, default=2, help="binds to each carrier (2)")
    add("--carrier-window", type=int, default=500, help="unanswered submits per carrier bind (500)")
    add("--esmes", type=int, default=2, help="simulated platforms (2)")
    add("--esme-binds", type=int, default=1, help="transceiver binds of each platform (1)")
    add("--esme-window", type=int, default=500, help="unanswered submits per platform bind (500)")
    add("--like", action="append", default=[], metavar="KEY=VALUE", help="what the carriers are like (smsroute sim)")
    add("--runs", type=int, default=1, help="fresh runs; figures are their median (1)")
    add("--settle", type=float, default=60.0, metavar="SECONDS", help="how long to wait for the last receipts (60)")
    add("--no-pin", action="store_true", help="leave the choice of cores to the kernel")
    add("--folder", type=Path, help="put config, store and logs here and keep them (a folder that is not there yet)")
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(argv)


def main() -> int:
    """Run, print, and say 0 when every book closed, 1 when something stayed untold or could not run."""
    args = options()
    runs = []
    for number in range(1, args.runs + 1):
        with folder(args.folder, number, args.runs) as where:
            try:
                figures = run_once(args, where)
            except Failed as failed:
                print(f"tools/bench: {failed}", file=sys.stderr)
                return 1
        runs.append(figures)
        if args.runs > 1 and not args.json:
            print(f"run {number}: {figures['completed_s']:,.0f}/s, {figures['engine_cpu_us']:.1f} us", file=sys.stderr)
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    machine = {"cores": os.cpu_count(), "python": sys.version.split()[0], "pinned": bool(cores(args, "engine"))}
    if args.json:
        knobs = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
        print(json.dumps({"machine": machine, "options": knobs, "median": median, "runs": runs}, indent=1))
    else:
        table(args, machine, median)
    return 0 if all(run["untold"] == 0 and run["messages"] > 0 for run in runs) else 1


def table(args: argparse.Namespace, machine: dict[str, Any], figures: dict[str, float]) -> None:
    """Figures for people."""
    pinned = "engine and load on cores of their own" if machine["pinned"] else "cores left to the kernel"
    ends = f"{args.carriers} carriers x {args.carrier_binds} binds, {args.esmes} platforms x {args.esme_binds} binds"
    print(f"{ends}, {pinned}")
    for key, name, shape in FIGURES:
        print(f"  {name:<40}{shape.format(figures[key]):>14}")


@contextlib.contextmanager
def folder(asked: Path | None, number: int, runs: int) -> Iterator[Path]:
    """Where a run lives: a temporary folder, or the one asked for, which stays."""
    if asked is None:
        where = Path(tempfile.mkdtemp(prefix="smsroute-bench-"))
        try:
            yield where
        finally:
            shutil.rmtree(where, ignore_errors=True)
    else:
        where = asked if runs == 1 else asked / f"run-{number}"
        where.mkdir(parents=True)
        yield where


# --- one run ---


def run_once(args: argparse.Namespace, where: Path) -> dict[str, float]:
    """Everything up, the load through, everything down; the figures. Raises Failed."""
    ports = free_ports(args.carriers + 1)
    write_config(args, where, ports)
    with contextlib.ExitStack() as stack:
        carriers = start(args, stack, where, "carriers", carrier_command(args, ports[1:]))
        for _ in range(args.carriers):
            event(carriers, "ready", READY_WITHIN_S, where / "carriers.log")
        engine = start(
            args, stack, where, "engine", [*SMSROUTE, "serve", "--config", str(where), "--log-format", "json"]
        )
        await_ready(engine, where / "engine.log")
        before, at = cpu_s(engine.pid), time.monotonic()
        esmes = start(args, stack, where, "esmes", esme_command(args, ports[0]))
        patience_s = args.settle + 60.0 + (args.seconds if not args.messages else args.messages / 100.0)
        for _ in range(args.esmes):
            event(esmes, "ready", READY_WITHIN_S, where / "esmes.log")
        idle = cpu_s(carriers.pid) + cpu_s(esmes.pid)
        done = [event(esmes, "done", patience_s, where / "esmes.log") for _ in range(args.esmes)]
        cpu, wall_s = cpu_s(engine.pid) - before, time.monotonic() - at
        memory = resident_mib(engine.pid)
        load = cpu_s(carriers.pid) + cpu_s(esmes.pid) - idle
        store = sum(file.stat().st_size for file in (where / "store").rglob("*") if file.is_file()) / 2**20
    return figures_of(done, cpu, wall_s, load) | {"rss_mib": memory[0], "rss_peak_mib": memory[1], "store_mib": store}


def figures_of(done: list[dict[str, Any]], cpu: float, wall_s: float, load: float) -> dict[str, float]:
    """What the platforms' last words come to."""
    accepted = sum(one["accepted"] for one in done)
    told = sum(one["told"] for one in done)
    first = min(one["first_submit_at"] for one in done)
    answered_s = max(one["last_response_at"] for one in done) - first
    told_s = max(one["last_receipt_at"] for one in done) - first
    if not told:
        raise Failed(f"no receipt came; the platforms say {[one['statuses'] for one in done]}")
    return {
        "messages": accepted,
        "untold": sum(one["untold"] + one["unanswered"] + one["doubted"] for one in done),
        "retried": sum(one["retried"] for one in done),
        "seconds": told_s,
        "accepted_s": accepted / answered_s,
        "completed_s": told / told_s,
        "response_p50_ms": quantile_ms([one["response"] for one in done], 0.50),
        "response_p99_ms": quantile_ms([one["response"] for one in done], 0.99),
        "receipt_p50_ms": quantile_ms([one["receipt"] for one in done], 0.50),
        "receipt_p99_ms": quantile_ms([one["receipt"] for one in done], 0.99),
        "engine_cpu_us": cpu / told * 1e6,
        "engine_cpu_share": cpu / wall_s,
        "load_cpu_us": load / told * 1e6,
    }


def quantile_ms(histograms: list[dict[str, Any]], share: float) -> float:
    """A quantile over the histograms of several platforms, in milliseconds."""
    buckets: dict[int, int] = {}
    for histogram in histograms:
        for bucket, times in histogram["buckets"].items():
            buckets[int(bucket)] = buckets.get(int(bucket), 0) + times
    left = share * sum(buckets.values())
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if left <= 0:
            return float(1e-3 * 2 ** ((bucket + 0.5) / BUCKETS_TO_A_DOUBLING))
    return 0.0


# --- config and commands ---


def write_config(args: argparse.Namespace, where: Path, ports: list[int]) -> None:
    """A config folder by the contract: everybody may go everywhere, nobody is held back by rates."""
    names = [f"carrier{n}" for n in range(1, args.carriers + 1)]
    config = {
        "smsroute.yaml": [
            "node: bench",
            f"listen: [{{address: '127.0.0.1:{ports[0]}'}}]",
            "store: 'sqlite:store'",
            "control: control.sock",
        ],
        "esmes.yaml": [
            "esmes:",
            *(
                f"  platform{n}: {{password: {{plain: '{PASSWORD}'}}, allow_from: ['127.0.0.0/8'], "
                f"binds_max: {max(1, args.esme_binds)}, window: {args.esme_window}, rate: 1000000/s}}"
                for n in range(1, args.esmes + 1)
            ),
        ],
        "carriers.yaml": [
            "carriers:",
            *(
                f"  {name}: {{system_id: smsroute, password: {{plain: '{PASSWORD}'}}, "
                f"binds: [{{address: '127.0.0.1:{port}', mode: transceiver, count: {args.carrier_binds}}}], "
                f"window: {args.carrier_window}, rate: 1000000/s, enquire_link: 30s, response_timeout: 30s}}"
                for name, port in zip(names, ports[1:], strict=True)
            ),
        ],
        "routes.yaml": [
            "routes:",
            "  - name: all",
            "    to: ['']",
            "    prefer: balanced",
            f"    carriers: [{', '.join(f'{{carrier: {name}, cost: 0.01, weight: 1}}' for name in names)}]",
        ],
    }
    for name, lines in config.items():
        (where / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    checked = subprocess.run([*SMSROUTE, "check", str(where)], capture_output=True, text=True, cwd=ROOT, check=False)
    if checked.returncode:
        raise Failed(f"smsroute check refuses the bench's own config:\n{checked.stderr}{checked.stdout}")


def carrier_command(args: argparse.Namespace, ports: list[int]) -> list[str]:
    """One process for all carriers."""
    doors = [word for n, port in enumerate(ports, 1) for word in ("--listen", f"carrier{n}=127.0.0.1:{port}")]
    return [*SMSROUTE, "sim", "carrier", *args.like, *doors, "--no-truth", "--json", "--every", "0"]


def esme_command(args: argparse.Namespace, port: int) -> list[str]:
    """One process for all platforms."""
    command = [*SMSROUTE, "sim", "esme", "--connect", f"127.0.0.1:{port}", "--password", PASSWORD]
    for n in range(1, args.esmes + 1):
        command += ["--system-id", f"platform{n}"]
    command += ["--bind", "transceiver"] * args.esme_binds
    if args.messages:
        command += ["--messages", str(max(1, args.messages // args.esmes))]
    else:
        command += ["--seconds", str(args.seconds)]
    command += ["--window", str(args.esme_window), "--rate", str(args.rate / args.esmes), "--settle", str(args.settle)]
    return [*command, "--no-doubles", "--json", "--every", "0"]


# --- processes ---


def cores(args: argparse.Namespace, role: str) -> set[int]:
    """Where a process runs: the engine on the first core, the load on the others; empty = anywhere."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if args.no_pin or len(allowed) < 2:
        return set()
    return {allowed[0]} if role == "engine" else set(allowed[1:])


def start(
    args: argparse.Namespace, stack: contextlib.ExitStack, where: Path, role: str, command: list[str]
) -> subprocess.Popen[str]:
    """A child on its cores, its standard error in a log; it is stopped when the run ends."""
    log = stack.enter_context((where / f"{role}.log").open("w", encoding="utf-8"))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log if role == "engine" else subprocess.PIPE,
        stderr=log,
        text=True,
    )
    chosen = cores(args, role)
    if chosen:
        os.sched_setaffinity(process.pid, chosen)
    stack.callback(stop, process)
    return process


def stop(process: subprocess.Popen[str]) -> None:
    """SIGTERM, then SIGKILL when it does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def event(process: subprocess.Popen[str], name: str, within_s: float, log: Path) -> dict[str, Any]:
    """The next JSON line of `process` with this event. Raises Failed when it ends or `within_s` has passed."""
    assert process.stdout is not None
    alarm = _alarm(within_s, process)
    try:
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said.get("event") == name:
                return said
    finally:
        alarm()
    raise Failed(f"{log.stem} ended or hung before it said {name!r}: {tail(log)}")


def _alarm(within_s: float, process: subprocess.Popen[str]) -> Callable[[], None]:
    """Kill `process` in `within_s`, which ends whoever reads it; call the result to call it off."""

    def ring(*_: object) -> None:
        process.kill()

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, within_s)
    return lambda: signal.setitimer(signal.ITIMER_REAL, 0) and None


def await_ready(engine: subprocess.Popen[str], log: Path) -> None:
    """Return once the engine logged engine.ready. Raises Failed."""
    deadline = time.monotonic() + READY_WITHIN_S
    while "engine.ready" not in log.read_text(encoding="utf-8"):
        if engine.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"the engine is not ready: {tail(log)}")
        time.sleep(0.05)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8").splitlines()[-8:]) or "(it said nothing)"


def free_ports(count: int) -> list[int]:
    """TCP ports nobody has just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def resident_mib(pid: int) -> tuple[float, float]:
    """Resident memory now and at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    found = {
        line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))
    }
    return found["VmRSS"], found["VmHWM"]


if __name__ == "__main__":
    sys.exit(main())
