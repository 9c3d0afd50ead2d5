"""A small world for the brain alone: carriers with a temperament, a queue each, virtual time, one seed.

It is not the engine: it does with `plan`, `pick`, the dossier and the bucket what `carriers/dispatch` does, in steps of
5 ms, so that 100,000 messages pass in a second or two of real time.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable

import attrs
import pytest

from smsroute.config import BindConfig, Carrier, Choice, Limits, Route, Secret
from smsroute.message import Blame, MessageClass
from smsroute.policy.rates import ContractBucket
from smsroute.routing import decide
from smsroute.routing.dossier import Dossier
from smsroute.routing.inflow import Inflow

STEP_S = 0.005
TIMEOUT_S = 10.0

Answer = tuple[Blame, float] | None
"""What a carrier does with a part: answers so after so many seconds, or never."""


def taken(latency_s: float) -> Callable[[float, random.Random], Answer]:
    """A carrier that takes everything, between half and one and a half of `latency_s` later."""
    return lambda now, rng: (Blame.OK, latency_s * (0.5 + rng.random()))


@attrs.define
class Fake:
    """One simulated carrier."""

    name: str
    rate: float
    window: int
    behave: Callable[[float, random.Random], Answer]
    dossier: Dossier
    bucket: ContractBucket
    inflow: Inflow
    queue: deque = attrs.field(factory=deque)
    sent_at: dict[int, float] = attrs.field(factory=dict)
    sent: Counter = attrs.field(factory=Counter)  # per tenth of a second
    taken: Counter = attrs.field(factory=Counter)

    def sent_between(self, start: float, end: float) -> int:
        """Parts sent to it in [start, end)."""
        return sum(n for tenth, n in self.sent.items() if round(start * 10) <= tenth < round(end * 10))

    def taken_between(self, start: float, end: float) -> int:
        """Parts it took in [start, end)."""
        return sum(n for tenth, n in self.taken.items() if round(start * 10) <= tenth < round(end * 10))


class World:
    """Carriers behind one route, and a steady stream of messages."""

    def __init__(self, seed: int = 1, limits: Limits | None = None, **route: object) -> None:
        self.limits = limits or Limits()
        self.rng = random.Random(seed)
        self.now = 0.0
        self.fakes: dict[str, Fake] = {}
        self.choices: list[Choice] = []
        self.backup: list[Choice] = []
        self.route_fields = route
        self.answers: list[tuple[float, int, str, int, float, Blame]] = []
        self.plans: list[decide.Plan] = []
        self.done = 0
        self.refused = 0
        self._serial = 0
        self._owed = 0.0
        self._changes = 0

    def carrier(
        self,
        name: str,
        behave: Callable[[float, random.Random], Answer],
        *,
        rate: float = 5000,
        window: int = 500,
        backup: bool = False,
        shadow: bool = False,
        **choice: object,
    ) -> Fake:
        """Add a carrier to the route."""
        config = Carrier(name, "us", Secret(b""), (BindConfig("h", 1),), rate=rate, window=window, shadow=shadow)
        dossier = Dossier(config, self.limits, self.now)
        dossier.bind_up(self.now)
        fake = self.fakes[name] = Fake(
            name,
            rate,
            window,
            behave,
            dossier,
            ContractBucket(rate, self.now),
            Inflow(self.limits.demand_tau_s, self.now),
        )
        (self.backup if backup else self.choices).append(Choice(name, **choice))
        return fake

    @property
    def plan(self) -> decide.Plan:
        """The plan in force."""
        return self.plans[-1]

    def run(
        self,
        seconds: float,
        rate: float,
        message_class: MessageClass = MessageClass.OTP,
        script: Callable[[World], None] | None = None,
    ) -> World:
        """Let `rate` messages a second come in for so long. `script` is called at each new plan."""
        route = Route("r", ("",), carriers=tuple(self.choices), backup=tuple(self.backup), **self.route_fields)
        end = self.now + seconds
        next_plan = self.now
        while self.now < end - 1e-9:
            changes = sum(fake.dossier.changes for fake in self.fakes.values())
            if self.now >= next_plan - 1e-9 or changes != self._changes:
                next_plan = self.now + self.limits.plan_ttl_s
                self._changes = changes
                if script is not None:
                    script(self)
                self._tick(route, message_class)
            self._owed += rate * STEP_S
            arrivals, self._owed = int(self._owed), self._owed % 1
            self._place(range(self._serial, self._serial + arrivals), new=1)
            self._serial += arrivals
            for fake in self.fakes.values():
                self._send(fake)
            self.now += STEP_S
            self._receive()
        return self

    def _tick(self, route: Route, message_class: MessageClass) -> None:
        views = {}
        for fake in self.fakes.values():
            age_s = self.now - min(fake.sent_at.values()) if fake.sent_at else 0.0
            fake.dossier.tick(self.now, self.rng, age_s)
            views[fake.name] = fake.dossier.view(
                "",
                self.now,
                in_flight=len(fake.sent_at),
                window=fake.window,
                queued=len(fake.queue),
                oldest_unanswered_age_s=age_s,
                given=fake.inflow.rate(self.now),
            )
        previous = self.plans[-1] if self.plans else None
        plan = decide.plan(route, message_class, views, self.limits, self.now, previous)
        self.plans.append(plan)
        able = {one.carrier for one in plan.choices if one.weight}
        for fake in self.fakes.values():
            if fake.name not in able and able:  # its queue moves
                parts = list(fake.queue)
                fake.queue.clear()
                self._place(parts)
        for fake in self.fakes.values():  # what would wait too long looks again; most urgent first in the engine
            stay = int(views[fake.name].rate * self.limits.spill_wait_s) + 1
            if len(fake.queue) > stay and len(able) > 1:
                excess = [fake.queue.pop() for _ in range(len(fake.queue) - stay)]
                self._place(reversed(excess))
        for probe in plan.probes:
            source = next((fake.queue for fake in self.fakes.values() if fake.queue), None)
            fake = self.fakes[probe.carrier]
            if fake.dossier.claim_probe("", self.now):
                self._launch(fake, source.popleft() if source else self._next_serial())

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial - 1

    def _place(self, parts, new: int = 0) -> None:
        load = {fake.name: len(fake.sent_at) + len(fake.queue) for fake in self.fakes.values()}
        for part in parts:
            one = decide.pick(self.plan, self.rng, load)
            load[one.carrier] += 1
            self.fakes[one.carrier].queue.append(part)
            self.fakes[one.carrier].inflow.count += new

    def _send(self, fake: Fake) -> None:
        congestion = fake.dossier.congestion
        if not fake.queue or congestion.paused(self.now):
            return
        fake.bucket.set_pace(congestion.pace(self.now), self.now)
        room = min(congestion.window - len(fake.sent_at), len(fake.queue))
        for _ in range(fake.bucket.take(max(0, room), self.now)):
            self._launch(fake, fake.queue.popleft())

    def _launch(self, fake: Fake, part: int) -> None:
        fake.sent_at[part] = self.now
        fake.sent[int(self.now * 10 + 1e-6)] += 1
        answer = fake.behave(self.now, self.rng)
        blame, latency_s = answer if answer is not None else (Blame.UNKNOWN, TIMEOUT_S)
        heapq.heappush(self.answers, (self.now + latency_s, part, fake.name, int(blame), self.now, blame))

    def _receive(self) -> None:
        while self.answers and self.answers[0][0] <= self.now:
            at, part, name, _, sent_at, blame = heapq.heappop(self.answers)
            fake = self.fakes[name]
            del fake.sent_at[part]
            fake.dossier.answered("", blame, at - sent_at, self.now, self.rng, 1, sent_at)
            if blame == Blame.OK:
                fake.taken[int(self.now * 10 + 1e-6)] += 1
                self.done += 1
            elif blame == Blame.THROTTLED:
                fake.queue.appendleft(part)
            elif blame in (Blame.TRANSIENT, Blame.PERMANENT_ROUTE, Blame.UNKNOWN):
                other = next((one.carrier for one in self.plan.choices if one.carrier != name), name)
                self.fakes[other].queue.append(part)
            else:
                self.refused += 1


@pytest.fixture
def world() -> type[World]:
    """The world's class: `world(seed=…, prefer=…)`."""
    return World


@pytest.fixture
def answering() -> Callable[[float], Callable[[float, random.Random], Answer]]:
    """A carrier that takes everything after so many seconds, give or take half."""
    return taken
