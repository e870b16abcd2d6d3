"""Copy a fleet that was made for SQLite to PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from operator import itemgetter

from psycopg import sql

from lea_fleet.storage.postgresql.dialect import DIALECT
from lea_fleet.storage.postgresql.schema import ensure_schema, script

#: The columns that make_fleet() writes. The ids are numbered anew, in the same order.
_COLUMNS = {
    "enrolled_agents": (
        "machine_id",
        "user_name",
        "user_email",
        "hostname",
        "os_info",
        "version",
        "enrolled_at",
        "last_seen_at",
    ),
    "lea_fleet_tokens": (
        "token_hash",
        "machine_id",
        "enrolled_at",
        "issued_at",
        "first_used_at",
        "said",
    ),
    "lea_fleet_events": ("machine_id", "event", "at", "actor", "detail"),
}
_SCHEMA = "public"


def copy_fleet(path, connection):
    """Copy the fleet in the SQLite file at *path* to the database of *connection*."""
    ensure_schema(connection, _SCHEMA)
    with closing(sqlite3.connect(path)) as source, connection.transaction():
        for table, columns in _COLUMNS.items():
            _copy(source, connection, table, columns)
    connection.execute("VACUUM ANALYZE")  # as its autovacuum does sooner or later
    connection.execute("CHECKPOINT")


def add_search_index(connection):
    """Install the extension pg_trgm, and make the index that searches then use."""
    connection.execute("CREATE EXTENSION pg_trgm")
    connection.execute(script(_SCHEMA, None))
    connection.execute("VACUUM ANALYZE enrolled_agents")
    connection.execute("CHECKPOINT")


def _copy(source, connection, table, columns):
    names, with_keys = columns, dict
    if table == "enrolled_agents":
        with_keys = DIALECT.with_keys
        names = tuple(with_keys(dict.fromkeys(columns)))
    statement = sql.SQL("COPY {}.{} ({}) FROM STDIN").format(
        sql.Identifier(_SCHEMA),
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
    )
    row_of = itemgetter(*names)
    rows = source.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1")
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row_of(with_keys(dict(zip(columns, row)))))
