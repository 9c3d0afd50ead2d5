"""The clerk's rules for what its sender wants sent later, or otherwise: what the naive ledger does then."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import structs

from smsroute.message import Accepted, Noted, Receipted, Replaced, State
from tests.ledger.naive_page import Page


class Dates:
    """See the module."""

    pages: dict[str, Page]

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
            new: dict[str, Any] = {"body": event.body, "kept": event.kept, "notify": event.notify}
            new["wants_receipt"] = event.wants_receipt
            page.said = structs.replace(page.said, expires_at=event.expires_at, **new)
            if event.due_at:
                page.due_at, page.waiting = event.due_at, event.due_at > event.at
            self._note(page, f"{event.at:.3f} its sender replaced it")

    def _passing(self, page: Page, event: Receipted) -> None:
        """A word on the way: its sender hears of it, if it wants to, once, until there is an end."""
        first = not page.as_one or page.message == page.said.part_id
        known = page.notice is not None and page.notice[0] == event.passing
        if page.said.notify and first and event.passing >= 0 and not known:
            page.notice = [event.passing, event.at, 0.0]

    def _noted(self, event: Noted) -> None:
        for part_id, at in event.notices:
            page = self.pages.get(part_id)
            if page is None or page.over or page.notice is None or page.notice[1:] != [at, 0.0]:
                self.tally["overtaken"] += 1
                continue
            page.notice[2] = event.at
            self.tally["notices_told"] += 1
            if event.dropped:
                self._note(page, f"{event.at:.3f} notice not taken by {event.esme}: {event.dropped}")

    def noticeboard(self, esme: str) -> list[str]:
        """Whose word on the way this ESME is still to hear."""
        mine = [(part_id, page) for part_id, page in self.pages.items() if page.said.esme == esme and not page.over]
        return sorted(part_id for part_id, page in mine if page.notice and not page.notice[2])
