"""The status page: one HTML answer that says whether it is well, and if not what, since when and why.

Rules:
- One answer, no script, no external file, refreshed by the browser; readable in light and dark, and on paper.
- A state is always a word; colour only repeats it.
- Whatever comes from outside (names, reasons, errors of peers) is escaped.

Walk: `web` renders the document of `snapshot` with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from smsroute.ops.words import age, unix

REFRESH_S: Final = 5
NONE: Final = "–"
GOOD: Final = frozenset({"ok", "alive", "bound", "yes"})
BAD: Final = frozenset({"critical", "dead", "down", "no"})

Document = dict[str, Any]

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --warn: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --warn: #d29922; --bad: #ff7b72; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
p { margin: .2rem 0; } small, .dim { opacity: .7; }
table { border-collapse: collapse; width: 100%; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; opacity: .7; } td { font-variant-numeric: tabular-nums; }
.ok, .warn, .bad { font-weight: 600; }
.ok { color: var(--ok); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.bar { display: inline-block; width: 4rem; height: .6em; background: var(--line); }
.bar i { display: block; height: 100%; background: currentColor; opacity: .6; }
"""


def page(document: Document) -> str:
    """The whole page."""
    now = unix(document["at"])
    title = f"{document['status']}: smsroute {document['node']}"
    body = "\n".join(
        (
            _head(document),
            _reasons(document, now),
            _alarms(document["alarms"], now),
            _carriers(document["carriers"], now),
            _binds(document["carriers"], now),
            _esmes(document["esmes"]),
            _messages(document),
        )
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _head(document: Document) -> str:
    at = escape(document["at"].replace("T", " "))
    about = f"node {document['node']}, up {age(document['uptime_s'])}, version {document['version']}"
    config = f"config {document['config']['digest']} from {document['config']['directory']}"
    return (
        f"<h1>{_word(document['status'])} smsroute</h1>\n<p>{escape(about)}, {escape(config)}</p>\n"
        f'<p class="dim">{at} UTC · the same as <a href="status.json">JSON</a>, as <a href="metrics">metrics</a></p>'
    )


def _reasons(document: Document, now: float) -> str:
    rows = [
        (
            _word(one["severity"]),
            _text(one["what"]),
            _text(one["name"]),
            _since(one["since"], now),
            _text(one["reason"]),
        )
        for one in document["reasons"]
    ]
    if not rows:
        return "<p>Nothing is wrong.</p>"
    return _table("What is wrong", ("", "what", "name", "since", "why"), rows)


def _alarms(alarms: Sequence[Document], now: float) -> str:
    if not alarms:
        return ""
    rows = [
        (
            _text(one["kind"]),
            _text(one["carrier"]),
            _text(one["network"] or "all"),
            _since(one["since"], now),
            f"{one['figure']:.4g} / {one['limit']:.4g}",
            _text(one["words"]),
        )
        for one in alarms
    ]
    return _table("Alarms", ("alarm", "carrier", "network", "since", "figure / mark", "why"), rows)


def _carriers(carriers: Sequence[Document], now: float) -> str:
    rows = []
    for one in carriers:
        bound = sum(bind["state"] == "bound" for bind in one["binds"])
        latency, receipts = one["latency_ms"], one["receipts"]
        rows.append(
            (
                _text(one["name"]),
                _word(one["state"]),
                _since(one["since"], now),
                f"{_share(one['quality'])} {_bar(one['quality'])}",
                f"{bound}/{len(one['binds'])}",
                f"{one['rate_s']:.0f} / {one['contract_s']:.0f}",
                f"{one['queued']}",
                f"{_figure(latency['p50'])} / {_figure(latency['p99'])}",
                _share(one["success"]),
                _share(one["throttled"]),
                _share(receipts["delivered_ratio"]),
                f"{_figure(receipts['delay_s_p50'])}",
                _text(one["reason"]),
            )
        )
    heads = (
        "carrier", "state", "since", "quality", "binds", "parts/s of", "queued", "ms p50 / p99", "success", "throttled",
        "delivered", "receipt s", "why",
    )  # fmt: skip
    return _table("Carriers", heads, rows)


def _binds(carriers: Sequence[Document], now: float) -> str:
    rows = [
        (
            _text(bind["name"]),
            _word("drained" if bind["drained"] else bind["state"]),
            _since(bind["since"], now),
            f"{bind['in_flight']} / {bind['window']} {_bar(bind['in_flight'] / bind['window'])}",
            _text(bind["drained"] or bind["reason"]),
        )
        for one in carriers
        for bind in one["binds"]
    ]
    return _table("Binds", ("bind", "state", "since", "in flight / window", "why"), rows)


def _esmes(esmes: Sequence[Document]) -> str:
    rows = [
        (
            _text(one["name"]),
            f"{one['sessions']} / {one['binds_max']}",
            f"{one['accepted']}",
            f"{one['outbox']}",
            NONE if one["oldest_outbox_s"] is None else age(one["oldest_outbox_s"]),
            _text(", ".join(f"{name} {count}" for name, count in one["refused"].items()) or NONE),
        )
        for one in esmes
    ]
    return _table("ESMEs", ("ESME", "sessions", "accepted", "outbox", "oldest", "refused"), rows)


def _messages(document: Document) -> str:
    messages, store = document["messages"], document["store"]
    names = (
        "accepted",
        "open",
        "due",
        "attempted",
        "in_doubt",
        "submitted",
        "delivered",
        "failed",
        "expired",
        "orphans",
    )
    table = _table("Messages", [name.replace("_", " ") for name in names], [[f"{messages[name]}" for name in names]])
    disk = "takes events" if store["failing"] is None else f"fails, {store['failing']['error']}"
    line = f"Store: {disk}; {store['commits']} commits of {store['events']} events, {store['waiting']} waiting"
    return f'{table}\n<p class="dim">{escape(line)}, checkpoint {age(store["checkpoint_age_s"])} ago.</p>'


def _table(title: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<h2>{escape(title)}</h2>\n<div class="wide"><table><tr>{head}</tr>\n{body}\n</table></div>'


def _word(word: str) -> str:
    kind = "ok" if word in GOOD else "bad" if word in BAD else "warn"
    return f'<span class="{kind}">{escape(word)}</span>'


def _text(text: str) -> str:
    return escape(text)


def _since(text: str | None, now: float) -> str:
    if text is None:
        return NONE
    return f'<span title="{escape(text)}">{age(now - unix(text))}</span>'


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}" if 0 < value < 1 else f"{value:.0%}"


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{min(1.0, max(0.0, share)):.0%}"></i></span>'
