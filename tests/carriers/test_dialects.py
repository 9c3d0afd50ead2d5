"""What the engine makes of receipts told in other ways: rows D1, D3, D11 and D12, and the words that end a message.
smsroute/carriers/dialects.py and receipts.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from smsroute.message import Part, State
from smsroute.sim.account import Notice
from smsroute.sim.temperament import Temperament
from smsroute.smpp import codec, names
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
SILENT = {"orange": Temperament(receipts_lost="1", response_delay="fixed:0.05")}
TEXT = "id:{} sub:001 dlvrd:001 submit date:2601121501 done date:2601121502 stat:{} err:000 text:hi"


def dialect(keys: str) -> str:
    return f"window: 50, rate: 1000/s, dialect: {{ids: exact, {keys}}}".replace(", }", "}")


async def sent(it: House) -> Part:
    """The only message, taken by the carrier and not heard of since."""
    it.platform(1)
    await trio.sleep(3)
    (part,) = it.engine.ledger.parts.values()
    assert part.state == State.SUBMITTED
    return part


def named(part: Part) -> str:
    return part.attempts[-1].carrier_message_id


async def write(it: House, text: str, esm_class: int = 4, tlv: bytes = b"") -> None:
    """The carrier says `text`."""
    body = codec.build_sm(
        source_addr="33612345678",
        destination_addr="ACME",
        esm_class=esm_class,
        short_message=text.encode(),
        tlv=tlv,
    )
    orange = it.carriers["orange"]
    link = next(link for account in orange._accounts.values() for link in account.receivers())
    link.waiting.append(Notice(names.DELIVER_SM, body))
    orange._flush(link)
    await trio.sleep(3)


def answered(it: House) -> tuple[int, int]:
    """How many of the carrier's deliver_sm were answered with 0, and with an error."""
    counts = it.carriers["orange"].counts
    return counts["receipts_answered"], counts["receipts_refused"] + counts["receipts_given_up"]


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18])
async def test_d1_an_answer_of_the_recipient_ends_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, esm_class: int
) -> None:
    """Not even with an id we know and the TLVs of a receipt: it is answered as a message from a handset is."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(""), esmes=ESME) as it:
        part = await sent(it)
        identity = codec.build_tlv(names.RECEIPTED_MESSAGE_ID, named(part).encode() + b"\0")
        state = codec.build_tlv(names.MESSAGE_STATE, b"\5")
        await write(it, TEXT.format(named(part), "UNDELIV"), esm_class, identity + state)
        assert part.state == State.SUBMITTED
        assert it.engine.ledger.counts.receipts == 0
        assert (answered(it), it.engine.handsets.refused["orange"]) == ((0, 1), 1)
        await write(it, TEXT.format(named(part), "DELIVRD"))
        assert part.state == State.DELIVERED


@pytest.mark.parametrize("allowed", [True, False])
async def test_d3_a_plain_message_is_a_receipt_only_by_an_id_we_know(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, allowed: bool
) -> None:
    """Where the dialect says so; else, and with an id nobody gave, it is what a handset wrote."""
    keys = f"without_esm_class: {str(allowed).lower()}"
    async with house(tmp_path, carriers=SILENT, carrier=dialect(keys), esmes=ESME) as it:
        part = await sent(it)
        await write(it, TEXT.format("nobody", "DELIVRD"), 0)
        assert (answered(it), it.engine.ledger.counts.orphans_parked) == ((0, 1), 0)
        await write(it, TEXT.format(named(part), "DELIVRD"), 0)
        assert part.state == (State.DELIVERED if allowed else State.SUBMITTED)
        assert answered(it) == ((1, 1) if allowed else (0, 2))


async def test_d11_a_receipt_nobody_asked_for(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Answered 0, found to be of its message, and told to no ESME."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(""), esmes=ESME) as it:
        esme = it.platform(1, registered_delivery=0)
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.counts["accepted"] == 1)
        (part,) = it.engine.ledger.parts.values()
        await trio.sleep(3)
        assert part.state == State.ACCEPTED
        await write(it, TEXT.format(named(part), "DELIVRD"))
        counts = it.engine.ledger.counts
        assert (answered(it), counts.receipts, counts.orphans_parked) == ((1, 0), 1, 0)
        assert (part.state, counts.told) == (State.ACCEPTED, 0)
        assert (esme.counts["told"], esme.counts["receipts_doubled_or_unknown"]) == (0, 0)


async def test_d12_a_receipt_of_a_message_that_was_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Its submit_sm_resp was ESME_RINVDSTADR: the receipt is answered 0, changes nothing and is counted."""
    refuses = {"orange": Temperament(error_share="1", error_statuses="ESME_RINVDSTADR")}
    async with house(tmp_path, carriers=refuses, carrier=dialect(""), esmes=ESME) as it:
        it.platform(1)
        await trio.sleep(3)
        counts = it.engine.ledger.counts
        assert (counts.failed, counts.told) == (1, 1)
        await write(it, TEXT.format("1a0c3b4d", "DELIVRD"))
        assert (answered(it), counts.orphans_parked, counts.delivered, counts.failed) == ((1, 0), 1, 0, 1)


@pytest.mark.parametrize(
    ("keys", "word", "state"),
    [
        ("", "UNKNOWN", State.SUBMITTED),
        ("unknown: final", "UNKNOWN", State.UNKNOWN),
        ("", "ACCEPTD", State.SUBMITTED),
        ("", "ABSENT-SUB", State.SUBMITTED),
        ("states: {absent-sub: undeliverable}", "Absent-Sub", State.UNDELIVERABLE),
        ("preset: kaleyra", "BARRED", State.UNDELIVERABLE),
        ("states: {DELIVRD: enroute}", "DELIVRD", State.SUBMITTED),
    ],
)
async def test_which_words_end_a_message(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, keys: str, word: str, state: State
) -> None:
    """As the dialect says; what nobody knows ends nothing."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(keys), esmes=ESME) as it:
        part = await sent(it)
        await write(it, TEXT.format(named(part), word))
        assert state == part.state
        assert answered(it) == (1, 0)


async def test_a_receipt_of_another_form(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The dialect's pattern finds id and state where no label stands."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect("preset: uk-comma"), esmes=ESME) as it:
        part = await sent(it)
        await write(it, f"00,2601121543,2601121500,,33612345678,ACME,{named(part)}")
        assert part.state == State.DELIVERED


async def test_o6_accepted_and_delivered_are_told_once(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """ACCEPTD then DELIVRD, where the first is no end: the ESME hears of the second alone; where it is one, of the
    first alone."""
    for keys, state in (("", State.DELIVERED), ("accepted: final", State.ACCEPTED)):
        (tmp_path / state.name).mkdir()
        async with house(tmp_path / state.name, carriers=SILENT, carrier=dialect(keys), esmes=ESME) as it:
            part = await sent(it)
            await write(it, TEXT.format(named(part), "ACCEPTD"))
            await write(it, TEXT.format(named(part), "DELIVRD"))
            assert (part.state, it.engine.ledger.counts.told) == (state, 1)
            assert answered(it) == (2, 0)


async def test_o5_a_word_on_the_way_after_the_end_changes_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """ENROUTE before the end is a fact; after it, it is only counted."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(""), esmes=ESME) as it:
        part = await sent(it)
        for word in ("ENROUTE", "DELIVRD", "ENROUTE"):
            await write(it, TEXT.format(named(part), word))
        assert (part.state, it.engine.ledger.counts.told, len(part.facts)) == (State.DELIVERED, 1, 1)
        assert it.engine.ledger.counts.receipts_intermediate == 2


@pytest.mark.parametrize(("wants", "told"), [(1, 1), (2, 0), (3, 0)])
async def test_o13_a_carrier_without_receipts(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, wants: int, told: int
) -> None:
    """`receipt_level: none`: the part ends accepted at the response, and who asked for every end is told so at once."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect("receipt_level: none"), esmes=ESME) as it:
        it.platform(1, registered_delivery=wants)
        await trio.sleep(3)
        (part,) = it.engine.ledger.parts.values()
        assert (part.state, part.why) == (State.ACCEPTED, "taken by the carrier, which sends no receipts")
        assert it.engine.ledger.counts.told == told
        assert it.engine.dispatch.stations["orange"].tally.overall.asked == 0


@pytest.mark.parametrize(
    ("wants", "word", "told"), [(2, "DELIVRD", 0), (2, "REJECTD", 1), (3, "DELIVRD", 1), (3, "REJECTD", 0)]
)
async def test_failure_only_and_success_only(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, wants: int, word: str, told: int
) -> None:
    """registered_delivery 2 is told of a failure, 3 (SMPP 5.0) of a delivery; the carrier is asked for both."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(""), esmes=ESME) as it:
        it.platform(1, registered_delivery=wants)
        await trio.sleep(3)
        (part,) = it.engine.ledger.parts.values()
        await write(it, TEXT.format(named(part), word))
        assert (part.final, it.engine.ledger.counts.told) == (True, told)


@pytest.mark.parametrize(("level", "judged"), [("handset", True), ("network", False)])
async def test_o12_a_network_level_receipt_is_no_handset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, level: str, judged: bool
) -> None:
    """It ends its part and is counted as come, but no delivered ratio of handsets is made of it."""
    async with house(tmp_path, carriers=SILENT, carrier=dialect(f"receipt_level: {level}"), esmes=ESME) as it:
        part = await sent(it)
        await write(it, TEXT.format(named(part), "DELIVRD"))
        station = it.engine.dispatch.stations["orange"]
        assert part.state == State.DELIVERED
        score = station.dossier.overall.score.receipts
        assert any(score.counts(it.ports.clock.monotonic())) is judged
        assert (score.heard, station.tally.overall.ended, score.waiting) == (1, 1, 0)
