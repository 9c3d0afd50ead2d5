"""The dice of a simulated carrier: what becomes of each submit and each receipt, in one temperament and mode.

Rules:
- One judge, one temperament, one mode; a change makes a new one (and starts `age_s` again for growing delays).
- All chance comes from the generator handed in, in a fixed order, so that a seed replays.

Walk: `SimCarrier._submits` asks `verdict` and `decide_fates`; `spread` groups what waits equally long.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, TypeVar

from smsroute.sim.idforms import RESPONSE_ID
from smsroute.sim.temperament import TABLE_SIZE, Delay, Mode, Temperament, habit
from smsroute.sim.wheel import STEP_S
from smsroute.sim.wire import Submit
from smsroute.smpp import names

T = TypeVar("T")


ERRS: Final = 36**4


def err_of(number: int) -> str:
    """Four characters of [0-9A-Z], another for each of a million and a half messages in a row."""
    left, written = number * 1_000_003 % ERRS, ""
    for _ in range(4):
        left, digit = divmod(left, 36)
        written += "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit]
    return written


class Judge:
    """A temperament in a mode, with its dice."""

    def __init__(self, temperament: Temperament, mode: Mode, rng: random.Random, now: float) -> None:
        self.temperament: Final = temperament
        self.habit: Final = habit(temperament, mode)
        self.response_id: Final = RESPONSE_ID[temperament.ids]
        self.unruly_receipts: Final = any(
            (
                temperament.receipts_lost,
                temperament.receipts_doubled,
                temperament.receipts_early,
                temperament.receipts_elsewhere,
                temperament.receipts_stale,
                temperament.receipts_conflicting,
            )
        )
        self._rng = rng
        self._since = self._credit_at = now
        self._credit = temperament.throttle_above_s

    def refill(self, now: float) -> None:
        """Let throttle_above_s grow back: a bucket of one second's worth. Once a batch."""
        above = self.temperament.throttle_above_s
        if above:
            self._credit = min(max(1.0, above), self._credit + above * (now - self._credit_at))
            self._credit_at = now

    def verdict(self, unanswered: int) -> int:
        """command_status of the next submit on a bind that has `unanswered` ones waiting."""
        statuses = self.habit.statuses
        if statuses:
            status = statuses[int(self._rng.random() * len(statuses))]
            if status:
                return status
        temperament = self.temperament
        if temperament.throttle_above_s:
            if self._credit < 1.0:
                return names.ESME_RTHROTTLED
            self._credit -= 1.0
        if temperament.window and unanswered >= temperament.window:
            return names.ESME_RTHROTTLED
        return names.ESME_ROK

    def decide_fates(self, submits: Iterable[Submit]) -> None:
        """Write into each submit what its handset will make of it."""
        outcomes = self.habit.outcomes
        if len(outcomes) == 1:
            for submit in submits:
                submit.word = outcomes[0]
        else:
            for submit in submits:
                submit.word = outcomes[int(self._rng.random() * TABLE_SIZE)]
        if self.temperament.errs_unique:
            for submit in submits:
                submit.err = err_of(submit.number)

    def throw(self, share: float) -> bool:
        """True `share` of the times; a share of 0 throws no die."""
        return share > 0.0 and self._rng.random() < share

    def spread(self, delay: Delay, items: list[T], now: float) -> Iterable[tuple[float, list[T]]]:
        """`items` in groups by how long each is to wait, in seconds; within a group their order stays."""
        age_s = now - self._since
        if len(delay.table) == 1:
            return ((delay.draw(self._rng, age_s), items),)
        groups: dict[int, list[T]] = {}
        for item in items:
            groups.setdefault(int(delay.draw(self._rng, age_s) / STEP_S), []).append(item)
        return ((step * STEP_S, group) for step, group in groups.items())
