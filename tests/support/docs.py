"""Read the documentation as data, and run its examples."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from docutils import nodes
from docutils.core import publish_doctree

ROOT = Path(__file__).parents[2]
README = ROOT / "README.rst"
_FOLDER = ROOT / "lea_fleet" / "docs"
PAGES = sorted(_FOLDER.glob("*.rst"))
REFERENCE = _FOLDER / "reference.rst"
INSTALLER = _FOLDER / "installer.rst"
COMMANDS = _FOLDER / "commands.rst"
HOST = _FOLDER / "host.rst"
OPERATIONS = _FOLDER / "operations.rst"
DEPLOYMENT = _FOLDER / "deployment.rst"
ARCHITECTURE = _FOLDER / "architecture.rst"
CONTRIBUTING = _FOLDER / "contributing.rst"
GLOSSARY = _FOLDER / "glossary.rst"
CHANGES = _FOLDER / "changes.rst"

#: The part of a set-up command that comes before the program itself.
SET_UP = re.compile(r"(python3 -m venv \.venv && )?\.venv/bin/pip install .*? && ")

_DEADLINE = 60  # seconds
_COMMAND = re.compile(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", re.DOTALL)
_ASSIGNMENT = re.compile(r"(?:export )?[A-Z_]+=\S+")
_SERVER = re.compile(r" run$| gunicorn ")
_ADDRESS = r"127\.0\.0\.1:\d+"
_TOKEN = r"lea_(?:agent|enroll|operator)_[\w-]{43}"
_TIMESTAMP = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?)?"
_INTERVAL = r'(?<="heartbeat_interval":)\d+|(?<="heartbeat_interval": )\d+'
_HOURS = r'(?<="hours":)\[[\d,]+\]'
_DATABASE = r"(?:/[\w.-]+)+/data/databases/rpa_data\.db"
_VARIES = re.compile(
    "|".join((_DATABASE, _ADDRESS, _TOKEN, _TIMESTAMP, _INTERVAL, _HOURS))
)
_AGE = re.compile(r"\b(now|\d+ (s|min|h|d) ago)$", re.MULTILINE)


@cache  # parsing reference.rst takes half a second
def parse(path: Path) -> nodes.document:
    """Return the tree of a document, which is not to be changed.

    Raises for everything docutils warns about.
    """
    overrides = {"halt_level": 2, "syntax_highlight": "none"}
    return publish_doctree(path.read_text("utf-8"), settings_overrides=overrides)


def section(document: nodes.document, title: str) -> nodes.section:
    """Return the one section with that title."""
    sections = document.findall(nodes.section)
    found = [part for part in sections if title_of(part) == title]
    assert len(found) == 1, f"{len(found)} sections are called {title!r}"
    return found[0]


def title_of(part: nodes.section) -> str:
    return part[0].astext()


def subsections(part: nodes.Element) -> dict[str, nodes.section]:
    """Return the sections directly below *part*, by their titles."""
    children = [child for child in part if isinstance(child, nodes.section)]
    return {title_of(child): child for child in children}


def blocks(part: nodes.Element, language: str) -> list[str]:
    """Return the code blocks of *language* in *part*."""
    found = part.findall(nodes.literal_block)
    return [block.astext() for block in found if language in block["classes"]]


def literals(part: nodes.Element) -> set[str]:
    return {literal.astext() for literal in part.findall(nodes.literal)}


def steps(part: nodes.Element) -> Iterator[tuple[str, str]]:
    """Yield each command of the console examples, with the output they show."""
    for block in blocks(part, "console"):
        before, *typed = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not before, f"output without a command: {before}"
        for step in typed:
            command, output = _COMMAND.fullmatch(step).groups()
            yield command, output.rstrip()


class Terminal(ExitStack):
    """A folder in which the commands of the documentation are run.

    Real tokens, timestamps, addresses, intervals and the path of the database differ
    from those in the text: each of these is replaced by its real value in all outputs
    and commands.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._variables = ""
        self._real: dict[str, str] = {}

    def type(self, command: str) -> str:
        """Run *command*; return its output. A server runs on in the background."""
        command = self._translate(SET_UP.sub("", command).replace(".venv/bin/", ""))
        if _SERVER.search(command):
            self._serve(command)
            return ""
        if _ASSIGNMENT.fullmatch(command):
            self._variables += f"{command}\n"
        shell = subprocess.run(
            ["bash", "-c", self._variables + command],
            cwd=self._folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE,
            encoding="utf-8",
        )
        assert shell.returncode == 0, f"{command}\n{shell.stdout}"
        return shell.stdout.rstrip()

    def expect(self, documented: str, output: str) -> tuple[str, str]:
        """Return both texts without what differs from run to run."""
        names = zip(_VARIES.findall(documented), _VARIES.findall(output))
        here = dict(names)
        tokens = {name: real for name, real in here.items() if re.match(_TOKEN, name)}
        self._real |= tokens
        expected = self._translate(documented, here)
        return _AGE.sub("<age>", expected), _AGE.sub("<age>", output)

    def _translate(self, text: str, here: dict[str, str] | None = None) -> str:
        real = self._real | (here or {})
        return _VARIES.sub(lambda name: real.get(name[0], name[0]), text)

    def _serve(self, command: str) -> None:
        found = re.search(_ADDRESS, command)
        address = found[0] if found else "127.0.0.1:5000"
        port = free_port()
        self._real[address] = f"127.0.0.1:{port}"
        self.enter_context(serving(self._translate(command), port, self._folder))


@contextmanager
def serving(command: str, port: int, folder: Path, **variables: str) -> Iterator[None]:
    """Run *command*, a server on *port*, until the context ends."""
    log = folder.with_name(f"{folder.name}-{port}.log")
    variables["FLASK_RUN_PORT"] = str(port)
    variables["XDG_RUNTIME_DIR"] = str(folder)  # where gunicorn puts a socket
    with log.open("wb") as output, subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that its workers end with it
    ) as process:
        try:
            deadline = time.monotonic() + _DEADLINE
            while not _listens(port):
                alive = process.poll() is None and time.monotonic() < deadline
                assert alive, f"{command}\n{log.read_text('utf-8')}"
                time.sleep(0.05)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def environment(**variables: str) -> dict[str, str]:
    """Return a newcomer's environment; this Python's programs are first in PATH."""
    ours = ("FLASK_", "LEA_FLEET_", "RPA_", "COV_")
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    fixed = {"PATH": programs, "COLUMNS": "80", "no_proxy": "127.0.0.1"}
    return kept | fixed | {"LOGNAME": "zoe"} | variables


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
