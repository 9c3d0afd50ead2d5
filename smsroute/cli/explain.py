"""`smsroute explain`: which way would a message go now, or why did one go that way, and why not the others.

Rules:
- A running engine is asked, and answers with what it knows this moment; without one the carriers are taken as they were
  recorded last, or as well and idle where nothing was recorded, and the answer says which.
- With an ID it shows the decision that stood at each attempt of that message, engine or not.
- Exit 0 when there is a way (or such a message), 1 when there is none.

Walk: `ops/explain` makes the document, in the engine (`ops/verbs`) or here; `trace` finds messages; `decided` prints.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final

from smsroute.cli import ask, trace
from smsroute.cli.common import add_config, add_json, find_engine, load_config, paint, print_json
from smsroute.cli.decided import candidates
from smsroute.ops.words import age, clock, unix

if TYPE_CHECKING:
    from smsroute.config import Config
    from smsroute.ops.past import Past

Document = dict[str, Any]

ASSUME: Final = "as if a carrier were down, slow, drained or well; may be repeated"
DECISIONS_MAX: Final = 10_000  # read to learn how carriers stood last: one for each route, network and class


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="a message: why did it go that way")
    parser.add_argument("--to", default="", metavar="NUMBER", help="whom the message is for, such as +33612345678")
    parser.add_argument("--from", dest="sender", default="", metavar="SENDER", help="its source_addr")
    parser.add_argument("--esme", default="", metavar="NAME", help="who sends it (default: nobody in particular)")
    parser.add_argument("--class", dest="kind", default="", metavar="CLASS", help="otp, alert, info, marketing")
    parser.add_argument("--data-coding", default="", metavar="N", help="its data_coding, such as 8 (default: 0)")
    at = "when, such as '2026-12-25 09:00' (UTC) or '2026-12-25 09:00+01:00' (default: now)"
    parser.add_argument("--at", default="", metavar="TIME", help=at)
    parser.add_argument("--assume", action="append", default=[], metavar="HOW=CARRIER", help=ASSUME)
    parser.add_argument("--mo", action="store_true", help="whose is what a handset --from writes --to our number")
    parser.add_argument("--text", default="", metavar="TEXT", help="with --mo: what it writes")
    parser.add_argument("--carrier", default="", metavar="NAME", help="with --mo: by which carrier it comes")
    parser.add_argument("--offline", action="store_true", help="ask no engine: by the config and what was recorded")
    parser.add_argument("--reveal", action="store_true", help="show whole numbers (of an ID)")


def run(args: argparse.Namespace) -> int:
    """Ask or work it out, show it, and say 0 or 1."""
    if bool(args.id) == bool(args.to):
        print("smsroute explain: expected an ID, or --to NUMBER, and not both", file=sys.stderr)
        return 2
    if args.id:
        return trace.one(args)
    request = {
        "verb": "explain",
        "to": args.to,
        "from": args.sender,
        "esme": args.esme,
        "class": args.kind,
        "data_coding": args.data_coding,
        "at": args.at,
        "assume": args.assume,
    }
    if args.mo:
        asked = {"to": args.to, "from": args.sender, "text": args.text, "carrier": args.carrier}
        request = {"verb": "explain", "mo": True, **asked}
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
    elif args.mo:
        _show_owner(document)
    else:
        _show(document)
    return 0 if document["ok"] else 1


def _offline(args: argparse.Namespace) -> Document:
    from smsroute.ops.explain import Unanswerable, assumptions, explain, offline, question
    from smsroute.ports import SystemClock
    from smsroute.routing.table import Table

    config = load_config(args, secrets=False)
    if args.mo:
        from smsroute.ops.owned import owned

        return owned(config, args.to, args.sender, args.text, args.carrier, running=False)
    try:
        now = SystemClock().wall()
        asked = question(config, now, args.to, args.sender, args.esme, args.kind, args.data_coding, args.at)
        assumed = assumptions(config, args.assume)
    except Unanswerable as error:
        return {"ok": False, "error": str(error)}
    planner = offline(config, _past(config, now), now, assumed)
    return explain(asked, Table.of(config), planner, running=False, assumptions=assumed)


def _past(config: Config, now: float) -> Past:
    """How the carriers stood when an engine last decided; nothing known where there is no store, or none kept."""
    from smsroute.ops.past import Past, read
    from smsroute.store import open_reader
    from smsroute.store.base import StoreError

    try:
        reader = open_reader(config.store)
    except StoreError:
        return Past([], config.carriers)
    try:
        return Past(read(reader.decisions(now, now, DECISIONS_MAX))[0], config.carriers)
    except StoreError:
        return Past([], config.carriers)
    finally:
        reader.close()


def _show(document: Document) -> None:
    who = f"from {document['from']} " if document["from"] else ""
    by = f"of {document['esme']}" if document["esme"] else "of no ESME in particular"
    print(paint(f"{document['to']}  {who}{by}, class {document['class']}", "bold"))
    if not document["running"]:
        print(paint(f"no engine asked: {_source(document)}", "yellow"))
    if document["assumed"]:
        said = ", ".join(f"{carrier} {how}" for carrier, how in document["assumed"].items())
        print(paint(f"assumed: {said}", "yellow"))
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


def _show_owner(document: Document) -> None:
    who = f"from {document['from']} " if document["from"] else ""
    by = f"through {document['carrier']}" if document["carrier"] else "through a carrier that no rule names"
    word = f", first word {document['word']}" if document["word"] else ""
    print(paint(f"handset {who}to {document['to']}{word}, {by}", "bold"))
    if not document["running"]:
        print(paint("no engine asked: by the config alone", "yellow"))
    owner = document["owner"]
    if owner is None:
        print(f"{paint('NOBODY', 'red')}: its carrier is answered {document['status']}")
    else:
        print(f"{paint(owner['esme'], 'bold')}, by the rule {owner['rule']} for {owner['to']}")
    others = [rule for rule in document["rules"] if rule["why_not"]]
    if others:
        print("other rules for this number")
    for rule in others:
        print(f"  {rule['rule']} ({rule['esme']}) for {rule['to']}: {rule['why_not']}")


def _source(document: Document) -> str:
    if not document.get("recorded_at"):
        return "by the config alone, every carrier taken as well and idle"
    at, now = unix(document["recorded_at"]), ask.now()
    return f"by the config, and the carriers as last recorded {clock(at, now)} ({age(now - at)} ago)"


def _show_way(document: Document) -> None:
    network = f", network {document['network']}" if document["network"] != document["prefix"] else ""
    prefix = f"prefix {document['prefix'] or 'any'}{network}"
    print(f"route {paint(document['route'], 'bold')} ({document['place']}), {prefix}")
    if document["choices"]:
        print(f"  {document['reason']}")
    else:
        waiting = document["waiting"]
        print(f"  {paint('NO CARRIER', 'red')} can take it now; at {waiting['carrier']} it {waiting['reason']}")
    for line in candidates(document["candidates"], "  ", numbers=True):
        print(line)
