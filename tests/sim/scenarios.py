"""Named worlds: one trouble each, calm otherwise, so that what must come of it can be said exactly.

Rules:
- A scenario is a function of a seed; `tools/simulate --scenario NAME --seed N` replays it.
- Calm means: kind carriers that deliver everything, hold in doubt, receipts asked for. Limits stay small.

Walk: `test_scenarios.py` runs each and says what must come of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from smsroute.config import Choice, InDoubt, Limits
from smsroute.message import MessageClass
from smsroute.sim.temperament import Temperament
from tests.sim.faults import FOR_GOOD
from tests.sim.options import Options, options

KIND = Temperament(response_delay="0.05", receipt_delay="1", sick_share=1.0)
FAILOVER_S = 2.0
"""The failover bound of law 6: seconds a message may wait for its first carrier while a healthy one with spare rate
serves its destination."""
HOLD = dict.fromkeys(MessageClass, InDoubt("hold"))
VALIDITY_S = 120.0


def calm(seed: int, **temperament: Any) -> Options:
    """The world of `seed` without its troubles: two carriers of equal worth, two platforms."""
    drawn = options(seed)
    carriers = tuple(
        attrs.evolve(
            one,
            temperament=attrs.evolve(KIND, ids=one.temperament.ids, **temperament),
            config=attrs.evolve(one.config, window=5, rate=50.0),
        )
        for one in drawn.carriers[:2]
    )
    esmes = tuple(
        attrs.evolve(
            one,
            config=attrs.evolve(one.config, validity_s=VALIDITY_S, default_class=MessageClass.INFO, receipts="part"),
            settings=attrs.evolve(one.settings, resubmit_doubted=False),
            workload=attrs.evolve(one.workload, registered_delivery=1),
        )
        for one in drawn.esmes
    )
    choices = tuple(Choice(one.name, cost=0.01) for one in carriers)
    route = attrs.evolve(drawn.routes[0], carriers=choices, backup=(), in_doubt=HOLD, hours=())
    quiet = attrs.evolve(drawn, faults=(), disk_latency_s=(0.0005, 0.01), safety_s=40.0, mo_rate=0.0)
    return attrs.evolve(quiet, carriers=carriers, esmes=esmes, routes=(route,))


def _with(*faults: str, failover_s: float = math.inf, **temperament: Any) -> Callable[[int], Options]:
    def make(seed: int) -> Options:
        return attrs.evolve(calm(seed, **temperament), faults=faults, failover_s=failover_s)

    return make


def _one_handset(seed: int) -> Options:
    """Every message goes to one of two handsets, several at a time, and receipts come in every order: early, doubled,
    on other binds, on the way before and after, and some contradicted a second later."""
    base = calm(
        seed,
        receipt_delay="lognormal:2:1",
        errs_unique=True,
        receipts_early=0.2,
        receipts_doubled=0.3,
        receipts_elsewhere=0.3,
        receipts_intermediate=0.3,
        receipts_stale=0.3,
        receipts_conflicting=0.3,
    )
    esmes = tuple(attrs.evolve(one, workload=attrs.evolve(one.workload, subscribers=2)) for one in base.esmes)
    return attrs.evolve(base, esmes=esmes)


def _sick(fault: str) -> Callable[[int], Options]:
    """One of two carriers falls sick in the middle of traffic and stays so, with limits as they are in production."""

    def make(seed: int) -> Options:
        base = calm(seed)
        # In one part each: the later parts of a message wait for the carrier that has the first (law 8).
        esmes = tuple(
            attrs.evolve(
                one,
                settings=attrs.evolve(one.settings, rate=3.0),
                workload=attrs.evolve(one.workload, parts=1, messages=150),
            )
            for one in base.esmes
        )
        limits = Limits(receipt_grace_s=60.0)
        return attrs.evolve(base, faults=(fault,), esmes=esmes, limits=limits, safety_s=60.0, failover_s=FAILOVER_S)

    return make


SCENARIOS: dict[str, Callable[[int], Options]] = {
    "calm": calm,
    "throttle-storm": _with("throttle_storm", failover_s=FAILOVER_S),
    "cut": _with("cut"),
    "half-open": _with("half_open", failover_s=FAILOVER_S),
    "power-off": _with("power_off"),
    "receipt-disorder": _with(receipts_early=0.4, receipts_doubled=0.5, receipts_elsewhere=0.5),
    "one-handset": _one_handset,
    **{f"one-carrier-{name.removeprefix('one_')}": _sick(name) for name in FOR_GOOD},
    "disk-full": _with("disk_full"),
}
