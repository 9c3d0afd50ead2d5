"""The judges themselves: a judge who cannot find a fault proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.oracles.judges import libsmpp34, tshark
from tests.peers.wire import Pdu, pdus

pytestmark = pytest.mark.slow

STATE = bytes.fromhex("0427000102")
BROKEN = {
    "two stray octets at the end": b"\x00\x00",
    "a TLV longer than what is left": bytes.fromhex("001e000a4142"),
    "a TLV cut in its length": bytes.fromhex("001e00"),
    "a message_state of four octets": bytes.fromhex("0427000400000002"),
}


def deliver(tail: bytes) -> Pdu:
    """A deliver_sm of a short receipt, and whatever comes after its short_message."""
    text = b"id:1 sub:001 dlvrd:001 submit date:2607141205 done date:2607141205 stat:DELIVRD err:000 text:"
    body = b"\0\1\x0133612\0\5\0Shop\0\4\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text + tail
    return Pdu((16 + len(body)).to_bytes(4) + (5).to_bytes(4) + bytes(4) + (7).to_bytes(4) + body)


def test_a_letter_perfect_pdu_passes_both(tmp_path: Path) -> None:
    """A right deliver_sm and a right enquire_link draw no word from either."""
    enquire = Pdu(bytes.fromhex("00000010000000150000000000000008"))
    assert tshark([deliver(STATE), enquire], tmp_path) == []
    assert libsmpp34([deliver(STATE), enquire]) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_seen(fault: str, tmp_path: Path) -> None:
    """Each fault at the end of a PDU is found by at least one of the two, among PDUs that are right."""
    said = [deliver(STATE), deliver(BROKEN[fault]), deliver(STATE)]
    found = tshark(said, tmp_path), libsmpp34(said)
    assert any(found), fault
    assert all(len(faults) <= 1 for faults in found), "only the broken one is blamed"


def test_a_stream_must_end_with_a_whole_pdu() -> None:
    """Octets that stop inside a PDU, and a command_length that is none, are faults before any judge is asked."""
    whole = deliver(STATE).octets
    assert len(pdus(whole + whole)) == 2
    with pytest.raises(AssertionError, match="ends inside a PDU"):
        pdus(whole + whole[:-1])
    with pytest.raises(AssertionError, match="command_length 4"):
        pdus(whole + b"\0\0\0\4")
