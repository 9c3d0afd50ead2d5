"""Alphabets and parts: nothing is lost in splitting, no character is torn, and bad concatenations are none."""

from __future__ import annotations

import pytest
import smpplib.gsm
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import alphabets, codec, names, text

GSM_TEXT = st.text(sorted(alphabets.GSM_OCTETS), max_size=900)
ANY_TEXT = st.text(max_size=400)


@given(GSM_TEXT)
def test_gsm_text_round_trips(said: str) -> None:
    """Every character of the GSM alphabet and its extension comes back."""
    assert said == alphabets.decode_gsm(alphabets.encode_gsm(said))


@pytest.mark.parametrize(
    ("said", "octets"),
    [
        ("@", b"\0"), ("€", b"\x1be"), ("{", b"\x1b("), ("}", b"\x1b)"), ("[", b"\x1b<"), ("\\", b"\x1b/"),
        ("]", b"\x1b>"), ("^", b"\x1b\x14"), ("|", b"\x1b@"), ("~", b"\x1b="), ("\f", b"\x1b\n"), ("_", b"\x11"),
        ("à", b"\x7f"), ("Δ", b"\x10"), ("A", b"A"), ("¿", b"\x60"), ("ß", b"\x1e"),
    ],
)  # fmt: skip
def test_the_alphabet(said: str, octets: bytes) -> None:
    """Where the spec puts the characters that are easy to put wrong."""
    assert octets == alphabets.encode_gsm(said)


def test_the_alphabet_is_that_of_smpplib() -> None:
    """An independent table agrees on every character both know, which is nearly all."""
    shared = 0
    for char in alphabets.GSM_OCTETS:
        try:
            theirs = smpplib.gsm.gsm_encode(char)
        except UnicodeError:
            continue
        shared += 1
        assert alphabets.encode_gsm(char) == theirs, char
    assert shared > 120


@pytest.mark.parametrize("char", ["ç", "`", "\u0430", "\U0001f600", "\x1b"])
def test_what_gsm_lacks_is_named(char: str) -> None:
    """The error says which character."""
    with pytest.raises(ValueError, match="not in the GSM alphabet"):
        alphabets.encode_gsm("ok" + char)
    assert text.encode("ok" + char)[0] == text.UCS2


def test_odd_gsm_octets() -> None:
    """An escape before an unknown character, two escapes, one at the end, and octets above 127 are survived."""
    assert alphabets.decode_gsm(b"a\x1bzb\x1b\x1bc\x1b\xff") == "azb\x1bc\ufffd"


@given(st.binary(max_size=60), st.integers(0, 255))
def test_any_octets_decode_to_something(data: bytes, data_coding: int) -> None:
    """decode never raises."""
    assert isinstance(text.decode(data_coding, data), str)


@given(GSM_TEXT | ANY_TEXT, st.integers(0, 255), st.booleans())
def test_parts_join_to_the_text(said: str, reference: int, wide: bool) -> None:
    """Headers cut off, the parts decode one by one and join to what was said; each fits a short message."""
    data_coding, parts = text.split(said, reference, wide=wide)
    headers = [text.concat(0x40, part) for part in parts]
    if len(parts) == 1:
        assert said == text.decode(data_coding, parts[0])
        return
    assert headers == [(reference, len(parts), number) for number in range(1, len(parts) + 1)]
    texts = [part[1 + part[0] :] for part in parts]
    assert said == "".join(text.decode(data_coding, piece) for piece in texts)
    octets_max = 160 - (8 if wide else 7) if data_coding == text.GSM else 140 - (7 if wide else 6)
    assert all(len(piece) <= octets_max for piece in texts)
    if data_coding == text.GSM:
        assert not any(piece.endswith(b"\x1b") for piece in texts)


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        ("a" * 160, [160]),
        ("a" * 161, [159, 14]),
        ("a" * 306, [159, 159]),
        ("a" * 307, [159, 159, 7]),
        ("a" * 152 + "€" + "b" * 10, [158, 18]),  # the euro does not fit whole
        ("я" * 70, [140]),
        ("я" * 71, [140, 14]),
        ("я" * 66 + "\U0001f600" * 5, [138, 26]),  # the emoji stays whole
    ],
)
def test_part_sizes(said: str, sizes: list[int]) -> None:
    """160 and 153 septets, 70 and 67 characters, less when a character would be torn."""
    assert sizes == [len(part) for part in text.split(said, 7)[1]]


def test_part_sizes_with_a_wide_reference() -> None:
    """A 16-bit reference costs one octet more: 152 septets, 66 characters."""
    assert [len(part) for part in text.split("a" * 305, 7, wide=True)[1]] == [159, 159, 8]
    assert [len(part) for part in text.split("я" * 133, 7, wide=True)[1]] == [139, 139, 9]


def test_more_than_255_parts_are_refused() -> None:
    """The header has one octet for it."""
    with pytest.raises(ValueError, match="parts"):
        text.split("a" * (153 * 255 + 1), 1)


def udh(header: bytes) -> bytes:
    return bytes((len(header),)) + header + b"rest"


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (udh(b"\0\3\x2a\3\1"), (42, 3, 1)),
        (udh(b"\x08\4\x12\x34\3\2"), (0x1234, 3, 2)),
        (udh(b"\5\4\x0b\x84\0\0\0\3\x2a\3\3"), (42, 3, 3)),  # ports first
        (udh(b"\0\3\1\2\1\0\3\7\2\2"), (7, 2, 2)),  # the later element counts
        (udh(b"\0\3\x2a\3\0"), None),
        (udh(b"\0\3\x2a\3\4"), None),
        (udh(b"\0\3\x2a\0\0"), None),
        (udh(b"\0\2\x2a\3"), None),
        (udh(b"\0\4\x2a\3\1\1"), None),
        (udh(b"\x24\1\1"), None),
        (b"\xff\0\3", None),
        (b"\0", None),
        (b"", None),
    ],
)
def test_concatenation_by_header(message: bytes, part: tuple[int, int, int] | None) -> None:
    """8 and 16 bit references, other elements around; nonsense is no concatenation."""
    assert part == text.concat(0x40, message)
    assert part == text.concat(0x40, b"", codec.build_tlv(names.MESSAGE_PAYLOAD, message))
    assert text.concat(0x00, message) is None


def sar(reference: bytes, total: bytes, number: bytes) -> bytes:
    tags = (names.SAR_MSG_REF_NUM, names.SAR_TOTAL_SEGMENTS, names.SAR_SEGMENT_SEQNUM)
    return b"".join(codec.build_tlv(tag, value) for tag, value in zip(tags, (reference, total, number), strict=True))


def test_concatenation_by_tlvs() -> None:
    """All three SAR TLVs or none; number 1 to total; a header, when there is one, decides instead."""
    assert text.concat(0, b"x", sar(b"\1\2", b"\3", b"\2")) == (258, 3, 2)
    assert text.concat(0, b"x", sar(b"\1\2", b"\3", b"\4")) is None
    assert text.concat(0, b"x", sar(b"\1\2", b"\3", b"\0")) is None
    assert text.concat(0, b"x", sar(b"\1\2", b"\3", b"\2")[:-5]) is None
    assert text.concat(0, b"x", sar(b"", b"\3", b"\2")) is None
    assert text.concat(0x40, udh(b"\0\3\x2a\3\1"), sar(b"\1\2", b"\3", b"\2")) == (42, 3, 1)


@given(st.integers(0, 255), st.binary(max_size=40), st.binary(max_size=40))
def test_no_octets_make_concat_raise(esm_class: int, message: bytes, tail: bytes) -> None:
    """Whatever a client submits, it has a place or none."""
    part = text.concat(esm_class, message, tail)
    assert part is None or 1 <= part[2] <= part[1]
