"""Message ids under a configured rule: how the id in a receipt and the one in the response become the same name.

Rules:
- Ids are opaque; only the rule of a carrier's dialect turns one into another. `learn` finds the rule of `auto`.
- Numbers have no bound: 64-bit ids and longer ones keep every digit (quirks M8).
- What is no number under a numeric rule stays as it is written, trimmed.

Walk: `carriers/receipts` calls `id_keys`, `carriers/answers` `response_key`; other rooms take them from `receipt`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from smsroute.smpp.receipt_read import FROM_TEXT, Ids

_STRIPPED: Final = " \0\t\r\n"
_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,64})")
_DECIMAL: Final = re.compile(r"[0-9]{1,78}")


def response_key(rule: str, message_id: str) -> str:
    """The name under which a message is kept, from the id in its response; `` for no id. `rule` is `dialect.ids`."""
    message_id = message_id.strip(_STRIPPED)
    if rule == "hex-dec":
        return _from_hex(message_id)
    if rule == "dec-hex":
        return _from_decimal(message_id)
    return _same(rule, message_id)


def id_keys(rule: str, ids: Ids | Sequence[tuple[str, str]]) -> list[str]:
    """The names a receipt may mean, safest first. Raises nothing; empty when the receipt carries no id.

    `auto` and `exact` compare trimmed ids as they are. With `hex-dec` the text id is decimal, and a TLV id that shows a
    hex letter is the hex one (quirks M3); `dec-hex` the other way.
    """
    if rule not in ("hex-dec", "dec-hex"):
        return list(dict.fromkeys(key for key in (_same(rule, one) for _, one in ids) if key))
    keys: list[str] = []
    for _, written in sorted(ids, key=lambda one: one[0] != FROM_TEXT):
        one = written.strip(_STRIPPED)
        if keys and _from_hex(one) == keys[0]:
            continue  # the text's number in hexadecimal: without letters it would name another message in decimal
        keys.append(_from_decimal(one) if one.isdigit() and rule == "hex-dec" else _from_hex(one))
    return list(dict.fromkeys(key for key in keys if key))


def _same(rule: str, message_id: str) -> str:
    message_id = message_id.strip(_STRIPPED)
    if rule == "unpad":
        return message_id.lstrip("0") or message_id[:1]
    return message_id.casefold() if rule == "casefold" else message_id


def _from_hex(message_id: str) -> str:
    match = _HEX.fullmatch(message_id)
    return str(int(match[1], 16)) if match else message_id


def _from_decimal(message_id: str) -> str:
    return str(int(message_id)) if _DECIMAL.fullmatch(message_id) else message_id
