"""Foreign platforms that ask after their messages, change them, take them back, submit by data_sm and submit_multi.

One real engine with two carriers: one that takes everything (mini_smsc.py), and one that is away, so that what goes
there waits. Every peer runs once with one task; each test judges one command of that run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.peers.foreign import Event, start
from tests.peers.mini_smsc import MiniSmsc
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Pdu, Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

TEXT, REPLACED, DATA, MULTI = "Your code is 123456", "Your code is 654321", "by the other command", "to everybody"
ENROUTE, DELIVERED, DELETED = 1, 2, 4
ESME_ROK, ESME_RINVDSTADR, ESME_RINVMSGID, ESME_RCANCELFAIL, ESME_RREPLACEFAIL = 0, 0x0B, 0x0C, 0x11, 0x13
ESME_RMISSINGOPTPARAM = 0xC3
QUERY_SM_RESP, CANCEL_SM_RESP, SUBMIT_MULTI_RESP, DATA_SM_RESP = (f"0x{1 << 31 | n:08x}" for n in (3, 8, 0x21, 0x103))
NOWHERE = "4479000000"
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
esmes:
{accounts}
carriers:
  mini: {{system_id: us, password: {{plain: pw}}, binds: [{{address: "127.0.0.1:{port}"}}]}}
  away: {{system_id: us, password: {{plain: pw}}, binds: [{{address: "127.0.0.1:1"}}]}}
routes:
  - {{name: near, to: ["336"], carriers: [{{carrier: mini, cost: 0.03}}]}}
  - {{name: far, to: ["337"], carriers: [{{carrier: away, cost: 0.03}}]}}
"""
CLIENTS = {
    "node-smpp": "clients/node_commands.js",
    "Net::SMPP": "clients/net_smpp_commands.pl",
    "smpp.twisted3": "clients/twisted_commands.py",
}
EACH = pytest.mark.parametrize("name", CLIENTS)
MANY = pytest.mark.parametrize("name", ["node-smpp", "Net::SMPP"])  # twisted_commands.py says why it cannot


@attrs.frozen
class Ran:
    """What one peer did, what we said to it, and what the carrier got from it: (number, text)."""

    events: list[Event]
    said: list[Pdu]
    sent: list[tuple[str, str]]
    numbers: dict[str, str]

    def did(self, what: str, of: str | None = None) -> list[Event]:
        return [event for event in self.events if event["did"] == what and of in (None, event.get("of"))]

    def receipts(self) -> dict[str, str]:
        """id -> its word, each told once."""
        found = [re.match(r"id:(\S+) .*stat:([A-Z]{7}) ", event["text"]) for event in self.did("receipt")]
        words = {one[1]: one[2] for one in found if one}
        assert len(words) == len(found) == len(self.did("receipt"))
        return words


class House:
    """One engine for all the peers."""

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
        place = list(CLIENTS).index(name)
        numbers = {"near": f"3361200{place}000", "other": f"3361200{place}001", "away": f"3371200{place}000"}
        task = {**numbers, "nowhere": NOWHERE, "text": TEXT, "replaced": REPLACED, "data": DATA, "multi": MULTI}
        with Recorder(self.door) as wire:
            login = {"port": wire.port, "system_id": _account(name), "password": "secret"}
            with start(CLIENTS[name], {**login, **task}) as peer:
                peer.ended()
        assert peer.did("unbind"), str(peer)
        got = [(one.fields["destination_addr"].decode(), one.fields["short_message"].decode()) for one in self.smsc.got]
        mine = [(number, text) for number, text in got if number in numbers.values()]
        return Ran(peer.events, whole(wire.said_by_listener()), mine, numbers)


def _account(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The engine at work; at the end the carrier must not have met anything it could not read."""
    house = House(tmp_path_factory.mktemp("commands"))
    with house.smsc:
        accounts = "\n".join(f"  {_account(name)}: {{password: {{plain: secret}}}}" for name in CLIENTS)
        text = CONFIG.format(door=house.door, port=house.smsc.port, accounts=accounts)
        (house.folder / "smsroute.yaml").write_text(text)
        house.engine.start()
        house.engine.await_ready()
        try:
            yield house
            house.engine.stop()
        finally:
            house.engine.discard()
        assert house.smsc.faults == []


@EACH
def test_query_sm(house: House, name: str) -> None:
    """It reads ENROUTE without a date of what waits, DELIVERED and DELETED with one of what has ended, each with the id
    it asked for; of an id that is none of its own it hears ESME_RINVMSGID."""
    ran = house.run(name)
    asked = {event["of"]: event for event in ran.did("query")}
    ended, waits = [event["id"] for event in ran.did("submit")][:2]
    for of, state, final, message_id in (
        ("delivered", DELIVERED, True, ended),
        ("waiting", ENROUTE, False, waits),
        ("cancelled", DELETED, True, waits),
    ):
        told = asked[of]
        assert (told["status"], told["state"], told["final"], told["id"]) == (ESME_ROK, state, final, message_id), of
    assert asked["unknown"]["status"] == ESME_RINVMSGID


@EACH
def test_cancel_sm(house: House, name: str) -> None:
    """What waits for a carrier is taken back by its id, or by its addresses without one, and its receipt says DELETED;
    what has ended cannot be (ESME_RCANCELFAIL)."""
    ran = house.run(name)
    cancelled = [(event["of"], event["status"]) for event in ran.did("cancel")]
    assert cancelled == [("waiting", ESME_ROK), ("cancelled", ESME_RCANCELFAIL), ("by address", ESME_ROK)]
    taken_back = [event["id"] for event in ran.did("submit") if event["destination"] == ran.numbers["away"]]
    assert [ran.receipts()[message_id] for message_id in taken_back] == ["DELETED", "DELETED"]


@MANY
def test_replace_sm(house: House, name: str) -> None:
    """What waits for its schedule_delivery_time (ENROUTE) is given another text, which is what the carrier gets; what
    was delivered cannot be changed (ESME_RREPLACEFAIL)."""
    ran = house.run(name)
    (scheduled,) = ran.did("query", "scheduled")
    assert (scheduled["status"], scheduled["state"], scheduled["final"]) == (ESME_ROK, ENROUTE, False)
    replaced = [(event["of"], event["status"]) for event in ran.did("replace")]
    assert replaced == [("scheduled", ESME_ROK), ("delivered", ESME_RREPLACEFAIL)]
    assert [ran.sent.count((ran.numbers["near"], text)) for text in (TEXT, REPLACED)] == [1, 1]
    assert ran.receipts()[scheduled["id"]] == "DELIVRD"


@EACH
def test_refused_data_sm(house: House, name: str) -> None:
    """A data_sm without a text is refused (ESME_RMISSINGOPTPARAM) in a response it can read: the bind lives on."""
    ran = house.run(name)
    assert [event["status"] for event in ran.did("data refused")] == [ESME_RMISSINGOPTPARAM]
    assert [event["status"] for event in ran.did("unbind")] == [ESME_ROK]


@MANY
def test_data_sm(house: House, name: str) -> None:
    """Its text in message_payload comes to the carrier as a submit_sm, is answered with an id, and has its receipt."""
    ran = house.run(name)
    (data,) = ran.did("data")
    assert data["status"] == ESME_ROK
    assert ran.receipts()[data["id"]] == "DELIVRD"
    assert ran.sent.count((ran.numbers["near"], DATA)) == 1


@MANY
def test_submit_multi(house: House, name: str) -> None:
    """Of three recipients two get the text, each with a receipt of its own; the third, where no route leads, is named
    in the answer with ESME_RINVDSTADR. The id of the answer is that of the first."""
    ran = house.run(name)
    (multi,) = ran.did("multi")
    assert (multi["status"], multi["failed"]) == (ESME_ROK, [[NOWHERE, ESME_RINVDSTADR]])
    assert sorted(number for number, text in ran.sent if text == MULTI) == [ran.numbers["near"], ran.numbers["other"]]
    told = [event for event in ran.did("receipt") if f"id:{multi['id']} " in event["text"]]
    assert [event["destination"] for event in told] == [ran.numbers["near"]]
    assert list(ran.receipts().values()).count("DELIVRD") == 5


@EACH
def test_commands_oracles(house: House, name: str, tmp_path: Path) -> None:
    """Every answer we gave it, tshark reads without complaint; libsmpp34 reads and writes the same."""
    said = house.run(name).said
    commands = {pdu.command for pdu in said}
    assert {QUERY_SM_RESP, CANCEL_SM_RESP, DATA_SM_RESP} <= commands
    assert tshark(said, tmp_path) == []
    assert libsmpp34(said) == []
