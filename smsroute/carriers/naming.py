"""How one carrier's receipts name its messages: by a rule of the config, by what `auto` has learnt, or by the handset.

Rules:
- One question for all of them: what may the response have called the message of this receipt, and which of those that
  name an attempt is to be believed. What is not sure is not believed.
- A configured rule is believed as it stands; under any id but the first the handset must agree (quirks 1.5).
- `match_by: destination`: the carrier's ids say nothing, so the handset's number is the id; of several open messages to
  one handset none is meant (quirks M10, M11).

Walk: `carriers/answers` keeps a response under `response_key`; `carriers/receipts` and `carriers/adopt` ask the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from smsroute.config import Limits
from smsroute.config.dialect import Dialect
from smsroute.ledger import Ledger
from smsroute.matching import NUMBER, Found, Holder, digits, same_number
from smsroute.smpp import receipt
from smsroute.smpp.learn import Hit, Learner
from smsroute.store.base import Owner

log: Final = structlog.get_logger("smsroute.naming")

Ids = Sequence[tuple[str, str]]
"""(where it stood, id as written) of a receipt."""


class Naming:
    """See the module. One for each carrier, and one life long: what was learnt outlives a reload."""

    def __init__(self, carrier: str, dialect: Dialect, limits: Limits) -> None:
        self._carrier = carrier
        self._dialect = dialect
        self.learner = Learner(limits.auto_evidence_min, limits.auto_contradictions_max, limits.auto_samples_min)

    def adopt(self, dialect: Dialect) -> None:
        """The dialect as a new config has it."""
        self._dialect = dialect

    @property
    def learns(self) -> bool:
        """Whether it goes by evidence."""
        return self._dialect.ids == "auto" and self._dialect.match_by == "id"

    def response_key(self, message_id: str, destination_addr: str) -> str:
        """What a message is kept under, from the id of its response; "" for none."""
        if self._dialect.match_by == "destination":
            return NUMBER + digits(destination_addr)
        if self._dialect.ids == "auto":
            return self.learner.response_key(message_id)
        return receipt.response_key(self._dialect.ids, message_id)

    def find(self, ids: Ids, number: str, ledger: Ledger, now: float) -> tuple[str, Holder] | None:
        """The attempt in memory that a receipt means, and the key it was found by. `number`: whose handset it speaks
        of; `now`: Unix seconds."""
        keys = self.candidates(ids, number)
        found = self._known(keys, number, ledger)
        key = self._believed(ids, keys, [(key, (hit[0].part_id, hit[1]), hit[2]) for key, hit in found.items()], now)
        if key:
            return key, found[key][:2]
        if self.learns and not found:
            self._doubt(ids, number, ledger, now)
        return None

    def find_kept(self, ids: Ids, number: str, kept: Mapping[str, Owner], now: float) -> tuple[str, str] | None:
        """(key, part_id) of what the store knows. `kept`: what it has under which key."""
        keys = self.candidates(ids, number)
        hits = [
            (key, kept[key].part_id, same_number(number, kept[key].destination_addr)) for key in keys if key in kept
        ]
        key = self._believed(ids, keys, hits, now)
        return (key, kept[key].part_id) if key else None

    def candidates(self, ids: Ids, number: str) -> list[str]:
        """What its response may have called it, likeliest first."""
        if self._dialect.match_by == "destination":
            return [NUMBER + digits(number)] if number else []
        if self._dialect.ids == "auto":
            return self.learner.candidates(ids)
        return receipt.id_keys(self._dialect.ids, ids)

    def waits_as(self, ids: Ids, number: str) -> list[str]:
        """The keys under which a receipt that matches nothing may wait for its response; empty while none is sure."""
        if not self.learns:
            return self.candidates(ids, number)
        key = self.learner.waits_as(ids)
        return [key] if key else []

    def tell(self) -> bool:
        """Log what was learnt or forgotten. Whether anything was."""
        news, self.learner.news = self.learner.news, []
        for line in news:
            log.info("ids.learnt", carrier=self._carrier, what=line)
        return bool(news)

    def _known(self, keys: Sequence[str], number: str, ledger: Ledger) -> dict[str, Found]:
        hits = ((key, ledger.ids.find(self._carrier, key, number)) for key in keys)
        return {key: hit for key, hit in hits if hit is not None}

    def _believed(self, ids: Ids, keys: Sequence[str], hits: Sequence[Hit], now: float) -> str:
        """Of the keys that name an attempt, the one to believe; "" for none."""
        if self.learns:
            return self.learner.judge(ids, hits, now)
        return next((key for key, _, agrees in hits if agrees or key == keys[0]), "")

    def _doubt(self, ids: Ids, number: str, ledger: Ledger, now: float) -> None:
        """Nothing fits what was learnt. What fits otherwise is not believed, but tells when the rule becomes wrong."""
        keys = self.learner.doubts(ids)
        found = self._known(keys, number, ledger)
        self.learner.judge(ids, [(key, (hit[0].part_id, hit[1]), hit[2]) for key, hit in found.items()], now)
