"""What differs between two configs in meaning: rules, carriers, ESMEs, networks and limits, by name and field.

Rules:
- Two folders that mean the same differ in nothing, whatever their files, comments, order of keys and defaults.
- A password is never shown and never leaves the engine; what leaves is a mark of two octets, enough to tell that it
  changed and far too little to tell what it is.
- Paths count from their own folder, so a copy of a folder is the same config.
- Pure.

Drawback of the simple way. `diff -r` of two folders shows moved lines, and of a list of a million prefixes a million
lines or none.

Idea. Both configs become the tree that `smsroute check --defaults` prints. Entries are told apart by name, lists of
words are compared as sets (so many more, so many less, a few of them), everything else field by field.

Walk: `ops/verbs` makes the summary of what runs, `cli/diff` that of the proposed folder, and compares.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from smsroute.config import Config, Secret
from smsroute.config.show import plain_tree

Document = dict[str, Any]

SECTIONS: Final = ("routes", "carriers", "esmes", "networks", "mo")
"""Of named entries; what is left are the engine's own keys and the limits."""

ORDERED: Final = ("routes", "mo")
"""Those are lists: of rules alike the first one speaks."""

NUMBERS_MAX: Final = 100_000  # prefixes of a network that are told one by one; of more, their count and a stamp
EXAMPLES_MAX: Final = 5
MARK_OCTETS: Final = 2
KEYS: Final = ("name", "carrier", "address")
"""What tells the entries of a list apart."""


def summary(config: Config) -> Document:
    """A config as `difference` takes it, ready for JSON."""
    tree = _relative(plain_tree(config), f"{config.directory}/")
    networks = tree.get("networks", {})
    for name, network in config.networks.items():
        few = len(network.numbers) <= NUMBERS_MAX
        networks[name] = {
            **{key: value for key, value in networks[name].items() if key != "prefixes"},  # they are the numbers
            "numbers": list(network.numbers) if few else None,
            "stamp": "" if few else network.stamp,
            "count": str(len(network.numbers)),
        }
    for section in ORDERED:
        tree[section] = {rule["name"]: rule for rule in tree.get(section, [])}
    return {
        "digest": config.digest,
        "tree": tree,
        "places": {route.name: f"{route.path}:{route.line}" if route.line else route.path for route in config.routes},
        "marks": {
            **{f"esmes.{name}": _mark(name, esme.password) for name, esme in config.esmes.items()},
            **{f"carriers.{name}": _mark(name, carrier.password) for name, carrier in config.carriers.items()},
        },
    }


def difference(was: Document, becomes: Document) -> Document:
    """What changes from the one summary to the other."""
    old, new = was["tree"], becomes["tree"]
    marks = was["marks"], becomes["marks"]
    document: Document = {"from": was["digest"], "to": becomes["digest"], "not_compared": []}
    for section in SECTIONS:
        before, after = old.get(section, {}), new.get(section, {})
        changed = []
        for name in [name for name in before if name in after]:
            fields = _fields(*_alike(before[name], after[name]), "")
            fields += _password(f"{section}.{name}", fields, marks, document["not_compared"])
            if fields:
                changed.append({"name": name, **_place(section, name, was, becomes), "fields": fields})
        added = [name for name in after if name not in before]
        removed = [name for name in before if name not in after]
        common = [[name for name in one if name in before and name in after] for one in (before, after)]
        document[section] = {
            "added": [{"name": name, "place": becomes["places"].get(name, ""), "is": after[name]} for name in added]
            if section == "routes"
            else [{"name": name, "is": _blotted(after[name])} for name in added],
            "removed": [{"name": name, "was": _blotted(before[name])} for name in removed],
            "changed": changed,
            "order": section in ORDERED and common[0] != common[1],
        }
    document["limits"] = _fields(old.get("limits", {}), new.get("limits", {}), "")
    rest = [{key: value for key, value in one.items() if key not in (*SECTIONS, "limits")} for one in (old, new)]
    document["engine"] = _fields(rest[0], rest[1], "")
    document["changes"] = sum(_count(document[section]) for section in SECTIONS)
    document["changes"] += len(document["limits"]) + len(document["engine"])
    return document


def _count(section: Document) -> int:
    return len(section["added"]) + len(section["removed"]) + len(section["changed"]) + int(section["order"])


def _place(section: str, name: str, was: Document, becomes: Document) -> Document:
    if section != "routes":
        return {}
    return {"was_at": was["places"].get(name, ""), "is_at": becomes["places"].get(name, "")}


def _alike(was: Any, becomes: Any) -> tuple[Any, Any]:
    """Two entries as they can be compared: networks by their prefixes where both tell them, else by count and stamp."""
    if not isinstance(was, dict) or "numbers" not in was:
        return was, becomes
    told = was["numbers"] is not None and becomes["numbers"] is not None
    left_out = ("stamp", "count") if told else ("numbers",)
    one, other = ({key: value for key, value in entry.items() if key not in left_out} for entry in (was, becomes))
    return one, other


def _fields(was: Any, becomes: Any, path: str) -> list[Document]:
    """Each field that differs, with what it was and is; of a list of words, what joined and left."""
    if was == becomes:
        return []
    if isinstance(was, dict) and isinstance(becomes, dict):
        if path.endswith("password"):
            return [{"field": path, "secret": True, "was": _source(was), "is": _source(becomes)}]
        found: list[Document] = []
        for key in dict.fromkeys((*was, *becomes)):
            inner = f"{path}.{key}" if path else str(key)
            found += _fields(was.get(key), becomes.get(key), inner)
        return found
    if isinstance(was, list) and isinstance(becomes, list):
        return _lists(was, becomes, path)
    return [{"field": path, "was": was, "is": becomes}]


def _lists(was: list[Any], becomes: list[Any], path: str) -> list[Document]:
    entries = [*was, *becomes]
    if all(isinstance(one, str) for one in entries):
        before, after = set(was), set(becomes)
        added, removed = [one for one in becomes if one not in before], [one for one in was if one not in after]
        if not added and not removed:
            return [{"field": path, "order": True}]
        row = {"field": path, "added": len(added), "removed": len(removed)}
        examples = [f"+{one or 'any'}" for one in added[:EXAMPLES_MAX]]
        examples += [f"-{one or 'any'}" for one in removed[:EXAMPLES_MAX]]
        return [{**row, "examples": examples}]
    key = next((key for key in KEYS if all(isinstance(one, dict) and key in one for one in entries)), None)
    if key is not None:
        before_by, after_by = {one[key]: one for one in was}, {one[key]: one for one in becomes}
        if len(before_by) == len(was) and len(after_by) == len(becomes):
            found: list[Document] = []
            for name in dict.fromkeys((*before_by, *after_by)):
                found += _fields(before_by.get(name), after_by.get(name), f"{path}[{name}]")
            return found or [{"field": path, "order": True}]
    return [{"field": path, "was": was, "is": becomes}]


def _password(
    path: str, fields: list[Document], marks: tuple[dict[str, str], dict[str, str]], not_compared: list[str]
) -> list[Document]:
    """Whether the password behind the same source is another one."""
    if path not in marks[0] or any(field.get("secret") for field in fields):
        return []
    before, after = marks[0][path], marks[1].get(path, "")
    if not before or not after:
        not_compared.append(f"{path}.password")
        return []
    return [{"field": "password", "secret": True, "was": "", "is": ""}] if before != after else []


def _mark(name: str, secret: Secret) -> str:
    """Two octets of a password, "" when it could not be read here."""
    if not secret.value:
        return ""
    return hmac.digest(name.encode(), secret.reveal(), hashlib.sha256)[:MARK_OCTETS].hex()


def _source(password: dict[str, str]) -> str:
    """Where a password comes from: `plain`, or `env NAME`."""
    return ", ".join(key if key == "plain" else f"{key} {value}" for key, value in password.items())


def _blotted(entry: Any) -> Any:
    """An entry that joins or leaves, without its million prefixes."""
    if isinstance(entry, dict) and "numbers" in entry:
        return {key: value for key, value in entry.items() if key not in ("numbers", "stamp")}
    return entry


def _relative(tree: Any, folder: str) -> Any:
    if isinstance(tree, dict):
        return {key: _relative(value, folder) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_relative(value, folder) for value in tree]
    return tree.replace(folder, "", 1) if isinstance(tree, str) else tree
