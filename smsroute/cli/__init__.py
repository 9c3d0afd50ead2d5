"""The command `smsroute`: one verb, one file in this folder.

Rules:
- A verb is its row in VERBS and the file the row names; that file is imported only when the verb is called.
- A verb's file has `arguments(parser)`, which adds its options, and `run(args) -> int`, which does it and returns the
  exit code. With more than one verb to a file, `args.verb` tells which.
- Exit codes: 0 done; 1 no, or not found, or the config is wrong; 2 wrong usage. `health` speaks to monitoring, where 2
  means critical: there wrong usage and a config that cannot be read are 3, unknown.

Walk: `main` is the console script and `python -m smsroute`.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import attrs

import smsroute
from smsroute.cli.common import ConfigWrong, Parser, complain


@attrs.frozen
class Verb:
    """One row of the table."""

    module: str  # file in this folder
    help: str
    usage_exit: int = 2
    config_exit: int = 1


# fmt: off
VERBS: Final = {
    "serve":   Verb("serve",   "run the engine"),
    "check":   Verb("check",   "is this config right? --defaults prints all that holds"),
    "health":  Verb("health",  "is it well; who is sick, since when, why", usage_exit=3, config_exit=3),
    "explain": Verb("explain", "which way would a message go now, and why not the others"),
    "trace":   Verb("trace",   "one message's whole story: by id, by a carrier's id, by number and time"),
    "orphans": Verb("orphans", "receipts that match no message: how many, how old, why"),
    "export":  Verb("export",  "message detail records of a time range, as CSV or SQLite"),
    "diff":    Verb("diff",    "what changes, in meaning, from what runs to another config"),
    "whatif":  Verb("whatif",  "the last hour's messages over another config: share moved, cost, unroutable"),
    "drain":   Verb("drain",   "take a carrier, bind or ESME out without losing anything"),
    "resume":  Verb("drain",   "bring it back"),
    "reload":  Verb("reload",  "read the config folder again, dropping no bind that need not be"),
    "hash":    Verb("hash",    "make a hash of a password, for an ESME in the config"),
    "sim":     Verb("sim",     "be a simulated carrier or ESME"),
    "demo":    Verb("demo",    "engine, carriers and platform on this machine, one carrier goes sick"),
}
# fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code. Wrong usage leaves by SystemExit, as argparse does."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"smsroute {smsroute.__version__}")
        return 0
    verb = VERBS.get(words[0])
    if verb is None:
        said = "options come after the verb" if words[0].startswith("-") else f"{words[0]!r} is not a verb"
        print(f"smsroute: {said}{_meant(words[0])}; `smsroute help` lists them", file=sys.stderr)
        return 2
    return _run(words[0], verb, words[1:])


def usage() -> str:
    """The list of verbs."""
    lines = ["usage: smsroute VERB ...", "", "An SMPP-native carrier routing engine.", ""]
    lines += [f"  {name:<9}{verb.help}" for name, verb in VERBS.items()]
    lines += ["", "Every verb takes --config DIR and --help; those that print take --json."]
    return "\n".join(lines)


def _run(name: str, verb: Verb, words: list[str]) -> int:
    module = importlib.import_module(f"smsroute.cli.{verb.module}")
    parser = Parser(prog=f"smsroute {name}", description=verb.help, usage_exit=verb.usage_exit)
    module.arguments(parser)
    args = parser.parse_args(words)
    args.verb = name
    try:
        code = int(module.run(args))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has left (`| head`): nothing is wrong, and the interpreter shall not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigWrong as wrong:
        complain(wrong.errors)
        return verb.config_exit
    return code


def _meant(word: str) -> str:
    close = difflib.get_close_matches(word.lower(), list(VERBS), 1, 0.5)
    return f", did you mean {close[0]!r}?" if close else ""
