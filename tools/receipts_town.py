"""The town of the receipts run: six simulated carriers, each another dialect, and the platform, in one process.

Rules:
- One clock and one process for both ends, so that times in the books compare; the engine is another process.
- Now and then the engine is killed and started again: what carriers took and could not answer, and the receipts of
  everything before, must find their messages all the same.
- The engine itself is asked nothing.

Walk: started by `receipts_run` with its orders as JSON; prints JSON lines: ready, kill, done. A line on standard input
starts the traffic, another says that the engine is up again.
"""

from __future__ import annotations

import gc
import json
import random
import re
import sys
from typing import Any

import attrs
import trio
from receipts_books import Books, figures

from smsroute.ports import SystemEntropy, system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Temperament
from smsroute.sim.workload import Workload

USUAL = (
    "response_delay=lognormal:0.1:0.6",
    "outcomes=DELIVRD:0.9,UNDELIV:0.06,EXPIRED:0.02,REJECTD:0.02",
    "errs_unique=yes",
    "receipts_early=0.03",
    "receipts_doubled=0.02",
    "receipts_lost=0.01",
    "receipts_elsewhere=0.05",
    "receipts_intermediate=0.02",
    "receipts_stale=0.01",
    "receipts_conflicting=0.01",
)
ERR = re.compile(rb"err:(\S+)")
SUBSCRIBERS = 200  # several messages to one handset are on their way at any time
BOUND_WITHIN_S = 30.0


COMMA = "(?P<stat>[0-9]{2}),(?P<done>[0-9]*),(?P<submit>[0-9]*),(?P<err>[0-9A-Z]*),[0-9]*,[^,]*,(?P<id>[0-9]+)"
WORDS = "states: {'00': delivered, '01': enroute, '02': undeliverable, '03': expired, '04': rejected}"


@attrs.frozen
class Kind:
    """One carrier: what it is like, and what our config says of it."""

    words: tuple[str, ...]
    dialect: str = "{ids: auto}"


USUAL_KINDS = {
    "north": Kind(("ids=hex",)),
    "south": Kind(("ids=hex-dec", "receipt_tlvs=no", "receipt_text=upper")),
    "east": Kind(("ids=padded", "receipt_tlvs=no", "receipt_body=ucs2", "receipt_dates=seconds", "receipt_zone_h=8")),
    "west": Kind(("ids=upper-lower", "receipt_body=data-sm", "receipt_text=no-sub", "receipt_dates=century")),
    "isle": Kind(("ids=uuid-case", "receipt_body=payload", "receipt_text=shuffled"), "{ids: casefold}"),
    "cape": Kind(("ids=hex-dec-tlv", "receipt_text=spaced", "receipt_dates=mixed"), "{ids: hex-dec}"),
}
ODD_KINDS = {
    "north": Kind(("ids=base62",)),
    "south": Kind(("ids=dec-hex", "receipt_tlvs=no", "receipt_text=preamble", "receipt_dates=smpp")),
    "east": Kind(
        ("ids=hex-dec-64", "receipt_tlvs=no", "receipt_text=comma"), f"{{ids: auto, pattern: '{COMMA}', {WORDS}}}"
    ),
    "west": Kind(("ids=prefixed", "receipt_body=copied-dcs", "receipt_text=nul", "receipt_tlvs=no")),
    "isle": Kind(("ids=hex-dec-bare", "first_id=4096", "receipt_tlvs=no", "receipt_text=capital-text")),
    "cape": Kind(("ids=padded-response", "first_id=99", "receipt_text=no-text"), "{ids: unpad}"),
}
SETS = {"usual": USUAL_KINDS, "odd": ODD_KINDS}


class Dice(SystemEntropy):
    """Dice by a seed: the same ids, fates and tempers for the same messages in the same order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def rng(self, name: str) -> random.Random:
        """A generator of its own for each name."""
        return random.Random(f"{self._seed}/{name}")


class Town:
    """Everybody but the engine. `orders`: see `receipts_run.orders`."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.kinds = SETS[orders["dialects"]]
        self.books = Books()
        self.ports = attrs.evolve(system_ports(), entropy=Dice(orders["seed"]))
        delay = f"receipt_delay=lognormal:{orders['delay']:g}:0.8"
        self.carriers = {
            name: SimCarrier(
                name,
                temperament=Temperament().with_words((*USUAL, delay, *self.kinds[name].words)),
                keep_truth=False,
                keep_book=True,
            )
            for name in orders["carriers"]
        }
        settings = EsmeSettings(
            system_id="platform",
            password=orders["password"],
            binds=("transceiver", "transceiver"),
            window=1000,
            rate=orders["rate"],
            retry_s=0.2,
            reconnect_s=0.2,
        )
        self.platform = SimEsme(Workload(subscribers=SUBSCRIBERS), settings, heard=self._heard)
        self.kills: list[float] = []

    def _heard(self, message_id: str, word: str, body: bytes, now: float) -> None:
        found = ERR.search(body)
        self.books.told(message_id, word, found[1].decode("latin-1") if found else "", now)

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    async def play(self) -> dict[str, Any]:
        """The whole run; its figures."""
        start, down_s = self.now, 0.0
        stretch_s = self.orders["seconds"] / (self.orders["kills"] + 1)
        for _ in range(self.orders["kills"]):
            await trio.sleep(stretch_s)
            self.kills.append(self.now)
            say("kill")
            await trio.lowlevel.wait_readable(sys.stdin.fileno())
            sys.stdin.readline()
            down_s += self.now - self.kills[-1]
        await trio.sleep(stretch_s)
        self.platform.finish()
        with trio.move_on_after(self.orders["settle"]):
            await self.platform.wait_for(lambda esme: esme.settled)
        await trio.sleep(1.0)  # for what should not come
        pages = {name: carrier.book or [] for name, carrier in self.carriers.items()}
        told = figures(pages, list(self.platform.promises()), self.books, self.kills)
        for name, row in told["carriers"].items():
            counts = self.carriers[name].counts
            row |= {
                "words": " ".join(self.kinds[name].words),
                "dialect": self.kinds[name].dialect,
                "elsewhere": counts["receipts_elsewhere"],
                "refused": counts["receipts_given_up"],
                "conflicting": counts["receipts_conflicting"],
            }
        told["elsewhere"] = sum(carrier.counts["receipts_elsewhere"] for carrier in self.carriers.values())
        told["down_s"] = down_s
        told["refused"] = self.platform.counts["refused"]
        told["seconds"] = self.now - start
        told["waiting"] = sum(carrier.receipts_waiting for carrier in self.carriers.values())
        return told


def say(event: str, **facts: Any) -> None:
    """One line for `receipts_run`."""
    print(json.dumps({"event": event, **facts}), flush=True)


async def main(orders: dict[str, Any]) -> None:
    """Open the carriers, wait for the word, play, tell."""
    town = Town(orders)
    async with trio.open_nursery() as nursery:
        for name, port in orders["carriers"].items():
            await nursery.start(town.carriers[name].run, town.ports, "127.0.0.1", port)
        say("ready")
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        sys.stdin.readline()
        nursery.start_soon(town.platform.run, town.ports, "127.0.0.1", orders["engine"])
        with trio.fail_after(BOUND_WITHIN_S):
            await town.platform.wait_for(lambda esme: esme.bound == len(esme.settings.binds))
        say("done", **await town.play())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    trio.run(main, json.loads(sys.argv[1]))
