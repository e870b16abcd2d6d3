"""One connection: how it is opened, what it remembers, what a commit checks."""

from __future__ import annotations

import sqlite3
from operator import methodcaller
from pathlib import Path

from ...core.problems import DatabaseUnavailable
from .checkpoint import checkpoint
from .dialect import add_functions
from .files import Files, Place, files_at, place_of
from .transactions import WriteQueue, end_turn
from .wal_index import Frames, WalUse

#: Decodes text, even if another program stored it in another encoding.
_decode = methodcaller("decode", "utf-8", "replace")


class Connection(sqlite3.Connection):
    """A connection that remembers its files and the process that opened it."""

    place: Place
    files: Files
    pid: int
    suspect = False
    synchronous: str | None = None  # as it was last set
    handed_out = False  # whether other code may have changed synchronous
    queue: WriteQueue | None = None
    wal: WalUse | None = None
    busy_timeout: float  # seconds
    has_turn = False
    sqlite_waits = True

    def commit(self) -> None:
        """Commit, and check that the files at the path are still the same.

        Raises DatabaseUnavailable if they were moved, deleted or replaced since the
        connection was opened: the commit may be lost and must not be acknowledged.
        """
        if self.in_transaction:
            super().commit()
        may_have_written = self.has_turn or self.handed_out
        frames = self._frames() if may_have_written else None
        if self.has_turn:
            end_turn(self)
        if files_at(self.place) != self.files or self._is_moved():
            raise DatabaseUnavailable(
                f"{self.place} or its WAL was moved, replaced or deleted during this"
                " request; what the request wrote may not be there."
            )
        if self.wal is not None and may_have_written:
            self.wal.acknowledged = frames
            if self.wal.is_due(frames):
                checkpoint(self, self.place, self.files)

    def look_at_wal(self) -> None:
        """Write the WAL into the database if that is due; warn if it is large."""
        if self.wal is not None and self.wal.is_due(self._frames()):
            checkpoint(self, self.place, self.files)

    def _frames(self) -> Frames | None:
        if self.wal is None:
            return None
        return self.wal.watch(self.files.shm, self.place)

    def _is_moved(self) -> bool:
        """Tell whether the path leads to the file by another name, with another WAL."""
        if self.place.is_same_entry():
            return False
        place = place_of(self.place.path)
        if place.file != self.place.file:
            return True
        self.place = place  # the same link, made anew
        return False

    def rollback(self) -> None:
        """Roll back, and end this connection's turn to write."""
        try:
            super().rollback()
        finally:
            end_turn(self)


def connect(path: Path, mode: str, busy_timeout: float) -> Connection:
    """Open the file without changing anything in it.

    *mode* is SQLite's, such as ``rw`` and ``ro``, which create no file.
    *busy_timeout* is in seconds. Raises sqlite3.Error, here or on first use.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,  # transactions begin only with an explicit BEGIN
        check_same_thread=False,  # one thread at a time: see acquire()
        factory=Connection,
    )
    connection.busy_timeout = busy_timeout
    connection.row_factory = sqlite3.Row
    connection.text_factory = _decode
    add_functions(connection)
    return connection
