"""smpp34 (Rust, tokio) as a platform: binds, submits a short text and a long one with 16-bit references, unbinds.

Rules:
- It answers deliver_sm itself, before this script sees it.
- It ends by os._exit: its own threads may abort the interpreter otherwise.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import asyncio
import json
import os
import sys

import smpp34

TASK = json.loads(sys.argv[1])
PLAIN = {"source_addr": "Shop", "source_addr_ton": 5, "dest_addr_ton": 1, "dest_addr_npi": 1, "registered_delivery": 1}


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


async def main() -> None:
    login = (TASK["system_id"], TASK["password"])
    client = smpp34.Client("127.0.0.1", TASK["port"], *login, bind_type="TRX", tls="ca" in TASK)
    session = await client.connect()
    tell("bind", status=0)  # session.system_id is the one it sent
    answer = await session.submit_sm(TASK["destination"], TASK["text"].encode(), **PLAIN)
    tell("submit", status=answer.command_status, id=answer.message_id)
    text = TASK["long"].encode("utf-16-be")
    parts = [text[at : at + 132] for at in range(0, len(text), 132)]
    for number, part in enumerate(parts, 1):
        head = bytes([6, 8, 4, 0x12, 0x67, len(parts), number])
        answer = await session.submit_sm(TASK["destination"], head + part, esm_class=0x40, data_coding=8, **PLAIN)
        tell("long", status=answer.command_status, id=answer.message_id)
    for _ in range(1 + len(parts) + bool(TASK.get("mo"))):
        pdu = await session.next()
        if pdu.esm_class == 0:
            tell("mo", text=pdu.short_message.decode(), source=pdu.source_addr, destination=pdu.destination_addr)
            continue
        tlvs = {tlv.tag: tlv for tlv in pdu.tlvs}
        tell(
            "receipt",
            text=pdu.short_message.decode(),
            esm_class=pdu.esm_class,
            tlv_id=tlvs[smpp34.TLV_RECEIPTED_MESSAGE_ID].as_string(),
            tlv_state=tlvs[smpp34.TLV_MESSAGE_STATE].as_int(),
            source=pdu.source_addr,
            destination=pdu.destination_addr,
        )
    await session.unbind()
    tell("unbind", status=0)


asyncio.run(main())
os._exit(0)
