"""smpp34 (Rust, tokio) as a busy platform: several binds, each with a full window, a receipt asked for everything.

Rules:
- It answers deliver_sm itself, before this script sees it.
- It ends by os._exit: its own threads may abort the interpreter otherwise.

Walk: tests/peers/foreign.py starts it with its task; it tells once what it counted.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys

import smpp34

TASK = json.loads(sys.argv[1])
numbers = itertools.count()
ids: list[str] = []
statuses: dict[int, int] = {}
told: list[str] = []
all_told = asyncio.Event()


async def submit(session: smpp34.Smsc) -> None:
    while (number := next(numbers)) < TASK["messages"]:
        answer = await session.submit_sm(
            f"336{number:08d}", f"message {number}".encode(), source_addr="Shop", source_addr_ton=5,
            dest_addr_ton=1, dest_addr_npi=1, registered_delivery=1,
        )  # fmt: skip
        statuses[answer.command_status] = statuses.get(answer.command_status, 0) + 1
        ids.append(answer.message_id)


async def listen(session: smpp34.Smsc) -> None:
    while True:
        pdu = await session.next()
        told.append(pdu.short_message[3 : pdu.short_message.index(b" ")].decode())
        if len(told) == TASK["messages"]:
            all_told.set()


async def main() -> None:
    sessions = []
    for _ in range(TASK["binds"]):
        client = smpp34.Client(
            "127.0.0.1", TASK["port"], TASK["system_id"], TASK["password"], bind_type="TRX", window_size=TASK["window"]
        )
        sessions.append((client, await client.connect()))
    listeners = [asyncio.create_task(listen(session)) for _, session in sessions]
    await asyncio.gather(*(submit(session) for _, session in sessions for _ in range(TASK["window"])))
    with contextlib.suppress(TimeoutError):  # what is missing then, the count says
        await asyncio.wait_for(all_told.wait(), TASK["patience_s"])
    await asyncio.sleep(0.2)  # one that is told twice may still come
    counted = {"statuses": statuses, "ids": len(set(ids)), "told": len(told), "known": len(set(told) & set(ids))}
    print(json.dumps({"did": "counted", **counted}), flush=True)
    for listener in listeners:
        listener.cancel()
    for _, session in sessions:
        await session.unbind()


asyncio.run(main())
os._exit(0)
