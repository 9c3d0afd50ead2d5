"""A link's end. smsroute/link.py."""

from __future__ import annotations

import math

import trio

from smsroute.config import Limits
from smsroute.link import Link, session_limits
from smsroute.ports import SystemClock
from smsroute.smpp.session import Role, Session


async def test_a_link_that_is_not_up_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    """`ended_at` is the moment `up` turns: nobody finds a link between the two, though its tasks end later, and what
    they do on their way out moves neither."""
    clock, limits = SystemClock(), Limits()
    ours, theirs = trio.testing.memory_stream_pair()
    numbers = session_limits(limits, window=10, response_timeout_s=10.0, enquire_link_s=30.0)
    link = Link(ours, Session(Role.SMSC, numbers, clock.monotonic()), clock, limits, limits.receive_octets)

    async def deaf(received: object) -> None:
        raise AssertionError(f"nobody wrote {received}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, deaf)
        await trio.sleep(3)
        assert (link.up, link.ended_at) == (True, math.inf)
        ended_at = clock.monotonic()
        link.close("the test ends it")
        assert (link.up, link.ended_at) == (False, ended_at)
        await trio.sleep(3)
        assert (link.why, link.ended_at) == ("the test ends it", ended_at)
    assert await theirs.receive_some() == b""
