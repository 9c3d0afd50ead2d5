"""What is left of a submit_sm for its receipt to quote, once the text itself is let go.

Rules:
- A whole submit_sm body: the addresses, the user data header and the first 20 characters of the text, nothing else.

Section numbers are SMPP 3.4's. Walk: `esmes/accept` for ESMEs with `text: quote`; `receipt.build` reads it as any
other.
"""

from __future__ import annotations

from typing import Final

from smsroute.smpp.names import ESM_UDHI
from smsroute.smpp.sm import SubmitSm

QUOTED_CHARACTERS_MAX: Final = 20  # Appendix B
_QUOTABLE: Final = (0, 1, 3)  # data_codings of plain text, an octet a character


def quotable(body: bytes, submit: SubmitSm) -> bytes:
    """The body, short; b"" where nothing of the text can be quoted. `submit` is what `body` says."""
    data = submit.user_data()
    if submit.data_coding not in _QUOTABLE or not data:
        return b""
    header = 1 + data[0] if submit.esm_class & ESM_UDHI else 0
    data = data[: header + QUOTED_CHARACTERS_MAX]
    if len(data) > 255:  # a header that leaves no room for text
        return b""
    fields = (submit.esm_class, submit.protocol_id, submit.priority_flag, 0, 0, 0, 0, submit.data_coding, 0, len(data))
    return body[: submit.text_at] + bytes(fields) + data
