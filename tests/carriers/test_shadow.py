"""`shadow: true`: what health would have done is measured, counted and shown, and nothing is done; end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from smsroute.ops.verbs import Verbs
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from tests.house import House, house

SICK = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5", sick_share=1.0)
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
BINDS = 'mode: transceiver}, {address: "10.0.2.2:3001"'


def row(it: House) -> dict[str, Any]:
    """What health says of it."""
    found: dict[str, Any] = Verbs(it.engine).look()["carriers"][0]
    return found


async def test_a_sick_carrier_would_be_dead_and_is_sent_to(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It refuses everything: found and not done, alive with the reason, in health, in the verdict and in explain; and
    every part still goes there."""
    async with house(
        tmp_path, carriers={"orange": SICK, "west": KIND}, carrier="window: 20, rate: 500/s, shadow: true", bind=BINDS,
        routes='- {name: all, to: [""], carriers: [{carrier: orange}]}',
    ) as it:  # fmt: skip
        for name in ("orange", "west"):
            it.carriers[name].temperament = SICK
        esme = it.platform(600, settings=EsmeSettings(rate=20))
        await trio.sleep(2)
        assert row(it)["would"] is None
        for name in ("orange", "west"):
            it.carriers[name].mode = Mode.ERRORING
        await trio.sleep(4)
        one = row(it)
        assert one["state"] == "alive"
        assert one["would"].startswith("would be dead: ")
        assert one["would"] in one["reason"]
        assert one["ejections"]["detected"] >= 1
        levels = (one["ejections"], one["ejections"]["networks"], one["ejections"]["binds"])
        assert [level["enforced"] for level in levels] == [0, 0, 0]
        assert all(bind["state"] == "bound" for bind in one["binds"])
        document = Verbs(it.engine).look()
        reasons = [one["reason"] for one in document["reasons"] if one["what"] == "carrier"]
        assert reasons[0] == f"{one['would']} (measured only: shadow)"
        assert document["routes"][0]["usable"]
        said = await Verbs(it.engine)._explain({"to": "33600000001"}, "")
        said = said["explanation"]
        assert "would be dead: " in said["choices"][0]["reason"]
        assert not said["panic"]
        assert {attempt.carrier for part in it.engine.ledger.parts.values() for attempt in part.attempts} == {"orange"}
        for name in ("orange", "west"):
            it.carriers[name].mode = Mode.KIND
        await trio.sleep(40)
        assert (row(it)["would"], row(it)["reason"]) == (None, "well")
        await it.settle(esme)


async def test_one_sick_bind_would_be_left_out_and_is_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The bind says what it would be, and has its share."""
    async with house(
        tmp_path, carriers={"orange": SICK, "west": KIND}, carrier="window: 20, rate: 500/s, shadow: true", bind=BINDS,
        routes='- {name: all, to: [""], carriers: [{carrier: orange}]}',
    ) as it:  # fmt: skip
        it.platform(300, settings=EsmeSettings(rate=50))
        await trio.sleep(2)
        it.carriers["orange"].mode = Mode.ERRORING
        await trio.sleep(3)
        sick = row(it)["binds"][0]
        assert sick["state"] == "bound"
        assert "would be " in sick["reason"]
        assert (sick["ejections"]["detected"], sick["ejections"]["enforced"]) == (1, 0)
