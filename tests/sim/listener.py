"""The judge of messages from handsets, beside that of messages to them: laws 3 and 4, and who is told what.

Rules:
- As `auditor`: it knows what it read off the wire, and what it was told to be durable. No two handsets of a world write
  the same, so a message is known by its octets and its carrier.
- A message is taken twice only where a carrier sent it again and our answer to the first may not have arrived. What the
  engine cannot know is counted and allowed: a link that died long after our answer, a machine that lost its power.

Walk: `world` makes this one; all else is `Auditor`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs
import trio

from smsroute.smpp import names
from tests.sim.auditor import Auditor
from tests.sim.books import Session, Story, Terms
from tests.sim.network import Link
from tests.sim.wire import Message, Pdu, message

LATE_S = 9.0
"""An answer that left so soon, on a link that lived so long after it, has arrived for all the engine knows."""
REPEAT_S = 110.0
"""And within so long of the first the engine must know a repetition."""


@attrs.define
class Arrival:
    """One message from a handset that the engine has taken."""

    part_id: str
    esme: str
    body: bytes
    life: int
    at: float
    tells: int = 0
    reasons: int = 0  # refusals and lost links: each excuses telling it again
    acknowledged: int = 0
    acknowledged_at: float = 0.0  # first, in that life
    acknowledged_in: int = -1
    dropped: bool = False
    ticked_in: int = -1


@attrs.define
class Writ:
    """One message of a carrier's handset, however often it is sent."""

    taken: list[Arrival] = attrs.field(factory=list)
    came: list[tuple[float, Link]] = attrs.field(factory=list)
    answered: dict[Link, float] = attrs.field(factory=dict)  # when it was last written to each


def owner(carrier: str, sm: Message) -> str:
    """Whose it is, by the rules of `options.MO` as a person reads them: all texts there begin with `hello`."""
    if sm.destination == "38000":
        return "beta" if sm.source[:4] in ("3361", "3362", "3363") else "acme"
    return "beta" if sm.destination.startswith("337") and carrier in ("red", "green") else ""


class Listener(Auditor):
    """See the module."""

    def __init__(
        self,
        engine: str,
        carriers: Mapping[str, tuple[str, Terms]],
        tell_timeout_s: float,
        as_one: Collection[str] = (),
    ) -> None:
        super().__init__(engine, carriers, tell_timeout_s, as_one)
        self.arrivals: dict[str, Arrival] = {}
        self._writs: dict[tuple[str, bytes], Writ] = {}
        self._by_body: dict[tuple[str, bytes], list[Arrival]] = {}  # by who is to be told
        self._ended: dict[Link, float] = {}

    # -- the wire -----------------------------------------------------------------------------------------------------

    def ended(self, link: Link, how: str) -> None:
        self._ended[link] = trio.current_time()
        session = self._sessions.get(link)
        for (by_engine, _), pdu in session.asked.items() if session is not None else ():
            if by_engine and (arrival := self._told_by(session, pdu)) is not None:
                arrival.reasons += 1
        super().ended(link, how)

    def _wrote(self, session: Session, by_engine: bool, pdu: Pdu) -> None:
        request = session.owed.get((not by_engine, pdu.sequence_number)) if pdu.is_response else pdu
        super()._wrote(session, by_engine, pdu)
        if not by_engine or request is None or request.command_id != names.DELIVER_SM:
            return
        sm = message(request.body)
        if sm.is_receipt:
            return
        if not pdu.is_response:
            self._tells(session, pdu, sm)
            return
        writ = self._writs.setdefault((session.peer, request.body), Writ())
        if pdu.command_status == names.ESME_ROK:
            self.counts["messages from handsets answered"] += 1
            if not writ.taken:
                self.breach("law 3", f"{sm.text!r} of {session.peer} is answered and not durable")
            writ.answered[session.link] = trio.current_time()
        else:
            self.counts["messages from handsets refused"] += 1
            if pdu.command_status == names.ESME_RX_R_APPN and owner(session.peer, sm):
                self.breach("law 3", f"{sm.text!r} to {sm.destination} is refused for good, and it has an owner")

    def _tells(self, session: Session, pdu: Pdu, sm: Message) -> None:
        arrival = self._told_by(session, pdu)
        if arrival is None:
            self.breach("law 4", f"{session.peer} is told {sm.text!r}, which is not durable as it stands there")
            return
        some = self._by_body[session.peer, pdu.body]
        copies = len(some) + arrival.reasons + max(0.0, arrival.acknowledged_at - arrival.at) // self._tell_timeout_s
        if arrival.acknowledged_in == self.life and arrival.tells >= copies:
            self.breach("law 4", f"{arrival.part_id} is told again after {arrival.esme} answered for it")
        elif all(0 <= one.ticked_in < self.life for one in some):
            self.breach("law 4", f"{arrival.part_id} is told again, and it had left the outbox in an earlier life")
        arrival.tells += 1

    def _told_by(self, session: Session, pdu: Pdu) -> Arrival | None:
        """What a deliver_sm to a platform tells. Of several that were taken with these octets nobody can say which: all
        of them are the first one here, which counts answers for each."""
        some = self._by_body.get((session.peer, pdu.body), []) if pdu.command_id == names.DELIVER_SM else []
        return some[0] if some else None

    def _was_read(self, session: Session, by_engine: bool, pdu: Pdu) -> None:
        request = session.asked.get((not by_engine, pdu.sequence_number)) if pdu.is_response else None
        super()._was_read(session, by_engine, pdu)
        if by_engine:
            return
        if not pdu.is_response:
            if pdu.command_id == names.DELIVER_SM and not message(pdu.body).is_receipt:
                writ = self._writs.setdefault((session.peer, pdu.body), Writ())
                writ.came.append((trio.current_time(), session.link))
            return
        arrival = self._told_by(session, request) if request is not None else None
        if arrival is None:
            return
        if pdu.command_status != names.ESME_ROK:
            arrival.reasons += 1
            return
        arrival.acknowledged += 1
        if arrival.acknowledged_in != self.life:
            arrival.acknowledged_at, arrival.acknowledged_in = trio.current_time(), self.life

    # -- what became durable ------------------------------------------------------------------------------------------

    def durable_arrival(self, part_id: str, esme: str, carrier: str, body: bytes) -> None:
        """A message from a handset is taken."""
        now = trio.current_time()
        self.counts["messages from handsets"] += 1
        writ = self._writs.setdefault((carrier, body), Writ())
        if not writ.came:
            self.breach("law 3", f"{part_id} tells of a message that {carrier} never sent")
        before = writ.taken[-1] if writ.taken else None
        if before is not None:
            self.counts["messages from handsets taken again"] += 1
            if before.life == self.life and now - before.at < REPEAT_S and self._lost(writ):
                self.breach("law 6", f"{message(body).text!r} of {carrier} is taken as {before.part_id}, and again")
        sm = message(body)
        if sm.part_of is not None and sm.part_of[2] > 1:
            self.counts["later parts"] += 1  # which go by the rules without a keyword when no first part is known
        elif owner(carrier, sm) != esme:
            self.breach("law 4", f"{part_id} of {carrier} is owed to {esme}, whose it is not")
        arrival = Arrival(part_id, esme, body, self.life, now)
        writ.taken.append(arrival)
        self.arrivals[part_id] = arrival
        self._by_body.setdefault((esme, body), []).append(arrival)

    def _lost(self, writ: Writ) -> bool:
        """Whether all links it came by but the last were gone when it came again, each about when it was answered."""
        *earlier, (again_at, _) = writ.came
        ends = [(self._ended.get(link, again_at), link) for _, link in earlier]
        return all(end < again_at and end - writ.answered.get(link, end) < LATE_S for end, link in ends)

    def durable_told(self, part_ids: list[str], dropped: bool) -> None:
        super().durable_told([part_id for part_id in part_ids if part_id not in self.arrivals], dropped)
        for part_id in part_ids:
            arrival = self.arrivals.get(part_id)
            if arrival is None:
                continue
            arrival.ticked_in = self.life
            some = self._by_body[arrival.esme, arrival.body]
            arrival.dropped = dropped
            if sum(one.ticked_in >= 0 and not one.dropped for one in some) > some[0].acknowledged:
                self.breach("law 4", f"{part_id} leaves the outbox and {arrival.esme} has not answered for it")

    # -- when all is over ---------------------------------------------------------------------------------------------

    def at_rest(
        self, stories: Mapping[str, Story | None], handsets: Mapping[str, int], counted: Mapping[str, int]
    ) -> None:
        mine = {part_id: story for part_id, story in stories.items() if part_id in self.arrivals}
        others = {part_id: story for part_id, story in stories.items() if part_id not in self.arrivals}
        super().at_rest(others, handsets, counted)
        for part_id, story in mine.items():
            arrival = self.arrivals[part_id]
            if story is None or story.state != "RECEIVED" or not story.at_rest:
                self.breach("law 4", f"{part_id}, a message for {arrival.esme}, is at no rest: {story}")
            if arrival.ticked_in < 0:
                self.breach("law 4", f"{part_id}, a message for {arrival.esme}, never left its outbox")
        if counted["arrived"] != len(self.arrivals):
            self.breach("the books", f"the engine counted {counted['arrived']} arrived, there are {len(self.arrivals)}")
