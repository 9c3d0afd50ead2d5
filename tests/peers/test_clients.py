"""Foreign platforms at our ESME door: each binds, submits, sends a long text its own way, gets its receipts, unbinds.

One real engine, one foreign carrier behind it (mini_smsc.py), a recording proxy before each door. Every peer runs once;
the columns of the table in README.md are the tests below, and each judges the same run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.peers.foreign import Event, start
from tests.peers.mini_smsc import DELIVERY_RECEIPT, MiniSmsc
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Pdu, Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

TEXT = "Your code is 123456"
HANDSET_SAYS = "STOP please"
LONG = "Zażółć gęślą jaźń: this text is longer than one short message. " * 5
RECEIPT = re.compile(
    r"id:(?P<id>\S+) sub:\d{3} dlvrd:\d{3} submit date:\d{10,12} done date:\d{10,12} "
    r"stat:(?P<stat>[A-Z]{7}) err:(?P<err>\S{1,3}) [tT]ext:(?P<text>.*)",
    re.DOTALL,
)


@attrs.frozen
class Client:
    """A foreign platform."""

    script: str
    version: int
    form: str
    """In what form its long text goes."""
    hears_unbind: bool = True
    """Whether it waits for the answer to its unbind."""


CLIENTS = {
    "node-smpp": Client("clients/node_smpp.js", 0x34, "sar"),
    "node-smpp at 3.3": Client("clients/node_smpp.js", 0x33, "udh8"),
    "Net::SMPP": Client("clients/net_smpp.pl", 0x34, "payload"),
    "smpp34": Client("clients/smpp34_client.py", 0x34, "udh16"),
    "aiosmpplib": Client("clients/aiosmpplib_client.py", 0x34, "udh8", hears_unbind=False),
    "Kannel": Client("clients/kannel_boxes.py", 0x34, "udh8", hears_unbind=False),
    "rusmppyc": Client("clients/rusmppyc_client.py", 0x50, "udh8"),
    "smpp.twisted3": Client("clients/twisted_client.py", 0x34, "udh8"),
}
EACH = pytest.mark.parametrize("name", CLIENTS)


@attrs.frozen
class Ran:
    """What one peer did, and what passed on its link and at the carrier meanwhile."""

    client: Client
    events: list[Event]
    emitted: list[list[Pdu]]
    """What our ESME door said, a list a link."""
    sent: list[dict[str, Any]]
    """What the carrier got, as smpplib read it."""

    def did(self, what: str) -> list[Event]:
        return [event for event in self.events if event["did"] == what]


class House:
    """One engine between all the peers and one carrier."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = Served(folder)
        self.smsc = MiniSmsc()
        self.door = free_door(random.Random())
        self.ran: dict[str, Ran | AssertionError] = {}

    def run(self, name: str) -> Ran:
        """The peer's one run; asked again, it is not run again."""
        if name not in self.ran:
            try:
                self.ran[name] = self._run(name)
            except AssertionError as error:
                self.ran[name] = error
        ran = self.ran[name]
        if isinstance(ran, AssertionError):
            raise ran
        return ran

    def _run(self, name: str) -> Ran:
        client = CLIENTS[name]
        destination, code = f"33612{list(CLIENTS).index(name):06d}", _code(name)
        self.smsc.says[destination.encode()] = (code, HANDSET_SAYS.encode())
        with Recorder(self.door) as wire:
            task = {"port": wire.port, "system_id": _account(name), "password": "secret", "version": client.version}
            task["folder"] = str(self.folder)
            with start(
                client.script, {**task, "destination": destination, "text": TEXT, "long": LONG, "mo": 1}
            ) as peer:
                peer.ended()
        sent = [got.fields for got in self.smsc.got if got.fields["destination_addr"] == destination.encode()]
        assert peer.did("unbind") or not client.hears_unbind, str(peer)
        return Ran(client, peer.events, wire.said_by_listener(), sent)


def _code(name: str) -> str:
    """The number of ours that is this peer's."""
    return f"3800{list(CLIENTS).index(name)}"


def _account(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The engine at work; at the end the carrier must not have met anything it could not read."""
    house = House(tmp_path_factory.mktemp("clients"))
    with house.smsc, Recorder(house.smsc.port) as carrier:
        accounts = "".join(f"  {_account(name)}: {{password: {{plain: secret}}, binds_max: 4}}\n" for name in CLIENTS)
        (house.folder / "smsroute.yaml").write_text(
            f'node: n1\nlisten: [{{address: "127.0.0.1:{house.door}"}}]\nstore: "sqlite:store"\n'
            f"control: control.sock\nesmes:\n{accounts}"
            "carriers:\n  mini: {system_id: us, password: {plain: pw}, window: 10, rate: 1000/s,\n"
            f'    binds: [{{address: "127.0.0.1:{carrier.port}", mode: transceiver}}]}}\n'
            'routes:\n  - {name: all, to: ["336"], carriers: [{carrier: mini, cost: 0.03}]}\n'
            + "mo:\n"
            + "".join(
                f'  - {{name: {_account(name)}, to: ["{_code(name)}"], esme: {_account(name)}}}\n' for name in CLIENTS
            )
        )
        house.engine.start()
        house.engine.await_ready()
        try:
            yield house
            house.engine.stop()
        finally:
            house.engine.discard()
        assert house.smsc.faults == []
        emitted = whole(carrier.said_by_dialler())
        assert tshark(emitted, house.folder) == []
        assert libsmpp34(emitted) == []


@EACH
def test_bind(house: House, name: str) -> None:
    """It binds as a transceiver, reads our system_id, and is told the version it may speak (none below 3.4)."""
    ran = house.run(name)
    (bound,) = ran.did("bind")
    assert bound["status"] == 0
    assert bound.get("system_id", "smsroute") == "smsroute"
    (link,) = ran.emitted
    (answer,) = [pdu for pdu in link if pdu.command == "bind_transceiver_resp"]
    told = b"\x02\x10\x00\x01" + bytes([ran.client.version])
    assert answer.octets[16:] == b"smsroute\0" + (told if ran.client.version >= 0x34 else b"")


@EACH
def test_submit(house: House, name: str) -> None:
    """Its submit_sm is answered ESME_ROK with an id it can read, and the carrier gets the text it wrote."""
    ran = house.run(name)
    (submitted,) = ran.did("submit")
    assert submitted["status"] == 0
    assert re.fullmatch("[0-9A-Z]{1,20}", submitted["id"])
    assert [got["short_message"] for got in ran.sent].count(TEXT.encode()) == 1


@EACH
def test_long_message(house: House, name: str) -> None:
    """A text of 300 characters, cut its own way (UDH, SAR TLVs, message_payload), comes to the carrier whole, in order,
    in the form it was cut; each part has an id of its own."""
    ran = house.run(name)
    ids = [part["id"] for part in ran.did("long")]
    assert {part["status"] for part in ran.did("long")} == {0}
    assert len(set(ids)) == len(ids) > 0
    parts = [got for got in ran.sent if got["short_message"] != TEXT.encode()]
    assert _text(parts, ran.client.form) == LONG


@EACH
def test_receipt(house: House, name: str) -> None:
    """Every id it was given comes back once, in an Appendix B receipt and in receipted_message_id, as DELIVRD, from the
    handset's number."""
    ran = house.run(name)
    receipts = ran.did("receipt")
    words = [RECEIPT.fullmatch(receipt["text"]) for receipt in receipts]
    assert all(words), receipts
    ids = [word["id"] for word in words if word]
    assert sorted(ids) == sorted(event["id"] for event in ran.did("submit") + ran.did("long"))
    assert {word["stat"] for word in words if word} == {"DELIVRD"}
    for receipt, message_id in zip(receipts, ids, strict=True):
        assert receipt.get("esm_class", DELIVERY_RECEIPT) == DELIVERY_RECEIPT
        assert (receipt.get("tlv_id") or message_id).rstrip("\0") == message_id
        assert receipt.get("tlv_state", 2) == 2
        assert (receipt["source"], receipt["destination"]) == (ran.sent[0]["destination_addr"].decode(), "Shop")


@EACH
def test_mo(house: House, name: str) -> None:
    """What the handset says to the number that is its own comes to it once, as it was said, from the handset."""
    ran = house.run(name)
    (mo,) = ran.did("mo")
    said = (ran.sent[0]["destination_addr"].decode(), _code(name), HANDSET_SAYS)
    assert (mo["source"].lstrip("+"), mo["destination"], mo["text"]) == said  # Kannel writes it with a +


@EACH
def test_unbind(house: House, name: str) -> None:
    """Its unbind is answered, as the last thing we say on that link."""
    ran = house.run(name)
    assert [event["status"] for event in ran.did("unbind")] == [0] * ran.client.hears_unbind
    (link,) = ran.emitted
    assert (link[-1].command, link[-1].status) == ("unbind_resp", 0)
    assert [pdu.command for pdu in link].count("unbind_resp") == 1


@EACH
def test_oracles(house: House, name: str, tmp_path: Path) -> None:
    """Every PDU our ESME door said to it, tshark reads without a complaint, and libsmpp34 reads and writes the same."""
    emitted = whole(house.run(name).emitted)
    commands = {pdu.command for pdu in emitted}
    assert {"bind_transceiver_resp", "submit_sm_resp", "deliver_sm", "unbind_resp"} <= commands
    assert tshark(emitted, tmp_path) == []
    assert libsmpp34(emitted) == []


def test_version_3_3_is_sent_no_tlv(house: House) -> None:
    """What bound with 0x33 gets responses that end with their message_id; receipts and MO end with their text."""
    ran = house.run("node-smpp at 3.3")
    texts = [event["text"].encode() for event in ran.events if event["did"] in ("receipt", "mo")]
    deliveries = [pdu.octets for pdu in whole(ran.emitted) if pdu.command == "deliver_sm"]
    assert len(deliveries) == len(texts) > 1
    assert all(octets.endswith(text) for octets, text in zip(deliveries, texts, strict=True))
    responses = [pdu.octets for pdu in whole(ran.emitted) if pdu.command == "submit_sm_resp"]
    assert {octets.index(b"\0", 16) + 1 - len(octets) for octets in responses} == {0}


def test_version_5_is_told_of_congestion(house: House) -> None:
    """What bound with 0x50 reads sc_interface_version 5.0, and a congestion_state in every submit_sm_resp."""
    ran = house.run("rusmppyc")
    (bound,) = ran.did("bind")
    assert bound["version"] == "ScInterfaceVersion(Smpp5_0)"
    assert [event["tlvs"] for event in ran.did("long")] == [["CongestionState(Idle)"]] * len(ran.did("long"))


def _text(parts: list[dict[str, Any]], form: str) -> str:
    """The UCS-2 text the carrier got, put together as its form says."""
    if form == "payload":
        (part,) = parts
        assert part["short_message"] == b""
        return str(part["message_payload"].decode("utf-16-be"))
    if form == "sar":
        assert [part["sar_segment_seqnum"] for part in parts] == list(range(1, len(parts) + 1))
        assert {part["sar_total_segments"] for part in parts} == {len(parts)}
        assert len({part["sar_msg_ref_num"] for part in parts}) == 1
        return "".join(part["short_message"].decode("utf-16-be") for part in parts)
    header = {"udh8": 6, "udh16": 7}[form]
    heads = [part["short_message"][:header] for part in parts]
    assert [head[-1] for head in heads] == list(range(1, len(parts) + 1))
    assert {head[-2] for head in heads} == {len(parts)}
    assert len({head[:-1] for head in heads}) == 1
    return "".join(part["short_message"][header:].decode("utf-16-be") for part in parts)
