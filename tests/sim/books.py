"""What the auditor writes down: copies, receipts and parts, in words of its own.

Rules:
- Facts only: seen on the wire, made durable, or found in the store. What they must come to is in `auditor`.

Walk: filled and judged by `auditor`; `Story` is made by `world` from a store that was opened again.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from tests.sim.network import Link
from tests.sim.wire import Pdu, Splitter

ERR_CHARACTERS = 4  # of what simulated carriers give to each message
EARLY_S = 5.0
"""Seconds before the end of its validity that a receipt must be durable to count as in time, for certain."""
TOGETHER_S = 2.0
"""Two words answered within this may have been read in the other order."""
WORD_OF_STATE = {
    "DELIVERED": "DELIVRD",
    "EXPIRED": "EXPIRED",
    "DELETED": "DELETED",
    "UNDELIVERABLE": "UNDELIV",
    "ACCEPTED": "ACCEPTD",
    "UNKNOWN": "UNKNOWN",
    "REJECTED": "REJECTD",
}
FINAL_WORDS = frozenset({"DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "REJECTD"})


@attrs.define
class Copy:
    """One submit_sm the engine wrote to a carrier."""

    tokens: tuple[str, ...]  # of the parts whose words it bears
    carrier: str
    link: str
    sequence_number: int
    written_at: float
    read: bool = False  # the carrier has it
    status: int | None = None  # what the carrier answered, heard by the engine or not
    heard: bool = False  # the engine read that answer
    message_id: str = ""


@attrs.define
class Attempt:
    """One durable attempt of a part."""

    carrier: str
    bind: str
    taken: str = ""  # the carrier's id, once its ESME_ROK is durable
    doubted: bool = False
    refused: bool = False
    throttled: bool = False
    repeats: int = 0  # as often again it was throttled there: throttled attempts in a row are kept as one
    withdrawn: bool = False
    resent: bool = False
    together: tuple[str, ...] = ()  # part ids of the message that went as one


@attrs.frozen
class Word:
    """A receipt that is durable."""

    carrier: str
    message_ids: frozenset[str]  # every way its id may be written
    state: str
    at: float


@attrs.define
class Paper:
    """One part, from its durable acceptance on."""

    part_id: str
    token: str
    esme: str
    wants_receipt: int
    multipart: str
    accepted_at: float
    validity_s: float
    parts: int = 1  # of its message
    attempts: list[Attempt] = attrs.field(factory=list)
    promised: bool = False  # the engine wrote ESME_ROK
    words: set[str] = attrs.field(factory=set)  # of receipts about it that the engine read
    queried: set[str] = attrs.field(factory=set)  # of those, what its carrier said when it was asked
    tells: int = 0  # deliver_sm written to its ESME
    reasons: int = 0  # to tell it again: refused by the ESME, or the link was lost with it
    acknowledged_at: float = -1.0  # its ESME's ESME_ROK was read by the engine, for the first time in
    acknowledged_in: int = -1  # this life of it
    told_word: str = ""
    said: set[tuple[str, str]] = attrs.field(factory=set)  # word and err of each receipt about it
    answered: list[tuple[str, float]] = attrs.field(factory=list)  # last words the engine answered, and when
    ticked_in: int = -1  # the life in which Told became durable

    def hears(self, word: str, err: str) -> None:
        """The engine read a receipt about it."""
        self.words.add(word)
        self.said.add((word, err))

    def answers(self, word: str, at: float) -> None:
        """The engine answered one."""
        if word in FINAL_WORDS:
            self.answered.append((word, at))

    def told(self, word: str) -> None:
        """Its carrier answered so when it was asked."""
        self.words.add(word)
        self.queried.add(word)

    def not_said(self, word: str, err: str) -> bool:
        """Whether this is no carrier's word about it. An err of ours has three digits, one of theirs is its own."""
        return len(err) == ERR_CHARACTERS and (word, err) not in self.said

    def overruled(self) -> str:
        """A second last word that took the place of the first, long after it was answered; "" while all is well.

        Not asked of a text that its platform submitted twice: whose of the two a word is cannot be told from the text.
        """
        taken = [attempt for attempt in self.attempts if not attempt.refused and not attempt.withdrawn]
        if len(taken) != 1 or len(self.answered) < 2 or self.told_word in self.queried:
            return ""
        (first, at), *others = self.answered
        later = [word for word, when in others if when > at + TOGETHER_S]
        allowed = {first, *(word for word, when in others if when <= at + TOGETHER_S)}
        return f"told {self.told_word}, said first {first}" if self.told_word in set(later) - allowed else ""

    def refuse(self, index: int, throttled: bool) -> None:
        """Attempt `index` was refused."""
        if index >= len(self.attempts):
            return  # it was overtaken, and never one
        last = self.attempts[index]
        last.refused, last.throttled = True, throttled
        before = self.attempts[index - 1] if index else None
        again = before is not None and before.throttled and before.carrier == last.carrier
        if before is not None and again and throttled and not last.doubted and index == len(self.attempts) - 1:
            before.repeats += 1
            self.attempts.pop()


@attrs.define
class Session:
    """One link, as heard from outside."""

    link: Link
    peer: str  # carrier name, or the system_id once it has bound
    carrier: bool
    splitters: dict[tuple[bool, bool], Splitter] = attrs.field(factory=dict)
    asked: dict[tuple[bool, int], Pdu] = attrs.field(factory=dict)  # (by engine, sequence) written, answer not yet read
    owed: dict[tuple[bool, int], Pdu] = attrs.field(factory=dict)  # (by engine, sequence) read, answer not yet written
    copies: dict[int, Copy] = attrs.field(factory=dict)  # by sequence
    in_flight: dict[int, float] = attrs.field(factory=dict)  # sequence -> written at


@attrs.frozen
class Story:
    """What the store tells of a part after all is over."""

    state: str
    final: bool
    at_rest: bool
    attempts: tuple[Attempt, ...]
    why: str


@attrs.frozen
class Terms:
    """What one carrier was promised: its window, contract and how long an answer may take."""

    window: int
    rate: float  # parts per second
    response_timeout_s: float
    sure: bool = True  # its ids are written alike in responses and receipts, or its config says how they differ


@attrs.define
class Pace:
    """A leaky bucket on the auditor's own clock: how far ahead of its contract a carrier was fed."""

    rate: float
    level: float = 0.0
    at: float = 0.0
    top: float = 0.0

    def count(self, now: float) -> float:
        """One part leaves; parts ahead of the contract."""
        self.level = max(0.0, self.level - self.rate * (now - self.at)) + 1.0
        self.at = now
        self.top = max(self.top, self.level)
        return self.level


def forms(message_id: str) -> set[str]:
    """How carriers write one id in responses and receipts: as it is, in other case, unpadded, hexadecimal, decimal."""
    bare = message_id.strip().removeprefix("0x")
    written = {message_id, bare, bare.lower(), bare.upper(), bare.lstrip("0")}
    for base in (10, 16):
        with contextlib.suppress(ValueError):
            number = int(bare, base)
            written |= {f"{number:x}", f"{number:X}", f"{number:d}", f"{number:010d}", f"{number:016x}"}
    return written


def unheeded(
    papers: Iterable[Paper], words: Iterable[Word], terms: Mapping[str, Terms], stories: Mapping[str, Story | None]
) -> Iterator[str]:
    """Good news that came in time, about a message whose id was known, must have ended it: where it did not."""
    taken: defaultdict[tuple[str, str], dict[object, list[Paper]]] = defaultdict(dict)
    for paper in papers:
        for attempt in paper.attempts:
            if attempt.taken and not attempt.doubted:
                for form in (attempt.taken, attempt.taken.lstrip("0")):
                    submit = taken[attempt.carrier, form].setdefault(attempt.together or paper.part_id, [])
                    submit.extend([] if paper in submit else [paper])
    for word in words:
        meant = {of: submit for form in word.message_ids for of, submit in taken.get((word.carrier, form), {}).items()}
        if word.state != "DELIVERED" or len(meant) != 1 or not terms[word.carrier].sure:
            continue
        for paper in next(iter(meant.values())):
            story = stories[paper.part_id]
            in_time = word.at < paper.accepted_at + paper.validity_s - EARLY_S
            if in_time and story is not None and story.state in ("UNKNOWN", "EXPIRED") and paper.words == {"DELIVRD"}:
                yield f"{paper.part_id} is {story.state} though its carrier said DELIVRD at {word.at:.3f}"
