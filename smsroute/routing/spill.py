"""Shares: who stands in which group, what each is fit for, and how load spills from group to group.

Rules:
- Groups take in order; each hands on what it is not fit for, no more.
- Whoever lives is fit for something, however little.
- Who fell out of its band earns the way back: better by `hysteresis`, for `hold_s`, then a slow start.

The idea and its figures stand in `decide`, which calls `stand`, `groups_of` and `spill` for each plan.

Walk: `decide.plan` -> here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs

from smsroute.config import Choice, Limits, Route
from smsroute.routing.views import CarrierView

Tier = Literal["primary", "backup", "panic", "probe", "waiting"]

FIT_MIN: Final = 1e-6
"""Whoever lives is fit for something: a part goes to the worst before it goes to nobody."""


@attrs.frozen
class Standing:
    """Whether a carrier is in the band, and since when it would or does belong there; handed from plan to plan."""

    inside: bool = True
    well_since: float | None = None  # outside, but good enough since then
    back_since: float | None = None  # inside again since then: slow start


INSIDE: Final = Standing()


@attrs.define
class Candidate:
    choice: Choice
    tier: Tier
    view: CarrierView
    standing: Standing
    fit: float = 0.0
    share: float = 0.0

    @property
    def alive(self) -> bool:
        return self.view.admit_share > 0.0


def stand(
    route: Route, candidates: list[Candidate], limits: Limits, now: float, previous: Mapping[str, Standing]
) -> None:
    """Who is in the band of its tier, with hysteresis. `previous`: where each stood in the plan before."""
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


def spill(groups: list[list[Candidate]], limits: Limits, now: float) -> list[tuple[list[Candidate], str]]:
    """Give each candidate its share; pair each group with what made it necessary ("" for the first)."""
    left, short = 1.0, ""
    paired: list[tuple[list[Candidate], str]] = []
    for group in groups:
        for one in group:
            one.fit = _fit(one, limits, now)
        weights = sum(one.choice.weight for one in group)
        fit = sum(one.choice.weight * one.fit for one in group)
        takes = min(left, limits.overprovision * fit / weights)
        for one in group:
            one.share = takes * one.choice.weight * one.fit / fit if fit else 0.0
        paired.append((group, short))
        left -= takes
        if left > 0.0:
            names = ", ".join(one.choice.carrier for one in group)
            short = f"{short}; {names} {fit / weights:.0%} fit" if short else f"{names} {fit / weights:.0%} fit"
    total = sum(one.share for group in groups for one in group)
    if total and left > 0.0:  # nobody is left to take the rest: all take more
        for group in groups:
            for one in group:
                one.share = min(1.0, one.share / total)
    return paired


def _fit(one: Candidate, limits: Limits, now: float) -> float:
    """How much of its weight a candidate can carry now, 0..1."""
    view = one.view
    fit = view.admit_share * view.capacity * min(1.0, view.quality / limits.quality_floor)
    wait_s = view.wait_s
    if wait_s > limits.spill_wait_s:
        fit *= limits.spill_wait_s / wait_s
    back_since = one.standing.back_since
    if back_since is not None and limits.slow_start_s:
        done = min(1.0, (now - back_since) / limits.slow_start_s)
        fit *= limits.slow_start_share + (1.0 - limits.slow_start_share) * done
    return max(fit, FIT_MIN) if one.alive else 0.0
