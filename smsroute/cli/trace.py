"""`smsroute trace ID`: one message's whole story, every attempt and receipt with times and reasons.

Rules:
- ID is ours, or a carrier's for a message it took. A running engine is asked; without one the store is read as it lies:
  the last checkpoint and the journal behind it, nothing written.
- `--carrier-id` tries the forms carriers write one id in, and says which one it was; `--to` lists what went to a
  number. Where several messages are meant they are listed (`cli/found`), to be traced by our id.
- Numbers are masked unless --reveal, which a running engine writes to its log with the caller's uid. The text is never
  shown.
- The decisions that stood at its attempts are shown where they are kept; `smsroute explain ID` shows all of them.
- Exit 0 when found, 1 when not.

Walk: `ops/story` makes the document, in the engine (`ops/verbs`) or here.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, find_engine, paint, print_json
from smsroute.cli.decided import attempts
from smsroute.cli.when import add_span
from smsroute.ops.words import clock, unix

if TYPE_CHECKING:
    from smsroute.config import Places
    from smsroute.ledger import Ledger
    from smsroute.message import Part
    from smsroute.routing.record import Record
    from smsroute.store.base import Reader

Document = dict[str, Any]


class NotFound(Exception):
    """No such message; says what was expected."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="the id we gave, or one a carrier gave")
    parser.add_argument("--carrier-id", default="", metavar="ID", help="a carrier's id, in whatever form it writes it")
    parser.add_argument("--carrier", default="", metavar="NAME", help="whose id that is (default: anybody's)")
    parser.add_argument("--to", default="", metavar="NUMBER", help="list what went to a number")
    add_span(parser, "-1d")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="list at most so many (default: 50)")
    parser.add_argument("--reveal", action="store_true", help="show whole numbers")


def run(args: argparse.Namespace) -> int:
    """Find, show, and say 0 or 1."""
    if sum(map(bool, (args.id, args.carrier_id, args.to))) != 1 or (args.carrier and not args.carrier_id):
        print("smsroute trace: expected one of ID, --carrier-id ID [--carrier NAME], --to NUMBER", file=sys.stderr)
        return 2
    if args.id:
        return one(args)
    from smsroute.cli import found

    return found.run(args)


def one(args: argparse.Namespace, matched: Document | None = None) -> int:
    """One message by its id; `smsroute explain ID` shows why instead of what. `matched`: by which carrier's id it was
    found."""
    try:
        document = find(find_engine(args), args.id, args.reveal, offline=getattr(args, "offline", False))
        if matched is not None:
            document["matched"] = matched
    except NotFound as error:
        if args.json:
            print_json({"error": str(error)})
        print(f"smsroute {args.verb}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print_json(document)
    elif args.verb == "trace":
        _show(document)
    else:
        _show_why(document)
    return 0


def find(places: Places, wanted: str, reveal: bool, *, offline: bool = False) -> Document:
    """The story of a message, from the engine or, without one or when it is not to be asked (`offline`), from its
    store. Raises NotFound."""
    from smsroute.store.base import StoreError

    request = {"verb": "trace", "id": wanted, "reveal": reveal}
    try:
        if offline:
            raise ask.Unreachable("no engine asked")
        document: Document = ask.ask(places.control, request)["story"]
        document["source"] = "engine"
    except ask.Unreachable as nobody:
        try:
            document = _from_store(places, wanted, reveal)
            document["why_store"] = "no engine asked" if offline else "no engine runs"
        except (NotFound, StoreError) as error:
            raise NotFound(f"{error} ({nobody})") from error
    except ask.Refused as error:
        raise NotFound(str(error)) from error
    return document


def _from_store(places: Places, wanted: str, reveal: bool) -> Document:
    """The story as the disk tells it. Raises NotFound or StoreError."""
    from smsroute.ops.story import story, unknown
    from smsroute.store import open_reader

    reader = open_reader(places.store)
    try:
        part = _in_journal(reader, wanted) or _in_history(reader, wanted, places)
        decisions = _decisions(reader, part, places) if part is not None else []
    finally:
        reader.close()
    if part is None:
        raise NotFound(unknown(wanted, places.node))
    document = story(part, ask.now(), reveal=reveal or not places.mask_numbers, decisions=decisions)
    document["source"] = "store"
    return document


def _decisions(reader: Reader, part: Part, places: Places) -> list[Record | None]:
    """Which decision stood at each attempt, as far as they are kept and can be read."""
    from smsroute.config import ConfigErrors, load
    from smsroute.ops.past import decisions_of
    from smsroute.routing.table import Table
    from smsroute.store.base import StoreError

    try:
        table: Table | None = Table.of(load(places.directory, {}, secrets=False))
    except ConfigErrors:  # half-way through an edit: the number itself tells its network mostly
        table = None
    try:
        return decisions_of(reader, part, table)
    except StoreError:  # written by an engine that kept none
        return []


def _in_journal(reader: Reader, wanted: str) -> Part | None:
    """The part as a ledger would know it after the checkpoint and every row behind it."""
    ledger = replayed(reader)
    for part_id in (wanted, wanted.upper()):
        if part_id in ledger.parts:
            return ledger.parts[part_id]
    named = (part for part in ledger.parts.values() if any(one.carrier_message_id == wanted for one in part.attempts))
    return next(named, None)


def replayed(reader: Reader) -> Ledger:
    """What a dead engine knew at its last commit. Raises StoreError."""
    from smsroute.config import Limits
    from smsroute.ledger import Ledger

    limits = Limits()
    ledger = Ledger(orphans_max=limits.orphans_max, multiparts_max=limits.multiparts_max)
    recovered = reader.recover()
    if recovered.checkpoint is not None:
        ledger.restore(recovered.parts(), recovered.checkpoint.state, recovered.owed)
    for _, events in recovered.events():
        for event in events:
            ledger.apply(event)
    ledger.settle(reader.owed_among(list(ledger.pages.claims)))
    return ledger


def _in_history(reader: Reader, wanted: str, places: Places) -> Part | None:
    part = reader.story(wanted) or reader.story(wanted.upper())
    if part is not None:
        return part
    from smsroute.config import ConfigErrors, load

    try:
        carriers = load(places.directory, {}, secrets=False).carriers
    except ConfigErrors:  # half-way through an edit: then only our own ids are found
        return None
    for carrier in carriers:
        owner = reader.find(carrier, [wanted]).get(wanted)
        if owner is not None:
            return reader.story(owner.part_id)
    return None


def _show(document: Document) -> None:
    now = ask.now()
    _show_head(document)
    if "matched" in document:
        matched = document["matched"]
        print(f"  found as {matched['id']} of {matched['carrier']}: the id {matched['how']}")
    if "multipart" in document:
        print(f"  one of {document['multipart']['parts']} parts, reference {document['multipart']['reference']}")
    for line in document["lines"]:
        print(f"  {clock(unix(line['at']), now)}  {line['after_s']:>+10.3f}s  {line['what']}")
    why = attempts(document, now, numbers=False)
    for line in ["why", *why] if why else []:
        print(line)
    _show_foot(document)


def _show_why(document: Document) -> None:
    _show_head(document)
    for line in attempts(document, ask.now(), numbers=True) or ["  no attempt yet"]:
        print(line)
    _show_foot(document)


def _show_head(document: Document) -> None:
    sender = f" from {document['from']}" if document["from"] else ""
    head = f"{document['id']}  to {document['to']}{sender}, {document['class']} of {document['esme']}"
    colour = "green" if document["state"] == "delivered" else "red" if document["final"] else "yellow"
    print(f"{paint(head, 'bold')}  {paint(document['state'].upper(), colour)}")


def _show_foot(document: Document) -> None:
    if document["now"]:
        print(f"  now {document['now']}")
    if document["source"] == "store":
        print(paint(f"  read from the store: {document['why_store']}", "dim"))
