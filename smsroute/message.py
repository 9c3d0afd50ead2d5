"""The nouns of the engine: Part, Attempt, the events, and the one function that changes a state as `states` says.

Rules:
- An event is one durable fact. It is written to the journal, then applied (`ledger.Ledger.apply`), live and in recovery
  alike; nothing else changes a part.
- `transition` is the only way a state changes. A final state never changes (law 5).
- These are msgspec structs, not attrs classes, because each is made, packed and read back tens of thousands of times a
  second. The struct is the journal format (an array, led by a number): a field is only ever added at the end, with a
  default, and a number never gets a second meaning.
- Nothing here knows SMPP: `body` is bytes that a carrier room understands, `code` a number it may name.

Times ending in `_at` are Unix seconds. Walk: made in `esmes/accept`, `carriers/dispatch`, `carriers/receipts` and
`esmes/deliver`; packed by `store/journal`; applied by `ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from smsroute.states import ACCEPTED as ACCEPTED
from smsroute.states import ATTEMPTED as ATTEMPTED
from smsroute.states import CAUSE_ATTEMPTED as CAUSE_ATTEMPTED
from smsroute.states import CAUSE_TAKEN as CAUSE_TAKEN
from smsroute.states import DELIVERED as DELIVERED
from smsroute.states import DUE as DUE
from smsroute.states import FIRST_FINAL as FIRST_FINAL
from smsroute.states import IN_DOUBT as IN_DOUBT
from smsroute.states import OK as OK
from smsroute.states import RECEIVED as RECEIVED
from smsroute.states import STATE_OF_RECEIPT as STATE_OF_RECEIPT
from smsroute.states import STATES as STATES
from smsroute.states import SUBMITTED as SUBMITTED
from smsroute.states import Blame as Blame
from smsroute.states import Cause as Cause
from smsroute.states import MessageClass as MessageClass
from smsroute.states import State as State
from smsroute.states import Tell as Tell

UNFIT: Final = -2
"""Code of an attempt that never left: the part cannot be written as that carrier's contract wants it."""


class Attempt(msgspec.Struct, array_like=True, gc=False):
    """One part offered to one bind."""

    at: float
    carrier: str
    bind: str
    route: str
    reason: str = ""
    responded_at: float = 0.0
    blame: int = -1  # a Blame once answered
    code: int = -1  # the carrier's own number (command_status), or UNFIT
    carrier_message_id: str = ""
    doubted: str = ""  # why it was in doubt, if it ever was
    withdrawn: bool = False  # never left
    resent: bool = False  # in doubt, and allowed to go again (law 6)
    key: str = ""  # how this carrier's receipts name it; "" = as carrier_message_id
    doubted_at: float = 0.0
    repeats: int = 0  # as often again it was throttled there, and nothing else: kept as one attempt
    queried_at: float = 0.0  # when the carrier last answered, or failed to, what became of it (query_sm)
    told: int = 0  # the final State a receipt told of this attempt; 0 = none yet
    cost: float = 0.0  # of a part by that route and carrier as the config had it then, in its one currency
    named_at: float = 0.0  # when its receipt, and no response, brought its id
    told_by: float = 0.0  # later its carrier sends no receipt (`receipt_within`); 0 = validity and grace say
    lead: str = ""  # the part whose submit bore this one's words, all parts merged: that one has the carrier's id
    led: tuple[str, ...] = ()  # of the lead: the parts whose words its submit bore beside its own, in order


class Verdict(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What became of a whole message: its receipt, under the name of one of its parts."""

    state: int  # a final State
    err: str
    at: float  # when the last of its parts ended, or no more were waited for
    parts: int  # it was to have
    delivered: int  # of them


class Notice(msgspec.Struct, array_like=True, gc=False):
    """A carrier's newest word of a part on its way, for an ESME that asked for such."""

    state: int  # the message_state, as the carrier told it
    err: str
    at: float
    told_at: float = 0.0  # when the ESME answered for it; 0: it is owed


class Part(msgspec.Struct, array_like=True, gc=False):
    """One submit_sm of a customer: what it said, where it is, everything that was tried."""

    part_id: str
    esme: str
    accepted_at: float
    message_class: int
    source_addr: str
    destination_addr: str
    body: bytes  # as submitted; once the state is final `kept`, once told its first `text_at` octets
    text_at: int  # the first `text_at` octets of body hold addresses, no text
    wants_receipt: int  # registered_delivery bits 1..0: 0 none, 1 final, 2 failure only, 3 success only (5.0)
    expires_at: float
    multipart: str = ""  # key of the multipart message it belongs to
    route: str = ""
    carrier: str = ""  # where it queues, or went last
    due_at: float = 0.0  # not before, while DUE
    state: int = State.DUE
    attempts: list[Attempt] = []
    ended_at: float = 0.0
    err: str = ""  # the receipt's error word, or ours
    why: str = ""  # why it ended so, or waits so, for people
    told_at: float = 0.0  # when the ESME answered for the receipt (or it was dead-lettered)
    facts: list[str] = []  # late and conflicting receipts, moves: "what happened that changed nothing"
    session: int = 0  # the ESME's session it came by: its receipt prefers that one
    data_coding: int = 0  # as submitted: a rule may ask for it
    kept: bytes | None = b""  # `body` in a final state: b"" addresses only; what its receipt quotes; None: as it was
    message_id: str = ""  # the id of its message's first part; "" = it is the whole message
    parts: int = 0  # of its message, when it has several
    number: int = 0  # which of them it is
    whole: Receipted | None = None  # what a receipt for all parts said while this one could not be ended by it
    place: int = 0  # of its receipt among all that are owed: counts up, so that a restart finds the order of ending
    tell: int = Tell.OWN
    verdict: Verdict | None = None  # of its message, when it is the one that tells
    scheduled_at: float = 0.0  # not before, as its sender wished (`due_at` is that, until a retry); 0 = at once
    notify: bool = False  # its sender asked for words on the way: registered_delivery bit 4
    notice: Notice | None = None

    @property
    def final(self) -> bool:
        """Whether the state can still change."""
        return self.state >= FIRST_FINAL

    @property
    def owes_receipt(self) -> bool:
        """Whether, in its final state, the ESME is to be told, by a receipt of this part."""
        return self.tell == Tell.SPEAKER if self.tell else self.wishes(self.state)

    def wishes(self, state: int) -> bool:
        """Whether its ESME asked to hear of such an end: registered_delivery 1; 2 and it failed, or nobody knows; 3
        (SMPP 5.0 section 4.7.21) and it was delivered."""
        wants = self.wants_receipt
        if wants == 2:
            return state not in (State.DELIVERED, State.ACCEPTED)
        return wants == 1 or (wants == 3 and state == State.DELIVERED)

    @property
    def matters(self) -> bool:
        """Whether its own end is waited for, so that its ESME can be told of it, of its whole message, or of its way
        there."""
        return self.wants_receipt > 0 or self.tell == Tell.WAITING or self.notify

    @property
    def owed_at(self) -> float:
        """Since when its receipt is owed, if it is: Unix seconds."""
        return self.ended_at if self.verdict is None else self.verdict.at

    @property
    def at_rest(self) -> bool:
        """Final, and whoever was to be told has been."""
        if self.state < FIRST_FINAL or (self.tell and self.tell == Tell.WAITING):
            return False
        return self.told_at > 0 or not self.owes_receipt


class Event(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """Base of the journal's facts."""


class Started(Event, tag=1, frozen=True):
    """An engine opened this journal: what was attempted before and not answered is in doubt from here."""

    at: float
    node: str
    version: str


class Accepted(Event, tag=2, frozen=True):
    """A part is ours. Its `submit_sm_resp` may leave now (law 1)."""

    part_id: str
    at: float
    esme: str
    message_class: int
    source_addr: str
    destination_addr: str
    body: bytes
    text_at: int
    wants_receipt: int
    expires_at: float
    route: str
    carrier: str
    multipart: str = ""
    session: int = 0  # the ESME's session it came by
    parts: int = 0  # of its message, when it has several
    data_coding: int = 0
    kept: bytes | None = b""  # see Part
    number: int = 0  # which of `parts` it is
    as_one: bool = False  # of the first of them: one receipt tells of all
    due_at: float = 0.0  # it is held until then; 0 = at once
    notify: bool = False  # see Part


class Attempted(Event, tag=3, frozen=True):
    """These parts may now be written to this bind (law 2)."""

    at: float
    carrier: str
    bind: str
    route: str
    reason: str
    part_ids: list[str]
    cost: float = 0.0  # of each of them, by this route and carrier
    merged: bool = False  # all parts of a message, in order, in one submit: that of the first


class Withdrawn(Event, tag=4, frozen=True):
    """The last attempt of these parts never left: the link was gone before a byte of it was written."""

    at: float
    part_ids: list[str]
    reason: str


class Responded(Event, tag=5, frozen=True):
    """A carrier answered an attempt. `retry_at` > 0: it may go again from then; else a refusal is final."""

    part_id: str
    attempt: int  # index into Part.attempts
    at: float
    blame: int
    code: int
    carrier_message_id: str = ""
    key: str = ""  # how this carrier's receipts will name it (dialect); "" = as carrier_message_id
    retry_at: float = 0.0
    carrier: str = ""  # queue it waits in next; "" = the same
    why: str = ""
    silent: bool = False  # this carrier sends no receipts (`receipt_level: none`): taken is the last it says
    awaits: bool = False  # a receipt was asked for the sake of its sisters, though it wants none itself
    within_s: float = 0.0  # its receipt comes this soon, or never (`receipt_within`); 0 = validity and grace say


class Doubted(Event, tag=6, frozen=True):
    """The last attempt of these parts is unanswered and its link or timer is gone."""

    at: float
    part_ids: list[str]
    reason: str


class Requeued(Event, tag=7, frozen=True):
    """In-doubt parts that may go again (route's in_doubt policy)."""

    at: float
    part_ids: list[str]
    carrier: str
    reason: str


class Moved(Event, tag=8, frozen=True):
    """Due parts change queue: their carrier is sick, drained or full."""

    at: float
    part_ids: list[str]
    carrier: str
    route: str
    reason: str


class Receipted(Event, tag=9, frozen=True):
    """A receipt a carrier sent, as it came; matched when applied, or parked as orphan."""

    carrier: str
    at: float
    keys: list[str]  # candidate ids, safest first
    state: int  # a final State, or -1: intermediate or unrecognised
    err: str = ""
    word: str = ""  # the state as the carrier wrote it
    destination_addr: str = ""  # whose handset it speaks of
    part_id: str = ""  # whose it is, when that was found; else the ledger looks by `keys` once more, then parks it
    whole: bool = False  # it speaks for all parts of its message that this carrier took (`receipts_on`)
    ids: list[tuple[str, str]] = []  # (where it stood, id as written), for one whose keys are not sure yet
    text: str = ""  # the first characters of the message, as it quotes them
    submitted_at: float = 0.0  # its submit date, by the carrier's clock; 0 = it says none
    strict: bool = False  # its keys are a guess: they name nothing but what went to the handset it speaks of
    passing: int = -1  # the message_state of a word on the way, where it is worth telling


class Finished(Event, tag=10, frozen=True):
    """We end these parts ourselves: EXPIRED, UNKNOWN or REJECTED, or DELETED for their sender."""

    at: float
    part_ids: list[str]
    cause: int
    err: str
    why: str


class Told(Event, tag=11, frozen=True):
    """The ESME answered for the receipts of these parts (law 4); `dropped` says why when we gave up telling."""

    at: float
    esme: str
    part_ids: list[str]
    dropped: str = ""


class OrphansAged(Event, tag=12, frozen=True):
    """Parked receipts that came before `before` are let go, counted."""

    at: float
    before: float


class Queried(Event, tag=13, frozen=True):
    """We asked a carrier what became of an attempt it took. A last word among the answers is a Receipted beside it."""

    part_id: str
    attempt: int  # index into Part.attempts
    at: float
    said: str  # for people: the state it told, its refusal, or that nobody answered


class Adopted(Event, tag=14, frozen=True):
    """A parked receipt found its attempt by something else than the plain key."""

    carrier: str
    name: str  # what it was parked under
    part_id: str
    attempt: int  # index into Part.attempts
    at: float
    how: str = ""  # for people, where no response ever named it


class Closed(Event, tag=15, frozen=True):
    """No more parts of these messages are waited for: their ESMEs are told of what came."""

    at: float
    message_ids: list[str]


class Replaced(Event, tag=18, frozen=True):
    """Its sender gave a part that no carrier has other words (replace_sm): whatever stands here is how it is now."""

    part_id: str
    at: float
    body: bytes
    wants_receipt: int
    expires_at: float
    due_at: float  # not before; 0 = as it was
    kept: bytes | None = b""  # see Part
    notify: bool = False  # see Part


class Noted(Event, tag=19, frozen=True):
    """The ESME answered for these notices; `dropped` says why when we gave up telling."""

    at: float
    esme: str
    notices: list[tuple[str, float]]  # (part_id, Notice.at)
    dropped: str = ""


class Arrived(Event, tag=16, frozen=True):
    """A message from a handset is ours to hand to the ESME that owns the number. Its carrier may be answered now (law
    3)."""

    part_id: str
    at: float
    esme: str
    carrier: str
    bind: str  # it came by
    route: str  # the rule of `mo:` that says whose it is
    source_addr: str
    destination_addr: str
    body: bytes  # of a deliver_sm, as it came
    text_at: int
    data_coding: int = 0
    kept: bytes | None = b""  # see Part
    multipart: str = ""  # key of the message it is a part of: its other parts go the same way


AnyEvent = (
    Started
    | Accepted
    | Attempted
    | Withdrawn
    | Responded
    | Doubted
    | Requeued
    | Moved
    | Receipted
    | Finished
    | Told
    | OrphansAged
    | Queried
    | Adopted
    | Closed
    | Arrived
    | Replaced
    | Noted
)


class OwedRow(NamedTuple):
    """A receipt in the disk tier of an outbox. Numbers count up and are the order."""

    number: int
    esme: str
    part_id: str
    ended_at: float
    packed: bytes  # pack_part


class Backlog(NamedTuple):
    """What the disk tier holds of one ESME."""

    rows: int
    last: int  # number of the last of them


class OwedPage(NamedTuple):
    """A slice of an ESME's rows, in order."""

    last: int  # number of the last of them; 0: there are none
    parts: list[Part]


class Changes(NamedTuple):
    """What a checkpoint writes: all that changed since the last one, as of one instant."""

    open: list[tuple[str, bytes]]  # parts that are not at rest, packed
    at_rest: list[Part]  # parts that came to rest, or learnt something after it
    state: bytes  # what the ledger keeps beside its parts
    late: list[tuple[str, str]]  # (part_id, fact) of parts that have left memory
    owed: Sequence[OwedRow] = ()  # receipts that leave memory for the disk tier
    leaving: Sequence[Part] = ()  # their parts
    told: Sequence[tuple[str, float]] = ()  # (part_id, told at): receipts that leave the disk tier
    unsure: Sequence[str] = ()  # parts that are in no disk tier, unless `owed` has them


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[AnyEvent])
_part_decoder = msgspec.msgpack.Decoder(Part)
_parts_decoder = msgspec.msgpack.Decoder(list[Part])


def pack(events: list[AnyEvent]) -> bytes:
    """One journal row."""
    return _encoder.encode(events)


def unpack(record: bytes) -> list[AnyEvent]:
    """The events of one journal row. Raises msgspec.DecodeError when it is not one."""
    return _decoder.decode(record)


def pack_part(part: Part) -> bytes:
    """A part as the checkpoint keeps it."""
    return _encoder.encode(part)


def unpack_part(record: bytes) -> Part:
    """The part a checkpoint kept."""
    return _part_decoder.decode(record)


def unpack_parts(count: int, records: bytes) -> list[Part]:
    """`count` parts whose packed forms stand one behind the other. Raises msgspec.DecodeError."""
    return _parts_decoder.decode(b"\xdd" + count.to_bytes(4, "big") + records)  # msgpack's array 32


def transition(part: Part, cause: int) -> bool:
    """Change `part.state` for `cause`; the only place that does.

    Returns False, and changes nothing, when the table has no such step: the fact was overtaken by another (a response
    after a final receipt, an expiry after an attempt) and the caller records it as a fact.
    """
    steps = STATES.get(part.state)
    if steps is None:
        return False
    state = steps.get(cause)
    if state is None:
        return False
    part.state = state
    return True
