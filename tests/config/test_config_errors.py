"""Every kind of error, by its exact words, line and column."""

from __future__ import annotations

from typing import Any

import pytest

MAIN, ESMES, CARRIERS, NETWORKS, ROUTES = "smsroute", "esmes", "carriers", "networks", "routes"

# What carriers need besides what a case is about.
C = "system_id: a, password: {plain: x}"
B = "binds: [{address: h:1}]"
SECRET = "{plain: TEXT}, {env: NAME}, {file: PATH}, {scrypt: HASH} or {argon2: HASH}"
NO_HASH = "{plain: TEXT}, {env: NAME} or {file: PATH}"
DURATION = "a duration with its unit such as 500ms, 30s or 10m"
PREFIX = 'up to 15 E.164 digits without + or spaces, such as 336, or "" for any number, or the name of a network'
NETWORK = "{prefixes: [...]}, {file: PATH} or {country: FR}"
HOURS = 'days and times such as "mon-fri 08:00-20:00", "sat,sun 10:00-18:00" or "22:00-06:00"'
BLAMES = "ok, throttled, congested, transient, permanent-message, permanent-route, unknown"

# fmt: off
FILES = [
    # the file as a whole
    (MAIN, "", ": the file is empty, expected keys such as `node` and `listen`"),
    (MAIN, "# nothing yet\n", ": the file is empty, expected keys such as `node` and `listen`"),
    (ESMES, "---\n...\n", ": the file is empty, expected `esmes:`"),
    (MAIN, "{}\n", ":1:1: no keys, expected keys such as `node` and `listen`"),
    (MAIN, "- node\n", ":1:1: the file is a list, expected keys and values"),
    (MAIN, "node\n", ":1:1: the file is `node`, expected keys and values"),
    (MAIN, b"node: n1\nstore: \xffx\n", ":2:8: octet 0xff is not UTF-8, expected UTF-8 text"),
    (MAIN, "node: n1\nstore: a\x00b\n", ":2:9: control character U+0000, expected text"),
    (MAIN, "node: n1\n---\nnode: n2\n", ":2:1: a second document starts here, expected one document a file"),
    # YAML itself
    (MAIN, "node: n1: x\n", ":1:9: not YAML: mapping values are not allowed in this context, expected YAML"),
    (MAIN, "listen: [a, b\nnode: n1\n", ":2:5: not YAML: did not find expected ',' or ']' "
     "(while parsing a flow sequence from line 1), expected YAML"),
    (MAIN, "node: n1\n\tstore: x\n", ":2:1: a tab indents this line, expected spaces"),
    (MAIN, "node: 'n1\n", ":2:1: not YAML: found unexpected end of stream (while scanning a quoted scalar "
     "from line 1), expected YAML"),
    (MAIN, "node: *x\n", ":1:7: alias without an anchor, expected the anchor before it, or quotes around text with *"),
    (MAIN, "limits: &l {nacks_max: *l}\n", ":1:24: alias inside what it stands for, expected the value itself"),
    (MAIN, "node: !!str n1\n", ":1:7: tag before a value, expected the value alone, or quotes around text with !"),
    (MAIN, "<<: {node: n1}\nnode: n2\n", ":1:1: merge key `<<` is not read, expected the keys themselves"),
    (MAIN, "? [a]\n: b\nnode: n1\n", ":1:3: a list as a key, expected a word"),
    (MAIN, "node: " + 20 * "[" + 20 * "]", ":1:18: nested 13 deep, expected at most 12"),
    (MAIN, "node: n1\nnode: n2\n", ":2:1: key `node` stands here again, expected once (first on line 1)"),
    # keys
    (MAIN, "nod: n1\n", ":1:1: unknown key `nod`, did you mean `node`?"),
    (MAIN, "zzz: n1\n", ":1:1: unknown key `zzz`, "
     "expected one of node, listen, store, control, http, mask_numbers, limits, esmes, carriers, networks, routes, "
     "mo"),
    (MAIN, "limits: {drain_timeout_s: 20}\n",
     ":1:10: unknown key `drain_timeout_s` in `limits`, did you mean `drain_timeout`?"),
    (MAIN, "limits: {zzz: 1}\n",
     ":1:10: unknown key `zzz` in `limits`, expected one that `smsroute check --defaults` prints"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, bind: []}}\n",
     ":2:48: unknown key `bind` in carrier `orange`, did you mean `binds`?"),
    (ROUTES, "routes:\n  - {name: a, to: [''], carriers: [{carrier: orange}], form: [x]}\n",
     ":2:56: unknown key `form` in route 1, did you mean `from`?"),
    # the wrong shape
    (MAIN, "node:\n", ":1:6: `node` is empty, expected 1 to 6 letters or digits"),
    (MAIN, "node: [n1]\n", ":1:7: `node` is a list, expected 1 to 6 letters or digits"),
    (MAIN, "node: {n1: }\n", ":1:7: `node` is keys and values, expected 1 to 6 letters or digits"),
    (MAIN, "listen: 127.0.0.1:2775\n", ":1:9: `listen` is `127.0.0.1:2775`, expected a list"),
    (MAIN, "listen: [a]\n", ":1:10: entry 1 of `listen` is `a`, expected {address, tls}"),
    (ESMES, "esmes: [acme]\n", ":1:8: `esmes` is a list, expected a name for each esme, and its keys"),
    (CARRIERS, "carriers: x\n", ":1:11: `carriers` is `x`, expected a name for each carrier, and its keys"),
    (ESMES, "esmes:\n  acme:\n", ":2:8: `acme` is empty, expected {password, allow_from, binds_max, window, …}"),
    (ROUTES, "routes: {fr: }\n", ":1:9: `routes` is keys and values, expected a list"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, class_by: []}\n",
     ":2:42: `class_by` is a list, expected keys and values"),
    # the engine's values
    (MAIN, "node: toolong\n", ":1:7: `node` is `toolong`, expected 1 to 6 letters or digits"),
    (MAIN, "node: n-1\n", ":1:7: `node` is `n-1`, expected 1 to 6 letters or digits"),
    (MAIN, "listen: []\n", ":1:1: `listen` is an empty list, expected at least one address"),
    (MAIN, "listen: [{tls: {certificate: routes.yaml, key: routes.yaml}}]\n", ":1:10: entry 1 of `listen` has no "
     "`address`, expected host:port such as 127.0.0.1:2775 or [::1]:2775"),
    (MAIN, "listen: [{address: 2775}]\n",
     ":1:20: `address` is `2775`, expected host:port such as 127.0.0.1:2775 or [::1]:2775"),
    (MAIN, "listen: [{address: '[::g]:1'}]\n",
     ":1:20: `address` is `[::g]:1`, expected host:port such as 127.0.0.1:2775 or [::1]:2775"),
    (MAIN, "listen: [{address: '[:::]:1'}]\n",
     ":1:20: `address` is `[:::]:1`, expected host:port such as 127.0.0.1:2775 or [::1]:2775"),
    (MAIN, "listen: [{address: a:65536}]\n", ":1:20: `address` is `a:65536`, expected a port 0..65535"),
    (MAIN, "listen: [{address: a:1}, {address: a:1}]\n", ":1:27: `a:1` stands twice in `listen`, expected once"),
    (MAIN, "listen: [{address: a:1, tls: {certificate: no.pem, key: routes.yaml}}]\n",
     ":1:31: file `no.pem`: no such file or directory, expected a PEM file"),
    (MAIN, "listen: [{address: a:1, tls: {key: routes.yaml}}]\n",
     ":1:31: `key` stands alone, expected `certificate` beside it"),
    (MAIN, "listen: [{address: a:1, tls: {certificate: routes.yaml}}]\n",
     ":1:31: `certificate` stands alone, expected `key` beside it"),
    (MAIN, "listen: [{address: a:1, tls: {certificate: routes.yaml, key: routes.yaml, verify: false}}]\n",
     ":1:75: `verify` means nothing here, expected it towards carriers only"),
    (MAIN, "listen: [{address: a:1, tls: {certificate: routes.yaml, key: routes.yaml, server_name: a}}]\n",
     ":1:75: `server_name` means nothing here, expected it towards carriers only"),
    (MAIN,
     "listen: [{address: a:1, tls: {certificate: routes.yaml, key: routes.yaml, client_certificates: optional}}]\n",
     ":1:75: `client_certificates` means nothing here, expected `ca` beside it"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:1, tls: {{client_certificates: optional}}}}]}}\n",
     ":2:77: `client_certificates` means nothing here, expected it on a listener only"),
    (MAIN, "listen: [{address: a:1, tls: {}}]\n",
     ":1:25: `tls` of a listener, expected `certificate` and `key` in it"),
    (MAIN, "store: postgres://x\n",
     ":1:8: `store` is `postgres://x`, expected sqlite:FOLDER, such as sqlite:var/smsroute"),
    (MAIN, "control: ''\n", ":1:10: `control` is ``, expected a path"),
    (MAIN, "http: 9464\n", ":1:7: `http` is `9464`, expected host:port such as 127.0.0.1:2775 or [::1]:2775"),
    # limits: units and ranges
    (MAIN, "limits: {drain_timeout: 20}\n", f":1:25: `drain_timeout` is `20`, expected {DURATION}, 0..1h"),
    (MAIN, "limits: {drain_timeout: 2h}\n", ":1:25: `drain_timeout` is `2h`, expected 0..1h"),
    (MAIN, "limits: {drain_timeout: -1s}\n", f":1:25: `drain_timeout` is `-1s`, expected {DURATION}, 0..1h"),
    (MAIN, "limits: {bind_timeout: 0}\n", ":1:24: `bind_timeout` is `0`, expected 100ms..10m"),
    (MAIN, "limits: {attempts_max: 0x10}\n", ":1:24: `attempts_max` is `0x10`, expected a whole number, 1..1000"),
    (MAIN, "limits: {attempts_max: 1_001}\n", ":1:24: `attempts_max` is `1_001`, expected 1..1000"),
    (MAIN, "limits: {pdu_octets_max: 64KB}\n", ":1:26: `pdu_octets_max` is `64KB`, "
     "expected a size in octets such as 65536, 64KiB or 4MiB, 512..1MiB"),
    (MAIN, "limits: {pdu_octets_max: 2MiB}\n", ":1:26: `pdu_octets_max` is `2MiB`, expected 512..1MiB"),
    (MAIN, "limits: {overprovision: 1e1}\n", ":1:25: `overprovision` is `1e1`, expected a number, 1..10"),
    (MAIN, "limits: {overprovision: 0.5}\n", ":1:25: `overprovision` is `0.5`, expected 1..10"),
    (MAIN, "limits: {retry_schedule: []}\n",
     ":1:10: `retry_schedule` is an empty list, expected at least one duration"),
    (MAIN, "limits: {retry_schedule: [1s, 2x]}\n",
     f":1:31: entry 2 of `retry_schedule` is `2x`, expected {DURATION}, 10ms..1d"),
    (MAIN, "limits: {ejection_min: 10m}\n",
     ":1:10: `ejection_min` is above `ejection_max`, expected it at or below"),
    # ESMEs
    (ESMES, "esmes:\n  a b: {password: {plain: x}}\n",
     ":2:3: esme `a b` is not a name, expected a system_id: 1 to 64 letters, digits or . _ @ + -"),
    (ESMES, "esmes:\n  acme: {}\n", f":2:3: esme `acme` has no `password`, expected {SECRET}"),
    (CARRIERS, f"carriers:\n  orange: {{system_id: a, password: {{scrypt: hunter2}}, {B}}}\n",
     f":2:36: `password` has other keys, expected {NO_HASH}"),
    (ESMES, "esmes:\n  acme: {password: {scrypt: hunter2}}\n", ":2:29: `password` of esme `acme` is no scrypt hash, "
     "expected a hash such as `smsroute hash` makes"),
    (ESMES, "esmes:\n  acme: {password: {scrypt: '$scrypt$ln=19,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2g'}}\n",
     ":2:29: `password` of esme `acme` takes more than 256 MiB to check, "
     "expected a hash such as `smsroute hash` makes"),
    (ESMES, "esmes:\n  acme: {password: {argon2: '$argon2id$v=19$m=1$x'}}\n", ":2:29: `password` of esme `acme` is "
     "no argon2 hash, expected a hash such as `smsroute hash --argon2` makes"),
    (ESMES, "esmes:\n  acme: {password: hunter2}\n", f":2:20: `password` is bare text, expected {SECRET}"),
    (ESMES, "esmes:\n  acme: {password: }\n", f":2:20: `password` is empty, expected {SECRET}"),
    (ESMES, "esmes:\n  acme: {password: [hunter2]}\n", f":2:20: `password` is a list, expected {SECRET}"),
    (ESMES, "esmes:\n  acme: {password: {hunter2}}\n", f":2:20: `password` has other keys, expected {SECRET}"),
    (ESMES, "esmes:\n  acme: {password: {plain: }}\n", ":2:28: `plain` is empty, expected the password"),
    (ESMES, "esmes:\n  acme: {password: {env: [A]}}\n",
     ":2:26: `env` is a list, expected the name of an environment variable"),
    (ESMES, "esmes:\n  acme: {password: {plain: ''}}\n",
     ":2:28: `password` of esme `acme` is empty, expected 1..64 printable ASCII characters"),
    (ESMES, "esmes:\n  acme: {password: {plain: hünter2}}\n", ":2:28: `password` of esme `acme` has octets that "
     "are no printable ASCII, expected 1..64 printable ASCII characters"),
    (ESMES, f"esmes:\n  acme: {{password: {{plain: {65 * 'x'}}}}}\n", ":2:28: `password` of esme `acme` is longer "
     "than an SMPP password can be, expected 1..64 printable ASCII characters"),
    (ESMES, "esmes:\n  acme: {password: {env: NOPE}}\n",
     ":2:26: environment variable `NOPE` is not set, expected it to hold `password` of esme `acme`"),
    (ESMES, "esmes:\n  acme: {password: {file: nope}}\n",
     ":2:27: file `nope`: no such file or directory, expected it to hold `password` of esme `acme`"),
    (ESMES, "esmes:\n  acme: {password: {file: routes.yaml}}\n", ":2:27: `password` of esme `acme` from file "
     "`routes.yaml` is longer than an SMPP password can be, expected 1..64 printable ASCII characters"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, allow_from: [10.0.0.1/8]}\n", ":2:45: entry 1 of `allow_from` "
     "is `10.0.0.1/8`, expected no host bits beyond the mask, such as 10.0.0.0/8"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, allow_from: [home]}\n", ":2:45: entry 1 of `allow_from` is "
     "`home`, expected an IP range such as 192.0.2.0/24 or an address"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, rate: 100}\n", ":2:38: `rate` is `100`, expected a rate with "
     "its unit such as 2000/s or 90/m, 0.01/s..1000000/s"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, rate: 0/s}\n",
     ":2:38: `rate` is `0/s`, expected 0.01/s..1000000/s"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, receipt_tlvs: yes}\n",
     ":2:46: `receipt_tlvs` is `yes`, expected true or false"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, default_class: OTP}\n",
     ":2:47: `default_class` is `OTP`, expected one of otp, alert, info, marketing"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, class_by: {servicetype: {A: otp}}}\n",
     ":2:43: unknown key `servicetype` in `class_by` of esme `acme`, did you mean `service_type`?"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, class_by: {service_type: {OTPOTP: otp}}}\n", ":2:58: key "
     "`OTPOTP` in `service_type` of `class_by` of esme `acme`, expected a service_type: 1 to 5 ASCII characters"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, class_by: {priority_flag: {5: otp}}}\n",
     ":2:59: priority_flag `5` of esme `acme`, expected 0 to 4"),
    (ESMES, "esmes:\n  acme: {password: {plain: x}, class_by: {service_type: {A: b}}}\n",
     ":2:61: `A` is `b`, expected one of otp, alert, info, marketing"),
    # carriers
    (CARRIERS, f"carriers:\n  orange: {{{C}}}\n", ":2:3: carrier `orange` has no `binds`, expected a list"),
    (CARRIERS, f"carriers:\n  orange: {{password: {{plain: x}}, {B}}}\n",
     ":2:3: carrier `orange` has no `system_id`, expected 1 to 64 ASCII characters without spaces"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: []}}\n",
     ":2:48: `binds` is an empty list, expected at least one bind"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:1, mode: receiver}}]}}\n",
     ":2:48: `binds` are receivers only, expected one that can send: transceiver, transmitter or pair"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:1, receiver_address: h:2}}]}}\n",
     ":2:71: `receiver_address` on a transceiver, expected it with `mode: pair` only"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:1}}, {{address: h:2, count: 2, "
     f"outbind: {{{C}}}}}]}}\n",
     ":2:87: `count` beside `outbind`, expected one bind on one plain address of ours"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:1, mode: trx}}]}}\n",
     ":2:77: `mode` is `trx`, expected one of transceiver, transmitter, receiver, pair"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, binds: [{{address: h:0}}]}}\n",
     ":2:66: `address` is `h:0`, expected a port 1..65535"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, interface_version: 3.3, submit: {{long: sar}}}}\n",
     ":2:106: `interface_version: 3.3` has no TLVs, expected 3.4 or a `submit` without them"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, interface_version: 3.5}}\n",
     ":2:92: `interface_version` is `3.5`, expected one of 3.3, 3.4, 5.0"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, receipts: never}}\n",
     ":2:83: `receipts` is `never`, expected as-asked or always"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, dialect: {{ids: hex}}}}\n",
     ":2:88: `ids` is `hex`, expected one of auto, exact, hex-dec, dec-hex, unpad, casefold"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, caps: {{esme: {{acme: 1/s}}}}}}\n",
     ":2:80: unknown key `esme` in `caps` of carrier `orange`, did you mean `esmes`?"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, caps: {{esmes: {{acne: 1/s}}}}}}\n",
     ":2:88: unknown esme `acne`, did you mean `acme`?"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, caps: {{classes: {{promo: 1/s}}}}}}\n",
     ":2:90: unknown key `promo` in `classes` of `caps` of carrier `orange`, "
     "expected one of otp, alert, info, marketing"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, caps: {{classes: {{otp: 50}}}}}}\n",
     ":2:95: `otp` is `50`, expected a rate with its unit such as 2000/s or 90/m, 0.01/s..1000000/s"),
    (MAIN, "limits: {destination_hold: 10m}\n",
     ":1:10: `destination_hold` is above `destination_hold_max`, expected it at or below"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, outcomes: {{69: no}}}}\n",
     f":2:88: `69` is `no`, expected one of {BLAMES}"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, dialect: {{errors: {{001: subscriber}}}}}}\n",
     ":2:97: `001` is `subscriber`, expected one of ok, throttled, congested, transient, permanent-message, "
     "permanent-route, unknown"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, dialect: {{errors: {{0x45: ok, 0-1: ok}}}}}}\n",
     ":2:102: key `0-1` in `errors` of `dialect` of carrier `orange`, expected 1 to 16 letters or digits, as the "
     "carrier's receipts write err"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, outcomes: {{RTHROTTLED: ok}}}}\n",
     ":2:84: key `RTHROTTLED` in `outcomes` of carrier `orange`, expected a command_status such as 0x45 or 69"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, outcomes: {{0x45: ok, 69: ok}}}}\n",
     ":2:94: `69` stands here again in other words, expected once"),
    (CARRIERS, f"carriers:\n  orange: {{{C}, {B}, reconnect_min: 5m}}\n",
     ":2:73: `reconnect_min` is above `reconnect_max`, expected it at or below"),
    # routes
    (ROUTES, "routes:\n  - {to: [''], carriers: [{carrier: orange}]}\n",
     ":2:5: route 1 has no `name`, expected 1 to 64 letters, digits or . _ -"),
    (ROUTES, "routes:\n  - {name: a, to: [], carriers: [{carrier: orange}]}\n",
     ":2:15: `to` is an empty list, expected at least one prefix"),
    (ROUTES, "routes:\n  - {name: a, to: [''], carriers: []}\n",
     ":2:25: `carriers` is an empty list, expected at least one carrier"),
    (ROUTES, "routes:\n  - {name: a, to: [33, +336], carriers: [{carrier: orange}]}\n",
     f":2:24: entry 2 of `to` is `+336`, expected {PREFIX}"),
    (ROUTES, "routes:\n  - {name: a, to: [1234567890123456], carriers: [{carrier: orange}]}\n",
     f":2:20: entry 1 of `to` is `1234567890123456`, expected {PREFIX}"),
    (ROUTES, "routes:\n  - name: a\n    to:\n      -\n    carriers: [{carrier: orange}]\n",
     f":4:8: entry 1 of `to` is empty, expected {PREFIX}"),
    (ROUTES, "routes:\n  - {name: a, to: [33, 33], carriers: [{carrier: orange}]}\n",
     ":2:24: `33` stands twice in `to`, expected once"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], backup: [{carrier: orange}]}\n",
     ":2:66: `orange` stands twice in route `a`, expected once"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [orange]}\n",
     ":2:36: entry 1 of `carriers` is `orange`, expected {carrier, cost, weight, certified}"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orang}]}\n",
     ":2:46: unknown carrier `orang`, did you mean `orange`?"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: sfr}]}\n",
     ":2:46: unknown carrier `sfr`, expected one of orange"),
    (ROUTES, "routes:\n  - {name: a, to: [33], esmes: [acne], carriers: [{carrier: orange}]}\n",
     ":2:33: unknown esme `acne`, did you mean `acme`?"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange, weight: 0}]}\n",
     ":2:62: `weight` is `0`, expected 1..10000"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange, cost: -1}]}\n",
     ":2:60: `cost` is `-1`, expected a number, 0..1000000"),
    (ROUTES, "routes:\n  - {name: a, to: [33], prefer: price, carriers: [{carrier: orange}]}\n",
     ":2:33: `prefer` is `price`, expected one of balanced, quality, cost"),
    (ROUTES, "routes:\n  - {name: a, to: [33], in_doubt: hold, carriers: [{carrier: orange}]}\n",
     ":2:35: `in_doubt` is `hold`, expected {otp: …, alert: …, info: …, marketing: …, default: …}"),
    (ROUTES, "routes:\n  - {name: a, to: [33], in_doubt: {opt: hold}, carriers: [{carrier: orange}]}\n",
     ":2:36: unknown key `opt` in `in_doubt` of route 1, did you mean `otp`?"),
    (ROUTES, "routes:\n  - {name: a, to: [33], in_doubt: {otp: drop}, carriers: [{carrier: orange}]}\n",
     ":2:41: `otp` is `drop`, expected hold, {resend_after: 10s} or {fail_after: 1h}"),
    (ROUTES, "routes:\n  - {name: a, to: [33], in_doubt: {otp: {fail_after: 5}}, carriers: [{carrier: orange}]}\n",
     f":2:54: `fail_after` is `5`, expected {DURATION}, 0..7d"),
    (ROUTES, "routes:\n  - {name: a, to: [33], in_doubt: {otp: {resend: 5s}}, carriers: [{carrier: orange}]}\n",
     ":2:42: unknown key `resend` in `otp` of `in_doubt` of route 1, did you mean `resend_after`?"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], from_kind: [numerical]}\n",
     ":2:68: entry 1 of `from_kind` is `numerical`, expected one of alphanumeric, numeric, short"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], data_codings: [256]}\n",
     ":2:71: entry 1 of `data_codings` is `256`, expected 0..255"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], data_codings: 8}\n",
     ":2:70: `data_codings` is `8`, expected a list"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: [08:00]}\n",
     f":2:64: entry 1 of `hours` is `08:00`, expected {HOURS}"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['mon-fry 08:00-20:00']}\n",
     ":2:64: entry 1 of `hours` is `mon-fry 08:00-20:00`, expected "
     f"days by mon, tue, wed, thu, fri, sat, sun, {HOURS.removeprefix('days and times ')}"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['08:00-08:00']}\n",
     ":2:64: entry 1 of `hours` is `08:00-08:00`, expected "
     "a start and an end that differ; 00:00-24:00 is the whole day"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['24:00-08:00']}\n",
     ":2:64: entry 1 of `hours` is `24:00-08:00`, expected "
     "times from 00:00 to 23:59, the last one up to 24:00"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['08:00-20:00'], "
     "time_zone: Europe/Pariss}\n",
     ":2:91: `time_zone` is `Europe/Pariss`, expected an IANA time zone, perhaps Europe/Paris"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['08:00-20:00'], "
     "time_zone: ../passwd}\n",
     ":2:91: `time_zone` is `../passwd`, expected an IANA time zone such as Europe/Paris, or UTC"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], time_zone: Europe/Paris}\n",
     ":2:56: `time_zone` stands alone, expected `hours` beside it"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}], hours: ['08:00-20:00', '08:00-20:00']}\n",
     ":2:79: `08:00-20:00` stands twice in `hours`, expected once"),
    (ROUTES, "routes:\n  - {name: a, to: [33, fr-orange], carriers: [{carrier: orange}]}\n",
     ":2:24: unknown network `fr-orange`, expected a name from `networks`, which has none"),
    (NETWORKS, "networks:\n  a: {}\n", f":2:3: network `a` says no prefixes, expected {NETWORK}"),
    (NETWORKS, "networks:\n  a: {country: FR, prefixes: ['33']}\n",
     f":2:3: network `a` has `prefixes` and `country`, expected {NETWORK}"),
    (NETWORKS, "networks:\n  a: {operator: Orange, prefixes: ['33']}\n",
     ":2:7: `operator` stands alone, expected `country` beside it"),
    (NETWORKS, "networks:\n  a: {prefixes: []}\n", ":2:7: no prefixes, expected at least one"),
    (NETWORKS, "networks:\n  a: {prefixes: ['']}\n",
     ":2:18: entry 1 of `prefixes` is ``, expected 1 to 15 E.164 digits without + or spaces, such as 336"),
    (NETWORKS, "networks:\n  33: {prefixes: ['33']}\n",
     ":2:3: network `33` is not a name, expected a letter, and up to 31 letters, digits or . _ -"),
    (NETWORKS, "networks:\n  a: {country: fr}\n",
     ":2:16: `country` is `fr`, expected a country by its two ISO 3166 letters, such as FR"),
    (NETWORKS, "networks: [a]\n", ":1:11: `networks` is a list, expected a name for each network, and its keys"),
    (NETWORKS, "networks:\n  a: {prefix: ['33']}\n",
     ":2:7: unknown key `prefix` in network `a`, did you mean `prefixes`?"),
    (NETWORKS, "networks:\n  a: {file: gone.csv}\n",
     ":2:7: file `gone.csv`: no such file or directory, expected one prefix a line"),
    (ROUTES, "routes:\n  - {name: a, to: [33], carriers: [{carrier: orange}]}\n"
     "  - {name: a, to: [34], carriers: [{carrier: orange}]}\n",
     ":3:12: a second route `a`, expected a name of its own (first on routes.yaml:2)"),
]
# fmt: on


@pytest.mark.parametrize(("name", "text", "said"), FILES)
def test_one_slip_is_one_error_in_these_words(name: str, text: str | bytes, said: str, folder: Any) -> None:
    """Each kind of slip gives exactly one line: the place, what stands there, what was expected."""
    assert folder.says({f"{name}.yaml": text}) == [f"{name}.yaml{said}"]


def test_every_error_of_every_file_is_told_at_once(folder: Any) -> None:
    """Errors come together, by file in reading order and then by line, whatever order they were found in."""
    said = folder.says(
        {
            "smsroute.yaml": "http: x\nnode: toolong\n",
            "esmes.yaml": "esmes:\n  acme: {password: {plain: x}, window: 0}\n",
            "carriers.yaml": "carriers: {a: b\n",
            "routes.yaml": "routes:\n  - {name: a, to: [x], esmes: [beta], carriers: [{carrier: sfr}]}\n",
        }
    )
    assert [line.partition(": ")[0] for line in said] == [
        "smsroute.yaml:1:7",
        "smsroute.yaml:2:7",
        "esmes.yaml:2:40",
        "carriers.yaml:2:1",
        "routes.yaml:2:20",
        "routes.yaml:2:32",
    ]


def test_a_broken_noun_still_counts_as_named(section: Any) -> None:
    """A carrier with a slip in it is known to the routes: one slip does not cast a second error."""
    assert section("carriers", f"carriers:\n  orange: {{{C}, {B}, window: 0}}\n") == [
        "carriers.yaml:2:81: `window` is `0`, expected 1..10000"
    ]


def test_a_lost_file_is_told_once(folder: Any) -> None:
    """Without smsroute.yaml there is one error, and the other files are still read for theirs."""
    said = folder.says({"smsroute.yaml": None, "esmes.yaml": "esmes: {acme: {password: }}\n"})
    assert said == [
        "smsroute.yaml: no such file or directory, expected a file that this user can read",
        f"esmes.yaml:1:26: `password` is empty, expected {SECRET}",
    ]


def test_a_lost_section_names_both_places_where_it_may_stand(folder: Any) -> None:
    """A section that stands nowhere is told against smsroute.yaml, and a file of nearly that name is pointed at."""
    said = folder.says({"routes.yaml": None, "routes.yml": "routes: []\n"})
    assert said == [
        "smsroute.yaml: no `routes`, expected them here or in routes.yaml",
        "routes.yml: warning: this file is not read, did you mean `routes.yaml`?",
    ]


def test_a_section_in_two_files_is_refused(folder: Any) -> None:
    """Nobody is left to guess which of two sections counts."""
    assert folder.says({"smsroute.yaml": "node: n1\nesmes: {}\n"}) == [
        "esmes.yaml:1:1: `esmes` stands in two files, expected it in one (first in smsroute.yaml:2)"
    ]


def test_a_key_in_the_wrong_file_is_told_where_it_belongs(section: Any) -> None:
    """A split file holds its own section only."""
    assert section("esmes", "esmes: {}\nnode: n1\nlimits: {}\ncarriers: {}\nfoo: 1\n")[:4] == [
        "esmes.yaml:2:1: `node` in esmes.yaml, expected it in smsroute.yaml",
        "esmes.yaml:3:1: `limits` in esmes.yaml, expected it in smsroute.yaml",
        "esmes.yaml:4:1: `carriers` in esmes.yaml, expected it in carriers.yaml or smsroute.yaml",
        "esmes.yaml:5:1: unknown key `foo` in esmes.yaml, expected `esmes` only",
    ]


def test_a_folder_that_is_none_is_told(folder: Any, tmp_path: Any) -> None:
    """A missing folder and a file in its place each get their word."""
    folder.path = tmp_path / "nowhere"
    folder.write = lambda files: None
    assert folder.says({}) == ["FOLDER: no such folder, expected a folder with smsroute.yaml in it"]
    folder.path.write_text("x")
    assert folder.says({}) == ["FOLDER: not a folder, expected a folder with smsroute.yaml in it"]


def test_an_unreadable_file_is_told_in_the_systems_words(folder: Any) -> None:
    """What the operating system refuses is passed on."""
    (folder.path / "routes.yaml").mkdir()
    assert folder.says({"routes.yaml": None}) == [
        "routes.yaml: is a directory, expected a file that this user can read"
    ]


def test_a_control_socket_whose_path_no_socket_can_have_is_refused(folder: Any) -> None:
    """The limit of 107 octets is found by check, not when the engine opens its socket."""
    octets = len(str(folder.path)) + 1 + 120
    assert folder.says({"smsroute.yaml": f"control: {120 * 'x'}\n"}) == [
        f"smsroute.yaml:1:1: `control` is a path of {octets} octets, "
        "expected at most 107, all that a unix socket can have"
    ]


def test_more_errors_than_anybody_reads_are_counted(section: Any) -> None:
    """After 200 errors the rest is a number."""
    said = section("routes", "routes:\n" + "  - {}\n" * 100)
    assert len(said) == 201
    assert said[-1] == "routes.yaml: 100 more errors"


def test_no_error_repeats_a_password(section: Any) -> None:
    """However a password is misplaced in the file, no message holds it."""
    for slip in (
        "hunter2",
        "[hunter2]",
        "{hunter2}",
        "{plain: [hunter2]}",
        "{plain: {hunter2: }}",
        "*hunter2",
        "!hunter2 x",
        "{plain: *hunter2}",
        "{plain: !hunter2 x}",
        "{plain: hunter2, env: X}",
        "{plain: hunter2é}",
        "{plain: " + "hunter2" * 10 + "}",
        "{plain: hunter2",
        "{plain: 'hunter2}",
    ):
        said = section("esmes", f"esmes:\n  acme: {{password: {slip}}}\n")
        assert said
        assert "hunter2" not in "\n".join(said)
