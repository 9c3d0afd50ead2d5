"""A TCP proxy that writes down every octet that passes, for judges who were not there.

Rules:
- It changes nothing and orders nothing: what one side sends, the other gets, and an end of stream is handed on.
- Everything is kept by link and direction; nothing is read as SMPP before somebody asks.
- A link that one side resets is closed on the other; the record stands.

Walk: tests/peers puts one before each of the engine's doors; tests/peers/oracles/judges.py reads what it kept.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

import attrs

HEADER = 16
COMMAND_IDS = {
    0x80000000: "generic_nack",
    0x00000001: "bind_receiver",
    0x80000001: "bind_receiver_resp",
    0x00000002: "bind_transmitter",
    0x80000002: "bind_transmitter_resp",
    0x00000004: "submit_sm",
    0x80000004: "submit_sm_resp",
    0x00000005: "deliver_sm",
    0x80000005: "deliver_sm_resp",
    0x00000006: "unbind",
    0x80000006: "unbind_resp",
    0x00000009: "bind_transceiver",
    0x80000009: "bind_transceiver_resp",
    0x00000015: "enquire_link",
    0x80000015: "enquire_link_resp",
}
"""SMPP 3.4 section 5.1.2.1: what these runs may meet; any other command is shown by its number."""


@attrs.frozen
class Pdu:
    """One PDU, read no further than its header."""

    octets: bytes

    @property
    def command(self) -> str:
        number = int.from_bytes(self.octets[4:8], "big")
        return COMMAND_IDS.get(number, f"{number:#010x}")

    @property
    def status(self) -> int:
        return int.from_bytes(self.octets[8:12], "big")

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.octets[12:16], "big")


def pdus(stream: bytes) -> list[Pdu]:
    """The PDUs of one direction of a link. AssertionError when it does not end with a whole one."""
    found: list[Pdu] = []
    at = 0
    while at < len(stream):
        length = int.from_bytes(stream[at : at + 4], "big")
        assert length >= HEADER, f"command_length {length} at octet {at}"
        assert at + length <= len(stream), f"the stream ends inside a PDU: {stream[at:].hex()}"
        found.append(Pdu(stream[at : at + length]))
        at += length
    return found


@attrs.define
class Link:
    """One connection: what the side that dialled said, what the side that listened said, and who closed first."""

    dialler: bytearray = attrs.Factory(bytearray)
    listener: bytearray = attrs.Factory(bytearray)
    closed_by: list[str] = attrs.Factory(list)


class Recorder:
    """See the module. Listens at `port` from the `with` on; every link goes on to `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.links: list[Link] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):  # it is gone already
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets:
            one.close()

    def said_by_listener(self) -> list[list[Pdu]]:
        """What the engine said when it is the one that listens: a list a link."""
        return [pdus(bytes(link.listener)) for link in self.links]

    def said_by_dialler(self) -> list[list[Pdu]]:
        """What the engine said when it is the one that dialled: a list a link."""
        return [pdus(bytes(link.dialler)) for link in self.links]

    def _spawn(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:  # closed: the test is over
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except ConnectionRefusedError:
                near.close()
                continue
            link = Link()
            self.links.append(link)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(one)
            self._spawn(_hand_on, near, far, link.dialler, link, "dialler")
            self._spawn(_hand_on, far, near, link.listener, link, "listener")


def _hand_on(source: socket.socket, target: socket.socket, record: bytearray, link: Link, name: str) -> None:
    """Octets from source to target until source has no more; then target's writing side is closed."""
    try:
        while octets := source.recv(65536):
            record += octets
            target.sendall(octets)
    except OSError:
        target.close()
    link.closed_by.append(name)
    with contextlib.suppress(OSError):  # the other side went first
        target.shutdown(socket.SHUT_WR)
