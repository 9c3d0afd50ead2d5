"""Two readers of SMPP that nobody here wrote, asked of every PDU we emit: Wireshark's dissector and libsmpp34.

Rules:
- tshark must know each PDU as the command it is and find nothing to complain of in it.
- libsmpp34 must read each PDU of version 3.4 and write the very same octets again.
- A fault of an oracle's own is excluded by name, with its reason (`NOT_OURS`); nothing else is.

Walk: tests/peers hands over what tests/peers/wire.py recorded; tools/peers got tshark and built the reader (judge34.c).
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.peers.foreign import DEBIAN_ENV, PEERS
from tests.peers.wire import HEADER, Pdu

SMSC_PORT, ESME_PORT = 2775, 40_000
RAW_IP = 101  # pcap link type: packets begin with their IP header
BINDS = ("bind_transmitter", "bind_receiver", "bind_transceiver")
FIELDS = ["frame.number", "smpp.command_id", "smpp.command_length", "_ws.expert.message", "_ws.malformed"]

NOT_OURS: dict[str, tuple[str, Callable[[Pdu], bool]]] = {
    "a status other than 0": (
        "it reads a body wherever the table has one; SMPP 3.4 section 4.4.2 leaves it out when the status is not 0",
        lambda pdu: pdu.status != 0,
    ),
    "TLVs on submit_sm_resp": (
        "its table of version 3.4 has none there; version 5.0 has, and only a v5 bind gets one from us",
        lambda pdu: pdu.command == "submit_sm_resp" and pdu.octets.find(b"\0", HEADER) + 1 < len(pdu.octets),
    ),
    "a bind of another version": (
        "it takes 0x34 alone; 3.3 and 5.0 write theirs too",
        lambda pdu: pdu.command in BINDS and pdu.octets[-4] != 0x34,
    ),
}
"""What libsmpp34 cannot judge, and why."""


def tshark(said: list[Pdu], folder: Path) -> list[str]:
    """What Wireshark's dissector finds wrong, a line a PDU; empty when there is nothing."""
    capture = folder / "emitted.pcap"
    capture.write_bytes(_pcap(said))
    fields = [word for field in FIELDS for word in ("-e", field)]
    command = [str(PEERS / "debian/usr/bin/tshark"), "-n", "-r", str(capture), "-d", f"tcp.port=={SMSC_PORT},smpp"]
    run = subprocess.run(
        [*command, "-o", "smpp.reassemble_smpp_over_tcp:FALSE", "-T", "fields", "-E", "separator=|", *fields],
        env=DEBIAN_ENV | {"HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rows = [line.split("|") for line in run.stdout.splitlines()]
    assert len(rows) == len(said), run.stdout + run.stderr
    faults = []
    for pdu, (_, command_id, length, expert, malformed) in zip(said, rows, strict=True):
        right = (f"0x{pdu.octets[4:8].hex()}", str(len(pdu.octets)))
        if (command_id, length) != right or expert or malformed:
            faults.append(f"{pdu.command} {pdu.octets.hex()}: {command_id} {length} {expert} {malformed}")
    return faults


def libsmpp34(said: list[Pdu]) -> list[str]:
    """What libsmpp34 finds wrong, a line a PDU; empty when there is nothing."""
    asked = [pdu for pdu in said if not any(excluded(pdu) for _, excluded in NOT_OURS.values())]
    run = subprocess.run(
        [str(PEERS / "judge34")],
        input="".join(f"{pdu.octets.hex()}\n" for pdu in asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = run.stdout.splitlines()
    return [
        f"{pdu.command} {pdu.octets.hex()}: {answer}"
        for pdu, answer in zip(asked, answers, strict=True)
        if answer != "ok"
    ]


def _pcap(said: list[Pdu]) -> bytes:
    """A capture of one TCP link that carries these PDUs, one a packet, from port 2775."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, RAW_IP)]
    sent = 1
    for number, pdu in enumerate(said):
        tcp = struct.pack(">HHIIBBHHH", SMSC_PORT, ESME_PORT, sent, 1, 5 << 4, 0x18, 65_535, 0, 0)
        total = 20 + len(tcp) + len(pdu.octets)
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, total, number & 0xFFFF, 0, 64, 6, 0, b"\x7f\0\0\x01", b"\x7f\0\0\x01"
        )
        out.append(struct.pack("<IIII", number, 0, total, total) + ip + tcp + pdu.octets)
        sent += len(pdu.octets)
    return b"".join(out)


def whole(said: list[list[Pdu]]) -> list[Pdu]:
    """Every link's PDUs, one after another."""
    return [pdu for link in said for pdu in link if len(pdu.octets) >= HEADER]
