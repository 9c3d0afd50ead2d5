"""What people see of messages from handsets: health, metrics, trace, diff. smsroute/ops."""

from __future__ import annotations

from pathlib import Path

import attrs
import trio

from smsroute.config import MoRule, load
from smsroute.ops.difference import difference, summary
from smsroute.ops.metrics import metrics
from smsroute.ops.snapshot import snapshot
from smsroute.ops.story import story
from tests.house import house

MO = '\nmo:\n  - {name: code, to: ["38000"], esme: acme}\n'


async def test_nobodys_are_a_warning(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A carrier whose handsets write to a number nobody owns is warned of with that number, for
    `mo_refused_warning`."""
    async with house(tmp_path, mo=MO) as it:
        await trio.sleep(1)
        orange = it.carriers["orange"]
        assert orange.mobile_originated("33612345678", "38000", b"hello")
        assert orange.mobile_originated("33612345678", "38001", b"hello")
        await trio.sleep(1)
        document = snapshot(it.engine)
        (carrier,) = document["carriers"]
        told = carrier["from_handsets"]
        assert (told["taken"], told["refused"], told["unowned"]["to"]) == (1, 1, "38001")
        (reason,) = [one for one in document["reasons"] if one["what"] == "mo"]
        assert (document["status"], reason["name"]) == ("warning", "orange")
        assert "to 38001: no rule of `mo` says whose that number is" in reason["reason"]
        assert 'smsroute_mo_refused_total{carrier="orange"} 1' in metrics(document)
        await trio.sleep(3600)
        assert not [one for one in snapshot(it.engine)["reasons"] if one["what"] == "mo"]


async def test_its_story(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`trace` tells by which bind and rule it came, and whether its ESME took it; never its text."""
    async with house(tmp_path, mo=MO) as it:
        await trio.sleep(1)
        it.carriers["orange"].mobile_originated("33612345678", "38000", b"hello")
        await trio.sleep(1)
        (part,) = it.engine.ledger.parts.values()
        told = story(part, it.clock.wall())
        assert [line["what"] for line in told["lines"]] == [
            "came from a handset through orange: it came by orange-1, durable",
            "it is for acme by the rule code of `mo`",
        ]
        assert told["now"].startswith("it waits ") and told["now"].endswith(" for acme")
        it.platform(0)
        await trio.sleep(1)
        told = story(part, it.clock.wall())
        assert (told["lines"][-1]["what"], told["now"]) == ("acme took it", "")
        assert "hello" not in str(told)


def test_rules_that_change(tmp_path: Path) -> None:
    """`diff` names rules of `mo` that join, leave, change or stand in another order."""
    here = Path(__file__).parents[2] / "config"
    config = load(here, {})
    code, stop = config.mo
    changed = attrs.evolve(config, mo=(stop, attrs.evolve(code, to=("38000", "38001")), MoRule("new", ("1",), "acme")))
    told = difference(summary(config), summary(changed))["mo"]
    assert ([one["name"] for one in told["added"]], told["removed"], told["order"]) == (["new"], [], True)
    assert [(one["name"], one["fields"][0]["field"]) for one in told["changed"]] == [("code", "to")]
