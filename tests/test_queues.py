"""The views on what waits: lanes, retries, validity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsroute.message import MessageClass, Part, State
from smsroute.queues import DEADLINE_BUCKET_S, Queues

INF = float("inf")


def part(
    part_id: str,
    *,
    message_class: int = MessageClass.INFO,
    carrier: str = "orange",
    due_at: float = 0.0,
    expires_at: float = 1000.0,
    state: int = State.DUE,
) -> Part:
    """A part as the ledger would queue it."""
    return Part(
        part_id,
        "acme",
        0.0,
        message_class,
        "SHOP",
        "33612345678",
        b"",
        0,
        1,
        expires_at,
        carrier=carrier,
        due_at=due_at,
        state=state,
    )


def due(queues: Queues, carrier: str = "orange") -> list[str]:
    """Ids in the order dispatch would offer them."""
    return [one.part_id for one in queues.due(carrier)]


# -- lanes -------------------------------------------------------------------------------------------------------------


def test_the_most_urgent_class_goes_first_and_the_oldest_first_within_it() -> None:
    """A campaign of a million waits behind one password."""
    queues = Queues()
    for one in (
        part("m1", message_class=MessageClass.MARKETING),
        part("i1"),
        part("o1", message_class=MessageClass.OTP),
        part("i2"),
        part("a1", message_class=MessageClass.ALERT),
        part("o2", message_class=MessageClass.OTP),
    ):
        queues.put(one)
    assert due(queues) == ["o1", "o2", "a1", "i1", "i2", "m1"]
    assert queues.queued("orange") == 6
    assert queues.queued("nobody") == 0
    assert due(queues, "nobody") == []


def test_a_newcomer_may_not_overtake_its_own_class_or_a_more_urgent_one() -> None:
    """`ahead` looks at the class and above, not below: a password need not wait for the campaign."""
    queues = Queues()
    queues.put(part("i1"))
    assert queues.ahead("orange", MessageClass.MARKETING)
    assert queues.ahead("orange", MessageClass.INFO)
    assert not queues.ahead("orange", MessageClass.ALERT)
    assert not queues.ahead("nobody", MessageClass.MARKETING)


def test_a_part_taken_out_is_in_no_lane_and_taking_it_twice_is_nothing() -> None:
    """The ledger takes a part out whenever it stops being due, queued or not."""
    queues = Queues()
    one = part("i1")
    queues.take(one)
    queues.put(one)
    queues.take(one)
    queues.take(one)
    assert due(queues) == []
    assert not queues.ahead("orange", MessageClass.MARKETING)


def test_whoever_got_something_to_do_is_woken() -> None:
    """Each carrier that a part was put at is in `woken`, until the owner of the wake-ups clears it."""
    queues = Queues()
    queues.put(part("i1"))
    queues.put_at(part("i2", carrier="sfr", due_at=50.0), 10.0)
    assert queues.woken == {"orange"}
    queues.release(50.0)
    assert queues.woken == {"orange", "sfr"}


# -- later -------------------------------------------------------------------------------------------------------------


def test_a_retry_waits_until_it_is_due() -> None:
    """`release` brings in what is due, in the order of time, and says when to come again."""
    queues = Queues()
    queues.put_at(part("i3", due_at=30.0), 0.0)
    queues.put_at(part("i1", due_at=10.0), 0.0)
    queues.put_at(part("i2", due_at=20.0), 0.0)
    queues.put_at(part("i0", due_at=0.0), 0.0)
    assert due(queues) == ["i0"]
    assert queues.release(9.9) == 10.0
    assert due(queues) == ["i0"]
    assert queues.release(20.0) == 30.0
    assert due(queues) == ["i0", "i1", "i2"]
    assert queues.release(30.0) == INF


def test_a_retry_overtaken_by_another_fact_is_not_brought_back() -> None:
    """A late answer took it, or it ended: the entry in the heap is passed over."""
    queues = Queues()
    one = part("i1", due_at=10.0)
    queues.put_at(one, 0.0)
    one.state = State.SUBMITTED
    queues.release(10.0)
    assert due(queues) == []


def test_a_second_retry_makes_the_first_entry_void() -> None:
    """Due at 10, attempted early, then due at 20: nothing happens at 10."""
    queues = Queues()
    one = part("i1", due_at=10.0)
    queues.put_at(one, 0.0)
    one.due_at = 20.0
    queues.put_at(one, 5.0)
    queues.release(10.0)
    assert due(queues) == []
    assert queues.release(20.0) == INF
    assert due(queues) == ["i1"]


def test_a_part_moved_again_and_again_while_it_waits_stands_in_the_heap_once() -> None:
    """A flapping carrier must not fill memory with entries of one part; it comes in at the carrier it was moved to."""
    queues = Queues()
    one = part("i1", due_at=10.0)
    for carrier in ("orange", "sfr") * 50:
        queues.take(one)
        one.carrier = carrier
        queues.put_at(one, 1.0)
    assert len(queues._later) == 1
    queues.release(10.0)
    assert (due(queues), due(queues, "sfr")) == ([], ["i1"])


def test_a_clock_set_back_loses_no_retry() -> None:
    """Released at 10, then the clock shows 2 and the part is moved: it waits for 10 again, and comes."""
    queues = Queues()
    one = part("i1", due_at=10.0)
    queues.put_at(one, 0.0)
    queues.release(10.0)
    queues.take(one)
    queues.put_at(one, 2.0)
    assert due(queues) == []
    queues.release(10.0)
    assert due(queues) == ["i1"]


# -- validity ----------------------------------------------------------------------------------------------------------


def overdue(queues: Queues, now: float, *, grace_s: float = 100.0, most: int = 1000) -> tuple[list[str], list[str]]:
    """(expired, untold) as ids."""
    expired, untold = queues.overdue(now, grace_s, most)
    return [one.part_id for one in expired], [one.part_id for one in untold]


def test_a_part_still_due_past_its_validity_expires_within_a_bucket() -> None:
    """Not before its time, and at most one bucket after it."""
    queues = Queues()
    one = part("i1", expires_at=995.0)
    queues.watch(one, one.expires_at)
    assert overdue(queues, 995.0) == ([], [])
    assert overdue(queues, 995.0 + DEADLINE_BUCKET_S) == (["i1"], [])


def test_a_part_the_carrier_has_is_given_up_only_after_the_grace() -> None:
    """SUBMITTED and IN_DOUBT wait `grace_s` longer: a receipt may still come."""
    queues = Queues()
    for one in (part("s", state=State.SUBMITTED), part("d", state=State.IN_DOUBT)):
        queues.watch(one, one.expires_at)
    assert overdue(queues, 1050.0) == ([], [])
    assert sorted(overdue(queues, 1120.0)[1]) == ["d", "s"]


def test_a_part_the_carrier_has_is_not_looked_at_again_before_the_grace_ends() -> None:
    """A million receipts outstanding cost one look each, not one every ten seconds."""
    queues = Queues()
    one = part("s", state=State.SUBMITTED)
    queues.watch(one, one.expires_at)
    overdue(queues, 1010.0)
    assert list(queues._buckets) == [1100 // DEADLINE_BUCKET_S]


def test_a_part_in_doubt_that_goes_again_still_expires_soon() -> None:
    """Requeued during the grace, it is due, and past its validity: the next round finds it."""
    queues = Queues()
    one = part("d", state=State.IN_DOUBT)
    queues.watch(one, one.expires_at)
    overdue(queues, 1010.0)
    one.state = State.DUE
    assert overdue(queues, 1010.0 + 2 * DEADLINE_BUCKET_S) == (["d"], [])


def test_an_attempt_under_way_neither_expires_nor_is_given_up() -> None:
    """ATTEMPTED ends by its answer, its timer or its link; then it is looked at again."""
    queues = Queues()
    one = part("a", state=State.ATTEMPTED)
    queues.watch(one, one.expires_at)
    assert overdue(queues, 5000.0) == ([], [])
    one.state = State.DUE
    assert overdue(queues, 5000.0 + 2 * DEADLINE_BUCKET_S) == (["a"], [])


def test_what_ended_leaves_the_watch() -> None:
    """Ended before its validity: `unwatch` drops it; ended while watched later: the sweep drops it."""
    queues = Queues()
    early, late = part("e"), part("l")
    for one in (early, late):
        queues.watch(one, one.expires_at)
    queues.unwatch(early)
    queues.unwatch(early)
    late.state = State.DELIVERED
    assert overdue(queues, 1010.0) == ([], [])
    assert not queues._buckets
    assert not queues._bucket_order


def test_what_ends_past_its_validity_leaves_the_watch_too() -> None:
    """Carriers say EXPIRED a moment after the validity ended: such parts are not held in memory until the grace is
    over."""
    queues = Queues()
    one = part("s", state=State.SUBMITTED)
    queues.watch(one, one.expires_at)
    assert overdue(queues, 1010.0, grace_s=3600.0) == ([], [])
    one.state = State.EXPIRED
    queues.unwatch(one)
    assert list(queues.open_parts()) == []
    assert overdue(queues, 1000.0 + 3600.0 + 2 * DEADLINE_BUCKET_S) == ([], [])
    assert not queues._beyond


def test_until_its_end_is_durable_an_expired_part_is_told_again() -> None:
    """The event that ends it may be refused by a sick disk: the next round says so again."""
    queues = Queues()
    one = part("i1")
    queues.watch(one, one.expires_at)
    assert overdue(queues, 1010.0) == (["i1"], [])
    assert overdue(queues, 1010.0) == ([], [])
    assert overdue(queues, 1010.0 + 2 * DEADLINE_BUCKET_S) == (["i1"], [])


@given(st.lists(st.floats(min_value=0, max_value=500), max_size=60), st.integers(1, 7))
def test_a_sweep_in_slices_finds_everything_once(expiries: list[float], most: int) -> None:
    """However small the slices, each part past its validity is found, and none twice while its end is on its way."""
    queues = Queues()
    for number, expires_at in enumerate(expiries):
        one = part(str(number), expires_at=expires_at)
        queues.watch(one, expires_at)
    found: list[str] = []
    for _ in range(len(expiries) + 1):
        expired, _ = queues.overdue(600.0, 0.0, most)
        assert len(expired) <= most
        found.extend(one.part_id for one in expired)
    assert sorted(found, key=int) == [str(number) for number in range(len(expiries))]
