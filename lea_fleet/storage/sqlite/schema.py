"""The tables: made where they are missing, refused where they are another's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files

from ...core.problems import DatabaseUnavailable
from .dialect import transaction

#: ``RETURNING`` and the JSON functions are there from this version on.
OLDEST_SQLITE = (3, 35, 0)


def refuse_old_sqlite() -> None:
    """Raise RuntimeError where SQLite is older than what the SQL here needs."""
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        return
    oldest = ".".join(map(str, OLDEST_SQLITE))
    raise RuntimeError(
        f"lea_fleet needs SQLite {oldest} or later; this Python has"
        f" {sqlite3.sqlite_version}. Install a newer SQLite or Python."
    )


def ensure_schema(connection: sqlite3.Connection) -> None:
    """Make the tables and indexes that the database lacks.

    Nothing is written where nothing is missing, so that this neither waits for
    another writer nor fails on its lock. Raises DatabaseUnavailable, naming
    it, for a table that bears one of our names and is not ours.
    """
    if not _missing(connection):
        return
    with transaction(connection):
        # Another process may have made them while this one waited.
        if _missing(connection):
            for statement in _statements():
                connection.execute(statement)


def foreign_tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return what bears one of our names and is not ours, with the columns it lacks."""
    present = _names(connection)
    lacking = {
        table: sorted(columns - _columns(connection, table))
        for table, columns in _expected_columns().items()
        if table in present
    }
    return {table: columns for table, columns in lacking.items() if columns}


def missing_tables(connection: sqlite3.Connection) -> set[str]:
    """Return our tables that are not there: it may be a while until the first use."""
    return _expected_columns().keys() - _names(connection)


def _missing(connection: sqlite3.Connection) -> bool:
    """Tell whether a table or index of ours is not there."""
    for table, columns in foreign_tables(connection).items():
        raise DatabaseUnavailable(
            f"The database has a table or view {table} that is not lea_fleet's:"
            f" it lacks {', '.join(columns)}. It is left alone; rename it, or give"
            " lea_fleet a database of its own (RPA_AGENTS_DB_PATH)."
        )
    return not _expected_names() <= _names(connection)


@cache
def _statements() -> list[str]:
    script = files(__package__).joinpath("schema.sql").read_text("utf-8")
    return [part for part in script.split(";\n") if "CREATE" in part]


@cache
def _expected_names() -> set[str]:
    with closing(new_database()) as connection:
        return _names(connection)


@cache
def _expected_columns() -> dict[str, set[str]]:
    with closing(new_database()) as connection:
        columns = {name: _columns(connection, name) for name in _names(connection)}
    return {table: names for table, names in columns.items() if names}


def new_database() -> sqlite3.Connection:
    """Return a database in memory that has our schema and nothing else."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in _statements():
        connection.execute(statement)
    return connection


def _names(connection: sqlite3.Connection) -> set[str]:
    # Names are alike whatever their case; those of SQLite's own are not ours to miss.
    rows = connection.execute(
        "SELECT lower(name) FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
    )
    return {name for (name,) in rows}


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    rows = connection.execute(f"PRAGMA table_info({table})")
    return {row[1].lower() for row in rows}
