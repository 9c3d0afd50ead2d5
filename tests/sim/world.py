"""One world: an engine, its carriers, its platforms, a network and a disk, from one seed, in virtual time.

Rules:
- Two phases. Safety: faults blow, the auditor listens. Then everything heals, and liveness: within a bounded time all
  is at rest, or the world says what is stuck. A bare timeout cannot tell slow from stuck.
- The engine is the real one, built as in production; what differs are its four ports. It may lose its power and live
  again on the same files, as often as a fault likes.
- A broken law, a crash or something stuck is a `Broken` that says how to see it again.

Walk: `run_seed` draws options, runs `World.run`, gives a `Report`; `faults` act on the world while it runs.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import attrs
import structlog
import trio

from smsroute.engine import Engine, build, recover
from smsroute.ledger import Ledger
from smsroute.message import (
    Accepted,
    Arrived,
    Attempted,
    Blame,
    Closed,
    Doubted,
    Part,
    Receipted,
    Requeued,
    Responded,
    State,
    Told,
    Withdrawn,
    unpack,
)
from smsroute.ports import Ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import SimEsme
from smsroute.sim.mobile import Mobile
from smsroute.sim.temperament import Mode
from smsroute.store.base import StoreError
from smsroute.store.sqlite import open_store
from tests.sim import determinism
from tests.sim.books import Attempt, Story, Terms
from tests.sim.clock import SimClock
from tests.sim.determinism import SimEntropy
from tests.sim.disk import SimBlocking, Tape
from tests.sim.faults import FAULTS, FOR_GOOD
from tests.sim.listener import Listener
from tests.sim.network import SimNetwork
from tests.sim.options import DOOR, ENGINE, FIRST_SEQUENCE, MO_TO, Options
from tests.sim.wire import TOKEN

LOOK_S = 0.5
NODE = "n1"
STOP_S = 60.0
PATIENCE_S = 45.0
"""Seconds after the last fault in which carriers may still be in ejection, slow start or a throttle pause."""
WAIT_S = 20.0
"""Seconds a part may stand due after that."""
WAITING_FACTOR = 4
"""Every reader may add one batch before it is held."""
FAULT = re.compile(r"\.fault$")
TOLD = ("bind", "session", "reason", "kind", "carrier", "esme", "error", "receipts", "in_flight")
"""What of a log line goes into the trace; paths and durations of real time must not."""


class Broken(AssertionError):
    """A law was broken, the engine crashed, or something is stuck."""


@attrs.frozen
class Report:
    """How a world ended."""

    digest: str
    virtual_s: float
    counts: Counter[str]
    longest_wait_s: float
    states: Counter[str]
    platforms: dict[str, dict[str, Any]]
    carriers: dict[str, dict[str, Any]]


class World:
    """See the module. Made and run inside `determinism.run`."""

    def __init__(self, options: Options, folder: Path, on_line: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.entropy = SimEntropy(options.seed)
        self.clock = SimClock()
        terms = {
            one.address: (one.name, Terms(one.config.window, one.config.rate, one.config.response_timeout_s, one.sure))
            for one in options.carriers
        }
        as_one = {one.name for one in options.esmes if one.config.receipts == "message"}
        self.auditor = Listener(ENGINE, terms, options.limits.esme_response_timeout_s, as_one)
        self.auditor.on_line = on_line
        self.auditor.failover_s = options.failover_s
        self.network = SimNetwork(self.entropy, options.weather, self.auditor)
        self.carriers = {
            one.name: SimCarrier(
                one.name,
                temperament=one.temperament,
                system_id="smsroute",
                password="secret",
                receipt_window=2,
                first_sequence=FIRST_SEQUENCE,
            )
            for one in options.carriers
        }
        self.esmes = {one.name: SimEsme(one.workload, one.settings, name=one.name) for one in options.esmes}
        self.mobiles: dict[str, Mobile] = {}
        self.address = {one.name: one.address for one in options.carriers}
        self.address |= {one.name: one.address for one in options.esmes}
        self.blocking: SimBlocking | None = None
        self.engine: Engine | None = None
        self.ready = False
        self.lives = 0
        self.disk_latency_s = options.disk_latency_s
        self.disk_refusal: Callable[[str], None] | None = None
        self.folder = folder
        self._store: Any = None
        self._life = trio.CancelScope()
        self._down_s = 0.0
        self._over = False
        self._stopped = trio.Event()

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> Report:
        """Both phases, and the judgement. Raises Broken."""
        async with trio.open_nursery() as nursery:
            for name, carrier in self.carriers.items():
                await nursery.start(carrier.run, self._ports(name), self.address[name], DOOR)
                if self.options.mo_rate:
                    count = max(1, int(self.options.mo_rate * self.options.safety_s))
                    mobile = Mobile(carrier, self.options.mo_rate, MO_TO, messages=count, long_share=0.2)
                    self.mobiles[name] = mobile
                    nursery.start_soon(mobile.run, self._ports(f"{name}/handsets"))
            nursery.start_soon(self._keep_engine)
            for name, esme in self.esmes.items():
                nursery.start_soon(esme.run, self._ports(name), ENGINE, DOOR)
            await self._safety()
            self.heal()
            await self._liveness()
            await self._stop_engine()
            virtual_s = trio.current_time()
            nursery.cancel_scope.cancel()
        stories, counts = self._stories(Path(self.folder) / str(self.lives))
        self.auditor.at_rest(stories, self._handsets(), counts)
        self._check()
        states = Counter(story.state for story in stories.values() if story is not None)
        return Report(
            self.auditor.digest,
            virtual_s,
            self.auditor.counts,
            self.auditor.longest_wait_s,
            states,
            {name: esme.report() for name, esme in self.esmes.items()},
            {name: carrier.stats() for name, carrier in self.carriers.items()},
        )

    def _ports(self, name: str) -> Ports:
        """A peer's: a clock and dice of its own."""
        entropy = SimEntropy(f"{self.options.seed}/{name}")
        host = self.network.host(self.address[name.partition("/")[0]])
        return Ports(SimClock(), entropy, host, SimBlocking(entropy.rng("disk")))

    async def _safety(self) -> None:
        with trio.move_on_after(self.options.safety_s):
            async with trio.open_nursery() as faults:
                faults.start_soon(self._watch)
                for name in self.options.faults:
                    fault = FAULTS.get(name) or FOR_GOOD[name]
                    faults.start_soon(fault, self, self.entropy.rng(f"fault/{name}"))

    async def _watch(self) -> None:
        """Stop at the first broken law, near what broke it; look at what must stay bounded."""
        while True:
            self._bounded()
            self._check()
            await trio.sleep(LOOK_S)

    def _bounded(self) -> None:
        if self.engine is None:
            return
        limits, ledger = self.options.limits, self.engine.ledger
        for what, size, most in (
            ("orphans", len(ledger.orphans), limits.orphans_max),
            ("multiparts", len(ledger.multiparts), limits.multiparts_max),
            ("events that wait for the disk", self.engine.journal.waiting, WAITING_FACTOR * limits.journal_waiting_max),
        ):
            if size > most:
                self.auditor.breach("law 10", f"{size} {what}, at most {most} allowed")

    def _check(self) -> None:
        if self.auditor.broken:
            raise Broken("\n".join(self.auditor.broken))

    def heal(self) -> None:
        """The end of all faults."""
        self.auditor.note("-- heal")
        self.network.heal()
        for one in self.options.carriers:
            self.carriers[one.name].mode = Mode.KIND
            self.carriers[one.name].temperament = one.temperament
        for esme in self.esmes.values():
            esme.acks = "yes"
        self.set_disk(self.options.disk_latency_s, None)
        self.clock.correct()

    async def _liveness(self) -> None:
        healed_at = trio.current_time()
        with trio.move_on_after(self.options.liveness_s):
            while True:
                if trio.current_time() > healed_at + PATIENCE_S:
                    self._nobody_waits()
                self._check()
                if not self.unrest():
                    return
                await trio.sleep(LOOK_S)
        raise Broken(f"not at rest {self.options.liveness_s:g} s after the last fault:\n" + "\n".join(self.unrest()))

    def _nobody_waits(self) -> None:
        """With every carrier well again nothing that could go stands still: an expiry must not hide a lost wake-up."""
        if self.engine is None or not self.ready or not self.options.roomy:
            return
        now = self.clock.wall()
        for part in self.engine.ledger.parts.values():
            waits_s = now - part.due_at
            if part.state != State.DUE or waits_s <= WAIT_S or now >= part.expires_at:
                continue
            station = self.engine.dispatch.stations.get(part.carrier)
            hold = station.holds.rows.get(part.destination_addr) if station is not None else None
            if (
                hold is None or hold.until < trio.current_time() - WAIT_S
            ):  # else its handset is asked again when it ends
                self.auditor.breach("law 6", f"{part.part_id} has waited {waits_s:.0f} s: {part.why}")

    def unrest(self) -> list[str]:
        """What still moves, in words; empty at rest."""
        if self.engine is None or not self.ready:
            return ["no engine is up"]
        lines = [
            f"{name} has {esme.report()['unanswered']} submits unanswered, {esme.bound} binds"
            for name, esme in self.esmes.items()
            if not esme.submitted_all
        ]
        lines += [
            f"{name} holds {carrier.receipts_waiting} receipts"
            for name, carrier in self.carriers.items()
            if carrier.receipts_waiting
        ]
        lines += [f"handsets of {name} still write" for name, mobile in self.mobiles.items() if not mobile.done]
        parts = [part for part in self.engine.ledger.parts.values() if not part.at_rest]
        lines += [
            f"{part.part_id} is {State(part.state).name} at {part.carrier}, due {part.due_at:.1f}, "
            f"{len(part.attempts)} attempts: {part.why}"
            for part in parts[:10]
        ]
        lines += [
            f"{len(outbox)} receipts wait for {name}, {outbox.on_disk} of them on disk, {len(outbox.ready)} ready"
            for name, outbox in self.engine.ledger.outboxes.items()
            if len(outbox)
        ]
        if lines:
            lines.append(f"{len(parts)} parts not at rest; now {self.clock.wall():.1f}")
            lines += [f"bind {bind.name} {bind.state}: {bind.reason}" for bind in self.engine.binds]
        return lines

    # -- the engine's lives -------------------------------------------------------------------------------------------

    async def _keep_engine(self) -> None:
        while not self._over:
            self.lives += 1
            folder = self.folder / str(self.lives)
            if self.lives > 1:
                shutil.copytree(self.folder / str(self.lives - 1), folder)  # as it lies, nothing folded or tidied
                self._store.close()
                await trio.sleep(self._down_s)
            await self._one_life(folder)
        self._store.close()
        self._stopped.set()

    async def _one_life(self, folder: Path) -> None:
        rng = SimEntropy(f"{self.options.seed}/engine{self.lives}")
        self.blocking = SimBlocking(rng.rng("disk"), self.disk_latency_s)
        self.blocking.refuse = self.disk_refusal
        ports = Ports(self.clock, rng, self.network.host(ENGINE), self.blocking)
        self._store = store = open_store(f"sqlite:{folder}", NODE)
        self._life = trio.CancelScope()
        self.auditor.note(f"-- engine, life {self.lives}")
        self.auditor.new_life()
        try:
            with self._life:
                engine = await build(self.options.config(folder), ports, Tape(store, self._durable, self.auditor.note))
                self.engine = engine
                await engine.run(self._is_ready)
        except* StoreError as group:
            if not self._life.cancel_called:
                raise Broken(f"the store failed: {group.exceptions}") from group
        finally:
            self.ready, self.engine = False, None

    def _is_ready(self) -> None:
        self.ready = True
        self.network.power_on(ENGINE)
        self.auditor.note("-- engine ready")

    def power_off(self, quietly: bool, down_s: float) -> None:
        """The machine of the engine loses its power, and has it back `down_s` later: what is durable stays, all else
        is gone. `quietly`: its peers do not hear of it."""
        if self._over:
            return
        self.auditor.note(f"-- power off{', quietly' if quietly else ''}, {down_s:.1f} s")
        if self._store is not None:
            self._store.fence()
        self.network.power_off(ENGINE, quietly)
        self.ready = False  # nobody asks anything of it from here on
        self._down_s = down_s
        self._life.cancel()

    def restart(self, down_s: float) -> None:
        """The engine is asked to stop in good order, and started again."""
        if self.engine is not None:
            self.auditor.note("-- restart")
            self._down_s = down_s
            self.engine.stop()

    async def _stop_engine(self) -> None:
        self._over = True
        assert self.engine is not None
        self.engine.stop()
        with trio.move_on_after(STOP_S):
            await self._stopped.wait()
            return
        raise Broken(f"the engine does not stop within {STOP_S:g} s")

    def set_disk(self, latency_s: tuple[float, float], refusal: Callable[[str], None] | None) -> None:
        """How the engine's disk behaves from now on, in this life and the next."""
        self.disk_latency_s, self.disk_refusal = latency_s, refusal
        if self.blocking is not None:
            self.blocking.latency_s, self.blocking.refuse = latency_s, refusal

    # -- what the auditor is told -------------------------------------------------------------------------------------

    def _durable(self, record: bytes) -> None:
        auditor = self.auditor
        events = unpack(record)
        for event in events:
            match event:
                case Accepted():
                    validity_s = event.expires_at - event.at
                    auditor.durable_accept(event.part_id, event.body, event.esme, event.wants_receipt, validity_s)
                case Arrived():
                    auditor.durable_arrival(event.part_id, event.esme, event.carrier, event.body)
                case Attempted():
                    auditor.durable_attempt(event.part_ids, event.carrier, event.bind, event.merged)
                case Withdrawn():
                    auditor.durable_withdrawal(event.part_ids)
                case Doubted():
                    auditor.durable_doubt(event.part_ids)
                case Requeued():
                    auditor.durable_resend(event.part_ids)
                case Responded() if event.blame == Blame.OK:
                    auditor.durable_taken(event.part_id, event.attempt, event.carrier_message_id)
                case Responded():
                    auditor.durable_refusal(event.part_id, event.attempt, event.blame == Blame.THROTTLED)
                case Receipted() if event.word.startswith("query_sm "):
                    pass  # the auditor has heard the carrier answer
                case Receipted():
                    state = State(event.state).name if event.state >= 0 else ""
                    written = [*event.keys, *(message_id for _, message_id in event.ids)]
                    auditor.durable_receipt(event.carrier, written, state)
                case Closed():
                    auditor.closed |= {auditor.papers[part_id].multipart for part_id in event.message_ids}
                case Told():
                    auditor.durable_told(event.part_ids, bool(event.dropped))
        auditor.note(f"durable {' '.join(type(event).__name__ for event in events)}")

    def logged(self, _: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A structlog processor: the engine's log becomes part of the trace; a fault of ours is a breach."""
        told = " ".join(f"{key}={event[key]}" for key in TOLD if key in event)
        self.auditor.note(f"log {method} {event['event']} {told}")
        if FAULT.search(event["event"]):
            self.auditor.breach("no fault of ours", "".join(traceback.format_exception(sys.exception())))
        raise structlog.DropEvent

    def _stories(self, folder: Path) -> tuple[dict[str, Story | None], dict[str, int]]:
        """Every accepted part, as the store opened again tells it, and what it counted."""
        store = open_store(f"sqlite:{folder}", NODE)
        try:
            limits = self.options.limits
            ledger = Ledger(orphans_max=limits.orphans_max, multiparts_max=limits.multiparts_max)
            recover(store, ledger)
            papers = self.auditor.papers
            wanted = [*papers, *self.auditor.arrivals]
            stories = {part_id: _story(ledger.parts.get(part_id) or store.story(part_id)) for part_id in wanted}
            return stories, {name: getattr(ledger.counts, name) for name in ledger.counts.__struct_fields__}
        finally:
            store.close()

    def _handsets(self) -> Counter[str]:
        got: Counter[str] = Counter()
        for carrier in self.carriers.values():
            for (_, text), times in carrier.handsets.got.items():
                for token in TOKEN.findall(text) or [repr(text).encode()]:
                    got[token.decode()] += times
        return got


def _story(part: Part | None) -> Story | None:
    if part is None:
        return None
    attempts = tuple(
        Attempt(one.carrier, one.bind, withdrawn=one.withdrawn, resent=one.resent, repeats=one.repeats)
        for one in part.attempts
    )
    return Story(State(part.state).name, part.final, part.at_rest, attempts, part.why)


@contextlib.contextmanager
def _log_to(processor: Callable[..., Any]) -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(
        processors=[processor],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def run_options(options: Options, on_line: Callable[[str], None] | None = None) -> Report:
    """Run one world. Raises Broken, which tells the command that replays it."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="smsroute-sim-") as folder:
        worlds: list[World] = []

        async def main() -> Report:
            world = World(options, Path(folder), on_line)
            worlds.append(world)
            with _log_to(world.logged):
                return await world.run()

        try:
            return determinism.run(options.seed, main)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            lines = [*options.lines(), "", *(worlds[0].auditor.trace if worlds else ()), ""]
            raise Broken(_told(options, lines, error)) from error


def _told(options: Options, lines: list[str], error: BaseException) -> str:
    head, tail = lines[:12], lines[12:]
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    shown = str(error) if isinstance(error, Broken) else "".join(traceback.format_exception(error))
    return "\n".join(
        [*head, *tail[-60:], shown, f"Replay: {options.replay or f'tools/simulate --seed {options.seed}'}"]
    )
