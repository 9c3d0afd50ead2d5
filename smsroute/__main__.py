"""`python -m smsroute` is `smsroute`."""

import sys

from smsroute.cli import main

sys.exit(main())
