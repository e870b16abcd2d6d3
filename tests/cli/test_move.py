"""``flask fleet move``: what it prints, a dry run, and the way back by --undo."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from lea_fleet.cli import move
from tests.support.api import assert_problem
from tests.support.engines import SqliteFile
from tests.support.moves import (
    fill_all_tables,
    moved,
    operator_of,
    refused,
    rows_of,
    run_move,
    takes_writes,
)
from tests.support.older_server import OlderServer


@pytest.fixture
def filled(sides):
    """Both sides; there is a fleet to move."""
    fill_all_tables(sides[0], 5)
    sides[0].execute("DELETE FROM lea_fleet_intervals")
    return sides


# What it prints


def test_it_prints_rows_and_digests_and_says_what_to_do(filled):
    here, there = filled

    result = run_move(here, there)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["TABLE", "ROWS", "DIGEST"]
    assert ["lea_fleet_events", "5"] in [line.split()[:2] for line in lines]
    assert "Both sides have these digests." in result.stdout
    assert "Restart the servers with the new setting now." in result.stdout
    assert "under a lock of" in result.stderr


def test_it_prints_them_before_it_waits_to_look_for_late_writes(filled, monkeypatch):
    """Until the servers are restarted, they answer 503."""
    said = []
    monkeypatch.setattr(move, "say", said.append)

    run_move(*filled, meanwhile=lambda: said.append("waited"))

    assert "Restart the servers" in said[said.index("waited") - 1]


def test_ctrl_c_ends_that_wait_not_the_move(filled):
    here, there = filled

    def interrupt():
        raise KeyboardInterrupt

    result = run_move(here, there, meanwhile=interrupt)

    assert result.exit_code == 0, result.output
    assert "Nothing was written here since." in result.stdout
    assert takes_writes(there) and not takes_writes(here)


def test_as_json_it_prints_all_of_each_digest(filled):
    here, there = filled

    report = moved(here, there)

    assert report["written_since"] == {}
    assert report["tables"]["lea_fleet_events"]["rows"] == 5
    assert {len(each["digest"]) for each in report["tables"].values()} == {64}


@pytest.mark.parametrize(
    "words",
    [["--dry-run", "--again"], ["--again", "--undo"], ["--undo", "--dry-run"]],
)
def test_one_thing_at_a_time(filled, words):
    result = run_move(*filled, *words)

    assert result.exit_code == 2
    assert "one of --dry-run, --again and --undo" in result.stderr


# A dry run


def test_a_dry_run_changes_nothing_and_prints_the_digests_of_a_move(filled):
    here, there = filled
    before = dump(here), there.exists()

    result = run_move(here, there, "--dry-run", "--json")

    assert result.exit_code == 0, result.output
    assert (dump(here), there.exists()) == before
    assert takes_writes(here)
    tried = json.loads(result.stdout)
    assert tried["dry_run"] is True and tried["not_storable"] == 0
    assert moved(here, there)["tables"] == tried["tables"]


def test_a_dry_run_says_that_the_target_is_in_use(filled):
    here, there = filled
    with operator_of(there) as operator:
        operator.enroll("PC-1")

    error = refused(here, there, "--dry-run")

    assert "is not empty" in error or "already exists" in error


def test_a_dry_run_makes_no_tables_in_the_file_of_an_older_server(
    sqlite_file, postgresql_schema
):
    here, there = sqlite_file, postgresql_schema
    here.path.parent.mkdir(parents=True, exist_ok=True)
    OlderServer(here.path).enroll("PC-1")
    before = here.path.read_bytes()

    result = run_move(here, there, "--dry-run", "--json")

    assert result.exit_code == 0, result.output
    assert here.path.read_bytes() == before
    tried = json.loads(result.stdout)["tables"]
    assert tried["enrolled_agents"]["rows"] == 1
    assert moved(here, there)["tables"] == tried


def test_tables_that_a_newer_version_adds_are_made_by_a_move_not_by_a_dry_run(filled):
    here, there = filled
    here.execute("DROP TABLE lea_fleet_pruned")

    tried = run_move(here, there, "--dry-run")

    assert "lea_fleet_pruned" not in str(dump(here))
    assert (tried.exit_code == 0) == isinstance(here, SqliteFile)
    assert isinstance(here, SqliteFile) or "lacks lea_fleet_pruned" in tried.stderr
    assert moved(here, there)["tables"]["lea_fleet_pruned"]["rows"] == 0


def dump(engine):
    """Return all that is stored, and how it is declared."""
    if isinstance(engine, SqliteFile):
        with closing(sqlite3.connect(engine.path)) as connection:
            return [*connection.iterdump()]
    names = "SELECT oid::regclass::text, relkind FROM pg_class"
    here = "relnamespace = current_schema()::regnamespace ORDER BY 1"
    triggers = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_class"
    )
    return (
        engine.contents(),
        engine.execute(f"{names} WHERE {here}"),
        engine.execute(f"SELECT proname FROM pg_proc WHERE pro{here[3:]}"),
        engine.execute(f"{triggers} WHERE {here}) AND NOT tgisinternal"),
    )


# The way back


def test_an_undo_brings_the_fleet_back_as_it_was(filled):
    here, there = filled
    before = dump(here)
    moved(here, there)

    assert moved(here, there, "--undo")["undone"] is True

    assert dump(here) == before
    assert takes_writes(here)
    assert not takes_writes(there)
    assert "was not moved" in refused(here, there, "--undo")


def test_after_an_undo_a_server_on_the_target_writes_nothing(filled):
    here, there = filled
    moved(here, there)
    with operator_of(there) as operator:
        operator.get("/fleet")  # as a server that has been restarted too early
        moved(here, there, "--undo")

        answer = operator.post("/enroll", {"machine_id": "PC-1"})

        assert_problem(answer, 503, "database_unavailable", "retry")


def test_after_an_undo_the_fleet_can_be_moved_again(filled):
    here, there = filled
    moved(here, there)
    moved(here, there, "--undo")
    with operator_of(here) as operator:
        operator.enroll("PC-1")

    moved(here, there)

    assert rows_of(there) == rows_of(here)
    assert takes_writes(there) and not takes_writes(here)


def test_the_wal_of_an_undone_file_is_no_part_of_the_next_one(
    postgresql_schema, sqlite_file
):
    """Of a server that still has it open: SQLite would write it into the new one."""
    fill_all_tables(postgresql_schema, 5)
    sqlite_file.path.parent.mkdir()
    moved(postgresql_schema, sqlite_file)
    with sqlite_file.connected() as server:
        server.execute("PRAGMA journal_mode = WAL")
        server.execute("UPDATE enrolled_agents SET status = status")
        moved(postgresql_schema, sqlite_file, "--undo")
        moved(postgresql_schema, sqlite_file)

    assert rows_of(sqlite_file) == rows_of(postgresql_schema)


def test_a_file_is_not_made_beside_a_wal(postgresql_schema, sqlite_file):
    fill_all_tables(postgresql_schema, 5)
    sqlite_file.path.parent.mkdir()
    sqlite_file.path.with_name(f"{sqlite_file.path.name}-wal").touch()

    assert "-wal is left of" in refused(postgresql_schema, sqlite_file)

    assert takes_writes(postgresql_schema)


def test_an_undo_is_refused_once_the_target_was_written(filled):
    here, there = filled
    moved(here, there)
    with operator_of(there) as operator:
        operator.enroll("PC-1")
    before = rows_of(here), rows_of(there)

    error = refused(here, there, "--undo")

    assert "has been written since it was opened (" in error
    assert "enrolled_agents" in error
    assert (rows_of(here), rows_of(there)) == before
    assert takes_writes(there) and not takes_writes(here)


def test_an_undo_is_refused_of_a_fleet_that_was_not_moved(filled):
    here, there = filled

    assert "was not moved" in refused(here, there, "--undo")

    assert takes_writes(here)


def test_a_move_onward_that_is_refused_forgets_nothing(
    sqlite_file, postgresql_schema, tmp_path
):
    """Of the move before it, which can be undone afterwards."""
    fill_all_tables(sqlite_file, 5)
    moved(sqlite_file, postgresql_schema)
    onward = SqliteFile(tmp_path / "onward.db")
    onward.path.mkdir()

    refused(postgresql_schema, onward)

    assert takes_writes(postgresql_schema)
    moved(sqlite_file, postgresql_schema, "--undo")
    assert takes_writes(sqlite_file)
