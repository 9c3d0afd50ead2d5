"""What the ledger counts.

Rules:
- Only the ledger changes it, and only while it applies an event.

Walk: owned by `ledger`; its checkpoint keeps all of it; `ops` and `smsroute health` read sizes and counts.
"""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct):
    """What has happened since this node's first day; kept by the checkpoint."""

    accepted: int = 0
    attempted: int = 0
    withdrawn: int = 0
    doubted: int = 0
    requeued: int = 0
    moved: int = 0
    overtaken: int = 0  # events that came too late to change a state
    delivered: int = 0
    expired: int = 0
    failed: int = 0  # undeliverable, rejected, deleted, unknown
    handed_over: int = 0  # accepted by a carrier, no receipt asked
    told: int = 0
    dropped: int = 0  # receipts an ESME never took, dead-lettered
    receipts: int = 0
    receipts_matched: int = 0
    receipts_intermediate: int = 0
    receipts_duplicate: int = 0
    receipts_conflicting: int = 0
    receipts_late: int = 0  # for a part that had left memory
    receipts_of_sisters: int = 0  # parts that the receipt of another part of their message ended
    receipts_superseded: int = 0  # bad news of an attempt while a later one may still deliver
    orphans_parked: int = 0  # = matched + aged + those parked now
    orphans_matched: int = 0
    orphans_aged: int = 0
    delivered_twice: int = 0  # receipts that say so of a second attempt, too
    ids_reused: int = 0  # ids a carrier gave again while their message was open
    orphans_adopted: int = 0  # of those matched: found their attempt without its id being the plain one
    queried: int = 0  # carriers asked what became of a part, and answered or failed to
    arrived: int = 0  # messages from handsets
    notices_told: int = 0  # words on the way that an ESME answered for, or never took
