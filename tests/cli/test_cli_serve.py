"""`smsroute serve`: how it starts, how it cannot, how it stops. smsroute/cli/serve.py."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsroute.sim.temperament import Mode
from tests.cli.town import Serving, town, write_config

pytestmark = pytest.mark.slow


@pytest.fixture
def busy() -> Iterator[int]:
    """A port somebody else listens at."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def cannot_start(folder: Path) -> str:
    """The one line of an engine that does not start; it has logged nothing and left with 1."""
    serving = Serving(folder)
    assert serving.end(None) == 1
    assert len(serving.other) == 1, serving.other
    assert "Traceback" not in serving.other[0]
    return serving.other[0]


class TestStart:
    def test_a_busy_door(self, tmp_path: Path, busy: int) -> None:
        """The door that will not open is named, with what to do."""
        said = cannot_start(write_config(tmp_path / "c", door=busy))
        assert said == (
            f"smsroute serve: listen 127.0.0.1:{busy}: somebody listens there already; "
            "stop who has it or change `listen`"
        )

    def test_a_busy_http_port(self, tmp_path: Path, busy: int) -> None:
        """As is the status page's."""
        said = cannot_start(write_config(tmp_path / "c", http=busy))
        assert said == (
            f"smsroute serve: http 127.0.0.1:{busy}: somebody listens there already; set `http` to another address"
        )

    def test_a_config_with_errors(self, tmp_path: Path) -> None:
        """Every error is told with its place; nothing is made."""
        folder = write_config(tmp_path / "c")
        path = folder / "smsroute.yaml"
        path.write_text(path.read_text().replace("rate:", "rat:"))
        serving = Serving(folder)
        assert serving.end(None) == 1
        assert [line.split(": ")[0] for line in serving.other] == [f"{path}:{n}:{c}" for n, c in _places(path, "rat:")]
        assert not (folder / "var").exists()

    def test_a_store_in_use(self, tmp_path: Path) -> None:
        """A second engine on the same store is refused, and the first goes on."""
        folder = write_config(tmp_path / "c")
        first = Serving(folder)
        first.until("engine.ready")
        assert "store" in cannot_start(folder)
        assert first.process.poll() is None
        assert first.end() == 0

    def test_a_control_socket_in_use(self, tmp_path: Path) -> None:
        """Another engine's control socket is not taken away from it."""
        folder, other = write_config(tmp_path / "c"), write_config(tmp_path / "d")
        first = Serving(folder)
        first.until("engine.ready")
        path = other / "smsroute.yaml"
        path.write_text(path.read_text().replace("var/control.sock", str(folder / "var" / "control.sock")))
        said = cannot_start(other)
        assert said.startswith(
            f"smsroute serve: control socket {folder}/var/control.sock: another engine answers there"
        )
        assert first.end() == 0

    def test_a_control_path_that_is_a_file(self, tmp_path: Path) -> None:
        """It is left alone."""
        folder = write_config(tmp_path / "c")
        (folder / "var").mkdir()
        (folder / "var" / "control.sock").write_text("precious")
        assert "it is there and no socket" in cannot_start(folder)
        assert (folder / "var" / "control.sock").read_text() == "precious"

    def test_a_store_that_cannot_be_written(self, tmp_path: Path) -> None:
        """A file where the folder should be: what, where and what was expected."""
        folder = write_config(tmp_path / "c")
        (folder / "var").write_text("in the way")
        assert str(folder / "var") in cannot_start(folder)


def _places(path: Path, word: str) -> list[tuple[int, int]]:
    return [
        (number, line.index(word) + 1) for number, line in enumerate(path.read_text().splitlines(), 1) if word in line
    ]


class TestLife:
    def test_it_serves_pages_and_stops_in_order(self, tmp_path: Path) -> None:
        """Ready is said once; the page is there; SIGTERM drains, exit 0, and the control socket is gone."""
        with town(tmp_path / "c", http=0) as it:
            port = it.serving.until("ops.open")["http"]
            assert len(it.send(20)) == 20
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                assert b'smsroute_events_total{event="delivered"} 20' in answer.read()
            assert it.serving.end() == 0
        events = [line["event"] for line in it.serving.log]
        assert events.count("engine.ready") == 1
        assert events[-1] == "engine.stopped"
        assert it.serving.other == []
        assert not (it.folder / "var" / "control.sock").exists()

    def test_hup_reloads(self, tmp_path: Path) -> None:
        """The folder is read again, the binds stay up; one with an error changes nothing and is told line by line."""
        with town(tmp_path / "c") as it:
            path = it.folder / "smsroute.yaml"
            good = path.read_text()
            path.write_text(good.replace("cost: 0.03", "cost: 0.07"))
            it.serving.process.send_signal(signal.SIGHUP)
            assert it.serving.until("engine.reloaded")["by"] == "SIGHUP"
            path.write_text(good.replace("window:", "windo:"))
            it.serving.process.send_signal(signal.SIGHUP)
            assert "did you mean `window`?" in it.serving.until("reload.error")["what"]
            assert len(it.send(1)) == 1
            assert [line["event"] for line in it.serving.log].count("bind.bound") == 1

    def test_a_second_signal_does_not_wait(self, tmp_path: Path) -> None:
        """While a silent carrier holds the drain up, a second SIGTERM ends it at once, exit 1; the next start knows
        what was accepted."""
        folder = tmp_path / "c"
        with town(folder) as it:
            it.turn(Mode.SILENT)
            accepted = it.send(3, settled=False)
            it.serving.process.send_signal(signal.SIGTERM)
            it.serving.until("engine.draining")
            assert it.serving.end(signal.SIGTERM) == 1
            assert it.serving.other == []
            events = [line["event"] for line in it.serving.log]
            assert "engine.cut_short" in events and "engine.drained" not in events
        write_config(folder)
        again = Serving(folder)
        again.until("engine.ready")
        from smsroute.cli.ask import ask

        for message_id in accepted:
            told = ask(folder / "var" / "control.sock", {"verb": "trace", "id": message_id})["story"]
            assert told["state"] == "in doubt"
        assert again.end() == 0

    def test_systemd_is_told(self, tmp_path: Path) -> None:
        """READY once it serves, signs of life for the watchdog, STOPPING when it goes."""
        path = tmp_path / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(20)
            serving = Serving(write_config(tmp_path / "c"), NOTIFY_SOCKET=str(path), WATCHDOG_USEC="200000")
            told = b""
            while b"READY=1\nSTATUS=0 of 2 binds up, 0 messages open" not in told:
                told += listener.recv(1000) + b"\n"
            assert b"WATCHDOG=1" in told
            assert serving.end() == 0
            listener.setblocking(False)
            rest = b""
            while b"STOPPING=1" not in rest:
                rest += listener.recv(1000)

    def test_the_limit_on_files_is_raised(self, tmp_path: Path) -> None:
        """A shell's 1024 files would be 1024 links: the engine takes what it is allowed."""
        serving = Serving(write_config(tmp_path / "c"))
        serving.until("engine.ready")
        limits = Path(f"/proc/{serving.process.pid}/limits").read_text().splitlines()
        soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
        assert serving.end() == 0
        assert soft == hard or int(soft) >= 1 << 20
        assert os.getpid() != serving.process.pid
