"""The binds of one carrier, judged against each other: one that is sick while its sisters are well is ejected alone.

Rules:
- Blame goes to the bind first: its faults are held back from the carrier's figures as long as its sisters are well, and
  forgotten there when it is ejected. When the sisters are no better, or it takes parts again, the carrier is told.
- Never the last: a bind is ejected alone only while another lives, and at most `bind_ejected_share_max` of them are.
  What cannot be a bind's fault is the carrier's, and there the same machine judges.
- A carrier that is dead has no sick binds: what fell sick together with it is pardoned, so one trial and one slow start
  bring all back.

Drawback of the simple way. Of four links one hangs, or its front end refuses everything. Counted for the carrier, the
carrier is 25 % sick and is ejected, with three good links; not counted, a quarter of its parts is lost for as long as
the link hangs. And one cut link's parts in flight, fifty unanswered in one batch, look like a carrier that died.

Idea. Each bind has the machine of `health`, and the carrier is asked about its majority: its latency and the age of
what it has not answered are what more than half of its binds reach. A bind is judged quicker than a carrier
(`bind_slow_dead_s`), as little is lost by being wrong.

    well(sister):    bound, not drained, alive, no fault since its last taken part, not slow
    on a fault:      half of the other live ones well: hold it back;  else: tell the carrier all that is held
                     the row is long enough: eject the bind, forget what was held, forgive the carrier's counts
    on a taken part: tell the carrier what is held, then this one
    parts go to:     the live bind with the least load for its share (slow start counts against the best of them);
                     all bound ones when none lives

Measured (one of two binds falls sick, 40 messages a second, tests/carriers/test_sick_binds): it refuses everything: out
after its fifth fault, and 11 parts in all went to the backup; it hangs or answers after 5 s: out after 3 s, at most 9
did. The carrier stayed alive throughout. A batch of taken parts costs 0.35 us more.

Limits: at a part or two a second the idle sister of a sick bind is taken for well, so its first faults are looked for
there before the carrier is judged: some ten parts instead of five. A carrier with one sending bind has no sisters.

Walk: kept by `dossier`, which asks `answered` what the carrier is to hear; `carriers/station` asks `shares`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from smsroute.config import Limits
from smsroute.message import Blame
from smsroute.routing.health import ALIVE, DEAD, Health
from smsroute.routing.outcome import FAULTS
from smsroute.routing.score import Score

_OK: Final = int(Blame.OK)
_FAULTS: Final = frozenset(int(one) for one in FAULTS)


@attrs.frozen
class Said:
    """Answers of one blame, as `Dossier.answered` takes them."""

    network: str
    blame: int
    latency_s: float
    now: float
    n: int
    sent_at: float
    asked: int = 0


class Sister:
    """One bind: its figures, its machine, and what the carrier has not been told about it yet."""

    __slots__ = ("age_s", "health", "held", "score", "slow", "standing")

    def __init__(self, limits: Limits, name: str, now: float, shadow: bool) -> None:
        self.score = Score(limits, now)
        self.health = Health(limits, name, now, shadow=shadow, slow_dead_s=limits.bind_slow_dead_s)
        self.held: list[Said] = []
        self.standing = False  # bound, and nobody drained it
        self.slow = False  # when last looked at
        self.age_s = 0.0  # of its oldest unanswered part, when last looked at

    @property
    def lives(self) -> bool:
        """Whether parts may go by it."""
        return self.standing and (self.health.state is ALIVE or self.health.shadow)

    @property
    def well(self) -> bool:
        """Whether it speaks for the carrier: nothing is wrong here."""
        return self.standing and self.health.calm and not self.slow


class Sisters:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, names: Sequence[str], limits: Limits, now: float, *, shadow: bool = False) -> None:
        self.members: dict[str, Sister] = {}
        self.even = True  # nobody that is bound is out or in a slow start: parts go by load alone
        self._limits = limits
        self.adopt(names, now, shadow)

    @property
    def changes(self) -> int:
        """Grows with every change of a bind's health."""
        return sum(one.health.changes for one in self.members.values())

    def adopt(self, names: Sequence[str], now: float, shadow: bool) -> None:
        """The binds there are from now on: what is known of those that stay, stays."""
        known = self.members
        self.members = {name: known.get(name) or Sister(self._limits, name, now, shadow) for name in names}
        for sister in self.members.values():
            sister.health.shadow = shadow
        self._ejected_max = max(1, int(self._limits.bind_ejected_share_max * len(names)))
        self._weigh(now)

    # -- what happened -------------------------------------------------------------------------------------------------

    def answered(self, name: str, said: Said, rng: random.Random) -> tuple[list[Said] | None, bool]:
        """(what the carrier is to hear now, or None for just this; whether this bind was just ejected alone).

        The bind's score has counted it already: `dossier` counts every answer there, and asks here about some.
        """
        sister = self.members[name]
        health = sister.health
        if said.blame == _OK and health.calm:
            return None, False
        was = health.state
        others = self._others(sister)
        if was is not ALIVE:
            health.on_outcome(said.blame, said.now, rng, said.n, said.sent_at)
            if health.state is ALIVE:
                sister.score.forgive()
            self._weigh(said.now)
            # While sisters live, one that is out speaks for itself alone.
            return ([] if others and said.blame != _OK else None), False
        if said.blame not in _FAULTS:
            health.on_outcome(said.blame, said.now, rng, said.n, said.sent_at)
            return (None if said.blame != _OK else [*self._release(sister), said]), False
        if said.sent_at < health.alive_since:
            return [], False  # sent before it was out, which has dealt with it
        alone = self._alone(others)
        health.barred = "" if alone else "its sisters are no better"
        health.on_outcome(said.blame, said.now, rng, said.n, said.sent_at)
        if health.state is DEAD:
            sister.held.clear()
            self._weigh(said.now)
            return [], True
        if alone and len(sister.held) < self._limits.dead_row_faults:
            sister.held.append(said)
            return [], False
        return [*self._release(sister), said], False

    def up(self, name: str, now: float) -> None:
        """A bind came up."""
        sister = self.members[name]
        sister.standing = True
        sister.health.on_bind_up(now)
        self._weigh(now)

    def down(self, name: str, reason: str, now: float, rng: random.Random) -> list[Said]:
        """A bind is gone; what the carrier has yet to hear: nothing, when sisters are up."""
        sister = self.members[name]
        sister.standing = False
        sister.health.on_bind_down(reason, now, rng)
        self._weigh(now)
        held = self._release(sister)
        return [] if self._others(sister) else held

    def tick(self, ages_s: Mapping[str, float], now: float, rng: random.Random) -> tuple[list[Said], bool]:
        """Judge each. `ages_s`: of the oldest unanswered part, of each that is bound and not drained.

        Returns what the carrier is to hear now, and whether a bind was just ejected alone.
        """
        limits = self._limits
        told: list[Said] = []
        ejected = False
        sheets = []
        for name, sister in self.members.items():
            sister.standing = name in ages_s
            sister.age_s = ages_s.get(name, 0.0)
            figures = sister.score.figures(now, sister.age_s)
            sister.slow = figures.latency_s > limits.latency_tolerance * figures.baseline_s or (
                figures.samples >= limits.dead_samples_min and figures.success < limits.dead_success_share
            )
            sheets.append((sister, figures))
        for sister, figures in sheets:
            health = sister.health
            was = health.state
            health.barred = "" if self._alone(self._others(sister)) else "its sisters are no better"
            health.judge(figures, now, rng)
            if was is ALIVE and health.state is DEAD:
                sister.held.clear()
                ejected = True
            if sister.held and (health.barred or now - sister.held[0].now > limits.bind_held_s):
                told += self._release(sister)
        self._weigh(now)
        return told, ejected

    def pardon(self, since: float, now: float) -> None:
        """The carrier itself is out: those that fell sick after `since` fell with it."""
        for sister in self.members.values():
            sister.held.clear()
            fell_at = sister.health.sick_since
            if fell_at is None or fell_at >= since:
                sister.health.pardon("its carrier fell sick, with all its binds", now)
                sister.score.forgive()
        self._weigh(now)

    # -- who may be sent by --------------------------------------------------------------------------------------------

    def shares(self, now: float) -> dict[str, float]:
        """What part of its window each bind may use, 0..1, the best of them 1; all of it when none lives."""
        admits = {name: one.health.admits(now) if one.standing else 0.0 for name, one in self.members.items()}
        best = max(admits.values())
        if best > 0.0:
            return {name: share / best for name, share in admits.items()}
        return {name: 1.0 if one.standing else 0.0 for name, one in self.members.items()}

    def may_probe(self, name: str, now: float) -> bool:
        """Whether one part may go by this bind, to ask whether it lives."""
        sister = self.members[name]
        return sister.standing and sister.health.may_probe(now)

    def claim_probe(self, name: str, now: float) -> bool:
        """Take the place of that part."""
        return self.members[name].standing and self.members[name].health.claim_probe(now)

    def probe_withdrawn(self, name: str, now: float) -> None:
        """The part that was the probe never left."""
        self.members[name].health.probe_withdrawn(now)

    def shared_latency_s(self, now: float) -> float:
        """The latency that more than half of those bound reach."""
        return majority([one.score.latency_now_s(now) for one in self.members.values() if one.standing])

    # -- inside --------------------------------------------------------------------------------------------------------

    def _others(self, sister: Sister) -> list[Sister]:
        return [one for one in self.members.values() if one is not sister and one.lives]

    def _alone(self, others: list[Sister]) -> bool:
        """Whether the fault is likely to be one bind's own: most of the others are well, and not too many are out."""
        if not others or sum(one.well for one in others) * 2 < len(others):
            return False
        out = sum(one.standing and one.health.state is not ALIVE for one in self.members.values())
        return out < self._ejected_max

    def _release(self, sister: Sister) -> list[Said]:
        held, sister.held = sister.held, []
        return held

    def _weigh(self, now: float) -> None:
        self.even = all(one.health.admits(now) == 1.0 for one in self.members.values() if one.standing)


def majority(figures: Iterable[float]) -> float:
    """The greatest that more than half of them reach: of one itself, of two the less, of three the middle one."""
    ranked = sorted(figures, reverse=True)
    return ranked[len(ranked) // 2] if ranked else 0.0
