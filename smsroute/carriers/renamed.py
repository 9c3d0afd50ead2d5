"""Attempts that were named under another rule than the one that holds now: the config has changed, they have not.

Rules:
- An attempt keeps the key it got with its response. Where today's rule would have given it another, it stands here
  under that one too, so that receipts read by today's rule find it: whoever mends `ids:` at night saves what is open.
- A view: made anew in slices, after a start and after each reload that changes the rule. What left memory is let go.

Walk: owned by `carriers/naming`; `carriers/adopt` takes the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from smsroute.carriers.slices import Slices
from smsroute.ledger import Ledger
from smsroute.matching import Found, Holder, choose
from smsroute.message import Attempt


class Renamed:
    """See the module. Of one carrier."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._walk: Iterator[str] | None = None
        self._done = False
        self._found: dict[str, list[Holder]] = {}
        self._old = Slices(lambda: iter(list(self._found)))

    def begin(self) -> None:
        """Another rule holds."""
        self._walk, self._done = None, False
        self._found.clear()

    def step(self, ledger: Ledger, key_today: Callable[[Attempt, str], str], most: int) -> bool:
        """Look at up to `most` more. `key_today`: of (attempt, number). Whether all is done just
        now."""
        if self._done:
            self._forget(ledger, most)
            return False
        if self._walk is None:
            self._walk = iter(list(ledger.ids.named(self._carrier)))
        some = list(islice(self._walk, most))
        named = ledger.ids.named(self._carrier)
        for key in some:
            holder = named.get(key)
            if holder is not None:
                part, index = holder
                today = key_today(part.attempts[index], part.destination_addr)
                if today and today != key:
                    self._found.setdefault(today, []).append(holder)
        self._done = len(some) < most
        return self._done

    def find(self, ledger: Ledger, key: str, number: str) -> Found | None:
        """The attempt that this key means today, and whether it went to `number`; None when it is none, or any of
        several."""
        holders = [holder for holder in self._found.get(key, ()) if _held(ledger, holder)]
        return choose(holders, number) if holders else None

    def _forget(self, ledger: Ledger, most: int) -> None:
        for key in self._old.take(most) if self._found else ():
            if not any(_held(ledger, holder) for holder in self._found.get(key, ())):
                self._found.pop(key, None)


def _held(ledger: Ledger, holder: Holder) -> bool:
    return ledger.parts.get(holder[0].part_id) is holder[0]
