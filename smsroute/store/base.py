"""The seam between the engine and its memory on disk: what a store can do, and how it fails.

Rules:
- Nothing outside this room knows which database it is. Everything here may block: the engine calls it through
  `ports.Blocking`; `append` and `checkpoint` may run in two threads at once.
- What returned is durable. What raised did not happen, as far as anybody may act upon it.
- A store raises StoreError for what the outside did to it, AssertionError for what its caller did.

Walk: `store/journal` appends, checkpoints and trims; `engine.build` recovers; `carriers/receipts` finds;
`carriers/keeper` keeps; the CLI opens a Reader beside a running engine or in its absence.
tests/store/test_conformance.py is the contract each store passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import attrs
import msgspec

from smsroute.message import AnyEvent, Backlog, OwedPage, OwedRow, Part, Receipted, unpack, unpack_part

Kind = Literal["busy", "full", "failed", "fenced"]

FACTS_MAX: Final = 50
"""Late facts kept with one part: a carrier that repeats a receipt for ever must not grow a row for ever."""


class StoreError(Exception):
    """A store could not do it, and did not.

    `kind`: "busy" somebody else holds it, try again; "full" no room; "failed" the disk or the file is sick; "fenced"
    another engine owns it now and this one must stop. The text says what, where, and what was expected.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


@attrs.frozen
class StoreLimits:
    """The numbers of a store (law 10)."""

    fsync: bool = True  # never off but in the simulated world, whose power cuts spare the kernel's memory
    busy_timeout_s: float = 2.0  # a person with a database shell may hold the write lock so long
    rows_per_statement: int = 2000  # 2-3 ms with the GIL in hand to build one; see tests/store/test_pauses.py
    wal_octets_max: int = 64 << 20  # beyond, a commit folds the log into the file itself; `trim` does it before
    trim_rows: int = 64  # deleted with the journal's lock in hand: half a millisecond
    vacuum_from_pages: int = 65536  # free pages worth giving back at a start: 256 MiB, more than five busy seconds fill
    vacuum_pages_max: int = 1 << 20  # at one start: 4 GiB
    history_cache_octets: int = 64 << 20


@attrs.frozen
class Checkpoint:
    """What happened up to the journal's row `through`, in a form that needs no replay.

    `open`: parts to keep whole, packed (upserted; `recover` gives all of them). `closed`: parts no longer open, nor
    owed, but for those that `open` or `owed` writes anew. `messages`: parts to write as rows, their text left out.
    `state`: what else the ledger keeps. `late`: (part_id, fact) for parts that only the history still knows (law 5).
    `owed`: receipts that join the disk tier of an outbox; their parts are among `closed` and `messages`. `told`:
    (part_id, Unix seconds) of receipts that leave it, which their message's row then tells.
    """

    through: int
    open: Sequence[tuple[str, bytes]]
    closed: Sequence[str]
    messages: Sequence[Part]
    state: bytes
    late: Sequence[tuple[str, str]] = ()
    owed: Sequence[OwedRow] = ()
    told: Sequence[tuple[str, float]] = ()


@attrs.frozen
class DecisionRow:
    """A decision as the store keeps it: what it is found by, and a blob that `routing.record` can read."""

    at: float  # Unix seconds
    route: str
    network: str
    message_class: int
    packed: bytes


class Owner(NamedTuple):
    """Whose an id is: the part, and whom it went to."""

    part_id: str
    destination_addr: str


@attrs.frozen
class Sample:
    """Some of the parts accepted in a span of time, evenly chosen, and of how many."""

    parts: Sequence[Part]
    of: int


@attrs.frozen
class Page:
    """Parts in the order of their ids. `through`: behind which id the next page begins; "" = this was the last."""

    parts: Sequence[Part]
    through: str


@attrs.frozen
class Recovered:
    """The last checkpoint, if any, and the journal's rows behind it, in order, without a gap.

    The rows are read as they are asked for, of one instant. `where` names the journal in errors. `owed`: what the disk
    tiers hold, by ESME.
    """

    checkpoint: Checkpoint | None
    records: Iterator[tuple[int, bytes]]
    where: str
    owed: Mapping[str, Backlog] = attrs.field(factory=dict)

    def parts(self) -> Iterator[Part]:
        """The open parts. Raises StoreError for one that cannot be read: nothing is skipped."""
        for part_id, packed in () if self.checkpoint is None else self.checkpoint.open:
            try:
                yield unpack_part(packed)
            except msgspec.DecodeError as error:
                raise StoreError(
                    "failed", f"{self.where}: the checkpoint's part {part_id} is no part: {error}"
                ) from error

    def events(self) -> Iterator[tuple[int, list[AnyEvent]]]:
        """The rows, unpacked. Raises StoreError naming file and row for one that cannot be read: none is skipped."""
        for seq, record in self.records:
            try:
                yield seq, unpack(record)
            except msgspec.DecodeError as error:
                raise StoreError(
                    "failed", f"{self.where}: row {seq} holds no events of this version: {error}"
                ) from error


@attrs.frozen
class Counts:
    """What a store holds. `ended`: finished parts by State."""

    open: int
    ended: Mapping[int, int]
    through: int
    last_seq: int


class Reader(Protocol):
    """What one may ask of a store, beside its engine or without one. Every method raises StoreError."""

    def recover(self) -> Recovered:
        """The last checkpoint and the journal behind it."""

    def story(self, part_id: str) -> Part | None:
        """A part as the last checkpoint knows it, open or finished (then without its text)."""

    def find(self, carrier: str, keys: Sequence[str]) -> dict[str, Owner]:
        """Of `keys` (as `carrier`'s receipts write ids) those that name an attempt, each with the latest one's part."""

    def finished_since(self, ended_at: float, part_id: str, limit: int) -> list[Part]:
        """Finished parts behind (ended_at, part_id), in that order: one page of an export. Begin with (0, "").

        A part shows up with the checkpoint after its end: stop a few checkpoint intervals before now.
        """

    def addressed(self, numbers: Sequence[str], since: float, until: float, limit: int) -> list[Part]:
        """Parts to one of `numbers` (one handset, as ESMEs may write it; the first is the shortest, and part of each
        other), open ones included as the last checkpoint knows them, accepted in [since, until) (Unix seconds), the
        latest first."""

    def page(self, after: str, before: str, since: float, until: float, rows: int) -> Page:
        """Parts accepted in [since, until) (Unix seconds) among the next `rows` whose ids lie in (after, before), open
        ones included; all as one checkpoint left them. At most twice `rows` come."""

    def orphans(self) -> list[Receipted]:
        """The receipts that match nothing yet, as the last checkpoint parked them, the oldest first."""

    def void_ids(self) -> list[tuple[str, str]]:
        """(carrier, id) of ids that came with message after message, and name none, as the last checkpoint has them."""

    def sample(self, since: float, until: float, limit: int) -> Sample:
        """About `limit` of the parts accepted in [since, until) (Unix seconds), open and finished: one of
        each n in the order of their ids, not always the same one."""

    def owed(self, esme: str, behind: int, through: int, limit: int) -> OwedPage:
        """The first `limit` receipts of an ESME's disk tier with numbers in (behind, through], in order."""

    def owed_among(self, part_ids: Sequence[str]) -> set[str]:
        """Those of `part_ids` whose receipts are in a disk tier."""

    def decisions(self, since: float, until: float, limit: int) -> list[DecisionRow]:
        """The decisions that stood at any time in [since, until] (Unix seconds), the oldest first: those made in it,
        and of each route, network and class the last one before it. Of more than `limit`, the newest."""

    def decisions_at(self, route: str, message_class: int, at: float) -> list[DecisionRow]:
        """The decision that stood at `at` (Unix seconds) for each network of a route."""

    def counts(self, ended_since: float = 0.0) -> Counts:
        """How many are open, and how many ended since (Unix seconds), by state."""

    def close(self) -> None:
        """Let go of the files. Nothing may be asked after."""


class Store(Reader, Protocol):
    """A Reader that its one engine writes to."""

    def append(self, seq: int, record: bytes) -> None:
        """Make row `seq` durable; it is when this returns. `seq` is the last one plus one.

        Raises StoreError. After one, the row counts as never written: the same `seq` is to be appended again, with the
        same record or another.
        """

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """All of it or nothing, durable on return. Raises StoreError; a later checkpoint must then bring it again."""

    def trim(self, through: int) -> None:
        """Cut the journal's rows up to `through`, which a checkpoint covers. Raises StoreError; may be asked again."""

    def prune(self, ended_before: float, limit: int) -> int:
        """Forget up to `limit` finished parts that ended before (Unix seconds), the oldest first. Returns how many."""

    def keep(self, name: str, blob: bytes) -> None:
        """Remember `blob` under `name`, in the place of what was there; durable on return. Raises StoreError."""

    def kept(self, name: str) -> bytes | None:
        """What was last kept under `name`, None when nothing ever was. Raises StoreError."""

    def keep_decisions(self, rows: Sequence[DecisionRow]) -> None:
        """Remember these, all or none, durable on return. Raises StoreError; they explain, so they may be dropped."""

    def prune_decisions(self, before: float, rows_max: int, limit: int) -> int:
        """Forget up to `limit` decisions made before (Unix seconds), or that are more than `rows_max`, the oldest
        first. Returns how many."""

    def fence(self) -> None:
        """From now on every write raises "fenced". Never blocks."""
