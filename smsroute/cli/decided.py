"""How a decision is shown at the terminal: each carrier with its share or its refusal, and under it every number.

Rules:
- `verdict` and `share` are words and figures; colour only repeats them.
- What decided is read from the document of `ops/weighed`, for living, recorded and assumed decisions alike.

Walk: `explain` and `trace` print with it.
"""

from __future__ import annotations

from typing import Any, Final

from smsroute.cli.common import paint
from smsroute.ops.words import age, clock, unix

Document = dict[str, Any]

INDENT: Final = "  "


def candidates(rows: list[Document], indent: str, numbers: bool) -> list[str]:
    """Each carrier a line, those with a share first; with `numbers` a second line of terms and a third of figures."""
    width = max((len(row["carrier"]) for row in rows), default=0)
    lines = []
    for row in sorted(rows, key=lambda row: (row["verdict"] == "refused", -row["share"])):
        name = format(row["carrier"], f"<{width}")
        if row["verdict"] == "refused":
            lines.append(f"{indent}{paint(name, 'red')}    no  {row['reason']}")
        else:
            lines.append(f"{indent}{paint(name, 'green')}  {row['share']:>4.0%}  {row['reason']}")
        if row["probe"]:
            lines.append(f"{indent}{' ' * width}   one  {row['probe']}")
        if numbers and "quality" in row:
            lines.extend(f"{indent}{' ' * width}        {paint(line, 'dim')}" for line in _numbers(row))
    return lines


def _numbers(row: Document) -> list[str]:
    terms = "  ".join(f"{name} {value:.2f}" for name, value in row["terms"].items())
    lasting = f" for {age(row['since_s'])}" if row["since_s"] is not None else ""
    figures = [
        f"{row['state']}{lasting}",
        f"latency {row['latency_ms']:g} ms",
        f"{row['in_flight']} in flight",
        f"{row['queued']} queued",
        f"{row['rate_s']:g} of {row['contract_s']:g} parts/s",
        f"cost {row['cost']:g}",
        f"weight {row['weight']}",
        "certified" if row["certified"] else "not certified",
    ]
    return [f"quality {row['quality']:.2f} = {terms}"] * bool(terms) + [", ".join(figures)]


def attempt(number: int, told: Document, now: float, numbers: bool) -> list[str]:
    """Why an attempt went where it did: the decision that stood then, from the document of `ops/story`."""
    kept = told.get("decision")
    if kept is None:
        return [f"{INDENT}attempt {number} to {told['carrier']}: no decision is kept of that time"]
    network = f", network {kept['network']}" if kept["network"] else ""
    head = (
        f"attempt {number} to {told['carrier']}: rule {kept['route']} ({kept['place']}){network}, class {kept['class']}"
    )
    made = (
        f"decided {clock(unix(kept['at']), now)}, {age(kept['stood_s'])} before; config {kept['config'] or 'unnamed'}"
    )
    lines = [f"{INDENT}{paint(head, 'bold')}", f"{INDENT * 2}{made}", f"{INDENT * 2}{kept['reason']}"]
    return lines + candidates(kept["candidates"], INDENT * 2, numbers)


def attempts(document: Document, now: float, numbers: bool) -> list[str]:
    """The same for each attempt of a story; one that a decision before it explains as well says so."""
    lines: list[str] = []
    last: Document | None = None
    for told in document["attempts"]:
        kept = told.get("decision")
        same = kept is not None and last is not None and {**kept, "stood_s": 0} == {**last, "stood_s": 0}
        if same:
            lines.append(f"{INDENT}attempt {told['number']} to {told['carrier']}: by the same decision")
        elif kept is not None or numbers:
            lines.extend(attempt(told["number"], told, now, numbers))
        last = kept
    return lines
