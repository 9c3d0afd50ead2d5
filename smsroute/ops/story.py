"""One message's story: a Part as a document, and as lines in the order things happened.

Rules:
- Everything the part knows is told but its text: attempts with their reasons, answers in the carrier's words and in
  ours, doubts, moves, receipts, and what it waits for now.
- Pure: the same part gives the same story, from a living engine and from the store of a dead one.

Walk: `ops/verbs` for a running engine, `cli/trace` for the store alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from smsroute import ids
from smsroute.message import UNFIT, Attempt, Blame, MessageClass, Part, State, Tell
from smsroute.ops.weighed import decision
from smsroute.ops.words import age, iso, mask
from smsroute.routing.outcome import verdict
from smsroute.routing.record import Record
from smsroute.smpp.names import status_name

RECEIPT_WISHES: Final = {0: "none", 1: "final", 2: "failure", 3: "success"}


def story(part: Part, now: float, *, reveal: bool = False, decisions: Sequence[Record | None] = ()) -> dict[str, Any]:
    """The document of one part. `now`: Unix seconds, for what it waits for. `decisions`: which stood at each attempt,
    where one is kept."""
    document: dict[str, Any] = {
        "id": part.part_id,
        "state": word(part.state),
        "final": part.final,
        "esme": part.esme,
        "class": MessageClass(part.message_class).name.lower(),
        "from": mask(part.source_addr, reveal),
        "to": mask(part.destination_addr, reveal),
        "accepted_at": iso(part.accepted_at),
        "expires_at": iso(part.expires_at),
        "ended_at": iso(part.ended_at),
        "receipt": {
            "wanted": RECEIPT_WISHES.get(part.wants_receipt, "final"),
            "owed": part.final and part.owes_receipt and not part.told_at,
            "told_at": iso(part.told_at),
            "of": "part" if part.tell == Tell.OWN else "message",
        },
        "route": part.route,
        "carrier": part.carrier,
        "why": part.why,
        "err": part.err,
        "attempts": [_attempt(number, attempt) for number, attempt in enumerate(part.attempts, 1)],
        "facts": [{"at": iso(at), "what": what} for at, what in map(_fact, part.facts)],
    }
    for told, attempt, one in zip(document["attempts"], part.attempts, decisions, strict=False):
        told["decision"] = None if one is None else decision(one, attempt.at)
    if part.multipart:
        _, reference, parts = part.multipart.rsplit(" ", 2)
        document["multipart"] = {"reference": int(reference) & 0xFFFF, "parts": int(parts)}
    document["lines"] = [
        {"at": iso(at), "after_s": round(at - part.accepted_at, 3), "what": what} for at, what in lines(part)
    ]
    document["now"] = waits_for(part, now)
    return document


def unknown(wanted: str, node: str) -> str:
    """Why an id names no message here, as far as the id itself tells."""
    read = ids.read(wanted.upper())
    if read is None:
        return f"no message {wanted!r}, expected an id of ours, or a carrier's id of a message still known"
    if read[0] != node.upper():
        return f"no message {wanted!r} here: it is an id of node {read[0]}, and this is {node.upper()}"
    return f"no message {wanted!r}: the id is ours, its message is not known (or older than history_retention)"


def word(state: int) -> str:
    """A state as people write it: `in doubt`."""
    return State(state).name.lower().replace("_", " ")


def lines(part: Part) -> list[tuple[float, str]]:
    """What happened, in order: (Unix seconds, sentence)."""
    if part.state == State.RECEIVED:
        return _of_handset(part)
    told: list[tuple[float, str]] = [
        (part.accepted_at, f"accepted from {part.esme}, durable, valid until {_until(part)}")
    ]
    for number, attempt in enumerate(part.attempts, 1):
        why = f": {attempt.reason}" if attempt.reason else ""
        told.append(
            (attempt.at, f"attempt {number} to {attempt.carrier} by {attempt.bind}, route {attempt.route}{why}")
        )
        if attempt.doubted:
            told.append((attempt.doubted_at or attempt.at, f"attempt {number} in doubt: {attempt.doubted}"))
        if attempt.withdrawn:
            told.append((attempt.at, f"attempt {number} withdrawn: no octet of it had left"))
        if attempt.responded_at:
            told.append((attempt.responded_at, _answer(attempt)))
    told += map(_fact, part.facts)
    if part.final and part.ended_at:
        error = f", error {part.err}" if part.err else ""
        told.append((part.ended_at, f"{word(part.state).upper()}: {part.why}{error}"))
    if part.told_at and not any("receipt not taken by" in what for _, what in told):
        told.append((part.told_at, f"{part.esme} took the receipt" + (" of the message" if part.tell else "")))
    return sorted(told, key=lambda line: line[0])


def _of_handset(part: Part) -> list[tuple[float, str]]:
    told = [(part.accepted_at, f"came from a handset through {part.carrier}: {part.why}, durable")]
    told.append((part.accepted_at, f"it is for {part.esme} by the rule {part.route} of `mo`"))
    told += map(_fact, part.facts)
    if part.told_at and not part.facts:
        told.append((part.told_at, f"{part.esme} took it"))
    return told


def waits_for(part: Part, now: float) -> str:
    """What has to happen next, and since when it has not; "" for a message at rest."""
    if part.state == State.DUE:
        since = part.attempts[-1].responded_at if part.attempts else part.accepted_at
        turn = f"its turn at {part.carrier}"
        if part.due_at > now:
            turn = f"its {'date' if part.due_at == part.scheduled_at else 'next try'} in {age(part.due_at - now)}"
        why = f": {part.why}" if part.why else ""
        return f"waits {age(now - max(since, part.accepted_at))} for {turn}{why}"
    if part.state == State.ATTEMPTED:
        return f"waits {age(now - part.attempts[-1].at)} for the answer of {part.attempts[-1].bind}"
    if part.state == State.IN_DOUBT:
        held = part.attempts[-1].doubted_at or part.attempts[-1].at
        return f"in doubt for {age(now - held)}: a late answer, a receipt or the route's in_doubt policy will tell"
    if part.state == State.SUBMITTED:
        return f"waits {age(now - part.attempts[-1].responded_at)} for the receipt of {part.carrier}"
    if part.owes_receipt and not part.told_at:
        what = "it" if part.state == State.RECEIVED else "its receipt"
        return f"{what} waits {age(now - part.owed_at)} for {part.esme}"
    if part.tell == Tell.WAITING:
        return "waits for the other parts of its message: one receipt will tell of all"
    return ""


def _until(part: Part) -> str:
    return (iso(part.expires_at) or "for ever").replace("T", " ").partition(".")[0] + " UTC"


def _attempt(number: int, attempt: Attempt) -> dict[str, Any]:
    answered = attempt.responded_at > 0
    return {
        "number": number,
        "at": iso(attempt.at),
        "carrier": attempt.carrier,
        "bind": attempt.bind,
        "route": attempt.route,
        "reason": attempt.reason,
        "answered_at": iso(attempt.responded_at),
        "latency_ms": round((attempt.responded_at - attempt.at) * 1000, 1) if answered else None,
        "blame": _words(Blame(attempt.blame)) if attempt.blame >= 0 else None,
        "status": status_name(attempt.code) if answered and attempt.code != UNFIT else None,
        "carrier_message_id": attempt.carrier_message_id or None,
        "lead": attempt.lead or None,
        "doubted_at": iso(attempt.doubted_at),
        "doubted": attempt.doubted or None,
        "withdrawn": attempt.withdrawn,
        "resent": attempt.resent,
        "repeats": attempt.repeats,
        "queried_at": iso(attempt.queried_at),
        "decision": None,
    }


def _answer(attempt: Attempt) -> str:
    took = age(attempt.responded_at - attempt.at)
    if attempt.blame == Blame.OK:
        name = f" as {attempt.carrier_message_id}" if attempt.carrier_message_id else ", and gave it no id"
        if attempt.lead:
            name = f" with {attempt.lead}, which has its id"
        return f"{attempt.carrier} took it{name}, after {took}"
    if attempt.code == UNFIT:
        return f"never left: it cannot be written as {attempt.carrier} wants it"
    blame = Blame(attempt.blame)
    said = verdict(attempt.code, {attempt.code: blame})  # judged then, by the carrier's own outcomes
    again = f", and {attempt.repeats} times more" if attempt.repeats else ""
    return f"{attempt.carrier} answered {status_name(attempt.code)} after {took}: {_words(blame)}; {said.note}{again}"


def _words(blame: Blame) -> str:
    return blame.name.lower().replace("_", "-")


def _fact(fact: str) -> tuple[float, str]:
    at, _, what = fact.partition(" ")
    return float(at), what
