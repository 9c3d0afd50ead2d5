"""What must be true at the end of messages that are told of as one (`receipts: message`), by the auditor's own books.

Rules:
- A message all of whose parts came, each once, is told of by one of them, once; the word is that of its worst part.
- One that lacked a part, or whose platform sent a part again, may have become two messages, each told of; but none of
  them is told better than its parts ended, and none is told of by nobody.

Walk: `auditor` asks when all is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from tests.sim.books import WORD_OF_STATE, Paper, Story

WORST_FIRST = ("REJECTED", "UNDELIVERABLE", "EXPIRED", "DELETED", "UNKNOWN", "ACCEPTED", "DELIVERED")


def of(papers: Iterable[Paper], as_one: Collection[str]) -> list[list[Paper]]:
    """The parts of each message that platforms `as_one` sent in several."""
    by_message: defaultdict[str, list[Paper]] = defaultdict(list)
    for paper in papers:
        if paper.multipart and paper.esme in as_one:
            by_message[paper.multipart].append(paper)
    return list(by_message.values())


def faults(
    papers: list[Paper], stories: Mapping[str, Story | None], closed: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(law, what is wrong) with one message. `closed`: those whose missing parts were waited for no more."""
    first = papers[0]
    states = [story.state for paper in papers if (story := stories[paper.part_id]) is not None]
    if len(states) < len(papers):
        return  # lost: said elsewhere
    tellers = [paper for paper in papers if paper.tells]
    ticked = [paper for paper in papers if paper.ticked_in >= 0]
    whole = len(papers) == first.parts == len({paper.token for paper in papers}) and first.multipart not in closed
    worst = next(state for state in WORST_FIRST if state in states)
    if not whole and worst in ("ACCEPTED", "DELIVERED"):
        worst = "UNKNOWN"
    asked = first.wants_receipt == 1 or (first.wants_receipt == 2 and worst not in ("ACCEPTED", "DELIVERED"))
    name = f"{first.multipart}, in {len(papers)} of {first.parts} parts that ended {states},"
    if whole:
        if [paper.told_word for paper in tellers] != [WORD_OF_STATE[worst]] * asked:
            told = [f"{paper.part_id} as {paper.told_word}" for paper in tellers]
            yield "law 4", f"{name} is to be told as {worst if asked else 'nothing'}, and was told by {told}"
        if len(ticked) != asked:
            yield "law 4", f"{name} left the outbox {len(ticked)} times"
        return
    if first.wants_receipt == 1 and not ticked:
        yield "law 4", f"{name} was told of by nobody"
    if not first.wants_receipt and tellers:
        yield "law 4", f"{name} asked for no receipt and was told"
    allowed = {WORD_OF_STATE[state] for state in states} | {"UNKNOWN"}
    for paper in tellers:
        if paper.told_word not in allowed:
            yield "law 5", f"{name} was told as {paper.told_word}"
