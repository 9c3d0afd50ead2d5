"""Who is bound to a simulated carrier: accounts, and the binds each holds.

Rules:
- What waits for a bind outlives it: it goes back to the account when the bind dies.
- Every queue is bounded (WAITING_MAX); the oldest receipts go first, as with real carriers that purge (quirks O3).

Walk: made by `SimCarrier._serve` and `_bind`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from smsroute.sim.link import SimLink

WAITING_MAX: Final = 1_000_000

COUNTED: Final = (
    "binds_accepted",
    "binds_refused",
    "submits",
    "taken",
    "unreadable",
    "queries",
    "other_requests",
    "submits_s_max",
    "unanswered_max",
    "receipts_sent",
    "receipts_answered",
    "receipts_refused",
    "receipts_given_up",
    "receipts_unanswered",
    "receipts_lost",
    "receipts_doubled",
    "receipts_early",
    "receipts_elsewhere",
)
"""Keys of `SimCarrier.counts`."""

Row = tuple[int, int, str]
"""command_status, sequence_number, message_id of one response."""


class Account:
    """One system_id: its binds, and the receipts none of them could take yet."""

    def __init__(self, system_id: str) -> None:
        self.system_id = system_id
        self.links: list[CarrierLink] = []
        self.waiting: deque[bytes] = deque(maxlen=WAITING_MAX)

    def receivers(self) -> list[CarrierLink]:
        return [link for link in self.links if link.receiver and link.up]


class CarrierLink(SimLink):
    """One bind an engine holds with us."""

    name = ""
    account: Account | None = None
    receiver = False
    tlvs = True
    unanswered = 0

    def start(self) -> None:
        self.rows: list[Row] = []
        self.early: deque[bytes] = deque()
        self.waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
