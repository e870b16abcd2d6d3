"""What programs write to a file that the fleet has left is seen, and brought over.

They do not know that it is closed: an older server, or lea_fleet 0.1.
"""

from __future__ import annotations

import pytest

from tests.support.moves import moved, operator_of, refused, rows_of, run_move
from tests.support.older_server import OlderServer

MACHINES = ["PC-1", "PC-2", "PC-3", "PC-4"]


@pytest.fixture
def agents(sqlite_file):
    """The agents of a fleet in the file; the last one is uninstalled."""
    sqlite_file.path.parent.mkdir()
    with operator_of(sqlite_file) as operator:
        agents = {name: operator.enroll(name) for name in MACHINES}
        operator.uninstall("PC-4")
    return agents


@pytest.fixture
def fleet(agents, sqlite_file, postgresql_schema):
    """The older server on the file that the fleet has left."""
    moved(sqlite_file, postgresql_schema)
    return OlderServer(sqlite_file.path)


@pytest.fixture
def again(sqlite_file, postgresql_schema):
    """Bring over what was late; return how many rows of which table became what."""

    def run():
        brought = moved(sqlite_file, postgresql_schema, "--again")["brought"]
        return {(each["table"], each["outcome"]): each["rows"] for each in brought}

    return run


def state(engine, machine_id):
    with operator_of(engine) as operator:
        return operator.machine(machine_id)


def test_they_are_reported_by_the_look_after_the_move(
    agents, sqlite_file, postgresql_schema
):
    older = OlderServer(sqlite_file.path)

    def write():
        older.enroll("OLD-1")
        older.touch_last_seen("PC-1")

    result = run_move(sqlite_file, postgresql_schema, meanwhile=write)

    assert result.exit_code == 0, result.output
    assert "Written here since" in result.stdout
    assert "2 of enrolled_agents rows" in result.stdout


def test_without_any_it_says_so(agents, sqlite_file, postgresql_schema):
    result = run_move(sqlite_file, postgresql_schema)

    assert "Nothing was written here since." in result.stdout


def test_a_new_machine_is_added(fleet, again, postgresql_schema):
    fleet.enroll("OLD-1", user_name="Zoé")

    assert again() == {("enrolled_agents", "added"): 1}

    assert state(postgresql_schema, "OLD-1")["user_name"] == "Zoé"
    assert again() == {}


def test_an_uninstalled_one_is_uninstalled(fleet, again, agents, postgresql_schema):
    fleet.uninstall("PC-1", "moved")

    assert again() == {("enrolled_agents", "updated"): 1}

    machine = state(postgresql_schema, "PC-1")
    assert (machine["status"], machine["uninstall_reason"]) == ("uninstalled", "moved")
    with operator_of(postgresql_schema) as operator:
        agents["PC-1"].client = operator.client
        answer = agents["PC-1"].heartbeat()
        assert (answer.status_code, answer.json["code"]) == (401, "agent_uninstalled")


def test_a_reinstalled_one_is_active(fleet, again, postgresql_schema):
    fleet.enroll("PC-4")

    assert again() == {("enrolled_agents", "updated"): 1}

    assert state(postgresql_schema, "PC-4")["status"] == "active"


def test_one_that_was_seen_has_been_seen(fleet, again, postgresql_schema):
    fleet.touch_last_seen("PC-2")

    assert again() == {("enrolled_agents", "updated"): 1}

    seen = fleet.get("PC-2")["last_seen_at"]
    query = "SELECT last_seen_at FROM enrolled_agents WHERE machine_id = 'PC-2'"
    assert postgresql_schema.execute(query) == [(seen,)]


def test_one_that_both_sides_have_changed_stays_as_it_is_on_the_new_one(
    fleet, again, agents, sqlite_file, postgresql_schema
):
    fleet.uninstall("PC-1")
    with operator_of(postgresql_schema) as operator:
        agents["PC-1"].client = operator.client
        agents["PC-1"].heartbeat(version="2")
    before = rows_of(postgresql_schema)

    result = run_move(sqlite_file, postgresql_schema, "--again")

    assert result.stdout == (
        "enrolled_agents: 1 kept\n" "Kept, since both sides have changed them: PC-1.\n"
    )
    assert rows_of(postgresql_schema) == before
    assert again() == {}


@pytest.fixture
def both_changed(fleet, postgresql_schema):
    """Twelve machines that both sides have enrolled since the move."""
    names = [f"BOTH-{number}" for number in range(12)]
    with operator_of(postgresql_schema) as operator:
        for name in names:
            fleet.enroll(name)
            operator.enroll(name)
    return names


def test_ten_of_those_that_both_have_changed_are_named(
    both_changed, sqlite_file, postgresql_schema
):
    result = run_move(sqlite_file, postgresql_schema, "--again")

    assert result.stdout == (
        "enrolled_agents: 12 kept\n"
        f"Kept, since both sides have changed them: {', '.join(both_changed[:10])}"
        " and 2 more.\n"
    )


def test_all_of_those_that_both_have_changed_are_in_the_json(
    both_changed, sqlite_file, postgresql_schema
):
    assert moved(sqlite_file, postgresql_schema, "--again")["kept"] == both_changed
    assert moved(sqlite_file, postgresql_schema, "--again")["kept"] == []


def test_what_is_late_again_is_brought_again(fleet, again, postgresql_schema):
    """Also of a machine that has another id on the new side."""
    with operator_of(postgresql_schema) as operator:
        operator.enroll("NEW-1")
    fleet.enroll("OLD-1")
    fleet.uninstall("PC-1")
    assert again() == {
        ("enrolled_agents", "added"): 1,
        ("enrolled_agents", "updated"): 1,
    }

    fleet.uninstall("OLD-1")
    fleet.enroll("PC-1")

    assert again() == {("enrolled_agents", "updated"): 2}
    assert state(postgresql_schema, "OLD-1")["status"] == "uninstalled"
    assert state(postgresql_schema, "PC-1")["status"] == "active"
    assert state(postgresql_schema, "NEW-1")["status"] == "active"
    assert again() == {}


def test_a_machine_that_both_have_enrolled_is_there_once(
    fleet, again, sqlite_file, postgresql_schema
):
    fleet.enroll("PC-9", user_name="old")
    with operator_of(postgresql_schema) as operator:
        operator.enroll("PC-9", user_name="new")

    assert again() == {("enrolled_agents", "kept"): 1}

    assert state(postgresql_schema, "PC-9")["user_name"] == "new"


def test_nothing_late_is_said_of_a_fleet_that_was_not_moved(
    agents, sqlite_file, postgresql_schema
):
    assert "was not moved to" in refused(sqlite_file, postgresql_schema, "--again")
