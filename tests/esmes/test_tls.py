"""TLS at both ends, real sockets, certificates made on the spot. smsroute/tls.py, smsroute/ports.py."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from smsroute.config import ConfigErrors
from smsroute.ops.metrics import metrics
from smsroute.ops.reload import Reloads
from smsroute.ops.snapshot import snapshot
from smsroute.ports import SystemNetwork
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, encode, pdu
from smsroute.tls import load_proven
from tests.esmes.open_engine import open_engine, until, write_config
from tests.house import Raw

pytestmark = pytest.mark.slow

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
CLEAR = '{address: "127.0.0.1:0"}'
SUBMIT = build_sm(destination_addr="33612345678", short_message=b"hello")


def put(folder: Path, name: str, certificate: trustme.LeafCert) -> None:
    """`name`.pem and `name`.key in the folder."""
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(chain)


def trusting(authority: trustme.CA = AUTHORITY, mine: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts `authority` and shows `mine`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if mine is not None:
        mine.configure_cert(context)
    return context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates of a door, and whom it trusts."""
    put(tmp_path, "server", AUTHORITY.issue_cert("localhost"))
    AUTHORITY.cert_pem.write_to_path(tmp_path / "clients.pem")
    return tmp_path


def door(more: str = "") -> str:
    """A door with TLS."""
    return f'{{address: "127.0.0.1:0", tls: {{certificate: server.pem, key: server.key{more}}}}}'


class TestDoor:
    async def test_bind_and_submit(self, folder: Path) -> None:
        """An ESME binds and submits over TLS; one that does not trust the door's authority gets no further."""
        write_config(folder, listen=door())
        async with open_engine(folder) as it:
            raw = await it.dial(trusting())
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            assert (await raw.submit(SUBMIT))[0] == 0
            with pytest.raises(trio.BrokenResourceError):
                await it.dial(trusting(STRANGER))
            await until(lambda: it.engine.doors.refused["TLS"] == 1)
            assert (await raw.submit(SUBMIT, 3))[0] == 0

    async def test_no_tls_is_no_way_in(self, folder: Path) -> None:
        """A bind in the clear at a TLS door is answered by no PDU, and the link is closed at once."""
        write_config(folder, listen=door())
        async with open_engine(folder) as it:
            raw = await it.dial()
            fields = dict.fromkeys(("system_id", "password", "system_type", "address_range"), "")
            bind = encode(names.BIND_TRANSCEIVER, {**fields, "interface_version": 0x34, "addr_ton": 0, "addr_npi": 0})
            with trio.fail_after(3):
                await raw.send(bind)
                assert names.GENERIC_NACK.to_bytes(4, "big") not in await _all(raw)
            assert it.engine.doors.refused["TLS"] == 1

    async def test_no_handshake_in_time(self, folder: Path) -> None:
        """A link that never shakes hands is closed after `bind_timeout`."""
        write_config(folder, listen=door(), limits=", bind_timeout: 200ms")
        async with open_engine(folder) as it:
            raw = await it.dial()
            with trio.fail_after(2):
                assert await raw.closed()
            await until(lambda: not it.engine.doors.clients)

    async def test_a_client_certificate_is_demanded(self, folder: Path) -> None:
        """With `ca` nobody gets in without a certificate of that authority."""
        write_config(folder, listen=door(", ca: clients.pem"))
        async with open_engine(folder) as it:
            good = await it.dial(trusting(mine=AUTHORITY.issue_cert("acme.example")))
            assert await good.bind() == 0
            for mine in (None, STRANGER.issue_cert("acme.example")):
                with pytest.raises((trio.BrokenResourceError, EOFError)):
                    raw = await it.dial(trusting(mine=mine))
                    await raw.bind()

    async def test_a_client_certificate_is_optional(self, folder: Path) -> None:
        """With `client_certificates: optional` one may come without; one that shows a stranger's is refused."""
        write_config(folder, listen=door(", ca: clients.pem, client_certificates: optional"))
        async with open_engine(folder) as it:
            assert await (await it.dial(trusting())).bind() == 0
            assert await (await it.dial(trusting(mine=AUTHORITY.issue_cert("acme.example")))).bind() == 0
            with pytest.raises((trio.BrokenResourceError, EOFError)):
                raw = await it.dial(trusting(mine=STRANGER.issue_cert("acme.example")))
                await raw.bind()


class TestReload:
    async def test_a_new_certificate_at_the_same_door(self, folder: Path) -> None:
        """After a reload new links see the new certificate; sessions that are up stay up."""
        write_config(folder, listen=door())
        async with open_engine(folder) as it:
            raw = await it.dial(trusting())
            assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
            before = raw.stream.getpeercert(binary_form=True)  # type: ignore[attr-defined]
            put(folder, "server", AUTHORITY.issue_cert("localhost"))
            assert (await _reload(it.engine, folder))["reloaded"]
            again = await it.dial(trusting())
            assert await again.bind() == 0
            assert again.stream.getpeercert(binary_form=True) != before  # type: ignore[attr-defined]
            assert (await raw.submit(SUBMIT))[0] == 0

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda folder: (folder / "server.pem").write_text("rubbish"), "cannot be read as PEM"),
            (
                lambda folder: STRANGER.issue_cert("x").private_key_pem.write_to_path(folder / "server.key"),
                "`key` is of another certificate",
            ),
            (lambda folder: (folder / "server.key").unlink(), "server.key"),
        ],
    )
    async def test_a_bad_certificate_changes_nothing(
        self, folder: Path, spoil: Callable[[Path], object], said: str
    ) -> None:
        """A certificate that is no good is told by its file, the whole reload is refused, the old one stays."""
        write_config(folder, listen=door())
        async with open_engine(folder) as it:
            before = (await it.dial(trusting())).stream.getpeercert(binary_form=True)  # type: ignore[attr-defined]
            spoil(folder)
            done = await _reload(it.engine, folder)
            assert not done["reloaded"]
            assert said in done["errors"][0]
            assert str(folder) in done["errors"][0]
            assert said in it.engine.revision.refused
            raw = await it.dial(trusting())
            assert await raw.bind() == 0
            assert raw.stream.getpeercert(binary_form=True) == before  # type: ignore[attr-defined]

    async def test_a_bad_certificate_stops_a_start(self, folder: Path) -> None:
        """The same fault is an error of the config before the engine starts."""
        write_config(folder, listen=door())
        STRANGER.issue_cert("x").private_key_pem.write_to_path(folder / "server.key")
        with pytest.raises(ConfigErrors, match=r"server.key: `key` is of another certificate, expected the key of"):
            load_proven(folder, {})


class Secure(SystemNetwork):
    """A carrier's SMSC behind TLS: binds are taken, nothing else is said."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self.context)
        self.binds = 0

    async def open(self, nursery: trio.Nursery) -> int:
        """Its port."""
        listener = await self.listen("127.0.0.1", 0, lambda: self.context)

        async def serve(stream: trio.abc.Stream, _peer: str) -> None:
            raw = Raw(stream)
            try:
                while True:
                    command_id, _, sequence_number, _ = await raw.pdu()
                    self.binds += command_id == names.BIND_TRANSCEIVER
                    await raw.send(pdu(command_id | 0x80000000, 0, sequence_number))
            except (EOFError, trio.BrokenResourceError):
                await trio.aclose_forcefully(stream)

        nursery.start_soon(listener.serve, serve)
        return listener.port


class TestCarrier:
    async def _bound(self, folder: Path, certificate: trustme.LeafCert, tls: str) -> tuple[str, str]:
        """(state, reason) of the bind, once it was tried."""
        async with trio.open_nursery() as nursery:
            smsc = Secure(certificate)
            port = await smsc.open(nursery)
            write_config(
                folder, listen='{address: "127.0.0.1:0"}', carrier=f'{{address: "localhost:{port}", tls: {tls}}}'
            )
            async with open_engine(folder) as it:
                (bind,) = it.engine.binds
                await until(lambda: bind.state in ("bound", "down"))
                state, reason = bind.state, bind.reason
            assert smsc.binds == (state == "bound")
            nursery.cancel_scope.cancel()
        return state, reason

    async def test_verified(self, folder: Path) -> None:
        """A carrier whose certificate bears the name dialled and is of the trusted authority is bound to."""
        assert (await self._bound(folder, AUTHORITY.issue_cert("localhost"), "{ca: clients.pem}"))[0] == "bound"

    @pytest.mark.parametrize(
        ("certificate", "tls", "said"),
        [
            (
                AUTHORITY.issue_cert("smsc.example"),
                "{ca: clients.pem}",
                "for other names than localhost",
            ),
            (AUTHORITY.issue_cert("localhost"), "{ca: clients.pem, server_name: a.b}", "other names than a.b"),
            (STRANGER.issue_cert("localhost"), "{ca: clients.pem}", "its certificate is from an unknown authority"),
            (STRANGER.issue_cert("localhost"), "{}", "its certificate is from an unknown authority"),
            (
                AUTHORITY.issue_cert("localhost", not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(1)),
                "{ca: clients.pem}",
                "its certificate has expired",
            ),
        ],
    )
    async def test_refused(self, folder: Path, certificate: trustme.LeafCert, tls: str, said: str) -> None:
        """Another name, an unknown authority, a date gone by: no password is sent, and `health` says which it was."""
        state, reason = await self._bound(folder, certificate, tls)
        assert state == "down"
        assert reason.startswith("cannot reach localhost:")
        assert said in reason

    async def test_server_name(self, folder: Path) -> None:
        """`server_name` is what the certificate is to bear instead of the host dialled."""
        certificate = AUTHORITY.issue_cert("smsc.example")
        assert (await self._bound(folder, certificate, "{ca: clients.pem, server_name: smsc.example}"))[0] == "bound"

    async def test_not_verified(self, folder: Path) -> None:
        """Only `verify: false` takes a stranger's certificate, and the config is warned of it."""
        assert (await self._bound(folder, STRANGER.issue_cert("x"), "{verify: false}"))[0] == "bound"
        assert "carrier `orange` is not verified" in str(load_proven(folder, {}).warnings[0])

    async def test_no_tls_there(self, folder: Path) -> None:
        """A carrier that speaks no TLS at all is said to."""

        async def clear(stream: trio.SocketStream) -> None:
            await stream.send_all(b"HELLO THIS IS NOT TLS")
            await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, clear, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            write_config(
                folder, listen='{address: "127.0.0.1:0"}', carrier=f'{{address: "localhost:{port}", tls: {{}}}}'
            )
            async with open_engine(folder) as it:
                (bind,) = it.engine.binds
                await until(lambda: bind.state == "down")
                assert "TLS: it does not speak TLS" in bind.reason
            nursery.cancel_scope.cancel()


async def _reload(engine: object, folder: Path) -> dict[str, object]:
    return await Reloads(engine, partial(load_proven, folder, {})).reload("a test")  # type: ignore[arg-type]


async def _all(raw: Raw) -> bytes:
    data = b""
    try:
        while more := await raw.stream.receive_some(65536):
            data += more
    except trio.BrokenResourceError:
        pass
    return data


class TestExpiry:
    @pytest.mark.parametrize(
        ("days", "severity", "words"),
        [(30, None, ""), (10, "warning", "ends in"), (1, "critical", "ends in"), (-1, "critical", "ended")],
    )
    async def test_health_tells_before_a_certificate_ends(
        self, folder: Path, days: int, severity: str | None, words: str
    ) -> None:
        """The door's own, or one of its chain: in time to renew it, and a reload with the new one clears it. Metrics
        have the seconds."""
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        start = end - datetime.timedelta(days=60)
        put(folder, "server", AUTHORITY.issue_cert("localhost", not_before=start, not_after=end))
        write_config(folder, listen=door())
        async with open_engine(folder) as it:
            document = snapshot(it.engine)
            told = [one for one in document["reasons"] if one["what"] == "door"]
            assert [one["severity"] for one in told] == ([severity] if severity else [])
            assert all(one["name"] == "127.0.0.1:0" and words in one["reason"] for one in told)
            line = next(line for line in metrics(document).splitlines() if line.startswith("smsroute_certificate"))
            assert 'of="door"' in line
            assert abs(float(line.split()[-1]) - days * 86400) < 120
            put(folder, "server", AUTHORITY.issue_cert("localhost"))
            assert (await _reload(it.engine, folder))["reloaded"]
            assert not [one for one in snapshot(it.engine)["reasons"] if one["what"] == "door"]
