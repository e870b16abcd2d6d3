"""Each detail that a machine reports is accepted and shown everywhere.

The details are the members of an agent in the OpenAPI document that the server does not
set itself; another test compares that document with the responses.
"""

from __future__ import annotations

import inspect
import json
import re

import pytest

from lea_fleet import AgentRepository
from lea_fleet.core.machine import PERSONAL
from lea_fleet.core.rows import Agent
from tests.api.test_openapi import DOCUMENT
from tests.page.test_page_files import STATIC, catalogue
from tests.support import docs
from tests.support.api import assert_invalid

SCHEMAS = DOCUMENT["components"]["schemas"]

#: The members of an agent that the server sets.
SET_HERE = {
    "id",
    "machine_id",
    "status",
    "enrolled_at",
    "last_seen_at",
    "uninstalled_at",
    "uninstall_reason",
    "presence",
    "suspected_clone",
}
DETAILS = [name for name in SCHEMAS["Agent"]["properties"] if name not in SET_HERE]

#: The details that erasure keeps, because they are about the computer, not its user.
NOT_PERSONAL = {"os_info", "version"}

#: A value for each detail that is nowhere else on the screen.
VALUES = {name: f"<{name}>" for name in DETAILS}

EACH = pytest.mark.parametrize("name", DETAILS)


def listed(operator):
    """Return the one active machine of the listing."""
    (agent,) = operator.get("/fleet").json["active"]
    return agent


# Accepted


@pytest.mark.parametrize(
    "body, schema", [("Enrolling", "Detail"), ("Beating", "ReportedDetail")]
)
def test_each_request_that_takes_details_documents_all_of_them(body, schema):
    members = SCHEMAS[body]["properties"].items()
    detail = {"$ref": f"#/components/schemas/{schema}"}

    assert {name for name, schema in members if schema == detail} == set(DETAILS)


@EACH
def test_an_enrollment_sets_it(operator, name):
    enrolled = operator.enroll("PC-1", **{name: "A"}).answer["agent"]

    assert enrolled[name] == operator.machine()[name] == listed(operator)[name] == "A"


@EACH
def test_a_new_enrollment_without_it_keeps_it(operator, the_clock, name):
    operator.enroll("PC-1", **{name: "A"})
    operator.uninstall("PC-1")
    the_clock.advance(days=1)
    again = operator.enroll("PC-1").answer["agent"]

    assert again[name] == operator.machine()[name] == listed(operator)[name] == "A"


@EACH
def test_a_heartbeat_changes_it_at_once_and_writes_it_once(operator, the_clock, name):
    agent = operator.enroll("PC-1", **{name: "A"})
    agent.heartbeat()
    the_clock.advance(seconds=1)
    changed_at = the_clock.iso()

    assert agent.heartbeat(**{name: "B"}).status_code == 200
    assert operator.machine()[name] == listed(operator)[name] == "B"

    the_clock.advance(seconds=1)
    assert agent.heartbeat(**{name: "B"}).status_code == 200
    assert operator.machine()["last_seen_at"] == changed_at


@EACH
def test_an_operators_heartbeat_changes_it(operator, name):
    operator.enroll("PC-1", **{name: "A"})

    response = operator.post("/heartbeat", {"machine_id": "PC-1", name: "B"})

    assert response.status_code == 200
    assert operator.machine()[name] == "B"


@EACH
def test_its_length_is_limited(operator, name):
    longest = SCHEMAS["Detail"]["maxLength"]
    agent = operator.enroll("PC-1", **{name: "é" * longest})
    too_long = {"machine_id": "PC-1", name: "é" * (longest + 1)}

    assert operator.machine()[name] == "é" * longest
    assert_invalid(operator.post("/enroll", too_long), name)
    assert agent.post("/heartbeat", too_long).json["ignored"][0]["field"] == name
    assert operator.machine()[name] == "é" * longest


@EACH
def test_an_import_sets_and_updates_it(run, operator, tmp_path, name):
    operator.get("/fleet")  # begins the database
    file = tmp_path / "machines.csv"
    outcomes = {}
    for value, outcome in [("A", "imported"), ("B", "updated"), ("B", "unchanged")]:
        file.write_text(f"machine_id,{name}\nPC-1,{value}\n")
        outcomes[outcome] = json.loads(run("import", file, "--json").stdout)[outcome]
        assert operator.machine()[name] == value

    assert outcomes == {"imported": 1, "updated": 1, "unchanged": 1}
    assert operator.enroll("PC-1").answer["agent"][name] == "B"


# Shown


def test_the_command_shows_all_of_them(run, operator):
    operator.enroll("PC-1", **VALUES)

    facts, _, _ = run("show", "PC-1").output.partition("\n\n")
    shown = [line[13:] for line in facts.splitlines()]
    assert [value for value in VALUES.values() if value not in shown] == []


def test_the_page_shows_all_of_them():
    script = STATIC.joinpath("machine.js").read_text("utf-8")
    (shown,) = re.findall(r"const TEXTS = (\[.*?\]);", script, re.DOTALL)

    assert set(re.findall(r'"(\w+)"', shown)) == set(DETAILS)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_has_a_name_for_each_of_them(language):
    assert {f"machine.{name}" for name in DETAILS} <= catalogue(language).keys()


# Declared and described


def test_the_type_of_an_agent_has_every_member():
    assert Agent.__annotations__.keys() == SCHEMAS["Agent"]["properties"].keys()


def test_each_of_them_is_personal_or_not():
    assert set(PERSONAL) | NOT_PERSONAL == set(DETAILS)
    assert not set(PERSONAL) & NOT_PERSONAL


def test_erasure_removes_those_that_are_personal_and_keeps_the_others(run, operator):
    operator.enroll("PC-1", **VALUES)
    operator.uninstall("PC-1")
    assert run("erase", "PC-1", "--yes").exit_code == 0

    left = {name: operator.machine()[name] for name in DETAILS}
    assert left == {
        name: None if name in PERSONAL else value for name, value in VALUES.items()
    }


def test_the_help_of_the_import_names_them(run):
    words = re.findall(r"\w+", run("import", "--help").output)

    assert set(DETAILS) <= set(words)


def test_the_repository_says_what_it_accepts():
    words = re.findall(r"\w+", inspect.getdoc(AgentRepository.enroll))

    assert set(DETAILS) <= set(words)


def test_the_glossary_and_the_page_for_operators_name_them():
    for path in (docs.GLOSSARY, docs.OPERATIONS):
        assert set(DETAILS) <= docs.literals(docs.parse(path)), path.name
