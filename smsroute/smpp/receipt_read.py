"""Delivery receipts read in any dialect carriers speak.

Rules:
- Reading order (quirks 1.2): body (short_message, else message_payload) -> decoded by data_coding, else Latin-1, else
  UTF-16 by its zeros -> a carrier's own `pattern`, else labels in any case and order, the first of each counts ->
  TLVs. State = message_state TLV, else the stat word. What contradicts is recorded, not guessed away.
- A word nobody knows is never a failure: a false failure makes a customer pay for a resend.
- Dates are kept as text, and made instants only when asked; `sub` and `dlvrd` are decoration.
- Any octets are read: nothing but PduError is raised, and no text takes longer than its length (a `pattern` sees at
  most `Reading.pattern_characters_max`).

Walk: `carriers/receipts` calls `parse`; other rooms take it from `receipt`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Final

import attrs
import msgspec

from smsroute.smpp.codec import Pdu, SubmitSm, first_tlvs, parse_data_sm, parse_sm, tlv
from smsroute.smpp.names import (
    DATA_SM,
    DELIVER_SM,
    ESM_INTERMEDIATE,
    ESM_RECEIPT,
    ESM_TYPE_MASK,
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    MessageState,
)
from smsroute.smpp.receipt_dates import instant

FROM_TLV: Final = "receipted_message_id"
FROM_TEXT: Final = "text"
FROM_STATE: Final = "message_state"
FROM_WORD: Final = "stat"
Ids = tuple[tuple[str, str], ...]

# fmt: off
STAT_WORDS: Final[dict[str, int]] = {
    "DELIVRD":  MessageState.DELIVERED,     "DELIVERED":     MessageState.DELIVERED,
    "EXPIRED":  MessageState.EXPIRED,
    "DELETED":  MessageState.DELETED,
    "UNDELIV":  MessageState.UNDELIVERABLE, "UNDELIVERABLE": MessageState.UNDELIVERABLE,
    "FAILED":   MessageState.UNDELIVERABLE, "UNDELIVERED":   MessageState.UNDELIVERABLE,
    "REJECTD":  MessageState.REJECTED,      "REJECTED":      MessageState.REJECTED,
    "ACCEPTD":  MessageState.ACCEPTED,      "ACCEPTED":      MessageState.ACCEPTED,
    "ENROUTE":  MessageState.ENROUTE,       "ACKED":         MessageState.ENROUTE,
    "BUFFRED":  MessageState.ENROUTE,       "BUFFERD":       MessageState.ENROUTE,
    "BUFFERED": MessageState.ENROUTE,
    "SCHEDLD":  MessageState.SCHEDULED,     "SCHEDULED":     MessageState.SCHEDULED,
    "UNKNOWN":  MessageState.UNKNOWN,
    "SKIPPED":  MessageState.SKIPPED,
}
"""stat word, upper case -> message_state (3.4 Appendix B and the words seen beside it, quirks 1.3)."""
# fmt: on
FINAL: Final = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.EXPIRED,
        MessageState.DELETED,
        MessageState.UNDELIVERABLE,
        MessageState.REJECTED,
        MessageState.SKIPPED,
    }
)
"""States after which nothing more comes. ACCEPTED and UNKNOWN are none: more may come."""

ID_CHARACTERS_MAX: Final = 255  # 64 by the spec; UUIDs and longer ones exist (quirks M9)
WORD_CHARACTERS_MAX: Final = 32  # of a stat word, a date, an err
QUOTED_CHARACTERS: Final = 20  # of the message, at the end of a receipt (Appendix B)


@attrs.frozen
class Reading:
    """What one carrier's receipts do their own way. The default is what all others do."""

    states: Mapping[str, int] = attrs.field(default=STAT_WORDS, repr=False)  # stat word in capitals -> MessageState
    final: frozenset[int] = FINAL  # states after which nothing more comes
    pattern: re.Pattern[str] | None = None  # of the whole text: groups id and stat, and err, submit, done if any
    pattern_characters_max: int = 255  # a longer text is not tried on it
    without_esm_class: bool = False  # a plain message that reads like a receipt may be one
    zone: datetime.tzinfo = datetime.UTC  # of its dates


COMMON: Final = Reading()

# The common form in one go; what does not fit it exactly is scanned label by label, with the same result.
_PLAIN: Final = re.compile(
    r"id:([^ :\0]{1,255}) sub:[0-9]+ dlvrd:[0-9]+ submit date:([0-9]{1,32}) done date:([0-9]{1,32}) "
    r"stat:([A-Za-z]{1,32}) err:([0-9A-Za-z]+)"
    r"(?: [Tt]ext:(.*))?",
    re.DOTALL,
)
_LABEL: Final = re.compile(r"(?<![0-9A-Za-z])(id|sub|dlvrd|submit date|done date|stat|err|text):", re.IGNORECASE)
_STRIPPED: Final = " \0\t\r\n"
_STATE_MAX: Final = int(max(MessageState))


class Receipt(msgspec.Struct, gc=False, frozen=True):
    """What a receipt says. Empty strings and -1 stand for "it does not say"."""

    ids: Ids  # (where it stood, id): the TLV first
    source_addr: str  # whose handset it speaks of
    state: int  # a MessageState; -1: none, or a word nobody knows
    word: str  # the stat word as written
    state_from: str  # "message_state", "stat" or ""
    err: str  # as written, up to 16 characters: decimal, hex or a word
    network_error: tuple[int, int] | str | bytes | None  # (type, code); ASCII as broken peers send it; of odd length
    submit_date: str
    done_date: str
    text: str | None
    conflict: str  # why TLV and text disagree
    by_esm_class: bool  # esm_class says that it is one
    # It is a receipt whatever its id is: esm_class says so, or TLVs that no person can write. Else it is one only if
    # its id is one the carrier gave us, and a message from a handset otherwise (quirks D3).
    certain: bool
    reading: Reading

    @property
    def final(self) -> bool:
        """Whether the state is a last word."""
        return self.state in self.reading.final

    @property
    def submitted_at(self) -> int:
        """Unix seconds of `submit_date`, 0 when it cannot be told."""
        return instant(self.submit_date, self.reading.zone)

    @property
    def done_at(self) -> int:
        """Unix seconds of `done_date`, 0 when it cannot be told."""
        return instant(self.done_date, self.reading.zone)

    @property
    def quoted(self) -> str:
        """The first 20 characters it quotes of the message; "" for none."""
        return (self.text or "")[:QUOTED_CHARACTERS]

    @property
    def state_name(self) -> str:
        """`DELIVERED`; `UNRECOGNISED` for a word nobody knows; `` without any."""
        if self.state >= 0:
            return MessageState(self.state).name
        return "UNRECOGNISED" if self.state_from else ""

    @property
    def looks_like_receipt(self) -> bool:
        """Whether it has an id and a state, whatever esm_class says."""
        return bool(self.ids and self.state_from)


def is_receipt(esm_class: int) -> bool:
    """Whether esm_class speaks of a message of ours: SMSC receipt or intermediate notification (quirks D1, D2).

    Other bits may be set beside it. An answer written by the recipient (0x08, 0x10) is no receipt.
    """
    return bool(esm_class & ESM_TYPE_MASK & (ESM_RECEIPT | ESM_INTERMEDIATE))


def is_answer(esm_class: int) -> bool:
    """Whether the recipient's own software or hand wrote it about a message of ours: delivery or user acknowledgement,
    conversation abort (0x08, 0x10, 0x18). It goes to the ESME as it is and ends nothing (quirks D1)."""
    return bool(esm_class & ESM_TYPE_MASK) and not is_receipt(esm_class)


def parse(request: Pdu, reading: Reading = COMMON) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm; None when it is a message from a handset or no message. Raises PduError.

    Without its esm_class bits only the two TLVs make a receipt: a person may write "id:5 stat:hello" (quirks D3). With
    `reading.without_esm_class` a text with id, stat and a date or an err may be one: see `Receipt.certain`.
    """
    if request.command_id not in (DELIVER_SM, DATA_SM):
        return None
    sm = parse_data_sm(request.body) if request.command_id == DATA_SM else parse_sm(request.body)
    if is_receipt(sm.esm_class):
        return read(sm, reading)
    if is_answer(sm.esm_class):
        return None
    if sm.tlv and tlv(sm.tlv, RECEIPTED_MESSAGE_ID) and tlv(sm.tlv, MESSAGE_STATE):
        return read(sm, reading)
    if reading.without_esm_class:
        told = read(sm, reading, certain=False)
        if told.ids and told.word and (told.err or told.submit_date or told.done_date):
            return told
    return None


def read(sm: SubmitSm, reading: Reading = COMMON, certain: bool = True) -> Receipt:
    """What `sm` says when read as a receipt, whether it is one or not."""
    body = sm.user_data()
    plain = _PLAIN.fullmatch(body.decode("latin-1")) if reading.pattern is None else None
    text: str | None
    if plain is not None:
        written, submit_date, done_date, word, err, text = plain.groups()
        text = text.strip(_STRIPPED) if text is not None else None
    else:
        found = _scan(body, sm.data_coding, reading)
        written, word, err = found.get("id", ""), found.get("stat", ""), found.get("err", "")
        submit_date, done_date, text = found.get("submit date", ""), found.get("done date", ""), found.get("text")
    ids: Ids = ((FROM_TEXT, written),) if written else ()
    state = reading.states.get(word.upper(), -1) if word else -1
    state_from = FROM_WORD if word else ""
    conflict = ""
    network_error = None
    if sm.tlv:
        tlvs = first_tlvs(sm.tlv)
        receipted = tlvs.get(RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0].decode("latin-1").strip(_STRIPPED)
        if 0 < len(receipted) <= ID_CHARACTERS_MAX:
            ids = ((FROM_TLV, receipted), *ids)
        told = _message_state(tlvs.get(MESSAGE_STATE))
        if told >= 0:
            if word and state != told:
                conflict = f"message_state {told}, stat {word}"
            state, state_from = told, FROM_STATE
        network_error = _network_error(tlvs.get(NETWORK_ERROR_CODE))
    return Receipt(
        ids,
        sm.source_addr,
        state,
        word,
        state_from,
        err[:16],
        network_error,
        _date(submit_date),
        _date(done_date),
        text,
        conflict,
        is_receipt(sm.esm_class),
        certain,
        reading,
    )


def _scan(body: bytes, data_coding: int, reading: Reading) -> dict[str, str]:
    """Label -> value: by the carrier's own pattern, else the first of each label, up to the next first of a label."""
    texts = _readings(body, data_coding)
    if reading.pattern is not None:
        for text in texts:
            found = _by_pattern(text.strip(_STRIPPED), reading.pattern, reading.pattern_characters_max)
            if found is not None:
                return found
    for text in texts:
        firsts: dict[str, re.Match[str]] = {}
        for match in _LABEL.finditer(text):
            firsts.setdefault(match[1].lower(), match)
        if "id" in firsts or "stat" in firsts:
            break
    else:
        return {}
    values: dict[str, str] = {}
    end = len(text)
    for label, match in reversed(firsts.items()):
        value = text[match.end() : end].strip(_STRIPPED)
        # A value is one word, except the text: labels we do not know may follow it.
        values[label] = value if label == "text" else _bounded(label, (value.split(maxsplit=1) or [""])[0])
        end = match.start()
    return values


def _by_pattern(text: str, pattern: re.Pattern[str], characters_max: int) -> dict[str, str] | None:
    """The same of a text of another form altogether (quirks F20); None when it is not of that form."""
    match = pattern.fullmatch(text) if len(text) <= characters_max else None
    if match is None:
        return None
    groups = match.groupdict("").items()
    return {_GROUPS.get(name, name): _bounded(name, value.strip(_STRIPPED)) for name, value in groups}


def _bounded(label: str, value: str) -> str:
    """What is kept of a value, and for long: of an id all or nothing, for a part of it is another id."""
    if label == "id":
        return value if len(value) <= ID_CHARACTERS_MAX else ""
    return value[:WORD_CHARACTERS_MAX]


_GROUPS: Final = {"submit": "submit date", "done": "done date"}


def _readings(body: bytes, data_coding: int) -> list[str]:
    """The texts `body` may stand for, likeliest first (quirks D9, D10)."""
    readings = [body.decode("latin-1")]
    if data_coding == 8 or 0x18 <= data_coding <= 0x1B:
        readings.insert(0, body.decode("utf-16-be", "replace"))
    if body and not any(body[::2]):
        readings.append(body.decode("utf-16-be", "replace"))
    elif body and not any(body[1::2]):
        readings.append(body.decode("utf-16-le", "replace"))
    return readings


def _message_state(value: bytes | None) -> int:
    """message_state, one octet by the spec, four by some; -1 when it is none."""
    state = int.from_bytes(value, "big") if value and len(value) <= 4 else -1
    return state if state <= _STATE_MAX else -1


def _network_error(value: bytes | None) -> tuple[int, int] | str | bytes | None:
    """network_error_code (section 5.3.2.31): type and code; ASCII digits from broken peers, which no type is (quirks
    1.4); what is not of three octets is kept as it came."""
    if not value:
        return None
    if 0x30 <= value[0] <= 0x39:
        return value.decode("latin-1")
    return (value[0], int.from_bytes(value[1:], "big")) if len(value) == 3 else value


def _date(written: str) -> str:
    """Blank and all-zero dates are none (quirks F12)."""
    return written if written.strip("0") else ""
