"""Create and complete our tables, and refuse tables that are not ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files

from ...core.problems import DatabaseUnavailable
from .transactions import transaction

#: The first version with ``RETURNING``.
OLDEST_SQLITE = (3, 35, 0)

#: The columns added after 0.1.0, by table and name, with their declarations: word for
#: word as in schema.sql, at the table's end. NOT NULL needs a DEFAULT, which rows of an
#: older process get. A new index needs only its line in schema.sql.
ADDITIONS = {
    ("lea_fleet_tokens", "replaced"): "INTEGER NOT NULL DEFAULT 0",
    ("lea_fleet_tokens", "said"): "INTEGER NOT NULL DEFAULT 0",
    ("lea_fleet_tokens", "former_id"): "TEXT",
    ("lea_fleet_tokens", "rotated_by_agent"): "INTEGER NOT NULL DEFAULT 0",
    ("lea_fleet_releases", "enrollment_token"): "INTEGER",
    ("lea_fleet_enrollment_tokens", "tags"): "TEXT NOT NULL DEFAULT '[]'",
}


def refuse_old_sqlite() -> None:
    """Raise RuntimeError if SQLite is too old for our statements."""
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        return
    oldest = ".".join(map(str, OLDEST_SQLITE))
    raise RuntimeError(
        f"lea_fleet needs SQLite {oldest} or later; this Python has"
        f" {sqlite3.sqlite_version}. Install a newer SQLite or Python."
    )


def ensure_schema(connection: sqlite3.Connection) -> None:
    """Create the tables, columns and indexes that the database lacks.

    If nothing is missing, nothing is written, so that this does not wait for another
    writer. Raises DatabaseUnavailable if a table with one of our names is not ours.
    """
    if is_complete(connection):
        return
    with transaction(connection):
        # Another process may have created them while this one waited for the lock.
        if is_complete(connection):
            return
        # Columns before indexes, which may be on one of them.
        for table, column in missing_columns(connection):
            declared = ADDITIONS[table, column]
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")
        for statement in _statements():
            connection.execute(statement)


def is_complete(connection: sqlite3.Connection) -> bool:
    """Return whether all our tables, columns and indexes exist.

    Raises DatabaseUnavailable if a table with one of our names is not ours.
    """
    names = _names(connection)
    lacking = _lacking(connection, names)
    for table, columns in _foreign(lacking).items():
        raise DatabaseUnavailable(
            f"The database has a table or view {table} that is not lea_fleet's:"
            f" it lacks {', '.join(columns)}. It is left alone; rename it, or give"
            " lea_fleet a database of its own (RPA_AGENTS_DB_PATH)."
        )
    return not lacking and _expected_names() <= names


def foreign_tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return tables with one of our names that are not ours, and the columns they lack.

    A table that lacks only columns added after 0.1.0 is ours.
    """
    return _foreign(_lacking(connection, _names(connection)))


def missing_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the (table, column) pairs that are missing in our tables."""
    lacking = _lacking(connection, _names(connection))
    return [column for column in ADDITIONS if column in lacking]


def missing_tables(connection: sqlite3.Connection) -> set[str]:
    """Return our tables that do not exist, which is normal before the first request."""
    return _expected_columns().keys() - _names(connection)


def _lacking(connection: sqlite3.Connection, names: set[str]) -> set[tuple[str, str]]:
    return {
        (table, column)
        for table, columns in _expected_columns().items()
        if table in names
        for column in columns - _columns(connection, table)
    }


def _foreign(lacking: set[tuple[str, str]]) -> dict[str, list[str]]:
    foreign: dict[str, list[str]] = {}
    for table, column in sorted(lacking - ADDITIONS.keys()):
        foreign.setdefault(table, []).append(column)
    return foreign


def script() -> str:
    """Return the SQL that makes our tables and indexes."""
    return files(__package__).joinpath("schema.sql").read_text("utf-8")


@cache
def _statements() -> list[str]:
    return [part for part in script().split(";\n") if "CREATE" in part]


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
    """Return a new database in memory with our schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in _statements():
        connection.execute(statement)
    return connection


def _names(connection: sqlite3.Connection) -> set[str]:
    # SQLite ignores the case of names; its own tables do not count.
    rows = connection.execute(
        "SELECT lower(name) FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
    )
    return {name for (name,) in rows}


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    rows = connection.execute(f"PRAGMA table_info({table})")
    return {row[1].lower() for row in rows}
