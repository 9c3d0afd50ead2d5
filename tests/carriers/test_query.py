"""query_sm: what became of parts whose receipt is long in coming. smsroute/carriers/query.py, sweep.py, bind.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from smsroute.carriers.query import Slices
from smsroute.message import Part, State
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, pdu
from tests.house import House, Raw, house

LIMITS = (
    "{sweep_interval: 100ms, receipt_grace: 30s, esme_enquire_link: 0s, "
    "query_after: 20s, query_interval: 60s, query_wait: 30s, queries_max: 3}"
)
ASKED = "window: 20, rate: 500/s, response_timeout: 5s, query_sm: true"
LOST = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:1", receipts_lost=1.0, query_sm=True)
SLOW = Temperament(response_delay="fixed:0.1", receipt_delay="fixed:300", query_sm=True)


@asynccontextmanager
async def asking(tmp_path: Path, temperament: Temperament, carrier: str = ASKED) -> AsyncIterator[tuple[House, Raw]]:
    """A house with one carrier that can be asked, and a bound client."""
    async with house(tmp_path, carriers={"orange": temperament}, carrier=carrier, limits=LIMITS) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        yield it, raw


async def submitted(it: House, raw: Raw, validity: str = "") -> Part:
    """A part the carrier has taken. `validity`: SMPP's relative time."""
    body = build_sm(
        source_addr="SHOP",
        source_addr_ton=5,
        destination_addr="33612345678",
        registered_delivery=1,
        short_message=b"hello",
        validity_period=validity,
    )
    status, message_id = await raw.submit(body)
    assert status == 0
    await trio.sleep(1)
    part = it.engine.ledger.parts[message_id]
    assert part.attempts[-1].carrier_message_id or it.carriers["orange"].mode is not Mode.KIND
    return part


def said(part: Part) -> list[str]:
    """Its facts about queries."""
    return [what for what in (fact.partition(" ")[2] for fact in part.facts) if "queried" in what]


def says(monkeypatch: pytest.MonkeyPatch, it: House, status: int, body: bytes = b"") -> None:
    """From now on the carrier answers every query so; `{id}` in the body is the id asked for."""

    def answer(asked: bytes) -> tuple[int, bytes]:
        return status, body.replace(b"{id}", asked.split(b"\0", 1)[0])

    monkeypatch.setattr(it.carriers["orange"]._asked, "answer", answer)


async def receipt(raw: Raw) -> bytes:
    """The next deliver_sm, answered."""
    with trio.fail_after(600):
        command_id, _, sequence_number, body = await raw.pdu()
    assert command_id == names.DELIVER_SM
    await raw.send(pdu(names.DELIVER_SM_RESP, 0, sequence_number, b"\0"))
    return body


async def test_a_lost_receipt_is_asked_for(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The carrier's word ends the part as a receipt would, its ESME is told once, and trace can say how."""
    async with asking(tmp_path, LOST) as (it, raw):
        part = await submitted(it, raw)
        assert b"stat:DELIVRD" in await receipt(raw)
        assert part.state == State.DELIVERED
        assert 19 < part.ended_at - part.attempts[0].responded_at < 23
        assert said(part) == ["attempt 1 queried: orange says DELIVRD, since 261122120000000+"]
        assert part.why == "receipt from orange: query_sm DELIVRD"


async def test_the_real_receipt_after_it_is_a_duplicate(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """It changes nothing, and nobody is told again."""
    async with asking(tmp_path, SLOW) as (it, raw):
        part = await submitted(it, raw)
        for submit in it.carriers["orange"]._asked._taken.values():
            submit.told = True  # it was delivered long ago, and the receipt dawdles
        await receipt(raw)
        await trio.sleep(400)
        counts = it.engine.ledger.counts
        assert (counts.receipts_matched, counts.receipts_duplicate) == (1, 1)
        assert (part.state, it.carriers["orange"].counts["receipts_sent"]) == (State.DELIVERED, 1)
        with trio.move_on_after(60) as waited:
            await raw.pdu()
        assert waited.cancelled_caught


async def test_on_its_way_is_no_end_and_is_asked_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Each `query_interval` one question, one fact however often; the receipt ends it."""
    async with asking(tmp_path, SLOW) as (it, raw):
        part = await submitted(it, raw)
        await trio.sleep(200)
        assert said(part) == ["attempt 1 queried: orange says ENROUTE"]
        assert it.carriers["orange"].counts["queries"] == 4
        await trio.sleep(200)
        assert part.why == "receipt from orange: DELIVRD"


@pytest.mark.parametrize("told", [True, False])
async def test_before_a_part_ends_unknown_its_carrier_is_asked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, told: bool
) -> None:
    """Once validity and grace are over: what the carrier then says is the end, else UNKNOWN with that for a reason."""
    async with asking(tmp_path, SLOW) as (it, raw):
        part = await submitted(it, raw, validity="000000000015000R")
        await trio.sleep(30)
        asked = it.carriers["orange"].counts["queries"]
        for submit in it.carriers["orange"]._asked._taken.values():
            submit.told = told
        await receipt(raw)
        assert it.carriers["orange"].counts["queries"] == asked + 1
        assert part.state == (State.DELIVERED if told else State.UNKNOWN)
        assert told or part.why == "no receipt came within validity and grace, and the carrier, asked, told no end"


async def test_a_carrier_that_is_away_is_not_waited_for_for_ever(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """`query_wait` after the end a part ends UNKNOWN unasked."""
    async with asking(tmp_path, SLOW) as (it, raw):
        part = await submitted(it, raw, validity="000000000015000R")
        it.carriers["orange"].mode = Mode.CLOSED
        await receipt(raw)
        assert part.state == State.UNKNOWN
        assert part.why == "no receipt came within validity and grace"
        assert 30 + 30 <= part.ended_at - part.expires_at <= 30 + 30 + 25


@pytest.mark.parametrize(
    ("status", "body", "fact"),
    [
        (names.ESME_RQUERYFAIL, b"", "ESME_RQUERYFAIL: it cannot tell now"),
        (names.ESME_RINVMSGID, b"", "ESME_RINVMSGID: it does not know the id"),
        (names.ESME_RTHROTTLED, b"", "ESME_RTHROTTLED"),
        (names.ESME_ROK, b"", "nothing anybody can read"),
        (names.ESME_ROK, b"{id}\0no date ends here", "nothing anybody can read"),
        (names.ESME_ROK, b"another\0\0\2\0", "DELIVRD, of another, which is another message"),
        (names.ESME_ROK, b"{id}\0\0\7\0", "UNKNOWN"),
        (names.ESME_ROK, b"{id}\0\0\6\0", "ACCEPTD"),
        (names.ESME_ROK, b"{id}\0\0\x2a\0", "state 42"),
    ],
)
async def test_what_is_no_last_word_is_a_fact(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    fact: str,
) -> None:
    """Errors, other messages' answers and octets nobody understands end nothing; it is asked again later."""
    async with asking(tmp_path, LOST) as (it, raw):
        says(monkeypatch, it, status, body)
        part = await submitted(it, raw)
        await trio.sleep(30)
        assert part.state == State.SUBMITTED
        assert said(part) == [f"attempt 1 queried: orange says {fact}"]
        monkeypatch.undo()
        await receipt(raw)
        assert part.state == State.DELIVERED


@pytest.mark.parametrize(
    ("body", "state", "err"),
    [
        (b"{id}\0\0\2", State.DELIVERED, "000"),  # it leaves error_code out
        (b"\0\0\5\x0b", State.UNDELIVERABLE, "011"),  # or the id: the sequence number names it
        (b"{id}\x00261122120000000+\0\3\0", State.EXPIRED, "000"),
        (b"{id}\0\0\x08\xff", State.REJECTED, "255"),
    ],
)
async def test_last_words(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    state: State,
    err: str,
) -> None:
    """message_state becomes our state and error_code the receipt's err, of answers that are complete enough."""
    async with asking(tmp_path, LOST) as (it, raw):
        says(monkeypatch, it, names.ESME_ROK, body)
        part = await submitted(it, raw)
        assert b"err:" + err.encode() in await receipt(raw)
        assert (part.state, part.err) == (state, err)


async def test_a_carrier_that_knows_no_query_is_left_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESME_RINVCMDID is a fact, once; its parts end as if it had never been asked."""
    async with asking(tmp_path, LOST) as (it, raw):
        says(monkeypatch, it, names.ESME_RINVCMDID)
        part = await submitted(it, raw, validity="000000000500000R")
        await receipt(raw)
        assert part.state == State.UNKNOWN
        assert it.carriers["orange"].counts["queries"] == 1
        assert len(said(part)) == 1


async def test_a_carrier_without_the_key_is_never_asked(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`query_sm: false` is the default."""
    async with asking(tmp_path, LOST, "window: 20, rate: 500/s") as (it, raw):
        await submitted(it, raw)
        await trio.sleep(600)
        assert it.carriers["orange"].counts["queries"] == 0


async def test_silence_is_a_fact_and_no_fault_of_submits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A query nobody answers, and one whose link died, leave the part as it was, and no submit waits for them."""
    async with asking(tmp_path, SLOW) as (it, raw):
        part = await submitted(it, raw)
        it.carriers["orange"].mode = Mode.SILENT
        await trio.sleep(22)
        bind = it.engine.binds[0]
        assert (bind.asked, bind.in_flight, bind.room, bind.oldest_sent_at) == (1, 0, 20, None)
        await trio.sleep(5)
        assert (bind.asked, said(part)) == (0, ["attempt 1 queried: orange says nothing, in time"])
        it.carriers["orange"].mode = Mode.KIND
        await trio.sleep(53)
        assert bind.asked == 0
        it.carriers["orange"].mode = Mode.SILENT
        await trio.sleep(2)
        it.carriers["orange"].drop_links()
        await trio.sleep(2)
        assert (bind.asked, part.state) == (0, State.SUBMITTED)
        assert it.engine.ledger.counts.doubted == 0


async def test_questions_are_few_and_cost_the_window_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """At most `queries_max` unanswered on a bind; all parts are asked for in the end, while submits go on."""
    async with asking(tmp_path, LOST) as (it, _):
        esme = it.platform(60)
        most = 0
        with trio.fail_after(600):
            while not esme.settled:
                bind = it.engine.binds[0]
                most = max(most, bind.asked)
                assert bind.room == 20 - bind.in_flight - bind.reserved
                await trio.sleep(0.01)
        assert most == 3
        assert it.carriers["orange"].counts["queries"] == 60
        assert it.engine.ledger.counts.delivered == 60


async def test_a_late_response_names_what_was_in_doubt(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """In doubt nobody can be asked for; once the response comes after all, it can, and was sent once."""
    late = Temperament(response_delay="fixed:15", receipt_delay="fixed:1", receipts_lost=1.0, query_sm=True)
    async with house(tmp_path, carriers={"orange": late}, carrier=ASKED, limits=LIMITS) as it:
        raw = await it.dial()
        assert await raw.bind() == 0
        _, message_id = await raw.submit(build_sm(destination_addr="33612345678", registered_delivery=1))
        await trio.sleep(10)
        part = it.engine.ledger.parts[message_id]
        assert part.state == State.IN_DOUBT
        await trio.sleep(30)
        assert part.state == State.DELIVERED
        assert (it.carriers["orange"].counts["taken"], len(part.attempts)) == (1, 1)


def test_slices_take_each_thing_once_a_walk() -> None:
    """A walk begins when the first of it is asked for, and the next one after its end."""
    ids = ["a", "b", "c", "d", "e"]

    def walk() -> Iterator[str]:
        yield from list(ids)

    slices = Slices(walk)
    ids.append("f")
    assert (slices.take(4), slices.take(4)) == (["a", "b", "c", "d"], ["e", "f"])
    ids.append("g")
    assert slices.take(10) == ["a", "b", "c", "d", "e", "f", "g"]
    ids.clear()
    assert slices.take(10) == []
    ids.append("a")
    assert slices.take(10) == ["a"]
