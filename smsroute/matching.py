"""Whose a receipt is: the ids carriers gave to attempts, the receipts that match none yet, the attempts without an id.

Rules:
- An id belongs to a carrier's account, never to one of its binds. It is kept as its receipts will write it.
- A wrong match is worse than none. Of two messages that bear one id, the handset's number decides; where it cannot, the
  one still open; where both are, nobody (quirks M14). An id that comes back several times in a row names nothing from
  then on (M10).
- Keys that are a guess (`Receipted.strict`) name nothing but what went to the receipt's handset.
- What matches nothing is parked under a name, and found again by that name or by the handset's number. Of a parked
  name's receipts the first final word stands, as it would have on the part (law 5).
- All of it is bounded, and only the ledger changes it, while it applies an event.

Walk: part of `memory`, used by `ledger`; `carriers/receipts` and `carriers/adopt` look things up here before they
write down what they decided.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from itertools import islice
from typing import Final

import msgspec

from smsroute.message import OK, STATE_OF_RECEIPT, Attempt, Part, Receipted
from smsroute.shelves import Counts

Holder = tuple[Part, int]
"""A part and the index of the attempt a carrier's id names."""
Found = tuple[Part, int, bool]
"""The same, and whether it is for the handset in question."""

HOLDERS_MAX: Final = 8
"""Messages in memory that bear one id; the oldest is let go of."""
VOID_MAX: Final = 1000
"""Ids that name nothing; the oldest is let go of. Some carriers make a new one each second (the time of day)."""


def digits(number: str) -> str:
    """A number as it is compared: without + or 00."""
    return number.lstrip("+").removeprefix("00")


def same_number(one: str, other: str) -> bool:
    """Whether two ways of writing a number mean one handset; an empty one means none."""
    return bool(one) and (one == other or digits(one) == digits(other))


class KeptIds(msgspec.Struct):
    """What a checkpoint keeps of them beside the attempts, which bring their own."""

    rows: dict[str, tuple[str, int]] = {}  # carrier -> the newest id, and how often in a row it came
    void: list[tuple[str, str]] = []  # (carrier, id) that name nothing, the oldest first


class Ids:
    """Which attempt a carrier's receipts mean: by carrier and id, as its receipts write it."""

    def __init__(self, repeats_max: int = 5) -> None:
        """`repeats_max`: an id that a carrier gives so often in a row is none."""
        self._repeats_max = repeats_max
        self._named: dict[str, dict[str, Holder]] = {}
        self._earlier: dict[tuple[str, str], list[Holder]] = {}  # of an id that was given again, oldest first
        self._rows: dict[str, tuple[str, int]] = {}
        self.void: dict[tuple[str, str], None] = {}  # the oldest first

    def __len__(self) -> int:
        return sum(map(len, self._named.values())) + sum(map(len, self._earlier.values()))

    def give(self, carrier: str, key: str, part: Part, index: int) -> bool:
        """`carrier` calls this attempt `key`. Returns whether it called another one so that is still open."""
        row = self._rows.get(carrier)
        if row is not None and row[0] == key:
            self._rows[carrier] = (key, row[1] + 1)
            if row[1] + 1 >= self._repeats_max and not key.startswith(NUMBER):
                self._void(carrier, key)
        else:
            self._rows[carrier] = (key, 1)
        return self._put(carrier, key, part, index)

    def _put(self, carrier: str, key: str, part: Part, index: int) -> bool:
        if self.void and (carrier, key) in self.void:
            return False
        named = self._named.get(carrier)
        if named is None:
            named = self._named[carrier] = {}
        before = named.get(key)
        named[key] = (part, index)
        if before is None or before[0] is part:
            return False
        earlier = self._earlier.setdefault((carrier, key), [])
        earlier.append(before)
        del earlier[:-HOLDERS_MAX]
        return not before[0].final

    def _void(self, carrier: str, key: str) -> None:
        self.void.pop((carrier, key), None)
        self.void[carrier, key] = None
        if len(self.void) > VOID_MAX:
            del self.void[next(iter(self.void))]
        self._earlier.pop((carrier, key), None)
        self._named.get(carrier, {}).pop(key, None)

    def find(self, carrier: str, key: str, number: str) -> Found | None:
        """The attempt that `carrier` calls `key`, and whether it went to `number`; None when it is none, or any of
        several."""
        named = self._named.get(carrier)
        holder = named.get(key) if named is not None else None
        if holder is None:
            return None
        earlier = self._earlier.get((carrier, key)) if self._earlier else None
        if earlier is not None:
            return choose([*earlier, holder], number)
        return (*holder, same_number(number, holder[0].destination_addr))

    def named(self, carrier: str) -> Mapping[str, Holder]:
        """The attempts that `carrier` gave an id, the newest of each key."""
        return self._named.get(carrier, {})

    def names(self, carrier: str, key: str) -> bool:
        """Whether `carrier` calls any attempt in memory so."""
        return key in self._named.get(carrier, ())

    def meant(self, event: Receipted) -> Holder | None:
        """The attempt a receipt means by its own keys. The first is the id as the carrier's rule makes it; under any
        other, and under all that are a guess, the part must also be for the handset it speaks of."""
        for position, key in enumerate(event.keys):
            hit = self.find(event.carrier, key, event.destination_addr)
            if hit is not None and (hit[2] or (position == 0 and not event.strict)):
                return hit[:2]
        return None

    def drop(self, part: Part) -> None:
        """This part leaves memory."""
        for attempt in part.attempts:
            self.take_back(part, attempt)

    def take_back(self, part: Part, attempt: Attempt) -> None:
        """The id of this attempt means its part no more."""
        key = attempt.key or attempt.carrier_message_id
        named = self._named.get(attempt.carrier)
        if named is None or key not in named:
            return
        earlier = self._earlier.get((attempt.carrier, key)) if self._earlier else None
        if earlier is not None:
            earlier[:] = [holder for holder in earlier if holder[0] is not part]
            if named[key][0] is part and earlier:
                named[key] = earlier.pop()
            if not earlier:
                del self._earlier[attempt.carrier, key]
        if named[key][0] is part:
            del named[key]

    def kept(self) -> KeptIds:
        """For the checkpoint."""
        return KeptIds(dict(self._rows), list(self.void))

    def restore(self, kept: KeptIds, named: Iterable[tuple[str, str, Part, int]]) -> None:
        """From the checkpoint. `named`: (carrier, key, part, index of its attempt), in the order they were given."""
        self._rows, self.void = dict(kept.rows), dict.fromkeys(kept.void)
        for carrier, key, part, index in named:
            self._put(carrier, key, part, index)


def choose(holders: list[Holder], number: str) -> Found | None:
    """Of those that bear one id, oldest first."""
    fit = [holder for holder in holders if same_number(number, holder[0].destination_addr)]
    some = fit or holders
    living = [holder for holder in some if not holder[0].final]
    if len(living) > 1:
        return None
    return (*(living or some)[-1], bool(fit))


# -- receipts that match nothing yet -----------------------------------------------------------------------------------

NUMBER: Final = "\0to "
"""Before a number that stands in for an id, where a carrier's ids say nothing (`match_by: destination`)."""
UNSURE: Final = "\0? "
"""Before the id of a parked receipt whose response may write it otherwise: no response names it so."""


def orphan_name(event: Receipted) -> str:
    """What a parked receipt is found by: the key its response will bear, else its id as written; "" for no id."""
    if event.keys:
        return event.keys[0]
    return UNSURE + event.ids[0][1] if event.ids else ""


class Orphans:
    """Receipts that match nothing yet, by carrier and name, oldest first; and by the handset they speak of."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[tuple[str, str], Receipted] = OrderedDict()
        self._by_number: dict[tuple[str, str], dict[str, Receipted]] = {}  # by name, oldest first
        self.changed: dict[tuple[str, str], Receipted | None] = {}  # since a checkpoint, in order; None: let go

    def __len__(self) -> int:
        return len(self._held)

    def values(self) -> ValuesView[Receipted]:
        """Those parked now, oldest first."""
        return self._held.values()

    def speaking_of(self, carrier: str, number: str, most: int = 1 << 62) -> list[Receipted]:
        """Those of a carrier that speak of this handset, oldest first: the newest `most` of them."""
        if not self._by_number:
            return []
        newest = reversed(self._by_number.get((carrier, digits(number)), {}).values())
        return list(islice(newest, min(most, len(self._held))))[::-1]

    def holds(self, event: Receipted) -> bool:
        """Whether this one is still parked."""
        return self._held.get((event.carrier, orphan_name(event))) is event

    def park(self, event: Receipted, counts: Counts) -> None:
        """Keep it until its response comes. One that names nothing can never be matched and ages at once."""
        name = orphan_name(event)
        held = self._held.get((event.carrier, name)) if name else None
        if held is not None and held.state in STATE_OF_RECEIPT:
            if event.state == held.state:
                counts.receipts_duplicate += 1
            elif event.state not in STATE_OF_RECEIPT:
                counts.receipts_intermediate += 1
            else:
                counts.receipts_conflicting += 1
            return
        if held is not None:
            counts.orphans_aged += 1  # a word on the way, and here is a later one
            self.take(event.carrier, name)
        if not name:
            self.let_go(counts)
            return
        counts.orphans_parked += 1
        self._put(name, event)
        while len(self._held) > self._most:
            self.take(*next(iter(self._held)))
            counts.orphans_aged += 1

    def let_go(self, counts: Counts) -> None:
        """One that can never be matched: its id names nothing."""
        counts.orphans_parked += 1
        counts.orphans_aged += 1

    def _put(self, name: str, event: Receipted) -> None:
        self._held[event.carrier, name] = event
        self.changed.pop((event.carrier, name), None)
        self.changed[event.carrier, name] = event
        if event.destination_addr:
            self._by_number.setdefault((event.carrier, digits(event.destination_addr)), {})[name] = event

    def claim(self, carrier: str, key: str, number: str) -> Receipted | None:
        """Take out the receipt that waits for the response with this id, to a message for `number`."""
        event = self._held.get((carrier, key)) if self._held else None
        if event is None or (event.strict and not same_number(event.destination_addr, number)):
            return None
        return self.take(carrier, key)

    def take(self, carrier: str, name: str) -> Receipted | None:
        """Take out the receipt that waits under this name."""
        event = self._held.pop((carrier, name), None) if self._held else None
        if event is None:
            return None
        self.changed[carrier, name] = None
        if event.destination_addr:
            number = (carrier, digits(event.destination_addr))
            others = self._by_number[number]
            del others[name]
            if not others:
                del self._by_number[number]
        return event

    def age(self, before: float, counts: Counts) -> None:
        """Let go of those that came before `before` (Unix seconds)."""
        while self._held:
            name, orphan = next(iter(self._held.items()))
            if orphan.at >= before:
                return
            self.take(*name)
            counts.orphans_aged += 1

    def restore(self, kept: Iterable[Receipted]) -> None:
        """From the checkpoint."""
        for orphan in kept:
            self._put(orphan_name(orphan), orphan)


# -- attempts without an id --------------------------------------------------------------------------------------------


def nameless(attempt: Attempt) -> bool:
    """Whether its carrier has it, or may, and no id was ever heard: it is in doubt, or was taken under none (M11)."""
    if attempt.carrier_message_id or attempt.withdrawn or attempt.lead:
        return False
    return attempt.blame == OK or (attempt.blame == -1 and bool(attempt.doubted))


class Unnamed:
    """Attempts without an id: of one in doubt the response, and with it the id, may be lost for good."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], list[Holder]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(list(self._held))

    def to(self, carrier: str, number: str) -> list[Holder]:
        """Those of a carrier to this handset."""
        return list(self._held.get((carrier, digits(number)), ()))

    def add(self, part: Part, index: int) -> None:
        """This attempt is nameless."""
        place = (part.attempts[index].carrier, digits(part.destination_addr))
        held = self._held.setdefault(place, [])
        if (part, index) not in held:
            held.append((part, index))

    def drop(self, part: Part, index: int) -> None:
        """It has a name or was refused, or its part leaves memory."""
        if not self._held:
            return
        place = (part.attempts[index].carrier, digits(part.destination_addr))
        held = self._held.get(place)
        if held is not None:
            held[:] = [holder for holder in held if holder[0] is not part or holder[1] != index]
            if not held:
                del self._held[place]
