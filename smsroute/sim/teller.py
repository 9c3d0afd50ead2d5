"""Which receipts a simulated carrier writes of a message: the final one, and those that should not be.

Rules:
- The dice are the judge's, thrown in a fixed order: lost, doubled, stale, conflicting. A share of 0 throws none.
- Of a message in parts the part that speaks is chosen when the carrier takes it, and its fate is the message's.

Walk: `SimCarrier` asks for notices when a message's time has come and queues them; `Segments` is asked at acceptance.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Final

from smsroute.ports import Clock
from smsroute.sim.account import Notice
from smsroute.sim.carrierbook import Entry, Fact, Kind
from smsroute.sim.judge import Judge
from smsroute.sim.temperament import ReceiptsOn
from smsroute.sim.wire import ON_THE_WAY, Receipts, Submit, address, wants_receipt

CONFLICTS_AFTER_S: Final = 1.0
MESSAGES_MAX: Final = 10_000


class Teller:
    """One carrier in one temperament."""

    def __init__(self, judge: Judge, counts: Counter[str], clock: Clock) -> None:
        self._judge = judge
        self._counts = counts
        self._clock = clock
        self._write = Receipts(judge.temperament.form, judge.temperament.ids).write

    def final(self, submits: Iterable[Submit], tlvs: bool) -> list[Notice]:
        """Their last word, no dice thrown."""
        return [self._notice(submit, Kind.FINAL, submit.word, submit.err, tlvs) for submit in submits]

    def on_the_way(self, submits: Iterable[Submit], tlvs: bool) -> list[Notice]:
        """ENROUTE, with the response, for those the dice say."""
        chosen = [one for one in submits if self._judge.throw(self._judge.temperament.receipts_intermediate)]
        self._counts["receipts_intermediate"] += len(chosen)
        return [self._notice(submit, Kind.ON_THE_WAY, ON_THE_WAY[0], "000", tlvs) for submit in chosen]

    def notices(self, submit: Submit, tlvs: bool) -> tuple[list[Notice], list[Notice]]:
        """Everything about `submit` now that its time has come: what goes at once, and CONFLICTS_AFTER_S later."""
        judge, temperament, counts = self._judge, self._judge.temperament, self._counts
        if judge.throw(temperament.receipts_lost):
            counts["receipts_lost"] += 1
            if submit.entry is not None:
                submit.entry.lost = True
            return [], []
        at_once = self.final((submit,), tlvs)
        if judge.throw(temperament.receipts_doubled):
            counts["receipts_doubled"] += 1
            at_once *= 2
        if judge.throw(temperament.receipts_stale):
            counts["receipts_stale"] += 1
            at_once.append(self._notice(submit, Kind.ON_THE_WAY, ON_THE_WAY[0], "000", tlvs))
        if not judge.throw(temperament.receipts_conflicting):
            return at_once, []
        counts["receipts_conflicting"] += 1
        other = "UNDELIV" if submit.word == "DELIVRD" else "DELIVRD"
        return at_once, [self._notice(submit, Kind.CONFLICTING, other, submit.err, tlvs)]

    def _notice(self, submit: Submit, kind: Kind, word: str, err: str, tlvs: bool) -> Notice:
        fact = None
        if submit.entry is not None:
            fact = Fact(kind, word, err, self._clock.monotonic())
            submit.entry.facts.append(fact)
        return Notice(*self._write(submit, word, err, self._clock.wall(), tlvs), fact)


def entry(submit: Submit, response_id: str, now: float) -> Entry:
    """A page in the carrier's book for a message it takes at `now` (monotonic seconds)."""
    wants = submit.speaks and wants_receipt(submit)
    return Entry(submit.text, address(submit.destination), response_id, now, submit.word, submit.err, wants)


class Segments:
    """Messages in parts on their way through a carrier that gives one receipt for all parts, the latest last."""

    def __init__(self) -> None:
        self._fates: OrderedDict[tuple[bytes, bytes, bytes], tuple[str, str]] = OrderedDict()

    def decide(self, submits: Iterable[Submit], receipts_on: ReceiptsOn) -> None:
        """One fate for all parts of a message; one of them speaks: the last, or the first to come."""
        for submit in submits:
            header = submit.text[: 1 + submit.text[0]] if submit.concatenated and submit.text else b""
            if len(header) < 6:
                continue
            key = (submit.source, submit.destination, header[:-1])
            first = key not in self._fates
            submit.word, submit.err = self._fates.setdefault(key, (submit.word, submit.err))
            submit.speaks = first if receipts_on is ReceiptsOn.ANY else header[-1] == header[-2]
            if len(self._fates) > MESSAGES_MAX:
                self._fates.popitem(last=False)
