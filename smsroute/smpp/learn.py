"""How a carrier's receipts name its messages, learnt from evidence: `dialect: {ids: auto}`.

Rules:
- An unsafe guess is never made. A wrong match is worse than none: what is not sure stays unknown until a rule is
  learnt.
- Responses are kept under their id as it was written; a rule turns a receipt's id into that. So nothing that is kept
  changes its name when a rule is learnt or forgotten.
- An id that shows a letter and comes back as it was written is sure. An id of digits alone means one message in decimal
  and another in hexadecimal: the handset must agree too, nothing else may fit, and the letters seen so far on both
  sides must not speak for the other reading. Of numbers below 1000 both readings lie so close together that some more
  of both sides are looked at first.
- dec<->hex is learnt only from an id that shows a letter a-f (quirks 1.5). `evidence_min` agreeing pieces in a row, and
  what speaks for another rule begins the count anew. A learnt rule is forgotten after `contradictions_max` in a row.
- The TLV and the text are learnt apart: some carriers write one in hex and the other in decimal (quirks M3).

How it is used, for each receipt of such a carrier:
    keys = learner.candidates(ids)            # up to CANDIDATES_MAX, likeliest first; each is looked up as it stands
    hits = [(key, whose, agrees), ...]        # of each that names an attempt: which one, and whether its number agrees
    key = learner.judge(ids, hits, now)       # the one to believe, or "": parked. Evidence is counted on the way
and when nothing was hit under a learnt rule `doubts(ids)` are looked up, too, and judged: they are never believed, and
tell a rule that has become wrong. `waits_as(ids)` names the one key under which a receipt may wait for a response that
comes later, or "" while that would be a guess; such a one is judged when its response has come, or after `news`.
What waits must keep its ids, not its candidates: these change with what is known. It is asked again after `news`, and
once enough was seen of both sides (`ripened`). What an engine had seen that died is shown again by `note_again`.

Walk: `carriers/answers` calls `response_key`, `carriers/receipts` the rest; `carriers/keeper` keeps it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import msgspec

from smsroute.smpp.relation import DECIMAL, HEX, RULES, WITHIN, relation, telling

Ids = Sequence[tuple[str, str]]
"""(where it stood, id) of a receipt, as `Receipt.ids`."""
Hit = tuple[str, Hashable, bool]
"""A candidate that names an attempt; which attempt; whether the receipt's number is that of the attempt."""

CANDIDATES_MAX: Final = 32
LONG_ID: Final = 20  # no two messages have ids of this length that differ in case only
SHORT_DIGITS: Final = 3  # up to here decimal and hexadecimal readings of one counter meet within its next few hundred
WIDTHS: Final = (8, 10, 16, 20)  # what ids are padded to: %08x, %010d, 64 bits in hex and in decimal (quirks M5, M8)
WIDTHS_MAX: Final = 6
SURE_FACTOR: Final = 10  # so many times the contradictions: a few early receipts in a row prove nothing
SAMPLES_KEPT: Final = 64
SAMPLE_CHARACTERS: Final = 64
VERSION: Final = 1

_STRIPPED: Final = " \0\t\r\n"


class Seen(msgspec.Struct):
    """What ids of one side look like."""

    some: set[str] = set()  # the first of them: a receipt that comes again and again says nothing new
    letters: bool = False
    upper: bool = False
    lower: bool = False

    def note(self, written: str) -> None:
        """One more of them."""
        if len(self.some) < SAMPLES_KEPT:
            self.some.add(written[:SAMPLE_CHARACTERS])
        if not written.isdigit():
            low, up = written.upper() != written, written.lower() != written
            self.lower |= low
            self.upper |= up
            self.letters |= low or up


class Source(msgspec.Struct):
    """What is known of the ids at one place of receipts: in the TLV, or in the text."""

    seen: Seen = msgspec.field(default_factory=Seen)
    rule: str = ""  # learnt; "" = not yet
    evidence: dict[str, int] = {}  # agreeing pieces in a row, by rule
    since: float = 0.0  # when it was learnt, Unix seconds
    contradictions: int = 0  # in a row
    against: str = ""  # the rule they spoke for
    sure: bool = False  # an id that shows letters came back as it was written: only a carrier that changed contradicts
    unlearnt: int = 0  # how often a rule was forgotten
    ripe: bool = False  # enough ids of either side were seen that short ones may be believed

    @property
    def open(self) -> bool:
        """Whether a receipt that fits may still say something new of it."""
        return self.contradictions > 0 or (not self.rule and len(self.seen.some) < SAMPLES_KEPT)


class _Kept(msgspec.Struct, array_like=True):
    """What outlives the engine."""

    version: int
    responses: Seen
    sources: dict[str, Source]
    widths: list[int]
    prefixed: bool
    forgot_at: float = 0.0


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")


class Learner:
    """See the module. One for each carrier."""

    def __init__(self, evidence_min: int = 3, contradictions_max: int = 3, samples_min: int = 16) -> None:
        self._evidence_min = evidence_min
        self._contradictions_max = contradictions_max
        self._samples_min = samples_min  # ids of either side before short ones are believed
        self._responses = Seen()
        self._sources: dict[str, Source] = {}
        self._widths: list[int] = []  # lengths of response ids that begin with a zero
        self._prefixed = False  # response ids begin with 0x
        self._settled = False  # a rule was learnt: no need to look at responses
        self._exact: frozenset[str] = frozenset()  # the places whose rule is exact
        self._made: tuple[Ids, list[str]] = ((), [])  # the last ids, and what the learnt rules made of them
        self._doubted = True  # something may still be learnt, or a rule has been contradicted
        self._forgot_at = 0.0  # when a rule was forgotten last, Unix seconds: responses from before say nothing of now
        self.ripened = False  # what was not believed for want of others beside it may be now; whoever asks clears it
        self.mismatched = 0  # ids that named a message of another number, while nothing was learnt
        self.ambiguous = 0  # that named several
        self.news: list[str] = []  # what was learnt or forgotten, for the log; whoever tells it takes it out

    @property
    def rule(self) -> str:
        """What was learnt: `exact`, or `hex-dec`, or `receipted_message_id exact, text hex-dec`; "" is nothing yet."""
        rules = {place: source.rule for place, source in self._sources.items() if source.rule}
        if len(set(rules.values())) == 1:
            return next(iter(rules.values()))
        return ", ".join(f"{place} {rule}" for place, rule in sorted(rules.items()))

    def words(self) -> list[str]:
        """What is known, for people: a line for each place where receipts of this carrier carry an id."""
        lines = []
        for place, source in sorted(self._sources.items()):
            if source.rule:
                lines.append(f"{place}: {RULES[source.rule]} ({source.rule}, {source.evidence[source.rule]} receipts)")
            else:
                counted = ", ".join(f"{rule} {n} of {self._evidence_min}" for rule, n in source.evidence.items())
                lines.append(f"{place}: not learnt yet{', ' if counted else ''}{counted}")
        if self.mismatched and not self.rule:
            lines.append(f"{self.mismatched} ids named a message to another number: set `dialect: ids`")
        return lines

    @property
    def unlearnt(self) -> int:
        """How often a rule was forgotten."""
        return sum(source.unlearnt for source in self._sources.values())

    def learnt(self) -> dict[str, tuple[str, int, float]]:
        """The same for machines: place -> (rule, evidence, since in Unix seconds)."""
        found = self._sources.items()
        return {place: (s.rule, s.evidence.get(s.rule, 0), s.since) for place, s in found if s.rule}

    def response_key(self, message_id: str) -> str:
        """The name under which a message is kept, from the id in its response; "" for no id."""
        key = message_id.strip(_STRIPPED)
        if not self._settled and key:
            self._responses.note(key)
            if key[0] == "0":
                self._leading_zero(key)
        return key

    def note_again(self, message_id: str, sent_at: float) -> None:
        """A message that is still open was named so, by what the store says: what an engine had seen that died.
        `sent_at`: Unix seconds."""
        if sent_at > self._forgot_at:
            self.response_key(message_id)

    def _leading_zero(self, key: str) -> None:
        if key[:2] in ("0x", "0X"):
            self._prefixed = True
        elif len(key) not in self._widths and len(self._widths) < WIDTHS_MAX and len(key) <= 64:
            self._widths.append(len(key))

    def explains(self, ids: Ids) -> bool:
        """Whether it is learnt how the ids of such a receipt are written."""
        return any(source.rule for place, _ in ids if (source := self._sources.get(place)) is not None)

    # --- a receipt ---

    def plain(self, ids: Ids) -> str:
        """The one key of a receipt whose id is learnt to come as the response writes it, while nothing speaks against
        that; "" for any other. A message of its handset under it is meant: no need to `judge`."""
        if self._doubted or not ids:
            return ""
        exact, key = self._exact, ids[0][1]
        for place, written in ids:  # the TLV and the text, mostly, and both say the same
            if written != key or place not in exact:
                return ""
        return key

    def candidates(self, ids: Ids) -> list[str]:
        """What its response may have called the message of a receipt, likeliest first; empty for no id."""
        keys: list[str] = []
        for place, written in ids:
            if place not in self._exact:
                break
            one = written.strip(_STRIPPED)
            if one and one not in keys:
                keys.append(one)
        else:
            self._made = (ids, keys)
            return keys
        for place, written in ids:
            source = self._source(place)
            if not source.rule:
                source.seen.note(written.strip(_STRIPPED))
        keys = self._believed(ids)
        self._made = (ids, keys)
        return keys or self._any(ids)

    def doubts(self, ids: Ids) -> list[str]:
        """Under a learnt rule: what any other rule would make of the ids. For `judge` only; see the module."""
        believed = self._believed(ids)
        return [key for key in self._any(ids) if key not in believed]

    def waits_as(self, ids: Ids) -> str:
        """The id a response must name for this receipt to be its own, without a further look; "" while none is sure."""
        believed = self._believed(ids)
        if believed:
            return believed[0]
        written = next((one for _, one in ids if one.strip(_STRIPPED)), "").strip(_STRIPPED)
        return "" if DECIMAL.fullmatch(written) else written

    def judge(self, ids: Ids, hits: Sequence[Hit], now: float = 0.0, again: bool = False) -> str:
        """The candidate to believe, "" for none. Counts what it says about the rules; of one that is asked `again`, not
        what it said before: that it fits nothing, or too much."""
        if not hits:
            return ""
        if len(hits) == 1 and hits[0][2] and self._made[0] is ids and not self._doubted and hits[0][0] in self._made[1]:
            return hits[0][0]  # nearly all of them, once a rule is learnt
        if self.explains(ids):
            key = self._by_what_is_learnt(ids, hits, now, again)
        else:
            key = self._by_what_is_seen(ids, hits, again)
        if key:
            self._evidence(ids, key, now)
        self._doubted = any(source.open for source in self._sources.values())
        return key

    def witness(self, response_id: str, ids: Ids, destination_agrees: bool, now: float = 0.0) -> bool:
        """A receipt with these ids speaks of the number of this response, or not. Whether `judge` believes them one."""
        key = response_id.strip(_STRIPPED)
        return bool(key) and self.judge(ids, [(key, key, destination_agrees)], now) == key

    def _by_what_is_seen(self, ids: Ids, hits: Sequence[Hit], again: bool) -> str:
        for place, _ in ids:
            source = self._source(place)
            if not source.ripe and self._enough(source):
                source.ripe = self.ripened = True
        sure: dict[Hashable, str] = {}
        fit: dict[Hashable, list[tuple[str, str, str, str]]] = {}
        for place, written in ids:
            one = written.strip(_STRIPPED)
            for key, whose, agrees in hits:
                rule = relation(one, key)
                if rule == "exact" and not DECIMAL.fullmatch(one):
                    sure[whose] = key
                elif rule and agrees:
                    fit.setdefault(whose, []).append((place, one, key, rule))
        if len(sure) == 1:
            return next(iter(sure.values()))
        if sure or len(fit) != 1:
            if not again:
                self.ambiguous += len(fit) > 1 or len(sure) > 1
                self.mismatched += not fit and not sure
            return ""
        ways = next(iter(fit.values()))
        return next((way[2] for way in ways if self._credible(*way)), "")

    def _credible(self, place: str, one: str, key: str, rule: str) -> bool:
        """Whether what was seen so far leaves no other reading of this hit."""
        ours, theirs = self._responses, self._source(place).seen
        enough = self._enough(self._source(place))
        if rule in ("exact", "unpad"):
            digits = len(one.lstrip("0"))
            if DECIMAL.fullmatch(one) is None or digits < 2:
                return True  # a single digit is the same number in every reading
            return ours.letters == theirs.letters and (digits > SHORT_DIGITS or enough or ours.letters)
        if rule == "casefold":
            opposite = (ours.upper, ours.lower) == (theirs.lower, theirs.upper) and ours.upper != ours.lower
            return len(one) >= LONG_ID or (enough and opposite)
        if not telling(rule, one, key):
            return False
        against = {"hex-dec": theirs.letters, "dec-hex": ours.letters}.get(rule, False)
        return not against and (rule == "hex" or enough or len(key) > SHORT_DIGITS)

    def _enough(self, source: Source) -> bool:
        return min(len(self._responses.some), len(source.seen.some)) >= self._samples_min

    def _evidence(self, ids: Ids, key: str, now: float) -> None:
        """The receipt is of the response `key`: what that says of the ids at each place that has no rule yet."""
        for place, written in ids:
            source = self._source(place)
            one = written.strip(_STRIPPED)
            rule = relation(one, key)
            if source.rule or not rule or not telling(rule, one, key):
                continue
            source.sure |= rule == "exact" and not DECIMAL.fullmatch(one)
            count = source.evidence.get(rule, 0) + 1
            wider = {other: n for other, n in source.evidence.items() if rule in WITHIN.get(other, ())}
            source.evidence = {**wider, rule: count}
            if count >= self._evidence_min:
                source.rule, source.since, source.contradictions = rule, now, 0
                self._changed()
                self.news.append(f"{place}: learnt {rule} from {count} receipts, the last was {one} for {key}")

    def _by_what_is_learnt(self, ids: Ids, hits: Sequence[Hit], now: float, again: bool) -> str:
        found: dict[Hashable, str] = {}
        against: dict[str, str] = {}
        for place, written in ids:
            source = self._source(place)
            if not source.rule:
                continue
            one = written.strip(_STRIPPED)
            made = self._by_rule(source.rule, one)
            for key, whose, agrees in hits:
                by_rule = key in made
                sure = key == one and not DECIMAL.fullmatch(one)
                if sure or (by_rule and agrees):
                    found[whose] = key
                    source.contradictions = 0
                    source.sure |= sure
                elif by_rule:
                    against[place] = ""
                elif agrees and self._speaks_against(one, key):
                    against[place] = relation(one, key)
        if not found and not again:
            for place, rule in against.items():
                self._contradicted(place, rule, now)
        return next(iter(found.values())) if len(found) == 1 else ""

    @staticmethod
    def _speaks_against(one: str, key: str) -> bool:
        """Whether a hit by another rule is more than two readings of a small number that meet."""
        rule = relation(one, key)
        return telling(rule, one, key) and (rule == "casefold" or len(key) > SHORT_DIGITS)

    def _contradicted(self, place: str, rule: str, now: float) -> None:
        """One more receipt in a row that a learnt rule cannot explain; `rule` could ("": none).

        A rule within which the learnt one holds takes its place; else all that was seen before counts no more.
        """
        source = self._sources[place]
        source.contradictions = source.contradictions + 1 if rule == source.against else 1
        source.against = rule
        count = source.contradictions
        if count < self._contradictions_max * (SURE_FACTOR if source.sure else 1):
            return
        if not source.sure and source.rule in WITHIN.get(rule, ()):
            self.news.append(f"{place}: {rule} instead of {source.rule}, as {count} receipts in a row say")
            source.rule, source.evidence, source.since, source.contradictions = rule, {rule: count}, now, 0
            self._changed()
            return
        self.news.append(f"{place}: forgot {source.rule}, {count} receipts in a row spoke against it")
        self._sources[place] = Source(unlearnt=source.unlearnt + 1)
        self._responses, self._forgot_at = Seen(), now
        self._widths, self._prefixed = [], False
        self._changed()

    def _changed(self) -> None:
        self._settled = any(source.rule for source in self._sources.values())
        self._exact = frozenset(place for place, source in self._sources.items() if source.rule == "exact")

    def _source(self, place: str) -> Source:
        source = self._sources.get(place)
        if source is None:
            source = self._sources[place] = Source()
        return source

    # --- ids ---

    def _believed(self, ids: Ids) -> list[str]:
        """What the learnt rules make of the ids; empty when none of them has one."""
        keys: dict[str, None] = {}
        for place, written in ids:
            source = self._sources.get(place)
            if source is None or not source.rule:
                continue
            one = written.strip(_STRIPPED)
            keys.update(dict.fromkeys(self._by_rule(source.rule, one)))
        keys.pop("", None)
        return list(keys)

    def _any(self, ids: Ids) -> list[str]:
        """What any rule makes of them, as they are written first."""
        written = [one.strip(_STRIPPED) for _, one in ids]
        keys = dict.fromkeys(written)
        for one in written:
            keys.update(dict.fromkeys(self._all(one)))
        keys.pop("", None)
        return list(keys)[:CANDIDATES_MAX]

    def _by_rule(self, rule: str, one: str) -> list[str]:
        """What `rule` makes of a receipt's id, likeliest first."""
        if rule == "exact":
            return [one]
        decimal, number = DECIMAL.fullmatch(one), HEX.fullmatch(one)
        if rule == "hex-dec" and decimal:
            return self._hexes(int(one))
        if rule == "dec-hex" and number:
            return self._padded(str(int(number[1], 16)))
        if rule == "hex" and number:
            return [one, *self._hexes(int(number[1], 16))]
        if rule == "unpad":
            return [*self._padded(one.lstrip("0") or "0"), one]
        return [one, one.lower(), one.upper()]

    def _all(self, one: str) -> list[str]:
        """What any rule makes of it."""
        keys = [one, one.lower(), one.upper()]
        number = HEX.fullmatch(one)
        if number is None:
            if one.startswith("0"):
                keys.append(one.lstrip("0"))
            return keys
        if number[1] != one or self._prefixed:
            keys += [number[1], number[1].lower(), f"0x{number[1]}", f"0x{number[1].lower()}"]
        keys += self._padded(number[1].lstrip("0") or "0")
        if DECIMAL.fullmatch(one):
            keys += self._hexes(int(one))
        keys += self._padded(str(int(number[1], 16)))
        return keys

    def _hexes(self, number: int) -> list[str]:
        """A number as responses may write it in hexadecimal."""
        seen = self._responses
        if seen.upper == seen.lower or not self._settled:
            forms = [f"{number:x}", f"{number:X}"]
        else:
            forms = [f"{number:X}" if seen.upper else f"{number:x}"]
        prefixed = [f"0x{forms[0]}"] if self._prefixed else []
        return [*prefixed, *(key for form in forms for key in self._padded(form, (8, 10, 16)))]

    def _padded(self, digits: str, usual: tuple[int, ...] = WIDTHS) -> list[str]:
        """Digits as they are and with zeros before them; in a width that was seen first."""
        seen = [digits.rjust(width, "0") for width in self._widths if width > len(digits)]
        others = [digits.rjust(width, "0") for width in usual if width > len(digits) and width not in self._widths]
        return [*seen, digits, *others]

    # --- over a restart ---

    def keep(self) -> bytes:
        """For the store."""
        kept = _Kept(VERSION, self._responses, self._sources, self._widths, self._prefixed, self._forgot_at)
        return _ENCODER.encode(kept)

    def restore(self, blob: bytes) -> None:
        """What an earlier engine learnt. Raises ValueError for what is nothing of the kind."""
        try:
            kept = msgspec.msgpack.decode(blob, type=_Kept)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not what a learner keeps: {error}") from None
        if kept.version != VERSION:
            raise ValueError(f"version {kept.version}, expected {VERSION}")
        known = all(source.rule in ("", *RULES) for source in kept.sources.values())
        if not known:
            raise ValueError("a rule of another version")
        self._responses, self._sources = kept.responses, kept.sources
        self._widths, self._prefixed, self._forgot_at = kept.widths, kept.prefixed, kept.forgot_at
        self._changed()
