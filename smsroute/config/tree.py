"""YAML text becomes a tree of nodes that know their file, line and column, with every scalar as the person wrote it.

Rules:
- No value is interpreted here: YAML's own ideas of numbers, booleans and minutes never apply.
- Whatever the octets, the answer is a tree or problems told: never an exception, never unbounded depth or memory.
- One way to write a thing: keys once, no tags, no merge keys, one document a file. An alias is fine: it is a value.
- A bare Node stands for something already told about: whoever meets it passes on in silence.

The parser's events are taken one by one, not by `yaml.compose`: six times faster, and nesting never touches the stack.

Walk: called by `load` for each file; the nodes go to `read`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from smsroute.config.limits import ERRORS_MAX, FILE_OCTETS_MAX, NESTING_MAX
from smsroute.config.nouns import ConfigError

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAKS: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ufffd\U00010000-\U0010ffff]")


class Node:
    """Something at a place in a file."""

    __slots__ = ("column", "line", "path")

    def __init__(self, path: str, line: int, column: int) -> None:
        self.path = path
        self.line = line
        self.column = column


class Scalar(Node):
    """A value as written; `plain` when it stood without quotes."""

    __slots__ = ("plain", "text")

    def __init__(self, path: str, line: int, column: int, text: str, plain: bool) -> None:
        super().__init__(path, line, column)
        self.text = text
        self.plain = plain

    @property
    def empty(self) -> bool:
        """Nothing was written; a quoted "" is something."""
        return self.plain and not self.text


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, path: str, line: int, column: int) -> None:
        super().__init__(path, line, column)
        self.items: list[Node] = []


class Mapping(Node):
    """Keys and values, in order; each key stands once."""

    __slots__ = ("pairs",)

    def __init__(self, path: str, line: int, column: int) -> None:
        super().__init__(path, line, column)
        self.pairs: list[tuple[Scalar, Node]] = []


class Problems:
    """What is wrong so far, each thing once."""

    def __init__(self) -> None:
        self._found: dict[ConfigError, None] = {}

    def error(self, at: Node, message: str) -> None:
        """Something that must be mended."""
        self._found[ConfigError(at.path, at.line, at.column, message)] = None

    def warn(self, at: Node, message: str) -> None:
        """Something odd that works."""
        self._found[ConfigError(at.path, at.line, at.column, message, warning=True)] = None

    def errors(self, paths: Iterable[str]) -> list[ConfigError]:
        """All errors, by file in the order of `paths`, then by place; beyond ERRORS_MAX only counted."""
        errors = self._sorted(paths, warning=False)
        if len(errors) > ERRORS_MAX:
            more = ConfigError(errors[ERRORS_MAX].path, 0, 0, f"{len(errors) - ERRORS_MAX} more errors")
            errors = [*errors[:ERRORS_MAX], more]
        return errors

    def warnings(self, paths: Iterable[str]) -> list[ConfigError]:
        """All warnings, in the same order."""
        return self._sorted(paths, warning=True)

    def _sorted(self, paths: Iterable[str], warning: bool) -> list[ConfigError]:
        order = {path: index for index, path in enumerate(paths)}
        found = [e for e in self._found if e.warning is warning]
        return sorted(found, key=lambda e: (order.get(e.path, -1), e.line, e.column))


def parse(path: str, octets: bytes, problems: Problems) -> Node | None:
    """The tree of one file (of an empty one: an empty Scalar), or None after telling `problems` why there is none."""
    text = _decode(path, octets, problems)
    if text is None:
        return None
    try:
        return _Builder(path, problems).build(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as fault:
        problems.error(*_syntax(path, text, fault))
    return None


def describe(node: Node) -> str:
    """What stands there, in a few words."""
    if isinstance(node, Mapping):
        return "keys and values"
    if isinstance(node, Sequence):
        return "a list"
    assert isinstance(node, Scalar)
    return "empty" if node.empty else quote(node.text)


def quote(text: str) -> str:
    """`text` between backticks, cut when long, on one line."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    return "`" + "".join(c if c.isprintable() else " " for c in shown) + "`"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word somebody probably meant."""
    by_folded = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(word.casefold(), list(by_folded), 1, 0.6)
    return by_folded[close[0]] if close else None


def _decode(path: str, octets: bytes, problems: Problems) -> str | None:
    if len(octets) > FILE_OCTETS_MAX:
        problems.error(Node(path, 0, 0), f"{len(octets)} octets, expected at most {FILE_OCTETS_MAX}")
        return None
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        at = _place(path, octets[: fault.start].decode("utf-8", "replace"))
        problems.error(at, f"octet 0x{octets[fault.start]:02x} is not UTF-8, expected UTF-8 text")
        return None
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        at = _place(path, text[: bad.start()])
        problems.error(at, f"control character U+{ord(bad[0]):04X}, expected text")
        return None
    return text


def _place(path: str, before: str) -> Node:
    lines = _BREAKS.split(before)
    return Node(path, len(lines), len(lines[-1]) + 1)


def _syntax(path: str, text: str, fault: yaml.YAMLError) -> tuple[Node, str]:
    mark = getattr(fault, "problem_mark", None)
    problem = getattr(fault, "problem", None) or "unreadable"
    if mark is None:
        return Node(path, 0, 0), f"not YAML: {problem}, expected YAML"
    at = Node(path, mark.line + 1, mark.column + 1)
    lines = _BREAKS.split(text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return at, "a tab indents this line, expected spaces"
    start = getattr(fault, "context_mark", None)
    context = getattr(fault, "context", None)
    if start is not None and context and start.line != mark.line:
        problem = f"{problem} ({context} from line {start.line + 1})"
    return at, f"not YAML: {problem}, expected YAML"


class _Builder:
    """Stacks the parser's events up into a tree."""

    def __init__(self, path: str, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self.anchors: dict[str, Node] = {}
        self.open: list[Sequence | Mapping] = []
        self.keys: list[Scalar | None] = []  # beside `open`: the key whose value comes next
        self.seen: list[dict[str, int]] = []  # beside `open`: keys of a mapping and their lines
        self.root: Node = Scalar(path, 1, 1, "", True)
        self.too_deep = False

    def build(self, events: Iterable[Any]) -> Node | None:
        documents = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._tag(event)
                self._add(Scalar(self.path, *_mark(event), event.value, not event.style), event.anchor)
            elif kind in (yaml.SequenceStartEvent, yaml.MappingStartEvent):
                self._start(event)
                if self.too_deep:
                    return None
            elif kind in (yaml.SequenceEndEvent, yaml.MappingEndEvent):
                self.open.pop()
                self.keys.pop()
                self.seen.pop()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    at = self._at(event)
                    self.problems.error(at, "a second document starts here, expected one document a file")
                    break
        return self.root

    def _start(self, event: Any) -> None:
        self._tag(event)
        kind = Sequence if type(event) is yaml.SequenceStartEvent else Mapping
        node = kind(self.path, *_mark(event))
        if len(self.open) >= NESTING_MAX:
            self.problems.error(node, f"nested {NESTING_MAX + 1} deep, expected at most {NESTING_MAX}")
            self.too_deep = True
            return
        self._add(node, event.anchor)
        self.open.append(node)
        self.keys.append(None)
        self.seen.append({})

    def _alias(self, event: Any) -> None:
        at = self._at(event)
        target = self.anchors.get(event.anchor)
        if target is None:
            self.problems.error(
                at, "alias without an anchor, expected the anchor before it, or quotes around text with *"
            )
        elif any(target is node for node in self.open):
            self.problems.error(at, "alias inside what it stands for, expected the value itself")
            target = None
        self._add(at if target is None else target, None)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = self.keys[-1]
        if key is None:
            self.keys[-1] = self._key(node)
            return
        self.keys[-1] = None
        seen = self.seen[-1]
        if key.text in seen:
            where = f"line {seen[key.text]}"
            self.problems.error(key, f"key {quote(key.text)} stands here again, expected once (first on {where})")
        elif key.text == "<<":
            self.problems.error(key, "merge key `<<` is not read, expected the keys themselves")
        elif key is not _NO_KEY:
            seen[key.text] = key.line
            parent.pairs.append((key, node))

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        if type(node) is not Node:
            self.problems.error(node, f"{describe(node)} as a key, expected a word")
        return _NO_KEY

    def _tag(self, event: Any) -> None:
        if event.tag is not None:
            self.problems.error(
                self._at(event), "tag before a value, expected the value alone, or quotes around text with !"
            )

    def _at(self, event: Any) -> Node:
        return Node(self.path, *_mark(event))


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


_NO_KEY: Final = Scalar("", 0, 0, "\0", True)
