"""How one carrier's receipts name its messages: by a rule of the config, by what `auto` has learnt, or by the handset.

Rules:
- One question for all of them: what may the response have called the message of this receipt, and which of those that
  name an attempt is to be believed. What is not sure is not believed.
- A configured rule is believed as it stands; under any id but the first the handset must agree (quirks 1.5).
- `match_by: destination`: the carrier's ids say nothing, so the handset's number is the id; of several open messages to
  one handset none is meant, nor the one whose response we have while another's is awaited or lost (quirks M10, M11).
- A receipt that waits for its response waits under what `auto` makes of its id, a guess that the handset must confirm
  (`Receipted.strict`), or under no id at all.

Walk: `carriers/answers` keeps a response under `response_key`; `carriers/receipts` and `carriers/adopt` ask the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from smsroute.carriers.renamed import Renamed
from smsroute.config import Limits
from smsroute.config.dialect import Dialect
from smsroute.ledger import Ledger
from smsroute.matching import NUMBER, UNSURE, Found, Holder, digits, same_number
from smsroute.message import Attempt
from smsroute.smpp import receipt
from smsroute.smpp.learn import Hit, Learner
from smsroute.store.base import Owner

log: Final = structlog.get_logger("smsroute.naming")

Ids = Sequence[tuple[str, str]]
"""(where it stood, id as written) of a receipt."""


class Naming:
    """See the module. One for each carrier, and one life long: what was learnt outlives a reload."""

    def __init__(
        self, carrier: str, dialect: Dialect, limits: Limits, unanswered: Callable[[str], bool] = lambda number: False
    ) -> None:
        """`unanswered`: whether a message to this number is at the carrier, and its response awaited."""
        self._carrier = carrier
        self.unanswered = unanswered
        self.renamed = Renamed(carrier)
        self._dialect = dialect
        self.adopt(dialect)
        self.learner = Learner(limits.auto_evidence_min, limits.auto_contradictions_max, limits.auto_samples_min)

    def adopt(self, dialect: Dialect) -> None:
        """The dialect as a new config has it."""
        before, self._dialect = self._dialect, dialect
        if (before.ids, before.match_by) != (dialect.ids, dialect.match_by):
            self.renamed.begin()
        self.learns = dialect.ids == "auto" and dialect.match_by == "id"  # it goes by evidence
        self._by_rule = dialect.ids != "auto" and dialect.match_by == "id"

    def response_key(self, message_id: str, destination_addr: str) -> str:
        """What a message is kept under, from the id of its response; "" for none."""
        if self.learns:
            return self.learner.response_key(message_id)
        return self.key_of(message_id, destination_addr)

    def key_of(self, message_id: str, destination_addr: str) -> str:
        """The same, and nothing is learnt from it."""
        if self._dialect.match_by == "destination":
            return NUMBER + digits(destination_addr)
        return receipt.response_key(self._dialect.ids, message_id)

    def key_today(self, attempt: Attempt, destination_addr: str) -> str:
        """What an open message is named under by today's rule. `auto` learns from it how responses were written before
        it began."""
        if self.learns:
            self.learner.note_again(attempt.carrier_message_id, attempt.at)
        return self.key_of(attempt.carrier_message_id, destination_addr)

    def find(self, ids: Ids, number: str, ledger: Ledger, now: float, again: bool = False) -> tuple[str, Holder] | None:
        """The attempt in memory that a receipt means, and the key it bears. `number`: whose handset it speaks of;
        `now`: Unix seconds; `again`: it was asked for before, in vain."""
        plain = self.learner.plain(ids) if self.learns else ""
        if plain:  # nearly all of them
            hit = ledger.ids.find(self._carrier, plain, number)
            if hit is not None and hit[2]:
                return plain, hit[:2]
        keys = self.candidates(ids, number)
        if self._by_rule and keys:  # the first key is believed whatever the number
            hit = self._at(keys[0], number, ledger)
            if hit is not None:
                return _key(hit), hit[:2]
        found = self._known(keys, number, ledger)
        hits = [(key, (hit[0].part_id, hit[1]), hit[2]) for key, hit in found.items()]
        key = self._believed(ids, keys, hits, now, again)
        if key:
            if self._dialect.match_by == "destination" and self._another(found[key][0].part_id, number, ledger):
                return None
            return _key(found[key]), found[key][:2]
        if self.learns and not found and not again:
            self._doubt(ids, number, ledger, now)
        return None

    def find_kept(self, ids: Ids, number: str, kept: Mapping[str, Owner], now: float) -> tuple[str, str] | None:
        """(key, part_id) of what the store knows. `kept`: what it has under which key."""
        keys = self.candidates(ids, number)
        hits = [
            (key, kept[key].part_id, same_number(number, kept[key].destination_addr)) for key in keys if key in kept
        ]
        key = self._believed(ids, keys, hits, now, again=False)
        return (key, kept[key].part_id) if key else None

    def candidates(self, ids: Ids, number: str) -> list[str]:
        """What its response may have called it, likeliest first."""
        if self._dialect.match_by == "destination":
            return [NUMBER + digits(number)] if number else []
        if self._dialect.ids == "auto":
            return self.learner.candidates(ids)
        return receipt.id_keys(self._dialect.ids, ids)

    def waits_as(self, ids: Ids, number: str) -> tuple[list[str], bool]:
        """The keys under which a receipt that matches nothing may wait for its response, empty while none is sure; and
        whether they are a guess, which the handset must confirm."""
        if self._dialect.match_by == "destination":
            return [UNSURE + key for key in self.candidates(ids, number)], True  # each response asks for it
        if not self.learns:
            return self.candidates(ids, number), False
        key = self.learner.waits_as(ids)
        as_written = any(key == written.strip() for _, written in ids) and not key.isdigit()
        return ([key] if key else []), not as_written

    def knows(self, ids: Ids, number: str, ledger: Ledger) -> bool:
        """Whether a receipt that names nothing is surely of no message that a response has named: else it may be of
        one whose id is written in a form nobody understands yet."""
        if self._dialect.match_by == "destination":
            return not ledger.ids.names(self._carrier, NUMBER + digits(number))
        return not self.learns or self.learner.explains(ids)

    def tell(self) -> bool:
        """Log what was learnt or forgotten. Whether receipts that wait may fare better for it, or for what was seen."""
        news, self.learner.news = self.learner.news, []
        ripened, self.learner.ripened = self.learner.ripened, False
        for line in news:
            log.info("ids.learnt", carrier=self._carrier, what=line)
        return bool(news) or ripened

    def _known(self, keys: Sequence[str], number: str, ledger: Ledger) -> dict[str, Found]:
        hits = ((key, self._at(key, number, ledger)) for key in keys)
        return {key: hit for key, hit in hits if hit is not None}

    def _at(self, key: str, number: str, ledger: Ledger) -> Found | None:
        hit = ledger.ids.find(self._carrier, key, number)
        return self.renamed.find(ledger, key, number) if hit is None else hit

    def _another(self, part_id: str, number: str, ledger: Ledger) -> bool:
        """Whether the carrier may have one more open message to this handset, which no response has named."""
        unnamed = ledger.unnamed.to(self._carrier, number)
        return any(part.part_id != part_id and not part.final for part, _ in unnamed) or self.unanswered(number)

    def _believed(self, ids: Ids, keys: Sequence[str], hits: Sequence[Hit], now: float, again: bool) -> str:
        """Of the keys that name an attempt, the one to believe; "" for none."""
        if self.learns:
            return self.learner.judge(ids, hits, now, again)
        return next((key for key, _, agrees in hits if agrees or key == keys[0]), "")

    def _doubt(self, ids: Ids, number: str, ledger: Ledger, now: float) -> None:
        """Nothing fits what was learnt. What fits otherwise is not believed, but tells when the rule becomes wrong."""
        keys = self.learner.doubts(ids)
        found = self._known(keys, number, ledger)
        self.learner.judge(ids, [(key, (hit[0].part_id, hit[1]), hit[2]) for key, hit in found.items()], now)


def _key(found: Found) -> str:
    """What this attempt is kept under."""
    attempt = found[0].attempts[found[1]]
    return attempt.key or attempt.carrier_message_id
