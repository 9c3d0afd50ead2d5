"""What never reaches a log: numbers, texts, passwords. smsroute/ops/log.py."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from smsroute.ops.log import configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is one for the process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def said(capsys: pytest.CaptureFixture[str], *, masks: bool = True) -> dict[str, object]:
    configure("info", pretty=False, mask_numbers=masks)
    structlog.get_logger("smsroute.test").warning(
        "part.odd",
        to="33612345678",
        reason="carrier refused +33612345678, at +2 s",
        parts=[{"from": "+447700900123"}, "+447700900124"],
        id="1812345678",
    )
    line: dict[str, object] = json.loads(capsys.readouterr().err)
    return line


def test_numbers_are_masked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    """Under a key for numbers, in a sentence, in a list; an id and a duration are no numbers."""
    line = said(capsys)
    assert (line["to"], line["reason"]) == ("3361•••678", "carrier refused +3361•••678, at +2 s")
    assert line["parts"] == [{"from": "+4477•••123"}, "+4477•••124"]
    assert line["id"] == "1812345678"


def test_a_house_may_want_them_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """`mask_numbers: false`."""
    assert said(capsys, masks=False)["to"] == "33612345678"


@pytest.mark.parametrize("pretty", [False, True])
def test_the_trace_of_a_fault_tells_no_values(capsys: pytest.CaptureFixture[str], pretty: bool) -> None:
    """A fault with a text and a password in its variables says where it was, and neither of them."""
    configure("info", pretty=pretty)

    def fails() -> None:
        body, password = b"Your code is " + b"4821", "hunter" + "2"
        raise ValueError(f"{len(body)} octets, {len(password)} characters")

    try:
        fails()
    except ValueError:
        structlog.get_logger("smsroute.test").exception("bind.fault")
    told = capsys.readouterr().err
    assert "17 octets" in told and "fails" in told
    assert "4821" not in told and "hunter2" not in told
