"""Message detail records: what billing and disputes ask of messages, one record each, made of their parts.

Rules:
- A record tells what is known now: of an open message the state so far, its end still empty.
- `cost` is of the attempts a carrier took; what was in doubt and never answered stands in `cost_in_doubt`, as only the
  carrier's own bill can tell it.
- The network is that of the config as it is now, where the rule that matches is still of the route the message took.
- Pure, and quick: some 15 us a message.

Walk: `cli/export` pages through the store, `cli/export_files` writes what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from smsroute.message import Attempt, Blame, MessageClass, Part, State
from smsroute.ops.words import mask
from smsroute.smpp.codec import parse_sm
from smsroute.smpp.names import ESM_UDHI, status_name
from smsroute.smpp.text import decode

MESSAGE_COLUMNS: Final = (
    "message_id", "esme", "class", "from", "to", "accepted_at", "submitted_at", "ended_at", "told_at", "state", "err",
    "why", "route", "network", "carrier", "attempts", "cost", "cost_in_doubt", "parts",
)  # fmt: skip

_STATES: Final = {int(state): state.name.lower() for state in State}
_CLASSES: Final = {int(one): one.name.lower() for one in MessageClass}
_BLAMES: Final = {-1: "", **{int(blame): blame.name.lower().replace("_", "-") for blame in Blame}}

Network = Callable[[Part], str]


class Tried(msgspec.Struct):
    """An attempt as a record tells it. Times are ISO 8601 UTC, "" = never."""

    part_id: str
    n: int  # from 1
    at: str
    carrier: str
    bind: str
    route: str
    reason: str
    answered_at: str
    outcome: str  # ok, throttled, ...; "" unanswered
    status: str  # the carrier's, such as ESME_ROK; "" unanswered
    carrier_message_id: str
    in_doubt: str  # why it was, if it ever was
    withdrawn: bool  # never left
    sent_again: bool  # in doubt, and allowed to go again
    repeats: int  # as often again it was throttled there
    cost: float


PARTS_WAIT_S: Final = 3600.0
"""Between the first and the last part of a message, as limits.multipart_ttl has it by default."""

ATTEMPT_COLUMNS: Final = ("message_id", *Tried.__struct_fields__)


class Record(msgspec.Struct):
    """One message: the values of MESSAGE_COLUMNS, and its attempts, those of all its parts."""

    message: tuple[str | int | float, ...]
    attempts: list[Tried]


def messages(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """The parts of each message together, in order of their numbers; `parts` come in the order they were accepted.

    A message that has not all its parts is given when PARTS_WAIT_S are over or nothing follows. One whose first part is
    not among them is not given: it began before, and is told there.
    """
    waiting: dict[str, list[Part]] = {}
    for part in parts:
        if part.parts < 2 or not part.message_id:
            yield [part]
            continue
        some = waiting.setdefault(part.message_id, [])
        some.append(part)
        if len(some) >= part.parts:
            yield from _whole(waiting.pop(part.message_id))
        while waiting:
            key, oldest = next(iter(waiting.items()))
            if oldest[0].accepted_at > part.accepted_at - PARTS_WAIT_S:
                break
            yield from _whole(waiting.pop(key))
    for some in waiting.values():
        yield from _whole(some)


def _whole(parts: list[Part]) -> Iterator[list[Part]]:
    if any(part.part_id == part.message_id for part in parts):
        yield sorted(parts, key=lambda part: part.number)


def record(parts: Sequence[Part], network: Network) -> Record:
    """The record of one message: its parts in order. What happened first and last over them all; its state is that of
    the part that is not delivered, where there is one."""
    first = parts[0]
    speaks = next((part for part in parts if part.state != State.DELIVERED), first)
    ended = [part.ended_at for part in parts]
    told = [part.told_at for part in parts]
    tried = [(part.part_id, n, one) for part in parts for n, one in enumerate(part.attempts, 1)]
    sent = [one.at for _, _, one in tried if not one.withdrawn]
    message = (
        first.message_id or first.part_id,
        first.esme,
        _CLASSES[first.message_class],
        first.source_addr,
        first.destination_addr,
        utc(first.accepted_at),
        utc(sent[0]) if sent else "",
        utc(max(ended)) if all(ended) else "",
        utc(max(told)) if any(told) else "",
        _STATES[speaks.state],
        speaks.err,
        speaks.why,
        speaks.route,
        network(first),
        speaks.carrier,
        len(tried),
        round(sum(one.cost for _, _, one in tried if one.blame == Blame.OK), 6),
        round(sum(one.cost for _, _, one in tried if one.blame == -1 and one.doubted and not one.withdrawn), 6),
        len(parts),
    )
    return Record(message, [_tried(*row) for row in tried])


def text(parts: Sequence[Part]) -> str:
    """What a message said, as far as it is still kept."""
    return "".join(_text(part) for part in parts)


def _text(part: Part) -> str:
    if part.kept is not None or not part.body:
        return ""
    said = parse_sm(part.body)
    data = said.user_data()
    if said.esm_class & ESM_UDHI and data:
        data = data[1 + data[0] :]
    return decode(said.data_coding, data)


def masked(row: Record) -> Record:
    """The same with its numbers masked."""
    cells = list(row.message)
    for name in ("from", "to"):
        at = MESSAGE_COLUMNS.index(name)
        cells[at] = mask(str(cells[at]))
    return Record(tuple(cells), row.attempts)


def _tried(part_id: str, n: int, attempt: Attempt) -> Tried:
    return Tried(
        part_id,
        n,
        utc(attempt.at),
        attempt.carrier,
        attempt.bind,
        attempt.route,
        attempt.reason,
        utc(attempt.responded_at),
        _BLAMES[attempt.blame],
        _status(attempt.code) if attempt.code >= 0 else "",
        attempt.carrier_message_id,
        attempt.doubted,
        attempt.withdrawn,
        attempt.resent,
        attempt.repeats,
        attempt.cost,
    )


_status = lru_cache(maxsize=1024)(status_name)


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def utc(at: float) -> str:
    """A Unix time as `2026-11-22T20:19:32.123Z`; "" for 0, which means never."""
    if at <= 0:
        return ""
    second, ms = divmod(int(at * 1000 + 0.5), 1000)
    return f"{_second(second)}.{ms:03d}Z"
