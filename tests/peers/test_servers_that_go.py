"""Foreign carriers that go: they unbind, cut the link with a message in flight, or let us in no more.

One engine and one run a peer and a way to go, a foreign platform (smpplib) before it. What was taken stays taken, what
was in flight is in doubt and its route's policy decides, and the next bind takes what comes after.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import smpplib.client

from tests.peers.foreign import Peer, start
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

LEAVE, CUT, AFTER = "then I go", "and I am gone", "are you there?"
SCRIPT = {LEAVE: {"leave": True}, CUT: {"cut": True}}
TIMEOUT_S = 10.0
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
limits: {{sweep_interval: 50ms}}
esmes:
  acme: {{password: {{plain: secret}}}}
carriers:
  foreign: {{system_id: us, password: {{plain: {password}}}, reconnect_min: 50ms, reconnect_max: 200ms,
             binds: [{{address: "127.0.0.1:{port}", {binds}}}]}}
routes:
  - name: all
    to: ["336"]
    in_doubt: {{default: {{resend_after: 300ms}}}}
    carriers: [{{carrier: foreign, cost: 0.03}}]
"""
ONE, PAIR = "mode: transceiver", "mode: pair"
SERVERS = {
    "node-smpp": ("servers/node_smpp.js", ONE),
    "smpp34.Server": ("servers/smpp34_server.py", ONE),
    "Net::SMPP": ("servers/net_smpp.pl", PAIR),
    "smpp.twisted3": ("servers/twisted_server.py", PAIR),
}
EACH = pytest.mark.parametrize("name", SERVERS)
CUTTERS = pytest.mark.parametrize("name", [name for name in SERVERS if name != "smpp34.Server"])  # it never cuts
Start = Callable[..., tuple[Served, int]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts an engine with one carrier; returns it and its door's port."""
    engine = Served(tmp_path)

    def serve(name: str, port: int, password: str = "pw") -> tuple[Served, int]:
        door = free_door(random.Random())
        text = CONFIG.format(door=door, port=port, binds=SERVERS[name][1], password=password)
        (tmp_path / "smsroute.yaml").write_text(text)
        engine.start()
        engine.await_ready()
        return engine, door

    yield serve
    engine.discard()


@EACH
def test_a_carrier_that_unbinds(serve: Start, tmp_path: Path, name: str) -> None:
    """Its unbind is answered as the last thing we say on that link, we bind again, and the next message goes by the new
    one; both have their receipts."""
    with _server(name) as peer, Recorder(peer.until("listening")[0]["port"]) as wire:
        engine, door = serve(name, wire.port)
        assert _fates(door, [LEAVE]) == ["DELIVRD"]
        assert peer.until("left")[0]["status"] == 0
        _until_unbind_resp(wire)
        assert _fates(door, [AFTER]) == ["DELIVRD"]
        submits = [(got["text"], got["link"]) for got in peer.until("submit", 2)]
        engine.stop()
    assert [text for text, _ in submits] == [LEAVE, AFTER]
    assert submits[0][1] != submits[1][1]
    said = wire.said_by_dialler()
    (gone,) = [link for link in said if any(LEAVE.encode() in pdu.octets for pdu in link)]
    assert gone[-1].command == "unbind_resp"
    assert tshark(whole(said), tmp_path) == []
    assert libsmpp34(whole(said)) == []


@CUTTERS
def test_a_carrier_that_cuts_the_link(serve: Start, name: str) -> None:
    """What was in flight is in doubt; its route's policy sends it again by the next bind, and it is told of once."""
    with _server(name) as peer:
        engine, door = serve(name, peer.until("listening")[0]["port"])
        assert _fates(door, [CUT]) == ["DELIVRD"]
        assert [got["text"] for got in peer.until("submit", 2)] == [CUT, CUT]
        assert _fates(door, [AFTER]) == ["DELIVRD"]
        assert [got["text"] for got in peer.until("submit", 3)] == [CUT, CUT, AFTER]
        engine.stop()


@CUTTERS
def test_a_carrier_that_refuses_our_password(serve: Start, name: str) -> None:
    """The bind is down and says why; it is not tried again at once, accounts get locked by that."""
    with _server(name) as peer, Recorder(peer.until("listening")[0]["port"]) as wire:
        engine, _ = serve(name, wire.port, password="other")
        time.sleep(0.5)
        (carrier,) = engine.health()["carriers"]
        assert {bind["state"] for bind in carrier["binds"]} == {"down"}
        assert any("ESME_RINVPASWD" in bind["reason"] for bind in carrier["binds"])
        assert len(wire.links) == len(carrier["binds"])


def _server(name: str) -> Peer:
    return start(SERVERS[name][0], {"system_id": "us", "password": "pw", "script": SCRIPT})


def _until_unbind_resp(wire: Recorder) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not any(b"\x80\0\0\6\0\0\0\0" in link.dialler for link in wire.links):
        assert time.monotonic() < deadline, "their unbind stays unanswered"
        time.sleep(0.02)


def _fates(door: int, texts: list[str]) -> list[str]:
    """Submit these and wait for their receipts: the words of them, in the order of the texts."""
    client = smpplib.client.Client("127.0.0.1", door, timeout=TIMEOUT_S, allow_unknown_opt_params=True)
    ids: dict[int, str] = {}
    words: dict[str, str] = {}

    def delivered(*, pdu: smpplib.command.DeliverSM) -> None:
        told = dict(word.split(":", 1) for word in pdu.short_message.decode().split() if ":" in word)
        assert told["id"] not in words, "told twice"
        words[told["id"]] = told["stat"]

    client.set_message_sent_handler(lambda *, pdu: ids.update({pdu.sequence: pdu.message_id.decode()}))
    client.set_message_received_handler(delivered)
    client.connect()
    try:
        client.bind_transceiver(system_id="acme", password="secret")
        sent = [
            client.send_message(
                destination_addr=f"3361200000{place}", short_message=text.encode(), registered_delivery=True
            ).sequence
            for place, text in enumerate(texts)
        ]
        while len(words) < len(texts):
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    return [words[ids[sequence]] for sequence in sent]
