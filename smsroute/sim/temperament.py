"""How a simulated carrier behaves: its speed, its faults, its receipts, its message ids, and the mode it is in.

Rules:
- A temperament is a value; changing one makes another (`with_words`). A carrier takes a new one while it runs.
- Chance is drawn from tables worked out once (a thousand entries: a share is exact to one in a thousand), because a
  simulated carrier at load may spend a few microseconds on a message, no more.
- Everything can be said in words (`error_share=0.1 receipt_delay=lognormal:2:0.8`): the command line, the control lines
  of a running simulation and a printed test seed all speak the same.

Walk: `SimCarrier` asks `habit(mode)` once a change, then throws dice over its tables for each message.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import Final, TypeVar

import attrs

from smsroute.sim.forms import Body, Dates, Form, Text
from smsroute.sim.idforms import IdFormat
from smsroute.smpp import names

TABLE_SIZE: Final = 1000

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

ESME_ROK: Final = 0x00
ESME_RSYSERR: Final = 0x08
ESME_RTHROTTLED: Final = 0x58


class Mode(enum.Enum):
    """What kind of day a carrier has; switchable while it runs."""

    KIND = "kind"  # its temperament as it stands
    THROTTLING = "throttling"  # sick_share of submits get ESME_RTHROTTLED
    ERRORING = "erroring"  # sick_share of submits get one of error_statuses, at once
    SLOW = "slow"  # slow_delay instead of response_delay
    SILENT = "silent"  # half-open: reads, answers nothing, not even enquire_link
    BLACK_HOLE = "black_hole"  # says ESME_ROK, delivers nothing, never sends a receipt
    CLOSED = "closed"  # drops every link and refuses connections


def _spread(quantile: Callable[[float], float]) -> tuple[float, ...]:
    """A distribution as a table: its quantiles in the middle of each of TABLE_SIZE equal slices."""
    return tuple(max(0.0, quantile((i + 0.5) / TABLE_SIZE)) for i in range(TABLE_SIZE))


@attrs.frozen
class Delay:
    """A distribution of waiting times, in seconds.

    fixed:S · normal:MEAN:DEVIATION · lognormal:MEDIAN:SIGMA · growing:START:SECONDS_PER_SECOND (longer the longer it
    lasts). A bare number is fixed.
    """

    kind: str = "fixed"
    first: float = 0.0
    second: float = 0.0
    table: tuple[float, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.kind == "normal" and self.second > 0:
            table = _spread(NormalDist(self.first, self.second).inv_cdf)
        elif self.kind == "lognormal" and self.second > 0:
            normal = NormalDist(0.0, self.second)
            table = _spread(lambda q: self.first * math.exp(normal.inv_cdf(q)))
        else:
            table = (self.first,)
        object.__setattr__(self, "table", table)

    @classmethod
    def parse(cls, text: str) -> Delay:
        """The delay written as `text`. Raises ValueError saying what was expected."""
        kind, *numbers = text.split(":")
        if not numbers:
            kind, numbers = "fixed", [kind]
        if kind not in {"fixed", "normal", "lognormal", "growing"} or len(numbers) != (1 if kind == "fixed" else 2):
            raise ValueError(
                f"{text!r}: expected SECONDS, normal:MEAN:DEVIATION, lognormal:MEDIAN:SIGMA or growing:START:RATE"
            )
        values = [float(number) for number in numbers]
        if any(value < 0 or not math.isfinite(value) for value in values):
            raise ValueError(f"{text!r}: expected numbers of at least 0")
        return cls(kind, *values)

    def __str__(self) -> str:
        return f"{self.first:g}" if self.kind == "fixed" else f"{self.kind}:{self.first:g}:{self.second:g}"

    def draw(self, rng: random.Random, age_s: float) -> float:
        """One waiting time in seconds; `age_s` is how long this distribution has been in force."""
        table = self.table
        wait = table[int(rng.random() * len(table))] if len(table) > 1 else table[0]
        return wait + self.second * age_s if self.kind == "growing" else wait


def _share(value: str | float) -> float:
    share = float(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{value!r}: expected a share between 0 and 1")
    return share


def _amount(value: str | float) -> float:
    amount = float(value)
    if amount < 0 or not math.isfinite(amount):
        raise ValueError(f"{value!r}: expected a number of at least 0")
    return amount


def _delay(value: str | float | Delay) -> Delay:
    return value if isinstance(value, Delay) else Delay.parse(str(value))


def _switch(value: str | bool) -> bool:
    switches = {"yes": True, "no": False, "true": True, "false": False}
    if isinstance(value, bool):
        return value
    if value not in switches:
        raise ValueError(f"{value!r}: expected yes or no")
    return switches[value]


_STATUS_CODES: Final = {name: code for code, name in names.STATUS_NAMES.items()}


def status_code(text: str) -> int:
    """The command_status written as a name (`ESME_RSYSERR`, `RSYSERR`) or a number (`0x08`). Raises ValueError."""
    word = text.strip().upper()
    for name in (word, f"ESME_{word}"):
        if name in _STATUS_CODES:
            return _STATUS_CODES[name]
    try:
        code = int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r}: expected a command_status such as ESME_RSYSERR or 0x08") from None
    if not 0 < code <= 0xFFFFFFFF:
        raise ValueError(f"{text!r}: expected a command_status other than 0, of four octets")
    return code


def _weighted(text: str) -> list[tuple[str, float]]:
    """`A:3,B` as [("A", 3.0), ("B", 1.0)]."""
    pairs = []
    for item in text.split(","):
        name, _, weight = item.strip().partition(":")
        pairs.append((name, _amount(weight) if weight else 1.0))
    if not any(weight for _, weight in pairs):
        raise ValueError(f"{text!r}: expected at least one weight above 0")
    return pairs


def _statuses(value: str | tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    if isinstance(value, tuple):
        return value
    return tuple((status_code(name), weight) for name, weight in _weighted(value))


MESSAGE_STATES: Final = {
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}
"""Final words a simulated carrier may write in a receipt -> message_state TLV value (SMPP 3.4 section 5.2.28)."""


def _outcomes(value: str | tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    if isinstance(value, tuple):
        return value
    pairs = tuple((name.upper(), weight) for name, weight in _weighted(value))
    for name, _ in pairs:
        if name not in MESSAGE_STATES:
            raise ValueError(f"{name!r}: expected one of {', '.join(MESSAGE_STATES)}")
    return pairs


class ReceiptsOn(enum.Enum):
    """Which parts of a message in parts get a receipt (quirks O9)."""

    EVERY = "every"
    LAST = "last"
    ANY = "any"  # one, and it names whichever came first


def _one_of(kind: type[E], value: str | E) -> E:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{value!r}: expected one of {', '.join(str(one.value) for one in kind)}") from None


def _ids(value: str | IdFormat) -> IdFormat:
    return _one_of(IdFormat, value)


def _receipts_on(value: str | ReceiptsOn) -> ReceiptsOn:
    return _one_of(ReceiptsOn, value)


def _text(value: str | Text) -> Text:
    return _one_of(Text, value)


def _body(value: str | Body) -> Body:
    return _one_of(Body, value)


def _dates(value: str | Dates) -> Dates:
    return _one_of(Dates, value)


def _hours(value: str | float) -> float:
    hours = float(value)
    if not -14.0 <= hours <= 14.0:
        raise ValueError(f"{value!r}: expected hours from -14 to 14")
    return hours


def _octet(value: str | int) -> int:
    octet = value if isinstance(value, int) else int(value, 0)
    if not 0 <= octet <= 0xFF:
        raise ValueError(f"{value!r}: expected one octet such as 0x04")
    return octet


@attrs.frozen(kw_only=True)
class Temperament:
    """Everything a simulated carrier may be told about itself. Shares are 0..1, delays in seconds."""

    response_delay: Delay = attrs.field(default=Delay(), converter=_delay)  # submit_sm -> submit_sm_resp
    receipt_delay: Delay = attrs.field(default=Delay(), converter=_delay)  # submit_sm_resp -> receipt
    slow_delay: Delay = attrs.field(default=Delay("normal", 8.0, 2.0), converter=_delay)  # response_delay in mode slow
    error_share: float = attrs.field(default=0.0, converter=_share)
    error_statuses: tuple[tuple[int, float], ...] = attrs.field(default=((ESME_RSYSERR, 1.0),), converter=_statuses)
    throttle_share: float = attrs.field(default=0.0, converter=_share)
    throttle_above_s: float = attrs.field(default=0.0, converter=_amount)  # submits per second; 0 = never
    sick_share: float = attrs.field(default=1.0, converter=_share)  # how much of it fails when throttling or erroring
    window: float = attrs.field(default=0.0, converter=_amount)  # unanswered submits per bind, then throttled; 0 = any
    binds_max: float = attrs.field(default=0.0, converter=_amount)  # per system_id, then ESME_RALYBND; 0 = any
    outcomes: tuple[tuple[str, float], ...] = attrs.field(default=(("DELIVRD", 1.0),), converter=_outcomes)
    receipts_lost: float = attrs.field(default=0.0, converter=_share)
    receipts_doubled: float = attrs.field(default=0.0, converter=_share)
    receipts_early: float = attrs.field(default=0.0, converter=_share)  # before the response
    receipts_elsewhere: float = attrs.field(default=0.0, converter=_share)  # on another bind of the account
    receipt_tlvs: bool = attrs.field(default=True, converter=_switch)  # receipted_message_id and message_state
    receipts_intermediate: float = attrs.field(default=0.0, converter=_share)  # ENROUTE first, with the response
    receipts_stale: float = attrs.field(default=0.0, converter=_share)  # ENROUTE once more, after the final word
    receipts_conflicting: float = attrs.field(default=0.0, converter=_share)  # another final word a second later
    receipts_on: ReceiptsOn = attrs.field(default=ReceiptsOn.EVERY, converter=_receipts_on)
    receipt_text: Text = attrs.field(default=Text.PLAIN, converter=_text)
    receipt_body: Body = attrs.field(default=Body.SHORT_MESSAGE, converter=_body)
    receipt_dates: Dates = attrs.field(default=Dates.MINUTES, converter=_dates)
    receipt_zone_h: float = attrs.field(default=0.0, converter=_hours)  # its dates are ahead of UTC by this
    receipt_esm_class: int = attrs.field(default=0x04, converter=_octet)
    errs_unique: bool = attrs.field(default=False, converter=_switch)  # an err of its own for each message
    ids: IdFormat = attrs.field(default=IdFormat.HEX, converter=_ids)
    first_id: float = attrs.field(default=0.0, converter=_amount)  # the number before the first id; 0 = drawn
    query_sm: bool = attrs.field(default=False, converter=_switch)  # answers what became of a message; costs memory
    silent_takes: bool = attrs.field(default=False, converter=_switch)  # what it reads while silent reaches the handset

    @property
    def form(self) -> Form:
        """How it writes receipts."""
        return Form(
            self.receipt_text,
            self.receipt_body,
            self.receipt_dates,
            self.receipt_zone_h,
            self.receipt_esm_class,
            self.receipt_tlvs,
        )

    def with_words(self, words: Iterable[str]) -> Temperament:
        """This temperament with each `key=value` of `words` changed.

        Raises ValueError naming the word and what was expected.
        """
        known = {field.name for field in attrs.fields(Temperament)}
        changes: dict[str, str] = {}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or key not in known:
                raise ValueError(f"{word!r}: expected KEY=VALUE with one of {', '.join(sorted(known))}")
            changes[key] = value
        changed = self
        for key, value in changes.items():
            try:
                changed = attrs.evolve(changed, **{key: value})  # converters take words
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return changed

    def words(self) -> list[str]:
        """What differs from the default, as `with_words` takes it."""
        plain = Temperament()
        return [
            f"{field.name}={_written(getattr(self, field.name))}"
            for field in attrs.fields(Temperament)
            if getattr(self, field.name) != getattr(plain, field.name)
        ]


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(f"{name if isinstance(name, str) else hex(name)}:{weight:g}" for name, weight in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@attrs.frozen
class Habit:
    """A temperament in one mode, worked out: what the hot path reads."""

    statuses: tuple[int, ...]  # TABLE_SIZE command_status values, or empty: always ESME_ROK
    outcomes: tuple[str, ...]  # TABLE_SIZE receipt words, or one
    response_delay: Delay
    instant_errors: bool  # refusals do not wait for response_delay
    answers: bool
    takes: bool  # whether a good submit reaches the handset
    receipts: bool


def habit(temperament: Temperament, mode: Mode) -> Habit:
    """What `temperament` comes to in `mode`."""
    throttled, failing = temperament.throttle_share, temperament.error_share
    if mode is Mode.THROTTLING:
        throttled, failing = temperament.sick_share, 0.0
    elif mode is Mode.ERRORING:
        throttled, failing = 0.0, temperament.sick_share
    refusals = [(ESME_RTHROTTLED, throttled)]
    total = sum(weight for _, weight in temperament.error_statuses)
    refusals += [(status, failing * weight / total) for status, weight in temperament.error_statuses]
    refused = min(1.0, throttled + failing)
    return Habit(
        statuses=_table([*refusals, (ESME_ROK, 1.0 - refused)]) if refused else (),
        outcomes=_table(list(temperament.outcomes)),
        response_delay=temperament.slow_delay if mode is Mode.SLOW else temperament.response_delay,
        instant_errors=mode in {Mode.ERRORING, Mode.THROTTLING},
        answers=mode is not Mode.SILENT,
        takes=mode is not Mode.BLACK_HOLE and (mode is not Mode.SILENT or temperament.silent_takes),
        receipts=mode not in {Mode.BLACK_HOLE, Mode.SILENT},
    )


def _table(weighted: list[tuple[T, float]]) -> tuple[T, ...]:
    """A throwing table: each value as often as its weight says, and any weight above 0 at least once."""
    total = sum(weight for _, weight in weighted)
    present = [(value, weight) for value, weight in weighted if weight > 0]
    if len(present) == 1:
        return (present[0][0],)
    table: list[T] = []
    for value, weight in present[:-1]:
        table += [value] * max(1, round(TABLE_SIZE * weight / total))
    last = present[-1][0]
    return tuple(table[: TABLE_SIZE - 1]) + (last,) * max(1, TABLE_SIZE - len(table))
