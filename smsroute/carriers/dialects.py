"""A carrier's `dialect:` as the rooms below understand it: how its receipts are read, and which of their states end.

Rules:
- Made once for each dialect and kept until a reload brings another.
- The words of the spec stand; the dialect's own are laid over them. What none of them knows ends nothing.

Walk: `carriers/receipts` asks `Dialects.of` for each read's worth and hands `reading` to `smpp.receipt`.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from smsroute.config import Dialect
from smsroute.config.hours import zone
from smsroute.message import State
from smsroute.smpp import receipt
from smsroute.smpp.names import MessageState

STATE_OF: Final[dict[int, State]] = {
    MessageState.DELIVERED: State.DELIVERED,
    MessageState.EXPIRED: State.EXPIRED,
    MessageState.DELETED: State.DELETED,
    MessageState.UNDELIVERABLE: State.UNDELIVERABLE,
    MessageState.SKIPPED: State.UNDELIVERABLE,
    MessageState.REJECTED: State.REJECTED,
}
"""SMPP's message_state -> our final state. What is not here is no last word: a false failure causes a paid resend."""


@attrs.frozen
class Spoken:
    """See the module."""

    dialect: Dialect
    reading: receipt.Reading
    ends: dict[int, State]  # message_state -> the final state it means here


class Dialects:
    """Those of all carriers, by name."""

    def __init__(self, pattern_characters_max: int) -> None:
        self._pattern_characters_max = pattern_characters_max
        self._spoken: dict[str, Spoken] = {}

    def of(self, carrier: str, dialect: Dialect) -> Spoken:
        """What `carrier` speaks just now."""
        known = self._spoken.get(carrier)
        if known is None or known.dialect is not dialect:
            known = self._spoken[carrier] = spoken(dialect, self._pattern_characters_max)
        return known


def spoken(dialect: Dialect, pattern_characters_max: int) -> Spoken:
    """A dialect made ready."""
    ends = dict(STATE_OF)
    if dialect.accepted == "final":
        ends[MessageState.ACCEPTED] = State.ACCEPTED
    if dialect.unknown == "final":
        ends[MessageState.UNKNOWN] = State.UNKNOWN
    own = {word: int(MessageState[meant.upper()]) for word, meant in dialect.states.items()}
    reading = receipt.Reading(
        states={**receipt.STAT_WORDS, **own},
        final=frozenset(ends),
        pattern=re.compile(dialect.pattern) if dialect.pattern else None,
        pattern_characters_max=pattern_characters_max,
        without_esm_class=dialect.without_esm_class,
        zone=zone(dialect.time_zone),
    )
    return Spoken(dialect, reading, ends)
