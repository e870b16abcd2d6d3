"""Who reads PostgreSQL for long, as pg_dump does, neither stops a move nor harms it."""

from __future__ import annotations

import pytest
from psycopg import Error

from lea_fleet.storage.postgresql.move_source import PostgresqlSource
from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sides import MoveRefused
from tests.support.moves import (
    application,
    fill_all_tables,
    moved,
    refused,
    rows_of,
    run_move,
    takes_writes,
)


@pytest.fixture
def reading(postgresql_schema):
    """Read the schema in a transaction that does not end."""
    with postgresql_schema.connected() as connection:

        def read():
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM enrolled_agents").fetchall()
            connection.execute("SELECT * FROM lea_fleet_tokens").fetchall()

        read.end = lambda: connection.execute("ROLLBACK")
        yield read


@pytest.fixture
def moving(postgresql_schema, sqlite_file):
    """A fleet in the schema, which moves to a file."""
    fill_all_tables(postgresql_schema, 3)
    sqlite_file.path.parent.mkdir()
    return postgresql_schema, sqlite_file


def test_a_fleet_moves_away_while_it_is_read(moving, reading):
    reading()

    moved(*moving)

    assert takes_writes(moving[1]) and not takes_writes(moving[0])
    assert rows_of(moving[0]) == rows_of(moving[1])


@pytest.fixture
def reading_at_first(reading, monkeypatch):
    """Read the schema until somebody has failed to drop the notes."""
    drop = PostgresqlSource._drop_notes

    def drop_or_end(side):
        try:
            drop(side)
        except Error:
            reading.end()
            raise

    monkeypatch.setattr(PostgresqlSource, "_drop_notes", drop_or_end)
    return reading


def test_a_reader_that_ends_does_not_keep_the_notes(moving, reading_at_first):
    reading_at_first()

    moved(*moving)

    assert moving[0].notes() == []


def test_a_reader_that_ends_is_not_in_the_way_after_a_killed_move(
    moving, reading_at_first, postgresql_schema
):
    settings = postgresql_schema.settings
    place = settings["LEA_FLEET_DATABASE_URL"], settings["LEA_FLEET_DATABASE_SCHEMA"]
    with PostgresqlSource(*place) as killed:
        killed.begin_noting()
    reading_at_first()

    moved(*moving)

    assert moving[0].notes() == []


def test_notes_that_a_reader_has_kept_are_taken_away_by_the_next_move(moving, reading):
    reading()
    moved(*moving)
    assert moving[0].notes() != []
    reading.end()

    assert "was moved to" in refused(*moving)
    assert moving[0].notes() == []


def test_a_move_that_fails_opens_the_fleet_that_is_read(moving, reading, monkeypatch):
    reading()
    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlSource, "keep", fail)
        refused(*moving)

    assert takes_writes(moving[0])
    assert not moving[1].exists()


def test_a_move_that_failed_meanwhile_can_be_run_again(
    moving, reading, monkeypatch, postgresql_schema
):
    reading()
    with monkeypatch.context() as patch:
        patch.setattr(PostgresqlSource, "keep", fail)
        refused(*moving)

    with application(postgresql_schema) as app:
        # Of the notes, which could not be taken away, the next command does so.
        app.test_cli_runner().invoke(args=["fleet", "summary"])
    result = run_move(*moving)

    # Their triggers must go first, for which the reader has to end.
    assert result.exit_code == 0 or "is busy" in result.stderr, result.output
    assert takes_writes(moving[0]) != (result.exit_code == 0)


def fail(*arguments):
    raise MoveRefused("It fails.")


def test_a_fleet_comes_while_the_target_is_read(
    sqlite_file, postgresql_schema, reading, monkeypatch
):
    fill_all_tables(sqlite_file, 3)
    set_numbers = PostgresqlTarget.set_numbers

    def read(side, numbers):
        set_numbers(side, numbers)
        reading()

    monkeypatch.setattr(PostgresqlTarget, "set_numbers", read)

    moved(sqlite_file, postgresql_schema)

    assert takes_writes(postgresql_schema) and not takes_writes(sqlite_file)


def test_an_undo_opens_the_fleet_that_is_read(moving, reading):
    moved(*moving)
    reading()

    moved(*moving, "--undo")

    assert takes_writes(moving[0])
    moved(*moving, "--dry-run")
