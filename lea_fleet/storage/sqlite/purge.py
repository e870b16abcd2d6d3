"""Remove deleted data for good: from the WAL and from the free space of the file.

Each connection has ``secure_delete`` on, so that SQLite overwrites what it deletes
with zeros. The earlier pages stay in the WAL until it is emptied. Where SQLite has
moved rows from page to page, a copy may be left in a page's free space: seen for 11
and 14 of 3,000 machines that were enrolled, changed and erased. Only VACUUM rewrites
the whole file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .checkpoint import locked
from .connection import Connection
from .errors import database_problem, tries
from .transactions import end_turn, take_turn

#: Milliseconds that one try may keep other writers waiting.
_TRY = 100

#: Seconds between two tries, in which other writers get their turn.
_PAUSE = 0.05


def empty_wal(connection: Connection, patience: float) -> bool:
    """Write the WAL into the database and truncate it; tell whether it is empty.

    Tries for *patience* seconds, since it is not possible while another connection
    reads an earlier state, or writes.
    """
    (waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_TRY}")
    try:
        return any(_truncated(connection) for _ in tries(patience, _PAUSE))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waits}")


def vacuum(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite the whole file without free space; the WAL is to be emptied afterwards.

    Needs twice the size of the file, and keeps writers waiting. Raises DatabaseProblem.
    """
    try:
        take_turn(connection, "VACUUM")
    except sqlite3.Error as error:
        raise database_problem(error, path) from error
    finally:
        end_turn(connection)


def _truncated(connection: Connection) -> bool:
    # Alone, since this is a checkpoint like those of the servers.
    with locked(connection.place.wal, _TRY / 1000):
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(busy == 0)
