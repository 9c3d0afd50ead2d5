"""`smsroute check`: exit code, words, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsroute.cli import main

EXAMPLES = Path(__file__).parents[2] / "config"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The examples with two slips in one file."""
    for name in ("smsroute.yaml", "esmes.yaml", "carriers.yaml", "networks.yaml", "routes.yaml"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    text = (
        (EXAMPLES / "esmes.yaml")
        .read_text()
        .replace("binds_max: 8 ", "binds_max: x ")
        .replace("rate: 200/s", "rate: 2")
    )
    (tmp_path / "esmes.yaml").write_text(text)
    return tmp_path


def line_of(folder: Path, words: str) -> int:
    """Where the first line of esmes.yaml stands that ends so, but for a remark."""
    lines = (folder / "esmes.yaml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.partition("#")[0].strip() == words)


def test_a_right_config_is_ok_and_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    """One line that counts what was found, one for each thing that is kept, and one for each network."""
    assert main(["check", str(EXAMPLES)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{EXAMPLES}: ok, 2 esmes, 3 carriers, 4 routes, 1 network",
        "  kept: messages 30d 0h after their end",
        "  kept: no text once a message has ended (acme)",
        "  kept: 20 characters of it till its receipt is told (shop)",
        "  kept: decisions 30d 0h",
        "  kept: receipts that match nothing 1d 0h",
        "  kept: receipts nobody fetches 7d 0h",
        "  kept: numbers masked in logs and at the terminal",
        "  network uk-o2: 4 prefixes",
    ]
    assert told.err == ""


def test_a_wrong_config_tells_every_error_on_stderr_and_exit_1(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line an error, the file as the person named it, and the number at the end."""
    assert main(["check", "--config", str(broken)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    first, second = (f"{broken}/esmes.yaml:{line_of(broken, words)}" for words in ("binds_max: x", "rate: 2"))
    assert err.splitlines() == [
        f"{first}:16: `binds_max` is `x`, expected a whole number, 1..1000",
        f"{second}:11: `rate` is `2`, expected a rate with its unit such as 2000/s or 90/m, 0.01/s..1000000/s",
        f"{broken}: 2 errors",
    ]


def test_json_of_a_wrong_config(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with places as numbers, on stdout, and still exit 1."""
    assert main(["check", str(broken), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["errors"][0] == {
        "path": f"{broken}/esmes.yaml",
        "line": line_of(broken, "binds_max: x"),
        "column": 16,
        "message": "`binds_max` is `x`, expected a whole number, 1..1000",
    }


def test_defaults_print_a_config_that_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --defaults prints is itself a config, with passwords blotted out."""
    assert main(["check", str(EXAMPLES), "--defaults"]) == 0
    printed = capsys.readouterr().out
    assert "secret" not in printed
    (tmp_path / "smsroute.yaml").write_text(printed)
    assert main(["check", str(tmp_path)]) == 0


def test_json_with_defaults_holds_the_config(capsys: pytest.CaptureFixture[str]) -> None:
    """The merged truth as one document."""
    assert main(["check", str(EXAMPLES), "--defaults", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["warnings"], len(document["digest"])) == (True, [], 12)
    assert document["config"]["carriers"]["orange"]["rate"] == "2000/s"
    assert document["config"]["esmes"]["acme"]["password"] == {"plain": "********"}


def test_a_warning_is_told_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit stays 0; the warning stands on stderr and in the count."""
    (tmp_path / "smsroute.yaml").write_text("esmes: {}\ncarriers: {}\nroutes: []\n")
    assert main(["check", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path}: ok, 0 esmes, 0 carriers, 0 routes, 3 warnings\n"
    assert err.splitlines()[0] == (f"{tmp_path}/smsroute.yaml:1:1: warning: `esmes` is empty, expected at least one")


def test_secrets_may_be_left_out_of_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check away from the engine's machine passes with --no-secrets, and only then; the environment fills them."""
    (tmp_path / "smsroute.yaml").write_text("esmes: {a: {password: {env: PW_A}}}\ncarriers: {}\nroutes: []\n")
    monkeypatch.delenv("PW_A", raising=False)
    assert main(["check", str(tmp_path)]) == 1
    assert main(["check", str(tmp_path), "--no-secrets"]) == 0
    monkeypatch.setenv("PW_A", "x")
    assert main(["check", str(tmp_path)]) == 0
    capsys.readouterr()
