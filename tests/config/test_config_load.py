"""What a right folder becomes: raw scalars, defaults, secrets, split files, warnings."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from smsroute.config import Choice, ConfigErrors, InDoubt, Limits, Listen, Secret, load, places
from smsroute.message import Blame, MessageClass

EXAMPLES = Path(__file__).parents[2] / "config"


class TestExamples:
    """The folder we ship."""

    def test_the_shipped_examples_load_without_a_warning(self) -> None:
        """config/ runs as it stands: no secret to set, no error, nothing odd."""
        config = load(EXAMPLES, {})
        assert config.warnings == ()
        assert config.listen == (Listen("127.0.0.1", 2775),)
        assert [(b.host, b.port) for c in config.carriers.values() for b in c.binds] == [
            ("127.0.0.1", 3001),
            ("127.0.0.1", 3002),
            ("127.0.0.1", 3003),
        ]

    def test_what_the_examples_say_of_networks_is_true(self, tmp_path: Path) -> None:
        """Those that stand in comments load as well."""
        for path in EXAMPLES.glob("*.yaml"):
            text = path.read_text()
            if path.name == "networks.yaml":
                text = re.sub(r"(?m)^# ([a-z-]+: \{)", r"  \1", text)
            (tmp_path / path.name).write_text(text)
        (tmp_path / "ported.csv").write_text("prefix;operator\n33607;Orange\n")
        networks = load(tmp_path, {}).networks
        assert list(networks) == ["uk-o2", "canada", "fr-orange", "fr-ported"]
        assert all(network.numbers for network in networks.values())

    def test_the_examples_show_the_contract(self) -> None:
        """The values of the design's section 8 arrive as they are meant."""
        config = load(EXAMPLES, {})
        acme = config.esmes["acme"]
        assert (acme.binds_max, acme.window, acme.rate, acme.default_class) == (8, 500, 100_000.0, MessageClass.INFO)
        assert acme.class_by["service_type"]["ALRT"] is MessageClass.ALERT
        orange = config.carriers["orange"]
        assert (orange.window, orange.rate, orange.enquire_link_s, orange.response_timeout_s) == (100, 2000.0, 30, 10)
        assert orange.binds[0].count == 2
        assert config.carriers["sfr"].outcomes == {0x45: Blame.PERMANENT_MESSAGE, 0x400: Blame.TRANSIENT}
        errors = config.carriers["sfr"].dialect.errors
        assert errors == {"001": Blame.PERMANENT_MESSAGE, "050": Blame.THROTTLED, "069": Blame.TRANSIENT}
        route = config.routes[0]
        assert route.carriers[0] == Choice("orange", 0.031, 70, certified=True)
        assert (route.path, route.line) == ("routes.yaml", 6)
        assert route.in_doubt[MessageClass.OTP] == InDoubt("resend", 10.0)
        assert route.in_doubt[MessageClass.INFO] == InDoubt("hold")


class TestScalars:
    """Text is what the field's type says, never what YAML guesses."""

    @pytest.mark.parametrize("text", ["NO", "12:30", "+336", "0803", "0x10", "1_000", "~", "null", "true", "1e3", ".5"])
    def test_a_sender_stays_as_written(self, text: str, folder: Any) -> None:
        """Nothing that YAML 1.1 would turn into a number, a boolean, minutes or nothing is turned."""
        routes = f"routes:\n  - {{name: a, to: [0803], from: [{text}], carriers: [{{carrier: orange}}]}}\n"
        route = folder.load({"routes.yaml": routes}).routes[0]
        assert route.sender == (text,)
        assert route.to == ("0803",)

    def test_names_may_look_like_anything(self, folder: Any) -> None:
        """A carrier called NO and an ESME called 0123 are just that."""
        config = folder.load(
            {
                "carriers.yaml": "carriers: {NO: {system_id: 12, password: {plain: 007}, binds: [{address: h:1}]}}\n",
                "esmes.yaml": "esmes: {0123: {password: {plain: yes}}}\n",
                "routes.yaml": "routes: [{name: on, to: [''], esmes: [0123], carriers: [{carrier: NO}]}]\n",
            }
        )
        assert config.carriers["NO"].system_id == "12"
        assert config.carriers["NO"].password.matches(b"007")
        assert config.esmes["0123"].password.matches(b"yes")

    def test_an_alias_is_the_value_it_points_at(self, folder: Any) -> None:
        """Two carriers may share a block."""
        config = folder.load(
            {
                "carriers.yaml": "carriers:\n  orange: &o "
                "{system_id: a, password: {plain: x}, binds: [{address: h:1}]}\n  sfr: *o\n"
            }
        )
        assert attrs.evolve(config.carriers["sfr"], name="orange") == config.carriers["orange"]

    def test_a_byte_order_mark_and_crlf_change_nothing(self, folder: Any) -> None:
        """Files saved by other systems are read."""
        assert folder.load({"smsroute.yaml": b"\xef\xbb\xbfnode: n7\r\nhttp: '[::1]:0'\r\n"}).http == ("::1", 0)


class TestDefaults:
    """What holds where nothing is said."""

    def test_the_smallest_config_gets_the_defaults_of_the_nouns(self, folder: Any) -> None:
        """Limits are the page as printed; paths start from the folder."""
        config = folder.load()
        assert config.limits == Limits()
        assert config.store == f"sqlite:{folder.path}/var/smsroute"
        assert config.control == folder.path / "var/control.sock"
        assert config.http is None

    def test_validity_and_in_doubt_follow_the_limits(self, folder: Any) -> None:
        """An ESME without validity has the house's; a route without in_doubt too; what is said wins."""
        config = folder.load(
            {
                "smsroute.yaml": "limits: {validity_default: 2h, otp_resend_after: 3s}\n",
                "esmes.yaml": "esmes:\n  acme: {password: {plain: x}}\n  shop: {password: {plain: x}, validity: 1d}\n",
            }
        )
        assert config.esmes["acme"].validity_s == 7200
        assert config.esmes["shop"].validity_s == 86400
        assert config.routes[0].in_doubt[MessageClass.OTP] == InDoubt("resend", 3.0)

    def test_default_speaks_for_the_classes_not_named(self, folder: Any) -> None:
        """`default: hold` holds otp as well; without a default the house policy holds."""
        routes = "routes:\n  - {{name: a, to: [''], in_doubt: {{{}}}, carriers: [{{carrier: orange}}]}}\n"
        said = folder.load({"routes.yaml": routes.format("alert: {fail_after: 1m}, default: hold")}).routes[0].in_doubt
        assert said[MessageClass.ALERT] == InDoubt("fail", 60.0)
        assert said[MessageClass.OTP] == InDoubt("hold")
        said = folder.load({"routes.yaml": routes.format("alert: {resend_after: 0}")}).routes[0].in_doubt
        assert said[MessageClass.ALERT] == InDoubt("resend", 0.0)
        assert said[MessageClass.OTP] == InDoubt("resend", 10.0)

    def test_all_may_stand_in_one_file(self, folder: Any) -> None:
        """The split files are optional."""
        whole = "".join(folder.smallest.values())
        config = folder.load({"smsroute.yaml": whole, "esmes.yaml": None, "carriers.yaml": None, "routes.yaml": None})
        assert (list(config.esmes), list(config.carriers), config.routes[0].path) == (
            ["acme"],
            ["orange"],
            "smsroute.yaml",
        )

    def test_the_digest_tells_revisions_apart(self, folder: Any) -> None:
        """It is the files' and nothing else's: the same octets give the same, one other octet another."""
        first = folder.load().digest
        assert folder.load().digest == first
        assert folder.load({"smsroute.yaml": "node: n1 \n"}).digest != first


class TestSecrets:
    """Passwords come from three places and go nowhere."""

    def test_the_three_sources(self, folder: Any) -> None:
        """plain, env and file; a file's last newline is not part of it."""
        (folder.path / "pw").write_text("from file\n")
        text = "esmes:\n  a: {password: {plain: p}}\n  b: {password: {env: PW}}\n  c: {password: {file: pw}}\n"
        esmes = folder.load({"esmes.yaml": text}, {"PW": "from env"}).esmes
        assert [esme.password.reveal() for esme in esmes.values()] == [b"p", b"from env", b"from file"]

    def test_matches_compares_octets(self) -> None:
        """Right, wrong, shorter, empty and non-ASCII offers."""
        secret = Secret(b"hunter2")
        assert secret.matches(b"hunter2")
        assert not any(secret.matches(offer) for offer in (b"hunter3", b"hunter", b"", b"\xff" * 7))

    def test_a_config_never_shows_a_password(self, folder: Any) -> None:
        """repr of the secret and of everything around it."""
        config = folder.load({"esmes.yaml": "esmes: {acme: {password: {plain: hunter2}}}\n"})
        assert "hunter2" not in repr(config)
        assert repr(config.esmes["acme"].password) == "Secret(plain)"

    def test_without_secrets_the_rest_is_still_checked(self, folder: Any) -> None:
        """Away from the engine's machine env and file secrets and TLS files are not looked for."""
        folder.write(
            {
                "esmes.yaml": "esmes: {acme: {password: {env: NOPE}}}\n",
                "smsroute.yaml": "listen: [{address: h:1, tls: {certificate: no.pem, key: no.key}}]\n",
            }
        )
        config = load(folder.path, {}, secrets=False)
        assert config.esmes["acme"].password == Secret(b"", "env NOPE")
        with pytest.raises(ConfigErrors):
            load(folder.path, {})


class TestAdmits:
    """Which address may bind as an ESME."""

    def test_ranges_of_both_families(self, folder: Any) -> None:
        """IPv4, IPv6, one address, IPv4 as a dual-stack socket reports it, and a zone."""
        text = "esmes: {acme: {password: {plain: x}, allow_from: [10.0.0.0/8, 192.0.2.7, 'fe80::/16']}}\n"
        esme = folder.load({"esmes.yaml": text}).esmes["acme"]
        assert all(esme.admits(peer) for peer in ("10.1.2.3", "192.0.2.7", "::ffff:10.1.2.3", "fe80::1%eth0"))
        assert not any(esme.admits(peer) for peer in ("11.0.0.1", "192.0.2.8", "::1", "::ffff:11.0.0.1"))
        assert esme.allow_from[1] == ipaddress.ip_network("192.0.2.7/32")

    def test_no_ranges_admit_anybody(self, folder: Any) -> None:
        """allow_from left out is no restriction."""
        assert folder.load().esmes["acme"].admits("203.0.113.9")


class TestWarnings:
    """Odd, and loaded all the same."""

    def test_a_route_that_is_never_reached(self, folder: Any) -> None:
        """The second of two routes that match the same, by each prefix; a narrower one is none."""
        said = folder.says(
            {
                "routes.yaml": "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}]}\n"
                "  - {name: b, to: [336, 33], carriers: [{carrier: orange}]}\n"
                "  - {name: c, to: [33], classes: [info], from: [X], carriers: [{carrier: orange}]}\n"
            }
        )
        assert said == [
            "routes.yaml:3:25: warning: route `b` is not reached for `33`: `a` (routes.yaml:2) matches the same "
            "and stands first, expected one route for it"
        ]

    def test_certified_hints(self, folder: Any) -> None:
        """A route for otp alone without a certified carrier, and one whose otp hang on a single carrier."""
        carrier = "{system_id: a, password: {plain: x}, binds: [{address: h:1}]}"
        said = folder.says(
            {
                "carriers.yaml": f"carriers:\n  orange: &o {carrier}\n  sfr: *o\n",
                "routes.yaml": "routes:\n  - {name: a, to: [33], classes: [otp], carriers: [{carrier: orange}]}\n"
                "  - {name: b, to: [34], carriers: [{carrier: orange, certified: true}, {carrier: sfr}]}\n"
                "  - {name: c, to: [34], classes: [info], carriers: [{carrier: sfr, certified: true}]}\n",
            }
        )
        assert said == [
            "routes.yaml:2:41: warning: route `a` is for otp and certifies no carrier, "
            "expected `certified: true` on those fit for it",
            "routes.yaml:3:25: warning: route `b` certifies `orange` only, "
            "expected a second: otp and alert may use no other when it is down",
        ]

    def test_what_nobody_uses(self, folder: Any) -> None:
        """A carrier in no route, an ESME that no route serves, and one that may come from anywhere."""
        said = folder.says(
            {
                "smsroute.yaml": "listen: [{address: '0.0.0.0:2775'}]\n",
                "esmes.yaml": "esmes:\n  acme: {password: {plain: x}, allow_from: [10.0.0.0/8]}\n"
                "  beta: {password: {plain: x}}\n",
                "carriers.yaml": "carriers:\n  orange: &o {system_id: a, password: {plain: x}, "
                "binds: [{address: h:1}]}\n  sfr: *o\n",
                "routes.yaml": "routes:\n  - {name: a, to: [33], esmes: [acme], carriers: [{carrier: orange}]}\n",
            }
        )
        assert said == [
            "esmes.yaml:3:3: warning: no route serves esme `beta`, expected one that names it, or one for all",
            "esmes.yaml:3:3: warning: esme `beta` may bind from any address, expected `allow_from` with its own ranges",
            "carriers.yaml:3:3: warning: carrier `sfr` is in no route, expected one that names it",
        ]

    def test_empty_sections(self, folder: Any) -> None:
        """A house may be set up room by room: empty is allowed, and said."""
        said = folder.says(
            {
                "esmes.yaml": "esmes: {}\n",
                "carriers.yaml": "carriers: {}\n",
                "routes.yaml": "routes: []\n",
            }
        )
        assert said == [
            "esmes.yaml:1:1: warning: `esmes` is empty, expected at least one",
            "carriers.yaml:1:1: warning: `carriers` is empty, expected at least one",
            "routes.yaml:1:1: warning: `routes` is empty, expected at least one",
        ]


class TestPlaces:
    """Finding the engine while its config is half-way through an edit."""

    def test_places_survive_any_error_elsewhere(self, folder: Any) -> None:
        """The control socket is found although everything else is wrong."""
        folder.write({"smsroute.yaml": "node: toolong\ncontrol: run/ctl\nlisten: 5\nfoo: bar\n", "routes.yaml": "{"})
        found = places(folder.path)
        assert (found.control, found.node) == (folder.path / "run/ctl", "n1")

    def test_places_of_no_folder_are_the_defaults(self, tmp_path: Path) -> None:
        """Even without a file there is somewhere to look."""
        found = places(tmp_path / "nowhere")
        assert found.control == tmp_path / "nowhere/var/control.sock"
        assert found.store == f"sqlite:{tmp_path}/nowhere/var/smsroute"
