"""Every form a simulated carrier writes its receipts in is read by the engine's own reader as what was meant."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from smsroute.sim.carrierbook import Kind
from smsroute.sim.forms import Body, Dates, Form, Text
from smsroute.sim.idforms import RECEIPT_ID, RESPONSE_ID, TLV_ID, IdFormat
from smsroute.sim.judge import ERRS, err_of
from smsroute.sim.teller import Segments
from smsroute.sim.temperament import ReceiptsOn
from smsroute.sim.wire import Receipts, Submit, read_submit
from smsroute.sim.workload import Workload
from smsroute.smpp import names, receipt
from smsroute.smpp.codec import Pdu
from tests.sim_peers.stage import stage

AT = 1_767_225_600.0  # 2026-01-01 00:00 UTC
READABLE = [form for form in Text if form not in (Text.COMMA, Text.TLV_ONLY)]


def _submit(text: str = "Hello") -> Submit:
    submit = read_submit(Workload(text=text).bodies([3])[0])
    submit.number, submit.at, submit.word, submit.err = 0x1A0C3B4D, AT, "UNDELIV", "0K7Q"
    return submit


def _read(form: Form, ids: IdFormat = IdFormat.HEX, tlvs: bool = True) -> receipt.Receipt:
    command_id, body = Receipts(form, ids).write(_submit(), "UNDELIV", "0K7Q", AT + 61, tlvs)
    told = receipt.parse(Pdu(command_id, 0, 1, body))
    assert told is not None
    return told


@pytest.mark.parametrize("body", list(Body))
@pytest.mark.parametrize("text", READABLE)
def test_any_text_in_any_body(text: Text, body: Body) -> None:
    """Id, state and err are those of the message, whatever the labels, wherever they stand."""
    told = _read(Form(text, body, tlvs=False))
    assert [one for _, one in told.ids] == ["1a0c3b4d"]
    assert (told.state, told.err, told.source_addr) == (names.MessageState.UNDELIVERABLE, "0K7Q", "33600000003")


@pytest.mark.parametrize(
    ("dates", "sent", "done"),
    [
        (Dates.MINUTES, "2601010000", "2601010001"),
        (Dates.SECONDS, "260101000000", "260101000101"),
        (Dates.CENTURY, "20260101000000", "20260101000101"),
        (Dates.MIXED, "2601010000", "260101000101"),
        (Dates.BLANK, "", ""),
        (Dates.ZEROS, "", ""),
    ],
)
def test_dates(dates: Dates, sent: str, done: str) -> None:
    """Each width is written as asked; blanks and zeros are no dates."""
    told = _read(Form(dates=dates))
    assert (told.submit_date, told.done_date) == (sent, done)


def test_a_zone_of_its_own() -> None:
    """A carrier three and a half hours ahead writes its own local time."""
    assert _read(Form(zone_h=3.5)).submit_date == "2601010330"
    assert _read(Form(dates=Dates.SMPP, zone_h=-2.0, text=Text.MINIMAL)).err == "0K7Q"


def test_only_tlvs() -> None:
    """Without any text the two TLVs say id and state."""
    told = _read(Form(Text.TLV_ONLY))
    assert (told.ids, told.state) == (((receipt.FROM_TLV, "1a0c3b4d"),), names.MessageState.UNDELIVERABLE)


def test_the_comma_form() -> None:
    """F20, as its carrier writes it: status, done, accepted, err, destination, source, id."""
    _, body = Receipts(Form(Text.COMMA, tlvs=False), IdFormat.HEX).write(_submit(), "DELIVRD", "", AT + 61, True)
    assert body.endswith(b"00,2601010001,2601010000,000,33600000003,smsroute,1a0c3b4d")


def test_two_ids_in_one_receipt() -> None:
    """M3: the TLV is hexadecimal, the text decimal."""
    assert _read(Form(), IdFormat.HEX_DEC_TLV).ids == (
        (receipt.FROM_TLV, "1a0c3b4d"),
        (receipt.FROM_TEXT, "0437009229"),
    )


@pytest.mark.parametrize("ids", [kind for kind in IdFormat if kind not in (IdFormat.CONSTANT, IdFormat.EMPTY)])
def test_ids_are_told_apart(ids: IdFormat) -> None:
    """A thousand messages in a row have a thousand ids, in the response, the TLV and the text."""
    numbers = range(0x10000000, 0x10000000 + 1000)
    for write in (RESPONSE_ID[ids], RECEIPT_ID[ids], TLV_ID[ids]):
        assert len({write(n) for n in numbers}) == 1000


def test_errs_are_told_apart() -> None:
    """Each of many messages has an err of its own."""
    assert len({err_of(n) for n in range(0x12345678, 0x12345678 + 100_000)}) == 100_000 < ERRS


def test_one_part_speaks() -> None:
    """Of a message in three parts the first to come, or the last, gets a receipt; all share one fate."""
    for on, speaker in ((ReceiptsOn.ANY, 0), (ReceiptsOn.LAST, 2)):
        parts = [read_submit(body) for body in Workload(parts=3).bodies(range(3))]
        for part, word in zip(parts, ("DELIVRD", "UNDELIV", "EXPIRED"), strict=True):
            part.word = word
        Segments().decide(parts, on)
        assert [part.speaks for part in parts] == [n == speaker for n in range(3)]
        assert {part.word for part in parts} == {"DELIVRD"}


async def test_the_book(autojump_clock: MockClock) -> None:
    """The carrier's book knows each message, its id, and when each receipt left and was answered."""
    words = ["receipts_lost=0.2", "receipts_doubled=0.2", "receipts_intermediate=0.2", "receipts_stale=0.2"]
    async with stage([*words, "receipts_conflicting=0.2", "errs_unique=yes", "receipt_delay=2"], messages=200) as it:
        await it.answered()
        await trio.sleep(10)
        book, counts = it.carrier.book or [], it.carrier.counts
        told = {number: promise.message_ids[0] for number, promise in enumerate(it.esme.promises())}
        assert [one.response_id for one in book] == [told[number] for number in range(200)]
        kinds = [[fact.kind for fact in one.facts] for one in book]
        assert sum(one.lost for one in book) == counts["receipts_lost"] > 20
        assert sum(kind.count(Kind.ON_THE_WAY) for kind in kinds) == (
            counts["receipts_intermediate"] + counts["receipts_stale"]
        )
        assert sum(kind.count(Kind.CONFLICTING) for kind in kinds) == counts["receipts_conflicting"] > 20
        assert sum(fact.sent == 2 for one in book for fact in one.facts) == counts["receipts_doubled"] > 20
        assert all(one.told is not None and one.told.word == one.word for one in book if not one.lost)
        assert all(fact.answered_at >= fact.sent_at >= one.taken_at for one in book for fact in one.facts[-1:])


async def test_receipts_by_data_sm(autojump_clock: MockClock) -> None:
    """A carrier may tell by data_sm; a platform that refuses those is told nothing."""
    async with stage(["receipt_body=data-sm"], messages=10) as it:
        await it.answered()
        await it.esme.wait_for(lambda esme: esme.counts["other_requests"] == 10)
        await trio.sleep(1)
        assert it.carrier.counts["receipts_given_up"] == 10
