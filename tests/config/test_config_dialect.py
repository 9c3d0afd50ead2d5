"""The keys of `dialect:`, and the shipped presets under them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from smsroute.config import ConfigErrors, Dialect
from smsroute.config.presets import PRESETS
from smsroute.config.show import show
from smsroute.message import Blame

HEAD = "carriers:\n  orange: {system_id: a, password: {env: PW}, binds: [{address: h:1}], dialect: "


def read(folder: Any, written: str) -> Dialect:
    found = folder.load({"carriers.yaml": f"{HEAD}{written}}}\n"}, {"PW": "x"}).carriers["orange"].dialect
    assert isinstance(found, Dialect)
    return found


def test_every_key_is_read(folder: Any) -> None:
    """Each arrives as it was written; state words in capitals."""
    found = read(
        folder,
        "{ids: unpad, match_by: destination, states: {absent-sub: undeliverable, 00: delivered}, errors: {001: ok},"
        " pattern: '(?P<id>[^,]+),(?P<stat>[0-9]+)', time_zone: Europe/London, receipt_level: network,"
        " receipts_on: any, accepted: final, unknown: final, without_esm_class: true, receipt_within: 3h}",
    )
    assert found == Dialect(
        ids="unpad",
        match_by="destination",
        states={"ABSENT-SUB": "undeliverable", "00": "delivered"},
        errors={"001": Blame.OK},
        pattern="(?P<id>[^,]+),(?P<stat>[0-9]+)",
        time_zone="Europe/London",
        receipt_level="network",
        receipts_on="any",
        accepted="final",
        unknown="final",
        without_esm_class=True,
        receipt_within_s=10800.0,
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_loaded_by_its_name(folder: Any, name: str) -> None:
    """Every shipped preset stands for itself, is not the default, and is shown whole so that it loads back the same."""
    found = read(folder, f"{{preset: {name}}}")
    assert found == PRESETS[name]
    assert name == found.preset
    config = folder.load({"carriers.yaml": f"{HEAD}{{preset: {name}}}}}\n"}, {"PW": "x"})
    section = show(attrs.evolve(config, esmes={}, routes=(), networks={})).partition("carriers:")[2]
    shown = "carriers:" + section.partition("\nnetworks:")[0] + "\n"
    assert folder.load({"carriers.yaml": shown}, {"PW": "x"}).carriers["orange"].dialect == found


def test_keys_beside_a_preset_are_laid_over_it(folder: Any) -> None:
    """Words one by one, an err as the number it is, other keys whole, even when they say what the default says."""
    found = read(folder, "{preset: kaleyra, states: {mob-off: enroute}, ids: exact}")
    assert (found.ids, found.states["MOB-OFF"], found.states["SNDR-NT-REG"]) == ("exact", "enroute", "rejected")
    assert PRESETS["kaleyra"].states["MOB-OFF"] == "undeliverable"
    assert read(folder, "{preset: 8x8, errors: {050: ok}}").errors == {"35": Blame.CONGESTED, "050": Blame.OK}
    assert read(folder, "{preset: vonage, ids: auto}").ids == "auto"
    assert read(folder, "{ids: auto, preset: vonage}").errors == PRESETS["vonage"].errors


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{preset: vonnage}", "`preset` is `vonnage`, expected one of none, spec, hex-dec"),
        ("{states: {A: arrived}}", "`A` is `arrived`, expected one of delivered, expired, deleted"),
        ("{states: {'A B': deleted}}", "expected a stat word: 1 to 32 ASCII characters without spaces"),
        ("{states: {a: deleted, A: expired}}", "`A` stands here again in other words, expected once"),
        ("{pattern: 'id:(?P<id>.+)'}", "expected a regular expression with (?P<id>…) and (?P<stat>…), and at most err"),
        ("{pattern: '(?P<id>.)(?P<stat>.)(?P<sub>.)'}", "and at most err, submit and done besides"),
        ("{pattern: '(?P<id>[(?P<stat>.)'}", "submit and done besides: unterminated character set at position 7"),
        ("{pattern: '" + "x" * 501 + "'}", "expected at most 500 characters"),
        ("{time_zone: Europe/Pariss}", "expected an IANA time zone, perhaps Europe/Paris"),
        ("{receipt_level: sms}", "`receipt_level` is `sms`, expected one of handset, network, none"),
        ("{receipts_on: first}", "`receipts_on` is `first`, expected one of every, last, any"),
        ("{accepted: yes}", "`accepted` is `yes`, expected waiting or final"),
        ("{match_by: text}", "`match_by` is `text`, expected id or destination"),
        ("{receipt_within: 40d}", "`receipt_within` is `40d`, expected 0..30d"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder: Any, written: str, told: str) -> None:
    """The key, what stands there, what was expected."""
    with pytest.raises(ConfigErrors) as wrong:
        read(folder, written)
    assert len(wrong.value.errors) == 1
    assert told in str(wrong.value)
    assert "carriers.yaml:2:" in str(wrong.value)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            "receipts: always, dialect: {preset: no-receipts}",
            "`receipts` of carrier `orange` is `always`, expected `as-as",
        ),
        ("dialect: {match_by: destination, ids: exact}", "`ids` of carrier `orange` says nothing, expected no `ids`"),
        ("receipts: always, dialect: {receipt_level: network, ids: exact}", ""),
    ],
)
def test_keys_that_say_nothing_beside_another_are_told(folder: Any, keys: str, told: str) -> None:
    """A warning with the place; the folder loads all the same."""
    carriers = f"carriers:\n  orange: {{system_id: a, password: {{env: PW}}, binds: [{{address: h:1}}], {keys}}}\n"
    warnings = folder.load({"carriers.yaml": carriers}, {"PW": "x"}).warnings
    assert [told in str(one) for one in warnings] == ([True] if told else [])
