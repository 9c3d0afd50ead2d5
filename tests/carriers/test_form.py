"""Submits as each carrier's contract wants them, on their way out. smsroute/carriers/form.py, carriers/departure.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from smsroute.message import UNFIT, Blame, Part, State
from smsroute.ops.story import lines
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, parse_sm
from smsroute.smpp.session import Session
from smsroute.smpp.sm import SubmitSm
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
LATIN = (
    "window: 20, rate: 500/s, submit: {alphabet: latin-1, source: {short: {ton: 3, npi: 0}}, tlvs: {0x1400: text:me}}"
)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[SubmitSm]:
    """Every submit_sm that any session wrote, as it was written."""
    seen: list[SubmitSm] = []
    write = Session.send_requests

    def spy(self: Session, command_id: int, bodies: list[bytes], *rest: Any) -> bytes:
        seen.extend(parse_sm(body) for body in bodies if command_id == names.SUBMIT_SM)
        return write(self, command_id, bodies, *rest)

    monkeypatch.setattr(Session, "send_requests", spy)
    return seen


async def told(it: House, body: bytes) -> Part:
    """The part this submit becomes, some seconds later."""
    raw = await it.dial()
    assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
    status, message_id = await raw.submit(body)
    assert status == 0
    await trio.sleep(5)
    return it.engine.ledger.parts[message_id]


def text(said: bytes, sender: str = "36184") -> bytes:
    """A submit in the GSM alphabet."""
    return build_sm(source_addr=sender, destination_addr="33600000001", registered_delivery=1, short_message=said)


async def test_a_submit_leaves_as_the_contract_wants_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sent: list[SubmitSm]
) -> None:
    """Sender, alphabet and TLVs are the carrier's; what is kept is what the platform said."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=LATIN) as it:
        part = await told(it, text(b"caf\5 @ noon".replace(b"@", b"\0")))
        (said,) = sent
        assert (said.source_addr_ton, said.source_addr, said.short_message) == (3, "36184", b"caf\xe9 @ noon")
        assert said.tlv == b"\x14\0\0\2me"
        assert part.state == State.DELIVERED


async def test_what_one_carrier_cannot_be_told_another_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sent: list[SubmitSm]
) -> None:
    """160 septets are no 140 octets of Latin-1: none of it goes there, another carrier takes it, and no score falls."""
    async with house(tmp_path, carriers={"orange": KIND, "blue": KIND}, carrier=LATIN) as it:
        blue = attrs.evolve(it.engine.config.carriers["blue"], submit=type(it.engine.config.carriers["blue"].submit)())
        it.engine.reload(attrs.evolve(it.engine.config, carriers={**it.engine.config.carriers, "blue": blue}))
        part = await told(it, text(b"x" * 160))
        assert [one.short_message for one in sent] == [b"x" * 160]
        assert (part.state, part.carrier) == (State.DELIVERED, "blue")
        assert [(one.carrier, one.code, one.blame) for one in part.attempts] == [
            ("orange", UNFIT, Blame.PERMANENT_MESSAGE),
            ("blue", 0, Blame.OK),
        ]
        assert "not written for orange: its text takes 160 octets there, 140 fit" in part.attempts[1].reason
        orange = it.engine.dispatch.stations["orange"]
        assert orange.binds[0].room == 20
        assert orange.dossier.view("", it.clock.monotonic()).quality == 1.0


async def test_what_no_carrier_can_be_told_ends_with_the_reason(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, sent: list[SubmitSm]
) -> None:
    """Told at once, not at the end of its validity."""
    async with house(tmp_path, carriers={"orange": KIND, "blue": KIND}, carrier=LATIN) as it:
        part = await told(it, text(b"x" * 160))
        assert sent == []
        assert (part.state, part.err) == (State.REJECTED, "")
        assert part.why.startswith("not written for blue: ")
        assert part.told_at == 0
        assert list(it.engine.ledger.outboxes["acme"].owed) == [part.part_id]
        assert any("never left: it cannot be written as orange wants it" in line for _, line in lines(part))
