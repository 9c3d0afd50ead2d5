"""The clerk's rule for a message from a handset: over as it comes, and owed to its ESME behind all else."""

from __future__ import annotations

from collections import Counter

from smsroute.message import Accepted, Arrived, MessageClass, State
from tests.ledger.naive_page import Page


class Handsets:
    """See the module."""

    pages: dict[str, Page]
    tally: Counter[str]
    newest: str
    _ends: int

    def _arrived(self, event: Arrived) -> None:
        addresses = event.source_addr, event.destination_addr
        said = Accepted(
            event.part_id, event.at, event.esme, MessageClass.INFO, *addresses, event.body, event.text_at, 1, event.at,
            event.route, event.carrier, kept=event.kept,
        )  # fmt: skip
        page = Page(said, len(self.pages), State.RECEIVED, event.carrier, event.route)
        self._ends += 1
        page.ended, page.ended_at, page.why = self._ends, event.at, f"it came by {event.bind}"
        self.pages[event.part_id] = page
        self.newest = max(self.newest, event.part_id)
        self.tally["arrived"] += 1
