"""`smsroute explain`: by a running engine and by the config alone. smsroute/cli/explain.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import ask, main
from tests.cli.town import Town, town, write_config


def explain(folder: Path, *words: str) -> int:
    return main(["explain", "--config", str(folder), *words])


def test_the_running_engine_is_asked(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows which carrier is away: that one is refused with since when and why."""
    assert explain(running.folder, "--to", "+33 6 12 34 56 78", "--esme", "acme", "--class", "otp") == 0
    out = capsys.readouterr().out
    assert out.startswith("+33612345678  of acme, class otp\nroute fr (smsroute.yaml:")
    assert "  orange  100%  primary, 100% by balanced, quality 1.00, cost 0.03" in out
    assert "  gone      no  no bind up for " in out
    assert "config alone" not in out


def test_the_config_alone_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine every carrier is taken as well, and that is said; nothing is made or opened."""
    folder = write_config(tmp_path / "config")
    assert explain(folder, "--to", "33612345678") == 0
    out = capsys.readouterr().out
    assert "no engine asked: by the config alone" in out
    assert "alive, latency 0 ms" in out, "nobody knows since when"
    assert "  gone      0%  backup, in reserve" in out
    assert sorted(path.name for path in folder.iterdir()) == ["smsroute.yaml"]


def test_offline_asks_nobody(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """--offline speaks of the config even while an engine runs."""
    assert explain(running.folder, "--offline", "--json", "--to", "33612345678") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["running"], document["ok"], document["route"]) == (False, True, "fr")


def test_why_a_message_went_that_way(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """With an id: the decision of each attempt, each carrier with its terms, refused ones too; the JSON of trace."""
    message_id = running.send(1)[0]
    assert explain(running.folder, message_id) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"{message_id}  to 3360•••000 from smsroute, info of acme  DELIVERED\n  attempt 1 to orange: "
    )
    assert "quality 1.00 = latency 1.00" in out
    assert "unbound for " in out
    assert explain(running.folder, message_id, "--json") == 0
    kept = json.loads(capsys.readouterr().out)["attempts"][0]["decision"]
    assert kept["candidates"][1]["terms"] is not None
    assert explain(running.folder, "nonsense") == 1
    assert capsys.readouterr().err.startswith("smsroute explain: no message 'nonsense'")


def test_an_id_or_a_number(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """One of them, not both and not neither: exit 2."""
    assert explain(running.folder) == 2
    assert explain(running.folder, "N1X", "--to", "336") == 2
    assert "expected an ID, or --to NUMBER" in capsys.readouterr().err


def test_offline_reads_the_store_of_a_message(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """`explain ID --offline` asks no engine either, even while one runs."""
    message_id = running.send(1)[0]
    ask.pause(0.3)  # a checkpoint is due each 100 ms
    assert explain(running.folder, message_id, "--offline", "--json") == 0
    assert json.loads(capsys.readouterr().out)["source"] == "store"


def test_what_if_a_carrier_were_sick(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """--assume changes the answer, live and offline alike, and nothing in the engine; nonsense is refused."""
    for words in ([], ["--offline"]):
        assert explain(running.folder, "--to", "336", "--json", "--assume", "down=orange", *words) == 1
        document = json.loads(capsys.readouterr().out)
        assert (document["carrier"], document["assumed"]) == (None, {"orange": "down"})
        refused = {one["carrier"]: one["reason"] for one in document["candidates"]}
        assert refused["orange"] == "no bind up for 0 s: assumed down"
        assert explain(running.folder, "--to", "336", "--json", "--assume", "slow=orange", *words) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["candidates"][0]["terms"]["latency"] == 0.1
        assert explain(running.folder, "--to", "336", "--assume", "asleep=orange", *words) == 1
        assert "cannot assume 'asleep=orange', expected one of down=CARRIER, " in capsys.readouterr().err
        assert explain(running.folder, "--to", "336", "--assume", "down=oragne", *words) == 1
        assert "no carrier 'oragne' in the config" in capsys.readouterr().err
    assert explain(running.folder, "--to", "336") == 0


def test_offline_by_what_was_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the engine's end its last views speak, with their age: who was away then is refused."""
    folder = tmp_path / "config"
    with town(folder) as it:
        it.send(1)
    assert explain(folder, "--to", "33612345678") == 0
    out = capsys.readouterr().out
    assert "no engine asked: by the config, and the carriers as last recorded " in out
    assert "  gone      no  no bind up for " in out
    assert explain(folder, "--to", "33612345678", "--assume", "well=gone") == 0
    assert "  gone      0%  backup, in reserve" in capsys.readouterr().out


def test_no_route(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A number no rule leads to: exit 1."""
    assert explain(running.folder, "--to", "4915112345678") == 1
    assert "NO ROUTE  no route leads to 4915112345678" in capsys.readouterr().out


def test_what_is_not_in_the_config(running: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is refused by the engine and offline alike; exit 1, on stderr."""
    for words in ([], ["--offline"]):
        assert explain(running.folder, "--to", "336", "--esme", "acne", *words) == 1
        assert capsys.readouterr().err == ("smsroute explain: no ESME 'acne' in the config, expected one of acme\n")


def test_a_broken_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline it needs a config that loads: every error is told, exit 1."""
    folder = write_config(tmp_path / "config")
    path = folder / "smsroute.yaml"
    path.write_text(path.read_text().replace("rate:", "rat:"))
    assert explain(folder, "--to", "336") == 1
    assert "did you mean `rate`" in capsys.readouterr().err
