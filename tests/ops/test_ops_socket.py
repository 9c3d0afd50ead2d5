"""The control socket on a real file system: whose it is, and what stood there before. smsroute/ports.py."""

# ruff: noqa: ASYNC240 - real files are what this is about
from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from smsroute.cli.ask import Refused, Unreachable, ask
from smsroute.config import Limits
from smsroute.ops.control import Control, Refusal
from smsroute.ports import listen_unix


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "control.sock"


async def test_only_its_owner_may_use_it(path: Path) -> None:
    """Mode 0600 from its birth, its folder made; gone when the door shuts."""
    door = listen_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await door.aclose()
    assert not path.exists()


async def test_a_stale_socket_is_replaced(path: Path) -> None:
    """The socket of a killed engine is in nobody's way."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    await listen_unix(path).aclose()


async def test_a_living_engine_is_not_robbed(path: Path) -> None:
    """While somebody answers there, a second engine is refused, and the first keeps its socket."""
    door = listen_unix(path)
    with pytest.raises(OSError, match="another engine answers there") as refused:
        listen_unix(path)
    assert refused.value.errno == errno.EADDRINUSE
    assert path.exists()
    await door.aclose()


async def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    """A file with the socket's name is not ours to delete; nor is one that a link points at."""
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket"):
        listen_unix(path)
    assert path.read_text() == "precious"
    other = path.with_name("link.sock")
    other.symlink_to(path)
    with pytest.raises(OSError, match="no socket"):
        listen_unix(other)
    assert path.read_text() == "precious"


async def test_anothers_socket_outlives_our_door(path: Path) -> None:
    """When the name is another's by now, shutting our door does not take it away."""
    door = listen_unix(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        await door.aclose()
        assert path.exists()


async def test_ask_and_answer(path: Path) -> None:
    """The verbs' own client hears an answer, a refusal in the engine's words, and whose uid it came with."""

    async def who(request: object, peer: str) -> dict[str, object]:
        return {"peer": peer}

    async def no(request: object, peer: str) -> dict[str, object]:
        raise Refusal("no such thing")

    door = listen_unix(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Control(door, {"who": who, "no": no}, Limits()).serve)
        assert await trio.to_thread.run_sync(ask, path, {"verb": "who"}) == {"peer": f"uid {os.getuid()}"}
        with pytest.raises(Refused, match="no such thing"):
            await trio.to_thread.run_sync(ask, path, {"verb": "no"})
        nursery.cancel_scope.cancel()
    await door.aclose()


def test_nobody_answers(path: Path, tmp_path: Path) -> None:
    """No socket, a stale one, and one that never answers: each is told apart in one sentence."""
    with pytest.raises(Unreachable, match="no such socket"):
        ask(path, {"verb": "health"})
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        with pytest.raises(Unreachable, match="its engine was killed"):
            ask(path, {"verb": "health"})
        deaf.listen(1)
        with pytest.raises(Unreachable, match=r"nothing heard in 0\.05 s"):
            ask(path, {"verb": "health"}, timeout_s=0.05)


def test_asking_imports_neither_trio_nor_rich() -> None:
    """`smsroute health --json` starts in milliseconds: what is slow to import is not imported."""
    code = (
        "import sys\nfrom smsroute.cli import main\n"
        "code = main(['health', '--json', '--config', '/nowhere'])\n"
        "print(code, [m for m in ('trio', 'rich', 'structlog', 'ssl', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "3 []"
