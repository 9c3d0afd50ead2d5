"""Section `mo`: where it may stand, what is wrong in it and what is odd. smsroute/config/load.py, checks.py."""

from __future__ import annotations

import pytest

from smsroute.config import MoRule, load
from tests.config.conftest import Folder

MAIN, ROUTES = "smsroute.yaml", "routes.yaml"
ALL = "routes:\n  - {name: a, to: [''], carriers: [{carrier: orange}]}\n"
NUMBER = "a number or short code of ours without +, such as 38000, or the start of such numbers, as 3370012*"


def rules(folder: Folder, text: str) -> list[str]:
    """What is said of these lines of `mo`, which stand from line 4 on in routes.yaml."""
    return [said.removeprefix("routes.yaml:") for said in folder.says({ROUTES: f"{ALL}mo:\n{text}"})]


def test_all_it_may_say(folder: Folder) -> None:
    """Each key, in routes.yaml or in smsroute.yaml."""
    text = (
        "mo:\n  - {name: code, to: ['38000', '3370*', '*'], keyword: [STOP, arrêt], from: ['33'], carriers: [orange],"
        " esme: acme}\n"
    )
    rule = MoRule("code", ("38000", "3370*", "*"), "acme", ("STOP", "arrêt"), ("33",), ("orange",))
    for file in (ROUTES, MAIN):
        folder.write({file: (ALL if file == ROUTES else folder.smallest[MAIN]) + text})
        assert load(folder.path, {}).mo == (rule,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  - {to: ['38000'], esme: acme}\n",
         "4:5: rule 1 of `mo` has no `name`, expected 1 to 64 letters, digits or . _ -"),
        ("  - {name: m, to: ['38000']}\n",
         "4:5: rule 1 of `mo` has no `esme`, expected a system_id: 1 to 64 letters, digits or . _ @ + -"),
        ("  - {name: m, to: ['38000'], esme: acne}\n",
         "4:36: unknown esme `acne`, did you mean `acme`?"),
        ("  - {name: m, to: ['38000'], esme: acme, carriers: [orang]}\n",
         "4:53: unknown carrier `orang`, did you mean `orange`?"),
        ("  - {name: a, to: ['38000'], esme: acme}\n",
         "4:12: a second route `a`, expected a name of its own (first on routes.yaml:2)"),
        ("  - {name: m, to: [], esme: acme}\n",
         "4:15: `to` is an empty list, expected at least one number"),
        ("  - {name: m, to: ['+33700000001'], esme: acme}\n",
         f"4:20: entry 1 of `to` is `+33700000001`, expected {NUMBER}"),
        ("  - {name: m, to: ['38000', '38000'], esme: acme}\n",
         "4:29: `38000` stands twice in `to`, expected once"),
        ("  - {name: m, to: ['38000'], keyword: [STOP, stop], esme: acme}\n",
         "4:46: `stop` stands twice in `keyword`, expected once"),
        ("  - {name: m, to: ['38000'], keywords: [STOP], esme: acme}\n",
         "4:30: unknown key `keywords` in rule 1 of `mo`, did you mean `keyword`?"),
        ("  - {name: m, to: ['38000'], keyword: ['STOP IT'], esme: acme}\n",
         "4:40: entry 1 of `keyword` is `STOP IT`, expected a word of 1 to 32 letters and digits"),
        ("  - {name: m, to: ['38000'], from: ['33*'], esme: acme}\n",
         "4:37: entry 1 of `from` is `33*`, expected 1 to 15 E.164 digits without + or spaces, such as 336"),
        ("  - {name: m, to: ['38000'], esme: acme}\n  - {name: n, to: ['38000'], esme: acme}\n",
         "5:20: warning: rule `n` is not reached for `38000`: `m` matches the same and stands first, "
         "expected one rule for it"),
    ],
)  # fmt: skip
def test_one_slip_is_one_error_in_these_words(folder: Folder, text: str, said: str) -> None:
    """What, where, and what was expected."""
    assert rules(folder, text) == [said]


def test_a_carrier_that_cannot_bring_one(folder: Folder) -> None:
    """A rule for a carrier none of whose binds receives is odd."""
    text = folder.smallest["carriers.yaml"]
    assert isinstance(text, str)
    mo = "mo:\n  - {name: m, to: ['38000'], esme: acme, carriers: [orange]}\n"
    binds = f"{text}        mode: transmitter\n"
    (said,) = folder.says({ROUTES: ALL + mo, "carriers.yaml": binds})
    assert said.endswith("carrier `orange` has no bind that receives, expected a transceiver or receiver")


def test_it_stands_in_one_file(folder: Folder) -> None:
    """In both routes.yaml and smsroute.yaml it is one too many; in esmes.yaml it is misplaced."""
    mo = "mo:\n  - {name: m, to: ['38000'], esme: acme}\n"
    said = folder.says({ROUTES: ALL + mo, MAIN: folder.smallest[MAIN] + mo})
    assert len(said) == 1 and "`mo` stands in two files, expected it in one" in said[0]
    said = folder.says({"esmes.yaml": folder.smallest["esmes.yaml"] + mo})
    assert len(said) == 1 and said[0].endswith("`mo` in esmes.yaml, expected it in routes.yaml or smsroute.yaml")
