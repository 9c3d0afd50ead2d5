"""Whose fault an answer is: a carrier's number -> a Blame, how often to insist, and what to tell people.

Rules:
- One table. A number a carrier uses its own way is overridden in its `outcomes:`, never by a branch in code: the same
  vendor number means opposite things at two providers.
- A subscriber's or a text's fault is PERMANENT_MESSAGE and never touches a score (law 9).
- `tries_max` counts offers of one part to one carrier, the first included: 1 means "not here again".
- The numbers are SMPP's command_status because that is what carriers answer today; another kind of carrier brings its
  own table of the same shape, and nothing above this file knows the difference.

- A receipt has a second answer in its err. No specification says what the words mean, so only a carrier's
  `dialect: errors:` gives them a blame; without one the final state alone decides, and leans to nobody's fault.

Walk: `carriers/answers` asks `verdict` for each response; `carriers/hearing` asks `receipt_word` for each final
receipt; `smsroute explain` and `trace` show `note`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from smsroute.message import DELIVERED, Blame, State

NO_END: Final = 1_000_000
"""tries_max of an answer that may be repeated until the message's validity ends."""


@attrs.frozen
class Verdict:
    """What an answer means for the part it answers and for the carrier that gave it."""

    blame: Blame
    tries_max: int  # offers of one part to this carrier, the first included
    elsewhere: bool  # whether another carrier may be offered the part
    alarm: bool  # a person should look: our encoder, our account or an unknown number
    note: str


_OK: Final = Blame.OK
_THR: Final = Blame.THROTTLED
_CNG: Final = Blame.CONGESTED
_TRN: Final = Blame.TRANSIENT
_PMS: Final = Blame.PERMANENT_MESSAGE
_PRT: Final = Blame.PERMANENT_ROUTE
_UNK: Final = Blame.UNKNOWN

DEFAULTS: Final[dict[Blame, Verdict]] = {
    # blame: what may happen       tries here  elsewhere  alarm   note
    _OK: Verdict(_OK, 1, False, False, "taken"),
    _THR: Verdict(_THR, NO_END, True, False, "over the rate this carrier grants; not taken"),
    _CNG: Verdict(_CNG, NO_END, True, False, "a queue of the carrier or of the handset is full"),
    _TRN: Verdict(_TRN, 3, True, False, "the carrier could not, for now"),
    _PMS: Verdict(_PMS, 1, False, False, "the message or its subscriber; no route will do"),
    _PRT: Verdict(_PRT, 1, True, True, "this account, bind or service may not; another route may"),
    _UNK: Verdict(_UNK, 1, False, False, "nobody answered; the in_doubt policy decides"),
}
"""What a blame means when the table has no row for the number, or a carrier's `outcomes:` names the blame."""

UNLISTED: Final = Verdict(_TRN, 1, True, True, "a number no specification lists")
VENDOR: Final = Verdict(_TRN, 1, True, False, "a vendor's number; say in `outcomes:` what it means here")
VENDOR_CODES: Final = range(0x400, 0x500)

_ROWS: Final[list[tuple[int, Blame, int, bool, str]]] = [
    # number, blame, tries here, alarm, note (the name is in smpp.names)
    (0x000, _OK, 1, False, "taken"),
    (0x001, _PMS, 1, False, "message length, or more parts than the provider allows"),
    (0x002, _PMS, 1, True, "command length: our encoder, or a size cap of theirs"),
    (0x003, _PRT, 1, True, "the command is not supported here"),
    (0x004, _PRT, 1, False, "the bind is in the wrong state: it will bind anew"),
    (0x005, _PRT, 1, False, "already bound: an old session of ours is still alive there"),
    (0x006, _PMS, 1, False, "priority flag"),
    (0x007, _PMS, 1, False, "registered_delivery flag"),
    (0x008, _TRN, 3, False, "system error"),
    (0x00A, _PMS, 1, False, "source address not allowed here"),
    (0x00B, _PMS, 1, False, "destination address; a few use it for a network the account lacks"),
    (0x00C, _PMS, 1, False, "message id; one vendor means a duplicate it already took"),
    (0x00D, _PRT, 1, True, "bind failed"),
    (0x00E, _PRT, 1, True, "password"),
    (0x00F, _PRT, 1, True, "system_id"),
    (0x011, _TRN, 1, True, "cancel failed, said of a submit"),
    (0x013, _TRN, 1, True, "replace failed, said of a submit"),
    (0x014, _CNG, NO_END, False, "queue full: the handset's or the carrier's"),
    (0x015, _PMS, 1, False, "service_type"),
    (0x022, _PRT, 1, False, "reserved; one vendor: network not covered"),
    (0x033, _PMS, 1, False, "number of destinations"),
    (0x034, _PMS, 1, False, "distribution list name"),
    (0x040, _PMS, 1, False, "destination flag"),
    (0x042, _PMS, 1, False, "submit with replace"),
    (0x043, _PMS, 1, False, "esm_class"),
    (0x044, _PMS, 1, False, "cannot submit to the distribution list"),
    (0x045, _TRN, 2, False, "submit failed; vendors disagree whether it may go again"),
    (0x048, _PMS, 1, True, "source TON"),
    (0x049, _PMS, 1, True, "source NPI"),
    (0x04A, _PMS, 1, True, "old stacks: destination TON"),
    (0x04B, _PMS, 1, True, "old stacks: destination NPI"),
    (0x04D, _PRT, 1, True, "old stacks: system_type"),
    (0x04E, _PMS, 1, False, "old stacks: replace_if_present flag"),
    (0x050, _PMS, 1, True, "destination TON"),
    (0x051, _PMS, 1, True, "destination NPI"),
    (0x053, _PRT, 1, True, "system_type"),
    (0x054, _PMS, 1, False, "replace_if_present flag"),
    (0x055, _PMS, 1, False, "number of messages"),
    (0x058, _THR, NO_END, False, "over the rate this carrier grants; not taken"),
    (0x05A, _PRT, 1, True, "reserved; seen as: account expired"),
    (0x061, _PMS, 1, False, "schedule_delivery_time"),
    (0x062, _PMS, 1, False, "validity_period"),
    (0x063, _PMS, 1, False, "sm_default_msg_id"),
    (0x064, _TRN, 3, False, "the receiving side, temporarily"),
    (0x065, _PMS, 1, False, "the receiving side, for good"),
    (0x066, _PMS, 1, False, "the receiving side refused it"),
    (0x067, _TRN, 1, True, "query failed, said of a submit; one vendor: quota used up"),
    (0x09F, _PMS, 1, False, "reserved; one vendor: optional parameter length"),
    (0x0C0, _PMS, 1, False, "optional part of the PDU"),
    (0x0C1, _PMS, 1, False, "optional parameter not allowed"),
    (0x0C2, _PMS, 1, False, "optional parameter length"),
    (0x0C3, _PRT, 1, True, "an optional parameter this carrier demands is missing"),
    (0x0C4, _PMS, 1, False, "optional parameter value"),
    (0x0FE, _TRN, 3, False, "delivery failed"),
    (0x0FF, _TRN, 1, False, "unknown error"),
    (0x100, _PRT, 1, True, "not authorised for the service"),
    (0x101, _PRT, 1, True, "operation prohibited"),
    (0x102, _TRN, 3, False, "service unavailable"),
    (0x103, _PRT, 1, True, "service denied"),
    (0x104, _PMS, 1, False, "data_coding"),
    (0x105, _PMS, 1, False, "source address subunit"),
    (0x106, _PMS, 1, False, "destination address subunit"),
    *((code, _PMS, 1, False, "broadcast parameter") for code in (*range(0x107, 0x10D), 0x110, 0x111, 0x112)),
    (0x10D, _TRN, 1, False, "broadcast failed"),
    (0x10E, _TRN, 1, True, "broadcast query failed, said of a submit"),
    (0x10F, _TRN, 1, True, "broadcast cancel failed, said of a submit"),
    (0x401, _PRT, 1, True, "vendor: out of credit"),
    (0x402, _PRT, 1, True, "vendor: credit limit"),
    (0x403, _PRT, 1, True, "vendor: account frozen"),
    (0x404, _PMS, 1, False, "vendor: bad data"),
    (0x405, _PMS, 1, False, "vendor: client error"),
    (0x40A, _PMS, 1, False, "vendor: subscriber or sender barred"),
    (0x40B, _PRT, 1, True, "vendor: balance"),
    (0x430, _PMS, 1, False, "vendor: payload length"),
    (0x431, _TRN, 1, False, "vendor: internal error"),
    (0x432, _PMS, 1, False, "vendor: spam filter"),
    (0x433, _PMS, 1, False, "vendor: data_coding and text disagree"),
    (0x4A1, _TRN, 1, True, "vendor: system error or channel disabled"),
    (0x4FF, _TRN, 1, False, "vendor: internal error"),
]

TABLE: Final[dict[int, Verdict]] = {
    code: Verdict(blame, tries, DEFAULTS[blame].elsewhere, alarm, note) for code, blame, tries, alarm, note in _ROWS
}
"""Number -> verdict, for every number a specification or a vendor's manual lists."""

_BLAMES: Final[dict[int, Blame]] = {code: verdict.blame for code, verdict in TABLE.items()}


def blame(command_status: int, overrides: Mapping[int, Blame]) -> Blame:
    """Whose fault it is. `overrides`: the carrier's own `outcomes:`."""
    if overrides and command_status in overrides:
        return overrides[command_status]
    found = _BLAMES.get(command_status)
    return _TRN if found is None else found


def verdict(command_status: int, overrides: Mapping[int, Blame]) -> Verdict:
    """The whole meaning of an answer. An override takes the blame's usual meaning, except for the same blame."""
    listed = TABLE.get(command_status)
    if listed is None:
        listed = VENDOR if command_status in VENDOR_CODES else UNLISTED
    said = overrides.get(command_status, listed.blame)
    return listed if said is listed.blame else attrs.evolve(DEFAULTS[said], note=f"as its outcomes: say; {listed.note}")


def tries_max(command_status: int, overrides: Mapping[int, Blame]) -> int:
    """How often one part may be offered to this carrier in all, after such an answer; `NO_END` until validity ends."""
    return verdict(command_status, overrides).tries_max


def retry_same_carrier(said: Blame) -> bool:
    """Whether a part so answered may ever go to the same carrier again (`tries_max` says how often)."""
    return DEFAULTS[said].tries_max > 1


def retry_elsewhere(said: Blame) -> bool:
    """Whether a part so answered may be offered to another carrier."""
    return DEFAULTS[said].elsewhere


def is_fault(said: Blame) -> bool:
    """Whether it is the carrier's fault: what health counts, and nothing else does."""
    return said in FAULTS


FAULTS: Final = frozenset({_TRN, _PRT, _UNK})
"""Blames that count against a carrier. Throttled and congested are not faults: congestion is not death."""


# -- receipts ----------------------------------------------------------------------------------------------------------


class Word(enum.IntEnum):
    """What a final receipt says of the carrier that took the part."""

    DELIVERED = 0
    ITS_FAULT = 1  # the carrier's: it counts against its delivered ratio
    NEUTRAL = 2  # the subscriber's or the text's: it touches no score (law 9)
    NETWORK = 3  # the network's own, not the handset's (`receipt_level: network`): it came, and is no evidence more


_HOUSE: Final = {State.DELIVERED: Word.DELIVERED, State.REJECTED: Word.ITS_FAULT, State.DELETED: Word.ITS_FAULT}
"""Ends a carrier answers for when its err says nothing; expired and undeliverable are mostly the handset's."""

_NOBODYS: Final = frozenset({_OK, _PMS})


class ReceiptErrors:
    """A carrier's `dialect: errors:`, ready to be asked: the word as written first, then as a number."""

    __slots__ = ("_exact", "_numbers")

    def __init__(self, errors: Mapping[str, Blame]) -> None:
        self._exact = dict(errors)
        self._numbers = {int(text): said for text, said in errors.items() if text.isdecimal()}

    def blame(self, err: str) -> Blame | None:
        """Whose fault `err` tells of; None when the carrier's table does not know it."""
        found = self._exact.get(err)
        if found is None and self._numbers and err.isascii() and err.isdecimal():
            return self._numbers.get(int(err))
        return found


def receipt_word(state: int, err: str, errors: ReceiptErrors) -> Word:
    """What a part's final state, told by a receipt with `err`, says of its carrier."""
    if state == DELIVERED:
        return Word.DELIVERED
    said = errors.blame(err)
    if said is None:
        return _HOUSE.get(State(state), Word.NEUTRAL)
    return Word.NEUTRAL if said in _NOBODYS else Word.ITS_FAULT
