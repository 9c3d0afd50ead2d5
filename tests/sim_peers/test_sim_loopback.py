"""The simulated peers over real TCP: with each other, with a foreign client, and from the command line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import trio

from smsroute.cli import main
from smsroute.ports import system_ports
from smsroute.sim.carrier import SimCarrier
from smsroute.sim.esme import EsmeSettings, SimEsme
from smsroute.sim.temperament import Mode, Temperament
from smsroute.sim.workload import Workload

ROOT = Path(__file__).parents[2]
CPU_US_MAX = 60.0  # both ends of one message; 10 on a quiet machine, a build machine may be four times as slow


async def test_twenty_thousand() -> None:
    """Twenty thousand messages go through real sockets, every one promised, told and delivered once, at little CPU."""
    carrier = SimCarrier()
    esme = SimEsme(Workload(messages=20_000), EsmeSettings(binds=("transceiver",) * 2))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(carrier.run, system_ports())
        before = time.process_time()
        await nursery.start(esme.run, system_ports(), "127.0.0.1", port)
        with trio.fail_after(60):
            await esme.wait_for(lambda esme: esme.settled)
        cpu_us = (time.process_time() - before) / 20_000 * 1e6
        esme.stop()
        with trio.fail_after(10):
            await esme.wait_for(lambda esme: not esme.links)
        nursery.cancel_scope.cancel()
    assert carrier.handsets.stats() == {"handset_texts": 20_000, "handset_doubles": 0, "handset_uncounted": 0}
    assert esme.counts["told"] == 20_000 and cpu_us < CPU_US_MAX


async def test_closed_is_refused_and_opens_again() -> None:
    """A closed carrier refuses connections on its real port, and has the same port when it opens again."""
    carrier = SimCarrier()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(carrier.run, system_ports())
        for _ in range(2):
            carrier.mode = Mode.CLOSED
            await _until(port, False)
            carrier.mode = Mode.KIND
            await _until(port, True)
        nursery.cancel_scope.cancel()


async def _until(port: int, answers: bool) -> None:
    with trio.fail_after(5):
        while await _answers(port) is not answers:  # noqa: ASYNC110  # a port tells nobody that it opened
            await trio.sleep(0.01)


async def _answers(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def test_a_foreign_client() -> None:
    """smpplib's client, of another make, binds to the simulated carrier, submits, and gets its receipt."""
    carrier = SimCarrier(temperament=Temperament(ids="decimal"), system_id="acme", password="secret")
    async with trio.open_nursery() as nursery:
        port = await nursery.start(carrier.run, system_ports())
        sent, receipt = await trio.to_thread.run_sync(_smpplib_session, port)
        nursery.cancel_scope.cancel()
    assert sent.status == 0 and receipt.short_message.startswith(b"id:" + sent.message_id + b" sub:001")
    assert receipt.receipted_message_id == sent.message_id and receipt.message_state == 2
    assert carrier.handsets.got == {("33612345678", b"Hello"): 1}


def _smpplib_session(port: int) -> tuple[Any, Any]:
    got: dict[str, Any] = {}
    client = smpplib.client.Client("127.0.0.1", port, timeout=5, logger_name="smpplib.quiet")
    client.set_message_sent_handler(lambda pdu: got.__setitem__("sent", pdu))
    client.set_message_received_handler(lambda pdu: got.__setitem__("receipt", pdu))
    client.connect()
    client.bind_transceiver(system_id="acme", password="secret")
    client.send_message(
        source_addr="smsroute",
        destination_addr="33612345678",
        short_message=b"Hello",
        registered_delivery=smpplib.consts.SMPP_MC_DELIVERY_RECEIPT_SUCCESS
        if hasattr(smpplib.consts, "SMPP_MC_DELIVERY_RECEIPT_SUCCESS")
        else 1,
    )
    while len(got) < 2:
        client.read_once()
    client.unbind()
    client.disconnect()
    return got["sent"], got["receipt"]


# --- the command line ---


@contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`smsroute sim …` as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "smsroute", "sim", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next JSON line that is `wanted`."""
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if wanted(said):
            return said
    raise AssertionError("it ended first")


def is_event(name: str) -> Callable[[dict[str, Any]], bool]:
    """Lines of that event."""
    return lambda said: said["event"] == name


@pytest.mark.slow
def test_cli_carrier_and_esme() -> None:
    """Both verbs as processes: a carrier that is turned by lines and signals, a platform that settles and exits 0."""
    with command("carrier", "--listen", "orange=127.0.0.1:0", "--json", "--every", "0.1", "ids=dec-hex") as carrier:
        assert carrier.stdin is not None
        port = until(carrier, is_event("ready"))["port"]
        esme = [
            "esme",
            "--connect",
            f"127.0.0.1:{port}",
            "--messages",
            "300",
            "--rate",
            "600",
            "--json",
            "--every",
            "0.1",
        ]
        for line, ok in (("orange set ids=hex receipt_delay=0.05", True), ("orange mode sunny", False)):
            carrier.stdin.write(line + "\n")
            carrier.stdin.flush()
            assert until(carrier, is_event("reply"))["ok"] is ok
        with command(*esme) as platform:
            until(platform, lambda said: said["event"] == "stats" and said["accepted"] > 0)
            carrier.send_signal(signal.SIGUSR1)
            until(carrier, lambda said: said.get("mode") == "throttling")
            carrier.send_signal(signal.SIGUSR2)
            done = until(platform, is_event("done"))
            assert (done["accepted"], done["told"], done["untold"]) == (300, 300, 0)
            assert platform.wait(10) == 0
        carrier.stdin.write("quit\n")
        carrier.stdin.flush()
        last = until(carrier, is_event("done"))
        assert (last["taken"], last["handset_doubles"], last["binds"]) == (300, 0, 0)
        assert carrier.wait(10) == 0


@pytest.mark.slow
def test_cli_untold_is_exit_1() -> None:
    """A platform that is left without receipts says how many and exits 1."""
    with command("carrier", "--listen", "127.0.0.1:0", "--json", "mode=black_hole") as carrier:
        port = until(carrier, is_event("ready"))["port"]
        with command(
            "esme", "--connect", f"127.0.0.1:{port}", "--messages", "5", "--settle", "0.1", "--json"
        ) as platform:
            done = until(platform, is_event("done"))
            assert (done["accepted"], done["untold"]) == (5, 5) and platform.wait(10) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["carrier", "eror_share=1"], "eror_share"),
        (["carrier", "mode=sunny"], "black_hole"),
        (["carrier", "--listen", "nowhere"], "HOST:PORT"),
        (["carrier", "--listen", "a=127.0.0.1:1", "--listen", "a=127.0.0.1:2"], "different name"),
        (["esme", "--to", "+336"], "digits"),
        (["esme", "--connect", "127.0.0.1:99999"], "HOST:PORT"),
        (["ship"], "invalid choice"),
    ],
)
def test_cli_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    """Wrong words leave with 2 and say what was expected."""
    try:
        code: object = main(["sim", *words])
    except SystemExit as left:
        code = left.code
    assert code == 2 and expected in capsys.readouterr().err


def test_cli_busy_port(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that somebody has is one line and exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sim", "carrier", "--listen", f"127.0.0.1:{port}"]) == 1
    assert "the port is taken" in capsys.readouterr().err
