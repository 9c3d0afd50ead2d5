"""`smsroute demo`: the main job on this machine, in half a minute.

An engine, three carriers and a platform talk real SMPP over loopback; half-way one carrier throttles everything, then
closes its doors, then is well again; at the end the books must add up.

Rules:
- Exit 0 only when every message submitted was delivered, failed or expired, none is lost, none came twice, and the
  traffic left the sick carrier.
- What is counted comes from the platform and the handsets, not from the engine; the engine's own counts must agree.

Walk: `demo_stage` sets up, `play` runs the acts, `demo_show` draws and sums up.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from smsroute.cli.common import add_config, add_json, print_json
from smsroute.cli.demo_show import Picture, summary
from smsroute.cli.demo_stage import SICK, Stage, moved_after_s, stage
from smsroute.ops.log import configure
from smsroute.ports import system_ports
from smsroute.sim.temperament import Mode

SECONDS: Final = 22.0
RATE_S: Final = 1500.0
REST_S: Final = 25.0
FRAME_S: Final = 0.25
INTERRUPTED: Final = 130

Document = dict[str, Any]


@attrs.frozen
class Act:
    """What happens at `at`, a share of the running time."""

    at: float
    mode: Mode
    words: str


ACTS: Final = (
    Act(0.00, Mode.KIND, "all three carriers are well"),
    Act(0.27, Mode.THROTTLING, f"{SICK} answers ESME_RTHROTTLED to everything"),
    Act(0.43, Mode.CLOSED, f"{SICK} drops its links and closes its door"),
    Act(0.59, Mode.KIND, f"{SICK} is well again"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)  # as every verb; the demo brings its own
    add_json(parser)
    parser.add_argument("--seconds", type=_positive, default=SECONDS, help=f"of traffic (default: {SECONDS:g})")
    parser.add_argument("--rate", type=_positive, default=RATE_S, help=f"messages a second (default: {RATE_S:g})")
    parser.add_argument("--plain", action="store_true", help="a line a second instead of a live picture")


def _positive(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 to 100000")
    return value


def run(args: argparse.Namespace) -> int:
    """Play, print the summary, and say 0 when it adds up, else 1."""
    configure("error", pretty=False)
    with tempfile.TemporaryDirectory(prefix="smsroute-demo-") as folder:
        document = trio.run(_show, Path(folder), args)
    if document is None:
        return INTERRUPTED
    if args.json:
        print_json(document)
    else:
        print(summary(document))
    return 0 if document["adds_up"] else 1


async def _show(folder: Path, args: argparse.Namespace) -> Document | None:
    """The whole play; None when a person broke it off."""
    document: Document | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_obey_interrupt, nursery.cancel_scope)
        async with stage(folder, system_ports(), args.rate) as on:
            picture = Picture(on, args.seconds, live=not args.plain and not args.json, quiet=args.json)
            with picture:
                document = await play(on, picture, args.seconds)
        nursery.cancel_scope.cancel()
    return document


async def _obey_interrupt(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        async for _ in received:
            print("broken off", file=sys.stderr)
            scope.cancel()


async def play(on: Stage, picture: Picture, seconds: float) -> Document:
    """The acts, then rest; the document of how it went."""
    began = on.now
    why: Document = {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_draw, picture)
        for act, following in zip(ACTS, (*(one.at for one in ACTS[1:]), 1.0), strict=True):
            picture.say(act.words)
            on.carriers[SICK].mode = act.mode
            ends_at = began + following * seconds
            if act.mode is not Mode.KIND:
                # Half-way through it is known what is wrong, and no probe has come into it yet.
                await on.sleep((ends_at - on.now) / 2)
                why[act.mode.value] = await on.explain()
            await on.sleep(ends_at - on.now)
        on.platform.paused = True
        submitting_s = on.now - began
        picture.say("the platform is done; the last receipts come in")
        with trio.move_on_after(REST_S):
            while not _at_rest(on):
                await on.sleep(FRAME_S / 2)
        nursery.cancel_scope.cancel()
    picture.draw()
    times = [began + act.at * seconds for act in ACTS]
    return account(on, why, times, submitting_s)


async def _draw(picture: Picture) -> None:
    while True:
        picture.draw()
        await picture.pause(FRAME_S)


def _at_rest(on: Stage) -> bool:
    report = on.platform.report()
    return not report["unanswered"] and not report["untold"] and not on.engine.ledger.open


def account(on: Stage, why: Document, times: list[float], submitting_s: float) -> Document:
    """Do the books add up? `times`: monotonic seconds at which each act began."""
    report, counts = on.platform.report(), on.engine.ledger.counts
    words: dict[str, int] = dict(report["words"])
    submitted = report["submitted"]
    delivered, expired = words.pop("DELIVRD", 0), words.pop("EXPIRED", 0)
    failed = sum(words.values())
    got = sum(sum(carrier.handsets.got.values()) for carrier in on.carriers.values())
    texts = {key for carrier in on.carriers.values() for key in carrier.handsets.got}
    told_twice = sum(max(0, len(promise.receipts) - 1) for promise in on.platform.promises())
    _, sick_at, _, well_at = times
    moved_s = moved_after_s(on.tally.offers, SICK, sick_at, well_at)
    submitted_at = [promise.submitted_at for promise in on.platform.promises()]
    waits = [at - submitted_at[number] for number, at in on.tally.taken_at.items()]
    document: Document = {
        "seconds": round(submitting_s, 1),
        "rate_s": round(submitted / submitting_s, 1),
        "submitted": submitted,
        "delivered": delivered,
        "failed": failed,
        "expired": expired,
        "failed_as": words,
        "lost": submitted - delivered - failed - expired,
        "duplicates": {"handsets": got - len(texts), "receipts": told_twice},
        "handsets": got,
        "refused": report["refused"],
        "engine": {"delivered": counts.delivered, "failed": counts.failed, "expired": counts.expired},
        "failover": {
            "carrier": SICK,
            "at_s": round(sick_at - times[0], 1),
            "moved_after_s": None if moved_s is None else round(moved_s, 3),
        },
        "longest_wait_s": round(max(waits, default=0.0), 3),
        "response_ms": {key: report["response"][f"{key}_ms"] for key in ("p50", "p99")},
        "receipt_ms": {key: report["receipt"][f"{key}_ms"] for key in ("p50", "p99")},
        "carriers": {name: len(times) for name, times in sorted(on.tally.by_carrier.items())},
        "moved": counts.moved,
        "commits": on.engine.journal.commits,
        "why": why,
    }
    document["faults"] = _faults(document)
    document["adds_up"] = not document["faults"]
    return document


def _faults(document: Document) -> list[str]:
    """Everything that does not add up, in words."""
    faults = []
    ends = {key: document[key] for key in ("delivered", "failed", "expired")}
    if document["lost"]:
        faults.append(f"{document['lost']} messages have no end")
    if document["refused"]:
        faults.append(f"{document['refused']} messages were refused at the door")
    if any(document["duplicates"].values()):
        faults.append(f"duplicates: {document['duplicates']}")
    if ends != document["engine"]:
        faults.append(f"the engine counts {document['engine']}, the platform was told {ends}")
    unknown = document["failed_as"].get("UNKNOWN", 0)
    if not document["delivered"] <= document["handsets"] <= document["delivered"] + unknown:
        faults.append(f"{document['handsets']} texts are on handsets, the platform was told of {document['delivered']}")
    if document["failover"]["moved_after_s"] is None:
        faults.append(f"the traffic did not leave {document['failover']['carrier']}")
    if not document["submitted"]:
        faults.append("nothing was submitted")
    return faults
