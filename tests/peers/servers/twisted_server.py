"""smpp.twisted3 (Twisted, the Jasmin family) as a carrier: answers each text as its script says; ids are UUIDs.

Rules:
- Its strict codec reads every PDU: what it cannot read it answers with an error and closes the link.
- It checks passwords by its own portal, and answers enquire_link and unbind before this script sees them.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import json
import sys
import uuid

from smpp.pdu.constants import command_status_value_map, message_state_value_map
from smpp.pdu.operations import DeliverSM, QuerySM
from smpp.pdu.pdu_types import (
    AddrNpi,
    AddrTon,
    CommandId,
    CommandStatus,
    DataCodingDefault,
    EsmClass,
    EsmClassGsmFeatures,
    EsmClassMode,
    EsmClassType,
    MessageState,
    RegisteredDeliveryReceipt,
)
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import SMPPServerFactory
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import defer, reactor, ssl

TASK = json.loads(sys.argv[1])
offers: dict[str, int] = {}
links: list[object] = []
mute: dict[str, int] = {}


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


class Realm:
    """Whoever knows the password is let in."""

    def requestAvatar(self, avatar: object, mind: object, *interfaces: object) -> tuple[object, object, object]:
        return interfaces[0], avatar, lambda: None


class Factory(SMPPServerFactory):
    """Tells who binds and who goes."""

    def addBoundConnection(self, connection: object) -> None:
        super().addBoundConnection(connection)
        links.append(connection)
        tell("bind", mode=connection.bind_type.name, right=connection.system_id == TASK["system_id"])

    def removeConnection(self, connection: object) -> None:
        super().removeConnection(connection)
        tell("unbind" if str(connection.sessionState).endswith("UNBOUND") else "gone")


def wait(seconds: float) -> defer.Deferred:
    done = defer.Deferred()
    reactor.callLater(seconds, done.callback, None)
    return done


def deliver(pdu: DeliverSM, did: str, text: str, link: object) -> None:
    sent = link.sendDataRequest(pdu)
    sent.addCallbacks(
        lambda result: tell(did, text=text, status=0, link=links.index(link)),
        lambda failure: tell("error", error=failure.getErrorMessage()),
    )


def receipt(submit: object, message_id: str, word: str, text: str, link: object) -> None:
    delivered = word == "DELIVRD"
    told = (
        f"id:{message_id} sub:001 dlvrd:{delivered:03d} submit date:2607141205 done date:2607141205 "
        f"stat:{word} err:{'000' if delivered else '011'} text:"
    )
    pdu = DeliverSM(
        source_addr_ton=submit.params["dest_addr_ton"],
        source_addr_npi=submit.params["dest_addr_npi"],
        source_addr=submit.params["destination_addr"],
        dest_addr_ton=submit.params["source_addr_ton"],
        dest_addr_npi=submit.params["source_addr_npi"],
        destination_addr=submit.params["source_addr"],
        esm_class=EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT),
        short_message=told.encode(),
    )
    deliver(pdu, "receipt", text, link)


def originate(submit: object, mo: dict[str, object], link: object) -> None:
    features = [EsmClassGsmFeatures.UDHI_INDICATOR_SET] if mo["udhi"] else []
    pdu = DeliverSM(
        source_addr_ton=AddrTon.INTERNATIONAL,
        source_addr_npi=AddrNpi.ISDN,
        source_addr=submit.params["destination_addr"],
        dest_addr_ton=AddrTon.NETWORK_SPECIFIC,
        destination_addr=mo["to"],
        esm_class=EsmClass(EsmClassMode.DEFAULT, EsmClassType.DEFAULT, features),
        short_message=bytes.fromhex(mo["hex"]),
    )
    deliver(pdu, "mo", mo["hex"], link)


def queried(pdu: QuerySM) -> DataHandlerResponse:
    message_id = pdu.params["message_id"].decode()
    state = mute.get(message_id, 0)
    tell("query", text=message_id, state=state)
    return DataHandlerResponse(
        status=CommandStatus.ESME_ROK if state else CommandStatus.ESME_RQUERYFAIL,
        message_id=message_id,
        final_date=None,
        message_state=MessageState[message_state_value_map[state or 7]],
        error_code=0,
    )


@defer.inlineCallbacks
def leave(link: object) -> object:
    yield link.unbind()
    tell("left", status=0)
    link.disconnect()


@defer.inlineCallbacks
def submitted(system_id: str, link: object, pdu: object) -> object:
    if isinstance(pdu, QuerySM):
        return queried(pdu)
    octets = pdu.params["short_message"]
    ucs2 = pdu.params["data_coding"].schemeData == DataCodingDefault.UCS2
    udhi = EsmClassGsmFeatures.UDHI_INDICATOR_SET in pdu.params["esm_class"].gsmFeatures
    header = octets[0] + 1 if udhi else 0
    text = octets[header:].decode("utf-16-be" if ucs2 else "ascii")
    order = TASK["script"].get(text, {})
    turn = offers[text] = offers.get(text, 0) + 1
    status = (order.get("statuses", [])[turn - 1 : turn] or [0])[0]
    receipts = pdu.params["registered_delivery"].receipt
    asked = receipts != RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED and "mute" not in order
    tell(
        "submit",
        text=text,
        udh=octets[:header].hex(),
        source=pdu.params["source_addr"].decode(),
        destination=pdu.params["destination_addr"].decode(),
        esm_class=0x40 if udhi else 0,
        data_coding=8 if ucs2 else 0,
        registered_delivery=int(receipts != RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED),
        link=links.index(link),
        status=status,
    )
    if order.get("cut") and turn == 1:
        link.transport.abortConnection()
        return None
    message_id = str(uuid.uuid4())
    if "mute" in order:
        mute[message_id] = order["mute"]
    listener = next(one for one in links if one.bind_type == CommandId.bind_receiver and one.isBound())
    fate = (pdu, message_id, order.get("word", "DELIVRD"), text, listener)
    if asked and status == 0 and order.get("early"):
        receipt(*fate)
    yield wait(order.get("late_ms", 200 if order.get("early") else 0) / 1000)
    tell("answer", text=text, status=status)
    if status:
        return CommandStatus[command_status_value_map[status]["name"]]
    if asked and not order.get("early"):
        reactor.callLater(0.02, receipt, *fate)
    for mo in order.get("mo", []):
        originate(pdu, mo, listener)
    if order.get("leave"):
        reactor.callLater(0.1, leave, link)
    return DataHandlerResponse(status=CommandStatus.ESME_ROK, message_id=message_id)


config = SMPPServerConfig(msgHandler=submitted, systems={TASK["system_id"]: {"max_bindings": 4}})
passwords = InMemoryUsernamePasswordDatabaseDontUse()
passwords.users[TASK["system_id"]] = TASK["password"]  # its server asks with str, though Twisted's own rule is bytes
factory = Factory(config, Portal(Realm(), [passwords]))
if "key" in TASK:
    tls = ssl.DefaultOpenSSLContextFactory(TASK["key"], TASK["certificate"])
    door = reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
else:
    door = reactor.listenTCP(0, factory, interface="127.0.0.1")
reactor.callWhenRunning(lambda: tell("listening", port=door.getHost().port))
reactor.run()
