"""`smsroute health`: is it well; which carrier, network, bind or ESME is sick, since when, and why.

Rules:
- Exit codes are those of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown (no engine answers, wrong usage).
- The first line alone answers the question, for a pager; what is wrong follows, then the tables.
- `--json` prints the engine's document as it is; `--watch` shows it again and again until Ctrl-C.

Walk: asks `ops/verbs` over the control socket; the document is made by `ops/snapshot`.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, coloured, find_engine, print_json

EXITS: Final = {"ok": 0, "warning": 1, "critical": 2}
UNKNOWN: Final = 3
WATCH_S: Final = 2.0
CLEAR: Final = "\x1b[H\x1b[2J\x1b[3J"

Document = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_interval,
        const=WATCH_S,
        metavar="SECONDS",
        help=f"show it again every so many seconds (default: {WATCH_S:g}); with --json one document a line",
    )


def run(args: argparse.Namespace) -> int:
    """Ask, show, and say 0, 1, 2 or 3."""
    control = find_engine(args).control
    if args.watch is None:
        return _once(args, control)
    code = UNKNOWN
    try:
        while True:
            if not args.json and sys.stdout.isatty():
                print(CLEAR, end="")
            code = _once(args, control)
            sys.stdout.flush()
            ask.pause(args.watch)
    except KeyboardInterrupt:
        return code


def _once(args: argparse.Namespace, control: Any) -> int:
    try:
        document = ask.ask(control, {"verb": "health"})
    except (ask.Unreachable, ask.Refused) as error:
        if args.json:
            _print_json(args, {"status": "unknown", "reasons": [{"severity": "unknown", "reason": str(error)}]})
        else:
            print(f"UNKNOWN  {error}")
        return UNKNOWN
    if args.json:
        _print_json(args, document)
    else:
        from smsroute.cli.health_table import show

        show(document, coloured())
    return EXITS.get(document["status"], UNKNOWN)


def _print_json(args: argparse.Namespace, document: Document) -> None:
    if args.watch is None:
        print_json(document)
    else:
        print(json.dumps(document, ensure_ascii=False))


def _interval(text: str) -> float:
    seconds = float(text.removesuffix("s"))
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 0.1 to 3600 seconds")
    return seconds
