"""The clerk's rules for a receipt that speaks of more than one part: of a message, or of a submit that bore it all."""

from __future__ import annotations

from collections import Counter
from typing import Any

from smsroute.message import Receipted, State
from tests.ledger.naive_page import Page, Try

OF_RECEIPTS = {f"receipts_{what}" for what in ("matched", "intermediate", "duplicate", "conflicting", "superseded")}
OF_RECEIPTS.add("delivered_twice")


class Together:
    """See the module."""

    pages: dict[str, Page]
    pins: list[dict[str, Any]]
    tally: Counter[str]

    def _word(self, page: Page, index: int, event: Receipted, at: float) -> None:
        raise NotImplementedError

    def _over(self, page: Page, at: float, why: str, err: str) -> None:
        raise NotImplementedError

    def _speaks(self, page: Page, index: int, event: Receipted, at: float) -> None:
        late = page.over
        self._word(page, index, event, at)
        if not late and page.tries and page.tries[index].bears:
            self._of_one_submit(page, page.tries[index], event, at)
            return
        if late or not (page.over and event.whole and page.message):
            return
        for pin in self.pins:
            if pin["key"] == page.said.multipart and pin.get("first") == page.message and not pin["last_word"]:
                pin["last_word"] = event
        for _, sister in sorted(self.pages.items()):
            if sister.message == page.message and sister is not page and not sister.over and not sister.heard_of:
                sister.heard_of = event
                self._sister_spoke(sister, at)

    def _of_one_submit(self, page: Page, submit: Try, event: Receipted, at: float) -> None:
        """The same word of each part it bore, which counts as one receipt."""
        for part_id in submit.bears:
            other = self.pages.get(part_id)
            if other is None or other.over:
                continue
            bore = [
                index
                for index, one in enumerate(other.tries)
                if (one.borne_by, one.at, one.bind) == (page.said.part_id, submit.at, submit.bind)
            ]
            if bore:
                counted = {name: n for name, n in self.tally.items() if name in OF_RECEIPTS}
                self._word(other, bore[-1], event, at)
                self.tally = Counter({name: n for name, n in self.tally.items() if name not in OF_RECEIPTS} | counted)
                self.tally["receipts_of_sisters"] += other.over

    def _sister_spoke(self, page: Page, at: float) -> None:
        """What was said for the whole message holds for a part that carrier is known to have."""
        word = page.heard_of
        if word is None or page.state is not State.SUBMITTED:
            return
        if page.tries[-1].taken and page.tries[-1].carrier == word.carrier:
            page.tries[-1].told = word.state
            page.state = State(word.state)
            self.tally["receipts_of_sisters"] += 1
            self._over(page, at, f"receipt from {word.carrier} for the whole message: {word.word}", word.err)
