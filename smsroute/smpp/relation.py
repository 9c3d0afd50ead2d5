"""How an id in a receipt may be that of a response: the rules, and which of them two ids speak for.

Rules:
- Of two ids alone, and of nothing that was seen before: what may be believed of them is `learn`'s to judge.
- The plainest rule that makes one of the other is theirs.

Walk: `learn` asks for each receipt whose rule is not learnt, or may have become wrong.
"""

from __future__ import annotations

import re
from typing import Final

RULES: Final[dict[str, str]] = {
    "exact": "as the response writes it",
    "casefold": "as the response writes it, in other case",
    "unpad": "as the response writes it, with other zeros before it",
    "hex": "the same hexadecimal number, written otherwise",
    "hex-dec": "the response's hexadecimal number in decimal",
    "dec-hex": "the response's decimal number in hexadecimal",
}
"""Rule -> what it says, for people."""

WITHIN: Final = {"casefold": ("exact",), "unpad": ("exact",), "hex": ("exact", "casefold", "unpad")}
"""Rule -> those it holds beside: what speaks for them speaks not against it."""

DECIMAL: Final = re.compile(r"[0-9]{1,78}")
HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,64})")
_LETTERED: Final = re.compile(r"(?:0[xX])?[0-9a-fA-F]*[a-fA-F][0-9a-fA-F]*")


def relation(written: str, key: str) -> str:
    """How an id in a receipt is that of a response: the plainest rule that makes one of the other, or ""."""
    if written == key:
        return "exact"
    if written.casefold() == key.casefold():
        return "casefold"
    if written.lstrip("0") == key.lstrip("0") != "":
        return "unpad"
    theirs, ours = HEX.fullmatch(written), HEX.fullmatch(key)
    if theirs is None or ours is None:
        return ""
    as_hex, ours_as_hex = int(theirs[1], 16), int(ours[1], 16)
    prefixed = theirs[1] != written or ours[1] != key
    if as_hex == ours_as_hex and (prefixed or _LETTERED.fullmatch(written) or _LETTERED.fullmatch(key)):
        return "hex"
    if DECIMAL.fullmatch(written) and int(written) == ours_as_hex:
        return "hex-dec"
    if DECIMAL.fullmatch(key) and int(key) == as_hex:
        return "dec-hex"
    return ""


def telling(rule: str, one: str, key: str) -> bool:
    """Whether a pair of ids tells this rule from the others: a letter a-f, or a number not the same in each of them."""
    if rule in ("exact", "unpad"):
        return len(one.lstrip("0")) > 1
    if rule in ("", "casefold"):
        return bool(rule)
    return _LETTERED.fullmatch(key if rule == "hex-dec" else one) is not None
