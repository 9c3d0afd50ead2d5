"""A simulated platform against a simulated carrier, in virtual time: modes and habits do what they are called."""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import MockClock

from smsroute.sim.esme import EsmeSettings
from smsroute.sim.idforms import IdFormat
from smsroute.sim.temperament import Mode
from smsroute.sim.workload import Workload
from smsroute.smpp import codec
from tests.sim import determinism
from tests.sim_peers.stage import stage


async def test_a_kind_carrier(autojump_clock: MockClock) -> None:
    """Every message is promised once, told once, and reaches its handset once."""
    async with stage(messages=200) as it:
        await it.settle()
        promises = list(it.esme.promises())
        assert all(promise.command_status == 0 and promise.receipts == ("DELIVRD",) for promise in promises)
        keys = {(promise.destination_addr, promise.short_message): 1 for promise in promises}
        assert it.carrier.handsets.got == keys and len(keys) == 200
        assert len({message_id for promise in promises for message_id in promise.message_ids}) == 200


@pytest.mark.parametrize("ids", [kind for kind in IdFormat if kind in {IdFormat.HEX, IdFormat.DECIMAL, IdFormat.UUID}])
async def test_ids_that_agree(autojump_clock: MockClock, ids: IdFormat) -> None:
    """These formats write the same id in the response and in the receipt."""
    async with stage([f"ids={ids.value}"]) as it:
        await it.settle()


@pytest.mark.parametrize("ids", [IdFormat.HEX_DEC, IdFormat.DEC_HEX, IdFormat.PADDED])
async def test_ids_that_differ(autojump_clock: MockClock, ids: IdFormat) -> None:
    """These write it differently: a platform that compares octets claims no receipt at all."""
    async with stage([f"ids={ids.value}", "receipt_delay=0.1"], messages=20) as it:
        await it.answered()
        await trio.sleep(5)
        unclaimed = it.esme.report()["unclaimed_receipts"]
        assert unclaimed == 20 if ids is not IdFormat.PADDED else unclaimed in {0, 20}


async def test_throttling(autojump_clock: MockClock) -> None:
    """A throttling carrier takes nothing; once it is kind again, what was refused comes back and gets through once."""
    async with stage(mode=Mode.THROTTLING) as it:
        await trio.sleep(3)
        assert it.carrier.counts["taken"] == 0 and it.esme.report()["statuses"]["ESME_RTHROTTLED"] >= 100
        it.carrier.mode = Mode.KIND
        await it.settle()
        assert it.carrier.handsets.stats()["handset_doubles"] == 0 and it.carrier.counts["taken"] == 50


async def test_throttle_above(autojump_clock: MockClock) -> None:
    """With throttle_above_s a carrier takes no more than that a second, after one second's worth at the start."""
    async with stage(["throttle_above_s=10"], messages=100, settings=EsmeSettings(retry_s=0.1)) as it:
        start = trio.current_time()
        await it.settle()
        assert 8.5 <= trio.current_time() - start <= 10.5


async def test_window(autojump_clock: MockClock) -> None:
    """A carrier with a window refuses what goes beyond it; a platform that keeps to it is never refused."""
    async with stage(["window=5", "response_delay=0.2"], settings=EsmeSettings(window=5)) as it:
        await it.settle()
        assert it.esme.counts["retried"] == 0 and it.carrier.counts["unanswered_max"] == 5
    async with stage(["window=5", "response_delay=0.2"], settings=EsmeSettings(window=10)) as it:
        await it.settle()
        assert it.esme.counts["retried"] > 0


async def test_erroring(autojump_clock: MockClock) -> None:
    """An erroring carrier refuses its share, at once, with the statuses asked for; final ones end the message."""
    words = ["sick_share=0.5", "error_statuses=ESME_RSUBMITFAIL", "response_delay=2"]
    async with stage(words, mode=Mode.ERRORING, messages=400) as it:
        await it.settle()
        refused = it.esme.counts["refused"]
        assert 150 < refused < 250 and it.esme.report()["statuses"] == {"ESME_RSUBMITFAIL": refused}
        assert it.esme.response_latency.quantile(0.1) < 0.1 < 2.0 < it.esme.response_latency.quantile(0.9)


async def test_slow(autojump_clock: MockClock) -> None:
    """Slow means slow_delay instead of response_delay, and back when kind."""
    settings = EsmeSettings(window=1)
    async with stage(["slow_delay=5"], mode=Mode.SLOW, messages=4, settings=settings) as it:
        await trio.sleep(12)
        assert it.esme.counts["accepted"] == 2
        it.carrier.mode = Mode.KIND
        await it.settle(6)


async def test_growing(autojump_clock: MockClock) -> None:
    """A growing delay gets longer the longer it lasts."""
    settings = EsmeSettings(rate=1.0)
    async with stage(["response_delay=growing:0.1:0.05"], messages=60, settings=settings) as it:
        await it.settle()
        times = [promise.responded_at - promise.submitted_at for promise in it.esme.promises()]
        assert times[0] < 0.3 and 2.5 < times[-1] < 4.0 and times[10] < times[30] < times[50]


async def test_silent(autojump_clock: MockClock) -> None:
    """A silent carrier reads and answers nothing, enquire_link included; the platform gives the link up and doubts."""
    settings = EsmeSettings(enquire_link_s=5.0, response_timeout_s=10.0)
    async with stage(messages=20, settings=settings, mode=Mode.KIND) as it:
        await it.settle()
        it.carrier.mode = Mode.SILENT
        await trio.sleep(30)
        assert it.esme.bound == 0 and it.esme.counts["links_lost"] >= 1
        it.carrier.mode = Mode.KIND
        await trio.sleep(30)
        assert it.esme.bound == 1


@pytest.mark.parametrize(("takes", "reached"), [("no", 0), ("yes", 10)])
async def test_silent_takes(autojump_clock: MockClock, takes: str, reached: int) -> None:
    """What a silent carrier read may or may not have reached the handset; the platform cannot know."""
    settings = EsmeSettings(rate=10.0, response_timeout_s=5.0)
    async with stage([f"silent_takes={takes}"], messages=20, settings=settings) as it:
        await it.esme.wait_for(lambda esme: esme.counts["accepted"] >= 10)
        it.carrier.mode = Mode.SILENT
        await it.answered()
        assert it.esme.counts["doubted"] == 10 and len(it.carrier.handsets.got) == 10 + reached


async def test_black_hole(autojump_clock: MockClock) -> None:
    """A black hole promises everything, delivers nothing, and never tells."""
    async with stage(mode=Mode.BLACK_HOLE) as it:
        await it.answered()
        await trio.sleep(3600)
        assert it.esme.counts["accepted"] == 50 and it.esme.untold == 50 and not it.carrier.handsets.got


async def test_closed(autojump_clock: MockClock) -> None:
    """A closed carrier drops its links and refuses new ones; opened again it is reached at the same address."""
    async with stage(messages=10) as it:
        await it.settle()
        it.carrier.mode = Mode.CLOSED
        await trio.sleep(10)
        assert it.esme.bound == 0 and it.esme.counts["connects_refused"] >= 8
        it.carrier.mode = Mode.KIND
        await trio.sleep(3)
        assert it.esme.bound == 1


async def test_receipts_lost_and_doubled(autojump_clock: MockClock) -> None:
    """Shares of receipts are lost and doubled as asked, and counted."""
    async with stage(["receipts_lost=0.2", "receipts_doubled=0.3"], messages=500) as it:
        await it.answered()
        await trio.sleep(10)
        lost, doubled = it.carrier.counts["receipts_lost"], it.carrier.counts["receipts_doubled"]
        assert 60 < lost < 140 and 80 < doubled < 160
        assert it.receipts.count(()) == lost and it.receipts.count(("DELIVRD", "DELIVRD")) == doubled


async def test_receipts_early(autojump_clock: MockClock) -> None:
    """An early receipt overtakes its response and is matched when the response comes."""
    async with stage(["receipts_early=1", "response_delay=3"], messages=10) as it:
        await trio.sleep(2)
        assert it.esme.counts["accepted"] == 0 and it.esme.report()["unclaimed_receipts"] == 10
        await it.settle()
        assert it.receipts == [("DELIVRD",)] * 10


async def test_receipts_elsewhere(autojump_clock: MockClock) -> None:
    """Receipts may come on another bind of the account; those of a transmitter always do."""
    settings = EsmeSettings(binds=("transmitter", "receiver", "transceiver"), rate=100.0)
    async with stage(["receipts_elsewhere=0.5"], messages=100, settings=settings) as it:
        await it.settle()
        assert it.carrier.counts["receipts_elsewhere"] > 20


async def test_receipts_wait_for_a_bind(autojump_clock: MockClock) -> None:
    """Receipts that nobody could take wait, and those unanswered when a link died come again."""
    settings = EsmeSettings(reconnect_s=30.0, acks="no")
    async with stage(["receipt_delay=1"], messages=10, settings=settings) as it:
        await trio.sleep(3)
        assert it.carrier.counts["receipts_sent"] == 10 and it.carrier.counts["receipts_answered"] == 0
        it.esme.drop_links()
        it.esme.acks = "yes"
        await trio.sleep(5)
        assert it.carrier.receipts_waiting == 10
        await it.settle()
        await trio.sleep(1)
        assert it.carrier.counts["receipts_sent"] == 20 and it.carrier.receipts_waiting == 0


async def test_refused_receipts_come_again(autojump_clock: MockClock) -> None:
    """A receipt answered with a temporary status is sent again after a while."""
    async with stage(messages=5, settings=EsmeSettings(acks="refuse")) as it:
        await it.answered()
        await trio.sleep(1)
        it.esme.acks = "yes"
        await it.settle(10)
        assert it.carrier.counts["receipts_refused"] == 5


async def test_outcomes(autojump_clock: MockClock) -> None:
    """Outcomes come in the shares asked for, and only DELIVRD ones reach a handset."""
    async with stage(["outcomes=DELIVRD:7,UNDELIV:2,EXPIRED:1"], messages=1000) as it:
        await it.settle()
        words = it.esme.report()["words"]
        assert set(words) == {"DELIVRD", "UNDELIV", "EXPIRED"} and 620 < words["DELIVRD"] < 780
        assert len(it.carrier.handsets.got) == words["DELIVRD"]


@pytest.mark.parametrize(("registered_delivery", "told"), [(0, 0), (2, "failed"), (3, "delivered")])
async def test_registered_delivery(autojump_clock: MockClock, registered_delivery: int, told: int | str) -> None:
    """Receipts are sent when they were asked for: never, on failure, on success."""
    workload = Workload(messages=100, registered_delivery=registered_delivery)
    async with stage(["outcomes=DELIVRD,UNDELIV"], workload=workload) as it:
        await it.answered()
        await trio.sleep(10)
        delivered = len(it.carrier.handsets.got)
        assert it.esme.counts["told"] == {0: 0, "failed": 100 - delivered, "delivered": delivered}[told]


async def test_wrong_password(autojump_clock: MockClock) -> None:
    """A carrier refuses a wrong password and a wrong name; the platform comes back after its pause, not at once."""
    for settings in (EsmeSettings(password="guess", reconnect_s=10.0), EsmeSettings(system_id="eve", reconnect_s=10.0)):
        async with stage(system_id="acme", password="secret", settings=settings) as it:
            await trio.sleep(25)
            assert it.carrier.counts["binds_refused"] == it.esme.counts["binds_refused"] == 3


async def test_binds_max(autojump_clock: MockClock) -> None:
    """A carrier with binds_max refuses the next bind of that account."""
    async with stage(["binds_max=2"], settings=EsmeSettings(binds=("transceiver",) * 3, reconnect_s=60.0)) as it:
        await it.settle()
        assert it.esme.bound == 2 and it.esme.counts["binds_refused"] == 1


async def test_rate(autojump_clock: MockClock) -> None:
    """A platform with a rate submits evenly at it."""
    async with stage(messages=500, settings=EsmeSettings(rate=50.0)) as it:
        await it.settle()
        times = [promise.submitted_at for promise in it.esme.promises()]
        assert 9.5 < times[-1] - times[0] < 10.5
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 0.05


async def test_pause(autojump_clock: MockClock) -> None:
    """A paused platform submits nothing and goes on afterwards."""
    async with stage(messages=100, settings=EsmeSettings(rate=10.0)) as it:
        await trio.sleep(3)
        it.esme.paused = True
        await trio.sleep(0.1)
        submitted = it.esme.report()["submitted"]
        await trio.sleep(20)
        assert it.esme.report()["submitted"] == submitted
        it.esme.paused = False
        await it.settle(10)


async def test_doubted_is_not_resubmitted_unless_told(autojump_clock: MockClock) -> None:
    """A message without an answer stays doubted; a platform told to resubmit makes a double when it had been taken."""
    for resubmit, doubles in ((False, 0), (True, 10)):
        settings = EsmeSettings(resubmit_doubted=resubmit)
        async with stage(["response_delay=5"], messages=10, settings=settings) as it:
            await trio.sleep(2)
            it.carrier.drop_links()
            await it.answered()
            await trio.sleep(1)
            assert it.esme.counts["doubted"] == 10
            assert it.carrier.handsets.stats()["handset_doubles"] == doubles


async def test_stop_unbinds(autojump_clock: MockClock) -> None:
    """`stop` says unbind, and `run` ends."""
    async with stage(settings=EsmeSettings(binds=("transceiver", "receiver"))) as it:
        await it.settle()
        it.esme.stop()
        await trio.sleep(5)
        assert it.esme.bound == 0 and it.carrier.stats()["binds"] == 0 and it.esme.counts["links_lost"] == 0


async def test_a_carrier_unbinds(autojump_clock: MockClock) -> None:
    """A carrier that unbinds for the night is bound again."""
    async with stage() as it:
        await it.settle()
        it.carrier.unbind_links()
        await trio.sleep(5)
        assert it.esme.counts["links_lost"] == 1 and it.esme.bound == 1


async def test_mobile_originated(autojump_clock: MockClock) -> None:
    """A handset's text reaches the platform as what it is, even when it looks like a receipt."""
    async with stage() as it:
        assert not it.carrier.mobile_originated("33612345678", "36000", b"nobody is bound yet")
        await it.settle()
        assert it.carrier.mobile_originated("33612345678", "36000", b"id:1 stat:DELIVRD")
        await trio.sleep(1)
        (body,) = it.esme.handset_texts
        assert codec.parse_sm(body).source_addr == "33612345678" and it.esme.counts["from_handsets"] == 1


async def test_multipart(autojump_clock: MockClock) -> None:
    """Parts of one message go to one handset with one reference, numbered."""
    async with stage(workload=Workload(messages=30, parts=3)) as it:
        await it.settle()
        got = list(it.carrier.handsets.got)
        assert len(got) == 30 and len({number for number, _ in got}) == 10
        assert [text[3:6] for _, text in got][:4] == [b"\0\3\1", b"\0\3\2", b"\0\3\3", b"\1\3\1"]


def test_a_seed_replays() -> None:
    """The same seed gives the same day, another seed another."""
    words = ["response_delay=lognormal:0.2:1", "receipts_lost=0.1", "outcomes=DELIVRD,UNDELIV", "throttle_share=0.1"]

    async def day(seed: int) -> object:
        async with stage(words, seed=seed, settings=EsmeSettings(rate=20.0)) as it:
            await it.answered()
            await trio.sleep(5)
            return it.esme.report()["words"], it.carrier.stats()["statuses"], it.receipts

    assert determinism.run(7, day, 7) == determinism.run(7, day, 7) != determinism.run(8, day, 8)
