"""smpp.twisted3 (Twisted, the Jasmin family) as a platform: binds, submits a short text and a long one, unbinds.

Rules:
- Its strict codec reads every PDU: what it cannot read it answers with an error and closes the link.
- It answers deliver_sm itself once this script's handler returns.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import json
import sys

from smpp.pdu.operations import SubmitSM
from smpp.pdu.pdu_types import (
    AddrNpi,
    AddrTon,
    DataCoding,
    DataCodingDefault,
    EsmClass,
    EsmClassGsmFeatures,
    EsmClassMode,
    EsmClassType,
    RegisteredDelivery,
    RegisteredDeliveryReceipt,
)
from smpp.twisted.client import SMPPClientTransceiver
from smpp.twisted.config import SMPPClientConfig
from twisted.internet import defer, reactor

TASK = json.loads(sys.argv[1])
owed: list[int] = [1] if TASK.get("mo") else []
complete = defer.Deferred()


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


def take(_: object, pdu: object) -> None:
    """Handler of a data request: a receipt, or what a handset says."""
    receipt = pdu.params["esm_class"].type == EsmClassType.SMSC_DELIVERY_RECEIPT
    tell(
        "receipt" if receipt else "mo",
        text=pdu.params["short_message"].decode(),
        esm_class=4 if receipt else 0,
        tlv_id=pdu.params["receipted_message_id"].decode() if receipt else None,
        state=str(pdu.params.get("message_state")),
        source=pdu.params["source_addr"].decode(),
        destination=pdu.params["destination_addr"].decode(),
    )
    owed.pop()
    if not owed:
        reactor.callLater(0, complete.callback, None)


def submit(smpp: object, did: str, **fields: object) -> defer.Deferred:
    owed.append(1)
    pdu = SubmitSM(
        source_addr_ton=AddrTon.ALPHANUMERIC,
        source_addr="Shop",
        dest_addr_ton=AddrTon.INTERNATIONAL,
        dest_addr_npi=AddrNpi.ISDN,
        destination_addr=TASK["destination"],
        registered_delivery=RegisteredDelivery(RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED),
        **fields,
    )
    sent = smpp.sendDataRequest(pdu)
    return sent.addCallback(lambda result: tell(did, status=0, id=result.response.params["message_id"].decode()))


@defer.inlineCallbacks
def main() -> object:
    config = SMPPClientConfig(
        host="127.0.0.1",
        port=TASK["port"],
        username=TASK["system_id"],
        password=TASK["password"],
        useSSL="ca" in TASK,  # and believes any certificate: it has no setting for whom to trust
    )
    smpp = yield SMPPClientTransceiver(config, take).connectAndBind()
    tell("bind", status=0)
    ucs2 = DataCoding(schemeData=DataCodingDefault.UCS2)
    udhi = EsmClass(EsmClassMode.DEFAULT, EsmClassType.DEFAULT, [EsmClassGsmFeatures.UDHI_INDICATOR_SET])
    text = TASK["long"].encode("utf-16-be")
    parts = [text[at : at + 134] for at in range(0, len(text), 134)]
    sent = [submit(smpp, "submit", short_message=TASK["text"].encode())]
    for number, part in enumerate(parts, 1):
        head = bytes([5, 0, 3, 0x67, len(parts), number])
        sent.append(submit(smpp, "long", short_message=head + part, data_coding=ucs2, esm_class=udhi))
    yield defer.gatherResults(sent)
    yield complete
    yield smpp.unbind()
    tell("unbind", status=0)
    smpp.disconnect()
    yield smpp.getDisconnectedDeferred()


def failed(reason: object) -> None:
    tell("error", error=str(reason))


main().addErrback(failed).addBoth(lambda _: reactor.stop())
reactor.run()
