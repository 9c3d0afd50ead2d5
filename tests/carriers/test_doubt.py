"""In doubt, end to end: hold, resend and fail, and whatever the carriers say of it later.

smsroute/carriers/sweep.py, answers.py, smsroute/ledger.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from smsroute.message import Part, State
from smsroute.ops.story import lines
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, pdu
from tests.house import House, Raw, house

LIMITS = "{sweep_interval: 100ms, esme_enquire_link: 0s, receipt_grace: 60s}"
CARRIER = "window: 20, rate: 500/s, response_timeout: 5s"
LATE = Temperament(response_delay="fixed:12", receipt_delay="fixed:2")  # the receipt comes after 14 s
HELLO = build_sm(destination_addr="33612345678", registered_delivery=1, short_message=b"hello")


def backup(receipt_s: int) -> Temperament:
    """Answers at once; its receipt comes so long after the resend, 8 s after the submit."""
    return Temperament(response_delay="fixed:0.1", receipt_delay=f"fixed:{receipt_s}")


@asynccontextmanager
async def doubting(
    tmp_path: Path, policy: str, carriers: Mapping[str, Temperament], *, say: bytes = HELLO
) -> AsyncIterator[tuple[House, Raw, Part]]:
    """A part submitted to orange, six seconds ago: orange has not answered, the rest are backups."""
    others = ", ".join(f"{{carrier: {name}, cost: 0.05}}" for name in carriers if name != "orange")
    routes = (
        f'- {{name: all, to: [""], in_doubt: {{default: {policy}}}, carriers: [{{carrier: orange, cost: 0.03}}], '
        f"backup: [{others}]}}"
    )
    async with house(tmp_path, carriers=carriers, carrier=CARRIER, routes=routes, limits=LIMITS) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        status, message_id = await raw.submit(say)
        assert status == 0
        await trio.sleep(6)
        part = it.engine.ledger.parts[message_id]
        assert part.state == State.IN_DOUBT
        yield it, raw, part


async def told(raw: Raw, seconds: float) -> list[bytes]:
    """The receipts the ESME gets in so long, each answered."""
    bodies: list[bytes] = []
    with trio.move_on_after(seconds):
        while True:
            command_id, _, sequence_number, body = await raw.pdu()
            assert command_id == names.DELIVER_SM
            bodies.append(body)
            await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return bodies


def story(part: Part) -> list[str]:
    """What trace says of it, without times."""
    return [what for _, what in lines(part)]


async def test_hold_and_a_late_response(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It was taken after all: sent once, delivered, told once; trace says since when it was in doubt, and why."""
    async with doubting(tmp_path, "hold", {"orange": LATE, "other": backup(1)}) as (it, raw, part):
        assert len(await told(raw, 60)) == 1
        assert (part.state, len(part.attempts)) == (State.DELIVERED, 1)
        assert "attempt 1 in doubt: no answer from orange-1 in 5 s" in story(part)
        assert 4.9 < part.attempts[0].doubted_at - part.attempts[0].at < 5.2
        assert it.carriers["other"].counts["taken"] == 0


async def test_a_late_response_and_receipt_of_the_first_attempt_after_the_resend(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Both delivered: the first word ends it, the second is a fact that tells why the handset has it twice (5, 6)."""
    async with doubting(tmp_path, "{resend_after: 3s}", {"orange": LATE, "other": backup(20)}) as (it, raw, part):
        [receipt] = await told(raw, 60)
        assert b"stat:DELIVRD" in receipt
        assert part.why == "receipt from orange: DELIVRD"
        assert [(one.carrier, one.resent) for one in part.attempts] == [("orange", True), ("other", False)]
        sent_again = "attempt 1 sent again, maybe twice: in doubt for 3 s, route all says resend"
        facts = [what.partition(" ")[2] for what in part.facts]
        assert facts == [sent_again, "other says DELIVRD 000 of attempt 2 too"]
        assert sent_again in story(part)
        assert it.engine.ledger.counts.delivered_twice == 1


async def test_the_second_attempt_delivers_first(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The other way round: the late response and receipt of the first change nothing."""
    async with doubting(tmp_path, "{resend_after: 3s}", {"orange": LATE, "other": backup(1)}) as (it, raw, part):
        assert len(await told(raw, 60)) == 1
        assert part.why == "receipt from other: DELIVRD"
        assert part.facts[-1].endswith("orange says DELIVRD 000 of attempt 1 too")
        assert it.engine.ledger.counts.overtaken == 1


async def test_bad_news_of_the_resend_while_the_first_may_deliver(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """orange has taken it and tells later: the ESME hears DELIVRD, not the UNDELIV that came before."""
    failing = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:5", outcomes="UNDELIV")
    async with doubting(tmp_path, "{resend_after: 3s}", {"orange": LATE, "other": failing}) as (_, raw, part):
        [receipt] = await told(raw, 60)
        assert b"stat:DELIVRD" in receipt
        assert any("other says UNDELIV 001 of attempt 2" in fact for fact in part.facts)


async def test_a_late_response_before_the_resend_has_left(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It waits for its turn to go again, and then need not."""
    async with doubting(tmp_path, "{resend_after: 3s}", {"orange": LATE}) as (it, raw, part):
        it.engine.dispatch.stations["orange"].drained = "for the test"
        await trio.sleep(4)
        assert part.state == State.DUE
        assert len(await told(raw, 60)) == 1
        assert (part.state, len(part.attempts)) == (State.DELIVERED, 1)
        assert it.carriers["orange"].counts["taken"] == 1


async def test_a_late_refusal_of_the_first_attempt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """orange did not take it after all: a fact, and the second attempt decides alone."""
    refusing = Temperament(response_delay="fixed:12", error_share=1.0, error_statuses="0x0b")
    async with doubting(tmp_path, "{resend_after: 3s}", {"orange": refusing, "other": backup(20)}) as (_, raw, part):
        assert len(await told(raw, 60)) == 1
        assert (part.state, part.attempts[0].code) == (State.DELIVERED, names.ESME_RINVDSTADR)
        assert any(fact.endswith("attempt 1 answered late, code 11") for fact in part.facts)


async def test_fail_tells_the_esme_and_what_comes_later_is_a_fact(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """UNKNOWN after its time in doubt, once; the delivery that then turns out is for trace (law 5)."""
    async with doubting(tmp_path, "{fail_after: 3s}", {"orange": LATE, "other": backup(1)}) as (it, raw, part):
        [receipt] = await told(raw, 60)
        assert b"stat:UNKNOWN" in receipt
        assert (part.state, part.why) == (State.UNKNOWN, "in doubt for 3 s, route all says fail")
        assert part.facts[-1].endswith("orange says DELIVRD 000 after the end")
        assert it.carriers["other"].counts["taken"] == 0


async def test_it_is_sent_again_once(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The resend is in doubt too: then it is held, and ends UNKNOWN when its validity and grace are over."""
    say = build_sm(destination_addr="33612345678", registered_delivery=1, validity_period="000000000100000R")
    carriers = {"orange": Temperament(response_delay="fixed:900"), "other": Temperament(response_delay="fixed:900")}
    async with doubting(tmp_path, "{resend_after: 3s}", carriers, say=say) as (it, raw, part):
        for carrier in it.carriers.values():
            carrier.mode = Mode.SILENT
        await trio.sleep(50)
        assert (part.state, len(part.attempts)) == (State.IN_DOUBT, 2)
        [receipt] = await told(raw, 100)
        assert b"stat:UNKNOWN" in receipt
        assert (part.state, len(part.attempts)) == (State.UNKNOWN, 2)
