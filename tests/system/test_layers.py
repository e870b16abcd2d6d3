"""Imports go down the rooms of the package, never up, and never in a circle.

They are read from the syntax trees, which include those in functions and those for
type checkers.
"""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.support.docs import ROOT

PACKAGE = ROOT / "lea_fleet"

#: From the top down; the longest matching name is the room of a module.
LAYERS = (
    ("lea_fleet", "lea_fleet.extension", "lea_fleet.standalone"),
    ("lea_fleet.cli",),
    ("lea_fleet.api",),
    ("lea_fleet.page",),
    ("lea_fleet.auth",),
    ("lea_fleet.alerts",),
    ("lea_fleet.app",),
    ("lea_fleet.storage",),  # the statements
    ("lea_fleet.storage.sqlite", "lea_fleet.storage.postgresql"),
    ("lea_fleet.storage.administration",),
    (
        "lea_fleet.storage.interface",
        "lea_fleet.storage.sides",
        "lea_fleet.storage.tables",
    ),
    ("lea_fleet.core",),
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
DRIVERS = {
    "sqlite3": "lea_fleet.storage.sqlite",
    "psycopg": "lea_fleet.storage.postgresql",
}


def faults(package):
    """Return a line for each import that breaks a rule: file, line, import, rule."""
    paths = {_module(path, package): path for path in sorted(package.rglob("*.py"))}
    found, graph = [], {module: {} for module in paths}
    for module, path in paths.items():
        where = path.relative_to(package.parent).as_posix()
        for line, target in _imports(path, module, paths):
            place = f"{where}:{line}: imports {target}"
            found += [f"{place}: {rule}" for rule in _broken_rules(module, target)]
            if target in paths and target != module:
                graph[module].setdefault(target, place)
    return found + list(_circles(graph))


def _module(path, package):
    *folders, name = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(folders if name == "__init__" else [*folders, name])


def _imports(path, module, modules):
    """Yield the line and the full name of each module that is imported."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = package.split(".")[: 1 - node.level or None]
                source = ".".join([*base, *filter(None, [source])])
            inner = {f"{source}.{alias.name}" for alias in node.names}
            # A name that is not a module is a name in the imported module.
            targets = {name if name in modules else source for name in inner}
            yield from ((node.lineno, target) for target in sorted(targets))


def _room(module):
    rooms = [room for room in LEVELS if f"{module}.".startswith(f"{room}.")]
    return max(rooms, key=len, default=None)


def _broken_rules(module, target):
    room, other, top = _room(module), _room(target), target.partition(".")[0]
    engines = DRIVERS.values()
    if other and LEVELS[other] < LEVELS[room]:
        yield f"{other} is above {room}"
    if other in engines and room not in (other, "lea_fleet.app"):
        yield "only lea_fleet.app chooses an engine"
    known = other or top in DRIVERS or top in sys.stdlib_module_names
    if LEVELS[room] >= LEVELS["lea_fleet.storage"] and not known:
        yield f"{room} imports the standard library only"
    if room != DRIVERS.get(top, room):
        yield f"{top} is imported in {DRIVERS[top]} alone"


def _circles(graph):
    """Yield a line for one import of each circle in *graph*, which is emptied."""
    while True:
        try:
            return TopologicalSorter(graph).prepare()
        except CycleError as error:
            # Each is imported by the next one.
            circle = error.args[1][::-1]
            place = graph[circle[0]].pop(circle[1])
            yield f"{place}: in a circle, {' > '.join(circle)}"


def test_imports_run_down_the_package_and_never_up():
    found = faults(PACKAGE)

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "statement", "target", "rule"),
    [
        (
            "core/a.py",
            "from ..storage import rows",
            "lea_fleet.storage.rows",
            "lea_fleet.storage is above lea_fleet.core",
        ),
        (
            "auth/a.py",
            "if TYPE_CHECKING:\n    from ..api.routes import b",
            "lea_fleet.api.routes",
            "lea_fleet.api is above lea_fleet.auth",
        ),
        (
            "app/__init__.py",
            "def late():\n    import lea_fleet.cli.show",
            "lea_fleet.cli.show",
            "lea_fleet.cli is above lea_fleet.app",
        ),
        (
            "storage/sqlite/a.py",
            "from .. import rows",
            "lea_fleet.storage.rows",
            "lea_fleet.storage is above lea_fleet.storage.sqlite",
        ),
        (
            "storage/interface.py",
            "from .sqlite import schema",
            "lea_fleet.storage.sqlite.schema",
            "lea_fleet.storage.sqlite is above lea_fleet.storage.interface",
        ),
        (
            "storage/a.py",
            "from .sqlite import schema",
            "lea_fleet.storage.sqlite.schema",
            "only lea_fleet.app chooses an engine",
        ),
        (
            "storage/postgresql/a.py",
            "from ..sqlite.schema import TABLES",
            "lea_fleet.storage.sqlite.schema",
            "only lea_fleet.app chooses an engine",
        ),
        (
            "cli/a.py",
            "from ..storage.sqlite import schema",
            "lea_fleet.storage.sqlite.schema",
            "only lea_fleet.app chooses an engine",
        ),
        (
            "core/a.py",
            "from flask import g",
            "flask",
            "lea_fleet.core imports the standard library only",
        ),
        (
            "storage/a.py",
            "import flask.signals",
            "flask.signals",
            "lea_fleet.storage imports the standard library only",
        ),
        (
            "app/a.py",
            "import sqlite3",
            "sqlite3",
            "sqlite3 is imported in lea_fleet.storage.sqlite alone",
        ),
        (
            "storage/sqlite/a.py",
            "from psycopg.rows import dict_row",
            "psycopg.rows",
            "psycopg is imported in lea_fleet.storage.postgresql alone",
        ),
    ],
)
def test_an_import_that_breaks_a_rule_is_named(tree, path, statement, target, rule):
    tree(path, statement)

    found = [fault for fault in faults(tree.package) if target in fault]

    line = statement.count("\n") + 1
    assert f"lea_fleet/{path}:{line}: imports {target}: {rule}" in found


def test_a_circle_is_named(tree):
    tree("core/a.py", "from .b import name")
    tree("core/b.py", "def late():\n    from . import c")
    tree("core/c.py", "from lea_fleet.core.a import name")

    (found,) = faults(tree.package)

    assert "in a circle, " in found
    assert all(f"lea_fleet.core.{name}" in found for name in "abc")


def test_what_may_be_imported_is_no_fault(tree):
    tree("__init__.py", "from .extension import LeaFleet\nfrom flask import Flask")
    tree("extension.py", "from .app import state")
    tree("app/state.py", "from ..storage.sqlite import schema\nimport flask")
    tree("storage/rows.py", "from .interface import Store\nfrom ..core import a")
    tree("storage/sqlite/schema.py", "import sqlite3\nfrom ..interface import Store")
    tree("core/a.py", "from __future__ import annotations\nimport graphlib")

    assert faults(tree.package) == []


@pytest.fixture
def tree(tmp_path):
    """Writes a module of a small package that keeps every rule."""

    def write(path, text):
        file = write.package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write.package = tmp_path / "lea_fleet"
    for path in ("storage/rows.py", "storage/sqlite/schema.py", "cli/show.py"):
        write(path, "")
    write("api/routes/__init__.py", "")
    return write
