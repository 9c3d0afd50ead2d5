"""The outside world, on one page: time, chance, the network and blocking work come into the engine only here.

Rules:
- Nothing else in the package reads a clock, rolls dice, opens a socket or starts a thread (tests/test_tree.py bans it).
- The real ones stand here beside the protocols; the simulated world (tests/sim) brings its own and everything above
  this page runs unchanged, in virtual time, from one seed.
- Monotonic time is trio's clock, so a deadline and a cancel scope speak of the same thing. It is counted from a large
  random origin: code that mixes it with wall time fails on its first day.

Walk: `engine.build(config, ports)` hands `Ports` down; each room takes only what it uses.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import ssl
import stat
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

import attrs
import trio

T = TypeVar("T")
Certificates = Callable[[], ssl.SSLContext]
"""Asked for every link that comes in, so that a new certificate needs no new door."""

Handler = Callable[[trio.abc.Stream, str], Awaitable[None]]
"""What serves one accepted stream: (stream, peer IP address)."""

LISTEN_BACKLOG = 512
UNIX_PROBE_S = 0.5


class Clock(Protocol):
    """Two times: `monotonic` for how long, `wall` for when."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary origin; never steps back."""

    def wall(self) -> float:
        """Unix time in seconds; may step either way."""

    async def sleep_until(self, deadline: float) -> None:
        """Return at monotonic `deadline` (seconds)."""


class Entropy(Protocol):
    """Dice, one stream a name, so that a new consumer moves nobody else's throws."""

    def rng(self, name: str) -> random.Random:
        """The generator called `name`."""


class Network(Protocol):
    """TCP and TLS."""

    async def connect(self, host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "") -> trio.abc.Stream:
        """Dial, and shake hands with `tls`: the certificate is to bear `name`, or `host` without one. Raises
        OSError, in words for people, when nobody answers or who answers is not believed."""

    async def listen(self, host: str, port: int, tls: Certificates | None = None) -> Listener:
        """Open a door. Raises OSError when the port is taken. Port 0 asks for a free one."""


class Listener(Protocol):
    """An open door: accepts until cancelled."""

    port: int

    async def serve(self, handler: Handler) -> None:
        """Run `handler` for each stream, each in its own task; a handler must not raise."""

    async def aclose(self) -> None:
        """Shut the door; streams already accepted go on."""


class Blocking(Protocol):
    """Work that blocks: a thread in production, inline in the simulated world (a thread would fool virtual time)."""

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(*args)`. A cancel waits for the work to end: what touches a disk is never abandoned."""


@attrs.frozen
class Ports:
    """The four ports an engine is built with."""

    clock: Clock
    entropy: Entropy
    network: Network
    blocking: Blocking


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return time.time()

    async def sleep_until(self, deadline: float) -> None:
        await trio.sleep_until(deadline)


class SystemEntropy:
    """Dice seeded by the machine."""

    def rng(self, name: str) -> random.Random:
        return random.Random(random.SystemRandom().getrandbits(64))


class SystemListener:
    """One listening TCP socket, with TLS around each stream when given certificates."""

    def __init__(self, listeners: list[trio.SocketListener], tls: Certificates | None) -> None:
        self._listeners = listeners
        self._tls = tls
        self.port: int = listeners[0].socket.getsockname()[1]

    async def serve(self, handler: Handler) -> None:
        async def one(stream: trio.SocketStream) -> None:
            try:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = stream.socket.getpeername()[0]
            except OSError:  # it was reset between SYN and here: a port scan must not end the engine
                await trio.aclose_forcefully(stream)
                return
            await handler(stream if self._tls is None else trio.SSLStream(stream, self._tls(), server_side=True), peer)

        await trio.serve_listeners(one, self._listeners)

    async def aclose(self) -> None:
        for listener in self._listeners:
            await listener.aclose()


class SystemNetwork:
    """The machine's TCP stack. TCP_NODELAY on both sides: at low rates the delay would be the whole latency."""

    async def connect(self, host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "") -> trio.abc.Stream:
        try:
            stream = await trio.open_tcp_stream(host, port)
        except UnicodeError as error:
            raise _no_name(host) from error
        except OSError as error:
            cause = error.__cause__
            first = cause.exceptions[0] if isinstance(cause, ExceptionGroup) else cause
            if isinstance(first, OSError) and first.errno is not None:
                raise OSError(first.errno, os.strerror(first.errno)) from error  # "refused" says more than "all failed"
            raise
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return stream
        secure = trio.SSLStream(stream, tls, server_hostname=name or host)
        try:
            await secure.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(secure)
            raise OSError(f"TLS: {why_no_tls(error, name or host)}") from error
        except BaseException:
            await trio.aclose_forcefully(secure)
            raise
        return secure

    async def listen(self, host: str, port: int, tls: Certificates | None = None) -> Listener:
        try:
            return SystemListener(await trio.open_tcp_listeners(port, host=host, backlog=LISTEN_BACKLOG), tls)
        except UnicodeError as error:
            raise _no_name(host) from error


def why_no_tls(error: BaseException, name: str = "") -> str:
    """Why a TLS stream came to nothing, for people. `name`: what the peer's certificate was to bear."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CERTIFICATE_FAULTS.get(cause.verify_code, cause.verify_message).format(name=name)
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return TLS_FAULTS.get(cause.reason) or cause.reason.lower().replace("_", " ")
    return str(cause or "") or "the peer closed the link while hands were shaken"


# OpenSSL's X509_V_ERR codes and alerts that people meet, in words that say what to do.
CERTIFICATE_FAULTS = {
    9: "its certificate is not valid yet (or our clock is wrong)",
    10: "its certificate has expired",
    18: "its certificate is signed by itself; trust it with `ca`",
    19: "its certificate is from an unknown authority; trust that with `ca`",
    20: "its certificate is from an unknown authority; trust that with `ca`",
    21: "its certificate is from an unknown authority; trust that with `ca`",
    23: "its certificate has been revoked",
    62: "its certificate is for other names than {name}; name the right one with `server_name`",
    64: "its certificate is not for the address {name}; name what it bears with `server_name`",
}
TLS_FAULTS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it speaks HTTP, no TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks no version from TLS 1.2 on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version from TLS 1.2 on",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust who signed our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired, it says",
}


def _no_name(host: str) -> OSError:
    """A name that cannot even be asked for ("a..b") is one nobody answers at, no fault of ours."""
    return OSError(errno.EINVAL, f"{host!r} is no host name")


class ThreadBlocking:
    """A worker thread of trio's pool."""

    async def run(self, work: Callable[..., T], *args: object) -> T:
        return await trio.to_thread.run_sync(work, *args)


def fresh_octets(count: int) -> bytes:
    """Octets that nobody can guess and that never come again: for the salt of a password's hash."""
    return os.urandom(count)


def system_ports() -> Ports:
    """The real world."""
    return Ports(SystemClock(), SystemEntropy(), SystemNetwork(), ThreadBlocking())


def send_datagram(path: str, data: bytes) -> None:
    """One datagram to a UNIX socket (systemd's), sent or forgotten. `path` may be abstract (a leading NUL)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with contextlib.suppress(OSError):  # nobody listens: the service manager went away, and we go on
            sender.sendto(data, path)


class UnixListener:
    """A UNIX socket that only its owner may use; a handler's `peer` is who calls, as `uid 1000`."""

    port = 0

    def __init__(self, path: Path, listener: trio.SocketListener) -> None:
        self._path = path
        self._listener = listener
        self._inode = os.lstat(path).st_ino

    async def serve(self, handler: Handler) -> None:
        async def one(stream: trio.SocketStream) -> None:
            credentials = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            await handler(stream, f"uid {struct.unpack('3i', credentials)[1]}")

        await trio.serve_listeners(one, [self._listener])

    async def aclose(self) -> None:
        """Shut the door and take its name away, unless it is another's by now."""
        with contextlib.suppress(OSError):
            if os.lstat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        await self._listener.aclose()


def listen_unix(path: Path) -> Listener:
    """A UNIX socket at `path`, mode 0600, its folder made if missing; one that nobody answers at any more is replaced.

    Raises OSError: EADDRINUSE when somebody answers there, EEXIST when what stands there is no socket (it stays).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        _clear(path)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # the socket is born with mode 0600: there is no moment in which others may connect
    try:
        door.bind(str(path))
        door.listen(LISTEN_BACKLOG)
        return UnixListener(path, trio.SocketListener(trio.socket.from_stdlib_socket(door)))
    except BaseException:
        door.close()
        raise
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Take away a socket whose engine was killed."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise OSError(errno.EEXIST, "it is there and no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(UNIX_PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except TimeoutError:  # its queue is full: somebody is there, and busy
            pass
    raise OSError(errno.EADDRINUSE, "another engine answers there")
