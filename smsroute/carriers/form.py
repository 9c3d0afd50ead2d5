"""What a carrier's config says of its submits, as `smpp.rewrite` obeys it.

Rules:
- No wish, no work: a carrier whose submits go as they came has no Form, and its bytes are not looked at again.
- `interface_version: 3.3` is a wish: no TLVs.

Walk: `carriers/bind` asks once for each config it adopts; `carriers/dispatch` writes by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from smsroute.config import Carrier, Limits
from smsroute.config.form import AddressForm, SubmitForm
from smsroute.smpp import names
from smsroute.smpp.rewrite import Address, Form


def form_of(carrier: Carrier, limits: Limits) -> Form | None:
    """The form of this carrier's submits; None where they go as they came."""
    said = carrier.submit
    old = carrier.interface_version < names.VERSION_3_4
    if said == SubmitForm() and not old:
        return None
    return Form(
        source=_addresses(said.source),
        destination=_addresses(said.destination),
        short_digits_max=limits.short_code_digits_max,
        service_type=said.service_type,
        alphabet=said.alphabet,
        data_codings=said.data_codings,
        long="udh16" if old and said.long in ("as-is", "sar", "payload") else said.long,
        tlvs=tuple(said.tlvs.items()),
        without_tlvs=old,
    )


def _addresses(said: Mapping[str, AddressForm]) -> dict[str, Address]:
    return {
        kind: Address(-1 if one.ton is None else one.ton, -1 if one.npi is None else one.npi, one.plus)
        for kind, one in said.items()
    }
