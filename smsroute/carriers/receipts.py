"""A carrier's deliver_sm: receipts become durable facts, then they are answered.

Rules:
- A receipt is answered 0 only after it is durable, applied or parked as orphan (law 3); a receipt nobody knows is
  answered
  0 too: an error would only make the carrier send it for hours (quirks O10).
- While the disk is sick nothing is answered: the facts wait in memory, the carrier keeps its copy, and whichever comes
  first is matched once.
- An id that memory does not hold is looked up in the store before it is parked: its part may have ended long ago.
- What is no receipt is a message from a handset: refused for good with ESME_RX_R_APPN until routes for them exist, and
  counted, so that nothing is answered OK and dropped.

Walk: `carriers/bind` hands over one read's worth; Receipted events go to `store/journal`; `ledger` matches them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import structlog
from msgspec import structs

from smsroute.carriers.bind import Bind
from smsroute.ledger import Ledger
from smsroute.message import STATE_OF_RECEIPT, Part, Receipted, State
from smsroute.ports import Ports
from smsroute.smpp import names, receipt
from smsroute.smpp.codec import Pdu, PduError, build_responses
from smsroute.store.base import Store, StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.receipts")


STATE_OF: Final[dict[int, State]] = {
    names.MessageState.DELIVERED: State.DELIVERED,
    names.MessageState.EXPIRED: State.EXPIRED,
    names.MessageState.DELETED: State.DELETED,
    names.MessageState.UNDELIVERABLE: State.UNDELIVERABLE,
    names.MessageState.SKIPPED: State.UNDELIVERABLE,
    names.MessageState.REJECTED: State.REJECTED,
}
"""SMPP's message_state -> our final state. What is not here is no last word: a false failure causes a paid resend."""


Said = tuple[Part, int, str]
"""A part, the final State its receipt tells, and the receipt's err."""

Heard = Callable[[str, Iterable[Said], float], None]
"""Told what receipts of a carrier have just said for the first time: (carrier, what, Unix seconds)."""


class Receipts:
    """See the module."""

    def __init__(self, ledger: Ledger, journal: Journal, store: Store, ports: Ports) -> None:
        self._ledger = ledger
        self._journal = journal
        self._store = store
        self._ports = ports
        self.refused: Counter[str] = Counter()
        self.heard: Heard | None = None

    async def delivered(self, bind: Bind, pdus: Sequence[Pdu]) -> None:
        """Make a read's worth of receipts durable, then answer each, in order."""
        now = self._ports.clock.wall()
        carrier, link = bind.carrier, bind.link
        assert link is not None, "what was read came over a link"
        events: list[Receipted] = []
        answers: list[tuple[int, tuple[int, int, str]]] = []
        missed: list[Receipted] = []
        for pdu in pdus:
            status, event = self._read(bind, pdu, now)
            answers.append((pdu.command_id, (status, pdu.sequence_number, "")))
            if event is not None:
                part_id = self._ledger.whose(event)
                if part_id:
                    events.append(structs.replace(event, part_id=part_id))
                else:
                    missed.append(event)
        if missed:
            events.extend(await self._look_up(carrier.name, missed))
        runs = groupby(answers, key=itemgetter(0))
        data = b"".join(build_responses(command_id, map(itemgetter(1), run)) for command_id, run in runs)
        if not events:
            link.write(data)
            return

        def then(error: StoreError | None) -> None:
            assert error is None, "a receipt is a must entry"
            link.write(data)
            if self.heard is not None:
                self.heard(carrier.name, self._news(events, now), now)

        await self._journal.commit(events, then, must=True)

    def _news(self, events: Sequence[Receipted], now: float) -> Iterable[Said]:
        """Of receipts just applied, those that say for the first time what became of a part: it ended by them, or its
        ESME asked for none and we did (`receipts: always`)."""
        said: dict[str, Said] = {}
        for event in events:
            part = self._ledger.parts.get(event.part_id)
            if part is None:
                continue
            if part.state == State.ACCEPTED and event.state in STATE_OF_RECEIPT:
                said[part.part_id] = (part, event.state, event.err)
            elif part.ended_at == now:
                said[part.part_id] = (part, part.state, part.err)
        return said.values()

    def _read(self, bind: Bind, pdu: Pdu, now: float) -> tuple[int, Receipted | None]:
        try:
            told = receipt.parse(pdu)
        except PduError as error:
            self.refused[bind.carrier.name] += 1
            return error.command_status, None
        if told is None:
            self.refused[bind.carrier.name] += 1
            return names.ESME_RX_R_APPN, None
        rule = bind.carrier.dialect.ids
        return names.ESME_ROK, Receipted(
            bind.carrier.name,
            now,
            receipt.id_keys(rule, told.ids),
            STATE_OF.get(told.state, -1),
            told.err,
            told.word or told.state_name,
            told.source_addr,
        )

    async def _look_up(self, carrier: str, missed: list[Receipted]) -> list[Receipted]:
        """The events of receipts memory does not know, with the part the store knows for them, if any."""
        wanted = [key for event in missed for key in event.keys]
        try:
            found = await self._ports.blocking.run(self._store.find, carrier, wanted)
        except StoreError as error:
            log.warning("receipts.look_up_failed", carrier=carrier, error=str(error))
            return missed  # parked, and matched when its response or its part turns up
        events: list[Receipted] = []
        for event in missed:
            part_id = next((found[key] for key in event.keys if key in found), "")
            events.append(structs.replace(event, part_id=part_id) if part_id else event)
        return events
