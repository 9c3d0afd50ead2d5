"""A folder of YAML files becomes one Config, or every error in it.

Rules:
- All files are read and all checks run before anything is raised; warnings travel on the Config.
- A section stands in smsroute.yaml or in its own file (esmes.yaml, carriers.yaml, networks.yaml, routes.yaml; `mo` in
  routes.yaml), never in both.
- A part that could not be read silences only what follows from it, so that one slip gives one error.

Walk: called by `smsroute check`, `serve` and reload; `places` by the verbs that only look for a running engine and must
find it even while somebody is half-way through an edit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Any, Final

import attrs

from smsroute.config import checks
from smsroute.config.limits import FILE_OCTETS_MAX
from smsroute.config.nouns import Config, ConfigError, ConfigErrors, InDoubt, Route, default_in_doubt
from smsroute.config.read import MISSING, Reader, reason, rows
from smsroute.config.tree import Mapping, Node, Problems, Scalar, describe, nearest, parse, quote
from smsroute.message import MessageClass

MAIN: Final = "smsroute.yaml"
SECTIONS: Final = ("esmes", "carriers", "networks", "routes")
"""Each may have a file of its own, named after it."""
NEEDED: Final = ("esmes", "carriers", "routes")
GUESTS: Final = {"mo": "routes"}
"""Section -> the section in whose file it may stand, too."""


@attrs.frozen
class Places:
    """Where a running engine is found."""

    directory: Path
    node: str
    control: Path
    store: str
    mask_numbers: bool


def load(directory: str | Path, environ: MappingType[str, str], secrets: bool = True) -> Config:
    """The Config of a folder. Raises ConfigErrors with everything that is wrong.

    `environ` is where `{env: NAME}` looks. With `secrets=False` nothing is looked for that only the engine's own
    machine has (env and file secrets, TLS files); passwords that are not plain come out empty.
    """
    return _Folder(directory, environ, secrets).load()


def places(directory: str | Path) -> Places:
    """Where the engine of this folder is found, however wrong the folder is; what cannot be read has its default."""
    folder = _Folder(directory, {}, secrets=False)
    found: dict[str, Any] = {}
    for key, node in folder.pairs(MAIN):
        if key.text in ("node", "control", "store", "mask_numbers"):
            one = Mapping(node.path, node.line, node.column)
            one.pairs.append((key, node))
            config = folder.reader.noun(Config, one, (), directory=folder.whole)
            if config is not MISSING:
                found[key.text] = getattr(config, key.text)
    config = _settled(Config(folder.whole, **found), folder.reader)
    return Places(config.directory, config.node, config.control, config.store, config.mask_numbers)


class _Folder:
    """One folder being read."""

    def __init__(self, directory: str | Path, environ: MappingType[str, str], secrets: bool) -> None:
        self.directory = Path(directory)
        self.whole = Path(os.path.abspath(directory))
        self.problems = Problems()
        self.reader = Reader(self.problems, self.whole, environ, secrets, checks.CHECKS)
        self.paths = [str(self.directory / name) for name in (MAIN, *(f"{section}.yaml" for section in SECTIONS))]
        self.unread: set[str] = set()  # sections that stand somewhere and could not be read
        self.digest = hashlib.sha256()

    def load(self) -> Config:
        if not self.directory.is_dir():
            at = Node(str(self.directory), 0, 0)
            self.problems.error(at, f"{self._absence()}, expected a folder with {MAIN} in it")
            raise ConfigErrors(self._errors())
        merged = self._merged()
        self._strays()
        config = self.reader.noun(Config, merged, (), directory=self.whole)
        names = {key.text: [k.text for k, _ in node.pairs] for key, node in merged.pairs if isinstance(node, Mapping)}
        if "networks" not in [key.text for key, _ in merged.pairs]:
            names["networks"] = []
        checks.references(self.reader, {s: names[s] for s in SECTIONS if s in names and s not in self.unread})
        if config is not MISSING:
            config = _settled(config, self.reader)
            checks.control_path(self.reader, config)
            if not self._errors():
                checks.warnings(self.reader, config)
            for network in config.networks.values():
                self.digest.update(f"{network.name} {network.source} {network.stamp}\n".encode())
        warnings = self.problems.warnings(self.paths)
        if self._errors():
            raise ConfigErrors(self._errors(), warnings)
        whole: Config = attrs.evolve(config, warnings=tuple(warnings), digest=self.digest.hexdigest()[:12])
        return whole

    def pairs(self, name: str) -> list[tuple[Scalar, Node]]:
        """The keys and values of one file; none, and the problem told, when it has no such thing."""
        path = str(self.directory / name)
        whole_file = Node(path, 0, 0)
        try:
            with open(path, "rb") as file:
                octets = file.read(FILE_OCTETS_MAX + 1)
        except OSError as fault:
            self.problems.error(whole_file, f"{reason(fault)}, expected a file that this user can read")
            return []
        self.digest.update(f"{name} {len(octets)}\n".encode())
        self.digest.update(octets)
        root = parse(path, octets, self.problems)
        keys = "keys such as `node` and `listen`" if name == MAIN else f"`{name.removesuffix('.yaml')}:`"
        if isinstance(root, Mapping):
            if not root.pairs and root.line:
                self.problems.error(root, f"no keys, expected {keys}")
            return root.pairs
        if isinstance(root, Scalar) and root.empty:
            self.problems.error(whole_file, f"the file is empty, expected {keys}")
        elif root is not None and type(root) is not Node:
            self.problems.error(root, f"the file is {describe(root)}, expected keys and values")
        return []

    def _merged(self) -> Mapping:
        """All files as one mapping."""
        merged = Mapping(self.paths[0], 0, 0)
        merged.pairs.extend(self.pairs(MAIN))
        main_read = bool(merged.pairs)
        first = {key.text: key for key, _ in merged.pairs}
        for section in SECTIONS:
            name = f"{section}.yaml"
            if not os.path.lexists(self.directory / name):
                if section in NEEDED and section not in first and main_read:
                    said = f"no `{section}`, expected them here or in {name}"
                    self.problems.error(Node(self.paths[0], 0, 0), said)
                continue
            pairs = self.pairs(name)
            if section not in [key.text for key, _ in pairs]:
                self.unread.add(section)
            for key, node in pairs:
                if key.text != section and GUESTS.get(key.text) != section:
                    self._misplaced(key, section)
                elif key.text in first:
                    place = f"{MAIN}:{first[key.text].line}"
                    said = f"`{key.text}` stands in two files, expected it in one (first in {place})"
                    self.problems.error(key, said)
                else:
                    merged.pairs.append((key, node))
        return merged

    def _misplaced(self, key: Scalar, section: str) -> None:
        known = [row.key for row in rows(Config)]
        if key.text in known:
            home = GUESTS.get(key.text, key.text)
            homes = f"{home}.yaml or {MAIN}" if home in SECTIONS else MAIN
            self.problems.error(key, f"`{key.text}` in {section}.yaml, expected it in {homes}")
            if key.text in SECTIONS:
                self.unread.add(key.text)
        else:
            self.problems.error(key, f"unknown key {quote(key.text)} in {section}.yaml, expected `{section}` only")

    def _strays(self) -> None:
        known = [os.path.basename(path) for path in self.paths]
        for name in sorted(os.listdir(self.directory)):
            if name in known or not name.endswith((".yaml", ".yml")):
                continue
            close = nearest(name, known)
            if close is not None:
                at = Node(str(self.directory / name), 0, 0)
                self.problems.warn(at, f"this file is not read, did you mean `{close}`?")

    def _absence(self) -> str:
        return "not a folder" if self.directory.exists() else "no such folder"

    def _errors(self) -> list[ConfigError]:
        return self.problems.errors(self.paths)


def _settled(config: Config, reader: Reader) -> Config:
    """Paths made whole, and what other keys decide where nothing was said."""
    scheme, _, folder = config.store.partition(":")
    limits = config.limits
    house = default_in_doubt(limits)
    esmes = {
        name: esme
        if ("esmes", name, "validity") in reader.where
        else attrs.evolve(esme, validity_s=limits.validity_default_s)
        for name, esme in config.esmes.items()
    }
    return attrs.evolve(
        config,
        store=f"{scheme}:{os.path.abspath(config.directory / folder)}",
        control=Path(os.path.abspath(config.directory / config.control)),
        esmes=esmes,
        routes=tuple(
            _with_policy(route, house, ("routes", index, "in_doubt") in reader.where)
            for index, route in enumerate(config.routes)
        ),
    )


def _with_policy(route: Route, house: dict[MessageClass, InDoubt], given: bool) -> Route:
    if not given:
        return attrs.evolve(route, in_doubt=house)
    said: dict[Any, Any] = dict(route.in_doubt)
    return attrs.evolve(route, in_doubt={c: said.get(c) or said.get("default") or house[c] for c in house})
