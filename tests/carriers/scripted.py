"""A carrier that says exactly what a test writes: one server in the network of a `House`, no codec of ours in between
but the header."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from smsroute.smpp import names
from smsroute.smpp.codec import pdu
from tests.house import House, Raw

HOST, PORT = "10.0.2.77", 3001
BIND = f'mode: transceiver, count: 1}}, {{address: "{HOST}:{PORT}"'
"""For `house(bind=...)`: the simulated carrier's own bind, and one to the scripted carrier."""

ALONE = f'mode: receiver}}, {{address: "{HOST}:{PORT}"'
"""The same, and only the scripted carrier can be sent anything."""

Answer = Callable[[int, int, bytes], bytes]
"""(command_id, sequence_number, body) of a request -> what to send back."""


def kind(command_id: int, sequence_number: int, body: bytes) -> bytes:
    """Every request is fine; a submit_sm is called by its number."""
    del body
    identity = {names.SUBMIT_SM: b"id%d\0" % sequence_number}.get(command_id, b"smsc\0")
    without = command_id in (names.UNBIND, names.ENQUIRE_LINK)
    return pdu(command_id | names.RESPONSE, 0, sequence_number, b"" if without else identity)


@attrs.define
class Scripted:
    """What it has heard: of each link the requests and answers of the engine, in order."""

    answer: Answer
    heard: list[list[tuple[int, int, bytes]]] = attrs.field(factory=list)
    numbers: list[list[int]] = attrs.field(factory=list)  # their sequence numbers
    raws: list[Raw] = attrs.field(factory=list)

    def commands(self, link: int = -1) -> list[int]:
        return [command_id for command_id, _, _ in self.heard[link]]


@asynccontextmanager
async def scripted(it: House, answer: Answer = kind) -> AsyncIterator[Scripted]:
    """It listens until the block ends."""
    smsc = Scripted(answer)
    listener = await it.network.host(HOST).listen(HOST, PORT)

    async def serve(stream: trio.abc.Stream, _: str) -> None:
        raw, heard, numbers = Raw(stream), list[tuple[int, int, bytes]](), list[int]()
        smsc.heard.append(heard)
        smsc.numbers.append(numbers)
        smsc.raws.append(raw)
        try:
            while True:
                command_id, status, sequence_number, body = await raw.pdu()
                heard.append((command_id, status, body))
                numbers.append(sequence_number)
                if not command_id & names.RESPONSE:
                    await raw.send(smsc.answer(command_id, sequence_number, body))
                if command_id == names.UNBIND:
                    return
        except (EOFError, trio.BrokenResourceError):
            return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, serve)
        yield smsc
        nursery.cancel_scope.cancel()
