"""The pages for developers match the files.

The list of rooms names each folder and module. Each function in a walk is where the
walk says. Each path exists. Each list of places begins with the file of the
declaration.
"""

from __future__ import annotations

import inspect
import re
from importlib import metadata

import pytest
from docutils import nodes

from lea_fleet.api import routes
from lea_fleet.app.settings import Settings
from lea_fleet.cli import register_commands
from lea_fleet.core.events import Enrolled
from lea_fleet.core.problems import Conflict
from lea_fleet.storage.listing import FleetFilter
from tests.support import docs

PACKAGE = docs.ROOT / "lea_fleet"
SCHEMA = PACKAGE / "storage" / "sqlite" / "schema.sql"

#: Where the subject of each list is declared; None if not in Python.
DECLARED = {
    "A detail of a machine": None,
    "An event": Enrolled,
    "A route": routes,
    "An error code": Conflict,
    "A filter of the listing": FleetFilter,
    "A setting": Settings,
    "A command": register_commands,
}
PATH = re.compile(r"(?:lea_fleet|tests|\.ci)/[\w./]*|(?:README|setup)\.\w+")


@pytest.fixture(scope="module")
def architecture():
    return docs.parse(docs.ARCHITECTURE)


@pytest.fixture(scope="module")
def lists():
    """The sections that say how to add something, by their titles."""
    page = docs.parse(docs.CONTRIBUTING)
    return docs.subsections(docs.section(page, "How to add something"))


def rooms():
    """Return each folder and module in the package, except __init__.py."""
    paths = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    modules = {path for path in paths if path.suffix == ".py"}
    folders = {path for path in paths if path.is_dir() and path.name != "static"}
    names = {path.relative_to(PACKAGE).as_posix() for path in modules}
    names = {name for name in names if not name.endswith("__init__.py")}
    return names | {f"{path.relative_to(PACKAGE).as_posix()}/" for path in folders}


def paths(part):
    """Return the paths of the repository that *part* names, in order."""
    named = [literal.astext() for literal in part.findall(nodes.literal)]
    return [name for name in named if PATH.fullmatch(name)]


# Where things are


def test_every_room_and_every_module_has_a_line_and_no_other(architecture):
    rows = docs.section(architecture, "Rooms").findall(nodes.row)
    named = [row[0].astext() for row in rows]

    assert sorted(named) == sorted(rooms())


def test_every_function_of_the_walks_is_where_they_say(architecture):
    walks = docs.literals(docs.section(architecture, "Three walks"))
    steps = [text.split(": ") for text in walks if ".py: " in text]

    assert len(steps) > 20
    for path, name in steps:
        code = (PACKAGE / path).read_text("utf-8")
        for part in name.split("."):
            assert re.search(rf"^ *(def|class) {part}\b", code, re.MULTILINE), name


@pytest.mark.parametrize("title", ["Imports", "The storage seam", "Hard decisions"])
def test_every_module_that_the_rest_names_is_there(architecture, title):
    named = docs.literals(docs.section(architecture, title))

    for name in named:
        if re.fullmatch(r"[\w/]+\.(py|sql)", name):
            below = docs.ROOT if name.startswith("tests/") else PACKAGE
            assert (below / name).is_file(), name


# How to change things


@pytest.mark.parametrize("page", [docs.CONTRIBUTING, docs.ARCHITECTURE])
def test_every_path_of_the_repository_is_there(page):
    for path in paths(docs.parse(page)):
        assert (docs.ROOT / path).exists(), path


def test_there_is_a_list_for_each_thing_to_add(lists):
    assert list(lists) == list(DECLARED)


@pytest.mark.parametrize("title", DECLARED)
def test_each_list_names_the_file_of_the_declaration(lists, title):
    declared = DECLARED[title]
    file = SCHEMA if declared is None else inspect.getsourcefile(declared)
    first = next(lists[title].findall(nodes.list_item))

    assert docs.ROOT.joinpath(paths(first)[0]).samefile(file)


@pytest.mark.parametrize("title", DECLARED)
def test_each_list_ends_with_the_tests_that_notice(lists, title):
    tests = [path for path in paths(lists[title][-1]) if path.startswith("tests/")]

    assert lists[title][-1].astext().startswith("Tests: ")
    assert len(tests) > 1
    for path in tests:
        assert "def test_" in (docs.ROOT / path).read_text("utf-8"), path


# Glossary and changes


def test_the_glossary_explains_each_term_once():
    page = docs.parse(docs.GLOSSARY)
    entries = list(page.findall(nodes.definition_list_item))
    terms = [term for entry in entries for term in entry[0].astext().split(", ")]

    assert len(terms) == len(set(terms)) > 40
    for entry in entries:
        assert 1 <= len(re.findall(r"\.(?:\s|$)", entry[-1].astext())) <= 3, entry


def test_the_changes_go_back_from_the_version_of_the_package():
    titles = list(docs.subsections(docs.parse(docs.CHANGES)))

    assert titles[:2] == ["Unreleased", metadata.version("lea-fleet")]


def test_the_readme_names_every_page():
    page = docs.literals(docs.parse(docs.README))

    assert {path.name for path in docs.PAGES} <= page


def test_the_readme_stays_short():
    assert len(docs.README.read_text("utf-8").splitlines()) <= 300
