"""Admission: what nobody could deliver to is refused at the door."""

from __future__ import annotations

import pytest

from smsroute.policy import admission
from smsroute.smpp import names


@pytest.mark.parametrize("number", ["33612345678", "+33612345678", "12", "12345678901234567890"])
@pytest.mark.parametrize("sender", ["", "ACME", "+4471", "Zürich"])
def test_plausible_addresses_pass(number: str, sender: str) -> None:
    """Digits with or without +, short codes, and any printable sender (or none) are let in."""
    assert admission.check(number, sender) is None


@pytest.mark.parametrize(
    "number", ["", "+", "3", "+3", "abc", "336 12", "++336", "336x", "٣٣٦", "123456789012345678901"]
)
def test_what_is_no_number_is_refused_with_its_status(number: str) -> None:
    """Anything else gets ESME_RINVDSTADR and a reason in words."""
    refused = admission.check(number, "ACME")
    assert refused is not None
    assert refused.command_status == names.ESME_RINVDSTADR
    assert refused.reason.startswith("destination_addr")


@pytest.mark.parametrize("sender", ["AC\x00ME", "A\nB", "\x1b[31m"])
def test_a_sender_that_cannot_be_shown_is_refused(sender: str) -> None:
    """Control characters in source_addr get ESME_RINVSRCADR: they would go on into logs and terminals."""
    refused = admission.check("33612345678", sender)
    assert refused is not None
    assert refused.command_status == names.ESME_RINVSRCADR
