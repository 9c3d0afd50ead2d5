"""The doors for ESMEs: accept, TLS, bind, and the one loop that hands what a session said to the room that answers.

Rules:
- Before a good bind nothing is believed: an address over `links_per_peer_max`, a link over `sessions_max` or one that
  does not bind in time is closed; after a refused bind we close the TCP stream ourselves (Kannel believes itself bound
  after
  0x05, quirks S15).
- ESME_RINVPASWD and ESME_RINVSYSID are said for wrong credentials only; an internal fault is never dressed as one.
- This is the boundary where a fault of ours in one session ends one link, is logged with its trace, counted, and
  nothing else.

Walk: `engine` runs `serve` for each door, `esmes/outbind` calls `handle`; what is received goes to `esmes/accept`
(submits), `esmes/commands` (queries, cancels, data_sm) and `esmes/deliver` (answers to receipts); a session's end is
told to `deliver`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, cast

import attrs
import structlog
import trio

from smsroute.config import Config, Esme
from smsroute.esmes.accept import Accept
from smsroute.esmes.client import Client
from smsroute.esmes.commands import SERVED, Commands
from smsroute.esmes.deliver import Deliver, Said
from smsroute.esmes.porter import COME_IN, SLOWED, Porter, Verdict
from smsroute.link import BROKEN, Link, session_limits
from smsroute.ports import Listener, Ports, why_no_tls
from smsroute.smpp import names
from smsroute.smpp.codec import Pdu, pdu
from smsroute.smpp.session import (
    BindRequest,
    Received,
    Request,
    Response,
    Role,
    Session,
    TimedOut,
    Unbound,
)
from smsroute.tls import names_of

log: Final = structlog.get_logger("smsroute.esme")

TRANSMITS: Final = frozenset({names.BIND_TRANSMITTER, names.BIND_TRANSCEIVER})
RECEIVES: Final = frozenset({names.BIND_RECEIVER, names.BIND_TRANSCEIVER})
RESPONSE_BIT: Final = 0x80000000
SYSTEM_ID: Final = "smsroute"


class Doors:
    """See the module."""

    def __init__(self, config: Config, accept: Accept, deliver: Deliver, commands: Commands, ports: Ports) -> None:
        self._config = config
        self._limits = config.limits
        self._accept = accept
        self._deliver = deliver
        self._commands = commands
        self._ports = ports
        self.porter = Porter(config, ports)
        self._number = 0
        self._by_peer: Counter[str] = Counter()
        self.clients: dict[int, Client] = {}
        self.faults = 0
        self.refused: Counter[str] = Counter()
        self.drained: dict[str, str] = {}  # ESME -> why a person took it out
        self.draining = False
        self._left = trio.Event()

    async def serve(self, listener: Listener) -> None:
        """Accept links at one door until cancelled."""
        await listener.serve(self.handle)

    def sessions(self, esme: str) -> list[Client]:
        """The bound sessions of an ESME."""
        return [client for client in self.clients.values() if client.esme is not None and client.esme.name == esme]

    def adopt(self, config: Config) -> None:
        """ESMEs as a new config has them: sessions stay and follow its numbers, those of an ESME that left are asked
        to go. A new password or range asks the next bind, not the sessions that are up."""
        self._config = config
        self.porter.adopt(config)
        now = self._ports.clock.monotonic()
        for client in self.clients.values():
            if client.esme is None:
                continue
            esme = config.esmes.get(client.esme.name)
            if esme is not None:
                client.esme = esme
                client.follow(esme, self._limits)
            elif client.session.bound:
                client.link.write(client.session.unbind(now))

    def drain(self, esme: str, why: str) -> None:
        """Take an ESME out: its sessions are asked to go, its binds refused while it is in `drained`; what it is owed
        waits in its outbox."""
        self.drained[esme] = why
        now = self._ports.clock.monotonic()
        for client in self.sessions(esme):
            if client.session.bound:
                client.link.write(client.session.unbind(now))

    def unbind_all(self) -> None:
        """Ask every bound session to go; each link ends with its unbind_resp or after `unbind_timeout_s`."""
        self.draining = True
        now = self._ports.clock.monotonic()
        for client in list(self.clients.values()):
            if client.session.bound:
                client.link.write(client.session.unbind(now))
            else:
                client.link.finish("the engine stops")

    async def empty(self) -> None:
        """Return when every link is gone."""
        while self.clients:
            self._left = trio.Event()
            await self._left.wait()

    async def handle(self, stream: trio.abc.Stream, peer: str, called: Esme | None = None) -> None:
        """One link, from its first octet to its last. `called`: the ESME that we dialled there (`esmes/outbind`)."""
        limits = self._limits
        if (
            self.draining
            or len(self.clients) >= limits.sessions_max
            or self._by_peer[peer] >= limits.links_per_peer_max
        ):
            self.refused["too many links" if not self.draining else "draining"] += 1
            await trio.aclose_forcefully(stream)
            return
        self._number += 1
        now = self._ports.clock.monotonic()
        numbers = session_limits(
            limits,
            window=1,  # its ESME's, once that is known (Client.follow); so is the size of its PDUs
            response_timeout_s=limits.esme_response_timeout_s,
            enquire_link_s=limits.esme_enquire_link_s,
        )
        numbers = attrs.evolve(numbers, pdu_octets_max=min(numbers.pdu_octets_max, limits.unbound_octets_max))
        session = Session(Role.SMSC, numbers, now, limits.first_sequence, defer_unbind=True)
        link = Link(stream, session, self._ports.clock, limits, limits.esme_receive_octets)
        link.send_octets_max, link.send_stall_s = limits.unbound_octets_max, limits.esme_send_stall_s
        client = Client(self._number, peer, session, link)
        if called is not None and called.outbind is not None:
            client.called = called.name
            word = called.outbind.password.reveal().decode("latin-1")
            link.write(session.outbind(called.outbind.system_id, word))
        self.clients[client.number] = client
        self._by_peer[peer] += 1
        why = "cancelled"
        try:
            refused = await self._shake_hands(client, stream)
            why = refused or await link.run(lambda received: self._receive(client, received))
        except* Exception:
            self.faults += 1
            why = "a fault of ours"
            log.exception("session.fault", session=client.name)
        finally:
            del self.clients[client.number]
            self._left.set()
            self._by_peer[peer] -= 1
            self._by_peer += Counter()  # drop the zeros
            self._deliver.leave(client, cast(list[Said], session.lost(why)))
            if client.esme is not None:
                log.info("session.ended", session=client.name, peer=peer, reason=why)

    async def _shake_hands(self, client: Client, stream: trio.abc.Stream) -> str:
        """TLS, at a door that has it, in the time a bind may take. Why it came to nothing, or ""."""
        if not isinstance(stream, trio.SSLStream):
            return ""
        why = "no TLS handshake in time"
        with trio.move_on_after(self._limits.bind_timeout_s):
            try:
                await stream.do_handshake()
                client.certificate = names_of(stream)
                return ""
            except BROKEN as error:
                why = why_no_tls(error)
        self.refused["TLS"] += 1
        log.info("tls.refused", peer=client.peer, reason=why)
        await trio.aclose_forcefully(stream)
        return why

    async def _receive(self, client: Client, received: Sequence[Received]) -> None:
        submits: list[Pdu] = []
        commands: list[Pdu] = []
        answers: list[Response] = []
        unanswered: list[Said] = []
        unbound = False
        for item in received:
            if isinstance(item, Request):
                if item.pdu.command_id == names.SUBMIT_SM:
                    submits.append(item.pdu)
                elif item.pdu.command_id in SERVED:
                    commands.append(item.pdu)
                else:
                    self._unsupported(client, item.pdu)
            elif isinstance(item, Response):
                answers.append(item)
            elif isinstance(item, TimedOut):
                unanswered.append(cast(Said, item.token))
            elif isinstance(item, BindRequest):
                await self._bind(client, item)
            elif isinstance(item, Unbound):
                unbound = True
        if unanswered:
            self._deliver.timed_out(client, unanswered)
        if answers:
            await self._deliver.answered(client, answers)
        if submits:
            await self._accept.submits(client, submits)
        if commands:
            await self._commands.serve(client, commands)
        if unbound or client.session.closing:  # a lost frame, say: what came before it is ours, and answered
            await self._accept.settle(client)
        if unbound and not client.session.closing:
            client.session.finish_unbind()  # after the answers to what came before it
            client.link.write(client.session.data_to_send())

    def _unsupported(self, client: Client, request: Pdu) -> None:
        """A command we know and do not serve is refused in its own response, and the session goes on."""
        client.link.write(pdu(request.command_id | RESPONSE_BIT, names.ESME_RINVCMDID, request.sequence_number))

    # -- bind ----------------------------------------------------------------------------------------------------------

    async def _bind(self, client: Client, request: BindRequest) -> None:
        status, why = await self._judge(client, request)
        now = self._ports.clock.monotonic()
        if client.session.closing or not client.link.up:
            return  # it has gone while its password was checked
        client.link.write(client.session.respond_bind(request, status, SYSTEM_ID, now))
        if status != names.ESME_ROK:
            self.refused[names.status_name(status)] += 1
            if why is not SLOWED:
                log.warning("bind.refused", peer=client.peer, system_id=request.system_id[:64], reason=why)
            client.link.finish(f"bind refused: {why}")
            return
        client.esme = esme = self._config.esmes[request.system_id]
        client.transmits = request.command_id in TRANSMITS
        client.receives = request.command_id in RECEIVES
        client.version = client.session.version
        client.bound_at = self._ports.clock.wall()
        client.follow(esme, self._limits)
        log.info(
            "session.bound", session=client.name, peer=client.peer, transmits=client.transmits, receives=client.receives
        )
        if client.receives:
            self._deliver.join(client)

    async def _judge(self, client: Client, request: BindRequest) -> Verdict:
        if self.draining:
            return names.ESME_RSYSERR, "the engine drains"
        verdict = await self.porter.judge(client.peer, client.certificate, request, client.called)
        if verdict[0] != names.ESME_ROK:
            return verdict
        # What may have changed while its password was checked, and what other binds have taken meanwhile.
        esme = self._config.esmes.get(request.system_id)
        if self.draining or esme is None:
            return names.ESME_RSYSERR, "the engine drains" if self.draining else "it has just left the config"
        if esme.name in self.drained:
            return names.ESME_RSYSERR, f"{esme.name} is drained"
        if len(self.sessions(esme.name)) >= esme.binds_max:
            return names.ESME_RALYBND, f"all {esme.binds_max} binds of {esme.name} are up"
        return COME_IN
