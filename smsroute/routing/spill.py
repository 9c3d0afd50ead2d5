"""Shares: who stands in which group, what each is fit for, and how load spills from group to group.

Rules:
- Groups take in order; each hands on what it is not fit for, no more.
- Whoever lives is fit for something, however little.
- Nobody is given more than it can take (`room`), as long as somebody else can take it.
- Who fell out of its band earns the way back: better by `hysteresis`, for `hold_s`, then a slow start. But nobody below
  the quality floor gets parts for the sake of that slow start: then who is on its way back takes more.

The idea and its figures stand in `decide`, which calls `stand`, `room`, `groups_of` and `spill` for each plan.

On room. A weight says what a carrier should have, not what it can take. Of a carrier with 100 a second by contract and
half of the weight, 400 a second of 1,000 would queue. Spilling by the length of the queue sends on what is too much,
but only once a second's worth waits there, for ever. So what was given to the carrier of late, over the share it was
meant to have (`inflow`), tells the demand, and the demand the share that it can take:

    room = share of late x rate / parts a second given to it of late          (by all routes and classes together)
    rate = what it can take, less what drains its queue within `queue_drain_s`
    given less than `room_from` of that rate: no limit, so that nobody waits to learn what is plain

Measured (tests/routing/test_fairness): 1,300 a second for a favourite that takes 1,000: it gets 990 of them and 0.11 s
of queue, 0.16 s at most (before: 1.48 s, for ever); the share moves between 0.72 and 0.78. Weights 70 : 30 over
contracts of 100 and 2,000 a second, 1,000 offered: 99 and 901, 0.11 s of queue (before: 1.46 s).

Limits: classes and routes are cut alike; that an otp goes first where it waits is the queues' business.

Walk: `decide.plan` -> here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, Literal

import attrs

from smsroute.config import Choice, Limits, Route
from smsroute.routing.inflow import lean
from smsroute.routing.views import CarrierView

Tier = Literal["primary", "backup", "panic", "probe", "waiting"]

FIT_MIN: Final = 1e-6
"""Whoever lives is fit for something: a part goes to the worst before it goes to nobody."""

ROOM_MIN: Final = 0.01
"""A carrier that others keep full is still asked a little, else this plan would never learn that it has room again."""

QUEUE_OK: Final = 0.1
"""Seconds of queue that need no draining: a burst."""

ROOM_RATE_MIN: Final = 0.5
"""Draining a queue takes at most so much of the rate from newcomers."""


@attrs.frozen
class Standing:
    """Whether a carrier is in the band, and since when it would or does belong there; handed from plan to plan."""

    inside: bool = True
    well_since: float | None = None  # outside, but good enough since then
    back_since: float | None = None  # inside again since then: slow start
    mean: float | None = None  # its share of late, up to `at`
    share: float = 0.0  # its share from `at` on
    at: float = 0.0  # monotonic seconds


INSIDE: Final = Standing()


@attrs.define
class Candidate:
    choice: Choice
    tier: Tier
    view: CarrierView
    standing: Standing
    mean: float | None = None  # its share of late
    room: float = inf  # the share it can take
    fit: float = 0.0
    share: float = 0.0

    @property
    def alive(self) -> bool:
        return self.view.admit_share > 0.0


def stand(
    route: Route, candidates: list[Candidate], limits: Limits, now: float, previous: Mapping[str, Standing]
) -> None:
    """Who is in the band of its tier, with hysteresis. `previous`: where each stood in the plan before."""
    for one in candidates:
        was = previous.get(one.choice.carrier)
        if was is not None and was.mean is not None:
            one.mean = lean(was.mean, was.share, max(0.0, now - was.at), limits.demand_tau_s)
    for tier in ("primary", "backup"):
        members = [one for one in candidates if one.tier == tier and one.alive]
        best = max((one.view.quality for one in members), default=1.0)
        least = limits.quality_floor if route.prefer == "cost" else best - limits.quality_band
        for one in members:
            was = previous.get(one.choice.carrier)
            one.standing = _standing(one.view.quality, least, was, limits, now)


def _standing(quality: float, least: float, was: Standing | None, limits: Limits, now: float) -> Standing:
    if was is None or was.inside:
        if quality < least:
            return Standing(inside=False)
        if was is None or (was.back_since is not None and now - was.back_since >= limits.slow_start_s):
            return INSIDE
        return was
    if quality < least + min(limits.hysteresis, limits.quality_band):
        return Standing(inside=False)
    well_since = now if was.well_since is None else was.well_since
    if now - well_since < limits.hold_s:
        return Standing(inside=False, well_since=well_since)
    return Standing(inside=True, back_since=now)


def groups_of(route: Route, candidates: list[Candidate], limits: Limits) -> list[list[Candidate]]:
    """The candidates in the order in which they take, equals together. The dead keep the place they had alive."""
    groups: list[list[Candidate]] = []
    for tier in ("primary", "backup"):
        inside = [one for one in candidates if one.tier == tier and one.standing.inside]
        outside = [one for one in candidates if one.tier == tier and not one.standing.inside]
        if route.prefer == "quality":
            groups.append(inside)
        else:
            band = limits.cost_band if route.prefer == "balanced" else 0.0
            inside.sort(key=lambda one: one.choice.cost)
            while inside:
                dearest = inside[0].choice.cost * (1.0 + band)
                groups.append([one for one in inside if one.choice.cost <= dearest])
                inside = [one for one in inside if one.choice.cost > dearest]
        outside.sort(key=lambda one: -one.view.quality)
        groups.extend([one] for one in outside)
    return [group for group in groups if group]


def room(view: CarrierView, share: float | None, limits: Limits) -> float:
    """The share of a plan's parts that the carrier can take: `share` is what the plans before gave it, of late."""
    rate = max(
        ROOM_RATE_MIN * view.rate, view.rate - max(0.0, view.queued / limits.queue_drain_s - QUEUE_OK * view.rate)
    )
    if share is None or view.given < limits.room_from * rate:
        return inf
    return max(ROOM_MIN, share * rate / view.given) if view.given > 0.0 else inf


def _fill(group: list[Candidate], takes: float) -> float:
    """Share `takes` by weight and fitness, nobody above its room; how much found room."""
    open_ = [one for one in group if one.fit]
    left = takes
    while open_ and left > 1e-12:
        scale = left / sum(one.choice.weight * one.fit for one in open_)
        full = [one for one in open_ if one.share + one.choice.weight * one.fit * scale > one.room]
        if not full:
            for one in open_:
                one.share += one.choice.weight * one.fit * scale
            return takes
        for one in full:
            left -= one.room - one.share
            one.share = one.room
        open_ = [one for one in open_ if one.share < one.room]
    return takes - max(0.0, left)


def spill(groups: list[list[Candidate]], limits: Limits, now: float) -> list[tuple[list[Candidate], str]]:
    """Give each candidate its share; pair each group with what made it necessary ("" for the first)."""
    left, short = 1.0, ""
    paired: list[tuple[list[Candidate], str]] = []
    for number, group in enumerate(groups):
        for one in group:
            one.fit = _fit(one, limits, now)
        if left > 0.0 and all(one.view.quality < limits.quality_floor for one in group):
            left = _hurry(groups[:number], limits, now, left)
        weights = sum(one.choice.weight for one in group)
        fit = sum(one.choice.weight * one.fit for one in group)
        takes = min(left, limits.overprovision * fit / weights)
        given = _fill(group, takes)
        paired.append((group, short))
        left = max(0.0, left - given)
        if left > 0.0:
            names = ", ".join(one.choice.carrier for one in group)
            words = f"{names} {fit / weights:.0%} fit" if given >= takes else f"{names} full at {given:.0%}"
            short = f"{short}; {words}" if short else words
    total = sum(one.share for group in groups for one in group)
    if total and left > 0.0:  # nobody is left to take the rest: all take more
        for group in groups:
            for one in group:
                one.share = min(1.0, one.share / total)
    return paired


def _hurry(groups: list[list[Candidate]], limits: Limits, now: float, left: float) -> float:
    """Before a carrier below the quality floor is asked: those on their way back into the band take what they could
    without their slow start. What is left after that."""
    for group in groups:
        if left <= 0.0 or all(one.standing.back_since is None for one in group):
            continue
        for one in group:
            one.fit = _fit(one, limits, now, hurry=True)
        weights = sum(one.choice.weight for one in group)
        could = limits.overprovision * sum(one.choice.weight * one.fit for one in group) / weights
        left = max(0.0, left - _fill(group, max(0.0, min(left, could - sum(one.share for one in group)))))
    return left


def _fit(one: Candidate, limits: Limits, now: float, *, hurry: bool = False) -> float:
    """How much of its weight a candidate can carry now, 0..1. `hurry`: a slow start back into the band aside."""
    view = one.view
    fit = view.admit_share * view.capacity * min(1.0, view.quality / limits.quality_floor)
    wait_s = view.wait_s
    if wait_s > limits.spill_wait_s:
        fit *= limits.spill_wait_s / wait_s
    back_since = one.standing.back_since
    if back_since is not None and limits.slow_start_s and not hurry:
        done = min(1.0, (now - back_since) / limits.slow_start_s)
        fit *= limits.slow_start_share + (1.0 - limits.slow_start_share) * done
    return max(fit, FIT_MIN) if one.alive else 0.0
