"""Foreign servers as the carrier: each is bound to, submitted to, throttles, fails, answers late, and sends receipts.

One real engine a peer, a foreign platform (smpplib) before it, a recording proxy before the carrier. Every peer runs
once, with one script for all of them; the columns of the table in README.md are the tests below, each judges that run.
"""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import smpplib.client
import smpplib.gsm
from smpplib import consts

from tests.peers.foreign import Event, start
from tests.peers.mini_smsc import DELIVERY_RECEIPT
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Pdu, Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

PLAIN = "Your code is 123456"
LONG = "Zażółć gęślą jaźń: this text is longer than one short message. " * 5
THROTTLED, FULL, BROKEN, NOBODY, FAILED = "over the rate", "queue full", "system error", "to nobody", "switched off"
EARLY, OTHER, SLOW, TOO_LATE = "receipt first", "by another session", "a slow answer", "an answer too late"
MUTE, MUTE_FAILED = "taken and not told", "failed and not told"
ASKS, SHORT_CODE = "answer STOP", "38000"
HANDSET_SAYS = [(0, b"STOP please"), (0x40, b"\5\0\3\x2f\2\1first half, "), (0x40, b"\5\0\3\x2f\2\2second half")]
"""(esm_class, octets) of each deliver_sm that `ASKS` makes the carrier send to our code: one whole, one in two."""

AGAIN = {THROTTLED: 0x58, FULL: 0x14, BROKEN: 0x08}
SCRIPT: dict[str, dict[str, Any]] = {
    SLOW: {"late_ms": 400},
    **{text: {"statuses": [status]} for text, status in AGAIN.items()},
    NOBODY: {"statuses": [0x0B]},
    FAILED: {"word": "UNDELIV"},
    EARLY: {"early": True},
    OTHER: {"other": True},
    TOO_LATE: {"late_ms": 2000},
    ASKS: {"mo": [{"to": SHORT_CODE, "hex": said.hex(), "udhi": bool(header)} for header, said in HANDSET_SAYS]},
}
"""What each text makes of the carrier: the statuses of its first offers, how late it answers, when and where its
receipt comes and with which word. A text that is not here is taken and delivered."""

QUERIED = {MUTE: {"mute": 2}, MUTE_FAILED: {"mute": 5}}
"""The same for carriers that answer query_sm, with the message_state they answer; no receipt of these ever comes."""

RESPONSE_TIMEOUT_S = 1.0
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
limits: {{retry_schedule: [200ms], sweep_interval: 100ms, query_after: 1s}}
esmes:
  acme: {{password: {{plain: secret}}, window: 100}}
carriers:
  foreign: {{system_id: us, password: {{plain: pw}}, system_type: VMA, reconnect_min: 50ms, reconnect_max: 200ms,
             enquire_link: 300ms, response_timeout: {timeout}s, window: 20, rate: 1000/s, dialect: {{ids: {ids}}},
             query_sm: {queries}, binds: [{{address: "127.0.0.1:{port}", {binds}}}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: foreign, cost: 0.03}}]}}
mo:
  - {{name: code, to: ["38000"], esme: acme}}
"""
TIMEOUT_S = 15.0
RECEIPT = re.compile(r"id:(?P<id>\S+) sub:\d{3} dlvrd:\d{3} .*stat:(?P<stat>[A-Z]{7}) err:(?P<err>\S{1,3}) [tT]ext:")


@attrs.frozen
class Server:
    """A foreign carrier."""

    script: str
    ids: str
    """How its receipts name a message, as `dialect: ids` says it."""
    binds: str = "mode: transceiver, count: 2"

    queries: bool = True
    """Whether it answers query_sm."""

    @property
    def orders(self) -> dict[str, dict[str, Any]]:
        return SCRIPT | QUERIED if self.queries else SCRIPT

    @property
    def pair(self) -> bool:
        return "pair" in self.binds


SERVERS = {
    "node-smpp": Server("servers/node_smpp.js", "hex-dec"),
    "smpp34.Server": Server("servers/smpp34_server.py", "dec-hex", queries=False),
    "Net::SMPP": Server("servers/net_smpp.pl", "unpad", "mode: pair"),
    "smpp.twisted3": Server("servers/twisted_server.py", "auto", "mode: pair"),
}
EACH = pytest.mark.parametrize("name", SERVERS)


@attrs.frozen
class Ran:
    """What one peer did, what the platform was told, and what our carrier door said meanwhile."""

    server: Server
    events: list[Event]
    ids: dict[str, list[str]]
    """text -> the ids the platform was given for it"""
    receipts: dict[str, tuple[str, str]]
    """id -> (stat, err) as the platform read them"""
    mos: list[Any]
    """deliver_sm that were no receipts, as the platform read them"""
    links: list[list[Pdu]]
    """What we said, a list a link."""
    heard: list[list[Pdu]]
    """What it said, a list a link."""

    def did(self, what: str, text: str | None = None) -> list[Event]:
        return [event for event in self.events if event["did"] == what and text in (None, event.get("text"))]

    def fate(self, text: str) -> tuple[str, str]:
        """(stat, err) of a text that is one part."""
        (message_id,) = self.ids[text]
        return self.receipts[message_id]


class House:
    """Runs each peer once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: dict[str, Ran | AssertionError] = {}

    def run(self, name: str) -> Ran:
        """The peer's one run; asked again, it is not run again."""
        if name not in self.ran:
            folder = self.folder / re.sub(r"\W", "", name)
            folder.mkdir()
            try:
                self.ran[name] = _run(SERVERS[name], folder)
            except AssertionError as error:
                self.ran[name] = error
        ran = self.ran[name]
        if isinstance(ran, AssertionError):
            raise ran
        return ran


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("servers"))


def _run(server: Server, folder: Path) -> Ran:
    engine = Served(folder)
    door = free_door(random.Random())
    with start(server.script, {"system_id": "us", "password": "pw", "script": server.orders}) as peer:
        (listening,) = peer.until("listening")
        with Recorder(listening["port"]) as wire:
            (folder / "smsroute.yaml").write_text(
                CONFIG.format(
                    door=door,
                    port=wire.port,
                    ids=server.ids,
                    binds=server.binds,
                    queries=str(server.queries).lower(),
                    timeout=RESPONSE_TIMEOUT_S,
                )
            )
            try:
                engine.start()
                engine.await_ready()
                told = _platform(door, [PLAIN, *server.orders])
                _quiet(wire)
                bound = [bind["state"] for bind in engine.health()["carriers"][0]["binds"]]
                engine.stop()
                peer.until("unbind", 2)
            finally:
                engine.discard()
        assert bound == ["bound"] * 2, str(peer)
        return Ran(server, peer.events, *told, wire.said_by_dialler(), wire.said_by_listener())


def _quiet(wire: Recorder) -> None:
    """Wait until nothing is left to say but enquire_link, on each link, and it is answered."""
    deadline = time.monotonic() + TIMEOUT_S
    while not all(b"\x80\0\0\x15\0\0\0\0" in link.listener for link in wire.links):
        assert time.monotonic() < deadline, "an enquire_link stays unanswered"
        time.sleep(0.05)


def _platform(door: int, texts: list[str]) -> tuple[dict[str, list[str]], dict[str, tuple[str, str]], list[Any]]:
    """(text -> ids, id -> (stat, err), MO): a foreign client submits everything and waits for all that is to come."""
    client = smpplib.client.Client("127.0.0.1", door, timeout=TIMEOUT_S, allow_unknown_opt_params=True)
    asked: dict[int, str] = {}
    ids: dict[str, list[str]] = {}
    receipts: dict[str, tuple[str, str]] = {}
    mos: list[Any] = []

    def answered(*, pdu: Any) -> None:
        assert pdu.status == 0, f"{asked[pdu.sequence]}: {pdu.status:#x}"
        ids.setdefault(asked[pdu.sequence], []).append(pdu.message_id.decode())

    def delivered(*, pdu: Any) -> None:
        if not pdu.esm_class & DELIVERY_RECEIPT:
            mos.append(pdu)
            return
        words = RECEIPT.match(pdu.short_message.decode())
        assert words, pdu.short_message
        assert words["id"] not in receipts, f"{words['id']} is told twice"
        receipts[words["id"]] = (words["stat"], words["err"])

    def submit(text: str, octets: bytes, **fields: Any) -> None:
        sent = client.send_message(
            source_addr_ton=consts.SMPP_TON_ALNUM,
            source_addr="Shop",
            dest_addr_ton=consts.SMPP_TON_INTL,
            dest_addr_npi=consts.SMPP_NPI_ISDN,
            destination_addr=f"336120000{len(asked):02d}" if text != LONG else "33612000099",
            registered_delivery=True,
            short_message=octets,
            **fields,
        )
        asked[sent.sequence] = text

    client.set_message_sent_handler(answered)
    client.set_message_received_handler(delivered)
    client.connect()
    try:
        client.bind_transceiver(system_id="acme", password="secret")
        parts, data_coding, esm_class = smpplib.gsm.make_parts(LONG, encoding=consts.SMPP_ENCODING_ISO10646)
        for part in parts:
            submit(LONG, part, data_coding=data_coding, esm_class=esm_class)
        for text in texts:
            submit(text, text.encode())
        deadline = time.monotonic() + TIMEOUT_S
        while len(receipts) < len(asked) or len(mos) < len(HANDSET_SAYS):
            assert time.monotonic() < deadline, f"after {TIMEOUT_S:g} s: {ids}, {receipts}, {mos}"
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    return ids, receipts, mos


@EACH
def test_server_bind(house: House, name: str) -> None:
    """It is bound to twice (two transceivers, or a transmitter and a receiver) with the login of the config, and both
    binds live to the end."""
    ran = house.run(name)
    modes = ["bind_receiver", "bind_transmitter"] if ran.server.pair else ["bind_transceiver"] * 2
    assert sorted(link[0].command for link in ran.links) == modes
    for link in ran.links:
        assert link[0].octets[16:] == b"us\0pw\0VMA\0" + b"\x34\0\0\0"
    binds = ran.did("bind")
    assert [bind["right"] for bind in binds] == [True] * 2
    assert all(bind.get("version", 0x34) == 0x34 and bind.get("system_type", "VMA") == "VMA" for bind in binds)


@EACH
def test_server_submit(house: House, name: str) -> None:
    """It reads a submit_sm as it was submitted, once, and its ESME_ROK and receipt end the message."""
    ran = house.run(name)
    (got,) = ran.did("submit", PLAIN)
    assert (got["source"], got["data_coding"], got["esm_class"], got["registered_delivery"]) == ("Shop", 0, 0, 1)
    assert re.fullmatch(r"336120000\d\d", got["destination"])
    assert ran.fate(PLAIN) == ("DELIVRD", "000")


@EACH
def test_server_long_message(house: House, name: str) -> None:
    """A text in UCS-2 parts comes to it whole, in order, on one bind, with the headers it was cut with; each part has
    its own receipt."""
    ran = house.run(name)
    parts = sorted((got for got in ran.did("submit") if got["udh"]), key=lambda part: str(part["udh"]))
    assert "".join(part["text"] for part in parts) == LONG
    heads = [part["udh"] for part in parts]
    said = [pdu.octets.hex() for pdu in whole(ran.links)]  # smpp34.Server may tell of two out of order; the record not
    assert [head for octets in said for head in heads if head in octets] == heads
    assert {(part["link"], part["esm_class"], part["data_coding"]) for part in parts} == {(parts[0]["link"], 0x40, 8)}
    assert [ran.receipts[one] for one in ran.ids[LONG]] == [("DELIVRD", "000")] * len(parts)


@EACH
def test_server_receipt(house: House, name: str) -> None:
    """Each receipt it sends is answered ESME_ROK, and reaches the platform once with our id and its word, whatever
    relation its ids have to those of its responses."""
    ran = house.run(name)
    answers = ran.did("receipt")
    assert {answer["status"] for answer in answers} == {0}
    ours = 3 if ran.server.queries else 1  # of the one it refused, and of those it only tells when asked
    assert len(answers) == len(ran.receipts) - ours
    assert ran.fate(FAILED) == ("UNDELIV", "011")


@EACH
@pytest.mark.parametrize("text", AGAIN)
def test_server_says_later(house: House, name: str, text: str) -> None:
    """0x58, 0x14 and 0x08 on the first offer: it is offered again, once, and delivered."""
    ran = house.run(name)
    assert [got["status"] for got in ran.did("submit", text)] == [AGAIN[text], 0]
    assert ran.fate(text) == ("DELIVRD", "000")


@EACH
def test_server_says_no(house: House, name: str) -> None:
    """0x0B is the message's own fault: it is offered once, and the platform gets a receipt that says so."""
    ran = house.run(name)
    assert [got["status"] for got in ran.did("submit", NOBODY)] == [0x0B]
    assert ran.fate(NOBODY)[0] in ("UNDELIV", "REJECTD")


@EACH
def test_server_answers_out_of_order(house: House, name: str) -> None:
    """A response that comes 400 ms late is overtaken by those of later submits, and is taken as that of its own."""
    ran = house.run(name)
    (slow,) = [pdu for pdu in whole(ran.links) if SLOW.encode() in pdu.octets]
    (link,) = [link for link, said in enumerate(ran.links) if slow in said]
    asked = [pdu.sequence for pdu in ran.links[link] if pdu.command == "submit_sm"]
    answered = [pdu.sequence for pdu in ran.heard[link] if pdu.command == "submit_sm_resp"]
    assert sorted(asked) == sorted(answered)
    assert set(answered[: answered.index(slow.sequence)]) & set(asked[asked.index(slow.sequence) + 1 :])
    assert ran.fate(SLOW) == ("DELIVRD", "000")


@EACH
def test_server_answers_too_late(house: House, name: str) -> None:
    """A response after `response_timeout` leaves the part in doubt, not sent twice; its answer still names it, and the
    receipt that follows is its own."""
    ran = house.run(name)
    assert len(ran.did("submit", TOO_LATE)) == 1
    assert ran.fate(TOO_LATE) == ("DELIVRD", "000")


@EACH
def test_server_tells_before_it_answers(house: House, name: str) -> None:
    """A receipt that comes before the submit_sm_resp is answered and kept, and is told once the response names it."""
    ran = house.run(name)
    done = [event["did"] for event in ran.events if event.get("text") == EARLY]
    assert done == ["submit", "receipt", "answer"]
    assert ran.fate(EARLY) == ("DELIVRD", "000")


@EACH
def test_server_tells_by_another_session(house: House, name: str) -> None:
    """The receipt of what one bind submitted comes over the other one, and finds its message."""
    ran = house.run(name)
    (got,), (told,) = ran.did("submit", OTHER), ran.did("receipt", OTHER)
    assert got["link"] != told["link"]
    assert ran.fate(OTHER) == ("DELIVRD", "000")


@pytest.mark.parametrize("name", [name for name, server in SERVERS.items() if server.queries])
def test_server_is_asked(house: House, name: str) -> None:
    """What it took and sends no receipt of is asked for by query_sm, with the id of its response; what it answers ends
    the message, delivered or not, and the platform has its receipt."""
    ran = house.run(name)
    assert ran.fate(MUTE)[0] == "DELIVRD"
    assert ran.fate(MUTE_FAILED)[0] == "UNDELIV"
    assert {state for state in (event["state"] for event in ran.did("query")) if state} == {2, 5}


@EACH
def test_server_mo(house: House, name: str) -> None:
    """What a handset says to our code, whole and in two parts, is answered ESME_ROK and comes to the platform that owns
    the code: in order, octet for octet, from the handset."""
    ran = house.run(name)
    assert [told["status"] for told in ran.did("mo")] == [0] * len(HANDSET_SAYS)
    assert [(mo.esm_class, mo.short_message) for mo in ran.mos] == HANDSET_SAYS
    (asked,) = ran.did("submit", ASKS)
    addresses = {(mo.source_addr.decode(), mo.destination_addr.decode(), mo.dest_addr_ton) for mo in ran.mos}
    assert addresses == {(asked["destination"], SHORT_CODE, 3)}


@EACH
def test_server_unbind(house: House, name: str) -> None:
    """When the engine stops, unbind is the last thing it hears on each link, and it takes it as the end."""
    ran = house.run(name)
    assert [link[-1].command for link in ran.links] == ["unbind"] * 2
    assert len(ran.did("unbind")) == 2


@EACH
def test_server_oracles(house: House, name: str, tmp_path: Path) -> None:
    """Every PDU our carrier door said to it, tshark reads without complaint; libsmpp34 reads and writes the same."""
    said = whole(house.run(name).links)
    assert {"submit_sm", "deliver_sm_resp", "enquire_link", "unbind"} <= {pdu.command for pdu in said}
    assert tshark(said, tmp_path) == []
    assert libsmpp34(said) == []
