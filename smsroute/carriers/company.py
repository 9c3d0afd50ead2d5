"""Who goes with whom: the parts of a message that a carrier wants as one message_payload (`submit: {long: payload}`).

DRAWBACK of the simple way
    Parts come one by one, each answered when it is durable, and the first could leave before the last is there. To put
    them together at the door would hold back answers (law 1), and tie a message to carriers that want it so.

IDEA
    Nothing is held anywhere new. A part is due and queues, as any; at a carrier that wants payloads it stands aside
    until all of its message wait there, and the last to come takes all with it: one submit, an attempt of each. Each
    stays a part of its own, that may expire, be cancelled, or move to a carrier that takes parts. What never becomes
    whole goes as it came.

PSEUDOCODE
    one look at a part:
        a part of its message has gone, or has ended:   as it came (unless all went as one, and come back in doubt)
        all wait here, and fit together (`smpp/merge`): all of them
        else, until `merge_wait_s` after the newest:    it waits

LIMITS
    `merge_wait_s`. One submit takes one place in the window and one token of pace, however long it is; its parts cost
    what they cost. Parts of different classes, or that differ in more than their words, go as they came.

Rules:
- Pure; asked at each look, and nothing is remembered: after a restart it is found out anew.

Walk: `carriers/lanes` asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from smsroute.ledger import Ledger
from smsroute.message import DUE, IN_DOUBT, Part
from smsroute.smpp.codec import PduError
from smsroute.smpp.merge import merge
from smsroute.smpp.rewrite import Unfit


def company(part: Part, ledger: Ledger, wall: float, wait_s: float) -> Sequence[Part] | None:
    """The parts that go in one submit with `part`, which is due, in order, it among them; empty while it waits for some
    of them; None when it goes by itself. `wall`: Unix seconds."""
    message = sorted([part, *ledger.families.sisters(part)], key=lambda one: one.number)
    if any(one.state != DUE and not _comes_back(one) for one in message):
        return None
    if len(message) == part.parts and all(
        one.state == DUE and one.carrier == part.carrier and not ledger.queues.waits(one) for one in message
    ):
        return message if _fit(message) else None
    newest = max(one.due_at for one in message)
    return () if abs(wall - newest) < wait_s else None


def _comes_back(part: Part) -> bool:
    """Whether it went with all the others and is in doubt as they are: it is sent again with them, if they are."""
    return part.state == IN_DOUBT and bool(part.attempts[-1].lead or part.attempts[-1].led)


def incomplete(party: Sequence[Part] | None) -> bool:
    """Whether `company` says to wait."""
    return party is not None and not party


def _fit(message: Sequence[Part]) -> bool:
    """Whether they can be one submit, and share whatever becomes of it."""
    if any(one.message_class != message[0].message_class for one in message):
        return False
    try:
        merge([one.body for one in message])
    except (Unfit, PduError):
        return False
    return True
