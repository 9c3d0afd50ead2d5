"""How single values are written."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import form, kinds, limits, nouns
from smsroute.config.limits import Limits
from smsroute.config.read import kind_among, rows

ANY_SECONDS = kinds.Seconds(0, 1e9)
ANY_RATE = kinds.Rate(0, 1e9)
ANY_OCTETS = kinds.Octets(0, 1 << 50)
ANY_DECIMAL = kinds.Decimal(0, 1e9)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ANY_SECONDS, "500ms", 0.5),
        (ANY_SECONDS, "30s", 30.0),
        (ANY_SECONDS, "1.5m", 90.0),
        (ANY_SECONDS, "2h", 7200.0),
        (ANY_SECONDS, "7d", 604800.0),
        (ANY_SECONDS, "0", 0.0),
        (ANY_RATE, "2000/s", 2000.0),
        (ANY_RATE, "90/m", 1.5),
        (ANY_RATE, "3600/h", 1.0),
        (ANY_OCTETS, "65_536", 65536),
        (ANY_OCTETS, "64KiB", 65536),
        (ANY_OCTETS, "4MiB", 4 << 20),
        (kinds.Count(0, 9_999_999), "1_000_000", 1_000_000),
        (kinds.HostPort(), "[2001:db8::1]:2775", ("2001:db8::1", 2775)),
        (kinds.Code(), "0x45", 69),
        (kinds.Code(), "69", 69),
        (form.TAG, "0x1400", 0x1400),
        (form.OCTET, "8", 8),
        (form.TlvValue(), "text:1201 a:b", b"1201 a:b"),
        (form.TlvValue(), "cstring:me", b"me\0"),
        (form.TlvValue(), "hex:0a0B", b"\n\x0b"),
        (nouns.VERSION, "0x34", 0x34),
        (nouns.VERSION, "3.4", 0x34),
        (nouns.TARGET, "", ""),
        (nouns.TARGET, "fr-orange", "fr-orange"),
        (nouns.PREFIX, "336", "336"),
    ],
)
def test_a_value_reads_as(kind: kinds.Kind, text: str, value: object) -> None:
    """The forms the examples and the reference name."""
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(
            (ANY_SECONDS, t)
            for t in ("", "30", "s", "-1s", "1 s", "1S", "1e3s", "٣s", "1.s", ".5s", "1s\n", "1M", "nan")
        ),
        *((ANY_RATE, t) for t in ("2000", "/s", "2000 /s", "2000/d", "inf/s")),
        *((ANY_OCTETS, t) for t in ("64kib", "1.5MiB", "0x10", "_1", "1_", "1__0", "٣")),
        *((kinds.HostPort(), t) for t in ("h", "h:", ":1", "h:x", "h:70000", "::1:2775", "[h]:1", "h:1:2", "h:٣")),
        *((kinds.Code(), t) for t in ("0x", "-1", "0x123456789", "ESME_ROK", "1.0")),
        *((form.TAG, t) for t in ("0", "0x10000", "1400h", "-1", "")),
        *((form.TlvValue(), t) for t in ("", "text:", "hex:0", "hex:zz", "1201", "text:é", "hex:" + "00" * 1025)),
        *((nouns.PREFIX, t) for t in ("+336", "00 33", "1" * 16, "٣", "336\n")),
        *((nouns.NODE, t) for t in ("", "n 1", "sevenxx", "é", "n1\n")),
    ],
)
def test_a_value_is_refused(kind: kinds.Kind, text: str) -> None:
    """Out of form: no unit, no digits, other scripts' digits, a stray line end."""
    with pytest.raises(kinds.Misread):
        kind.read(text)


@pytest.mark.parametrize("kind", [ANY_SECONDS, ANY_RATE, ANY_DECIMAL])
@given(value=st.decimals(0, 10**6, places=3))
def test_what_is_shown_reads_back(kind: kinds.Kind, value: object) -> None:
    """Durations, rates and numbers to the thousandth survive show and read."""
    number = float(str(value))
    assert kind.read(kind.show(number)) == pytest.approx(number, abs=1e-9)


@given(st.integers(0, 1 << 40))
def test_sizes_read_back(value: int) -> None:
    """Octets survive show and read exactly."""
    assert ANY_OCTETS.read(ANY_OCTETS.show(value)) == value


class TestLimits:
    """The page."""

    def test_every_default_is_in_its_own_range(self) -> None:
        """A default that check would refuse is a typo on the page."""
        for field in attrs.fields(Limits):
            kind = field.metadata["kind"]
            values = field.default if isinstance(field.default, tuple) else (field.default,)
            for value in values:
                assert kind.read(kind.show(value)) == value, field.name

    def test_every_knob_says_why(self) -> None:
        """A number without a reason is a guess."""
        assert [f.name for f in attrs.fields(Limits) if not f.metadata["why"]] == []

    def test_units_stand_in_the_names(self) -> None:
        """Durations end in _s and nothing else does."""
        for field in attrs.fields(Limits):
            assert field.name.endswith("_s") == isinstance(field.metadata["kind"], kinds.Seconds), field.name

    def test_the_page_is_what_it_says(self) -> None:
        """Builders and bounds agree: a knob of shares is a Decimal, of sizes an Octets."""
        assert limits.decimal(0.5, 0, 1, "why").metadata["kind"] == kinds.Decimal(0, 1)


def test_every_field_of_every_noun_can_be_read() -> None:
    """Each declared field names a kind, or a type that the reader knows."""
    for noun in (nouns.Config, nouns.Esme, nouns.Carrier, nouns.BindConfig, nouns.Route, nouns.Choice, nouns.Tls):
        keys = [row.key for row in rows(noun)]
        assert len(keys) == len(set(keys))
        assert all(keys)
    assert kind_among(("a mark", 5)) is None
