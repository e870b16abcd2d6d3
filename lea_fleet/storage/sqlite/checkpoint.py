"""Write the WAL into the database, in one process at a time.

SQLite before 3.51.3 may lose commits if one checkpoint follows right after another and
a commit begins the WAL anew in between (https://sqlite.org/wal.html, "WAL-reset bug").
So ours begin only while something is left to save, under a lock that excludes others:
nobody can begin the WAL anew before all of it is saved. Writers need not wait.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .errors import tries
from .files import Files, Place, files_at
from .wal_index import frames_of

try:
    import fcntl
except ImportError:  # Windows, where no file can be removed that is open
    fcntl = None  # type: ignore[assignment]

#: Seconds between two attempts to get the lock.
_PAUSE = 0.005


@contextmanager
def locked(path: str, patience: float) -> Iterator[bool]:
    """Yield whether the lock on the file or folder at *path* was had.

    On a WAL, it is for writing it into the database. On the database's folder, it is
    for making a WAL, and for saving one that was removed. Waits for *patience* seconds.

    By flock(): it ends with the process, closing other files does not drop it, nothing
    has to be made, and who may take it is who may read that file or folder.
    """
    descriptor = _locked(path, patience)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def checkpoint(connection: sqlite3.Connection, place: Place, files: Files) -> None:
    """Write the WAL of *files* into the database, unless another process does.

    A fault, such as a full disk, is left to the next attempt: what is in the WAL is
    committed.
    """
    with locked(place.wal, 0) as has_lock, suppress(sqlite3.Error):
        if not has_lock or files.shm is None or files_at(place) != files:
            return
        frames = frames_of(files.shm)
        if frames is not None and frames.saved < frames.written:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _locked(path: str, patience: float) -> int | None:
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # it cannot be read, or is not there
        return None
    for _ in tries(patience, _PAUSE):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            continue
        except OSError:  # a file system without such locks: as good as it gets
            return descriptor
    os.close(descriptor)
    return None
