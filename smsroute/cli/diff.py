"""`smsroute diff DIR`: what changes, in meaning, from the config that runs to a proposed one.

Rules:
- A running engine is asked what it runs on; without one, or with --offline, the folder of --config is compared, and the
  answer says so.
- Passwords are told to differ and never shown; one that only the engine's machine has is not compared, and that is
  told.
- Exit 0 when nothing changes, 1 when something does.

Walk: `ops/difference` compares; `ops/verbs` tells what runs.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from smsroute.cli import ask
from smsroute.cli.common import add_config, add_json, config_directory, find_engine, load_config, paint, print_json
from smsroute.cli.whatif import load_other

Document = dict[str, Any]

NOUNS: Final = {"routes": "route", "carriers": "carrier", "esmes": "ESME", "networks": "network",
                "mo": "mo rule"}  # fmt: skip
SHOWN_MAX: Final = 60  # characters of a value


def arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("directory", metavar="DIR", help="the proposed config folder")
    parser.add_argument("--offline", action="store_true", help="ask no engine: compare with the folder of --config")


def run(args: argparse.Namespace) -> int:
    """Compare, show, and say 0 for no change or 1."""
    from smsroute.engine import FIXED
    from smsroute.ops.difference import difference, summary

    proposed = summary(load_other(args.directory))
    running: Document | None = None
    if not args.offline:
        try:
            running = ask.ask(find_engine(args).control, {"verb": "config"})["summary"]
        except (ask.Unreachable, ask.Refused):
            running = None
    document = difference(running or summary(load_config(args, secrets=False)), proposed)
    document["running"] = running is not None
    touched = {field["field"].partition(".")[0].partition("[")[0] for field in document["engine"]}
    touched |= {"limits"} if document["limits"] else set()
    document["waits"] = sorted(touched & set(FIXED))
    if args.json:
        print_json(document)
    else:
        _show(document, str(config_directory(args.config)))
    return 1 if document["changes"] else 0


def _show(document: Document, folder: str) -> None:
    base = "what runs" if document["running"] else f"{folder} (no engine asked)"
    print(f"{paint(base, 'bold')}, config {document['from']} -> {document['to']}")
    for section, noun in NOUNS.items():
        _show_section(document[section], noun)
    for name in ("limits", "engine"):
        if document[name]:
            print(paint(name, "bold"))
        for field in document[name]:
            print(f"    {_field(field)}")
    if document["waits"]:
        print(paint(f"waits for the next start: {', '.join(document['waits'])}", "yellow"))
    if document["not_compared"]:
        print(paint(f"known to the engine's machine only, not compared: {', '.join(document['not_compared'])}", "dim"))
    changes = document["changes"]
    print("no change" if not changes else f"{changes} change{'' if changes == 1 else 's'}")


def _show_section(section: Document, noun: str) -> None:
    for one in section["removed"]:
        print(f"{paint('-', 'red')} {noun} {paint(one['name'], 'bold')}{_gist(one['was'])}")
    for one in section["added"]:
        place = f" ({one['place']})" if one.get("place") else ""
        print(f"{paint('+', 'green')} {noun} {paint(one['name'], 'bold')}{place}{_gist(one['is'])}")
    for one in section["changed"]:
        place = f" ({one['was_at']} -> {one['is_at']})" if one.get("is_at") else ""
        print(f"{paint('~', 'yellow')} {noun} {paint(one['name'], 'bold')}{place}")
        for field in one["fields"]:
            print(f"    {_field(field)}")
    if section["order"]:
        print(f"{paint('~', 'yellow')} {noun}s stand in another order, which decides between equals")


def _gist(entry: Document) -> str:
    """A line's worth of an entry that joins or leaves."""
    words = []
    if "to" in entry:
        words.append(f"to {_short(', '.join(one or 'any' for one in entry['to']))}")
    if "esme" in entry:
        words.append(f"for {entry['esme']}")
    if entry.get("carriers"):
        carriers = (one if isinstance(one, str) else one["carrier"] for one in entry["carriers"])
        words.append(f"carriers {', '.join(carriers)}")
    if "binds" in entry:
        addresses = ", ".join(one["address"] for one in entry["binds"])
        words.append(f"{addresses}, {entry['rate']}, window {entry['window']}")
    elif "rate" in entry:
        words.append(entry["rate"])
    if "count" in entry:
        words.append(f"{int(entry['count']):,} prefixes")
    return f": {'; '.join(words)}" if words else ""


def _field(field: Document) -> str:
    name = field["field"]
    if field.get("order"):
        return f"{name}: in another order"
    if field.get("secret"):
        moved = f": {field['was']} -> {field['is']}" if field["was"] != field["is"] else ""
        return f"{name}: changed{moved}"
    if "added" in field:
        return f"{name}: +{field['added']:,} -{field['removed']:,}  {' '.join(field['examples'])}"
    return f"{name}: {_short(_words(field['was']))} -> {_short(_words(field['is']))}"


def _words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_words(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_words, value)) + "]"
    return str(value) or '""'


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."
