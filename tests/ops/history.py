"""A history made by hand for `whatif`: two configs, two recorded decisions, twenty messages. Its sums are in the tests.

The route fr (prefix 33) shares by weight: orange 70 at 0.04, sfr 30 at 0.02 a part. The proposal makes it 50 : 50,
gives sfr a contract of 0.2/s, and has no route for 44, where orange took all at 0.05. Five messages to 33 come while
both are well, five after sfr is dead; ten to 44.
"""

from __future__ import annotations

from pathlib import Path

from smsroute.config import Config, load
from smsroute.message import Attempt, Part, State
from smsroute.routing import decide
from smsroute.routing.health import HealthState
from smsroute.routing.record import Record, record
from smsroute.routing.views import CarrierView

T0 = 1_800_000_000.0
MONOTONIC = 5000.0
FILE = """
node: n1
listen: [{{address: "127.0.0.1:0"}}]
store: "sqlite:var/store"
esmes:
  acme: {{password: {{plain: secret}}}}
carriers:
  orange: {{system_id: s, password: {{plain: pw}}, rate: 100/s, binds: [{{address: "127.0.0.1:1"}}]}}
  sfr: {{system_id: s, password: {{plain: pw}}, rate: {rate}, binds: [{{address: "127.0.0.1:1"}}]}}
routes:
  - name: fr
    to: ["33"]
    prefer: quality
    carriers: [{{carrier: orange, cost: 0.04, weight: {orange}}}, {{carrier: sfr, cost: 0.02, weight: {sfr}}}]
"""
UK = '  - {name: uk, to: ["44"], carriers: [{carrier: orange, cost: 0.05}]}\n'


def standing(folder: Path) -> Config:
    """The config that runs."""
    return _config(folder, FILE.format(rate="100/s", orange=70, sfr=30) + UK)


def proposed(folder: Path) -> Config:
    """The config somebody proposes."""
    return _config(folder, FILE.format(rate="0.2/s", orange=50, sfr=50))


def _config(folder: Path, text: str) -> Config:
    folder.mkdir(exist_ok=True)
    (folder / "smsroute.yaml").write_text(text)
    return load(folder, {})


def records(config: Config, start: float = T0) -> list[Record]:
    """What the engine decided: at `start` both are well, 100 s later sfr is dead."""
    route = config.routes[0]
    well = {name: CarrierView(name, contract=100.0, rate=100.0) for name in ("orange", "sfr")}
    dead = {
        **well,
        "sfr": CarrierView("sfr", HealthState.DEAD, MONOTONIC + 99, "21 faults in a row", admit_share=0.0),
    }
    first = decide.plan(route, 2, well, config.limits, MONOTONIC)
    second = decide.plan(route, 2, dead, config.limits, MONOTONIC + 100, first)
    return [
        record(first, "33", well, None, config.limits, config.digest, start),
        record(second, "33", dead, first, config.limits, config.digest, start + 100),
    ]


def parts(start: float = T0) -> list[Part]:
    """Twenty messages, delivered: five in one window of ten seconds, five late, ten to the other country."""
    french = [_part(number, "33612345678", start + 20 + number) for number in range(5)]
    french += [_part(5 + number, "33612345678", start + 120 + number) for number in range(5)]
    return french + [_part(10 + number, "447700900123", start + 30 + 20 * number) for number in range(10)]


def _part(number: int, to: str, at: float) -> Part:
    attempt = Attempt(at + 0.001, "orange", "orange-1", "fr" if to.startswith("33") else "uk", "", at + 0.1, 0, 0, "1")
    return Part(
        f"N1{number:012d}",
        "acme",
        at,
        2,
        "ACME",
        to,
        b"",
        0,
        1,
        at + 86400,
        route=attempt.route,
        carrier="orange",
        state=State.DELIVERED,
        attempts=[attempt],
        ended_at=at + 1,
        told_at=at + 2,
    )
