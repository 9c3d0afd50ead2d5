"""A carrier of foreign make: a blocking SMSC whose every PDU is read and written by smpplib's codec, none by ours.

Rules:
- One thread a link, one PDU at a time: submit_sm -> submit_sm_resp -> deliver_sm with the receipt.
- A handset answers where the test says so (`says`).
- It keeps what it got, as smpplib reads it, and every status it was answered with.
- A PDU that smpplib cannot read, or a command it does not expect, is a fault that the test is told of (`faults`).

Walk: tests/peers/test_smpplib.py puts it at the far end of a real engine.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from typing import Any, Self

import attrs
import smpplib.exceptions
import smpplib.smpp
from smpplib import consts

BINDS = {"bind_transceiver", "bind_transmitter", "bind_receiver"}
RECEIPT_DATE = "2607141205"
DELIVERY_RECEIPT = 0x04  # esm_class (SMPP 3.4 section 5.2.12); smpplib has a name for 0x08 only, an acknowledgement


@attrs.define
class Got:
    """One submit_sm as smpplib read it."""

    fields: dict[str, Any]
    message_id: str


class Numbers:
    """What smpplib's PDUs want of a client: sequence numbers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next_sequence(self) -> int:
        return next(self._numbers)


class MiniSmsc:
    """See the module. Listens from the `with` on; `port` is a free one."""

    def __init__(self, *, password: str = "pw", word: str = "DELIVRD", receipt_after_s: float = 0.0) -> None:
        self.password = password
        self.word = word
        self.receipt_after_s = receipt_after_s
        self.says: dict[bytes, tuple[str, bytes]] = {}
        """number -> (to, text): what a handset says once the first message has reached it"""
        self.binds: list[dict[str, Any]] = []
        self.got: list[Got] = []
        self.receipt_answers: list[int] = []
        self.enquiries = 0
        self.unbinds = 0
        self.faults: list[str] = []
        self._ids = itertools.count(0x5EED01)
        self._changed = threading.Condition()
        self._links: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for link in self._links:
            with contextlib.suppress(OSError):  # it is gone already
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def wait_for(self, condition: Any, what: str, timeout_s: float = 10.0) -> None:
        """Block until `condition()`; it is asked after every PDU."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), f"not in {timeout_s:g} s: {what}; faults {self.faults}"

    # -- threads -------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Any, *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._door.accept()
            except OSError:  # closed: the test is over
                return
            self._links.append(link)
            self._spawn(self._serve, link)

    def _serve(self, link: socket.socket) -> None:
        numbers = Numbers()
        with link:
            while (data := _read(link)) is not None:
                try:
                    pdu = smpplib.smpp.parse_pdu(data, client=numbers, allow_unknown_opt_params=True)
                except (smpplib.exceptions.PDUError, smpplib.exceptions.UnknownCommandError, struct.error) as error:
                    self.faults.append(f"{data.hex()}: {error}")
                    return
                with self._changed:
                    goes_on = self._answer(link, numbers, pdu)
                    self._changed.notify_all()
                if not goes_on:
                    return

    # -- what it says --------------------------------------------------------------------------------------------------

    def _answer(self, link: socket.socket, numbers: Numbers, pdu: Any) -> bool:
        """Answer one PDU; whether the link goes on."""
        command = pdu.command
        if command in BINDS:
            return self._bind(link, numbers, pdu)
        if command == "submit_sm":
            self._submit(link, numbers, pdu)
        elif command == "deliver_sm_resp":
            self.receipt_answers.append(pdu.status)
        elif command == "enquire_link":
            self.enquiries += 1
            self._send(link, numbers, "enquire_link_resp", pdu.sequence)
        elif command == "unbind":
            self.unbinds += 1
            self._send(link, numbers, "unbind_resp", pdu.sequence)
            return False
        else:
            self.faults.append(f"did not expect {command}")
        return True

    def _bind(self, link: socket.socket, numbers: Numbers, pdu: Any) -> bool:
        self.binds.append({"command": pdu.command, **_fields(pdu)})
        right = pdu.password == self.password.encode()
        status = consts.SMPP_ESME_ROK if right else consts.SMPP_ESME_RINVPASWD
        self._send(link, numbers, f"{pdu.command}_resp", pdu.sequence, status=status, system_id="mini")
        return right

    def _submit(self, link: socket.socket, numbers: Numbers, pdu: Any) -> None:
        message_id = f"{next(self._ids):X}"
        self.got.append(Got(_fields(pdu), message_id))
        self._send(link, numbers, "submit_sm_resp", pdu.sequence, message_id=message_id)
        to, said = self.says.pop(pdu.destination_addr, ("", b""))
        if to:
            self._say(link, numbers, pdu, to, said)
        if not pdu.registered_delivery & 1:
            return
        time.sleep(self.receipt_after_s)
        delivered = self.word == "DELIVRD"
        text = (
            f"id:{message_id} sub:001 dlvrd:{'001' if delivered else '000'} submit date:{RECEIPT_DATE} "
            f"done date:{RECEIPT_DATE} stat:{self.word} err:{'000' if delivered else '011'} text:"
        )
        self._send(
            link,
            numbers,
            "deliver_sm",
            None,
            service_type="",
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr.decode(),
            dest_addr_ton=pdu.source_addr_ton,
            dest_addr_npi=pdu.source_addr_npi,
            destination_addr=pdu.source_addr.decode(),
            esm_class=DELIVERY_RECEIPT,
            schedule_delivery_time="",
            validity_period="",
            short_message=text.encode() + bytes(pdu.short_message or b"")[:20],
        )

    def _say(self, link: socket.socket, numbers: Numbers, pdu: Any, to: str, said: bytes) -> None:
        self._send(
            link,
            numbers,
            "deliver_sm",
            None,
            service_type="",
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr.decode(),
            dest_addr_ton=consts.SMPP_TON_NWSPEC,
            dest_addr_npi=consts.SMPP_NPI_UNK,
            destination_addr=to,
            esm_class=0,
            schedule_delivery_time="",
            validity_period="",
            short_message=said,
        )

    def _send(self, link: socket.socket, numbers: Numbers, command: str, sequence: int | None, **fields: Any) -> None:
        pdu = smpplib.smpp.make_pdu(command, client=numbers, **fields)
        if sequence is not None:
            pdu.sequence = sequence
        if "status" in fields:
            pdu.status = fields["status"]
        link.sendall(pdu.generate())


def _fields(pdu: Any) -> dict[str, Any]:
    return {name: getattr(pdu, name) for name in pdu.params_order if getattr(pdu, name, None) is not None}


def _read(link: socket.socket) -> bytes | None:
    """One PDU, or None when the peer has gone."""
    head = _exactly(link, 4)
    if head is None:
        return None
    rest = _exactly(link, int.from_bytes(head, "big") - 4)
    return None if rest is None else head + rest


def _exactly(link: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        try:
            more = link.recv(count - len(data))
        except OSError:
            return None
        if not more:
            return None
        data += more
    return data
