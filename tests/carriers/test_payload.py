"""A carrier that wants all parts of a message as one message_payload (`submit: {long: payload}`).
carriers/company.py, lanes.py, departure.py, answers.py; smsroute/receipting.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
import trio

from smsroute.message import Part, State
from smsroute.ops.story import lines
from smsroute.sim.temperament import Mode, Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, pdu
from tests.carriers.test_dialects import SILENT, write
from tests.esmes.test_as_one import receipts
from tests.esmes.test_commands import bound, cancel, submit
from tests.house import ESME, House, Raw, house

Clock = trio.testing.MockClock
NUMBER = "33612345678"
PAYLOAD = "window: 20, rate: 500/s, submit: {long: payload}"
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms, merge_wait: 5s, receipt_grace: 10s}"
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")


def udh_part(number: int, text: bytes = b"", **more: int) -> bytes:
    """A submit_sm of a message of three."""
    said = bytes((5, 0, 3, 7, 3, number)) + (text or b"part %d" % number)
    fields: dict[str, int] = {"registered_delivery": 1} | more
    return build_sm(source_addr="ACME", destination_addr=NUMBER, esm_class=0x40, short_message=said, **fields)  # type: ignore[arg-type]


async def sent(raw: Raw, numbers: Sequence[int] = (1, 2, 3), text: bytes = b"") -> list[str]:
    """Parts of a message of three, submitted one after the other; their ids."""
    return [await submit(raw, udh_part(number, text), number + 1) for number in numbers]


def got(it: House, carrier: str = "orange") -> list[bytes]:
    """What handsets got, as it was written."""
    return [text for (_, text), times in sorted(it.carriers[carrier].handsets.got.items()) for _ in range(times)]


def parts(it: House) -> list[Part]:
    return [part for _, part in sorted(it.engine.ledger.parts.items())]


def tried(it: House) -> list[tuple[str, int]]:
    """(carrier, parts in one submit) of each attempt that a carrier has an id for, or will have."""
    return [(one.carrier, 1 + len(one.led)) for part in parts(it) for one in part.attempts if not one.lead]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_the_parts_go_as_one_in_their_order(
    tmp_path: Path, autojump_clock: Clock, order: tuple[int, ...]
) -> None:
    """Whichever comes last takes all with it; one submit, one id, and each part has its receipt."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        raw = await bound(it, command_id=names.BIND_TRANSCEIVER)
        ids = await sent(raw, order)
        assert len(await receipts(raw, 3)) == 3
        assert got(it) == [b"part 1part 2part 3"]
        assert {part.state for part in parts(it)} == {State.DELIVERED}
        counts = it.engine.ledger.counts
        assert (counts.receipts, counts.receipts_matched, counts.receipts_of_sisters, counts.told) == (1, 1, 2, 3)
        lead = it.engine.ledger.parts[ids[order.index(1)]]
        assert lead.attempts[0].at - max(part.accepted_at for part in parts(it)) < 0.05
        assert [part.attempts[0].carrier_message_id for part in parts(it) if part is not lead] == ["", ""]
        assert lead.attempts[0].led == tuple(ids[order.index(number)] for number in (2, 3))
        assert it.carriers["orange"].counts["submits"] == 1
        told = [what for _, what in lines(it.engine.ledger.parts[ids[order.index(2)]])]
        assert any(what.startswith(f"orange took it with {lead.part_id}, which has its id, after ") for what in told)


async def test_sar_parts_too(tmp_path: Path, autojump_clock: Clock) -> None:
    """What names its place in TLVs is put together as well, and no such TLV is left."""
    bodies = []
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        it.carriers["orange"]._seen = lambda link, now, submit, status: bodies.append(submit)
        raw = await bound(it)
        for number in (1, 2):
            place = ((names.SAR_MSG_REF_NUM, 7, 2), (names.SAR_TOTAL_SEGMENTS, 2, 1))
            place += ((names.SAR_SEGMENT_SEQNUM, number, 1), (names.MORE_MESSAGES_TO_SEND, number == 1, 1))
            tail = b"".join(build_tlv(tag, int(value).to_bytes(octets, "big")) for tag, value, octets in place)
            text = "é€"[number - 1].encode("utf-16-be")
            body = build_sm(destination_addr=NUMBER, data_coding=8, short_message=text, tlv=tail)
            await submit(raw, body, number + 1)
        await trio.sleep(1)
        assert [(one.text, one.concatenated) for one in bodies] == [("é€".encode("utf-16-be"), False)]
        assert [part.state for part in parts(it)] == [State.ACCEPTED] * 2


async def test_what_never_becomes_whole_goes_as_it_came(tmp_path: Path, autojump_clock: Clock) -> None:
    """`merge_wait` after the newest part the others go, with their headers; a part that comes later follows them."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        raw = await bound(it)
        await sent(raw, (1, 3))
        await trio.sleep(4.5)
        assert got(it) == []
        station = it.engine.dispatch.stations["orange"]
        assert station.standing == ["2 wait for other parts of their message"]
        await trio.sleep(1.5)
        assert [text[6:] for text in got(it)] == [b"part 1", b"part 3"]
        await sent(raw, (2,))
        await trio.sleep(1)
        assert [text[6:] for text in got(it)] == [b"part 1", b"part 2", b"part 3"]
        assert {part.attempts[0].bind for part in parts(it)} == {"orange-1"}
        assert {part.state for part in parts(it)} == {State.DELIVERED}


@pytest.mark.parametrize(
    "other",
    [
        {"data_coding": 4},
        {"protocol_id": 0x41},
        {"tlv": build_tlv(names.USER_MESSAGE_REFERENCE, b"\0\7")},
        {"priority_flag": 3},
    ],
    ids=str,
)
async def test_parts_that_differ_stay_parts(tmp_path: Path, autojump_clock: Clock, other: dict[str, object]) -> None:
    """In anything but their words and place: they go at once, as they came."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        raw = await bound(it)
        for number, more in ((1, {}), (2, other)):
            body = build_sm(
                destination_addr=NUMBER,
                esm_class=0x40,
                short_message=bytes((5, 0, 3, 7, 2, number)) + b"part %d" % number,
                **more,  # type: ignore[arg-type]
            )
            await submit(raw, body, number + 1)
        await trio.sleep(1)
        assert [text[6:] for text in got(it)] == [b"part 1", b"part 2"]


async def test_ports_keep_their_header(tmp_path: Path, autojump_clock: Clock) -> None:
    """A header that says more than the part's place cannot be dropped."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        raw = await bound(it)
        for number in (1, 2):
            text = bytes((11, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0, 3, 7, 2, number)) + b"push"
            await submit(raw, build_sm(destination_addr=NUMBER, esm_class=0x40, short_message=text), number + 1)
        await trio.sleep(1)
        assert len(got(it)) == 2


BY_COST = (
    '- {name: all, to: [""], prefer: cost, carriers: [{carrier: orange, cost: 0.01}, {carrier: blue, cost: 0.05}]}'
)
BOTH = {"orange": PAYLOAD, "blue": "window: 20, rate: 500/s"}


async def test_a_refusal_is_of_all_and_the_next_carrier_gets_parts(tmp_path: Path, autojump_clock: Clock) -> None:
    """Refused by the one that wants a payload: the next takes parts, and gets them as they came, by one bind."""
    refuses = Temperament(error_share=1.0, error_statuses="ESME_RSYSERR:1")
    carriers = {"orange": refuses, "blue": KIND}
    async with house(tmp_path, carriers=carriers, carrier=BOTH, routes=BY_COST, limits=LIMITS) as it:
        it.carriers["orange"].mode = Mode.ERRORING
        await sent(await bound(it))
        await trio.sleep(5)
        assert [text[6:] for text in got(it, "blue")] == [b"part 1", b"part 2", b"part 3"]
        assert tried(it) == [("orange", 3), ("blue", 1), ("blue", 1), ("blue", 1)]
        assert {part.attempts[1].bind for part in parts(it)} == {"blue-1"}
        assert all(part.attempts[1].at - part.attempts[0].at < 0.5 for part in parts(it))
        assert {part.state for part in parts(it)} == {State.DELIVERED}


async def test_a_throttled_one_goes_again_as_one(tmp_path: Path, autojump_clock: Clock) -> None:
    """Not taken, slow down: all parts wait, and go together when it may be asked again."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        it.carriers["orange"].mode = Mode.THROTTLING
        await sent(await bound(it))
        await trio.sleep(1)
        assert {part.state for part in parts(it)} == {State.DUE}
        it.carriers["orange"].mode = Mode.KIND
        await trio.sleep(30)
        assert got(it) == [b"part 1part 2part 3"]
        assert {part.state for part in parts(it)} == {State.DELIVERED}


async def test_a_doubt_is_of_all_and_so_is_the_receipt_that_ends_it(tmp_path: Path, autojump_clock: Clock) -> None:
    """Nobody answers: each part is in doubt, and one submit waits for its name; the receipt that quotes its text is
    found to be its, and ends all parts."""
    deaf = Temperament(silent_takes=True)
    limits = LIMITS.replace("}", ", adopt_after: 1s}")
    keys = PAYLOAD + ", response_timeout: 2s, enquire_link: 60s, dialect: {ids: exact}"
    async with house(tmp_path, carriers={"orange": deaf}, carrier=keys, limits=limits) as it:
        orange = it.carriers["orange"]
        orange.mode = Mode.SILENT
        await sent(await bound(it), text=b"a secret text")
        await trio.sleep(3)
        assert {part.state for part in parts(it)} == {State.IN_DOUBT}
        assert sum(len(it.engine.ledger.unnamed.to(*place)) for place in it.engine.ledger.unnamed) == 1
        orange.mode = Mode.KIND
        await write(it, "id:7 sub:001 dlvrd:001 stat:DELIVRD err:000 text:a secret texta secre")
        await trio.sleep(5)
        assert {part.state for part in parts(it)} == {State.DELIVERED}


async def test_a_doubt_that_is_sent_again_goes_as_one(tmp_path: Path, autojump_clock: Clock) -> None:
    """`in_doubt: resend`: each part once more, in one submit, by the way its message took (law 8)."""
    routes = '- {name: all, to: [""], in_doubt: {info: {resend_after: 1s}}, carriers: [{carrier: orange, cost: 0.01}]}'
    keys = PAYLOAD + ", response_timeout: 2s, enquire_link: 60s"
    async with house(tmp_path, carriers={"orange": KIND}, carrier=keys, routes=routes, limits=LIMITS) as it:
        it.carriers["orange"].mode = Mode.SILENT
        await sent(await bound(it))
        await trio.sleep(2.5)
        assert {part.state for part in parts(it)} == {State.IN_DOUBT}
        it.carriers["orange"].mode = Mode.KIND
        await trio.sleep(30)
        assert tried(it) == [("orange", 3), ("orange", 3)]
        assert {part.state for part in parts(it)} == {State.DELIVERED}
        assert [attempt.resent for part in parts(it) for attempt in part.attempts] == [True, False] * 3


async def test_a_part_taken_back_leaves_the_others_to_themselves(tmp_path: Path, autojump_clock: Clock) -> None:
    """Cancelled while it waited: the message is not whole any more, and what is left of it goes as it came."""
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS) as it:
        raw = await bound(it)
        ids = await sent(raw, (1, 2))
        assert await cancel(raw, message_id=ids[0], source_addr="ACME", destination_addr=NUMBER) == 0
        ids += await sent(raw, (3,))
        await trio.sleep(2)
        assert [text[6:] for text in got(it)] == [b"part 2", b"part 3"]
        assert [part.state for part in parts(it)] == [State.DELETED, State.DELIVERED, State.DELIVERED]


async def test_asked_at_the_end_for_all(tmp_path: Path, autojump_clock: Clock) -> None:
    """No receipt comes: the carrier is asked once, for the submit, and what it says is the end of every part."""
    silent = Temperament(receipts_lost="1", response_delay="fixed:0.05", query_sm=True)
    limits = LIMITS.replace("}", ", query_after: 3s}")
    keys = PAYLOAD + ", query_sm: true"
    async with house(tmp_path, carriers={"orange": silent}, carrier=keys, limits=limits) as it:
        await sent(await bound(it))
        await trio.sleep(10)
        assert (it.carriers["orange"].counts["queries"], {part.state for part in parts(it)}) == (1, {State.DELIVERED})


async def test_an_end_nobody_tells_is_the_end_of_all(tmp_path: Path, autojump_clock: Clock) -> None:
    """After validity and grace each part ends unknown; and the carrier has missed one receipt, not three."""
    esme = ESME.replace("allow_from", "validity: 5s, allow_from")
    async with house(tmp_path, carriers=SILENT, carrier=PAYLOAD, limits=LIMITS, esmes=esme) as it:
        await sent(await bound(it))
        await trio.sleep(60)
        assert {part.state for part in parts(it)} == {State.UNKNOWN}
        assert it.engine.dispatch.stations["orange"].tally.overall.unheard == 1


async def test_on_the_way_to_a_dead_carrier_all_move(tmp_path: Path, autojump_clock: Clock) -> None:
    """Parts that wait for the last one at a carrier that a person takes out go to another, all of them."""
    carriers = {"orange": KIND, "blue": KIND}
    async with house(tmp_path, carriers=carriers, carrier=BOTH, routes=BY_COST, limits=LIMITS) as it:
        raw = await bound(it)
        await sent(raw, (1, 2))
        it.engine.dispatch.stations["orange"].drained = "for the night"
        await sent(raw, (3,))
        await trio.sleep(3)
        assert [text[6:] for text in got(it, "blue")] == [b"part 1", b"part 2", b"part 3"]
        assert got(it) == []


async def test_the_parts_meet_where_the_first_waits(tmp_path: Path, autojump_clock: Clock) -> None:
    """Where two carriers want payloads and share the traffic, a message still goes to one of them, whole."""
    carriers = {"orange": KIND, "blue": KIND}
    routes = '- {name: all, to: [""], carriers: [{carrier: orange, cost: 0.01}, {carrier: blue, cost: 0.01}]}'
    async with house(tmp_path, carriers=carriers, carrier=PAYLOAD, routes=routes, limits=LIMITS) as it:
        it.platform(60, parts=3)
        await trio.sleep(20)
        took = [it.carriers[name].counts["submits"] for name in carriers]
        assert (sum(took), min(took) > 0) == (20, True)
        assert {part.state for part in parts(it)} == {State.DELIVERED}
        assert all(not part.facts for part in parts(it))


async def test_a_carrier_of_version_3_3_gets_parts(tmp_path: Path, autojump_clock: Clock) -> None:
    """It has no TLVs, so no payload: headers, at once."""
    keys = PAYLOAD + ", interface_version: 3.3"
    async with house(tmp_path, carriers={"orange": KIND}, carrier=keys, limits=LIMITS) as it:
        await sent(await bound(it))
        await trio.sleep(1)
        assert len(got(it)) == 3


@pytest.mark.parametrize("keys", ["long: payload, alphabet: latin-1", "alphabet: latin-1"])
async def test_one_that_cannot_be_written_goes_elsewhere(tmp_path: Path, autojump_clock: Clock, keys: str) -> None:
    """An octet of no alphabet cannot be written in another: nothing of it left, so another carrier may have it."""
    contracts = {"orange": f"window: 20, rate: 500/s, submit: {{{keys}}}", "blue": "window: 20, rate: 500/s"}
    carriers = {"orange": KIND, "blue": KIND}
    async with house(tmp_path, carriers=carriers, carrier=contracts, routes=BY_COST, limits=LIMITS) as it:
        raw = await bound(it)
        await raw.send(b"".join(pdu(names.SUBMIT_SM, 0, number, udh_part(number, b"\xff")) for number in (1, 2, 3)))
        await trio.sleep(2)
        assert (len(got(it, "blue")), got(it)) == (3, [])
        assert {part.state for part in parts(it)} == {State.DELIVERED}


async def test_a_whole_message_that_comes_back_is_a_loop(tmp_path: Path, autojump_clock: Clock) -> None:
    """Its sender never wrote it so, but we did: it leaves a mark of its own."""
    esmes = ESME + '\n  beta: {password: {plain: "secret"}, allow_from: ["10.0.1.0/24"]}'
    async with house(tmp_path, carriers={"orange": KIND}, carrier=PAYLOAD, limits=LIMITS, esmes=esmes) as it:
        await sent(await bound(it))
        await trio.sleep(1)
        body = build_sm(source_addr="ACME", destination_addr=NUMBER, short_message=got(it)[0])
        beta = await bound(it, "beta")
        assert await beta.submit(body) == (names.ESME_RX_R_APPN, "")
