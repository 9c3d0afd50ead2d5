"""Whole-engine worlds by seed: every law holds under every fault drawn, and all comes to rest afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from smsroute.carriers.bind import Bind
from smsroute.carriers.dispatch import Dispatch
from smsroute.carriers.lanes import Lanes
from smsroute.carriers.receipts import Receipts
from smsroute.carriers.station import Station
from smsroute.esmes.client import Client
from smsroute.esmes.deliver import MESSAGE_STATE, Deliver
from smsroute.families import Families, verdict
from smsroute.ledger import _APPLY, Ledger
from smsroute.matching import Ids
from smsroute.memory import Memory
from smsroute.message import STATE_OF_RECEIPT, AnyEvent, Doubted, Part, Receipted, Requeued, State, Tell, Told
from smsroute.policy.rates import TokenBucket
from smsroute.queues import Queues
from smsroute.routing.views import CarrierView
from smsroute.smpp import names
from smsroute.smpp.codec import Pdu, build_responses
from smsroute.smpp.session import Session
from smsroute.store.base import Checkpoint
from smsroute.store.journal import Entry, Journal
from smsroute.store.sqlite import SqliteStore
from tests.sim.faults import FAULTS
from tests.sim.options import FAULTS as EARLIER
from tests.sim.options import LATER_FAULTS, Options, options
from tests.sim.scenarios import SCENARIOS, calm
from tests.sim.world import Broken, run_options

SEEDS = range(1, 21)
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids="seed{}".format)
def test_seed(seed: int) -> None:
    """The laws hold in the world of this seed, and it comes to rest. A failure ends with the replay's command."""
    report = run_options(options(seed))
    assert report.states.total() > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 9, 14], ids="seed{}".format)
def test_same_seed_same_world(seed: int) -> None:
    """A seed is a world: two runs say the same, octet by octet, line by line."""
    assert run_options(options(seed)).digest == run_options(options(seed)).digest


@pytest.mark.slow
def test_same_world_in_another_process() -> None:
    """Nothing of a world hangs on the process: neither its hash seed, nor its addresses, nor the time of day."""
    script = "from tests.sim import options, world; print(world.run_options(options.options(9)).digest)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [run_options(options(9)).digest]


def test_every_fault_is_drawn() -> None:
    """Each fault there is blows in some seed of every run."""
    assert {*EARLIER, *LATER_FAULTS} == set(FAULTS)
    assert {name for seed in SEEDS for name in options(seed).faults} == set(FAULTS)


# The auditor is worth what it catches: each bug below was planted in the engine, and must not pass.


def _expect(law: str, **changes: Any) -> None:
    with pytest.raises(Broken, match=f"(?s){law}"):
        run_options(attrs.evolve(calm(1), **changes))


@pytest.mark.slow
def test_catches_answers_before_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that acts on its facts before they are durable breaks laws 1 and 2."""
    write = Journal._write

    async def hasty(self: Journal, batch: list[Entry]) -> None:
        for entry in batch:
            for event in entry.events:
                self._book.apply(event)
            self._settle(entry, None)
        await write(self, [Entry(entry.events, None, entry.must) for entry in batch])

    monkeypatch.setattr(Journal, "_write", hasty)
    monkeypatch.setattr(Ledger, "apply", _once(Ledger.apply))
    _expect("law [12] ", disk_latency_s=(0.05, 0.2))


def _once(apply: Callable[[Ledger, AnyEvent], None]) -> Callable[[Ledger, AnyEvent], None]:
    seen: list[AnyEvent] = []

    def once(self: Ledger, event: AnyEvent) -> None:
        if not any(event is other for other in seen[-100:]):
            seen.append(event)
            apply(self, event)

    return once


@pytest.mark.slow
def test_catches_a_forgotten_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose checkpoint leaves out a message that ended breaks law 1."""
    checkpoint = SqliteStore.checkpoint

    def forgetful(self: SqliteStore, whole: Checkpoint) -> None:
        checkpoint(self, attrs.evolve(whole, messages=whole.messages[1:]))

    monkeypatch.setattr(SqliteStore, "checkpoint", forgetful)
    _expect("law 1 .* does not know it")


@pytest.mark.slow
def test_catches_a_silent_resend(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that sends again what was in doubt, and does not own up to it, breaks law 6."""
    doubted = _APPLY[Doubted]

    def resending(self: Ledger, event: Doubted) -> None:
        doubted(self, event)
        for part_id in event.part_ids:
            self._requeued(Requeued(event.at, [part_id], "", "as if it had never left"))
            self.parts[part_id].attempts[-1].resent = False

    monkeypatch.setitem(_APPLY, Doubted, resending)
    _expect("law 6 ", faults=("silence", "half_open"), safety_s=60.0)


@pytest.mark.slow
def test_catches_a_window_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not count what is in flight passes the window and breaks law 7."""
    monkeypatch.setattr(Bind, "room", property(lambda self: 100 if self.state == "bound" else 0))
    monkeypatch.setattr(Session, "room", property(lambda self: 100))
    carriers = tuple(attrs.evolve(one, config=attrs.evolve(one.config, window=1)) for one in calm(1).carriers)
    _expect("law 7 .* in flight", faults=("brownout",), safety_s=60.0, carriers=carriers)


@pytest.mark.slow
def test_catches_a_broken_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not pace itself passes a carrier's contract and breaks law 7."""
    base = calm(1)
    carriers = tuple(attrs.evolve(one, config=attrs.evolve(one.config, rate=1.0)) for one in base.carriers)
    monkeypatch.setattr(TokenBucket, "take", lambda self, n, now: n)
    _expect("law 7 .* ahead of", carriers=carriers)


@pytest.mark.slow
def test_catches_an_early_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that ticks a receipt off before its platform answered breaks law 4."""
    send = Deliver._send

    def hasty(self: Deliver, client: Client, parts: list[Part]) -> None:
        send(self, client, parts)
        assert client.esme is not None
        self._journal.append([Told(0.0, client.esme.name, [part.part_id for part in parts])], must=True)

    monkeypatch.setattr(Deliver, "_send", hasty)
    _expect("law 4 ")


@pytest.mark.slow
def test_catches_a_receipt_answered_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that answers a receipt and does not keep it breaks law 3."""

    async def careless(self: Receipts, bind: Bind, pdus: Sequence[Pdu]) -> None:
        rows = [(0, pdu.sequence_number, "") for pdu in pdus]
        assert bind.link is not None
        bind.link.write(build_responses(names.DELIVER_SM_RESP, rows))

    monkeypatch.setattr(Receipts, "delivered", careless)
    _expect("law 3 ")


@pytest.mark.slow
def test_catches_a_wrong_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that tells a platform another end than the one it keeps breaks law 5."""
    monkeypatch.setitem(MESSAGE_STATE, State.DELIVERED, MESSAGE_STATE[State.UNDELIVERABLE])
    _expect("law 5 ")


@pytest.mark.slow
def test_catches_a_wrong_match(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes one message's receipt for that of another to the same handset breaks law 5, though both
    words are DELIVRD: the err was the other's."""
    give, last = Ids.give, dict[str, Part]()

    def confused(self: Ids, carrier: str, key: str, part: Part, index: int) -> bool:
        other = last.setdefault(part.destination_addr, part)
        last[part.destination_addr] = part
        return give(self, carrier, key, other, 0)

    monkeypatch.setattr(Ids, "give", confused)
    base = SCENARIOS["one-handset"](1)
    with pytest.raises(Broken, match=r"(?s)law 5 .* its carriers said"):
        run_options(base)


@pytest.mark.slow
def test_catches_a_second_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that lets a second last word take the place of the first breaks law 5."""
    receipt = Ledger._receipt

    def fickle(self: Ledger, part: Part, index: int, event: Receipted, at: float) -> None:
        if part.final and event.state in STATE_OF_RECEIPT:
            part.state = event.state
        receipt(self, part, index, event, at)

    monkeypatch.setattr(Ledger, "_receipt", fickle)
    with pytest.raises(Broken, match="law 5 "):
        run_options(SCENARIOS["one-handset"](1))


@pytest.mark.slow
def test_catches_a_torn_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that sends the parts of one message by several binds breaks law 8."""
    base = calm(1)
    esmes = tuple(attrs.evolve(one, workload=attrs.evolve(one.workload, parts=3)) for one in base.esmes)
    monkeypatch.setattr(Dispatch, "pin", lambda self, multipart: None)
    _expect("law 8 ", esmes=esmes)


def _as_one() -> Options:
    """A calm world whose platforms send messages in three parts and want one receipt for each; some parts fail."""
    base = calm(1, outcomes="DELIVRD:3,UNDELIV:1")
    esmes = tuple(
        attrs.evolve(
            one,
            workload=attrs.evolve(one.workload, parts=3, messages=90),
            config=attrs.evolve(one.config, receipts="message", rate=1000.0),
        )
        for one in base.esmes
    )
    return attrs.evolve(base, esmes=esmes)


@pytest.mark.slow
def test_a_message_in_parts_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a platform wants one receipt a message it gets one; an engine that lets each part speak, that does not wait
    for the last part, or that forgets to tell, breaks law 4."""
    report = run_options(_as_one())
    told = sum(platform["told"] for platform in report.platforms.values())
    assert (told, report.counts["promised"]) == (60, 180)

    def chatty(self: Memory, message: Sequence[Part], at: float) -> None:
        for part in message:
            part.tell, part.verdict = Tell.SPEAKER, verdict(message, at)
            self._fall_due(part)

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "_settle", chatty)
        with pytest.raises(Broken, match=r"law 4 .* is to be told as"):
            run_options(_as_one())
    with monkeypatch.context() as patch:
        patch.setattr(Families, "ended", lambda self, part, at: [part])
        with pytest.raises(Broken, match=r"law [45] .* told"):
            run_options(_as_one())
    monkeypatch.setattr(Part, "wishes", lambda self, state: False)
    with pytest.raises(Broken, match=r"law 4 .* to be told as .* was told by \[\]"):
        run_options(_as_one())


@pytest.mark.slow
def test_catches_a_stuck_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that never wakes for what is due is not at rest, and the world says what waits where."""
    monkeypatch.setattr(Queues, "release", lambda self, now: float("inf"))
    monkeypatch.setattr(Queues, "overdue", lambda self, now, grace_s, most: ([], []))
    _expect(
        "not at rest .*DUE|not at rest .*SUBMITTED|law 6 .* has waited",
        faults=("instant_errors", "receipt_silence"),
        safety_s=60.0,
    )


@pytest.mark.slow
def test_catches_a_message_that_waits_for_the_sick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that neither judges its carriers nor moves what waits for them breaks the failover bound of law 6."""
    monkeypatch.setattr(Station, "view", lambda self, *_: CarrierView(self.carrier.name))
    monkeypatch.setattr(Lanes, "_elsewhere", lambda *_: None)
    silent = SCENARIOS["one-carrier-silent"](1)
    with pytest.raises(Broken, match=r"law 6 .* waited \d"):
        run_options(attrs.evolve(silent, limits=attrs.evolve(silent.limits, pick_tolerance=100.0)))
