"""A config folder in a test: the smallest one that is right, and whatever the test changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smsroute.config import Config, ConfigErrors, load

SMALLEST = {
    "smsroute.yaml": "node: n1\n",
    "esmes.yaml": "esmes:\n  acme:\n    password: {plain: secret}\n",
    "carriers.yaml": (
        "carriers:\n  orange:\n    system_id: smsroute\n    password: {plain: secret}\n"
        "    binds:\n      - address: 127.0.0.1:3001\n"
    ),
    "routes.yaml": 'routes:\n  - name: all\n    to: [""]\n    carriers:\n      - carrier: orange\n',
}

Files = Mapping[str, str | bytes | None]


class Folder:
    """Files in a temporary folder; what loading them gives or says."""

    smallest = SMALLEST

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Files) -> None:
        """The smallest config with these files instead; None leaves a file out."""
        for name, text in {**SMALLEST, **files}.items():
            if isinstance(text, bytes):
                (self.path / name).write_bytes(text)
            elif text is not None:
                (self.path / name).write_text(text, encoding="utf-8")

    def load(self, files: Files | None = None, environ: Mapping[str, str] | None = None) -> Config:
        self.write(files or {})
        return load(self.path, environ or {})

    def says(self, files: Files, environ: Mapping[str, str] | None = None) -> list[str]:
        """Errors and warnings as printed, without the folder."""
        self.write(files)
        try:
            told = load(self.path, environ or {}).warnings
        except ConfigErrors as wrong:
            told = (*wrong.errors, *wrong.warnings)
        return [str(error).replace(f"{self.path}/", "").replace(str(self.path), "FOLDER") for error in told]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def section(folder: Folder) -> Callable[[str, str], list[str]]:
    """What is said when one file holds this text: section("routes", "routes: []")."""
    return lambda name, text: folder.says({f"{name}.yaml": text})
