"""From an enrollment token to the machines whose present enrollment was with it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from lea_fleet import FleetFilter, create_app
from lea_fleet.app.database import get_repository
from lea_fleet.storage.sqlite.dialect import add_functions
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.older_server import OlderServer


def found(operator, token_id=1, **query):
    """Return the names of the machines, the active ones first."""
    query = {"enrollment_token": token_id, "sort": "machine_id", **query}
    response = operator.get("/fleet", query_string=query)
    assert response.status_code == 200, response.text
    machines = response.json["active"] + response.json["uninstalled"]
    assert response.json["totals"]["total"] == len(machines)
    return [machine["machine_id"] for machine in machines]


@pytest.fixture
def installers(operator):
    """Installers with tokens 1 to 11, of which 1 begins as 10 and 11 do."""
    return [operator.installer() for _ in range(11)]


def test_it_finds_the_machines_of_that_token_only(operator, installers):
    for number in (0, 9, 10):
        installers[number].enroll(f"PC-{number}A")
        installers[number].enroll(f"PC-{number}B")
    operator.enroll("PC-X")

    assert found(operator, 1) == ["PC-0A", "PC-0B"]
    assert found(operator, 11) == ["PC-10A", "PC-10B"]
    assert found(operator, 2) == found(operator, 2**63 - 1) == []
    assert found(operator, 1, q="0b") == ["PC-0B"]


def test_a_machine_is_of_the_token_that_it_was_last_enrolled_with(operator, installers):
    for number in (0, 1):
        installers[number].enroll("PC-1")
        operator.uninstall("PC-1")
        assert found(operator, number + 1) == ["PC-1"]
    operator.post("/enroll", {"machine_id": "PC-1"})

    assert found(operator, 1) == found(operator, 2) == []


def test_a_released_machine_is_of_the_token_that_it_came_back_with(
    operator, installers
):
    operator.enroll("PC-1")
    operator.post("/machines/PC-1/release")
    installers[0].enroll("PC-1")

    assert found(operator) == ["PC-1"]


def test_a_rotation_an_edit_and_an_erasure_change_nothing(operator, installers, run):
    agent = installers[0].enroll("PC-1", user_email="zoe@example.com")
    agent.post("/machines/PC-1/token")
    for words in (
        ("edit", "PC-1", "--id", "PC-2", "--yes"),
        ("erase", "PC-2", "--yes"),
    ):
        assert run(*words).exit_code == 0

    assert found(operator) == ["PC-2"]


def test_old_events_that_are_pruned_change_nothing(
    operator, the_clock, installers, run
):
    installers[0].enroll("PC-1").heartbeat(hostname="A")
    the_clock.advance(days=100)

    pruned = run("prune", "--events-older-than", "90d", "--yes")

    assert pruned.exit_code == 0, pruned.output
    assert found(operator) == ["PC-1"]


def test_a_lost_response_that_is_repeated_is_of_the_same_token(operator, installers):
    for _ in range(2):
        key = {"Idempotency-Key": "again"}
        installers[0].post("/enroll", {"machine_id": "PC-1"}, headers=key)

    assert found(operator) == ["PC-1"]


def test_a_user_with_such_a_name_is_no_token(app, operator, installers):
    named = {"role": "installer", "user": 'x", "enrollment_token": 1, "y": "'}
    with app.app_context():
        get_repository(named).enroll("PC-1")

    assert found(operator) == []


def test_the_command_and_those_for_many_machines_take_it(operator, installers, run):
    for number in range(2):
        installers[number].enroll(f"PC-{number}")

    listed = json.loads(run("list", "--enrollment-token", "2", "--json").stdout)
    assert [machine["machine_id"] for machine in listed["active"]] == ["PC-1"]
    tagged = run("tag", "vip", "--enrollment-token", "2", "--yes")
    assert tagged.exit_code == 0, tagged.output
    assert operator.get("/machines/PC-1").json["tags"] == ["vip"]
    assert operator.get("/machines/PC-0").json["tags"] == []
    assert run("list", "--enrollment-token", "0").exit_code == 2


def test_a_selection_and_a_saved_view_take_it(operator, installers):
    installers[0].enroll("PC-1")
    operator.enroll("PC-2")

    wanted = {"filter": {"enrollment_token": "1"}}
    assert operator.post("/selections", wanted).json["machines"] == 1
    saved = {"name": "Wave 1", "filters": "enrollment_token=1"}
    assert operator.post("/views", saved).status_code == 201


@pytest.mark.parametrize("token_id", [0, -1, 2**63])
def test_a_filter_from_python_must_be_an_id(token_id):
    with pytest.raises(ValueError, match="enrollment_token"):
        FleetFilter(enrollment_token=token_id)


def test_what_an_older_server_enrolled_anew_is_of_no_token(database):
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
    operator = Api(create_app(settings).test_client(), OPERATOR_TOKEN)
    operator.installer().enroll("PC-1")
    older = OlderServer(database)
    older.uninstall("PC-1")
    assert found(operator) == ["PC-1"]

    older.enroll("PC-1")

    assert found(operator) == []


def test_it_reads_an_index_of_the_events(app, operator, database):
    operator.get("/fleet")
    (connection,) = app.extensions["lea_fleet"].store._idle
    asked = []
    connection.set_trace_callback(asked.append)
    found(operator)
    connection.set_trace_callback(None)

    queries = [query for query in asked if "lea_fleet_events" in query]
    assert len(queries) == 3  # of each status, and the totals
    with closing(sqlite3.connect(database)) as other:
        add_functions(other)
        for query in queries:
            plan = str([*other.execute(f"EXPLAIN QUERY PLAN {query}")])
            assert plan.count("SEARCH lea_fleet_events USING INDEX") >= 2, plan
            assert "lea_fleet_events_enrolled (actor=?)" in plan
            assert "lea_fleet_events_enrolled (actor>? AND actor<?)" in plan
