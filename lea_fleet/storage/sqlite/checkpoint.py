"""Write the WAL into the database while no process can write.

SQLite before 3.51.3 may lose commits if one checkpoint follows right after another and
a commit begins the WAL anew in between (https://sqlite.org/wal.html, "WAL-reset bug").
SQLite's own automatic checkpoint runs after the commit, without the write lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

from .errors import is_locked, tries

#: Seconds for which other processes' writers may delay it, and between two attempts.
_PATIENCE = 0.02
_PAUSE = 0.0005


def checkpoint(
    connection: sqlite3.Connection, another: Callable[[], sqlite3.Connection]
) -> None:
    """Write the WAL into the database, if the write lock can be had.

    A second connection, which *another* opens, keeps the lock meanwhile: *connection*
    itself could not, in a transaction. A fault, such as a full disk, is left to the
    next attempt: what is in the WAL is committed.
    """
    with suppress(sqlite3.Error), closing(another()) as guard:
        if _is_locked_by(guard):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            guard.execute("ROLLBACK")


def _is_locked_by(guard: sqlite3.Connection) -> bool:
    for _ in tries(_PATIENCE, _PAUSE):
        try:
            guard.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
    return False
