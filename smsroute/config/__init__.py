"""Config: every noun, knob, default, unit and range, and how a folder of YAML becomes them.

Rules:
- This room imports nothing of ours but the message nouns, and does no I/O but reading the files it is pointed at.
- `load` gives a whole, checked Config or raises every error at once.

Walk: `nouns` and `limits` say what there is, `kinds` how a value is written, `tree` turns YAML into nodes that know
their line, `read` turns nodes into nouns, `load` does a whole folder, `show` prints the merged truth.
"""

from smsroute.config.dialect import Dialect
from smsroute.config.limits import Limits
from smsroute.config.load import Places, load, places
from smsroute.config.nouns import (
    BindConfig,
    Carrier,
    CarrierCaps,
    Choice,
    Config,
    ConfigError,
    ConfigErrors,
    Esme,
    InDoubt,
    Listen,
    MoRule,
    NamedNetwork,
    Route,
    Secret,
    Tls,
    default_in_doubt,
)

__all__ = [
    "BindConfig",
    "Carrier",
    "CarrierCaps",
    "Choice",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Dialect",
    "Esme",
    "InDoubt",
    "Limits",
    "Listen",
    "MoRule",
    "NamedNetwork",
    "Places",
    "Route",
    "Secret",
    "Tls",
    "default_in_doubt",
    "load",
    "places",
]
