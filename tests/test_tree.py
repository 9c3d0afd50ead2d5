"""The rules of the tree, kept by a test: who may import whom, what only ports.py may touch, how a file looks.

Each rule is a function from one source to a list of faults; each is also shown to fail on a bad source.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# -- tables ------------------------------------------------------------------------------------------------------------

WORDS = {"message", "states", "smpp", "config"}  # what every room may speak of
INSIDE = WORDS | {"ids", "lane", "queues", "outbox", "shelves", "memory", "ledger", "policy", "routing", "store"}
INSIDE |= {"families", "taking", "matching", "receipting", "replacing", "between", "ports", "link", "tls"}
ALL = INSIDE | {"esmes", "carriers", "ops", "sim", "cli", "engine"}

# fmt: off
LAW: dict[str, set[str]] = {            # room -> what of ours it may import, besides itself
    "states": set(), "message": {"states"}, "smpp": set(), "ids": set(), "ports": set(),
    "config": {"message"},              # its nouns name the message classes and blames
    "lane": {"message"}, "queues": {"message", "lane"}, "shelves": set(),
    "memory": {"message", "queues", "outbox", "shelves", "families", "matching", "taking"}, "outbox": {"message"},
    "taking": {"message", "families", "matching", "shelves"},
    "families": {"message"}, "attempts": {"message"}, "matching": {"message", "shelves"},
    "replacing": {"message", "queues"}, "between": {"message", "memory", "replacing", "shelves"},
    "receipting": {"message", "attempts", "matching", "memory", "between", "shelves"},
    "ledger": {"message", "attempts", "matching", "memory", "receipting"},
    "policy": WORDS, "routing": WORDS,
    "link": WORDS | {"ports"},
    "tls": {"config"},
    "store": {"message", "config", "ports"},
    "sim": WORDS | {"ports"},
    "esmes": INSIDE, "carriers": INSIDE,     # never each other: they meet in the ledger
    "ops": INSIDE,                           # reads snapshots
    "engine": ALL, "cli": ALL, "__main__": ALL,
}
# fmt: on

PURE = WORDS | {"ids", "lane", "queues", "outbox", "shelves", "families", "matching", "taking", "memory"}
PURE |= {"attempts", "receipting", "replacing", "between", "ledger", "policy", "routing"}
IMPURE = {"trio", "asyncio", "threading", "socket", "ssl", "subprocess", "structlog", "sqlite3", "select", "signal"}

CLOCK, DICE, NET, THREAD = "ports.Clock", "ports.Entropy.rng(name)", "ports.Network", "ports.Blocking.run"
BANNED: dict[str, str] = {  # dotted name (or prefix, when it ends in a dot) -> what to use
    "time.time": f"{CLOCK}.wall",
    "time.time_ns": f"{CLOCK}.wall",
    "datetime.datetime.now": f"{CLOCK}.wall",
    "datetime.datetime.utcnow": f"{CLOCK}.wall",
    "datetime.datetime.today": f"{CLOCK}.wall",
    "datetime.date.today": f"{CLOCK}.wall",
    "time.monotonic": f"{CLOCK}.monotonic",
    "time.monotonic_ns": f"{CLOCK}.monotonic",
    "time.perf_counter": f"{CLOCK}.monotonic",
    "time.perf_counter_ns": f"{CLOCK}.monotonic",
    "trio.current_time": f"{CLOCK}.monotonic",
    "time.sleep": f"{CLOCK}.sleep_until",
    "random.": DICE,
    "secrets.": DICE,
    "os.urandom": DICE,
    "uuid.": "ids.MessageIds, or " + DICE,
    "socket.": NET,
    "trio.socket": NET,
    "trio.open_tcp_stream": NET,
    "trio.open_tcp_listeners": NET,
    "trio.open_ssl_over_tcp_stream": NET,
    "trio.open_ssl_over_tcp_listeners": NET,
    "trio.open_unix_socket": NET,
    "trio.serve_tcp": NET,
    "trio.serve_ssl_over_tcp": NET,
    "trio.serve_listeners": NET,
    "trio.SocketStream": NET,
    "trio.SocketListener": NET,
    "trio.to_thread": THREAD,
    "trio.from_thread": THREAD,
    "threading.": THREAD,
    "_thread.": THREAD,
    "concurrent.futures": THREAD,
    "multiprocessing.": THREAD,
    "asyncio.": "trio, through ports",
}
ALLOWED = {"random.Random"}  # the type of an argument; made without a seed it is banned below

BOUNDARIES = {
    "smsroute/carriers/bind.py",
    "smsroute/esmes/listener.py",
    "smsroute/ops/look.py",
    "smsroute/store/journal.py",
}
OUTSIDE = {"smsroute/ports.py", "smsroute/cli/ask.py"}  # ask.py: for verbs that must start before trio is imported
MANUAL_PAGES = {"smsroute/engine.py", "smsroute/esmes/accept.py", "smsroute/carriers/dispatch.py"}
TOP = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "config",
    "docs",
    "smsroute",
    "systemd",
    "tests",
    "tools",
}
NOT_OURS = {"__pycache__", "var", "build", "dist"}  # ignored by git
LEFTOVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")

# -- sources -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Source:
    """One Python file: where it stands and what it says."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)

    @property
    def room(self) -> str:
        """smsroute/smpp/codec.py and smsroute/smpp/__init__.py: smpp; smsroute/link.py: link; outside: ''."""
        parts = Path(self.path).with_suffix("").parts
        return parts[1] if parts[0] == "smsroute" and len(parts) > 1 else ""


@functools.cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


Rule = Callable[[Source], Iterator[str]]


def _python(*folders: str) -> list[Source]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Source(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, wherever it stands: at the top, in a function, under TYPE_CHECKING."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _names(source: Source) -> Iterator[tuple[int, str, ast.expr]]:
    """(line, dotted name, node) of every use of something imported, by its full name whatever it is called here."""
    known: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            trail: list[str] = []
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute):
                trail.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in known:
                yield node.lineno, ".".join([known[inner.id], *reversed(trail)]), node


# -- rules -------------------------------------------------------------------------------------------------------------


def import_law(source: Source) -> Iterator[str]:
    """The floor plan's import law (design section 4)."""
    if source.path == "smsroute/__init__.py":
        for line, name in _imports(source):
            if name.startswith("smsroute"):
                yield f"{line}: the package's front door imports nothing of ours, not {name}"
        return
    if source.room not in LAW:
        yield f"1: room {source.room!r} is not on the floor plan: add it to LAW"
        return
    for line, name in _imports(source):
        first, _, rest = name.partition(".")
        if name.startswith("."):
            yield f"{line}: write the whole name, not {name}"
        elif first == "smsroute":
            room = rest.split(".")[0]
            may = LAW[source.room] | {source.room, "", "__version__"}
            if room not in may:
                yield f"{line}: {source.room} may not import {room}, only {', '.join(sorted(may)[2:])}"
        elif first == "tests":
            yield f"{line}: the product imports no test"
        elif first == "importlib" and source.room != "cli":
            yield f"{line}: a name made at run time hides from this law"
        elif source.room in PURE and first in IMPURE:
            yield f"{line}: {source.room} is pure and may not import {first}: it gets values, never a port"


def banned_calls(source: Source) -> Iterator[str]:
    """Time, chance, the network, threads: only through ports.py. A database: only in store/."""
    if source.path in OUTSIDE:
        return
    uses = [(line, name) for line, name, _ in _names(source)]
    uses += [(line, name) for line, name in _imports(source) if "." in name]
    told: set[tuple[int, str]] = set()
    for line, name in uses:
        if source.room != "store" and name.startswith("sqlite3."):
            yield f"{line}: {name}: the database is spoken to in store/ only"
        for banned, instead in BANNED.items():
            hit = name.startswith(banned) if banned.endswith(".") else f"{name}.".startswith(f"{banned}.")
            if source.room == "store" and name == "threading.Lock":
                continue  # ports.Blocking runs an append and a checkpoint in two threads at once
            if hit and name not in ALLOWED and (line, banned) not in told:
                told.add((line, banned))
                yield f"{line}: {name}: use {instead}"
    calls = {id(node.func): node for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    for line, name, node in _names(source):
        if name == "random.Random" and id(node) in calls and not calls[id(node)].args:
            yield f"{line}: random.Random() without a seed: use {DICE}"


def size(source: Source) -> Iterator[str]:
    """Files of at most 500 lines, functions of at most 70."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{lines}: the file has {lines} lines, at most {FILE_LINES_MAX}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX}"


def opening(source: Source) -> Iterator[str]:
    """A module says what it is, its rules, and its walk: who calls whom. The main path's three are manual pages."""
    if not source.text.strip() and source.path.endswith("/__init__.py"):
        return
    text = ast.get_docstring(source.tree) or ""
    if not text:
        yield "1: the module says nothing about itself"
    if not any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in source.tree.body):
        return  # a front door or a table of names: it has no rules to keep
    wanted = ["Rules:", "Walk:"]
    if source.path in MANUAL_PAGES:
        wanted = ["NAME\n", "DIAGNOSTICS\n", "THE MAIN PATH\n" if source.path.endswith("engine.py") else "WALK\n"]
    for word in wanted:
        if word not in text:
            yield f"1: the module's docstring has no {word.strip()!r}"


def boundaries(source: Source) -> Iterator[str]:
    """A fault of ours is caught at three boundaries and nowhere else; to tidy up and raise on is not to catch."""
    if source.path in BOUNDARIES:
        return
    for node in ast.walk(source.tree):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) != "raise":
            caught = list(node.type.elts) if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            caught = list(node.args)
        for kind in caught:
            name = "everything" if kind is None else ast.unparse(kind).split(".")[-1]
            if name in ("everything", "Exception", "BaseException"):
                line = getattr(node, "lineno", 0)
                yield f"{line}: catches {name}: name what may go wrong, let the rest reach the boundary"


def leftovers(source: Source) -> Iterator[str]:
    """Nothing is left for later without an owner."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if LEFTOVER.search(line):
            yield f"{number}: leftover: {line.strip()}"


def facts(source: Source) -> Iterator[str]:
    """Every test's docstring states the fact it proves."""
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ):
            yield f"{node.lineno}: {node.name} states no fact"


def top_level(names: set[str]) -> list[str]:
    """The repository's first page is short: what stands there, and nothing else."""
    ours = {name for name in names if not name.startswith(".") and not name.endswith(".egg-info")} - NOT_OURS
    return [f"{name}: does not belong at the top" for name in sorted(ours - TOP)] + [
        f"{name}: is missing at the top" for name in sorted(TOP - ours)
    ]


# -- the tree keeps them -----------------------------------------------------------------------------------------------

PRODUCT = _python("smsroute")
PYTHON = PRODUCT + _python("tests", "tools")
TEXTS = [
    Source(str(path.relative_to(ROOT)), path.read_text(errors="replace"))
    for folder in ("smsroute", "tests", "tools", "config", "docs", "systemd")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".pyc", ".png", ".db"}
]
TESTS = [source for source in PYTHON if Path(source.path).name.startswith("test_")]

WHOLE_TREE: list[tuple[Rule, list[Source]]] = [
    (import_law, PRODUCT),
    (banned_calls, PRODUCT),
    (opening, PRODUCT),
    (boundaries, PRODUCT),
    (size, PYTHON),
    (leftovers, TEXTS),
    (facts, TESTS),
]


@pytest.mark.parametrize(("rule", "sources"), WHOLE_TREE, ids=lambda value: getattr(value, "__name__", ""))
def test_the_tree_keeps_the_rule(rule: Rule, sources: list[Source]) -> None:
    """No file breaks the rule; a failure lists each place as path:line: what, and what to do instead."""
    assert sources, "the rule looked at nothing"
    faults = [f"{source.path}:{fault}" for source in sources for fault in rule(source)]
    assert not faults, f"{rule.__doc__}\n" + "\n".join(faults)


def test_the_top_level_holds_what_belongs_there_and_no_more() -> None:
    """Whoever opens the repository sees ten names."""
    faults = top_level({path.name for path in ROOT.iterdir()})
    assert not faults, "\n".join(faults)


# -- each rule can fail ------------------------------------------------------------------------------------------------

LONG = "def f():\n" + "    x = 1\n" * 70
BAD: list[tuple[Rule, str, str, str]] = [
    (import_law, "smsroute/smpp/codec.py", "from smsroute.message import Part", "smpp may not import message"),
    (import_law, "smsroute/smpp/codec.py", "def f():\n    from smsroute import ports", "2: smpp may not import ports"),
    (import_law, "smsroute/routing/score.py", "import trio", "routing is pure and may not import trio"),
    (import_law, "smsroute/routing/score.py", "import smsroute.policy.rates", "routing may not import policy"),
    (import_law, "smsroute/policy/rates.py", "from smsroute.ports import Clock", "policy may not import ports"),
    (import_law, "smsroute/esmes/accept.py", "from smsroute.carriers import bind", "esmes may not import carriers"),
    (import_law, "smsroute/carriers/bind.py", "import smsroute.esmes.accept", "carriers may not import esmes"),
    (import_law, "smsroute/sim/carrier.py", "from smsroute.ledger import Ledger", "sim may not import ledger"),
    (import_law, "smsroute/queues.py", "from smsroute.ledger import Ledger", "queues may not import ledger"),
    (import_law, "smsroute/store/base.py", "from smsroute.ledger import Ledger", "store may not import ledger"),
    (import_law, "smsroute/store/base.py", "from .sqlite import Sqlite", "write the whole name"),
    (import_law, "smsroute/ledger.py", "from importlib import import_module", "hides from this law"),
    (import_law, "smsroute/engine.py", "from tests.sim import world", "the product imports no test"),
    (import_law, "smsroute/attic.py", "", "not on the floor plan"),
    (import_law, "smsroute/__init__.py", "from smsroute.engine import build", "the package's front door"),
    (banned_calls, "smsroute/link.py", "import time\nx = time.monotonic()", "2: time.monotonic: use ports.Clock"),
    (banned_calls, "smsroute/link.py", "import time as t\nx = t.time()", "2: time.time: use ports.Clock.wall"),
    (banned_calls, "smsroute/link.py", "from time import time as now", "1: time.time: use ports.Clock.wall"),
    (banned_calls, "smsroute/link.py", "from datetime import datetime as d\nd.now()", "datetime.datetime.now: use"),
    (banned_calls, "smsroute/link.py", "import random\nx = random.choice([1])", "random.choice: use ports.Entropy"),
    (banned_calls, "smsroute/link.py", "import random\nx = random.Random()", "without a seed"),
    (banned_calls, "smsroute/link.py", "import uuid\nx = uuid.uuid4()", "uuid.uuid4: use ids.MessageIds"),
    (banned_calls, "smsroute/link.py", "import socket\nx = socket.create_connection", "use ports.Network"),
    (banned_calls, "smsroute/link.py", "import threading\nthreading.Lock()", "use ports.Blocking.run"),
    (banned_calls, "smsroute/link.py", "import trio\ntrio.to_thread.run_sync(f)", "use ports.Blocking.run"),
    (banned_calls, "smsroute/link.py", "from trio import open_tcp_stream", "use ports.Network"),
    (banned_calls, "smsroute/engine.py", "import sqlite3\nsqlite3.connect('x')", "in store/ only"),
    (size, "smsroute/link.py", "x = 1\n" * 501, "the file has 501 lines"),
    (size, "smsroute/link.py", LONG, "f has 71 lines"),
    (opening, "smsroute/link.py", '"""The pump.\n\nRules:\n- none\n"""\ndef f(): ...', "no 'Walk:'"),
    (opening, "smsroute/link.py", "def f(): ...", "no 'Rules:'"),
    (opening, "smsroute/smpp/names.py", "x = 1", "says nothing about itself"),
    (opening, "smsroute/engine.py", '"""Rules: Walk:"""\ndef f(): ...', "no 'NAME'"),
    (boundaries, "smsroute/link.py", "try:\n    f()\nexcept Exception:\n    pass", "3: catches Exception"),
    (
        boundaries,
        "smsroute/link.py",
        "try:\n    f()\nexcept (OSError, BaseException):\n    pass",
        "catches BaseException",
    ),
    (boundaries, "smsroute/link.py", "try:\n    f()\nexcept:\n    pass", "catches everything"),
    (boundaries, "smsroute/link.py", "with contextlib.suppress(Exception):\n    f()", "catches Exception"),
    (leftovers, "smsroute/link.py", "x = 1\n# TO" + "DO later", "2: leftover"),
    (facts, "tests/test_link.py", "class TestIt:\n    async def test_it(self): ...", "2: test_it states no fact"),
]
GOOD: list[tuple[Rule, str, str]] = [
    (import_law, "smsroute/smpp/codec.py", "from smsroute.smpp import names\nimport struct\nimport random"),
    (import_law, "smsroute/cli/check.py", "from smsroute.config import load\nfrom smsroute import __version__"),
    (import_law, "smsroute/ledger.py", "from smsroute.memory import Memory\nfrom smsroute.message import Part"),
    (banned_calls, "smsroute/ports.py", "import time, socket\ntime.time(); socket.socket()"),
    (banned_calls, "smsroute/routing/decide.py", "import random\ndef pick(rng: random.Random): return rng.random()"),
    (banned_calls, "smsroute/store/sqlite.py", "import sqlite3\nsqlite3.connect('x')"),
    (size, "smsroute/link.py", "x = 1\n" * 500),
    (size, "smsroute/link.py", LONG.removesuffix("    x = 1\n")),
    (opening, "smsroute/smpp/__init__.py", ""),
    (boundaries, "smsroute/carriers/bind.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (boundaries, "smsroute/link.py", "try:\n    f()\nexcept OSError:\n    pass"),
    (boundaries, "smsroute/ports.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
    (opening, "smsroute/__init__.py", '"""The package."""\n__version__ = "1"'),
    (facts, "tests/test_link.py", 'def test_it():\n    """It holds."""\ndef helper(): ...'),
]


@pytest.mark.parametrize(("rule", "path", "text", "said"), BAD, ids=[f"{row[0].__name__}-{row[3]}" for row in BAD])
def test_the_rule_sees_the_fault(rule: Rule, path: str, text: str, said: str) -> None:
    """A rule that cannot fail proves nothing: each finds the fault it is there for and says what to do."""
    found = list(rule(Source(path, text)))
    assert any(said in fault for fault in found), found


@pytest.mark.parametrize(("rule", "path", "text"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_the_rule_lets_good_sources_pass(rule: Rule, path: str, text: str) -> None:
    """What the rules allow, they do not complain of."""
    assert list(rule(Source(path, text))) == []


def test_the_top_level_rule_sees_strangers_and_gaps() -> None:
    """A file too many and a file too few are both told; dotfiles and build leavings are nobody's business."""
    names = (TOP | {"notes.txt", ".ci", "var", "smsroute.egg-info"}) - {"LICENSE"}
    assert top_level(names) == ["notes.txt: does not belong at the top", "LICENSE: is missing at the top"]
