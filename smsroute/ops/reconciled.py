"""How a carrier's receipts and our messages come together, as `smsroute health --json` tells it: carriers[].receipts.

Rules:
- Counts and shares are since the engine started, delays of the last `receipt_window`; a figure nobody has yet is null.
- What a figure means stands at `carriers/tally`; this only names it.

Walk: `snapshot` calls `receipts` for each carrier; `metrics` and `cli/health` show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from smsroute.ops.words import iso
from smsroute.routing.dossier import Dossier
from smsroute.smpp.learn import Learner

QUANTILES: Final = (0.5, 0.9, 0.99)
NOBODY: Final = (None, None, None)

Document = dict[str, Any]


class Delays(Protocol):
    """`routing.spread.Spread`."""

    def quantiles(self, shares: tuple[float, ...], now: float) -> tuple[float, ...] | None: ...


class Figures(Protocol):
    """`carriers.tally.Figures`."""

    asked: int
    ended: int
    delivered: int
    unheard: int
    parked: int
    claimed: int
    odd: Counter[str]

    @property
    def waiting(self) -> int: ...
    @property
    def match_rate(self) -> float | None: ...
    @property
    def orphan_rate(self) -> float | None: ...
    @property
    def delivered_share(self) -> float | None: ...


class Network(Figures, Protocol):
    """`carriers.tally.Network`."""

    @property
    def delays(self) -> Delays: ...


class Tally(Protocol):
    """`carriers.tally.Tally`."""

    @property
    def overall(self) -> Figures: ...
    @property
    def networks(self) -> Mapping[str, Network]: ...
    def delays(self, shares: tuple[float, ...], now: float) -> tuple[float, ...] | None: ...


class Naming(Protocol):
    """`carriers.naming.Naming`."""

    learner: Learner

    @property
    def learns(self) -> bool: ...


def receipts(tally: Tally, dossier: Dossier, naming: Naming, orphans: int, constant: int, now: float) -> Document:
    """The document of one carrier. `orphans`: of its receipts that are parked; `constant`: its ids that came with every
    message; `now`: monotonic seconds."""
    heard = dossier.overall.score.receipts
    total = _figures(tally.overall)
    learner = naming.learner
    strange = {"ambiguous-id": learner.ambiguous, "constant-id": constant, "unlearnt": learner.unlearnt}
    total["anomalies"] |= {kind: count for kind, count in strange.items() if count}
    p50, p90, p99 = _rounded(tally.delays(QUANTILES, now))
    networks = tally.networks.items()
    return {
        "delivered_ratio": rounded(heard.delivered_ratio()),
        "delay_s_p50": p50,
        "delay_s_p90": p90,
        "delay_s_p99": p99,
        "silent_s": round(heard.silent_for_s(now), 1),
        "matched": dossier.receipt_times.count,
        "orphans": orphans,
        "ids": ids(naming),
        "total": total,
        "networks": [
            {
                "network": network,
                **dict(
                    zip(
                        ("delay_s_p50", "delay_s_p90", "delay_s_p99"),
                        _rounded(one.delays.quantiles(QUANTILES, now)),
                        strict=True,
                    )
                ),
            }
            | _figures(one)
            for network, one in sorted(networks)
        ],
    }


def ids(naming: Naming) -> Document:
    """What `auto` has learnt of its ids, by where they stand in receipts."""
    learnt = naming.learner.learnt().items() if naming.learns else ()
    return {
        "learns": naming.learns,
        "learnt": [
            {"place": place, "rule": rule, "receipts": evidence, "since": iso(since)}
            for place, (rule, evidence, since) in sorted(learnt)
        ],
        "words": naming.learner.words() if naming.learns else [],
    }


def _figures(one: Figures) -> Document:
    return {
        "asked": one.asked,
        "ended": one.ended,
        "delivered": one.delivered,
        "unheard": one.unheard,
        "waiting": one.waiting,
        "parked": one.parked,
        "claimed": one.claimed,
        "match_rate": rounded(one.match_rate),
        "orphan_rate": rounded(one.orphan_rate),
        "delivered_share": rounded(one.delivered_share),
        "anomalies": dict(sorted(one.odd.items())),
    }


def _rounded(found: Sequence[float] | None) -> Sequence[float | None]:
    return NOBODY if found is None else [rounded(seconds) for seconds in found]


def rounded(value: float | None) -> float | None:
    """To four places."""
    return None if value is None else round(value, 4)
