"""The truth: which handset got which text, and how often.

Rules:
- Counted when a carrier takes a message that will be delivered; no receipt, response or link changes it afterwards.
- At most HANDSETS_MAX texts are told apart; what comes after them is only counted.

Walk: written by `SimCarrier`; an auditor compares `got` with what platforms were promised (law 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from smsroute.sim.wire import Submit, address

HANDSETS_MAX: Final = 1_000_000


class Handsets:
    """Every handset behind one carrier."""

    def __init__(self) -> None:
        self.got: dict[tuple[str, bytes], int] = {}
        """(destination_addr, short_message) -> how often."""
        self.uncounted = 0

    def deliver(self, submits: Iterable[Submit]) -> None:
        """Those of `submits` whose fate is delivery arrive."""
        got = self.got
        for submit in submits:
            if submit.word != "DELIVRD":
                continue
            key = (address(submit.destination), submit.text)
            if key in got:
                got[key] += 1
            elif len(got) < HANDSETS_MAX:
                got[key] = 1
            else:
                self.uncounted += 1

    def stats(self) -> dict[str, int]:
        """For people and JSON."""
        return {
            "handset_texts": len(self.got),
            "handset_doubles": sum(self.got.values()) - len(self.got),
            "handset_uncounted": self.uncounted,
        }
