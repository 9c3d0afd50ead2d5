"""One carrier as the engine runs it: its binds, its pace, and the dossier of what is known about it.

Rules:
- Pace is one bucket for all binds, never above the contract; congestion turns it down and pauses it.
- The carrier has a bind as long as one that sends is up; the last one down makes it dead at once.
- Drained by a person means nothing new goes there; what is in flight and its receipts still count.

Walk: owned by `carriers/dispatch`; `carriers/answers` tells it what came back; `view` is what `routing.decide` sees.
"""

from __future__ import annotations

import random

from smsroute.carriers.bind import Bind, Desk, Place, places_of
from smsroute.config import Carrier, Limits
from smsroute.ledger import Ledger
from smsroute.message import Blame
from smsroute.policy.rates import BURST_S, ContractBucket
from smsroute.ports import Ports
from smsroute.routing.dossier import Dossier
from smsroute.routing.views import CarrierView


class Station:
    """See the module. `now` is monotonic seconds throughout."""

    def __init__(self, carrier: Carrier, ports: Ports, limits: Limits, ledger: Ledger, desk: Desk) -> None:
        self.carrier = carrier
        self.drained = ""
        self._ports = ports
        self._limits = limits
        self._desk = desk
        self.binds = [self._bind(name, place) for name, place in places_of(carrier)]
        now = ports.clock.monotonic()
        self.dossier = Dossier(carrier, limits, now)
        self._bucket = ContractBucket(carrier.rate, now)
        self._handful = max(1, int(carrier.rate * BURST_S / 2))
        self._queues = ledger.queues
        self._rng: random.Random = ports.entropy.rng(f"health/{carrier.name}")
        self._senders = [bind for bind in self.binds if bind.sends]

    def adopt(self, carrier: Carrier, now: float) -> tuple[list[Bind], list[Bind]]:
        """The carrier as a new config has it: (binds that are new, binds that shall go).

        A bind stays when nothing that makes its session changed.
        """
        before, self.carrier = self.carrier, carrier
        self.dossier.adopt(carrier, now)
        self._bucket.resize(carrier.rate, now)
        self._handful = max(1, int(carrier.rate * BURST_S / 2))
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
        self._senders = [bind for bind in self.binds if bind.sends]
        self._apply_congestion(now)
        return fresh, old

    def dismiss(self, bind: Bind) -> None:
        """A bind that was seen off is no more."""
        self.binds.remove(bind)
        self._senders = [one for one in self.binds if one.sends]

    def _bind(self, name: str, place: Place) -> Bind:
        return Bind(name, place, self.carrier, ports=self._ports, limits=self._limits, desk=self._desk)

    # -- room ----------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Places in the windows of its binds."""
        return sum(max(0, bind.room) for bind in self._senders if not bind.leaving)

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

    def bind_with_room(self) -> Bind | None:
        """The sending bind with the most room, or None."""
        best, most = None, 0
        for bind in self._senders:
            room = bind.room
            if room > most and not bind.leaving:
                best, most = bind, room
        return best

    def bind_named(self, name: str) -> Bind | None:
        """This bind, if it has room."""
        return next((bind for bind in self._senders if bind.name == name and bind.room > 0), None)

    def sends_by(self, name: str) -> bool:
        """Whether it has such a bind, up or not."""
        return any(bind.name == name for bind in self._senders)

    def bind_lives(self, name: str) -> bool:
        """Whether this bind is up and will have room again by itself."""
        return any(bind.name == name and bind.state == "bound" and not bind.drained for bind in self._senders)

    def grant(self, now: float) -> bool:
        """Take one part's worth of pace, if there is one."""
        return now >= self.dossier.congestion.paused_until and self._bucket.take(1, now) == 1

    def headroom(self, now: float) -> int:
        """Parts it can take right now: windows, pace, pauses."""
        if self.drained or now < self.dossier.congestion.paused_until:
            return 0
        return min(self.room, self._bucket.available(now))

    def next_chance(self, now: float) -> float:
        """When pace may let a part through or a pause is over; room and health wake by themselves."""
        paused_until = self.dossier.congestion.paused_until
        if now < paused_until:
            return min(paused_until, now + self._limits.plan_ttl_s)
        # Half a bucket at a time: at 2,000 parts a second a task that wakes for each token does nothing else.
        return now + (self._bucket.delay(self._handful, now) or self._limits.plan_ttl_s)

    # -- what came back ------------------------------------------------------------------------------------------------

    def answered(
        self, network: str, blame: Blame, latency_s: float, now: float, parts: int, sent_at: float, asked: int = 0
    ) -> None:
        """`parts` answers of one blame. `latency_s`: the slowest; `sent_at`: when the newest of them left; `asked`: how
        many will have a receipt."""
        self.dossier.answered(network, blame, latency_s, now, self._rng, parts, sent_at, asked)
        if blame != Blame.OK or self.dossier.congestion.busy:
            self._apply_congestion(now)

    def bind_changed(self, now: float) -> None:
        """A bind came up or went down."""
        if any(bind.state == "bound" for bind in self._senders):
            self.dossier.bind_up(now)
        else:
            reason = next((bind.reason for bind in self._senders), "no bind may send")
            self.dossier.bind_down(reason, now, self._rng)

    def tick(self, now: float) -> bool:
        """Let time pass: ejections, probes, slow answers, recovery of pace. True when the health of anything
        changed."""
        self._apply_congestion(now)
        return self.dossier.tick(now, self._rng, self.oldest_age_s(now))

    def _apply_congestion(self, now: float) -> None:
        congestion = self.dossier.congestion
        self._bucket.set_pace(congestion.pace(now), now)
        window = congestion.window
        for bind in self._senders:
            bind.window = window

    # -- what the brain sees -------------------------------------------------------------------------------------------

    def oldest_age_s(self, now: float) -> float:
        """Age of the oldest request nobody has answered."""
        oldest = [sent_at for bind in self._senders if (sent_at := bind.oldest_sent_at) is not None]
        return now - min(oldest) if oldest else 0.0

    def view(self, network: str, now: float) -> CarrierView:
        """The carrier as it stands for a network."""
        return self.dossier.view(
            network,
            now,
            in_flight=self.in_flight,
            window=self.window,
            headroom=self.headroom(now),
            queued=self.queued,
            oldest_unanswered_age_s=self.oldest_age_s(now),
            drained=self.drained,
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
