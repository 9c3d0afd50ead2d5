"""The unit as systemd reads it, and what we tell systemd. systemd/smsroute.service, smsroute/ops/notify.py."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import trio

from smsroute.config import Limits
from smsroute.ops.notify import notify, run_watchdog
from tests.sim.clock import SimClock

UNIT = Path(__file__).parents[2] / "systemd" / "smsroute.service"
YES = "NoNewPrivileges ProtectHome PrivateDevices PrivateTmp ProtectKernelModules MemoryDenyWriteExecute DynamicUser"


def parsed(text: str) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> values; systemd allows a key many times, which configparser does not."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), defaultdict(list))
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals and key == key.strip(), line
            section[key].append(value)
    return sections


def test_the_unit_says_what_we_rely_on() -> None:
    """It waits for READY, gives a stop the time to drain, watches the loop, and lets the engine touch little."""
    unit = parsed(UNIT.read_text())
    service = {key: values[-1] for key, values in unit["Service"].items()}
    limits = Limits()
    assert service["Type"] == "notify"
    assert service["ExecStart"].endswith("/smsroute serve --config /etc/smsroute")
    assert int(service["TimeoutStopSec"]) > limits.drain_timeout_s + 2 * limits.unbind_timeout_s
    assert int(service["TimeoutStartSec"]) > limits.connect_timeout_s + limits.bind_timeout_s
    assert int(service["WatchdogSec"]) >= 10
    assert service["Restart"] == "on-failure"
    assert service["ExecReload"].endswith("/smsroute reload --config /etc/smsroute")
    assert {key for key in YES.split() if service[key] != "yes"} == set()
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == service["RuntimeDirectory"] == "smsroute"
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Where systemd-analyze is at hand it finds nothing to complain of; the keys above hold everywhere."""
    unit = UNIT.read_text()
    assert unit.count("/opt/smsroute/bin/smsroute ") == 2
    copy = tmp_path / "smsroute.service"
    copy.write_text(unit.replace("/opt/smsroute/bin/smsroute ", f"{sys.executable} -m smsroute "))
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def systemd(tmp_path: Path) -> socket.socket:
    """The socket systemd would listen at, as `path`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.setblocking(False)
    return listener


def test_notify_is_one_datagram(tmp_path: Path, systemd: socket.socket) -> None:
    """Lines are joined; without a socket in the environment, or with nobody behind it, nothing happens."""
    with systemd:
        notify("READY=1", "STATUS=well", environ={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert systemd.recv(1000) == b"READY=1\nSTATUS=well"
        notify("READY=1", environ={})
        notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
        with pytest.raises(BlockingIOError):
            systemd.recv(1000)


async def test_the_watchdog_is_fed_in_time(
    tmp_path: Path, systemd: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    """With WatchdogSec=30 a sign of life comes at least every 15 s; without it none does."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    with systemd:
        with trio.move_on_after(60):
            await run_watchdog(SimClock(), environ)
        signs = 0
        with pytest.raises(BlockingIOError):
            while True:
                assert systemd.recv(1000) == b"WATCHDOG=1"
                signs += 1
        assert signs >= 4
        with trio.move_on_after(60):
            await run_watchdog(SimClock(), {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        with pytest.raises(BlockingIOError):
            systemd.recv(1000)
