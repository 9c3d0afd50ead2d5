"""`smsroute reload`: the running engine reads its config folder again.

Rules:
- All or nothing: with one error in the folder nothing changes, and every error is printed.
- It is the folder the engine was started on, whatever `--config` says: that only finds the engine.
- Exit 0 when the new config runs, 1 when it does not or no engine answers.

Walk: `ops/reload` does it in the engine; SIGHUP asks for the same.
"""

from __future__ import annotations

import argparse
import sys

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, find_engine, print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it and say 0 or 1."""
    try:
        done = ask.ask(find_engine(args).control, {"verb": "reload"})
    except (ask.Unreachable, ask.Refused) as error:
        if args.json:
            print_json({"error": str(error)})
        print(f"smsroute reload: {error}", file=sys.stderr)
        return 1
    if args.json:
        print_json(done)
        return 0 if done["reloaded"] else 1
    for line in (*done["errors"], *done["warnings"]):
        print(line, file=sys.stderr)
    if not done["reloaded"]:
        print(f"smsroute reload: refused, config {done['config']} goes on", file=sys.stderr)
        return 1
    waits = f"; {', '.join(done['waits'])} as they were until the next start" if done["waits"] else ""
    print(f"config {done['config']} runs{waits}")
    return 0
