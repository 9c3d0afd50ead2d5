"""The control socket: one line asks, one line answers, and nothing anybody sends harms the engine. ops/control.py."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from smsroute.config import Limits
from smsroute.ops.control import Control, Refusal
from tests.ops.doors import Door, heard

LIMITS = Limits(control_links_max=2, control_request_octets_max=256, look_timeout_s=5.0)


async def _echo(request: Mapping[str, Any], peer: str) -> dict[str, Any]:
    return {"said": request.get("what"), "by": peer}


async def _refuse(request: Mapping[str, Any], peer: str) -> dict[str, Any]:
    raise Refusal("no carrier 'x', expected one of orange")


async def _fault(request: Mapping[str, Any], peer: str) -> dict[str, Any]:
    raise ZeroDivisionError


@attrs.frozen
class Place:
    door: Door
    control: Control

    async def ask(self, line: bytes) -> dict[str, Any]:
        """One line on a link of its own, and its answer."""
        stream = self.door.dial()
        await stream.send_all(line)
        await stream.send_eof()  # type: ignore[attr-defined]
        answer: dict[str, Any] = json.loads(await heard(stream))
        return answer


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    door = Door()
    control = Control(door, {"echo": _echo, "refuse": _refuse, "fault": _fault}, LIMITS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.serve)
        yield Place(door, control)
        nursery.cancel_scope.cancel()


async def test_a_link_asks_again_and_again() -> None:
    """Each line has its answer, in order, also when two come in one read; who asks is told by the kernel."""
    async with place() as it:
        stream = it.door.dial()
        await stream.send_all(b'{"verb": "echo", "what": 1}\n{"verb": "echo", "what": 2}\n')
        data = b""
        while data.count(b"\n") < 2:
            data += bytes(await stream.receive_some(65536))
        answers = [json.loads(line) for line in data.splitlines()]
        assert answers == [{"ok": True, "said": n, "by": "uid 1000"} for n in (1, 2)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\n", "not JSON"),
        (b"[]\n", "unknown verb None, expected one of echo, refuse, fault"),
        (b'{"verb": ["echo"]}\n', "unknown verb ['echo']"),
        (b'{"verb": "ecoh"}\n', "unknown verb 'ecoh', expected one of echo"),
        (b'{"verb": "refuse"}\n', "no carrier 'x', expected one of orange"),
        (b"[" * 250 + b"\n", "not JSON"),
        (b"x" * 300, "a line over 256 octets"),
        (b"\xff\xfe\n", "not JSON"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_words(line: bytes, said: str) -> None:
    """The answer says what was wrong and what was expected."""
    async with place() as it:
        answer = await it.ask(line)
        assert answer["ok"] is False
        assert said in answer["error"]


async def test_a_fault_in_an_answer_ends_there() -> None:
    """It is counted and told; the next request is answered as ever."""
    async with place() as it:
        assert "a fault of ours" in (await it.ask(b'{"verb": "fault"}\n'))["error"]
        assert it.control.desk.faults == 1
        assert (await it.ask(b'{"verb": "echo"}\n'))["ok"]


async def test_links_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """The third link of two is told so and closed; a link that says nothing is closed and makes room."""
    async with place() as it:
        first, second = it.door.dial(), it.door.dial()
        await trio.sleep(0.1)
        third = it.door.dial()
        assert b"2 links are open already" in await heard(third)
        with trio.fail_after(LIMITS.look_timeout_s + 1):
            assert await heard(first) == await heard(second) == b""
        assert (await it.ask(b'{"verb": "echo"}\n'))["ok"]


async def test_a_link_that_breaks_is_nobodys_fault() -> None:
    """Whoever asks and leaves is forgotten."""
    async with place() as it:
        stream = it.door.dial()
        await stream.send_all(b'{"verb": "echo"}\n')
        await trio.aclose_forcefully(stream)
        assert (await it.ask(b'{"verb": "echo"}\n'))["ok"]
        assert it.control.desk.faults == 0
