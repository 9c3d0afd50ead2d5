"""Deeds of the ledger's walk: all parts of a message in one submit, and what becomes of it."""

from __future__ import annotations

import random
from typing import Any

from smsroute.message import AnyEvent, Attempted, Blame, Doubted, Responded, State, Withdrawn
from tests.ledger.naive import Naive

CARRIERS = ("orange", "sfr")


class Merged:
    """See the module. `test_ledger_machine.Walk` is one."""

    naive: Naive
    rng: random.Random

    def _say(self, *events: AnyEvent) -> None:
        raise NotImplementedError

    def _later(self) -> float:
        raise NotImplementedError

    def _key(self) -> str:
        raise NotImplementedError

    def merge(self) -> None:
        """Parts of a message, whichever of them came, go in one submit; one may have been overtaken."""
        messages: dict[str, list[str]] = {}
        for part_id, page in self.naive.pages.items():
            if page.message and (page.state is State.DUE or self.rng.random() < 0.1):
                messages.setdefault(page.message, []).append(part_id)
        several = [parts for _, parts in sorted(messages.items()) if len(parts) > 1]
        if several:
            parts, carrier = self.rng.choice(several), self.rng.choice(CARRIERS)
            self.rng.shuffle(parts)
            self._say(Attempted(self._later(), carrier, f"{carrier}-1", "fr", "as one", parts, merged=True))

    def one_submit(self) -> None:
        """What becomes of a submit becomes of all parts in it: its answer (theirs first), a doubt, a retreat."""
        rng = self.rng
        submits = [
            (part_id, index)
            for part_id, page in sorted(self.naive.pages.items())
            for index, one in enumerate(page.tries)
            if one.bears and (page.state in (State.ATTEMPTED, State.IN_DOUBT) or rng.random() < 0.1)
        ]
        if not submits:
            return
        lead, index = rng.choice(submits)
        submit = self.naive.pages[lead].tries[index]
        rows = [
            (part_id, at)
            for part_id in submit.bears
            for at, one in enumerate(self.naive.pages[part_id].tries if part_id in self.naive.pages else ())
            if (one.borne_by, one.at, one.bind) == (lead, submit.at, submit.bind)
        ]
        at, what, name, pause_s = self._later(), rng.choice("ttttrfdw"), self._key(), rng.choice([0.0, 0.0, 2.0])
        everybody = [part_id for part_id, _ in rows] + [lead]
        if what == "d":
            self._say(Doubted(at, everybody, "link cut"))
        elif what == "w":
            self._say(Withdrawn(at, everybody, "link gone"))
        elif what == "t":
            awaits, within_s = rng.random() < 0.5, rng.choice([0.0, 20.0])
            more: dict[str, Any] = {"awaits": awaits, "within_s": within_s}
            others = [Responded(part_id, own, at, Blame.OK, 0, **more) for part_id, own in rows]
            self._say(*others, Responded(lead, index, at, Blame.OK, 0, name, **more))
        else:
            blame = rng.choice([Blame.TRANSIENT, Blame.THROTTLED]) if what == "r" else Blame.PERMANENT_MESSAGE
            retry_at, elsewhere = (at + pause_s, rng.choice(["", *CARRIERS])) if what == "r" else (0.0, "")
            rows.append((lead, index))
            self._say(*(Responded(one, own, at, blame, 8, "", "", retry_at, elsewhere, "busy") for one, own in rows))
