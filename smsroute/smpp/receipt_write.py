"""The receipt every client understands: Appendix B's text, and the TLVs beside it for those that know them.

Rules:
- The id is byte for byte that of the submit_sm_resp, the stat word in capitals, `err` at least three characters
  (quirks 1.7: what Kannel, the commonest client, really reads).
- Dates are in UTC. Of the message's text only the first 20 printable characters are quoted.

Walk: `esmes/deliver` calls `build`; other rooms take it from `receipt`.
"""

from __future__ import annotations

import datetime
import functools
from typing import Final

from smsroute.smpp.codec import build_tlv, parse_sm
from smsroute.smpp.names import ESM_UDHI, MESSAGE_STATE, RECEIPTED_MESSAGE_ID, MessageState

# fmt: off
STAT_OF: Final[dict[int, str]] = {
    MessageState.SCHEDULED: "ENROUTE", MessageState.ENROUTE: "ENROUTE", MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED", MessageState.DELETED: "DELETED", MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD", MessageState.UNKNOWN: "UNKNOWN", MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "UNDELIV",
}
"""message_state -> the seven-letter word we write."""
# fmt: on
TEXT_CHARACTERS_MAX: Final = 20  # Appendix B
_WORDS: Final = {state: word.encode() for state, word in STAT_OF.items()}
_STATE_TLVS: Final = {state: build_tlv(MESSAGE_STATE, bytes((state,))) for state in STAT_OF}
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
    parts: tuple[int, int] | None = None,
    on_the_way: bool = False,
) -> bytes:
    """The deliver_sm body of a receipt for a submit_sm body (section 4.6.1, Appendix B; quirks 1.7).

    `submitted` may be cut after `text_at`, its addresses; then the text is blank. Times are Unix seconds, told in UTC.
    `with_tlvs`: receipted_message_id and message_state too, for clients of interface version 3.4 on. `parts`: of a
    whole message, how many it has and how many were delivered. `on_the_way`: it is no last word, but an intermediate
    notification (esm_class 0x20, section 5.2.12).
    """
    source = submitted.index(0) + 1
    destination = submitted.index(0, source + 2) + 1
    identity = message_id.encode("latin-1")
    text = b"id:%b sub:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
        identity,
        _counts(*(parts or (1, int(state == MessageState.DELIVERED)))),
        _minute(int(submitted_at // 60)),
        _minute(int(done_at // 60)),
        _WORDS[state],
        (err[:16] or "000").encode("latin-1", "replace"),
        _quoted(submitted) if len(submitted) > text_at else b"",
    )
    return b"".join(
        (
            b"\0",
            submitted[destination:text_at],
            submitted[source:destination],
            b"\x20\0\0\0\0\0\0\0\0" if on_the_way else b"\4\0\0\0\0\0\0\0\0",
            bytes((len(text),)),
            text,
            build_tlv(RECEIPTED_MESSAGE_ID, identity + b"\0") + _STATE_TLVS[state] if with_tlvs else b"",
        )
    )


@functools.lru_cache(maxsize=4096)
def _counts(submitted: int, delivered: int) -> bytes:
    return b"%03d dlvrd:%03d" % (submitted, delivered)


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
