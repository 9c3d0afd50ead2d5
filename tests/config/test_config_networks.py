"""Named networks: lists, files and countries become prefixes; what is wrong with them is told."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from smsroute.cli.check import _summary
from smsroute.config import Config, countries, load, show
from smsroute.config.limits import BAD_LINES_TOLD
from smsroute.routing.table import Table

NOT_ROUTED = "networks.yaml:2:3: warning: network `a` is in no route, expected one that names it"
NO_HANDSETS = (PhoneNumberType.UAN, PhoneNumberType.VOICEMAIL, PhoneNumberType.UNKNOWN)
ROUTE = "  - {{name: {}, to: [{}], carriers: [{{carrier: orange}}]{}}}\n"


def routes(*rows: str) -> str:
    """routes.yaml of `name: targets` rows; what follows a `;` are further keys."""
    text = "routes:\n"
    for row in rows:
        asked, _, more = row.partition(";")
        name, _, targets = asked.partition(": ")
        text += ROUTE.format(name, targets, more and f", {more}")
    return text


def from_file(folder: Any, text: str | bytes) -> Config:
    """A config whose one network is a file with this text."""
    return folder.load({"a.csv": text, "networks.yaml": "networks:\n  a: {file: a.csv}\n"})


class TestFiles:
    """One prefix a line."""

    @pytest.mark.parametrize(
        "text",
        [
            "33607\n33608\n",
            "33607\n33608",
            "33607\r\n33608\r\n",
            "\ufeff33607\n\n# ported in May\n33608 # Orange\n",
            "prefix,operator\n33607,Orange\n33608,\n",
            '# all of them\n"Prefix";"Operator"\n"33607";"Télé 2"\n"33608";\n',
            "33607\tOrange, SA\n  33608\t\n",
            b"33607,T\xe9l\xe9\n33608\n",
        ],
    )
    def test_forms(self, text: str | bytes, folder: Any) -> None:
        """Bare lines, comments, tables with and without a heading, quotes, any line ends and alphabets."""
        assert from_file(folder, text).networks["a"].numbers == ("33607", "33608")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("33607\n+33608\n", ":2:1: `+33608` is no prefix"),
            ("33607\n33 608\n", ":2:1: `33 608` is no prefix"),
            ("prefix\n33607\noperator,3\n", ":3:1: `operator` is no prefix"),
            ("33607\n  1234567890123456,x\n", ":2:3: `1234567890123456` is no prefix"),
            ("33607\n;Orange\n", ":2:1: no prefix in the first column"),
            ("33607\n\t33608\n", ":2:1: no prefix in the first column"),
            ("33607\n'33608'\n", ":2:1: `'33608'` is no prefix"),
            ("٣٣٦\n", ":1:1: `Ù£Ù£Ù¦` is no prefix"),
        ],
    )
    def test_a_bad_line_is_told_with_its_place(self, text: str, said: str, folder: Any) -> None:
        """file:line:column: what stands there, what was expected."""
        told = folder.says({"a.csv": text, "networks.yaml": "networks:\n  a: {file: a.csv}\n"})
        assert told == [f"a.csv{said}, expected 1 to 15 digits without + or spaces"]

    def test_bad_lines_are_told_up_to_a_number(self, folder: Any) -> None:
        """Beyond that they are only counted."""
        bad = BAD_LINES_TOLD + 1234
        told = folder.says({"a.csv": "3\n" + "x\n" * bad, "networks.yaml": "networks:\n  a: {file: a.csv}\n"})
        assert [line.split(": ")[0] for line in told[1:]] == [f"a.csv:{n + 2}:1" for n in range(BAD_LINES_TOLD)]
        assert told[0] == "a.csv: 1,234 more lines are no prefixes"

    def test_an_empty_file_is_wrong(self, folder: Any) -> None:
        """A network nobody is in is a slip."""
        told = folder.says({"a.csv": "# none\n", "networks.yaml": "networks:\n  a: {file: a.csv}\n"})
        assert told == ["a.csv: no prefixes, expected at least one"]

    def test_what_stands_twice_is_counted(self, folder: Any) -> None:
        """Twice is odd and works."""
        told = folder.says({"a.csv": "3\n4\n3\n4\n", "networks.yaml": "networks:\n  a: {file: a.csv}\n"})
        assert told == ["a.csv: warning: 2 prefixes stand twice in network `a`, expected each once", NOT_ROUTED]

    def test_its_octets_are_part_of_the_digest(self, folder: Any) -> None:
        """Another number in the file is another revision of the config."""
        assert from_file(folder, "33607\n").digest != from_file(folder, "33608\n").digest

    @pytest.mark.slow
    def test_a_million_lines(self, folder: Any) -> None:
        """1,000,000 lines load in a few seconds; each leads where it should."""
        lines = "".join(f"336{n:07d},Orange\n" for n in range(1_000_000))
        files = {"a.csv": lines, "networks.yaml": "networks:\n  a: {file: a.csv}\n", "routes.yaml": routes("r: a")}
        folder.write(files)
        began = time.process_time()
        config = folder.load(files)
        table = Table.of(config)
        assert time.process_time() - began < 10
        found = table.match("33600012345", "", "", 0, 0, 0.0)
        assert found is not None
        assert (found.prefix, found.network) == ("3360001234", "a")


class TestConfig:
    """The section, and who names what."""

    def test_routes_mix_digits_and_names(self, folder: Any) -> None:
        """A name has a letter first, so nothing is taken for something else; the section may stand in the main file."""
        section = "node: n1\nnetworks:\n  fr-orange: {prefixes: ['33607', '33608']}\n"
        config = folder.load({"smsroute.yaml": section, "routes.yaml": routes("r: 33, fr-orange")})
        assert config.routes[0].to == ("33", "fr-orange")
        assert config.networks["fr-orange"].numbers == ("33607", "33608")
        assert config.warnings == ()

    def test_an_unknown_name_is_told_with_the_one_meant(self, folder: Any) -> None:
        """As for carriers and ESMEs."""
        networks = "networks:\n  fr-orange: {prefixes: ['33607']}\n"
        assert folder.says({"networks.yaml": networks, "routes.yaml": routes("r: fr-orang")}) == [
            "routes.yaml:2:20: unknown network `fr-orang`, did you mean `fr-orange`?"
        ]

    @pytest.mark.parametrize(
        ("networks", "rows", "said"),
        [
            ({"a": "3"}, ["r: 4"], "networks.yaml:2:3: network `a` is in no route, expected one that names it"),
            ({"a": "3"}, ["r: a", "s: a"], "routes.yaml:3:20: route `s` is not reached for `a`: `r` (routes.yaml:2) "
             "matches the same and stands first, expected one route for it"),
            ({"a": "3"}, ["r: a", "s: a; classes: [info]"], ""),
            ({"a": "33, 34, 35", "b": "34, 33"}, ["r: a, b"], "routes.yaml:2:23: route `r` has `33` and 1 more both by "
             "`a` and by `b`, expected one of them to have it: scores are kept by network"),
            ({"a": "33, 34"}, ["r: a", "s: 34"], "routes.yaml:3:20: route `s` is not reached for `34` of `34`: "
             "`r` (routes.yaml:2) has the same by `a` and stands first, expected one route for it"),
            ({"a": "33", "b": "33"}, ["r: a", "s: b; data_codings: [8]"], ""),
            ({"a": "33", "b": "33"}, ["r: a; hours: ['08:00-20:00']", "s: b; hours: ['20:00-08:00']"], ""),
            ({"a": "33", "b": "336"}, ["r: a, b"], ""),
        ],
    )  # fmt: skip
    def test_what_works_and_is_odd(self, networks: dict[str, str], rows: list[str], said: str, folder: Any) -> None:
        """A network in no route, and one prefix by two names where the rules ask for the same."""
        section = "".join(f"  {name}: {{prefixes: [{prefixes}]}}\n" for name, prefixes in networks.items())
        told = folder.says({"networks.yaml": f"networks:\n{section}", "routes.yaml": routes(*rows)})
        assert [line.replace(" warning:", "") for line in told] == ([said] if said else [])

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            (["r: 33; hours: ['08:00-20:00']", "s: 33; hours: ['08:00-20:00']"], 1),
            (["r: 33; hours: ['08:00-20:00']", "s: 33; hours: ['08:00-20:00'], time_zone: Europe/Paris"], 0),
            (["r: 33; data_codings: [8, 0]", "s: 33; data_codings: [8]"], 1),
            (["r: 33; from_kind: [short]", "s: 33; from_kind: [numeric]"], 0),
            (["r: 33; from_kind: [short]", "s: 33"], 0),
        ],
    )
    def test_routes_that_ask_for_the_same(self, rows: list[str], told: int, folder: Any) -> None:
        """A route is not reached when an earlier one asks for the same; another hour or coding is another thing."""
        said = folder.says({"routes.yaml": routes(*rows)})
        assert [line.split(":")[0] for line in said] == ["routes.yaml"] * told

    def test_what_is_printed_says_where_from_and_how_many(self, folder: Any) -> None:
        """`--defaults` prints a file's name and the count, never a million prefixes; it reads back the same."""
        networks = "networks:\n  a: {prefixes: ['33607']}\n  b: {file: b.csv}\n  c: {country: FR, operator: orange}\n"
        config = folder.load(
            {
                "networks.yaml": networks,
                "b.csv": "34\n35\n",
                "routes.yaml": routes("r: a, b, c; hours: ['22:00-06:00']"),
            }
        )
        printed = show.show(config)
        shown = [" ".join(line.split()) for line in printed.splitlines()]
        assert 'a: {prefixes: ["33607"]} # 1 prefix' in shown
        assert f'b: {{file: "{folder.path}/b.csv"}} # 2 prefixes, b.csv'.replace('"', "") in [
            line.replace('"', "") for line in shown
        ]
        count = len(config.networks["c"].numbers)
        assert f"c: {{country: FR, operator: orange}} # {count} prefixes, Orange France, {countries.SOURCE}" in shown
        for path in folder.path.glob("*.yaml"):
            path.unlink()
        (folder.path / "smsroute.yaml").write_text(printed)
        again = load(folder.path, {})
        assert {name: one.numbers for name, one in again.networks.items()} == {
            name: one.numbers for name, one in config.networks.items()
        }
        assert again.routes[0].hours == config.routes[0].hours
        assert "1 route, 3 networks" in _summary(config)


class TestCountries:
    """What the tables of phonenumbers give."""

    def test_a_country_with_a_code_of_its_own_is_that_code(self) -> None:
        """Whatever range it opens next year is in it."""
        assert countries.of_country("FR") == ("33",)

    @pytest.mark.parametrize("code", [1, 7, 39, 44, 47, 61, 212, 262, 290, 358, 590, 599])
    def test_shared_codes_agree_with_the_library(self, code: int) -> None:
        """A number of a shared code is in the network of the country the library itself says, and in no other."""
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
        own: dict[str, str] = {}
        for region in regions:
            try:
                for prefix in countries.of_country(region):
                    assert prefix not in own
                    own[prefix] = region
            except countries.Unknown:
                continue
        rng, asked = random.Random(code), 0
        for region in regions:
            for kind in range(11):
                example = phonenumbers.example_number_for_type(region, kind)
                for _ in range(20 if example else 0):
                    digits = list(phonenumbers.national_significant_number(example))
                    for _ in range(rng.randrange(4)):
                        digits[rng.randrange(len(digits))] = rng.choice("0123456789")
                    number = phonenumbers.parse(f"+{code}{''.join(digits)}")
                    if phonenumbers.number_type(number) in NO_HANDSETS:
                        continue
                    text = f"{code}{phonenumbers.national_significant_number(number)}"
                    found = [own[text[:n]] for n in range(len(text) + 1) if text[:n] in own]
                    assert found == [phonenumbers.region_code_for_number(number)], text
                    asked += 1
        assert asked > 20

    @pytest.mark.parametrize(
        ("country", "operator", "name"),
        [("FR", "Orange", "Orange France"), ("FR", "orange france", "Orange France"), ("GB", "o2", "O2")],
    )  # fmt: skip
    def test_an_operator_by_its_name(self, country: str, operator: str, name: str) -> None:
        """The whole name in any case, or its first words where they fit one operator only."""
        assert countries.of_operator(country, operator)[0] == name

    @pytest.mark.parametrize("operator", ["Orange France", "SFR", "Bouygues", "Lebara France Limited"])
    def test_an_operator_has_its_ranges_and_no_other(self, operator: str) -> None:
        """For any French mobile number the networks agree with the longest prefix of the library's own table."""
        from phonenumbers import carrier

        _, prefixes = countries.of_operator("FR", operator)
        rng = random.Random(operator)
        mine = 0
        for _ in range(3000):
            text = f"33{rng.choice('67')}{rng.randrange(10**8):08d}"
            said = carrier.name_for_valid_number(phonenumbers.parse(f"+{text}"), "en")
            assert text.startswith(prefixes) == (said == operator), text
            mine += said == operator
        assert mine or operator.startswith("Lebara")

    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            ("country: XX", f":2:7: no country `XX` in {countries.SOURCE}, expected a country by its two ISO 3166 "
             "letters, such as FR"),
            ("country: UK", f":2:7: no country `UK` in {countries.SOURCE}, expected `GB`"),
            ("country: EH", f":2:7: {countries.SOURCE} cannot tell the numbers of EH from those of MA, expected "
             "`country: MA`"),
            ("country: VA, operator: TIM", f":2:20: {countries.SOURCE} names no operators of VA, expected `prefixes` "
             "or a `file`"),
            ("country: JE, operator: Airtell", f":2:20: no operator `Airtell` of JE in {countries.SOURCE}, did you "
             "mean `Airtel`? expected one of Airtel, JT, O2, Sure"),
        ],
    )  # fmt: skip
    def test_what_nobody_knows_is_told(self, keys: str, said: str, folder: Any) -> None:
        """A country or operator that is none, with those there are."""
        (told,) = folder.says({"networks.yaml": f"networks:\n  a: {{{keys}}}\n"})
        assert told.startswith(f"networks.yaml{said}")

    def test_the_tables_are_loaded_only_for_who_names_a_country(self, folder: Any) -> None:
        """`smsroute check` of a config without one does not pay for them."""
        folder.write({})
        program = (
            "import os, sys; from smsroute.config import load; load(sys.argv[1], os.environ);"
            "sys.exit('phonenumbers' in sys.modules or 'zoneinfo' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", program, str(folder.path)], check=False).returncode == 0
