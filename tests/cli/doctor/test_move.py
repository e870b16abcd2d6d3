"""What the doctor says of a database that the fleet moves away from, or to."""

from __future__ import annotations

import json

import pytest

from lea_fleet.app.engine import open_source
from lea_fleet.app.state import current_state
from lea_fleet.storage.sides import Mark
from tests.support.moves import application, fill_all_tables, moved


@pytest.fixture
def found(app, operator):
    """Let something happen to the database; return the doctor's finding."""
    operator.enroll("PC-1")

    def find(happen):
        with app.app_context(), open_source(current_state().settings) as source:
            happen(source)
        result = app.test_cli_runner().invoke(args=["fleet", "doctor", "--json"])
        checks = json.loads(result.output)["checks"]
        (finding,) = [check for check in checks if check["check"] == "move"]
        return finding["level"], f"{finding['detail']} {finding['action']}"

    return find


def closed(state):
    def close(source):
        with source.locked():
            source.close(Mark("1", "the other one", state, "2026-03-01", {}))

    return close


def test_a_fleet_that_never_moved_is_in_order(found):
    assert found(lambda source: None) == ("ok", "never moved ")


def test_a_closed_database_is_a_fault_that_names_the_other_one(found):
    level, said = found(closed("closed"))

    assert level == "fault" and "moved to the other one" in said
    assert "--undo" in said


def test_a_schema_that_was_taken_back_is_a_fault_and_no_trigger_of_a_host(
    sqlite_file, postgresql_schema
):
    sqlite_file.path.parent.mkdir()
    fill_all_tables(sqlite_file, 3)
    moved(sqlite_file, postgresql_schema)
    moved(sqlite_file, postgresql_schema, "--undo")

    with application(postgresql_schema) as app:
        result = app.test_cli_runner().invoke(args=["fleet", "doctor", "--json"])

    checks = {each["check"]: each for each in json.loads(result.stdout)["checks"]}
    assert checks["move"]["level"] == "fault"
    assert "was taken back to" in checks["move"]["detail"]
    assert checks["triggers"]["level"] == "ok"


def test_one_that_a_killed_move_closed_is_a_fault_too(found):
    level, said = found(closed("closing"))

    assert level == "fault" and "run the same flask fleet move again" in said


def test_notes_of_a_killed_move_are_a_warning(found, run):
    level, said = found(lambda source: source.begin_noting())

    assert level == "warning" and "interrupted" in said
    assert "Took away" in run("summary").stderr
    assert found(lambda source: None)[0] == "ok"
