"""What an ESME asks about its messages: query_sm, cancel_sm, replace_sm. And submits in other words: data_sm,
submit_multi.

Rules:
- A message is known by our id, to the ESME whose it is; for anybody else it does not exist. A source_addr that is given
  must be the message's own.
- query_sm asks memory, then the store: what was told once is told again, as long as history is kept.
- cancel_sm ends what no carrier has or may have: once an attempt was taken, or is in doubt, it is too late
  (ESME_RCANCELFAIL). ESME_ROK leaves after the end is durable; a receipt, where one was asked for, says DELETED.
- replace_sm changes what no carrier has or may have: once an attempt left, or is in doubt, it is too late
  (ESME_RREPLACEFAIL), as it is for another source. It keeps its id and its turn. ESME_ROK leaves after it is durable.
- A text that we split is one message under the id of its first part: asked for and cancelled as a whole; it is not
  replaced (ESME_RREPLACEFAIL).
- A message that waits for the date its sender gave is SCHEDULED to a session of SMPP 5.0, ENROUTE to older ones.
- submit_multi is fanned out: a message of its own, with id and receipt, for each recipient; it takes one place in the
  window, and each recipient one of the rate.
- cancel_sm without an id ends all that waits from that source to that destination (SMPP 3.4 section 4.9).

Walk: `esmes/listener` hands over one read's worth, after the submits of the same read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
import trio

from smsroute.esmes.accept import INTERMEDIATE, Accept, Answer, Row, split_here
from smsroute.esmes.client import Client
from smsroute.esmes.deliver import MESSAGE_STATE
from smsroute.families import verdict
from smsroute.ledger import Ledger
from smsroute.message import AnyEvent, Cause, Finished, Part, Replaced, State
from smsroute.ports import Ports
from smsroute.replacing import free
from smsroute.smpp import data, multi, names, replace, schedule, times
from smsroute.smpp.codec import Decoded, Pdu, PduError, build_responses, decode, encode, pdu, refusal
from smsroute.store.base import Reader, StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.commands")

SERVED: Final = frozenset({names.QUERY_SM, names.CANCEL_SM, names.REPLACE_SM, names.DATA_SM, names.SUBMIT_MULTI})
ANSWER_DATA: Final[Answer] = partial(build_responses, names.DATA_SM)
LOOKED_AT_ONCE: Final = 5000
"""Parts looked at between two turns of the loop, in a cancel without an id: some 2 ms."""


class Commands:
    """See the module."""

    def __init__(self, accept: Accept, ledger: Ledger, journal: Journal, store: Reader, ports: Ports) -> None:
        self._accept = accept
        self._ledger = ledger
        self._journal = journal
        self._store = store
        self._ports = ports

    async def serve(self, client: Client, pdus: Sequence[Pdu]) -> None:
        """Answer each, in order; those of data_sm together, behind the others."""
        submits: list[Pdu] = []
        for request in pdus:
            try:
                if request.command_id == names.DATA_SM:
                    body = data.as_submit(request.body, self._ports.clock.wall())
                    submits.append(Pdu(names.SUBMIT_SM, 0, request.sequence_number, body))
                    continue
                if request.command_id == names.SUBMIT_MULTI:
                    await self._fan_out(client, request)
                    continue
                asked = decode(pdu(request.command_id, 0, request.sequence_number, request.body))
                answer: dict[str, Any] | int
                if request.command_id == names.QUERY_SM:
                    answer = await self._query(client, asked.fields)
                elif request.command_id == names.REPLACE_SM:
                    answer = await self._replace(client, asked)
                else:
                    answer = await self._cancel(client, asked.fields)
            except PduError as error:
                answer = error.command_status
            number = request.sequence_number
            if isinstance(answer, int):
                client.link.write(refusal(request.command_id, answer, number))
            else:
                client.link.write(encode(request.command_id | names.RESPONSE, answer, sequence_number=number))
        if submits:
            await self._accept.submits(client, submits, ANSWER_DATA)

    async def _fan_out(self, client: Client, request: Pdu) -> None:
        """A submit_multi: a message for each recipient, one answer for all."""
        recipients = multi.recipients(request.body)
        submits = [
            Pdu(names.SUBMIT_SM, 0, index, recipient.body)
            for index, recipient in enumerate(recipients)
            if not recipient.refused
        ]

        def answer(rows: Sequence[Row], tail: bytes) -> bytes:
            outcomes = [(recipient, recipient.refused, "") for recipient in recipients]
            for status, index, message_id in rows:
                outcomes[index] = (recipients[index], status, message_id)
            return multi.response(request.sequence_number, outcomes, tail)

        if submits:
            await self._accept.submits(client, submits, answer, as_one=True)
        else:
            client.link.write(answer((), b""))

    async def _query(self, client: Client, fields: dict[str, Any]) -> dict[str, Any] | int:
        try:
            part = await self._find(client, fields)
        except StoreError as error:
            log.warning("query.failed", session=client.name, reason=str(error))
            return names.ESME_RSYSERR
        if isinstance(part, int):
            return names.ESME_RQUERYFAIL if part == names.ESME_RINVSRCADR else part
        state, ended_at, err = self._state(client, part), part.ended_at, part.err
        message = self._message(part)
        if len(message) > 1 or (part.verdict is not None and split_here(part)):
            going = next((one for one in message if not one.final), None)
            if going is not None:
                state, ended_at, err = self._state(client, going), 0.0, ""
            else:
                told = part.verdict or verdict(message, max(one.ended_at for one in message))
                state, ended_at, err = MESSAGE_STATE[told.state], told.at, told.err
        return {
            "message_id": part.part_id,
            "final_date": times.render(ended_at) if ended_at else "",
            "message_state": state,
            "error_code": int(err) if err.isdecimal() and int(err) < 256 else 0,
        }

    def _message(self, part: Part) -> list[Part]:
        """The part, or all parts of the text that we split and answered with its id."""
        whole = part.message_id == part.part_id and split_here(part)
        return [part, *self._ledger.families.sisters(part)] if whole else [part]

    def _state(self, client: Client, part: Part) -> int:
        dated = part.due_at == part.scheduled_at > self._ports.clock.wall() and free(part)
        if dated and client.version >= names.VERSION_5_0:
            return names.MessageState.SCHEDULED
        return MESSAGE_STATE.get(part.state, names.MessageState.ENROUTE)

    async def _replace(self, client: Client, asked: Decoded) -> int:
        fields, esme = asked.fields, client.esme
        assert esme is not None
        try:
            part = await self._find(client, fields)
        except StoreError:
            return names.ESME_RREPLACEFAIL  # not in memory: it is not due any more, whatever else it is
        if isinstance(part, int):
            return names.ESME_RREPLACEFAIL if part == names.ESME_RINVSRCADR else part
        if self._ledger.parts.get(part.part_id) is not part or not free(part) or split_here(part):
            return names.ESME_RREPLACEFAIL
        now, terms, written = self._ports.clock.wall(), self._accept.terms(esme), fields["schedule_delivery_time"]
        body, submit = replace.replaced(part.body, fields, asked.tlvs, now)
        due_at = schedule.due_at(written, now, terms) or (now if written else 0.0)
        base = due_at or max(part.due_at, now)
        expires_at = part.expires_at
        if fields["validity_period"]:
            expires_at = schedule.expires_at(submit.validity_period, now, base, terms)
        elif due_at and not submit.validity_period:
            expires_at = schedule.expires_at("", now, due_at, terms)
        if expires_at <= base:
            raise PduError("it would be sent after its validity", names.ESME_RINVSCHED, command_id=names.REPLACE_SM)
        if part.scheduled_at or due_at:
            body = schedule.dateless(body, submit, expires_at)
        said = Replaced(
            part.part_id,
            now,
            body,
            submit.registered_delivery & 3,
            expires_at,
            due_at,
            self._accept.kept(esme, body, submit),
            submit.registered_delivery & INTERMEDIATE > 0,
        )
        self._accept.mark(submit, esme)
        queues = self._ledger.queues
        if due_at:
            queues.take(part)  # nobody sends it while its date is written down
        sick = await self._durable([said])
        if part.body is body:
            return names.ESME_ROK
        # As it stands now that it was applied: an attempt written down a moment before is ahead of us.
        if part.state == State.DUE and not queues.waits(part):
            queues.put(part)
        return sick or names.ESME_RREPLACEFAIL

    async def _durable(self, events: list[AnyEvent]) -> int:
        """Commit them; ESME_RSYSERR when that cannot be, else 0."""
        sick: list[StoreError] = []

        def then(error: StoreError | None) -> None:
            if error is not None:
                sick.append(error)

        await self._journal.commit(events, then)
        return names.ESME_RSYSERR if sick else names.ESME_ROK

    async def _cancel(self, client: Client, fields: dict[str, Any]) -> int:
        if fields["message_id"]:
            try:
                part = await self._find(client, fields)
            except StoreError:
                return names.ESME_RCANCELFAIL  # not in memory: it is not due any more, whatever else it is
            if isinstance(part, int):
                return names.ESME_RCANCELFAIL if part == names.ESME_RINVSRCADR else part
            to = fields["destination_addr"]
            if (to and to != part.destination_addr) or self._ledger.parts.get(part.part_id) is not part:
                return names.ESME_RCANCELFAIL
            message = self._message(part)
            if not all(map(free, message)):
                return names.ESME_RCANCELFAIL
            return await self._end(message)
        parts = await self._waiting(client, fields)
        return await self._end(parts) if parts else names.ESME_RCANCELFAIL

    async def _end(self, parts: list[Part]) -> int:
        """End these, and say so once it is durable. One that left meanwhile is too late, and the others are ended."""
        now = self._ports.clock.wall()
        ids = [part.part_id for part in parts]
        sick = await self._durable([Finished(now, ids, Cause.CANCELLED, "", "its sender cancelled it")])
        if sick:
            return sick
        # As it stands now that it was applied: an attempt written down a moment before is ahead of us.
        ended = [part.state == State.DELETED for part in parts]
        return names.ESME_ROK if all(ended) else names.ESME_RCANCELFAIL

    async def _waiting(self, client: Client, fields: dict[str, Any]) -> list[Part]:
        """All of this ESME's that no carrier has, from that source to that destination."""
        assert client.esme is not None
        esme, source, to = client.esme.name, fields["source_addr"], fields["destination_addr"]
        found: list[Part] = []
        ids = list(self._ledger.parts)
        for at in range(0, len(ids), LOOKED_AT_ONCE):
            for part_id in ids[at : at + LOOKED_AT_ONCE]:
                part = self._ledger.parts.get(part_id)
                if part is None or part.state != State.DUE or part.esme != esme:
                    continue
                if part.source_addr == source and part.destination_addr == to and free(part):
                    found.append(part)
            await trio.lowlevel.checkpoint()
        return [part for part in found if free(part)]

    async def _find(self, client: Client, fields: dict[str, Any]) -> Part | int:
        """The message meant, or ESME_RINVMSGID for none of this ESME's, ESME_RINVSRCADR for another sender's."""
        assert client.esme is not None
        part_id = fields["message_id"].strip()
        part = self._ledger.parts.get(part_id)
        if part is None and part_id:
            part = await self._ports.blocking.run(self._store.story, part_id)
        if part is None or part.esme != client.esme.name or part.state == State.RECEIVED:
            return names.ESME_RINVMSGID
        source = fields["source_addr"]
        return part if not source or source == part.source_addr else names.ESME_RINVSRCADR
