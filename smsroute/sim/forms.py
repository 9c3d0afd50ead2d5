"""Delivery receipts in every form carriers have been seen to write (quirks 1.1 and 1.2).

Rules:
- A form is a value of the temperament; what is written here is what a real SMSC would, blanks, zeros and all.
- The plain form (Appendix B, in short_message of a deliver_sm) has a way of its own in `wire.Receipts`: it is quick.
- Dates are the carrier's own local time: their zone is told to nobody (quirks F13).

Walk: `wire.Receipts` calls `text` and `wrap` for a carrier whose form is not the plain one.
"""

from __future__ import annotations

import enum
import time
from typing import Final

import attrs

from smsroute.smpp import names


class Text(enum.Enum):
    """What the body of a receipt looks like."""

    PLAIN = "plain"  # F1: as Appendix B writes it
    CAPITAL_TEXT = "capital-text"  # F2
    UPPER = "upper"  # F3: labels in capitals
    NO_TEXT = "no-text"  # F4
    NO_SUB = "no-sub"  # F5: neither sub nor dlvrd
    MINIMAL = "minimal"  # F6: id and stat
    SHUFFLED = "shuffled"  # F7: stat last
    SPACED = "spaced"  # F16: a space after each colon
    NUL = "nul"  # F19: a NUL at the end
    COMMA = "comma"  # F20: status,done,accepted,err,destination,source,id
    PREAMBLE = "preamble"  # F21: other words first
    VENDOR = "vendor"  # F22: TLVs of its own
    TLV_ONLY = "tlv-only"  # D6: no text at all


class Body(enum.Enum):
    """Where the text stands, and in which alphabet."""

    SHORT_MESSAGE = "short-message"
    PAYLOAD = "payload"  # D8: in message_payload
    UCS2 = "ucs2"  # D9: data_coding 8, and it is
    COPIED_DCS = "copied-dcs"  # D10: data_coding 8, and it is not
    DATA_SM = "data-sm"  # D5


class Dates(enum.Enum):
    """How the two dates are written."""

    MINUTES = "minutes"  # YYMMDDhhmm
    SECONDS = "seconds"  # F8: YYMMDDhhmmss
    CENTURY = "century"  # F9: YYYYMMDDhhmmss
    MIXED = "mixed"  # F10: submit in minutes, done in seconds
    SMPP = "smpp"  # F11: YYMMDDhhmmsstnn+
    BLANK = "blank"  # F12
    ZEROS = "zeros"  # F12


# fmt: off
SHAPES: Final[dict[Text, str]] = {
    Text.PLAIN:        "id:{id} sub:001 dlvrd:{dlvrd} submit date:{sent} done date:{done} stat:{stat} err:{err} "
                       "text:{text}",
    Text.CAPITAL_TEXT: "id:{id} sub:001 dlvrd:{dlvrd} submit date:{sent} done date:{done} stat:{stat} err:{err} "
                       "Text:{text}",
    Text.UPPER:        "ID:{id} SUB:001 DLVRD:{dlvrd} SUBMIT DATE:{sent} DONE DATE:{done} STAT:{stat} ERR:{err} "
                       "TEXT:{text}",
    Text.NO_TEXT:      "id:{id} sub:001 dlvrd:{dlvrd} submit date:{sent} done date:{done} stat:{stat} err:{err}",
    Text.NO_SUB:       "id:{id} submit date:{sent} done date:{done} stat:{stat} err:{err} text:{text}",
    Text.MINIMAL:      "id:{id} stat:{stat} err:{err}",
    Text.SHUFFLED:     "sub:001 id:{id} err:{err} dlvrd:{dlvrd} done date:{done} submit date:{sent} text: stat:{stat}",
    Text.SPACED:       "id: {id} sub: 001 dlvrd: {dlvrd} submit date: {sent} done date: {done} stat: {stat} "
                       "err: {err} text: {text}",
    Text.NUL:          "id:{id} sub:001 dlvrd:{dlvrd} submit date:{sent} done date:{done} stat:{stat} err:{err} "
                       "text:{text}\0",
    Text.COMMA:        "{code},{done},{sent},{err},{destination},{source},{id}",
    Text.PREAMBLE:     "SMSC-7 receipt: id:{id} sub:001 dlvrd:{dlvrd} submit date:{sent} done date:{done} stat:{stat} "
                       "err:{err} text:{text}",
    Text.TLV_ONLY:     "",
}
SHAPES[Text.VENDOR] = SHAPES[Text.PLAIN]
CODES: Final = {  # of the comma form
    "DELIVRD": "00", "ENROUTE": "01", "UNDELIV": "02", "EXPIRED": "03", "REJECTD": "04", "DELETED": "05",
    "ACCEPTD": "06", "UNKNOWN": "07",
}
OCTETS_MAX: Final = 254  # in short_message
DATE: Final = {Dates.MINUTES: "%y%m%d%H%M", Dates.SECONDS: "%y%m%d%H%M%S", Dates.CENTURY: "%Y%m%d%H%M%S"}
# fmt: on


@attrs.frozen
class Said:
    """What one receipt says, in the carrier's own words. Times are Unix seconds."""

    message_id: str  # as the text has it
    tlv_id: str
    word: str
    state: int  # message_state
    err: str
    sent_at: float
    done_at: float
    quoted: bytes  # the message, as far as a receipt quotes it
    source: str
    destination: str


@attrs.frozen
class Form:
    """One carrier's way with receipts. `zone_h`: hours its local time is ahead of UTC."""

    text: Text = Text.PLAIN
    body: Body = Body.SHORT_MESSAGE
    dates: Dates = Dates.MINUTES
    zone_h: float = 0.0
    esm_class: int = 0x04
    tlvs: bool = True

    @property
    def plain(self) -> bool:
        """Whether it is the one that `wire.Receipts` writes quickly."""
        return attrs.evolve(self, tlvs=True) == Form()

    def write(self, said: Said, submit_source: bytes, submit_destination: bytes, tlvs: bool) -> tuple[int, bytes]:
        """(command_id, body) of the receipt; addresses as the submit had them (TON, NPI, digits, NUL)."""
        text = self._text(said)
        tail = _tlv(0x001E, said.tlv_id.encode("latin-1") + b"\0") + _tlv(0x0427, bytes((said.state,)))
        tail = tail if tlvs and self.tlvs else b""
        if self.text is Text.VENDOR:
            tail += _tlv(0x1403, b"23415\0")
        head = b"\0" + submit_destination + submit_source + bytes((self.esm_class,))
        if self.body is Body.DATA_SM:
            return names.DATA_SM, head + b"\0\0" + _tlv(0x0424, text) + tail
        coding = 0
        if self.body is Body.UCS2:
            coding, text = 8, text[: OCTETS_MAX // 2].decode("latin-1").encode("utf-16-be")
        elif self.body is Body.COPIED_DCS:
            coding = 8
        elif self.body is Body.PAYLOAD:
            tail, text = tail + _tlv(0x0424, text), b""
        text = text[:OCTETS_MAX]
        return names.DELIVER_SM, head + bytes((0, 0, 0, 0, 0, 0, coding, 0, len(text))) + text + tail

    def _text(self, said: Said) -> bytes:
        quoted = said.quoted.replace(b"\0", b" ").decode("latin-1")
        sent, done = self._dates(said)
        return (
            SHAPES[self.text]
            .format(
                id=said.message_id,
                dlvrd="001" if said.word == "DELIVRD" else "000",
                sent=sent,
                done=done,
                stat=said.word,
                err=said.err,
                text=quoted,
                code=CODES[said.word],
                destination=said.destination,
                source=said.source,
            )
            .encode("latin-1")
        )

    def _dates(self, said: Said) -> tuple[str, str]:
        if self.dates in (Dates.BLANK, Dates.ZEROS):
            nothing = "" if self.dates is Dates.BLANK else "0000000000"
            return nothing, nothing
        sent, done = (time.gmtime(at + 3600 * self.zone_h) for at in (said.sent_at, said.done_at))
        if self.dates is Dates.SMPP:
            quarters = f"{abs(round(self.zone_h * 4)):02d}{'-' if self.zone_h < 0 else '+'}"
            return tuple(time.strftime("%y%m%d%H%M%S", at) + "0" + quarters for at in (sent, done))  # type: ignore[return-value]
        if self.dates is Dates.MIXED:
            return time.strftime(DATE[Dates.MINUTES], sent), time.strftime(DATE[Dates.SECONDS], done)
        return time.strftime(DATE[self.dates], sent), time.strftime(DATE[self.dates], done)


def _tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
