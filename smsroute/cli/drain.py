"""`smsroute drain|resume carrier|bind|esme NAME`: take it out without losing anything, and bring it back.

Rules:
- A drained carrier or bind gets nothing new, parts queued there move, answers and receipts still come; a drained ESME
  is asked to unbind and what it is owed waits.
- It lasts until `resume`, or until the engine starts anew.
- Exit 0 when done, 1 when no engine answers or there is no such thing.

Walk: `ops/verbs` does it in the running engine, and logs who asked and why.
"""

from __future__ import annotations

import argparse
import sys

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, find_engine, print_json

KINDS = ("carrier", "bind", "esme")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("kind", choices=KINDS, metavar="carrier|bind|esme")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--reason", default="", help="why; `health`, `explain` and the log show it")


def run(args: argparse.Namespace) -> int:
    """Ask for it and say 0 or 1."""
    request = {"verb": args.verb, "kind": args.kind, "name": args.name, "reason": args.reason}
    try:
        done = ask.ask(find_engine(args).control, request)
    except (ask.Unreachable, ask.Refused) as error:
        if args.json:
            print_json({"error": str(error)})
        print(f"smsroute {args.verb}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print_json(done)
    elif args.verb == "drain":
        undo = f"smsroute resume {args.kind} {args.name}"
        print(f"{args.kind} {args.name} is drained: {done['drained']}; {done['waits']}. Undo: {undo}")
    else:
        was = f"it was drained: {done['was']}" if done["was"] else "it was not drained"
        print(f"{args.kind} {args.name} is in use; {was}")
    return 0
