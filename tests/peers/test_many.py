"""Foreign software at speed at both ends: smpp34 (Rust) submits with full windows, smpp34 takes and sends receipts.

How long it takes is no measure of the engine, which shares its cores with both of them; what is judged is that nothing
is lost, doubled, refused or mixed up while all three are as busy as they can be.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.peers.foreign import start
from tests.served import Served, free_door

pytestmark = pytest.mark.slow

MESSAGES, BINDS, WINDOW = 6000, 4, 50
CONFIG = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
esmes:
  acme: {{password: {{plain: secret}}, window: {window}, rate: 100000/s, binds_max: {binds}}}
carriers:
  fast: {{system_id: us, password: {{plain: pw}}, window: 100, rate: 100000/s, dialect: {{ids: exact}},
          binds: [{{address: "127.0.0.1:{port}", count: 2}}]}}
routes:
  - {{name: all, to: ["336"], carriers: [{{carrier: fast, cost: 0.03}}]}}
"""


def test_thousands_go_through_both_doors(tmp_path: Path) -> None:
    """6,000 messages by four binds with windows of 50: each is answered ESME_ROK with an id of its own, comes to the
    carrier once, and its one receipt comes back; every receipt of the carrier was answered ESME_ROK."""
    engine = Served(tmp_path)
    door = free_door(random.Random())
    with start("servers/smpp34_many.py", {}) as carrier:
        (listening,) = carrier.until("listening")
        text = CONFIG.format(door=door, port=listening["port"], window=WINDOW, binds=BINDS)
        (tmp_path / "smsroute.yaml").write_text(text)
        try:
            engine.start()
            engine.await_ready()
            login = {"port": door, "system_id": "acme", "password": "secret"}
            task = {**login, "messages": MESSAGES, "binds": BINDS, "window": WINDOW, "patience_s": 30}
            with start("clients/smpp34_many.py", task) as platform:
                (heard,) = platform.until("counted", timeout_s=60)
            messages = engine.health()["messages"]
            carrier.tell({})
            (taken,) = carrier.until("counted")
            engine.stop()
        finally:
            engine.discard()
    assert heard["statuses"] == {"0": MESSAGES}
    assert (heard["ids"], heard["told"], heard["known"]) == (MESSAGES, MESSAGES, MESSAGES)
    assert (taken["submits"], taken["texts"]) == (MESSAGES, MESSAGES)
    assert taken["receipts"] == {"0": MESSAGES}
    assert (messages["accepted"], messages["delivered"], messages["open"]) == (MESSAGES, MESSAGES, 0)
