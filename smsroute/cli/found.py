"""Messages found by what others have of them: a carrier's id in any form, a handset's number. `smsroute trace`'s lists.

Rules:
- A running engine brings its store up to the moment first, then the store is read here: looking up a number costs the
  engine one checkpoint, however many messages there are. Without an engine the journal is replayed as well.
- One message found by a carrier's id is shown whole; several are listed, with the way to each.
- Exit 0 when something was found, 1 when not, 2 for words that make no sense.

Walk: `cli/trace` calls `run`; `ops/search` knows the forms and makes the rows.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from smsroute.cli import ask, trace
from smsroute.cli.common import columns, find_engine, paint, print_json, whole_numbers
from smsroute.cli.when import span
from smsroute.ops.words import clock, unix

if TYPE_CHECKING:
    from smsroute.config import Places
    from smsroute.message import Part

Document = dict[str, Any]


def run(args: argparse.Namespace) -> int:
    """Find, show, and say 0, 1 or 2."""
    from smsroute.store.base import StoreError

    try:
        document = _by_number(args) if args.to else _by_carrier_id(args)
    except ValueError as error:
        print(f"smsroute trace: {error}", file=sys.stderr)
        return 2
    except (StoreError, ask.Refused) as error:
        document = {"messages": [], "error": str(error)}
    messages = document["messages"]
    if len(messages) == 1 and args.carrier_id:
        args.id = messages[0]["id"]
        return trace.one(args, messages[0]["matched"])
    if args.json:
        print_json(document)
    if not messages:
        print(f"smsroute trace: {document.get('error') or _nothing(args)}", file=sys.stderr)
        return 1
    if not args.json:
        _show(args, document)
    return 0


def settle(places: Places) -> str:
    """Have a running engine bring its store up to this moment. Who the store's word is of: "engine", or why not."""
    try:
        at = unix(ask.ask(places.control, {"verb": "checkpoint"}, ask.SETTLE_TIMEOUT_S)["at"])
    except ask.Unreachable:
        return "no engine runs"
    except ask.Refused as error:
        return str(error)
    late_s = ask.now() - at
    return "engine" if late_s < ask.SETTLE_TIMEOUT_S else f"the engine's last checkpoint is {late_s:.0f} s old"


def _by_number(args: argparse.Namespace) -> Document:
    """Raises ValueError and StoreError."""
    from smsroute.ops.search import listed, numbers
    from smsroute.store import open_reader

    now = ask.now()
    since, until = span(args, now)
    wanted = numbers(args.to)
    places = find_engine(args)
    source = settle(places)
    reader = open_reader(places.store)
    try:
        found = {part.part_id: part for part in reader.addressed(wanted, since, until, args.limit)}
        if source == "no engine runs":
            found |= {
                part.part_id: part
                for part in trace.replayed(reader).parts.values()
                if part.destination_addr in wanted and since <= part.accepted_at < until
            }
    finally:
        reader.close()
    parts = sorted(found.values(), key=lambda part: part.accepted_at, reverse=True)[: args.limit]
    return {"messages": listed(parts, now, whole_numbers(args, places)), "source": source}


def _by_carrier_id(args: argparse.Namespace) -> Document:
    """Raises StoreError and ask.Refused."""
    places = find_engine(args)
    request = {"verb": "named", "id": args.carrier_id, "carrier": args.carrier, "reveal": args.reveal}
    try:
        return {"messages": ask.ask(places.control, request)["messages"], "source": "engine"}
    except ask.Unreachable:
        return {"messages": _named_in_store(args, places), "source": "no engine runs"}


def _named_in_store(args: argparse.Namespace, places: Places) -> list[Document]:
    from smsroute.config import ConfigErrors, load
    from smsroute.ops.search import best, forms, hits, in_memory, part_ids, told
    from smsroute.store import open_reader

    keys = forms(args.carrier_id)
    try:
        carriers = [args.carrier] if args.carrier else list(load(places.directory, {}, secrets=False).carriers)
    except ConfigErrors as errors:
        raise ask.Refused(f"the config cannot be read, expected --carrier NAME: {errors.errors[0]}") from errors
    reader = open_reader(places.store)
    try:
        ledger = trace.replayed(reader)
        rows = [
            hit
            for name in carriers
            for hit in hits(name, {**part_ids(reader.find(name, list(keys))), **in_memory(ledger, name, keys)}, keys)
        ]
        chosen = best(rows)
        parts: dict[str, Part | None] = {
            hit.part_id: ledger.parts.get(hit.part_id) or reader.story(hit.part_id) for hit in chosen
        }
    finally:
        reader.close()
    return told(chosen, parts, ask.now(), reveal=whole_numbers(args, places))


def _nothing(args: argparse.Namespace) -> str:
    if args.to:
        return f"no message to {args.to} was accepted from {args.since} until {args.until}"
    of = args.carrier or "any carrier"
    return f"no message that {of} calls {args.carrier_id!r}, in any of the forms carriers write ids in"


def _show(args: argparse.Namespace, document: Document) -> None:
    now, messages = ask.now(), document["messages"]
    rows = [["ID", "ACCEPTED", "STATE", "CARRIER", "TRIES", "ESME", "FROM", "TO", "WHY"]]
    rows += [
        [
            one["id"],
            clock(unix(one["accepted_at"]), now),
            one["state"].upper(),
            one["carrier"],
            str(one["attempts"]),
            one["esme"],
            one["from"],
            one["to"],
            _matched(one) + one["why"],
        ]
        for one in messages
    ]
    print("\n".join(columns(rows)))
    more = f", the latest {args.limit}: --limit N shows more" if len(messages) == args.limit else ""
    print(f"{len(messages)} message{'' if len(messages) == 1 else 's'}{more}; smsroute trace ID tells the story of one")
    if document["source"] != "engine":
        print(paint(f"  read from the store: {document['source']}", "dim"))


def _matched(one: Document) -> str:
    return (
        f"{one['matched']['id']} of {one['matched']['carrier']}, {one['matched']['how']}; " if "matched" in one else ""
    )
