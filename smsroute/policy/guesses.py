"""Guesses: how often one address may be wrong about a password before it has to wait.

Idea. Each wrong password from an address is a debt of that address and the ESME it named; debts are forgiven at a
steady pace. Who owes `guesses_max` waits until one is forgiven: `guesses_max` tries at once, then one in `guess_s`. A
right password clears the debt. Names that do not exist share one debt an address.

    may(address, name):    owes no more than guesses_max - 1
    wrong(address, name):  owes one more
    right(address, name):  owes nothing
    every guess_s:         owes one less

Why by the pair and not by the address alone: behind one address (NAT) stand honest platforms and whoever guesses. A
neighbour that guesses at `shop` or at names that do not exist costs `acme` nothing, and one that guesses at `acme` lets
it in again `guess_s` after it stops: waiting tries add no debt. IPv6 addresses count by their /64, which is one house.

Rules:
- Pure; `now` is monotonic seconds.
- At most `rows_max` pairs are remembered; those that owe nothing go first, then the oldest.

Limits: who has many addresses has as many tries; the cost of each is bounded elsewhere (`password_checks_max`). Debts
do not outlive the engine.

Walk: `esmes/porter` asks before it looks at a password, and tells what came of it.
"""

from __future__ import annotations

import ipaddress
from typing import Final

HOUSE_BITS: Final = 64


class Guesses:
    """See the module."""

    __slots__ = ("_guess_s", "_guesses_max", "_owed", "_rows_max")

    def __init__(self, guesses_max: int, guess_s: float, rows_max: int) -> None:
        self._guesses_max = guesses_max
        self._guess_s = guess_s
        self._rows_max = rows_max
        self._owed: dict[tuple[str, str], tuple[float, float]] = {}  # (house, name) -> (debt, as of)

    def __len__(self) -> int:
        return len(self._owed)

    def may(self, address: str, name: str, now: float) -> bool:
        """Whether a password for `name` ("": nobody we know) is looked at."""
        return self._debt((house(address), name), now) <= self._guesses_max - 1

    def wrong(self, address: str, name: str, now: float) -> None:
        """It was looked at, and wrong."""
        key = (house(address), name)
        debt = self._debt(key, now)
        self._owed.pop(key, None)
        if len(self._owed) >= self._rows_max:
            self._forget(now)
        self._owed[key] = (debt + 1, now)

    def right(self, address: str, name: str) -> None:
        """It was right."""
        if self._owed:
            self._owed.pop((house(address), name), None)

    def wait_s(self, address: str, name: str, now: float) -> float:
        """Seconds until `may` says yes again."""
        debt = self._debt((house(address), name), now)
        return max(0.0, (debt - (self._guesses_max - 1)) * self._guess_s)

    def _debt(self, key: tuple[str, str], now: float) -> float:
        debt, at = self._owed.get(key, (0.0, now))
        return max(0.0, debt - max(0.0, now - at) / self._guess_s)

    def _forget(self, now: float) -> None:
        """Make room: once all rows were looked at, at least a tenth of them is free again."""
        self._owed = {key: row for key, row in self._owed.items() if self._debt(key, now) > 0}
        keep = self._rows_max - max(1, self._rows_max // 10)
        for key in list(self._owed)[: max(0, len(self._owed) - keep)]:
            del self._owed[key]


def house(address: str) -> str:
    """What counts as one: an IPv4 address, the /64 of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(ip) >> (128 - HOUSE_BITS) << (128 - HOUSE_BITS)))
