"""Named networks: a list of prefixes in the config, a file of them, or what a country and its operators have.

Rules:
- A network says where its prefixes come from in exactly one way; the source and its version are kept beside them.
- A file has one prefix a line, or is a table with the prefix in its first column (`,`, `;` or a tab between columns,
  quotes allowed); blank lines and what follows a `#` are passed over, and so is a first line that names the columns.
- Every bad line is told with its number, up to BAD_LINES_TOLD, the rest are counted; then nothing is loaded.

A number-portability file has a million lines, so one regular expression reads the whole text at the speed of C; only
when it finds fewer lines than there are does a loop look for those it could not read. Measured (one core of a shared
2-core machine, Python 3.11): a folder with 1,000,000 lines of `PREFIX,OPERATOR` loads in 0.6 s, and is refused for one
bad line in as much; each prefix takes about 100 octets.

Walk: called by `read` for each network; the warnings by `checks`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs

from smsroute.config.limits import BAD_LINES_TOLD, NETWORK_FILE_OCTETS_MAX, NETWORK_PREFIXES_MAX
from smsroute.config.nouns import NamedNetwork
from smsroute.config.tree import Node, nearest, quote

if TYPE_CHECKING:
    from smsroute.config.read import Reader, Steps

SOURCES: Final = ("prefixes", "file", "country")
WANTED: Final = "{prefixes: [...]}, {file: PATH} or {country: FR}"
PIECE_CHARACTERS: Final = 1 << 17  # takes about 5 ms
LINE_WANTED: Final = "1 to 15 digits without + or spaces"

_LINE: Final = r'(?: *"?([0-9]{1,15})"?[ \t]*(?:[,;\t#].*)?|[ \t]*(?:#.*)?)\r?'
_LINES: Final = re.compile(rf"^{_LINE}$", re.MULTILINE)
_ONE_LINE: Final = re.compile(_LINE)
_HEADING: Final = re.compile(r'(?:[ \t]*(?:#.*)?\r?\n)*[ \t]*"?[A-Za-z].*')
_FIRST_COLUMN: Final = re.compile(r' *"?([^",;\t#\r]*)')


def resolve(reader: Reader, network: NamedNetwork, steps: Steps) -> NamedNetwork | None:
    """`network` with its prefixes, or None after telling what is wrong."""
    given = [source for source in SOURCES if (*steps, source) in reader.where]
    if len(given) != 1:
        said = f"has {' and '.join(f'`{source}`' for source in given)}" if given else "says no prefixes"
        reader.problems.error(reader.where[steps], f"network `{network.name}` {said}, expected {WANTED}")
        return None
    at = reader.where[(*steps, given[0])]
    if network.operator and given != ["country"]:
        said = "`operator` stands alone, expected `country` beside it"
        reader.problems.error(reader.where[(*steps, "operator")], said)
        return None
    if network.country:
        return _of_country(reader, network, steps)
    if network.file is not None:
        return _of_file(reader, network, at)
    numbers = tuple(dict.fromkeys(network.prefixes))
    _twice(reader, at, network, len(network.prefixes) - len(numbers))
    return attrs.evolve(network, numbers=numbers) if _some(reader, at, numbers) else None


def _some(reader: Reader, at: Node, numbers: Collection[str]) -> bool:
    if numbers and len(numbers) <= NETWORK_PREFIXES_MAX:
        return True
    said = f"{len(numbers):,} prefixes" if numbers else "no prefixes"
    wanted = f"at most {NETWORK_PREFIXES_MAX:,}" if numbers else "at least one"
    reader.problems.error(at, f"{said}, expected {wanted}")
    return False


def _twice(reader: Reader, at: Node, network: NamedNetwork, count: int) -> None:
    if count:
        said = f"{count:,} prefix{'es stand' if count > 1 else ' stands'} twice in network `{network.name}`"
        reader.problems.warn(at, f"{said}, expected each once")


def _of_country(reader: Reader, network: NamedNetwork, steps: Steps) -> NamedNetwork | None:
    from smsroute.config import countries

    source, step = countries.SOURCE, "country"
    try:
        numbers = countries.of_country(network.country)
        if network.operator:
            step = "operator"
            name, numbers = countries.of_operator(network.country, network.operator)
            source = f"{name}, {source}"
    except countries.Unknown as unknown:
        close = nearest(getattr(network, step), unknown.known)
        meant = f"did you mean `{close}`? " if close else ""
        reader.problems.error(reader.where[(*steps, step)], f"{unknown.said}, {meant}expected {unknown.wanted}")
        return None
    return attrs.evolve(network, numbers=numbers, source=source)


def _of_file(reader: Reader, network: NamedNetwork, at: Node) -> NamedNetwork | None:
    assert network.file is not None
    name = os.path.relpath(network.file, reader.directory)
    path = os.path.join(os.path.dirname(at.path), name)
    try:
        with open(network.file, "rb") as file:
            octets = file.read(NETWORK_FILE_OCTETS_MAX + 1)
    except OSError as fault:
        said = f"file {quote(name)}: {str(fault.strerror).lower()}"
        reader.problems.error(at, f"{said}, expected one prefix a line")
        return None
    whole = Node(path, 0, 0)
    if len(octets) > NETWORK_FILE_OCTETS_MAX:
        reader.problems.error(whole, f"larger than {NETWORK_FILE_OCTETS_MAX >> 20} MiB, expected at most that")
        return None
    # Only digits matter: whatever the alphabet of the other columns, latin-1 reads it.
    text = octets.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    heading = _HEADING.match(text)
    if heading is not None:
        text = "\n" * heading[0].count("\n") + text[heading.end() :]
    found: dict[str, None] = {}
    lines = 0
    for some in _pieces(text):
        read: list[Any] = _LINES.findall(some)
        if len(read) != some.count("\n") + 1:
            _tell_bad_lines(reader, path, text)
            return None
        lines += len(read) - read.count("")
        found.update(dict.fromkeys(read))
    found.pop("", None)
    _twice(reader, whole, network, lines - len(found))
    if not _some(reader, whole, found):
        return None
    stamp = hashlib.sha256(octets).hexdigest()[:12]
    return attrs.evolve(network, numbers=tuple(found), source=os.path.basename(path), stamp=stamp)


def _pieces(text: str) -> Iterator[str]:
    """Whole lines, so many at a time, without the line end of the last: the loop of a running engine, which reads its
    config again in a thread, has its turn between two of them."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + PIECE_CHARACTERS)
        end = len(text) if end < 0 else end + 1
        yield text[at:end].removesuffix("\n")
        at = end


def _tell_bad_lines(reader: Reader, path: str, text: str) -> None:
    bad = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if _ONE_LINE.fullmatch(line):
            continue
        bad += 1
        if bad <= BAD_LINES_TOLD:
            column = _FIRST_COLUMN.match(line)
            assert column is not None
            said = f"{quote(column[1].rstrip())} is no prefix" if column[1].strip() else "no prefix in the first column"
            reader.problems.error(Node(path, number, column.start(1) + 1), f"{said}, expected {LINE_WANTED}")
    if bad > BAD_LINES_TOLD:
        reader.problems.error(Node(path, 0, 0), f"{bad - BAD_LINES_TOLD:,} more lines are no prefixes")
