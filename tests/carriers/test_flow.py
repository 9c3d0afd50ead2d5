"""What leaves a carrier's lanes, when, and what stands aside: lanes by class, caps, full handsets, throttled, retries.
smsroute/carriers/lanes.py, smsroute/carriers/answers.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import trio

from smsroute.message import MessageClass, Part, State
from smsroute.ops.snapshot import snapshot
from smsroute.ops.verbs import Verbs
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.wire import read_submit
from smsroute.smpp import names
from smsroute.smpp.codec import build_sm
from tests.house import House, Raw, house

KIND = Temperament(response_delay="fixed:0.02", receipt_delay="fixed:0.2")
SLOW = Temperament(response_delay="fixed:1", receipt_delay="fixed:0.2")
ESME = (
    'acme: {password: {plain: "secret"}, window: 5000, rate: 100000/s, '
    "class_by: {service_type: {OTP: otp, ALRT: alert, MKT: marketing}}}"
)
LIMITS = "{checkpoint_interval: 1s, sweep_interval: 100ms}"
PATIENT = LIMITS.replace("}", ", dead_consecutive_faults: 1000, dead_success_share: 0}")
CLASSES = {"otp": "OTP", "alert": "ALRT", "info": "", "marketing": "MKT"}
FULL = "33600000000"


@attrs.define
class Seen:
    """What a simulated carrier was offered, in order; `full`: numbers whose handset has no room."""

    full: set[str] = attrs.Factory(set)
    rows: list[tuple[float, str, str]] = attrs.Factory(list)  # when, to whom, what

    def texts(self, to: str = "") -> list[str]:
        """The texts offered, to one number or to any."""
        return [text for _, number, text in self.rows if not to or number == to]


def watch(sim: SimCarrier) -> Seen:
    """From now on."""
    seen, submits = Seen(), sim._submits

    def look(link: Any, requests: list[Any], now: float) -> None:
        good, refused = [], []
        for request in requests:
            submit = read_submit(request.pdu.body)
            number = submit.destination[2:-1].decode()
            seen.rows.append((trio.current_time(), number, submit.text.decode()))
            (refused if number in seen.full else good).append(request)
        link.unanswered += len(refused)
        sim._answer_later(link, [((names.ESME_RMSGQFUL, one.pdu.sequence_number, ""), None) for one in refused], now)
        if good:
            submits(link, good, now)

    sim._submits = look  # type: ignore[method-assign]
    return seen


def body(to: str, text: str, message_class: str = "info") -> bytes:
    """A submit_sm that wants a receipt."""
    return build_sm(
        service_type=CLASSES[message_class], destination_addr=to, registered_delivery=1, short_message=text.encode()
    )


class Sender:
    """A platform that only submits, and knows the parts it was promised."""

    def __init__(self, it: House, raw: Raw) -> None:
        self._it, self._raw, self._sequence = it, raw, 1
        self.parts: list[Part] = []

    @classmethod
    async def bound(cls, it: House) -> Sender:
        """Ready to send."""
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        return cls(it, raw)

    async def send(self, text: str, message_class: str = "info", to: str = "33612345678") -> Part:
        """One message, accepted."""
        self._sequence += 1
        status, message_id = await self._raw.submit(body(to, text, message_class), self._sequence)
        assert status == 0
        self.parts.append(self._it.engine.ledger.parts[message_id])
        return self.parts[-1]


def offered(parts: list[Part]) -> list[float]:
    """When each was first offered to a carrier, Unix seconds."""
    return [part.attempts[0].at for part in parts]


class TestLanes:
    """Otp before alert before info before marketing, and nothing starves."""

    async def test_a_code_waits_for_no_campaign(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """200 parts of a campaign wait at a carrier that takes four a second: each code leaves with the next four."""
        async with house(
            tmp_path, carriers={"orange": SLOW}, esmes=ESME, carrier="window: 4, rate: 50/s", limits=LIMITS
        ) as it:
            seen = watch(it.carriers["orange"])
            sender = await Sender.bound(it)
            for number in range(200):
                await sender.send(f"m{number}", "marketing")
            for number in range(10):
                before = len(seen.rows)
                await sender.send(f"o{number}", "otp")
                await trio.sleep(1.7)
                assert seen.texts().index(f"o{number}") - before < 4
            assert seen.texts()[-1].startswith("m")

    async def test_a_flood_of_codes_leaves_the_others_their_floor(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """More codes than the carrier takes, queued and straight from the door: of what leaves, a twentieth each is of
        the lanes below."""
        async with house(
            tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier="window: 2, rate: 10/s", limits=LIMITS
        ) as it:
            seen = watch(it.carriers["orange"])
            sender = await Sender.bound(it)
            for number in range(80):
                for message_class in ("alert", "info", "marketing"):
                    await sender.send(f"{message_class}{number}", message_class)
            await trio.sleep(0.5)
            begun = len(seen.rows)
            for number in range(600):
                await sender.send(f"otp{number}", "otp")
                await trio.sleep(0.02)
            await trio.sleep(30)
            counts = Counter(text.rstrip("0123456789") for text in seen.texts()[begun : begun + 400])
            assert counts.total() == 400
            assert all(18 <= counts[lane] <= 22 for lane in ("alert", "info", "marketing")), counts

    async def test_newcomers_of_an_upper_lane_pay_the_floor_too(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A code comes each time a place is free: it goes straight through, and yet the campaign moves on."""
        async with house(
            tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier="window: 1, rate: 20/s", limits=LIMITS
        ) as it:
            seen = watch(it.carriers["orange"])
            sender = await Sender.bound(it)
            for number in range(50):
                await sender.send(f"m{number}", "marketing")
            begun = len(seen.rows)
            for number in range(400):
                await sender.send(f"o{number}", "otp")
                await trio.sleep(0.05)
            went = seen.texts()[begun:]
            assert sum(text.startswith("m") for text in went) >= 0.05 * len(went) - 3
            assert sum(text.startswith("o") for text in went) >= 0.9 * len(went) - 3

    async def test_a_newcomer_is_asked_whose_turn_it_is(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """While a campaign waits, one code in twenty that would go straight through is told to wait its turn; the first
        is not, and where nothing waits nobody is."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier="window: 1", limits=LIMITS) as it:
            lanes = it.engine.dispatch.lanes
            assert all(lanes.passes("orange", MessageClass.OTP, "acme", "33612345678") for _ in range(100))
            it.carriers["orange"].mode = Mode.SILENT
            sender = await Sender.bound(it)
            for number in range(2):  # one fills the window, one waits
                await sender.send(f"m{number}", "marketing")
            answers = [lanes.passes("orange", MessageClass.OTP, "acme", "33612345678") for _ in range(41)]
            assert answers[:20] == [True] * 20
            assert not any(answers[20:])
            it.carriers["orange"].mode = Mode.KIND


class TestCaps:
    """Parts over a cap wait or move, and hold up nobody."""

    CAPPED = "window: 50, rate: 500/s, caps: {classes: {marketing: 10/s}, esmes: {acme: 100/s}}"

    async def test_a_campaign_stays_under_its_cap_and_the_others_pass(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Ten a second of the campaign, in order, never more in any second; what comes behind it leaves at once."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier=self.CAPPED, limits=LIMITS) as it:
            seen = watch(it.carriers["orange"])
            sender = await Sender.bound(it)
            campaign = [await sender.send(f"m{number}", "marketing") for number in range(60)]
            others = [await sender.send(f"i{number}") for number in range(20)]
            await trio.sleep(0.5)
            assert all(part.attempts for part in others)
            await trio.sleep(7)
            assert all(part.state == State.DELIVERED for part in campaign)
            left = offered(campaign)
            assert [text for text in seen.texts() if text.startswith("m")] == [f"m{number}" for number in range(60)]
            assert all(sum(start <= at < start + 1 for at in left) <= 10 for start in left)
            assert left[-1] - left[0] <= 6.1

    async def test_the_cap_of_an_esme_holds_for_all_its_classes(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A hundred a second of acme, whatever they are; the most urgent first."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier=self.CAPPED, limits=LIMITS) as it:
            seen = watch(it.carriers["orange"])
            sender = await Sender.bound(it)
            for number in range(300):
                await sender.send(f"i{number}")
            before = len(seen.rows)
            await sender.send("code", "otp")
            await trio.sleep(5)
            assert before < 290
            assert seen.texts().index("code") - before < 10
            left = sorted(offered(sender.parts))
            assert max(sum(start <= at < start + 1 for at in left) for start in left) <= 100
            assert left[-1] - left[0] <= 3.3

    async def test_over_the_cap_they_move_after_spill_wait(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Another carrier of the route may take them: those that waited for a second go there, each with the reason."""
        async with house(
            tmp_path, carriers={"orange": KIND, "blue": KIND}, esmes=ESME, carrier=self.CAPPED, limits=LIMITS
        ) as it:
            sender = await Sender.bound(it)
            for number in range(60):
                await sender.send(f"m{number}", "marketing")
            await trio.sleep(6)
            took = Counter(part.carrier for part in sender.parts)
            assert all(part.state == State.DELIVERED for part in sender.parts)
            assert took["blue"] >= 20
            moved = next(part for part in sender.parts if part.carrier == "blue")
            assert "capped: marketing 10/s at orange" in moved.facts[0]

    async def test_people_are_told(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        """`health` says who waits for which cap or handset; `explain` what bounds a message, used up or not."""
        async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier=self.CAPPED, limits=LIMITS) as it:
            watch(it.carriers["orange"]).full = {FULL}
            sender = await Sender.bound(it)
            for number in range(40):
                await sender.send(f"m{number}", "marketing")
            for number in range(3):
                await sender.send(f"f{number}", to=FULL)
            await trio.sleep(0.2)
            station = it.engine.dispatch.stations["orange"]
            (row,) = snapshot(it.engine)["carriers"]  # type: ignore[arg-type]
            waiting = len(station._queues.lanes["orange"][3].aside["class", "marketing"])
            assert waiting > 20
            told = [f"capped: marketing 10/s, {waiting} wait", "1 full handset, 3 wait"]
            assert row["standing_aside"] == told
            assert row["reason"].endswith("; ".join(told))
            bounds = station.bounds("acme", 3, FULL, trio.current_time())
            assert bounds[:2] == [
                f"capped: marketing 10/s at orange, {waiting} wait",
                "capped: acme 100/s at orange, nobody waits",
            ]
            assert bounds[2].startswith(f"the queue of {FULL} is full at orange (1 in a row), held for ")
            assert station.bounds("bank", 0, "33612345678", trio.current_time()) == []
            request = {"verb": "explain", "to": FULL, "esme": "acme", "class": "marketing"}
            document = await Verbs(it.engine).table()["explain"](request, "uid 1000")  # type: ignore[arg-type]
            (candidate,) = document["explanation"]["candidates"]
            assert "; ".join(bounds[:2]) in candidate["reason"], "the terminal shows the candidates"


class TestFullHandset:
    """ESME_RMSGQFUL holds one destination at one carrier."""

    async def test_it_slows_nobody_else_and_keeps_its_order(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A hundred parts to a full handset among others: it is asked a few times, by one part at a time; the others
        leave at once; when it has room again its parts come in the order they were accepted."""
        async with house(
            tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier="window: 5, rate: 200/s", limits=LIMITS
        ) as it:
            seen = watch(it.carriers["orange"])
            seen.full = {FULL}
            sender = await Sender.bound(it)
            await sender.send("f0", to=FULL)
            await trio.sleep(0.2)
            full = [await sender.send(f"f{number}", to=FULL) for number in range(1, 100)]
            others = [await sender.send(f"i{number}") for number in range(100)]
            await trio.sleep(2)
            assert all(part.state == State.DELIVERED for part in others)
            await trio.sleep(60)
            assert seen.texts(FULL) == ["f0"] * len(seen.texts(FULL))
            assert 4 <= len(seen.texts(FULL)) <= 6  # after 5, 10, 20, 40 seconds
            seen.full = set()
            asked = len(seen.texts(FULL))
            await trio.sleep(90)
            assert all(part.state == State.DELIVERED for part in full)
            assert seen.texts(FULL)[asked:] == [f"f{number}" for number in range(100)]

    async def test_it_goes_to_a_carrier_that_does_not_hold_it(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Refused here, offered at once to the next; those behind it follow it there."""
        async with house(
            tmp_path, carriers={"orange": KIND, "blue": KIND}, esmes=ESME, carrier="window: 5, rate: 200/s"
        ) as it:
            seen = watch(it.carriers["orange"])
            seen.full = {FULL}
            sender = await Sender.bound(it)
            for number in range(5):
                await sender.send(f"f{number}", to=FULL)
            await trio.sleep(3)
            assert all(part.state == State.DELIVERED for part in sender.parts)
            assert {part.carrier for part in sender.parts} == {"blue"}


class TestRetries:
    """What was refused goes again: when, and where it stands."""

    async def test_throttled_parts_lead_their_lane_in_their_old_order(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A carrier that throttles a whole window gets the same parts first when it takes again, oldest first."""
        async with house(
            tmp_path, carriers={"orange": KIND}, esmes=ESME, carrier="window: 5, rate: 200/s", limits=LIMITS
        ) as it:
            seen = watch(it.carriers["orange"])
            it.carriers["orange"].mode = Mode.THROTTLING
            sender = await Sender.bound(it)
            for number in range(30):
                await sender.send(f"i{number}")
            await trio.sleep(3)
            it.carriers["orange"].mode = Mode.KIND
            begun = len(seen.rows)
            await trio.sleep(20)
            assert seen.texts()[begun:] == [f"i{number}" for number in range(30)]

    async def test_each_class_has_its_schedule_until_validity_ends(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A code goes again after 1, 2, 4, 8 and 15 seconds, an order notice by the schedule of all; at the end of
        their validity both expire."""
        esme = ESME.replace("window: 5000", "window: 5000, validity: 2m")
        async with house(tmp_path, carriers={"orange": KIND}, esmes=esme, limits=PATIENT) as it:
            watch(it.carriers["orange"])
            it.carriers["orange"].temperament = attrs.evolve(KIND, error_share=1.0, error_statuses="0xFF")
            sender = await Sender.bound(it)
            parts = [await sender.send("code", "otp"), await sender.send("order", "info")]
            await trio.sleep(140)
            gaps = [
                [round(b.at - a.responded_at) for a, b in zip(one.attempts, one.attempts[1:], strict=False)]
                for one in parts
            ]
            assert gaps[0][:6] == [1, 2, 4, 8, 15, 15]
            assert gaps[1] == [1, 5, 30]
            assert [part.state for part in parts] == [State.EXPIRED, State.EXPIRED]

    async def test_a_clock_set_back_holds_no_retry(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Somebody sets the wall clock back by an hour while a part waits its 30 seconds: it waits no longer."""
        async with house(
            tmp_path, carriers={"orange": KIND}, limits=LIMITS.replace("{", "{retry_schedule: [30s], ")
        ) as it:
            seen = watch(it.carriers["orange"])
            it.carriers["orange"].mode = Mode.ERRORING
            sender = await Sender.bound(it)
            part = await sender.send("order")
            await trio.sleep(5)
            assert (part.state, len(seen.rows)) == (State.DUE, 1)
            it.clock.step(-3600)
            it.carriers["orange"].mode = Mode.KIND
            await trio.sleep(20)
            assert len(seen.rows) == 1
            await trio.sleep(12)
            assert part.state == State.DELIVERED


async def test_a_throttled_question_is_no_answer_of_the_handset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The one part that asks whether a full handset has room again is throttled: it asks again when the carrier lets
    it, not when its question would be forgotten."""
    limits = LIMITS.replace("}", ", destination_hold: 60s}")
    async with house(tmp_path, carriers={"orange": KIND}, esmes=ESME, limits=limits) as it:
        raw = await it.dial()
        assert await raw.bind(command_id=names.BIND_TRANSMITTER) == 0
        station, now = it.engine.dispatch.stations["orange"], trio.current_time()
        station.holds.refused(FULL, now - 61, now - 61)
        sim = it.carriers["orange"]
        sim.temperament = attrs.evolve(sim.temperament, throttle_share=1.0)
        _, message_id = await raw.submit(build_sm(destination_addr=FULL, registered_delivery=1, short_message=b"hi"), 2)
        await trio.sleep(1)
        assert it.engine.ledger.parts[message_id].attempts[0].code == names.ESME_RTHROTTLED
        sim.temperament = KIND
        await trio.sleep(10)
        assert it.engine.ledger.parts[message_id].state == State.DELIVERED
