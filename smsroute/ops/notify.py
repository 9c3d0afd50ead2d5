"""systemd's notify protocol: READY, WATCHDOG, STATUS, STOPPING, in one datagram each.

Rules:
- Without $NOTIFY_SOCKET nothing happens; a datagram nobody takes is not our problem.

Source: sd_notify(3). Walk: `cli/serve` says what state the process is in; `run_watchdog` is one of its tasks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import trio

from smsroute.ports import Clock, send_datagram

WATCHDOG_SHARE: Final = 0.4
"""Of the watchdog's time between two signs of life; systemd advises half."""


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell systemd, if it started us: `notify("READY=1", "STATUS=2 carriers up")`."""
    path = environ.get("NOTIFY_SOCKET", "")
    if path:
        send_datagram("\0" + path[1:] if path.startswith("@") else path, "\n".join(lines).encode())


async def run_watchdog(clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
    """Give a sign of life for as long as the loop turns, when the unit has WatchdogSec=."""
    interval_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 * WATCHDOG_SHARE
    if interval_s <= 0:
        await trio.sleep_forever()
    while True:
        notify("WATCHDOG=1", environ=environ)
        await clock.sleep_until(clock.monotonic() + interval_s)
