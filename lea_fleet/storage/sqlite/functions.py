"""What SQLite cannot do by itself: functions in Python for the queries here."""

from __future__ import annotations

import sqlite3

from ...core.text import contains, sort_key


def add_functions(connection: sqlite3.Connection) -> None:
    """Let the queries on *connection* use the functions of a listing."""
    connection.create_function("lea_fleet_contains", 2, contains, deterministic=True)
    connection.create_function("lea_fleet_sort_key", 1, sort_key, deterministic=True)
