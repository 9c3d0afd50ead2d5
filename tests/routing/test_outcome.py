"""Blame: every number a carrier may answer, and what may happen next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import Blame, State
from smsroute.routing import outcome
from smsroute.routing.outcome import NO_END, TABLE, ReceiptErrors, Word, blame, receipt_word, tries_max, verdict
from smsroute.smpp.names import status_name

# The field survey, row by row, as it was written down before there was any code: number (or numbers), the name in the
# specifications or "-", class, and what the survey says besides. once: one try here at most; twice: two; on: until its
# time is up; alarm: a person should look; op: a failure of another operation, which says little about a submit.
SURVEY = """
00                ROK            OK
01                RINVMSGLEN     PMS
02                RINVCMDLEN     PMS  alarm
03                RINVCMDID      PRT
04                RINVBNDSTS     PRT
05                RALYBND        PRT
06                RINVPRTFLG     PMS
07                RINVREGDLVFLG  PMS
08                RSYSERR        TRN
0A                RINVSRCADR     PMS
0B                RINVDSTADR     PMS
0C                RINVMSGID      PMS
0D                RBINDFAIL      PRT
0E                RINVPASWD      PRT  alarm
0F                RINVSYSID      PRT  alarm
11                RCANCELFAIL    TRN  op
13                RREPLACEFAIL   TRN  op
14                RMSGQFUL       CNG  on
15                RINVSERTYP     PMS
33                RINVNUMDESTS   PMS
34                RINVDLNAME     PMS
40                RINVDESTFLAG   PMS
42                RINVSUBREP     PMS
43                RINVESMCLASS   PMS
44                RCNTSUBDL      PMS
45                RSUBMITFAIL    TRN  twice
48                RINVSRCTON     PMS
49                RINVSRCNPI     PMS
4A                -              PMS
4B                -              PMS
4D                -              PRT
4E                -              PMS
50                RINVDSTTON     PMS
51                RINVDSTNPI     PMS
53                RINVSYSTYP     PRT
54                RINVREPFLAG    PMS
55                RINVNUMMSGS    PMS
58                RTHROTTLED     THR  on
5A                -              PRT
61                RINVSCHED      PMS
62                RINVEXPIRY     PMS
63                RINVDFTMSGID   PMS
64                RX_T_APPN      TRN
65                RX_P_APPN      PMS
66                RX_R_APPN      PMS
67                RQUERYFAIL     TRN  op
9F                -              PMS
C0                RINVOPTPARSTREAM  PMS
C1                ROPTPARNOTALLWD   PMS
C2                RINVPARLEN        PMS
C3                RMISSINGOPTPARAM  PRT  alarm
C4                RINVOPTPARAMVAL   PMS
FE                RDELIVERYFAILURE  TRN
FF                RUNKNOWNERR       TRN  once
22                -              PRT
100               RSERTYPUNAUTH  PRT
101               RPROHIBITED    PRT
102               RSERTYPUNAVAIL TRN
103               RSERTYPDENIED  PRT
104               RINVDCS        PMS
105               RINVSRCADDRSUBUNIT  PMS
106               RINVDSTADDRSUBUNIT  PMS
107,108,109,10A   -              PMS
10B,10C,110,111,112  -           PMS
10D               RBCASTFAIL        TRN
10E               RBCASTQUERYFAIL   TRN  op
10F               RBCASTCANCELFAIL  TRN  op
400               -              TRN  once
401,402,403       -              PRT
404,405           -              PMS
40A               -              PMS
40B               -              PRT
430,432,433       -              PMS
431,4FF           -              TRN
4A1               -              TRN  once
406,40C,420,4FE   -              TRN  once
09,1E,70,CF,113,3FF,500,FFFF,80000000,FFFFFFFF  -  TRN  once alarm
"""
CLASSES = {
    "OK": Blame.OK,
    "THR": Blame.THROTTLED,
    "CNG": Blame.CONGESTED,
    "TRN": Blame.TRANSIENT,
    "PMS": Blame.PERMANENT_MESSAGE,
    "PRT": Blame.PERMANENT_ROUTE,
}
ROWS = [
    (int(code, 16), name, CLASSES[kind], words)
    for codes, name, kind, *words in map(str.split, SURVEY.strip().splitlines())
    for code in codes.split(",")
]


@pytest.mark.parametrize(("code", "name", "expected", "words"), ROWS, ids=str)
def test_the_table_says_what_the_survey_says(code: int, name: str, expected: Blame, words: list[str]) -> None:
    """Row by row: the class, the specification's name, how often one may insist, whether a person should look."""
    said = verdict(code, {})
    assert blame(code, {}) == expected == said.blame
    if name != "-":
        assert status_name(code).removeprefix("ESME_") == name
    least = {"once": 1, "op": 1, "twice": 2, "on": NO_END}
    for word in words:
        assert said.alarm if word == "alarm" else said.tries_max == least[word]
    if expected is Blame.PERMANENT_MESSAGE:
        assert (said.tries_max, said.elsewhere) == (1, False), "no route will do"
    if expected is Blame.PERMANENT_ROUTE:
        assert (said.tries_max, said.elsewhere) == (1, True), "not here, but elsewhere"


def test_the_table_has_no_row_the_survey_does_not_know() -> None:
    """What nobody surveyed is left to the defaults."""
    assert {code for code, *_ in ROWS} >= set(TABLE)


@given(st.integers(0, 0xFFFFFFFF))
def test_every_number_has_a_verdict(code: int) -> None:
    """No number is without one; what no specification lists is transient, not here again, and worth a look."""
    judged = verdict(code, {})
    assert judged.blame == blame(code, {})
    assert judged.tries_max >= 1
    assert judged.note
    if code not in TABLE:
        assert (judged.blame, judged.tries_max, judged.elsewhere) == (Blame.TRANSIENT, 1, True)
        assert judged.alarm is (code not in range(0x400, 0x500))


@given(st.integers(0, 0x500), st.sampled_from(list(Blame)))
def test_an_override_wins(code: int, said: Blame) -> None:
    """A carrier's `outcomes:` decide over the table; a number they do not name is left alone."""
    assert blame(code, {code: said}) == said == verdict(code, {code: said}).blame
    assert blame(code, {code + 1: said}) == blame(code, {})


def test_only_what_was_refused_for_the_carriers_sake_goes_elsewhere() -> None:
    """A message's own fault and a success go nowhere else; what is unanswered waits for the in_doubt policy."""
    assert {b for b in Blame if outcome.retry_elsewhere(b)} == {
        Blame.THROTTLED, Blame.CONGESTED, Blame.TRANSIENT, Blame.PERMANENT_ROUTE
    }  # fmt: skip
    assert {b for b in Blame if outcome.retry_same_carrier(b)} == {Blame.THROTTLED, Blame.CONGESTED, Blame.TRANSIENT}


def test_tries_follow_the_survey() -> None:
    """Throttled may be repeated until validity ends; the survey's limits of one and two tries hold."""
    assert [tries_max(code, {}) for code in (0x58, 0x14, 0x45, 0xFF, 0x400, 0x7777)] == [NO_END, NO_END, 2, 1, 1, 1]


def test_faults_are_the_carriers_only() -> None:
    """Law 9: neither a subscriber's fault nor congestion counts as a carrier's fault."""
    assert {b for b in Blame if outcome.is_fault(b)} == {Blame.TRANSIENT, Blame.PERMANENT_ROUTE, Blame.UNKNOWN}


class TestReceipts:
    """A final receipt's second answer: its err, by the carrier's own table."""

    ERRORS = ReceiptErrors(
        {"001": Blame.PERMANENT_MESSAGE, "050": Blame.THROTTLED, "0A": Blame.TRANSIENT, "1": Blame.PERMANENT_ROUTE}
    )

    @pytest.mark.parametrize("state", [State.DELIVERED, State.EXPIRED, State.UNDELIVERABLE, State.REJECTED])
    @pytest.mark.parametrize(
        ("err", "expected"),
        [
            ("001", Word.NEUTRAL),  # as written
            ("1", Word.ITS_FAULT),  # as written, though the number would say something else
            ("50", Word.ITS_FAULT),  # as a number
            ("0050", Word.ITS_FAULT),
            ("0A", Word.ITS_FAULT),
            ("10", None),  # 0A is no number here
            ("0a", None),
            ("", None),
            ("\u00b2", None),  # a digit to Unicode, and no number
        ],
    )
    def test_the_word_first_then_the_number_then_the_house(self, state: State, err: str, expected: Word | None) -> None:
        """Delivered is delivered whatever err says; else the carrier's table; else the house's default by state."""
        if state is State.DELIVERED:
            expected = Word.DELIVERED
        elif expected is None:
            expected = Word.ITS_FAULT if state is State.REJECTED else Word.NEUTRAL
        assert receipt_word(state, err, self.ERRORS) is expected

    @given(st.sampled_from(list(Blame)), st.sampled_from([State.UNDELIVERABLE, State.EXPIRED, State.REJECTED]))
    def test_whose_fault_it_is_decides(self, said: Blame, state: State) -> None:
        """The subscriber's or the text's touches nobody; throttled, congested and the rest are the carrier's."""
        word = receipt_word(state, "7", ReceiptErrors({"7": said}))
        nobodys = said in (Blame.OK, Blame.PERMANENT_MESSAGE)
        assert word is (Word.NEUTRAL if nobodys else Word.ITS_FAULT)

    @given(st.text(max_size=20))
    def test_any_err_has_a_word(self, err: str) -> None:
        """What carriers write there never raises."""
        assert receipt_word(State.EXPIRED, err, self.ERRORS) in Word
