"""How many parts a second were given to a carrier of late, and what share of them a plan meant it to have: one kernel.

Rules:
- Both means forget alike, so their quotient is the demand: given = demand x share holds for the means as for the values
  while the share changes, as long as the demand does not.

Drawback of the simple way. Divide what was given in the last second by the share in force now, and a share that has
just been halved looks like twice the demand; it is halved again, and so on: traffic swings.

Idea. mean += (value - mean) * (1 - exp(-dt / tau)), with the same tau for the parts and for the share.

Walk: `carriers/station` counts parts in an Inflow and shows its rate in the view; `decide` keeps the mean shares from
plan to plan; `spill` divides.
"""

from __future__ import annotations

from math import exp

STEP_S = 0.05
"""Shorter steps wait for the next: a count over a few milliseconds is noise."""


class Inflow:
    """Parts given to one carrier. `now` is monotonic seconds."""

    __slots__ = ("_at", "_mean", "_tau_s", "count")

    def __init__(self, tau_s: float, now: float) -> None:
        self.count = 0  # since the last look: whoever gives a part adds one
        self._tau_s = tau_s
        self._mean = 0.0
        self._at = now

    def rate(self, now: float) -> float:
        """Parts a second, of late."""
        seconds = now - self._at
        if seconds >= STEP_S:
            self._mean = lean(self._mean, self.count / seconds, seconds, self._tau_s)
            self.count, self._at = 0, now
        return self._mean


def lean(mean: float, value: float, seconds: float, tau_s: float) -> float:
    """The mean after `seconds` of `value`."""
    return mean + (value - mean) * (1.0 - exp(-seconds / tau_s))
