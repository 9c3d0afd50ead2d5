"""From the outbox to the ESME: receipts and messages from handsets, in order, until it answers for them.

Rules:
- Each leaves the outbox only on the ESME's own deliver_sm_resp (law 4), and only once that answer is durable.
- Oldest first, spread over the ESME's receiving sessions by the room in their windows; a session that dies gives back
  what it had, to the front. One that leaves receipts unanswered gets none while another session may take them.
- Answers that may pass (08 14 45 58 64 67 FE FF) are tried again after a pause that doubles; any other is the ESME's
  last word: the receipt is dead-lettered with the reason, as is one refused `outbox_attempts_max` times.
- Words on the way (`esmes/notes`) go before receipts, in the same windows and with the same answers.
- No TLV for a session below interface version 3.4; ids are byte for byte those of the submit_sm_resp.

Walk: `engine` calls `pump` when the ledger woke an ESME; `esmes/listener` tells joins, leaves and answers; Told events
go to `store/journal`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count
from typing import Final, cast

import structlog
import trio

from smsroute.config import Limits
from smsroute.esmes import notes
from smsroute.esmes.client import Client
from smsroute.esmes.notes import Note
from smsroute.ledger import Ledger
from smsroute.message import RECEIVED, AnyEvent, Part, State, Told
from smsroute.outbox import Outbox
from smsroute.ports import Ports
from smsroute.smpp import handset, names, receipt
from smsroute.smpp.codec import HEADER_OCTETS
from smsroute.smpp.session import Response
from smsroute.store.base import StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.deliver")

MESSAGE_STATE: Final[dict[int, int]] = {
    State.DELIVERED: names.MessageState.DELIVERED,
    State.EXPIRED: names.MessageState.EXPIRED,
    State.DELETED: names.MessageState.DELETED,
    State.UNDELIVERABLE: names.MessageState.UNDELIVERABLE,
    State.ACCEPTED: names.MessageState.ACCEPTED,
    State.UNKNOWN: names.MessageState.UNKNOWN,
    State.REJECTED: names.MessageState.REJECTED,
}
"""Our final states -> SMPP's message_state (3.4 section 5.2.28)."""

PASSING: Final = frozenset({0x08, 0x14, 0x45, 0x58, 0x64, 0x67, 0xFE, 0xFF})
"""deliver_sm_resp statuses worth another try (what the large providers retry on)."""


Said = Part | Note
"""What a deliver_sm tells: how a part ended, or a word on its way."""


class Deliver:
    """See the module."""

    def __init__(self, ledger: Ledger, journal: Journal, ports: Ports, limits: Limits) -> None:
        self._ledger = ledger
        self._journal = journal
        self._ports = ports
        self._limits = limits
        self._clients: dict[str, list[Client]] = {}
        self._refusals: dict[str, int] = {}
        self._deaf: set[Client] = set()  # sessions that left receipts unanswered and have answered none since
        self._answered: set[str] = set()  # answered for, and that is not durable yet
        self._later: list[tuple[float, int, Said]] = []
        self._pauses = count()
        self._alarm: trio.CancelScope | None = None

    # -- sessions come and go ------------------------------------------------------------------------------------------

    def join(self, client: Client) -> None:
        """A session that may receive is bound."""
        assert client.esme is not None
        self._clients.setdefault(client.esme.name, []).append(client)
        self.pump(client.esme.name)

    def leave(self, client: Client, unanswered: Sequence[Said]) -> None:
        """It is gone; what it had goes back to the front, in order."""
        if client.esme is None:
            return
        clients = self._clients.get(client.esme.name, [])
        if client in clients:
            clients.remove(client)
        self._deaf.discard(client)
        self._give_back(client.esme.name, unanswered)

    def _give_back(self, esme: str, told: Sequence[Said]) -> None:
        outbox = self._ledger.outboxes.get(esme)
        if outbox is not None and told:
            parts = [one for one in told if isinstance(one, Part)]
            outbox.ready.extendleft(part for part in reversed(parts) if part.part_id in outbox.owed)
            if len(parts) < len(told):
                notes.give_back(outbox, [one for one in told if isinstance(one, Note)], self._answered.__contains__)
            self.pump(esme)

    # -- sending -------------------------------------------------------------------------------------------------------

    def pump(self, esme: str) -> None:
        """Give each receiving session as much as its window holds."""
        outbox = self._ledger.outboxes.get(esme)
        clients = self._clients.get(esme)
        if outbox is None or not clients:
            return
        hearing = [client for client in clients if client not in self._deaf and client.link.up and client.session.bound]
        room = {client: _room(client) for client in hearing or clients}
        by_number = {client.number: client for client in room}
        while (outbox.ready or outbox.unsent) and (places := sum(room.values())) > 0:
            shares: dict[Client, list[Said]] = {}
            most = min(places, self._limits.outbox_batch_max)
            for part in notes.take(outbox, most) if outbox.unsent else self._take(outbox, most):
                client = by_number.get(part.session)
                if client is None or room[client] <= 0:
                    client = max(room, key=room.__getitem__)
                room[client] -= 1
                shares.setdefault(client, []).append(part)
            for client, parts in shares.items():
                self._send(client, parts)

    def _take(self, outbox: Outbox, most: int) -> list[Part]:
        """The next that are still owed: a late answer may have come since they were put back."""
        ready, owed, answered = outbox.ready, outbox.owed, self._answered
        parts: list[Part] = []
        while ready and len(parts) < most:
            part = ready.popleft()
            if part.part_id in owed and part.part_id not in answered:
                parts.append(part)
        return parts

    def _send(self, client: Client, parts: list[Said]) -> None:
        assert client.esme is not None
        with_tlvs = client.esme.receipt_tlvs and client.version >= 0x34
        bodies: list[bytes] = []
        tokens: list[Said] = []
        for part in parts:
            if isinstance(part, Note):
                body = part.body(with_tlvs)
            elif part.state == RECEIVED:
                body = self._written(client, part)
            else:
                body = _body(part, with_tlvs)
            if body:
                bodies.append(body)
                tokens.append(part)
        now = self._ports.clock.monotonic()
        client.link.write(client.session.send_requests(names.DELIVER_SM, bodies, tokens, now))

    def _written(self, client: Client, part: Part) -> bytes:
        """What a handset wrote, for this session; nothing, and it is given up, when that cannot be told there."""
        body = handset.body_for(part.body, client.version, client.session.limits.pdu_octets_sent_max - HEADER_OCTETS)
        if isinstance(body, bytes):
            return body
        log.warning("mo.untellable", session=client.name, part_id=part.part_id, reason=body)
        self._journal.append([Told(self._ports.clock.wall(), part.esme, [part.part_id], dropped=body)], must=True)
        return b""

    def alert(self, esme: str, body: bytes) -> None:
        """An alert_notification for this ESME, by one of its sessions, if it wants any."""
        for client in self._clients.get(esme, ()):
            if (
                client.esme is not None
                and client.esme.alerts
                and client.link.up
                and (said := client.session.notify(body))
            ):
                client.link.write(said)
                return

    # -- answers -------------------------------------------------------------------------------------------------------

    async def answered(self, client: Client, responses: Sequence[Response]) -> None:
        """What an ESME said to receipts, one read's worth."""
        assert client.esme is not None
        esme = client.esme.name
        now = self._ports.clock.wall()
        self._deaf.discard(client)
        told: list[str] = []
        noted: list[Note] = []
        events: list[AnyEvent] = []
        for response in responses:
            part = cast(Said, response.token)
            status = response.command_status
            if status == names.ESME_ROK:
                if isinstance(part, Note):
                    noted.append(part)
                else:
                    told.append(part.part_id)
            elif status in PASSING and self._another_try(part):
                continue
            else:
                why = f"{esme} answered {names.status_name(status)}"
                if isinstance(part, Note):
                    events.append(notes.told(now, esme, [part], why))
                else:
                    events.append(Told(now, esme, [part.part_id], dropped=why))
                self._refusals.pop(part.part_id, None)
        if told:
            events.append(Told(now, esme, told))
        if noted:
            events.append(notes.told(now, esme, noted))
            told.extend(note.part_id for note in noted)
        if self._refusals:
            for part_id in told:
                self._refusals.pop(part_id, None)
        self._answered.update(told)

        def then(_: StoreError | None) -> None:
            self._answered.difference_update(told)

        self.pump(esme)
        if events:
            await self._journal.commit(events, then, must=True)

    def timed_out(self, client: Client, parts: Sequence[Said]) -> None:
        """Nobody answered: another session, or this one again where it is the only one (a duplicate is possible, a loss
        is not)."""
        if client.esme is not None:
            log.warning("receipt.unanswered", session=client.name, receipts=len(parts))
            self._deaf.add(client)
            self._give_back(client.esme.name, parts)

    def _another_try(self, part: Said) -> bool:
        refusals = self._refusals.get(part.part_id, 0) + 1
        if refusals >= self._limits.outbox_attempts_max:
            self._refusals.pop(part.part_id, None)
            return False
        self._refusals[part.part_id] = refusals
        pause_s = min(self._limits.outbox_retry_max_s, self._limits.outbox_retry_min_s * 2 ** min(refusals - 1, 20))
        at = self._ports.clock.monotonic() + pause_s
        heapq.heappush(self._later, (at, next(self._pauses), part))
        if self._alarm is not None and at < self._alarm.deadline:
            self._alarm.deadline = at
        return True

    async def run(self) -> None:
        """Bring refused receipts back when their pause is over."""
        while True:
            deadline = self._later[0][0] if self._later else float("inf")
            with trio.CancelScope(deadline=deadline) as self._alarm:
                await trio.sleep_forever()
            now = self._ports.clock.monotonic()
            while self._later and self._later[0][0] <= now:
                part = heapq.heappop(self._later)[2]
                self._give_back(part.esme, [part])


def _body(part: Part, with_tlvs: bool) -> bytes:
    """The deliver_sm that tells how it ended, or its whole message."""
    told = part.verdict
    return receipt.build(
        part.body,
        part.text_at,
        message_id=part.part_id,
        state=MESSAGE_STATE[part.state if told is None else told.state],
        submitted_at=part.accepted_at,
        done_at=part.ended_at if told is None else told.at,
        err=part.err if told is None else told.err,
        with_tlvs=with_tlvs,
        parts=None if told is None else (told.parts, told.delivered),
    )


def _room(client: Client) -> int:
    return max(0, client.session.room) if client.link.up and client.session.bound else 0
