"""A fault of ours in one bind's session: its parts are in doubt, none is forgotten. smsroute/carriers/bind.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.carriers.answers import Answers
from smsroute.message import State
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import pdu
from tests.esmes.test_door import GOOD
from tests.house import house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")


async def test_answers_we_stumbled_over_are_in_doubt(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts whose answers were read when our code failed are in doubt like those still in flight; the bind comes
    back."""

    def stumble(*_: Any) -> None:
        raise AssertionError("a bug")

    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        it.carriers["orange"].mode = Mode.ERRORING
        with monkeypatch.context() as patched:
            patched.setattr(Answers, "_refused", stumble)
            await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, GOOD) for number in range(2, 7)))
            await trio.sleep(1)
        it.carriers["orange"].mode = Mode.KIND
        await trio.sleep(10)
        states = [part.state for part in it.engine.ledger.parts.values()]
        assert states == [State.IN_DOUBT] * 5
        assert (it.engine.binds[0].faults, it.engine.binds[0].state) == (1, "bound")
