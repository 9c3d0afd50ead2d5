"""The clerk's rules for messages that are told of as one: what the naive ledger (`naive.py`) does when parts end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from smsroute.message import Closed, State
from tests.ledger.naive_page import Page

FACTS_MAX = 16
BAD_FIRST = (State.REJECTED, State.UNDELIVERABLE, State.EXPIRED, State.DELETED, State.UNKNOWN, State.ACCEPTED)


class Messages:
    """See the module."""

    pages: dict[str, Page]
    pins: list[dict[str, Any]]
    tally: Counter[str]
    unfinished: list[tuple[float, str]]  # messages that lack parts, the others over: since when
    _ends: int
    _clock: int

    def _note(self, page: Page, fact: str) -> None:
        page.facts = [*page.facts[: FACTS_MAX - 1], fact]

    def _one_over(self, page: Page, at: float) -> None:
        message = self._of(page.message)
        if all(one.over for one in message):
            self._not_unfinished(page.message)
            if len(message) == page.said.parts:
                self._conclude(message, at)
            else:
                self.unfinished.append((at, page.message))

    def _of(self, message: str) -> list[Page]:
        mine = [page for page in self.pages.values() if page.as_one and not page.spoken and page.message == message]
        return sorted(mine, key=lambda page: page.said.part_id)

    def _not_unfinished(self, message: str) -> None:
        self.unfinished = [row for row in self.unfinished if row[1] != message]

    def _conclude(self, message: list[Page], at: float) -> None:
        """All of it is over, or no more is waited for: the first that asked for such an end tells it."""
        total, ends = message[0].said.parts, [page.state for page in message]
        missing = len(ends) < total
        end, err = State.DELIVERED, message[0].err
        for state in BAD_FIRST:
            if state in ends or (state is State.UNKNOWN and missing):
                with_it = [page.err for page in message if page.state is state]
                end, err = state, with_it[0] if with_it and not (state is State.UNKNOWN and missing) else ""
                if state is State.UNKNOWN and with_it:
                    err = with_it[0]
                break
        asked = [page for page in message if page.asks_for(end)][:1]
        self._not_unfinished(message[0].message)
        came = f", of which {len(ends)} came," if missing else ""
        words = f"{at:.3f} its message of {total} parts{came} ended {end.name}: "
        for page in message:
            page.spoken = True
            if page in asked:
                self._ends += 1
                page.ended, page.word = self._ends, (end, err, at, total, ends.count(State.DELIVERED))
                self._note(page, words + "this part tells it")
            else:
                page.rested = self._clock
                teller = f"part {asked[0].said.part_id} tells it" if asked else "no part asked to tell it"
                self._note(page, words + teller)

    def _closed(self, event: Closed) -> None:
        for name in event.message_ids:
            message = self._of(name)
            if not message or not all(page.over for page in message):
                self.tally["overtaken"] += 1
                continue
            for pin in self.pins:
                if pin["key"] == message[0].said.multipart and pin.get("first") == name:
                    pin.update(here=[], last_word=None, first="")
            self._conclude(message, event.at)
