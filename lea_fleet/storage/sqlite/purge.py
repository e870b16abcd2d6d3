"""What is deleted is gone for good: out of the log, and out of free space.

Each connection has ``secure_delete`` on, so that SQLite writes zeros over what it
deletes. The pages as they were before stay in the write-ahead log until it is emptied.
And where SQLite has moved rows from page to page, a copy may be left in a page's free
space: seen of 11 and 14 in 3,000 machines that had come, changed and left. Only VACUUM
writes the whole file anew.
"""

from __future__ import annotations

import sqlite3
import time

#: Milliseconds that a try may keep other writers waiting.
_TRY = 100

#: Seconds in which they have their turn, between two tries.
_PAUSE = 0.05


def empty_log(connection: sqlite3.Connection, patience: float) -> bool:
    """Write the log into the database and cut it to no bytes; tell whether it is.

    Tries for *patience* seconds, since it cannot be while another connection reads
    what was before, or writes.
    """
    (waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_TRY}")
    try:
        return _emptied(connection, time.monotonic() + patience)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waits}")


def _emptied(connection: sqlite3.Connection, deadline: float) -> bool:
    while True:
        row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if row[0] == 0:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def vacuum(connection: sqlite3.Connection) -> None:
    """Write the whole file anew, without free space: into the log, to be emptied then.

    Needs as much space again, twice, and keeps writers waiting. Raises sqlite3.Error.
    """
    connection.execute("VACUUM")
