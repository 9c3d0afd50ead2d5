"""Logs: JSON lines on stderr, or short coloured ones for a person at a terminal.

Rules:
- Event names are past-tense nouns of the trade: bind.bound, session.ended, store.failed.
- No line a message on the hot path: what happened to a message is in the store, and `smsroute trace` tells it.
- No text of a message and no password, ever: so a fault's trace comes without the values of its variables. Times are
  UTC.
- A subscriber's number is masked wherever it stands, unless the config says `mask_numbers: false`.

Walk: `cli/serve` configures it once; rooms call `structlog.get_logger("smsroute.<room>")`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from smsroute.ops.words import mask

NUMBER_KEYS: Final = {"to", "source_addr", "destination_addr", "number"}
_NUMBER: Final = re.compile(r"\+\d{7,15}(?!\d)")


def configure(level: str, *, pretty: bool, mask_numbers: bool = True) -> None:
    """Set up structlog for the process. `level`: debug, info, warning or error."""
    renderer: Any = structlog.processors.JSONRenderer()
    if pretty:
        renderer = structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if pretty else [_TRACES]),
            *([masked] if mask_numbers else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


_TRACES: Final = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def masked(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line with its numbers masked: what stands under a key for numbers, and whatever begins with a plus."""
    for key, value in event.items():
        event[key] = mask(value) if key in NUMBER_KEYS and isinstance(value, str) else _deep(value)
    return event


def _deep(value: Any) -> Any:
    if isinstance(value, str):
        return _NUMBER.sub(lambda found: mask(found[0]), value) if "+" in value else value
    if isinstance(value, dict):
        return {key: _deep(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_deep(one) for one in value]
    return value
