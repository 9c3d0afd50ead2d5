"""`smsroute orphans`: receipts that match no message yet, by carrier: how many, how old, which, and why.

Rules:
- Read from the store; a running engine brings that up to the moment first.
- Numbers are masked unless --reveal. Exit 0, also when none is parked; 1 when the store cannot be read.

Walk: `store.Reader.orphans` gives them, `ops/orphans` makes the document.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, columns, find_engine, paint, print_json, whole_numbers
from smsroute.cli.found import settle
from smsroute.ops.words import age, clock, unix

Document = dict[str, Any]

SAMPLE: int = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("--carrier", default="", metavar="NAME", help="of this carrier only")
    parser.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help=f"show so many a carrier ({SAMPLE})")
    parser.add_argument("--reveal", action="store_true", help="show whole numbers")


def run(args: argparse.Namespace) -> int:
    """Read, show, and say 0 or 1."""
    from smsroute.config import ConfigErrors, load
    from smsroute.ops.orphans import document
    from smsroute.store import open_reader
    from smsroute.store.base import StoreError

    places = find_engine(args)
    source = settle(places)
    try:
        reader = open_reader(places.store)
        try:
            parked = [one for one in reader.orphans() if args.carrier in ("", one.carrier)]
            void = [row for row in reader.void_ids() if args.carrier in ("", row[0])]
        finally:
            reader.close()
    except StoreError as error:
        if args.json:
            print_json({"error": str(error)})
        print(f"smsroute orphans: {error}", file=sys.stderr)
        return 1
    try:
        config = load(places.directory, {}, secrets=False)
        carriers, ttl_s = config.carriers, config.limits.orphan_ttl_s
    except ConfigErrors:  # half-way through an edit
        carriers, ttl_s = {}, None
    sample, reveal = max(0, args.sample), whole_numbers(args, places)
    told = document(parked, carriers, ask.now(), sample=sample, reveal=reveal, void=void)
    told |= {"source": source, "ttl_s": ttl_s}
    if args.json:
        print_json(told)
    else:
        _show(told, args.carrier)
    return 0


def _show(told: Document, carrier: str) -> None:
    now, ttl = ask.now(), f", let go after {age(told['ttl_s'])}" if told["ttl_s"] else ""
    of = f" of {carrier}" if carrier else ""
    print(f"{told['total']:,} receipt{'' if told['total'] == 1 else 's'}{of} match nothing{ttl}")
    for one in told["carriers"]:
        because = ", ".join(f"{count:,} {why}" for why, count in one["why"].items())
        name, oldest = paint(one["carrier"], "bold"), age(one["oldest_s"])
        print(f"\n{name}  {one['parked']:,} parked, the oldest {oldest} ago: {because}")
        rows = [["  CAME", "AGE", "TO", "WORD", "ERR", "ID AS WRITTEN"]]
        rows += [
            [
                f"  {clock(unix(row['at']), now)}",
                age(row["age_s"]),
                row["to"],
                row["word"],
                row["err"],
                ", ".join(row["ids"][:1]),
            ]
            for row in one["sample"]
        ]
        if one["sample"]:
            print("\n".join(columns(rows)))
    for one in told["void_ids"]:
        name = paint(one["carrier"], "bold")
        print(f"\n{name}  calls message after message {one['id']}: it names none, and its receipts are let go")
    if told["source"] != "engine":
        print(paint(f"  read from the store: {told['source']}", "dim"))
