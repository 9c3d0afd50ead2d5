"""What a running engine answers: explain, trace, drain, resume, stop. ops/verbs.py, explain.py, story.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from smsroute.ledger import Ledger
from smsroute.message import Accepted, Attempted, Blame, Doubted, Part, Receipted, Requeued, Responded, State
from smsroute.ops.control import Refusal
from smsroute.ops.story import lines, story, unknown, waits_for
from smsroute.ops.verbs import Verbs
from smsroute.sim.esme import EsmeSettings
from smsroute.sim.temperament import Mode, Temperament
from tests.esmes.test_door import GOOD
from tests.house import House, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.5")
TWO = {"orange": KIND, "sfr": KIND}
NUMBER = "+336 12 34 56 78"


async def ask(it: House, verb: str, **request: object) -> dict[str, Any]:
    return await Verbs(it.engine).table()[verb]({"verb": verb, **request}, "uid 1000")


class TestExplain:
    async def test_the_way_now(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """The rule with its line, who takes it with what share and why, and separators in the number forgiven."""
        async with house(tmp_path, carriers=TWO) as it:
            document = (await ask(it, "explain", to=NUMBER, esme="acme"))["explanation"]
            assert (document["ok"], document["running"], document["to"]) == (True, True, "+33612345678")
            assert (document["route"], document["carrier"]) == ("all", "orange")
            assert document["place"].startswith("smsroute.yaml:")
            assert document["choices"][0]["share"] == 1.0
            assert document["choices"][0]["terms"]["success"] == 1.0

    async def test_why_not_the_others(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A carrier that is down or drained is refused with the reason; with nobody left there is no way."""
        async with house(tmp_path, carriers=TWO) as it:
            it.carriers["orange"].mode = Mode.CLOSED
            await trio.sleep(5)
            document = (await ask(it, "explain", to=NUMBER))["explanation"]
            assert document["carrier"] == "sfr"
            assert [one["carrier"] for one in document["refused"]] == ["orange"]
            await ask(it, "drain", kind="carrier", name="sfr", reason="upgrade")
            await trio.sleep(1)
            document = (await ask(it, "explain", to=NUMBER))["explanation"]
            assert (document["ok"], document["carrier"]) == (False, None)
            assert "drained: upgrade" in str(document["refused"])

    async def test_what_the_door_would_refuse(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """A number that is none is told with the status a submit would get."""
        async with house(tmp_path) as it:
            document = (await ask(it, "explain", to="ACME"))["explanation"]
            assert (document["ok"], document["door"]["status"]) == (False, "ESME_RINVDSTADR")

    @pytest.mark.parametrize(
        ("request_", "said"),
        [
            ({"esme": "acne"}, "no ESME 'acne', did you mean|no ESME 'acne' in the config, expected one of acme"),
            ({"class": "opt"}, "no class 'opt', expected one of otp, alert, info, marketing"),
            ({"to": 336}, "to is 336, expected text"),
        ],
    )
    async def test_nonsense_is_refused(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock, request_: dict[str, object], said: str
    ) -> None:
        """What the config does not have is named, with what was expected."""
        async with house(tmp_path) as it:
            with pytest.raises(Refusal, match=said):
                await ask(it, "explain", **{"to": NUMBER, **request_})


class TestTrace:
    async def test_a_message_from_memory(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """Accept, attempt with its reason, answer with the carrier's id, receipt, told: in order, the number masked."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await it.dial()
            await raw.bind()
            _, message_id = await raw.submit(GOOD)
            await trio.sleep(2)
            told = (await ask(it, "trace", id=message_id.lower()))["story"]
            assert (told["id"], told["state"], told["final"]) == (message_id, "delivered", True)
            assert told["to"] == "3360•••000"
            assert [one["carrier"] for one in told["attempts"]] == ["orange"]
            assert told["attempts"][0]["status"] == "ESME_ROK"
            assert told["attempts"][0]["latency_ms"] == pytest.approx(24, rel=0.5)
            words = [line["what"].split()[0] for line in told["lines"]]
            assert words == ["accepted", "attempt", "orange", "DELIVERED:"]  # nobody answered the receipt yet
            assert told["receipt"]["owed"] is True
            by_their_id = await ask(it, "trace", id=told["attempts"][0]["carrier_message_id"], reveal=True)
            assert by_their_id["story"]["id"] == message_id
            assert by_their_id["story"]["to"] == "33600000000"

    async def test_a_message_from_the_store(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """One that left memory is told from history, by our id and by the carrier's; nothing of its text is there."""
        limits = "{checkpoint_interval: 100ms, finished_in_memory_max: 0}"
        async with house(tmp_path, carriers={"orange": KIND}, limits=limits) as it:
            esme = it.platform(1)
            await it.settle(esme)
            await trio.sleep(5)
            assert not it.engine.ledger.parts
            message_id = next(esme.promises()).message_ids[0]
            told = (await ask(it, "trace", id=message_id))["story"]
            assert told["state"] == "delivered"
            assert "Your code" not in str(told)
            assert told["lines"][-1]["what"] == "acme took the receipt"
            by_their_id = await ask(it, "trace", id=told["attempts"][0]["carrier_message_id"])
            assert by_their_id["story"]["id"] == message_id

    async def test_an_unknown_id(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """It says what the id itself tells: no id of ours, another node's, or ours and gone."""
        async with house(tmp_path) as it:
            with pytest.raises(Refusal, match="no message '4711'"):
                await ask(it, "trace", id="4711")
        assert "it is an id of node N2, and this is N1" in unknown("0MWSB1M8D00000N2", "n1")
        assert "the id is ours" in unknown("0MWSB1M8D00000N1", "n1")


def ledger_of(*events: Any) -> Part:
    """A part after such events."""
    ledger = Ledger(orphans_max=10, multiparts_max=10)
    for event in (Accepted("P", 100.0, "acme", 0, "ACME", "33612345678", b"", 0, 1, 9e9, "fr", "orange"), *events):
        ledger.apply(event)
    return ledger.parts["P"]


def test_a_long_story() -> None:
    """Throttled, in doubt, sent again, delivered by the first: each turn is there, in order, in words."""
    part = ledger_of(
        Attempted(100.1, "orange", "orange-1", "fr", "primary", ["P"]),
        Responded("P", 0, 100.2, Blame.THROTTLED, 0x58, retry_at=101.0, carrier="orange", why="throttled"),
        Attempted(101.0, "orange", "orange-1", "fr", "its turn came", ["P"]),
        Doubted(111.0, ["P"], "no answer from orange-1 in 10 s"),
        Requeued(121.0, ["P"], "sfr", "in doubt for 10 s, route fr says resend"),
        Attempted(121.1, "sfr", "sfr-1", "fr", "certified", ["P"]),
        Responded("P", 2, 121.2, Blame.OK, 0, "77"),
        Receipted("sfr", 125.0, ["77"], State.DELIVERED, "000", "DELIVRD", "33612345678"),
        Receipted("sfr", 126.0, ["77"], State.UNDELIVERABLE, "001", "UNDELIV", "33612345678"),
    )
    told = [what for _, what in lines(part)]
    expected = [
        "accepted from acme",
        "attempt 1 to orange by orange-1, route fr: primary",
        "orange answered ESME_RTHROTTLED after 100ms: throttled",
        "attempt 2 to orange",
        "attempt 2 in doubt: no answer from orange-1 in 10 s",
        "attempt 2 sent again, maybe twice: ",
        "attempt 3 to sfr by sfr-1, route fr: certified",
        "sfr took it as 77, after 100ms",
        "DELIVERED: receipt from sfr: DELIVRD, error 000",
        "sfr says UNDELIV 001 after the end",
    ]
    assert len(told) == len(expected)
    assert [(t, e) for t, e in zip(told, expected, strict=True) if not t.startswith(e)] == []
    document = story(part, 130.0)
    assert document["now"] == "its receipt waits 5.0s for acme"
    assert document["attempts"][1]["resent"] is True


def test_a_carrier_that_throttles_again_and_again_is_one_line() -> None:
    """The ledger keeps such attempts as one, with a count; the story says how often."""
    part = ledger_of(
        Attempted(100.1, "orange", "orange-1", "fr", "primary", ["P"]),
        Responded("P", 0, 100.2, Blame.THROTTLED, 0x58, retry_at=101.0, carrier="orange", why="throttled"),
        Attempted(101.1, "orange", "orange-1", "fr", "its turn came", ["P"]),
        Responded("P", 1, 101.2, Blame.THROTTLED, 0x58, retry_at=102.0, carrier="orange", why="throttled"),
    )
    [_, _, (_, said)] = lines(part)
    assert said.startswith("orange answered ESME_RTHROTTLED after 100ms: throttled")
    assert said.endswith(", and 1 times more")
    assert [attempt["repeats"] for attempt in story(part, 110.0)["attempts"]] == [1]


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "waits 10s for its turn at orange"),
        ([Attempted(101.0, "orange", "orange-1", "fr", "", ["P"])], "waits 9.0s for the answer of orange-1"),
        (
            [Attempted(101.0, "orange", "orange-1", "fr", "", ["P"]), Doubted(105.0, ["P"], "lost")],
            "in doubt for 5.0s: a late answer, a receipt or the route's in_doubt policy will tell",
        ),
        (
            [
                Attempted(101.0, "orange", "orange-1", "fr", "", ["P"]),
                Responded("P", 0, 102.0, Blame.TRANSIENT, 8, retry_at=140.0, carrier="sfr", why="sick"),
            ],
            "waits 8.0s for its next try in 30s: sick",
        ),
        (
            [Attempted(101.0, "orange", "orange-1", "fr", "", ["P"]), Responded("P", 0, 102.0, Blame.OK, 0, "1")],
            "waits 8.0s for the receipt of orange",
        ),
    ],
)
def test_what_it_waits_for(events: list[Any], says: str) -> None:
    """Wherever a message stands, the last line says what has to happen next, and since when it has not."""
    assert waits_for(ledger_of(*events), 110.0) == says


class TestDrain:
    async def test_a_carrier(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """Nothing new goes there, nothing is lost, its receipts still come; resumed, it takes its share again."""
        async with house(tmp_path, carriers=TWO) as it:
            esme = it.platform(80, settings=EsmeSettings(rate=10))
            await trio.sleep(2)
            done = await ask(it, "drain", kind="carrier", name="orange", reason="upgrade")
            assert done["drained"].startswith("upgrade (uid 1000")
            await trio.sleep(0.5)
            sent = it.carriers["orange"].counts["taken"]
            await trio.sleep(3)
            assert it.carriers["orange"].counts["taken"] == sent
            document = Verbs(it.engine).look()
            assert (document["carriers"][0]["state"], document["status"]) == ("drained", "ok")
            assert (await ask(it, "resume", kind="carrier", name="orange"))["was"] == done["drained"]
            await it.settle(esme)
            assert it.carriers["orange"].counts["taken"] > sent
            assert esme.counts["told"] == 80

    async def test_a_bind(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """The other bind of the carrier takes it all."""
        async with house(tmp_path, carriers={"orange": KIND}, bind="mode: transceiver, count: 2") as it:
            await ask(it, "drain", kind="bind", name="orange-1")
            await it.settle(it.platform(50))
            used = {part.attempts[0].bind for part in it.engine.ledger.parts.values()}
            assert used == {"orange-2"}

    async def test_an_esme(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """It is asked to unbind and cannot bind; resumed, it can, and gets what it is owed."""
        async with house(tmp_path, carriers={"orange": KIND}) as it:
            raw = await it.dial()
            await raw.bind()
            _, message_id = await raw.submit(GOOD)
            await ask(it, "drain", kind="esme", name="acme")
            assert (await raw.pdu())[0] == 0x6
            assert await (await it.dial()).bind() == 0x8
            await ask(it, "resume", kind="esme", name="acme")
            again = await it.dial()
            assert await again.bind() == 0
            assert message_id.encode() in (await again.pdu())[3]

    @pytest.mark.parametrize(
        ("request_", "said"),
        [
            ({"kind": "carrier", "name": "ornage"}, "no carrier 'ornage', did you mean 'orange'"),
            ({"kind": "bind", "name": "x"}, "no bind 'x', expected one of orange-1"),
            ({"kind": "esme", "name": "acne"}, "no ESME 'acne', did you mean 'acme'"),
            ({"kind": "route", "name": "all"}, "'route' cannot be drained, expected one of carrier, bind, esme"),
        ],
    )
    async def test_nothing_of_that_name(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock, request_: dict[str, str], said: str
    ) -> None:
        """A name that is not there is refused, with the nearest or with all there are."""
        async with house(tmp_path) as it:
            with pytest.raises(Refusal, match=said):
                await ask(it, "drain", **request_)


async def test_stop_stops(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The stop order begins; health says so meanwhile."""
    async with house(tmp_path) as it:
        raw = await it.dial()
        await raw.bind()
        assert await ask(it, "stop") == {"stopping": True}
        await trio.sleep(0.1)
        document = Verbs(it.engine).look()
        assert (document["draining"], document["status"]) == (True, "warning")
