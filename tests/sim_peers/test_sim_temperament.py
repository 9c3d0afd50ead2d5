"""What a temperament's words mean, and that its tables keep their shares."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.sim.idforms import RECEIPT_ID, RESPONSE_ID, IdFormat
from smsroute.sim.judge import Judge
from smsroute.sim.temperament import (
    TABLE_SIZE,
    Delay,
    Mode,
    Temperament,
    habit,
    status_code,
)

WORDS = [
    "response_delay=lognormal:0.05:0.5",
    "receipt_delay=normal:2:0.5",
    "slow_delay=growing:1:0.1",
    "error_share=0.1",
    "error_statuses=0x8:3,0x45:1",
    "throttle_share=0.2",
    "throttle_above_s=200",
    "sick_share=0.5",
    "window=10",
    "binds_max=2",
    "outcomes=DELIVRD:9,UNDELIV:1",
    "receipts_lost=0.01",
    "receipts_doubled=0.02",
    "receipts_early=0.03",
    "receipts_elsewhere=0.04",
    "receipt_tlvs=no",
    "receipts_intermediate=0.05",
    "receipts_stale=0.06",
    "receipts_conflicting=0.07",
    "receipts_on=any",
    "receipt_text=upper",
    "receipt_body=ucs2",
    "receipt_dates=century",
    "receipt_zone_h=-3.5",
    "receipt_esm_class=0",
    "errs_unique=yes",
    "ids=hex-dec",
    "first_id=4095",
    "query_sm=yes",
    "silent_takes=yes",
]


def test_every_field_can_be_said() -> None:
    """Each field has a word, and a temperament's words make the same temperament."""
    temperament = Temperament().with_words(WORDS)
    assert [word.partition("=")[0] for word in temperament.words()] == [f.name for f in attrs.fields(Temperament)]
    assert sorted(temperament.words()) == sorted(WORDS)
    assert Temperament().with_words(temperament.words()) == temperament


def test_plain_is_no_words() -> None:
    """The default temperament has nothing to say."""
    assert Temperament().words() == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("error_share", "KEY=VALUE"),
        ("eror_share=0.1", "KEY=VALUE"),
        ("error_share=1.5", "between 0 and 1"),
        ("error_share=often", "error_share"),
        ("response_delay=uniform:1:2", "lognormal:MEDIAN:SIGMA"),
        ("response_delay=normal:1", "normal:MEAN:DEVIATION"),
        ("response_delay=-1", "at least 0"),
        ("error_statuses=ESME_RWHATEVER", "command_status"),
        ("error_statuses=0", "other than 0"),
        ("error_statuses=RSYSERR:0", "weight above 0"),
        ("outcomes=LOST", "DELIVRD"),
        ("ids=roman", "hex-dec"),
        ("receipt_tlvs=perhaps", "yes or no"),
        ("window=-1", "at least 0"),
    ],
)
def test_wrong_words(word: str, expected: str) -> None:
    """A word that means nothing is refused with its name and what was expected."""
    with pytest.raises(ValueError, match=expected) as caught:
        Temperament().with_words([word])
    assert word.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [("ESME_RSYSERR", 8), ("rthrottled", 0x58), ("0x431", 0x431), ("88", 0x58), (" ESME_RMSGQFUL ", 20)],
)
def test_status_codes(text: str, code: int) -> None:
    """A status is written by its name, with or without ESME_, or as a number."""
    assert status_code(text) == code


@pytest.mark.parametrize(("text", "median"), [("0.25", 0.25), ("normal:2:0.5", 2.0), ("lognormal:0.05:0.8", 0.05)])
def test_delay_medians(text: str, median: float) -> None:
    """Half of the waits are below the median that was asked for."""
    rng = random.Random(1)
    delay = Delay.parse(text)
    waits = sorted(delay.draw(rng, 0.0) for _ in range(4001))
    assert waits[2000] == pytest.approx(median, rel=0.06) and waits[0] >= 0.0


def test_a_delay_grows() -> None:
    """growing:START:RATE adds RATE for each second it lasts."""
    delay = Delay.parse("growing:0.5:0.1")
    assert [delay.draw(random.Random(1), age) for age in (0.0, 10.0, 100.0)] == [0.5, 1.5, 10.5]


@given(share=st.floats(0.0, 1.0), throttled=st.floats(0.0, 1.0))
def test_refusal_shares(share: float, throttled: float) -> None:
    """The status table holds each share to two in a thousand, and is always full."""
    statuses = habit(Temperament(error_share=share, throttle_share=throttled), Mode.KIND).statuses
    if share + throttled == 0.0:
        assert statuses == ()
        return
    if len(statuses) == 1:
        statuses = statuses * TABLE_SIZE
    assert len(statuses) == TABLE_SIZE
    if share + throttled <= 1.0:
        assert statuses.count(0x08) == pytest.approx(share * TABLE_SIZE, abs=2.5)
        assert statuses.count(0x58) == pytest.approx(throttled * TABLE_SIZE, abs=2.5)
    else:
        assert 0 not in statuses[:-1]


@pytest.mark.parametrize("mode", list(Mode))
def test_modes(mode: Mode) -> None:
    """Each mode changes what its name says and nothing else."""
    plain, one = habit(Temperament(), Mode.KIND), habit(Temperament(), mode)
    expected = {
        Mode.KIND: {},
        Mode.CLOSED: {},
        Mode.THROTTLING: {"statuses": (0x58,), "instant_errors": True},
        Mode.ERRORING: {"statuses": (0x08,), "instant_errors": True},
        Mode.SLOW: {"response_delay": Temperament().slow_delay},
        Mode.SILENT: {"answers": False, "takes": False, "receipts": False},
        Mode.BLACK_HOLE: {"takes": False, "receipts": False},
    }[mode]
    assert one == attrs.evolve(plain, **expected)


@pytest.mark.parametrize(
    ("ids", "response", "receipt"),
    [
        (IdFormat.HEX, "1a0c3b4d", "1a0c3b4d"),
        (IdFormat.DECIMAL, "437009229", "437009229"),
        (IdFormat.HEX_DEC, "1a0c3b4d", "0437009229"),
        (IdFormat.DEC_HEX, "437009229", "1a0c3b4d"),
        (IdFormat.HEX_DEC_BARE, "1a0c3b4d", "437009229"),
        (IdFormat.HEX_DEC_64, "812FC7471A0C3B4D", "9308878062991719245"),
        (IdFormat.PADDED, "37009229", "0037009229"),
        (IdFormat.PADDED_RESPONSE, "0037009229", "37009229"),
        (IdFormat.HEX_PADDED, "1a0c3b4d", "000000001a0c3b4d"),
        (IdFormat.UPPER_LOWER, "1A0C3B4D", "1a0c3b4d"),
        (IdFormat.LOWER_UPPER, "1a0c3b4d", "1A0C3B4D"),
        (IdFormat.PREFIXED, "0x1a0c3b4d", "1a0c3b4d"),
        (IdFormat.SPACED, "1a0c3b4d  ", "1a0c3b4d"),
        (IdFormat.BASE62, "TZe3x", "TZe3x"),
        (IdFormat.EMPTY, "", "437009229"),
        (IdFormat.CONSTANT, "msg_id_not_implemented", "msg_id_not_implemented"),
    ],
)
def test_id_formats(ids: IdFormat, response: str, receipt: str) -> None:
    """One message number, as each format writes it in the response and in the receipt (quirks 1.5)."""
    assert (RESPONSE_ID[ids](0x1A0C3B4D), RECEIPT_ID[ids](0x1A0C3B4D)) == (response, receipt)


def test_uuids_differ() -> None:
    """A uuid is 36 characters, another for each message, the same in both places."""
    made = {RESPONSE_ID[IdFormat.UUID](n) for n in range(1000)}
    assert len(made) == 1000 and {len(one) for one in made} == {36}
    assert RECEIPT_ID[IdFormat.UUID](7) == RESPONSE_ID[IdFormat.UUID](7)


def test_credit_grows_back() -> None:
    """throttle_above_s allows one second's worth at once, then its rate, never saves up more."""
    judge = Judge(Temperament(throttle_above_s=10.0), Mode.KIND, random.Random(1), 0.0)

    def taken(offered: int, now: float) -> int:
        judge.refill(now)
        return [judge.verdict(0) for _ in range(offered)].count(0)

    assert [taken(50, 0.0), taken(50, 0.5), taken(50, 1.0), taken(50, 60.0)] == [10, 5, 5, 10]


def test_throwing_nothing_costs_no_die() -> None:
    """A share of 0 throws no die, so that switching one habit on moves no other throw."""
    rng = random.Random(5)
    judge = Judge(Temperament(), Mode.KIND, rng, 0.0)
    before = rng.getstate()
    assert not judge.throw(0.0) and judge.verdict(0) == 0 and rng.getstate() == before
