"""What differs between two configs, in meaning. ops/difference.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smsroute.config import load
from smsroute.ops import difference as difference_module
from smsroute.ops.difference import difference, summary

BASE = """
node: n1
listen: [{address: "127.0.0.1:0"}]
store: "sqlite:var/store"
esmes:
  acme: {password: {plain: secret}, rate: 100/s}
carriers:
  orange: {system_id: s, password: {plain: pw}, window: 10, binds: [{address: "127.0.0.1:1"}]}
  sfr: {system_id: s, password: {env: SFR_PASSWORD}, binds: [{address: "127.0.0.1:2"}]}
networks:
  fr-orange: {prefixes: ["33607", "33608"]}
routes:
  - {name: fr, to: ["336", "337"], carriers: [{carrier: orange, weight: 70}, {carrier: sfr, weight: 30}]}
  - {name: orange, to: [fr-orange], carriers: [{carrier: orange}]}
"""


class Two:
    """Two folders, one changed; what changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def told(self, *changes: tuple[str, str]) -> dict[str, Any]:
        text = BASE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        found = []
        for name, one in (("now", BASE), ("then", text)):
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name / "smsroute.yaml").write_text(one)
            found.append(json.loads(json.dumps(summary(load(self.folder / name, {}, secrets=False)))))
        return difference(*found)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    """A pair of folders."""
    return Two(tmp_path)


class TestNothing:
    def test_a_copy(self, two: Two) -> None:
        """The same folder elsewhere: its own paths are no change."""
        document = two.told()
        assert document["changes"] == 0
        assert document["engine"] == document["limits"] == []

    def test_another_way_to_say_it(self, two: Two) -> None:
        """Comments, the order of keys, and a default spelt out."""
        assert two.told(("rate: 100/s}", "window: 500, rate: 6000/m}  # the same"))["changes"] == 0


class TestRoutes:
    def test_field_by_field(self, two: Two) -> None:
        """An entry by its carrier, prefixes as so many more and less, the rest old and new."""
        document = two.told(
            ('["336", "337"]', '["336", "3367", "3368"], prefer: cost'), ("weight: 30", "weight: 50, cost: 0.02")
        )
        (changed,) = document["routes"]["changed"]
        assert (changed["name"], changed["was_at"], changed["is_at"]) == ("fr", "smsroute.yaml:13", "smsroute.yaml:13")
        assert changed["fields"] == [
            {"field": "to", "added": 2, "removed": 1, "examples": ["+3367", "+3368", "-337"]},
            {"field": "prefer", "was": "balanced", "is": "cost"},
            {"field": "carriers[sfr].cost", "was": "0", "is": "0.02"},
            {"field": "carriers[sfr].weight", "was": "30", "is": "50"},
        ]
        assert document["changes"] == 1

    def test_joins_leaves_and_stands_elsewhere(self, two: Two) -> None:
        """By name; the order counts, because it decides between equals."""
        line = "  - {name: orange, to: [fr-orange], carriers: [{carrier: orange}]}\n"
        document = two.told((line, '  - {name: uk, to: ["44"], carriers: [{carrier: orange}]}\n'))
        assert [one["name"] for one in document["routes"]["added"]] == ["uk"]
        assert [one["name"] for one in document["routes"]["removed"]] == ["orange"]
        assert document["changes"] == 2
        moved = two.told((line, ""), ("routes:\n", f"routes:\n{line}"))["routes"]
        assert (moved["order"], moved["changed"]) == (True, [])

    def test_any_number_has_a_name(self, two: Two) -> None:
        """`to: [""]` that joins or leaves is told as any, not as a bare sign."""
        document = two.told(('"336", "337"', '"336", "337", ""'))
        (field,) = document["routes"]["changed"][0]["fields"]
        assert field["examples"] == ["+any"]

    def test_a_carrier_leaves_a_route(self, two: Two) -> None:
        """The entry is told whole."""
        document = two.told((", {carrier: sfr, weight: 30}]", "]"))
        (field,) = document["routes"]["changed"][0]["fields"]
        assert (field["field"], field["was"]["weight"], field["is"]) == ("carriers[sfr]", "30", None)


class TestSecrets:
    def test_a_changed_password_is_told_and_never_shown(self, two: Two) -> None:
        """Of an ESME and of a carrier, plain or from the environment."""
        document = two.told(("plain: secret", "plain: hush4711"), ("plain: pw", "plain: pw4711"))
        assert document["esmes"]["changed"] == [
            {"name": "acme", "fields": [{"field": "password", "secret": True, "was": "", "is": ""}]}
        ]
        assert [one["name"] for one in document["carriers"]["changed"]] == ["orange"]
        assert "4711" not in json.dumps(document)
        assert document["not_compared"] == ["carriers.sfr.password"]  # only the engine's machine has it

    def test_another_source(self, two: Two) -> None:
        """From the environment instead of the file: told by the source."""
        document = two.told(("{plain: pw}", "{env: ORANGE_PASSWORD}"))
        (field,) = document["carriers"]["changed"][0]["fields"]
        assert (field["was"], field["is"]) == ("plain", "env ORANGE_PASSWORD")

    def test_a_mark_tells_no_password(self, two: Two, tmp_path: Path) -> None:
        """Two octets of a digest, and nothing else of it, leave the engine."""
        two.told()
        told = summary(load(tmp_path / "now", {"SFR_PASSWORD": "verysecret"}))
        assert all(len(mark) == 4 for mark in told["marks"].values())
        assert "secret" not in json.dumps(told).replace("********", "")


class TestTheRest:
    def test_carriers_esmes_limits_and_the_engine(self, two: Two) -> None:
        """Each where it belongs."""
        document = two.told(
            ("window: 10", "window: 20"),
            ("rate: 100/s", "rate: 50/s"),
            ("node: n1\n", "node: n2\nlimits: {plan_ttl: 200ms}\n"),
        )
        assert document["carriers"]["changed"][0]["fields"] == [{"field": "window", "was": "10", "is": "20"}]
        assert document["esmes"]["changed"][0]["fields"] == [{"field": "rate", "was": "100/s", "is": "50/s"}]
        assert document["limits"] == [{"field": "plan_ttl", "was": "100ms", "is": "200ms"}]
        assert document["engine"] == [{"field": "node", "was": "n1", "is": "n2"}]
        assert document["changes"] == 4

    def test_a_network_by_its_prefixes(self, two: Two) -> None:
        """So many more, so many less."""
        document = two.told(('"33607", "33608"', '"33607", "33609", "33610"'))
        fields = [{"field": "numbers", "added": 2, "removed": 1, "examples": ["+33609", "+33610", "-33608"]}]
        assert document["networks"]["changed"] == [{"name": "fr-orange", "fields": fields}]

    def test_a_network_too_large_to_tell(self, two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the limit its count and stamp are compared."""
        monkeypatch.setattr(difference_module, "NUMBERS_MAX", 2)
        document = two.told(('"33607", "33608"', '"33607", "33609", "33610"'))
        assert {"field": "count", "was": "2", "is": "3"} in document["networks"]["changed"][0]["fields"]
        assert "33609" not in json.dumps(document)
