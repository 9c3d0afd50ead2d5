"""Foreign platforms and carriers by TLS: five at our ESME door, two at our carrier door, each verifying what it can.

The certificates are made as the test runs. What is said inside is judged by the peers themselves: the record of a proxy
would be of octets nobody can read.
"""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import trustme

from tests.peers.foreign import start
from tests.peers.mini_smsc import MiniSmsc
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

TEXT = "Your code is 123456"
LONG = "Zażółć gęślą jaźń: this text is longer than one short message. " * 5
AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
CLIENTS = {
    "node-smpp": "clients/node_smpp.js",
    "smpp34": "clients/smpp34_client.py",
    "rusmppyc": "clients/rusmppyc_client.py",
    "smpp.twisted3": "clients/twisted_client.py",
    "Kannel": "clients/kannel_boxes.py",
}
VERIFY = ["node-smpp", "smpp34", "rusmppyc", "Kannel"]
SERVERS = {"node-smpp": "servers/node_smpp.js", "smpp.twisted3": "servers/twisted_server.py"}
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}", tls: {{certificate: ours.pem, key: ours.key}}}}]
store: "sqlite:store"
control: control.sock
esmes:
  acme: {{password: {{plain: secret}}}}
carriers:
  foreign: {{system_id: us, password: {{plain: pw}}, reconnect_min: 50ms, reconnect_max: 200ms, binds: [{bind}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: foreign, cost: 0.03}}]}}
"""
Start = Callable[[str], tuple[Served, int]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts an engine with a TLS door and one bind; returns it and the door's port."""
    engine = Served(tmp_path)
    _put(tmp_path, "ours")
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    STRANGER.cert_pem.write_to_path(tmp_path / "stranger.pem")

    def serve(bind: str) -> tuple[Served, int]:
        door = free_door(random.Random())
        (tmp_path / "smsroute.yaml").write_text(CONFIG.format(door=door, bind=bind))
        engine.start()
        engine.await_ready()
        return engine, door

    yield serve
    engine.discard()


def _put(folder: Path, name: str) -> None:
    leaf = AUTHORITY.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / f"{name}.key")
    leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


@pytest.mark.parametrize("name", CLIENTS)
def test_a_platform_by_tls(serve: Start, tmp_path: Path, name: str) -> None:
    """It shakes hands, binds, submits a short text and a long one, gets a receipt for each id, and unbinds."""
    with MiniSmsc() as smsc:
        _, door = serve(f'{{address: "127.0.0.1:{smsc.port}"}}')
        with start(CLIENTS[name], _task(door, tmp_path, "ca.pem")) as peer:
            peer.ended()
    assert [event["status"] for event in peer.did("bind")] == [0], str(peer)
    assert all(event["status"] == 0 for event in peer.did("submit") + peer.did("long"))
    ids = [event["id"] for event in peer.did("submit") + peer.did("long")]
    told = [re.match(r"id:(\S+) .*stat:DELIVRD", event["text"]) for event in peer.did("receipt")]
    assert sorted(ids) == sorted(one[1] for one in told if one)
    assert len(ids) > 1
    assert smsc.faults == []


@pytest.mark.parametrize("name", VERIFY)
def test_a_platform_that_does_not_trust_us_stays_away(serve: Start, tmp_path: Path, name: str) -> None:
    """One that was told to trust somebody else ends the handshake: what the test above shows is not blind trust."""
    with MiniSmsc() as smsc:
        _, door = serve(f'{{address: "127.0.0.1:{smsc.port}"}}')
        with start(CLIENTS[name], _task(door, tmp_path, "stranger.pem")) as peer, pytest.raises(AssertionError):
            peer.until("bind", timeout_s=2)
    assert peer.did("bind") == []
    assert "session.bound" not in (tmp_path / "engine.log").read_text()


@pytest.mark.parametrize("name", SERVERS)
def test_a_carrier_by_tls(serve: Start, tmp_path: Path, name: str) -> None:
    """We verify its certificate, bind, and submit what a platform that came by TLS (smpplib) submits; its receipt
    comes back."""
    with start(SERVERS[name], _server(tmp_path)) as peer:
        (listening,) = peer.until("listening")
        _, door = serve(_by_tls(listening["port"], "ca.pem"))
        receipt = _platform(door)
        (got,) = peer.until("submit")
    assert got["text"] == TEXT
    assert re.match(rb"id:\S+ .*stat:DELIVRD err:000", receipt)


@pytest.mark.parametrize("name", SERVERS)
def test_a_carrier_we_do_not_trust_gets_no_password(serve: Start, tmp_path: Path, name: str) -> None:
    """One whose certificate another authority signed hears nothing of us but the handshake, and `health` says why."""
    with start(SERVERS[name], _server(tmp_path)) as peer:
        (listening,) = peer.until("listening")
        engine, _ = serve(_by_tls(listening["port"], "stranger.pem"))
        with pytest.raises(AssertionError):
            peer.until("bind", timeout_s=1)
        reasons = [bind["reason"] for bind in engine.health()["carriers"][0]["binds"]]
    assert all("certificate" in reason for reason in reasons), reasons
    assert peer.did("bind") == []


def _task(door: int, folder: Path, authority: str) -> dict[str, Any]:
    """What a platform's script is to do."""
    login = {"port": door, "system_id": "acme", "password": "secret", "version": 0x34}
    where = {"folder": str(folder), "ca": str(folder / authority)}
    return {**login, **where, "destination": "33612000001", "text": TEXT, "long": LONG}


def _server(folder: Path) -> dict[str, Any]:
    """What a carrier's script is to be."""
    _put(folder, "theirs")
    files = {"certificate": str(folder / "theirs.pem"), "key": str(folder / "theirs.key")}
    return {"system_id": "us", "password": "pw", "script": {}, **files}


def _by_tls(port: int, authority: str) -> str:
    return f'{{address: "127.0.0.1:{port}", mode: pair, tls: {{ca: {authority}}}}}'


def _platform(door: int) -> bytes:
    """The receipt of one message."""
    context = ssl.create_default_context()
    context.check_hostname = False  # smpplib names none to it
    AUTHORITY.configure_trust(context)
    client = smpplib.client.Client("127.0.0.1", door, timeout=10, ssl_context=context, allow_unknown_opt_params=True)
    heard: list[bytes] = []
    client.set_message_received_handler(lambda *, pdu: heard.append(pdu.short_message))
    client.connect()
    try:
        client.bind_transceiver(system_id="acme", password="secret")
        client.send_message(destination_addr="33612000001", short_message=TEXT.encode(), registered_delivery=True)
        while not heard:
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    return heard[0]
