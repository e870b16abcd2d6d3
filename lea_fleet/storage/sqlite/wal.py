"""Detect a missing or mismatched WAL before it is used.

SQLite finds the WAL by its name alone, and would read an old file's into a new one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress

from ...core.problems import DatabaseUnavailable
from .files import Files, Place, size_of

_SAVED = "Restart the server: what was in that WAL is saved."
_NOT_SAVED = "Do not stop the server yet: what was in that WAL is not saved."

#: Seconds between two tries, since SQLite does not wait by itself there.
_PAUSE = 0.01


def refuse_wrong_wal(
    connection: sqlite3.Connection,
    place: Place,
    opened: Files,
    now: Files,
    patience: float | None,
) -> None:
    """Refuse a database without its WAL, or with the WAL of another one.

    *connection* to *place* was *opened* to other files than there are *now*. While it
    is open, no other file gets the inode of the old WAL. What is in a WAL that was
    removed is saved within *patience* seconds, or not at all where that is None: the
    connection is in use by another thread. Raises DatabaseUnavailable.
    """
    if now.database == opened.database:
        saved = patience is not None and _save_wal(connection, opened, now, patience)
        raise DatabaseUnavailable(
            f"{place.wal} or its -shm was removed while the server was running. "
            + (_SAVED if saved else _NOT_SAVED)
        )
    if now.wal is not None and now.wal == opened.wal and size_of(place.wal):
        raise DatabaseUnavailable(
            f"{place} was replaced while the server was running, and {place.wal}"
            " still belongs to the file before. Stop the server, remove that WAL"
            " and its -shm, and start again."
        )


def tries(patience: float, pause: float) -> Iterator[None]:
    """Yield for each try: the first, then every *pause* seconds for *patience* seconds.

    For where SQLite does not apply its busy timeout.
    """
    deadline = time.monotonic() + patience
    yield
    while time.monotonic() <= deadline:
        time.sleep(pause)
        yield


def _save_wal(
    connection: sqlite3.Connection, opened: Files, now: Files, patience: float
) -> bool:
    """Write what is in a removed WAL into the database; tell whether all of it is.

    Not where another process has made another WAL by now: what it writes must not be
    overwritten.
    """
    if not {now.wal, now.shm} <= {None, *opened}:
        return False
    for _ in tries(patience, _PAUSE):
        with suppress(sqlite3.Error):  # another connection may be saving it
            answer = connection.execute("PRAGMA wal_checkpoint").fetchone()
            busy, pages, saved = answer
            if not busy and pages == saved:
                return True
    return False
