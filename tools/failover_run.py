"""The failure benchmark: one carrier of three falls sick in eight ways; what it costs, with our judgement and with two
simple ones.

Rules:
- Real TCP on loopback: the engine is a process of its own (`failover_engine`: `smsroute serve`, its policy apart), the
  carriers and the platform another (`failover_town`); each has a core, where the machine allows it.
- The config is the product's own defaults, but for what a contract says and for a short validity, so that every book
  closes within the run.
- Exit 1 when a message is lost or untold, or delivered twice without doubt, whatever the policy; with --strict also
  when ours misses a target.

Walk: `main` -> `run_once` for each fault and policy -> table or JSON. `--show FILE …` prints runs kept by --json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_run as bench
from failover_town import FAULTS

ENGINE = Path(__file__).with_name("failover_engine.py")
TOWN = Path(__file__).with_name("failover_town.py")
POLICIES = ("ours", "bind", "errors")
PRICES = {"north": 0.030, "south": 0.031, "east": 0.033}  # within one cost band: equals, shares by weight
CONTRACT = 0.7  # of the rate offered: any two carriers can take it all
CONTRACT_HALF_RATE = 0.375  # all three can take it, two and a half cannot: goodput is what is left
RESPONSE_TIMEOUT_S = 10.0
RESEND_AFTER_S = 3.0
VALIDITY_S = {"no-receipts": 30.0}
VALIDITY_USUAL_S = 120.0
GRACE_S = 15.0
BOOT_S = 60.0
GAIN = -20  # width of the first column of the gains

# fmt: off
TARGETS: dict[str, tuple[tuple[str, str, float], ...]] = {   # fault -> (figure, at most or at least, limit)
    "killed":      (("elsewhere_s", "<=", 1.0),),
    "throttles":   (("elsewhere_s", "<=", 1.0),),
    "errors":      (("elsewhere_s", "<=", 1.0),),
    "slow":        (("elsewhere_s", "<=", 3.0),),
    "silent":      (("elsewhere_s", "<=", 3.0),),
    "no-receipts": (("alarm_s", "<=", 120.0),),
    "flaps":       (("swings", "<=", 0),),
    "half-rate":   (("goodput_share", ">=", 0.95),),
}
COLUMNS: tuple[tuple[str, str, int, str], ...] = (  # figure, heading, width, how it is written
    ("fault",           "fault",     -12, "{}"),
    ("policy",          "policy",     -7, "{}"),
    ("elsewhere_s",     "elsewhere",   9, "{:.1f} s"),
    ("p99_before_s",    "before",      8, "{:.1f} s"),
    ("p99_during_s",    "during",      8, "{:.1f} s"),
    ("p99_after_s",     "after",       8, "{:.1f} s"),
    ("worst_during_s",  "worst",       8, "{:.1f} s"),
    ("missing",         "lost",        6, "{}"),
    ("duplicates",      "twice",       6, "{}"),
    ("resent_in_doubt", "doubt",       6, "{}"),
    ("share_sick",      "to sick",     8, "{:.1%}"),
    ("return_s",        "back",        7, "{:.0f} s"),
    ("cost_during",     "cost",        7, "{:.2f}"),
    ("extra",           "",            0, "  {}"),
)
# fmt: on


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """The knobs."""
    parser = argparse.ArgumentParser(prog="tools/failover", description="What a sick carrier costs.")
    add = parser.add_argument
    add("--faults", type=_some(tuple(FAULTS)), default=list(FAULTS), metavar="A,B", help=f"of {', '.join(FAULTS)}")
    add("--policies", type=_some(POLICIES), default=list(POLICIES), metavar="A,B", help=f"of {', '.join(POLICIES)}")
    add("--seconds", type=float, default=60.0, help="of load: a third well, a third sick, a third healed (60)")
    add("--rate", type=float, default=2000.0, help="messages/s offered (2000)")
    add("--return-max", type=float, default=60.0, metavar="SECONDS", help="how long to wait for its share (60)")
    add("--settle", type=float, default=180.0, metavar="SECONDS", help="how long to wait for the last receipts (180)")
    add("--strict", action="store_true", help="exit 1 when ours misses a target, too")
    add("--no-pin", action="store_true", help="leave the choice of cores to the kernel")
    add("--folder", type=Path, help="put configs, stores and logs here and keep them (a folder that is not there yet)")
    add("--json", action="store_true", help="print one JSON document")
    add("--show", nargs="+", type=Path, metavar="FILE", help="run nothing: print what earlier runs said with --json")
    return parser.parse_args(argv)


def _some(known: tuple[str, ...]) -> Any:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if not set(chosen) <= set(known):
            raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(known)}")
        return chosen

    return parse


def main() -> int:
    """Run, print, and say 1 when a promise was broken."""
    args = options()
    if args.show:
        runs = [run for file in args.show for run in json.loads(file.read_text(encoding="utf-8"))["runs"]]
    else:
        runs = []
        for fault in args.faults:
            for policy in args.policies:
                with folder(args.folder, f"{fault}-{policy}") as where:
                    try:
                        runs.append(run_once(args, where, fault, policy))
                    except bench.Failed as failed:
                        print(f"tools/failover: {fault}, {policy}: {failed}", file=sys.stderr)
                        return 1
                print(_line(runs[-1]), file=sys.stderr, flush=True)
    wrong = [f"{run['fault']}, {run['policy']}: {what}" for run in runs for what in faults(run, args.strict)]
    if args.json:
        machine = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
        knobs = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
        print(json.dumps({"machine": machine, "options": knobs, "runs": runs, "wrong": wrong}, indent=1))
    else:
        table(runs)
        gains(runs)
    for line in wrong:
        print(f"tools/failover: {line}", file=sys.stderr)
    return 1 if wrong else 0


@contextlib.contextmanager
def folder(asked: Path | None, name: str) -> Any:
    """Where a run lives: a temporary folder, or one under the folder asked for, which stays."""
    if asked is None:
        with tempfile.TemporaryDirectory(prefix="smsroute-failover-") as where:
            yield Path(where)
    else:
        (asked / name).mkdir(parents=True)
        yield asked / name


# --- what must hold ---


def faults(run: dict[str, Any], strict: bool) -> list[str]:
    """Promises this run broke: those of the laws for every policy; targets for ours, when `strict`."""
    wrong = [f"{run[key]} messages {key}" for key in ("lost", "untold", "duplicates", "refused") if run[key]]
    if not run["accepted"]:
        wrong.append("nothing was accepted")
    if strict and run["policy"] == "ours":
        wrong += [f"{what}: target missed" for what, met in targets(run) if not met]
    return wrong


def targets(run: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each target of the run's fault, in words, and whether it was met."""
    said = []
    for figure, way, limit in TARGETS[run["fault"]]:
        value = run[figure]
        met = value is not None and (value <= limit if way == "<=" else value >= limit)
        said.append((f"{figure} {'never' if value is None else f'{value:.2f}'} (target {way} {limit:g})", met))
    return said


# --- one run ---


def run_once(args: argparse.Namespace, where: Path, fault: str, policy: str) -> dict[str, Any]:
    """Everything up, one fault, everything down; the figures. Raises bench.Failed."""
    ports = bench.free_ports(len(PRICES) + 1)
    contract = args.rate * (CONTRACT_HALF_RATE if fault == "half-rate" else CONTRACT)
    told = orders(args, where, fault, contract, ports)
    write_config(where, told, VALIDITY_S.get(fault, VALIDITY_USUAL_S))
    with contextlib.ExitStack() as stack:
        town = start(args, stack, where, "town", [sys.executable, str(TOWN), json.dumps(told)])
        bench.event(town, "ready", bench.READY_WITHIN_S, where / "town.log")
        command = [sys.executable, str(ENGINE), policy, "serve", "--config", str(where), "--log-format", "json"]
        engine = start(args, stack, where, "engine", command)
        bench.await_ready(engine, where / "engine.log")
        cpu, at = bench.cpu_s(engine.pid), time.monotonic()
        assert town.stdin is not None
        town.stdin.write("go\n")
        town.stdin.flush()
        patience_s = BOOT_S + 4 * args.seconds + args.return_max + args.settle
        done = bench.event(town, "done", patience_s, where / "town.log")
        share = (bench.cpu_s(engine.pid) - cpu) / (time.monotonic() - at)
    del done["event"]
    capacity = 2.5 * contract if fault == "half-rate" else 0.0
    return {
        "fault": fault,
        "policy": policy,
        **done,
        # Less the second's worth of credit that a simulated carrier gives whoever was below its new rate.
        "goodput_share": (done["goodput_s"] - contract / 2 / done["sick_s"]) / capacity if capacity else None,
        "engine_cpu_share": share,
    }


def orders(args: argparse.Namespace, where: Path, fault: str, contract: float, ports: list[int]) -> dict[str, Any]:
    """What the town is told."""
    return {
        "fault": fault,
        "rate": args.rate,
        "seconds": args.seconds,
        "return_max": args.return_max,
        "settle": args.settle,
        "contract": contract,
        "engine": ports[0],
        "carriers": dict(zip(PRICES, ports[1:], strict=True)),
        "prices": PRICES,
        "control": str(where / "control.sock"),
        "password": bench.PASSWORD,
        "response_timeout": RESPONSE_TIMEOUT_S,
        "resend_after": RESEND_AFTER_S,
    }


def write_config(where: Path, told: dict[str, Any], validity_s: float) -> None:
    """The config folder of a run."""
    config = [
        "node: bench",
        f"listen: [{{address: '127.0.0.1:{told['engine']}'}}]",
        "store: 'sqlite:store'",
        "control: control.sock",
        f"limits: {{validity_default: {validity_s:g}s, receipt_grace: {GRACE_S:g}s}}",
        "esmes:",
        f"  platform: {{password: {{plain: '{told['password']}'}}, window: 2000, rate: 1000000/s}}",
        "carriers:",
    ]
    for name, port in told["carriers"].items():
        config.append(
            f"  {name}: {{system_id: smsroute, password: {{plain: pw}}, window: 100, rate: {told['contract']:g}/s, "
            f"response_timeout: {told['response_timeout']:g}s, reconnect_max: 5s, "
            f"binds: [{{address: '127.0.0.1:{port}', mode: transceiver, count: 2}}]}}"
        )
    choices = ", ".join(f"{{carrier: {name}, cost: {price}, weight: 1}}" for name, price in told["prices"].items())
    config += [
        "routes:",
        "  - name: all",
        "    to: ['']",
        "    prefer: balanced",
        f"    in_doubt: {{default: {{resend_after: {told['resend_after']:g}s}}}}",
        f"    carriers: [{choices}]",
    ]
    (where / "smsroute.yaml").write_text("\n".join(config) + "\n", encoding="utf-8")
    command = [*bench.SMSROUTE, "check", str(where)]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=bench.ROOT, check=False)
    if checked.returncode:
        raise bench.Failed(f"smsroute check refuses the benchmark's own config:\n{checked.stderr}{checked.stdout}")


def start(
    args: argparse.Namespace, stack: contextlib.ExitStack, where: Path, role: str, command: list[str]
) -> subprocess.Popen[str]:
    """A child on its core, its standard error in a log; it is stopped when the run ends."""
    log = stack.enter_context((where / f"{role}.log").open("w", encoding="utf-8"))
    process = subprocess.Popen(
        command,
        cwd=bench.ROOT,
        stdin=subprocess.PIPE,
        stdout=log if role == "engine" else subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONPATH": str(bench.ROOT)},  # this tree, wherever the venv was installed from
    )
    chosen = bench.cores(args, role)
    if chosen:
        os.sched_setaffinity(process.pid, chosen)
    stack.callback(bench.stop, process)
    return process


# --- what is said ---


def _line(run: dict[str, Any]) -> str:
    said = "; ".join(f"{what}: {'met' if met else 'MISSED'}" for what, met in targets(run))
    return f"{run['fault']}, {run['policy']}: {run['messages']} messages, {said}"


def _extra(run: dict[str, Any]) -> str:
    """The figure that only this fault has."""
    if run["fault"] == "no-receipts":
        return "no alarm" if run["alarm_s"] is None else f"alarm at {run['alarm_s']:.0f} s"
    if run["fault"] == "flaps":
        return f"{run['swings']} swings"
    if run["fault"] == "half-rate":
        return f"goodput {run['goodput_share']:.0%}"
    return ""


def table(runs: list[dict[str, Any]]) -> None:
    """Figures for people."""
    print("".join(_cell(heading, width) for _, heading, width, _ in COLUMNS).rstrip())
    for run in runs:
        row = {**run, "extra": _extra(run), "missing": run["lost"] + run["untold"]}
        cells = ((row[key], width, shape) for key, _, width, shape in COLUMNS)
        print("".join(_cell("never" if it is None else shape.format(it), width) for it, width, shape in cells).rstrip())


def gains(runs: list[dict[str, Any]]) -> None:
    """What ours is worth beside each simple policy: its figure divided by ours, where both are known and ours is
    something."""
    known = {(run["fault"], run["policy"]): run for run in runs}
    faults = [fault for fault in FAULTS if (fault, POLICIES[0]) in known]
    policies = [policy for policy in POLICIES[1:] if any((fault, policy) in known for fault in faults)]
    if not policies:
        return
    print("\n" + _cell("times ours", GAIN) + "".join(_cell(fault, len(fault) + 2) for fault in faults))
    for policy in policies:
        for figure, words in (("p99_during_s", "p99 during"), ("share_sick", "to sick")):
            line = _cell(f"{policy}, {words}", GAIN)
            for fault in faults:
                ours, simple = known[fault, POLICIES[0]][figure], known.get((fault, policy), {}).get(figure)
                line += _cell(f"{simple / ours:.1f}" if ours and simple is not None else "-", len(fault) + 2)
            print(line)


def _cell(text: str, width: int) -> str:
    return f"{text:<{-width}}" if width <= 0 else f"{text:>{width}}"


if __name__ == "__main__":
    sys.exit(main())
