"""Finding messages by what other people have of them: a carrier's id in whatever form, a handset's number.

Rules:
- The id as it was written goes first; another form counts only where that finds nothing, and the answer says which.
- A person judges what is found, so every message a form names is shown; receipts are matched by stricter rules.
- Pure: what may be looked up in, what was found out.

Walk: `ops/verbs` for a running engine, `cli/trace` for the store alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from smsroute.ledger import Ledger
from smsroute.message import MessageClass, Part, Receipted
from smsroute.ops.story import waits_for, word
from smsroute.ops.words import iso, mask
from smsroute.store.base import Owner

AS_WRITTEN: Final = "as written"
_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,40})")
_PADS: Final = (8, 10, 16, 20)
_SEPARATORS: Final = re.compile(r"[\s().\-/]")


@attrs.frozen
class Hit:
    """A message that a carrier's id names: under which key, and how that follows from what was written."""

    part_id: str
    carrier: str
    key: str
    how: str


def forms(written: str) -> dict[str, str]:
    """Key -> how it follows from the id as a person wrote it, the id itself first (quirks 1.5)."""
    said = written.strip()
    found = {said: AS_WRITTEN}

    def add(key: str, how: str) -> None:
        if key:
            found.setdefault(key, how)

    add(said.lower(), "in lower case")
    add(said.upper(), "in upper case")
    bare = said[2:] if said[:2].lower() == "0x" else said
    add(bare, "without 0x")
    stripped = bare.lstrip("0")
    add(stripped, "without leading zeros")
    for width in _PADS:
        add(bare.rjust(width, "0"), f"padded to {width}")
    if bare.isascii() and bare.isdigit():
        for form, case in ((f"{int(bare):x}", "hex"), (f"{int(bare):X}", "upper-case hex")):
            for key in (form, *(form.rjust(width, "0") for width in _PADS)):
                add(key, f"decimal, kept as {case}")
    if match := _HEX.fullmatch(bare):
        number = str(int(match[1], 16))
        for key in (number, *(number.rjust(width, "0") for width in _PADS)):
            add(key, "hex, kept as decimal")
    return found


def best(hits: Iterable[Hit]) -> list[Hit]:
    """Those whose id is as it was written, if any; else all. Each message once."""
    found = list({hit.part_id: hit for hit in reversed(list(hits))}.values())[::-1]
    return [hit for hit in found if hit.how == AS_WRITTEN] or found


def hits(carrier: str, named: Mapping[str, str], keys: Mapping[str, str]) -> list[Hit]:
    """Of `keys` (see `forms`) what a look-up at a carrier found: {key: part_id}."""
    return [Hit(named[key], carrier, key, how) for key, how in keys.items() if key in named]


def part_ids(stored: Mapping[str, Owner]) -> dict[str, str]:
    """{key: part_id} of those a store holds."""
    return {key: owner.part_id for key, owner in stored.items()}


def in_memory(ledger: Ledger, carrier: str, keys: Iterable[str]) -> dict[str, str]:
    """{key: part_id} of those a ledger holds."""
    named = ((key, ledger.whose(Receipted(carrier, 0.0, [key], -1))) for key in keys)
    return {key: part_id for key, part_id in named if part_id}


def told(chosen: Sequence[Hit], parts: Mapping[str, Part | None], now: float, *, reveal: bool) -> list[dict[str, Any]]:
    """One row a message found by a carrier's id, with `matched`: where, as what, and how that follows."""
    rows = []
    for hit in chosen:
        part = parts.get(hit.part_id)
        if part is not None:  # else it was pruned in between
            matched = {"carrier": hit.carrier, "id": hit.key, "how": hit.how}
            rows.append({**listed([part], now, reveal)[0], "matched": matched})
    return rows


def numbers(written: str) -> list[str]:
    """A handset's number as ESMEs may have written it, the shortest first. Raises ValueError for what is no number."""
    digits = _SEPARATORS.sub("", written).removeprefix("+")
    digits = digits.removeprefix("00") if len(digits) > 8 else digits
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"--to {written!r}, expected a number such as +33612345678")
    return [digits, f"+{digits}", f"00{digits}"]


def listed(parts: Sequence[Part], now: float, reveal: bool) -> list[dict[str, Any]]:
    """One row a message, for a list of them. `now`: Unix seconds."""
    return [
        {
            "id": part.part_id,
            "accepted_at": iso(part.accepted_at),
            "ended_at": iso(part.ended_at),
            "state": word(part.state),
            "final": part.final,
            "err": part.err,
            "esme": part.esme,
            "class": MessageClass(part.message_class).name.lower(),
            "from": mask(part.source_addr, reveal),
            "to": mask(part.destination_addr, reveal),
            "carrier": part.carrier,
            "attempts": len(part.attempts),
            "why": part.why or waits_for(part, now),
        }
        for part in parts
    ]
