"""What `decide` sees of a carrier: one value made for each plan, so that the plan can be made again a year later.

Rules:
- Numbers and words only, nothing that changes by itself: the same views give the same plan.
- The defaults are those of a carrier about which nothing is known: it is well, and takes everything.
- Fields are only added, at the end, with a default: recorded views outlive the code that wrote them.

Walk: `dossier` makes it, `carriers/station` adds what its binds know; `decide` and `spill` read it, `ops` shows it.
"""

from __future__ import annotations

from operator import itemgetter

import attrs

from smsroute.routing.health import ALIVE, HealthState
from smsroute.routing.score import Terms


@attrs.frozen
class CarrierView:
    """One carrier as it stands for one network. The defaults are those of a carrier about which nothing is known."""

    carrier: str
    state: HealthState = ALIVE
    since: float = 0.0  # monotonic seconds
    reason: str = ""
    quality: float = 1.0
    terms: Terms = ()
    latency_ms: float = 0.0  # what a part may expect, peak
    in_flight: int = 0
    headroom: int = 1  # parts it can take right now: windows and pace
    queued: int = 0
    rate: float = 1.0  # parts per second it can take, its pauses counted in
    contract: float = 1.0  # parts per second by contract
    capacity: float = 1.0  # share of the contract that congestion leaves, 0..1
    congestion: str = ""  # what congestion does about it, for people
    drained: str = ""  # why nothing new may go there
    bound: bool = True
    admit_share: float = 1.0  # by health: 0 dead, 1 all, between them the slow start
    probe: bool = False  # one part may go to ask whether it lives
    would: str = ""  # measured only (`shadow: true`): what would have been done with it
    given: float = 0.0  # parts per second given to it of late, by all routes

    @property
    def wait_s(self) -> float:
        """How long a part joining its queue would wait."""
        return self.queued / self.rate if self.rate > 0 else (float("inf") if self.queued else 0.0)

    @property
    def weakest(self) -> str:
        """The worst term, for people: "latency 0.40"; "" when all are well."""
        name, value = min(self.terms, key=itemgetter(1), default=("", 1.0))
        return f"{name} {value:.2f}" if value < 0.995 else ""
