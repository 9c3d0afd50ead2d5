"""One carrier as the engine runs it: its binds, its pace, and the dossier of what is known about it.

Rules:
- Pace is one bucket for all binds, never above the contract; congestion turns it down and pauses it. Caps and held
  destinations are asked first: what they stop costs no pace.
- The carrier has a bind as long as one that sends is up; the last one down makes it dead at once.
- New parts go by the least loaded bind of those that live (`routing/sisters`), one part by one that is to be asked
  whether it lives: a part of one message alone, of a class that may be sent again, or any after `probe_wait_s`. A part
  pinned to a bind that is out waits for it, and asks it in its turn: it has no other way (law 8).
- Drained by a person means nothing new goes there; what is in flight and its receipts still count.

Walk: owned by `carriers/dispatch`; `carriers/answers` tells it what came back; `view` is what `routing.decide` sees.
"""

from __future__ import annotations

import random

from smsroute.carriers import standing
from smsroute.carriers.bind import Bind, Desk, Place, places_of
from smsroute.carriers.naming import Naming
from smsroute.carriers.tally import Tally
from smsroute.config import Carrier, Limits, Route
from smsroute.lane import Key
from smsroute.ledger import Ledger
from smsroute.matching import same_number
from smsroute.message import OK, Blame, MessageClass, Part
from smsroute.policy.caps import caps_of
from smsroute.policy.holds import Holds
from smsroute.policy.rates import BURST_S, ContractBucket
from smsroute.ports import Ports
from smsroute.routing.dossier import Dossier
from smsroute.routing.health import ALIVE
from smsroute.routing.inflow import Inflow
from smsroute.routing.sisters import Sisters, majority
from smsroute.routing.views import CarrierView
from smsroute.smpp.names import VERSION_3_4


class Station:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, carrier: Carrier, ports: Ports, limits: Limits, ledger: Ledger, desk: Desk) -> None:
        self.carrier = carrier
        self.drained = ""
        self._ports = ports
        self._limits = limits
        self._desk = desk
        self.binds = [self._bind(name, place) for name, place in places_of(carrier)]
        self._senders = [bind for bind in self.binds if bind.sends]
        now = ports.clock.monotonic()
        self.dossier = Dossier(carrier, limits, now, [bind.name for bind in self._senders])
        self.naming = Naming(carrier.name, carrier.dialect, limits, self.unanswered)
        self.tally = Tally(limits, now)
        self.inflow = Inflow(limits.demand_tau_s, now)
        self._bucket = ContractBucket(carrier.rate, now)
        self.caps = caps_of(carrier, now)
        self.holds = Holds(limits.destination_hold_s, limits.destination_hold_max_s, limits.destination_holds_max)
        self._handful = max(1, int(carrier.rate * BURST_S / 2))
        self._queues = ledger.queues
        self._rng: random.Random = ports.entropy.rng(f"health/{carrier.name}")

    def adopt(self, carrier: Carrier, now: float) -> tuple[list[Bind], list[Bind]]:
        """The carrier as a new config has it: (binds that are new, binds that shall go).

        A bind stays when nothing that makes its session changed.
        """
        before, self.carrier = self.carrier, carrier
        self.dossier.adopt(carrier, now)
        self.naming.adopt(carrier.dialect)
        self._bucket.resize(carrier.rate, now)
        self._handful = max(1, int(carrier.rate * BURST_S / 2))
        if carrier.caps != before.caps:
            self.caps = caps_of(carrier, now)
        stays = [bind for bind in self.binds if not bind.leaving] if _identity(before) == _identity(carrier) else []
        kept: list[Bind] = []
        missing: list[tuple[str, Place]] = []
        for name, place in places_of(carrier):
            same = next((bind for bind in stays if bind.place == place and bind not in kept), None)
            if same is None:
                missing.append((name, place))
            else:
                same.adopt(carrier)
                kept.append(same)
        taken = {bind.name for bind in kept}
        fresh: list[Bind] = []
        for name, place in missing:
            names = (name, *(f"{name}.{n}" for n in range(2, len(taken) + 3)))
            fresh.append(self._bind(next(one for one in names if one not in taken), place))
            taken.add(fresh[-1].name)
        old = [bind for bind in self.binds if bind not in kept]
        self.binds.extend(fresh)
        self._count_senders([*kept, *fresh], now)
        self._apply_congestion(now)
        return fresh, old

    def dismiss(self, bind: Bind) -> None:
        """A bind that was seen off is no more."""
        self.binds.remove(bind)
        self._count_senders([one for one in self.binds if not one.leaving], self._ports.clock.monotonic())

    def _count_senders(self, stay: list[Bind], now: float) -> None:
        self._senders = [bind for bind in self.binds if bind.sends]
        self.dossier.adopt_binds([bind.name for bind in stay if bind.sends], now)
        for bind in stay:
            if bind.sends and bind.state == "bound" and not bind.drained:
                self.dossier.bind_up(now, bind.name)

    def _bind(self, name: str, place: Place) -> Bind:
        return Bind(name, place, self.carrier, ports=self._ports, limits=self._limits, desk=self._desk)

    def unanswered(self, number: str) -> bool:
        """Whether a part to this number is at the carrier, and its response awaited."""
        return any(same_number(part.destination_addr, number) for bind in self.binds for part in bind.flying())

    # -- room ----------------------------------------------------------------------------------------------------------

    def room(self, now: float) -> int:
        """Places in the windows of its binds that live."""
        sisters = self.dossier.sisters
        if sisters is None or sisters.even:
            return sum(max(0, bind.room) for bind in self._senders if not bind.leaving)
        shares = sisters.shares(now)
        return sum(max(0, _room(bind, shares.get(bind.label, 0.0))) for bind in self._senders)

    @property
    def merges(self) -> bool:
        """Whether it wants all parts of a message as one payload."""
        form = self.carrier.submit
        return form.long == "payload" and self.carrier.interface_version >= VERSION_3_4

    @property
    def window(self) -> int:
        """Places on all its bound binds, taken or not."""
        return sum(min(bind.window, self.carrier.window) for bind in self._senders if bind.state == "bound")

    @property
    def in_flight(self) -> int:
        """Parts written or about to be, and unanswered."""
        return sum(bind.in_flight + bind.reserved for bind in self._senders)

    @property
    def queued(self) -> int:
        """Parts due now that wait for it."""
        return self._queues.queued(self.carrier.name)

    def bind_with_room(
        self, now: float, route: Route | None = None, message_class: int = 0, multipart: str = ""
    ) -> Bind | None:
        """The living bind with the most room, or None; one that is to be asked whether it lives, if this part may ask.

        Who is given such a bind asks `grant` at once, and gets it.
        """
        sisters = self.dossier.sisters
        best, most = None, 0
        if sisters is None or sisters.even:
            for bind in self._senders:
                room = bind.room
                if room > most and not bind.leaving:
                    best, most = bind, room
            return best
        if not multipart and self.dossier.overall.health.state is ALIVE and self._grants(now):
            asked = self._to_ask(sisters, now, route, message_class)
            if asked is not None:
                return asked
        shares, least = sisters.shares(now), float("inf")
        for bind in self._senders:
            share = shares.get(bind.label, 0.0)
            if share > 0.0 and _room(bind, share) > 0:
                load = (bind.in_flight + bind.reserved + 1) / share
                if load < least:
                    best, least = bind, load
        return best

    def bind_named(self, name: str, now: float) -> Bind | None:
        """This bind, if it has room; one that is out only for the part that asks whether it lives."""
        bind = next((bind for bind in self._senders if bind.name == name and bind.room > 0), None)
        sisters = self.dossier.sisters
        if bind is None or sisters is None or sisters.even or sisters.shares(now).get(bind.label, 1.0) > 0.0:
            return bind
        return bind if self._grants(now) and sisters.claim_probe(bind.label, now) else None

    def sends_by(self, name: str) -> bool:
        """Whether it has such a bind, up or not."""
        return any(bind.name == name for bind in self._senders)

    def bind_lives(self, name: str, now: float) -> bool:
        """Whether this bind is up and will have room again by itself."""
        up = [one for one in self._senders if one.name == name and one.state == "bound" and not one.drained]
        sisters = self.dossier.sisters
        if not up or sisters is None or sisters.even:
            return bool(up)
        shares = sisters.shares(now)
        return any(shares.get(bind.label, 1.0) > 0.0 for bind in up)

    def _to_ask(self, sisters: Sisters, now: float, route: Route | None, message_class: int) -> Bind | None:
        for bind in self._senders:
            if bind.leaving or bind.room <= 0 or not sisters.may_probe(bind.label, now):
                continue
            policy = route.in_doubt.get(MessageClass(message_class)) if route is not None else None
            patient = now - sisters.members[bind.label].health.since < self._limits.probe_wait_s
            if patient and (policy is None or policy.kind != "resend"):
                continue
            if sisters.claim_probe(bind.label, now):
                return bind
        return None

    def _grants(self, now: float) -> bool:
        return now >= self.dossier.congestion.paused_until and self._bucket.available(now) >= 1

    def grant(self, now: float) -> bool:
        """Take one part's worth of pace, if there is one."""
        return now >= self.dossier.congestion.paused_until and self._bucket.take(1, now) == 1

    def blocked(self, esme: str, message_class: int, to: str, now: float) -> Key | None:
        """What stops such a part here whatever the room: its destination is held, or a cap is used up."""
        if self.holds.rows and self.holds.held(to, now):
            return ("to", to)
        return None if self.caps is None else self.caps.blocked(esme, message_class, now)

    def admit(self, esme: str, message_class: int, to: str, now: float) -> bool:
        """Take one part's worth of pace and of its caps, if such a part may go now."""
        if self.caps is None and not self.holds.rows:
            return self.grant(now)
        if self.blocked(esme, message_class, to, now) is not None or not self.grant(now):
            return False
        if self.caps is not None:
            self.caps.went(esme, message_class, now)
        self.holds.went(to, now)
        return True

    def takes(self, part: Part, now: float) -> bool:
        """Whether neither a hold nor a cap stops this part here."""
        return self.blocked(part.esme, part.message_class, part.destination_addr, now) is None

    def worth(self, message_class: int, now: float) -> int:
        """Parts of this class worth queueing here for `spill_wait` at the most, less those that wait before them: what
        leaves a carrier that is gone may wait here for its turn."""
        if self.drained:
            return 0
        before = self._queues.waiting(self.carrier.name, message_class)
        pace = self.dossier.congestion.pace(now)
        return max(self.headroom(now), int(pace * self._limits.spill_wait_s)) - before

    def headroom(self, now: float) -> int:
        """Parts it can take right now: windows, pace, pauses."""
        if self.drained or now < self.dossier.congestion.paused_until:
            return 0
        return min(self.room(now), self._bucket.available(now))

    def next_chance(self, now: float) -> float:
        """When pace may let a part through or a pause is over; room and health wake by themselves."""
        paused_until = self.dossier.congestion.paused_until
        if now < paused_until:
            return min(paused_until, now + self._limits.plan_ttl_s)
        # Half a bucket at a time: at 2,000 parts a second a task that wakes for each token does nothing else.
        return now + (self._bucket.delay(self._handful, now) or self._limits.plan_ttl_s)

    # -- what came back ------------------------------------------------------------------------------------------------

    def answered(
        self,
        bind: str,
        network: str,
        blame: Blame,
        latency_s: float,
        now: float,
        parts: int,
        sent_at: float,
        asked: int = 0,
    ) -> None:
        """`parts` answers of one blame over one bind. `latency_s`: the slowest; `sent_at`: when the newest of them
        left; `asked`: how many will have a receipt."""
        self.dossier.answered(network, blame, latency_s, now, self._rng, parts, sent_at, asked, bind)
        if asked:
            self.tally.asked(network, asked, now)
        if blame != OK or self.dossier.congestion.busy:
            self._apply_congestion(now)

    def bind_changed(self, bind: Bind, now: float) -> None:
        """A bind came up or went down."""
        if not bind.sends:
            return
        if bind.state == "bound":
            self.dossier.bind_up(now, bind.label)
        elif not bind.renewing:
            last = not any(other.state == "bound" for other in self._senders)
            self.dossier.bind_down(bind.reason, now, self._rng, bind.label, last=last)

    def tick(self, now: float) -> bool:
        """Let time pass: ejections, probes, slow answers, recovery of pace. True when the health of anything
        changed."""
        self._apply_congestion(now)
        ages_s = self._ages_s(now)
        return self.dossier.tick(now, self._rng, majority(ages_s.values()), ages_s)

    def _apply_congestion(self, now: float) -> None:
        congestion = self.dossier.congestion
        self._bucket.set_pace(congestion.pace(now), now)
        window = congestion.window
        for bind in self._senders:
            bind.window = window

    # -- what people are told -----------------------------------------------------------------------------------------

    @property
    def standing(self) -> list[str]:
        """Who waits for a cap, a full handset or the rest of a message, in words."""
        return standing.of_carrier(self.caps, self._queues.lanes.get(self.carrier.name, ()))

    def bounds(self, esme: str, message_class: int, to: str, now: float) -> list[str]:
        """What bounds such a message here, in words."""
        lanes = self._queues.lanes.get(self.carrier.name, ())
        return standing.of_message(self.carrier.name, self.caps, self.holds, lanes, (esme, message_class, to), now)

    # -- what the brain sees -------------------------------------------------------------------------------------------

    def _ages_s(self, now: float) -> dict[str, float]:
        """Age of the oldest request nobody has answered, on each bind that may send."""
        return {
            bind.label: bind.oldest_age_s(now)
            for bind in self._senders
            if bind.state == "bound" and not bind.drained and not bind.leaving
        }

    def view(self, network: str, now: float) -> CarrierView:
        """The carrier as it stands for a network: what its living binds are, and most of them say."""
        senders = [bind for bind in self._senders if bind.state == "bound" and not bind.leaving]
        sisters = self.dossier.sisters
        if sisters is not None and not sisters.even:
            shares = sisters.shares(now)
            senders = [bind for bind in senders if shares.get(bind.label, 0.0) > 0.0] or senders
        return self.dossier.view(
            network,
            now,
            in_flight=sum(bind.in_flight + bind.reserved for bind in senders),
            window=sum(min(bind.window, self.carrier.window) for bind in senders),
            headroom=self.headroom(now),
            queued=self.queued,
            oldest_unanswered_age_s=majority(self._ages_s(now).values()),
            drained=self.drained,
            given=self.inflow.rate(now),
        )


def _identity(carrier: Carrier) -> tuple[object, ...]:
    """What every session of a carrier is made with."""
    return (
        carrier.system_id,
        carrier.password.reveal(),
        carrier.system_type,
        carrier.interface_version,
        carrier.addr_ton,
        carrier.addr_npi,
        carrier.address_range,
    )


def _room(bind: Bind, share: float) -> int:
    """Parts a bind may take now, which may use this share of its window: 0 none, 1 all of it."""
    if share <= 0.0:
        return 0
    used = bind.in_flight + bind.reserved
    return min(bind.room, max(1, int(min(bind.window, bind.carrier.window) * share)) - used)
