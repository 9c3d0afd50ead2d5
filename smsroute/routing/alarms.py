"""Alarms: what a person should look at, found in the same figures that route; raised and cleared at different marks.

Rules:
- An alarm changes no traffic: terms and health do that. It says what, since when, the figure and the mark it passed.
- Each has two marks, one to raise and one to clear; between them it stays what it is.
- Enough samples, or silence: a figure that chance explains raises nothing.
- What the whole carrier suffers from is said once, not once a network.

Drawback of the simple way. "Delivered ratio below 90 %" rings for every network that never had more, and never for one
that falls from 99 to 91; on small numbers it rings by chance: 43 of 50 is no news where 92 % is usual. And an alarm
with one mark rings all night at a figure that stands on it.

Idea. One table of checks; each gives a figure, a mark and which side of its two marks the figure is on.

    slow-bleed            Wilson's upper bound of the last half hour < bleed_share x its own week: however chance
                          played, it is worse. Cleared at bleed_clear_share, or with too few receipts to tell.
    receipt-silence       receipts are owed for longer than the pair's patience; a black hole from its first day owes
                          all of them. Cleared by silence_clear_receipts receipts, or when nobody waits any more.
    receipts-too-fast     nearly all delivered, nearly all sooner than any handset can say so
    receipts-too-alike    nearly all delivered, nearly all after the same delay: a timer, not handsets
    saturated             windows full or parts queued in nine looks of ten, over saturated_s
    contract-reached      contract_share of the contract used, over the success window

Measured (Python 3.11, 2 cores, idle / under a load of 7): a look at 200 pairs 0.5 / 1.8 ms. 48 of 50 beside a week of
97 %: quiet; 25 of 50: raised. Of 2,000 looks at a pair as good as its week none rang (tests/routing/test_alarms).

Limits: receipts come in crowds (one campaign, one dead switch), so Wilson's bound is narrower than the truth:
bleed_share keeps a margin. A clever fake, with a random delay and one failure in fifty, is not seen. A bleed that lasts
for a week is the week.

Walk: one `Alarms` a carrier in `carriers/watch`, which asks it to look once a second, logs what changed and is shown by
`ops`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from itertools import islice
from math import exp, sqrt
from typing import Final

import attrs

from smsroute.config import Limits
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import ALIVE
from smsroute.routing.receipts_score import ALL, DELIVERED, FAST, JUDGED, NEAR, Receipts


@attrs.frozen
class Alarm:
    """Something a person should look at. `since`: monotonic seconds; `network`: "" for the whole carrier."""

    kind: str
    carrier: str
    network: str
    since: float
    figure: float
    limit: float  # what the figure passed
    words: str


@attrs.frozen
class Load:
    """How busy a carrier is at one moment."""

    in_flight: int = 0
    window: int = 0  # places on its bound binds
    queued: int = 0
    drained: bool = False


@attrs.frozen
class Changes:
    """What a look found new."""

    raised: tuple[Alarm, ...] = ()
    cleared: tuple[Alarm, ...] = ()


class Side(enum.Enum):
    """Of its two marks, where a figure is."""

    BAD = "bad"
    BETWEEN = "between"
    GOOD = "good"


Seen = tuple[Side, float, float]
"""Side, figure, the mark to raise."""

NOTHING: Final[Seen] = (Side.GOOD, 0.0, 0.0)
SATURATED_FROM: Final = 0.9  # of the looks of late
FEW: Final = 0.5  # of the samples it takes to raise: with fewer it is cleared; between, a pair just so busy would flap
NOTHING_NEW: Final = Changes()


# -- what a pair's receipts may tell -----------------------------------------------------------------------------------


def wilson_upper(good: float, count: float, sigmas: float) -> float:
    """The largest share that explains `good` of `count`, so many sigmas off (Wilson 1927); 1 without a sample."""
    if count <= 0:
        return 1.0
    share, z2 = good / count, sigmas * sigmas
    spread = sigmas * sqrt(max(0.0, share * (1 - share)) / count + z2 / (4 * count * count))
    return min(1.0, (share + z2 / (2 * count) + spread) / (1 + z2 / count))


def slow_bleed(heard: Receipts, limits: Limits, now: float) -> Seen:
    """The half hour against the week before: delivered among all final receipts, whosever fault the others were."""
    if heard.week is None:
        return NOTHING
    good, past = heard.week.past(now)
    counts = heard.counts(now)
    if past < limits.bleed_past_samples_min or counts[ALL] < FEW * limits.receipt_samples_min:
        return NOTHING
    usual, share = good / past, counts[DELIVERED] / counts[ALL]
    mark = limits.bleed_share * usual
    if counts[ALL] < limits.receipt_samples_min:
        return Side.BETWEEN, share, mark
    if wilson_upper(counts[DELIVERED], counts[ALL], limits.bleed_sigmas) < mark:
        return Side.BAD, share, mark
    return (Side.GOOD if share >= limits.bleed_clear_share * usual else Side.BETWEEN), share, mark


def receipt_silence(heard: Receipts, limits: Limits, now: float) -> Seen:
    """Seconds it owes receipts; whether enough of them came since to call it over is for `Alarms` to say."""
    if not heard.waiting or heard.given_up(now):
        return NOTHING
    silent_s, patience_s = heard.silent_for_s(now), heard.patience_s()
    return (Side.BAD if silent_s >= patience_s else Side.GOOD), silent_s, patience_s


def _fake(heard: Receipts, limits: Limits, now: float, column: int) -> Seen:
    counts = heard.counts(now)
    if counts[JUDGED] < FEW * limits.fake_samples_min or counts[DELIVERED] < limits.fake_delivered_share * counts[ALL]:
        return NOTHING
    share = counts[column] / counts[JUDGED]
    if counts[JUDGED] < limits.fake_samples_min:
        return Side.BETWEEN, share, limits.fake_share
    side = Side.BAD if share >= limits.fake_share else Side.GOOD if share < limits.fake_clear_share else Side.BETWEEN
    return side, share, limits.fake_share


def too_fast(heard: Receipts, limits: Limits, now: float) -> Seen:
    """The share of receipts that came sooner than a handset can have answered."""
    return _fake(heard, limits, now, FAST)


def too_alike(heard: Receipts, limits: Limits, now: float) -> Seen:
    """The share of receipts that came after about the same time."""
    return _fake(heard, limits, now, NEAR)


PairCheck = Callable[[Receipts, Limits, float], Seen]
PAIR_CHECKS: Final[dict[str, PairCheck]] = {
    "slow-bleed": slow_bleed,
    "receipt-silence": receipt_silence,
    "receipts-too-fast": too_fast,
    "receipts-too-alike": too_alike,
}
CARRIER_CHECKS: Final = ("saturated", "contract-reached")
KINDS: Final = (*PAIR_CHECKS, *CARRIER_CHECKS)
"""Every kind of alarm there is."""


# -- the watch on one carrier ------------------------------------------------------------------------------------------


class Alarms:
    """The alarms of one carrier. See the module. `now` is monotonic seconds throughout."""

    def __init__(self, limits: Limits) -> None:
        self.standing: dict[tuple[str, str], Alarm] = {}  # by kind and network, in the order they were raised
        self._limits = limits
        self._heard_at: dict[str, int] = {}  # network -> receipts that had come when its silence was raised
        self._busy = 0.0  # share of the looks of late that found it busy
        self._looked_at: float | None = None
        self._turn: Iterator[str] = iter(())

    def look(self, dossier: Dossier, load: Load, now: float) -> Changes:
        """Judge everything; what was raised and what was cleared since the last look."""
        before = dict(self.standing)
        for kind, seen in self._carrier(dossier, load, now):
            self._settle(kind, "", seen, dossier, load, now)
        self._receipts("", dossier, load, now)
        for network in self._due(dossier):
            self._receipts(network, dossier, load, now)
        if before.keys() == self.standing.keys():
            return NOTHING_NEW
        raised = tuple(alarm for key, alarm in self.standing.items() if key not in before)
        return Changes(raised, tuple(alarm for key, alarm in before.items() if key not in self.standing))

    def _due(self, dossier: Dossier) -> list[str]:
        """The networks to look at now: those with an alarm, and the next few of the round."""
        ringing = dict.fromkeys(network for _, network in self.standing if network)
        few = list(islice(self._turn, self._limits.alarm_pairs_max))
        if len(few) < self._limits.alarm_pairs_max:
            self._turn = iter(list(dossier.networks))
        return [*ringing, *(network for network in few if network not in ringing)]

    def _receipts(self, network: str, dossier: Dossier, load: Load, now: float) -> None:
        record = dossier.networks.get(network) if network else dossier.overall
        for kind, check in PAIR_CHECKS.items():
            if record is None or (network and (kind, "") in self.standing):
                seen = NOTHING  # let go, or the whole carrier has it
            else:
                seen = check(record.score.receipts, self._limits, now)
                if network and kind == "receipt-silence" and not dossier.overall.score.receipts.heard:
                    seen = NOTHING  # nothing of it was ever matched: what there is to say is said of the carrier
            self._settle(kind, network, seen, dossier, load, now)

    def _carrier(self, dossier: Dossier, load: Load, now: float) -> Iterator[tuple[str, Seen]]:
        limits, health = self._limits, dossier.overall.health
        well = health.state is ALIVE and health.bound and not load.drained
        busy = well and (load.queued > 0 or 0 < load.window <= load.in_flight)
        if self._looked_at is not None:
            # Nine looks of ten after saturated_s without a pause: 1 - exp(-2.303) = 0.9.
            share = 1.0 - exp(-2.303 * max(0.0, now - self._looked_at) / limits.saturated_s)
            self._busy += (busy - self._busy) * share
        self._looked_at = now
        side = (
            Side.BAD if self._busy >= SATURATED_FROM
            else Side.GOOD if self._busy < limits.saturated_clear_share
            else Side.BETWEEN
        )  # fmt: skip
        yield "saturated", (side, self._busy, SATURATED_FROM)
        contract = dossier.carrier.rate
        rate = dossier.overall.score.rate_s(now)
        mark = limits.contract_share * contract
        clear = rate < limits.contract_clear_share * contract
        yield "contract-reached", (Side.BAD if rate >= mark else Side.GOOD if clear else Side.BETWEEN, rate, mark)

    def _settle(self, kind: str, network: str, seen: Seen, dossier: Dossier, load: Load, now: float) -> None:
        side, figure, mark = seen
        key = (kind, network)
        standing = self.standing.get(key)
        if standing is None and side is not Side.BAD:
            return
        record = dossier.networks.get(network) if network else dossier.overall
        if kind == "receipt-silence" and record is not None:
            heard = record.score.receipts
            if standing is None:
                self._heard_at[network] = heard.count
            few = heard.count - self._heard_at[network] < self._limits.silence_clear_receipts
            if standing is not None and side is Side.GOOD and few and not heard.given_up(now):
                return  # one stray receipt is not the end of it; the words stay those of the silence
        if side is Side.GOOD:
            del self.standing[key]
            if kind == "receipt-silence":
                self._heard_at.pop(network, None)
            return
        since = now if standing is None else standing.since
        heard_of = None if record is None else record.score.receipts
        words = _words(kind, network, figure, mark, heard_of, load, now, self._limits.bleed_share)
        self.standing[key] = Alarm(kind, dossier.carrier.name, network, since, figure, mark, words)


def _words(
    kind: str,
    network: str,
    figure: float,
    mark: float,
    heard: Receipts | None,
    load: Load,
    now: float,
    bleed_share: float,
) -> str:
    """The alarm for people."""
    if kind == "saturated":
        full = f"{load.in_flight} of {load.window} in flight, {load.queued} queued"
        return f"busy in {figure:.0%} of the looks of late; now {full}"
    if kind == "contract-reached":
        return f"{figure:.1f} parts a second go there, {mark:.1f} is close to all its contract allows"
    assert heard is not None, "a pair that is gone has no figures"
    where = f" for numbers {network}" if network else ""
    counts = heard.counts(now)
    if kind == "slow-bleed":
        week = mark / bleed_share if bleed_share else 0.0
        return f"{figure:.1%} of {counts[ALL]:.0f} receipts{where} say delivered, {week:.1%} did in its own week"
    if kind == "receipt-silence":
        never = "" if heard.heard else "; it never sent one"
        return f"no receipt{where} for {figure:.0f} s, though {heard.waiting} parts wait for one{never}"
    how = "sooner than a handset can say so" if kind == "receipts-too-fast" else "after the same delay, as of a timer"
    return f"{figure:.1%} of {counts[JUDGED]:.0f} receipts{where} came {how}; are these handsets?"
