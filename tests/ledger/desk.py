"""A ledger and short words for what happens to it, for tests that tell one story each."""

from __future__ import annotations

from typing import Any

from smsroute.ledger import Ledger
from smsroute.message import (
    Accepted,
    AnyEvent,
    Attempted,
    Blame,
    Cause,
    Doubted,
    Finished,
    MessageClass,
    Moved,
    OrphansAged,
    Part,
    Queried,
    Receipted,
    Requeued,
    Responded,
    State,
    Told,
    Withdrawn,
    unpack_part,
)

NUMBER = "33612345678"


class Desk:
    """Each word is one event, half a second after the last; `events` remembers them."""

    def __init__(self, *, orphans_max: int = 10, multiparts_max: int = 10, multipart_ttl_s: float = 3600.0) -> None:
        self.limits: dict[str, Any] = {
            "orphans_max": orphans_max,
            "multiparts_max": multiparts_max,
            "multipart_ttl_s": multipart_ttl_s,
        }
        self.ledger = Ledger(**self.limits)
        self.now = 1000.0
        self.events: list[AnyEvent] = []

    def say(self, event: AnyEvent) -> None:
        """Apply it."""
        self.events.append(event)
        self.ledger.apply(event)

    def tick(self) -> float:
        """Half a second passes."""
        self.now += 0.5
        return self.now

    def __getitem__(self, part_id: str) -> Part:
        return self.ledger.parts[part_id]

    def due(self, carrier: str = "orange") -> list[str]:
        """Who is due now at a carrier, in order."""
        return [part.part_id for part in self.ledger.queues.due(carrier)]

    def whose(self, key: str, carrier: str = "orange") -> str:
        """The part a receipt with this id would go to."""
        return self.ledger.whose(Receipted(carrier, self.now, [key], State.DELIVERED))

    def owed(self, esme: str = "acme") -> list[str]:
        """What an ESME is owed, in order."""
        outbox = self.ledger.outboxes.get(esme)
        return list(outbox.owed) if outbox else []

    # -- words --------------------------------------------------------------------------------------------------------

    def accept(self, *part_ids: str, wants: int = 1, esme: str = "acme", multipart: str = "", to: str = NUMBER) -> None:
        """Parts are ours, queued at orange."""
        for part_id in part_ids:
            at = self.tick()
            self.say(
                Accepted(
                    part_id,
                    at,
                    esme,
                    MessageClass.INFO,
                    "SHOP",
                    to,
                    b"address text",
                    7,
                    wants,
                    at + 60.0,
                    "fr",
                    "orange",
                    multipart,
                )
            )

    def attempt(self, *part_ids: str, carrier: str = "orange") -> None:
        """They are offered to carrier-1."""
        self.say(Attempted(self.tick(), carrier, f"{carrier}-1", "fr", "cheapest", list(part_ids)))

    def withdraw(self, *part_ids: str) -> None:
        """They never left."""
        self.say(Withdrawn(self.tick(), list(part_ids), "link gone"))

    def take(self, part_id: str, name: str = "", attempt: int = 0, key: str = "") -> None:
        """The carrier takes it and calls it `name`."""
        self.say(Responded(part_id, attempt, self.tick(), Blame.OK, 0, name, key))

    def take_within(self, part_id: str, within_s: float, attempt: int = 0) -> None:
        """The carrier takes it, and its receipts come so soon, or never."""
        self.say(Responded(part_id, attempt, self.tick(), Blame.OK, 0, f"n{attempt}", within_s=within_s))

    def retry(
        self, part_id: str, in_s: float, attempt: int = 0, carrier: str = "", blame: Blame = Blame.TRANSIENT
    ) -> None:
        """The carrier refuses it for now."""
        at = self.tick()
        self.say(Responded(part_id, attempt, at, blame, 8, "", "", at + in_s, carrier, "busy"))

    def refuse(self, part_id: str, attempt: int = 0, code: int = 11) -> None:
        """The carrier refuses it for good."""
        self.say(Responded(part_id, attempt, self.tick(), Blame.PERMANENT_MESSAGE, code, why="no such number"))

    def doubt(self, *part_ids: str) -> None:
        """Link or timer gone."""
        self.say(Doubted(self.tick(), list(part_ids), "link cut"))

    def requeue(self, *part_ids: str, carrier: str = "") -> None:
        """In doubt, may go again."""
        self.say(Requeued(self.tick(), list(part_ids), carrier, "otp may go twice"))

    def move(self, *part_ids: str, carrier: str = "sfr") -> None:
        """Due at another carrier."""
        self.say(Moved(self.tick(), list(part_ids), carrier, "fr2", "orange is sick"))

    def receipt(
        self,
        *keys: str,
        state: int = State.DELIVERED,
        carrier: str = "orange",
        of: str = NUMBER,
        part_id: str = "",
        word: str = "DELIVRD",
    ) -> None:
        """A carrier sends a receipt."""
        self.say(Receipted(carrier, self.tick(), list(keys), state, "000", word, of, part_id))

    def query(self, part_id: str, said: str, attempt: int = 0) -> None:
        """Its carrier was asked, and said so."""
        self.say(Queried(part_id, attempt, self.tick(), said))

    def finish(self, *part_ids: str, cause: Cause = Cause.EXPIRED) -> None:
        """We end them."""
        self.say(Finished(self.tick(), list(part_ids), cause, "", "time is up"))

    def tell(self, *part_ids: str, esme: str = "acme", dropped: str = "") -> None:
        """The ESME answers for them."""
        self.say(Told(self.tick(), esme, list(part_ids), dropped))

    def age(self, before: float) -> None:
        """Old orphans go."""
        self.say(OrphansAged(self.tick(), before))

    def submitted(self, part_id: str, name: str, **accepted: Any) -> None:
        """Accepted, attempted and taken."""
        self.accept(part_id, **accepted)
        self.attempt(part_id)
        self.take(part_id, name)

    # -- rebuilding ---------------------------------------------------------------------------------------------------

    def rebuilt(self, disk: dict[str, bytes], state: bytes, behind: int) -> Desk:
        """A new desk from a checkpoint's parts and state, and the events from number `behind` on."""
        other = Desk(**self.limits)
        other.now = self.now
        other.ledger.restore([unpack_part(packed) for packed in disk.values()], state)
        for event in self.events[behind:]:
            other.say(event)
        return other
