"""What the verbs share: finding the config folder, reading it, colour, JSON.

Rules:
- Nothing heavy is imported here: a verb that only asks the running engine starts in a few milliseconds.
- Colour is for a person at a terminal, and never carries meaning alone: the word stands beside it.

Walk: used by every file of this room.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from smsroute.config import Config, ConfigErrors, Places

VARIABLE: Final = "SMSROUTE_CONFIG"
LOCAL: Final = Path("config")
SYSTEM: Final = Path("/etc/smsroute")

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


class ConfigWrong(Exception):
    """The config cannot be loaded. Not ConfigErrors itself: naming that would import the reader for every verb."""

    def __init__(self, errors: ConfigErrors) -> None:
        super().__init__(str(errors))
        self.errors = errors


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors leave with the exit code its verb wants."""

    def __init__(self, *args: object, usage_exit: int = 2, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.usage_exit = usage_exit
        self._negative_number_matcher = re.compile(r"-\d")  # `--since -2h` has a value, no option

    def error(self, message: str) -> None:  # type: ignore[override]
        """Say what is wrong and how to find out more, then leave."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_exit, f"{self.prog}: {message}\n")


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option every verb has."""
    parser.add_argument(
        "--config",
        metavar="DIR",
        help=f"config folder (default: ${VARIABLE}, else ./{LOCAL}, else {SYSTEM})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option every verb has that prints something."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def config_directory(given: str | None) -> Path:
    """The config folder: as given, else $SMSROUTE_CONFIG, else ./config where there is one, else /etc/smsroute."""
    if given:
        return Path(given)
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return LOCAL if LOCAL.is_dir() else SYSTEM


def load_config(args: argparse.Namespace, secrets: bool = True, *, proven: bool = False) -> Config:
    """The Config of the folder `args.config` names. Raises ConfigWrong: `cli.main` makes words and an exit code of it.

    `secrets=False` for verbs that a person runs away from the engine's environment: see `smsroute.config.load`.
    `proven`: with its TLS files tried.
    """
    from smsroute.config import ConfigErrors, load

    try:
        if proven:
            from smsroute.tls import load_proven

            return load_proven(config_directory(args.config), os.environ)
        return load(config_directory(args.config), os.environ, secrets)
    except ConfigErrors as errors:
        raise ConfigWrong(errors) from errors


def find_engine(args: argparse.Namespace) -> Places:
    """Where the running engine of `args.config` listens and stores, even while its config is broken."""
    from smsroute.config import places

    return places(config_directory(args.config))


def print_json(document: object) -> None:
    """One JSON document on stdout, indented at a terminal."""
    print(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def whole_numbers(args: argparse.Namespace, places: Places) -> bool:
    """Whether numbers are shown whole, where no engine is asked that would judge."""
    return bool(args.reveal) or not places.mask_numbers


def columns(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines of aligned columns, the first row their heads; the last column is as long as it is."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    return [paint(lines[0].rstrip(), "bold"), *(line.rstrip() for line in lines[1:])]


def complain(errors: ConfigErrors) -> None:
    """Everything wrong with a config, on stderr."""
    for error in (*errors.errors, *errors.warnings):
        print(error, file=sys.stderr)


def coloured(stream: TextIO | None = None) -> bool:
    """Whether to use colour on `stream` (stdout): NO_COLOR forbids, FORCE_COLOR demands, else a terminal decides."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """`text` in the named styles (bold, dim, red, green, yellow, blue), or as it is where colour has no place."""
    if not text or not coloured(stream):
        return text
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"
