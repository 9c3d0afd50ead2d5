"""The merged truth as YAML: every value an engine would run on, given or default, with secrets hidden.

Rules:
- What is printed can be read back and means the same; only a plain password is blotted out.
- Beside each knob stand its range and its reason.

Walk: `smsroute check --defaults`; the engine, for "what is loaded".
"""

from __future__ import annotations

import collections.abc
import json
import re
import typing
from pathlib import Path
from typing import Annotated, Any, Final

import attrs

from smsroute.config.kinds import Kind, show_seconds
from smsroute.config.nouns import CLASS, Config, InDoubt, NamedNetwork, Secret
from smsroute.config.read import kind_among, rows

HIDDEN: Final = "********"
# Text that other readers of YAML would take for something else is quoted.
_SAFE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*")
_BARE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")
_WORDS: Final = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@attrs.frozen
class Noted:
    """A value with a remark beside it."""

    value: Tree
    note: str


Tree = Noted | str | list["Tree"] | dict[str, "Tree"]


def show(config: Config) -> str:
    """`config` as the text of one smsroute.yaml."""
    return "\n".join(_lines(tree_of(config), 0)) + "\n"


def plain_tree(config: Config) -> Any:
    """The same as plain lists, dicts and text, for JSON."""
    return _without_notes(tree_of(config))


def tree_of(noun: Any) -> dict[str, Tree]:
    """A noun's keys and values, as its file would hold them."""
    found: dict[str, Tree] = {}
    noun_type: type = type(noun)
    for row in rows(noun_type):
        value = getattr(noun, row.field)
        if row.field == "host":
            value = (noun.host, noun.port)
        if value is None:
            continue
        shown = _value(row.declared, value, row.kind)
        found[row.key] = Noted(shown, f"{row.why} ({row.kind.range()})") if row.kind and row.why else shown
    return found


def _value(declared: Any, value: Any, kind: Kind | None) -> Tree:
    if typing.get_origin(declared) is Annotated:
        declared, *marks = typing.get_args(declared)
        kind = kind_among(marks) or kind
    inner = typing.get_args(declared)
    if isinstance(value, tuple) and inner and inner[-1] is Ellipsis:
        return [_value(inner[0], item, kind) for item in value]
    if isinstance(value, collections.abc.Mapping):
        return _mapping(inner, value)
    if isinstance(value, Secret):
        return _secret(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Path):
        return _text(str(value))
    if attrs.has(type(value)) and kind is None:
        return tree_of(value)
    if kind is None:
        return _text(str(value))
    shown = kind.show(value)
    return _text(shown) if isinstance(value, str) or not _BARE.fullmatch(shown) else shown


def _mapping(inner: tuple[Any, ...], value: collections.abc.Mapping[Any, Any]) -> Tree:
    if any(isinstance(item, InDoubt) for item in value.values()):
        return {CLASS.show(message_class): _policy(item) for message_class, item in value.items()}
    found: dict[str, Tree] = {}
    for key, item in value.items():
        if isinstance(item, NamedNetwork):
            found[key] = _network(item)
            continue
        shown = _value(inner[0], key, None)
        assert isinstance(shown, str)
        found[shown] = _value(inner[1], item, None)
    return found


def _network(network: NamedNetwork) -> Tree:
    """Where its prefixes come from, and how many those are."""
    keys = {key: value for key, value in tree_of(network).items() if value not in ('""', [])}
    count = len(network.numbers)
    return Noted(keys, f"{count:,} prefix{'' if count == 1 else 'es'}{f', {network.source}' if network.source else ''}")


def _policy(policy: InDoubt) -> Tree:
    return "hold" if policy.kind == "hold" else {f"{policy.kind}_after": show_seconds(policy.after_s)}


def _secret(secret: Secret) -> Tree:
    source, _, name = secret.origin.partition(" ")
    return {source: _text(name if name else HIDDEN)}


def _text(text: str) -> str:
    if _SAFE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _lines(tree: dict[str, Tree], indent: int) -> list[str]:
    lines = []
    for key, value in tree.items():
        start = f"{' ' * indent}{key}:"
        if isinstance(value, Noted):
            lines.append(f"{start} {_flow(value.value)}".ljust(44) + f"  # {value.note}")
        elif isinstance(value, dict) and value and not _flat(value):
            lines.append(start)
            lines.extend(_lines(value, indent + 2))
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            lines.append(start)
            for item in value:
                assert isinstance(item, dict)
                first, *rest = _lines(item, indent + 4)
                lines.append(f"{' ' * (indent + 2)}- {first.lstrip()}")
                lines.extend(rest)
        else:
            lines.append(f"{start} {_flow(value)}")
    return lines


def _flat(tree: dict[str, Tree]) -> bool:
    return len(tree) == 1 and all(isinstance(value, str) for value in tree.values())


def _flow(tree: Tree) -> str:
    if isinstance(tree, list):
        return f"[{', '.join(map(_flow, tree))}]"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in tree.items()) + "}"
    return _flow(tree.value) if isinstance(tree, Noted) else tree


def _without_notes(tree: Tree) -> Any:
    if isinstance(tree, list):
        return [_without_notes(item) for item in tree]
    if isinstance(tree, dict):
        return {_unquoted(key): _without_notes(value) for key, value in tree.items()}
    return _without_notes(tree.value) if isinstance(tree, Noted) else _unquoted(tree)


def _unquoted(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text
