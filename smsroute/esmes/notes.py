"""Words on the way (intermediate notifications) as `esmes/deliver` sends them, beside receipts and under their laws.

Rules:
- A note is a part and the notice it was sent for: a newer notice makes it an old one, whose answer counts for nothing.
- It leaves the outbox on the ESME's answer only (law 4), durable as a receipt's is; the part's end takes it out too.

Walk: `esmes/deliver` takes notes, sends them, and gives back what a dead session had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smsroute.message import Noted, Notice, Part
from smsroute.outbox import Outbox
from smsroute.smpp import receipt


class Note:
    """A notice of a part, with a session. `part_id` names it among what is sent again later."""

    __slots__ = ("notice", "part", "part_id")

    def __init__(self, part: Part, notice: Notice) -> None:
        self.part = part
        self.notice = notice
        self.part_id = f"{part.part_id} {notice.at}"

    @property
    def esme(self) -> str:
        """Who is to be told."""
        return self.part.esme

    @property
    def session(self) -> int:
        """The session its part came by."""
        return self.part.session

    def body(self, with_tlvs: bool) -> bytes:
        """The deliver_sm that tells it."""
        part, notice = self.part, self.notice
        return receipt.build(
            part.body,
            part.text_at,
            message_id=part.part_id,
            state=notice.state,
            submitted_at=part.accepted_at,
            done_at=notice.at,
            err=notice.err,
            with_tlvs=with_tlvs,
            on_the_way=True,
        )


def take(outbox: Outbox, most: int) -> list[Note]:
    """The next that are owed and with no session."""
    notes: list[Note] = []
    while outbox.unsent and len(notes) < most:
        part = outbox.unsent.pop(next(iter(outbox.unsent)))
        if part.notice is not None:
            notes.append(Note(part, part.notice))
    return notes


def give_back(outbox: Outbox, notes: Sequence[Note], taken: Callable[[str], bool]) -> None:
    """A session is gone, or said "not now": they are to be sent, unless newer ones are, or `taken` (by name)."""
    for note in notes:
        part_id = note.part.part_id
        if outbox.notices.get(part_id) is note.part and note.part.notice is note.notice and not taken(note.part_id):
            outbox.unsent[part_id] = note.part


def told(now: float, esme: str, notes: Sequence[Note], dropped: str = "") -> Noted:
    """The fact that the ESME answered for them, or will not."""
    return Noted(now, esme, [(note.part.part_id, note.notice.at) for note in notes], dropped)
