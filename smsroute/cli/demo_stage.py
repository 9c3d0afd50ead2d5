"""The cast of the demo: an engine on the embedded store, three simulated carriers, a platform, all over real TCP.

Rules:
- Everything is the product: the config is written to a folder and loaded as any other, ports are free ones on loopback,
  the store is SQLite with fsync, in a folder that goes when the demo ends.
- The truth is kept apart from the engine: the platform's book, the carriers' handsets, and `Tally`, which sees each
  submit where a carrier reads it.

Walk: `cli/demo` sets the stage and plays; `cli/demo_show` draws it.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from smsroute.config import load
from smsroute.engine import Engine, build
from smsroute.ops.verbs import Verbs
from smsroute.ports import Ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Temperament
from smsroute.sim.wire import Submit
from smsroute.sim.workload import TEXT_DIGITS, Workload
from smsroute.store import open_store

SICK: Final = "orange"
NUMBER: Final = "33612345678"
PREFIXES: Final = ("336", "337")
WINDOW_MESSAGES: Final = 300
ELSEWHERE: Final = 0.99
TIDY_S: Final = 30.0

# What a night's ejections and a half minute of slow start take is shortened, so that the way back is seen too.
SMSROUTE: Final = """\
node: demo
listen: [{address: "127.0.0.1:0"}]
store: "sqlite:store"
control: control.sock
limits: {ejection_min: 1s, slow_start: 4s, hold: 1s, checkpoint_interval: 2s}
esmes:
  shop: {password: {plain: secret}, rate: 100000/s, window: 1000}
routes:
  - name: fr-mobile
    to: ["336", "337"]
    prefer: balanced
    in_doubt: {default: {fail_after: 3s}}
    carriers: [{carrier: orange, cost: 0.030, weight: 60}, {carrier: sfr, cost: 0.030, weight: 40}]
    backup: [{carrier: aggregator, cost: 0.058}]
carriers:
"""
CARRIER: Final = """\
  {name}: {{system_id: smsroute, password: {{plain: pw}}, window: 100, rate: {rate:.0f}/s, response_timeout: 3s,
    reconnect_min: 200ms, reconnect_max: 1s, dialect: {{ids: {rule}}},
    binds: [{{address: "127.0.0.1:{port}", count: 2}}]}}
"""


@attrs.frozen
class Part:
    """A carrier of the play: its contract as a share of the traffic, and how it is on a good day."""

    name: str
    contract: float
    words: tuple[str, ...]
    ids: str = "hex"  # how it writes message ids in responses, and in receipts


FATES: Final = "outcomes=DELIVRD:0.97,UNDELIV:0.02,EXPIRED:0.01"
# fmt: off
CAST: Final = (
    Part("orange",     0.8, ("response_delay=lognormal:0.02:0.4", "receipt_delay=lognormal:0.4:0.5", FATES)),
    Part("sfr",        0.6, ("response_delay=lognormal:0.03:0.4", "receipt_delay=lognormal:0.6:0.5", FATES), "hex-dec"),
    Part("aggregator", 1.0, ("response_delay=lognormal:0.06:0.4", "receipt_delay=lognormal:0.9:0.5", FATES)),
)
# fmt: on


class Tally:
    """Where each message was first offered and when a carrier took it, as the carriers read it. Monotonic seconds."""

    def __init__(self) -> None:
        self.offers: list[tuple[float, str]] = []  # the first of each message, in the order they came
        self.taken_at: dict[int, float] = {}
        self.by_carrier: dict[str, array[float]] = {}
        self._known: set[int] = set()

    def seen(self, carrier: str, _bind: str, now: float, submit: Submit, status: int) -> None:
        """A carrier read a submit and answers `status`."""
        number = int(submit.text[-TEXT_DIGITS:])
        if number not in self._known:
            self._known.add(number)
            self.offers.append((now, carrier))
        if not status:
            self.taken_at.setdefault(number, now)
            self.by_carrier.setdefault(carrier, array("d")).append(now)


def moved_after_s(offers: Sequence[tuple[float, str]], sick: str, since: float, until: float) -> float | None:
    """Seconds from `since` until 99 % of new traffic went elsewhere, and kept to it until `until`; None when never.

    Of any WINDOW_MESSAGES messages in a row from that moment on, at most one in a hundred was first offered to `sick`.
    `offers`: (when, carrier) of each message's first offer, in order.
    """
    times = [at for at, _ in offers if since <= at < until]
    here = [carrier == sick for at, carrier in offers if since <= at < until]
    size = min(WINDOW_MESSAGES, len(times))
    if not size:
        return None
    most = size * (1.0 - ELSEWHERE)
    count = sum(here[-size:])
    if count > most:
        return None
    start = len(here) - size
    while start > 0:
        start -= 1
        count += here[start] - here[start + size]
        if count > most:
            return times[start + 1] - since
    return 0.0


@attrs.frozen
class Stage:
    """Everybody, running."""

    ports: Ports
    engine: Engine
    carriers: dict[str, SimCarrier]
    platform: SimEsme
    tally: Tally
    verbs: Verbs

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """So long."""
        await self.ports.clock.sleep_until(self.now + seconds)

    async def explain(self) -> dict[str, Any]:
        """Which way a message would go now, and why not the others: what `smsroute explain` prints."""
        answer = await self.verbs.table()["explain"]({"to": NUMBER, "esme": "shop"}, "demo")
        document: dict[str, Any] = answer["explanation"]
        return document


@asynccontextmanager
async def stage(folder: Path, ports: Ports, rate_s: float) -> AsyncIterator[Stage]:
    """Raise the curtain: returns with the engine ready and the platform submitting `rate_s` messages a second."""
    tally = Tally()
    carriers = {
        part.name: SimCarrier(
            part.name,
            temperament=Temperament().with_words([*part.words, f"ids={part.ids}"]),
            system_id="smsroute",
            password="pw",
            seen=partial(tally.seen, part.name),
        )
        for part in CAST
    }
    async with trio.open_nursery() as nursery:
        doors = {name: await nursery.start(carrier.run, ports) for name, carrier in carriers.items()}
        rows = (
            CARRIER.format(
                name=part.name,
                rate=max(10, part.contract * rate_s),
                rule=part.ids if part.ids != "hex" else "auto",
                port=doors[part.name],
            )
            for part in CAST
        )
        (folder / "smsroute.yaml").write_text(SMSROUTE + "".join(rows))
        config = load(folder, {})
        store = await ports.blocking.run(open_store, config.store, config.node)
        engine = await build(config, ports, store)
        ready, stopped = trio.Event(), trio.Event()

        async def run() -> None:
            await engine.run(ready.set)
            stopped.set()

        nursery.start_soon(run)
        await ready.wait()
        settings = EsmeSettings(
            system_id="shop", binds=("transceiver", "transceiver"), window=500, rate=rate_s, retry_s=0.2
        )
        platform = SimEsme(Workload(prefixes=PREFIXES), settings)  # type: ignore[arg-type]  # the converter is generic
        nursery.start_soon(platform.run, ports, "127.0.0.1", engine.listeners[0].port)
        try:
            yield Stage(ports, engine, carriers, platform, tally, Verbs(engine))
            engine.stop()
            with trio.move_on_after(TIDY_S):
                await stopped.wait()
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await ports.blocking.run(store.close)
