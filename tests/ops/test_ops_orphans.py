"""Parked receipts as a document. smsroute/ops/orphans.py."""

from __future__ import annotations

import attrs
from msgspec import structs

from smsroute.config import Carrier, Dialect, Secret
from smsroute.message import Receipted, State
from smsroute.ops.orphans import document, why

NOW = 1_800_000_000.0


def parked(carrier: str, count: int) -> list[Receipted]:
    return [
        Receipted(carrier, NOW - 1000 + n, [f"{n:08X}"], State.DELIVERED, "000", "DELIVRD", "33612345678")
        for n in range(count)
    ]


def test_counted_by_carrier_with_the_oldest_and_the_newest_in_the_sample() -> None:
    """The carrier with most goes first; numbers are masked unless asked for."""
    told = document([*parked("sfr", 2), *parked("orange", 101)], {}, NOW, sample=3, reveal=False)
    assert told["total"] == 103
    first, second = told["carriers"]
    assert (first["carrier"], first["parked"], first["oldest_s"], first["newest_s"]) == ("orange", 101, 1000.0, 900.0)
    assert [row["ids"] for row in first["sample"]] == [["00000000"], ["00000032"], ["00000064"]]
    assert {row["to"] for row in first["sample"]} == {"3361•••678"}
    assert (first["sample"][0]["state"], first["sample"][0]["word"]) == ("delivered", "DELIVRD")
    assert first["why"] == {"its carrier left the config": 101}
    assert len(second["sample"]) == 2


def test_why_by_the_carriers_dialect() -> None:
    """An id nobody knows, or ids that are not looked at."""
    carrier = Carrier("sfr", "s", Secret(b"pw"), ())
    blind = attrs.evolve(carrier, dialect=Dialect(match_by="destination"))
    (orphan,) = parked("sfr", 1)
    assert why(orphan, carrier) == "unknown id"
    assert why(orphan, blind).startswith("id matching off")
    assert why(orphan, carrier, {("sfr", "00000000")}).startswith("void id")
    unsure = structs.replace(orphan, keys=[], ids=[("text", "437009229")])
    assert why(unsure, carrier).startswith("ambiguous id")


def test_none_and_no_sample() -> None:
    """Nothing parked is a document too; a sample of none is empty."""
    assert document([], {}, NOW, sample=5, reveal=False) == {"total": 0, "carriers": [], "void_ids": []}
    assert document(parked("sfr", 1), {}, NOW, sample=0, reveal=True)["carriers"][0]["sample"] == []
