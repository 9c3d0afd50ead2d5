"""`smsroute check [DIR]`: is this config right?

Rules:
- Exit 0 when it can be loaded, 1 when not; warnings are told and change nothing.
- Errors go to stderr, one a line, `file:line:column: what, what was expected`, so that editors can jump to them.

Walk: `config.load` (`tls.load_proven` where the TLS files are), then `config.show` for `--defaults`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import attrs

from smsroute.cli.common import add_config, add_json, config_directory, paint, print_json
from smsroute.config import Config, ConfigError, ConfigErrors, load


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="config folder, as --config")
    add_config(parser)
    add_json(parser)
    parser.add_argument("--defaults", action="store_true", help="print every value that holds, defaults included")
    parser.add_argument(
        "--no-secrets",
        action="store_true",
        help="look for no secret in the environment or a file and for no TLS file: for checks elsewhere",
    )


def run(args: argparse.Namespace) -> int:
    """Check, print, and say 0 or 1."""
    directory = config_directory(args.directory or args.config)
    try:
        config = _load(directory, secrets=not args.no_secrets)
    except ConfigErrors as wrong:
        if args.json:
            print_json(_document(False, wrong.errors, wrong.warnings))
        else:
            _tell(wrong.errors, wrong.warnings)
            count = len(wrong.errors)
            print(f"{directory}: {paint(f'{count} error{_s(count)}', 'red', stream=sys.stderr)}", file=sys.stderr)
        return 1
    if args.json:
        document = _document(True, (), config.warnings)
        document["digest"] = config.digest
        document["networks"] = [
            {"name": one.name, "prefixes": len(one.numbers), "source": one.source or None}
            for one in config.networks.values()
        ]
        if args.defaults:
            from smsroute.config.show import plain_tree

            document["config"] = plain_tree(config)
        print_json(document)
        return 0
    _tell((), config.warnings)
    if args.defaults:
        from smsroute.config.show import show

        print(show(config), end="")
    else:
        print(f"{directory}: {paint('ok', 'green')}, {_summary(config)}")
        for line in _kept(config) if config.esmes else ():
            print(f"  kept: {line}")
        for network in config.networks.values():
            count = len(network.numbers)
            source = f", {network.source}" if network.source else ""
            print(f"  network {network.name}: {count:,} prefix{'' if count == 1 else 'es'}{source}")
    return 0


def _load(directory: Path, *, secrets: bool) -> Config:
    if not secrets:
        return load(directory, os.environ, secrets=False)
    from smsroute.tls import load_proven

    return load_proven(directory, os.environ)


def _tell(errors: tuple[ConfigError, ...], warnings: tuple[ConfigError, ...]) -> None:
    for error in (*errors, *warnings):
        print(error, file=sys.stderr)


def _summary(config: Config) -> str:
    counts = (("esme", len(config.esmes)), ("carrier", len(config.carriers)), ("route", len(config.routes)))
    words = [f"{count} {noun}{_s(count)}" for noun, count in counts]
    if config.networks:
        words.append(f"{len(config.networks)} network{_s(len(config.networks))}")
    if config.warnings:
        words.append(f"{len(config.warnings)} warning{_s(len(config.warnings))}")
    return ", ".join(words)


def _kept(config: Config) -> list[str]:
    """How long what is kept of messages, for people."""
    from smsroute.ops.words import age

    limits = config.limits
    by_text: dict[str, list[str]] = {}
    for esme in config.esmes.values():
        by_text.setdefault(esme.text, []).append(esme.name)
    history = age(limits.history_retention_s)
    texts = {"forget": "no text once a message has ended", "quote": "20 characters of it till its receipt is told"}
    texts["keep"] = f"texts {history}"
    shown = sorted(by_text.items(), key=lambda row: list(texts).index(row[0]))
    of = [f"{texts[kind]} ({', '.join(names)})" if len(by_text) > 1 else texts[kind] for kind, names in shown]
    return [
        f"messages {history} after their end",
        *of,
        f"decisions {age(limits.decisions_retention_s)}",
        f"receipts that match nothing {age(limits.orphan_ttl_s)}",
        f"receipts nobody fetches {age(limits.outbox_ttl_s)}",
        f"numbers {'masked' if config.mask_numbers else 'whole'} in logs and at the terminal",
    ]


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _document(well: bool, errors: tuple[ConfigError, ...], warnings: tuple[ConfigError, ...]) -> dict[str, object]:
    return {
        "ok": well,
        "errors": [attrs.asdict(e, filter=_unmarked) for e in errors],
        "warnings": [attrs.asdict(w, filter=_unmarked) for w in warnings],
    }


def _unmarked(attribute: attrs.Attribute[object], _value: object) -> bool:
    return attribute.name != "warning"
