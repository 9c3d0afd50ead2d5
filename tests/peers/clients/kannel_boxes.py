"""Kannel (bearerbox and smsbox) as a platform: sends by smsbox's HTTP, takes delivery reports at a callback, unbinds.

Rules:
- It is configured as its user guide says; both boxes are real processes of this script's group.
- What a handset says comes to the same callback.
- What bearerbox learnt it tells by callback: type 8, taken by the SMSC with this id; type 1, delivered, with the text.
- It unbinds when its administration page stops the connection; the answer to that it does not tell.

Walk: tests/peers/foreign.py starts it with its task; it tells a line of JSON for each thing it did or saw.
"""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import ClassVar

TASK = json.loads(sys.argv[1])
FOLDER = Path(tempfile.mkdtemp(dir=TASK["folder"]))
ACCEPTED, DELIVERED = "8", "1"
SETTLED_S = 0.5
CONFIG = """
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {inner}
log-level = 1
log-file = "{folder}/bearerbox.log"
box-allow-ip = "127.0.0.1"
dlr-storage = internal
sms-resend-freq = 1
{trusts}

group = smsc
smsc = smpp
smsc-id = ours
host = 127.0.0.1
port = {port}
use-ssl = {tls}
smsc-username = "{system_id}"
smsc-password = "{password}"
system-type = ""
dest-addr-ton = 1
dest-addr-npi = 1
{how}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-level = 1
log-file = "{folder}/smsbox.log"

group = sendsms-user
username = us
password = secret
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
get-url = "http://127.0.0.1:{callback}/report?of=mo&type=0&answer=%a&source=%p&destination=%P"
"""


def tell(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


def free_ports(*names: str) -> dict[str, int]:
    """A port each; all are held until each has its own."""
    with contextlib.ExitStack() as held:
        doors = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: door.getsockname()[1] for name, door in zip(names, doors, strict=True)}


class Callback(http.server.BaseHTTPRequestHandler):
    """The platform's page for delivery reports."""

    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        query = urllib.parse.urlsplit(self.path).query
        self.seen.append(dict(urllib.parse.parse_qsl(query, keep_blank_values=True, encoding="latin-1")))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def get(port: int, path: str, **query: str) -> str:
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=5) as page:
        return page.read().decode("latin-1")


def until(condition: object, what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() > deadline:
            tell("error", error=f"not in time: {what}; {Callback.seen}")
            print(*(log.read_text()[-3000:] for log in FOLDER.glob("*.log")))
            sys.exit(1)
        time.sleep(0.02)


def box(name: str) -> subprocess.Popen[bytes]:
    program = str(Path(TASK["debian"]) / "usr/sbin" / name)
    return subprocess.Popen(
        [program, str(FOLDER / "kannel.conf")],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(TASK["libraries"])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )


def reports(kind: str, of: str) -> list[dict[str, str]]:
    return [report for report in Callback.seen if report["type"] == kind and report["of"] == of]


def send(ports: dict[str, int], of: str, text: str, **fields: str) -> None:
    """Have smsbox send it; a delivery report is asked for everything (dlr-mask 31)."""
    back = f"http://127.0.0.1:{ports['callback']}/report?of={of}&type=%d&id=%F&answer=%A&source=%p&destination=%P"
    plain = {"username": "us", "password": "secret", "from": "Shop", "to": TASK["destination"]}
    said = get(ports["http"], "/cgi-bin/sendsms", **plain, text=text, **{"dlr-mask": "31", "dlr-url": back}, **fields)
    tell("sent", of=of, said=said)


def main() -> None:
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    ports = {**free_ports("admin", "inner", "http"), "callback": page.server_port}
    how = TASK.get("how", "transceiver-mode = true")
    tls = {"tls": "true" if "ca" in TASK else "false", "trusts": ""}
    if "ca" in TASK:
        tls["trusts"] = f'ssl-trusted-ca-file = "{TASK["ca"]}"'
    (FOLDER / "kannel.conf").write_text(CONFIG.format(**{**TASK, **ports, **tls, "how": how, "folder": FOLDER}))
    boxes = [box("bearerbox")]
    until(lambda: "online" in get(ports["admin"], "/status.txt", password="secret"), "bearerbox binds")
    tell("bind", status=0)
    boxes.append(box("smsbox"))
    until(lambda: "smsbox:" in get(ports["admin"], "/status.txt", password="secret"), "smsbox joins")
    send(ports, "submit", TASK["text"])
    send(ports, "long", TASK["long"], coding="2", charset="UTF-8")
    for of in ("submit", "long"):
        until(lambda of=of: reports(DELIVERED, of), f"the report of {of}")
    if TASK.get("mo"):
        until(lambda: reports("0", "mo"), "what the handset says")
        (said,) = reports("0", "mo")
        tell("mo", text=said["answer"], source=said["source"], destination=said["destination"])
    if TASK.get("held"):
        tell("waits")
        sys.stdin.readline()
    time.sleep(SETTLED_S)
    for of in ("submit", "long"):
        for report in reports(ACCEPTED, of):
            tell(of, status=0, id=report["id"])
        for report in reports(DELIVERED, of):
            tell(
                "receipt",
                text=report["answer"],
                id=report["id"],
                source=report["source"],
                destination=report["destination"],
            )
    tell("stopped", said=get(ports["admin"], "/stop-smsc", password="secret", smsc="ours"))
    until(lambda: "dead" in get(ports["admin"], "/status.txt", password="secret"), "bearerbox unbinds")
    for one in reversed(boxes):
        one.kill()


main()
