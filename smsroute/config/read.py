"""Nodes become nouns: an interpreter of what the nouns' annotations declare.

Rules:
- Every problem is told and reading goes on, so that one run finds them all; a part with a problem reads as MISSING and
  whatever holds it reads as MISSING too.
- A message says what stands there and what was expected, ranges included; it never repeats a secret.
- An unknown key is refused, with the key somebody probably meant.

Walk: called by `load` with the merged tree; `where` remembers the node of each key, for the checks across nouns.
"""

from __future__ import annotations

import collections.abc
import functools
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs

from smsroute.config import networks, presets, secret, tree
from smsroute.config.dialect import Dialect
from smsroute.config.kinds import FLAG, Kind, Misread, OneOf, Seconds
from smsroute.config.nouns import (
    CARRIER_NAME,
    CLASS,
    ESME_NAME,
    NETWORK_NAME,
    Carrier,
    CarrierCaps,
    Choice,
    Config,
    Esme,
    InDoubt,
    Key,
    MoRule,
    NamedNetwork,
    Route,
    Secret,
    Tls,
)
from smsroute.config.tree import Node, Problems, Scalar, Sequence, describe, nearest, quote

Steps = tuple[str | int, ...]
"""The way to a value: ("carriers", "orange", "binds", 0, "count")."""
Checks = Mapping[type, Callable[["Reader", Any, Steps], bool]]


class _Missing:
    """What a value with a problem reads as."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
RESEND_AFTER: Final = Seconds(0, 7 * 86400)
IN_DOUBT_WANTED: Final = "hold, {resend_after: 10s} or {fail_after: 1h}"


@attrs.frozen
class Row:
    """One field of a noun, as a file may give it."""

    field: str
    key: str
    declared: Any  # the annotation, resolved
    kind: Kind | None  # of a knob
    required: bool
    why: str


@functools.cache
def rows(noun: type) -> tuple[Row, ...]:
    """The fields of `noun` that stand in files."""
    hints = typing.get_type_hints(noun, include_extras=True)
    found = []
    for field in attrs.fields(noun):
        declared = hints[field.name]
        marks = typing.get_args(declared)[1:] if typing.get_origin(declared) is Annotated else ()
        kind = field.metadata.get("kind") or kind_among(marks)
        key = next((m.name for m in marks if isinstance(m, Key)), field.name)
        if isinstance(kind, Seconds):
            key = key.removesuffix("_s")
        if key:
            required = field.default is attrs.NOTHING
            found.append(Row(field.name, key, declared, kind, required, field.metadata.get("why", "")))
    return tuple(found)


def kind_among(marks: Iterable[object]) -> Kind | None:
    """The kind that an annotation's marks name, if one does."""
    return next((typing.cast(Kind, mark) for mark in marks if hasattr(mark, "read")), None)


def name_of(steps: Steps) -> str:
    """What people call the thing at `steps`: "carrier `orange`", "entry 2 of `binds` of carrier `orange`"."""
    match steps:
        case ():
            return "the file"
        case ("carriers" | "esmes" | "networks" as section, str() as name):
            return f"{section.removesuffix('s')} {quote(name)}"
        case ("routes", int() as index):
            return f"route {index + 1}"
        case ("mo", int() as index):
            return f"rule {index + 1} of `mo`"
        case (*outer, str() as key, int() as index):
            return f"entry {index + 1} of {quote(key)}" + (f" of {name_of(tuple(outer))}" if outer else "")
        case (*outer, key):
            return quote(str(key)) + (f" of {name_of(tuple(outer))}" if outer else "")
    raise AssertionError(steps)


def label(steps: Steps) -> str:
    """The same, from the last key on: the line beside it says the rest."""
    return name_of(steps[-2:] if steps and isinstance(steps[-1], int) else steps[-1:])


class Reader:
    """Reads one folder's tree; `directory` is what relative paths start from.

    `checks` are run on each noun as soon as it is whole: (reader, noun, steps) -> whether it makes sense.
    """

    def __init__(
        self, problems: Problems, directory: Path, environ: Mapping[str, str], secrets: bool, checks: Checks
    ) -> None:
        self.problems = problems
        self.directory = directory
        self.environ = environ
        self.secrets = secrets  # False: do not look for what only the engine's own machine has
        self.checks = checks
        self.where: dict[Steps, Node] = {}  # the node of each key and entry
        self.named_routes: dict[str, Node] = {}
        self.references: list[tuple[str, str, Node]] = []  # section, name, where it is named

    def noun(self, noun: type, node: Node, steps: Steps, **given: object) -> Any:
        """An instance of `noun` from keys and values, or MISSING. `given` fills the fields no file holds."""
        if not isinstance(node, tree.Mapping):
            wanted = "{" + ", ".join(row.key for row in rows(noun)[:4]) + (", …}" if len(rows(noun)) > 4 else "}")
            return self.wrong(node, steps, wanted)
        known = {row.key: row for row in rows(noun)}
        values: dict[str, object] = dict(given)
        whole = True
        present = {key.text for key, _ in node.pairs}
        for key, value_node in node.pairs:
            row = known.get(key.text)
            if row is None:
                present.add(self.unknown(key, steps, known) or "")
                whole = False
                continue
            at = (*steps, row.key)
            self.where[at] = key
            custom = CUSTOM.get((noun, row.field))
            value = (custom or Reader.value)(self, row.declared, value_node, at, row.kind)
            if isinstance(value, _Missing):
                whole = False
            elif row.field == "host":
                values["host"], values["port"] = value
            else:
                values[row.field] = value
        for row in known.values():
            if row.required and row.key not in present:
                self.problems.error(
                    self.where.get(steps, node), f"{name_of(steps)} has no `{row.key}`, {_needs(row, steps)}"
                )
                whole = False
        if not whole:
            return MISSING
        built = noun(**values)
        check = self.checks.get(noun)
        return built if check is None or check(self, built, steps) else MISSING

    def value(self, declared: Any, node: Node, steps: Steps, kind: Kind | None = None) -> Any:
        """The value a declared type makes of `node`, or MISSING."""
        if type(node) is Node:
            return MISSING
        if typing.get_origin(declared) is Annotated:
            declared, *marks = typing.get_args(declared)
            kind = kind_among(marks) or kind
        if typing.get_origin(declared) in (typing.Union, types.UnionType) and type(None) in typing.get_args(declared):
            declared = next(arm for arm in typing.get_args(declared) if arm is not type(None))
        origin, inner = typing.get_origin(declared), typing.get_args(declared)
        if origin is tuple and inner[-1] is Ellipsis:
            return self.sequence(inner[0], node, steps, kind)
        if origin is collections.abc.Mapping:
            return self.mapping(inner[0], inner[1], node, steps)
        if origin is Literal:
            kind = OneOf({word: word for word in inner})
        elif declared is bool:
            kind = FLAG
        if kind is not None:
            return self.scalar(kind, node, steps)
        by_type = BY_TYPE.get(declared)
        return self.noun(declared, node, steps) if by_type is None else by_type(self, node, steps)

    def scalar(self, kind: Kind, node: Node, steps: Steps) -> Any:
        """A single value of `kind`."""
        if not isinstance(node, Scalar) or node.empty:
            return self.wrong(node, steps, _wanted(kind))
        try:
            return kind.read(node.text)
        except Misread as misread:
            return self.wrong(node, steps, misread.wanted)

    def sequence(self, declared: Any, node: Node, steps: Steps, kind: Kind | None) -> Any:
        """A tuple, each item read as `declared`."""
        if not isinstance(node, Sequence):
            return self.wrong(node, steps, "a list")
        items = []
        for index, item in enumerate(node.items):
            self.where[(*steps, index)] = item
            items.append(self.value(declared, item, (*steps, index), kind))
        return MISSING if any(isinstance(item, _Missing) for item in items) else tuple(items)

    def mapping(self, declared_key: Any, declared: Any, node: Node, steps: Steps) -> Any:
        """A dict, each key and value read as declared."""
        if not isinstance(node, tree.Mapping):
            return self.wrong(node, steps, "keys and values")
        found = {}
        for key, item in node.pairs:
            self.where[(*steps, key.text)] = key
            read_key = self._key(declared_key, key, steps)
            read_item = self.value(declared, item, (*steps, key.text))
            if read_key in found and not isinstance(read_key, _Missing):
                self.problems.error(key, f"{quote(key.text)} stands here again in other words, expected once")
            found[read_key] = read_item
        return MISSING if MISSING in found or MISSING in found.values() else found

    def _key(self, declared: Any, key: Scalar, steps: Steps) -> Any:
        kind = kind_among(typing.get_args(declared)[1:])
        assert kind is not None
        try:
            return kind.read(key.text)
        except Misread as misread:
            if isinstance(kind, OneOf):
                self.unknown(key, steps, kind.words)
            else:
                self.problems.error(key, f"key {quote(key.text)} in {name_of(steps)}, expected {misread.wanted}")
            return MISSING

    def wrong(self, node: Node, steps: Steps, wanted: str) -> _Missing:
        """Tell that what stands at `steps` is not what was wanted."""
        if type(node) is not Node:
            self.problems.error(node, f"{label(steps)} is {describe(node)}, expected {wanted}")
        return MISSING

    def unknown(self, key: Scalar, steps: Steps, known: Iterable[str]) -> str | None:
        """Tell that a key is not one; gives the key that was probably meant."""
        known = list(known)
        close = nearest(key.text.removesuffix("_s"), known) or nearest(key.text, known)
        if close is not None:
            wanted = f"did you mean `{close}`?"
        elif len(known) > 24:
            wanted = "expected one that `smsroute check --defaults` prints"
        else:
            wanted = f"expected one of {', '.join(known)}"
        place = f" in {name_of(steps)}" if steps else ""
        self.problems.error(key, f"unknown key {quote(key.text)}{place}, {wanted}")
        return close

    def secret(self, node: Node, steps: Steps) -> Any:
        """A password; nothing of it is ever repeated."""
        found = secret.read(self, node, str(steps[-1]), name_of(steps), hashed=steps[0] == "esmes")
        return MISSING if found is None else found

    def dialect(self, node: Node, steps: Steps) -> Any:
        """A carrier's dialect, laid over the preset it names."""
        own = self.noun(Dialect, node, steps)
        return own if isinstance(own, _Missing) else presets.laid_over(own, self.where, steps)

    def path(self, node: Node, steps: Steps) -> Any:
        """A path, made whole from the config folder."""
        if not isinstance(node, Scalar) or not node.text or "\0" in node.text:
            return self.wrong(node, steps, "a path")
        return Path(os.path.abspath(self.directory / node.text))

    def tls(self, node: Node, steps: Steps) -> Any:
        """TLS settings whose files can be read here."""
        found = self.noun(Tls, node, steps)
        if isinstance(found, _Missing) or not self.secrets:
            return found
        given = [(key, getattr(found, key)) for key in ("certificate", "key", "ca")]
        readable = [self._readable(path, (*steps, key)) for key, path in given if path is not None]
        return found if all(readable) else MISSING

    def _readable(self, path: Path, steps: Steps) -> bool:
        try:
            with open(path, "rb") as file:
                file.read(1)
        except OSError as fault:
            self.problems.error(self.where[steps], f"file `{path}`: {reason(fault)}, expected a PEM file")
            return False
        return True

    def named(self, noun: type, kind: Kind, node: Node, steps: Steps) -> Any:
        """Nouns by name: carriers, esmes, networks."""
        if not isinstance(node, tree.Mapping):
            return self.wrong(node, steps, f"a name for each {str(steps[-1]).removesuffix('s')}, and its keys")
        found: dict[str, Any] = {}
        for key, item in node.pairs:
            at = (*steps, key.text)
            self.where[at] = key
            try:
                kind.read(key.text)
            except Misread as misread:
                self.problems.error(key, f"{name_of(at)} is not a name, expected {misread.wanted}")
            found[key.text] = self.noun(noun, item, at, name=key.text)
        return MISSING if MISSING in found.values() else found

    def networks(self, node: Node, steps: Steps) -> Any:
        """Networks by name, with their prefixes."""
        named = self.named(NamedNetwork, NETWORK_NAME, node, steps)
        if isinstance(named, _Missing):
            return MISSING
        found = {name: networks.resolve(self, network, (*steps, name)) for name, network in named.items()}
        return MISSING if None in found.values() else found

    def targets(self, declared: Any, node: Node, steps: Steps) -> Any:
        """Digits, and names of networks, which have a letter first."""
        found = self.value(declared, node, steps)
        if not isinstance(found, _Missing):
            assert isinstance(node, Sequence)
            pairs = zip(found, node.items, strict=True)
            self.references.extend(("networks", target, item) for target, item in pairs if target[:1].isalpha())
        return found

    def route(self, node: Node, steps: Steps) -> Any:
        """A route, with the place where it stands."""
        return self.noun(Route, node, steps, line=node.line, path=os.path.basename(node.path))

    def route_name(self, declared: Any, node: Node, steps: Steps) -> Any:
        """A route's name, which no other has."""
        name = self.value(declared, node, steps)
        if not isinstance(name, _Missing):
            first = self.named_routes.setdefault(name, node)
            if first is not node:
                place = f"{os.path.basename(first.path)}:{first.line}"
                self.problems.error(node, f"a second route `{name}`, expected a name of its own (first on {place})")
        return name

    def reference(self, section: str, declared: Any, node: Node, steps: Steps) -> Any:
        """A name that must stand in `section`; looked up once everything is read."""
        name = self.value(declared, node, steps)
        if not isinstance(name, _Missing):
            self.references.append((section, name, node))
        return name

    def references_to(self, section: str, declared: Any, node: Node, steps: Steps) -> Any:
        """A list of such names."""
        names = self.value(declared, node, steps)
        if not isinstance(names, _Missing):
            assert isinstance(node, Sequence)
            self.references.extend((section, name, item) for name, item in zip(names, node.items, strict=True))
        return names

    def by_reference(self, section: str, declared: Any, node: Node, steps: Steps) -> Any:
        """Values by name, each of which must stand in `section`."""
        found = self.value(declared, node, steps)
        if not isinstance(found, _Missing):
            assert isinstance(node, tree.Mapping)
            self.references.extend((section, key.text, key) for key, _ in node.pairs)
        return found

    def in_doubt(self, node: Node, steps: Steps) -> Any:
        """The policy for all four classes; `default` speaks for those not named. MISSING keeps the house's own."""
        if not isinstance(node, tree.Mapping):
            return self.wrong(node, steps, "{otp: …, alert: …, info: …, marketing: …, default: …}")
        found: dict[object, Any] = {}
        known = {**CLASS.words, "default": "default"}
        for key, item in node.pairs:
            if key.text not in known:
                self.unknown(key, steps, known)
                found[key.text] = MISSING
                continue
            found[known[key.text]] = self._policy(item, (*steps, key.text))
        if MISSING in found.values():
            return MISSING
        return found

    def _policy(self, node: Node, steps: Steps) -> Any:
        if isinstance(node, Scalar) and node.text == "hold":
            return InDoubt()
        if not isinstance(node, tree.Mapping) or len(node.pairs) != 1:
            return self.wrong(node, steps, IN_DOUBT_WANTED)
        ((key, value),) = node.pairs
        if key.text not in ("resend_after", "fail_after"):
            self.unknown(key, steps, ("resend_after", "fail_after"))
            return MISSING
        after_s = self.scalar(RESEND_AFTER, value, (*steps, key.text))
        if isinstance(after_s, _Missing):
            return MISSING
        return InDoubt("resend" if key.text == "resend_after" else "fail", after_s)


def reason(fault: Exception) -> str:
    """Why the system refused, in its own words."""
    strerror = getattr(fault, "strerror", None)
    return str(strerror or fault).lower()


def _wanted(kind: Kind) -> str:
    """What `kind` accepts, asked of the kind itself."""
    try:
        kind.read("\0")
    except Misread as misread:
        return misread.wanted
    raise AssertionError(kind)


def _needs(row: Row, steps: Steps) -> str:
    declared, kind = row.declared, row.kind
    if typing.get_origin(declared) is Annotated:
        declared = typing.get_args(declared)[0]
    if declared is Secret:
        return f"expected {secret.WANTED_OR_HASH if steps[0] == 'esmes' else secret.WANTED}"
    if kind is None:
        return "expected a list"
    return f"expected {_wanted(kind)}"


BY_TYPE: Final[dict[Any, Callable[[Reader, Node, Steps], Any]]] = {
    Secret: Reader.secret,
    Path: Reader.path,
    Tls: Reader.tls,
    Dialect: Reader.dialect,
    Route: Reader.route,
}

# Fields that are more than their declared type says: (noun, field) -> how they are read.
CUSTOM: Final[dict[tuple[type, str], Callable[[Reader, Any, Node, Steps, Any], Any]]] = {
    (Config, "esmes"): lambda reader, _type, node, at, _kind: reader.named(Esme, ESME_NAME, node, at),
    (Config, "carriers"): lambda reader, _type, node, at, _kind: reader.named(Carrier, CARRIER_NAME, node, at),
    (Config, "networks"): lambda reader, _type, node, at, _kind: reader.networks(node, at),
    (Dialect, "preset"): lambda reader, _type, node, at, _kind: reader.scalar(presets.KIND, node, at),
    (Route, "to"): lambda reader, declared, node, at, _kind: reader.targets(declared, node, at),
    (Route, "name"): lambda reader, declared, node, at, _kind: reader.route_name(declared, node, at),
    (Route, "esmes"): lambda reader, declared, node, at, _kind: reader.references_to("esmes", declared, node, at),
    (Choice, "carrier"): lambda reader, declared, node, at, _kind: reader.reference("carriers", declared, node, at),
    (CarrierCaps, "esmes"): lambda reader, declared, node, at, _kind: reader.by_reference("esmes", declared, node, at),
    (MoRule, "name"): lambda reader, declared, node, at, _kind: reader.route_name(declared, node, at),
    (MoRule, "esme"): lambda reader, declared, node, at, _kind: reader.reference("esmes", declared, node, at),
    (MoRule, "carriers"): lambda reader, declared, node, at, _kind: reader.references_to(
        "carriers", declared, node, at
    ),
    (Route, "in_doubt"): lambda reader, _type, node, at, _kind: reader.in_doubt(node, at),
}
