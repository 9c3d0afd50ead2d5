"""A submit_sm cut to what its receipt quotes. smsroute/smpp/quote.py."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smsroute.smpp import names, receipt
from smsroute.smpp.codec import build_sm, build_tlv, parse_sm
from smsroute.smpp.quote import quotable


@given(
    st.binary(max_size=255),
    st.sampled_from([0, 1, 3, 4, 8, 0xF5]),
    st.sampled_from([0, 0x40, 0x43]),
    st.binary(max_size=300) | st.none(),
)
@example(b"\5\0\3\1\2\1the second part of a long text", 0, 0x40, None)
@example(b"", 1, 0x40, b"\6\x08\4\1\1\2\1the first part of another one")
def test_its_receipt_says_what_that_of_the_whole_says(
    short_message: bytes, data_coding: int, esm_class: int, payload: bytes | None
) -> None:
    """Octet for octet, whatever the text, its header and its alphabet; and little else is left."""
    tlv = b"" if payload is None else build_tlv(names.MESSAGE_PAYLOAD, payload)
    body = build_sm(
        source_addr="ACME",
        destination_addr="+33612345678",
        short_message=short_message,
        data_coding=data_coding,
        esm_class=esm_class,
        tlv=tlv,
        validity_period="000001000000000R",
        service_type="OTP",
    )
    submit = parse_sm(body)
    short = quotable(body, submit)
    said = [
        receipt.build(one, submit.text_at, message_id="1N1", state=2, submitted_at=1.8e9, done_at=1.8e9)
        for one in (body, short or body[: submit.text_at])
    ]
    header = 1 + submit.user_data()[0] if esm_class & 0x40 and submit.user_data() else 0
    if header + 20 <= 255:
        assert said[0] == said[1]
    assert len(short) <= submit.text_at + 10 + header + 20
    assert not short or parse_sm(short).user_data() in (submit.user_data(), submit.user_data()[: header + 20])
