"""What a carrier does its own way with ids and receipts: the keys of `dialect:`.

Rules:
- A key says one thing a carrier does; `preset` names a shipped set of them (`presets`), and keys beside it are laid
  over it: words of `states` and `errors` one by one, every other key as a whole.
- State words are compared without regard to case; they are kept in capitals.
- A `pattern` is read against the whole text of a receipt, and one that could take long is refused (`patterns`).

Walk: built by `read`; `carriers/dialects` makes of it what `smpp` reads receipts by; other rooms read its keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import attrs

from smsroute.config import patterns
from smsroute.config.hours import UTC, ZoneKind
from smsroute.config.kinds import Misread, OneOf, Seconds, Text
from smsroute.message import Blame

IdRule = Literal["auto", "exact", "hex-dec", "dec-hex", "unpad", "casefold"]
MatchBy = Literal["id", "destination"]
ReceiptLevel = Literal["handset", "network", "none"]
ReceiptsOn = Literal["every", "last", "any"]
Ending = Literal["waiting", "final"]
StateMeant = Literal["delivered", "expired", "deleted", "undeliverable", "rejected", "accepted", "enroute", "unknown"]

BLAME: Final = OneOf({b.name.lower().replace("_", "-"): b for b in Blame})
RECEIPT_ERROR: Final = Text("[0-9A-Za-z]{1,16}", "1 to 16 letters or digits, as the carrier's receipts write err")
PRESET: Final = Text("[a-z0-9][a-z0-9-]{0,31}", "the name of a shipped preset")
PATTERN_WANTED: Final = "a regular expression with (?P<id>…) and (?P<stat>…), and at most err, submit and done besides"
PATTERN_GROUPS: Final = frozenset({"id", "stat", "err", "submit", "done"})
PATTERN_CHARACTERS_MAX: Final = 500


@attrs.frozen
class StateWordKind:
    """A stat word as receipts write it, in any case: `DELIVRD`, `Absent-Sub`, `00`."""

    def read(self, text: str) -> str:
        if not re.fullmatch(r"[!-~]{1,32}", text):
            raise Misread("a stat word: 1 to 32 ASCII characters without spaces")
        return text.upper()

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return ""


@attrs.frozen
class PatternKind:
    """How the whole text of a receipt reads, as a regular expression with named groups; empty: the common form."""

    def read(self, text: str) -> str:
        if not text:
            return text
        if len(text) > PATTERN_CHARACTERS_MAX:
            raise Misread(f"at most {PATTERN_CHARACTERS_MAX} characters")
        try:
            groups = re.compile(text).groupindex.keys()
        except (re.error, OverflowError, RecursionError) as fault:
            raise Misread(f"{PATTERN_WANTED}: {fault}") from None
        if not {"id", "stat"} <= groups <= PATTERN_GROUPS:
            raise Misread(PATTERN_WANTED)
        try:
            patterns.judge(text)
        except patterns.Laborious as fault:
            raise Misread(f"a pattern that cannot take long: {fault}") from None
        return text

    def show(self, value: object) -> str:
        return str(value)

    def range(self) -> str:
        return ""


@attrs.frozen
class Dialect:
    """See the module."""

    preset: Annotated[str, PRESET] = "none"  # a shipped set of these keys; those that stand beside it are laid over it
    ids: IdRule = "auto"  # how a receipt's id relates to the response's: hex-dec is response hex, receipt decimal
    match_by: MatchBy = "id"  # destination: ids say nothing here (constant or empty); matched only when one part fits
    # What its stat words mean beside those of the spec; over them too. A word nobody knows ends nothing.
    states: Mapping[Annotated[str, StateWordKind()], StateMeant] = attrs.field(factory=dict)
    # What a receipt's err means; a word as it is written, then as a number: "001" also speaks for 1 and 0001.
    errors: Mapping[Annotated[str, RECEIPT_ERROR], Annotated[Blame, BLAME]] = attrs.field(factory=dict)
    pattern: Annotated[str, PatternKind()] = ""  # of a receipt's whole text; what does not fit it is read as usual
    time_zone: Annotated[str, ZoneKind()] = UTC  # of the dates in its receipts; they are shown, never ordered by
    receipt_level: ReceiptLevel = "handset"  # who speaks in a receipt: the handset, the network only, or nobody ever
    receipts_on: ReceiptsOn = "every"  # of a long message: each part has one; the last; any one speaks for all
    accepted: Ending = "waiting"  # ACCEPTD: more may come, or it is the last word
    unknown: Ending = "waiting"  # UNKNOWN: the same
    without_esm_class: bool = False  # receipts come as plain messages: one is known by its text and an id we gave
    receipt_within_s: Annotated[float, Seconds(0, 30 * 86400)] = 0.0  # later none is expected; 0: validity and grace
