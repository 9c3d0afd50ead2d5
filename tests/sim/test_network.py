"""The simulated network keeps what trio asks of a stream, and breaks in the ways TCP breaks."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.sim.determinism import SimEntropy
from tests.sim.network import SimNetwork, SimStream, Weather

DOOR = ("10.0.0.2", 2775)


async def _pair(weather: Weather, network: SimNetwork | None = None) -> tuple[SimStream, SimStream]:
    """(the end that dialled, the end that answered)."""
    network = network if network is not None else SimNetwork(SimEntropy(1), weather)
    if DOOR not in network.listeners:
        network.open_door(*DOOR)
    near = await network.host("10.0.0.1").connect(*DOOR)
    return near, near.link.far


async def _hold(stream: trio.abc.Stream, peer: str) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("latency_s", [0.0, 0.01])
@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_two_way_stream(autojump_clock: trio.testing.MockClock, latency_s: float, share: float) -> None:
    """A link passes trio's own suite for streams, with and without latency, whole and in pieces."""
    weather = Weather((latency_s, latency_s * 2), fragment_share=share, alone_share=share, buffer_octets=16_384)

    async def make() -> tuple[SimStream, SimStream]:
        return await _pair(weather)

    async def make_clogged() -> tuple[SimStream, SimStream]:
        near, far = await _pair(weather)
        for end in (near, far):
            await end.send_all(bytes(16_384))
        return near, far

    await trio.testing.check_two_way_stream(make, make_clogged)


async def test_pieces_keep_order(autojump_clock: trio.testing.MockClock) -> None:
    """Octets arrive in order and complete, however they were cut and joined on the way."""
    near, far = await _pair(Weather((0.0, 0.05), fragment_share=0.8, alone_share=0.5, buffer_octets=300))
    sent = bytes(range(256)) * 40
    sizes: list[int] = []

    async def send() -> None:
        for start in range(0, len(sent), 97):
            await near.send_all(sent[start : start + 97])
        await near.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        received = b""
        while data := await far.receive_some(200):
            sizes.append(len(data))
            received += data
    assert received == sent
    assert len(set(sizes)) > 10


async def test_sender_waits_for_reader(autojump_clock: trio.testing.MockClock) -> None:
    """A buffer that is full holds the sender until somebody reads."""
    near, far = await _pair(Weather(buffer_octets=1000))
    with trio.move_on_after(60) as scope:
        await near.send_all(bytes(1001))
    assert scope.cancelled_caught
    assert near.link.outward.size == 1000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, b"x")
        assert len(await far.receive_some()) == 1000


async def test_refused(autojump_clock: trio.testing.MockClock) -> None:
    """Dialling a closed door, or a host that refuses, raises OSError; a taken port too."""
    network = SimNetwork(SimEntropy(1))
    with pytest.raises(OSError, match="refused"):
        await network.host("10.0.0.1").connect(*DOOR)
    listener = await network.host(DOOR[0]).listen(*DOOR)
    with pytest.raises(OSError, match="in use"):
        await network.host(DOOR[0]).listen(*DOOR)
    network.refusing.add(DOOR[0])
    with pytest.raises(OSError, match="refused"):
        await network.host("10.0.0.1").connect(*DOOR)
    network.heal()
    await network.host("10.0.0.1").connect(*DOOR)
    await listener.aclose()
    with pytest.raises(OSError, match="refused"):
        await network.host("10.0.0.1").connect(*DOOR)


async def test_clog_delays_and_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """A clogged way holds what is sent, in one direction only, and delivers it once unclogged; a dial waits too."""
    near, far = await _pair(Weather())
    network = near.link.network
    there = network.way("10.0.0.1", "10.0.0.2")
    there.clog()
    await near.send_all(b"slow")
    await far.send_all(b"back")
    assert await near.receive_some() == b"back"
    with trio.move_on_after(100) as reading:
        await far.receive_some()
    with trio.move_on_after(100) as dialling:
        await network.host("10.0.0.1").connect(*DOOR)
    assert reading.cancelled_caught and dialling.cancelled_caught
    async with trio.open_nursery() as nursery:

        async def unclog() -> None:
            await trio.sleep(5)
            there.unclog()

        nursery.start_soon(unclog)
        assert await far.receive_some() == b"slow"


async def test_cut_loses_what_is_under_way(autojump_clock: trio.testing.MockClock) -> None:
    """A cut link fails at both ends, for whoever waits and whoever comes, and what was under way is lost."""
    near, far = await _pair(Weather())
    await near.send_all(b"lost")

    async def wait() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        near.link.cut()
    for call in (far.receive_some, lambda: far.send_all(b"x"), lambda: near.send_all(b"x")):
        with pytest.raises(trio.BrokenResourceError):
            await call()
    assert near.link.network.links == []


async def test_half_open_is_silent(autojump_clock: trio.testing.MockClock) -> None:
    """A half-open link takes writes until its buffer is full and delivers nothing, not even the other end's close,
    until the world heals and it is found out."""
    near, far = await _pair(Weather(buffer_octets=1000))
    near.link.silence()
    await near.send_all(bytes(1000))
    await far.aclose()
    with trio.move_on_after(3600) as sending:
        await near.send_all(b"one more")
    with trio.move_on_after(3600) as reading:
        await near.receive_some()
    assert sending.cancelled_caught and reading.cancelled_caught
    near.link.network.heal()
    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()


async def test_power_off_leaves_peers_in_the_dark(autojump_clock: trio.testing.MockClock) -> None:
    """A host that goes off quietly shuts its doors and tells nobody."""
    near, _ = await _pair(Weather())
    network = near.link.network
    with trio.move_on_after(1), pytest.raises(trio.Cancelled):
        await network.listeners[DOOR].serve(_hold)
    network.power_off(DOOR[0], quietly=True)
    with trio.move_on_after(3600) as reading:
        await near.receive_some()
    assert reading.cancelled_caught
    with pytest.raises(OSError, match="refused"):
        await network.host("10.0.0.1").connect(*DOOR)
    network.power_on(DOOR[0])
    await near.send_all(b"anybody there?")
    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()


async def test_listener_serves(autojump_clock: trio.testing.MockClock) -> None:
    """A door runs its handler once for each link, with the address of who dialled, and ends like trio's when shut."""
    network = SimNetwork(SimEntropy(1))
    seen: list[str] = []

    async def echo(stream: trio.abc.Stream, peer: str) -> None:
        seen.append(peer)
        while data := await stream.receive_some():
            await stream.send_all(data)

    listener = await network.host(DOOR[0]).listen(*DOOR)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, echo)
        for address in ("10.0.0.7", "10.0.0.8"):
            stream = await network.host(address).connect(*DOOR)
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            await stream.aclose()
        nursery.cancel_scope.cancel()
    assert seen == ["10.0.0.7", "10.0.0.8"]
    await listener.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await listener.serve(echo)
