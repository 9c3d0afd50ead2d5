"""A network in memory: hosts, doors, and links that are slow, cut to pieces, clogged, silent or gone.

Rules:
- Links are bounded: what was sent and not yet read never exceeds the link's buffer, then the sender waits, as with TCP.
- Nothing is delivered by a task or a timer of its own: the reader works out when the next octets arrive and sleeps.
- Conditions belong to a `Way`, one direction between two hosts, and hold for links yet to come; what happens to one
  link (`cut`, `silence`) ends with it.
- A link tells its `Tap` what was written and what was read, octet by octet: the auditor hears everything here.

Walk: `world` gives each party `network.host(address)`, which is a `ports.Network`; `faults` turns the knobs.
"""

from __future__ import annotations

import itertools
import math
import random
import ssl
from collections import deque
from typing import Protocol

import attrs
import trio

from smsroute.ports import Certificates, Handler
from tests.sim.determinism import SimEntropy

BUFFER_OCTETS = 65_536
BACKLOG = 128
READ_OCTETS = 65_536


class Tap(Protocol):
    """Who listens in on every link. `outward`: from the side that dialled to the side that answered."""

    def written(self, link: Link, outward: bool, data: bytes) -> None: ...
    def read(self, link: Link, outward: bool, data: bytes) -> None: ...
    def ended(self, link: Link, how: str) -> None: ...


@attrs.define
class Weather:
    """How links behave while nothing is wrong with them."""

    latency_s: tuple[float, float] = (0.001, 0.005)  # each write, each way
    fragment_share: float = 0.1  # of writes that arrive in several pieces
    pieces_max: int = 4
    alone_share: float = 0.1  # of reads that give one arrived piece though more are there
    buffer_octets: int = BUFFER_OCTETS


class Way:
    """One direction between two hosts."""

    def __init__(self, weather: Weather, rng: random.Random) -> None:
        self.weather = weather
        self.extra_latency_s = 0.0
        self.clogged = False  # nothing arrives until unclogged; nothing is lost
        self.rng = rng
        self.pipes: list[Pipe] = []
        self._flowing = trio.Event()
        self._flowing.set()

    def clog(self) -> None:
        """Stall: what is sent waits in the network."""
        if not self.clogged:
            self.clogged = True
            self._flowing = trio.Event()

    def unclog(self) -> None:
        """Let it flow again."""
        self.clogged = False
        self._flowing.set()
        for pipe in self.pipes:
            pipe.wake()

    async def flows(self) -> None:
        """Return once it is not clogged."""
        await self._flowing.wait()

    def latency_s(self) -> float:
        """One throw, in seconds."""
        return self.rng.uniform(*self.weather.latency_s) + self.extra_latency_s


class Pipe:
    """One direction of one link."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.silent = False  # nothing arrives any more, not even the end
        self.reset = False
        self.sender_closed = False
        self.receiver_closed = False
        self.size = 0  # octets sent and not yet read
        self.held_at = -math.inf  # when a sender last had to wait for room
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._last_at = 0.0
        self._end_at = math.inf  # when the reader hears of the sender's close
        self._refused = False  # the sender has been told that nobody reads
        self._sending = self._receiving = False
        self._readable = trio.Event()
        self._writable = trio.Event()
        way.pipes.append(self)

    @property
    def room(self) -> int:
        """Octets the buffer still takes."""
        return self.way.weather.buffer_octets - self.size

    def wake(self) -> None:
        """Something changed: both ends look again."""
        self._readable.set()
        self._writable.set()

    def retire(self) -> None:
        """The link is gone; the way forgets it."""
        if self in self.way.pipes:
            self.way.pipes.remove(self)

    def break_off(self) -> None:
        """RST: both ends fail, what was under way is lost."""
        self.reset = True
        self._pieces.clear()
        self.wake()

    def close_sender(self) -> None:
        """FIN: the reader gets what was sent, then the end."""
        if not self.sender_closed:
            self.sender_closed = True
            self._end_at = max(self._last_at, trio.current_time()) + self.way.latency_s()
            self.wake()

    def close_receiver(self) -> None:
        """Nobody reads any more: as with TCP one write more is taken, the next one fails."""
        self.receiver_closed = True
        if not self.silent:
            self._pieces.clear()
            self.size = 0
        self.wake()

    def put(self, data: bytes) -> None:
        """Send `data`, which fits, in one piece or several."""
        if self.receiver_closed and not self.silent:
            self._refused = True
            return
        self.size += len(data)
        way, cuts = self.way, [0, len(data)]
        if len(data) > 1 and way.rng.random() < way.weather.fragment_share:
            cuts += [way.rng.randrange(1, len(data)) for _ in range(way.rng.randint(1, way.weather.pieces_max - 1))]
            cuts.sort()
        for start, end in itertools.pairwise(cuts):
            if start < end:
                self._last_at = max(self._last_at, trio.current_time() + way.latency_s())
                self._pieces.append((self._last_at, data[start:end]))
        self._readable.set()

    async def send(self, data: bytes, written: _Heard) -> None:
        """`send_all` of the sending end."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this link")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_sender()
                chunk, data = data[: self.room], data[self.room :]
                if chunk:
                    self.put(chunk)
                    written(chunk)
                if not data:
                    return
                await self._until_writable()
        finally:
            self._sending = False

    async def wait_writable(self) -> None:
        """`wait_send_all_might_not_block` of the sending end."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this link")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._check_sender()
            while self.room <= 0:
                await self._until_writable()
                self._check_sender()
        finally:
            self._sending = False

    def _check_sender(self) -> None:
        if self.sender_closed:
            raise trio.ClosedResourceError("this end was closed")
        if self.reset:
            raise trio.BrokenResourceError("connection reset")
        if self._refused:
            raise trio.BrokenResourceError("broken pipe")

    async def _until_writable(self) -> None:
        self._writable = trio.Event()
        await self._writable.wait()
        self.held_at = trio.current_time()

    async def receive(self, octets_max: int) -> bytes:
        """`receive_some` of the receiving end."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving on this link")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self.receiver_closed:
                    raise trio.ClosedResourceError("this end was closed")
                if self.reset:
                    raise trio.BrokenResourceError("connection reset")
                due = math.inf
                if not self.silent and not self.way.clogged:
                    due = self._pieces[0][0] if self._pieces else self._end_at
                    if due <= trio.current_time():
                        return self._take(octets_max)
                self._readable = trio.Event()
                with trio.move_on_at(due):
                    await self._readable.wait()
        finally:
            self._receiving = False

    def _take(self, octets_max: int) -> bytes:
        """What has arrived, at most `octets_max`; empty at the end."""
        now, taken, room = trio.current_time(), [], octets_max
        alone = self.way.rng.random() < self.way.weather.alone_share
        while self._pieces and self._pieces[0][0] <= now and room:
            at, piece = self._pieces.popleft()
            if len(piece) > room:
                self._pieces.appendleft((at, piece[room:]))
                piece = piece[:room]
            taken.append(piece)
            room -= len(piece)
            if alone:
                break
        data = b"".join(taken)
        self.size -= len(data)
        self._writable.set()
        return data


class _Heard(Protocol):
    def __call__(self, data: bytes) -> None: ...


class Link:
    """Two pipes between two hosts."""

    def __init__(self, network: SimNetwork, number: int, opener: str, door: tuple[str, int]) -> None:
        self.network = network
        self.number = number
        self.opener = opener
        self.door = door
        self.outward = Pipe(network.way(opener, door[0]))
        self.inward = Pipe(network.way(door[0], opener))
        self.alive = True
        self.silent = False
        self.forgotten = False  # one end lost its power and is back: the other's next write is answered by RST
        self.near = SimStream(self, True)
        self.far = SimStream(self, False)

    def __str__(self) -> str:
        return f"{self.opener}>{self.door[0]}:{self.door[1]}#{self.number}"

    def touches(self, host: str) -> bool:
        """Whether one end is at `host`."""
        return host in (self.opener, self.door[0])

    def cut(self, how: str = "cut") -> None:
        """RST, seen at once by both ends."""
        if self.alive:
            self.outward.break_off()
            self.inward.break_off()
            self._end(how)

    def silence(self) -> None:
        """Half-open: writes go into the buffer until it is full, nothing arrives, nobody is told."""
        self.silent = self.outward.silent = self.inward.silent = True

    def closed(self, outward: bool) -> None:
        """One end was closed; once both are, the link is over."""
        mine, theirs = (self.outward, self.inward) if outward else (self.inward, self.outward)
        mine.close_sender()
        theirs.close_receiver()
        if mine.receiver_closed and theirs.receiver_closed:
            self._end("closed")

    def _end(self, how: str) -> None:
        if self.alive:
            self.alive = False
            self.outward.retire()
            self.inward.retire()
            self.network.forget(self, how)


class SimStream(trio.abc.Stream):
    """One end of a link."""

    def __init__(self, link: Link, outward: bool) -> None:
        self.link = link
        self._outward = outward  # this end dialled: it writes outward and reads inward
        self._out, self._in = (link.outward, link.inward) if outward else (link.inward, link.outward)

    def __repr__(self) -> str:
        return f"<SimStream {self.link} {'near' if self._outward else 'far'} end>"

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._out.send(bytes(data), self._written)

    async def wait_send_all_might_not_block(self) -> None:
        await self._out.wait_writable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is None:
            max_bytes = READ_OCTETS
        if not isinstance(max_bytes, int):
            raise TypeError("max_bytes must be an integer")
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        data = await self._in.receive(max_bytes)
        if data and self.link.network.tap is not None:
            self.link.network.tap.read(self.link, not self._outward, data)
        return data

    async def aclose(self) -> None:
        self.link.closed(self._outward)
        await trio.lowlevel.checkpoint()

    def _written(self, data: bytes) -> None:
        if self.link.forgotten:
            self.link.cut("reset by a host that forgot it")
        if self.link.network.tap is not None:
            self.link.network.tap.written(self.link, self._outward, data)


class SimListener:
    """An open door. `serve` runs until cancelled, or raises trio.ClosedResourceError once the door is shut, as trio's
    own `serve_listeners` does."""

    def __init__(self, network: SimNetwork, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.shut = False
        self._network = network
        self._waiting: deque[Link] = deque()
        self._knock = trio.Event()

    def arrive(self, link: Link) -> bool:
        """A link is made; False when the backlog is full."""
        if self.shut or len(self._waiting) >= BACKLOG:
            return False
        self._waiting.append(link)
        self._knock.set()
        return True

    async def serve(self, handler: Handler) -> None:
        if self.shut:
            raise trio.ClosedResourceError("this door was shut")
        async with trio.open_nursery() as nursery:
            while True:
                if self.shut:
                    raise trio.ClosedResourceError("this door was shut")
                while self._waiting:
                    link = self._waiting.popleft()
                    nursery.start_soon(handler, link.far, link.opener, name=f"link {link}")
                self._knock = trio.Event()
                await self._knock.wait()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Shut it now; who still waits in the backlog is refused."""
        if not self.shut:
            self.shut = True
            self.vanish()
            self._knock.set()

    def vanish(self) -> None:
        """The host is off: nobody knocks any more, and whoever serves hears nothing of it."""
        self._network.listeners.pop((self.host, self.port), None)
        for link in self._waiting:
            link.cut("refused")
        self._waiting.clear()


class SimHost:
    """The network as one host sees it: a `ports.Network`."""

    def __init__(self, network: SimNetwork, address: str) -> None:
        self.network = network
        self.address = address

    async def connect(self, host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "") -> SimStream:
        """Dial. Raises ConnectionRefusedError; hangs while the way is clogged or the other host is unreachable."""
        assert tls is None, "TLS is tested on real sockets"
        there, back = self.network.way(self.address, host), self.network.way(host, self.address)
        await trio.sleep(there.latency_s() + back.latency_s())
        await there.flows()
        await back.flows()
        listener = self.network.listeners.get((host, port))
        if listener is None or host in self.network.refusing:
            raise ConnectionRefusedError(f"{host}:{port} refused the connection")
        link = self.network.make_link(self.address, (host, port))
        if not listener.arrive(link):
            link.cut("refused")
            raise ConnectionRefusedError(f"{host}:{port} refused the connection")
        return link.near

    async def listen(self, host: str, port: int, tls: Certificates | None = None) -> SimListener:
        """Open a door at this host's address, whatever `host` says. Raises OSError when the port is taken."""
        assert tls is None, "TLS is tested on real sockets"
        await trio.lowlevel.checkpoint()
        return self.network.open_door(self.address, port)


class SimNetwork:
    """All hosts, doors and links of a world."""

    def __init__(self, entropy: SimEntropy, weather: Weather | None = None, tap: Tap | None = None) -> None:
        self.weather = weather if weather is not None else Weather()
        self.tap = tap
        self.links: list[Link] = []
        self.listeners: dict[tuple[str, int], SimListener] = {}
        self.refusing: set[str] = set()  # hosts that refuse whoever dials
        self._entropy = entropy
        self._ways: dict[tuple[str, str], Way] = {}
        self._made = 0
        self._port = 49_152

    def host(self, address: str) -> SimHost:
        """The network as the host at `address` sees it."""
        return SimHost(self, address)

    def way(self, source: str, destination: str) -> Way:
        """The direction from one host to another."""
        way = self._ways.get((source, destination))
        if way is None:
            way = Way(self.weather, self._entropy.rng(f"network/{source}>{destination}"))
            self._ways[(source, destination)] = way
        return way

    def links_of(self, host: str, other: str | None = None) -> list[Link]:
        """Live links with an end at `host` (and the other at `other`), oldest first."""
        return [link for link in self.links if link.touches(host) and (other is None or link.touches(other))]

    def make_link(self, opener: str, door: tuple[str, int]) -> Link:
        """A new link, not yet accepted."""
        self._made += 1
        link = Link(self, self._made, opener, door)
        self.links.append(link)
        return link

    def open_door(self, host: str, port: int) -> SimListener:
        """A listener at host:port; port 0 takes a free one. Raises OSError when it is taken."""
        if port == 0:
            self._port += 1
            port = self._port
        if (host, port) in self.listeners:
            raise OSError(98, f"{host}:{port} is in use")
        listener = self.listeners[(host, port)] = SimListener(self, host, port)
        return listener

    def forget(self, link: Link, how: str) -> None:
        """Told by the link itself when it is over."""
        self.links.remove(link)
        if self.tap is not None:
            self.tap.ended(link, how)

    def power_off(self, host: str, quietly: bool) -> None:
        """`host` loses its power: its doors are gone; its links are cut, or (`quietly`) its peers hear nothing until
        `power_on`, when they are told by RST."""
        for door in [door for door in self.listeners.values() if door.host == host]:
            door.vanish()
        for link in self.links_of(host):
            if quietly:
                link.silence()
            else:
                link.cut("power off")

    def power_on(self, host: str) -> None:
        """`host` is back, and knows nothing of the links it had."""
        for link in self.links_of(host):
            link.forgotten = link.silent

    def heal(self) -> None:
        """Every way flows, every door answers, half-open links are found out and cut."""
        for way in self._ways.values():
            way.extra_latency_s = 0.0
            way.unclog()
        self.refusing.clear()
        for link in list(self.links):
            if link.silent:
                link.cut("found half-open")
