"""The front door: verbs, usage errors, the config folder, colour."""

from __future__ import annotations

import argparse
import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import pytest

from smsroute import __version__
from smsroute.cli import VERBS, common, main


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class TestVerbs:
    """The table."""

    def test_every_verb_has_a_file(self) -> None:
        """No row of the table leads nowhere."""
        assert [v.module for v in VERBS.values() if importlib.util.find_spec(f"smsroute.cli.{v.module}") is None] == []

    @pytest.mark.parametrize("words", [["help"], ["--help"], ["-h"]])
    def test_help_lists_every_verb(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """Asked for help, it is on stdout with exit 0; without words it is a usage error."""
        assert main(words) == 0
        out = capsys.readouterr().out
        assert all(f"  {verb} " in out and row.help in out for verb, row in VERBS.items())
        assert main([]) == 2
        assert capsys.readouterr() == ("", out)

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The package's own."""
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"smsroute {__version__}\n"

    def test_a_near_miss_is_asked_about(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A typo gets the verb that was meant, on stderr, and exit 2."""
        assert main(["chekc"]) == 2
        assert capsys.readouterr().err == (
            "smsroute: 'chekc' is not a verb, did you mean 'check'?; `smsroute help` lists them\n"
        )
        assert main(["--config", "x", "check"]) == 2
        assert capsys.readouterr().err == "smsroute: options come after the verb; `smsroute help` lists them\n"

    def test_a_verb_is_imported_only_when_called(self) -> None:
        """The front door alone loads neither trio nor rich nor yaml."""
        code = "import sys, smsroute.cli; print([m for m in ('trio', 'rich', 'yaml', 'structlog') if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"

    def test_python_m_is_the_command(self) -> None:
        """`python -m smsroute` is `smsroute`, exit code included."""
        done = subprocess.run([sys.executable, "-m", "smsroute", "nope"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")


class TestUsage:
    """Wrong options."""

    def test_usage_errors_leave_with_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As everywhere."""
        with pytest.raises(SystemExit) as left:
            main(["check", "--nope"])
        assert left.value.code == 2
        assert "smsroute check: unrecognized arguments: --nope" in capsys.readouterr().err

    def test_health_speaks_to_monitoring(self, capsys: pytest.CaptureFixture[str]) -> None:
        """For health 2 means critical: wrong usage is 3, unknown."""
        assert (VERBS["health"].usage_exit, VERBS["health"].config_exit) == (3, 3)
        parser = common.Parser(prog="smsroute health", usage_exit=3)
        with pytest.raises(SystemExit) as left:
            parser.parse_args(["--nope"])
        assert left.value.code == 3
        capsys.readouterr()

    def test_a_reader_that_leaves_is_no_error(self) -> None:
        """`smsroute check --defaults | head -1` ends quietly."""
        folder = Path(__file__).parents[2] / "config"
        command = f"{sys.executable} -m smsroute check {folder} --defaults | head -1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("node: n1\n0\n", "")


class TestConfigFolder:
    """--config, then $SMSROUTE_CONFIG, then ./config, then /etc/smsroute."""

    def test_the_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each stands in for the one before it."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv(common.VARIABLE, raising=False)
        assert common.config_directory(None) == Path("/etc/smsroute")
        (tmp_path / "config").mkdir()
        assert common.config_directory(None) == Path("config")
        monkeypatch.setenv(common.VARIABLE, "elsewhere")
        assert common.config_directory(None) == Path("elsewhere")
        assert common.config_directory("given") == Path("given")

    def test_a_config_that_cannot_be_read_is_one_exception(self, tmp_path: Path) -> None:
        """load_config raises what main turns into words."""
        with pytest.raises(common.ConfigWrong) as wrong:
            common.load_config(argparse.Namespace(config=str(tmp_path)))
        assert len(wrong.value.errors.errors) == 1

    def test_the_engine_is_found_all_the_same(self, tmp_path: Path) -> None:
        """find_engine needs nothing to be right."""
        found = common.find_engine(argparse.Namespace(config=str(tmp_path)))
        assert found.control == tmp_path / "var/control.sock"


class TestColour:
    """Only for people."""

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No wishes in the environment."""
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")

    def test_a_terminal_has_colour_and_a_pipe_has_none(self) -> None:
        """The stream decides."""
        assert common.paint("ok", "green", stream=Terminal()) == "\x1b[32mok\x1b[0m"
        assert common.paint("ok", "green", stream=io.StringIO()) == "ok"
        assert common.paint("", "green", stream=Terminal()) == ""

    def test_wishes_are_obeyed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dumb terminal has none, FORCE_COLOR demands it, NO_COLOR beats all."""
        monkeypatch.setenv("TERM", "dumb")
        assert not common.coloured(Terminal())
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert common.coloured(io.StringIO())
        monkeypatch.setenv("NO_COLOR", "1")
        assert not common.coloured(Terminal())


def test_json_is_one_line_in_a_pipe_and_indented_for_people(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Machines get a line, people get lines."""
    common.print_json({"name": "é"})
    assert capsys.readouterr().out == '{"name": "é"}\n'
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    common.print_json({"name": "é"})
    assert terminal.getvalue() == '{\n  "name": "é"\n}\n'
