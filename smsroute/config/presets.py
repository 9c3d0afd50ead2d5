"""The shipped sets of `dialect:` keys: `dialect: {preset: vonage}`.

Rules:
- A preset says only what its source says; where the source is silent the default stands.
- Named after the provider or product whose documents or code say so, or after the one thing it does.
- An operator's own keys are laid over it (`laid_over`), and `smsroute check --defaults` prints what comes of both.

Walk: called by `read`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import attrs

from smsroute.config.dialect import Dialect, StateMeant
from smsroute.config.kinds import OneOf
from smsroute.message import Blame

# Status 00 is a delivery and 01 is temporary; the rest is not told, so it stays unknown and ends nothing.
UK_COMMA_PATTERN: Final = (
    r"(?P<stat>[0-9]{2}),(?P<done>[0-9]{0,14}),(?P<submit>[0-9]{0,14}),(?P<err>[0-9A-Za-z]{0,16}),"
    r"[^,]{0,21},[^,]{0,21},(?P<id>[^,]{1,65})"
)
# The provider tells these as reasons of its status UNDELIVERED: last words. Two more refuse the text or the sender.
KALEYRA_STATES: Final[dict[str, StateMeant]] = {
    **dict.fromkeys(
        ("INVALID-SUB", "ABSENT-SUB", "HANDSET-ERR", "HANDSET-BUSY", "MOB-OFF", "MEMEXEC", "MEM-EXEC", "NET-ERR"),
        "undeliverable",
    ),
    **dict.fromkeys(("BARRED", "SERIES-BLK"), "undeliverable"),
    **dict.fromkeys(("TL-NT-MTCHD", "SNDR-NT-REG"), "rejected"),
}
# Handset away, gone, barred or busy, text taken for spam: not the carrier's fault, whether another try helps or not.
# 8 is an error of the network.
VONAGE_ERRORS: Final = {
    **dict.fromkeys(("2", "3", "4", "6", "7", "9"), Blame.PERMANENT_MESSAGE),
    "8": Blame.TRANSIENT,
}

PRESETS: Final[dict[str, Dialect]] = {
    one.preset: one
    for one in (
        # SMPP 3.4 Appendix B with ids written alike on both sides, as most carriers do today.
        Dialect("spec", ids="exact"),
        # Response hexadecimal, receipt decimal: SMPP 3.3 made it so; jsmpp#56, jasmin#1034 (quirks M1).
        Dialect("hex-dec", ids="hex-dec"),
        # The other way: Kannel's msg-id-type 0x02, Jasmin's dlr_msg_id_bases 2 (quirks M2).
        Dialect("dec-hex", ids="dec-hex"),
        # Zeros before the id on one side only: cloudhopper pads to ten, somleng/sms-gateway PR 563 (quirks M5).
        Dialect("padded", ids="unpad"),
        # One side writes capitals: jasmin#916, jasmin#643 (quirks M4).
        Dialect("any-case", ids="casefold"),
        # Response in hexadecimal, receipt in decimal, err by number (api.support.vonage.com 204015663; quirks M1, 3).
        Dialect("vonage", ids="hex-dec", errors=VONAGE_ERRORS),
        # A platform that runs Jasmin: UUIDs, receipts without sub and dlvrd, dates of 14 digits (quirks F5, D5).
        Dialect("jasmin", ids="exact"),
        # The simulator of the same name sends the hex id in the TLV and the decimal one in the text (quirks M3).
        Dialect("smscsim", ids="hex-dec"),
        # err 50 is throttling, 35 a congested service centre; ACCEPTD stands beside DELIVRD (quirks 3, 1.3).
        Dialect("8x8", errors={"50": Blame.THROTTLED, "35": Blame.CONGESTED}),
        # Stat words with hyphens (developers.kaleyra.io, "SMS status and status trace codes"; quirks 1.3).
        Dialect("kaleyra", states=KALEYRA_STATES),
        # Another format altogether, a large operator in the UK (Kannel's devel list, msg02229; quirks F20).
        Dialect("uk-comma", ids="exact", states={"00": "delivered", "01": "enroute"}, pattern=UK_COMMA_PATTERN),
        # 0 is a delivery (vumi#216, "Yo!"; quirks 1.3).
        Dialect("yo", states={"0": "delivered"}),
        # Every response names msg_id_not_implemented (OsmoMSC, python-smpplib#117; quirks M10).
        Dialect("osmocom", match_by="destination"),
        # Takes messages and never says more (quirks O13).
        Dialect("no-receipts", receipt_level="none"),
        # Receipts speak of the SMSC, not of the handset, and ACCEPTD is their last word (quirks O12, 1.3).
        Dialect("network-only", receipt_level="network", accepted="final"),
        # A long message has one receipt, of whichever of its parts: jasmin#663, jasmin#1123 (quirks O9).
        Dialect("one-receipt", receipts_on="any"),
        # The same, asked for with the last part only, as Jasmin does: jasmin#789, jasmin#1136 (quirks O9).
        Dialect("last-receipt", receipts_on="last"),
    )
}


KIND: Final = OneOf({name: name for name in ("none", *PRESETS)})
"""How a preset is named in a file."""


def laid_over(own: Dialect, given: Container[tuple[str | int, ...]], steps: tuple[str | int, ...]) -> Dialect:
    """The preset that `own` names with those keys of `own` laid over it that stand in the file, `given` under `steps`.

    An `err` is a number when it looks like one, so an own "050" replaces the preset's "50".
    """
    shipped = PRESETS.get(own.preset)
    if shipped is None:
        return own
    fields = [field.name for field in attrs.fields(Dialect)]
    changes = {field: getattr(own, field) for field in fields if (*steps, field.removesuffix("_s")) in given}
    if "states" in changes:
        changes["states"] = {**shipped.states, **own.states}
    if "errors" in changes:
        mine = {error.lstrip("0") for error in own.errors}
        kept = {error: blame for error, blame in shipped.errors.items() if error.lstrip("0") not in mine}
        changes["errors"] = {**kept, **own.errors}
    return attrs.evolve(shipped, **changes)
