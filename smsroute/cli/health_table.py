"""The tables of `smsroute health`: apart from the verb, so that `--json` and a dead engine cost no import of rich.

Rules:
- A state is a word in capitals; colour only repeats it.
- Not at a terminal, lines are as long as they need to be: whoever greps them shall find them whole.

Walk: `cli/health` calls `show` with the engine's document.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smsroute.ops.words import age, clock, unix

NONE: Final = "–"
WIDE: Final = 240
WRAPPED: Final = ("WHY", "ODD")
NETWORKS_SHOWN: Final = 5  # of a carrier, those asked most; --json has all that are counted
STYLES: Final = {
    "ok": "bold green", "warning": "bold yellow", "critical": "bold red", "alive": "green", "bound": "green",
    "down": "bold red", "dead": "bold red", "drained": "yellow",
}  # fmt: skip

Document = dict[str, Any]


def show(document: Document, coloured: bool) -> None:
    """Print the document for people."""
    terminal = sys.stdout.isatty()
    out = Console(
        color_system="standard" if coloured else None,
        force_terminal=coloured or terminal,
        highlight=False,
        width=None if terminal else WIDE,
    )
    now = unix(document["at"])
    out.print(_headline(document))
    for line in _reasons(document, now):
        out.print(line)
    carriers = document["carriers"]
    for table in (_carriers(carriers, now), _receipts(carriers), _binds(carriers, now), _esmes(document["esmes"])):
        if table.row_count:
            out.print()
            out.print(table)
    out.print()
    for one in carriers:
        for line in one["receipts"]["ids"]["words"]:
            out.print(Text("ids", "bold").append(f"  {one['name']}  {line}"))
    out.print(_messages(document))
    out.print(_store(document))


def _headline(document: Document) -> Text:
    reasons = len(document["reasons"])
    problems = "nothing is wrong" if not reasons else f"{reasons} problem{'' if reasons == 1 else 's'}"
    line = _word(document["status"])
    line.append(f"  {problems}   node {document['node']}, up {age(document['uptime_s'])}", "")
    line.append(f", config {document['config']['digest']}", "dim")
    return line


def _reasons(document: Document, now: float) -> Iterable[Text]:
    for one in document["reasons"]:
        line = Text("  ").append(_word(one["severity"]))
        line.append(f"  {one['what']} {one['name']}")
        if one["since"]:
            line.append(f"  since {_since(one['since'], now)}")
        yield line.append(f"  {one['reason']}")


def _carriers(carriers: list[Document], now: float) -> Table:
    table = _table("CARRIER", "STATE", "SINCE", "BINDS", ">PARTS/S", ">QUEUED", ">MS P50", ">P99", ">OK", ">THROTTLED")
    for name in (">DELIVERED", ">RECEIPT S", ">QUALITY", "WHY"):
        _column(table, name)
    for one in carriers:
        bound = sum(bind["state"] == "bound" for bind in one["binds"])
        latency, receipts = one["latency_ms"], one["receipts"]
        table.add_row(
            one["name"],
            _word(one["state"]),
            _since(one["since"], now),
            f"{bound}/{len(one['binds'])}",
            f"{one['rate_s']:.0f}/{one['contract_s']:.0f}",
            f"{one['queued']}",
            _figure(latency["p50"]),
            _figure(latency["p99"]),
            _share(one["success"]),
            _share(one["throttled"]),
            _share(receipts["delivered_ratio"]),
            _figure(receipts["delay_s_p50"]),
            f"{one['quality']:.2f}",
            one["reason"],
        )
        for network in one["networks"] if one["state"] == "alive" else ():  # else the carrier's own row says it all
            where = f"  to {network['network'] or 'anywhere'}"
            blank = [""] * 9
            quality = f"{network['quality']:.2f}"
            table.add_row(
                where, _word(network["state"]), _since(network["since"], now), *blank, quality, network["reason"]
            )
    return table


def _receipts(carriers: list[Document]) -> Table:
    """How receipts and messages come together: each carrier that was asked for any, and its busiest networks."""
    table = _table(
        "RECEIPTS", ">ASKED", ">MATCHED", ">WAITING", ">ORPHANS", ">DELIVERED", ">S P50", ">P90", ">P99", "ODD"
    )
    for one in carriers:
        receipts = one["receipts"]
        total, networks = receipts["total"], receipts["networks"]
        if total["asked"] or total["parked"]:
            level = (
                "" if receipts["level"] == "handset" else f" ({receipts['level']} level)"
            )  # DELIVERED says less there
            _receipt_row(table, one["name"] + level, {**receipts, **total})
        busiest = sorted(networks, key=lambda network: -network["asked"])[:NETWORKS_SHOWN]
        for network in sorted(busiest, key=lambda network: network["network"]) if len(networks) > 1 else ():
            _receipt_row(table, f"  to {network['network'] or 'anywhere'}", network)
    return table


def _receipt_row(table: Table, name: str, one: Document) -> None:
    odd = ", ".join(f"{kind} {count}" for kind, count in one["anomalies"].items())
    delays = (_figure(one[f"delay_s_{quantile}"]) for quantile in ("p50", "p90", "p99"))
    match, orphans, delivered = (_share(one[key]) for key in ("match_rate", "orphan_rate", "delivered_share"))
    table.add_row(name, f"{one['asked']}", match, f"{one['waiting']}", orphans, delivered, *delays, odd)


def _binds(carriers: list[Document], now: float) -> Table:
    table = _table("BIND", "STATE", "SINCE", ">IN FLIGHT", ">WINDOW", "WHY")
    for bind in (bind for one in carriers for bind in one["binds"]):
        word = _word("drained" if bind["drained"] else bind["state"])
        why = bind["drained"] or bind["reason"]
        table.add_row(bind["name"], word, _since(bind["since"], now), f"{bind['in_flight']}", f"{bind['window']}", why)
    return table


def _esmes(esmes: list[Document]) -> Table:
    table = _table("ESME", ">SESSIONS", ">ACCEPTED", ">OUTBOX", ">OLDEST", "REFUSED")
    for one in esmes:
        refused = ", ".join(f"{name} {count}" for name, count in one["refused"].items())
        drained = f"DRAINED: {one['drained']}  " if one["drained"] else ""
        oldest = NONE if one["oldest_outbox_s"] is None else age(one["oldest_outbox_s"])
        sessions = f"{one['sessions']}/{one['binds_max']}"
        table.add_row(
            one["name"], sessions, f"{one['accepted']}", f"{one['outbox']}", oldest, drained + (refused or NONE)
        )
    return table


def _messages(document: Document) -> Text:
    messages = document["messages"]
    now = "due", "attempted", "in_doubt", "submitted"
    ends = "delivered", "failed", "expired", "handed_over"
    line = Text("messages", "bold").append(f"  {messages['accepted']} accepted, {messages['open']} open")
    line.append(f" ({_counted(messages, now)}); {_counted(messages, ends)}")
    return line.append(f"; {messages['orphans']} orphan receipts")


def _counted(messages: Document, names: Iterable[str]) -> str:
    return ", ".join(f"{messages[name]} {name.replace('_', ' ')}" for name in names)


def _store(document: Document) -> Text:
    store = document["store"]
    line = Text("store", "bold")
    if store["failing"] is not None:
        line.append("  TAKES NOTHING: ", "bold red").append(store["failing"]["error"])
    else:
        line.append(f"  {store['commits']} commits of {store['events']} events")
    return line.append(f", {store['waiting']} waiting, checkpoint {age(store['checkpoint_age_s'])} ago")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        _column(table, name)
    return table


def _column(table: Table, name: str) -> None:
    right = name.startswith(">")
    table.add_column(
        name.removeprefix(">"), justify="right" if right else "left", no_wrap=name not in WRAPPED, overflow="fold"
    )


def _word(word: str) -> Text:
    return Text(word.upper(), STYLES.get(word, "yellow"))


def _since(text: str | None, now: float) -> str:
    return NONE if text is None else f"{clock(unix(text), now)} ({age(now - unix(text))})"


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"
