"""The pages for developers, against the files.

The list of rooms is that of the folders and modules, and each function of a walk is
where the walk says.
"""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from docutils import nodes

from tests.support import docs

PACKAGE = docs.ROOT / "lea_fleet"


@pytest.fixture(scope="module")
def architecture():
    return docs.parse(docs.ARCHITECTURE)


def rooms():
    """Return each folder and module, but for __init__.py, from the package on."""
    paths = [path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts]
    modules = {path for path in paths if path.suffix == ".py"}
    folders = {path for path in paths if path.is_dir() and path.name != "static"}
    names = {path.relative_to(PACKAGE).as_posix() for path in modules}
    names = {name for name in names if not name.endswith("__init__.py")}
    return names | {f"{path.relative_to(PACKAGE).as_posix()}/" for path in folders}


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


# What the words mean, and what has changed


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
