"""What stands aside at a carrier, in words: for `health`, and for one message in `explain`.

Rules:
- Reads, never changes; counts rows, not parts: a hundred thousand parts under one cap cost one look.
- What a dead or drained carrier holds back is its health's to tell, not told here.

Walk: `carriers/station` asks, for `ops`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from smsroute.lane import Key, Lane
from smsroute.policy.caps import Caps, words
from smsroute.policy.holds import Holds


def aside(lanes: Iterable[Lane]) -> Counter[Key]:
    """Parts that stand aside, by key, over all classes."""
    parts: Counter[Key] = Counter()
    for lane in lanes:
        for key, row in lane.aside.items():
            parts[key] += len(row)
    return parts


def of_carrier(caps: Caps | None, lanes: Iterable[Lane]) -> list[str]:
    """Each cap that keeps parts waiting, the full handsets, and messages that are not whole yet."""
    parts = aside(lanes)
    said = [
        f"capped: {words(key, rate)}, {_wait(parts[key])}"
        for key, rate in (caps.rates.items() if caps is not None else ())
        if parts[key]
    ]
    full = [n for key, n in parts.items() if key[0] == "to"]
    if full:
        said.append(f"{len(full)} full handset{'s' if len(full) > 1 else ''}, {_wait(sum(full))}")
    missing = sum(n for key, n in parts.items() if key[0] == "merge")
    if missing:
        said.append(f"{_wait(missing)} for other parts of their message")
    return said


def of_message(
    name: str, caps: Caps | None, holds: Holds, lanes: Iterable[Lane], asked: tuple[str, int, str], now: float
) -> list[str]:
    """What bounds a message of (ESME, class, destination) at the carrier `name`, used up or not. `now`: monotonic
    seconds."""
    esme, message_class, to = asked
    parts = aside(lanes)
    said: list[str] = []
    if caps is not None:
        said.extend(
            f"capped: {words(key, caps.rates[key])} at {name}, {_wait(parts[key])}"
            for key in caps.of(esme, message_class)
        )
    times = holds.times(to)
    if times:
        said.append(
            f"the queue of {to} is full at {name} ({times} in a row), held for {holds.held(to, now):.0f} s more"
        )
    return said


def _wait(parts: int) -> str:
    return f"{parts:,} wait" if parts else "nobody waits"
