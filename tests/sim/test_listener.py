"""Messages from handsets in seeded worlds, and that their judge catches what it is for. tests/sim/listener.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from smsroute.carriers.bind import Bind
from smsroute.carriers.handsets import Batch, Handsets, Heard
from smsroute.carriers.receipts import Receipts
from smsroute.esmes.client import Client
from smsroute.esmes.deliver import Deliver
from smsroute.message import Arrived, Part, Told
from smsroute.smpp import handset
from smsroute.smpp.codec import Pdu, build_responses
from tests.sim.options import Options
from tests.sim.scenarios import calm
from tests.sim.world import Broken, run_options


def written(seed: int, *faults: str, **changes: Any) -> Options:
    """A calm world, or one with these faults, in which handsets write."""
    return attrs.evolve(calm(seed), mo_rate=3.0, faults=faults, **changes)


@pytest.mark.parametrize("seed", [1, 2])
def test_all_are_told(seed: int) -> None:
    """In a world without trouble every message that has an owner is told once, and none is taken twice."""
    report = run_options(written(seed))
    assert report.counts["messages from handsets"] == report.states["RECEIVED"] > 50
    assert report.counts["messages from handsets taken again"] == 0
    assert report.counts["messages from handsets refused"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_under_faults(seed: int) -> None:
    """Links cut and half open, power lost, a sick disk, platforms that sulk: laws 3 and 4 hold."""
    faults = ("cut", "half_open", "power_off", "disk_full", "platform_sulks", "platform_drops", "restart")
    assert run_options(written(seed, *faults)).states["RECEIVED"] > 50


def _expect(law: str, *faults: str, **changes: Any) -> None:
    with pytest.raises(Broken, match=f"(?s){law}"):
        run_options(written(1, *faults, **changes))


@pytest.mark.slow
def test_catches_one_answered_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that answers a handset's message before it is durable breaks law 3."""

    async def careless(self: Receipts, bind: Bind, pdus: Sequence[Pdu]) -> None:
        assert bind.link is not None
        for pdu in pdus:
            bind.link.write(build_responses(pdu.command_id, [(0, pdu.sequence_number, "")]))

    monkeypatch.setattr(Receipts, "delivered", careless)
    _expect("law 3 .* answered and not durable")


@pytest.mark.slow
def test_catches_an_early_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes one out of the outbox as it is sent breaks law 4."""
    send = Deliver._send

    def hasty(self: Deliver, client: Client, parts: list[Part]) -> None:
        assert client.esme is not None
        send(self, client, parts)
        self._journal.append([Told(self._ports.clock.wall(), client.esme.name, [part.part_id for part in parts])])

    monkeypatch.setattr(Deliver, "_send", hasty)
    _expect("law 4 .* has not answered for it")


@pytest.mark.slow
def test_catches_another_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that hears no keyword gives messages to another ESME."""
    monkeypatch.setattr(handset, "first_word", lambda sm: "")
    _expect("law 4 .* whose it is not")


@pytest.mark.slow
def test_catches_a_changed_octet(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that tells other octets than came tells what is not durable."""
    monkeypatch.setattr(handset, "body_for", lambda body, version, most: body[:-1] + b"!")
    _expect("law 4 .* not durable as it stands")


@pytest.mark.slow
def test_catches_one_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that knows none again takes twice what was sent again because its link was lost."""

    def forgetful(self: Handsets, key: tuple[str, bytes], batch: Batch) -> Heard | None:
        return None

    monkeypatch.setattr(Handsets, "_again", forgetful)
    with pytest.raises(Broken, match=r"(?s)law 6 .* and again"):
        for seed in range(1, 6):
            run_options(written(seed, "cut", "clog", disk_latency_s=(0.05, 0.2)))


@pytest.mark.slow
def test_catches_a_forgotten_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that forgets who is owed one leaves it in no outbox."""
    arrived = Handsets.read

    def lossy(self: Handsets, batch: Batch, request: Pdu) -> int:
        status = arrived(self, batch, request)
        batch.events = [event for event in batch.events if not isinstance(event, Arrived) or "7" not in event.part_id]
        return status

    monkeypatch.setattr(Handsets, "read", lossy)
    _expect("law 3 .* answered and not durable")
