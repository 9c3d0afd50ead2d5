"""The clerk's rules for what its sender wants sent later, or otherwise: what the naive ledger does then."""

from __future__ import annotations

from collections import Counter

from msgspec import structs

from smsroute.message import Accepted, Replaced, State
from tests.ledger.naive_page import Page


class Dates:
    """See the module."""

    tally: Counter[str]

    def _known(self, part_ids: list[str]) -> list[Page]:
        raise NotImplementedError

    def _note(self, page: Page, fact: str) -> None:
        raise NotImplementedError

    def _put_off(self, page: Page, event: Accepted) -> None:
        if event.due_at:
            page.due_at, page.waiting = event.due_at, event.due_at > event.at
            self._note(page, f"{event.at:.3f} held for {event.due_at - event.at:.0f} s, as its sender wished")

    def _replaced(self, event: Replaced) -> None:
        for page in self._known([event.part_id]):
            if page.state is not State.DUE:
                self.tally["overtaken"] += 1
                continue
            new = {"body": event.body, "wants_receipt": event.wants_receipt, "kept": event.kept}
            page.said = structs.replace(page.said, expires_at=event.expires_at, **new)
            if event.due_at:
                page.due_at, page.waiting = event.due_at, event.due_at > event.at
            self._note(page, f"{event.at:.3f} its sender replaced it")
