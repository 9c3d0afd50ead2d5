"""smpp.twisted3 as a platform that asks after its messages, takes some back, and is refused a data_sm without a text.

Rules:
- Its strict codec reads every PDU: what it cannot read it answers with an error and closes the link.
- It cannot write a submit_multi or a replace_sm (its tables have no field for their counts), nor a message_payload
  once it has read any TLV (it wants it as long as that one).

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import json
import sys

from smpp.pdu.constants import command_status_name_map, message_state_name_map
from smpp.pdu.error import SMPPTransactionError
from smpp.pdu.operations import CancelSM, DataSM, QuerySM, SubmitSM
from smpp.pdu.pdu_types import AddrNpi, AddrTon, RegisteredDelivery, RegisteredDeliveryReceipt
from smpp.twisted.client import SMPPClientTransceiver
from smpp.twisted.config import SMPPClientConfig
from twisted.internet import defer, reactor

TASK = json.loads(sys.argv[1])
SOURCE = {"source_addr_ton": AddrTon.ALPHANUMERIC, "source_addr_npi": AddrNpi.UNKNOWN, "source_addr": "Shop"}
RECEIPT = RegisteredDelivery(RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED)
heard: list[int] = []
waiters: list[tuple[int, defer.Deferred]] = []


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


def to(number: str) -> dict[str, object]:
    return {"dest_addr_ton": AddrTon.INTERNATIONAL, "dest_addr_npi": AddrNpi.ISDN, "destination_addr": number}


def take(_: object, pdu: object) -> None:
    """Handler of a data request: a receipt."""
    tell("receipt", text=pdu.params["short_message"].decode(), destination=pdu.params["source_addr"].decode())
    heard.append(1)
    for wanted, done in waiters[:]:
        if len(heard) >= wanted:
            waiters.remove((wanted, done))
            reactor.callLater(0, done.callback, None)


def receipts(count: int) -> defer.Deferred:
    done = defer.Deferred()
    if len(heard) >= count:
        done.callback(None)
    else:
        waiters.append((count, done))
    return done


@defer.inlineCallbacks
def ask(smpp: object, pdu: object) -> object:
    """(status, the response's fields): the library raises what is not ESME_ROK."""
    try:
        result = yield smpp.sendDataRequest(pdu)
    except SMPPTransactionError as refused:
        return command_status_name_map[refused.response.status.name], {}
    return 0, result.response.params


@defer.inlineCallbacks
def submit(smpp: object, number: str) -> object:
    text = TASK["text"].encode()
    status, said = yield ask(smpp, SubmitSM(**SOURCE, **to(number), registered_delivery=RECEIPT, short_message=text))
    tell("submit", status=status, id=said["message_id"].decode(), destination=number)
    return said["message_id"]


@defer.inlineCallbacks
def query(smpp: object, of: str, message_id: bytes) -> object:
    status, said = yield ask(smpp, QuerySM(message_id=message_id, **SOURCE))
    told = {}
    if said:
        state = message_state_name_map[said["message_state"].name]
        told = {"id": said["message_id"].decode(), "state": state, "final": said["final_date"] is not None}
    tell("query", of=of, status=status, **told)


@defer.inlineCallbacks
def cancel(smpp: object, of: str, message_id: bytes, number: str) -> object:
    status, _ = yield ask(smpp, CancelSM(message_id=message_id, service_type="", **SOURCE, **to(number)))
    tell("cancel", of=of, status=status)


@defer.inlineCallbacks
def main() -> object:
    config = SMPPClientConfig(
        host="127.0.0.1", port=TASK["port"], username=TASK["system_id"], password=TASK["password"]
    )
    smpp = yield SMPPClientTransceiver(config, take).connectAndBind()
    tell("bind", status=0)
    sent = yield submit(smpp, TASK["near"])
    yield receipts(1)
    yield query(smpp, "delivered", sent)
    waiting = yield submit(smpp, TASK["away"])
    yield query(smpp, "waiting", waiting)
    yield cancel(smpp, "waiting", waiting, TASK["away"])
    yield receipts(2)
    yield query(smpp, "cancelled", waiting)
    yield cancel(smpp, "cancelled", waiting, TASK["away"])
    yield query(smpp, "unknown", b"NOSUCHMESSAGE")
    yield submit(smpp, TASK["away"])
    yield cancel(smpp, "by address", b"", TASK["away"])
    yield receipts(3)
    status, _ = yield ask(smpp, DataSM(**SOURCE, **to(TASK["near"]), registered_delivery=RECEIPT))
    tell("data refused", status=status)
    yield smpp.unbind()
    tell("unbind", status=0)
    smpp.disconnect()
    yield smpp.getDisconnectedDeferred()


def failed(reason: object) -> None:
    tell("error", error=str(reason))


main().addErrback(failed).addBoth(lambda _: reactor.stop())
reactor.run()
