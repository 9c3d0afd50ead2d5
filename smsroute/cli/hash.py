"""`smsroute hash`: a password made into a hash for `esmes.yaml`.

Rules:
- The password is asked for twice at a terminal, without showing it; from a pipe its first line is taken. It is never an
  argument: those are seen by everybody on the machine.
- What is printed is the line for the config, nothing else.

Walk: `config.hashes.make`; the config reads it, `esmes/porter` checks against it.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from smsroute.config import hashes
from smsroute.config.limits import SECRET_OCTETS_MAX


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--argon2", action="store_true", help="argon2id, which costs a guesser more; default: scrypt")


def run(args: argparse.Namespace) -> int:
    """Ask, hash, print; 1 when what was given cannot be an SMPP password."""
    password = _ask()
    if password is None:
        print("smsroute hash: the two were not the same", file=sys.stderr)
        return 1
    octets = password.encode("utf-8", "surrogateescape")
    if not 1 <= len(octets) <= SECRET_OCTETS_MAX or not all(0x20 <= octet < 0x7F for octet in octets):
        wanted = f"expected 1..{SECRET_OCTETS_MAX} printable ASCII characters"
        print(f"smsroute hash: that is no SMPP password, {wanted}", file=sys.stderr)
        return 1
    from smsroute.ports import fresh_octets

    kind = "argon2" if args.argon2 else "scrypt"
    print(f'password: {{{kind}: "{hashes.make(kind, octets, fresh_octets(16))}"}}')
    return 0


def _ask() -> str | None:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    return first if first == getpass.getpass("Again: ") else None
