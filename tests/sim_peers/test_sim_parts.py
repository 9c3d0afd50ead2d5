"""The small parts of the simulated peers: wheel, meter, workload, wire, book."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from smsroute.ports import SystemClock
from smsroute.sim.book import DOUBTED, WAITING, Book
from smsroute.sim.forms import Form
from smsroute.sim.handsets import Handsets
from smsroute.sim.idforms import IdFormat
from smsroute.sim.meter import Histogram
from smsroute.sim.wheel import Wheel
from smsroute.sim.wire import Receipts, Submit, address, mobile_originated, read_receipt, read_submit, wants_receipt
from smsroute.sim.workload import Workload
from smsroute.smpp import codec, names

VECTORS = Path(__file__).parents[1] / "smpp" / "vectors.jsonl"
NOTHING = "nothing was flushed"


class TestWheel:
    async def test_never_early_at_most_a_step_late(self, autojump_clock: MockClock) -> None:
        """What is due runs at its time or up to one step later, in order."""
        ran: list[tuple[float, float]] = []
        flushed: list[int] = []
        wheel = Wheel(SystemClock(), lambda: flushed.append(len(ran)), step_s=0.01)
        rng = random.Random(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wheel.run)
            start = trio.current_time()
            for _ in range(500):
                due = start + rng.random() * 10
                wheel.add(due, lambda due: ran.append((due, trio.current_time())), due)
            assert len(wheel) == 500
            await trio.sleep(11)
            nursery.cancel_scope.cancel()
        assert len(ran) == 500 and all(-1e-9 <= at - due <= 0.01 + 1e-9 for due, at in ran)
        assert flushed[-1] == 500 and len(wheel) == 0

    async def test_an_earlier_one_wakes_it(self, autojump_clock: MockClock) -> None:
        """What is added while it sleeps, and due earlier, is not late."""
        ran: list[float] = []
        wheel = Wheel(SystemClock(), lambda: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wheel.run)
            start = trio.current_time()
            wheel.add(start + 100, lambda _: ran.append(trio.current_time() - start), None)
            await trio.sleep(1)
            wheel.add(start + 2, lambda _: ran.append(trio.current_time() - start), None)
            await trio.sleep(2)
            assert ran == [pytest.approx(2.0, abs=0.011)]
            nursery.cancel_scope.cancel()

    async def test_an_idle_day_costs_nothing(self, autojump_clock: MockClock) -> None:
        """With nothing due it does not wake at all."""
        flushed: list[str] = []
        wheel = Wheel(SystemClock(), lambda: flushed.append(NOTHING))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wheel.run)
            await trio.sleep(86_400)
            nursery.cancel_scope.cancel()
        assert flushed == []


class TestHistogram:
    @given(st.lists(st.floats(1e-6, 1000.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
    def test_quantiles_are_within_five_per_cent(self, durations: list[float], share: float) -> None:
        """A quantile is the true one, give or take a bucket."""
        histogram = Histogram()
        for duration in durations:
            histogram.add(duration)
        true = sorted(durations)[math.ceil(share * len(durations)) - 1]
        assert histogram.quantile(share) == pytest.approx(true, rel=0.05)
        assert histogram.quantile(1.0) <= max(durations) and histogram.count == len(durations)

    def test_merging(self) -> None:
        """Two histograms, one of them through JSON, add up to the histogram of both."""
        one, two, both = Histogram(), Histogram(), Histogram()
        for n in range(1, 100):
            (one if n % 2 else two).add(n / 1000, n)
            both.add(n / 1000, n)
        one.merge(json.loads(json.dumps(two.as_dict())))
        assert one.as_dict() == {**both.as_dict(), "total_s": pytest.approx(both.total_s, abs=1e-5)}

    def test_empty(self) -> None:
        """Nothing measured gives zeros, not an error."""
        assert Histogram().quantile(0.5) == 0.0 == Histogram().mean_s


class TestWorkload:
    @given(
        n=st.integers(0, 10_000_000),
        prefixes=st.lists(st.sampled_from(["336", "4477", "1", "33612345678"]), min_size=1, max_size=3),
        service_types=st.lists(st.sampled_from(["", "OTP", "ALRT"]), min_size=1, max_size=3),
        source=st.sampled_from(["smsroute", "36000", "100% off"]),
        text=st.sampled_from(["Your code is", "50% off %d", ""]),
        parts=st.integers(1, 5),
    )
    def test_bodies_are_what_key_says(
        self, n: int, prefixes: list[str], service_types: list[str], source: str, text: str, parts: int
    ) -> None:
        """The submit_sm of a number reads back, by the codec, as the destination and text its key names."""
        workload = Workload(
            prefixes=tuple(prefixes), service_types=tuple(service_types), source_addr=source, text=text, parts=parts,
            subscribers=1 if "33612345678" in prefixes else 1000,
        )  # fmt: skip
        (body,) = workload.bodies([n])
        submit = codec.parse_sm(body)
        assert (submit.destination_addr, submit.short_message) == workload.key(n)
        assert (submit.source_addr, submit.registered_delivery, submit.tlv) == (source, 1, b"")
        assert submit.service_type == service_types[n // parts % len(service_types)]
        assert bool(submit.esm_class & 0x40) == (parts > 1)

    def test_keys_differ(self) -> None:
        """No two messages of a workload share a key, though handsets repeat."""
        workload = Workload(prefixes=("336", "337"), subscribers=10)
        keys = [workload.key(n) for n in range(5000)]
        assert len(set(keys)) == 5000 and len({number for number, _ in keys}) == 20

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"prefixes": ("+336",)}, "digits"),
            ({"prefixes": ()}, "digits"),
            ({"prefixes": ("336123456789",)}, "subscribers"),
            ({"prefixes": ("3361234567",), "subscribers": 11}, "subscribers"),
            ({"text": "é"}, "ASCII"),
            ({"parts": 256}, "parts"),
        ],
    )
    def test_wrong_workloads(self, wrong: dict[str, object], expected: str) -> None:
        """What cannot be submitted is refused when the workload is made."""
        with pytest.raises(ValueError, match=expected):
            Workload(**wrong)


def _vectors(command: str) -> list[bytes]:
    found = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        if vector["expect"].get("command") == command and "error" not in vector["expect"]:
            found.append(bytes.fromhex(vector["hex"])[16:])
    return found


class TestWire:
    @pytest.mark.parametrize("body", _vectors("submit_sm"))
    def test_submits_of_foreign_clients(self, body: bytes) -> None:
        """The carrier's narrow reading of a submit_sm agrees with the codec's."""
        submit, expected = read_submit(body), codec.parse_sm(body)
        assert address(submit.destination) == expected.destination_addr
        assert submit.destination[:2] == bytes((expected.dest_addr_ton, expected.dest_addr_npi))
        assert address(submit.source) == expected.source_addr
        assert submit.registered_delivery == expected.registered_delivery & 3
        if expected.short_message or codec.tlvs(expected.tlv)[:1] == [(0x0424, expected.user_data())]:
            assert submit.text == expected.user_data()

    @given(st.binary(max_size=200))
    def test_any_octets(self, octets: bytes) -> None:
        """Whatever comes, reading raises ValueError or IndexError at worst."""
        for read in (read_submit, read_receipt):
            try:
                read(octets)
            except (ValueError, IndexError):
                continue

    @pytest.mark.parametrize("tlvs", [True, False])
    @pytest.mark.parametrize("word", ["DELIVRD", "UNDELIV", "EXPIRED"])
    def test_receipts(self, tlvs: bool, word: str) -> None:
        """A receipt turns the addresses round, carries the id in text and TLV, and says the word in both."""
        (body,) = Workload(text="Hello").bodies([3])
        submit = read_submit(body)
        submit.word, submit.number, submit.at = word, 0x1A0C, 1_767_225_600.0
        command_id, made = Receipts(Form(), IdFormat.HEX).write(submit, word, "", 1_767_225_660.0, tlvs)
        assert command_id == names.DELIVER_SM
        sm = codec.parse_sm(made)
        assert (sm.esm_class, sm.source_addr, sm.destination_addr) == (0x04, "33600000003", "smsroute")
        assert read_receipt(made) == ("1a0c", word)
        assert sm.short_message.startswith(b"id:1a0c sub:001 dlvrd:")
        assert b"submit date:2601010000 done date:2601010001 stat:" in sm.short_message
        states = {"DELIVRD": b"\2", "UNDELIV": b"\5", "EXPIRED": b"\3"}
        assert codec.tlvs(sm.tlv) == ([(0x001E, b"1a0c\0"), (0x0427, states[word])] if tlvs else [])

    def test_a_text_is_no_receipt(self) -> None:
        """What a handset wrote is told from a receipt by esm_class, not by its words."""
        assert read_receipt(mobile_originated("33612345678", "36000", b"id:1 stat:DELIVRD")) is None

    @pytest.mark.parametrize(
        ("asked", "word", "wanted"),
        [(0, "DELIVRD", False), (1, "DELIVRD", True), (1, "UNDELIV", True), (2, "DELIVRD", False),
         (2, "UNDELIV", True), (3, "DELIVRD", True), (3, "UNDELIV", False)],
    )  # fmt: skip
    def test_who_wants_one(self, asked: int, word: str, wanted: bool) -> None:
        """registered_delivery asks for all, for failures only, or for successes only."""
        assert wants_receipt(Submit(b"", b"", asked, b"", word=word)) is wanted


class TestBook:
    def test_doubles_and_early(self) -> None:
        """A receipt before its response waits for it; the second of a message is a double."""
        book, latency = Book(), Histogram()
        book.submitted([0, 1, 2], 1.0)
        assert not book.told("a", "DELIVRD", latency, 1.5, keep=True) and len(book.early) == 1
        assert book.accepted(0, "a", latency, 2.0) and not book.accepted(1, "b", latency, 2.0)
        assert book.told("b", "UNDELIV", latency, 3.0, keep=True)
        assert not book.told("b", "DELIVRD", latency, 4.0, keep=True)
        book.statuses[2] = DOUBTED
        promises = list(book.promises(Workload(), 3))
        assert [promise.receipts for promise in promises] == [("DELIVRD",), ("UNDELIV", "DELIVRD"), ()]
        assert [promise.command_status for promise in promises] == [0, 0, DOUBTED]
        assert [promise.message_ids for promise in promises] == [("a",), ("b",), ()]
        assert latency.count == 2 and book.word_counts == {"DELIVRD": 1, "UNDELIV": 1}

    def test_submitted_again(self) -> None:
        """A message submitted again keeps its place and its first time; new ones follow the last."""
        book = Book()
        book.submitted([0, 1], 1.0)
        book.submitted([0, 2], 5.0)
        book.submitted([1], 6.0)
        assert list(book.submitted_at) == [1.0, 1.0, 5.0] and list(book.statuses) == [WAITING] * 3


def test_handsets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit texts are only counted."""
    monkeypatch.setattr("smsroute.sim.handsets.HANDSETS_MAX", 2)
    handsets = Handsets()
    submits = [Submit(b"", b"\1\1%d\0" % n, 1, b"hi", word="DELIVRD") for n in (1, 2, 1, 3, 4)]
    handsets.deliver([*submits, Submit(b"", b"\1\0015\0", 1, b"hi", word="UNDELIV")])
    assert handsets.stats() == {"handset_texts": 2, "handset_doubles": 1, "handset_uncounted": 2}
