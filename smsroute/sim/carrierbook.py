"""A simulated carrier's own book: each message it took, what became of it, and every receipt it sent of it.

Rules:
- Written where things happen at the carrier: what an engine says of itself is never asked. A reckoning holds this book
  against a platform's.
- Kept only when asked for: it costs memory for each message.
- A receipt counts as told when it was answered with ESME_ROK; until then the carrier owes it.

Walk: `SimCarrier` keeps a list of entries, `Teller` writes the facts; read by `tools/receipts` and by tests.
"""

from __future__ import annotations

import enum

import msgspec


class Kind(enum.IntEnum):
    """Which receipt of a message it is."""

    FINAL = 0
    ON_THE_WAY = 1
    CONFLICTING = 2  # a second final word that contradicts the first


class Fact(msgspec.Struct):
    """One receipt. Times are monotonic seconds, 0.0 when it did not happen."""

    kind: Kind
    word: str
    err: str
    made_at: float
    sent_at: float = 0.0  # for the first time
    sent: int = 0  # how often, doubles and repetitions included
    answered_at: float = 0.0
    bind: str = ""


class Entry(msgspec.Struct):
    """One message the carrier took. Times are monotonic seconds."""

    text: bytes
    destination: str
    response_id: str
    taken_at: float
    word: str
    err: str
    wants: bool  # a receipt
    lost: bool = False  # the temperament lost its receipt
    early: bool = False  # its receipt left before its response
    died: bool = False  # its link was gone before its response could leave
    facts: list[Fact] = msgspec.field(default_factory=list)

    @property
    def told(self) -> Fact | None:
        """The first final word that was answered."""
        finals = [fact for fact in self.facts if fact.kind != Kind.ON_THE_WAY and fact.answered_at]
        return min(finals, key=lambda fact: fact.answered_at, default=None)
