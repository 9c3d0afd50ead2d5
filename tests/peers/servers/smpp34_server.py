"""smpp34 (Rust, tokio) as a carrier: answers each text as its script says; ids decimal, hexadecimal in receipts.

Rules:
- It lets everybody in and answers enquire_link and unbind itself, before this script sees them.
- Each message is a task of its own, so that a late answer holds up no other.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import asyncio
import itertools
import json
import socket
import sys

import smpp34

TASK = json.loads(sys.argv[1])
IDS = itertools.count(0x5EEDCD00)
offers: dict[str, int] = {}
esmes: dict[str, smpp34.Esme] = {}
numbers: dict[str, int] = {}


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


async def receipt(esme: smpp34.Esme, event: smpp34.SubmitSmEvent, number: int, word: str, text: str) -> None:
    delivered = word == "DELIVRD"
    answer = await esme.deliver_sm(
        event.source_addr,
        (
            f"id:{number:X} sub:001 dlvrd:{delivered:03d} submit date:2607141205 done date:2607141205 "
            f"stat:{word} err:{'000' if delivered else '011'} text:"
        ).encode(),
        source_addr=event.destination_addr,
        source_addr_ton=event.dest_addr_ton,
        source_addr_npi=event.dest_addr_npi,
        dest_addr_ton=event.source_addr_ton,
        dest_addr_npi=event.source_addr_npi,
        esm_class=4,
    )
    tell("receipt", text=text, status=answer.command_status, link=numbers[esme.session_id])


async def originate(esme: smpp34.Esme, event: smpp34.SubmitSmEvent, mo: dict[str, object]) -> None:
    answer = await esme.deliver_sm(
        mo["to"],
        bytes.fromhex(mo["hex"]),
        esm_class=0x40 if mo["udhi"] else 0,
        source_addr=event.destination_addr,
        source_addr_ton=1,
        source_addr_npi=1,
        dest_addr_ton=3,
    )
    tell("mo", text=mo["hex"], status=answer.command_status)


async def submitted(event: smpp34.SubmitSmEvent) -> None:
    octets = event.short_message
    header = octets[0] + 1 if event.esm_class & 0x40 else 0
    text = octets[header:].decode("utf-16-be" if event.data_coding == 8 else "ascii")
    order = TASK["script"].get(text, {})
    turn = offers[text] = offers.get(text, 0) + 1
    status = (order.get("statuses", [])[turn - 1 : turn] or [0])[0]
    number = next(IDS)
    esme = esmes[event.session_id]
    tell(
        "submit",
        text=text,
        udh=octets[:header].hex(),
        source=event.source_addr,
        destination=event.destination_addr,
        esm_class=event.esm_class,
        data_coding=event.data_coding,
        registered_delivery=event.registered_delivery,
        link=numbers[event.session_id],
        status=status,
    )
    others = [one for one in esmes.values() if one.session_id != event.session_id]
    listener = others[0] if order.get("other") else esme
    asked = status == 0 and event.registered_delivery & 1
    fate = (listener, event, number, order.get("word", "DELIVRD"), text)
    if asked and order.get("early"):
        await receipt(*fate)
    await asyncio.sleep(order.get("late_ms", 0) / 1000)
    if status:
        event.reject(status)
    else:
        event.accept(str(number))
    tell("answer", text=text, status=status)
    if asked and not order.get("early"):
        await asyncio.sleep(0.02)
        await receipt(*fate)
    for mo in order.get("mo", []):
        await originate(esme, event, mo)
    if order.get("leave"):
        tell("left", status=0)
        await esme.unbind()  # which may not see the answer before the end of the stream


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
    await server.start()
    tell("listening", port=port)
    running = set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            esmes[event.session_id] = event
            numbers[event.session_id] = len(numbers)
            tell("bind", receives=event.can_receive, right=event.system_id == TASK["system_id"])
        elif isinstance(event, smpp34.Unbound):
            esmes.pop(event.session_id, None)
            tell("unbind")
        else:
            task = asyncio.create_task(submitted(event))
            running.add(task)
            task.add_done_callback(running.discard)


asyncio.run(main())
