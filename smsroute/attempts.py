"""What the attempts of a part say together: which one a receipt means, and whether another may still deliver.

Rules:
- Pure questions of one part; only `fold_throttled` changes it, and only while the ledger applies an event.

Walk: asked by `ledger`.
"""

from __future__ import annotations

from smsroute.message import Blame, Part, Receipted


def fold_throttled(part: Part) -> None:
    """Carriers that throttle for hours must not grow a part: such attempts in a row are one a carrier, with a count."""
    last = part.attempts[-1]
    if last.blame != Blame.THROTTLED or last.doubted:
        return
    for before in part.attempts[-2::-1]:
        if before.blame != Blame.THROTTLED:
            return
        if before.carrier == last.carrier:
            before.repeats += 1
            part.attempts.pop()
            return


def lives_on(part: Part, index: int) -> bool:
    """Whether another attempt than this one may still reach the handset: then bad news of this one ends nothing.

    A later one may unless it was refused; an earlier one if the carrier took it under a name, which its own receipt
    will bear. What is known to have failed may not.
    """
    for at, other in enumerate(part.attempts):
        if at == index or other.withdrawn or other.told:
            continue
        if other.blame == Blame.OK and (at > index or other.carrier_message_id or other.lead):
            return True
        if other.blame == -1 and at > index:
            return True
    return False


def attempt_meant(part: Part, event: Receipted) -> int:
    """The index of the attempt a receipt of this part means: the one its keys name, else the last."""
    attempts = part.attempts
    if len(attempts) > 1:
        for index, attempt in enumerate(attempts):
            if attempt.carrier == event.carrier and (attempt.key or attempt.carrier_message_id) in event.keys:
                return index
    return len(attempts) - 1
