"""What the doctor finds when it asks a database that is a file."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from lea_fleet.cli import doctor
from lea_fleet.storage.sqlite.checks import database as checks
from lea_fleet.storage.sqlite.checks import lockers
from tests.cli.doctor.calling import (
    STRONG_TOKEN,
    call,
    connected,
    crash,
    only,
    troubles,
    unchecked,
)
from tests.support.processes import beside

#: PostgreSQL's are in ``tests/cli/postgresql/test_doctor.py``.
pytestmark = pytest.mark.sqlite

#: How the doctor names a process that has the lock.
WRITER = r"process \d+" if Path("/proc/locks").exists() else "another process"


@pytest.fixture
def app(make_app):
    return make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_BUSY_TIMEOUT=0.1)


@contextmanager
def busy(database, *statements):
    """Hold what *statements* lock, from a process of its own."""

    def hold(ready, over):
        with connected(database) as connection:
            for statement in statements:
                connection.execute(statement)
            ready.set()
            over.wait()

    with beside(hold):
        yield


def test_a_broken_file(app, operator, stop, database):
    for number in range(200):
        operator.enroll(f"PC-{number}", user_name="x" * 200)
    stop()
    with database.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\xff" * 4096)

    found = call(app)

    assert found["integrity"]["level"] == "fault"
    assert found["integrity"]["detail"].startswith("the file is broken: ")
    assert "restore the last backup" in found["integrity"]["action"]
    assert found["api_token"]["level"] == "ok"


def test_an_index_that_is_not_its_tables_is_found_unless_it_is_quick(app, alter):
    """Of an index, the quick check reads the pages and not what they say."""
    alter(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX lea_fleet_listing"
        " ON enrolled_agents(status)' WHERE name = 'lea_fleet_listing'",
    )

    assert "lea_fleet_listing" in only(call(app), "integrity", "fault")["detail"]
    found = call(app, "--quick")
    assert troubles(found) == {}
    assert found["integrity"]["detail"] == "sound; indexes not checked"


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 35, 0), "warning"),
        ((3, 44, 5), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 45, 0), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 53, 0), "ok"),
    ],
)
def test_a_sqlite_with_the_wal_reset_bug(version, level):
    assert checks.sqlite_version(version).level == level


def test_a_writer_that_does_not_end(app, fleet, database):
    with busy(database, "BEGIN IMMEDIATE"):
        found = only(call(app), "write_lock", "fault")

    told = f"{WRITER} has been writing for longer than 0.1 s"
    assert re.fullmatch(told, found["detail"])
    assert troubles(call(app)) == {}


def test_a_writer_of_an_older_server_that_locks_out_the_readers(
    app, fleet, alter, database
):
    alter("PRAGMA journal_mode = DELETE")
    with busy(database, "BEGIN EXCLUSIVE"):
        found = call(app)

    assert found["opening"]["level"] == "fault"
    assert f"Another process is writing to {database}" in found["opening"]["detail"]
    assert re.match(f"Find out what {WRITER} is doing", found["opening"]["action"])
    assert "see opening" in found["integrity"]["detail"]
    assert {"write_lock", "machines", "tables"} <= unchecked(found)


def test_a_writer_that_the_system_does_not_name(app, fleet, database, monkeypatch):
    monkeypatch.setattr(lockers, "_LOCKS", database.parent / "none")

    with busy(database, "BEGIN IMMEDIATE"):
        found = only(call(app), "write_lock", "fault")

    assert found["detail"].startswith("another process has been writing")


def test_nobody_locks_what_is_only_read(fleet, database):
    with busy(database, "BEGIN", "SELECT count(*) FROM enrolled_agents"):
        assert lockers.lockers(database) == []


def test_a_database_that_is_not_in_wal_mode(app, alter):
    alter("PRAGMA journal_mode = DELETE")

    found = call(app)

    assert troubles(found) == {}
    assert "not in WAL mode yet" in found["wal_mode"]["detail"]


def test_an_older_servers_database_is_put_in_wal_mode_with_the_first_request(
    app, alter
):
    alter("DROP TABLE lea_fleet_events", "PRAGMA journal_mode = DELETE")

    found = call(app)

    assert troubles(found) == {}
    assert "not in WAL mode yet" in found["wal_mode"]["detail"]
    assert found["tables"]["detail"] == "1 tables to make, at the first request"
    assert found["machines"]["detail"].startswith("nothing yet")


def test_a_column_that_an_older_version_did_not_make_is_added_at_the_first_request(
    app, operator, stop, alter
):
    alter("ALTER TABLE lea_fleet_tokens DROP COLUMN replaced")

    for _ in range(2):
        found = call(app)

        assert troubles(found) == {} and unchecked(found) == set()
        assert found["tables"]["detail"] == (
            "to add at the first request: the column lea_fleet_tokens.replaced"
        )
    assert operator.get("/fleet").status_code == 200
    stop()
    assert call(app)["tables"]["detail"] == "all there"


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (
            ["DROP TABLE lea_fleet_events", "CREATE TABLE lea_fleet_events (at, x)"],
            "lea_fleet_events lacks actor, detail, event, id, machine_id",
        ),
        (
            ["ALTER TABLE enrolled_agents RENAME COLUMN os_info TO system"],
            "enrolled_agents lacks os_info",
        ),
        (
            ["DROP TABLE lea_fleet_clones", "CREATE TABLE x (y)"]
            + ["CREATE INDEX lea_fleet_clones ON x (y)"],
            "lea_fleet_clones lacks alternated_at",
        ),
        (
            ["DROP TABLE lea_fleet_clones"]
            + ["CREATE VIEW lea_fleet_clones AS SELECT * FROM nowhere"],
            "no such table: main.nowhere",
        ),
    ],
    ids=["table", "column", "index", "broken view"],
)
def test_what_bears_our_name_and_is_not_ours(app, alter, statements, told):
    alter(*statements)

    found = call(app)

    assert found["tables"]["level"] == "fault"
    assert told in found["tables"]["detail"]
    assert "RPA_AGENTS_DB_PATH" in found["tables"]["action"]
    assert {"machines", "tokens", "enrollment_tokens"} <= unchecked(found)
    assert "opening" not in troubles(found)


def test_a_trigger_on_the_table_that_is_shared(app, alter):
    alter(
        "CREATE TRIGGER audit AFTER UPDATE ON Enrolled_Agents BEGIN SELECT 1; END",
        "CREATE TABLE theirs (x)",
        "CREATE TRIGGER other AFTER UPDATE ON theirs BEGIN SELECT 1; END",
    )

    found = only(call(app), "triggers", "warning")

    assert found["detail"] == "on enrolled_agents: audit"


def test_the_log_of_a_server_that_was_killed_is_read_and_kept(app, fleet, database):
    crash(database)
    log = database.with_name(f"{database.name}-wal")
    before = log.read_bytes()

    found = call(app)

    assert troubles(found) == {}
    assert found["write_lock"]["detail"] == "free"
    assert log.read_bytes() == before != b""


def test_a_server_that_starts_meanwhile_is_read_once_more(
    app, operator, fleet, monkeypatch
):
    """What was read without its lock may have been half of what it wrote."""
    run, times = doctor.run, []

    def interrupted(group, checks):
        times.append(group)
        if times == ["database"]:
            operator.enroll("PC-2")
        return run(group, checks)

    monkeypatch.setattr(doctor, "run", interrupted)

    found = call(app)

    assert times == 2 * ["database", "database", "settings", "fleet", "fleet"]
    assert found["machines"]["detail"].startswith("2 active")
