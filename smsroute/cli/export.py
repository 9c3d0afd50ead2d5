"""`smsroute export`: message detail records of a time range, for billing and disputes, while the engine runs.

Rules:
- Messages accepted in [since, until), open ones with their state so far. A running engine brings its store up to the
  moment first; of one that was killed the journal counts too.
- Read only, in pages of PAGE_ROWS: memory does not grow with the range, no page holds a lock the engine waits for, and
  the whole runs at a lower priority than the engine.
- Numbers are written whole, as a bill needs them, unless --mask; texts only where an ESME has `text: keep`, and --text
  asks for them. The file is its owner's alone.
- Exit 0 when it is whole and in its place, else 1, with nothing in that place that was not there before.

Walk: `store.Reader.page` -> `ops/records` -> `cli/export_files`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Final

from smsroute.cli import ask, trace
from smsroute.cli.common import add_config, find_engine, paint
from smsroute.cli.found import settle
from smsroute.cli.when import add_span, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsroute.cli.export_files import Sheet
    from smsroute.config import Places
    from smsroute.message import Part
    from smsroute.ops.records import Network
    from smsroute.store.base import Reader

PAGE_ROWS: Final = 2000
NICE: Final = 10
CLOCK_SET_BACK_S: Final = 86_400.0
"""Ids never go back, so those of messages accepted after the clock was set back lie ahead of their time, by no more
than it was set back."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_span(parser, "-1d")
    parser.add_argument("--esme", default="", metavar="NAME", help="messages of this ESME only")
    parser.add_argument("--carrier", default="", metavar="NAME", help="messages this carrier was offered only")
    parser.add_argument("--format", choices=("csv", "sqlite"), default="csv", help="csv (default) or sqlite")
    parser.add_argument("--out", required=True, metavar="FILE", help="what to write; - is stdout, for csv")
    parser.add_argument("--text", action="store_true", help="the texts too, of ESMEs with `text: keep`")
    parser.add_argument("--mask", action="store_true", help="mask the numbers")
    parser.add_argument("--raw", action="store_true", help="csv: no apostrophe before what a sheet would reckon with")


def run(args: argparse.Namespace) -> int:
    """Export, and say 0, 1 or 2."""
    from smsroute.cli.export_files import opened
    from smsroute.store import open_reader
    from smsroute.store.base import StoreError

    try:
        since, until = span(args, ask.now())
        if args.out == "-" and args.format != "csv":
            raise ValueError("--out - is for csv, expected --out FILE")
    except ValueError as error:
        print(f"smsroute export: {error}", file=sys.stderr)
        return 2
    os.nice(NICE)
    places = find_engine(args)
    source = settle(places)
    try:
        with (
            closing(open_reader(places.store)) as reader,
            opened(args.out, args.format, texts=args.text, raw=args.raw) as sheet,
            _progress(since, until) as reached,
        ):
            parts = _parts(reader, since, until, source)
            count = _write(sheet, _chosen(parts, args), _network(places), args, reached)
    except (StoreError, OSError) as error:
        print(f"smsroute export: {error}; {args.out} is as it was", file=sys.stderr)
        return 1
    name = "stdout" if args.out == "-" else args.out
    print(f"{count:,} message{'' if count == 1 else 's'} in {name}", file=sys.stderr)
    if source != "engine":
        print(paint(f"  read from the store: {source}", "dim", stream=sys.stderr), file=sys.stderr)
    return 0


def _parts(reader: Reader, since: float, until: float, source: str) -> Iterator[Part]:
    """Parts accepted in [since, until) and what follows of their messages, in the order of their ids, a page at a time.
    Raises StoreError."""
    from smsroute import ids
    from smsroute.ops.records import PARTS_WAIT_S

    def wanted(part: Part) -> bool:
        later = part.parts > 1 and part.message_id != part.part_id
        return since <= part.accepted_at < (last if later else until)

    last = until + PARTS_WAIT_S
    behind: dict[str, Part] = {}  # what a killed engine's journal knows better than its last checkpoint
    counts = reader.counts(inf)
    if source == "no engine runs" and counts.last_seq > counts.through:
        known = trace.replayed(reader).parts.values()
        behind = {part.part_id: part for part in known if wanted(part)}
    after, before = ids.lowest(since), ids.lowest(last + CLOCK_SET_BACK_S)
    while True:
        page = reader.page(after, before, since, last, PAGE_ROWS)
        for part in filter(wanted, page.parts):
            yield behind.pop(part.part_id, part)
        if not page.through:
            break
        after = page.through
    yield from sorted(behind.values(), key=lambda part: part.part_id)


def _chosen(parts: Iterator[Part], args: argparse.Namespace) -> Iterator[list[Part]]:
    """The messages asked for, their parts together."""
    from smsroute.message import State
    from smsroute.ops.records import messages

    for some in messages(parts):
        if args.esme not in ("", some[0].esme):
            continue
        came = [some[0].carrier] if some[0].state == State.RECEIVED else []  # a handset's message has no attempts
        tried = [one.carrier for part in some for one in part.attempts]
        if args.carrier and args.carrier not in (*came, *tried):
            continue
        yield some


def _write(
    sheet: Sheet,
    chosen: Iterator[list[Part]],
    network: Network,
    args: argparse.Namespace,
    reached: Callable[[float], None],
) -> int:
    """All of them, in batches. Returns how many."""
    from smsroute.ops.records import masked, record, text

    count = 0
    while batch := list(islice(chosen, PAGE_ROWS)):
        count += len(batch)
        rows = [record(parts, network) for parts in batch]
        sheet.write(
            [masked(row) for row in rows] if args.mask else rows, [text(one) for one in batch] if args.text else ()
        )
        reached(batch[-1][0].accepted_at)
    return count


def _network(places: Places) -> Network:
    """Which network a part's number belongs to, by the config as it is now; "" where that cannot be read."""
    from smsroute.config import ConfigErrors, load
    from smsroute.routing.table import Table

    try:
        table = Table.of(load(places.directory, {}, secrets=False))
    except ConfigErrors:  # half-way through an edit
        return lambda part: ""

    def network(part: Part) -> str:
        to, sender, kind = part.destination_addr, part.source_addr, part.message_class
        rule = table.match(to, sender, part.esme, kind, part.data_coding, part.accepted_at)
        return rule.network if rule is not None and rule.route.name == part.route else ""

    return network


@contextmanager
def _progress(since: float, until: float) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal's stderr, by how much of the time was gone through; call it with a moment reached."""
    if not sys.stderr.isatty():
        yield lambda at: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("export", total=until - since)
        yield lambda at: bar.update(task, completed=at - since)
