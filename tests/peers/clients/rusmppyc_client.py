"""rusmppyc (Rust, SMPP 5.0) as a platform: binds as version 5, submits as it does by default, unbinds.

Rules:
- Its long text is cut by itself; whatever esm_class it writes of its own accord is left as it is.
- It answers no deliver_sm by itself: this script does.
- It ends by os._exit: its close() fails when we closed first, and its threads may abort the interpreter.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import asyncio
import json
import os
import sys

from rusmppyc import (
    Client,
    CommandId,
    DataCoding,
    Encoder,
    Event,
    InterfaceVersion,
    MCDeliveryReceipt,
    Npi,
    RegisteredDelivery,
    Ton,
    Ucs2,
)

TASK = json.loads(sys.argv[1])
ALWAYS = MCDeliveryReceipt.McDeliveryReceiptRequestedWhereFinalDeliveryOutcomeIsSuccessOrFailure()
PLAIN = {
    "source_addr": "Shop",
    "source_addr_ton": Ton.Alphanumeric(),
    "dest_addr_ton": Ton.International(),
    "dest_addr_npi": Npi.Isdn(),
    "destination_addr": TASK["destination"],
    "registered_delivery": RegisteredDelivery(ALWAYS),
}


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


def text(octets: list[int]) -> str:
    return bytes(octets).rstrip(b"\0").decode()


async def answer(events: object, client: Client, owed: int) -> None:
    async for event in events:
        match event:
            case Event.Incoming(command) if isinstance(command.id, CommandId.DeliverSm):
                await client.deliver_sm_resp(command.sequence_number, "")
                pdu = command.pdu._0
                tell(
                    "receipt" if pdu.tlvs else "mo",
                    text=bytes(pdu.short_message).decode(),
                    tlvs=[str(tlv.value) for tlv in pdu.tlvs],
                    source=text(pdu.source_addr),
                    destination=text(pdu.destination_addr),
                )
                owed -= 1
                if not owed:
                    return


async def main() -> None:
    client, events = await Client.connect(
        url=f"{'ssmpp' if 'ca' in TASK else 'smpp'}://127.0.0.1:{TASK['port']}",
        enquire_link_interval=5000,
        enquire_link_response_timeout=2000,
        response_timeout=5000,
        max_command_length=65536,
    )
    bound = await client.bind_transceiver(
        system_id=TASK["system_id"], password=TASK["password"], interface_version=InterfaceVersion.Smpp5_0()
    )
    tell("bind", status=0, system_id=text(bound.system_id), version=str(bound.sc_interface_version.value))
    parts = client.submit_sm_multipart(
        short_message=TASK["long"], encoder=Encoder.Ucs2(Ucs2.default()), reference=9, **PLAIN
    )
    listening = asyncio.create_task(answer(events, client, 1 + len(parts) + bool(TASK.get("mo"))))
    coding = DataCoding.McSpecific()
    got = await client.submit_sm(short_message=TASK["text"].encode(), data_coding=coding, **PLAIN)
    tell("submit", status=0, id=text(got.message_id), tlvs=[str(tlv.value) for tlv in got.tlvs])
    for part in parts:
        got = await client.submit_sm(part)
        tell("long", status=0, id=text(got.message_id), tlvs=[str(tlv.value) for tlv in got.tlvs])
    await listening
    await client.unbind()
    tell("unbind", status=0)


asyncio.run(main())
os._exit(0)
