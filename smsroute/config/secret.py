"""Passwords in a config: where one comes from, and whether it can be one.

Rules:
- Nothing of a password is ever repeated, whatever is wrong with it.
- An ESME's may be a hash, under its own key or as what the environment or a file holds: we only compare it. A carrier's
  may not: we have to send it.

Walk: called by `read` for each `password`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsroute.config import hashes, tree
from smsroute.config.limits import SECRET_OCTETS_MAX
from smsroute.config.nouns import Secret
from smsroute.config.tree import Node, Scalar, describe, quote

if TYPE_CHECKING:
    from smsroute.config.read import Reader

WANTED: Final = "{plain: TEXT}, {env: NAME} or {file: PATH}"
WANTED_OR_HASH: Final = "{plain: TEXT}, {env: NAME}, {file: PATH}, {scrypt: HASH} or {argon2: HASH}"
PARTS: Final = {
    "plain": "the password",
    "env": "the name of an environment variable",
    "file": "a path",
    "scrypt": "a hash such as `smsroute hash` makes",
    "argon2": "a hash such as `smsroute hash --argon2` makes",
}


def read(reader: Reader, node: Node, key: str, what: str, *, hashed: bool) -> Secret | None:
    """The password that stands at `key`, of `what`, or None. `hashed`: it may be a hash."""
    wanted = WANTED_OR_HASH if hashed else WANTED
    said = describe(node) if not isinstance(node, Scalar) or node.empty else "bare text"
    if not isinstance(node, tree.Mapping):
        reader.problems.error(node, f"`{key}` is {said}, expected {wanted}")
        return None
    sources = tuple(PARTS) if hashed else ("plain", "env", "file")
    if len(node.pairs) != 1 or node.pairs[0][0].text not in sources:
        reader.problems.error(node, f"`{key}` has other keys, expected {wanted}")
        return None
    ((source, value),) = node.pairs
    if not isinstance(value, Scalar) or value.empty:
        said = describe(value) if type(value) is not Node else "nothing"
        reader.problems.error(value, f"`{source.text}` is {said}, expected {PARTS[source.text]}")
        return None
    if source.text in hashes.KINDS:
        return _hash(reader, source.text, value.text, source.text, value, what)
    return _from(reader, source.text, value, what, hashed)


def _from(reader: Reader, source: str, node: Scalar, what: str, hashed: bool) -> Secret | None:
    if source == "plain":
        return _plain(reader, node.text.encode(), "plain", node, what)
    origin = f"{source} {node.text}"
    if not reader.secrets:
        return Secret(b"", origin)
    octets = _environment(reader, node, what) if source == "env" else _file(reader, node, what)
    if octets is None:
        return None
    kind = hashes.kind_of(octets.decode("latin-1"))
    if hashed and kind:
        return _hash(reader, kind, octets.decode("latin-1"), origin, node, what)
    return _plain(reader, octets, origin, node, what)


def _environment(reader: Reader, node: Scalar, what: str) -> bytes | None:
    text = reader.environ.get(node.text)
    if text is None:
        wanted = f"expected it to hold {what}"
        reader.problems.error(node, f"environment variable {quote(node.text)} is not set, {wanted}")
        return None
    return text.encode("utf-8", "surrogateescape")


def _file(reader: Reader, node: Scalar, what: str) -> bytes | None:
    try:
        with open(reader.directory / node.text, "rb") as file:
            octets = file.read(max(SECRET_OCTETS_MAX, hashes.HASH_OCTETS_MAX) + 3)
    except (OSError, ValueError) as fault:
        said = str(getattr(fault, "strerror", None) or fault).lower()
        reader.problems.error(node, f"file {quote(node.text)}: {said}, expected it to hold {what}")
        return None
    return octets.removesuffix(b"\n").removesuffix(b"\r")


def _hash(reader: Reader, kind: str, text: str, origin: str, node: Node, what: str) -> Secret | None:
    try:
        hashes.judge(kind, text)
    except hashes.BadHash as fault:
        reader.problems.error(node, f"{what}{_source(origin)} {fault}, expected {PARTS[kind]}")
        return None
    return Secret(text.encode("ascii"), origin, kind)


def _plain(reader: Reader, octets: bytes, origin: str, node: Node, what: str) -> Secret | None:
    if not 1 <= len(octets) <= SECRET_OCTETS_MAX:
        said = "is longer than an SMPP password can be" if octets else "is empty"
    elif not all(0x20 <= octet < 0x7F for octet in octets):
        said = "has octets that are no printable ASCII"
    else:
        return Secret(octets, origin)
    wanted = f"expected 1..{SECRET_OCTETS_MAX} printable ASCII characters"
    reader.problems.error(node, f"{what}{_source(origin)} {said}, {wanted}")
    return None


def _source(origin: str) -> str:
    source, _, name = origin.partition(" ")
    return f" from {source} {quote(name)}" if name else ""
