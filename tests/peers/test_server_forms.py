"""What `submit:` of a carrier makes of a message, as foreign servers read it: node-smpp SAR TLVs and a vendor's TLV,
Net::SMPP 16-bit headers and packed septets, both of them whole messages, smpp34.Server Latin-1 and UCS-2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.gsm
from smpplib import consts

from smsroute.engine import recover
from smsroute.ledger import Ledger
from smsroute.message import State
from smsroute.store.sqlite import open_store
from tests.peers.foreign import Event, start
from tests.peers.oracles.judges import libsmpp34, tshark, whole
from tests.peers.wire import Recorder
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

LONG = "Zażółć gęślą jaźń: this text is longer than one short message. " * 4
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
esmes:
  acme: {{password: {{plain: secret}}}}
carriers:
  foreign: {{system_id: us, password: {{plain: pw}}, binds: [{{address: "127.0.0.1:{port}"}}], {form}}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: foreign, cost: 0.03}}]}}
"""
Text = dict[str, Any]
"""Fields of a submit_sm, by smpplib's names."""

Relay = Callable[..., list[Event]]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """relay(script, contract, texts): what the foreign carrier read of these; both judges found it right. `receipts`:
    so many are waited for."""
    engine = Served(tmp_path)

    def relay(
        script: str, contract: str, texts: list[Text], submits: int | None = None, receipts: int = 0
    ) -> list[Event]:
        door = free_door(random.Random())
        with start(script, {"system_id": "us", "password": "pw", "script": {}}) as peer:
            (listening,) = peer.until("listening")
            with Recorder(listening["port"]) as wire:
                text = CONFIG.format(door=door, port=wire.port, form=contract)
                (tmp_path / "smsroute.yaml").write_text(text)
                engine.start()
                engine.await_ready()
                _submit(door, texts)
                got = peer.until("submit", submits or len(texts))
                assert {told["status"] for told in peer.until("receipt", receipts)} <= {0}
                engine.stop()
            said = whole(wire.said_by_dialler())
        assert tshark(said, tmp_path) == []
        assert libsmpp34(said) == []
        return got

    yield relay
    engine.discard()


def _parts() -> list[Text]:
    """The long text in UCS-2 parts with 8-bit headers, cut by smpplib."""
    parts, data_coding, esm_class = smpplib.gsm.make_parts(LONG, encoding=consts.SMPP_ENCODING_ISO10646)
    return [{"short_message": part, "data_coding": data_coding, "esm_class": esm_class} for part in parts]


def _segments() -> list[Text]:
    """The long text in UCS-2 parts with SAR TLVs, which leave room for a header."""
    pieces = [LONG[at : at + 60] for at in range(0, len(LONG), 60)]
    return [
        {
            "short_message": piece.encode("utf-16-be"),
            "data_coding": consts.SMPP_ENCODING_ISO10646,
            "sar_msg_ref_num": 4711,
            "sar_total_segments": len(pieces),
            "sar_segment_seqnum": number,
        }
        for number, piece in enumerate(pieces, 1)
    ]


def test_sar_and_a_vendor_tlv(relay: Relay) -> None:
    """`long: sar` and `tlvs`: node-smpp reads the parts by their SAR TLVs, no header left, each with the TLV; addresses
    have the TON and NPI of `source` and `destination`."""
    form = (
        "submit: {long: sar, tlvs: {0x1400: 'text:120115943'}, source: {alphanumeric: {ton: 5, npi: 0}}, "
        "destination: {numeric: {ton: 1, npi: 1, plus: drop}}}"
    )
    parts = _parts()
    got = relay("servers/node_smpp.js", form, parts)
    references = {part["sar"][0] for part in got}
    assert [part["sar"] for part in got] == [[*references, len(parts), number] for number in range(1, len(parts) + 1)]
    assert "".join(part["text"] for part in got) == LONG
    assert {(part["esm_class"], part["udh"], part["tlv_1400"]) for part in got} == {(0, "", "120115943")}
    assert {(part["source_ton"], part["to_ton"], part["to_npi"], part["destination"]) for part in got} == {
        (5, 1, 1, "33612000001")
    }


def test_sixteen_bit_headers(relay: Relay) -> None:
    """`long: udh16` of a message in SAR TLVs: Net::SMPP reads headers of 16-bit references, and the same text."""
    got = relay("servers/net_smpp.pl", "submit: {long: udh16}", _segments())
    heads = [bytes.fromhex(part["udh"]) for part in got]
    assert {head[:3] for head in heads} == {b"\6\x08\4"}
    assert {head[3:5] for head in heads} == {(4711).to_bytes(2)}
    assert [tuple(head[5:]) for head in heads] == [(len(got), number) for number in range(1, len(got) + 1)]
    assert "".join(part["text"] for part in got) == LONG


def test_as_version_3_3(relay: Relay) -> None:
    """`interface_version: 3.3`: node-smpp is bound to as 3.3 and reads no TLV: parts that came with SAR TLVs have a
    header of the same reference, a message_payload is the short_message, another TLV is gone."""
    payload = {"message_payload": b"Your code is 123456", "user_message_reference": 77}
    texts = [*_segments(), {"short_message": b"", **payload}]
    *parts, single = relay("servers/node_smpp.js", "interface_version: 3.3", texts)
    heads = [bytes.fromhex(part["udh"]) for part in parts]
    assert [head[-4:] for head in heads] == [
        (4711).to_bytes(2) + bytes((len(parts), n)) for n, _ in enumerate(parts, 1)
    ]
    assert "".join(part["text"] for part in parts) == LONG
    assert (single["text"], single["esm_class"]) == ("Your code is 123456", 0)
    assert {tuple(part["sar"]) for part in (*parts, single)} == {(None, None, None)}


NODE, PERL = ("servers/node_smpp.js", "hex-dec"), ("servers/net_smpp.pl", "unpad")


@pytest.mark.parametrize(("script", "ids"), [NODE, PERL], ids=["node-smpp", "Net::SMPP"])
@pytest.mark.parametrize("cut", [_parts, _segments], ids=["udh", "sar"])
def test_a_whole_message_as_one_payload(
    relay: Relay, tmp_path: Path, script: str, ids: str, cut: Callable[[], list[Text]]
) -> None:
    """`long: payload`: the parts of a message come as one submit_sm, no header and no SAR TLV left, and its one receipt
    ends every part."""
    parts = [{**part, "registered_delivery": 1} for part in cut()]
    form = f"submit: {{long: payload}}, dialect: {{ids: {ids}}}"
    (got,) = relay(script, form, parts[::-1], submits=1, receipts=1)
    assert (got["text"], got["payload"], got["esm_class"], got["udh"]) == (LONG, True, 0, "")
    assert got.get("sar", [None] * 3) == [None] * 3
    with closing(open_store(f"sqlite:{tmp_path / 'store'}", "n1")) as store:
        ledger = Ledger(orphans_max=10, multiparts_max=10)
        recover(store, ledger)
        ended = [part.state for part in ledger.parts.values()]
        ended += [part.state for part in store.page("", "~", 0.0, 1e12, 100).parts if part.part_id not in ledger.parts]
    assert ended == [State.DELIVERED] * len(parts)


def test_packed_septets(relay: Relay) -> None:
    """`alphabet: packed`: Net::SMPP's own unpack_7bit finds the text again."""
    (got,) = relay("servers/net_smpp.pl", "submit: {alphabet: packed}", [{"short_message": b"Your code is 123456"}])
    assert (got["unpacked"], got["data_coding"]) == ("Your code is 123456", 0)


def test_latin_1_and_what_it_lacks(relay: Relay) -> None:
    """`alphabet: latin-1`: what was written in GSM octets comes in Latin-1 where it can; a euro sign makes it UCS-2."""
    texts = [{"short_message": b"\0 is at"}, {"short_message": b"5 \x1be"}]
    at, euro = relay("servers/smpp34_server.py", "submit: {alphabet: latin-1}", texts)
    assert (at["text"], at["data_coding"]) == ("@ is at", 0)
    assert (euro["text"], euro["data_coding"]) == ("5 €", 8)


def _submit(door: int, texts: list[Text]) -> None:
    client = smpplib.client.Client("127.0.0.1", door, timeout=10, allow_unknown_opt_params=True)
    statuses: list[int] = []
    client.set_message_sent_handler(lambda *, pdu: statuses.append(pdu.status))
    client.connect()
    try:
        client.bind_transmitter(system_id="acme", password="secret")
        for fields in texts:
            client.send_message(
                source_addr_ton=consts.SMPP_TON_ALNUM,
                source_addr="Shop",
                destination_addr="+33612000001",
                **fields,
            )
        while len(statuses) < len(texts):
            client.read_once()
        assert set(statuses) == {0}
        client.unbind()
    finally:
        client.disconnect()
