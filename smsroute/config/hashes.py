"""Passwords kept as hashes: scrypt and argon2 in PHC strings, made and checked.

Rules:
- `$scrypt$ln=15,r=8,p=1$SALT$HASH` and `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`, base64 without padding: what other
  tools write and read.
- A hash that would take more than HASH_MEMORY_OCTETS_MAX to check is refused when it is read, not when somebody binds.
- A check takes 50 to 120 ms of a core on purpose: nobody calls one on the event loop.

Walk: judged by `secret`; checked by `nouns.Secret.matches`, which `esmes/porter` calls in a thread; made by `smsroute
hash`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

HASH_MEMORY_OCTETS_MAX: Final = 256 << 20
HASH_OCTETS_MAX: Final = 256
KINDS: Final = ("scrypt", "argon2")
LN: Final = 15  # 2**15 rounds of r=8: 32 MiB and some 90 ms; RFC 7914 suggests 2**14 where people wait
LANES: Final = 1
"""Of argon2: each is a thread of its own, and four of them take both cores from the event loop (gaps of 90 ms seen)."""
_SCRYPT: Final = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,3}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{8,86})\$([A-Za-z0-9+/]{22,86})", re.ASCII
)


class BadHash(ValueError):
    """It is no hash of this kind, or one that cannot be checked here; says which in a few words."""


def kind_of(text: str) -> str:
    """scrypt or argon2 by how the text begins; "" for neither."""
    if text.startswith("$argon2"):
        return "argon2"
    return "scrypt" if text.startswith("$scrypt$") else ""


def judge(kind: str, text: str) -> None:
    """Raises BadHash for one that `matches` could not check."""
    if len(text) > HASH_OCTETS_MAX or kind_of(text) != kind:
        raise BadHash(f"is no {kind} hash")
    if kind == "scrypt":
        _scrypt(text)
    else:
        _argon2(text)


def matches(kind: str, text: str, offered: bytes) -> bool:
    """Whether the hash is of `offered`. Raises BadHash when it cannot be checked now: memory, above all."""
    if kind == "scrypt":
        ln, r, p, salt, wanted = _scrypt(text)
        try:
            made = hashlib.scrypt(offered, salt=salt, n=1 << ln, r=r, p=p, maxmem=_room(ln, r, p), dklen=len(wanted))
        except (MemoryError, ValueError, OverflowError) as fault:
            raise BadHash(f"could not be checked: {fault}") from fault
        return hmac.compare_digest(made, wanted)
    import argon2

    try:
        return argon2.PasswordHasher().verify(text, offered)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.Argon2Error, ValueError) as fault:
        raise BadHash(f"could not be checked: {fault}") from fault


def make(kind: str, password: bytes, salt: bytes) -> str:
    """A hash of `password`, for a config. `salt`: 16 octets nobody has used before."""
    if kind == "scrypt":
        made = hashlib.scrypt(password, salt=salt, n=1 << LN, r=8, p=1, maxmem=_room(LN, 8, 1), dklen=32)
        return f"$scrypt$ln={LN},r=8,p=1${_base64(salt)}${_base64(made)}"
    import argon2

    return argon2.PasswordHasher(parallelism=LANES).hash(password, salt=salt)


def _scrypt(text: str) -> tuple[int, int, int, bytes, bytes]:
    found = _SCRYPT.fullmatch(text)
    if found is None:
        raise BadHash("is no scrypt hash")
    ln, r, p = int(found[1]), int(found[2]), int(found[3])
    if not (ln and r and p):
        raise BadHash("is no scrypt hash")
    if ln > 30 or _room(ln, r, p) > HASH_MEMORY_OCTETS_MAX:
        raise BadHash(f"takes more than {HASH_MEMORY_OCTETS_MAX >> 20} MiB to check")
    try:
        salt, wanted = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in (found[4], found[5]))
    except binascii.Error:
        raise BadHash("is no scrypt hash") from None
    return ln, r, p, salt, wanted


def _argon2(text: str) -> None:
    import argon2

    try:
        found = argon2.extract_parameters(text)
    except (argon2.exceptions.Argon2Error, ValueError):
        raise BadHash("is no argon2 hash") from None
    if found.memory_cost << 10 > HASH_MEMORY_OCTETS_MAX:
        raise BadHash(f"takes more than {HASH_MEMORY_OCTETS_MAX >> 20} MiB to check")


def _room(ln: int, r: int, p: int) -> int:
    """Octets that scrypt works in (RFC 7914), and a little."""
    return 128 * r * ((1 << ln) + p + 2) + 4096


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii").rstrip("=")
