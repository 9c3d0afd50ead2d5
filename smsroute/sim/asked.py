"""What a simulated carrier tells of a message it took, when it is asked (query_sm, SMPP 3.4 section 4.8).

Rules:
- Kept only by a carrier that answers queries: it costs memory for each message it took.
- A message is under way until the time of its receipt, lost or not; then its fate is known.

Walk: owned by `SimCarrier`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smsroute.sim.temperament import MESSAGE_STATES
from smsroute.sim.wire import Submit, wants_receipt
from smsroute.smpp import names

ENROUTE = 1
FINAL_DATE = b"261122120000000+\0"


class Asked:
    """Messages by the id their response gave."""

    def __init__(self) -> None:
        self._taken: dict[str, Submit] = {}

    def took(self, submits: Iterable[Submit], response_id: Callable[[int], str]) -> None:
        """These may be asked for."""
        for submit in submits:
            submit.told = not wants_receipt(submit)
            self._taken[response_id(submit.number)] = submit

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """(command_status, body) of the answer to a query_sm with this body."""
        message_id, source = body.split(b"\0", 1)
        submit = self._taken.get(message_id.decode("latin-1"))
        if submit is None or submit.source != source:
            return names.ESME_RINVMSGID, b""
        state = MESSAGE_STATES[submit.word] if submit.told else ENROUTE
        date = FINAL_DATE if submit.told else b"\0"
        return names.ESME_ROK, message_id + b"\0" + date + bytes((state, 0))
