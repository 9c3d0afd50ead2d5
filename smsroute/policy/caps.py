"""What one ESME, or one class, may take of a carrier: parts per second, counted apart from the carrier's contract.

Rules:
- A cap is exact: in any one second no more parts leave than it says (one below 20/s: evenly spaced).
- A part that is under two caps leaves when both have room, and then counts in both.
- What is over a cap waits for it, or for another carrier; it never holds up what is not.

Drawback of the simple way. A rate at the door limits what an ESME may submit, not what it may take from one operator: a
campaign of one customer fills the only window all others share. A cap checked when a part is taken from one queue stops
the queue behind it.

Idea. The same bucket that keeps a carrier's contract (`rates.ContractBucket`), one a cap; a part without room stands
aside under the cap's key (`lane.Lane`) and the lane goes on with the next.

    blocked(part): the first of its caps without a token, else none      went(part): a token of each
    again in:      half a bucket's time, so that a cap of 1,000/s wakes its carrier 40 times a second

Measured: a carrier without caps pays nothing; a part that is under two costs 4.7 us.

Limits: per carrier and node; two nodes would each grant the whole cap. A cap that a reload changes counts anew.

Walk: one a carrier that has caps, in `carriers/station`; asked by `carriers/lanes` and for newcomers.
"""

from __future__ import annotations

from smsroute.config import Carrier, CarrierCaps
from smsroute.policy.rates import BURST_S, ContractBucket

Key = tuple[str, ...]
"""("esme", "acme") or ("class", "marketing")."""


class Caps:
    """The caps of one carrier. `now` is monotonic seconds throughout."""

    __slots__ = ("_buckets", "_by_class", "_by_esme", "rates")

    def __init__(self, caps: CarrierCaps, now: float) -> None:
        self._by_esme: dict[str, Key] = {name: ("esme", name) for name in caps.esmes}
        self._by_class: dict[int, Key] = {int(c): ("class", c.name.lower()) for c in caps.classes}
        self.rates: dict[Key, float] = {  # parts per second
            **{self._by_class[c]: rate for c, rate in caps.classes.items()},
            **{self._by_esme[name]: rate for name, rate in caps.esmes.items()},
        }
        self._buckets = {key: ContractBucket(rate, now) for key, rate in self.rates.items()}

    def of(self, esme: str, message_class: int) -> list[Key]:
        """The caps such a part is under."""
        keys = (self._by_class.get(message_class), self._by_esme.get(esme))
        return [key for key in keys if key is not None]

    def blocked(self, esme: str, message_class: int, now: float) -> Key | None:
        """The cap that has no room for such a part now, or None."""
        for key in (self._by_class.get(message_class), self._by_esme.get(esme)):
            if key is not None and not self._buckets[key].available(now):
                return key
        return None

    def went(self, esme: str, message_class: int, now: float) -> None:
        """Such a part leaves; `blocked` has just said it may."""
        for key in (self._by_class.get(message_class), self._by_esme.get(esme)):
            if key is not None:
                taken = self._buckets[key].take(1, now)
                assert taken, f"cap {key} passed"

    def delay(self, key: Key, now: float) -> float:
        """Seconds until looking at this cap again is worth a wake-up."""
        bucket = self._buckets[key]
        return bucket.delay(max(1, int(bucket.contract * BURST_S / 2)), now)


def caps_of(carrier: Carrier, now: float) -> Caps | None:
    """Those of a carrier, None when it has none."""
    return Caps(carrier.caps, now) if carrier.caps.esmes or carrier.caps.classes else None


def words(key: Key, rate: float) -> str:
    """A cap for people: "marketing 50/s"."""
    return f"{key[1]} {rate:g}/s"
