"""A decision written down: what `decide.plan` was given and what it said, so that anybody may decide it again later.

Rules:
- Everything `plan` read is here and nothing it did not: the route's entries, the class, the views, where each carrier
  stood before, the limits by value. `replay` needs no engine, no config and no clock.
- A record is kept when a decision materially changes, not each time it is made: see `Stood.still`.
- It explains a message, it is no fact of one. A crash may lose the last seconds of records and no message with them.
- Fields are only added, with a default; names, not places, tell them apart in the blob.

Drawback of the simple way. An attempt's own sentence says why its carrier was taken, not why the others were not; and
ten plans a second and key, kept whole, are more octets than the messages.

Idea. A plan is compared with the last one kept for its key: the same carriers in the same tiers, each within
`decision_share` of its share, and the same carriers refused in the same state of health, make it the same decision.
Drift counts, because the comparison is with what was kept. A decision that stands is kept anew each
`decision_refresh_s`, so that its numbers do not grow too old and old rows can be forgotten by their age alone.

    kept = last[route, network, class]
    if kept and (now < kept.at + decision_interval or plan is like kept): nothing
    else: keep it

Measured (Python 3.11, 2 shared cores): see `ops/decisions`.

Limits: what changes and changes back within `decision_interval_s` is not seen; shares between two records are known to
within `decision_share`; numbers (latency, queued) are those of the moment the record was made.

Walk: `ops/decisions` keeps records, the store their blobs; `ops/story`, `ops/explain` and `ops/whatif` read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from smsroute.config import Choice, InDoubt, Limits, Route
from smsroute.message import MessageClass
from smsroute.routing import decide
from smsroute.routing.decide import Plan, Ranked
from smsroute.routing.spill import Standing
from smsroute.routing.views import CarrierView

LIMITS_READ: Final = (
    "cost_band",
    "demand_tau_s",
    "hold_s",
    "hysteresis",
    "overprovision",
    "panic_healthy_share",
    "pick_tolerance",
    "probe_wait_s",
    "quality_band",
    "quality_floor",
    "queue_drain_s",
    "room_from",
    "slow_start_s",
    "slow_start_share",
    "spill_wait_s",
)
"""The knobs that `plan` looks at; tests/routing/test_record.py sees it read no other."""


class Unreadable(Exception):
    """A blob that is no record of this version; says why."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision. `now`, and the times in `views` and `stood`, are monotonic seconds of the engine that made it."""

    at: float  # Unix seconds
    now: float
    digest: str  # of the config
    route: str
    place: str  # file:line of the route
    network: str
    message_class: int
    prefer: str
    classes: tuple[int, ...]
    in_doubt: dict[int, tuple[str, float]]  # class -> kind, after_s
    carriers: tuple[Choice, ...]
    backup: tuple[Choice, ...]
    views: dict[str, CarrierView]
    stood: dict[str, Standing]  # before: what the plan was handed
    limits: dict[str, float]
    choices: tuple[Ranked, ...]
    refused: tuple[tuple[str, str], ...]
    probes: tuple[Ranked, ...]
    panic: bool
    reason: str


@attrs.frozen
class Stood:
    """What of a kept decision the next ones are compared with."""

    shares: Mapping[tuple[str, str], float]  # (carrier, tier) -> share
    refused: tuple[tuple[str, object], ...]  # carrier, state of health or why it is drained
    panic: bool

    def still(self, plan: Plan, views: Mapping[str, CarrierView], tolerance: float) -> bool:
        """Whether `plan` is the same decision: nobody joined or left, no share moved by `tolerance`, no refusal and no
        tier changed."""
        shares = self.shares
        if len(plan.choices) != len(shares) or len(plan.refused) != len(self.refused) or plan.panic != self.panic:
            return False
        for one in plan.choices:
            was = shares.get((one.carrier, one.tier))
            if was is None or not -tolerance < one.weight - was < tolerance:
                return False
        return not plan.refused or _refusals(plan, views) == self.refused


def stood(plan: Plan, views: Mapping[str, CarrierView]) -> Stood:
    """What to compare the decisions after `plan` with."""
    shares: dict[tuple[str, str], float] = {(one.carrier, one.tier): one.weight for one in plan.choices}
    return Stood(shares, _refusals(plan, views), plan.panic)


def _refusals(plan: Plan, views: Mapping[str, CarrierView]) -> tuple[tuple[str, object], ...]:
    """Who is refused and in what state: the sentences count seconds, and would differ each time."""
    found: list[tuple[str, object]] = []
    for carrier, _ in plan.refused:
        view = views.get(carrier)
        found.append((carrier, None if view is None else view.drained or (view.state if view.bound else "unbound")))
    return tuple(found)


def record(
    plan: Plan,
    network: str,
    views: Mapping[str, CarrierView],
    previous: Plan | None,
    limits: Limits,
    digest: str,
    at: float,
) -> Record:
    """`plan` with everything it was made of. `previous` as `decide.plan` got it; `at`: Unix seconds of its making."""
    route = plan.route
    return Record(
        at=at,
        now=plan.at,
        digest=digest,
        route=route.name,
        place=f"{route.path}:{route.line}" if route.line else route.path,
        network=network,
        message_class=plan.message_class,
        prefer=route.prefer,
        classes=tuple(map(int, route.classes)),
        in_doubt={int(c): (policy.kind, policy.after_s) for c, policy in route.in_doubt.items()},
        carriers=route.carriers,
        backup=route.backup,
        views=dict(views),
        stood=dict(previous.standing) if previous is not None else {},
        limits={name: getattr(limits, name) for name in LIMITS_READ},
        choices=plan.choices,
        refused=plan.refused,
        probes=plan.probes,
        panic=plan.panic,
        reason=plan.reason,
    )


def replay(record: Record) -> Plan:
    """The plan, made again from what the record holds."""
    route = route_of(record)
    known = {field.name for field in attrs.fields(Limits)}
    given: dict[str, Any] = {name: value for name, value in record.limits.items() if name in known}
    limits = attrs.evolve(Limits(), **given)
    before = Plan(
        route=route,
        message_class=record.message_class,
        choices=(),
        refused=(),
        probes=(),
        waiting=Ranked("", 0.0, "waiting", ""),
        panic=False,
        reason="",
        at=record.now,
        standing=record.stood,
        wheel=(),
        tolerance=limits.pick_tolerance,
    )
    return decide.plan(route, record.message_class, record.views, limits, record.now, before)


def route_of(record: Record) -> Route:
    """The route as `plan` saw it: what a message must be like to take it is left out, but for the classes."""
    path, _, line = record.place.rpartition(":")
    return Route(
        name=record.route,
        to=(record.network,),
        classes=tuple(map(MessageClass, record.classes)),
        prefer=record.prefer,  # type: ignore[arg-type]
        in_doubt={MessageClass(c): InDoubt(kind, after_s) for c, (kind, after_s) in record.in_doubt.items()},  # type: ignore[arg-type]
        carriers=record.carriers,
        backup=record.backup,
        line=int(line) if line.isdigit() else 0,
        path=path,
    )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def pack(record: Record) -> bytes:
    """The record as the store keeps it."""
    return _encoder.encode(record)


def unpack(blob: bytes) -> Record:
    """The record that was packed. Raises Unreadable."""
    try:
        return _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error
