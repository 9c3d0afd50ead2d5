"""The demo's picture: live at a terminal, a line a second elsewhere; and its summary.

Rules:
- At most four pictures a second; what is drawn is read from the running engine and its peers, nothing is invented.
- Colour is rich's, which obeys NO_COLOR and what the terminal can do; words carry the meaning without it.

Walk: `cli/demo` calls `draw` and `say`, and prints `summary` at the end.
"""

from __future__ import annotations

from typing import Any, Final, Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smsroute.cli.common import paint
from smsroute.cli.demo_stage import CAST, SICK, Stage
from smsroute.ops import snapshot

BAR: Final = 24
LINE_S: Final = 1.0
STYLES: Final = {"alive": "green", "down": "bold red", "dead": "bold red"}

Document = dict[str, Any]


class Picture:
    """See the module. `seconds`: of traffic, for the clock. `quiet`: draw nothing."""

    def __init__(self, on: Stage, seconds: float, *, live: bool, quiet: bool = False) -> None:
        self._on = on
        self._seconds = seconds
        self._began = on.now
        self._said = ""
        self._quiet = quiet
        self._line_at = 0.0
        self._last: dict[str, tuple[float, int]] = {}
        console = Console(highlight=False)
        self._live: Live | None = None
        if live and not quiet and console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, words: str) -> None:
        """What happens from now on."""
        self._said = words
        line = f"{self._on.now - self._began:5.1f} s  {words}"
        if self._live is not None:
            self._live.console.print(Text(line, "bold"))
        elif not self._quiet:
            print(paint(line, "bold"), flush=True)

    async def pause(self, seconds: float) -> None:
        """Until the next picture."""
        await self._on.sleep(seconds)

    def draw(self) -> None:
        """The picture of this moment."""
        if self._quiet:
            return
        now = self._on.now
        if self._live is not None:
            self._live.update(self._frame(now), refresh=True)
        elif now >= self._line_at:
            self._line_at = now + LINE_S
            print(self._line(now), flush=True)

    # -- one line ------------------------------------------------------------------------------------------------------

    def _line(self, now: float) -> str:
        report = self._on.platform.report()
        rates = self._rates(now)
        shares = "  ".join(f"{name} {rate:.0f}/s" for name, rate in rates.items())
        told = sum(report["words"].values())
        return f"{now - self._began:5.1f} s  submitted {report['submitted']}, told {told}; {shares}"

    def _rates(self, now: float) -> dict[str, float]:
        """Messages a second that each carrier took, since the picture before."""
        rates = {}
        for part in CAST:
            count = len(self._on.tally.by_carrier.get(part.name, ()))
            since, before = self._last.get(part.name, (self._began, 0))
            rates[part.name] = (count - before) / max(now - since, 0.05)
            self._last[part.name] = (now, count)
        return rates

    # -- a frame -------------------------------------------------------------------------------------------------------

    def _frame(self, now: float) -> Group:
        clock = f"{now - self._began:4.1f} of {self._seconds:g} s"
        head = Text.assemble(("smsroute demo", "bold"), f"   {clock}   ", (self._said, "yellow"))
        return Group(Text(), head, Text(), self._carriers(now), Text(), self._totals())

    def _carriers(self, now: float) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", expand=True)
        for name in ("CARRIER", "STATE"):
            table.add_column(name, no_wrap=True, min_width=10)
        for name in ("MSG/S", "QUALITY", "IN FLIGHT", "QUEUED", "MS P99"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("TRAFFIC", no_wrap=True, min_width=BAR)
        table.add_column("WHY", ratio=1, no_wrap=True, overflow="ellipsis")
        rates = self._rates(now)
        total = max(1.0, sum(rates.values()))
        for one in snapshot.carriers(self._on.engine):
            name, rate, state = one["name"], rates[one["name"]], one["state"]
            filled = round(BAR * rate / total)
            p99 = one["latency_ms"]["p99"]
            table.add_row(
                Text(name, "bold" if name == SICK else ""),
                Text(state.upper(), STYLES.get(state, "yellow")),
                f"{rate:.0f}",
                f"{one['quality']:.2f}",
                f"{one['in_flight']}",
                f"{one['queued']}",
                "–" if p99 is None else f"{p99:.0f}",
                Text("█" * filled, "green").append("░" * (BAR - filled), "dim"),
                one["reason"],
            )
        return table

    def _totals(self) -> Text:
        report = self._on.platform.report()
        words = report["words"]
        delivered, expired = words.get("DELIVRD", 0), words.get("EXPIRED", 0)
        failed = sum(words.values()) - delivered - expired
        ledger, journal = self._on.engine.ledger, self._on.engine.journal
        line = Text.assemble(
            f"submitted {report['submitted']:,}   delivered {delivered:,}   failed {failed:,}   expired {expired:,}   ",
            f"on their way {report['submitted'] - delivered - failed - expired:,}   in doubt {len(ledger.in_doubt):,}",
        )
        return line.append(f"   {journal.commits:,} commits", "dim")


# -- the summary -------------------------------------------------------------------------------------------------------


def summary(document: Document) -> str:
    """How it went, for people."""
    submitted, delivered = document["submitted"], document["delivered"]
    failed, expired = document["failed"], document["expired"]
    reasons = ", ".join(f"{count:,} {word}" for word, count in sorted(document["failed_as"].items())) or "none"
    duplicates = sum(document["duplicates"].values())
    ends = f"{delivered:,} delivered + {failed:,} failed + {expired:,} expired"
    sign = "=" if document["lost"] == 0 else "≠"
    lines = [
        "",
        paint(f"{submitted:,} submitted {sign} {ends}", "bold"),
        f"lost {document['lost']}, duplicates {duplicates}; failed as the carriers said: {reasons}",
        f"{document['rate_s']:,.0f} messages/s for {document['seconds']:g} s, every one durable before its ESME_ROK "
        f"({document['commits']:,} commits)",
        f"submit to response {_ms(document['response_ms'])}; submit to receipt {_ms(document['receipt_ms'])}; "
        f"the longest wait for a carrier {document['longest_wait_s']:.2f} s",
        "taken by " + ", ".join(f"{name} {count:,}" for name, count in document["carriers"].items()),
        "",
        _failover(document["failover"]),
    ]
    for mode, explanation in document["why"].items():
        lines += ["", paint(f"why, while {SICK} was {mode}", "bold"), *_why(explanation)]
    lines.append("")
    if document["adds_up"]:
        lines.append(paint("it adds up", "bold", "green"))
    else:
        lines += [paint("IT DOES NOT ADD UP", "bold", "red"), *(f"  {fault}" for fault in document["faults"])]
    return "\n".join(lines)


def _failover(failover: Document) -> str:
    sick = f"{failover['carrier']} fell sick at {failover['at_s']:.1f} s"
    if failover["moved_after_s"] is None:
        return paint(f"{sick}; its traffic stayed", "red")
    return paint(f"{sick}; {failover['moved_after_s']:.2f} s later 99 % of new traffic went elsewhere", "bold")


def _why(explanation: Document) -> list[str]:
    """What `smsroute explain` said then."""
    lines = [f"  {explanation['to']} takes route {explanation['route']}: {explanation['reason']}"]
    rows = [(one["carrier"], f"{one['share']:.0%}", one["reason"]) for one in explanation.get("choices", ())]
    rows += [(one["carrier"], "one", one["reason"]) for one in explanation.get("probes", ())]
    rows += [(one["carrier"], "no", one["reason"]) for one in explanation.get("refused", ())]
    width = max((len(name) for name, _, _ in rows), default=0)
    return lines + [f"  {name:<{width}}  {share:>4}  {reason}" for name, share, reason in rows]


def _ms(figures: Document) -> str:
    return f"p50 {figures['p50']:.1f} ms, p99 {figures['p99']:.1f} ms"
