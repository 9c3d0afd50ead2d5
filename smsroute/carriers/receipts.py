"""A carrier's deliver_sm: receipts become durable facts, then they are answered.

Rules:
- A receipt is answered 0 only after it is durable, applied or parked as orphan (law 3); a receipt nobody knows is
  answered 0 too: an error would only make the carrier send it for hours (quirks O10).
- While the disk is sick nothing is answered: the facts wait in memory, the carrier keeps its copy, and whichever comes
  first is matched once.
- An id that memory does not hold is looked up in the store before it is parked: its part may have ended long ago.
- A plain message that reads like a receipt is one only where the dialect says so and its id is one we know.
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
from smsroute.carriers.dialects import Dialects, Spoken
from smsroute.config import Limits
from smsroute.ledger import Ledger
from smsroute.memory import Noticed
from smsroute.message import STATE_OF_RECEIPT, Part, Receipted, State
from smsroute.ports import Ports
from smsroute.smpp import names, receipt
from smsroute.smpp.codec import Pdu, PduError, build_responses
from smsroute.store.base import Store, StoreError
from smsroute.store.journal import Journal

log: Final = structlog.get_logger("smsroute.receipts")


Said = tuple[Part, int, str]
"""A part, the final State its receipt tells, and the receipt's err."""

Heard = Callable[[str, Iterable[Said], float], None]
"""Told what receipts of a carrier have just said for the first time: (carrier, what, Unix seconds)."""


class Receipts:
    """See the module."""

    def __init__(self, ledger: Ledger, journal: Journal, store: Store, ports: Ports, limits: Limits) -> None:
        self._ledger = ledger
        self._journal = journal
        self._store = store
        self._ports = ports
        self._dialects = Dialects(limits.receipt_pattern_characters_max)
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
        unsure: dict[int, int] = {}  # place in `missed` -> in `answers`: a receipt only if we know its id
        spoken = self._dialects.of(carrier.name, carrier.dialect)
        for pdu in pdus:
            status, event, certain = self._read(bind, spoken, pdu, now)
            answers.append((pdu.command_id, (status, pdu.sequence_number, "")))
            if event is not None:
                part_id = self._ledger.whose(event)
                if part_id:
                    events.append(structs.replace(event, part_id=part_id))
                else:
                    if not certain:
                        unsure[len(missed)] = len(answers) - 1
                    missed.append(event)
        if missed:
            for place, event in enumerate(await self._look_up(carrier.name, missed)):
                if event.part_id or place not in unsure:
                    events.append(event)
                else:
                    command_id, (_, sequence_number, _) = answers[unsure[place]]
                    answers[unsure[place]] = (command_id, (names.ESME_RX_R_APPN, sequence_number, ""))
                    self.refused[carrier.name] += 1
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
            if event.whole:
                for sister in self._ledger.families.sisters(part):
                    if sister.ended_at == now and sister.state == event.state:
                        said[sister.part_id] = (sister, sister.state, sister.err)
        return said.values()

    def _read(self, bind: Bind, spoken: Spoken, pdu: Pdu, now: float) -> tuple[int, Receipted | None, bool]:
        """What to answer, the fact, and whether it is a receipt even if nobody knows its id (quirks D3)."""
        try:
            told = receipt.parse(pdu, spoken.reading)
        except PduError as error:
            self.refused[bind.carrier.name] += 1
            return error.command_status, None, True
        if told is None:
            self.refused[bind.carrier.name] += 1
            return names.ESME_RX_R_APPN, None, True
        if told.certain and (told.conflict or (told.state < 0 and told.state_from)):
            kind = "tlv-and-text" if told.conflict else "unknown-word"
            self._ledger.noticed.append(Noticed(kind, bind.carrier.name, told.source_addr))
        event = Receipted(
            bind.carrier.name,
            now,
            receipt.id_keys(spoken.dialect.ids, told.ids),
            spoken.ends.get(told.state, -1),
            told.err,
            told.word or told.state_name,
            told.source_addr,
            whole=spoken.dialect.receipts_on != "every",
        )
        return names.ESME_ROK, event, told.certain

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
