"""A part that no carrier has may be taken back, or said in other words: what a Replaced event does to it.

Rules:
- Only a part that is due changes, and only what its sender may say anew: text, receipt, validity, date. Who it is from
  and for, its class, its place in its message and its age stay: it keeps its turn.
- Pure, and the same live and in recovery.

Walk: `ledger` calls `replaced` for each Replaced event, which `esmes/commands` makes; it and `esmes/present` ask who is
`free`.
"""

from __future__ import annotations

from smsroute.message import Blame, Part, Replaced, State
from smsroute.queues import Queues


def free(part: Part) -> bool:
    """Whether no carrier has it, or may have: it waits, and every attempt was refused or never left."""
    return part.state == State.DUE and all(
        attempt.withdrawn or attempt.blame not in (-1, Blame.OK, Blame.UNKNOWN) for attempt in part.attempts
    )


def replaced(part: Part, queues: Queues, event: Replaced) -> bool:
    """Make it so; False, and nothing changes, when another event overtook it and the part is due no more."""
    if part.state != State.DUE:
        return False
    part.body, part.kept, part.wants_receipt = event.body, event.kept, event.wants_receipt
    part.notify = event.notify
    queues.watch_anew(part, event.expires_at)
    if event.due_at:
        part.due_at = part.scheduled_at = event.due_at
        queues.reschedule(part, event.at)
    return True
