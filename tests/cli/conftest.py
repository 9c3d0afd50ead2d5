"""One town for the verbs that only look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.town import Town, town


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """An engine at work; whoever changes it puts it back."""
    with town(tmp_path_factory.mktemp("town") / "config") as it:
        yield it
