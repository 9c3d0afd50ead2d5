"""What is refused at the door: addresses nobody could deliver to, answered with the status that says so.

Rules:
- Refused now, with a reason, or not at all: nothing is let in to be dropped later (law 1).
- Only what no configuration could make right is judged here; "no route leads there" is routing's answer, the shape of
  the PDU is smpp's.

Walk: asked by `esmes/accept` for each submit, after the codec and before routing.
"""

from __future__ import annotations

from typing import Final

import attrs

from smsroute.smpp import names

NUMBER_DIGITS_MAX: Final = 20
"""destination_addr holds 20 characters (5.2.9); E.164 has 15 digits, a national or special number may have more."""

SHORT_CODE_DIGITS_MIN: Final = 2
"""Nobody has ever had a handset behind one digit."""


@attrs.frozen
class Refused:
    """Why a submit is refused, for people, and the status that tells the ESME."""

    reason: str
    command_status: int


NO_NUMBER: Final = Refused("destination_addr is empty", names.ESME_RINVDSTADR)
NOT_A_NUMBER: Final = Refused("destination_addr is not a number: digits, with or without +", names.ESME_RINVDSTADR)
NUMBER_LENGTH: Final = Refused(
    f"destination_addr has fewer than {SHORT_CODE_DIGITS_MIN} or more than {NUMBER_DIGITS_MAX} digits",
    names.ESME_RINVDSTADR,
)
BAD_SENDER: Final = Refused("source_addr holds characters that cannot be shown", names.ESME_RINVSRCADR)


def check(destination_addr: str, source_addr: str) -> Refused | None:
    """Why these addresses are refused, or None. An empty source_addr is the carrier's to fill (5.2.8)."""
    number = destination_addr[1:] if destination_addr[:1] == "+" else destination_addr
    if not (number.isascii() and number.isdigit()):
        return NOT_A_NUMBER if number else NO_NUMBER
    if not SHORT_CODE_DIGITS_MIN <= len(number) <= NUMBER_DIGITS_MAX:
        return NUMBER_LENGTH
    if not source_addr.isprintable():
        return BAD_SENDER
    return None
