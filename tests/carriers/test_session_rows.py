"""What real SMSCs do to a session of ours, row by row: quirks section 2, S2 to S39, at the carrier door.
smsroute/carriers/bind.py."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import trio

from smsroute.message import State
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Temperament
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm, build_tlv, decode, parse_sm, pdu, tlvs
from tests.carriers.scripted import ALONE, BIND, HOST, PORT, kind, scripted
from tests.house import House, house

ESME = 'acme: {password: {plain: "secret"}, window: 500, rate: 10000/s}'
SUBMIT = build_sm(source_addr="SHOP", destination_addr="33612345678", registered_delivery=1, short_message=b"hello")
KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
ORANGE = {"orange": KIND}


def bound(it: House, host: str = HOST) -> list[str]:
    """The states of the binds to a host."""
    return [bind.state for bind in it.engine.binds if bind.place.config.host == host]


async def test_s2_enquire_link_comes_at_the_carriers_interval(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Under traffic too, for those that drop a bind without one, and never more often, for those that drop a bind with
    too many."""
    words = "window: 20, rate: 500/s, enquire_link: 60s"
    async with house(tmp_path, carriers=ORANGE, carrier=words, bind=ALONE, esmes=ESME) as it, scripted(it) as smsc:
        await trio.sleep(5)
        at: list[float] = []

        def note(command_id: int, sequence_number: int, body: bytes) -> bytes:
            if command_id == names.ENQUIRE_LINK:
                at.append(trio.current_time())
            return kind(command_id, sequence_number, body)

        smsc.answer = note
        it.platform(600, settings=EsmeSettings(rate=2))
        await trio.sleep(305)
        assert names.SUBMIT_SM in smsc.commands()
        assert len(at) == 5
        assert all(59.5 < later - sooner < 61 for sooner, later in itertools.pairwise(at))


async def test_s4_no_transceiver(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """An SMSC that knows no bind_transceiver refuses by generic_nack: told as that, tried again with a pause. As a pair
    whose transmitter is refused it still brings receipts, and is sent nothing."""

    def old(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.BIND_TRANSCEIVER:
            return pdu(names.GENERIC_NACK, names.ESME_RINVCMDID, sequence_number)
        if command_id == names.BIND_TRANSMITTER:
            return pdu(names.BIND_TRANSMITTER_RESP, names.ESME_RBINDFAIL, sequence_number)
        return kind(command_id, sequence_number, body)

    folder = tmp_path / "trx"
    folder.mkdir()
    async with house(folder, carriers=ORANGE, bind=BIND, esmes=ESME) as it, scripted(it, old) as smsc:
        await trio.sleep(30)
        assert bound(it) == ["down"]
        assert "ESME_RINVCMDID" in next(bind.reason for bind in it.engine.binds if bind.state == "down")
        assert 2 < len(smsc.heard) < 12
    folder = tmp_path / "pair"
    folder.mkdir()
    pair = f'mode: transceiver, count: 1}}, {{address: "{HOST}:{PORT}", mode: pair'
    async with house(folder, carriers=ORANGE, bind=pair, esmes=ESME) as it, scripted(it, old) as smsc:
        await trio.sleep(30)
        assert sorted(bound(it)) == ["bound", "down"]
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        _, part_id = await raw.submit(SUBMIT)
        await trio.sleep(0.2)
        part = it.engine.ledger.parts[part_id]
        assert part.attempts[0].bind == "orange-1"
        receiver = next(n for n, heard in enumerate(smsc.heard) if heard[0][0] == names.BIND_RECEIVER)
        said = (
            f"id:{part.attempts[0].carrier_message_id} sub:001 dlvrd:001 submit date:2601010000 "
            "done date:2601010000 stat:DELIVRD err:000 text:"
        )
        receipt = build_sm(source_addr="33612345678", destination_addr="SHOP", esm_class=4, short_message=said.encode())
        await smsc.raws[receiver].send(pdu(names.DELIVER_SM, 0, 1, receipt))
        await trio.sleep(0.1)
        assert part.state == State.DELIVERED
        assert names.SUBMIT_SM not in [one for heard in smsc.heard for one, _, _ in heard]


@pytest.mark.parametrize("body", [b"", b"\0", b"00000000\0", b"ID-OF-17-OCTETS!\0", b"x" * 70])
async def test_s6_a_refusal_with_a_body(tmp_path: Path, autojump_clock: trio.testing.MockClock, body: bytes) -> None:
    """Whatever stands behind the header of a refusal, it is the refusal it is, and the id in it names nothing."""

    def refuse(command_id: int, sequence_number: int, said: bytes) -> bytes:
        if command_id == names.SUBMIT_SM:
            return pdu(names.SUBMIT_SM_RESP, names.ESME_RINVDSTADR, sequence_number, body)
        return kind(command_id, sequence_number, said)

    async with house(tmp_path, carriers=ORANGE, bind=ALONE, esmes=ESME) as it, scripted(it, refuse):
        await trio.sleep(3)
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        _, part_id = await raw.submit(SUBMIT)
        await trio.sleep(1)
        part = it.engine.ledger.parts[part_id]
        assert (part.state, part.attempts[0].carrier_message_id) == (State.REJECTED, "")
        assert (part.err, len(it.engine.ledger.ids)) == ("011", 0)
        assert bound(it) == ["bound"]


@pytest.mark.parametrize(
    ("status", "waits"),
    [(names.ESME_RTHROTTLED, True), (names.ESME_RMSGQFUL, True), (names.ESME_RSYSERR, True), (0x400, True)],
)
async def test_s12_slow_down_in_any_words(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, status: int, waits: bool
) -> None:
    """0x58, 0x14, 0x08 and a vendor's number are all of them no end of a message: it goes again, and arrives."""
    refused = 3

    def busy(command_id: int, sequence_number: int, body: bytes) -> bytes:
        nonlocal refused
        if command_id == names.SUBMIT_SM and refused:
            refused -= 1
            return pdu(names.SUBMIT_SM_RESP, status, sequence_number)
        return kind(command_id, sequence_number, body)

    words = "window: 20, rate: 500/s, outcomes: {0x400: throttled}"
    async with (
        house(tmp_path, carriers=ORANGE, carrier=words, bind=ALONE, esmes=ESME) as it,
        scripted(it, busy),
    ):
        await trio.sleep(3)
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        _, part_id = await raw.submit(SUBMIT)
        await trio.sleep(900)
        assert (it.engine.ledger.parts[part_id].state == State.SUBMITTED) is waits
        assert refused == 0


async def test_s13_wrongly_bound_is_bound_anew(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """ESME_RINVBNDSTS to a submit: the carrier has forgotten the bind. What it refused waits and goes by the next
    session, which follows the unbind of the old one; nothing is in doubt and the carrier is not ejected for it."""
    forgets = 1

    def forgetful(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.SUBMIT_SM and len(smsc.heard) <= forgets:
            return pdu(names.SUBMIT_SM_RESP, names.ESME_RINVBNDSTS, sequence_number)
        return kind(command_id, sequence_number, body)

    async with (
        house(tmp_path, carriers=ORANGE, bind=ALONE, esmes=ESME) as it,
        scripted(it, forgetful) as smsc,
    ):
        await trio.sleep(3)
        raw = await it.dial()
        await raw.bind(command_id=names.BIND_TRANSMITTER)
        _, part_id = await raw.submit(SUBMIT)
        await trio.sleep(120)
        assert smsc.commands(0)[-1] == names.UNBIND
        part = it.engine.ledger.parts[part_id]
        assert [attempt.code for attempt in part.attempts] == [names.ESME_RINVBNDSTS, 0]
        assert part.state == State.SUBMITTED
        assert it.engine.ledger.counts.doubted == 0
        assert it.engine.dispatch.stations["orange"].dossier.overall.health.ejections == 0


async def test_s14_bound_already(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Refused because an old session still lives there, or all we may have are up: tried again after some seconds, then
    rarer, up to every two minutes, however short the contract's own pause is; and what is up is left alone."""
    at: list[float] = []

    def taken(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.BIND_TRANSCEIVER:
            at.append(trio.current_time())
            return pdu(names.BIND_TRANSCEIVER_RESP, names.ESME_RALYBND, sequence_number)
        return kind(command_id, sequence_number, body)

    words = "window: 20, rate: 500/s, reconnect_min: 100ms, reconnect_max: 1s"
    async with house(tmp_path, carriers=ORANGE, carrier=words, bind=BIND, esmes=ESME) as it, scripted(it, taken):
        await trio.sleep(1200)
        pauses = [later - sooner for sooner, later in itertools.pairwise(at)]
        assert 2.5 <= pauses[0] <= 10.5
        assert all(60 <= pause <= 121 for pause in pauses[6:])
        assert bound(it, "10.0.2.1") == ["bound"]


async def test_s14_bound_already_after_an_outage(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier comes back after minutes in which no dial got through, its side of the old session still open: we try
    again within seconds, the failed dials do not count as refusals."""
    at: list[float] = []

    def taken(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.BIND_TRANSCEIVER:
            at.append(trio.current_time())
            if len(at) < 3:
                return pdu(names.BIND_TRANSCEIVER_RESP, names.ESME_RALYBND, sequence_number)
        return kind(command_id, sequence_number, body)

    words = "window: 20, rate: 500/s, reconnect_min: 1s, reconnect_max: 10s"
    async with house(tmp_path, carriers=ORANGE, carrier=words, bind=BIND, esmes=ESME) as it:
        await trio.sleep(600)
        async with scripted(it, taken):
            await trio.sleep(60)
            pauses = [later - sooner for sooner, later in itertools.pairwise(at)]
            assert len(pauses) == 2
            assert pauses[0] <= 5.5
            assert 4.5 <= pauses[1] <= 10.5
            assert bound(it) == ["bound"]


async def test_s29_room_in_the_window_is_no_flow_control(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier of version 5.0 says that it is congested while it answers everything: we send it less, though the
    window was never full."""

    def full(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.SUBMIT_SM:
            said = b"id%d\0" % sequence_number + build_tlv(0x0428, b"\x63")
            return pdu(names.SUBMIT_SM_RESP, 0, sequence_number, said)
        return kind(command_id, sequence_number, body)

    words = "window: 50, rate: 100/s, interface_version: 5.0"
    async with (
        house(tmp_path, carriers=ORANGE, carrier=words, bind=ALONE, esmes=ESME) as it,
        scripted(it, full) as smsc,
    ):
        await trio.sleep(3)
        it.platform(1000, settings=EsmeSettings(rate=100))
        await trio.sleep(10)
        sent = smsc.commands().count(names.SUBMIT_SM)
        (bind,) = [bind for bind in it.engine.binds if bind.place.config.host == HOST]
        assert bind.window < 50
        assert 0 < sent < 800


async def test_s30_alert_notification_has_no_answer(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One for each handset that attaches: read, not answered, and the session goes on."""
    alert = b"\1\1" + b"33612345678\0" + b"\0\0" + b"38000\0" + build_tlv(0x0422, b"\0")
    async with house(tmp_path, carriers=ORANGE, bind=BIND, esmes=ESME) as it, scripted(it) as smsc:
        await trio.sleep(3)
        for number in (1, 2):
            await smsc.raws[0].send(pdu(names.ALERT_NOTIFICATION, 0, number, alert))
        await smsc.raws[0].send(pdu(names.ENQUIRE_LINK, 0, 3))
        await trio.sleep(1)
        assert smsc.commands()[1:] == [names.ENQUIRE_LINK | names.RESPONSE]


async def test_s34_what_the_bind_must_say(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """system_type and address_range as the carrier's contract has them; its refusal for them is told by name."""
    words = "window: 20, rate: 500/s, system_type: VMA, address_range: ^38"

    def strict(command_id: int, sequence_number: int, body: bytes) -> bytes:
        if command_id == names.BIND_TRANSCEIVER:
            fields = decode(pdu(command_id, 0, sequence_number, body)).fields
            if (fields["system_type"], fields["address_range"]) != ("VMA", "^38"):
                return pdu(names.BIND_TRANSCEIVER_RESP, names.ESME_RINVSYSTYP, sequence_number)
        return kind(command_id, sequence_number, body)

    for folder, carrier, state in ((tmp_path / "a", words, "bound"), (tmp_path / "b", "window: 20", "down")):
        folder.mkdir()
        async with house(folder, carriers=ORANGE, carrier=carrier, bind=BIND) as it, scripted(it, strict):
            await trio.sleep(3)
            assert bound(it) == [state]
            if state == "down":
                assert any("ESME_RINVSYSTYP" in bind.reason for bind in it.engine.binds)


async def test_s36_a_session_that_may_carry_so_much(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`session_parts_max`: never a part more on a session; it unbinds when all are answered, the next follows, nothing
    is in doubt, and the carrier's health does not know of it."""
    words = "window: 7, rate: 500/s, session_parts_max: 25, reconnect_min: 100ms"
    async with (
        house(tmp_path, carriers=ORANGE, carrier=words, bind=ALONE, esmes=ESME) as it,
        scripted(it) as smsc,
    ):
        await trio.sleep(3)
        it.platform(110)
        await trio.sleep(60)
        carried = [smsc.commands(n).count(names.SUBMIT_SM) for n in range(len(smsc.heard))]
        assert carried == [25, 25, 25, 25, 10]
        assert [smsc.commands(n)[-1] for n in range(4)] == [names.UNBIND] * 4
        counts = it.engine.ledger.counts
        assert (counts.doubted, counts.withdrawn) == (0, 0)
        health = it.engine.dispatch.stations["orange"].dossier.overall.health
        assert (health.ejections, health.state.value) == (0, "alive")
        assert bound(it) == ["bound"]


async def test_s36_a_next_session_that_does_not_come_is_news(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A carrier that does not take us back after the renewal is as dead as any other."""
    words = "window: 7, rate: 500/s, session_parts_max: 5, reconnect_min: 100ms"
    async with (
        house(tmp_path, carriers=ORANGE, carrier=words, bind=ALONE, esmes=ESME) as it,
        scripted(it) as smsc,
    ):
        await trio.sleep(3)
        smsc.answer = lambda *said: (
            pdu(said[0] | names.RESPONSE, names.ESME_RSYSERR, said[1]) if said[0] in names.BINDS else kind(*said)
        )
        it.platform(20)
        await trio.sleep(5)
        assert bound(it) == ["down"]
        health = it.engine.dispatch.stations["orange"].dossier.overall.health
        assert health.state.value == "dead"
        assert "ESME_RSYSERR" in health.reason


async def test_s39_what_we_cannot_keep_comes_again(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A deliver_sm we cannot tell the meaning of while the store is sick is answered ESME_RSYSERR, which every carrier
    retries; never 0x64, which one of the large ones takes for the end."""
    words = "window: 20, rate: 500/s, dialect: {ids: exact, without_esm_class: true}"
    async with house(tmp_path, carriers=ORANGE, carrier=words, bind=BIND) as it, scripted(it) as smsc:
        await trio.sleep(3)

        text = b"id:nobody sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
        plain = build_sm(source_addr="33612345678", destination_addr="SHOP", short_message=text)
        it.store.close()
        await smsc.raws[0].send(pdu(names.DELIVER_SM, 0, 1, plain))
        await trio.sleep(1)
        answers = [(one, status) for one, status, _ in smsc.heard[0] if one == names.DELIVER_SM_RESP]
        assert answers == [(names.DELIVER_SM_RESP, names.ESME_RSYSERR)]


def test_s23_and_s24_the_wire_says_how_long_a_tlv_is() -> None:
    """Sizes that the specification and the stacks disagree about, and tags nobody knows, one of them twice: all are
    there, in order, octet for octet; and they go on as they came."""
    odd = [
        (0x0010, b"\1\2"),
        (0x1204, b"\0\0\0\1"),
        (0x130C, b"x"),
        (0x0613, b"\0\0\1\x4c"),
        (0x1400, b"a"),
        (0x1400, b"b"),
    ]
    tail = b"".join(build_tlv(tag, value) for tag, value in odd)
    body = build_sm(destination_addr="33612345678", short_message=b"hello", tlv=tail)
    assert list(tlvs(parse_sm(body).tlv)) == odd
    assert parse_sm(body).tlv == tail
