"""The prefixes of a country and of its operators, out of the tables that the `phonenumbers` package carries.

Rules:
- A country with a calling code of its own is that code. Countries that share one (+1, +7, +44 and ten others) get the
  shortest prefixes at which no other of them has numbers; what the tables give to several goes to the one they list
  first, as the library itself has it.
- An operator has the ranges that were assigned to it, less those in them that were assigned to another. Numbers that
  were ported since are still here: only a number-portability file knows them.
- A name is taken when it is the operator's, whatever the case of its letters, or the first words of just one operator's
  name: `Orange` is Orange France. Anything else is refused with the names there are.

The tables are regular expressions for whole numbers. To tell at which prefix only one country is left, each becomes a
small automaton that is walked digit by digit; the patterns use no more of the language than `_Automaton` reads.

Walk: called by `networks` once a config names a country, so that nobody else pays for the import (30 ms).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.carrierdata import CARRIER_DATA

SOURCE: Final = f"phonenumbers {phonenumbers.__version__}"
"""Its version is that of Google's libphonenumber whose tables it carries."""

DIGITS: Final = "0123456789"
NATIONAL_DIGITS_MAX: Final = 7  # behind the calling code; nobody was ever given less than a few hundred numbers
# Of numbers somebody may have a message sent to; not uan and voicemail, of which Canada's 310 lies across California's.
_TYPES: Final = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager",
)  # fmt: skip


class Unknown(Exception):
    """No such country or operator; `wanted` says what there is."""

    def __init__(self, said: str, wanted: str, known: Iterable[str] = ()) -> None:
        super().__init__(said, wanted)
        self.said = said
        self.wanted = wanted
        self.known = tuple(known)


def of_country(country: str) -> tuple[str, ...]:
    """The prefixes of a country by its two ISO 3166 letters. Raises Unknown."""
    if country not in phonenumbers.SUPPORTED_REGIONS:
        meant = {"UK": "GB"}.get(country)
        wanted = f"`{meant}`" if meant else "a country by its two ISO 3166 letters, such as FR"
        raise Unknown(f"no country `{country}` in {SOURCE}", wanted)
    code = phonenumbers.country_code_for_region(country)
    found = tuple(str(code) + prefix for prefix, region in _shares(code) if region == country)
    if not found:
        shared = phonenumbers.region_code_for_country_code(code)
        raise Unknown(f"{SOURCE} cannot tell the numbers of {country} from those of {shared}", f"`country: {shared}`")
    return found


def of_operator(country: str, operator: str) -> tuple[str, tuple[str, ...]]:
    """The operator's whole name and its prefixes. Raises Unknown."""
    own = of_country(country)
    code = str(phonenumbers.country_code_for_region(country))
    owners = {
        prefix: names.get("en") or next(iter(names.values()))
        for prefix, names in CARRIER_DATA.items()
        if prefix.startswith(code)
    }
    here = {name for prefix, name in owners.items() if name and _within(prefix, own)}
    name = _named(country, operator, sorted(here, key=str.casefold))
    ranges = _less_others(sorted(owners), owners, name, "", "")
    found = {within for prefix in ranges for within in _within(prefix, own)}
    return name, tuple(sorted(found))


def _named(country: str, wanted: str, names: list[str]) -> str:
    folded = wanted.casefold()
    equal = [name for name in names if name.casefold() == folded]
    begun = [name for name in names if name.casefold().startswith(f"{folded} ")]
    found = equal or begun
    if len(found) == 1:
        return found[0]
    if found:
        raise Unknown(f"operator `{wanted}` of {country} is several", f"one of {', '.join(found)}")
    if not names:
        raise Unknown(f"{SOURCE} names no operators of {country}", "`prefixes` or a `file`")
    raise Unknown(f"no operator `{wanted}` of {country} in {SOURCE}", f"one of {', '.join(names)}", names)


def _within(prefix: str, own: tuple[str, ...]) -> tuple[str, ...]:
    """As much of `prefix` as lies within the prefixes of a country."""
    if prefix.startswith(own):
        return (prefix,)
    return tuple(narrower for narrower in own if narrower.startswith(prefix))


def _less_others(below: list[str], owners: dict[str, str], name: str, prefix: str, owner: str) -> list[str]:
    """The prefixes at or below `prefix` that lead to `name` by longest match; `below`: the ranges that begin so."""
    owner = owners.get(prefix, owner)
    if not any(owners[one] != owner for one in below):
        return [prefix] if owner == name else []
    found: list[str] = []
    for digit in DIGITS:
        longer = prefix + digit
        found += _less_others([one for one in below if one.startswith(longer)], owners, name, longer, owner)
    return found


@functools.cache
def _shares(code: int) -> tuple[tuple[str, str], ...]:
    """(prefix behind the calling code, country): who has what of a code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    if len(regions) == 1:
        return (("", regions[0]),)
    automata = []
    for region in regions:
        tables = PhoneMetadata.metadata_for_region(region)
        assert tables is not None
        if tables.leading_digits is not None:
            automata.append(_Automaton([tables.leading_digits], and_more=True))
            continue
        kinds = [getattr(tables, kind) for kind in _TYPES]
        patterns = [kind.national_number_pattern for kind in kinds if kind is not None]
        automata.append(_Automaton([pattern for pattern in patterns if pattern]))

    @functools.cache
    def split(states: tuple[frozenset[int], ...], digits: int) -> tuple[tuple[str, str], ...]:
        live = [region for region, state in zip(regions, states, strict=True) if state]
        if len(live) < 2 or digits == 0:
            return tuple(("", region) for region in live[:1])
        found = []
        for digit in DIGITS:
            after = tuple(one.step(state, digit) for one, state in zip(automata, states, strict=True))
            found += [(digit + rest, region) for rest, region in split(after, digits - 1)]
        return (("", found[0][1]),) if len({region for _, region in found}) == 1 else tuple(found)

    return split(tuple(one.start for one in automata), NATIONAL_DIGITS_MAX)


class _Automaton:
    """Patterns of digits, `[..]`, `\\d`, `(?:..)`, `|`, `?`, `{n}`, `{n,m}` as states to walk: a set of states is empty
    once no number can begin so. `and_more`: any digits may follow."""

    def __init__(self, patterns: list[str], and_more: bool = False) -> None:
        self._moves: list[tuple[str, int] | None] = []  # by state: digits that lead on, and where to
        self._jumps: list[list[int]] = []  # by state: where it leads without a digit
        self._text = f"(?:{'|'.join(patterns)})" if patterns else "(?:)"
        self._at = 0
        start, end = self._sequence()
        assert self._at == len(self._text), f"a pattern this cannot read: {self._text}"
        if and_more:
            self._moves[end] = (DIGITS, end)
        self.start = self._closed({start}) if patterns else frozenset()

    def step(self, states: frozenset[int], digit: str) -> frozenset[int]:
        """Where one more digit leads."""
        if not states:
            return states
        moves = [move for state in states if (move := self._moves[state]) is not None]
        return self._closed({target for digits, target in moves if digit in digits})

    def _closed(self, states: set[int]) -> frozenset[int]:
        left = list(states)
        while left:
            for state in self._jumps[left.pop()]:
                if state not in states:
                    states.add(state)
                    left.append(state)
        return frozenset(states)

    def _state(self) -> int:
        self._moves.append(None)
        self._jumps.append([])
        return len(self._jumps) - 1

    def _sequence(self) -> tuple[int, int]:
        start = end = self._state()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            begin = self._at
            self._atom()  # only to get behind it
            low, high = self._repeats()
            behind, after = self._at, self._state()
            for turn in range(high):
                self._at = begin
                first, last = self._atom()
                self._jumps[end].append(first)
                if turn >= low:
                    self._jumps[end].append(after)
                end = last
            self._jumps[end].append(after)
            self._at, end = behind, after
        return start, end

    def _atom(self) -> tuple[int, int]:
        start, end = self._state(), self._state()
        if self._take("(?:"):
            while True:
                first, last = self._sequence()
                self._jumps[start].append(first)
                self._jumps[last].append(end)
                if not self._take("|"):
                    break
            assert self._take(")"), f"a pattern this cannot read: {self._text}"
        else:
            self._moves[start] = (self._digits(), end)
        return start, end

    def _digits(self) -> str:
        if self._take("\\d"):
            return DIGITS
        if not self._take("["):
            digit = self._text[self._at]
            assert digit in DIGITS, f"a pattern this cannot read: {self._text}"
            self._at += 1
            return digit
        found = ""
        while not self._take("]"):
            first = last = self._text[self._at]
            self._at += 1
            if self._take("-"):
                last = self._text[self._at]
                self._at += 1
            found += DIGITS[int(first) : int(last) + 1]
        return found

    def _repeats(self) -> tuple[int, int]:
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return 1, 1
        close = self._text.index("}", self._at)
        low, _, high = self._text[self._at : close].partition(",")
        self._at = close + 1
        return int(low), int(high or low)

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found
