"""smsroute: an SMPP-native carrier routing engine. See README.md; the main path is `smsroute.engine`."""

from typing import Final

__version__: Final = "0.1.0"
