"""Logs: JSON lines on stderr, or short coloured ones for a person at a terminal.

Rules:
- Event names are past-tense nouns of the trade: bind.bound, session.ended, store.failed.
- No line a message on the hot path: what happened to a message is in the store, and `smsroute trace` tells it.
- No text of a message and no password, ever; times are UTC.

Walk: `cli/serve` configures it once; rooms call `structlog.get_logger("smsroute.<room>")`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(level: str, *, pretty: bool) -> None:
    """Set up structlog for the process. `level`: debug, info, warning or error."""
    renderer: Any = structlog.dev.ConsoleRenderer(colors=pretty) if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if pretty else [structlog.processors.dict_tracebacks]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
