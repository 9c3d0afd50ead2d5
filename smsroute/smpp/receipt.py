"""Delivery receipts: read in any dialect carriers speak, and written in the one every client understands.

Rules:
- Reading order (quirks 1.2): body (short_message, else message_payload) -> decoded by data_coding, else Latin-1, else
  UTF-16 by its zeros -> labels in any case and order, the first of each counts -> TLVs. State = message_state TLV, else
  the stat word. What contradicts is recorded, not guessed away.
- A word nobody knows is never a failure: a false failure makes a customer pay for a resend.
- Dates are kept as text and never ordered by: their time zone is unknown. `sub` and `dlvrd` are decoration.
- Message ids are opaque; only a carrier's configured dialect turns one into another.

Walk: `carriers/receipts` calls `parse` and `id_keys`, `carriers/dispatch` `response_key`, `esmes/deliver` `build`.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from smsroute.smpp.codec import Pdu, SubmitSm, build_tlv, parse_data_sm, parse_sm, tlv
from smsroute.smpp.names import (
    DATA_SM,
    DELIVER_SM,
    ESM_INTERMEDIATE,
    ESM_RECEIPT,
    ESM_TYPE_MASK,
    ESM_UDHI,
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    MessageState,
)

FROM_TLV: Final = "receipted_message_id"
FROM_TEXT: Final = "text"
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
STAT_OF: Final[dict[int, str]] = {
    MessageState.SCHEDULED: "ENROUTE", MessageState.ENROUTE: "ENROUTE", MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED", MessageState.DELETED: "DELETED", MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD", MessageState.UNKNOWN: "UNKNOWN", MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "UNDELIV",
}
"""message_state -> the seven-letter word we write."""
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

# The common form in one go; what does not fit it exactly is scanned label by label, with the same result.
_PLAIN: Final = re.compile(
    r"id:([^ :\0]+) sub:[0-9]+ dlvrd:[0-9]+ submit date:([0-9]+) done date:([0-9]+) stat:([A-Za-z]+) err:([0-9A-Za-z]+)"
    r"(?: [Tt]ext:(.*))?",
    re.DOTALL,
)
_LABEL: Final = re.compile(r"(?<![0-9A-Za-z])(id|sub|dlvrd|submit date|done date|stat|err|text):", re.IGNORECASE)
_STRIPPED: Final = " \0\t\r\n"


class Receipt(msgspec.Struct, gc=False, frozen=True):
    """What a receipt says. Empty strings and -1 stand for "it does not say"."""

    ids: Ids  # (where it stood, id): the TLV first
    source_addr: str  # whose handset it speaks of
    state: int  # a MessageState; -1: none, or a word nobody knows
    word: str  # the stat word as written
    state_from: str  # "message_state", "stat" or ""
    err: str  # as written, up to 16 characters: decimal, hex or a word
    network_error: tuple[int, int] | str | None  # (type, code) of the TLV, or the ASCII digits broken peers send
    submit_date: str
    done_date: str
    text: str | None
    conflict: str  # why TLV and text disagree
    by_esm_class: bool

    @property
    def final(self) -> bool:
        """Whether the state is a last word."""
        return self.state in FINAL

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


def parse(request: Pdu) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm; None when it is a message from a handset or no message. Raises PduError.

    Without its esm_class bits only the two TLVs make a receipt: a person may write "id:5 stat:hello" (quirks D3).
    """
    if request.command_id not in (DELIVER_SM, DATA_SM):
        return None
    sm = parse_data_sm(request.body) if request.command_id == DATA_SM else parse_sm(request.body)
    if is_receipt(sm.esm_class):
        return read(sm)
    if sm.tlv and tlv(sm.tlv, RECEIPTED_MESSAGE_ID) and tlv(sm.tlv, MESSAGE_STATE):
        return read(sm)
    return None


def read(sm: SubmitSm) -> Receipt:
    """What `sm` says when read as a receipt, whether it is one or not."""
    body = sm.user_data()
    plain = _PLAIN.fullmatch(body.decode("latin-1"))
    text: str | None
    if plain is not None:
        written, submit_date, done_date, word, err, text = plain.groups()
        text = text.strip(_STRIPPED) if text is not None else None
    else:
        found = _scan(body, sm.data_coding)
        written, word, err = found.get("id", ""), found.get("stat", ""), found.get("err", "")
        submit_date, done_date, text = found.get("submit date", ""), found.get("done date", ""), found.get("text")
    ids: Ids = ((FROM_TEXT, written),) if written else ()
    state = STAT_WORDS.get(word.upper(), -1) if word else -1
    state_from = "stat" if word else ""
    conflict = ""
    network_error = None
    if sm.tlv:
        receipted = (tlv(sm.tlv, RECEIPTED_MESSAGE_ID) or b"").decode("latin-1").partition("\0")[0].strip(_STRIPPED)
        if receipted:
            ids = ((FROM_TLV, receipted), *ids)
        told = _message_state(tlv(sm.tlv, MESSAGE_STATE))
        if told >= 0:
            if word and state != told:
                conflict = f"message_state {told}, stat {word}"
            state, state_from = told, "message_state"
        network_error = _network_error(tlv(sm.tlv, NETWORK_ERROR_CODE))
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
    )


def _scan(body: bytes, data_coding: int) -> dict[str, str]:
    """Label -> value: the first of each label, up to the next first of a label."""
    for text in _readings(body, data_coding):
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
        values[label] = value if label == "text" else (value.split(maxsplit=1) or [""])[0]
        end = match.start()
    return values


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
    return state if state <= MessageState.SKIPPED else -1


def _network_error(value: bytes | None) -> tuple[int, int] | str | None:
    """network_error_code (section 5.3.2.31): type and code; three ASCII digits from broken peers (quirks 1.4)."""
    if value is None or len(value) != 3:
        return None
    if value.isdigit():
        return value.decode("ascii")
    return value[0], int.from_bytes(value[1:], "big")


def _date(written: str) -> str:
    """Blank and all-zero dates are none (quirks F12)."""
    return written if written.strip("0") else ""


# --- message ids ---

_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,64})")
_DECIMAL: Final = re.compile(r"[0-9]{1,78}")


def response_key(rule: str, message_id: str) -> str:
    """The name under which a message is kept, from the id in its response; `` for no id. `rule` is `dialect.ids`."""
    message_id = message_id.strip(_STRIPPED)
    if rule == "hex-dec":
        return _from_hex(message_id)
    if rule == "dec-hex":
        return _from_decimal(message_id)
    return _same(rule, message_id)


def id_keys(rule: str, ids: Ids | Sequence[tuple[str, str]]) -> list[str]:
    """The names a receipt may mean, safest first. Raises nothing; empty when the receipt carries no id.

    `auto` and `exact` compare trimmed ids as they are. With `hex-dec` the text id is decimal, and a TLV id that shows a
    hex letter is the hex one (quirks M3); `dec-hex` the other way.
    """
    keys: list[str] = []
    if rule in ("hex-dec", "dec-hex"):
        text_first = sorted(ids, key=lambda one: one[0] != FROM_TEXT)
        for _, written in text_first:
            one = written.strip(_STRIPPED)
            lettered = not one.isdigit()
            keys.append(_from_hex(one) if lettered or rule == "dec-hex" else _from_decimal(one))
    else:
        keys.extend(_same(rule, one) for _, one in ids)
    return list(dict.fromkeys(key for key in keys if key))


def _same(rule: str, message_id: str) -> str:
    message_id = message_id.strip(_STRIPPED)
    if rule == "unpad":
        return message_id.lstrip("0") or message_id[:1]
    return message_id.casefold() if rule == "casefold" else message_id


def _from_hex(message_id: str) -> str:
    match = _HEX.fullmatch(message_id)
    return str(int(match[1], 16)) if match else message_id


def _from_decimal(message_id: str) -> str:
    return str(int(message_id)) if _DECIMAL.fullmatch(message_id) else message_id


# --- writing ---

TEXT_CHARACTERS_MAX: Final = 20  # Appendix B
_PRINTABLE: Final = bytes(code if 0x20 <= code < 0x7F else 0x3F for code in range(256))


def build(
    submitted: bytes,
    text_at: int,
    *,
    message_id: str,
    state: int,
    submitted_at: float,
    done_at: float,
    err: str = "000",
    with_tlvs: bool = True,
) -> bytes:
    """The deliver_sm body of a receipt for a submit_sm body (section 4.6.1, Appendix B; quirks 1.7).

    `submitted` may be cut after `text_at`, its addresses; then the text is blank. Times are Unix seconds, told in UTC.
    `with_tlvs`: receipted_message_id and message_state too, for clients of interface version 3.4 on.
    """
    source = submitted.index(0) + 1
    destination = submitted.index(0, source + 2) + 1
    delivered = b"001" if state == MessageState.DELIVERED else b"000"
    identity = message_id.encode("latin-1")
    text = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
        identity,
        delivered,
        _minute(int(submitted_at // 60)),
        _minute(int(done_at // 60)),
        STAT_OF[state].encode(),
        (err[:16] or "000").encode("latin-1", "replace"),
        _quoted(submitted) if len(submitted) > text_at else b"",
    )
    return b"".join(
        (
            b"\0",
            submitted[destination:text_at],
            submitted[source:destination],
            b"\4\0\0\0\0\0\0\0\0",
            bytes((len(text),)),
            text,
            build_tlv(RECEIPTED_MESSAGE_ID, identity + b"\0") + build_tlv(MESSAGE_STATE, bytes((state,)))
            if with_tlvs
            else b"",
        )
    )


@functools.lru_cache(maxsize=4096)
def _minute(minute: int) -> bytes:
    """YYMMDDhhmm in UTC of minutes since 1970."""
    return datetime.datetime.fromtimestamp(minute * 60, datetime.UTC).strftime("%y%m%d%H%M").encode()


def _quoted(submitted: bytes) -> bytes:
    """The first 20 characters of a plain text, unprintable ones as `?`; nothing of a binary or UCS-2 one."""
    sm = parse_sm(submitted)
    if sm.data_coding not in (0, 1, 3):
        return b""
    data = sm.user_data()
    if sm.esm_class & ESM_UDHI and data:
        data = data[1 + data[0] :]
    return data[:TEXT_CHARACTERS_MAX].translate(_PRINTABLE)
