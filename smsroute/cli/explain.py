"""`smsroute explain`: which way would a message go now, and why not the others.

Rules:
- A running engine is asked, and answers with what it knows this moment; without one the config alone answers, taking
  every carrier as well, and says so.
- Exit 0 when there is a way, 1 when there is none.

Walk: `ops/explain` makes the document, in the engine (`ops/verbs`) or here.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, find_engine, load_config, paint, print_json

Document = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("--to", required=True, metavar="NUMBER", help="whom the message is for, such as +33612345678")
    parser.add_argument("--from", dest="sender", default="", metavar="SENDER", help="its source_addr")
    parser.add_argument("--esme", default="", metavar="NAME", help="who sends it (default: nobody in particular)")
    parser.add_argument("--class", dest="kind", default="", metavar="CLASS", help="otp, alert, info, marketing")
    parser.add_argument("--data-coding", default="", metavar="N", help="its data_coding, such as 8 (default: 0)")
    at = "when, such as '2026-12-25 09:00' (UTC) or '2026-12-25 09:00+01:00' (default: now)"
    parser.add_argument("--at", default="", metavar="TIME", help=at)
    parser.add_argument("--offline", action="store_true", help="ask no engine: by the config alone")


def run(args: argparse.Namespace) -> int:
    """Ask or work it out, show it, and say 0 or 1."""
    request = {
        "verb": "explain",
        "to": args.to,
        "from": args.sender,
        "esme": args.esme,
        "class": args.kind,
        "data_coding": args.data_coding,
        "at": args.at,
    }
    try:
        document = _offline(args) if args.offline else ask.ask(find_engine(args).control, request)["explanation"]
    except ask.Unreachable:
        document = _offline(args)
    except ask.Refused as error:
        document = {"ok": False, "error": str(error)}
    if args.json:
        print_json(document)
    elif "error" in document:
        print(f"smsroute explain: {document['error']}", file=sys.stderr)
    else:
        _show(document)
    return 0 if document["ok"] else 1


def _offline(args: argparse.Namespace) -> Document:
    from smsroute.ops.explain import Unanswerable, explain, neutral, question
    from smsroute.ports import SystemClock
    from smsroute.routing.table import Table

    config = load_config(args, secrets=False)
    try:
        now = SystemClock().wall()
        asked = question(config, now, args.to, args.sender, args.esme, args.kind, args.data_coding, args.at)
    except Unanswerable as error:
        return {"ok": False, "error": str(error)}
    return explain(asked, Table.of(config), neutral(config), running=False)


def _show(document: Document) -> None:
    who = f"from {document['from']} " if document["from"] else ""
    by = f"of {document['esme']}" if document["esme"] else "of no ESME in particular"
    print(paint(f"{document['to']}  {who}{by}, class {document['class']}", "bold"))
    if not document["running"]:
        print(paint("no engine asked: by the config alone, every carrier taken as well and idle", "yellow"))
    if document["door"] is not None:
        print(f"{paint('refused at the door', 'red')}: {document['door']['reason']} ({document['door']['status']})")
    if document["route"] is None:
        print(f"{paint('NO ROUTE', 'red')}  {document['reason']}")
    else:
        _show_way(document)
    others = [rule for rule in document["rules"] if rule["why_not"]]
    if others:
        print("other rules for this number")
    for rule in others:
        print(f"  {rule['route']} ({rule['place']}): {rule['why_not']}")


def _show_way(document: Document) -> None:
    network = f", network {document['network']}" if document["network"] != document["prefix"] else ""
    prefix = f"prefix {document['prefix'] or 'any'}{network}"
    print(f"route {paint(document['route'], 'bold')} ({document['place']}), {prefix}")
    if document["choices"]:
        print(f"  {document['reason']}")
    else:
        waiting = document["waiting"]
        print(f"  {paint('NO CARRIER', 'red')} can take it now; at {waiting['carrier']} it {waiting['reason']}")
    width = max((len(one["carrier"]) for one in (*document["choices"], *document["refused"])), default=0)
    for choice in document["choices"]:
        name = f"{choice['carrier']:<{width}}"
        room = f"; {choice['in_flight']} in flight, {choice['queued']} queued" if document["running"] else ""
        print(f"  {paint(name, 'green')}  {choice['share']:>4.0%}  {choice['reason']}{room}")
    for probe in document["probes"]:
        print(f"  {probe['carrier']:<{width}}   one   {probe['reason']}")
    for refused in document["refused"]:
        print(f"  {paint(format(refused['carrier'], f'<{width}'), 'red')}    no  {refused['reason']}")
