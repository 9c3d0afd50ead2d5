"""Who is bound to a simulated carrier: accounts, and the binds each holds.

Rules:
- What waits for a bind outlives it: it goes back to the account when the bind dies.
- Every queue is bounded (WAITING_MAX); the oldest receipts go first, as with real carriers that purge (quirks O3).

Walk: made by `SimCarrier._serve` and `_bind`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from smsroute.sim.carrierbook import Fact
from smsroute.sim.link import SimLink
from smsroute.sim.wire import Submit

WAITING_MAX: Final = 1_000_000

RETRIED: Final = frozenset({0x08, 0x14, 0x45, 0x58, 0x67, 0xFE, 0xFF})
"""deliver_sm_resp statuses after which a carrier sends the receipt again (quirks S39); others end it."""

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
    "receipts_intermediate",
    "receipts_stale",
    "receipts_conflicting",
)
"""Keys of `SimCarrier.counts`."""

Row = tuple[int, int, str]
"""command_status, sequence_number, message_id of one response."""

Judged = tuple[Row, Submit | None]

Seen = Callable[[str, float, Submit, int], None]
"""What is told of each submit: (bind name, monotonic seconds, the submit, command_status it gets)."""


class Notice(msgspec.Struct, gc=False):
    """A deliver_sm or data_sm on its way to an engine."""

    command_id: int
    body: bytes
    fact: Fact | None = None  # the receipt in the carrier's own book

    def left(self, bind: str, now: float) -> None:
        """It goes out by `bind` (monotonic seconds)."""
        if self.fact is not None:
            self.fact.sent += 1
            if not self.fact.sent_at:
                self.fact.sent_at, self.fact.bind = now, bind

    def answered(self, now: float) -> None:
        """ESME_ROK came for it."""
        if self.fact is not None and not self.fact.answered_at:
            self.fact.answered_at = now


class Account:
    """One system_id: its binds, and the receipts none of them could take yet."""

    def __init__(self, system_id: str) -> None:
        self.system_id = system_id
        self.links: list[CarrierLink] = []
        self.waiting: deque[Notice] = deque(maxlen=WAITING_MAX)

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
        self.early: deque[Notice] = deque()
        self.waiting: deque[Notice] = deque(maxlen=WAITING_MAX)
