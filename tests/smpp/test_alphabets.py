"""Alphabets: what a data_coding says of its octets, and septets packed and unpacked. smsroute/smpp/alphabets.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import alphabets

GSM_TEXT = st.text(sorted(alphabets.GSM_OCTETS), max_size=200)


@pytest.mark.parametrize(
    ("data_coding", "meaning"),
    [
        (0x00, "default"), (0x01, "ascii"), (0x03, "latin-1"), (0x08, "ucs-2"), (0x02, None), (0x04, None),
        (0x06, None), (0x10, "gsm"), (0x13, "gsm"), (0x14, None), (0x18, "ucs-2"), (0x1B, "ucs-2"), (0x1C, None),
        (0x20, None), (0x48, "ucs-2"), (0x80, None), (0xC0, "gsm"), (0xC8, "gsm"), (0xD8, "gsm"), (0xE0, "ucs-2"),
        (0xF0, "gsm"), (0xF3, "gsm"), (0xF4, None), (0xF7, None),
    ],
)  # fmt: skip
def test_what_a_data_coding_means(data_coding: int, meaning: str | None) -> None:
    """SMPP's own, and GSM's where SMPP leaves the range free; binary, compressed and reserved ones are no text."""
    assert alphabets.alphabet_of(data_coding) == meaning


def test_the_octets_of_a_packed_text_are_those_of_the_specification() -> None:
    """3GPP TS 23.038 section 6.1.2.1: `hellohello`, the example most are checked with, is nine octets."""
    assert alphabets.pack(alphabets.encode_gsm("hellohello")).hex() == "e8329bfd4697d9ec37"


def test_seven_spare_bits_do_not_read_as_an_at_sign() -> None:
    """A text of 8n - 1 septets gets a carriage return, as section 6.1.2.3.1 says; unpacking takes it off again."""
    septets = alphabets.encode_gsm("1234567")
    packed = alphabets.pack(septets)
    assert len(packed) == 7
    assert packed[-1] >> 1 == 0x0D
    assert alphabets.unpack(packed) == septets


@given(GSM_TEXT.filter(lambda text: not text.endswith("\r")), st.integers(0, 20))
def test_packing_comes_back(said: str, header_octets: int) -> None:
    """Any text behind any header: the fill bits bring its first septet to an edge."""
    septets = alphabets.encode_gsm(said)
    packed = alphabets.pack(septets, header_octets)
    assert alphabets.unpack(packed, header_octets) == septets
    assert len(packed) == -(-(alphabets.fill_bits(header_octets) + 7 * len(septets)) // 8) or packed[-1] >> 1 == 0x0D


@pytest.mark.parametrize(("header_octets", "septets"), [(0, 160), (6, 153), (7, 152)])
def test_a_part_holds_what_the_specification_says(header_octets: int, septets: int) -> None:
    """160 septets, 153 behind an 8-bit and 152 behind a 16-bit concatenation header."""
    assert len(alphabets.pack(b"a" * septets, header_octets)) <= 140 - header_octets
    assert len(alphabets.pack(b"a" * (septets + 1), header_octets)) > 140 - header_octets


@given(st.text(max_size=100))
def test_ucs2_is_utf16_and_holds_everything(said: str) -> None:
    """Surrogate pairs included."""
    assert alphabets.decode("ucs-2", alphabets.encode("ucs-2", said)) == said


@pytest.mark.parametrize(("alphabet", "char"), [("ascii", "é"), ("latin-1", "€"), ("gsm", "ç")])
def test_what_an_alphabet_lacks_is_named(alphabet: alphabets.Alphabet, char: str) -> None:
    """The error says which character, so that a person can find it."""
    with pytest.raises(ValueError, match=char):
        alphabets.encode(alphabet, f"ok{char}")
