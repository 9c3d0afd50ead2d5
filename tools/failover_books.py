"""What happened, by the books of the carriers and the platform: the figures of one run of the failure benchmark.

Rules:
- Pure: books in, figures out; the engine's own opinion is not asked.
- A message is *elsewhere* when its first offer went to another carrier, within LATE_S of its submit: what was written
  into a dead link, or waits for one, is not.
- *Lost*: accepted with ESME_ROK, taken by no carrier. *Untold*: accepted, no final receipt by the end of the run.
- A second taking of a message is *explained* when the first was at the sick carrier while its answer could go missing,
  and the second came no sooner than the route's in-doubt policy allows; any other is a fault (law 6).

Walk: `failover_town` writes into `Books` while it plays; `figures` at the end; `failover_run` prints.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import attrs

from smsroute.cli.demo_stage import moved_after_s
from smsroute.sim.book import Promise
from smsroute.sim.wire import Submit
from smsroute.sim.workload import TEXT_DIGITS

LATE_S = 1.0
WARM_UP_S = 2.0
RETURN_WINDOW_S = 2.0
RETURN_SHARE = 0.9  # of its share before
HIGH, LOW = 0.5, 0.1  # of its share before: traffic has swung back when it rises from below LOW to above HIGH
CARRIERS_WORDS = ("DELIVRD", "UNDELIV")


@attrs.frozen
class Times:
    """When what began. Monotonic seconds."""

    start: float
    sick: float
    heal: float
    end: float  # of submitting


class Books:
    """What carriers read, message by message."""

    def __init__(self) -> None:
        self.first: dict[int, tuple[float, str]] = {}  # when and where each message was first offered
        self.offers: list[tuple[float, str]] = []  # the same, in the order they came
        self.taken: dict[int, list[tuple[float, str]]] = {}

    def seen(self, carrier: str, now: float, submit: Submit, took: bool) -> None:
        """A carrier read a submit; whether its handset will hear of it."""
        number = int(submit.text[-TEXT_DIGITS:])
        if number not in self.first:
            self.first[number] = (now, carrier)
            self.offers.append((now, carrier))
        if took:
            self.taken.setdefault(number, []).append((now, carrier))


def share(offers: Sequence[tuple[float, str]], carrier: str, since: float, until: float) -> float:
    """Its share of the first offers in [since, until); 0.0 when there were none."""
    here = [name == carrier for at, name in offers if since <= at < until]
    return sum(here) / len(here) if here else 0.0


def elsewhere_s(books: Books, promises: Sequence[Promise], sick: str, times: Times) -> float | None:
    """Seconds from the fault until 99 % of what is submitted goes elsewhere, and keeps to it; None: not before the
    end."""
    ways = []
    for promise in promises:
        offer = books.first.get(promise.number)
        if not times.sick <= promise.submitted_at < times.heal or promise.command_status:
            continue
        well = offer is not None and offer[1] != sick and offer[0] - promise.submitted_at <= LATE_S
        ways.append((promise.submitted_at, "" if well else sick))
    return moved_after_s(ways, sick, times.sick, times.heal)


def swings(offers: Sequence[tuple[float, str]], sick: str, usual: float, since: float, until: float) -> int:
    """How often its share of a second's new traffic rose from next to nothing to half of the usual and more."""
    count, low = 0, False
    at = since
    while at + 1.0 <= until:
        now = share(offers, sick, at, at + 1.0)
        if now <= LOW * usual:
            low = True
        elif now >= HIGH * usual and low:
            count, low = count + 1, False
        at += 1.0
    return count


def timeline(offers: Sequence[tuple[float, str]], carrier: str, since: float, until: float) -> list[float]:
    """Its share of each second's new traffic."""
    all_of, its = [0] * (int(until - since) + 1), [0] * (int(until - since) + 1)
    for at, name in offers:
        if since <= at < until:
            all_of[int(at - since)] += 1
            its[int(at - since)] += name == carrier
    return [round(mine / every, 3) if every else 0.0 for mine, every in zip(its, all_of, strict=True)]


def duplicates(
    taken: Iterable[Sequence[tuple[float, str]]], sick: str, since: float, until: float, resend_after_s: float
) -> tuple[int, int]:
    """(explained, unexplained) takings after the first of each message. `since`, `until`: when an answer of the sick
    carrier could go missing."""
    explained = unexplained = 0
    for takings in taken:
        for (was, carrier), (at, _) in pairwise(takings):
            if carrier == sick and since <= was < until and at - was >= resend_after_s - 0.1:
                explained += 1
            else:
                unexplained += 1
    return explained, unexplained


def wait_s(promises: Iterable[Promise], since: float, until: float, end: float, part: float = 0.99) -> float | None:
    """Submit to the first receipt: what `part` of those submitted in [since, until) stayed within; who was never told
    counts until `end`. None when there are none."""
    waits = sorted(
        (promise.told_at or end) - promise.submitted_at
        for promise in promises
        if since <= promise.submitted_at < until and not promise.command_status
    )
    return waits[min(len(waits) - 1, int(part * len(waits)))] if waits else None


def cost_per_thousand(taken: Iterable[Sequence[tuple[float, str]]], prices: dict[str, float]) -> float:
    """What 1,000 messages cost, second takings paid for too."""
    paid = [sum(prices[carrier] for _, carrier in takings) for takings in taken]
    return 1000 * statistics.fmean(paid) if paid else 0.0


def figures(
    books: Books,
    promises: Sequence[Promise],
    sick: str,
    times: Times,
    prices: dict[str, float],
    doubt: tuple[float, float],
) -> dict[str, Any]:
    """Everything the books say about a run. `doubt`: the response timeout and the resend time of its routes."""
    accepted = [promise for promise in promises if not promise.command_status]
    usual = share(books.offers, sick, times.start + WARM_UP_S, times.sick)
    lost = [promise for promise in accepted if promise.number not in books.taken]
    explained, unexplained = duplicates(
        books.taken.values(), sick, times.sick - LATE_S, times.heal + doubt[0], doubt[1]
    )
    over = max((promise.told_at for promise in accepted), default=times.end)
    sick_s = times.heal - times.sick
    during = [at for takings in books.taken.values() for at, _ in takings[:1] if times.sick <= at < times.heal]
    return {
        "messages": len(promises),
        "accepted": len(accepted),
        "lost": len(lost),
        "untold": sum(not promise.receipts for promise in accepted),
        "given_up": sum(bool(one.receipts) and one.receipts[0] not in CARRIERS_WORDS for one in accepted),
        "resent_in_doubt": explained,
        "duplicates": unexplained,
        "elsewhere_s": elsewhere_s(books, promises, sick, times),
        "p99_before_s": wait_s(accepted, times.start + WARM_UP_S, times.sick - LATE_S, over),
        "p99_during_s": wait_s(accepted, times.sick, times.heal, over),
        "worst_during_s": wait_s(accepted, times.sick, times.heal, over, 1.0),
        "p99_after_s": wait_s(accepted, times.heal, times.end, over),
        "share_before": usual,
        "share_sick": share(books.offers, sick, times.sick, times.heal),
        "goodput_s": len(during) / sick_s if sick_s else 0.0,
        "cost_before": cost_per_thousand(_between(books, times.start, times.sick), prices),
        "cost_during": cost_per_thousand(_between(books, times.sick, times.heal), prices),
        "sick_s": sick_s,
        "after_s": times.end - times.heal,
        "share_by_second": timeline(books.offers, sick, times.start, times.end),
    }


def _between(books: Books, since: float, until: float) -> list[list[tuple[float, str]]]:
    return [takings for takings in books.taken.values() if since <= takings[0][0] < until]
