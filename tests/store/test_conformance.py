"""The contract of base.Store, on every store there is."""

from __future__ import annotations

from collections import Counter

import pytest

from smsroute.ledger import Ledger
from smsroute.message import Attempt, Backlog, OwedPage, OwedRow, Receipted, Started, State, pack_part
from smsroute.store.base import FACTS_MAX, Checkpoint, DecisionRow, StoreError
from tests.store.conftest import Home
from tests.store.parts import T0, as_row, checkpoint, opened, part, record


def rows(home: Home) -> list[tuple[int, bytes]]:
    return list(home.reader().recover().records)


class TestJournal:
    def test_an_empty_store_recovers_nothing(self, home: Home) -> None:
        """The first start finds no checkpoint and no rows."""
        recovered = home.open().recover()
        assert recovered.checkpoint is None
        assert list(recovered.records) == []

    def test_rows_come_back_in_order_after_a_kill(self, home: Home) -> None:
        """What `append` returned from is there when the process dies right after."""
        store = home.open()
        for seq in range(1, 21):
            store.append(seq, record(seq))
        home.kill()
        assert list(home.open().recover().records) == [(seq, record(seq)) for seq in range(1, 21)]

    def test_rows_unpack_to_events(self, home: Home) -> None:
        """`Recovered.events` gives each row's events with its number."""
        home.open().append(1, record(7))
        assert list(home.reader().recover().events()) == [(1, [Started(7.0, "n1", "0")])]

    def test_a_row_of_another_version_is_told_not_skipped(self, home: Home) -> None:
        """A row that holds no events of ours stops the recovery by name."""
        store = home.open()
        store.append(1, record(1))
        store.append(2, b"\xc1 nonsense")
        with pytest.raises(StoreError, match=r"row 2 holds no events") as caught:
            list(store.recover().events())
        assert caught.value.kind == "failed"

    @pytest.mark.parametrize("seq", [0, 1, 3])
    def test_a_number_out_of_turn_is_our_own_bug(self, home: Home, seq: int) -> None:
        """Rows are numbered without a gap and never twice."""
        store = home.open()
        store.append(1, record(1))
        with pytest.raises(AssertionError):
            store.append(seq, record(seq))
        store.append(2, record(2))

    def test_numbers_go_on_after_everything_is_trimmed(self, home: Home) -> None:
        """The checkpoint remembers the last number when the journal is empty."""
        store = home.open()
        for seq in (1, 2, 3):
            store.append(seq, record(seq))
        store.checkpoint(checkpoint(3))
        store.trim(3)
        home.kill()
        store = home.open()
        assert store.counts().last_seq == 3
        with pytest.raises(AssertionError):
            store.append(1, record(1))
        store.append(4, record(4))
        assert rows(home) == [(4, record(4))]


class TestCheckpoint:
    def test_recovery_is_the_checkpoint_and_the_rows_behind_it(self, home: Home) -> None:
        """Rows up to `through` are not read again, trimmed or not."""
        store = home.open()
        for seq in range(1, 6):
            store.append(seq, record(seq))
        store.checkpoint(checkpoint(3, still_open=[part(1, ended=False), part(2, ended=False)], state=b"memory"))
        home.kill()
        recovered = home.open().recover()
        assert recovered.checkpoint is not None
        assert recovered.checkpoint.through == 3
        assert recovered.checkpoint.state == b"memory"
        assert recovered.checkpoint.open == opened([part(1, ended=False), part(2, ended=False)])
        assert list(recovered.parts()) == [part(1, ended=False), part(2, ended=False)]
        assert [seq for seq, _ in recovered.records] == [4, 5]

    def test_an_open_part_that_cannot_be_read_is_told(self, home: Home) -> None:
        """`Recovered.parts` names it instead of skipping it."""
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(Checkpoint(1, [("N1X", b"\xc1")], [], [], b""))
        with pytest.raises(StoreError, match=r"part N1X"):
            list(store.recover().parts())

    def test_open_parts_change_and_leave(self, home: Home) -> None:
        """An open part is written over by its newer self, and gone once closed."""
        store = home.open()
        store.append(1, record(1))
        first, second = part(1, ended=False), part(2, ended=False)
        store.checkpoint(checkpoint(1, still_open=[first, second]))
        first.state = State.IN_DOUBT
        store.checkpoint(checkpoint(1, still_open=[first], ended=[part(2)]))
        recovered = store.recover()
        assert recovered.checkpoint is not None
        assert recovered.checkpoint.open == opened([first])
        assert store.story(part(2).part_id) == as_row(part(2))

    @pytest.mark.parametrize("through", [0, 3])
    def test_a_checkpoint_covers_what_is_written_and_never_less_than_before(self, home: Home, through: int) -> None:
        """One ahead of the journal, or behind the last one, is our own bug."""
        store = home.open()
        store.append(1, record(1))
        store.append(2, record(2))
        store.checkpoint(checkpoint(1))
        with pytest.raises(AssertionError):
            store.checkpoint(checkpoint(through))

    def test_trim_never_cuts_what_no_checkpoint_covers(self, home: Home) -> None:
        """Law 1 rests on it."""
        store = home.open()
        for seq in (1, 2):
            store.append(seq, record(seq))
        store.checkpoint(checkpoint(1))
        with pytest.raises(AssertionError):
            store.trim(2)
        store.trim(1)
        store.trim(1)
        assert rows(home) == [(2, record(2))]


class TestOwed:
    def test_the_disk_tier_is_read_in_order_in_pages_and_survives_a_kill(self, home: Home) -> None:
        """Rows are told by ESME, read behind a number and up to one, and are there after a kill."""
        store = home.open()
        store.append(1, record(1))
        parts = [part(number) for number in range(1, 6)]
        rows = [OwedRow(n, "acme", one.part_id, one.ended_at, pack_part(one)) for n, one in enumerate(parts, 1)]
        store.checkpoint(Checkpoint(1, [], [one.part_id for one in parts], parts, b"", owed=rows))
        home.kill()
        store = home.open()
        assert store.recover().owed == {"acme": Backlog(5, 5)}
        assert store.owed("acme", 0, 5, 2) == OwedPage(2, parts[:2])
        assert store.owed("acme", 2, 4, 10) == OwedPage(4, parts[2:4])
        assert store.owed("acme", 5, 5, 10) == store.owed("bank", 0, 5, 10) == OwedPage(0, [])
        assert store.owed_among([parts[0].part_id, "N1NOBODY"]) == {parts[0].part_id}

    def test_what_is_told_leaves_and_its_message_says_so(self, home: Home) -> None:
        """A told receipt leaves the disk tier with the checkpoint; so does one whose part is closed."""
        store = home.open()
        store.append(1, record(1))
        parts = [part(number) for number in range(1, 4)]
        rows = [OwedRow(n, "acme", one.part_id, one.ended_at, pack_part(one)) for n, one in enumerate(parts, 1)]
        store.checkpoint(Checkpoint(1, [], [one.part_id for one in parts], parts, b"", owed=rows))
        store.checkpoint(Checkpoint(1, [], [parts[2].part_id], [], b"", told=[(parts[0].part_id, T0 + 9)]))
        assert store.owed("acme", 0, 3, 10) == OwedPage(2, [parts[1]])
        told = store.story(parts[0].part_id)
        assert told is not None
        assert told.told_at == T0 + 9


class TestHistory:
    def test_a_finished_part_comes_back_whole_but_for_its_text(self, home: Home) -> None:
        """Every field survives, attempts in order, and no text."""
        whole = part(5, attempts=3)
        whole.facts = ["1.000 orange says ENROUTE", "2.000 “quoted” \\ and ünï"]
        whole.multipart, whole.err = "m-5", "0x45"
        whole.attempts[0] = Attempt(
            T0, "sfr", "sfr-2", "fr-mobile", "dear", T0 + 1, 3, 0x45, "1A", "link lost", True, True, "26", T0 + 2
        )
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=[whole]))
        assert store.story(whole.part_id) == as_row(whole)
        assert home.reader().story(whole.part_id) == as_row(whole)

    def test_an_open_part_is_told_from_the_checkpoint(self, home: Home) -> None:
        """`story` knows open parts as they were at the last checkpoint, and says None to a stranger."""
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, still_open=[part(1, ended=False)]))
        assert store.story(part(1).part_id) == part(1, ended=False)
        assert store.story("N1NOBODY") is None

    def test_a_row_is_written_anew_with_what_came_late(self, home: Home) -> None:
        """A part at rest that gets a fact replaces its row and keeps its attempts."""
        store = home.open()
        store.append(1, record(1))
        late = part(1, attempts=2)
        store.checkpoint(checkpoint(1, ended=[late]))
        late.facts.append("9.000 orange says DELIVRD again")
        store.checkpoint(checkpoint(1, ended=[late]))
        assert store.story(late.part_id) == as_row(late)
        assert store.counts().ended == {State.DELIVERED: 1}

    def test_late_facts_reach_parts_that_only_the_history_knows(self, home: Home) -> None:
        """They are added in order, up to a limit; a stranger's are let go."""
        store = home.open()
        store.append(1, record(1))
        old, other = part(1), part(2)
        old.facts = ["first"]
        store.checkpoint(checkpoint(1, ended=[old, other]))
        store.checkpoint(
            Checkpoint(1, [], [], [], b"", [(old.part_id, "second"), ("N1NOBODY", "x"), (old.part_id, "third")])
        )
        told = store.story(old.part_id)
        assert told is not None
        assert told.facts == ["first", "second", "third"]
        assert store.story(other.part_id) == as_row(other)
        store.checkpoint(Checkpoint(1, [], [], [], b"", [(old.part_id, str(n)) for n in range(2 * FACTS_MAX)]))
        told = store.story(old.part_id)
        assert told is not None
        assert len(told.facts) == FACTS_MAX

    def test_find_knows_attempts_by_the_key_receipts_use(self, home: Home) -> None:
        """By key where a dialect made one, else by the carrier's id; per carrier; the latest when an id came twice."""
        first, second, third = part(1), part(2), part(3)
        first.attempts[0].carrier_message_id = second.attempts[0].carrier_message_id = "AGAIN"
        third.attempts[0].carrier_message_id, third.attempts[0].key = "1F", "31"
        third.attempts.insert(0, Attempt(T0, "sfr", "sfr-1", "fr-mobile"))
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=[second, first, third]))
        wanted = ["AGAIN", "31", "1F", "", "STRANGE"]
        assert store.find("orange", wanted) == {
            "AGAIN": (second.part_id, second.destination_addr),
            "31": (third.part_id, third.destination_addr),
        }
        assert store.find("sfr", wanted) == {}
        assert store.find("orange", []) == {}

    def test_parts_are_found_by_number_the_latest_first(self, home: Home) -> None:
        """Open ones and finished ones, in whichever form the ESME wrote the number, within [since, until), up to a
        limit; a number that begins alike is another."""
        parts = [part(number, ended=number % 2 == 0) for number in range(8)]
        for one, written in zip(parts, ["33600000000", "+33600000000", "0033600000000"] * 2, strict=False):
            one.destination_addr = written
        parts[6].destination_addr, parts[7].destination_addr = "336000000001", "+336000000002"
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=parts[::2], still_open=parts[1::2]))
        numbers = ["33600000000", "+33600000000", "0033600000000"]
        found = store.addressed(numbers, parts[1].accepted_at, parts[5].accepted_at, 3)
        assert [one.part_id for one in found] == [parts[n].part_id for n in (4, 3, 2)]
        assert found[1] == parts[3]
        assert len(store.addressed(numbers, 0.0, T0 * 2, 100)) == 6

    @pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
    def test_pages_show_every_part_once(self, home: Home, rows: int) -> None:
        """Open and finished ones in the order of their ids, whatever a page holds, between two ids and two times."""
        parts = [part(number, ended=number % 3 > 0) for number in range(20)]
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(
            checkpoint(1, ended=[one for one in parts if one.ended_at], still_open=[p for p in parts if not p.ended_at])
        )
        after, seen = parts[1].part_id, []
        while True:
            page = store.page(after, parts[18].part_id, parts[4].accepted_at, parts[17].accepted_at, rows)
            assert len(page.parts) <= 2 * rows
            seen += page.parts
            if not page.through:
                break
            after = page.through
        assert seen == [as_row(one) if one.ended_at else one for one in parts[4:17]]

    def test_parked_receipts_are_read_from_the_checkpoint(self, home: Home) -> None:
        """Those the ledger parked, the oldest first; none before the first checkpoint."""
        store = home.open()
        assert store.orphans() == []
        ledger = Ledger(orphans_max=10, multiparts_max=10)
        parked = [Receipted("orange", T0 + n, [f"{n}"], State.DELIVERED, "000", "DELIVRD", "336") for n in range(3)]
        for orphan in parked:
            ledger.apply(orphan)
        store.append(1, record(1))
        changes = ledger.take()
        store.checkpoint(Checkpoint(1, changes.open, (), changes.at_rest, changes.state))
        assert home.reader().orphans() == parked

    def test_an_export_pages_through_every_finished_part_once(self, home: Home) -> None:
        """Parts that ended in the same instant fall on neither side of a page's edge twice."""
        parts = [part(number) for number in range(10)]
        for one in parts[3:7]:
            one.ended_at = T0 + 100
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=parts))
        seen = []
        cursor = (0.0, "")
        while page := store.finished_since(*cursor, limit=3):
            seen += page
            cursor = (page[-1].ended_at, page[-1].part_id)
        assert seen == sorted(map(as_row, parts), key=lambda one: (one.ended_at, one.part_id))

    def test_old_history_is_forgotten_a_piece_at_a_time(self, home: Home) -> None:
        """The oldest first, `limit` a call, until nothing is old enough."""
        parts = [part(number, attempts=2) for number in range(10)]
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=parts))
        edge = parts[7].ended_at
        assert [store.prune(edge, 3) for _ in range(4)] == [3, 3, 1, 0]
        assert store.story(parts[6].part_id) is None
        assert store.story(parts[7].part_id) == as_row(parts[7])
        assert store.find("orange", ["6-1", "7-1"]) == {"7-1": (parts[7].part_id, parts[7].destination_addr)}

    def test_counts_by_state(self, home: Home) -> None:
        """How many are open, and how many ended since, by state."""
        failed = part(3)
        failed.state = State.REJECTED
        store = home.open()
        store.append(1, record(1))
        store.append(2, record(2))
        store.checkpoint(checkpoint(1, still_open=[part(4, ended=False)], ended=[part(1), part(2), failed]))
        for reader in (store, home.reader()):
            counts = reader.counts()
            assert (counts.open, counts.through, counts.last_seq) == (1, 1, 2)
            assert counts.ended == {State.DELIVERED: 2, State.REJECTED: 1}
            assert reader.counts(part(2).ended_at).ended == {State.DELIVERED: 1, State.REJECTED: 1}


class TestKept:
    def test_what_was_kept_is_found_after_a_restart_and_a_kill(self, home: Home) -> None:
        """The last blob of a name, octet for octet; None for a name nobody used."""
        store = home.open()
        assert store.kept("scores/orange") is None
        store.keep("scores/orange", b"first")
        store.keep("scores/orange", bytes(range(256)))
        store.keep("scores/sfr", b"")
        assert store.kept("scores/orange") == bytes(range(256))
        home.kill()
        store = home.open()
        assert store.kept("scores/orange") == bytes(range(256))
        assert store.kept("scores/sfr") == b""
        assert store.kept("scores") is None

    def test_a_fenced_store_keeps_what_it_had(self, home: Home) -> None:
        """Another engine's blob is not overwritten by one that lost the store."""
        store = home.open()
        store.keep("scores/orange", b"mine")
        store.fence()
        with pytest.raises(StoreError) as caught:
            store.keep("scores/orange", b"too late")
        assert caught.value.kind == "fenced"
        assert store.kept("scores/orange") == b"mine"


def decided(at: float, network: str = "336", route: str = "fr", message_class: int = 2) -> DecisionRow:
    return DecisionRow(T0 + at, route, network, message_class, f"{route} {network} {at}".encode())


class TestDecisions:
    def test_a_span_has_what_was_made_in_it_and_what_stood_at_its_start(self, home: Home) -> None:
        """Of each key the last one before, and all inside with both ends, the oldest first, after a kill too."""
        store = home.open()
        rows = [decided(1), decided(2), decided(3, "337"), decided(4, message_class=0), decided(10.1), decided(20)]
        store.keep_decisions(rows[:4])
        store.keep_decisions(rows[4:])
        home.kill()
        store = home.open()
        for reader in (store, home.reader()):
            assert reader.decisions(T0 + 5, T0 + 20, 10) == rows[1:]
            assert reader.decisions(T0 + 10.1, T0 + 19, 10) == rows[1:5]
            assert reader.decisions(T0 + 5, T0 + 20, 2) == rows[4:]
            assert reader.decisions(T0 + 30, T0 + 30, 10) == [rows[2], rows[3], rows[5]]
            assert reader.decisions(T0 - 1, T0, 10) == []

    def test_which_one_stood_at_a_moment(self, home: Home) -> None:
        """For a route and class, of each network the last one made by then, the very moment included."""
        store = home.open()
        rows = [decided(1), decided(2), decided(1.5, "337"), decided(1, route="uk"), decided(1, message_class=0)]
        store.keep_decisions(rows)
        assert store.decisions_at("fr", 2, T0 + 1.75) == [rows[0], rows[2]]
        assert store.decisions_at("fr", 2, T0 + 2) == [rows[1], rows[2]]
        assert store.decisions_at("fr", 2, T0 + 0.5) == []
        assert store.decisions_at("fr", 3, T0 + 9) == []

    def test_the_old_and_the_too_many_are_forgotten(self, home: Home) -> None:
        """The oldest first, `limit` a call; by age, and beyond `rows_max` whatever their age."""
        store = home.open()
        rows = [decided(at + 0.1) for at in range(10)]
        store.keep_decisions(rows)
        assert [store.prune_decisions(T0 + 4, 100, 3) for _ in range(3)] == [3, 1, 0]
        assert store.decisions(T0 - 1, T0 + 99, 100) == rows[4:]
        assert [store.prune_decisions(T0, 2, 3) for _ in range(3)] == [3, 1, 0]
        assert store.decisions(T0 - 1, T0 + 99, 100) == rows[8:]


class TestSample:
    def test_all_of_a_span_when_they_are_few(self, home: Home) -> None:
        """Open and finished ones, by when they were accepted; the end does not belong to it."""
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, still_open=[part(3, ended=False)], ended=[part(1), part(2), part(4)]))
        sample = store.sample(part(2).accepted_at, part(4).accepted_at, 100)
        assert (sample.of, [one.part_id for one in sample.parts]) == (2, [part(2).part_id, part(3).part_id])
        assert sample.parts[0] == as_row(part(2))

    def test_evenly_chosen_when_they_are_many(self, home: Home) -> None:
        """One of each n in the order of their ids, and of how many."""
        parts = [part(number) for number in range(100)]
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=parts))
        sample = store.sample(0.0, T0 * 2, 10)
        places = [[one.part_id for one in parts].index(one.part_id) // 10 for one in sample.parts]
        assert (sample.of, places) == (100, list(range(10)))

    @pytest.mark.parametrize("still_open", [False, True])
    def test_traffic_that_takes_turns_is_sampled_fairly(self, home: Home, still_open: bool) -> None:
        """Parts to three networks in turn, one of three looked at: each network has about a third of the sample."""
        parts = [part(number, ended=not still_open) for number in range(600)]
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, **{"still_open" if still_open else "ended": parts}))
        ids = [one.part_id for one in parts]
        turns = Counter(ids.index(one.part_id) % 3 for one in store.sample(0.0, T0 * 2, 200).parts)
        assert all(60 <= turns[turn] <= 74 for turn in range(3)), turns


class TestOwnership:
    def test_two_engines_cannot_open_one_store(self, home: Home) -> None:
        """The second is told; once the first has closed, it may."""
        store = home.open()
        with pytest.raises(StoreError, match="one engine a store") as caught:
            home.open()
        assert caught.value.kind == "busy"
        store.close()
        home.open().append(1, record(1))

    def test_a_fenced_store_writes_nothing_more(self, home: Home) -> None:
        """Every write raises "fenced" and leaves no trace; reading goes on."""
        store = home.open()
        store.append(1, record(1))
        store.checkpoint(checkpoint(1, ended=[part(1)]))
        store.fence()
        for write in (
            lambda: store.append(2, record(2)),
            lambda: store.checkpoint(checkpoint(1, ended=[part(2)])),
            lambda: store.trim(1),
            lambda: store.prune(T0 * 2, 10),
            lambda: store.keep("scores/orange", b"later"),
            lambda: store.keep_decisions([decided(1)]),
            lambda: store.prune_decisions(T0, 1, 1),
        ):
            with pytest.raises(StoreError) as caught:
                write()
            assert caught.value.kind == "fenced"
        assert store.counts() == home.reader().counts()
        assert store.counts().last_seq == 1
        assert store.counts().ended == {State.DELIVERED: 1}

    def test_a_reader_sees_what_the_engine_writes_and_disturbs_nothing(self, home: Home) -> None:
        """Beside a running engine; recovery as a reader sees it is of one instant, whatever is trimmed meanwhile."""
        store = home.open()
        for seq in range(1, 5):
            store.append(seq, record(seq))
        reader = home.reader()
        recovered = reader.recover()
        store.checkpoint(checkpoint(4, ended=[part(1)]))
        store.trim(4)
        store.append(5, record(5))
        assert [seq for seq, _ in recovered.records] == [1, 2, 3, 4]
        assert reader.story(part(1).part_id) == as_row(part(1))
        assert [seq for seq, _ in reader.recover().records] == [5]
