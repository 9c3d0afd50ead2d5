"""How full the engine is for one ESME, in the words of SMPP 5.0's congestion_state (section 4.8.4.18).

Rules:
- The fullest of what a submit needs says it: memory, the ESME's share of it, the disk's queue, the ESME's own rate. So
  80..89 is the best use of what it may have, from 90 on it should slow down, and at 100 the next part is refused.
- Told to v5 sessions only, in each answer to a message, refusals too: that is where it is needed most. Nobody else ever
  sees it: smpplib dies of it (quirks S26, S28).

Walk: `esmes/accept` puts it behind its answers, once a read.
"""

from __future__ import annotations

from typing import Final

from smsroute.config import Esme, Limits
from smsroute.esmes.client import Client
from smsroute.ledger import Ledger
from smsroute.policy.allowance import Allowance
from smsroute.smpp.names import CONGESTION_STATE, VERSION_5_0
from smsroute.smpp.wire import build_tlv
from smsroute.store.journal import Journal

FULL: Final = 100
ROUNDING: Final = 1e-6  # 1 - 9/10 is a little less than a tenth


class Fullness:
    """See the module."""

    def __init__(self, ledger: Ledger, journal: Journal, limits: Limits) -> None:
        self._ledger = ledger
        self._journal = journal
        self._limits = limits

    def state(self, esme: Esme, allowance: Allowance, now: float) -> int:
        """0 idle .. 100 congested. `now`: monotonic seconds."""
        if self._journal.failing is not None:
            return FULL
        limits, ledger = self._limits, self._ledger
        share = max(
            ledger.held / limits.open_messages_max,
            ledger.held_by[esme.name] / limits.esme_open_messages_max,
            self._journal.waiting / limits.journal_waiting_max,
            allowance.used_share(now),
        )
        return max(0, min(FULL, int(share * FULL + ROUNDING)))

    def tail(self, client: Client, allowance: Allowance, now: float) -> bytes:
        """The TLV for a v5 session."""
        assert client.esme is not None and client.version >= VERSION_5_0
        return build_tlv(CONGESTION_STATE, bytes((self.state(client.esme, allowance, now),)))
