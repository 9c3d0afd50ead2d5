"""A platform's book: what it submitted, what it was promised, what it was told.

Rules:
- A message is promised by ESME_ROK and its message_id, told by the first receipt with that id; later ones are doubles.
- A receipt that comes before its response waits in `early`; what stays there belongs to a message whose response
  never came.
- Flat arrays, a word an octet: a million messages in a few tens of megabytes.

Walk: written by `SimEsme`, read by its report, by tests and by the demo.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Final

import attrs

from smsroute.sim.meter import Histogram
from smsroute.sim.workload import Workload

# Status of a message while no response has said anything
WAITING: Final = -1  # not submitted yet, or submitted and unanswered
DOUBTED: Final = -2  # the link or the timer went first


VOCABULARY_MAX: Final = 255  # different receipt words told apart


@attrs.frozen
class Promise:
    """One message as the platform knows it. Times are monotonic seconds, 0.0 when it did not happen."""

    number: int
    destination_addr: str
    short_message: bytes
    submitted_at: float
    responded_at: float
    command_status: int  # WAITING or DOUBTED when no response came
    message_ids: tuple[str, ...]  # more than one when it was submitted again and both were taken
    receipts: tuple[str, ...]  # words, in the order they came
    told_at: float = 0.0  # the first of them


class Book:
    """Every message of one workload, by number."""

    def __init__(self) -> None:
        self.submitted_at = array("d")
        self.responded_at = array("d")
        self.told_at = array("d")
        self.statuses = array("q")
        self.numbers: dict[str, int] = {}
        self.early: dict[str, list[tuple[str, float]]] = {}
        self.word_counts: Counter[str] = Counter()
        self.last_response_at = 0.0
        self.last_receipt_at = 0.0
        self._words = bytearray()
        self._vocabulary = [""]
        self._spelling: dict[str, int] = {}
        self._doubles: dict[int, list[str]] = {}

    def submitted(self, numbers: list[int], now: float) -> None:
        """These leave now, for the first time or again. New ones continue where the last ended."""
        fresh = numbers[-1] + 1 - len(self.statuses)
        if fresh > 0:
            self.submitted_at.extend([now] * fresh)
            self.responded_at.extend([0.0] * fresh)
            self.told_at.extend([0.0] * fresh)
            self.statuses.extend([WAITING] * fresh)
            self._words.extend(bytes(fresh))

    def accepted(self, number: int, message_id: str, latency: Histogram, now: float) -> bool:
        """ESME_ROK came; whether a receipt that overtook it told the message already."""
        self.statuses[number] = 0
        self.responded_at[number] = self.last_response_at = now
        self.numbers[message_id] = number
        if not self.early:
            return False
        told = False
        for word, at in self.early.pop(message_id, ()):
            told |= self._write(number, word, latency, at)
        return told

    def told(self, message_id: str, word: str, latency: Histogram, now: float, keep: bool) -> bool:
        """A receipt came; whether it was the first of a promised message. `keep` False forgets the id after it."""
        number = self.numbers.get(message_id) if keep else self.numbers.pop(message_id, None)
        if number is None:
            self.early.setdefault(message_id, []).append((word, now))
            return False
        return self._write(number, word, latency, now)

    def _write(self, number: int, word: str, latency: Histogram, at: float) -> bool:
        self.last_receipt_at = at
        if self._words[number]:
            self._doubles.setdefault(number, []).append(word)
            return False
        code = self._spelling.get(word)
        if code is None:
            code = self._spelling[word] = min(len(self._vocabulary), VOCABULARY_MAX)
            self._vocabulary.append(word)
        self._words[number] = code
        self.told_at[number] = at
        self.word_counts[word] += 1
        latency.add(at - self.submitted_at[number])
        return True

    def promises(self, workload: Workload, count: int) -> Iterator[Promise]:
        """The first `count` messages."""
        ids: dict[int, list[str]] = {}
        for message_id, number in self.numbers.items():
            ids.setdefault(number, []).append(message_id)
        for number in range(count):
            destination_addr, short_message = workload.key(number)
            code = self._words[number]
            yield Promise(
                number,
                destination_addr,
                short_message,
                self.submitted_at[number],
                self.responded_at[number],
                self.statuses[number],
                tuple(ids.get(number, ())),
                (self._vocabulary[code], *self._doubles.get(number, ())) if code else (),
                self.told_at[number],
            )
