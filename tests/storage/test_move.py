"""A fleet that moves to the other engine is the same one there, and when it is back."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.storage.test_legacy import LEGACY
from tests.support.engines import SqliteFile
from tests.support.moves import (
    fill_all_tables,
    moved,
    operator_of,
    refused,
    rows_of,
)
from tests.support.older_server import OlderServer


@pytest.fixture(params=["the older server's", "of 0.1.0", "odd values", "nothing"])
def source(request, sqlite_file):
    """A file to move."""
    sqlite_file.path.parent.mkdir()
    if request.param == "the older server's":
        shutil.copy(LEGACY, sqlite_file.path)
    elif request.param == "of 0.1.0":
        shutil.copy(request.getfixturevalue("made")[0], sqlite_file.path)
    elif request.param == "odd values":
        fill_all_tables(sqlite_file)
    else:
        sqlite_file.make_tables()
    return sqlite_file


@pytest.fixture
def back(tmp_path):
    """The file that a fleet comes back to."""
    return SqliteFile(tmp_path / "back.db")


# Rows


def test_every_row_is_the_same_on_the_other_side_and_after_the_way_back(
    source, postgresql_schema, back
):
    there = moved(source, postgresql_schema)
    again = moved(postgresql_schema, back)

    assert there["tables"] == again["tables"]
    rows = rows_of(source)
    assert rows_of(postgresql_schema) == rows_of(back) == rows
    assert {name: each["rows"] for name, each in there["tables"].items()} == {
        name: len(found) for name, found in rows.items()
    }


def test_a_digest_differs_if_one_character_does(sqlite_file, postgresql_schema):
    fill_all_tables(sqlite_file)
    first = moved(sqlite_file, postgresql_schema)["tables"]
    moved_back = "UPDATE lea_fleet_events SET detail = detail || '.' WHERE id = 1"
    moved(sqlite_file, postgresql_schema, "--undo")
    sqlite_file.execute(moved_back)

    second = moved(sqlite_file, postgresql_schema)["tables"]

    assert [name for name in first if first[name] != second[name]] == [
        "lea_fleet_events"
    ]


def test_tokens_are_valid_on_the_other_side(sides):
    here, there = sides
    with operator_of(here) as operator:
        agents = [operator.enroll(f"PC-{number}") for number in range(3)]
        installer = operator.installer()

    moved(here, there)

    with operator_of(there) as operator:
        for agent in agents:
            agent.client = operator.client
            assert agent.heartbeat(version="2").status_code == 200
        installer.client = operator.client
        installer.enroll("PC-9")


# Ids


def test_ids_are_kept_and_new_ones_follow_the_highest_ever_handed_out(sides):
    """Also where the newest rows were deleted."""
    here, there = sides
    ids = enroll_and_delete(here, range(5), keep=2)

    moved(here, there)

    assert ids_of(there) == ids_of(here)
    after = enroll_and_delete(there, range(5, 6), keep=99)
    assert max(after) == max(ids) + 1


def test_new_ids_follow_also_where_every_row_was_deleted(sides):
    here, there = sides
    ids = enroll_and_delete(here, range(5), keep=0)

    moved(here, there)

    assert enroll_and_delete(there, range(5, 6), keep=99) == [max(ids) + 1]


def test_ids_go_on_also_after_the_way_back(sqlite_file, postgresql_schema, back):
    sqlite_file.path.parent.mkdir()
    enroll_and_delete(sqlite_file, range(5), keep=1)
    moved(sqlite_file, postgresql_schema)
    ids = enroll_and_delete(postgresql_schema, range(5, 9), keep=1)
    moved(postgresql_schema, back)

    assert max(enroll_and_delete(back, range(9, 10), keep=99)) == max(ids) + 1


def ids_of(engine):
    numbered = ("enrolled_agents", "lea_fleet_enrollment_tokens", "lea_fleet_events")
    return {
        table: engine.execute(f"SELECT id FROM {table} ORDER BY id")
        for table in numbered
    }


def enroll_and_delete(engine, numbers, keep):
    """Enroll machines and keep *keep* rows of each table; return the ids they got."""
    with operator_of(engine) as operator:
        for number in numbers:
            operator.enroll(f"PC-{number}")
            operator.installer()
    ids = [id for (id,) in engine.execute("SELECT id FROM enrolled_agents")]
    for table in ids_of(engine):
        kept = f"SELECT id FROM {table} ORDER BY id LIMIT {keep}"
        engine.execute(f"DELETE FROM {table} WHERE id NOT IN ({kept})")
    return ids


# The file


def test_an_older_server_reads_and_writes_the_file_that_has_come_back(
    sqlite_file, postgresql_schema, back
):
    sqlite_file.path.parent.mkdir()
    shutil.copy(LEGACY, sqlite_file.path)
    before = OlderServer(sqlite_file.path).list_by_status("active")
    moved(sqlite_file, postgresql_schema)
    moved(postgresql_schema, back)

    older = OlderServer(back.path)

    assert older.list_by_status("active") == before
    older.enroll("OLD-1", user_name="Zoé")
    older.uninstall(before[0]["machine_id"], "moved")
    with operator_of(back) as operator:
        assert operator.machine("OLD-1")["user_name"] == "Zoé"
        assert operator.machine(before[0]["machine_id"])["status"] == "uninstalled"
        operator.uninstall("OLD-1")
    assert older.get("OLD-1")["status"] == "uninstalled"


def test_the_file_is_as_a_server_makes_one(tmp_path, postgresql_schema, back):
    """Of the same tables and indexes, and closed to other users."""
    fill_all_tables(postgresql_schema)
    made = SqliteFile(tmp_path / "made" / "rpa_data.db")
    with operator_of(made) as operator:
        operator.get("/fleet")

    moved(postgresql_schema, back)

    with operator_of(back) as operator:
        operator.get("/fleet")
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert back.execute(schema) == made.execute(schema)
    assert back.execute("PRAGMA integrity_check") == [("ok",)]
    assert os.stat(back.path).st_mode == os.stat(made.path).st_mode
    assert [path.name for path in tmp_path.glob("back*")] == ["back.db"]


# What is there already


def test_a_target_with_a_fleet_is_refused(sides):
    here, there = sides
    for side in sides:
        with operator_of(side) as operator:
            operator.enroll("PC-1")
    before = rows_of(here), rows_of(there)

    assert "is not empty" in (error := refused(here, there)) or "exists" in error

    assert (rows_of(here), rows_of(there)) == before
    for side in sides:
        with operator_of(side) as operator:
            operator.enroll("PC-2")


def test_the_hosts_tables_stay_where_they_are(sqlite_file, postgresql_schema):
    sqlite_file.path.parent.mkdir()
    shutil.copy(LEGACY, sqlite_file.path)
    query = "SELECT * FROM agent_events"
    events = sqlite_file.execute(query)
    assert events

    moved(sqlite_file, postgresql_schema)

    assert sqlite_file.execute(query) == events
    assert "agent_events" not in postgresql_schema.contents()
