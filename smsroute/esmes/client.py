"""One ESME's session: who it is, what it may, what it waits for.

Rules:
- Made by the listener when a link opens, named when it binds, gone with the link.
- `unanswered` counts submits read and not yet answered: together with the window it bounds what one session holds.

Walk: `esmes/listener` makes it, `esmes/accept` answers through it, `esmes/deliver` sends through it.
"""

from __future__ import annotations

from collections import deque

import attrs

from smsroute.config import Esme, Limits
from smsroute.link import Link
from smsroute.smpp.session import Session
from smsroute.store.journal import Entry


class Client:
    """See the module."""

    __slots__ = (
        "batches",
        "bound_at",
        "called",
        "certificate",
        "esme",
        "link",
        "number",
        "peer",
        "receives",
        "session",
        "transmits",
        "unanswered",
        "version",
    )

    def __init__(self, number: int, peer: str, session: Session, link: Link) -> None:
        self.number = number
        self.peer = peer
        self.session = session
        self.link = link
        self.esme: Esme | None = None
        self.certificate: frozenset[str] = frozenset()  # names in the TLS certificate it showed
        self.called = ""  # the ESME that we called (outbind)
        self.transmits = False
        self.receives = False
        self.version = 0
        self.bound_at = 0.0
        self.unanswered = 0
        self.batches: deque[Entry] = deque()  # its reads on their way to the disk, oldest first

    def follow(self, esme: Esme, limits: Limits) -> None:
        """Its ESME's numbers hold for the session from now on."""
        self.link.send_octets_max = limits.send_buffer_octets_max
        self.session.limits = attrs.evolve(
            self.session.limits,
            window=esme.window,
            pdu_octets_max=min(esme.pdu_octets_taken_max, limits.pdu_octets_max),
            pdu_octets_sent_max=esme.pdu_octets_max,
        )

    @property
    def name(self) -> str:
        """For logs and people: acme#7."""
        return f"{self.esme.name if self.esme else 'unbound'}#{self.number}"
