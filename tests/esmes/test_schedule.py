"""schedule_delivery_time: held by us until its date. smsroute/smpp/schedule.py, esmes/accept.py, queues.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names, schedule, times
from smsroute.smpp.codec import PduError, build_sm, encode, parse_sm
from tests.esmes.test_commands import FROM, KIND, TO, bound, cancel, query, submit
from tests.house import Raw, house
from tests.spied import submits

Clock = trio.testing.MockClock
NOW = 1768230000.0  # 2026-01-12 15:00:00 UTC
TERMS = schedule.Terms(validity_s=86400, validity_max_s=7 * 86400, ahead_max_s=30 * 86400, past_max_s=10)
HOUR, DAY = "000000010000000R", "000001000000000R"


def later(written: str, **fields: Any) -> bytes:
    """A submit_sm with a date."""
    given = {"source_addr": FROM, "destination_addr": TO, "registered_delivery": 1, "short_message": b"hello"}
    return build_sm(**{**given, **fields}, schedule_delivery_time=written)


class TestReading:
    @pytest.mark.parametrize(
        ("written", "due_at"),
        [
            ("260112160000000+", NOW + 3600),
            ("260112180000008+", NOW + 3600),  # two hours ahead of UTC
            ("260112120000016-", NOW + 3600),  # four behind it
            ("260113040000048+", NOW + 3600),  # twelve ahead: the most there is
            ("260112150000500+", NOW + 0.5),
            ("000000010000000R", NOW + 3600),
            ("000001000000000R", NOW + 86400),
            ("260211150000000+", NOW + 30 * 86400),
            ("000100000000000R", NOW + 30 * 86400),
            ("", 0.0),
            ("000000000000000R", 0.0),  # in no time: now
            ("260112150000000+", 0.0),
            ("260112145950000+", 0.0),  # ten seconds ago: another clock's now
        ],
    )
    def test_all_forms(self, written: str, due_at: float) -> None:
        """Absolute with quarter hours both ways and tenths, relative, none, and what means now."""
        assert schedule.due_at(written, NOW, TERMS) == due_at

    @pytest.mark.parametrize(
        "written",
        ["soon", "260112145949000+", "250112150000000+", "260211150001000+", "000100000001000R", "260112160000049+",
         "26011216000000+", "2601121600000000+", "261312160000000+", "260230160000000+", "260112160000000Z",
         "26O112160000000+", "260112160000000r"],
    )  # fmt: skip
    def test_what_is_none(self, written: str) -> None:
        """No date, one that is past, one that is too far ahead: ESME_RINVSCHED."""
        with pytest.raises(PduError) as caught:
            schedule.due_at(written, NOW, TERMS)
        assert (caught.value.command_status, caught.value.fatal) == (names.ESME_RINVSCHED, False)

    def test_validity(self) -> None:
        """It counts as written; the account's own from the date; one that ends before the date is ESME_RINVEXPIRY."""
        due = NOW + 3600
        assert schedule.expires_at("", NOW, due, TERMS) == due + 86400
        assert schedule.expires_at("", NOW, 0.0, TERMS) == NOW + 86400
        assert schedule.expires_at("000000020000000R", NOW, due, TERMS) == NOW + 7200
        assert schedule.expires_at("000100000000000R", NOW, due, TERMS) == due + 7 * 86400
        for written in ("000000010000000R", "000000003000000R", times.render(NOW + 60), "soon"):
            with pytest.raises(PduError) as caught:
                schedule.expires_at(written, NOW, due, TERMS)
            assert caught.value.command_status == names.ESME_RINVEXPIRY

    @pytest.mark.parametrize("validity", ["", "000000020000000R", times.render(NOW + 7200)])
    def test_a_carrier_gets_no_date(self, validity: str) -> None:
        """And a validity as a date, where one was given: a period would count anew. All else is as submitted."""
        body = later(HOUR, validity_period=validity, esm_class=0x40, short_message=b"\1\0x", tlv=b"\x14\0\0\1x")
        was = parse_sm(body + b"\0\0")
        made = parse_sm(schedule.dateless(body + b"\0\0", was, NOW + 7200))
        assert made.schedule_delivery_time == ""
        assert made.validity_period == (times.render(NOW + 7200) if validity else "")
        for field in ("esm_class", "short_message", "tlv", "registered_delivery", "text_at", "destination_addr"):
            assert getattr(made, field) == getattr(was, field)


class TestHeld:
    @pytest.mark.parametrize("absolute", [False, True])
    async def test_until_its_date(
        self, tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, absolute: bool
    ) -> None:
        """It is answered at once, sent at its date and not a moment earlier, and told of like any other; its carrier
        hears of no date."""
        sent = submits(monkeypatch)
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            written = times.render(it.clock.wall() + 3600) if absolute else HOUR
            message_id = await submit(raw, later(written))
            part = it.engine.ledger.parts[message_id]
            await trio.sleep(3595)
            assert (part.state, part.attempts) == (State.DUE, [])
            await trio.sleep(10)
            assert part.state == State.DELIVERED
            assert part.attempts[0].at == pytest.approx(part.scheduled_at, abs=1.0)
            assert part.attempts[0].at >= part.scheduled_at
            assert [one.schedule_delivery_time for one in sent] == [""]

    async def test_others_pass(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What is held takes no room at a carrier and nobody waits behind it."""
        async with house(tmp_path, carriers={"orange": KIND}, carrier="window: 1, rate: 1000/s") as it:
            raw = await bound(it)
            held = [await submit(raw, later(HOUR), number) for number in range(2, 12)]
            message_id = await submit(raw, later("", short_message=b"now"), 20)
            await trio.sleep(5)
            parts = it.engine.ledger.parts
            assert parts[message_id].state == State.DELIVERED
            assert {parts[one].state for one in held} == {State.DUE}
            assert it.engine.dispatch.stations["orange"].queued == 0
            await trio.sleep(3610)
            assert {parts[one].state for one in held} == {State.DELIVERED}

    async def test_over_a_restart(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Its date outlives the engine; one that came while nobody ran is sent at once."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            soon, late = await submit(raw, later(HOUR)), await submit(raw, later(DAY), 3)
            await trio.sleep(5)  # past a checkpoint
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            parts = it.engine.ledger.parts
            began = it.clock.wall()
            await trio.sleep(30)
            assert [parts[one].attempts for one in (soon, late)] == [[], []]
            await trio.sleep(3600)
            assert parts[soon].state in (State.SUBMITTED, State.DELIVERED)
            assert (parts[late].state, parts[late].attempts) == (State.DUE, [])
            assert parts[soon].attempts[0].at >= parts[soon].scheduled_at > began

    async def test_a_clock_set_back(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A retry waits for seconds, a date is a date: it does not come earlier because the wall clock was mended."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            message_id = await submit(raw, later(HOUR))
            part = it.engine.ledger.parts[message_id]
            it.engine.ledger.queues.set_back(1800.0)
            await trio.sleep(3000)
            assert part.attempts == []
            assert it.engine.ledger.queues.latest() == float("-inf")
            await trio.sleep(610)
            assert part.state == State.DELIVERED

    async def test_bad_and_past(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """ESME_RINVSCHED, ESME_RINVEXPIRY: nothing is kept."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            for number, (body, status) in enumerate(
                (
                    (later("soon"), names.ESME_RINVSCHED),
                    (later(times.render(it.clock.wall() - 60)), names.ESME_RINVSCHED),
                    (later("010000000000000R"), names.ESME_RINVSCHED),
                    (later(HOUR, validity_period="000000003000000R"), names.ESME_RINVEXPIRY),
                ),
                2,
            ):
                assert await raw.submit(body, number) == (status, "")
            assert not it.engine.ledger.parts

    async def test_cancelled(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """cancel_sm ends what is held, and nothing of it stays behind until its date."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            ids = [await submit(raw, later(HOUR, registered_delivery=0), number) for number in range(2, 32)]
            assert await cancel(raw, ids[0]) == 0
            assert await cancel(raw) == 0
            assert {it.engine.ledger.parts[one].state for one in ids} == {State.DELETED}
            assert not it.engine.ledger.queues._waiting
            await trio.sleep(3700)
            assert it.carriers["orange"].counts["taken"] == 0

    async def test_its_validity_ends_after_it(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What a sick carrier cannot take at its date expires as any other, its validity counted from there."""
        black = Temperament(response_delay="fixed:3600", receipt_delay="fixed:1")
        esmes = 'acme: {password: {plain: "secret"}, validity: 2m}'
        async with house(tmp_path, carriers={"orange": black}, carrier="window: 1, rate: 10/s", esmes=esmes) as it:
            raw = await bound(it)
            it.engine.dispatch.stations["orange"].drained = "a test"
            message_id = await submit(raw, later(HOUR))
            part = it.engine.ledger.parts[message_id]
            await trio.sleep(3700)
            assert part.state == State.DUE
            await trio.sleep(60)
            assert part.state == State.EXPIRED
            assert part.ended_at == pytest.approx(part.scheduled_at + 120, abs=15)

    async def test_no_route(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What no route leads to at its date is refused now."""
        routes = '- {name: fr, to: ["336"], carriers: [{carrier: orange}]}'
        async with house(tmp_path, carriers={"orange": KIND}, routes=routes) as it:
            raw = await bound(it)
            status, _ = await raw.submit(later(HOUR, destination_addr="4912345678"), 2)
            assert status == names.ESME_RINVDSTADR

    async def test_a_long_message(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Its parts go together at their date, by one bind (law 8)."""
        async with house(tmp_path, carriers={"orange": KIND, "sfr": KIND}) as it:
            raw = await bound(it)
            ids = [
                await submit(raw, later(HOUR, esm_class=0x40, short_message=bytes((5, 0, 3, 1, 3, n)) + b"x"), n + 1)
                for n in (1, 2, 3)
            ]
            await trio.sleep(3620)
            parts = [it.engine.ledger.parts[one] for one in ids]
            assert {part.state for part in parts} == {State.DELIVERED}
            assert len({part.attempts[0].bind for part in parts}) == 1


class TestQuery:
    @pytest.mark.parametrize(("version", "state"), [(0x34, 1), (0x50, 0)])
    async def test_scheduled(self, tmp_path: Path, autojump_clock: Clock, version: int, state: int) -> None:
        """SCHEDULED to a session of 5.0, ENROUTE to one of 3.4, which has no such word."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await _bound_as(await it.dial(), version)
            message_id = (await submit(raw, later(HOUR))).partition("\0")[0]
            assert (await query(raw, message_id))[1]["message_state"] == state
            await trio.sleep(3700)
            raw = await _bound_as(await it.dial(), version)
            assert (await query(raw, message_id))[1]["message_state"] == names.MessageState.DELIVERED


async def _bound_as(raw: Raw, version: int) -> Raw:
    fields = {"system_id": "acme", "password": "secret", "system_type": "", "interface_version": version}
    fields |= {"addr_ton": 0, "addr_npi": 0, "address_range": ""}
    await raw.send(encode(names.BIND_TRANSMITTER, fields, sequence_number=1))
    assert (await raw.pdu())[1] == 0
    return raw


async def test_a_submit_multi_is_held_too(tmp_path: Path, autojump_clock: Clock) -> None:
    """Each of its recipients until that date."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        to = [{"dest_flag": 1, "ton": 1, "npi": 1, "addr": f"3360000000{number}"} for number in range(3)]
        fields: dict[str, Any] = {"source_addr": FROM, "dest_address": to, "schedule_delivery_time": HOUR}
        await raw.send(encode(names.SUBMIT_MULTI, {**fields, "short_message": b"hello"}, sequence_number=7))
        command_id, status, _, _ = await raw.pdu()
        assert (command_id, status) == (names.SUBMIT_MULTI | 0x80000000, 0)
        await trio.sleep(3500)
        assert it.carriers["orange"].counts["taken"] == 0
        await trio.sleep(200)
        assert it.carriers["orange"].counts["taken"] == 3
