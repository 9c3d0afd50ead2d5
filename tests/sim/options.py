"""What a seed decides: who takes part, how small the limits are, which faults blow.

Rules:
- Everything is drawn here, from the seed alone, and printed before the run; a scenario is a seed with some of it fixed.
- Limits are small on purpose, so that windows fill, sequence numbers wrap and queues overflow in every run.

Walk: `world` builds what these options say.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any, cast

import attrs

from smsroute.config import Carrier, Choice, Config, Dialect, Esme, InDoubt, Limits, Listen, MoRule, Route, Secret
from smsroute.config.dialect import IdRule
from smsroute.config.form import SubmitForm
from smsroute.config.hours import WindowKind
from smsroute.config.nouns import BindConfig, NamedNetwork
from smsroute.message import MessageClass
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.idforms import IdFormat
from smsroute.sim.temperament import Temperament
from smsroute.sim.workload import Workload
from smsroute.smpp import names
from tests.sim.network import Weather

ENGINE = "10.0.0.1"
WINDOW = WindowKind()
DOOR = 2775
FIRST_SEQUENCE = 0x7FFFFFF0
FAULTS = (
    "clog",
    "cut",
    "half_open",
    "refuse",
    "throttle_storm",
    "brownout",
    "instant_errors",
    "silence",
    "black_hole",
    "night",
    "binds_refused",
    "maintenance",
    "receipt_silence",
    "receipt_disorder",
    "platform_drops",
    "platform_sulks",
    "power_off",
    "restart",
    "disk_slow",
    "disk_full",
    "clock_step",
    "reload",
)
LATER_FAULTS = ("flapping", "half_rate")
"""Drawn from dice of their own, so that the worlds of earlier seeds stay what they are but for them."""
CLASSES = (MessageClass.OTP, MessageClass.ALERT, MessageClass.INFO, MessageClass.MARKETING)
ID_RULES: tuple[tuple[IdFormat, IdRule], ...] = (
    (IdFormat.HEX, "auto"),
    (IdFormat.DECIMAL, "exact"),
    (IdFormat.HEX_DEC, "hex-dec"),
    (IdFormat.DEC_HEX, "dec-hex"),
    (IdFormat.PADDED, "unpad"),
    (IdFormat.UUID, "casefold"),
)
UNSAID = (
    IdFormat.HEX_DEC,
    IdFormat.HEX_DEC_BARE,
    IdFormat.HEX_DEC_64,
    IdFormat.DEC_HEX,
    IdFormat.PADDED,
    IdFormat.PADDED_RESPONSE,
    IdFormat.HEX_PADDED,
    IdFormat.UPPER_LOWER,
    IdFormat.PREFIXED,
    IdFormat.SPACED,
    IdFormat.UUID_CASE,
    IdFormat.BASE62,
)
"""Forms that `auto` is to learn."""
SURE = (IdFormat.HEX, IdFormat.DECIMAL, IdFormat.UUID)
MO = (
    MoRule("code", ("38000",), "acme"),
    MoRule("numbers", ("337*",), "beta", carriers=("red", "green")),
    MoRule("code-hello", ("38000",), "beta", keyword=("HELLO",), sender=("3361", "3362", "3363")),
)
MO_TO = ("38000", "33700000001", "39999")
"""What handsets write to; the last is nobody's."""
NETWORKS = {"mobile": NamedNetwork("mobile", prefixes=("336",), numbers=("336",))}
PREFIXES: Any = ("336", "3367")
SMALL = Limits(
    receive_octets=512,
    esme_receive_octets=512,
    first_sequence=FIRST_SEQUENCE,
    esme_response_timeout_s=8.0,
    esme_enquire_link_s=15.0,
    reconnect_refused_s=30.0,
    reconnect_already_min_s=1.0,
    reconnect_already_max_s=8.0,
    finished_in_memory_max=20,
    orphans_max=50,
    orphan_ttl_s=120.0,
    receipt_grace_s=60.0,
    query_after_s=8.0,
    query_interval_s=15.0,
    query_wait_s=20.0,
    queries_max=2,
    retry_schedule_s=(1.0, 3.0, 10.0),
    attempts_max=6,
    dispatch_batch_max=3,
    drain_timeout_s=8.0,
    outbox_batch_max=3,
    outbox_memory_max=4,
    outbox_page_parts=2,
    outbox_retry_max_s=8.0,
    journal_events_max=10,
    journal_waiting_max=40,
    checkpoint_interval_s=2.0,
    ejection_max_s=30.0,
    ejection_min_s=2.0,
    slow_start_s=5.0,
    throttle_pause_max_s=8.0,
    pace_recovery_s=10.0,
    multiparts_max=500,
    parts_missing_s=20.0,
    merge_wait_s=4.0,
)


@attrs.frozen
class CarrierOptions:
    """One simulated carrier and our contract with it."""

    name: str
    address: str
    config: Carrier
    temperament: Temperament

    @property
    def sure(self) -> bool:
        """Whether there is nothing for `auto` to learn."""
        return self.config.dialect.ids != "auto" or self.temperament.ids in SURE


@attrs.frozen
class EsmeOptions:
    """One simulated platform and what it may do."""

    name: str
    address: str
    config: Esme
    settings: EsmeSettings
    workload: Workload


@attrs.frozen
class Options:
    """A world, before it is made."""

    seed: int
    carriers: tuple[CarrierOptions, ...]
    esmes: tuple[EsmeOptions, ...]
    routes: tuple[Route, ...]
    faults: tuple[str, ...]
    weather: Weather
    disk_latency_s: tuple[float, float]
    safety_s: float = 60.0  # under faults
    liveness_s: float = 500.0  # to come to rest once they are over
    limits: Limits = SMALL
    mo: tuple[MoRule, ...] = ()
    mo_rate: float = 0.0  # messages a second that the handsets of each carrier write, while faults blow
    failover_s: float = (
        math.inf
    )  # law 6: no message waits longer for its first carrier; for worlds where one stays well
    replay: str = ""  # the command, where it is not plainly --seed

    @property
    def roomy(self) -> bool:
        """Whether each carrier alone, kind, soon takes all that the platforms may have left to send."""
        return all(
            one.config.rate >= 20
            and not one.temperament.throttle_above_s
            and not one.temperament.window
            and (one.config.window >= 5 or self.weather.latency_s[1] < 0.1)
            and one.temperament.response_delay.first <= 0.1
            for one in self.carriers
        )

    def config(self, folder: Path) -> Config:
        """The engine's."""
        return Config(
            directory=folder,
            listen=(Listen(ENGINE, DOOR),),
            limits=self.limits,
            esmes={one.name: one.config for one in self.esmes},
            carriers={one.name: one.config for one in self.carriers},
            networks=NETWORKS,
            routes=self.routes,
            mo=self.mo,
        )

    def longer(self, safety_s: float, rate: float = 1.0) -> Options:
        """The same trouble for `safety_s` seconds, with up to `rate` messages a second from each platform meanwhile."""
        esmes = tuple(
            attrs.evolve(
                one,
                settings=attrs.evolve(one.settings, rate=rate),
                workload=attrs.evolve(one.workload, messages=int(rate * safety_s / 2)),
            )
            for one in self.esmes
        )
        return attrs.evolve(self, esmes=esmes, safety_s=safety_s)

    def lines(self) -> list[str]:
        """For people: everything the seed drew."""
        lines = [f"seed {self.seed}: {', '.join(self.faults) or 'no faults'}, {self.safety_s:g} s, {self.weather}"]
        lines.append(f"disk {self.disk_latency_s} s")
        for carrier in self.carriers:
            told = carrier.config
            binds = " ".join(f"{bind.count} x {bind.mode}" for bind in told.binds)
            words = " ".join(carrier.temperament.words())
            lines.append(f"carrier {carrier.name}: {binds}, window {told.window}, {told.rate:g}/s, {words}")
        lines.extend(
            f"esme {esme.name}: {esme.config.default_class.name}, {esme.settings}, {esme.workload}"
            for esme in self.esmes
        )
        lines.extend(f"{route}" for route in self.routes)
        return lines


def options(seed: int) -> Options:
    """Draw a world."""
    rng = random.Random(f"{seed}/options")
    easy = rng.random() < 0.5
    carriers = tuple(_carrier(rng, name, f"10.1.0.{n}", easy) for n, name in enumerate(("red", "green", "blue"), 1))
    carriers = _asked(random.Random(f"{seed}/asked"), carriers[: rng.choice((2, 2, 3))])
    carriers = _talkative(random.Random(f"{seed}/receipts"), carriers)
    carriers = _whole(random.Random(f"{seed}/payload"), carriers)
    esmes = tuple(_esme(rng, name, f"10.2.0.{n}") for n, name in enumerate(("acme", "beta"), 1))
    esmes = _told(random.Random(f"{seed}/told"), esmes)
    share = rng.choice((0.15, 0.3, 0.3, 0.6))
    faults = tuple(name for name in FAULTS if rng.random() < share)
    later = random.Random(f"{seed}/later faults")
    faults += tuple(name for name in LATER_FAULTS if later.random() < share)
    lowest = rng.choice((0.0, 0.001, 0.02))
    written = random.Random(f"{seed}/handsets")
    return Options(
        mo=MO,
        mo_rate=written.choice((0.0, 0.3, 1.5)),
        seed=seed,
        carriers=carriers,
        esmes=esmes,
        routes=_by_the_hour(random.Random(f"{seed}/hours"), _route(rng, carriers)),
        faults=faults,
        weather=Weather(
            latency_s=(lowest, lowest + rng.choice((0.001, 0.02, 0.2))),
            fragment_share=rng.choice((0.0, 0.1, 0.6)),
            alone_share=rng.choice((0.0, 0.3)),
            buffer_octets=rng.choice((600, 4096, 65_536)),
        ),
        disk_latency_s=rng.choice(((0.0, 0.001), (0.0005, 0.01), (0.01, 0.05))),
    )


def _asked(rng: random.Random, carriers: tuple[CarrierOptions, ...]) -> tuple[CarrierOptions, ...]:
    """Half of them answer query_sm, and a few are asked that do not."""
    return tuple(
        attrs.evolve(
            one,
            config=attrs.evolve(one.config, query_sm=rng.random() < 0.6),
            temperament=attrs.evolve(one.temperament, query_sm=rng.random() < 0.9),
        )
        for one in carriers
    )


def _talkative(rng: random.Random, carriers: tuple[CarrierOptions, ...]) -> tuple[CarrierOptions, ...]:
    """Receipts that should not be, and an err of its own for each message: who is told another's end is found out. Half
    of the carriers write ids in a form that our config leaves to `auto`."""
    unsaid = [
        one if rng.random() < 0.5 else _unsaid(one, rng.choice(UNSAID), rng.choice((0, 0, 4095))) for one in carriers
    ]
    return tuple(
        attrs.evolve(
            one,
            temperament=attrs.evolve(
                one.temperament,
                errs_unique=True,
                receipts_intermediate=rng.choice((0.0, 0.3)),
                receipts_stale=rng.choice((0.0, 0.2)),
                receipts_conflicting=rng.choice((0.0, 0.0, 0.2)),
            ),
        )
        for one in unsaid
    )


def _whole(rng: random.Random, carriers: tuple[CarrierOptions, ...]) -> tuple[CarrierOptions, ...]:
    """In every third world some carriers want all parts of a message as one payload."""
    if rng.random() < 2 / 3:
        return carriers
    return tuple(
        attrs.evolve(one, config=attrs.evolve(one.config, submit=SubmitForm(long="payload")))
        if rng.random() < 0.7
        else one
        for one in carriers
    )


def _unsaid(one: CarrierOptions, ids: IdFormat, first_id: int) -> CarrierOptions:
    """This carrier with ids of this form from `first_id` on (0: anywhere), and nothing said of it in the config."""
    return attrs.evolve(
        one,
        temperament=attrs.evolve(one.temperament, ids=ids, first_id=first_id),
        config=attrs.evolve(one.config, dialect=attrs.evolve(one.config.dialect, ids="auto")),
    )


def _carrier(rng: random.Random, name: str, address: str, easy: bool) -> CarrierOptions:
    """`easy`: with room for all traffic, so that whatever waits long waits for no reason."""
    ids = rng.choice(
        (IdFormat.HEX, IdFormat.DECIMAL, IdFormat.HEX_DEC, IdFormat.DEC_HEX, IdFormat.PADDED, IdFormat.UUID)
    )
    rule = {IdFormat.HEX_DEC: "hex-dec", IdFormat.DEC_HEX: "dec-hex", IdFormat.PADDED: "unpad"}.get(ids, "auto")
    count = rng.choice((1, 1, 2))
    config = Carrier(
        name,
        system_id="smsroute",
        password=Secret(b"secret"),
        binds=(BindConfig(address, DOOR, mode=rng.choice(("transceiver", "transceiver", "pair")), count=count),),
        window=5 if easy else rng.choice((1, 2, 2, 5)),
        rate=100.0 if easy else float(rng.choice((5, 20, 100))),
        enquire_link_s=5.0,
        response_timeout_s=4.0,
        reconnect_min_s=0.5,
        reconnect_max_s=8.0,
        dialect=Dialect(ids=cast(IdRule, rule)),
    )
    temperament = Temperament(
        response_delay=rng.choice(("0", "0.05", "lognormal:0.1:0.8", *(() if easy else ("normal:0.5:0.3",)))),
        receipt_delay=rng.choice(("0", "lognormal:1:1", "normal:5:3")),
        slow_delay="normal:4:2",
        error_share=rng.choice((0.0, 0.0, 0.1)),
        error_statuses="ESME_RSYSERR:3,ESME_RINVDSTADR:1,ESME_RMSGQFUL:2,ESME_RSUBMITFAIL:2,ESME_RTHROTTLED:1",
        throttle_above_s=0.0 if easy else rng.choice((0.0, 0.0, 4.0)),
        window=0.0 if easy else rng.choice((0.0, 0.0, 1.0)),
        sick_share=rng.choice((1.0, 0.6)),
        outcomes="DELIVRD:8,UNDELIV:1,EXPIRED:1,REJECTD:1",
        receipts_lost=rng.choice((0.0, 0.0, 0.1)),
        receipts_doubled=rng.choice((0.0, 0.2)),
        receipts_early=rng.choice((0.0, 0.2)),
        receipts_elsewhere=rng.choice((0.0, 0.3)),
        receipt_tlvs=rng.random() < 0.7,
        silent_takes=rng.random() < 0.5,
        ids=ids,
    )
    return CarrierOptions(name, address, config, temperament)


def _esme(rng: random.Random, name: str, address: str) -> EsmeOptions:
    rate = rng.choice((2.0, 5.0, 20.0))
    config = Esme(
        name,
        password=Secret(b"secret"),
        window=rng.choice((2, 10)),
        rate=float(rng.choice((20, 1000))),
        default_class=rng.choice(CLASSES),
        validity_s=float(rng.choice((60, 150))),
        receipt_tlvs=rng.random() < 0.5,
    )
    settings = EsmeSettings(
        system_id=name,
        binds=rng.choice((("transceiver",), ("transceiver", "transceiver"), ("transmitter", "receiver"))),
        window=rng.choice((2, 10)),
        rate=rate,
        response_timeout_s=20.0,
        enquire_link_s=12.0,
        resubmit_doubted=rng.random() < 0.3,
        refusal=rng.choice((names.ESME_RSYSERR, names.ESME_RX_T_APPN, names.ESME_RX_R_APPN)),
        first_sequence=FIRST_SEQUENCE,
    )
    workload = Workload(
        messages=min(180, int(rate * rng.uniform(30, 50))),
        prefixes=PREFIXES[: rng.choice((1, 2))],
        subscribers=rng.choice((3, 1_000_000)),
        source_addr=rng.choice(("smsroute", "38000")),
        text="",
        tag=f"@{name[0]}.",  # short, so that a receipt that quotes 20 octets quotes all of it
        registered_delivery=rng.choice((1, 1, 1, 2, 0)),
        parts=rng.choice((1, 1, 3)),
    )
    return EsmeOptions(name, address, config, settings, workload)


def _told(rng: random.Random, esmes: tuple[EsmeOptions, ...]) -> tuple[EsmeOptions, ...]:
    """Half of them want one receipt a message."""
    return tuple(
        attrs.evolve(one, config=attrs.evolve(one.config, receipts="message")) if rng.random() < 0.5 else one
        for one in esmes
    )


def _route(rng: random.Random, carriers: tuple[CarrierOptions, ...]) -> Route:
    choices = [
        Choice(one.name, cost=rng.choice((0.01, 0.02, 0.05)), weight=rng.choice((1, 50)), certified=rng.random() < 0.5)
        for one in carriers
    ]
    backups = choices[1:] if rng.random() < 0.3 else []
    policy: Any = rng.choice(("hold", "resend", "fail", "house"))
    route = Route(
        "fr",
        ("336",),
        carriers=tuple(one for one in choices if one not in backups),
        backup=tuple(backups),
        prefer=rng.choice(("balanced", "quality", "cost")),
    )
    if policy == "house":
        return route
    return attrs.evolve(route, in_doubt=dict.fromkeys(MessageClass, InDoubt(policy, 6.0)))


def _by_the_hour(rng: random.Random, route: Route) -> tuple[Route, ...]:
    """Some worlds name the network; in some the route speaks every other minute, and in between another, or none."""
    if rng.random() < 0.5:
        route = attrs.evolve(route, to=("mobile",))
    turn = rng.random()
    if turn < 0.6:
        return (route,)
    windows = tuple(WINDOW.read(f"00:{minute:02d}-00:{minute + 1:02d}") for minute in range(0, 30, 2))
    now_and_then = attrs.evolve(route, hours=windows)
    if turn < 0.7:
        return (now_and_then,)
    entries = (*route.carriers, *route.backup)
    return (now_and_then, attrs.evolve(route, name="fr-else", carriers=entries[::-1], backup=()))
