"""The config of an engine that will be killed: small limits, two carriers, otp resent and the rest held in doubt.

Rules:
- Checkpoints come three times a second, so that kills hit them too; little stays in memory, so that receipts look for
  their parts in the store.

Walk: tests/crash/test_kills.py writes it, then starts and kills `tests/served.py` on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SMSROUTE = """\
node: n1
listen: [{{address: "127.0.0.1:{door}"}}]
store: "sqlite:store"
control: control.sock
limits: {{checkpoint_interval: 300ms, sweep_interval: 100ms, drain_timeout: 5s, finished_in_memory_max: 2000}}
"""
ESMES = """\
esmes:
  acme: {password: {plain: secret}, window: 200, rate: 100000/s, class_by: {service_type: {OTP: otp}}}
"""
CARRIER = """\
  {name}:
    {{system_id: smsroute, password: {{plain: pw}}, window: 40, rate: 5000/s, reconnect_min: 50ms, reconnect_max: 200ms,
     dialect: {{ids: {ids}}}, binds: [{{address: "127.0.0.1:{port}", count: 2}}]}}
"""
ROUTES = """\
routes:
  - name: all
    to: [""]
    in_doubt: {in_doubt}
    carriers: [{primaries}]
"""


def write_config(folder: Path, door: int, carriers: Mapping[str, tuple[int, str]]) -> None:
    """`carriers`: name -> (port, ids rule)."""
    (folder / "smsroute.yaml").write_text(SMSROUTE.format(door=door))
    (folder / "esmes.yaml").write_text(ESMES)
    rows = (CARRIER.format(name=name, port=port, ids=ids) for name, (port, ids) in carriers.items())
    (folder / "carriers.yaml").write_text("carriers:\n" + "".join(rows))
    write_doubt_policy(folder, carriers, "{otp: {resend_after: 500ms}, default: hold}")


def write_doubt_policy(folder: Path, carriers: Iterable[str], in_doubt: str) -> None:
    """What becomes of parts in doubt, from the next start on, as routes.yaml writes it."""
    primaries = ", ".join(f"{{carrier: {name}, cost: 0.03, certified: true}}" for name in carriers)
    (folder / "routes.yaml").write_text(ROUTES.format(in_doubt=in_doubt, primaries=primaries))
