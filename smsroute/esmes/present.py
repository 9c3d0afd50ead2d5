"""Which parts wait, by who sent them to whom: what replace_if_present_flag looks for (SMPP 3.4 section 5.2.18).

Rules:
- A submit with the flag stands in for every part of its ESME that no carrier has, with the same service_type, source
  and destination, octet for octet; but not for the other parts of its own message.
- Only ESMEs that use the flag are known here: their waiting parts are looked up once, in slices, and from then on each
  part accepted from them is added. The others pay nothing.
- A hint, no fact: what no longer waits is found out when it is asked for, and let go bit by bit as others come.

Walk: `esmes/accept` asks and adds; the ends it makes of what is asked are durable with the submit itself.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import trio

from smsroute.ledger import Ledger
from smsroute.message import Part, State
from smsroute.replacing import free

Key = tuple[str, bytes]
"""An ESME, and the octets of a submit_sm up to the end of its destination_addr."""

Place = tuple[str, int]
"""The multipart message a part is of, and which of it; ("", 0) for a whole message."""

LOOKED_AT_ONCE: Final = 5000
"""Parts looked at between two turns of the loop: some 2 ms."""
TIDIED: Final = 2
"""Keys looked at for each part that is added: more than one, so that what is over never grows beyond what is not."""


class Present:
    """See the module."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._parts: OrderedDict[Key, dict[str, Place]] = OrderedDict()
        self.esmes: set[str] = set()

    def __len__(self) -> int:
        return len(self._parts)

    async def learn(self, esme: str) -> None:
        """Know this ESME's parts from now on, those that wait already too."""
        self.esmes.add(esme)
        ids = list(self._ledger.parts)
        for at in range(0, len(ids), LOOKED_AT_ONCE):
            for part_id in ids[at : at + LOOKED_AT_ONCE]:
                part = self._ledger.parts.get(part_id)
                if part is not None and part.esme == esme and not part.final:
                    self._put((esme, part.body[: part.text_at]), part_id, (part.multipart, part.number))
            await trio.lowlevel.checkpoint()

    def forget(self, esmes: set[str]) -> None:
        """Only these ESMEs are left in the config."""
        self.esmes &= esmes

    def add(self, key: Key, part_id: str, place: Place) -> None:
        """It is about to be accepted."""
        self._put(key, part_id, place)
        for _ in range(TIDIED):
            oldest, parts = self._parts.popitem(last=False)
            parts = {one: place for one, place in parts.items() if oldest[0] in self.esmes and self._may_wait(one)}
            if parts:
                self._parts[oldest] = parts
            if not self._parts:
                break

    def replaced_by(self, key: Key, place: Place) -> list[str]:
        """The parts that one with the flag, at that place, stands in for; they are known no more."""
        parts = self._parts.get(key, {})
        found = [one for one, other in parts.items() if not _sisters(place, other) and self._waits(one)]
        for part_id in found:
            del parts[part_id]
        return found

    def _put(self, key: Key, part_id: str, place: Place) -> None:
        parts = self._parts.get(key)
        if parts is None:
            self._parts[key] = {part_id: place}
        else:
            parts[part_id] = place

    def _waits(self, part_id: str) -> bool:
        part = self._ledger.parts.get(part_id)
        return self._coming(part_id) if part is None else free(part)

    def _may_wait(self, part_id: str) -> bool:
        part: Part | None = self._ledger.parts.get(part_id)
        return self._coming(part_id) if part is None else not part.final and part.state != State.SUBMITTED

    def _coming(self, part_id: str) -> bool:
        """Whether it is on its way to the disk still, as far as its id tells: ids are given in order."""
        return part_id > self._ledger.last_part_id


def _sisters(one: Place, other: Place) -> bool:
    return bool(one[0]) and one[0] == other[0] and one[1] != other[1]
