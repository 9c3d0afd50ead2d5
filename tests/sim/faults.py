"""What goes wrong in a simulated world: small tasks that compose, each undoing what it did when it is cancelled.

Rules:
- A fault is an async function of (world, rng) that runs until cancelled; everything it decides comes from `rng`.
- It acts on the outside (network, peers, disk, clock, power), never on the engine's memory.
- Whatever it switched on it switches off again, on the way out too: after the last fault the world can heal.

Walk: `world` starts the faults that the options name, all at once, for the phase of safety.
"""

from __future__ import annotations

import contextlib
import functools
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
import trio

from smsroute.sim.temperament import Mode
from smsroute.store.base import Kind, StoreError
from tests.sim.disk import WRITES
from tests.sim.network import Link
from tests.sim.options import ENGINE

if TYPE_CHECKING:
    from smsroute.config import Config
    from smsroute.sim.carrier import SimCarrier
    from tests.sim.world import World

Fault = Callable[["World", random.Random], Awaitable[None]]


async def _turn(
    world: World, rng: random.Random, name: str, calm_s: tuple[float, float], bad_s: tuple[float, float]
) -> float:
    """Sleep through a calm; the length in seconds of the bad time that comes now."""
    await trio.sleep(rng.uniform(*calm_s))
    bad = rng.uniform(*bad_s)
    world.auditor.note(f"-- {name}{f' for {bad:.1f} s' if bad else ''}")
    return bad


def _links(world: World) -> list[Link]:
    return world.network.links_of(ENGINE)


async def clog(world: World, rng: random.Random) -> None:
    """One direction between the engine and a peer, or both, stalls and flows again; nothing is lost."""
    while True:
        bad_s = await _turn(world, rng, "clog", (2, 20), (0.5, 15))
        peer = rng.choice(sorted(world.address.values()))
        ways = [world.network.way(ENGINE, peer), world.network.way(peer, ENGINE)]
        ways = rng.choice((ways, ways[:1], ways[1:]))
        with contextlib.ExitStack() as undo:
            for way in ways:
                way.clog()
                undo.callback(way.unclog)
            await trio.sleep(bad_s)


async def cut(world: World, rng: random.Random) -> None:
    """A link is reset, and what was under way on it is lost."""
    while True:
        await _turn(world, rng, "cut", (1, 15), (0, 0))
        if links := _links(world):
            rng.choice(links).cut()


async def half_open(world: World, rng: random.Random) -> None:
    """A link goes silent: writes are taken, nothing arrives, and only a timer finds out."""
    while True:
        bad_s = await _turn(world, rng, "half-open", (2, 20), (5, 40))
        if not (links := _links(world)):
            continue
        link = rng.choice(links)
        link.silence()
        try:
            await trio.sleep(bad_s)
        finally:
            link.cut("found half-open")


async def refuse(world: World, rng: random.Random) -> None:
    """A carrier's links are cut, and whoever dials is refused for a while."""
    while True:
        bad_s = await _turn(world, rng, "refuse", (5, 20), (1, 15))
        address = world.address[rng.choice(sorted(world.carriers))]
        world.network.refusing.add(address)
        for link in world.network.links_of(ENGINE, address):
            link.cut("refused")
        try:
            await trio.sleep(bad_s)
        finally:
            world.network.refusing.discard(address)


def _mood(mode: Mode, name: str, bad_s: tuple[float, float]) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        while True:
            seconds = await _turn(world, rng, name, (2, 20), bad_s)
            carrier = world.carriers[rng.choice(sorted(world.carriers))]
            carrier.mode = mode
            try:
                await trio.sleep(seconds)
            finally:
                carrier.mode = Mode.KIND

    fault.__doc__ = f"A carrier is {mode.value} for a while."
    return fault


async def flapping(world: World, rng: random.Random) -> None:
    """A carrier's door is shut and open by turns, a few seconds each."""
    while True:
        bad_s = await _turn(world, rng, "flapping", (5, 20), (10, 30))
        await _flap(world.carriers[rng.choice(sorted(world.carriers))], rng.uniform(1, 6), bad_s)


async def _flap(carrier: SimCarrier, turn_s: float, seconds: float) -> None:
    try:
        with trio.move_on_after(seconds):
            while True:
                carrier.mode = Mode.CLOSED
                await trio.sleep(turn_s)
                carrier.mode = Mode.KIND
                await trio.sleep(turn_s)
    finally:
        carrier.mode = Mode.KIND


async def half_rate(world: World, rng: random.Random) -> None:
    """A carrier grants half of the rate in its contract, and throttles what is above."""
    while True:
        bad_s = await _turn(world, rng, "half rate", (2, 20), (5, 30))
        one = rng.choice(world.options.carriers)
        with _temper(world.carriers[one.name], throttle_above_s=one.config.rate / 2):
            await trio.sleep(bad_s)


def _one_for_good(what: str, mode: Mode, **changes: Any) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        await trio.sleep(rng.uniform(5, 15))
        carrier = world.carriers[min(world.carriers)]
        world.auditor.note(f"-- {carrier.name} is {what} from here on")
        carrier.mode = mode
        with _temper(carrier, **changes):
            await trio.sleep_forever()

    fault.__doc__ = f"The first carrier is {what}, from some moment on."
    return fault


async def one_flapping(world: World, rng: random.Random) -> None:
    """The first carrier is gone for 5 s and back for 5 s, from some moment on."""
    await trio.sleep(rng.uniform(5, 15))
    carrier = world.carriers[min(world.carriers)]
    world.auditor.note(f"-- {carrier.name} flaps from here on")
    await _flap(carrier, 5.0, math.inf)


def _receipts(name: str, **shares: float) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        while True:
            seconds = await _turn(world, rng, name, (2, 10), (5, 30))
            carrier = world.carriers[rng.choice(sorted(world.carriers))]
            with _temper(carrier, **shares):
                await trio.sleep(seconds)

    fault.__doc__ = f"A carrier's receipts for a while: {shares}."
    return fault


@contextlib.contextmanager
def _temper(carrier: SimCarrier, **changes: Any) -> Iterator[None]:
    before = carrier.temperament
    carrier.temperament = attrs.evolve(before, **changes)
    try:
        yield
    finally:
        carrier.temperament = before


async def binds_refused(world: World, rng: random.Random) -> None:
    """A carrier drops its links and grants one bind for a while, whatever the contract says."""
    while True:
        bad_s = await _turn(world, rng, "binds refused", (5, 25), (5, 20))
        carrier = world.carriers[rng.choice(sorted(world.carriers))]
        with _temper(carrier, binds_max=1.0):
            carrier.drop_links()
            await trio.sleep(bad_s)


async def maintenance(world: World, rng: random.Random) -> None:
    """A carrier unbinds all its sessions in good order, as at night."""
    while True:
        await _turn(world, rng, "maintenance", (5, 25), (0, 0))
        world.carriers[rng.choice(sorted(world.carriers))].unbind_links()


async def platform_drops(world: World, rng: random.Random) -> None:
    """A platform cuts its connections without a word and dials again."""
    while True:
        await _turn(world, rng, "platform drops", (3, 20), (0, 0))
        world.esmes[rng.choice(sorted(world.esmes))].drop_links()


async def platform_sulks(world: World, rng: random.Random) -> None:
    """A platform does not answer its receipts for a while, or refuses them."""
    while True:
        bad_s = await _turn(world, rng, "platform sulks", (3, 20), (1, 20))
        esme = world.esmes[rng.choice(sorted(world.esmes))]
        esme.acks = rng.choice(("no", "refuse"))
        try:
            await trio.sleep(bad_s)
        finally:
            esme.acks = "yes"


async def power_off(world: World, rng: random.Random) -> None:
    """The engine's machine loses its power at some event (a PDU, a journal row, a log line, whatever comes as the nth),
    and comes back on the same disk."""
    while True:
        down_s, quietly = rng.uniform(0.1, 8), rng.random() < 0.5
        rung = trio.Event()
        at = world.auditor.notes + rng.randint(1, 1500)
        world.auditor.alarm = (at, functools.partial(_blackout, world, quietly, down_s, rung))
        try:
            await rung.wait()
            await trio.sleep(down_s)
        finally:
            world.auditor.alarm = None


def _blackout(world: World, quietly: bool, down_s: float, rung: trio.Event) -> None:
    world.power_off(quietly, down_s)
    rung.set()


async def restart(world: World, rng: random.Random) -> None:
    """The engine is stopped in good order and started again, as at an upgrade."""
    while True:
        bad_s = await _turn(world, rng, "restart", (5, 30), (0.1, 3))
        world.restart(bad_s)


async def disk_slow(world: World, rng: random.Random) -> None:
    """Each disk call takes its time."""
    while True:
        bad_s = await _turn(world, rng, "disk slow", (2, 20), (2, 15))
        world.set_disk((0.05, rng.choice((0.3, 1.5))), world.disk_refusal)
        try:
            await trio.sleep(bad_s)
        finally:
            world.set_disk(world.options.disk_latency_s, world.disk_refusal)


async def disk_full(world: World, rng: random.Random) -> None:
    """Writes are refused: no space left, or some of them by a sick disk."""

    def refusal(name: str) -> None:
        if rng.random() < share and (name in WRITES or kind == "failed"):
            raise StoreError(kind, f"{name}: the simulated disk is {kind}")

    kind: Kind = "full"
    share = 1.0
    while True:
        bad_s = await _turn(world, rng, "disk full", (2, 20), (0.5, 12))
        kind, share = rng.choice(SICK_DISKS)
        world.set_disk(world.disk_latency_s, refusal)
        try:
            await trio.sleep(bad_s)
        finally:
            world.set_disk(world.disk_latency_s, None)


SICK_DISKS: tuple[tuple[Kind, float], ...] = (("full", 1.0), ("failed", 0.5), ("busy", 0.3))
"""What a sick disk says, and to which share of the writes."""


async def clock_step(world: World, rng: random.Random) -> None:
    """The engine's wall clock is set forwards or back, and drifts in between."""
    while True:
        await _turn(world, rng, "clock step", (3, 20), (0, 0))
        world.auditor.clocks_agree = False
        world.clock.step(rng.choice((-3600.0, -30.0, -1.0, 1.0, 30.0)))
        world.clock.drift(rng.choice((0.0, 1e-3, -1e-3)))


async def reload(world: World, rng: random.Random) -> None:
    """Somebody edits the config: lower limits, other sessions, a carrier gone; and thinks better of it."""
    while True:
        bad_s = await _turn(world, rng, "reload", (3, 20), (0.2, 15))
        _reload(world, _edited(world, rng))
        try:
            await trio.sleep(bad_s)
        finally:
            _reload(world, world.options.config(world.folder))


def _reload(world: World, config: Config) -> None:
    if world.engine is not None and world.ready and not world.engine.stopping:
        world.engine.reload(config)


def _edited(world: World, rng: random.Random) -> Config:
    config = world.options.config(world.folder)
    carriers = {}
    for name, carrier in config.carriers.items():
        window, rate = rng.randint(1, carrier.window), carrier.rate * rng.uniform(0.3, 1)
        system_type = rng.choice((carrier.system_type, carrier.system_type, "OTHER"))
        carriers[name] = attrs.evolve(carrier, window=window, rate=rate, system_type=system_type)
    gone = rng.choice((*carriers, "", ""))
    carriers.pop(gone, None)
    routes = []
    for route in config.routes:
        kept = tuple(one for one in (*route.carriers, *route.backup) if one.carrier in carriers)
        routes.append(attrs.evolve(route, carriers=kept, backup=()))
    return attrs.evolve(config, carriers=carriers, routes=tuple(routes))


FAULTS: dict[str, Fault] = {
    "clog": clog,
    "cut": cut,
    "half_open": half_open,
    "refuse": refuse,
    "throttle_storm": _mood(Mode.THROTTLING, "throttle storm", (2, 25)),
    "brownout": _mood(Mode.SLOW, "brownout", (5, 25)),
    "instant_errors": _mood(Mode.ERRORING, "instant errors", (2, 20)),
    "silence": _mood(Mode.SILENT, "silence", (2, 30)),
    "black_hole": _mood(Mode.BLACK_HOLE, "black hole", (2, 15)),
    "night": _mood(Mode.CLOSED, "night", (2, 20)),
    "binds_refused": binds_refused,
    "maintenance": maintenance,
    "receipt_silence": _receipts("receipt silence", receipts_lost=1.0),
    "receipt_disorder": _receipts(
        "receipt disorder", receipts_early=0.5, receipts_doubled=0.5, receipts_lost=0.1, receipts_elsewhere=0.5
    ),
    "platform_drops": platform_drops,
    "platform_sulks": platform_sulks,
    "power_off": power_off,
    "restart": restart,
    "disk_slow": disk_slow,
    "disk_full": disk_full,
    "clock_step": clock_step,
    "reload": reload,
    "flapping": flapping,
    "half_rate": half_rate,
}
FOR_GOOD: dict[str, Fault] = {
    **{
        f"one_{mode.value}": _one_for_good(mode.value, mode)
        for mode in (Mode.CLOSED, Mode.ERRORING, Mode.SLOW, Mode.SILENT, Mode.THROTTLING)
    },
    "one_receiptless": _one_for_good("without receipts", Mode.KIND, receipts_lost=1.0),
    "one_flapping": one_flapping,
    "one_halved": _one_for_good("down to half of what it gets", Mode.KIND, throttle_above_s=1.5),
}
"""For scenarios alone: one carrier falls sick and stays so, in the eight ways of `tools/failover`."""
