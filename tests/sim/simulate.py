"""`tools/simulate`: run simulated worlds by seed, and replay one that broke.

Rules:
- What it prints first is everything the seed drew; the last line of a failure is the command that replays it.
- Exit 1 when a world broke.

Walk: a face of `world.run_options`; the same worlds as `test_world.py`, as many as one likes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import attrs

from tests.sim.faults import FAULTS
from tests.sim.options import options
from tests.sim.scenarios import SCENARIOS
from tests.sim.world import Broken, run_options


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="tools/simulate", description="Simulated worlds, by seed.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds from there on; 0: until one breaks")
    parser.add_argument("--scenario", choices=SCENARIOS, help="a named world instead of a drawn one")
    parser.add_argument("--faults", help=f"instead of the drawn ones, comma separated: {', '.join(FAULTS)}")
    parser.add_argument("--safety", type=float, help="seconds of trouble instead of a minute, with traffic throughout")
    parser.add_argument("--trace", action="store_true", help="print every PDU, log line and fault")
    parser.add_argument("--twice", action="store_true", help="run each seed twice and compare the traces' digests")
    asked = parser.parse_args(arguments)
    broken = 0
    seeds = itertools.count(asked.seed) if asked.count == 0 else range(asked.seed, asked.seed + asked.count)
    for seed in seeds:
        drawn = SCENARIOS[asked.scenario](seed) if asked.scenario else options(seed)
        if asked.faults is not None:
            drawn = attrs.evolve(drawn, faults=tuple(name for name in asked.faults.split(",") if name))
        if asked.safety is not None:
            drawn = drawn.longer(asked.safety)
        if asked.count == 1:
            print("\n".join(drawn.lines()), end="\n\n", flush=True)
        started = time.perf_counter()
        replay = f"--scenario {asked.scenario} " if asked.scenario else ""
        replay += f"--faults {','.join(drawn.faults)} " if asked.faults is not None else ""
        replay += f"--safety {asked.safety:g} " if asked.safety is not None else ""
        drawn = attrs.evolve(drawn, replay=f"tools/simulate {replay}--seed {seed}")
        try:
            report = run_options(drawn, print if asked.trace else None)
            if asked.twice and run_options(drawn).digest != report.digest:
                raise Broken(f"two runs of seed {seed} differ")
        except Broken as error:
            print(error, flush=True)
            broken += 1
            if asked.count == 0:
                break
            continue
        real_s = time.perf_counter() - started
        ends = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
        print(f"seed {seed}: {report.virtual_s:.0f} s in {real_s:.1f} s, {report.digest}; {ends}", end="; ")
        print(f"longest wait {report.longest_wait_s:.1f} s", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
