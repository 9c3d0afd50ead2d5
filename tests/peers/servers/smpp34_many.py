"""smpp34 (Rust, tokio) as a fast carrier: takes everything at once, and sends a receipt for each.

Walk: tests/peers/foreign.py starts it with its task; it tells its port and, asked by a line on stdin, what it counted.
"""

import asyncio
import itertools
import json
import socket
import sys

import smpp34

IDS = itertools.count(1)
seen: list[str] = []
statuses: dict[int, int] = {}


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


async def receipt(esme: smpp34.Esme, event: smpp34.SubmitSmEvent, message_id: str) -> None:
    told = f"id:{message_id} sub:001 dlvrd:001 submit date:2607141205 done date:2607141205 stat:DELIVRD err:000 text:"
    answer = await esme.deliver_sm(
        event.source_addr, told.encode(), source_addr=event.destination_addr, esm_class=4, source_addr_ton=1
    )
    statuses[answer.command_status] = statuses.get(answer.command_status, 0) + 1


async def serve(server: smpp34.Server) -> None:
    esmes: dict[str, smpp34.Esme] = {}
    running = set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            esmes[event.session_id] = event
        elif isinstance(event, smpp34.SubmitSmEvent):
            message_id = str(next(IDS))
            seen.append(event.short_message.decode())
            event.accept(message_id)
            task = asyncio.create_task(receipt(esmes[event.session_id], event, message_id))
            running.add(task)
            task.add_done_callback(running.discard)


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
    await server.start()
    tell("listening", port=port)
    serving = asyncio.create_task(serve(server))
    await asyncio.to_thread(sys.stdin.readline)
    tell("counted", submits=len(seen), texts=len(set(seen)), receipts=statuses)
    serving.cancel()


asyncio.run(main())
