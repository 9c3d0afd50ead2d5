"""A reload: the config folder read again while the engine runs, taken whole or not at all.

Rules:
- A folder with one error changes nothing: the errors are told, counted as a warning in `health`, and the old config
  goes on.
- What cannot change while the engine runs (`engine.FIXED`) is told by name, and waits for the next start.
- One at a time; whoever asks while another runs waits for it and then reads the folder anew.

Walk: `cli/serve` on SIGHUP, `ops/verbs` for `smsroute reload`; `engine.reload` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs
import structlog
import trio

from smsroute.config import Config, ConfigErrors
from smsroute.ports import Ports
from smsroute.routing.table import Table

log: Final = structlog.get_logger("smsroute.reload")

Document = dict[str, Any]

STOPS: Final = "the engine stops; its next start reads the folder"


@attrs.define
class Revision:
    """Which config runs, and how the last reload went. Times are Unix seconds."""

    loaded_at: float
    waits: tuple[str, ...] = ()  # keys that hold as they were until the next start
    refused: str = ""  # why the last reload changed nothing
    refused_at: float = 0.0


class Engine(Protocol):
    """`engine.Engine`, as far as a reload needs it."""

    config: Config
    ports: Ports
    revision: Revision

    @property
    def stopping(self) -> bool: ...

    def reload(self, config: Config, table: Table | None = None) -> None: ...


class Reloads:
    """See the module. `load` reads the folder the engine was started on; it may raise ConfigErrors."""

    def __init__(self, engine: Engine, load: Callable[[], Config]) -> None:
        self._engine = engine
        self._load = load
        self._one = trio.Lock()

    async def reload(self, by: str) -> Document:
        """Read the folder and take it. `by`: who asked, for the log. Never raises for what stands in the folder."""
        async with self._one:
            engine = self._engine
            before = engine.config.digest
            try:
                config = await engine.ports.blocking.run(self._load)
            except ConfigErrors as wrong:
                errors = [str(error) for error in wrong.errors]
                revision = engine.revision
                revision.refused = f"{errors[0]}{f' (and {len(errors) - 1} more)' if len(errors) > 1 else ''}"
                revision.refused_at = engine.ports.clock.wall()
                for error in errors:
                    log.error("reload.error", what=error)
                log.error("reload.refused", by=by, errors=len(errors), config=before)
                return {"reloaded": False, "config": before, "errors": errors, "warnings": [], "waits": []}
            table = await engine.ports.blocking.run(Table.of, config, engine.config.limits)
            if engine.stopping:
                log.warning("reload.refused", by=by, reason=STOPS, config=before)
                return {"reloaded": False, "config": before, "errors": [STOPS], "warnings": [], "waits": []}
            engine.reload(config, table)
            waits = list(engine.revision.waits)
            warnings = [str(warning) for warning in config.warnings]
            for warning in warnings:
                log.warning("config.odd", what=warning)
            log.info("engine.reloaded", by=by, before=before, config=config.digest, waits_for_start=waits)
            return {"reloaded": True, "config": config.digest, "errors": [], "warnings": warnings, "waits": waits}
