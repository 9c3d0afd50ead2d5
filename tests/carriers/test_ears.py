"""What waited while we were deaf is no latency. smsroute/carriers/ears.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from smsroute.carriers.ears import GAPS_MAX, Ears
from smsroute.routing.health import ALIVE
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Temperament
from tests.house import house

STALL_S = 0.25
KIND = Temperament().with_words(["response_delay=fixed:0.3", "receipt_delay=fixed:0.5"])
ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'


def test_the_ordinary_is_latency() -> None:
    """A commit of 3 ms, or a loop that is late by a fifth of a second."""
    ears = Ears(STALL_S)
    ears.beat(0.0, 1.0)
    ears.hold(0.9)
    ears.listen(0.903)
    assert ears.waited_s(0.5, 1.2) == pytest.approx(0.7)


def test_a_held_reader_hears_nothing() -> None:
    """While a commit takes 15 s the age stands still; afterwards those 15 s are nobody's."""
    ears = Ears(STALL_S)
    ears.hold(11.0)
    assert ears.waited_s(10.0, 11.1) == pytest.approx(1.1)
    assert ears.waited_s(10.0, 20.0) == pytest.approx(1.0)
    assert ears.waited_s(15.0, 20.0) == 0.0
    ears.listen(26.0)
    assert ears.waited_s(10.0, 26.5) == pytest.approx(1.5)
    assert ears.waited_s(20.0, 26.5) == pytest.approx(0.5)
    assert ears.waited_s(26.2, 26.5) == pytest.approx(0.3)


def test_a_late_loop_is_deaf_whoever_wakes_first() -> None:
    """The answers may be read before the pulse is felt: they too see that it is late."""
    ears = Ears(STALL_S)
    ears.beat(4.0, 5.0)
    assert ears.waited_s(4.9, 7.0) == pytest.approx(0.1)
    ears.beat(7.0, 8.0)
    assert ears.waited_s(4.9, 7.1) == pytest.approx(0.2)


@given(
    st.lists(
        st.tuples(st.sampled_from(["hold", "listen", "beat"]), st.integers(0, 40)), max_size=2 * GAPS_MAX, min_size=1
    ),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_is_the_time_outside_every_stall(steps: list[tuple[str, int]], sent: int, more: int) -> None:
    """Second by second: waited is exactly the seconds that lie in no stall, overlapping ones counted once."""
    ears, now, held, due = Ears(2.5), 0, None, None
    deaf: set[int] = set()
    noted: list[object] = []
    for what, pause in steps:
        now += pause
        if what == "hold" and held is None:
            ears.hold(now)
            held = now
        elif what == "listen" and held is not None:
            ears.listen(now)
            if now - held > 2.5:
                deaf.update(range(held, now))
                noted.append(what)
            held = None
        elif what == "beat":
            ears.beat(now, now + 5)
            if due is not None and now - due > 2.5:
                deaf.update(range(due, now))
                noted.append(what)
            due = now + 5
    now += more
    if held is not None and now - held > 2.5:
        deaf.update(range(held, now))
    if due is not None and now - due > 2.5:
        deaf.update(range(due, now))
    sent = min(sent, now)
    if len(noted) < GAPS_MAX:
        assert ears.waited_s(sent, now) == len(set(range(sent, now)) - deaf)


async def test_a_stalled_disk_is_no_sick_carrier(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A commit of 20 s under traffic: no term falls, nobody is ejected, no latency is learnt; with a carrier that is
    slow itself for as long, it would be."""
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME) as it:
        esme = it.platform(400, settings=EsmeSettings(rate=40))
        await trio.sleep(4)
        station = it.engine.dispatch.stations["orange"]
        overall = station.dossier.overall
        usual_s = overall.score.baseline_s
        usual, it.blocking.latency_s = it.blocking.latency_s, (20.0, 20.0)
        worst = 1.0
        for second in range(400):
            await trio.sleep(0.1)
            if second == 10:
                it.blocking.latency_s = usual
            worst = min(worst, dict(station.view("", trio.current_time()).terms)["latency"])
        await it.settle(esme)
        assert worst > 0.9
        assert (overall.health.state, overall.health.detected) == (ALIVE, 0)
        assert overall.score.baseline_s == pytest.approx(usual_s, rel=0.3)
        assert overall.score.latency_now_s(trio.current_time()) < 2 * usual_s
