"""The message ids we hand out: opaque to ESMEs, readable to us.

Rules:
- At most 20 characters of [0-9A-Z]: nine of time (milliseconds, base 36), five of a counter, up to six of node name.
  They sort by time, never repeat, and say which node and when without a look-up.
- Never behind the last one, even when the clock steps back or the engine restarts: the ledger gives the last one.

Walk: `esmes/accept` makes them; `smsroute trace` reads them.
"""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_COUNTER_MAX: Final = 36**5
NODE_CHARACTERS_MAX: Final = 6
_SHAPE: Final = re.compile(r"([0-9A-Z]{9})([0-9A-Z]{5})([0-9A-Z]{1,6})")


class MessageIds:
    """Makes the ids of one node."""

    def __init__(self, node: str, last: str = "") -> None:
        """`node`: 1..6 letters or digits. `last`: the newest id this node has handed out, if any."""
        self._node = node.upper()
        assert _SHAPE.fullmatch("0" * 14 + self._node), f"node {node!r} is not 1..6 letters or digits"
        self._ms = int(last[:9], 36) + 1 if last else 0
        self._prefix = _base36(self._ms, 9)
        self._counter = 0

    def make(self, now: float) -> str:
        """The next id. `now`: Unix seconds."""
        ms = int(now * 1000)
        if ms > self._ms:
            self._ms, self._counter = ms, 0
            self._prefix = _base36(ms, 9)
        elif self._counter == _COUNTER_MAX:
            self._ms, self._counter = self._ms + 1, 0
            self._prefix = _base36(self._ms, 9)
        counter = self._counter
        self._counter = counter + 1
        high, low = divmod(counter, 1296)
        return f"{self._prefix}{_DIGITS[high // 1296]}{_PAIRS[high % 1296]}{_PAIRS[low]}{self._node}"


def read(message_id: str) -> tuple[str, float] | None:
    """(node, Unix seconds) of an id of ours, or None when it is not one."""
    match = _SHAPE.fullmatch(message_id)
    return None if match is None else (match[3], int(match[1], 36) / 1000)


def lowest(at: float) -> str:
    """Below every id made from `at` (Unix seconds) on, above every one made before."""
    return _base36(int(at * 1000), 9)


def _base36(number: int, width: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")
