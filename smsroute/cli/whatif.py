"""`smsroute whatif DIR`: the messages of the last hour over another config: share moved, cost, who finds no way.

Rules:
- Only the store is read, beside a running engine or without one; nothing is asked of it and nothing written.
- The messages are those of the last checkpoint: the last `checkpoint_interval` is not in it.
- Numbers are masked unless --reveal.
- Exit 0, or 1 when a message that has a way now would have none.

Walk: `ops/whatif` reckons.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from smsroute.cli import ask
from smsroute.cli.common import ConfigWrong, add_config, add_json, load_config, paint, print_json
from smsroute.ops.words import age, clock, unix

if TYPE_CHECKING:
    from smsroute.config import Config

Document = dict[str, Any]

SINCE: Final = "1h"
MESSAGES_MAX: Final = 20_000
DECISIONS_MAX: Final = 50_000
NETWORKS_SHOWN: Final = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("directory", metavar="DIR", help="the proposed config folder")
    back = f"how far back, such as 6h (default: {SINCE})"
    parser.add_argument("--since", default=SINCE, metavar="DURATION", help=back)
    wanted = f"look at about so many messages, evenly chosen (default: {MESSAGES_MAX})"
    parser.add_argument("--limit", type=int, default=MESSAGES_MAX, metavar="N", help=wanted)
    parser.add_argument("--reveal", action="store_true", help="show whole numbers in examples")


def run(args: argparse.Namespace) -> int:
    """Reckon, show, and say 0 or 1."""
    from smsroute.config.kinds import Misread, Seconds
    from smsroute.store.base import StoreError

    try:
        since_s = Seconds(1, 3650 * 86400).read(args.since)
    except Misread as error:
        print(f"smsroute whatif: --since is {args.since!r}, expected {error}", file=sys.stderr)
        return 2
    standing, proposed = load_config(args, secrets=False), load_other(args.directory)
    try:
        document = _reckon(standing, proposed, since_s, args.limit, args.reveal or not standing.mask_numbers)
    except StoreError as error:
        if args.json:
            print_json({"ok": False, "error": str(error)})
        print(f"smsroute whatif: {error}", file=sys.stderr)
        return 1
    if args.json:
        print_json(document)
    else:
        _show(document)
    return 0 if document["ok"] else 1


def load_other(directory: str) -> Config:
    """The Config of the proposed folder, whose secrets may not be on this machine. Raises ConfigWrong."""
    from smsroute.config import ConfigErrors, load

    try:
        return load(directory, os.environ, secrets=False)
    except ConfigErrors as errors:
        raise ConfigWrong(errors) from errors


def _reckon(standing: Config, proposed: Config, since_s: float, limit: int, reveal: bool) -> Document:
    from smsroute.ops.past import Past, read
    from smsroute.ops.whatif import whatif
    from smsroute.store import open_reader

    until = ask.now()
    since = until - since_s
    reader = open_reader(standing.store)
    try:
        sample = reader.sample(since, until, max(1, limit))
        records, unreadable = read(reader.decisions(since, until, DECISIONS_MAX))
    finally:
        reader.close()
    past = Past(records, {**standing.carriers, **proposed.carriers})
    document = whatif(sample, past, standing, proposed, since, until, reveal)
    document["decisions"] = len(records)
    document["decisions_unreadable"] = unreadable
    document["decided_by"] = sorted({record.digest for record in records})
    return document


def _show(document: Document) -> None:
    now = ask.now()
    digests = document["config"]
    span = age(unix(document["until"]) - unix(document["since"]))
    sampled = document["sampled"]
    some = "all of them" if sampled == document["messages"] else f"a sample of {sampled:,}"
    head = (
        f"{document['messages']:,} messages of the last {span} ({some}), config {digests['now']} -> {digests['then']}"
    )
    print(paint(head, "bold"))
    for line in _remarks(document):
        print(paint(line, "yellow"))
    if not sampled:
        print(f"no message was accepted since {clock(unix(document['since']), now)}: nothing to compare")
        return
    moved, cost = document["moved"], document["cost"]
    print(f"moved       {moved['share']:.1%}, {moved['messages']:,} messages take another carrier")
    percent = f" ({cost['percent']:+.1f} %)" if cost["percent"] is not None else ""
    print(f"cost        {cost['now']:,.2f} -> {cost['then']:,.2f}, {cost['change']:+,.2f}{percent}")
    print(f"unroutable  {_unroutable(document)}")
    for one in document["examples"]:
        print(f"            {one['to']} from {one['from']}, {one['class']} of {one['esme']}: {one['why']}")
    for one in document["over_contract"]:
        rates = f"{one['now_s']:,g} -> {one['then_s']:,g} parts/s at its busiest, contract {one['contract_s']:,g}"
        print(f"{paint('over rate', 'red')}   {one['carrier']}: {rates}")
    _show_table(document)


def _remarks(document: Document) -> list[str]:
    remarks = []
    if not document["decisions"]:
        remarks.append("no decisions are recorded of that time: every carrier is taken as well and idle")
    if document["decisions_unreadable"]:
        remarks.append(f"{document['decisions_unreadable']} recorded decisions are of another version, passed over")
    others = [digest for digest in document["decided_by"] if digest != document["config"]["now"]]
    if others:
        remarks.append(f"some of it was decided by other configs: {', '.join(others)}")
    return remarks


def _unroutable(document: Document) -> str:
    count = document["unroutable"]
    said = f"{count:,} messages find no way any more"
    return f"{paint(said, 'red')}; the cost is without them" if count else "none"


def _show_table(document: Document) -> None:
    changed_ones = [network for network in document["networks"] if any(map(_changed, network["carriers"]))]
    shown = changed_ones[:NETWORKS_SHOWN]
    rows = [("", f"{document['messages']:,}", "all", document)]
    rows += [("", f"{network['messages']:,}", network["network"], network) for network in shown]
    width = max(len(row["carrier"]) for _, _, _, some in rows for row in some["carriers"])
    names = max(7, *(len(name) for _, _, name, _ in rows))
    print()
    print(
        f"{'NETWORK':<{names}}  {'MESSAGES':>9}  {'MOVED':>6}  {'COST':>7}  {'CARRIER':<{width}}   WENT    NOW   THEN"
    )
    for _, count, name, some in rows:
        percent = "" if some["cost"]["percent"] is None else f"{some['cost']['percent']:+.1f} %"
        head = f"{name:<{names}}  {count:>9}  {some['moved']['share']:>6.1%}  {percent:>8}"
        for row in some["carriers"]:
            if row["carrier"].startswith("(") and max(row[key] for key in ("went", "now", "then")) < 0.0005:
                continue  # nearly everybody has a way and does not wait: not worth a row
            shares = "  ".join(f"{row[key]:>5.1%}" for key in ("went", "now", "then"))
            print(f"{head}  {row['carrier']:<{width}}  {paint(shares, 'bold') if _changed(row) else shares}")
            head = " " * len(head)
    left = len(changed_ones) - len(shown)
    if left:
        print(f"and {left} networks more; --json has all")


def _changed(row: Document) -> bool:
    """Whether a carrier's share is another one, as far as a person sees; to find no way any more is a change too."""
    return bool(abs(row["then"] - row["now"]) >= 0.0005)
