"""outbind with strangers: a foreign carrier that calls us, and a foreign platform that waits to be called."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smpplib.client

from tests.peers.foreign import start
from tests.peers.mini_smsc import MiniSmsc
from tests.peers.oracles.judges import libsmpp34, tshark
from tests.peers.wire import Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

TEXT = "Your code is 123456"
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
limits: {{outbind_interval: 200ms}}
esmes:
  acme: {{password: {{plain: secret}}{esme}}}
carriers:
  foreign: {{system_id: us, password: {{plain: pw}}, binds: [{bind}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: foreign, cost: 0.03}}]}}
"""
CARRIERS = {"node-smpp": "servers/node_smpp.js", "Net::SMPP": "servers/net_smpp.pl"}
PLATFORMS = {"node-smpp": "clients/node_called.js", "Net::SMPP": "clients/net_smpp_called.pl"}
Start = Callable[..., tuple[Served, int]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts an engine; returns it and its door's port."""
    engine = Served(tmp_path)

    def serve(bind: str, esme: str = "") -> tuple[Served, int]:
        door = free_door(random.Random())
        (tmp_path / "smsroute.yaml").write_text(CONFIG.format(door=door, bind=bind, esme=esme))
        engine.start()
        engine.await_ready()
        return engine, door

    yield serve
    engine.discard()


def _calls(port: int, password: str = "hello") -> dict[str, Any]:
    """A carrier that dials this port."""
    login = {"system_id": "us", "password": "pw", "script": {}}
    return {**login, "dials": port, "outbind": {"system_id": "smsc", "password": password}}


def _called(port: int) -> str:
    """A bind that is called there."""
    who = "{system_id: smsc, password: {plain: hello}}"
    return f'{{address: "127.0.0.1:{port}", mode: transceiver, outbind: {who}}}'


@pytest.mark.parametrize("name", CARRIERS)
def test_a_carrier_that_calls_us(serve: Start, name: str) -> None:
    """It dials us and says who it is; we bind on that link, submit, answer its receipt, and unbind at SIGTERM."""
    port = free_door(random.Random())
    engine, door = serve(_called(port))
    with start(CARRIERS[name], _calls(port)) as peer:
        (bound,) = peer.until("bind")
        receipt = _message(door, receives=True)
        engine.stop()
        peer.until("unbind")
    assert (bound["mode"], bound["right"]) == ("bind_transceiver", True)
    assert [got["text"] for got in peer.did("submit")] == [TEXT]
    assert [told["status"] for told in peer.did("receipt")] == [0]
    assert re.match(rb"id:\S+ .*stat:DELIVRD err:000", receipt)


@pytest.mark.parametrize("name", CARRIERS)
def test_a_caller_with_another_password_is_not_bound_to(serve: Start, name: str) -> None:
    """Its link is closed and it hears nothing of ours; the bind says in `health` that it waits."""
    port = free_door(random.Random())
    engine, _ = serve(_called(port))
    with start(CARRIERS[name], _calls(port, password="guess")) as peer:
        peer.until("closed")
    assert peer.did("bind") == []
    (bind,) = engine.health()["carriers"][0]["binds"]
    assert (bind["state"], "waits for the carrier" in bind["reason"]) == ("down", True)


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_that_waits_to_be_called(serve: Start, tmp_path: Path, name: str) -> None:
    """A receipt waits and nobody of it may receive: we dial it and send outbind, which both judges find right; it binds
    as a receiver on that link, gets its receipt and unbinds."""
    port = free_door(random.Random())
    with MiniSmsc() as smsc, Recorder(port) as wire:
        calls = f', outbind: {{address: "127.0.0.1:{wire.port}", system_id: ours, password: {{plain: knock}}}}'
        engine, door = serve(f'{{address: "127.0.0.1:{smsc.port}"}}', calls)
        with start(PLATFORMS[name], {"port": port, "system_id": "acme", "password": "secret"}) as peer:
            peer.until("listening")
            _message(door, receives=False)
            peer.ended()
        engine.stop()
        (called, *_) = [link for link in wire.said_by_dialler() if link]
    (outbind,) = peer.did("outbind")
    assert (outbind["system_id"], outbind["password"]) == ("ours", "knock")
    assert [event["status"] for event in peer.did("bind") + peer.did("unbind")] == [0, 0]
    (receipt,) = peer.did("receipt")
    assert re.match(r"id:\S+ .*stat:DELIVRD err:000", receipt["text"])
    assert called[0].octets[4:8] == bytes.fromhex("0000000b")
    assert tshark(called, tmp_path) == []
    assert libsmpp34(called) == []


def _message(door: int, *, receives: bool) -> bytes:
    """Submit one, receipt asked for; returns the receipt, or nothing when the client is only a transmitter."""
    client = smpplib.client.Client("127.0.0.1", door, timeout=10, allow_unknown_opt_params=True)
    answered: list[int] = []
    heard: list[bytes] = []
    client.set_message_sent_handler(lambda *, pdu: answered.append(pdu.status))
    client.set_message_received_handler(lambda *, pdu: heard.append(pdu.short_message))
    client.connect()
    try:
        bind = client.bind_transceiver if receives else client.bind_transmitter
        bind(system_id="acme", password="secret")
        client.send_message(destination_addr="33612000001", short_message=TEXT.encode(), registered_delivery=True)
        while not (heard if receives else answered):
            client.read_once()
        assert set(answered) <= {0}
        client.unbind()
    finally:
        client.disconnect()
    return heard[0] if receives else b""
