"""A real engine between two strangers: smpplib's client submits, an SMSC on smpplib's codec delivers, real TCP.

Neither end shares a line with smsroute, so what both rooms of ours might misread alike comes out here.
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp
from smpplib import consts

from tests.peers.mini_smsc import DELIVERY_RECEIPT, MiniSmsc
from tests.served import Served, free_door

CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
esmes:
  acme: {{password: {{plain: secret}}, binds_max: 4}}
carriers:
  mini: {{system_id: us, password: {{plain: {password}}}, system_type: VMA, reconnect_min: 50ms, reconnect_max: 200ms,
         enquire_link: 200ms, window: 10, rate: 1000/s, binds: [{{address: "127.0.0.1:{port}", mode: {mode}}}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: mini, cost: 0.03}}]}}
mo:
  - {{name: code, to: ["38000"], esme: acme}}
"""
TIMEOUT_S = 10.0
LONG = "Grüße, this text is longer than one short message can hold. " * 5

pytestmark = pytest.mark.slow


class Engine(Served):
    """The engine, where its door is, and whom it let in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.door = 0
        self.clients: list[smpplib.client.Client] = []

    def client(self) -> smpplib.client.Client:
        """A foreign client, connected and not bound."""
        client = smpplib.client.Client("127.0.0.1", self.door, timeout=TIMEOUT_S, allow_unknown_opt_params=True)
        self.clients.append(client)
        client.connect()
        return client

    def bound(self) -> smpplib.client.Client:
        """A foreign client, bound as a transceiver."""
        client = self.client()
        client.bind_transceiver(system_id="acme", password="secret")
        return client


Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an engine whose one carrier is an SMSC at a port."""
    engine = Engine(tmp_path)

    def start(port: int, *, mode: str = "transceiver", password: str = "pw") -> Engine:
        engine.door = free_door(random.Random())
        text = CONFIG.format(door=engine.door, port=port, mode=mode, password=password)
        (tmp_path / "smsroute.yaml").write_text(text)
        engine.start()
        engine.await_ready()
        return engine

    yield start
    for client in engine.clients:
        client.disconnect()
    engine.discard()


@pytest.fixture
def smsc() -> Iterator[MiniSmsc]:
    """A foreign carrier that must not have met anything it could not read."""
    with MiniSmsc() as smsc:
        yield smsc
        assert smsc.faults == []


def leave(client: smpplib.client.Client) -> None:
    """Unbind as its own documentation says; what it got in between is lost on it, so ask for nothing by then."""
    assert client.unbind().command == "unbind_resp"
    client.disconnect()


def collect(client: smpplib.client.Client, responses: int, receipts: int) -> tuple[list[Any], list[Any]]:
    """(submit_sm_resp, deliver_sm) PDUs that came, each deliver_sm answered by the client itself."""
    answered: list[Any] = []
    delivered: list[Any] = []
    client.set_message_sent_handler(lambda *, pdu: answered.append(pdu))
    client.set_message_received_handler(lambda *, pdu: delivered.append(pdu))
    deadline = time.monotonic() + TIMEOUT_S
    while len(answered) < responses or len(delivered) < receipts:
        assert time.monotonic() < deadline, f"{len(answered)} responses, {len(delivered)} receipts in {TIMEOUT_S:g} s"
        client.read_once()
    return answered, delivered


def submit(client: smpplib.client.Client, short_message: bytes, **fields: Any) -> Any:
    plain = {
        "source_addr_ton": consts.SMPP_TON_ALNUM,
        "source_addr": "Shop",
        "dest_addr_ton": consts.SMPP_TON_INTL,
        "dest_addr_npi": consts.SMPP_NPI_ISDN,
        "destination_addr": "33612345678",
        "registered_delivery": True,
    }
    return client.send_message(short_message=short_message, **{**plain, **fields})


def receipt_words(pdu: Any) -> dict[str, str]:
    """An Appendix B receipt, as any client's regular expression reads it."""
    found = re.fullmatch(
        rb"id:(?P<id>\S+) sub:(?P<sub>\d{3}) dlvrd:(?P<dlvrd>\d{3}) submit date:(?P<submit>\d{10,12}) "
        rb"done date:(?P<done>\d{10,12}) stat:(?P<stat>[A-Z]{5,7}) err:(?P<err>\S{1,3}) [tT]ext:(?P<text>.*)",
        pdu.short_message,
        re.DOTALL,
    )
    assert found, pdu.short_message
    return {name: value.decode("latin-1") for name, value in found.groupdict().items()}


def test_a_message_goes_through_and_its_receipt_comes_back(start: Start, smsc: MiniSmsc) -> None:
    """smpplib's client binds, submits with registered_delivery=1, gets ESME_ROK with an id and one receipt naming that
    very id, in its text and in receipted_message_id; the foreign carrier got the fields as they were submitted."""
    engine = start(smsc.port)
    client = engine.bound()
    sent = submit(client, b"Your code is 123456", service_type="OTP", priority_flag=1, user_message_reference=77)
    (response,), (receipt,) = collect(client, 1, 1)
    assert (response.status, response.sequence) == (consts.SMPP_ESME_ROK, sent.sequence)
    message_id = response.message_id.decode()
    assert re.fullmatch("[0-9A-Z]{1,20}", message_id)
    words = receipt_words(receipt)
    assert (words["id"], words["stat"], words["dlvrd"], words["err"]) == (message_id, "DELIVRD", "001", "000")
    assert receipt.esm_class == DELIVERY_RECEIPT
    assert receipt.receipted_message_id.decode() == message_id
    assert receipt.message_state == consts.SMPP_MESSAGE_STATE_DELIVERED
    assert (receipt.source_addr, receipt.destination_addr) == (b"33612345678", b"Shop")
    assert (receipt.source_addr_ton, receipt.source_addr_npi) == (consts.SMPP_TON_INTL, consts.SMPP_NPI_ISDN)
    (got,) = smsc.got
    expected = {
        "service_type": b"OTP",
        "source_addr_ton": consts.SMPP_TON_ALNUM,
        "source_addr": b"Shop",
        "dest_addr_ton": consts.SMPP_TON_INTL,
        "dest_addr_npi": consts.SMPP_NPI_ISDN,
        "destination_addr": b"33612345678",
        "priority_flag": 1,
        "registered_delivery": 1,
        "short_message": b"Your code is 123456",
        "user_message_reference": 77,
    }
    assert {name: got.fields[name] for name in expected} == expected
    assert got.message_id != message_id, "an id of the carrier's is not handed on"
    smsc.wait_for(lambda: smsc.receipt_answers, "the engine answers the receipt")
    assert smsc.receipt_answers == [consts.SMPP_ESME_ROK]
    leave(client)
    messages = engine.health()["messages"]
    assert (messages["accepted"], messages["delivered"], messages["open"]) == (1, 1, 0)
    engine.stop()


def test_what_a_handset_says_comes_to_the_owner_of_its_number(start: Start, smsc: MiniSmsc) -> None:
    """The foreign carrier's deliver_sm that is no receipt is answered ESME_ROK, and comes to the client as it was."""
    smsc.says[b"33612345678"] = ("38000", b"STOP please")
    engine = start(smsc.port)
    client = engine.bound()
    submit(client, b"Answer STOP to hear no more", registered_delivery=False)
    _, (said,) = collect(client, 1, 1)
    assert (said.source_addr, said.destination_addr, said.short_message) == (b"33612345678", b"38000", b"STOP please")
    assert (said.esm_class, said.dest_addr_ton) == (0, consts.SMPP_TON_NWSPEC)
    smsc.wait_for(lambda: smsc.receipt_answers, "the engine answers it")
    assert smsc.receipt_answers == [consts.SMPP_ESME_ROK]
    leave(client)
    engine.stop()


def test_a_failure_is_told_as_one(start: Start) -> None:
    """UNDELIV and its error code reach the client as the foreign carrier said them."""
    with MiniSmsc(word="UNDELIV") as smsc:
        engine = start(smsc.port)
        client = engine.bound()
        submit(client, b"to nobody")
        _, (receipt,) = collect(client, 1, 1)
        words = receipt_words(receipt)
        assert (words["stat"], words["dlvrd"], words["err"]) == ("UNDELIV", "000", "011")
        assert receipt.message_state == consts.SMPP_MESSAGE_STATE_UNDELIVERABLE
        leave(client)
        engine.stop()
        assert smsc.faults == []


def test_no_receipt_is_sent_that_nobody_asked_for(start: Start, smsc: MiniSmsc) -> None:
    """registered_delivery=0 gives ESME_ROK and no deliver_sm: the next PDU the client gets is its unbind_resp."""
    engine = start(smsc.port)
    client = engine.bound()
    submit(client, b"by the way", registered_delivery=False)
    collect(client, 1, 0)
    smsc.wait_for(lambda: smsc.got, "the carrier gets it")
    assert not smsc.got[0].fields.get("registered_delivery")
    leave(client)
    engine.stop()


def test_a_long_text_in_udh_parts_stays_whole(start: Start, smsc: MiniSmsc) -> None:
    """Three UCS-2 parts, cut by smpplib, reach the carrier with their headers, in order, on one bind; put together they
    are the text, and each part has its own id and receipt."""
    parts, data_coding, esm_class = smpplib.gsm.make_parts(LONG, encoding=consts.SMPP_ENCODING_ISO10646)
    assert len(parts) > 2
    engine = start(smsc.port)
    client = engine.bound()
    for part in parts:
        submit(client, part, data_coding=data_coding, esm_class=esm_class)
    responses, receipts = collect(client, len(parts), len(parts))
    assert {pdu.status for pdu in responses} == {consts.SMPP_ESME_ROK}
    ids = [pdu.message_id.decode() for pdu in responses]
    assert len(set(ids)) == len(parts)
    assert sorted(ids) == sorted(receipt_words(pdu)["id"] for pdu in receipts)
    assert [got.fields["short_message"] for got in smsc.got] == parts
    assert {got.fields["esm_class"] for got in smsc.got} == {consts.SMPP_GSMFEAT_UDHI}
    assert {got.fields["data_coding"] for got in smsc.got} == {consts.SMPP_ENCODING_ISO10646}
    assert b"".join(got.fields["short_message"][6:] for got in smsc.got).decode("utf-16-be") == LONG
    leave(client)
    engine.stop()


def test_a_pair_of_binds_sends_on_one_and_receives_on_the_other(start: Start, smsc: MiniSmsc) -> None:
    """A foreign SMSC sees bind_transmitter and bind_receiver with the credentials of the config. (It sends receipts on
    the link that submitted, as some do: they are taken there too.)"""
    engine = start(smsc.port, mode="pair")
    assert sorted(bind["command"] for bind in smsc.binds) == ["bind_receiver", "bind_transmitter"]
    for bind in smsc.binds:
        assert (bind["system_id"], bind["password"], bind["system_type"]) == (b"us", b"pw", b"VMA")
        assert bind["interface_version"] == consts.SMPP_VERSION_34
    client = engine.bound()
    submit(client, b"by a pair")
    _, (receipt,) = collect(client, 1, 1)
    assert receipt_words(receipt)["stat"] == "DELIVRD"
    leave(client)
    engine.stop()


def test_transmitter_and_receiver_are_two_clients(start: Start, smsc: MiniSmsc) -> None:
    """What a foreign transmitter submits, a foreign receiver of the same system_id gets the receipt of; the transmitter
    may not receive, the receiver may not submit."""
    engine = start(smsc.port)
    transmitter, receiver = engine.client(), engine.client()
    transmitter.bind_transmitter(system_id="acme", password="secret")
    receiver.bind_receiver(system_id="acme", password="secret")
    submit(transmitter, b"two clients")
    (response,), _ = collect(transmitter, 1, 0)
    _, (receipt,) = collect(receiver, 0, 1)
    assert receipt_words(receipt)["id"] == response.message_id.decode()
    leave(transmitter)
    receiver.state = consts.SMPP_CLIENT_STATE_BOUND_TRX  # smpplib itself would not let it
    submit(receiver, b"not mine to send")
    answer = receiver.read_pdu()
    assert (answer.command, answer.status) == ("submit_sm_resp", consts.SMPP_ESME_RINVBNDSTS)
    leave(receiver)
    engine.stop()


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [
        ("acme", "wrong", consts.SMPP_ESME_RINVPASWD),
        ("acme", "", consts.SMPP_ESME_RINVPASWD),
        ("nobody", "secret", consts.SMPP_ESME_RINVSYSID),
    ],
)
def test_wrong_credentials_are_refused_and_the_link_is_closed(
    start: Start, smsc: MiniSmsc, system_id: str, password: str, status: int
) -> None:
    """smpplib raises PDUError with the status the specification names, and then reads the end of the stream."""
    engine = start(smsc.port)
    client = engine.client()
    with pytest.raises(smpplib.exceptions.PDUError) as refused:
        client.bind_transceiver(system_id=system_id, password=password)
    assert refused.value.args[1] == status
    with pytest.raises(smpplib.exceptions.ConnectionError):
        client.read_pdu()
    client.disconnect()
    engine.stop()


def test_what_cannot_be_routed_is_refused_at_once(start: Start, smsc: MiniSmsc) -> None:
    """A number no route leads to, and one that is no number, get their statuses in the submit_sm_resp; what comes after
    them on the same bind goes through."""
    engine = start(smsc.port)
    client = engine.bound()
    submit(client, b"to the moon", destination_addr="99900000000")
    submit(client, b"to nobody", destination_addr="call me")
    submit(client, b"to a phone")
    seen: list[int] = []
    client.set_error_pdu_handler(lambda pdu: seen.append(pdu.status))
    answered, _ = collect(client, 3, 1)
    statuses = [pdu.status for pdu in answered]
    assert statuses == [consts.SMPP_ESME_RINVDSTADR, consts.SMPP_ESME_RINVDSTADR, consts.SMPP_ESME_ROK]
    assert seen == statuses[:2]
    assert [got.fields["short_message"] for got in smsc.got] == [b"to a phone"]
    leave(client)
    engine.stop()


def test_enquire_link_goes_both_ways(start: Start, smsc: MiniSmsc) -> None:
    """The engine answers a foreign client's enquire_link with its sequence number, and asks a quiet foreign carrier."""
    engine = start(smsc.port)
    client = engine.bound()
    ask = smpplib.smpp.make_pdu("enquire_link", client=client)
    client.send_pdu(ask)
    answer = client.read_pdu()
    assert (answer.command, answer.status, answer.sequence) == ("enquire_link_resp", 0, ask.sequence)
    smsc.wait_for(lambda: smsc.enquiries >= 2, "the engine enquires")
    assert engine.health()["carriers"][0]["binds"][0]["state"] == "bound"
    leave(client)
    engine.stop()


def test_unbind_ends_the_link_and_stopping_unbinds_everybody(start: Start, smsc: MiniSmsc) -> None:
    """After unbind_resp the engine closes the client's stream; at SIGTERM it unbinds a foreign client that stayed and
    the foreign carrier."""
    engine = start(smsc.port)
    gone, stays = engine.bound(), engine.bound()
    assert gone.unbind().command == "unbind_resp"
    assert gone._socket.recv(1) == b""
    gone.disconnect()
    engine.stop_later()
    asked = stays.read_pdu()
    assert asked.command == "unbind"
    answer = smpplib.smpp.make_pdu("unbind_resp", client=stays)
    answer.sequence = asked.sequence
    stays.state = consts.SMPP_CLIENT_STATE_BOUND_TRX
    stays.send_pdu(answer)
    smsc.wait_for(lambda: smsc.unbinds, "the engine unbinds from the carrier")
    assert _closed(stays._socket)
    stays.disconnect()
    engine.stopped()


def test_a_carrier_that_refuses_our_password_is_told_of_and_loses_nothing(start: Start, smsc: MiniSmsc) -> None:
    """The engine starts, says why the bind is down, accepts and keeps a message for a carrier it cannot bind to."""
    engine = start(smsc.port, password="wrong")
    bind = engine.health()["carriers"][0]["binds"][0]
    assert (bind["state"], "ESME_RINVPASWD" in bind["reason"]) == ("down", True)
    client = engine.bound()
    submit(client, b"keep me")
    (response,), _ = collect(client, 1, 0)
    assert response.status == consts.SMPP_ESME_ROK
    assert engine.health()["messages"]["due"] == 1
    assert smsc.got == []
    leave(client)
    engine.stop()


def _closed(link: socket.socket) -> bool:
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True
