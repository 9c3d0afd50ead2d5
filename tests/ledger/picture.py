"""What a ledger and a naive one look like from outside, in the same words, so that they can be compared."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from smsroute.ledger import Ledger
from smsroute.message import State
from tests.ledger.naive import Naive
from tests.ledger.naive_page import OPEN, Page

ESMES = ("acme", "bank")


def of_ledger(ledger: Ledger) -> dict[str, Any]:
    """Everything the ledger says, as plain values."""
    lanes = {
        (carrier, message_class): [part.part_id for part in lane]
        for carrier, by_class in ledger.queues.lanes.items()
        for message_class, lane in enumerate(by_class)
        if lane.waits
    }
    for esme, outbox in ledger.outboxes.items():
        ready = [part.part_id for part in outbox.ready if part.part_id in outbox.owed]
        assert ready == list(outbox.owed), f"outbox {esme}: nobody takes from it here, so all that is owed is ready"
    return {
        "parts": {
            part_id: {
                "state": State(part.state),
                "carrier": part.carrier,
                "route": part.route,
                "due_at": part.due_at,
                "body": part.body,
                "attempts": [
                    (
                        (one.carrier, one.bind, one.route, one.reason, one.at),
                        (one.responded_at, one.blame, one.code) if one.blame != -1 else None,
                        (one.carrier_message_id, one.key, one.doubted, one.withdrawn, one.resent, one.repeats),
                        (one.queried_at, one.told, one.told_by, one.lead, one.led),
                    )
                    for one in part.attempts
                ],
                "end": (part.ended_at, part.why, part.err, part.told_at),
                "notice": None if part.notice is None else [part.notice.state, part.notice.at, part.notice.told_at],
                "family": (part.message_id, part.whole),
                "told of": (part.tell, part.verdict and structs.astuple(part.verdict)),
                "facts": part.facts,
            }
            for part_id, part in ledger.parts.items()
        },
        "lanes": lanes,
        "outboxes": {esme: list(outbox.owed) for esme, outbox in ledger.outboxes.items() if outbox.owed},
        "notices": {esme: sorted(box.notices) for esme, box in ledger.outboxes.items() if box.notices},
        "in_doubt": sorted(ledger.in_doubt),
        "watched": {
            part.part_id: number
            for number, bucket in ledger.queues._buckets.items()
            for part in bucket.values()
            if not part.final
        },
        "ids": {
            (carrier, key): [
                (one.part_id, at) for one, at in [*ledger.ids._earlier.get((carrier, key), []), (part, index)]
            ]
            for carrier, named in ledger.ids._named.items()
            for key, (part, index) in named.items()
        },
        "void": set(ledger.ids.void),
        "unnamed": {
            (carrier, part.part_id, index)
            for (carrier, _), held in ledger.unnamed._held.items()
            for part, index in held
        },
        "orphans": list(ledger.orphans.values()),
        "multiparts": [
            (key, pin.last_at, pin.carrier, pin.bind, pin.went) for key, pin in ledger.multiparts.kept().items()
        ],
        "counts": {name: count for name, count in _fields(ledger.counts).items() if count},
        "by_state": {state: count for state, count in ledger.by_state.items() if count},
        "held_by": {esme: count for esme, count in ledger.held_by.items() if count},
        "incomplete": [(at, name) for name, at in ledger.families.incomplete.items()],
        "open": ledger.open,
        "newest": ledger.last_part_id,
    }


def of_naive(naive: Naive) -> dict[str, Any]:
    """The same of the naive one."""
    pages = naive.pages
    states = [page.state for page in pages.values()]
    return {
        "parts": {part_id: _page(page) for part_id, page in pages.items()},
        "lanes": naive.lanes(),
        "outboxes": {esme: owed for esme in ESMES if (owed := naive.outbox(esme))},
        "notices": {esme: owed for esme in ESMES if (owed := naive.noticeboard(esme))},
        "in_doubt": sorted(part_id for part_id, page in pages.items() if page.state is State.IN_DOUBT),
        "watched": {part_id: page.looked_at // 10 for part_id, page in pages.items() if not page.over},
        "ids": naive.names,
        "void": naive.void,
        "unnamed": naive.unnamed(),
        "orphans": naive.loose,
        "multiparts": [(pin["key"], pin["at"], pin["carrier"], pin["bind"], pin["went"]) for pin in naive.pins],
        "counts": {name: count for name, count in naive.tally.items() if count},
        "by_state": {state: states.count(state) for state in set(states)},
        "held_by": {
            esme: held
            for esme in ESMES
            if (
                held := sum(
                    page.said.esme == esme and (page.owed or page.unsettled or not page.over) for page in pages.values()
                )
            )
        },
        "incomplete": naive.unfinished,
        "open": sum(state in OPEN for state in states),
        "newest": naive.newest,
    }


def _held(page: Page) -> bool:
    return page.owed or page.unsettled or not page.over


def _page(page: Page) -> dict[str, Any]:
    said = page.said
    body = said.body
    if page.over and said.kept is not None and not (page.state is State.RECEIVED and _held(page)):
        body = said.kept if said.kept and _held(page) else body[: said.text_at]
    return {
        "state": page.state,
        "carrier": page.carrier,
        "route": page.route,
        "due_at": page.due_at,
        "body": body,
        "attempts": [
            (
                (one.carrier, one.bind, one.route, one.reason, one.at),
                one.answered,
                (one.name, one.key, one.doubted, one.withdrawn, one.resent, one.repeats),
                (one.queried_at, one.told, one.told_by, one.borne_by, one.bears),
            )
            for one in page.tries
        ],
        "end": (page.ended_at, page.why, page.err, page.told_at),
        "notice": None if page.over else page.notice,
        "family": (page.message, page.heard_of),
        "told of": (page.as_one and (1 if not page.spoken else 2 if page.word else 3), page.word),
        "facts": page.facts,
    }


def _fields(struct: Any) -> dict[str, int]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
