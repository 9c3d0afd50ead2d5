"""The HTTP door: three pages to read, nothing to change, and no request that harms. ops/web.py, page.py, metrics.py."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.config import Limits
from smsroute.ops.metrics import metrics
from smsroute.ops.page import page
from smsroute.ops.verbs import Verbs
from smsroute.ops.web import Web
from tests.house import house
from tests.ops.doors import Door, heard

LIMITS = Limits(http_links_max=2, http_request_octets_max=512, look_timeout_s=5.0)
SAMPLE = re.compile(r'smsroute_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+')
VOID = {"meta", "link", "br"}


@asynccontextmanager
async def web(look: Any) -> AsyncIterator[tuple[Door, Web]]:
    door = Door()
    it = Web(door, look, LIMITS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.serve)
        yield door, it
        nursery.cancel_scope.cancel()


async def get(door: Door, request: bytes) -> tuple[int, bytes, bytes]:
    """(status, headers, body) of one request on a link of its own."""
    stream = door.dial()
    await stream.send_all(request)
    head, _, body = (await heard(stream)).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.fixture
async def document(tmp_path: Path) -> dict[str, Any]:
    """Of an engine with messages behind it; the test brings the clock."""
    async with house(tmp_path) as it:
        await it.settle(it.platform(5))
        await trio.sleep(2)
        return Verbs(it.engine).look()


class Wellformed(HTMLParser):
    """Counts what is opened and closed, and what the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name == "src"] + (
            ["script"] if tag == "script" else []
        )
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


async def test_the_three_pages(document: dict[str, Any], autojump_clock: trio.testing.MockClock) -> None:
    """Each has its type and its length; HEAD has no body; the JSON is the health document."""
    async with web(lambda: document) as (door, _):
        status, head, body = await get(door, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, b"text/html; charset=utf-8" in head) == (200, True)
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads((await get(door, b"GET /status.json?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"))[2]) == document
        status, head, body = await get(door, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, body) == (200, b"")
        assert b"text/plain; version=0.0.4; charset=utf-8" in head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"no http at all\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 600 + b" HTTP/1.1\r\n", 431),
    ],
)
async def test_everything_else_is_refused(request_: bytes, status: int) -> None:
    """Wrong methods, paths and octets get the status that says so."""
    async with web(dict) as (door, it):
        assert (await get(door, request_))[0] == status
        assert it.desk.faults == 0


async def test_a_fault_in_a_page_is_a_500() -> None:
    """It is counted and told; the door stays open."""

    def broken() -> dict[str, Any]:
        raise KeyError("carriers")

    async with web(broken) as (door, it):
        for _ in range(2):
            assert (await get(door, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 500
        assert it.desk.faults == 2


async def test_a_slow_reader_of_nothing_is_let_go(autojump_clock: trio.testing.MockClock) -> None:
    """Half a request holds its place for `look_timeout_s`; a link too many is told 503 meanwhile."""
    async with web(dict) as (door, _):
        halves = [door.dial(), door.dial()]
        for half in halves:
            await half.send_all(b"GET / HT")
        await trio.sleep(1)
        assert (await get(door, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 503
        with trio.fail_after(LIMITS.look_timeout_s):
            assert await heard(halves[0]) == b""


async def test_metrics_are_in_the_exposition_format(
    document: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    """Each family has its HELP and TYPE once, before its samples; each sample is well formed; no series is twice."""
    lines = metrics(document).splitlines()
    families: set[str] = set()
    series: set[str] = set()
    kind = family = ""
    for line in lines:
        if line.startswith("# HELP"):
            family = line.split()[2]
            assert family not in families
            families.add(family)
        elif line.startswith("# TYPE"):
            kind = line.split()[3]
            assert line.split()[2] == family
            assert (kind == "counter") == family.endswith("_total")
        else:
            assert SAMPLE.fullmatch(line), line
            assert line.split("{")[0].split()[0] == family
            assert line.rpartition(" ")[0] not in series
            series.add(line.rpartition(" ")[0])
    assert 'smsroute_events_total{event="accepted"} 5' in lines
    assert 'smsroute_bind_up{carrier="orange",bind="orange-1"} 1' in lines


def test_labels_are_escaped() -> None:
    """A reason with quotes, backslashes and line ends stays one label."""
    from smsroute.ops.metrics import _labels

    assert _labels({"why": 'a"b\\c\nd'}) == '{why="a\\"b\\\\c\\nd"}'


async def test_the_page_is_whole_and_fetches_nothing(
    document: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    """Every tag is closed; no script, no file from elsewhere; what comes from outside is escaped."""
    document["carriers"][0]["reason"] = document["carriers"][0]["binds"][0]["reason"] = "<script>alert(1)</script>"
    document["reasons"] = [
        {"severity": "warning", "what": "carrier", "name": "<b>", "reason": "&", "since": document["at"]},
        {"severity": "critical", "what": "store", "name": "sqlite:x", "reason": "full", "since": None},
    ]
    text = page(document)
    parser = Wellformed()
    parser.feed(text)
    assert parser.stack == parser.fetched == []
    assert "&lt;script&gt;" in text and "&lt;b&gt;" in text
    assert text.index("What is wrong") < text.index("Carriers")
