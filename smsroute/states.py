"""The words of a part's life: message classes, blames, states, what changes a state, and the table that says how.

Rules:
- A state changes only as `STATES` says, and only by `message.transition`. A final state never changes (law 5).
- The numbers stand in journals and stores: none ever gets a second meaning.

Walk: other rooms take these from `message`.
"""

from __future__ import annotations

import enum
from typing import Final


class MessageClass(enum.IntEnum):
    """What a message is for; the smaller number goes first."""

    OTP = 0
    ALERT = 1
    INFO = 2
    MARKETING = 3


class Blame(enum.IntEnum):
    """Whose fault an outcome is (design section 6). Only carrier faults reach a score."""

    OK = 0
    THROTTLED = 1  # carrier: slow down, nothing was taken
    CONGESTED = 2  # carrier or handset queue full
    TRANSIENT = 3  # carrier: try elsewhere
    PERMANENT_MESSAGE = 4  # subscriber or content: nobody's fault, no route will do
    PERMANENT_ROUTE = 5  # account, bind or right: this route will not do
    UNKNOWN = 6  # timer or lost link: nobody knows


class State(enum.IntEnum):
    """Where a part is. Numbers from 10 are final."""

    DUE = 0  # ours to send, now or at due_at
    ATTEMPTED = 1  # offered to a bind, unanswered
    IN_DOUBT = 2  # written to a link that died or timed out; held
    SUBMITTED = 3  # the carrier took it; a receipt is awaited
    ACCEPTED = 10  # the carrier took it, and no more is asked for, or will ever be told
    DELIVERED = 12
    EXPIRED = 13
    DELETED = 14
    UNDELIVERABLE = 15
    UNKNOWN = 17  # ended without anybody knowing
    REJECTED = 18
    RECEIVED = 20  # a handset wrote it: it was never ours to send, and waits for the ESME that owns the number


FIRST_FINAL: Final = int(State.ACCEPTED)


class Cause(enum.IntEnum):
    """Why a state changes."""

    ATTEMPTED = 0
    WITHDRAWN = 1  # the attempt never left: the link was gone before its bytes
    TAKEN = 2  # response ok, receipt awaited
    TAKEN_SILENT = 3  # response ok, no receipt asked
    RETRY = 4  # refused, may go again
    REFUSED = 5  # refused for good
    DOUBTED = 6
    REQUEUED = 7  # an in-doubt part may go again
    RECEIPT_DELIVERED = 8
    RECEIPT_EXPIRED = 9
    RECEIPT_DELETED = 10
    RECEIPT_UNDELIVERABLE = 11
    RECEIPT_REJECTED = 12
    RECEIPT_UNKNOWN = 13
    EXPIRED = 14  # our own validity timer
    GIVEN_UP = 15  # nobody will ever tell
    CANCELLED = 16  # by its sender, before a carrier had it
    RECEIPT_ACCEPTED = 17  # ACCEPTD, where the carrier's dialect says that it is the last word


class Tell(enum.IntEnum):
    """Under whose name an ESME hears how a part ended (its `receipts: part | message`)."""

    OWN = 0  # its own: a receipt a part
    WAITING = 1  # its message's, which is not told of yet
    SPEAKER = 2  # its own, for the whole message
    SILENT = 3  # another part speaks for it, or nobody asked


_RECEIPTS: Final[dict[int, State]] = {
    Cause.RECEIPT_DELIVERED: State.DELIVERED,
    Cause.RECEIPT_EXPIRED: State.EXPIRED,
    Cause.RECEIPT_DELETED: State.DELETED,
    Cause.RECEIPT_UNDELIVERABLE: State.UNDELIVERABLE,
    Cause.RECEIPT_REJECTED: State.REJECTED,
    Cause.RECEIPT_UNKNOWN: State.UNKNOWN,
    Cause.RECEIPT_ACCEPTED: State.ACCEPTED,
}

# A receipt ends a part wherever it waits: that of an earlier attempt in doubt may overtake a later attempt.
# A late "taken" for an attempt in doubt takes the part back out of the due queue.
# fmt: off
_TAKEN: Final[dict[int, State]] = {
    Cause.TAKEN: State.SUBMITTED, Cause.TAKEN_SILENT: State.ACCEPTED, Cause.REFUSED: State.REJECTED,
}
STATES: Final[dict[int, dict[int, State]]] = {
    State.DUE:       {**_TAKEN, **_RECEIPTS, Cause.ATTEMPTED: State.ATTEMPTED, Cause.EXPIRED: State.EXPIRED,
                      Cause.CANCELLED: State.DELETED},
    State.ATTEMPTED: {**_TAKEN, **_RECEIPTS, Cause.RETRY: State.DUE, Cause.WITHDRAWN: State.DUE,
                      Cause.DOUBTED: State.IN_DOUBT},
    State.IN_DOUBT:  {**_TAKEN, **_RECEIPTS, Cause.RETRY: State.DUE, Cause.REQUEUED: State.DUE,
                      Cause.GIVEN_UP: State.UNKNOWN},
    State.SUBMITTED: {**_RECEIPTS, Cause.GIVEN_UP: State.UNKNOWN},
}
# fmt: on

STATE_OF_RECEIPT: Final[dict[int, int]] = {state: cause for cause, state in _RECEIPTS.items()}
"""Final state told by a receipt -> the cause that brings a part there."""

# The same numbers as plain ints, for what every message goes through: Python 3.11 takes 60 ns to find a member of an
# enum, each time, and less than 5 to find one of these.
DUE: Final = int(State.DUE)
ATTEMPTED: Final = int(State.ATTEMPTED)
IN_DOUBT: Final = int(State.IN_DOUBT)
SUBMITTED: Final = int(State.SUBMITTED)
ACCEPTED: Final = int(State.ACCEPTED)
DELIVERED: Final = int(State.DELIVERED)
RECEIVED: Final = int(State.RECEIVED)
OK: Final = int(Blame.OK)
CAUSE_ATTEMPTED: Final = int(Cause.ATTEMPTED)
CAUSE_TAKEN: Final = int(Cause.TAKEN)
