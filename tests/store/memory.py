"""The contract of base.Store, said again as simply as possible: what a store is when no disk is in the way.

It shows that the conformance suite asks nothing that only SQLite does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import attrs
import msgspec

from smsroute.message import Backlog, OwedPage, OwedRow, Part, Receipted, pack_part, unpack_part
from smsroute.store.base import FACTS_MAX, Checkpoint, Counts, DecisionRow, Owner, Page, Recovered, Sample, StoreError
from tests.store.parts import as_row


@attrs.define
class Disk:
    """What stays when the store is gone."""

    rows: dict[int, tuple[int, bytes]] = attrs.field(factory=dict)
    through: int = 0
    state: bytes | None = None
    open: dict[str, bytes] = attrs.field(factory=dict)
    ended: dict[str, bytes] = attrs.field(factory=dict)
    kept: dict[str, bytes] = attrs.field(factory=dict)
    decisions: list[DecisionRow] = attrs.field(factory=list)
    owed: list[OwedRow] = attrs.field(factory=list)
    taken: bool = False


class MemoryStore:
    """See the module."""

    def __init__(self, disk: Disk, *, reading: bool = False) -> None:
        if disk.taken and not reading:
            raise StoreError("busy", "memory: is in use; expected one engine a store")
        self._disk = disk
        self._reading = reading
        disk.taken |= not reading
        self._fenced = False

    def append(self, seq: int, record: bytes) -> None:
        self._check()
        assert seq == self.counts().last_seq + 1, f"row {seq}"
        self._disk.rows[seq] = crc32(record), record

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._check()
        disk = self._disk
        assert disk.through <= checkpoint.through <= self.counts().last_seq, f"checkpoint of row {checkpoint.through}"
        for part_id in checkpoint.closed:
            disk.open.pop(part_id, None)
        disk.open.update(checkpoint.open)
        disk.ended.update({part.part_id: pack_part(as_row(part)) for part in checkpoint.messages})
        gone = {*checkpoint.closed, *(row.part_id for row in checkpoint.owed), *(told[0] for told in checkpoint.told)}
        disk.owed = sorted([*(row for row in disk.owed if row.part_id not in gone), *checkpoint.owed])
        for part_id, at in checkpoint.told:
            if part_id in disk.ended:
                part = unpack_part(disk.ended[part_id])
                part.told_at = at
                disk.ended[part_id] = pack_part(part)
        for part_id, fact in checkpoint.late:
            if part_id in disk.ended:
                part = unpack_part(disk.ended[part_id])
                part.facts = [*part.facts, fact][:FACTS_MAX]
                disk.ended[part_id] = pack_part(part)
        disk.through, disk.state = checkpoint.through, checkpoint.state

    def trim(self, through: int) -> None:
        self._check()
        assert through <= self._disk.through, f"trim up to row {through}"
        self._disk.rows = {seq: row for seq, row in self._disk.rows.items() if seq > through}

    def prune(self, ended_before: float, limit: int) -> int:
        self._check()
        old = [part.part_id for part in self._by_end() if part.ended_at < ended_before][:limit]
        for part_id in old:
            del self._disk.ended[part_id]
        return len(old)

    def keep(self, name: str, blob: bytes) -> None:
        self._check()
        self._disk.kept[name] = blob

    def kept(self, name: str) -> bytes | None:
        return self._disk.kept.get(name)

    def keep_decisions(self, rows: Sequence[DecisionRow]) -> None:
        self._check()
        self._disk.decisions = sorted([*self._disk.decisions, *rows], key=lambda row: row.at)

    def prune_decisions(self, before: float, rows_max: int, limit: int) -> int:
        self._check()
        rows = self._disk.decisions
        old = max(sum(row.at < before for row in rows), len(rows) - rows_max)
        gone = min(max(0, old), limit)
        self._disk.decisions = rows[gone:]
        return gone

    def decisions(self, since: float, until: float, limit: int) -> list[DecisionRow]:
        first = {(row.route, row.network, row.message_class): row for row in self._disk.decisions if row.at < since}
        inside = [row for row in self._disk.decisions if since <= row.at <= until]
        return sorted([*first.values(), *inside], key=lambda row: row.at)[-limit:]

    def decisions_at(self, route: str, message_class: int, at: float) -> list[DecisionRow]:
        ours = [row for row in self._disk.decisions if (row.route, row.message_class) == (route, message_class)]
        last = {row.network: row for row in ours if row.at <= at}
        return [last[network] for network in sorted(last)]

    def sample(self, since: float, until: float, limit: int) -> Sample:
        found = [part for part in self._all() if since <= part.accepted_at < until]
        step = max(1, -(-len(found) // max(1, limit)))
        return Sample([found[n] for n in range(len(found)) if n % step == self._turn(n // step, step)], len(found))

    @staticmethod
    def _turn(block: int, step: int) -> int:
        return (block * 2654435761 % 2**32) * step >> 32

    def fence(self) -> None:
        self._fenced = True

    def recover(self) -> Recovered:
        disk = self._disk
        checkpoint = None
        if disk.state is not None:
            checkpoint = Checkpoint(disk.through, sorted(disk.open.items()), (), (), disk.state)
        rows = sorted((seq, row) for seq, (_, row) in disk.rows.items() if seq > disk.through)
        backlogs: dict[str, Backlog] = {}
        for row in disk.owed:
            backlogs[row.esme] = Backlog(backlogs.get(row.esme, Backlog(0, 0)).rows + 1, row.number)
        return Recovered(checkpoint, iter(rows), "memory", backlogs)

    def owed(self, esme: str, behind: int, through: int, limit: int) -> OwedPage:
        rows = [row for row in self._disk.owed if row.esme == esme and behind < row.number <= through][:limit]
        return OwedPage(rows[-1].number if rows else 0, [unpack_part(row.packed) for row in rows])

    def owed_among(self, part_ids: Sequence[str]) -> set[str]:
        return {row.part_id for row in self._disk.owed} & set(part_ids)

    def story(self, part_id: str) -> Part | None:
        packed = self._disk.open.get(part_id) or self._disk.ended.get(part_id)
        return None if packed is None else unpack_part(packed)

    def find(self, carrier: str, keys: Sequence[str]) -> dict[str, Owner]:
        named = sorted(
            (attempt.at, attempt.key or attempt.carrier_message_id, Owner(part.part_id, part.destination_addr))
            for part in self._by_end()
            for attempt in part.attempts
            if attempt.carrier == carrier
        )
        return {key: owner for _, key, owner in named if key and key in keys}

    def finished_since(self, ended_at: float, part_id: str, limit: int) -> list[Part]:
        return [part for part in self._by_end() if (part.ended_at, part.part_id) > (ended_at, part_id)][:limit]

    def addressed(self, numbers: Sequence[str], since: float, until: float, limit: int) -> list[Part]:
        ours = [part for part in self._all() if part.destination_addr in numbers and since <= part.accepted_at < until]
        return sorted(ours, key=lambda part: -part.accepted_at)[:limit]

    def page(self, after: str, before: str, since: float, until: float, rows: int) -> Page:
        every = [part for part in self._all() if after < part.part_id < before]
        some = every[:rows]
        through = some[-1].part_id if len(some) < len(every) else ""
        return Page([part for part in some if since <= part.accepted_at < until], through)

    def orphans(self) -> list[Receipted]:
        if not self._disk.state:
            return []
        return msgspec.convert(msgspec.msgpack.decode(self._disk.state)["orphans"], list[Receipted])

    def void_ids(self) -> list[tuple[str, str]]:
        kept = msgspec.msgpack.decode(self._disk.state) if self._disk.state else {}
        return [(carrier, named) for carrier, named in kept.get("ids", {}).get("void", [])]

    def counts(self, ended_since: float = 0.0) -> Counts:
        ended = Counter(int(part.state) for part in self._by_end() if part.ended_at >= ended_since)
        disk = self._disk
        return Counts(len(disk.open), dict(ended), disk.through, max(disk.through, *disk.rows, 0))

    def close(self) -> None:
        if not self._reading:
            self._disk.taken = False

    def _all(self) -> list[Part]:
        every = [*self._by_end(), *map(unpack_part, self._disk.open.values())]
        return sorted(every, key=lambda part: part.part_id)

    def _by_end(self) -> list[Part]:
        return sorted(map(unpack_part, self._disk.ended.values()), key=lambda part: (part.ended_at, part.part_id))

    def _check(self) -> None:
        if self._fenced:
            raise StoreError("fenced", "memory: another engine owns this store now")
