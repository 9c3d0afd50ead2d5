"""Receipts held against each other: what carriers told of a message, and what its platform was told.

Rules:
- Pure: the books of carriers and platform in, figures out; the engine's own opinion is not asked.
- A message is known by the number in its text, its fate by a word and an err that only its carrier knows.
- *Matched*: its carrier told a last word and had it answered, and the platform was told exactly that word and err; of
  two last words the first answered, or one that was on its way at the same time. *Missed*: the platform was told a word
  of our own instead. *Wrong*: it was told what no carrier said of this message.
- *Twice*: a receipt that the platform had answered came again; *again after the kill* when its answer was so young that
  it may have died with the engine.

Walk: `receipts_town` writes into `Books` and asks `figures`; `receipts_run` prints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs

from smsroute.sim.book import Promise
from smsroute.sim.carrierbook import Entry, Fact, Kind
from smsroute.sim.workload import TEXT_DIGITS

YOUNG_S = 1.0
OUR_WORDS = ("UNKNOWN", "EXPIRED")
COUNTED = (
    "taken",
    "lost",
    "early",
    "doubled",
    "died",
    "told",
    "matched",
    "missed",
    "wrong",
)


@attrs.frozen
class Telling:
    """One receipt, as the platform got it. `at`: monotonic seconds."""

    word: str
    err: str
    at: float


class Books:
    """What the platform was told, by message id."""

    def __init__(self) -> None:
        self.heard: defaultdict[str, list[Telling]] = defaultdict(list)

    def told(self, message_id: str, word: str, err: str, at: float) -> None:
        """A receipt came."""
        self.heard[message_id].append(Telling(word, err, at))


def number_of(text: bytes) -> int:
    """The message a text belongs to."""
    return int(text[-TEXT_DIGITS:])


def last_words(entries: Iterable[Entry]) -> list[Fact]:
    """The final words about one message that were answered, the first answered first."""
    facts = [fact for entry in entries for fact in entry.facts if fact.kind != Kind.ON_THE_WAY and fact.answered_at]
    return sorted(facts, key=lambda fact: fact.answered_at)


def verdict(entries: Sequence[Entry], telling: Telling) -> str:
    """matched, missed, wrong, or ours: no carrier's word was answered, and none was told."""
    facts = last_words(entries)
    first = [fact for fact in facts if fact.sent_at <= facts[0].answered_at]
    if any((fact.word, fact.err) == (telling.word, telling.err) for fact in first):
        return "matched"
    unanswered = (fact for entry in entries for fact in entry.facts if fact.sent_at and not fact.answered_at)
    if not facts and any((fact.word, fact.err) == (telling.word, telling.err) for fact in unanswered):
        return "ours"  # it was read, and its answer died with the engine
    own = telling.word in OUR_WORDS and all(telling.err != entry.err for entry in entries)
    if own and not _anybodys(telling):
        return "missed" if facts else "ours"
    return "wrong"


def _anybodys(telling: Telling) -> bool:
    """Whether this err is one that simulated carriers give to their messages: ours have three digits."""
    return len(telling.err) > 3


def figures(
    pages: Mapping[str, Sequence[Entry]],
    promises: Sequence[Promise],
    books: Books,
    kills: Sequence[float],
) -> dict[str, Any]:
    """Everything the books say. `pages`: each carrier's book; `kills`: when the engine was killed (monotonic)."""
    taken: defaultdict[int, list[tuple[str, Entry]]] = defaultdict(list)
    for carrier, entries in pages.items():
        for entry in entries:
            taken[number_of(entry.text)].append((carrier, entry))
    by_carrier: dict[str, dict[str, int]] = {carrier: dict.fromkeys(COUNTED, 0) for carrier in pages}
    for carrier, entries in pages.items():
        _count(by_carrier[carrier], entries)
    never = twice = again = ours = 0
    examples: list[str] = []
    promised: set[str] = set()
    for promise in promises:
        promised.update(promise.message_ids)
        if promise.command_status:
            continue
        tellings = [one for message_id in promise.message_ids for one in books.heard.get(message_id, ())]
        if not tellings:
            never += 1
            continue
        for before, _ in pairwise(tellings):
            young = any(kill - YOUNG_S <= before.at <= kill + YOUNG_S for kill in kills)
            again, twice = again + young, twice + (not young)
        mine = taken.get(promise.number, [])
        said = verdict([entry for _, entry in mine], tellings[0])
        ours += said == "ours"
        for carrier in {carrier for carrier, _ in mine}:
            if said != "ours":
                by_carrier[carrier][said] += 1
        if said in ("missed", "wrong") and len(examples) < 20:
            examples.append(_example(said, promise, mine, tellings[0]))
    strangers = {message_id: told for message_id, told in books.heard.items() if message_id not in promised}
    known = {(fact.word, fact.err) for rows in taken.values() for _, entry in rows for fact in entry.facts}
    foreign = sum(
        _anybodys(one) and (one.word, one.err) not in known for told in strangers.values() for one in told[:1]
    )
    total = {key: sum(row[key] for row in by_carrier.values()) for key in COUNTED}
    matched_of = total["matched"] + total["missed"] + total["wrong"]
    return {
        "messages": len(promises),
        "accepted": sum(not promise.command_status for promise in promises),
        "without_response": len(strangers),  # accepted as the engine died: told all the same
        "never_told": never,
        "twice": twice + sum(len(told) - 1 for told in strangers.values() if not _by_kill(told[0], kills)),
        "again_after_kill": again,
        "told_by_timer": ours,
        "match_rate": total["matched"] / matched_of if matched_of else 0.0,
        **{key: total[key] for key in COUNTED},
        "wrong": total["wrong"] + foreign,
        "carriers": by_carrier,
        "examples": examples,
    }


def _by_kill(telling: Telling, kills: Sequence[float]) -> bool:
    return any(kill - YOUNG_S <= telling.at <= kill + YOUNG_S for kill in kills)


def _count(row: dict[str, int], entries: Sequence[Entry]) -> None:
    row["taken"] = len(entries)
    for entry in entries:
        row["lost"] += entry.lost
        row["early"] += entry.early
        row["died"] += entry.died
        row["doubled"] += any(fact.sent > 1 for fact in entry.facts)
        row["told"] += bool(last_words([entry]))


def _example(said: str, promise: Promise, mine: Sequence[tuple[str, Entry]], telling: Telling) -> str:
    rows = "; ".join(
        f"{carrier} as {entry.response_id}: "
        + ", ".join(f"{fact.word} {fact.err} sent {fact.sent_at - entry.taken_at:.2f} s after" for fact in entry.facts)
        for carrier, entry in mine
    )
    return (
        f"{said}: message {promise.number} to {promise.destination_addr}, told {telling.word} {telling.err} "
        f"{telling.at - promise.submitted_at:.1f} s after its submit; {rows or 'no carrier took it'}"
    )
