"""Who may bind, and how often somebody may be wrong. smsroute/esmes/porter.py, listener.py. S rows are of quirks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import argon2
import structlog
import trio
import trustme

from smsroute.config import hashes, load
from smsroute.smpp import names
from tests.esmes.open_engine import open_engine, write_config
from tests.esmes.test_tls import AUTHORITY, CLEAR, door, put, trusting
from tests.house import House, house

HASH = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(b"secret", salt=bytes(16))
HASHED = f'acme: {{password: {{argon2: "{HASH}"}}, binds_max: 60, allow_from: ["10.0.1.0/24"]}}'
TWO = f'{HASHED}\n  shop: {{password: {{plain: "shopping"}}}}'
Clock = trio.testing.MockClock


async def _bind(it: House, password: str, name: str = "acme", address: str = "10.0.1.1") -> int:
    """The answer to one bind on a link of its own; a refused one is closed by us."""
    raw = await it.dial(address)
    status = await raw.bind(name, password)
    if status:
        with trio.fail_after(5):
            assert await raw.closed()
    return status


class TestHashed:
    async def test_right_and_wrong(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """An ESME of which we have a hash binds with its password and with no other."""
        async with house(tmp_path, esmes=HASHED) as it:
            assert await _bind(it, "secret") == 0
            assert await _bind(it, "Secret") == names.ESME_RINVPASWD
            assert await _bind(it, "") == names.ESME_RINVPASWD

    async def test_a_reconnect_storm_costs_one_check(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Fifty binds at once with the right password: one hash is computed, all are in; later ones cost none, until
        `password_cache` is over."""
        async with house(tmp_path, esmes=HASHED, limits="{password_cache: 60s}") as it:
            statuses: list[int] = []

            async def one() -> None:
                statuses.append(await _bind(it, "secret"))

            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(one)
            assert statuses == [0] * 50
            assert it.engine.doors.porter.checks == 1
            assert await _bind(it, "secret") == 0
            assert it.engine.doors.porter.checks == 1
            await trio.sleep(61)
            assert await _bind(it, "secret") == 0
            assert it.engine.doors.porter.checks == 2

    async def test_another_hash_forgets_the_old_password(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """After a reload with another password the remembered one is worth nothing."""
        async with house(tmp_path, esmes=HASHED) as it:
            assert await _bind(it, "secret") == 0
            other = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(b"other")
            path = tmp_path / "smsroute.yaml"
            path.write_text(path.read_text().replace(HASH, other))
            it.engine.reload(load(tmp_path, {}))
            assert await _bind(it, "secret") == names.ESME_RINVPASWD
            assert await _bind(it, "other") == 0

    async def test_s15_an_internal_fault_is_never_a_wrong_password(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: Any
    ) -> None:
        """S15: a check that cannot be made is ESME_RSYSERR, and closed; Kannel would be dead for good after 0x0E."""

        def fail(*_: object) -> bool:
            raise hashes.BadHash("could not be checked: no memory")

        async with house(tmp_path, esmes=HASHED) as it:
            monkeypatch.setattr(hashes, "matches", fail)
            assert await _bind(it, "secret") == names.ESME_RSYSERR
            monkeypatch.undo()
            assert await _bind(it, "secret") == 0

    async def test_s15_no_turn_in_time(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """S15: who is still in line after `bind_timeout` is told ESME_RSYSERR and may come again at once."""
        async with house(tmp_path, esmes=HASHED, limits="{bind_timeout: 2s}") as it:
            line = it.engine.doors.porter._line
            await line.acquire()
            started = trio.current_time()
            assert await _bind(it, "secret") == names.ESME_RSYSERR
            assert 2 <= trio.current_time() - started < 3
            line.release()
            assert await _bind(it, "secret") == 0

    async def test_gone_while_it_was_checked(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A link that ends while its password is in line leaves no session behind."""
        async with house(tmp_path, esmes=HASHED) as it:
            line = it.engine.doors.porter._line
            await line.acquire()
            raw = await it.dial()
            with trio.move_on_after(1):
                await raw.bind()
            await raw.stream.aclose()
            await trio.sleep(1)
            line.release()
            await trio.sleep(10)
            assert it.engine.doors.sessions("acme") == []
            assert it.engine.doors.clients == {}

    async def test_cut_off_while_it_was_checked(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A link that is closed while a thread still computes its hash is not told as bound when the thread is done."""
        async with house(tmp_path, esmes=HASHED) as it:
            it.blocking.latency_s = (2.0, 2.0)
            raw = await it.dial()
            async with trio.open_nursery() as nursery:

                async def bind() -> None:
                    with trio.move_on_after(1):
                        await raw.bind()

                nursery.start_soon(bind)
                await trio.sleep(0.5)
                (client,) = it.engine.doors.clients.values()
                client.link.close("a test")
                await trio.sleep(5)
            assert it.engine.doors.porter.checks == 1
            assert client.esme is None
            assert it.engine.doors.clients == {}
            it.blocking.latency_s = (0.0002, 0.003)


class TestGuesses:
    async def test_slowed(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """After `password_guesses_max` wrong ones an address hears ESME_RBINDFAIL, the right one too, and no hash is
        computed for it; `password_guess` later it may try again."""
        limits = "{password_guesses_max: 3, password_guess: 10s}"
        async with house(tmp_path, esmes=HASHED, limits=limits) as it:
            statuses = [await _bind(it, f"guess{number}") for number in range(8)]
            assert statuses == [names.ESME_RINVPASWD] * 3 + [names.ESME_RBINDFAIL] * 5
            assert it.engine.doors.porter.checks == 3
            assert await _bind(it, "secret") == names.ESME_RBINDFAIL
            assert await _bind(it, "secret", address="10.0.1.2") == 0
            await trio.sleep(10)
            assert await _bind(it, "secret") == 0
            assert await _bind(it, "wrong") == names.ESME_RINVPASWD  # a right one cleared the debt

    async def test_the_log_is_not_flooded(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A thousand refused binds of who has to wait are no line in the log; that it has to wait is one."""
        async with house(tmp_path, esmes=HASHED, limits="{password_guesses_max: 3, password_guess: 1h}") as it:
            with structlog.testing.capture_logs() as lines:
                for number in range(1000):
                    await _bind(it, f"guess{number}")
            assert [line["event"] for line in lines] == ["bind.refused", "bind.refused", "bind.slowed", "bind.refused"]
            assert (lines[2]["peer"], lines[2]["esme"], round(lines[2]["wait_s"], -1)) == ("10.0.1.1", "acme", 3600)
            assert it.engine.doors.porter.slowed == 997
            assert it.engine.doors.refused["ESME_RBINDFAIL"] == 997

    async def test_many_at_once(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A hundred wrong ones at the same time are no way round it."""
        async with house(tmp_path, esmes=HASHED, limits="{password_guesses_max: 3}") as it:
            statuses: list[int] = []

            async def one(number: int) -> None:
                statuses.append(await _bind(it, f"guess{number}"))

            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(one, number)
            assert statuses.count(names.ESME_RINVPASWD) == 3
            assert statuses.count(names.ESME_RBINDFAIL) == 97
            assert it.engine.doors.porter.checks == 3

    async def test_a_neighbour_is_let_in(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """While somebody guesses at one ESME, and at names, another ESME behind the same address binds."""
        async with house(tmp_path, esmes=TWO, limits="{password_guesses_max: 3}") as it:
            for number in range(10):
                await _bind(it, f"guess{number}")
                await _bind(it, "x", name=f"nobody{number}")
            assert await _bind(it, "x", name="nobody") == names.ESME_RBINDFAIL
            assert await _bind(it, "shopping", name="shop") == 0

    async def test_an_address_that_may_not_bind_never_guesses(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """From outside `allow_from` no password is looked at."""
        async with house(tmp_path, esmes=HASHED) as it:
            for number in range(20):
                assert await _bind(it, f"guess{number}", address="10.9.9.9") == names.ESME_RBINDFAIL
            assert it.engine.doors.porter.checks == 0


class TestCertificate:
    async def test_its_name(self, tmp_path: Path) -> None:
        """An ESME with `certificate` binds only with one that bears that name, whatever it knows."""
        put(tmp_path, "server", AUTHORITY.issue_cert("localhost"))
        AUTHORITY.cert_pem.write_to_path(tmp_path / "clients.pem")
        esmes = '{acme: {password: {plain: "secret"}, certificate: acme.example}}'
        write_config(tmp_path, listen=door(", ca: clients.pem, client_certificates: optional"), esmes=esmes)
        async with open_engine(tmp_path) as it:
            issue = partial(trustme.CA.issue_cert, AUTHORITY)
            assert await (await it.dial(trusting(mine=issue("acme.example")))).bind() == 0
            assert await (await it.dial(trusting(mine=issue("x.example", "acme.example")))).bind() == 0
            assert await (await it.dial(trusting(mine=issue("shop.example")))).bind() == names.ESME_RBINDFAIL
            assert await (await it.dial(trusting())).bind() == names.ESME_RBINDFAIL

    async def test_no_door_asks_for_it(self, tmp_path: Path) -> None:
        """A `certificate` that no door asks for is warned of, and keeps everybody out."""
        write_config(tmp_path, listen=CLEAR, esmes='{acme: {password: {plain: "secret"}, certificate: acme.example}}')
        async with open_engine(tmp_path) as it:
            assert "no door asks esme `acme` for its certificate" in str(it.engine.config.warnings[0])
            assert await (await it.dial()).bind() == names.ESME_RBINDFAIL
