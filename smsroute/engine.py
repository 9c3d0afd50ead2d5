"""The engine: one config, four ports, one store; one nursery in which each long-lived task is listed once.

NAME
    build(config, ports, store) -> Engine; Engine.run() until Engine.stop().

THE MAIN PATH
    esmes/listener -> link -> smpp.session -> esmes/accept -> store/journal (durable) -> answers out
    -> carriers/dispatch -> carriers/bind -> link out; responses back -> carriers/answers -> journal -> ledger;
    receipts -> carriers/receipts -> journal -> ledger -> outbox -> esmes/deliver -> deliver_sm_resp -> journal.

BOOT ORDER
    1. store opened (one engine a store), checkpoint restored, journal replayed through `Ledger.apply`; what the last
       engine knew of its carriers is taken up again.
    2. Every attempt without an answer is in doubt, never "unsent" (law 2): the events that say so are the first
    written.
    3. Doors opened: a busy port stops the boot here, before a carrier sees us.
    4. Tasks started: journal, checkpoints, binds, dispatch, outboxes, doors. `ready` once each bind was tried once.

STOP ORDER (SIGTERM)
    1. Doors refuse new binds, submits get an error; nothing new is offered to a carrier.
    2. Up to `drain_timeout_s` for answers to what is in flight; receipts keep flowing to ESMEs meanwhile.
    3. Unbind on both sides, the journal flushed, a last checkpoint, scores kept, the store closed.
    What is due stays due: it is durable, and the next start sends it.

DIAGNOSTICS
    engine.ready, engine.drained, engine.stopped; store.failed / store.healed; a fenced store ends `run` with
    StoreError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import structlog
import trio

from smsroute import __version__
from smsroute.carriers.bind import Bind
from smsroute.carriers.dispatch import Dispatch
from smsroute.carriers.handsets import Handsets
from smsroute.carriers.keeper import Keeper
from smsroute.carriers.receipts import Receipts
from smsroute.carriers.watch import Watch
from smsroute.config import Config
from smsroute.esmes.accept import Accept
from smsroute.esmes.commands import Commands
from smsroute.esmes.deliver import Deliver
from smsroute.esmes.listener import Doors
from smsroute.esmes.outbind import Outbinds
from smsroute.esmes.pager import Pager
from smsroute.ids import MessageIds
from smsroute.ledger import Ledger
from smsroute.message import AnyEvent, Doubted, Started, State
from smsroute.ops.decisions import Decisions
from smsroute.ops.reload import Revision
from smsroute.ports import Listener, Ports
from smsroute.routing.table import Table
from smsroute.store.base import Store
from smsroute.store.journal import Journal
from smsroute.tls import DoorTls, expiries

log: Final = structlog.get_logger("smsroute.engine")


FIXED: Final = ("node", "listen", "store", "control", "http", "mask_numbers", "limits")
"""What a running engine cannot change: a reload that has it otherwise says that it waits for the next start."""


class Engine:
    """See the module. Made by `build`, run once."""

    def __init__(self, config: Config, ports: Ports, store: Store, ledger: Ledger, last_seq: int) -> None:
        self.config = config
        self.ports = ports
        self.store = store
        self.ledger = ledger
        self.started_at = ports.clock.wall()
        self.revision = Revision(self.started_at)
        self.journal = Journal(store, ledger, ports, config.limits, last_seq, self._applied)
        self.dispatch = Dispatch(config, ledger, self.journal, ports)
        ids = MessageIds(config.node, ledger.last_part_id)
        self.handsets = Handsets(self.dispatch, config, ids)
        self.receipts = Receipts(self.dispatch, store, self.handsets)
        self.deliver = Deliver(ledger, self.journal, ports, config.limits)
        self.handsets.alerted = self.deliver.alert
        self.pager = Pager(ledger, store, ports, config.limits, self.deliver.pump)
        self.accept = Accept(
            config,
            ledger,
            self.journal,
            ports,
            self.dispatch.loops,
            takeoff=self.dispatch.takeoff,
            ids=ids,
        )
        commands = Commands(self.accept, ledger, self.journal, store, ports)
        self.doors = Doors(config, self.accept, self.deliver, commands, ports)
        self.outbinds = Outbinds(config, ledger, self.doors, ports)
        self.dispatch.connect(self.receipts)
        self.watch = Watch(self.dispatch.stations, ports, config.limits)
        self.keeper = Keeper(self.dispatch.stations, store, ports, config.limits)
        self.dispatch.adoption.keep = self.keeper.learnt
        self.decisions = Decisions(store, ports, config.limits, lambda: self.config.digest)
        self.dispatch.decided = self.decisions.decided
        self.listeners: list[Listener] = []
        self._certificates: dict[str, DoorTls] = {}  # of the doors that have one, by address
        self.expiries: dict[tuple[str, str], float] = {}  # when a certificate we show ends, by ("door", address)
        self.draining = False
        self._stop = trio.Event()

    @property
    def binds(self) -> list[Bind]:
        """Every bind of every carrier."""
        return self.dispatch.binds

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop; its tasks may be gone already."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask for the stop order above; `run` returns when it is done."""
        self._stop.set()

    def reload(self, config: Config, table: Table | None = None) -> None:
        """Carriers, ESMEs and routes as `config` has them, from now on, with no bind dropped that need not be.

        `table`: of those routes, where it was built already, off the loop: a million prefixes take half a second.
        What differs among `FIXED` holds as it was, and `revision.waits` names it; doors stay open, and show their
        certificates as the files have them now.
        """
        waits = tuple(key for key in FIXED if getattr(config, key) != getattr(self.config, key))
        self.config = attrs.evolve(config, **{key: getattr(self.config, key) for key in waits})
        self.accept.adopt(self.config)
        self.doors.adopt(self.config)
        self.handsets.adopt(self.config)
        self.outbinds.adopt(self.config)
        self._renew_certificates()
        self.dispatch.adopt(self.config, table or Table.of(self.config))
        self.revision = Revision(self.ports.clock.wall(), waits)

    async def run(self, ready: Callable[[], None] | None = None) -> None:
        """Boot, serve, and stop. `ready` is called once. Raises OSError for a door that cannot open, StoreError when
        another engine has fenced the store."""
        await self._open_doors()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.journal.run)
                await self._doubt_what_was_in_flight()
                async with trio.open_nursery() as tasks:
                    tasks.start_soon(self.journal.run_checkpoints)
                    tasks.start_soon(self.journal.run_pruning)
                    tasks.start_soon(self.watch.run)
                    tasks.start_soon(self.keeper.run)
                    tasks.start_soon(self.decisions.run)
                    tasks.start_soon(self.deliver.run)
                    tasks.start_soon(self.pager.run)
                    tasks.start_soon(self.outbinds.run)
                    tasks.start_soon(self.dispatch.run)
                    for listener in self.listeners:
                        tasks.start_soon(self.doors.serve, listener)
                    await self.dispatch.tried.wait()
                    log.info("engine.ready", node=self.config.node, doors=[door.port for door in self.listeners])
                    if ready is not None:
                        ready()
                    await self._stop.wait()
                    await self._drain()
                    tasks.cancel_scope.cancel()
                self.journal.close()
            await self.journal.checkpoint()
            await self.keeper.keep()
            await self.decisions.flush()
        finally:
            for listener in self.listeners:
                with trio.CancelScope(shield=True):
                    await listener.aclose()
        log.info("engine.stopped")

    async def _open_doors(self) -> None:
        for listen in self.config.listen:
            tls = None if listen.tls is None else DoorTls(listen.tls)
            if tls is not None:
                self._certificates[f"{listen.host}:{listen.port}"] = tls
            self.listeners.append(await self.ports.network.listen(listen.host, listen.port, tls))
        self._read_expiries()

    def _renew_certificates(self) -> None:
        """The doors' certificates as their files have them now; `tls.prove` has tried them a moment ago."""
        self._read_expiries()
        for door, tls in self._certificates.items():
            try:
                if tls.renew():
                    log.info("door.certificate_renewed", door=door)
            except OSError as error:
                log.error("door.certificate_kept", door=door, reason=str(error))

    def _read_expiries(self) -> None:
        try:
            self.expiries = expiries(self.config)
        except (OSError, ValueError) as error:  # health goes on with what it knew
            log.error("certificate.unread", reason=str(error))

    async def _doubt_what_was_in_flight(self) -> None:
        now = self.ports.clock.wall()
        events: list[AnyEvent] = [Started(now, self.config.node, __version__)]
        in_flight = [part.part_id for part in self.ledger.parts.values() if part.state == State.ATTEMPTED]
        if in_flight:
            events.append(Doubted(now, in_flight, "the engine stopped before the carrier answered"))
        await self.journal.commit(events, must=True)

    async def _drain(self) -> None:
        self.draining = self.accept.draining = self.doors.draining = True
        self.dispatch.draining = True
        log.info("engine.draining", in_flight=self.dispatch.in_flight)
        limits = self.config.limits
        with trio.move_on_after(limits.drain_timeout_s):
            await self.dispatch.landed()
        self.keeper.note()  # unbinding looks like death
        for bind in self.binds:
            bind.stop()
        self.doors.unbind_all()
        with trio.move_on_after(limits.unbind_timeout_s):
            await self.dispatch.all_down()
            await self.doors.empty()
        log.info("engine.drained", in_flight=self.dispatch.in_flight)

    def _applied(self) -> None:
        """After each commit: whoever got something to do is told, once."""
        ledger = self.ledger
        if ledger.noticed:
            self.dispatch.noticed()
        if ledger.queues.woken:
            self.dispatch.wake(ledger.queues.woken)
            ledger.queues.woken.clear()
        if ledger.woken_esmes:
            for esme in sorted(ledger.woken_esmes):
                self.deliver.pump(esme)
            ledger.woken_esmes.clear()
        self.pager.look()


async def build(config: Config, ports: Ports, store: Store) -> Engine:
    """Restore the ledger from an opened `store` and wire the rooms. Raises StoreError when the store cannot be read."""
    ledger = Ledger(
        orphans_max=config.limits.orphans_max,
        multiparts_max=config.limits.multiparts_max,
        multipart_ttl_s=config.limits.multipart_ttl_s,
        outbox_memory_max=config.limits.outbox_memory_max,
        id_repeats_max=config.limits.id_repeats_max,
    )
    last_seq = await ports.blocking.run(recover, store, ledger)
    engine = Engine(config, ports, store, ledger, last_seq)
    await engine.keeper.restore()
    return engine


def recover(store: Store, ledger: Ledger) -> int:
    """Fill `ledger` from the last checkpoint and the journal behind it. Returns the last sequence in the journal."""
    recovered = store.recover()
    seq = 0
    if recovered.checkpoint is not None:
        seq = recovered.checkpoint.through
        ledger.restore(recovered.parts(), recovered.checkpoint.state, recovered.owed)
    for seq, events in recovered.events():  # noqa: B007 - the last one is the answer
        for event in events:
            ledger.apply(event)
    ledger.noticed.clear()
    ledger.settle(store.owed_among(list(ledger.pages.claims)))
    return seq
