"""What must hold between values: bounds in order, names that exist, and what works but is probably not meant.

Rules:
- A check runs on a noun that is whole, tells problems at the key that is to be mended and answers whether all is well.
- A warning never stops a load. It is for what an engineer would want to be told before traffic finds out.

Walk: `CHECKS` are called by `read` as each noun is built; `references` and `warnings` by `load` at the end.
"""

from __future__ import annotations

import os
from itertools import product
from typing import Any, Final

import attrs

from smsroute.config.hours import UTC
from smsroute.config.limits import CONTROL_PATH_OCTETS_MAX, Limits
from smsroute.config.nouns import BindConfig, Carrier, Config, Esme, Listen, MoRule, Route, Tls
from smsroute.config.read import Checks, Reader, Steps
from smsroute.config.tree import Node, nearest, quote
from smsroute.message import MessageClass

# (lower, upper): the first must not be above the second.
ORDERED: Final = (
    ("outbox_retry_min_s", "outbox_retry_max_s"),
    ("ejection_min_s", "ejection_max_s"),
    ("throttle_pause_s", "throttle_pause_max_s"),
    ("destination_hold_s", "destination_hold_max_s"),
    ("validity_default_s", "validity_max_s"),
    ("esme_open_messages_max", "open_messages_max"),
    ("links_per_peer_max", "sessions_max"),
    ("congestion_aim", "congestion_cut"),
    ("congestion_cut", "congestion_stop"),
)


PRIORITIES: Final = frozenset("01234")  # priority_flag: 0 to 3 in SMPP 3.4 section 5.2.14, 4 in 5.0


def _limits(reader: Reader, limits: Limits, steps: Steps) -> bool:
    well = [_ordered(reader, limits, steps, low, high) for low, high in ORDERED]
    if not limits.retry_schedule_s:
        at = reader.where[(*steps, "retry_schedule")]
        reader.problems.error(at, "`retry_schedule` is an empty list, expected at least one duration")
    return all(well) and bool(limits.retry_schedule_s)


def _ordered(reader: Reader, noun: object, steps: Steps, low: str, high: str) -> bool:
    if getattr(noun, low) <= getattr(noun, high):
        return True
    keys = [field.removesuffix("_s") for field in (low, high)]
    at = next(reader.where[(*steps, key)] for key in keys if (*steps, key) in reader.where)
    reader.problems.error(at, f"`{keys[0]}` is above `{keys[1]}`, expected it at or below")
    return False


def _tls(reader: Reader, tls: Tls, steps: Steps) -> bool:
    if (tls.certificate is None) == (tls.key is None):
        return True
    given, missing = ("certificate", "key") if tls.key is None else ("key", "certificate")
    reader.problems.error(reader.where[(*steps, given)], f"`{given}` stands alone, expected `{missing}` beside it")
    return False


def _listen(reader: Reader, listen: Listen, steps: Steps) -> bool:
    tls = listen.tls
    if tls is None:
        return True
    well = tls.certificate is not None
    if not well:
        at = reader.where[(*steps, "tls")]
        reader.problems.error(at, "`tls` of a listener, expected `certificate` and `key` in it")
    for key in ("server_name", "verify"):
        well &= _unused(reader, tls, key, (*steps, "tls"), "expected it towards carriers only")
    if tls.ca is None:
        well &= _unused(reader, tls, "client_certificates", (*steps, "tls"), "expected `ca` beside it")
    return well


def _unused(reader: Reader, noun: Tls, key: str, steps: Steps, wanted: str) -> bool:
    """Tell a key that has no meaning where it stands, unless it says what holds anyway."""
    if getattr(noun, key) == getattr(attrs.fields(Tls), key).default:
        return True
    reader.problems.error(reader.where[(*steps, key)], f"`{key}` means nothing here, {wanted}")
    return False


def _bind(reader: Reader, bind: BindConfig, steps: Steps) -> bool:
    tls = bind.tls
    if tls and not _unused(reader, tls, "client_certificates", (*steps, "tls"), "expected it on a listener only"):
        return False
    if bind.outbind is not None:
        for key, odd in (("mode", bind.mode == "pair"), ("count", bind.count > 1), ("tls", tls is not None)):
            if odd:
                at = reader.where[(*steps, key)]
                reader.problems.error(at, f"`{key}` beside `outbind`, expected one bind on one plain address of ours")
                return False
    if bind.receiver_address is None or bind.mode == "pair":
        return True
    at = reader.where[(*steps, "receiver_address")]
    reader.problems.error(at, f"`receiver_address` on a {bind.mode}, expected it with `mode: pair` only")
    return False


def _carrier(reader: Reader, carrier: Carrier, steps: Steps) -> bool:
    well = _ordered(reader, carrier, steps, "reconnect_min_s", "reconnect_max_s")
    if not carrier.binds:
        reader.problems.error(reader.where[(*steps, "binds")], "`binds` is an empty list, expected at least one bind")
        return False
    if carrier.interface_version < 0x34 and (carrier.submit.long == "sar" or carrier.submit.tlvs):
        at = reader.where[(*steps, "submit", "tlvs" if carrier.submit.tlvs else "long")]
        reader.problems.error(at, "`interface_version: 3.3` has no TLVs, expected 3.4 or a `submit` without them")
        return False
    if all(bind.mode == "receiver" for bind in carrier.binds):
        at = reader.where[(*steps, "binds")]
        reader.problems.error(
            at, "`binds` are receivers only, expected one that can send: transceiver, transmitter or pair"
        )
        return False
    return well


def _route(reader: Reader, route: Route, steps: Steps) -> bool:
    well = True
    for key, values in (("to", route.to), ("carriers", route.carriers)):
        if not values:
            wanted = "at least one prefix" if key == "to" else "at least one carrier"
            reader.problems.error(reader.where[(*steps, key)], f"`{key}` is an empty list, expected {wanted}")
            well = False
    if route.time_zone != UTC and not route.hours:
        at = reader.where[(*steps, "time_zone")]
        reader.problems.error(at, "`time_zone` stands alone, expected `hours` beside it")
        well = False
    hours = tuple(window.text for window in route.hours)
    lists = (("to", route.to), ("from", route.sender), ("esmes", route.esmes), ("hours", hours))
    for key, names in lists:
        well &= _once(reader, [(name, (*steps, key, i)) for i, name in enumerate(names)], f"`{key}`")
    chosen = [(c.carrier, (*steps, "carriers", i, "carrier")) for i, c in enumerate(route.carriers)]
    chosen += [(c.carrier, (*steps, "backup", i, "carrier")) for i, c in enumerate(route.backup)]
    return _once(reader, chosen, f"route `{route.name}`") and well


def _mo_rule(reader: Reader, rule: MoRule, steps: Steps) -> bool:
    well = bool(rule.to)
    if not well:
        reader.problems.error(reader.where[(*steps, "to")], "`to` is an empty list, expected at least one number")
    words = tuple(word.casefold() for word in rule.keyword)
    for key, names in (("to", rule.to), ("keyword", words), ("from", rule.sender), ("carriers", rule.carriers)):
        well &= _once(reader, [(name, (*steps, key, i)) for i, name in enumerate(names)], f"`{key}`")
    return well


def _once(reader: Reader, names: list[tuple[str, Steps]], of: str) -> bool:
    seen: set[str] = set()
    for name, steps in names:
        if name in seen:
            reader.problems.error(reader.where[steps], f"{quote(name)} stands twice in {of}, expected once")
        seen.add(name)
    return len(seen) == len(names)


def _config(reader: Reader, config: Config, steps: Steps) -> bool:
    at = reader.where.get((*steps, "listen"))
    doors: list[tuple[str, Steps]] = []
    for index, door in enumerate(config.listen):
        if door.port and at is not None:
            doors.append((f"{door.host}:{door.port}", (*steps, "listen", index, "address")))
    well = _once(reader, doors, "`listen`")
    if not config.listen and at is not None:
        reader.problems.error(at, "`listen` is an empty list, expected at least one address")
        well = False
    return well


CHECKS: Final[Checks] = {
    Limits: _limits,
    Tls: _tls,
    Listen: _listen,
    BindConfig: _bind,
    Carrier: _carrier,
    Route: _route,
    MoRule: _mo_rule,
    Config: _config,
}


def control_path(reader: Reader, config: Config) -> None:
    """Tell a control socket whose path no socket can have."""
    octets = len(os.fsencode(config.control))
    if octets > CONTROL_PATH_OCTETS_MAX:
        node = reader.where.get(("control",), Node(str(config.directory), 0, 0))
        wanted = f"expected at most {CONTROL_PATH_OCTETS_MAX}, all that a unix socket can have"
        reader.problems.error(node, f"`control` is a path of {octets} octets, {wanted}")


def references(reader: Reader, known: dict[str, list[str]]) -> None:
    """Tell each name that stands nowhere. `known` has the names of each section that could be read at all."""
    for section, name, node in reader.references:
        if section not in known or name in known[section]:
            continue
        noun = section.removesuffix("s")
        close = nearest(name, known[section])
        if close is not None:
            wanted = f"did you mean `{close}`?"
        elif not known[section]:
            wanted = f"expected a name from `{section}`, which has none"
        else:
            wanted = f"expected one of {', '.join(known[section][:12])}{', …' if len(known[section]) > 12 else ''}"
        reader.problems.error(node, f"unknown {noun} {quote(name)}, {wanted}")


def warnings(reader: Reader, config: Config) -> None:
    """Tell what works and is odd."""
    for section in ("esmes", "carriers", "routes"):
        if not getattr(config, section) and (section,) in reader.where:
            reader.problems.warn(reader.where[(section,)], f"`{section}` is empty, expected at least one")
    for index, route in enumerate(config.routes):
        _certified(reader, route, ("routes", index))
    _shadowed(reader, config.routes)
    _overlaps(reader, config)
    _unheard(reader, config)
    _unverified(reader, config)
    named = {target for route in config.routes for target in route.to}
    for name in config.networks:
        if config.routes and name not in named:
            at = reader.where[("networks", name)]
            reader.problems.warn(at, f"network `{name}` is in no route, expected one that names it")
    for name, carrier in config.carriers.items():
        _dialect(reader, carrier, ("carriers", name))
    used = {choice.carrier for route in config.routes for choice in (*route.carriers, *route.backup)}
    for name in config.carriers:
        if config.routes and name not in used:
            at = reader.where[("carriers", name)]
            reader.problems.warn(at, f"carrier `{name}` is in no route, expected one that names it")
    served = {name for route in config.routes for name in route.esmes}
    for name, esme in config.esmes.items():
        if config.routes and name not in served and all(route.esmes for route in config.routes):
            at = reader.where[("esmes", name)]
            reader.problems.warn(at, f"no route serves esme `{name}`, expected one that names it, or one for all")
        _doors(reader, config, name, esme)
        for flag in sorted(set(esme.class_by.get("priority_flag", {})) - PRIORITIES):
            at = reader.where[("esmes", name, "class_by", "priority_flag", flag)]
            reader.problems.error(at, f"priority_flag `{flag}` of esme `{name}`, expected 0 to 4")


def _dialect(reader: Reader, carrier: Carrier, steps: Steps) -> None:
    """Tell keys of a dialect that have nothing to say beside another."""
    dialect, at = carrier.dialect, (*steps, "dialect")
    if dialect.receipt_level == "none" and carrier.receipts == "always":
        wanted = "expected `as-asked`: its dialect says that it sends none"
        reader.problems.warn(
            reader.where[(*steps, "receipts")], f"`receipts` of carrier `{carrier.name}` is `always`, {wanted}"
        )
    if dialect.match_by == "destination" and dialect.ids != "auto" and (*at, "ids") in reader.where:
        wanted = "expected no `ids`: with `match_by: destination` none is read"
        reader.problems.warn(reader.where[(*at, "ids")], f"`ids` of carrier `{carrier.name}` says nothing, {wanted}")


def _certified(reader: Reader, route: Route, steps: Steps) -> None:
    urgent = [c for c in (MessageClass.OTP, MessageClass.ALERT) if not route.classes or c in route.classes]
    entries = (*route.carriers, *route.backup)
    certified = [choice.carrier for choice in entries if choice.certified]
    at = reader.where[(*steps, "carriers")]
    if not urgent:
        return
    words = " and ".join(c.name.lower() for c in urgent)
    if not certified and route.classes and len(urgent) == len(route.classes):
        wanted = "expected `certified: true` on those fit for it"
        reader.problems.warn(at, f"route `{route.name}` is for {words} and certifies no carrier, {wanted}")
    if len(certified) == 1 and len(entries) > 1:
        wanted = f"expected a second: {words} may use no other when it is down"
        reader.problems.warn(at, f"route `{route.name}` certifies `{certified[0]}` only, {wanted}")


def _asks(route: Route) -> tuple[Any, ...]:
    """What a route asks for besides the number, each constraint a list of its choices; None: anything."""
    windows = frozenset((window.days, window.start, window.end) for window in route.hours)
    fields = (route.sender, route.esmes, route.classes, route.from_kind, route.data_codings)
    return (*(field or (None,) for field in fields), ((windows, route.time_zone) if windows else None,))


def _shadowed(reader: Reader, routes: tuple[Route, ...]) -> None:
    first: dict[tuple[Any, ...], Route] = {}
    for index, route in enumerate(routes):
        asks = _asks(route)
        for i, target in enumerate(route.to):
            for key in product((target,), *asks):
                earlier = first.setdefault(key, route)
                if earlier is not route:
                    at = reader.where[("routes", index, "to", i)]
                    said = (
                        f"route `{route.name}` is not reached for {quote(target)}: {_place(earlier)} matches the same"
                    )
                    reader.problems.warn(at, f"{said} and stands first, expected one route for it")
                    break


def _overlaps(reader: Reader, config: Config) -> None:
    """Tell prefixes that two networks, or a network and bare digits, bring to routes which ask for the same."""
    if not config.networks:
        return
    alike: dict[tuple[Any, ...], dict[str, tuple[Route, Node]]] = {}
    for index, route in enumerate(config.routes):
        targets = alike.setdefault(tuple(map(frozenset, _asks(route))), {})
        for i, target in enumerate(route.to):
            targets.setdefault(target, (route, reader.where[("routes", index, "to", i)]))
    for targets in alike.values():
        if len(targets) < 2 or not targets.keys() & config.networks.keys():
            continue
        seen: set[str] = set()
        for target, (route, at) in targets.items():
            numbers = _numbers(config, target)
            twice = seen.intersection(numbers)
            if twice:
                one = min(twice)
                other = next(name for name in targets if one in _numbers(config, name))
                _overlap(reader, at, target, route, other, targets[other][0], one, len(twice))
            seen.update(numbers)


def _numbers(config: Config, target: str) -> tuple[str, ...]:
    return config.networks[target].numbers if target in config.networks else (target,)


def _overlap(
    reader: Reader, at: Node, target: str, route: Route, other: str, earlier: Route, one: str, count: int
) -> None:
    what = quote(one) + (f" and {count - 1:,} more" if count > 1 else "")
    if route is earlier:
        said = f"route `{route.name}` has {what} both by {quote(other)} and by {quote(target)}"
        reader.problems.warn(at, f"{said}, expected one of them to have it: scores are kept by network")
    else:
        said = f"route `{route.name}` is not reached for {what} of {quote(target)}: {_place(earlier)} has the same"
        reader.problems.warn(at, f"{said} by {quote(other)} and stands first, expected one route for it")


def _place(route: Route) -> str:
    return f"`{route.name}` ({route.path}:{route.line})"


def _unheard(reader: Reader, config: Config) -> None:
    """Tell rules of `mo` that no message will ever reach."""
    first: dict[tuple[Any, ...], MoRule] = {}
    for index, rule in enumerate(config.mo):
        words = [word.casefold() for word in rule.keyword]
        for i, number in enumerate(rule.to):
            for key in product((number,), words or (None,), rule.sender or (None,), rule.carriers or (None,)):
                earlier = first.setdefault(key, rule)
                if earlier is not rule:
                    said = f"rule `{rule.name}` is not reached for {quote(number)}: `{earlier.name}` matches the same"
                    wanted = "and stands first, expected one rule for it"
                    reader.problems.warn(reader.where[("mo", index, "to", i)], f"{said} {wanted}")
                    break
        senders = [name for name in rule.carriers if all(bind.mode == "transmitter" for bind in _binds(config, name))]
        for name in senders:
            at = reader.where[("mo", index, "carriers", rule.carriers.index(name))]
            reader.problems.warn(at, f"carrier `{name}` has no bind that receives, expected a transceiver or receiver")


def _binds(config: Config, carrier: str) -> tuple[BindConfig, ...]:
    return config.carriers[carrier].binds


def _unverified(reader: Reader, config: Config) -> None:
    for name, carrier in config.carriers.items():
        for index, bind in enumerate(carrier.binds):
            if bind.tls is not None and not bind.tls.verify:
                at = reader.where[("carriers", name, "binds", index, "tls", "verify")]
                said = f"carrier `{name}` is not verified: anybody on the way may pose as it"
                reader.problems.warn(at, f"{said}, expected `ca` with whom to trust")


def _doors(reader: Reader, config: Config, name: str, esme: Esme) -> None:
    if esme.certificate and not any(door.tls is not None and door.tls.ca is not None for door in config.listen):
        at = reader.where[("esmes", name, "certificate")]
        reader.problems.warn(at, f"no door asks esme `{name}` for its certificate, expected `ca` on one")
    open_doors = [door for door in config.listen if door.host not in ("127.0.0.1", "::1", "localhost")]
    if open_doors and not esme.allow_from:
        said = f"esme `{name}` may bind from any address"
        reader.problems.warn(reader.where[("esmes", name)], f"{said}, expected `allow_from` with its own ranges")
