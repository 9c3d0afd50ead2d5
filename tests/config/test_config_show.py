"""The merged truth as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smsroute.config import Config, load
from smsroute.config.show import plain_tree, show
from smsroute.config.tree import Problems, Scalar, parse

EXAMPLES = Path(__file__).parents[2] / "config"
TRICKY = (
    "node: n1\nlisten: [{address: '[::1]:2775'}, {address: 'h:1', tls: {certificate: smsroute.yaml, "
    "key: smsroute.yaml, ca: smsroute.yaml}}]\nhttp: '[::]:9464'\n"
    "limits: {retry_schedule: [500ms, 90s], pdu_octets_max: 66KiB}\n"
    "esmes: {NO: {password: {env: PW}, allow_from: ['::1', 10.0.0.0/8], rate: 90/m, class_by: "
    "{service_type: {'12:30': otp}}}}\n"
    "carriers: {on: {system_id: 0123, password: {env: PW}, interface_version: 3.3, outcomes: {0x45: transient}, "
    "binds: [{address: h:1, mode: pair, receiver_address: '[::1]:2', tls: {server_name: x}}]}}\n"
    "routes: [{name: a, to: ['', 0803], from: ['+336', 'a: b', '#x', '\"q\\', NO], classes: [otp, info], "
    "in_doubt: {otp: {fail_after: 90s}, default: {resend_after: 0}}, carriers: [{carrier: on, cost: 0.00001}]}]\n"
)


def comparable(config: Config) -> Config:
    """Without what depends on which file something stood in."""
    routes = tuple(attrs.evolve(route, line=0, path="") for route in config.routes)
    return attrs.evolve(config, routes=routes, digest="", warnings=())


def test_what_is_shown_loads_back_as_the_same_config(tmp_path: Path) -> None:
    """show() is a config: read back it is equal in every value."""
    (tmp_path / "smsroute.yaml").write_text(TRICKY)
    config = load(tmp_path, {"PW": "x"})
    (tmp_path / "smsroute.yaml").write_text(show(config))
    assert comparable(load(tmp_path, {"PW": "x"})) == comparable(config)


def test_plain_passwords_are_blotted_out(folder: Any) -> None:
    """Only where a secret comes from is shown."""
    text = "esmes:\n  a: {password: {plain: hunter2}}\n  b: {password: {env: PW}}\n"
    shown = show(folder.load({"esmes.yaml": text}, {"PW": "hunter2"}))
    assert "hunter2" not in shown
    assert 'password: {plain: "********"}' in shown
    assert "password: {env: PW}" in shown


def test_knobs_are_shown_with_reason_and_range(folder: Any) -> None:
    """The page prints as its own reference."""
    shown = show(folder.load())
    assert "  drain_timeout: 20s  " in shown
    assert "# at stop, for answers in flight; systemd waits 90 s (0..1h)" in shown


def test_the_tree_is_the_same_without_remarks(folder: Any) -> None:
    """The JSON form holds what the text holds, as another YAML reader sees it."""
    config = load(EXAMPLES, {})
    assert plain_tree(config) == yaml.load(show(config), Loader=yaml.BaseLoader)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_any_printable_text_is_quoted_so_that_it_reads_back(text: str) -> None:
    """Whatever a value is made of, shown and parsed it is the same text."""
    from smsroute.config import show as module

    problems = Problems()
    node = parse("x", f"key: {module._text(text)}".encode(), problems)
    assert [value.text for _, value in node.pairs if isinstance(value, Scalar)] == [text]  # type: ignore[union-attr]
