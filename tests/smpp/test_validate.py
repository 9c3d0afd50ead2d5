"""What a well-formed submit may not say, with the status each refusal carries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import codec, names, times

NOW = 1768230000.0


def submit(**fields: Any) -> codec.SubmitSm:
    return codec.parse_sm(codec.build_sm(**{"destination_addr": "33612345678", **fields}))


def payload(text: bytes) -> bytes:
    return codec.build_tlv(names.MESSAGE_PAYLOAD, text)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"destination_addr": "1" * 21}, names.ESME_RINVDSTADR),
        ({"source_addr": "1" * 21}, names.ESME_RINVSRCADR),
        ({"service_type": "LONGER"}, names.ESME_RINVSERTYP),
        ({"replace_if_present_flag": 2}, names.ESME_RINVREPFLAG),
        ({"schedule_delivery_time": "soon"}, names.ESME_RINVSCHED),
        ({"validity_period": "soon"}, names.ESME_RINVEXPIRY),
        ({"validity_period": times.render(NOW - 1)}, names.ESME_RINVEXPIRY),
        ({"validity_period": "000000000000000R"}, names.ESME_RINVEXPIRY),
        ({"short_message": b"x", "tlv": payload(b"y")}, names.ESME_ROPTPARNOTALLWD),
        ({"esm_class": 0x40}, names.ESME_RINVMSGLEN),
        ({"esm_class": 0x40, "short_message": b"\5\0\3\1"}, names.ESME_RINVESMCLASS),
        ({"esm_class": 0x40, "short_message": b"\4\0\3\1"}, names.ESME_RINVESMCLASS),
        ({"esm_class": 0x40, "tlv": payload(b"\5\0\3\1")}, names.ESME_RINVESMCLASS),
        (
            {"esm_class": 0x40, "short_message": b"\5\0\3\1\2\1x", "tlv": codec.build_tlv(0x020C, b"\0\1")},
            names.ESME_RINVOPTPARAMVAL,
        ),
    ],
)
def test_each_refusal_has_its_status(fields: dict[str, Any], status: int) -> None:
    """Not fatal, and for a submit_sm."""
    with pytest.raises(codec.PduError) as caught:
        codec.check_submit(submit(**fields), NOW)
    error = caught.value
    assert (status, False, names.SUBMIT_SM) == (error.command_status, error.fatal, error.command_id)


@pytest.mark.parametrize(
    "fields",
    [
        {"destination_addr": "1" * 20, "source_addr": "2" * 20, "service_type": "FIVE5"},
        {"validity_period": times.render(NOW + 60), "schedule_delivery_time": times.render(NOW + 30)},
        {"schedule_delivery_time": times.render(NOW - 86400)},
        {"validity_period": "000000000100000R"},
        {"short_message": b"", "tlv": payload(b"long")},
        {"short_message": b"x", "tlv": payload(b"")},
        {"esm_class": 0x40, "short_message": b"\5\0\3\1\2\1"},
        {"esm_class": 0x40, "tlv": payload(b"\5\0\3\1\2\1x")},
        {"esm_class": 0xC3, "data_coding": 0xF5, "short_message": b"\0x"},
        {"tlv": codec.build_tlv(0x020C, b"\0\1")},
        {"short_message": b"x" * 255},
    ],
)
def test_what_carriers_can_use_passes(fields: dict[str, Any]) -> None:
    """Full sizes, past schedules (meaning now), texts in either place, headers, lone SAR TLVs."""
    codec.check_submit(submit(**fields), NOW)


def test_data_sm_must_carry_something() -> None:
    """A text or a whole receipt."""
    identity, state = codec.build_tlv(names.RECEIPTED_MESSAGE_ID, b"7\0"), codec.build_tlv(names.MESSAGE_STATE, b"\2")
    head = b"\0\0\0\0\0\x001\0\0\0\0"
    for tail in (payload(b"x"), payload(b""), identity + state):
        codec.check_data(codec.parse_data_sm(head + tail))
    for tail in (b"", identity, state):
        with pytest.raises(codec.PduError) as caught:
            codec.check_data(codec.parse_data_sm(head + tail))
        assert caught.value.command_status == names.ESME_RMISSINGOPTPARAM


@given(st.binary(max_size=90), st.floats(0, 4e9))
def test_what_parses_is_judged_without_another_error(body: bytes, now: float) -> None:
    """Any body parse_sm takes passes or is refused with PduError."""
    try:
        codec.check_submit(codec.parse_sm(body), now)
    except codec.PduError as error:
        assert not error.fatal
