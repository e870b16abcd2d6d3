"""A filter is declared once; the rest is derived from it or checked here."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from lea_fleet.cli.list_command import list_machines
from lea_fleet.core.listing import FILTERS, PRESENCES, SORTS
from lea_fleet.core.views import COLUMNS, USUAL_COLUMNS
from lea_fleet.storage.listing import CONDITIONS

PAGE = files("lea_fleet.page").joinpath("static")


def list_in(file, name):
    """Return the strings of a constant array in a script of the page."""
    script = PAGE.joinpath(file).read_text("utf-8")
    (array,) = re.findall(rf"const {name} = (\[.*?\]);", script, re.DOTALL)
    return json.loads(re.sub(r",\s*\]", "]", array))


def test_each_filter_has_a_condition_in_sql():
    # The status chooses the list, and is not a condition.
    assert set(CONDITIONS) == set(FILTERS) - {"status"}


def test_each_filter_is_a_parameter_of_the_api():
    text = files("lea_fleet.api").joinpath("openapi.json").read_text("utf-8")
    document = json.loads(text)
    parameters = document["components"]["parameters"]
    named = []
    for parameter in document["paths"]["/fleet"]["get"]["parameters"]:
        reference = parameter.get("$ref", "").rpartition("/")[2]
        named.append(parameters.get(reference, parameter)["name"])

    assert named[: len(FILTERS)] == list(FILTERS)


def test_each_filter_is_in_the_reference():
    reference = files("lea_fleet").joinpath("docs", "reference.rst").read_text("utf-8")

    assert [name for name in FILTERS if f"``{name}``" not in reference] == []


def test_each_filter_with_an_option_is_one_of_the_command():
    options = {
        option.name: [*option.opts, *option.secondary_opts]
        for option in list_machines.params
    }

    for name, filter in FILTERS.items():
        assert options.get(name) == (list(filter.options) or None), name


def test_the_page_has_each_filter_and_no_other():
    assert list_in("address.js", "LISTING") == [*FILTERS, "sort"]
    for language in ("en", "fr"):
        texts = PAGE.joinpath(f"{language}.js").read_text("utf-8")
        named = {*re.findall(r'"filter\.(\w+)', texts)} - {"remove", "not"}
        assert named == {*FILTERS} - {"presence"}


@pytest.mark.parametrize(
    ("file", "name", "known"),
    [("filters.js", "PRESENCES", PRESENCES), ("more.js", "SORTS", SORTS)],
)
def test_the_page_offers_every_choice(file, name, known):
    assert sorted(list_in(file, name)) == sorted(known)


def test_the_page_has_every_column_of_a_view_and_no_other():
    assert tuple(list_in("columns.js", "COLUMNS")) == COLUMNS
    assert tuple(list_in("columns.js", "USUAL")) == USUAL_COLUMNS
    cells = PAGE.joinpath("list.js").read_text("utf-8").partition("const CELLS = {")[2]
    assert tuple(re.findall(r"^  (\w+): \(", cells, re.MULTILINE)) == COLUMNS
    for name in set(COLUMNS) - set(list_in("list.js", "UNSORTED")):
        assert name in SORTS
