"""What our sessions towards carriers write, for tests that look at its octets."""

from __future__ import annotations

from typing import Any

import pytest

from smsroute.smpp import names
from smsroute.smpp.codec import parse_sm
from smsroute.smpp.session import Session
from smsroute.smpp.sm import SubmitSm


def submits(monkeypatch: pytest.MonkeyPatch) -> list[SubmitSm]:
    """Every submit_sm that any session wrote, as it was written; it grows as they are."""
    seen: list[SubmitSm] = []
    write = Session.send_requests

    def spy(self: Session, command_id: int, bodies: list[bytes], *rest: Any) -> bytes:
        seen.extend(parse_sm(body) for body in bodies if command_id == names.SUBMIT_SM)
        return write(self, command_id, bodies, *rest)

    monkeypatch.setattr(Session, "send_requests", spy)
    return seen
