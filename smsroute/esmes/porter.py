"""The porter: who may come in. Address, certificate, password, and how often somebody may be wrong.

Rules:
- Whatever costs nothing is judged first: an address or a certificate that may not bind never has a password looked at.
- A hash is checked in a thread (`ports.Blocking`), at most `password_checks_max` at a time; who is still in line after
  `bind_timeout_s` is told ESME_RSYSERR. A right password is remembered for `password_cache_s` (as a keyed digest), so
  that a reconnect storm costs one check an ESME. Whose turn comes after others in the line were wrong is asked again
  whether it may.
- ESME_RINVPASWD and ESME_RINVSYSID are said for wrong credentials only: they make Kannel give up for good (quirks S15).
  Who has guessed too often, or comes from elsewhere, hears ESME_RBINDFAIL; a fault of ours is ESME_RSYSERR.

Walk: `esmes/listener` asks for each bind; `policy/guesses` counts.
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog
import trio

from smsroute.config import Config, Esme
from smsroute.config.hashes import BadHash
from smsroute.policy.guesses import Guesses
from smsroute.ports import Ports
from smsroute.smpp import names
from smsroute.smpp.received import BindRequest

log: Final = structlog.get_logger("smsroute.esme")

Verdict = tuple[int, str]
"""(command_status of the answer, why)."""

SLOWED: Final = "too many wrong passwords"
"""Why of a bind that is refused unheard. Told to the log once for each password that was looked at (`bind.slowed`):
whoever guesses would fill the disk."""

COME_IN: Final = (names.ESME_ROK, "")


class Porter:
    """See the module."""

    def __init__(self, config: Config, ports: Ports) -> None:
        self._config = config
        self._limits = limits = config.limits
        self._ports = ports
        self._guesses = Guesses(limits.password_guesses_max, limits.password_guess_s, limits.password_guessers_max)
        self._line = trio.Semaphore(limits.password_checks_max)
        self._key = ports.entropy.rng("esmes/porter").randbytes(32)
        self._right: dict[str, tuple[bytes, bytes, float]] = {}  # ESME -> (its hash, digest, until)
        self.checks = 0  # hashes checked
        self.slowed = 0  # binds refused for too many wrong passwords

    def adopt(self, config: Config) -> None:
        """ESMEs as a new config has them."""
        self._config = config

    async def judge(self, peer: str, certificate: frozenset[str], request: BindRequest, called: str = "") -> Verdict:
        """Whether the one at `peer` may bind. `certificate`: the names in the one it showed and that was verified.
        `called`: the ESME that we called there, wherever that is."""
        esme = self._config.esmes.get(request.system_id)
        now = self._ports.clock.monotonic()
        if called and request.system_id != called:
            return names.ESME_RINVSYSID, f"another than {called}, which was called"
        if esme is not None and not called and not esme.admits(peer):
            return names.ESME_RBINDFAIL, f"address {peer} is not in allow_from"
        if esme is not None and esme.certificate and esme.certificate not in certificate:
            shown = f"bears {', '.join(sorted(certificate))}" if certificate else "was not shown"
            return names.ESME_RBINDFAIL, f"its certificate {shown}, wanted {esme.certificate}"
        name = esme.name if esme is not None else ""
        offered = request.password.encode("latin-1", "replace")
        if not self._guesses.may(peer, name, now):
            return self._slow_down()
        if esme is None:
            self._wrong(peer, name)
            return names.ESME_RINVSYSID, "unknown system_id"
        if not esme.password.hashed:
            return self._told(peer, esme, esme.password.matches(offered))
        return await self._check(peer, esme, offered)

    def _told(self, peer: str, esme: Esme, right: bool) -> Verdict:
        if right:
            self._guesses.right(peer, esme.name)
            return COME_IN
        self._wrong(peer, esme.name)
        return names.ESME_RINVPASWD, "wrong password"

    def _wrong(self, peer: str, name: str) -> None:
        now = self._ports.clock.monotonic()
        self._guesses.wrong(peer, name, now)
        if not self._guesses.may(peer, name, now):
            wait_s = round(self._guesses.wait_s(peer, name, now), 3)
            log.warning("bind.slowed", peer=peer, esme=name or None, wait_s=wait_s, refused=self.slowed)

    def _slow_down(self) -> Verdict:
        self.slowed += 1
        return names.ESME_RBINDFAIL, SLOWED

    async def _check(self, peer: str, esme: Esme, offered: bytes) -> Verdict:
        """A password of which we have a hash."""
        digest = hashlib.blake2b(offered, key=self._key).digest()
        if self._remembered(esme, digest):
            return self._told(peer, esme, True)
        with trio.move_on_after(self._limits.bind_timeout_s) as waiting:
            await self._line.acquire()
        if waiting.cancelled_caught:
            return names.ESME_RSYSERR, "its password could not be checked in time"
        try:
            if self._remembered(esme, digest):  # somebody before us in the line had the same
                return self._told(peer, esme, True)
            now = self._ports.clock.monotonic()
            if not self._guesses.may(peer, esme.name, now):  # those before us in the line were all wrong
                return self._slow_down()
            self.checks += 1
            right = await self._ports.blocking.run(esme.password.matches, offered)
        except BadHash as fault:
            log.error("password.unchecked", esme=esme.name, reason=str(fault))
            return names.ESME_RSYSERR, f"its password {fault}"
        finally:
            self._line.release()
        if right:
            until = self._ports.clock.monotonic() + self._limits.password_cache_s
            self._right[esme.name] = (esme.password.value, digest, until)
        return self._told(peer, esme, right)

    def _remembered(self, esme: Esme, digest: bytes) -> bool:
        """Whether just this password was right of late, against the hash that holds now."""
        known = self._right.get(esme.name)
        if known is None:
            return False
        secret, right, until = known
        if secret != esme.password.value or self._ports.clock.monotonic() >= until:
            del self._right[esme.name]
            return False
        return right == digest
