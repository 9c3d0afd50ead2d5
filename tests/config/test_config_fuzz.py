"""Whatever the octets, loading gives a Config or ConfigErrors."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsroute.config import ConfigErrors, load, places
from smsroute.config.show import show

EXAMPLES = Path(__file__).parents[2] / "config"
NAMES = ("smsroute.yaml", "esmes.yaml", "carriers.yaml", "networks.yaml", "routes.yaml")
WHOLE = "\n".join((EXAMPLES / name).read_text() for name in NAMES)

# Pieces of YAML and of our own language, so that the nonsense is close to sense.
OURS = """
    node listen address tls store control http limits esmes carriers routes name to from classes prefer in_doubt otp
    networks prefixes country operator FR from_kind short data_codings hours time_zone UTC 22:00-06:00
    default hold resend_after carrier cost weight certified backup password plain env file binds mode count window
    rate dialect ids errors outcomes 0x45 transient orange acme 127.0.0.1:1 30s 2000/s true 336 +336 ~ null <<
"""
WORDS = st.sampled_from(re.findall(r"\S+", OURS))
SCALARS = st.one_of(WORDS, st.text(max_size=6), st.integers().map(str), st.just("''"), st.just(""))
TREES: Any = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(SCALARS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
        inner.map(lambda item: f"&a {item}"),
        st.just("*a"),
        inner.map(lambda item: f"!!str {item}"),
    ),
    max_leaves=12,
)
SECTIONS = st.sampled_from(["node", "listen", "http", "limits", "esmes", "carriers", "routes"])
FILES = st.lists(st.tuples(SECTIONS, TREES), max_size=6).map(
    lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
)


def loads_or_tells(octets: bytes) -> None:
    """Load them as smsroute.yaml; what is told must name a place and say something."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "smsroute.yaml").write_bytes(octets)
        places(directory)
        try:
            show(load(directory, {}))
        except ConfigErrors as wrong:
            assert wrong.errors
            for error in wrong.errors:
                assert error.path.startswith(directory)
                assert error.line >= 0
                assert "\n" not in str(error)


@given(st.text())
def test_any_text(text: str) -> None:
    """Text of any characters raises nothing but ConfigErrors."""
    loads_or_tells(text.encode("utf-8", "surrogatepass"))


@given(st.binary())
def test_any_octets(octets: bytes) -> None:
    """So do octets that are no text."""
    loads_or_tells(octets)


@given(FILES)
@settings(max_examples=200)
def test_any_tree_of_our_own_words(text: str) -> None:
    """So does YAML with our keys in every wrong place."""
    loads_or_tells(text.encode("utf-8", "surrogatepass"))


@given(st.data())
@settings(max_examples=200)
def test_the_examples_with_one_wound(data: st.DataObject) -> None:
    """So does a right config from which a piece is cut, doubled or replaced."""
    start = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(start, min(len(WHOLE), start + 80)))
    middle = data.draw(st.one_of(st.just(""), st.just(2 * WHOLE[start:end]), st.text(max_size=8), TREES))
    loads_or_tells((WHOLE[:start] + middle + WHOLE[end:]).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a:\n" + " " * 9 + "- " * 5000])
def test_depth_touches_no_stack(text: str) -> None:
    """A hundred thousand levels are one error, not a crash."""
    loads_or_tells(text.encode())
