"""replace_sm and replace_if_present_flag. smsroute/esmes/commands.py, present.py, smpp/replace.py, replacing.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names, times
from smsroute.smpp.codec import PduError, build_sm, decode, encode, parse_sm, pdu
from smsroute.smpp.replace import replaced
from smsroute.smpp.wire import build_tlv, tlv
from smsroute.store.base import StoreError
from tests.esmes.test_commands import BODY, FROM, HELD, KIND, SILENT, TO, TWO, ask, bound, cancel, query, submit
from tests.house import House, Raw, house

Clock = trio.testing.MockClock
NOW = 1768230000.0
ANEW: dict[str, Any] = {
    "source_addr": FROM,
    "schedule_delivery_time": "",
    "validity_period": "",
    "registered_delivery": 1,
    "sm_default_msg_id": 0,
    "short_message": b"other words",
}


async def replace(raw: Raw, message_id: str, **fields: object) -> int:
    """replace_sm; the status of its answer."""
    return (await ask(raw, names.REPLACE_SM, {**ANEW, "message_id": message_id, **fields}))[0]


def flagged(text: bytes, **fields: Any) -> bytes:
    """A submit_sm that stands in for what waits."""
    given = {"source_addr": FROM, "destination_addr": TO, "registered_delivery": 1, "replace_if_present_flag": 1}
    return build_sm(short_message=text, **{**given, **fields})


def text_of(part: Part) -> bytes:
    """What it says."""
    return parse_sm(part.body).short_message


async def blocked(it: House, raw: Raw) -> None:
    """The carrier's window is full from now on."""
    await submit(raw, build_sm(source_addr="OTHER", destination_addr="33699999999"), 2)
    await trio.sleep(1)
    assert it.engine.binds[0].in_flight == 1


class TestReplaceSm:
    async def test_while_it_waits(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """The carrier gets the new words under the same id, once; its receipt is that of the message."""
        kind = Temperament(response_delay="fixed:5", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": kind}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            assert await replace(raw, message_id) == 0
            part = it.engine.ledger.parts[message_id]
            assert (text_of(part), part.state) == (b"other words", State.DUE)
            await trio.sleep(20)
            assert part.state == State.DELIVERED
            assert it.carriers["orange"].counts["taken"] == 2
            assert any("replaced" in fact for fact in part.facts)

    async def test_too_late(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """With a carrier, in doubt, or at its end: ESME_RREPLACEFAIL, and nothing changes."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=f"{HELD}, response_timeout: 5s") as it:
            raw = await bound(it)
            message_id = await submit(raw)
            part = it.engine.ledger.parts[message_id]
            for pause_s, state in ((1, State.ATTEMPTED), (5, State.IN_DOUBT), (60, State.DELIVERED)):
                await trio.sleep(pause_s)
                assert part.state == state
                assert await replace(raw, message_id) == names.ESME_RREPLACEFAIL
            assert not any("replaced" in fact for fact in part.facts)

    async def test_one_that_leaves_meanwhile(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """An attempt written down a moment before is ahead of it: ESME_RREPLACEFAIL, and the first words are sent."""
        slow = Temperament(response_delay="fixed:5", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": slow}, carrier=HELD) as it:
            raw = await bound(it)
            await submit(raw)
            message_id = await submit(raw, number=3)
            (bind,) = it.engine.binds
            it.blocking.latency_s = (1.0, 1.0)
            with trio.fail_after(20):
                while not bind.reserved:  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.05)
            assert await replace(raw, message_id) == names.ESME_RREPLACEFAIL
            assert text_of(it.engine.ledger.parts[message_id]) == b"hello"
            it.blocking.latency_s = (0.0002, 0.003)

    async def test_whose_it_is(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """An id nobody gave, or another ESME's, is ESME_RINVMSGID; another source ESME_RREPLACEFAIL."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD, esmes=TWO) as it:
            raw, other = await bound(it), await bound(it, "other")
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            assert await replace(other, message_id) == names.ESME_RINVMSGID
            assert await replace(raw, "0123456789ABCDEFN1") == names.ESME_RINVMSGID
            assert await replace(raw, message_id, source_addr="SHOP") == names.ESME_RREPLACEFAIL
            assert text_of(it.engine.ledger.parts[message_id]) == b"hello"

    async def test_what_it_may_say(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Receipt and validity change with it, or stay where nothing is said; wrong times have their statuses."""
        silent = Temperament(response_delay="fixed:500", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": silent}, carrier=f"{HELD}, response_timeout: 600s") as it:
            raw = await bound(it)
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            part = it.engine.ledger.parts[message_id]
            expires_at = part.expires_at
            assert await replace(raw, message_id, registered_delivery=0) == 0
            assert (part.wants_receipt, part.expires_at) == (0, expires_at)
            assert await replace(raw, message_id, validity_period="000000000200000R") == 0
            assert part.expires_at == pytest.approx(it.clock.wall() + 120, abs=1)
            for fields, status in (
                ({"validity_period": "soon"}, names.ESME_RINVEXPIRY),
                ({"validity_period": times.render(it.clock.wall() - 60)}, names.ESME_RINVEXPIRY),
                ({"schedule_delivery_time": "soon"}, names.ESME_RINVSCHED),
                ({"schedule_delivery_time": times.render(it.clock.wall() - 60)}, names.ESME_RINVSCHED),
                ({"schedule_delivery_time": "000000001000000R"}, names.ESME_RINVSCHED),  # after those two minutes
            ):
                assert await replace(raw, message_id, **fields) == status
            await trio.sleep(150)
            assert part.state == State.EXPIRED

    async def test_for_another_hour(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A schedule_delivery_time in it holds a message that waits its turn; a later one brings it forward again."""
        kind = Temperament(response_delay="fixed:5", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": kind}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            part = it.engine.ledger.parts[message_id]
            assert await replace(raw, message_id, schedule_delivery_time="000000020000000R") == 0
            await trio.sleep(3600)
            assert (part.state, part.attempts) == (State.DUE, [])
            raw = await bound(it)  # the session died of its silence
            assert await replace(raw, message_id, schedule_delivery_time="000000000100000R") == 0
            await trio.sleep(59)
            assert (part.state, part.attempts) == (State.DUE, [])
            await trio.sleep(20)
            assert part.state == State.DELIVERED

    async def test_a_sick_disk(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """While nothing can be written down nothing is replaced: ESME_RSYSERR, and it waits on, and is sent."""

        def sick(name: str) -> None:
            raise StoreError("failed", "I/O error")

        kind = Temperament(response_delay="fixed:5", receipt_delay="fixed:1")
        async with house(tmp_path, carriers={"orange": kind}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            it.blocking.refuse = sick
            later = "000000000100000R"
            assert await replace(raw, message_id, schedule_delivery_time=later) == names.ESME_RSYSERR
            it.blocking.refuse = None
            part = it.engine.ledger.parts[message_id]
            await trio.sleep(30)
            assert part.state == State.DELIVERED
            assert not any("replaced" in fact for fact in part.facts)

    async def test_a_restart_knows_it(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What was replaced is what a new engine sends."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            message_id = await submit(raw, number=3)
            assert await replace(raw, message_id, schedule_delivery_time="000000010000000R") == 0
        async with house(tmp_path, carriers={"orange": KIND}, carrier=HELD) as it:
            part = it.engine.ledger.parts[message_id]
            assert (text_of(part), part.attempts) == (b"other words", [])
            await trio.sleep(3630)
            assert part.state in (State.SUBMITTED, State.DELIVERED)


class TestTheNewBody:
    def _replaced(self, body: bytes, *tail: tuple[int, bytes], **fields: object) -> Any:
        return replaced(body, {**ANEW, **fields}, list(tail), NOW)[1]

    def test_what_stays(self) -> None:
        """Addresses, data_coding, flags and TLVs are the submit's; text, receipt and default message are new."""
        more = build_tlv(0x1400, b"123")
        given: dict[str, Any] = {
            "source_addr": FROM, "source_addr_ton": 5, "destination_addr": TO, "dest_addr_ton": 1, "dest_addr_npi": 1,
            "service_type": "OTP", "protocol_id": 1, "priority_flag": 2, "data_coding": 8,
        }  # fmt: skip
        said = self._replaced(
            build_sm(**given, short_message=b"\0h", tlv=more, registered_delivery=1),
            short_message=b"\0x",
            registered_delivery=2,
            sm_default_msg_id=7,
        )
        assert {name: getattr(said, name) for name in given} == given
        assert (said.short_message, said.registered_delivery, said.sm_default_msg_id) == (b"\0x", 2, 7)
        assert said.tlv == more

    def test_a_payload(self) -> None:
        """A message_payload goes with the text it was; in SMPP 5.0 the new text may be one."""
        long = build_tlv(names.MESSAGE_PAYLOAD, b"x" * 300)
        was = build_sm(destination_addr=TO, tlv=long)
        assert self._replaced(was).tlv == b""
        said = self._replaced(was, (names.MESSAGE_PAYLOAD, b"y" * 400), (0x1400, b"1"), short_message=b"")
        assert (said.short_message, tlv(said.tlv, names.MESSAGE_PAYLOAD)) == (b"", b"y" * 400)

    def test_a_part_stays_that_part(self) -> None:
        """Its header may not name another place, or none; what the flags cannot mean is refused as in a submit."""
        part = build_sm(destination_addr=TO, esm_class=0x40, short_message=b"\5\0\3\1\2\1hello")
        assert self._replaced(part, short_message=b"\5\0\3\1\2\1other").short_message[6:] == b"other"
        for text, status in (
            (b"\5\0\3\1\2\2other", names.ESME_RREPLACEFAIL),
            (b"\5\0\3\2\2\1other", names.ESME_RREPLACEFAIL),
            (b"\1\0other", names.ESME_RREPLACEFAIL),
            (b"", names.ESME_RINVMSGLEN),
        ):
            with pytest.raises(PduError) as caught:
                self._replaced(part, short_message=text)
            assert caught.value.command_status == status


class TestReplaceIfPresent:
    async def test_what_waits_is_ended(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """The newest stands in for all that wait from that source to that destination; each id has its end."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            plain = [await submit(raw, number=number) for number in (3, 4)]
            first = await submit(raw, flagged(b"first"), 5)
            second = await submit(raw, flagged(b"second"), 6)
            parts = it.engine.ledger.parts
            assert [parts[one].state for one in (*plain, first, second)] == [State.DELETED] * 3 + [State.DUE]
            assert second in parts[first].why
            await trio.sleep(100)
            assert it.carriers["orange"].counts["taken"] == 2
            assert list(it.engine.ledger.outboxes["acme"].owed) == [*plain, first, second]

    async def test_what_may_be_on_a_handset(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """A part that waits to be sent again after an attempt in doubt is not replaced, one way or the other."""
        routes = '- {name: all, to: [""], in_doubt: {default: {resend_after: 1s}}, carriers: [{carrier: orange}]}'
        black = Temperament(response_delay="fixed:3600", receipt_delay="fixed:1")
        carrier = f"{HELD}, response_timeout: 5s"
        async with house(tmp_path, carriers={"orange": black}, carrier=carrier, routes=routes) as it:
            raw = await bound(it)
            message_id = await submit(raw)
            part = it.engine.ledger.parts[message_id]
            it.engine.dispatch.stations["orange"].drained = "a test"
            with trio.fail_after(60):
                while not (part.state == State.DUE and part.attempts and part.attempts[0].doubted):  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.1)
            assert await replace(raw, message_id) == names.ESME_RREPLACEFAIL
            await submit(raw, flagged(b"new"), 3)
            assert (part.state, text_of(part)) == (State.DUE, b"hello")

    async def test_in_one_read(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Of two that come together only the second leaves."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, flagged(b"x%d" % number)) for number in (2, 3)))
            ids = [(await raw.pdu())[3].rstrip(b"\0").decode() for _ in range(2)]
            await trio.sleep(5)
            assert [it.engine.ledger.parts[one].state for one in ids] == [State.DELETED, State.DELIVERED]
            assert it.carriers["orange"].counts["taken"] == 1

    async def test_nothing_waits(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What a carrier has, or may have, stays; the newcomer is a message like any other."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier="window: 5, rate: 100/s") as it:
            raw = await bound(it)
            first, second = await submit(raw), await submit(raw, flagged(b"second"), 3)
            await trio.sleep(60)
            assert [it.engine.ledger.parts[one].state for one in (first, second)] == [State.DELIVERED] * 2

    async def test_others_stay(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Another source, destination, service_type or ESME is another message."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD, esmes=TWO) as it:
            raw, other = await bound(it), await bound(it, "other")
            await blocked(it, raw)
            stay = [
                await submit(raw, build_sm(source_addr="SHOP", destination_addr=TO), 3),
                await submit(raw, build_sm(source_addr=FROM, destination_addr="33612345679"), 4),
                await submit(raw, build_sm(source_addr=FROM, destination_addr=TO, service_type="OTP"), 5),
                await submit(other, build_sm(source_addr=FROM, destination_addr=TO, short_message=b"others"), 6),
            ]
            goes = await submit(raw, BODY, 7)
            await submit(raw, flagged(b"new"), 8)
            assert [it.engine.ledger.parts[one].state for one in stay] == [State.DUE] * 4
            assert it.engine.ledger.parts[goes].state == State.DELETED

    async def test_a_long_message(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """Its parts stand in for the parts of the one before, never for each other."""
        async with house(tmp_path, carriers={"orange": SILENT}, carrier=HELD) as it:
            raw = await bound(it)
            await blocked(it, raw)
            ids = []
            for reference, sequence in ((1, 3), (2, 5), (2, 7)):  # a client may use one reference for ever
                for number in (1, 2):
                    text = bytes((5, 0, 3, reference, 2, number)) + b"hello"
                    ids.append(await submit(raw, flagged(text, esm_class=0x40), sequence + number))
            states = [it.engine.ledger.parts[one].state for one in ids]
            assert states == [State.DELETED] * 4 + [State.DUE] * 2

    async def test_what_is_known_is_bounded(self, tmp_path: Path, autojump_clock: Clock) -> None:
        """What was sent is let go as others come."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await bound(it)
            for number in range(100):
                body = flagged(b"x", destination_addr=f"336000000{number:02}", registered_delivery=0)
                await submit(raw, body, number + 2)
            assert len(it.engine.accept._present) < 20
            await trio.sleep(5)
            await submit(raw, flagged(b"x"), 200)
            assert len(it.engine.accept._present) < 20


async def test_replace_sm_is_answered_without_a_body(tmp_path: Path, autojump_clock: Clock) -> None:
    """Section 4.10.2: a header and nothing else, whatever the status."""
    async with house(tmp_path, carriers={"orange": KIND}) as it:
        raw = await bound(it)
        await raw.send(encode(names.REPLACE_SM, {**ANEW, "message_id": "1"}, sequence_number=9))
        answer = await raw.pdu()
        assert answer == (names.REPLACE_SM | 0x80000000, names.ESME_RINVMSGID, 9, b"")
        assert decode(pdu(*answer)).fields == {}
        assert (await query(raw, "1"))[0] == await cancel(raw, "1") == names.ESME_RINVMSGID
