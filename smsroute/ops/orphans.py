"""Parked receipts for people: how many, how old, of whom, and why each of them matches nothing.

Rules:
- Pure: what the store's checkpoint parked in, a document out.
- A sample, evenly chosen over time: the oldest and the newest are always in it.

Walk: `cli/orphans` shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from smsroute.config import Carrier
from smsroute.message import Receipted, State
from smsroute.ops.words import iso, mask

Document = dict[str, Any]


def document(
    parked: Sequence[Receipted],
    carriers: Mapping[str, Carrier],
    now: float,
    *,
    sample: int,
    reveal: bool,
    void: Collection[tuple[str, str]] = (),
) -> Document:
    """`parked`: oldest first. `now`: Unix seconds. `sample`: how many of each carrier to show. `void`: (carrier, id) of
    ids that name nothing."""
    by_carrier: dict[str, list[Receipted]] = {}
    known = frozenset(void)
    for orphan in parked:
        by_carrier.setdefault(orphan.carrier, []).append(orphan)
    return {
        "total": len(parked),
        "carriers": [
            _carrier(name, held, carriers.get(name), now, sample, reveal, known)
            for name, held in sorted(by_carrier.items(), key=lambda row: -len(row[1]))
        ],
        "void_ids": [{"carrier": carrier, "id": named} for carrier, named in void],
    }


def why(orphan: Receipted, carrier: Carrier | None, void: Collection[tuple[str, str]] = ()) -> str:
    """Why it matches nothing, as far as it can be told from the outside."""
    if carrier is None:
        return "its carrier left the config"
    if carrier.dialect.match_by == "destination":
        return "id matching off (match_by: destination), and no one message fits"
    if any((orphan.carrier, named) in void for named in (*orphan.keys, *written(orphan))):
        return "void id: it came with message after message, and names none"
    if not orphan.keys:
        return "ambiguous id: how this carrier writes its ids is not learnt yet, or it fits several messages"
    return "unknown id"


def written(orphan: Receipted) -> list[str]:
    """Its ids, as the carrier wrote them."""
    named = dict.fromkeys(named for _, named in orphan.ids)
    return list(named) or [key for key in orphan.keys if not key.startswith("\0")]


def _carrier(
    name: str,
    held: Sequence[Receipted],
    carrier: Carrier | None,
    now: float,
    sample: int,
    reveal: bool,
    void: Collection[tuple[str, str]],
) -> Document:
    shown = min(sample, len(held))
    chosen = [held[round(n * (len(held) - 1) / max(1, shown - 1))] for n in range(shown)]
    return {
        "carrier": name,
        "parked": len(held),
        "oldest_at": iso(held[0].at),
        "oldest_s": round(now - held[0].at, 1),
        "newest_s": round(now - held[-1].at, 1),
        "why": dict(Counter(why(orphan, carrier, void) for orphan in held).most_common()),
        "sample": [_row(orphan, carrier, now, reveal, void) for orphan in chosen],
    }


def _row(
    orphan: Receipted, carrier: Carrier | None, now: float, reveal: bool, void: Collection[tuple[str, str]]
) -> Document:
    return {
        "at": iso(orphan.at),
        "age_s": round(now - orphan.at, 1),
        "ids": written(orphan),
        "word": orphan.word,
        "err": orphan.err,
        "state": State(orphan.state).name.lower() if orphan.state >= 0 else None,
        "to": mask(orphan.destination_addr, reveal),
        "why": why(orphan, carrier, void),
    }
