"""Kannel, the platform most customers run, set up in other ways than test_clients.py has it: as two binds, as 3.3 and
as 5.0, over the rate it was granted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from tests.peers.foreign import Event, start
from tests.peers.mini_smsc import MiniSmsc
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Pdu, Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

TEXT = "Your code is 123456"
LONG = "Zażółć gęślą jaźń: this text is longer than one short message. " * 5
PARTS = 5
ESME_RTHROTTLED = 0x58
SC_INTERFACE_VERSION, CONGESTION_STATE = bytes.fromhex("02100001"), bytes.fromhex("04280001")
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
esmes:
  acme: {{password: {{plain: secret}}{esme}}}
carriers:
  mini: {{system_id: us, password: {{plain: pw}}, binds: [{{address: "127.0.0.1:{port}"}}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: mini, cost: 0.03}}]}}
"""
RECEIVER = """
group = smsc
smsc = smpp
smsc-id = ours
host = 127.0.0.1
receive-port = {port}
smsc-username = "acme"
smsc-password = "secret"
system-type = ""
"""


@attrs.frozen
class Ran:
    """What Kannel told, what we said to it (a list a link), what the carrier got."""

    events: list[Event]
    emitted: list[list[Pdu]]
    texts: list[bytes]

    def commands(self) -> list[list[str]]:
        """The commands of each link, each once."""
        return sorted(sorted({pdu.command for pdu in link}) for link in self.emitted)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """run(how, esme): Kannel's whole run by these lines of its smsc group, `{port}` our door; all it submitted was
    taken, came whole to the carrier, and had its reports. Both judges found our PDUs right."""
    engine = Served(tmp_path)

    def run(how: str, esme: str = "", receipt_after_s: float = 0.0) -> Ran:
        door = free_door(random.Random())
        with MiniSmsc(receipt_after_s=receipt_after_s) as smsc, Recorder(door) as wire:
            (tmp_path / "smsroute.yaml").write_text(CONFIG.format(door=door, port=smsc.port, esme=esme))
            engine.start()
            engine.await_ready()
            login = {"port": wire.port, "system_id": "acme", "password": "secret", "folder": str(tmp_path)}
            task = {
                **login,
                "how": how.format(port=wire.port),
                "held": True,
                "destination": "33612000001",
                "text": TEXT,
                "long": LONG,
            }
            with start("clients/kannel_boxes.py", task) as peer:
                peer.until("waits", timeout_s=60)
                # It had a report of one part of a long text only; the others may still wait to be submitted again.
                smsc.wait_for(lambda: len(smsc.got) == 1 + PARTS, "every part reaches the carrier", 30)
                peer.tell({})
                peer.ended()
            engine.stop()
            texts = [got.fields["short_message"] for got in smsc.got]
            assert smsc.faults == []
        taken = [told["id"] for told in peer.did("submit") + peer.did("long")]
        reported = [told["id"] for told in peer.did("receipt")]
        assert len(set(reported)) == len(reported) == 2
        assert set(taken) <= set(reported)  # after a throttled try it tells nobody that a text was taken
        assert texts.count(TEXT.encode()) == 1
        parts = sorted((text for text in texts if text != TEXT.encode()), key=lambda text: text[5])
        assert "".join(part[6:].decode("utf-16-be") for part in parts) == LONG
        said = whole(wire.said_by_listener())
        assert tshark(said, tmp_path) == []
        assert libsmpp34(said) == []
        return Ran(peer.events, wire.said_by_listener(), texts)

    yield run
    engine.discard()


def test_a_transmitter_and_a_receiver(run: Run) -> None:
    """With a group for `receive-port` it binds twice; what it submits by one has its receipts by the other. (It forgets
    a receipt that it reads on the one before the response on the other, so the carrier takes its time.)"""
    transmitter, receiver = (
        ["bind_transmitter_resp", "submit_sm_resp", "unbind_resp"],
        ["bind_receiver_resp", "deliver_sm", "unbind_resp"],
    )
    ran = run("transceiver-mode = false\n" + RECEIVER, receipt_after_s=0.3)
    assert ran.commands() == sorted([transmitter, receiver])


def test_as_version_3_3(run: Run) -> None:
    """`interface-version = 33`: nothing we say bears a TLV, and it finds its messages by the text of the receipts."""
    ran = run("transceiver-mode = true\ninterface-version = 33")
    (link,) = ran.emitted
    (bound,) = [pdu for pdu in link if pdu.command == "bind_transceiver_resp"]
    assert bound.octets[16:] == b"smsroute\0"
    for pdu in link:
        if pdu.command == "submit_sm_resp":
            assert pdu.octets.index(b"\0", 16) + 1 == len(pdu.octets)
        elif pdu.command == "deliver_sm":
            assert pdu.octets.index(b"id:") + pdu.octets[pdu.octets.index(b"id:") - 1] == len(pdu.octets)


def test_as_version_5(run: Run) -> None:
    """`interface-version = 50`: it is told 5.0 and congestion_state, neither of which it minds."""
    (link,) = run("transceiver-mode = true\ninterface-version = 50").emitted
    (bound,) = [pdu for pdu in link if pdu.command == "bind_transceiver_resp"]
    assert bound.octets.endswith(SC_INTERFACE_VERSION + b"\x50")
    assert all(CONGESTION_STATE in pdu.octets for pdu in link if pdu.command == "submit_sm_resp")


def test_over_its_rate(run: Run) -> None:
    """Over the rate of its account it hears ESME_RTHROTTLED, waits a second as it does, and submits again: each part
    comes to the carrier once."""
    ran = run("transceiver-mode = true", ", rate: 3/s")
    (link,) = ran.emitted
    statuses = [pdu.status for pdu in link if pdu.command == "submit_sm_resp"]
    assert set(statuses) == {0, ESME_RTHROTTLED}
    assert statuses.count(0) == len(ran.texts) == len(set(ran.texts))
