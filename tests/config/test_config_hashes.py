"""Passwords kept as hashes: made, read, checked. smsroute/config/hashes.py, secret.py, cli/hash.py."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import argon2
import pytest

from smsroute.cli import main
from smsroute.config import Secret, hashes

SALT = bytes(range(16))
OURS = hashes.make("scrypt", b"secret", SALT)
THEIRS = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(b"secret", salt=SALT)


class TestMatch:
    @pytest.mark.parametrize(("kind", "text"), [("scrypt", OURS), ("argon2", THEIRS)])
    def test_right_and_wrong(self, kind: str, text: str) -> None:
        """Only the password itself matches."""
        assert hashes.matches(kind, text, b"secret")
        assert not any(hashes.matches(kind, text, offer) for offer in (b"Secret", b"secret ", b""))

    def test_scrypt_is_what_others_make(self) -> None:
        """RFC 7914's third vector, as a PHC string: another's hash is checked like ours."""
        wanted = hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=16384, r=8, p=1, maxmem=64 << 20, dklen=64)
        assert wanted.hex().startswith("7023bdcb3afd7348461c06cd81fd38eb")
        salt, octets = (base64.b64encode(part).decode().rstrip("=") for part in (b"SodiumChloride", wanted))
        assert hashes.matches("scrypt", f"$scrypt$ln=14,r=8,p=1${salt}${octets}", b"pleaseletmein")

    @pytest.mark.parametrize(
        "text", ["", "$scrypt$", OURS[:-30], OURS.replace("ln=15", "ln=0"), OURS.replace("r=8", "r=999"), THEIRS]
    )
    def test_no_hash(self, text: str) -> None:
        """What is none, and what would take more memory than we give, is refused when it is read."""
        with pytest.raises(hashes.BadHash):
            hashes.judge("scrypt", text)

    def test_too_dear(self) -> None:
        """An argon2 hash that wants a gigabyte is refused."""
        with pytest.raises(hashes.BadHash, match="takes more than 256 MiB"):
            hashes.judge("argon2", THEIRS.replace("m=1024", "m=1048576"))


class TestConfig:
    def test_under_its_key(self, folder: Any) -> None:
        """{scrypt: HASH} and {argon2: HASH} are passwords of ESMEs; neither shows in a repr."""
        for kind, text in (("scrypt", OURS), ("argon2", THEIRS)):
            config = folder.load({"esmes.yaml": f'esmes: {{acme: {{password: {{{kind}: "{text}"}}}}}}\n'})
            secret = config.esmes["acme"].password
            assert (secret.hashed, secret.origin) == (kind, kind)
            assert secret.matches(b"secret")
            assert text not in repr(config)

    def test_from_the_environment_and_a_file(self, folder: Any) -> None:
        """What they hold for an ESME may be a hash as well: it looks like one."""
        (folder.path / "acme.hash").write_text(THEIRS + "\n")
        for source in ("{env: ACME}", "{file: acme.hash}"):
            config = folder.load({"esmes.yaml": f"esmes: {{acme: {{password: {source}}}}}\n"}, {"ACME": OURS})
            assert config.esmes["acme"].password.hashed

    def test_a_carrier_s_cannot_be_one(self, folder: Any) -> None:
        """We have to send a carrier its password: what looks like a hash is then too long to be one."""
        carrier = "carriers: {orange: {system_id: a, password: {env: ORANGE}, binds: [{address: 'h:1'}]}}\n"
        (said,) = folder.says({"carriers.yaml": carrier}, {"ORANGE": OURS})
        assert "is longer than an SMPP password can be" in said

    def test_nobody_reveals_it(self) -> None:
        """A hash is never sent to anybody as a password."""
        with pytest.raises(AssertionError):
            Secret(OURS.encode(), "scrypt", "scrypt").reveal()


class TestVerb:
    @pytest.mark.parametrize(("options", "kind"), [((), "scrypt"), (("--argon2",), "argon2")])
    def test_the_line_it_prints_works(
        self,
        options: tuple[str, ...],
        kind: str,
        folder: Any,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """`smsroute hash` prints the line that lets its password in; each time another salt."""
        lines = []
        for _ in range(2):
            monkeypatch.setattr("sys.stdin", io.StringIO("s3cret pass\n"))
            assert main(["hash", *options]) == 0
            lines.append(capsys.readouterr().out)
        assert lines[0] != lines[1]
        config = folder.load({"esmes.yaml": f"esmes:\n  acme:\n    {lines[0]}"})
        assert config.esmes["acme"].password.hashed == kind
        assert config.esmes["acme"].password.matches(b"s3cret pass")

    def test_no_password(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """What SMPP cannot carry is refused, and not repeated."""
        for text in ("", "x" * 65, "hunter\u00fc"):
            monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n"))
            assert main(["hash"]) == 1
            told = capsys.readouterr()
            assert told.out == ""
            assert "expected 1..64 printable ASCII characters" in told.err
            assert not text or text not in told.err
