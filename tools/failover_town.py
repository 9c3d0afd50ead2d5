"""The town of the failure benchmark: three simulated carriers and a platform in one process, and the fault's timetable.

Rules:
- One clock and one process for both ends, so that times in the two books compare; the engine is another process.
- `north` falls sick after the first part and heals after the second; then the load goes on until its share is back, or
  until `return_max` seconds have passed.
- What is judged is written down here as it happens (`failover_books`); the engine is asked for one thing only: when its
  `health` first shows an alarm about the sick carrier.

Walk: started by `failover_run` with its orders as JSON; prints JSON lines: ready, done. A line on standard input starts
the traffic.
"""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
from typing import Any

import attrs
import trio
from failover_books import RETURN_SHARE, RETURN_WINDOW_S, WARM_UP_S, Books, Times, figures, share, swings

from smsroute.ports import system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.wire import Submit
from smsroute.sim.workload import Workload

SICK = "north"
USUAL = ("response_delay=lognormal:0.02:0.3", "receipt_delay=lognormal:0.4:0.5", "outcomes=DELIVRD:0.97,UNDELIV:0.03")
TICK_S = 0.25
ASK_S = 1.0
ASK_WITHIN_S = 5.0


@attrs.frozen
class Fault:
    """One way to fall sick. `words` may name {half}: half of its contract."""

    mode: str = "kind"
    words: tuple[str, ...] = ()
    flaps: bool = False
    sick_parts: float = 1.0  # how long it lasts, in thirds of --seconds


FAULTS = {
    "killed": Fault("closed"),
    "throttles": Fault("throttling", ("sick_share=0.9",)),
    "slow": Fault("slow", ("slow_delay=5",)),
    "silent": Fault("silent"),
    "errors": Fault("erroring"),
    "no-receipts": Fault(words=("receipts_lost=1",), sick_parts=6.0),
    "flaps": Fault(flaps=True, sick_parts=2.0),
    "half-rate": Fault(words=("throttle_above_s={half}",)),
}
FLAP_S = 5.0
FLAPS_MIN = 8  # half cycles in a run, however short


class Town:
    """Everybody but the engine. `orders`: see `failover_run.orders`."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.fault = FAULTS[orders["fault"]]
        self.books = Books()
        self.ports = system_ports()
        usual = Temperament().with_words(USUAL)
        self.carriers = {
            name: SimCarrier(name, temperament=usual, keep_truth=False, seen=partial(self._seen, name))
            for name in orders["carriers"]
        }
        settings = EsmeSettings(
            system_id="platform",
            password=orders["password"],
            binds=("transceiver", "transceiver"),
            window=1000,
            rate=orders["rate"],
            retry_s=0.2,
        )
        self.platform = SimEsme(Workload(), settings)
        self.alarm_s: float | None = None
        self.alarm = ""

    def _seen(self, name: str, _bind: str, now: float, submit: Submit, status: int) -> None:
        self.books.seen(name, now, submit, not status and self.carriers[name].mode is not Mode.SILENT)

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    async def play(self) -> dict[str, Any]:
        """The whole run; its figures."""
        orders, third = self.orders, self.orders["seconds"] / 3
        start = self.now
        await trio.sleep(third)
        sick = self.now
        sick_s = third * self.fault.sick_parts
        async with trio.open_nursery() as watch:
            watch.start_soon(self._watch, sick)
            await self._be_sick(sick, sick_s)
            watch.cancel_scope.cancel()
        heal = self.now
        usual = share(self.books.offers, SICK, start + WARM_UP_S, sick)
        return_s = await self._returned(heal, usual, third)
        times = Times(start, sick, heal, self.now)
        self.platform.finish()
        with trio.move_on_after(orders["settle"]):
            await self.platform.wait_for(lambda esme: esme.settled)
        # After two whole cycles traffic should have learned.
        calm = sick + 4 * self._half_cycle(sick_s)
        return {
            **figures(
                self.books,
                list(self.platform.promises()),
                SICK,
                times,
                orders["prices"],
                (orders["response_timeout"], orders["resend_after"]),
            ),
            "return_s": return_s,
            "swings": swings(self.books.offers, SICK, usual, calm, heal) if self.fault.flaps else None,
            "alarm_s": self.alarm_s,
            "alarm": self.alarm,
            "refused": self.platform.counts["refused"],
            "retried": self.platform.counts["retried"],
        }

    def _half_cycle(self, sick_s: float) -> float:
        return min(FLAP_S, sick_s / FLAPS_MIN)

    async def _be_sick(self, sick: float, sick_s: float) -> None:
        north = self.carriers[SICK]
        well = north.temperament
        half = self.orders["contract"] / 2
        north.temperament = well.with_words(word.format(half=half) for word in self.fault.words)
        north.mode = Mode(self.fault.mode)
        with trio.move_on_at(sick + sick_s):
            while self.fault.flaps:
                north.mode = Mode.CLOSED
                await trio.sleep(self._half_cycle(sick_s))
                north.mode = Mode.KIND
                await trio.sleep(self._half_cycle(sick_s))
            await trio.sleep_forever()
        north.mode = Mode.KIND
        north.temperament = well

    async def _returned(self, heal: float, usual: float, third: float) -> float | None:
        """Seconds until its share is what it was; the load goes on at least as long as the other parts."""
        return_s = None
        while (here := self.now - heal) < self.orders["return_max"]:
            await trio.sleep(TICK_S)
            back = share(self.books.offers[-20_000:], SICK, self.now - RETURN_WINDOW_S, self.now)
            if return_s is None and here >= RETURN_WINDOW_S and back >= RETURN_SHARE * usual:
                return_s = here - RETURN_WINDOW_S
            if return_s is not None and here >= third:
                break
        return return_s

    async def _watch(self, sick: float) -> None:
        """When `health` first shows an alarm about the sick carrier's receipts."""
        while self.fault.sick_parts > 2 and self.alarm_s is None:
            await trio.sleep(ASK_S)
            for alarm in (await self._health()).get("alarms", ()):
                if alarm["carrier"] == SICK and alarm["kind"] == "receipt-silence":
                    self.alarm_s, self.alarm = self.now - sick, alarm["words"]

    async def _health(self) -> dict[str, Any]:
        line = b""
        with trio.move_on_after(ASK_WITHIN_S):
            async with await trio.open_unix_socket(self.orders["control"]) as link:
                await link.send_all(b'{"verb": "health"}\n')
                async for data in link:
                    line += data
                    if line.endswith(b"\n"):
                        break
        said: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        return said


def say(event: str, **facts: Any) -> None:
    """One line for `failover_run`."""
    print(json.dumps({"event": event, **facts}), flush=True)


async def main(orders: dict[str, Any]) -> None:
    """Open the carriers, wait for the word, play, tell."""
    town = Town(orders)
    async with trio.open_nursery() as nursery:
        for name, port in orders["carriers"].items():
            await nursery.start(town.carriers[name].run, town.ports, "127.0.0.1", port)
        say("ready")
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        nursery.start_soon(town.platform.run, town.ports, "127.0.0.1", orders["engine"])
        with trio.fail_after(ASK_WITHIN_S):
            await town.platform.wait_for(lambda esme: esme.bound == len(esme.settings.binds))
        say("done", **await town.play())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    trio.run(main, json.loads(sys.argv[1]))
