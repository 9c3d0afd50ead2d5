"""Which recorded decision stood for an attempt. ops/past.py; the history is tests/ops/history.py."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from smsroute.message import Attempt, Part
from smsroute.ops.past import decisions_of, network_of
from smsroute.routing.record import Record, pack
from smsroute.routing.table import Table
from smsroute.store.base import DecisionRow
from tests.ops.history import T0, parts, records, standing
from tests.store.memory import Disk, MemoryStore


@attrs.frozen
class Kept:
    """A store with the two decisions of the history, the second at `second`."""

    both: list[Record]
    store: MemoryStore
    table: Table


def keep(folder: Path) -> Kept:
    config = standing(folder / "now")
    both = records(config)
    store = MemoryStore(Disk())
    store.keep_decisions([DecisionRow(one.at, one.route, one.network, one.message_class, pack(one)) for one in both])
    return Kept(both, store, Table.of(config))


def part(at: float, reason: str = "with its other parts") -> Part:
    one = parts()[0]
    one.attempts = [Attempt(at, "orange", "orange-1", "fr", reason)]
    return one


def test_the_last_one_before_it(tmp_path: Path) -> None:
    """Whatever was decided later; none for a time before the first."""
    it = keep(tmp_path)
    for at, stood in ((T0 - 1, None), (T0 + 50, it.both[0]), (T0 + 100, it.both[1]), (T0 + 999, it.both[1])):
        assert decisions_of(it.store, part(at), it.table) == [stood]
    assert decisions_of(it.store, part(T0 + 50), None) == [it.both[0]]


def test_one_a_little_younger_that_said_its_sentence(tmp_path: Path) -> None:
    """A batch bears the moment it began, its plan a later one: told apart by the attempt's own words."""
    it = keep(tmp_path)
    its_own = it.both[1].choices[0].reason
    assert decisions_of(it.store, part(T0 + 99.99, its_own), it.table) == [it.both[1]]
    assert decisions_of(it.store, part(T0 + 99.99), it.table) == [it.both[0]]
    assert decisions_of(it.store, part(T0 - 0.01), it.table) == [it.both[0]]


@pytest.mark.parametrize(
    ("networks", "wanted"),
    [(["33", "336", "44"], "336"), (["", "44"], ""), (["fr-orange"], "fr-orange"), (["a", "b"], None), ([], None)],
)
def test_the_network_without_a_table(networks: list[str], wanted: str | None) -> None:
    """The longest that leads the number, else any number, else the only one."""
    assert network_of(part(T0), networks, None) == wanted
