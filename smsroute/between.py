"""What happens to a part between its acceptance and its end, and changes no state: a base of `receipting.Receipting`.

Rules:
- A sender may say a part anew while it is due (Replaced), and nothing of it once an attempt has left.
- A carrier's word on the way (ENROUTE, ACCEPTD where that is not the last) is a fact of its part; where its sender
  asked for such words (registered_delivery bit 4) it is a notice as well, owed until the ESME answers for it (Noted).
- A notice is the newest word only, and nothing once the part has ended: the receipt says more. The same word twice is
  told once. Of a message told of as one, the first part's is the notice.

Walk: `ledger` applies Replaced and Noted here, and tells of receipts on the way; `esmes/deliver` takes notices from the
outbox.
"""

from __future__ import annotations

from smsroute.memory import Memory
from smsroute.message import Noted, Notice, Part, Receipted, Replaced, Tell
from smsroute.replacing import replaced
from smsroute.shelves import Counts


class Between(Memory):
    """See the module."""

    def _replaced(self, event: Replaced) -> None:
        part = self._part(event.part_id)
        if part is not None and not replaced(part, self.queues, event):
            self.counts.overtaken += 1
        elif part is not None:
            self._fact(part, event.at, "its sender replaced it")

    def _on_the_way(self, part: Part, event: Receipted, counts: Counts) -> None:
        """A receipt that is no last word, or that nobody understands."""
        counts.receipts_intermediate += 1
        if part.final:
            return
        self._fact(part, event.at, f"{event.carrier} says {event.word}")
        if not part.notify or event.passing < 0 or (part.tell == Tell.WAITING and part.message_id != part.part_id):
            return
        if part.notice is None or part.notice.state != event.passing:
            part.notice = Notice(event.passing, event.err, event.at)
            self._owe_notice(part)

    def _noted(self, event: Noted) -> None:
        for part_id, at in event.notices:
            part = self.parts.get(part_id)
            notice = part.notice if part is not None else None
            if part is None or notice is None or notice.at != at or notice.told_at:
                self.counts.overtaken += 1  # a newer word is owed by now, or the part has ended
                continue
            if self._frozen:
                self._before(part_id)
            self._changed[part_id] = part
            notice.told_at = event.at
            self.outboxes[part.esme].unnote(part_id)
            self.counts.notices_told += 1
            if event.dropped:
                self._fact(part, event.at, f"notice not taken by {event.esme}: {event.dropped}")
