"""The nouns, the table of states, and the journal's format."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import (
    FIRST_FINAL,
    STATE_OF_RECEIPT,
    STATES,
    Accepted,
    AnyEvent,
    Attempt,
    Attempted,
    Blame,
    Cause,
    Doubted,
    Event,
    Finished,
    MessageClass,
    Moved,
    OrphansAged,
    Part,
    Receipted,
    Requeued,
    Responded,
    Started,
    State,
    Told,
    Withdrawn,
    pack,
    pack_part,
    transition,
    unpack,
    unpack_part,
)

FINALS = [state for state in State if state >= FIRST_FINAL]
OPEN = [state for state in State if state < FIRST_FINAL]
KINDS: list[Any] = Event.__subclasses__()


def part(state: int = State.DUE, *, wants_receipt: int = 1, told_at: float = 0.0) -> Part:
    """A part in this state."""
    return Part(
        "1N1",
        "acme",
        1.0,
        MessageClass.INFO,
        "SHOP",
        "33612345678",
        b"address text",
        7,
        wants_receipt,
        60.0,
        state=state,
        told_at=told_at,
    )


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", FINALS)
@pytest.mark.parametrize("cause", Cause)
def test_a_final_state_never_changes(state: State, cause: Cause) -> None:
    """Law 5: whatever is told afterwards, the table has no step out of a final state."""
    one = part(state)
    assert not transition(one, cause)
    assert one.state == state


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("cause", Cause)
def test_a_state_changes_as_the_table_says_or_not_at_all(state: State, cause: Cause) -> None:
    """`transition` is an interpreter of the table: a cell that is not there changes nothing and says so."""
    one = part(state)
    wanted = STATES[state].get(cause)
    assert transition(one, cause) == (wanted is not None)
    assert one.state == (state if wanted is None else wanted)


def test_every_open_state_has_a_way_out_and_every_cause_a_use() -> None:
    """No part can be stuck by the table, and the table names no cause that nothing can bring about."""
    assert set(STATES) == set(OPEN)
    for state in OPEN:
        assert any(target >= FIRST_FINAL for target in STATES[state].values())
    assert {cause for steps in STATES.values() for cause in steps} == set(Cause)


@pytest.mark.parametrize("state", OPEN)
def test_a_receipt_ends_a_part_wherever_it_waits(state: State) -> None:
    """The receipt of an attempt in doubt may come while the part is queued again, under way again, or held."""
    for final, cause in STATE_OF_RECEIPT.items():
        one = part(state)
        assert transition(one, cause)
        assert one.state == final


def test_bytes_that_may_have_left_are_never_unsent_again() -> None:
    """Law 2: only an attempt that is under way can be withdrawn; one in doubt goes again only as REQUEUED."""
    assert [state for state in OPEN if Cause.WITHDRAWN in STATES[state]] == [State.ATTEMPTED]
    assert STATES[State.IN_DOUBT][Cause.REQUEUED] == State.DUE
    assert [state for state in OPEN if Cause.ATTEMPTED in STATES[state]] == [State.DUE]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("wants_receipt", [0, 1, 2, 3])
def test_an_esme_is_owed_what_it_asked_for(state: State, wants_receipt: int) -> None:
    """registered_delivery 0: nothing; 1: any end; 2: a failure only; 3: a delivery only. At rest:
    final and told, or not to be told."""
    one = part(state, wants_receipt=wants_receipt)
    final = state in FINALS
    good, well = state == State.DELIVERED, state in (State.DELIVERED, State.ACCEPTED)
    owes = wants_receipt == 1 or (wants_receipt == 2 and not well) or (wants_receipt == 3 and good)
    assert one.final == final
    assert one.owes_receipt == owes
    assert one.at_rest == (final and not owes)
    assert part(state, wants_receipt=wants_receipt, told_at=5.0).at_rest == final


# -- the journal's format ----------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20)
AT = st.floats(min_value=0, max_value=4e9)
NUMBER = st.integers(-1, 2**31)


def events() -> st.SearchStrategy[AnyEvent]:
    """Any event with any field values of its types."""
    by_type: dict[object, st.SearchStrategy[object]] = {
        str: TEXT,
        float: AT,
        bool: st.booleans(),
        int: NUMBER,
        bytes: st.binary(max_size=300),
        bytes | None: st.none() | st.binary(max_size=300),
        list[str]: st.lists(TEXT, max_size=4),
        list[tuple[str, str]]: st.lists(st.tuples(TEXT, TEXT), max_size=4),
        list[tuple[str, float]]: st.lists(st.tuples(TEXT, AT), max_size=4),
    }
    return st.one_of(
        [st.builds(kind, *(by_type[field.type] for field in msgspec.structs.fields(kind))) for kind in KINDS]
    )


@given(st.lists(events(), max_size=5))
def test_what_the_journal_packs_it_reads_back(batch: list[AnyEvent]) -> None:
    """Every event of every kind, whatever its text and numbers, comes back equal and in order."""
    assert unpack(pack(batch)) == batch


@given(st.binary(max_size=200))
def test_a_row_that_is_not_ours_is_refused(record: bytes) -> None:
    """Reading any bytes gives events or msgspec.DecodeError, nothing else."""
    try:
        read = unpack(record)
    except msgspec.DecodeError:
        return
    assert unpack(pack(read)) == read


def test_a_part_with_all_that_was_tried_comes_back_equal() -> None:
    """The checkpoint's form of a part loses nothing."""
    one = part(State.SUBMITTED)
    one.attempts.append(Attempt(2.0, "orange", "orange-1", "fr", "cheapest", blame=Blame.OK, carrier_message_id="a1"))
    one.facts.append("2.5 orange says ENROUTE")
    assert unpack_part(pack_part(one)) == one


def test_parts_share_no_list() -> None:
    """The empty lists of a new part are its own: what one part was tried on is not tried on another."""
    one, other = part(), part()
    one.attempts.append(Attempt(2.0, "orange", "orange-1", "fr"))
    one.facts.append("moved")
    assert (other.attempts, other.facts) == ([], [])


def test_journal_numbers_keep_their_meaning() -> None:
    """An old journal is read by a new engine: numbers of events, states, causes and blames are never given anew.

    A new line here is fine; a changed one makes yesterday's journal lie.
    """
    assert {kind.__name__: kind.__struct_config__.tag for kind in KINDS} == {
        "Started": 1,
        "Accepted": 2,
        "Attempted": 3,
        "Withdrawn": 4,
        "Responded": 5,
        "Doubted": 6,
        "Requeued": 7,
        "Moved": 8,
        "Receipted": 9,
        "Finished": 10,
        "Told": 11,
        "OrphansAged": 12,
        "Queried": 13,
        "Adopted": 14,
        "Closed": 15,
        "Arrived": 16,
        "Replaced": 18,
        "Noted": 19,
    }
    assert [int(state) for state in State] == [0, 1, 2, 3, 10, 12, 13, 14, 15, 17, 18, 20]
    assert [int(cause) for cause in Cause] == list(range(18))
    assert [int(blame) for blame in Blame] == list(range(7))
    assert [int(kind) for kind in MessageClass] == list(range(4))


# One row each, as the first version wrote it.
OLD: list[tuple[AnyEvent, list[object]]] = [
    (Started(1.0, "n1", "0.1"), [1, 1.0, "n1", "0.1"]),
    (
        Accepted("1N1", 1.0, "acme", 2, "SHOP", "336", b"b", 1, 1, 60.0, "fr", "orange", "m"),
        [2, "1N1", 1.0, "acme", 2, "SHOP", "336", b"b", 1, 1, 60.0, "fr", "orange", "m"],
    ),
    (
        Attempted(1.0, "orange", "orange-1", "fr", "why", ["1"], 0.03),
        [3, 1.0, "orange", "orange-1", "fr", "why", ["1"], 0.03],
    ),
    (Withdrawn(1.0, ["1"], "gone"), [4, 1.0, ["1"], "gone"]),
    (Responded("1", 0, 1.0, 0, 0, "a1", "k"), [5, "1", 0, 1.0, 0, 0, "a1", "k"]),
    (Doubted(1.0, ["1"], "cut"), [6, 1.0, ["1"], "cut"]),
    (Requeued(1.0, ["1"], "sfr", "otp"), [7, 1.0, ["1"], "sfr", "otp"]),
    (Moved(1.0, ["1"], "sfr", "fr", "sick"), [8, 1.0, ["1"], "sfr", "fr", "sick"]),
    (
        Receipted("orange", 1.0, ["a1"], 12, "000", "DELIVRD", "336"),
        [9, "orange", 1.0, ["a1"], 12, "000", "DELIVRD", "336"],
    ),
    (Finished(1.0, ["1"], Cause.EXPIRED, "e", "late"), [10, 1.0, ["1"], 14, "e", "late"]),
    (Told(1.0, "acme", ["1"]), [11, 1.0, "acme", ["1"]]),
    (OrphansAged(1.0, 0.5), [12, 1.0, 0.5]),
]


@pytest.mark.parametrize(("event", "row"), OLD, ids=lambda value: type(value).__name__)
def test_an_old_row_is_read_by_todays_engine(event: AnyEvent, row: list[object]) -> None:
    """Fields are only added at the end with a default: the rows of the first version still say the same."""
    assert unpack(msgspec.msgpack.encode([row])) == [event]


def test_a_row_of_tomorrow_is_read_by_todays_engine() -> None:
    """A field added later is passed over: one version back is a way home."""
    assert unpack(msgspec.msgpack.encode([[11, 1.0, "acme", ["1"], "", "tomorrow's"]])) == [Told(1.0, "acme", ["1"])]
