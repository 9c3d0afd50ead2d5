"""The real ports, where the machine says something unusual. smsroute/ports.py."""

from __future__ import annotations

import pytest
import trio

from smsroute.ports import SystemNetwork


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be_asked_for(host: str) -> None:
    """A host name that is none is an OSError, as one that nobody answers at: binds try again, a door says so."""
    with trio.fail_after(5):
        with pytest.raises(OSError, match="is no host name"):
            await SystemNetwork().connect(host, 1)
        with pytest.raises(OSError, match="is no host name"):
            await SystemNetwork().listen(host, 0)
