"""The mixed run of receipts: six carriers, each another dialect, early, doubled, lost and misplaced receipts, and an
engine killed now and then; whether each receipt found its message, by the books of carriers and platform.

Rules:
- Real TCP on loopback: the engine is a process of its own (`smsroute serve`), the carriers and the platform another
  (`receipts_town`); each has a core, where the machine allows it.
- The config is the product's own defaults, but for a short validity and grace, so that every book closes within the
  run, and for what each carrier's `dialect:` says: nothing (`ids: auto`), or a rule.
- Exit 1 when a target is missed: every receipt that was answered is matched, none wrongly, no platform is told twice
  without a reason or never.

Walk: `main` -> `run_once` -> table or JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import bench_run as bench
from failover_run import start
from receipts_town import SETS

from smsroute.config import Limits

TOWN = Path(__file__).with_name("receipts_town.py")
# fmt: off
COLUMNS: tuple[tuple[str, str, int], ...] = (  # figure, heading, width
    ("carrier",   "carrier",  -9),
    ("ids",       "ids",     -16),
    ("rule",      "rule",    -10),
    ("taken",     "taken",     8),
    ("told",      "receipts",  9),
    ("early",     "early",     7),
    ("doubled",   "twice",     7),
    ("lost",      "lost",      6),
    ("elsewhere", "other",     7),
    ("died",      "died",      6),
    ("matched",   "matched",   9),
    ("missed",    "missed",    7),
    ("wrong",     "wrong",     6),
    ("auto",      "",          0),
)
TARGETS: tuple[tuple[str, str], ...] = (  # figure that must be 0, in words
    ("missed",     "receipts that were answered and found no message"),
    ("wrong",      "messages told what no carrier said of them"),
    ("twice",      "receipts told again to a platform that had answered"),
    ("never_told", "messages never told of"),
    ("waiting",    "receipts that carriers still hold"),
    ("unread",     "receipts refused for good"),
)
# fmt: on


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """The knobs."""
    parser = argparse.ArgumentParser(prog="tools/receipts", description="Do receipts find their messages.")
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="of load (60)")
    add("--kills", type=int, default=2, help="how often the engine is killed and started again meanwhile (2)")
    add("--dialects", choices=tuple(SETS), default="usual", help="which six carriers (usual)")
    add("--rate", type=float, default=300.0, help="messages/s offered (300)")
    add("--seed", type=int, default=1, help="of the carriers' dice (1)")
    add("--delay", type=float, default=2.0, metavar="SECONDS", help="median of response to receipt (2)")
    add("--validity", type=float, default=60.0, metavar="SECONDS", help="of every message (60)")
    add("--grace", type=float, default=30.0, metavar="SECONDS", help="past it until we say UNKNOWN (30)")
    add("--adopt-after", type=float, default=10.0, metavar="SECONDS", help="adopt_after of the engine (10)")
    add("--no-pin", action="store_true", help="leave the choice of cores to the kernel")
    add("--folder", type=Path, help="put config, store and logs here and keep them (a folder that is not there yet)")
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(argv)


def main() -> int:
    """Run, print, and say 1 when a target was missed."""
    args = options()
    with folder(args.folder) as where:
        try:
            run = run_once(args, where)
        except bench.Failed as failed:
            print(f"tools/receipts: {failed}", file=sys.stderr)
            return 1
    wrong = faults(run)
    if args.json:
        machine = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
        knobs = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
        print(json.dumps({"machine": machine, "options": knobs, **run, "faults": wrong}, indent=1))
    else:
        table(run)
    for line in (*wrong, *run["examples"]):
        print(f"tools/receipts: {line}", file=sys.stderr)
    return 1 if wrong else 0


@contextlib.contextmanager
def folder(asked: Path | None) -> Any:
    """Where the run lives: a temporary folder, or the one asked for, which stays."""
    if asked is None:
        with tempfile.TemporaryDirectory(prefix="smsroute-receipts-") as where:
            yield Path(where)
    else:
        asked.mkdir(parents=True)
        yield asked


def faults(run: dict[str, Any]) -> list[str]:
    """Targets this run missed."""
    wrong = [f"{run[key]} {words}" for key, words in TARGETS if run[key]]
    if not run["matched"]:
        wrong.append("nothing was matched")
    return wrong


def run_once(args: argparse.Namespace, where: Path) -> dict[str, Any]:
    """Everything up, the load with a kill in its middle, everything down; the figures. Raises bench.Failed."""
    ports = bench.free_ports(len(SETS[args.dialects]) + 1)
    told = orders(args, where, ports)
    write_config(args, where, told)
    serve = [*bench.SMSROUTE, "serve", "--config", str(where), "--log-format", "json"]
    with contextlib.ExitStack() as stack:
        town = start(args, stack, where, "town", [sys.executable, str(TOWN), json.dumps(told)])
        bench.event(town, "ready", bench.READY_WITHIN_S, where / "town.log")
        engine = start(args, stack, where, "engine", serve)
        bench.await_ready(engine, where / "engine.log")
        assert town.stdin is not None
        began = datetime.datetime.now(datetime.UTC)
        town.stdin.write("go\n")
        town.stdin.flush()
        for life in range(1, args.kills + 1):
            bench.event(town, "kill", bench.READY_WITHIN_S + args.seconds, where / "town.log")
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            (where / "engine.log").rename(where / f"engine-{life}.log")
            engine = start(args, stack, where, "engine", serve)
            bench.await_ready(engine, where / "engine.log")
            town.stdin.write("up\n")
            town.stdin.flush()
        done = bench.event(town, "done", args.seconds + told["settle"] + bench.READY_WITHIN_S, where / "town.log")
        for name, row in done["carriers"].items():
            row["learnt"], row["learnt_s"] = learnt(where, name, began)
    del done["event"]
    done["unread"] = sum(row["refused"] for row in done["carriers"].values())
    return done


def learnt(where: Path, carrier: str, began: datetime.datetime) -> tuple[str, float]:
    """What `auto` learnt of a carrier's ids by the engine's log, and how many seconds after the traffic began."""
    for log in sorted(where.glob("engine*.log"), key=lambda path: path.stat().st_mtime):
        for line in log.read_text(encoding="utf-8").splitlines():
            if "ids.learnt" in line and (said := json.loads(line)).get("carrier") == carrier:
                at = datetime.datetime.fromisoformat(said["timestamp"])
                rule = re.search(r"learnt (\S+)", said["what"])
                return rule[1] if rule else said["what"], max(0.0, (at - began).total_seconds())
    return "", 0.0


def orders(args: argparse.Namespace, where: Path, ports: list[int]) -> dict[str, Any]:
    """What the town is told."""
    return {
        "seed": args.seed,
        "dialects": args.dialects,
        "kills": args.kills,
        "rate": args.rate,
        "seconds": args.seconds,
        "delay": args.delay,
        "settle": args.validity + args.grace + 30.0,
        "engine": ports[0],
        "carriers": dict(zip(SETS[args.dialects], ports[1:], strict=True)),
        "control": str(where / "control.sock"),
        "password": bench.PASSWORD,
    }


def write_config(args: argparse.Namespace, where: Path, told: dict[str, Any]) -> None:
    """The config folder of the run."""
    limits = f"validity_default: {args.validity:g}s, receipt_grace: {args.grace:g}s"
    if "adopt_after_s" in attrs.fields_dict(Limits):
        limits += f", adopt_after: {args.adopt_after:g}s"
    config = [
        "node: bench",
        f"listen: [{{address: '127.0.0.1:{told['engine']}'}}]",
        "store: 'sqlite:store'",
        "control: control.sock",
        f"limits: {{{limits}}}",
        "esmes:",
        f"  platform: {{password: {{plain: '{told['password']}'}}, window: 2000, rate: 1000000/s}}",
        "carriers:",
    ]
    for name, port in told["carriers"].items():
        config.append(
            f"  {name}: {{system_id: smsroute, password: {{plain: pw}}, window: 100, rate: {args.rate:g}/s, "
            f"reconnect_max: 5s, dialect: {SETS[args.dialects][name].dialect}, "
            f"binds: [{{address: '127.0.0.1:{port}', mode: transceiver, count: 2}}]}}"
        )
    choices = ", ".join(f"{{carrier: {name}, cost: 0.03, weight: 1}}" for name in told["carriers"])
    config += ["routes:", "  - {name: all, to: [''], prefer: balanced, carriers: [" + choices + "]}"]
    (where / "smsroute.yaml").write_text("\n".join(config) + "\n", encoding="utf-8")
    command = [*bench.SMSROUTE, "check", str(where)]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=bench.ROOT, check=False)
    if checked.returncode:
        raise bench.Failed(f"smsroute check refuses the run's own config:\n{checked.stderr}{checked.stdout}")


# --- what is said ---


def table(run: dict[str, Any]) -> None:
    """Figures for people."""
    print("".join(_cell(heading, width) for _, heading, width in COLUMNS).rstrip())
    for name, row in run["carriers"].items():
        rule = row["dialect"].strip("{}").removeprefix("ids: ").partition(",")[0]
        auto = f"  {row['learnt']} after {row['learnt_s']:.1f} s" if row["learnt"] else ""
        shown = {**row, "carrier": name, "ids": row["words"].split()[0].removeprefix("ids="), "rule": rule}
        print("".join(_cell(str(shown.get(key, auto)), width) for key, _, width in COLUMNS).rstrip())
    total = {**run, "carrier": "all", "ids": "", "rule": "", "auto": ""}
    print("".join(_cell(str(total[key]), width) for key, _, width in COLUMNS).rstrip())
    print(
        f"\n{run['accepted']} accepted in {run['seconds']:.0f} s; match rate {run['match_rate']:.3%}; wrong "
        f"{run['wrong']}; told twice {run['twice']}, never {run['never_told']}; by timer {run['told_by_timer']}; "
        f"again after the kill {run['again_after_kill']}; without response {run['without_response']}; "
        f"down {run['down_s']:.1f} s"
    )


def _cell(text: str, width: int) -> str:
    return f"{text:<{-width}}" if width <= 0 else f"{text:>{width}}"


if __name__ == "__main__":
    sys.exit(main())
