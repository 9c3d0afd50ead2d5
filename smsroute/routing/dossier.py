"""All that is known of one carrier: its score, health and congestion, overall, by network and by bind; one view of it.

Rules:
- What happened is written down for the carrier, for the network it happened on, and for the bind where the carrier has
  several; a figure of a network with fewer than `dead_samples_min` recent answers is the carrier's overall figure.
- Health is the worst of them: a carrier that is dead is dead for every network, one that fails for one network only is
  dead for that one.
- Blame is laid once. A bind's own faults never reach the carrier (`sisters`). While the carrier is out nothing is held
  against its networks, and those that fell sick with it are pardoned; more than `network_ejected_share_max` of the
  networks in use sick at a time is the carrier's sickness.
- A sick network nobody sent to for `network_forget_s` is forgiven: nobody knows how it is.
- At most `networks_max` networks are kept; the one unused for longest goes.

Measured (Python 3.11 on 2 cores with busy neighbours, medians): 1.2 us an answer or batch, 1.6 us where there are
several binds; 20 us a view; a tick 3 us, 11 us with two binds, 20 us with four.

Walk: one a carrier, in `carriers/station`: `answered` per batch and blame, `receipt`, `bind_up`, `bind_down`, `tick` a
few times a second; `view` for each plan.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import structs

from smsroute.config import Carrier, Limits
from smsroute.message import Blame
from smsroute.routing.congestion import Congestion
from smsroute.routing.health import ALIVE, Health
from smsroute.routing.kept import VERSION, KeptDossier, KeptRecord, sane
from smsroute.routing.outcome import FAULTS, Word
from smsroute.routing.score import Score, Terms, product
from smsroute.routing.sisters import Said, Sisters
from smsroute.routing.spread import Spread
from smsroute.routing.views import CarrierView

_OK: Final = int(Blame.OK)
_FAULTS: Final = frozenset(int(one) for one in FAULTS)
NOBODY: Final[Mapping[str, float]] = {}


class Record:
    """Score and health of one thing: a carrier, or a carrier for one network."""

    __slots__ = ("health", "score", "seen", "used_at")

    def __init__(self, limits: Limits, name: str, now: float, shadow: bool) -> None:
        self.score = Score(limits, now)
        self.health = Health(limits, name, now, shadow=shadow)
        self.seen = 0  # the health's `changes` when last looked at
        self.used_at = now

    def answered(
        self, blame: int, latency_s: float, now: float, rng: random.Random, n: int, sent_at: float | None
    ) -> None:
        """As `Dossier.answered`."""
        self.score.answered(blame, latency_s, now, n)
        health = self.health
        if blame == _OK and health.calm:
            return
        was = health.state
        health.on_outcome(blame, now, rng, n, sent_at)
        if was is not ALIVE and health.state is ALIVE:
            self.score.forgive()

    def keep(self, now: float) -> KeptRecord:
        """Its past, for the next engine."""
        health = self.health
        sick_s = -1.0 if health.sick_since is None else now - health.sick_since
        return structs.replace(self.score.keep(now), ejections=health.ejections, sick_s=sick_s)

    def restore(self, kept: KeptRecord, now: float, elapsed_s: float, forget_s: float) -> None:
        """Go on from what was kept `elapsed_s` ago; what health remembers is forgotten after `forget_s`."""
        self.score.restore(kept, now, elapsed_s)
        if elapsed_s < forget_s:
            sick_s = elapsed_s + sane(kept.sick_s) if kept.sick_s >= 0 else None
            self.health.recall(int(sane(kept.ejections, 1000)), sick_s, now)


class Dossier:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, carrier: Carrier, limits: Limits, now: float, binds: Sequence[str] = ()) -> None:
        """`binds`: the names of those that send."""
        self.carrier = carrier
        self.sisters = Sisters(binds, limits, now, shadow=carrier.shadow) if len(binds) > 1 else None
        self.overall = Record(limits, carrier.name, now, carrier.shadow)
        self.congestion = _congestion(limits, carrier, now)
        self.networks: OrderedDict[str, Record] = OrderedDict()
        self._watched: dict[str, Record] = {}  # networks with something new, or not alive: whom `tick` looks at
        # For people; the score looks at peaks and means.
        self.answer_times = Spread(limits.success_buckets * limits.success_bucket_s, limits.success_buckets, now)
        self.receipt_times = Spread(limits.receipt_window_s, limits.receipt_buckets, now)
        self._slow_from_s = limits.latency_tolerance * limits.latency_floor_s
        self._sisters_seen = 0
        self._ticked_at = now
        self._limits = limits

    @property
    def changes(self) -> int:
        """Grows with every change of health: who keeps plans compares."""
        sisters = self.sisters.changes if self.sisters is not None else 0
        return sum(record.health.changes for record in self._records()) + sisters

    def adopt(self, carrier: Carrier, now: float) -> None:
        """The carrier as a new config has it: what is known of it stays; a new contract is learnt anew."""
        if (carrier.rate, carrier.window, carrier.binds) != (
            self.carrier.rate,
            self.carrier.window,
            self.carrier.binds,
        ):
            self.congestion = _congestion(self._limits, carrier, now)
        self.carrier = carrier
        for record in self._records():
            record.health.shadow = carrier.shadow

    def adopt_binds(self, binds: Sequence[str], now: float) -> None:
        """The names of the binds that send from now on."""
        if self.sisters is not None:
            self.sisters.adopt(binds, now, self.carrier.shadow)
        elif len(binds) > 1:
            self.sisters = Sisters(binds, self._limits, now, shadow=self.carrier.shadow)

    def sick(self) -> dict[tuple[str, str], Health]:
        """Who is not alive, by (network, bind): the carrier itself is ("", "")."""
        found = {} if self.overall.health.state is ALIVE else {("", ""): self.overall.health}
        for network, record in self._watched.items():
            if record.health.state is not ALIVE:
                found[network or "any", ""] = record.health
        for bind, sister in self.sisters.members.items() if self.sisters is not None else ():
            if sister.standing and sister.health.state is not ALIVE:  # one that is down tells of itself
                found["", bind] = sister.health
        return found

    # -- what happened -------------------------------------------------------------------------------------------------

    def answered(
        self,
        network: str,
        blame: int,
        latency_s: float,
        now: float,
        rng: random.Random,
        n: int = 1,
        sent_at: float | None = None,
        asked: int = 0,
        bind: str = "",
    ) -> None:
        """`n` answers of one blame for `network` (the label of the rule), over `bind`.

        `latency_s`: submit to response (or to giving up), the slowest of the n. `sent_at`: when the newest was sent;
        unknown, it is taken for `now` - `latency_s`. `asked`: how many of them will have a receipt.
        """
        if sent_at is None:
            sent_at = now - latency_s
        sisters = self.sisters
        sister = sisters.members.get(bind) if sisters is not None else None
        if sisters is not None and sister is not None and self.overall.health.state is ALIVE:
            sister.score.answered(blame, latency_s, now, n)
            alive = sister.health.state is ALIVE
            if blame in _FAULTS or not alive or (blame == _OK and not sister.health.calm):
                told, ejected = sisters.answered(bind, Said(network, blame, latency_s, now, n, sent_at, asked), rng)
                if ejected:
                    self._excuse(now)
                if told is not None:
                    self._tell_all(told, now, rng)
                    return
        self._tell(network, blame, latency_s, now, rng, n, sent_at, asked)

    def _tell_all(self, told: Sequence[Said], now: float, rng: random.Random) -> None:
        for said in told:
            self._tell(said.network, said.blame, said.latency_s, now, rng, said.n, said.sent_at, said.asked)

    def _tell(
        self,
        network: str,
        blame: int,
        latency_s: float,
        now: float,
        rng: random.Random,
        n: int,
        sent_at: float,
        asked: int = 0,
    ) -> None:
        """What one bind said is the carrier's word."""
        if latency_s > self._slow_from_s and self.sisters is not None:  # one slow bind makes no slow carrier
            latency_s = min(latency_s, max(self.sisters.shared_latency_s(now), self._slow_from_s))
        overall = self.overall
        state = overall.health.state
        overall.answered(blame, latency_s, now, rng, n, sent_at)
        record = self._record(network, now)
        if asked:
            overall.score.receipts.asked(asked, now)
            record.score.receipts.asked(asked, now)
        if blame == _OK:
            record.answered(blame, latency_s, now, rng, n, sent_at)
            self.answer_times.add(latency_s, now, n)
        elif overall.health.state is ALIVE and (blame not in _FAULTS or sent_at >= overall.health.alive_since):
            # While the carrier is out, and of what was sent before that, nothing is held against its networks.
            record.answered(blame, latency_s, now, rng, n, sent_at)
        if overall.health.state is not state:
            self._turned(state is ALIVE, now)
        congestion = self.congestion
        if blame != _OK or congestion.busy or congestion.late(now - sent_at):
            congestion.answered(blame, now, n, sent_at)

    def receipts(self, network: str, word: Word, delays_s: Sequence[float], now: float) -> None:
        """Final receipts of one word. `delays_s`: since the carrier's response, each, in ascending order."""
        self.overall.score.receipts.came(word, delays_s, now)
        self._record(network, now).score.receipts.came(word, delays_s, now)
        if word not in (Word.NEUTRAL, Word.NETWORK):
            self.receipt_times.add(delays_s[len(delays_s) // 2], now, len(delays_s))

    def spoke(self) -> None:
        """A receipt came that ends no part: its receiver lives."""
        self.overall.score.receipts.spoke()

    def bind_up(self, now: float, bind: str = "") -> None:
        """A bind that can send is up."""
        if self.sisters is not None and bind in self.sisters.members:
            self.sisters.up(bind, now)
        self.overall.health.on_bind_up(now)

    def bind_down(self, reason: str, now: float, rng: random.Random, bind: str = "", *, last: bool = True) -> None:
        """A bind that can send is gone. `last`: there is no other."""
        if self.sisters is not None and bind in self.sisters.members:
            self._tell_all(self.sisters.down(bind, reason, now, rng), now, rng)
        if last:
            was = self.overall.health.state
            self.overall.health.on_bind_down(reason, now, rng)
            if was is ALIVE and self.overall.health.state is not ALIVE:
                self._turned(True, now)

    def tick(
        self,
        now: float,
        rng: random.Random,
        oldest_unanswered_age_s: float = 0.0,
        ages_s: Mapping[str, float] = NOBODY,
    ) -> bool:
        """Let time pass: ejections, probes, success and latency. True when any health changed since the last tick.

        `ages_s`: of the oldest unanswered part of each bind that may send.
        """
        overall = self.overall
        changed = self._tick_sisters(ages_s, now, rng)
        was = overall.health.state
        changed |= self._judge(overall, now, rng, oldest_unanswered_age_s)
        self._slow_from_s = self._limits.latency_tolerance * overall.score.usual_s()
        fell = False
        if overall.score.baseline_s:
            self.congestion.usual_s = overall.score.usual_s()
        for record in self._watched.values():
            if record.health.state is not ALIVE and now - record.used_at >= self._limits.network_forget_s:
                record.health.pardon(f"nobody sent to it for {now - record.used_at:.0f} s", now, slowly=True)
            changed |= self._judge(record, now, rng, 0.0)
            fell |= (record.health.sick_since or -1.0) >= self._ticked_at
        self._ticked_at = now
        if overall.health.state is not was:
            self._turned(was is ALIVE, now)
        elif fell and was is ALIVE:
            changed |= self._share_blame(now, rng)
        self._watched = {name: one for name, one in self._watched.items() if one.health.state is not ALIVE}
        return changed

    def claim_probe(self, network: str, now: float) -> bool:
        """Take the place of the one part that asks whether the carrier (or the network) lives."""
        overall = self.overall.health
        if overall.may_probe(now):
            return overall.claim_probe(now)
        return overall.state is ALIVE and self._record(network, now).health.claim_probe(now)

    def probe_withdrawn(self, network: str, now: float, bind: str = "") -> None:
        """The part that was the probe never left."""
        self.overall.health.probe_withdrawn(now)
        self._record(network, now).health.probe_withdrawn(now)
        if self.sisters is not None and bind in self.sisters.members:
            self.sisters.probe_withdrawn(bind, now)

    # -- what is known -------------------------------------------------------------------------------------------------

    def terms(self, network: str, now: float, oldest_unanswered_age_s: float = 0.0, occupancy: float = 0.0) -> Terms:
        """The terms of its quality for `network`; the carrier's own where the network has too few answers."""
        record = self.networks.get(network, self.overall)
        if record.score.figures(now).samples < self._limits.dead_samples_min:
            record = self.overall
        return record.score.terms(now, oldest_unanswered_age_s, occupancy)

    def view(
        self,
        network: str,
        now: float,
        *,
        in_flight: int = 0,
        window: int = 1,
        headroom: int = 1,
        queued: int = 0,
        oldest_unanswered_age_s: float = 0.0,
        drained: str = "",
        given: float = 0.0,
    ) -> CarrierView:
        """The carrier as `decide` sees it. `window`: places on all its bound binds; `headroom`: parts for now."""
        overall = self.overall.health
        record = self.networks.get(network)
        health = overall if record is None or overall.state is not ALIVE else record.health
        if health.state is ALIVE:
            health = overall
        terms = self.terms(network, now, oldest_unanswered_age_s, in_flight / window if window else 0.0)
        congestion = self.congestion
        capacity = congestion.share(now)
        rate = congestion.contract * capacity
        if 0 < window <= in_flight and oldest_unanswered_age_s > 0.0:
            rate = min(rate, window / oldest_unanswered_age_s)  # full: what the answers let through, no more
        return CarrierView(
            carrier=self.carrier.name,
            state=health.state,
            since=health.since,
            reason=health.reason,
            quality=product(terms),
            terms=terms,
            latency_ms=1000 * max(self.overall.score.latency_now_s(now), oldest_unanswered_age_s),
            in_flight=in_flight,
            headroom=headroom,
            queued=queued,
            rate=rate,
            contract=congestion.contract,
            capacity=capacity,
            congestion=congestion.why(now),
            drained=drained,
            given=given,
            bound=overall.bound,
            admit_share=min(overall.admits(now), 1.0 if record is None else record.health.admits(now)),
            probe=health.may_probe(now) and overall.bound,
            would=f"would be {health.state.value}: {health.reason}"
            if health.shadow and health.state is not ALIVE
            else "",
        )

    # -- over a restart ------------------------------------------------------------------------------------------------

    def keep(self, now: float, wall: float) -> KeptDossier:
        """Its past, for the next engine. `wall`: Unix seconds."""
        networks = {name: record.keep(now) for name, record in self.networks.items()}
        return KeptDossier(VERSION, wall, self.carrier.name, self.overall.keep(now), networks)

    def restore(self, kept: KeptDossier, now: float, elapsed_s: float) -> None:
        """Go on from what was kept `elapsed_s` ago. Call before anything has happened."""
        forget_s = self._limits.ejection_forget_s
        self.overall.restore(kept.overall, now, elapsed_s, forget_s)
        for name, record in kept.networks.items():
            self._record(name, now).restore(record, now, elapsed_s, forget_s)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _excuse(self, now: float) -> None:
        """One bind was the fault: what it did to the figures of the carrier and of its networks is forgotten."""
        self.overall.score.forgive()
        since = now - self._limits.success_buckets * self._limits.success_bucket_s
        for record in reversed(self.networks.values()):
            if record.used_at < since:
                return
            record.score.forgive()

    def _turned(self, fell: bool, now: float) -> None:
        """The carrier fell sick, or is back."""
        since = now - self._limits.success_buckets * self._limits.success_bucket_s
        if self.sisters is not None and fell:
            self.sisters.pardon(since, now)
        for record in reversed(self.networks.values()):
            if record.used_at < since:
                return  # and all before it: the longest unused stand first
            sick_since = record.health.sick_since
            if sick_since is not None and sick_since >= since:
                record.health.pardon("it fell sick with its carrier", now)
            record.score.forgive()

    def _share_blame(self, now: float, rng: random.Random) -> bool:
        """A network has just fallen sick: if most of them are, it is the carrier. Whether it was."""
        limits = self._limits
        sick = [one for one in self._watched.values() if one.health.state is not ALIVE]
        if len(sick) < limits.network_ejected_min:
            return False
        used = sum(one.health.state is ALIVE and one.score.figures(now).samples > 0 for one in self.networks.values())
        if len(sick) <= limits.network_ejected_share_max * (used + len(sick)):
            return False
        self.overall.health.eject(
            f"{len(sick)} of {used + len(sick)} networks sick: {sick[-1].health.reason}", now, rng
        )
        self._turned(True, now)
        return True

    def _tick_sisters(self, ages_s: Mapping[str, float], now: float, rng: random.Random) -> bool:
        sisters = self.sisters
        if sisters is None or self.overall.health.state is not ALIVE:
            return False
        told, ejected = sisters.tick(ages_s, now, rng)
        if ejected:
            self._excuse(now)
        self._tell_all(told, now, rng)
        seen, self._sisters_seen = self._sisters_seen, sisters.changes
        return self._sisters_seen != seen

    def _judge(self, record: Record, now: float, rng: random.Random, age_s: float) -> bool:
        record.health.judge(record.score.figures(now, age_s), now, rng)
        changed = record.health.changes != record.seen
        record.seen = record.health.changes
        return changed

    def _records(self) -> Iterator[Record]:
        yield self.overall
        yield from self.networks.values()

    def _record(self, network: str, now: float) -> Record:
        record = self.networks.get(network)
        if record is not None:
            record.used_at = now
            self.networks.move_to_end(network)
            self._watched[network] = record
            return record
        if len(self.networks) >= self._limits.networks_max:
            self._watched.pop(self.networks.popitem(last=False)[0], None)
        label = f"{self.carrier.name}/{network or 'any'}"
        record = self.networks[network] = Record(self._limits, label, now, self.carrier.shadow)
        record.health.on_bind_up(now)  # a network has no binds; those of its carrier are judged there
        record.seen = record.health.changes
        self._watched[network] = record
        return record


def _congestion(limits: Limits, carrier: Carrier, now: float) -> Congestion:
    senders = sum(bind.count for bind in carrier.binds if bind.mode != "receiver")
    return Congestion(limits, carrier.rate, carrier.window, now, senders)
