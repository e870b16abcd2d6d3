"""What comes to a target while a move fills it is neither overwritten nor lost."""

from __future__ import annotations

import os
import shutil

import psycopg
import pytest

from lea_fleet.core import files
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sqlite.move_target import SqliteTarget
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


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_an_older_server_begins_meanwhile_is_kept(
    postgresql_schema, sqlite_file, monkeypatch, has_links
):
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    fill = SqliteTarget.fill

    def early(side, table, rows):
        monkeypatch.setattr(SqliteTarget, "fill", fill)
        OlderServer(sqlite_file.path).enroll("PC-1")
        fill(side, table, rows)

    monkeypatch.setattr(SqliteTarget, "fill", early)

    assert "File exists" in refused(postgresql_schema, sqlite_file)

    with operator_of(sqlite_file) as operator:
        assert operator.machine("PC-1")["status"] == "active"
    assert takes_writes(postgresql_schema)
    assert [*sqlite_file.path.parent.glob("*-lea-mov*")] == []


def no_links(*names):
    raise PermissionError(1, "Operation not permitted")


def test_a_file_system_without_links_will_do(
    postgresql_schema, sqlite_file, monkeypatch
):
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    monkeypatch.setattr(os, "link", no_links)

    moved(postgresql_schema, sqlite_file)

    assert rows_of(sqlite_file) == rows_of(postgresql_schema)


def test_the_name_of_the_file_is_on_the_disk_before_the_source_is_given_up(
    postgresql_schema, sqlite_file, monkeypatch
):
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    synced = []
    monkeypatch.setattr(files, "_flush_names", synced.append)

    moved(postgresql_schema, sqlite_file)

    assert synced == [sqlite_file.path.parent]


def test_nothing_is_written_to_a_schema_between_the_look_and_the_move(
    sqlite_file, postgresql_schema, monkeypatch
):
    fill_all_tables(sqlite_file, 3)
    postgresql_schema.make_tables()
    refuse, refusals = PostgresqlTarget.refuse, []

    def looked(side):
        refuse(side)
        with postgresql_schema.connected() as connection:
            connection.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable) as refusal:
                connection.execute("DELETE FROM enrolled_agents")
            refusals.append(refusal)

    monkeypatch.setattr(PostgresqlTarget, "refuse", looked)
    moved(sqlite_file, postgresql_schema)

    assert refusals


# Whose it is


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_file_that_its_server_could_not_write_is_not_made(
    postgresql_schema, sqlite_file
):
    """As root in a folder of another user, whose server it would be for."""
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    shutil.chown(sqlite_file.path.parent, "nobody", "nogroup")

    assert "Run the command as nobody" in refused(postgresql_schema, sqlite_file)

    assert takes_writes(postgresql_schema)
    assert not sqlite_file.exists()


def test_a_lock_file_that_cannot_be_made_is_said(postgresql_schema, sqlite_file):
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    lock = sqlite_file.path.with_name(f"{sqlite_file.path.name}-lea-move")
    lock.mkdir()

    error = refused(postgresql_schema, sqlite_file)

    assert f"{lock} cannot be made: Is a directory." in error


@pytest.mark.parametrize("kind", ["the file", "its WAL", "another"])
def test_a_list_of_errors_replaces_neither_database_nor_another_file(
    sides, tmp_path, kind
):
    fill_all_tables(sides[0], 3)
    before = rows_of(sides[0])
    (file,) = (side.path for side in sides if isinstance(side, SqliteFile))
    other = tmp_path / "other.csv"
    other.write_text("machine_id;user_name\n")
    wal = file.with_name(f"{file.name}-wal")
    path = {"the file": file, "its WAL": wal, "another": other}[kind]

    result = run_move(*sides, "--errors", str(path))

    assert result.exit_code == 2
    assert "cannot be the file" in result.stderr or "other content" in result.stderr
    assert rows_of(sides[0]) == before
    assert other.read_text() == "machine_id;user_name\n"


def test_a_list_of_errors_that_cannot_be_written_is_said(
    sqlite_file, postgresql_schema, tmp_path
):
    fill_all_tables(sqlite_file, 3)
    missing = str(tmp_path / "missing" / "errors.csv")

    assert "missing" in refused(sqlite_file, postgresql_schema, "--errors", missing)

    assert takes_writes(sqlite_file)
