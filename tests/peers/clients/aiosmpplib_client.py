"""aiosmpplib (asyncio) as a platform: binds, submits a short text and one that it cuts itself, unbinds.

Rules:
- It is driven as its guide says: texts go into its broker, what comes is seen by its hook.
- Its hook is told of a cut text once, when all segments were answered; the ids of segments are read from the PDUs.
- It sends unbind and waits for no answer.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import asyncio
import json
import sys

from aiosmpplib import ESME, NPI, TON, AbstractHook, PhoneNumber, SubmitSm

TASK = json.loads(sys.argv[1])
SUBMIT_SM_RESP, DELIVER_SM, BIND_RESP = 0x80000004, 5, 0x80000009


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


class Hook(AbstractHook):
    """Sees every PDU; `done` is set when each text it submitted has its receipt, and the handset has spoken."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.receipts = 0
        self.owed = 1 if TASK.get("mo") else 0
        self.done = asyncio.Event()
        self.kinds: dict[int, str] = {}

    async def sending(self, smpp_message: object, pdu: bytes, client_id: str) -> None:
        if int.from_bytes(pdu[4:8], "big") == 4:
            self.kinds[int.from_bytes(pdu[12:16], "big")] = "submit" if TASK["text"].encode() in pdu else "long"

    async def received(self, smpp_message: object, pdu: bytes, client_id: str) -> None:
        command, status = int.from_bytes(pdu[4:8], "big"), int.from_bytes(pdu[8:12], "big")
        if command == BIND_RESP:
            tell("bind", status=status, system_id=pdu[16 : pdu.index(b"\0", 16)].decode())
        elif command == SUBMIT_SM_RESP:
            message_id = pdu[16 : pdu.index(b"\0", 16)].decode()
            self.ids.append(message_id)
            tell(self.kinds[int.from_bytes(pdu[12:16], "big")], status=status, id=message_id)
        elif command == DELIVER_SM and b"id:" not in pdu:
            self.owed -= 1
            tell(
                "mo",
                text=smpp_message.short_message,
                source=smpp_message.source.number,
                destination=smpp_message.destination.number,
            )
            self.finish()
        elif command == DELIVER_SM:
            self.receipts += 1
            body = pdu[pdu.index(b"id:") :]
            words = smpp_message.parse_receipt() if hasattr(smpp_message, "parse_receipt") else {}
            tell(
                "receipt",
                text=body[: body.index(b"\x00\x1e")].decode(),
                parsed={"id": words.get("id"), "stat": words.get("stat")} if words else None,
                source=TASK["destination"] if TASK["destination"].encode() in pdu else "",
                destination="Shop" if b"Shop\0" in pdu else "",
            )
            self.finish()

    def finish(self) -> None:
        if self.receipts == len(self.ids) == len(self.kinds) > 1 and not self.owed:
            self.done.set()

    async def send_error(self, smpp_message: object, error: Exception, client_id: str) -> None:
        tell("error", error=repr(error))


async def main() -> None:
    hook = Hook()
    esme = ESME(
        smsc_host="127.0.0.1",
        smsc_port=TASK["port"],
        system_id=TASK["system_id"],
        password=TASK["password"],
        hook=hook,
    )
    plain = {
        "source": PhoneNumber("Shop", TON.ALPHANUMERIC, NPI.UNKNOWN),
        "destination": PhoneNumber(TASK["destination"], TON.INTERNATIONAL, NPI.ISDN),
        "registered_delivery": 1,
    }
    await esme.broker.enqueue(SubmitSm(short_message=TASK["text"], log_id="short", **plain))
    await esme.broker.enqueue(
        SubmitSm(short_message=TASK["long"], esm_class=0x40, auto_message_payload=False, log_id="long", **plain)
    )
    running = asyncio.create_task(esme.start())
    await asyncio.wait_for(hook.done.wait(), 10)
    await esme.stop()
    await running
    tell("closed")


asyncio.run(main())
