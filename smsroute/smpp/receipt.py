"""Delivery receipts: the front door of their reading, their ids and their writing.

Rules:
- What one means is read in any dialect carriers speak (`receipt_read`), by what a carrier's own does differently
  (`Reading`); its dates in `receipt_dates`; its ids under a rule in `receipt_ids`, and without one in `learn`.
- We write the one form every client understands (`receipt_write`).

Walk: other rooms import these from here and nowhere else.
"""

from smsroute.smpp.receipt_dates import instant
from smsroute.smpp.receipt_ids import id_keys, response_key
from smsroute.smpp.receipt_read import (
    COMMON,
    FINAL,
    FROM_TEXT,
    FROM_TLV,
    STAT_WORDS,
    Ids,
    Reading,
    Receipt,
    is_answer,
    is_receipt,
    parse,
    read,
)
from smsroute.smpp.receipt_write import STAT_OF, TEXT_CHARACTERS_MAX, build

__all__ = [
    "COMMON",
    "FINAL",
    "FROM_TEXT",
    "FROM_TLV",
    "STAT_OF",
    "STAT_WORDS",
    "TEXT_CHARACTERS_MAX",
    "Ids",
    "Reading",
    "Receipt",
    "build",
    "id_keys",
    "instant",
    "is_answer",
    "is_receipt",
    "parse",
    "read",
    "response_key",
]
