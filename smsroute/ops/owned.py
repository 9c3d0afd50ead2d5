"""Whose a message from a handset would be, and why not another's: one document, from a running engine or without one.

Rules:
- The same code that hands it on answers (`routing.owners`); the first word is found in the text as it is on the wire.
- Pure.

Walk: `ops/verbs` and `cli/explain` call it for `smsroute explain --mo`.
"""

from __future__ import annotations

from typing import Any, Final

from smsroute.config import Config
from smsroute.ops.explain import SEPARATORS
from smsroute.routing.owners import Owners
from smsroute.smpp.handset import first_of
from smsroute.smpp.names import ESME_RX_R_APPN, status_name

Document = dict[str, Any]

NOBODY: Final = status_name(ESME_RX_R_APPN)


def owned(config: Config, to: str, sender: str, text: str, carrier: str, *, running: bool) -> Document:
    """The document of `smsroute explain --mo`; `carrier` "" stands for one that no rule names."""
    if carrier and carrier not in config.carriers:
        known = ", ".join(config.carriers)
        return {"ok": False, "error": f"no carrier {carrier!r} in the config, expected one of {known}"}
    asked = to.translate(SEPARATORS) if to[:1] in "+0123456789(" else to, sender.translate(SEPARATORS), first_of(text)
    rules = [
        {"rule": one.rule.name, "esme": one.rule.esme, "to": one.to, "why_not": one.why_not}
        for one in Owners(config.mo).weighed(*asked, carrier)
    ]
    owner = next((one for one in rules if not one["why_not"]), None)
    return {
        "ok": owner is not None,
        "mo": True,
        "running": running,
        "to": asked[0],
        "from": asked[1],
        "word": asked[2],
        "carrier": carrier,
        "owner": owner,
        "status": None if owner else NOBODY,
        "rules": rules,
    }
