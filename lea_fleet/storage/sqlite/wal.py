"""A write-ahead log that is gone, or is another file's: noticed before it is used.

SQLite finds the log by its name alone, and would read an old file's into a new one.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from .files import Files, size_of
from ...core.problems import DatabaseUnavailable

_SAVED = "Restart the server: what was in that log is saved."
_NOT_SAVED = "Do not stop the server yet: what was in that log is not saved."

#: Seconds between two tries, since SQLite does not wait by itself there.
_PAUSE = 0.01


def refuse_wrong_log(
    connection: sqlite3.Connection,
    path: Path,
    opened: Files,
    now: Files,
    patience: float | None,
) -> None:
    """Refuse a database without its log, or with the log of another one.

    *connection* to *path* was *opened* to other files than there are *now*. As long as it is
    open, no other file gets the old log's number. What is in a log that was removed
    is saved within *patience* seconds, or not at all where that is None: the
    connection is another thread's at present. Raises DatabaseUnavailable.
    """
    log = f"{path}-wal"
    if now.database == opened.database:
        saved = patience is not None and _save_log(connection, opened, now, patience)
        raise DatabaseUnavailable(
            f"{log} or its -shm was removed while the server was running. "
            + (_SAVED if saved else _NOT_SAVED)
        )
    if now.wal is not None and now.wal == opened.wal and size_of(log):
        raise DatabaseUnavailable(
            f"{path} was replaced while the server was running, and {log}"
            " still belongs to the file before. Stop the server, remove that log"
            " and its -shm, and start again."
        )


def _save_log(
    connection: sqlite3.Connection, opened: Files, now: Files, patience: float
) -> bool:
    """Write into the database what is in a log that has been removed.

    Tell whether all of it is there. Not where another process has made another
    log by now: what it writes must not be overwritten.
    """
    if not {now.wal, now.shm} <= {None, *opened}:
        return False
    deadline = time.monotonic() + patience
    while True:
        with suppress(sqlite3.Error):  # another connection may be saving it
            answer = connection.execute("PRAGMA wal_checkpoint").fetchone()
            busy, pages, saved = answer
            if not busy and pages == saved:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
