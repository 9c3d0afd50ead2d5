"""Departure: parts whose attempts are durable leave for their carrier, or it is said why they did not.

Rules:
- Called right after the commit (`Flight.leave`), in places reserved before it: law 2 is kept by the order of the two.
- What was overtaken meanwhile, what the bind can no longer send and what cannot be written as its carrier wants it,
  stays here, gives its place back, and its attempt says so.
- A body is the platform's own, but for what the contract with this carrier asks (`smpp/rewrite`, receipts we need).

Walk: `carriers/dispatch` calls `launch`; bytes leave by `carriers/bind`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from smsroute.carriers.answers import Answers, awaits_for_all
from smsroute.carriers.bind import Bind, Row
from smsroute.carriers.station import Station
from smsroute.ledger import Ledger
from smsroute.message import ATTEMPTED, Part, Withdrawn
from smsroute.policy.loops import Loops
from smsroute.ports import Ports
from smsroute.smpp.codec import parse_sm
from smsroute.smpp.merge import merge
from smsroute.smpp.rewrite import Unfit, rewrite
from smsroute.store.journal import Journal


class Board(Protocol):
    """What departures need of `carriers/dispatch`."""

    ledger: Ledger
    journal: Journal
    ports: Ports
    loops: Loops
    stations: dict[str, Station]


class Departures:
    """See the module."""

    def __init__(self, board: Board, answers: Answers) -> None:
        self._board = board
        self._answers = answers
        self._unfit: list[tuple[Bind, Row, str]] = []  # since `over`, each with the reason

    def launch(self, bind: Bind, network: str, part_ids: list[str]) -> None:
        """Write parts whose attempts are durable, in the places reserved for them."""
        rows: list[Row] = []
        for part_id in part_ids:
            part = self._board.ledger.parts[part_id]
            attempt = part.attempts[-1] if part.attempts else None
            if attempt is not None and part.state == ATTEMPTED and attempt.bind == bind.name:
                rows.append((part, len(part.attempts) - 1, network))
        if len(rows) < len(part_ids):
            self._overtaken(bind, part_ids, rows, len(part_ids) - len(rows))
        if self._board.loops.on:
            self._mark_anew(rows)
        self._go(bind, network, rows, [self._body(bind, part) for part, _, _ in rows])

    def launch_merged(self, bind: Bind, network: str, part_ids: list[str]) -> None:
        """Write all parts of a message, whose attempts are durable, as one submit, in the place reserved for it."""
        ledger = self._board.ledger
        lead, *others = (ledger.parts[part_id] for part_id in part_ids)
        row: Row = (lead, len(lead.attempts) - 1, network)
        body = b""
        if (
            all(one.state == ATTEMPTED and one.attempts[-1].bind == bind.name for one in (lead, *others))
            and [one for one, _ in ledger.families.led(*row[:2])] == others
        ):
            with suppress(Unfit):  # one was replaced while it was written down: it stays, too
                body = merge([lead.body, *(one.body for one in others)])
        if not body:
            self._overtaken(bind, part_ids, [], 1)
            return
        if self._board.loops.on:  # a text that its sender never wrote so
            said = parse_sm(body)
            mark = self._board.loops.mark(said.source_addr, said.destination_addr, said.user_data(), lead.esme)
            self._board.loops.sent([mark] if mark else [], lead.esme)
        asks = ledger.families.asked(lead) or bind.carrier.receipts == "always"
        self._go(bind, network, [row], [_asking(body, 1 if asks else 0)])

    def _go(self, bind: Bind, network: str, rows: list[Row], bodies: list[bytes]) -> None:
        """Write them as their carrier wants them. Those on a bind that is gone never left."""
        if bind.form is not None:
            rows, bodies = self._written(bind, rows, bodies)
        if rows and not bind.launch(rows, bodies):
            wall = self._board.ports.clock.wall()
            unsent = [part_id for part, at, _ in rows for part_id in (part.part_id, *part.attempts[at].led)]
            self._board.journal.append([Withdrawn(wall, unsent, f"{bind.name} went down before it left")], must=True)
            station = self._board.stations.get(bind.carrier.name)
            if station is not None:  # a probe that never left would time out, and count as failed
                station.dossier.probe_withdrawn(network, self._board.ports.clock.monotonic(), bind.label)

    def _overtaken(self, bind: Bind, part_ids: list[str], rows: list[Row], places: int) -> None:
        """Some ended, or were taken elsewhere after all, while their attempt was written down: it stays here, and the
        `places` reserved for it are free."""
        bind.release(places)
        leaving = {part.part_id for part, _, _ in rows}
        stays = [part_id for part_id in part_ids if part_id not in leaving]
        why = "it was overtaken while it was written down"
        self._board.journal.append([Withdrawn(self._board.ports.clock.wall(), stays, why)], must=True)

    def _written(self, bind: Bind, rows: list[Row], bodies: list[bytes]) -> tuple[list[Row], list[bytes]]:
        """Those that can be written as this carrier wants them; the others go elsewhere, or end, once all is `over`."""
        assert bind.form is not None
        fit: list[Row] = []
        written: list[bytes] = []
        for row, body in zip(rows, bodies, strict=True):
            try:
                written.append(rewrite(bind.form, body))
                fit.append(row)
            except Unfit as reason:
                bind.release(1)
                station = self._board.stations.get(bind.carrier.name)
                if station is not None:
                    station.dossier.probe_withdrawn(row[2], self._board.ports.clock.monotonic(), bind.label)
                self._unfit.append((bind, row, str(reason)))
        return fit, written

    def over(self) -> None:
        """All of a commit has been launched: what could not be written is told together, so that a message none of
        which left may go elsewhere."""
        if self._unfit:
            unfit, self._unfit = self._unfit, []
            self._answers.unfit(unfit)

    def _mark_anew(self, rows: Iterable[Row]) -> None:
        """What leaves long after it came may come back long after it came."""
        late = self._board.ports.clock.wall() - self._board.loops.window_s / 2
        for part, _, _ in rows:
            if part.accepted_at < late:
                self._board.loops.pass_time(self._board.ports.clock.monotonic())
                said = parse_sm(part.body)
                mark = self._board.loops.mark(said.source_addr, said.destination_addr, said.user_data(), part.esme)
                if mark:
                    self._board.loops.sent([mark], part.esme)

    def _body(self, bind: Bind, part: Part) -> bytes:
        """The submit_sm body as this carrier gets it: the ESME's own, but for what its contract with us asks."""
        if part.parts > 1 and bind.carrier.dialect.receipts_on != "every":
            asks = awaits_for_all(self._board.ledger, bind.carrier, part) or bind.carrier.receipts == "always"
            return _asking(part.body, 1 if asks else 0)
        if part.wants_receipt != 1 and (part.matters or bind.carrier.receipts == "always"):
            # An ESME that asks for failures only, or for successes, or to be told of a whole message, is told so by us:
            # we need to hear of every end.
            return _asking(part.body, 1)
        return part.body


def _asking(body: bytes, registered_delivery: int) -> bytes:
    at = parse_sm(body).registered_delivery_at
    return body[:at] + bytes(((body[at] & ~3) | registered_delivery,)) + body[at + 1 :]
