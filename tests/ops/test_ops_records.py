"""What a message detail record says. smsroute/ops/records.py."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smsroute.ledger import Ledger
from smsroute.message import Accepted, Attempted, Blame, Doubted, Part, Receipted, Requeued, Responded, State, Told
from smsroute.ops.records import MESSAGE_COLUMNS, masked, messages, record, utc
from smsroute.ops.words import iso

T0 = 1_800_000_000.0


def part_after(*events: Any) -> Part:
    ledger = Ledger(orphans_max=10, multiparts_max=10)
    accepted = Accepted("P", T0, "acme", 0, "ACME", "+33612345678", b"", 0, 1, T0 + 60, "fr", "orange")
    for event in (accepted, *events):
        ledger.apply(event)
    return ledger.parts["P"]


def told(part: Part) -> dict[str, Any]:
    return dict(zip(MESSAGE_COLUMNS, record([part], lambda part: "336").message, strict=True))


def test_a_delivered_message_with_a_resend() -> None:
    """What was taken costs; what was in doubt stands apart; each attempt tells its own price, answer and doubt."""
    part = part_after(
        Attempted(T0 + 1, "orange", "orange-1", "fr", "primary", ["P"], 0.03),
        Doubted(T0 + 11, ["P"], "no answer in 10 s"),
        Requeued(T0 + 12, ["P"], "sfr", "otp"),
        Attempted(T0 + 12, "sfr", "sfr-1", "fr", "otp", ["P"], 0.05),
        Responded("P", 1, T0 + 13, Blame.OK, 0, "S1"),
        Receipted("sfr", T0 + 20, ["S1"], State.DELIVERED, "000", "DELIVRD"),
        Told(T0 + 21, "acme", ["P"]),
    )
    row = told(part)
    assert (row["message_id"], row["esme"], row["class"], row["from"], row["to"]) == (
        "P", "acme", "otp", "ACME", "+33612345678",
    )  # fmt: skip
    assert [row[name] for name in ("accepted_at", "submitted_at", "ended_at", "told_at")] == [
        utc(T0), utc(T0 + 1), utc(T0 + 20), utc(T0 + 21),
    ]  # fmt: skip
    assert (row["state"], row["err"], row["route"], row["network"], row["carrier"]) == (
        "delivered", "000", "fr", "336", "sfr",
    )  # fmt: skip
    assert (row["attempts"], row["cost"], row["cost_in_doubt"], row["parts"]) == (2, 0.05, 0.03, 1)
    first, second = record([part], lambda part: "").attempts
    assert (first.n, first.outcome, first.status, first.in_doubt, first.sent_again) == (
        1, "", "", "no answer in 10 s", True,
    )  # fmt: skip
    assert (second.outcome, second.status, second.carrier_message_id, second.cost) == ("ok", "ESME_ROK", "S1", 0.05)


def test_an_open_message_tells_its_state_so_far() -> None:
    """Nothing is made up for what has not happened."""
    row = told(part_after())
    assert (row["state"], row["submitted_at"], row["ended_at"], row["told_at"]) == ("due", "", "", "")
    assert (row["attempts"], row["cost"]) == (0, 0)


def test_several_parts_are_one_record() -> None:
    """The costs add up, the last end counts, and the part that failed speaks."""
    good, bad = part_after(), part_after()
    good.state, good.ended_at, good.told_at = State.DELIVERED, T0 + 5, T0 + 6
    bad.part_id, bad.state, bad.ended_at, bad.err = "Q", State.UNDELIVERABLE, T0 + 9, "0A1"
    row = dict(zip(MESSAGE_COLUMNS, record([good, bad], lambda part: "").message, strict=True))
    assert (row["message_id"], row["parts"], row["state"], row["err"]) == ("P", 2, "undeliverable", "0A1")
    assert (row["ended_at"], row["told_at"]) == (utc(T0 + 9), utc(T0 + 6))
    bad.state, bad.ended_at = State.SUBMITTED, 0.0
    row = dict(zip(MESSAGE_COLUMNS, record([good, bad], lambda part: "").message, strict=True))
    assert (row["state"], row["ended_at"]) == ("submitted", "")


def test_masked() -> None:
    """The number is masked, a brand is not, nothing else changes."""
    row = record([part_after()], lambda part: "")
    hidden = masked(row)
    assert (hidden.message[3], hidden.message[4]) == ("ACME", "+3361•••678")
    assert hidden.message[5:] == row.message[5:]


def of_message(message_id: str, number: int, parts: int = 3, at: float = T0) -> Part:
    part = part_after()
    part.part_id = f"{message_id}{number}"
    part.message_id, part.number, part.parts, part.accepted_at = f"{message_id}1", number, parts, at
    return part


def ids_of(parts: list[Part]) -> list[list[str]]:
    return [[part.part_id for part in some] for some in messages(parts)]


def test_the_parts_of_a_message_come_together() -> None:
    """However they were mixed up with others, in order of their numbers; what is alone goes by itself."""
    alone = part_after()
    parts = [
        of_message("A", 1),
        alone,
        of_message("B", 1, 2),
        of_message("A", 3),
        of_message("A", 2),
        of_message("B", 2, 2),
    ]
    assert ids_of(parts) == [["P"], ["A1", "A2", "A3"], ["B1", "B2"]]
    row = dict(zip(MESSAGE_COLUMNS, record([parts[0], parts[4], parts[3]], lambda part: "").message, strict=True))
    assert (row["message_id"], row["parts"]) == ("A1", 3)


def test_a_message_that_is_never_complete() -> None:
    """It is given with what came of it, after an hour or at the end; without its first part it is another range's."""
    late = of_message("C", 1, at=T0 + 4000)
    assert ids_of([of_message("A", 1), late, of_message("C", 2, at=T0 + 4001)]) == [["A1"], ["C1", "C2"]]
    assert ids_of([of_message("B", 2), of_message("B", 3)]) == []


@given(st.floats(min_value=1.0, max_value=4e9))
def test_times_are_written_as_everywhere(at: float) -> None:
    """To the millisecond, as `iso` does but rounded, not cut."""
    assert abs((at - float(int(at))) - float(utc(at)[19:23] or 0)) % 1 < 0.0011 or utc(at)[20:23] == "000"
    assert utc(float(int(at))) == iso(float(int(at)))


def test_never() -> None:
    """0 is no time."""
    assert utc(0.0) == ""
